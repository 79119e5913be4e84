"""What does a station say, whatever its OCPP version? One interface, two ways of spelling it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from site_simulator import readings
from site_simulator.outlet import Outlet, Product, Transaction
from site_simulator.peer import VERSIONS

Payload = Any
"""A request of the `ocpp` package; the package ships no types."""

_STATUS_16 = {"Idle": "Available", "EVConnected": "Preparing"}


def stamp(moment: datetime) -> str:
    """A dateTime as the standard writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class Words(Protocol):
    """The payloads of a station's own calls, in the order of a visit; None where a version says nothing."""

    def boot(self) -> Payload:
        """BootNotification."""

    def heartbeat(self) -> Payload:
        """Heartbeat."""

    def plugged(self, outlet: Outlet, now: datetime) -> Payload:
        """A car arrived, or left if there is none."""

    def authorize(self, card: str) -> Payload:
        """Authorize."""

    def started(self, outlet: Outlet, transaction: Transaction, card: str, now: datetime) -> Payload:
        """The transaction begins."""

    def state(self, outlet: Outlet, now: datetime) -> Payload | None:
        """The charging state changed."""

    def metered(self, outlet: Outlet, now: datetime) -> Payload:
        """The periodic sample of a running transaction."""

    def ended(self, outlet: Outlet, transaction: Transaction, reason: str, now: datetime) -> Payload:
        """The transaction is over; `reason` in the words that both versions share."""

    def is_accepted(self, answer: Any) -> bool:
        """Whether the answer to `authorize` or `started` lets the driver charge."""


class Words16:
    """OCPP 1.6."""

    _call = VERSIONS["ocpp1.6"].call

    def __init__(self, product: Product) -> None:
        self._product = product

    def boot(self) -> Payload:
        """BootNotification.req."""
        vendor, model, firmware = self._product
        return self._call.BootNotification(model, vendor, firmware_version=firmware)

    def heartbeat(self) -> Payload:
        """Heartbeat.req."""
        return self._call.Heartbeat()

    def plugged(self, outlet: Outlet, now: datetime) -> Payload:
        """StatusNotification.req: Preparing or Available."""
        return self._status(_STATUS_16.get(outlet.charging_state, outlet.charging_state), now)

    def authorize(self, card: str) -> Payload:
        """Authorize.req."""
        return self._call.Authorize(card)

    def started(self, outlet: Outlet, transaction: Transaction, card: str, now: datetime) -> Payload:
        """StartTransaction.req."""
        del outlet
        return self._call.StartTransaction(1, card, round(transaction.started_at_wh), stamp(now))

    def state(self, outlet: Outlet, now: datetime) -> Payload | None:
        """StatusNotification.req: Charging, SuspendedEV or SuspendedEVSE."""
        return self._status(outlet.charging_state, now)

    def metered(self, outlet: Outlet, now: datetime) -> Payload:
        """MeterValues.req."""
        values = readings.sampled_values(outlet.reading, outlet.spec.spelling)
        known = "" if outlet.transaction is None else outlet.transaction.transaction_id
        transaction_id = int(known) if known.isdigit() else None
        return self._call.MeterValues(1, [{"timestamp": stamp(now), "sampledValue": values}], transaction_id)

    def ended(self, outlet: Outlet, transaction: Transaction, reason: str, now: datetime) -> Payload:
        """StopTransaction.req."""
        transaction_id = int(transaction.transaction_id)
        return self._call.StopTransaction(round(outlet.energy_wh), stamp(now), transaction_id, reason)

    def is_accepted(self, answer: Any) -> bool:
        """idTagInfo.status."""
        return bool(answer.id_tag_info["status"] == "Accepted")

    def _status(self, status: str, now: datetime) -> Payload:
        return self._call.StatusNotification(1, "NoError", status, stamp(now))


