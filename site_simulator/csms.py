"""How does a CSMS for OCPP 1.6, 2.0.1 and 2.1 on one port answer everything, send profiles and notice every oddity?"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from ocpp import v16, v21, v201
from ocpp.exceptions import OCPPError
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.headers import parse_authorization_basic
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from site_simulator.clock import SimClock
from site_simulator.peer import V16, V21, V201, VERSIONS, Peer, Spawn, on
from site_simulator.wire import Connection, Record, Wire
from site_simulator.words import stamp

TX_PROFILE = "TxProfile"


@dataclass(frozen=True, slots=True)
class ProfileOrder:
    """A limit that the operator sets: amperes per phase at `at_s` seconds after the scenario's start.

    purpose: in 2.x words; 1.6 gets its own. stack_level and profile_id as a CSMS numbers them.
    """

    station: str
    at_s: float
    limit_a: float
    purpose: str = "TxDefaultProfile"
    evse: int = 1
    stack_level: int = 0
    profile_id: int = 1


class SimulatedCsms:
    """A CSMS; enter it as an asynchronous context manager, then `url` is where stations connect.

    stations: identities it knows, others get HTTP 404. passwords: station -> password, those are checked by Basic auth.
    records: a transcript and complaints per station. outcomes: what became of each profile it sent.
    priorities: the chargingPriority of a card (2.x), as it says when that is shown.
    """

    def __init__(self, clock: SimClock, stations: Collection[str], passwords: dict[str, str] | None = None) -> None:
        self.records: dict[str, Record] = defaultdict(Record)
        self.running: dict[str, str] = {}
        self.outcomes: list[str] = []
        self.priorities: dict[str, int] = {}
        self.url = ""
        self._clock = clock
        self._stations = stations
        self._passwords = passwords or {}
        self._peers: dict[str, _Csms] = {}
        self._transaction_ids = itertools.count(1)
        self._refused: list[str] = []

    async def __aenter__(self) -> Self:
        """Listen on a free port of the loopback interface."""
        await self._listen(0)
        return self

    async def go_away(self) -> None:
        """Close all connections and listen no more."""
        await self.__aexit__()

    async def come_back(self) -> None:
        """Listen at the same address again."""
        await self._listen(urlsplit(self.url).port or 0)

    async def _listen(self, port: int) -> None:
        self._server = await serve(
            self._connected,
            "127.0.0.1",
            port,
            select_subprotocol=_first_known,
            process_request=self._admit,
            ping_interval=60,
            ping_timeout=120,
            open_timeout=120,
        )
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/ocpp"

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        self._server.close()
        await self._server.wait_closed()

    @property
    def complaints(self) -> list[str]:
        """Everything that must not have happened, over all stations."""
        per_station = [f"{name}: {text}" for name, record in self.records.items() for text in record.complaints]
        return self._refused + per_station

    async def command(self, station: str, action: str, **fields: Any) -> Any:
        """Call a connected station with a request of its version; the answer as the package's dataclass.

        Raises KeyError if it is not connected, and what `Peer.ask` raises.
        """
        peer = self._peers[station]
        return await peer.ask(getattr(VERSIONS[peer.version].call, action)(**fields))

    async def order(self, order: ProfileOrder) -> str:
        """Send one profile; the station's status ("Accepted", "Rejected", ...)."""
        peer = self._peers[order.station]
        transaction = self.running.get(order.station)
        build = _profile_16 if peer.version == V16 else _profile_2x
        answer = await peer.ask(build(peer.payloads.call, order, transaction, stamp(self._clock.utc())))
        self.outcomes.append(f"{order.station} {order.purpose} {order.limit_a:g} A: {answer.status}")
        return str(answer.status)

    async def follow(self, orders: Collection[ProfileOrder], start_s: float) -> None:
        """Send all orders at their times, each once its station and, for a TxProfile, its transaction is there."""
        async with asyncio.TaskGroup() as group:
            for order in orders:
                group.create_task(self._follow(order, start_s))

    async def _follow(self, order: ProfileOrder, start_s: float) -> None:
        await asyncio.sleep(max(0.0, start_s + order.at_s - self._clock.monotonic_s()))
        while True:
            if order.station in self._peers and (order.purpose != TX_PROFILE or order.station in self.running):
                with suppress(ConnectionClosed, TimeoutError, OCPPError):
                    await self.order(order)
                    return
            await asyncio.sleep(5)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """404 for an unknown identity, 401 for a wrong password."""
        identity = _identity(request)
        if identity not in self._stations:
            self._refused.append(f"unknown station {identity}")
            return connection.respond(HTTPStatus.NOT_FOUND, "no such station\n")
        if identity in self._passwords and not self._is_authentic(identity, request.headers):
            self._refused.append(f"wrong password of {identity}")
            response = connection.respond(HTTPStatus.UNAUTHORIZED, "wrong password\n")
            response.headers["WWW-Authenticate"] = 'Basic realm="OCPP"'
            return response
        return None

    def _is_authentic(self, identity: str, headers: Headers) -> bool:
        try:
            return parse_authorization_basic(headers["Authorization"]) == (identity, self._passwords[identity])
        except (KeyError, ValueError):
            return False

    async def _connected(self, connection: ServerConnection) -> None:
        """Talk to one station until its connection ends; the newest connection of an identity counts."""
        assert connection.request is not None  # noqa: S101  # the handshake is complete
        identity, version = _identity(connection.request), connection.subprotocol
        if version is None:
            self._refused.append(f"{identity} offers no known version")
            return
        await self.converse(identity, version, connection)

    async def converse(self, identity: str, version: str, connection: Connection) -> None:
        """Talk to one station, however it came, until its connection ends."""
        wire = Wire(connection, self.records[identity], self._clock.utc)
        try:
            async with asyncio.TaskGroup() as group:
                peer = _CSMS[version](identity, wire, group.create_task, self, version)
                self._peers[identity] = peer
                try:
                    await peer.start()
                finally:
                    if self._peers.get(identity) is peer:
                        del self._peers[identity]
        except* ConnectionClosed:
            pass  # the ordinary end

    # --- what the dialogue asks of the CSMS ------------------------------------------------------------------------

    def now(self) -> str:
        """The time for answers."""
        return stamp(self._clock.utc())

    def start_transaction(self, station: str, transaction_id: str | None = None) -> str:
        """A transaction begins; 1.6 gets its id here."""
        self.running[station] = transaction_id or str(next(self._transaction_ids))
        return self.running[station]

    def end_transaction(self, station: str) -> None:
        """A transaction is over."""
        self.running.pop(station, None)


