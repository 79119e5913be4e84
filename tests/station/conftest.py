"""A bench for one station: the proxy between a station and a CSMS that answer as told; every own write is validated."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from importlib import resources
from itertools import count
from typing import Any

import jsonschema
import pytest

from local_controller.clock import Instant
from local_controller.profiles.composite import composite
from local_controller.profiles.context import Context
from local_controller.profiles.installed import InstalledProfiles
from local_controller.rpc import frame as rpc
from local_controller.station.blocks.virtual_store import RULES
from local_controller.station.blocks.wish import ANY_PHASES, OnPhases
from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.dialects import dialect
from local_controller.station.dialects.base import NO_BOUNDS
from local_controller.station.effects import (
    Close,
    CsmsLimitChanged,
    Effect,
    Note,
    PasswordOffered,
    Peer,
    Send,
    Tell,
    Trace,
)
from local_controller.station.words import LimitAnswered, LimitKind, LimitOutcome, OcppVersion
from tests import effort

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
FOLDER = {OcppVersion.V16: "v16", OcppVersion.V201: "v201", OcppVersion.V21: "v21"}
Payload = dict[str, Any]
EFFORT = effort.EFFORT


@cache
def validator(version: OcppVersion, name: str) -> jsonschema.Draft6Validator:
    folder = resources.files("ocpp").joinpath(FOLDER[version], "schemas")
    schema = json.loads(folder.joinpath(f"{name}.json").read_text("utf-8-sig"), parse_float=Decimal)
    return jsonschema.Draft6Validator(schema)


def validate(version: OcppVersion, action: str, payload: Payload, *, is_answer: bool) -> None:
    """Raises unless the payload is valid."""
    request = action if version is OcppVersion.V16 else f"{action}Request"
    assert not mistakes(version, f"{action}Response" if is_answer else request, json.dumps(payload)), (action, payload)


@lru_cache(10_000)
def mistakes(version: OcppVersion, name: str, text: str) -> list[str]:
    """Of a payload, by its schema; in decimals, because 0.1 is no binary number. Many stories send the same ones."""
    exact = json.loads(text, parse_float=Decimal)
    return [error.message for error in validator(version, name).iter_errors(exact)]


class Bench:
    """One station behind the gateway. `station` and `csms` map an action to the payload of its answer.

    None as answer: that peer stays silent; a text: that CALLERROR; a function: called with the payload.
    foreign: profiles (EVSE, source, profile) that the station has from elsewhere, and reports with the others.
    Its product is known to name no bounds on what it tells at a time, nor on its charging profiles (2.x), unless it `is_new`.
    """

    def __init__(
        self, version: OcppVersion, settings: StationSettings, *, known: Any = None, is_new: bool = False
    ) -> None:
        self.version = version
        self.settings = settings
        self.now = Instant(1000.0, NOON)
        numbers = count(1)
        self.proxy, self.smart = station_proxy("CP", version, settings, known, lambda: f"LC{next(numbers)}")
        if known is None and not is_new:
            self.smart.state.capability = replace(self.smart.state.capability, bounds=NO_BOUNDS, places=0)
        self.answers: dict[Peer, dict[str, Any]] = {Peer.STATION: {}, Peer.CSMS: {}}
        self.station, self.csms = self.answers[Peer.STATION], self.answers[Peer.CSMS]
        self.sent: dict[Peer, list[rpc.Frame]] = {Peer.STATION: [], Peer.CSMS: []}
        self.facts: list[Any] = []
        self.notes: list[Note] = []
        self.closes: list[Close] = []
        self.offered: list[str] = []
        self.installed = InstalledProfiles()
        self.written: dict[int, Payload] = {}
        self.foreign: list[tuple[int, str, Payload]] = []
        self.accepts: Callable[[Payload], Any] = lambda _payload: True
        self.station |= {"SetChargingProfile": self._install, "GetConfiguration": {}, "GetVariables": {}}
        self.station |= {"ClearChargingProfile": self._clear, "GetChargingProfiles": self._has_profiles}
        self.station["RemoteStartTransaction"] = self.station["RequestStartTransaction"] = {"status": "Accepted"}
        self.csms |= {"BootNotification": self._boot_answer, "Heartbeat": self._heartbeat_answer}
        self.csms_ahead_s = 0.0
        self.unchecked = frozenset[str]()
        self._actions: dict[tuple[Peer, str], str] = {}
        self._ids = count(1)
        self._do(self.proxy.connected(self.now))

    # --- acting

    def calls(self, peer: Peer, action: str, payload: Payload) -> list[rpc.Frame]:
        """`peer` sends a CALL; gives the answers that it got while this was going on."""
        message_id = f"{peer}{next(self._ids)}"
        self._actions[peer, message_id] = action
        before = len(self.sent[peer])
        self._do(self.proxy.receive(peer, rpc.call(message_id, action, payload).text, self.now))
        if peer is Peer.CSMS:
            self._meet_deadlines()
        return [frame for frame in self.sent[peer][before:] if frame.message_id == message_id]

    def from_station(self, action: str, payload: Payload) -> None:
        self.calls(Peer.STATION, action, payload)

    def from_csms(self, action: str, payload: Payload) -> Payload | str | None:
        """The payload of the answer, the code of an error, None if there is no answer yet."""
        answers = self.calls(Peer.CSMS, action, payload)
        if not answers:
            return None
        return answers[-1].error_code or answers[-1].payload

    def set_limit(
        self,
        limit_a: float,
        valid_s: float = 300.0,
        evse: int = 1,
        *,
        urgent: bool = False,
        on: OnPhases = ANY_PHASES,
    ) -> None:
        self._do(self.proxy.perform(self.smart.set_limit(evse, limit_a, valid_s, urgent, self.now, on), self.now))

    def disobeyed(self, drawn_a: float, evse: int = 1) -> None:
        self._do(self.proxy.perform(self.smart.disobeyed(evse, drawn_a, self.now), self.now))

    def wants_sample(self, *evses: int) -> None:
        """The site wants to know what these draw."""
        for evse in evses:
            self._do(self.proxy.perform(self.smart.wants_sample(evse), self.now))

    def write_again(self, evse: int = 1) -> None:
        self._do(self.proxy.perform(self.smart.write_again(evse, self.now), self.now))

    def set_fallback(self, limit_a: float, evse: int = 1) -> None:
        self._do(self.proxy.perform(self.smart.set_fallback(evse, limit_a, self.now), self.now))

    def wait(self, seconds: float) -> None:
        """Time passes; every deadline on the way is met."""
        end = self.now.after(seconds)
        while self.proxy.deadline is not None and self.proxy.deadline <= end.monotonic_s:
            self.now = self.now.after(max(0.0, self.proxy.deadline - self.now.monotonic_s))
            self._do(self.proxy.expire(self.now))
        self.now = end

    def _meet_deadlines(self) -> None:
        """What is due in this very moment."""
        while self.proxy.deadline is not None and self.proxy.deadline <= self.now.monotonic_s:
            self._do(self.proxy.expire(self.now))

    # --- stories that many tests begin with

    def boot(self, vendor: str = "Acme", model: str = "One") -> None:
        if self.version is OcppVersion.V16:
            self.from_station("BootNotification", {"chargePointVendor": vendor, "chargePointModel": model})
        else:
            station = {"vendorName": vendor, "model": model}
            self.from_station("BootNotification", {"reason": "PowerUp", "chargingStation": station})

    def start(self, transaction: int | str = 7, evse: int = 1, tag: str = "TAG", **more: Any) -> None:
        if self.version is OcppVersion.V16:
            self.csms["StartTransaction"] = {"transactionId": transaction, "idTagInfo": {"status": "Accepted"}}
            head = {"connectorId": evse, "idTag": tag, "meterStart": 0, "timestamp": stamp(self.now)}
            self.from_station("StartTransaction", head)
        else:
            self.transaction_event("Started", str(transaction), evse={"id": evse}, idToken=id_token(tag), **more)

    def start_earlier(self, ago_s: float, transaction: int | str = 7, evse: int = 1) -> None:
        """A transaction that began so long ago is told only now."""
        timestamp = stamp(self.now, -ago_s)
        if self.version is OcppVersion.V16:
            self.csms["StartTransaction"] = {"transactionId": transaction, "idTagInfo": {"status": "Accepted"}}
            head = {"connectorId": evse, "idTag": "TAG", "meterStart": 0, "timestamp": timestamp}
            self.from_station("StartTransaction", head)
        else:
            self.transaction_event(
                "Started",
                str(transaction),
                evse={"id": evse},
                idToken=id_token("TAG"),
                timestamp=timestamp,
                offline=True,
            )

    def stop(self, transaction: int | str = 7, ago_s: float = 0.0) -> None:
        timestamp = stamp(self.now, -ago_s)
        if self.version is OcppVersion.V16:
            payload = {"transactionId": transaction, "meterStop": 9, "timestamp": timestamp}
            self.from_station("StopTransaction", payload)
        else:
            self.transaction_event("Ended", str(transaction), timestamp=timestamp)

    def transaction_event(self, event: str, transaction: str, *, info: Payload | None = None, **more: Any) -> None:
        head = {"eventType": event, "timestamp": stamp(self.now), "triggerReason": "Trigger", "seqNo": 0}
        self.from_station(
            "TransactionEvent", head | {"transactionInfo": {"transactionId": transaction} | (info or {})} | more
        )

    def meter(self, amps: Iterable[float], evse: int = 1, taken_at: Instant | None = None) -> None:
        values = [
            {"value": str(a) if self.version is OcppVersion.V16 else a, "measurand": "Current.Import", "phase": f"L{n}"}
            for n, a in enumerate(amps, start=1)
        ]
        name = "connectorId" if self.version is OcppVersion.V16 else "evseId"
        value = {"timestamp": stamp(taken_at or self.now), "sampledValue": values}
        self.from_station("MeterValues", {name: evse, "meterValue": [value]})

    def csms_profile(self, purpose: str, limit: float, profile_id: int = 1, **more: Any) -> Payload:
        """The profile in a SetChargingProfile; `evse`, `unit`, `periods`, `schedule` and any field may be given."""
        unit, periods = more.pop("unit", "A"), more.pop("periods", [{"startPeriod": 0, "limit": limit}])
        schedule = {
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
            "startSchedule": stamp(self.now, -3600),
        }
        schedule |= more.pop("schedule", {})
        head = {"stackLevel": 0, "chargingProfilePurpose": purpose, "chargingProfileKind": "Absolute"}
        if self.version is OcppVersion.V16:
            return {"chargingProfileId": profile_id, **head, "chargingSchedule": schedule} | more
        return {"id": profile_id, **head, "chargingSchedule": [{"id": profile_id} | schedule]} | more

    def csms_sets(self, purpose: str, limit: float, profile_id: int = 1, evse: int = 1, **more: Any) -> Any:
        """The status of the answer (or the code of an error)."""
        profile = self.csms_profile(purpose, limit, profile_id, **more)
        if self.version is OcppVersion.V16:
            answer = self.from_csms("SetChargingProfile", {"connectorId": evse, "csChargingProfiles": profile})
        else:
            answer = self.from_csms("SetChargingProfile", {"evseId": evse, "chargingProfile": profile})
        return answer["status"] if isinstance(answer, dict) else answer

    # --- looking

    def own_profiles(self) -> list[Payload]:
        """Every profile of the gateway that reached the station, oldest first."""
        name = "csChargingProfiles" if self.version is OcppVersion.V16 else "chargingProfile"
        return [frame.payload[name] for frame in self.calls_to(Peer.STATION, "SetChargingProfile") if own(frame)]

    def calls_to(self, peer: Peer, action: str) -> list[rpc.Frame]:
        return [frame for frame in self.sent[peer] if frame.action == action]

    def in_force_a(self, seconds: float = 0.0, evse: int = 1) -> float | None:
        """What the station's own profiles allow that much later."""
        moment = self.now.utc + timedelta(seconds=self.csms_ahead_s + seconds)
        transaction = self.smart.state.transactions.get(evse)
        since = None if transaction is None else transaction.started.utc
        context = Context(evse, None if transaction is None else transaction.transaction_id, energy_since=since)
        return composite(self.installed, context, moment, 1.0).at(moment)

    def outcomes(self, kind: LimitKind = LimitKind.WORKING) -> list[tuple[LimitOutcome, float]]:
        told = [fact for fact in self.facts if isinstance(fact, LimitAnswered) and fact.kind is kind]
        return [(fact.outcome, round(fact.limit_a, 3)) for fact in told]

    def csms_limit(self, evse: int = 1) -> Any:
        """What the site was last told that the CSMS allows."""
        return [f.schedule for f in self.facts if isinstance(f, CsmsLimitChanged) and f.evse == evse][-1]

    # --- carrying out

    def _do(self, effects: Iterable[Effect]) -> None:
        todo = deque(effects)
        while todo:
            match todo.popleft():
                case Send(peer, text):
                    todo.extend(self._receive(peer, rpc.parse(text)))
                case Tell(fact):
                    self.facts.append(fact)
                case Note() as note:
                    self.notes.append(note)
                case PasswordOffered(value):
                    self.offered.append(value)
                case Close() as close:
                    self.closes.append(close)
                case Trace():
                    pass

    def _receive(self, peer: Peer, frame: rpc.Frame) -> list[Effect]:
        self.sent[peer].append(frame)
        if frame.message_type == rpc.CALLRESULT and (peer, frame.message_id) in self._actions:
            if peer is Peer.CSMS and self._actions[peer, frame.message_id] not in self.unchecked:
                validate(self.version, self._actions[peer, frame.message_id], frame.payload, is_answer=True)
            return []
        if frame.action is None:
            return []
        if own(frame) and frame.action not in self.unchecked:
            validate(self.version, frame.action, frame.payload, is_answer=False)
        answer = self.answers[peer].get(frame.action, {})
        answer = answer(frame.payload) if callable(answer) else answer
        if answer is None:
            return []
        reply = (
            rpc.error(frame.message_id, answer, "") if isinstance(answer, str) else rpc.result(frame.message_id, answer)
        )
        effects = self.proxy.receive(peer, reply.text, self.now)
        if frame.action == "GetChargingProfiles" and answer == {"status": "Accepted"}:
            effects += self._report(frame.payload)
        return effects

    def _clear(self, payload: Payload) -> Payload:
        """The station clears what it is told to, whosoever it may be."""
        self.installed, removed = self.installed.cleared(dialect(self.version).clear_criteria(payload))
        return {"status": "Accepted" if removed else "Unknown"}

    def _meant(self, payload: Payload) -> dict[tuple[int, str], list[Payload]]:
        """The profiles in the station that are asked for, by EVSE and source."""
        query = dialect(self.version).profile_query("GetChargingProfiles", payload)
        assert query is not None
        here = [(evse, "CSO", self.written[profile.id]) for evse, profile in self.installed.matching(query.criteria)]
        wanted = self.foreign if query.criteria.profile_ids is None and query.criteria.purpose is None else []
        found: dict[tuple[int, str], list[Payload]] = {}
        for evse, source, profile in [*here, *wanted]:
            if query.criteria.evse in {None, evse} and (query.sources is None or source in query.sources):
                found.setdefault((evse, source), []).append(profile)
        return found

    def _has_profiles(self, payload: Payload) -> Payload:
        return {"status": "Accepted" if self._meant(payload) else "NoProfiles"}

    def _report(self, payload: Payload) -> list[Effect]:
        """The station reports what it said it has, one message for each profile."""
        effects: list[Effect] = []
        found = [(place, profile) for place, profiles in self._meant(payload).items() for profile in profiles]
        for number, ((evse, source), profile) in enumerate(found, start=1):
            report = {"requestId": payload["requestId"], "chargingLimitSource": source, "evseId": evse}
            report |= {"chargingProfile": [profile], "tbc": number < len(found)}
            effects += self.proxy.receive(
                Peer.STATION, rpc.call(f"report{next(self._ids)}", "ReportChargingProfiles", report).text, self.now
            )
        return effects

    def _install(self, payload: Payload) -> Any:
        """The station's own store; `accepts` decides with True, False (Rejected), None (silence) or an error code."""
        verdict = self.accepts(payload)
        if not isinstance(verdict, bool):
            return verdict
        if verdict:
            wanted = dialect(self.version).profile_set(payload)
            self.installed = self.installed.recorded(wanted.profile, wanted.evse, RULES[self.version])
            self.written[wanted.profile.id] = dict(wanted.original)
        return {"status": "Accepted" if verdict else "Rejected"}

    def _heartbeat_answer(self, _payload: Payload) -> Payload:
        return {"currentTime": stamp(self.now, self.csms_ahead_s)}

    def _boot_answer(self, payload: Payload) -> Payload:
        return self._heartbeat_answer(payload) | {"interval": 300, "status": "Accepted"}


def own(frame: rpc.Frame) -> bool:
    return frame.message_id.startswith("LC")


def stamp(now: Instant, seconds: float = 0.0) -> str:
    return (now.utc + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def id_token(tag: str) -> Payload:
    return {"idToken": tag, "type": "ISO14443"}


MakeBench = Callable[..., Bench]


@pytest.fixture
def bench() -> MakeBench:
    """Makes a bench; keywords go to StationSettings, except `known` and `is_new`."""

    def make(
        version: OcppVersion = OcppVersion.V16, *, known: Any = None, is_new: bool = False, **settings: Any
    ) -> Bench:
        return Bench(version, replace(StationSettings(fallback_a=6.0), **settings), known=known, is_new=is_new)

    return make