class Words2x:
    """OCPP 2.0.1 and 2.1."""

    def __init__(self, version: str, product: Product) -> None:
        self._product = product
        self._call = VERSIONS[version].call

    def boot(self) -> Payload:
        """BootNotificationRequest."""
        vendor, model, firmware = self._product
        station = {"model": model, "vendorName": vendor, "firmwareVersion": firmware}
        return self._call.BootNotification(charging_station=station, reason="PowerUp")

    def heartbeat(self) -> Payload:
        """HeartbeatRequest."""
        return self._call.Heartbeat()

    def plugged(self, outlet: Outlet, now: datetime) -> Payload:
        """StatusNotificationRequest."""
        status = "Available" if outlet.vehicle is None else "Occupied"
        return self._call.StatusNotification(timestamp=stamp(now), connector_status=status, evse_id=1, connector_id=1)

    def authorize(self, card: str) -> Payload:
        """AuthorizeRequest."""
        return self._call.Authorize(id_token=_token(card))

    def started(self, outlet: Outlet, transaction: Transaction, card: str, now: datetime) -> Payload:
        """TransactionEventRequest(Started)."""
        more: dict[str, Any] = {"id_token": _token(card), "evse": {"id": 1, "connectorId": 1}}
        return self._event("Started", "Authorized", transaction, outlet, now, **more)

    def state(self, outlet: Outlet, now: datetime) -> Payload | None:
        """TransactionEventRequest(Updated); nothing without a transaction."""
        if outlet.transaction is None:
            return None
        return self._event("Updated", "ChargingStateChanged", outlet.transaction, outlet, now)

    def metered(self, outlet: Outlet, now: datetime) -> Payload:
        """TransactionEventRequest(Updated) with a meter value; MeterValuesRequest without a transaction."""
        if outlet.transaction is None:
            return self._call.MeterValues(evse_id=1, meter_value=self._meter_value(outlet, now))
        sample: dict[str, Any] = {"meter_value": self._meter_value(outlet, now)}
        return self._event("Updated", "MeterValuePeriodic", outlet.transaction, outlet, now, **sample)

    def ended(self, outlet: Outlet, transaction: Transaction, reason: str, now: datetime) -> Payload:
        """TransactionEventRequest(Ended)."""
        trigger = {"EVDisconnected": "EVDeparted", "Remote": "RemoteStop"}.get(reason, "StopAuthorized")
        more: dict[str, Any] = {"meter_value": self._meter_value(outlet, now)}
        return self._event("Ended", trigger, transaction, outlet, now, reason, **more)

    def is_accepted(self, answer: Any) -> bool:
        """idTokenInfo.status; TransactionEvent answers it only where an idToken was sent."""
        return answer.id_token_info is None or bool(answer.id_token_info["status"] == "Accepted")

    def _event(  # noqa: PLR0913, PLR0917  # the message's own fields
        self,
        event: str,
        trigger: str,
        transaction: Transaction,
        outlet: Outlet,
        now: datetime,
        stopped_reason: str | None = None,
        **more: Any,
    ) -> Payload:
        info = {"transactionId": transaction.transaction_id, "chargingState": outlet.charging_state}
        if stopped_reason is not None:
            info["stoppedReason"] = stopped_reason
        return self._call.TransactionEvent(
            event_type=event,
            timestamp=stamp(now),
            trigger_reason=trigger,
            seq_no=transaction.next_seq_no(),
            transaction_info=info,
            **more,
        )

    @staticmethod
    def _meter_value(outlet: Outlet, now: datetime) -> list[dict[str, Any]]:
        values = readings.sampled_values_2x(outlet.reading, outlet.spec.spelling)
        return [{"timestamp": stamp(now), "sampledValue": values}]


def _token(card: str) -> dict[str, str]:
    return {"idToken": card, "type": "ISO14443"}


def words_of(version: str, product: Product) -> Words:
    """The words of an OCPP version, by its WebSocket subprotocol."""
    return Words16(product) if version == "ocpp1.6" else Words2x(version, product)