def _identity(request: Request) -> str:
    return unquote(request.path.rsplit("/", 1)[-1])


def _first_known(_: ServerConnection, offered: Collection[Subprotocol]) -> Subprotocol | None:
    """The station's order of preference counts (Part 4 chapter 3.1.2)."""
    return next((version for version in offered if version in VERSIONS), None)


class _Csms(Peer):
    """What all versions share."""

    def __init__(self, identity: str, wire: Wire, spawn: Spawn, host: SimulatedCsms, version: str) -> None:
        super().__init__(identity, wire, spawn)
        self.host = host
        self.version = version
        self.payloads = VERSIONS[version]

    @on("Heartbeat")
    def heartbeat(self, **_: Any) -> Any:
        """The time."""
        return self.payloads.call_result.Heartbeat(self.host.now())

    @on("BootNotification")
    def boot(self, **_: Any) -> Any:
        """Accepted."""
        return self.payloads.call_result.BootNotification(current_time=self.host.now(), interval=300, status="Accepted")

    @on("DataTransfer")
    def data_transfer(self, **_: Any) -> Any:
        """No vendor extension is known."""
        return self.payloads.call_result.DataTransfer("UnknownVendorId")


def _acknowledges(*actions: str) -> Any:
    """A class decorator: the actions get an empty answer."""

    def decorate(decorated: Any) -> Any:
        for action in actions:

            def answer(self: Any, _action: str = action, **_: Any) -> Any:
                return getattr(self.payloads.call_result, _action)()

            answer.__name__ = f"acknowledge_{action}"
            setattr(decorated, answer.__name__, on(action)(answer))
        return decorated

    return decorate


