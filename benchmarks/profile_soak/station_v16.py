"""How does a conforming OCPP 1.6 station answer?"""

from __future__ import annotations

from benchmarks.profile_soak.evaluator import Json
from benchmarks.profile_soak.station import UNNAMED, Ask, Fault, Station, Transaction, stamp

_UNITS = {"A": "Current", "W": "Power"}
_PURPOSES = {"ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"}


class Station16(Station):
    """Every connector is an EVSE."""

    def settings(self) -> Json:
        """The configuration keys."""
        facts = self.facts
        return {
            "SupportedFeatureProfiles": "Core,SmartCharging,RemoteTrigger",
            "NumberOfConnectors": str(facts.evses),
            "ChargeProfileMaxStackLevel": str(facts.max_level),
            "ChargingScheduleAllowedChargingRateUnit": ",".join(_UNITS[unit] for unit in facts.units),
            "ChargingScheduleMaxPeriods": str(facts.max_periods),
            "MaxChargingProfilesInstalled": str(facts.max_installed),
            "MeterValueSampleInterval": "60",
            "ConnectorSwitch3to1PhaseSupported": "false",
        }

    def on_SetChargingProfile(self, payload: Json) -> Json:  # noqa: N802 - the action's name
        """An impossible connector or enum is an error (errata 3.38, 3.39), all else a refusal."""
        profile = payload["csChargingProfiles"]
        if profile["chargingProfilePurpose"] not in _PURPOSES or profile["chargingSchedule"][
            "chargingRateUnit"
        ] not in {"A", "W"}:
            raise Fault("PropertyConstraintViolation")
        self.reasons = self.store.install(payload["connectorId"], profile, self.clock())
        if "UnknownEVSE" in self.reasons:
            raise Fault("PropertyConstraintViolation")
        return {"status": "Rejected" if self.reasons else "Accepted"}

    def on_ClearChargingProfile(self, payload: Json) -> Json:  # noqa: N802
        """By id, or by what all fields say (errata 3.25, 3.26)."""
        names = ("id", "connectorId", "chargingProfilePurpose", "stackLevel")
        return {"status": "Accepted" if self.store.clear(*(payload.get(name) for name in names)) else "Unknown"}

    def on_GetCompositeSchedule(self, payload: Json) -> Json:  # noqa: N802
        """From now on (errata 3.57: without startSchedule)."""
        evse, duration_s = payload["connectorId"], payload["duration"]
        unit = payload.get("chargingRateUnit", self.facts.units[0])
        if not 0 <= evse <= self.facts.evses or unit not in self.facts.units:
            return {"status": "Rejected"}
        schedule = {
            "duration": duration_s,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": self.composite_periods(evse, unit, duration_s),
        }
        start = stamp(self.clock())
        return {"status": "Accepted", "connectorId": evse, "scheduleStart": start, "chargingSchedule": schedule}

    def on_GetConfiguration(self, payload: Json) -> Json:  # noqa: N802
        """All keys, or those asked for."""
        settings = self.settings()
        asked = payload.get("key") or list(settings)
        known = [{"key": key, "readonly": True, "value": settings[key]} for key in asked if key in settings]
        return {"configurationKey": known, "unknownKey": [key for key in asked if key not in settings]}

    def on_RemoteStartTransaction(self, payload: Json) -> Json:  # noqa: N802
        """Of a connector that is free."""
        taken = self.accept_remote_start(
            payload.get("connectorId"), payload["idTag"], None, payload.get("chargingProfile")
        )
        return {"status": "Accepted" if taken else "Rejected"}

    def on_RemoteStopTransaction(self, payload: Json) -> Json:  # noqa: N802
        """Of a running transaction."""
        for evse, transaction in list(self.transactions.items()):
            if transaction.id == str(payload["transactionId"]):
                self.end(evse)
                return {"status": "Accepted"}
        return {"status": "Rejected"}

    def on_TriggerMessage(self, payload: Json) -> Json:  # noqa: N802
        """The message follows."""
        connector = payload.get("connectorId", 1)
        match payload["requestedMessage"]:
            case "StatusNotification":
                status = {"connectorId": connector, "errorCode": "NoError", "status": self._status(connector)}
                self.outbox.append(Ask("StatusNotification", status))
            case "MeterValues":
                self.say_amps(connector)
            case _:
                return {"status": "NotImplemented"}
        return {"status": "Accepted"}

    def _status(self, connector: int) -> str:
        return "Charging" if connector in self.transactions else "Available"

    def answered(self, ask: Ask, answer: Json) -> None:
        """The CSMS names the transaction."""
        if ask.action != "StartTransaction":
            return
        evse, named = ask.payload["connectorId"], str(answer["transactionId"])
        transaction = self.transactions.get(evse)
        begun = ask.payload["timestamp"]
        if transaction is not None and transaction.id == UNNAMED and stamp(transaction.started_s) == begun:
            transaction.id = self.store.transactions[evse] = named
        self.outbox = [_named(one, begun, named) for one in self.outbox]

    def say_start(self, evse: int, transaction: Transaction, number: int | None) -> None:
        """StartTransaction.req."""
        del number
        self.outbox.append(
            Ask(
                "StartTransaction",
                {
                    "connectorId": evse,
                    "idTag": transaction.token,
                    "meterStart": 0,
                    "timestamp": stamp(transaction.started_s),
                },
            )
        )

    def say_end(self, evse: int, transaction: Transaction) -> None:
        """StopTransaction.req; the id is filled in later if the CSMS has not given one yet."""
        del evse
        named = stamp(transaction.started_s) if transaction.id == UNNAMED else int(transaction.id)
        stop = {"transactionId": named, "meterStop": 100, "timestamp": stamp(self.clock())}
        self.outbox.append(Ask("StopTransaction", stop))

    def say_amps(self, evse: int) -> None:
        """MeterValues.req."""
        values = [
            {"value": f"{amps:.1f}", "measurand": "Current.Import", "phase": f"L{number}", "unit": "A"}
            for number, amps in enumerate(self.amps.get(evse, (0.0, 0.0, 0.0)), start=1)
        ]
        payload: Json = {
            "connectorId": evse,
            "meterValue": [{"timestamp": stamp(self.clock()), "sampledValue": values}],
        }
        transaction = self.transactions.get(evse)
        if transaction is not None and transaction.id != UNNAMED:
            payload["transactionId"] = int(transaction.id)
        self.outbox.append(Ask("MeterValues", payload))

    def boot_message(self) -> Ask:
        """BootNotification.req."""
        return Ask("BootNotification", {"chargePointVendor": "Reference", "chargePointModel": "Sixteen"})


def _named(ask: Ask, begun: str, named: str) -> Ask:
    """A StopTransaction.req that waited for the id of its transaction."""
    if ask.action != "StopTransaction" or ask.payload["transactionId"] != begun:
        return ask
    return Ask(ask.action, ask.payload | {"transactionId": int(named)})