@_acknowledges(
    "StatusNotification",
    "MeterValues",
    "FirmwareStatusNotification",
    "DiagnosticsStatusNotification",
    "LogStatusNotification",
    "SecurityEventNotification",
    "SignedFirmwareStatusNotification",
)
class _Csms16(_Csms, v16.ChargePoint):  # type: ignore[misc]  # ocpp ships no type information
    """OCPP 1.6."""

    @on("Authorize")
    def authorize(self, id_tag: str) -> Any:
        """Every card is good except "BLOCKED"."""
        return v16.call_result.Authorize({"status": _verdict(id_tag)})

    @on("StartTransaction")
    def start_transaction(self, id_tag: str, **_: Any) -> Any:
        """The next transaction id."""
        transaction_id = int(self.host.start_transaction(self.id))
        return v16.call_result.StartTransaction(transaction_id, {"status": _verdict(id_tag)})

    @on("StopTransaction")
    def stop_transaction(self, **_: Any) -> Any:
        """Noted."""
        self.host.end_transaction(self.id)
        return v16.call_result.StopTransaction()


@_acknowledges(
    "StatusNotification",
    "MeterValues",
    "NotifyEvent",
    "NotifyReport",
    "NotifyChargingLimit",
    "ClearedChargingLimit",
    "ReportChargingProfiles",
    "SecurityEventNotification",
    "FirmwareStatusNotification",
    "LogStatusNotification",
    "NotifyMonitoringReport",
)
class _Csms2x(_Csms):
    """OCPP 2.0.1 and 2.1."""

    @on("Authorize")
    def authorize(self, id_token: dict[str, Any], **_: Any) -> Any:
        """Every card is good except "BLOCKED"."""
        card = id_token["id_token"]
        given = {"charging_priority": self.host.priorities[card]} if card in self.host.priorities else {}
        return self.payloads.call_result.Authorize(id_token_info={"status": _verdict(card), **given})

    @on("NotifyEVChargingNeeds")
    def needs(self, **_: Any) -> Any:
        """Taken note of."""
        return self.payloads.call_result.NotifyEVChargingNeeds(status="Accepted")

    @on("TransactionEvent")
    def transaction_event(
        self,
        event_type: str,
        transaction_info: dict[str, Any],
        id_token: dict[str, Any] | None = None,
        **_: Any,
    ) -> Any:
        """Keeps the running transaction; a card is judged."""
        if event_type == "Ended":
            self.host.end_transaction(self.id)
        else:
            self.host.start_transaction(self.id, transaction_info["transaction_id"])
        verdict = None if id_token is None else {"status": _verdict(id_token["id_token"])}
        return self.payloads.call_result.TransactionEvent(id_token_info=verdict)


def _verdict(card: str) -> str:
    return "Blocked" if card == "BLOCKED" else "Accepted"


class _Csms201(_Csms2x, v201.ChargePoint):  # type: ignore[misc]  # ocpp ships no type information
    """OCPP 2.0.1."""


class _Csms21(_Csms2x, v21.ChargePoint):  # type: ignore[misc]  # ocpp ships no type information
    """OCPP 2.1."""


_CSMS: dict[str, type[_Csms]] = {V16: _Csms16, V201: _Csms201, V21: _Csms21}


def _profile_16(call: Any, order: ProfileOrder, transaction_id: str | None, now: str) -> Any:
    purpose = "ChargePointMaxProfile" if order.purpose == "ChargingStationMaxProfile" else order.purpose
    profile = _profile(order, purpose, now)
    profile["charging_profile_id"] = order.profile_id
    if order.purpose == TX_PROFILE and transaction_id is not None:
        profile["transaction_id"] = int(transaction_id)
    return call.SetChargingProfile(connector_id=order.evse, cs_charging_profiles=profile)


def _profile_2x(call: Any, order: ProfileOrder, transaction_id: str | None, now: str) -> Any:
    profile = _profile(order, order.purpose, now)
    profile["id"] = order.profile_id
    profile["charging_schedule"] = [{"id": 1, **profile["charging_schedule"]}]
    if order.purpose == TX_PROFILE:
        profile["transaction_id"] = transaction_id
    return call.SetChargingProfile(evse_id=order.evse, charging_profile=profile)


def _profile(order: ProfileOrder, purpose: str, now: str) -> dict[str, Any]:
    return {
        "stack_level": order.stack_level,
        "charging_profile_purpose": purpose,
        "charging_profile_kind": "Absolute",
        "charging_schedule": {
            "start_schedule": now,
            "charging_rate_unit": "A",
            "charging_schedule_period": [{"start_period": 0, "limit": order.limit_a}],
        },
    }
