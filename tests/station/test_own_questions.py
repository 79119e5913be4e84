"""What does the gateway ask a station, when, and whom does it leave alone? Stories of registration and of questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.profiles.units import RateUnit
from local_controller.rpc import frame as rpc
from local_controller.station.blocks.own_questions import AGAIN_S, INSTALLING_S, SILENT_S, QuestionPace, site_pace
from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.dialects import dialect
from local_controller.station.dialects.base import NO_BOUNDS, ONE_AT_A_TIME, ReadBounds
from local_controller.station.effects import Effect, Peer, Send
from local_controller.station.remembering import worth_keeping
from local_controller.station.turns import turns_after_boot
from local_controller.station.words import LimitKind, LimitOutcome, Measured, OcppVersion
from tests.station.conftest import EFFORT, NOON, Bench, own, stamp
from tests.station.test_memory import remembered

ALL = pytest.mark.parametrize("version", list(OcppVersion))
V16 = OcppVersion.V16
READS = {"GetConfiguration", "GetVariables"}
LONG_S = 3 * AGAIN_S


def asked(b: Any) -> list[str]:
    """All CALLs of ours to the station, oldest first; a TriggerMessage by what it asks for."""
    calls = [frame for frame in b.sent[Peer.STATION] if frame.action is not None and own(frame)]
    return [frame.payload.get("requestedMessage", frame.action) for frame in calls]


def questions(b: Any) -> list[str]:
    """Those that are not limits."""
    return [action for action in asked(b) if action != "SetChargingProfile"]


def read(version: OcppVersion) -> str:
    return "GetConfiguration" if version is V16 else "GetVariables"


def sample(version: OcppVersion) -> str:
    return "MeterValues" if version is V16 else "TransactionEvent"


def verdict(b: Any, status: str) -> None:
    """How the CSMS answers boots from now on."""
    b.csms["BootNotification"] = lambda _: {"status": status, "currentTime": stamp(b.now), "interval": 60}


def obeying(b: Any) -> Any:
    """The station accepts what it is asked to send, and does nothing."""
    b.station["TriggerMessage"] = {"status": "Accepted"}
    return b


def tell_state(b: Any, evse: int, status: str = "Available") -> None:
    if b.version is V16:
        b.from_station("StatusNotification", {"connectorId": evse, "errorCode": "NoError", "status": status})
    else:
        head = {"evseId": evse, "connectorId": 1, "timestamp": stamp(b.now)}
        b.from_station("StatusNotification", head | {"connectorStatus": status})


def installs(b: Any, status: str) -> None:
    b.from_station("FirmwareStatusNotification", {"status": status})


def reconnected(bench: Any, b: Any, **more: Any) -> Any:
    """The same station on its next connection."""
    b._do(b.proxy.closed(Peer.STATION, b.now))
    again = bench(b.version, known=b.smart.state, **more)
    again.now = b.now
    return again


# --- who may be asked ---------------------------------------------------------------------------------------------


@ALL
@pytest.mark.requirement("LC-039", "LC-041")
def test_a_station_that_must_wait_is_only_read_from_and_read_again_when_accepted(
    bench: Any, version: OcppVersion
) -> None:
    b = obeying(bench(version))
    verdict(b, "Pending")
    b.boot()
    b.set_limit(16.0)
    b.from_station("Heartbeat", {})
    b.wait(LONG_S)
    assert asked(b) == [read(version)]
    verdict(b, "Accepted")
    b.boot()
    assert b.in_force_a() == 6.0
    b.wait(60)
    assert questions(b) == [read(version)] * 2


@ALL
@pytest.mark.requirement("LC-039")
def test_a_rejected_station_is_left_alone_until_the_csms_accepts_it(bench: Any, version: OcppVersion) -> None:
    b = obeying(bench(version))
    verdict(b, "Rejected")
    b.boot()
    b.from_station("Heartbeat", {})  # it should not, and a CSMS of 1.6 may answer
    b.set_fallback(8.0)
    b.wait(LONG_S)
    b.boot()
    b.wait(LONG_S)
    assert asked(b) == []
    verdict(b, "Accepted")
    b.boot()
    assert b.in_force_a() == 8.0
    b.wait(60)
    assert questions(b) == [read(version)]


@ALL
@pytest.mark.parametrize(("status", "reads"), [("Rejected", 0), ("Pending", 1)])
@pytest.mark.requirement("LC-039", "LC-042")
def test_a_verdict_outlives_the_connection(bench: Any, version: OcppVersion, status: str, reads: int) -> None:
    b = bench(version)
    verdict(b, status)
    b.boot()
    again = obeying(reconnected(bench, b))
    again.from_station("Heartbeat", {})
    again.wait(LONG_S)
    assert asked(again) == [read(version)] * reads
    again.boot()
    again.wait(60)
    assert "SetChargingProfile" in asked(again)


@ALL
@pytest.mark.requirement("LC-039", "LC-042")
def test_a_station_known_as_accepted_is_called_after_one_normal_answer_and_not_before(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version)
    b.boot()
    again = obeying(reconnected(bench, b))
    again.csms["Heartbeat"] = "InternalError"
    again.from_station("Heartbeat", {})
    again.wait(LONG_S)
    assert asked(again) == []
    again.csms["Heartbeat"] = again._heartbeat_answer
    again.from_station("Heartbeat", {})
    assert again.in_force_a() == 6.0
    again.wait(LONG_S)
    assert read(version) in questions(again)
    assert not again.calls_to(Peer.CSMS, "BootNotification")
    assert "BootNotification" not in questions(again)


@ALL
@pytest.mark.parametrize(("status", "reads", "limits"), [("Rejected", 0, 0), ("Pending", 1, 0), ("Accepted", 1, 1)])
@pytest.mark.requirement("LC-039", "LC-042")
def test_a_verdict_outlives_a_restart_of_the_gateway(
    bench: Any, version: OcppVersion, status: str, reads: int, limits: int
) -> None:
    b = bench(version)
    verdict(b, status)
    b.boot()
    again = obeying(bench(version, remembered=remembered(b)))
    again.csms["Heartbeat"] = "InternalError"
    again.from_station("Heartbeat", {})
    again.wait(LONG_S)
    assert asked(again) == [], "nothing before one normal answer"
    again.csms["Heartbeat"] = again._heartbeat_answer
    again.from_station("Heartbeat", {})
    again.wait(20)
    assert asked(again).count(read(version)) == reads
    assert asked(again).count("SetChargingProfile") == limits
    again.boot()
    again.wait(60)
    assert "SetChargingProfile" in asked(again)


@ALL
@pytest.mark.requirement("LC-039")
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_a_verdict_of_an_earlier_run_does_not_outweigh_a_car_that_the_csms_serves(
    bench: Any, version: OcppVersion, status: str
) -> None:
    """It was accepted while nobody kept that: by a gateway that only observed, or was killed."""
    b = bench(version)
    verdict(b, status)
    b.boot()
    again = obeying(bench(version, remembered=remembered(b)))
    again.from_station("Heartbeat", {})
    again.wait(60)
    assert "SetChargingProfile" not in asked(again)
    again.start(7 if version is OcppVersion.V16 else "7")
    again.wait(60)
    assert "SetChargingProfile" in asked(again)


@ALL
@pytest.mark.requirement("LC-039")
def test_what_a_station_says_because_it_was_told_to_does_not_show_that_it_is_accepted(
    bench: Any, version: OcppVersion
) -> None:
    """One that must wait does so too (1.6 §4.2, B02.FR.02): of one whose verdict is unknown that proves nothing."""
    b = obeying(bench(version))
    b.from_csms("TriggerMessage", {"requestedMessage": "StatusNotification"})
    tell_state(b, 1)
    if version is not V16:
        b.from_station("NotifyReport", {"requestId": 1, "generatedAt": stamp(b.now), "seqNo": 0})
    b.from_station("DataTransfer", {"vendorId": "acme"})
    b.wait(LONG_S)
    assert asked(b) == []
    b.from_station("Heartbeat", {})
    assert asked(b) == ["SetChargingProfile"]


@ALL
@pytest.mark.requirement("LC-039")
def test_of_one_that_is_known_as_accepted_any_answer_shows_that_it_still_is(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    again = obeying(reconnected(bench, b))
    again.from_csms("TriggerMessage", {"requestedMessage": "StatusNotification"})
    assert asked(again) == []
    tell_state(again, 1)
    assert asked(again) == ["SetChargingProfile"]


@ALL
@pytest.mark.requirement("LC-039")
def test_an_answer_to_what_was_said_before_a_boot_opens_no_way(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.csms["Heartbeat"] = None
    b.from_station("Heartbeat", {})
    b.csms["BootNotification"] = None
    b.boot()
    b._do(b.proxy.receive(Peer.CSMS, rpc.result("station1", {"currentTime": stamp(b.now)}).text, b.now))
    assert b.calls_to(Peer.CSMS, "BootNotification"), "it is on its way"
    b.wait(29)
    assert asked(b) == []
    b._do(b.proxy.receive(Peer.CSMS, rpc.error("station2", "InternalError", "").text, b.now))
    b.wait(60)
    assert asked(b) == []


@ALL
@pytest.mark.parametrize("fate", ["GenericError", None])
@pytest.mark.requirement("LC-039")
def test_a_boot_without_an_answer_leaves_the_verdict_as_it_was(bench: Any, version: OcppVersion, fate: Any) -> None:
    b = bench(version)
    b.boot()
    before = len(asked(b))
    b.csms["BootNotification"] = fate
    b.boot()
    b.wait(40)
    assert len(asked(b)) == before, "nothing before the CSMS answers anything"
    b.from_station("Heartbeat", {})
    assert asked(b)[before:] == ["SetChargingProfile"]


class Watched(Bench):
    """A bench that keeps its own books about who may be called, and counts what was called all the same."""

    def __init__(self, version: OcppVersion) -> None:
        self.last: str | None = None
        self.booting = 0
        self.proof = False
        self.told_to: set[str] = set()
        self.wrong: list[str] = []
        super().__init__(version, StationSettings(fallback_a=6.0))
        obeying(self)

    def calls(self, peer: Peer, action: str, payload: dict[str, Any]) -> list[rpc.Frame]:
        if action == "BootNotification":
            self.booting, self.proof = self.booting + 1, False
        return super().calls(peer, action, payload)

    def _receive(self, peer: Peer, frame: rpc.Frame) -> list[Effect]:
        if peer is Peer.STATION and frame.action is None:
            self._learn(self._actions[peer, frame.message_id], frame)
        if peer is Peer.STATION and frame.action is not None and own(frame):
            is_allowed = self.proof and self.booting == 0 and self.last in {None, "Accepted"}
            if not is_allowed and not (self.proof and self.last == "Pending" and frame.action in READS):
                self.wrong.append(f"{frame.action} after {self.last}")
        return super()._receive(peer, frame)

    def _learn(self, action: str, answer: rpc.Frame) -> None:
        if action == "BootNotification":
            self.booting = 0
        if not answer.is_error:
            self.last = answer.payload["status"] if action == "BootNotification" else self.last
            is_proof = self.last is not None or action not in self.told_to
            self.proof = self.proof or (is_proof and self.booting == 0)


DEEDS = (
    *("boot", "heartbeat", "state", "start", "limit", "wait", "long", "told to tell its state"),
    *("Accepted", "Pending", "Rejected", "broken"),
)


@pytest.mark.requirement("LC-039")
@given(version=st.sampled_from(OcppVersion), deeds=st.lists(st.sampled_from(DEEDS), max_size=25))
@settings(max_examples=100 * EFFORT, deadline=None)
def test_nobody_is_called_who_may_not_be_called(version: OcppVersion, deeds: Sequence[str]) -> None:
    b = Watched(version)
    for deed in deeds:
        match deed:
            case "boot":
                b.boot()
            case "heartbeat":
                b.from_station("Heartbeat", {})
            case "state":
                tell_state(b, 1)
            case "told to tell its state":
                b.told_to.add("StatusNotification")
                b.from_csms("TriggerMessage", {"requestedMessage": "StatusNotification"})
            case "start":
                b.start()
            case "limit":
                b.set_limit(16.0)
            case "wait" | "long":
                b.wait(11 if deed == "wait" else 700)
            case "broken":
                b.csms["BootNotification"] = "InternalError"
            case status:
                verdict(b, status)
    assert b.wrong == []


# --- when ---------------------------------------------------------------------------------------------------------


@ALL
@pytest.mark.requirement("LC-040", "LC-041")
def test_a_limit_goes_at_once_and_a_question_after_the_stations_own_first_messages(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version)
    b.boot()
    assert b.sent[Peer.STATION][0].message_id == "station1"
    assert asked(b) == ["SetChargingProfile"]
    b.wait(2)
    tell_state(b, 1)
    assert questions(b) == []
    b.wait(8)
    assert questions(b) == [read(version)]
    b.wait(LONG_S)
    assert questions(b) == [read(version)], "once"


@ALL
@pytest.mark.requirement("LC-041")
def test_after_each_accepted_boot_a_station_is_read_and_limited_anew(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    for boots in (1, 2, 3):
        b.boot()
        b.wait(60)
        assert asked(b) == ["SetChargingProfile", read(version)] * boots
        assert b.outcomes(LimitKind.FALLBACK) == [(LimitOutcome.SENT, 6.0), (LimitOutcome.ACCEPTED, 6.0)] * boots


@ALL
def test_what_was_to_be_asked_before_a_boot_is_not_asked_while_it_is_pending(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.station["Reset"] = None  # keeps the slot
    b.from_csms("Reset", {"type": "Soft"} if version is V16 else {"type": "Immediate"})
    b.wait(10)
    verdict(b, "Rejected")
    b.boot()
    b.wait(60)
    assert questions(b) == []


@pytest.mark.parametrize("stations", [10, 50, 500, 2000])
@pytest.mark.parametrize("name", ["CP-{:04}", "DE*ACM*E{:06}", "{}", "garage/{}/left", "ümlaut {}"])
@pytest.mark.requirement("LC-040")
def test_stations_that_boot_in_the_same_second_are_asked_one_after_another(stations: int, name: str) -> None:
    pace = site_pace(stations)
    delays_s = [pace.delay_s(name.format(n)) for n in range(stations)]
    assert all(2.0 <= delay_s < 2.0 + max(8.0, stations / 25) for delay_s in delays_s)
    assert delays_s == [pace.delay_s(name.format(n)) for n in range(stations)], "no dice: the same after a restart"
    starts = sorted(delays_s)
    assert max(sum(start <= other < start + 1.0 for other in starts) for start in starts) <= 50


def own_calls(effects: Sequence[Effect]) -> list[rpc.Frame]:
    """CALLs of ours to a station among these effects."""
    frames = [rpc.parse(e.text) for e in effects if isinstance(e, Send) and e.peer is Peer.STATION]
    return [frame for frame in frames if frame.action is not None and own(frame)]


def after_a_power_cut(
    identity: str, version: OcppVersion, word: str, pace: QuestionPace, *, holds: bool
) -> list[tuple[float, str]]:
    """What we ask a station within three minutes and when, if all it says is one CALL, answered `word`; it obeys us.

    holds: it is also asked what it holds.
    """
    now, numbers = Instant(0.0, NOON), count(1)
    asked_at: list[tuple[float, str]] = []
    settings_ = StationSettings(
        evses=(1, 2), fallback_a=6.0, questions=pace, turns=turns_after_boot(500), is_asked_what_it_holds=holds
    )
    proxy, _ = station_proxy(identity, version, settings_, ids=lambda: f"LC{next(numbers)}")
    proxy.connected(now)
    proxy.receive(Peer.STATION, f'[2,"1","{word}",{{}}]', now)
    effects = proxy.receive(Peer.CSMS, rpc.result("1", {"status": "Accepted", "currentTime": stamp(now)}).text, now)
    while now.monotonic_s < 180.0:
        asked_at += [(now.monotonic_s, str(frame.action)) for frame in own_calls(effects)]
        effects = [
            effect
            for frame in own_calls(effects)
            for effect in proxy.receive(Peer.STATION, rpc.result(frame.message_id, {"status": "Accepted"}).text, now)
        ]
        if not effects and proxy.deadline is not None:
            now = now.after(max(0.0, proxy.deadline - now.monotonic_s))
            effects = proxy.expire(now)
    return asked_at


@pytest.mark.parametrize(
    ("word", "questions_each", "limited_by_s", "holds"),
    [
        ("BootNotification", 2, 3.0, False),
        ("Heartbeat", 4, 0.0, False),
        ("BootNotification", 4, 3.0, True),
        ("Heartbeat", 6, 0.0, True),
    ],
)
@pytest.mark.requirement("LC-040")
def test_500_stations_at_once_are_limited_soon_and_asked_50_a_second_at_most(
    word: str, questions_each: int, limited_by_s: float, holds: bool
) -> None:
    stations = 500
    moments: list[float] = []
    for number in range(stations):
        asked_at = after_a_power_cut(f"CP-{number:03}", V16, word, site_pace(stations), holds=holds)
        limited_at = [at_s for at_s, action in asked_at if action == "SetChargingProfile"]
        assert len(limited_at) == 2
        assert max(limited_at) <= limited_by_s
        moments += [at_s for at_s, action in asked_at if action != "SetChargingProfile"]
        assert len(asked_at) == 2 + questions_each
    assert min(moments) >= 2.0
    assert max(Counter(int(moment) for moment in moments).values()) <= 50


@ALL
def test_a_station_is_never_asked_twice_within_the_time_over_which_a_site_spreads(
    bench: Any, version: OcppVersion
) -> None:
    b = obeying(bench(version, evses=(1, 2, 3), questions=QuestionPace(spread_s=40.0)))
    b.from_station("Heartbeat", {})
    moments: list[float] = []
    for second in range(400):
        b.wait(1)
        if len(questions(b)) > len(moments):
            moments.append(second)
    assert questions(b) == [read(version)] + ["StatusNotification"] * 3
    assert all(later - earlier > 40 for earlier, later in pairwise(moments))


@ALL
def test_a_station_that_does_not_answer_is_left_alone_and_then_asked_again(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.station[read(version)] = None
    b.boot()
    b.wait(AGAIN_S)
    assert questions(b) == [read(version)]
    b.wait(40)
    assert questions(b) == [read(version)] * 2


@ALL
@pytest.mark.parametrize("bound", ["keys", "bytes"])
@pytest.mark.requirement("LC-127")
def test_a_station_that_tells_one_value_at_a_time_is_asked_so(bench: Any, version: OcppVersion, bound: str) -> None:
    """It takes so many keys, or so many bytes, at a time (B06), and names no bound."""
    b = bench(version)
    too_many = "OccurenceConstraintViolation" if version is OcppVersion.V16 else "OccurrenceConstraintViolation"
    refusal = too_many if bound == "keys" else dialect(version).format_violation
    told = {"ChargingScheduleAllowedChargingRateUnit": "Power", "ChargingScheduleMaxPeriods": "12"}
    told |= {"RateUnit": "W", "PeriodsPerSchedule": "12"}

    def one_key(payload: dict[str, Any]) -> Any:
        if len(payload["key"]) > 1:
            return refusal
        (key,) = payload["key"]
        known = key in told
        return {"configurationKey": [{"key": key, "readonly": True, "value": told[key]}]} if known else {}

    def one_variable(payload: dict[str, Any]) -> Any:
        if len(payload["getVariableData"]) > 1:
            return refusal
        (asked_for,) = payload["getVariableData"]
        value = told.get(asked_for["variable"]["name"])
        verdict = {"attributeStatus": "UnknownVariable" if value is None else "Accepted"}
        return {"getVariableResult": [asked_for | verdict | ({} if value is None else {"attributeValue": value})]}

    b.station |= {"GetConfiguration": one_key, "GetVariables": one_variable}
    b.boot()
    each = 1 + len(dialect(version).capability_questions(bounds=ONE_AT_A_TIME))
    b.wait(12 * each)
    assert questions(b) == [read(version)] * each
    assert (b.smart.state.capability.only_unit, b.smart.state.capability.max_periods) == (RateUnit.W, 12)
    b.wait(LONG_S)
    assert questions(b) == [read(version)] * each


class Bounded:
    """A station that names its bounds, if it has any, tells what it can do, and refuses to be asked for more at a time."""

    def __init__(self, b: Any, items: int | None = None, size: int | None = None) -> None:
        self.version, self.most = b.version, (items, size)
        bounds = {"GetConfigurationMaxKeys": items, "ItemsPerMessage": items, "BytesPerMessage": size}
        self.told = {name: str(bound) for name, bound in bounds.items() if bound is not None}
        self.told |= {"ChargingScheduleMaxPeriods": "12", "PeriodsPerSchedule": "12"}
        self.asked: list[list[str]] = []
        self.refused = 0
        b.station |= {"GetConfiguration": self._keys, "GetVariables": self._variables}

    def _is_too_much(self, names: list[str], payload: dict[str, Any]) -> bool:
        self.asked.append(names)
        items, size = self.most
        is_long = size is not None and len(rpc.call("i" * 36, "GetVariables", payload).text) > size
        self.refused += is_too_much if (is_too_much := len(names) > (items or 99) or is_long) else 0
        return is_too_much

    def _keys(self, payload: dict[str, Any]) -> Any:
        if self._is_too_much(payload["key"], payload):
            return "OccurenceConstraintViolation"
        known = [{"key": k, "readonly": True, "value": self.told[k]} for k in payload["key"] if k in self.told]
        return {"configurationKey": known}

    def _variables(self, payload: dict[str, Any]) -> Any:
        asked_for = payload["getVariableData"]
        if self._is_too_much([one["variable"]["name"] for one in asked_for], payload):
            return "OccurrenceConstraintViolation"
        results = []
        for one in asked_for:
            value = self.told.get(one["variable"]["name"])
            verdict = {"attributeStatus": "UnknownVariable" if value is None else "Accepted"}
            results.append(one | verdict | ({} if value is None else {"attributeValue": value}))
        return {"getVariableResult": results}


SMALLEST = 256
"""Bytes; one variable of the longest names fits."""


@pytest.mark.requirement("LC-127")
@given(
    version=st.sampled_from(OcppVersion),
    items=st.none() | st.integers(1, 20),
    size=st.none() | st.integers(SMALLEST, 4000),
)
@settings(max_examples=60 * EFFORT, deadline=None)
def test_a_station_is_read_within_the_bounds_that_it_names(
    version: OcppVersion, items: int | None, size: int | None
) -> None:
    b = Bench(version, StationSettings(fallback_a=6.0), is_new=True)
    station = Bounded(b, items, None if version is V16 else size)
    b.boot()
    b.wait(LONG_S)
    bounds = dialect(version).bound_questions()
    assert station.refused == 0
    assert [len(names) for names in station.asked[: len(bounds)]] == [1] * len(bounds), "no bound is smaller"
    wanted = [name for names in station.asked[len(bounds) :] for name in names]
    everything = dialect(version).capability_questions()[0]
    assert len(wanted) == len(everything["key" if version is V16 else "getVariableData"])
    assert b.smart.state.capability.max_periods == 12


@ALL
@pytest.mark.requirement("LC-127")
def test_bounds_are_asked_for_once_and_again_when_other_firmware_is_there(bench: Any, version: OcppVersion) -> None:
    b = bench(version, is_new=True)
    station = Bounded(b, items=4)
    b.boot()
    b.wait(60)
    new = len(station.asked)
    assert b.smart.state.capability.bounds == ReadBounds(4)
    b.boot()
    b.wait(60)
    named = len(dialect(version).bound_questions())
    assert len(station.asked) - new == new - named, "they are known"
    known = worth_keeping(b.smart.state, b.now)
    again = bench(version, is_new=True, remembered=known)
    other = Bounded(again, items=4)
    again.boot()
    again.wait(60)
    assert len(other.asked) == new - named, "also after a restart of ours"
    again.boot(model="Two")
    again.wait(60)
    assert len(other.asked) == 2 * new - named, "another product has its own"
    assert other.refused == station.refused == 0


@ALL
@pytest.mark.requirement("LC-127")
def test_a_station_that_names_no_bound_is_asked_for_all_in_one(bench: Any, version: OcppVersion) -> None:
    b = bench(version, is_new=True)
    station = Bounded(b)
    b.boot()
    b.wait(60)
    assert b.smart.state.capability.bounds == NO_BOUNDS
    assert len(station.asked) == len(dialect(version).bound_questions()) + 1


@ALL
@pytest.mark.requirement("LC-127")
def test_bounds_that_cannot_be_told_leave_it_to_the_station_to_refuse(bench: Any, version: OcppVersion) -> None:
    b = bench(version, is_new=True)
    station = Bounded(b, items=4)
    bounds = dialect(version).bound_questions()
    told = b.station[read(version)]
    b.station[read(version)] = lambda payload: "InternalError" if payload in bounds else told(payload)
    b.boot()
    b.wait(LONG_S)
    assert b.smart.state.capability.max_periods == 12
    assert station.refused == 1


@ALL
@pytest.mark.requirement("LC-041", "LC-127")
def test_a_bound_that_is_never_told_stops_no_other_question(bench: Any, version: OcppVersion) -> None:
    b = obeying(bench(version, is_new=True))
    station = Bounded(b, items=1)
    bounds = dialect(version).bound_questions()
    told = b.station[read(version)]
    b.station[read(version)] = lambda payload: None if payload in bounds else told(payload)
    b.boot()
    b.start()
    b.wait(AGAIN_S + 20 * 11)
    assert b.smart.state.capability.max_periods == 12
    assert station.refused == 0, "who may have a bound is asked for one thing at a time"
    assert sample(version) in questions(b), "its meter is silent"
    b.set_limit(16.0)
    assert b.in_force_a() == 16.0
    b.station[read(version)] = told
    b.wait(AGAIN_S + SILENT_S + 3 * 11)
    assert b.smart.state.capability.bounds == ReadBounds(1), "it was asked again"
    before = len(station.asked)
    b.wait(LONG_S)
    assert len(station.asked) == before


@ALL
@pytest.mark.requirement("LC-024", "LC-041", "LC-076")
@pytest.mark.parametrize("is_new", [False, True])
def test_of_a_station_that_never_tells_what_it_can_do_the_meter_is_asked_all_the_same(
    bench: Any, version: OcppVersion, is_new: bool
) -> None:
    b = obeying(bench(version, is_new=is_new))
    b.station[read(version)] = None
    b.boot()
    b.start()
    b.wait(2 * AGAIN_S + SILENT_S)
    assert sample(version) in questions(b)
    before = questions(b).count(read(version))
    b.wait(6 * AGAIN_S)
    assert 4 <= questions(b).count(read(version)) - before <= 13, "each holds up the CSMS's own CALLs"
    b.set_limit(16.0)
    assert b.in_force_a() == 16.0


@pytest.mark.requirement("LC-091", "LC-127")
def test_for_a_csms_that_waits_the_bounds_are_read_without_a_pause(bench: Any) -> None:
    b = bench(OcppVersion.V21, is_new=True, questions=QuestionPace(spread_s=60.0))
    station = Bounded(b, items=3)
    b.boot()
    before_s = b.now.monotonic_s
    b.csms_sets("TxDefaultProfile", 16.0, stackLevel=100)
    assert b.now.monotonic_s == before_s
    named, (everything,) = len(dialect(b.version).bound_questions()), dialect(b.version).capability_questions()
    assert len(station.asked) == named + -(-len(everything["getVariableData"]) // 3)


@ALL
@pytest.mark.parametrize("is_new", [False, True])
def test_a_station_that_tells_nothing_is_asked_once(bench: Any, version: OcppVersion, is_new: bool) -> None:
    b = bench(version, is_new=is_new)
    b.station[read(version)] = "NotImplemented"
    b.boot()
    b.wait(LONG_S)
    assert questions(b) == [read(version)]


# --- messages again -----------------------------------------------------------------------------------------------


@ALL
@pytest.mark.requirement("LC-042")
def test_after_a_reconnection_only_the_states_are_asked_for_that_were_not_told(
    bench: Any, version: OcppVersion
) -> None:
    b = obeying(bench(version, evses=(1, 2, 3)))
    tell_state(b, 2)
    b.wait(60)
    assert questions(b) == [read(version), "StatusNotification", "StatusNotification"]
    triggers = [frame.payload for frame in b.calls_to(Peer.STATION, "TriggerMessage")]
    if version is V16:
        assert [trigger["connectorId"] for trigger in triggers] == [1, 3]
    else:
        assert [trigger["evse"] for trigger in triggers] == [{"id": 1, "connectorId": 1}, {"id": 3, "connectorId": 1}]


@ALL
def test_a_station_that_says_yes_and_then_tells_no_state_is_not_asked_for_ever(
    bench: Any, version: OcppVersion
) -> None:
    b = obeying(bench(version))
    b.from_station("Heartbeat", {})
    b.wait(LONG_S)
    assert questions(b) == [read(version), "StatusNotification"]


@ALL
@pytest.mark.requirement("LC-042")
def test_a_flapping_connection_asks_for_states_once_in_ten_minutes(bench: Any, version: OcppVersion) -> None:
    b = obeying(bench(version))
    asked_for = 0
    for _ in range(9):
        b.from_station("Heartbeat", {})
        b.wait(60)
        asked_for += questions(b).count("StatusNotification")
        b = obeying(reconnected(bench, b))
    assert asked_for == 1
    b.from_station("Heartbeat", {})
    b.wait(300)
    assert questions(b).count("StatusNotification") == 1


@ALL
def test_after_a_boot_the_station_tells_its_states_itself(bench: Any, version: OcppVersion) -> None:
    b = obeying(bench(version))
    b.boot()
    b.wait(LONG_S)
    assert questions(b) == [read(version)]


@ALL
@pytest.mark.requirement("LC-075", "LC-076")
def test_a_silent_meter_is_asked_for_and_what_it_says_goes_up(bench: Any, version: OcppVersion) -> None:
    b = obeying(bench(version))
    b.boot()
    b.start()
    b.wait(SILENT_S - 1)
    assert questions(b) == [read(version)]
    b.wait(2 * 11)
    assert questions(b) == [read(version), sample(version)]
    b.meter([6.0, 6.0, 6.0])
    assert b.calls_to(Peer.CSMS, "MeterValues")
    assert any(isinstance(fact, Measured) for fact in b.facts)


@ALL
@pytest.mark.requirement("LC-076")
def test_a_meter_that_stays_silent_is_asked_once_in_ten_minutes(bench: Any, version: OcppVersion) -> None:
    b = obeying(bench(version))
    b.boot()
    b.start()
    b.wait(6 * AGAIN_S)
    assert Counter(questions(b)) == {read(version): 1, sample(version): 6}


@ALL
@pytest.mark.requirement("LC-076")
def test_a_meter_that_speaks_only_when_asked_is_asked_as_soon_as_it_is_silent_again(
    bench: Any, version: OcppVersion
) -> None:
    b = obeying(bench(version))
    b.boot()
    b.start()
    for _ in range(3):
        b.wait(SILENT_S + 2 * 11)
        b.meter([6.0])
    assert Counter(questions(b)) == {read(version): 1, sample(version): 3}


@ALL
@pytest.mark.requirement("LC-076")
def test_a_sample_that_the_site_wants_is_asked_for_at_once_but_once_a_minute(bench: Any, version: OcppVersion) -> None:
    b = obeying(bench(version))
    b.boot()
    b.start()
    b.wait(30)
    for _ in range(20):  # every 10 s
        b.wants_sample(1)
        b.wait(0)
        b.meter([6.0, 6.0, 6.0])
        b.wait(10)
    assert Counter(questions(b)) == {read(version): 1, sample(version): 4}


@ALL
def test_a_sample_that_is_wanted_of_two_evses_is_asked_of_both_one_after_the_other(
    bench: Any, version: OcppVersion
) -> None:
    b = obeying(bench(version, evses=[1, 2]))
    b.boot()
    b.start()
    b.start(8, evse=2)
    b.wait(30)
    b.wants_sample(1, 2)
    b.wait(0)
    assert questions(b) == [read(version), sample(version), sample(version)]


@ALL
@pytest.mark.parametrize("why", ["no session", "not accepted", "downloads", "refused", "it harms it"])
def test_a_sample_is_not_asked_for_where_that_makes_no_sense_and_nobody_waits_for_ever(
    bench: Any, version: OcppVersion, why: str
) -> None:
    b = obeying(bench(version))
    if why == "not accepted":
        verdict(b, "Pending")
    b.boot()
    if why != "no session":
        b.start()
    b.wait(30)
    if why == "downloads":
        installs(b, "Downloading")
    if why == "it harms it":
        b.smart.state.capability = replace(b.smart.state.capability, never_trigger=True)
    if why == "refused":
        b.station["TriggerMessage"] = {"status": "Rejected"}
        b.wants_sample(1)
        b.wait(70)
    before = len(questions(b))
    b.wants_sample(1)
    b.wait(0)
    assert b.proxy.deadline is None or b.proxy.deadline > b.now.monotonic_s
    b.wait(20)
    assert len(questions(b)) == before


@ALL
def test_a_station_that_leaves_a_question_unanswered_is_not_asked_for_samples_that_are_wanted(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version)
    b.boot()
    b.start()
    b.wait(30)
    b.station["TriggerMessage"] = None
    for _ in range(8):
        b.wants_sample(1)
        b.wait(65)
    assert questions(b).count(sample(version)) == 1


@ALL
def test_a_meter_that_speaks_is_not_asked(bench: Any, version: OcppVersion) -> None:
    b = obeying(bench(version))
    b.boot()
    b.start()
    for _ in range(60):
        b.meter([10.0])
        b.wait(60)
    b.stop()
    b.wait(LONG_S)
    assert questions(b) == [read(version)]


@ALL
def test_a_station_that_samples_rarely_by_its_own_account_is_not_silent(bench: Any, version: OcppVersion) -> None:
    b = obeying(bench(version))
    if version is V16:
        entry = {"key": "MeterValueSampleInterval", "readonly": False, "value": "900"}
        b.station["GetConfiguration"] = {"configurationKey": [entry]}
    else:
        result = {"attributeStatus": "Accepted", "attributeValue": "900", "component": {"name": "SampledDataCtrlr"}}
        b.station["GetVariables"] = {"getVariableResult": [result | {"variable": {"name": "TxUpdatedInterval"}}]}
    b.boot()
    b.wait(20)
    b.start()
    b.wait(1790)
    assert questions(b) == [read(version)]
    b.wait(30)
    assert questions(b) == [read(version), sample(version)]


@ALL
@pytest.mark.parametrize("refusal", [{"status": "NotImplemented"}, {"status": "Rejected"}, "NotSupported"])
def test_a_station_that_sends_nothing_when_asked_is_not_asked_until_its_next_boot(
    bench: Any, version: OcppVersion, refusal: Any
) -> None:
    b = bench(version)
    b.station["TriggerMessage"] = refusal
    b.boot()
    b.start()
    b.wait(3 * AGAIN_S)
    assert questions(b).count(sample(version)) == 1
    again = reconnected(bench, b)
    again.from_station("Heartbeat", {})
    again.wait(3 * AGAIN_S)
    assert questions(again).count(sample(version)) == 0
    again.boot()
    again.wait(300)
    assert questions(again).count(sample(version)) == 1


@ALL
def test_a_refusal_because_the_transaction_is_over_is_none(bench: Any, version: OcppVersion) -> None:
    b = bench(version)

    def too_late(_: Any) -> dict[str, str]:
        del b.station["TriggerMessage"]
        b.stop()
        return {"status": "Rejected"}

    b.station["TriggerMessage"] = too_late
    b.boot()
    b.start()
    b.wait(SILENT_S + 20)
    b.start(8)
    b.wait(2 * AGAIN_S)
    assert questions(b).count(sample(version)) > 1


@pytest.mark.parametrize("answer", [{}, {"status": 7}, {"status": []}, {"status": "Perhaps"}])
def test_an_answer_without_meaning_refuses_nothing(bench: Any, answer: Any) -> None:
    b = bench()
    b.station["TriggerMessage"] = answer
    b.boot()
    b.start()
    b.wait(2 * AGAIN_S)
    assert questions(b).count("MeterValues") == 2


# --- firmware -----------------------------------------------------------------------------------------------------


@ALL
@pytest.mark.requirement("LC-141")
def test_a_station_that_downloads_is_asked_nothing_but_still_limited_until_it_installs(
    bench: Any, version: OcppVersion
) -> None:
    b = obeying(bench(version))
    b.boot()
    b.start()
    for status in ("Downloading", "Downloaded"):
        installs(b, status)
        assert b.smart.state.is_installing
        b.wait(300)
    b.set_limit(6.5)
    assert b.in_force_a() == 6.5
    installs(b, "Installing")
    b.set_limit(7.5)
    b.wait(300)
    assert b.in_force_a() == 6.0
    assert questions(b) == []
    installs(b, "Installed")
    b.wait(60)
    assert questions(b) == [read(version), sample(version)]


@ALL
@pytest.mark.requirement("LC-141")
def test_a_question_that_waits_gives_way_to_an_installation(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.station["Reset"] = None  # keeps the slot
    b.from_csms("Reset", {"type": "Soft"} if version is V16 else {"type": "Immediate"})
    b.wait(10)
    installs(b, "Installing")
    b.wait(60)
    assert questions(b) == []
    installs(b, "Installed")
    b.wait(AGAIN_S)
    assert questions(b) == [read(version)]


@ALL
@pytest.mark.parametrize("end", ["InstallationFailed", "DownloadFailed", "Idle", "InstallScheduled", "a boot", "time"])
def test_an_installation_ends_one_way_or_another(bench: Any, version: OcppVersion, end: str) -> None:
    b = bench(version)
    b.boot()
    b.wait(60)
    installs(b, "Downloading")
    match end:
        case "a boot":
            b.boot()
        case "time":
            b.wait(INSTALLING_S / 2)
            b = reconnected(bench, b)
            b.from_station("Heartbeat", {})
            b.wait(60)
            assert b.smart.state.is_installing, "a reconnection is no end"
            b.wait(INSTALLING_S / 2 + SILENT_S)
        case status:
            installs(b, status)
    assert not b.smart.state.is_installing


def test_a_signed_update_of_1_6_is_one_too(bench: Any) -> None:
    b = bench()
    b.from_station("SignedFirmwareStatusNotification", {"status": "InstallRebooting", "requestId": 1})
    assert b.smart.state.is_installing


# --- clocks -------------------------------------------------------------------------------------------------------


def clock_warnings(b: Any) -> list[float]:
    return [note.fields["ahead_s"] for note in b.notes if note.event == "station_clock_differs"]


def metered(b: Any, ahead_s: float) -> None:
    """A sample with the time of a clock that is ahead of the CSMS's."""
    now, b.now = b.now, b.now.after(b.csms_ahead_s + ahead_s)
    value = {"value": "5" if b.version is V16 else 5, "measurand": "Current.Import", "phase": "L1"}
    payload = {"meterValue": [{"timestamp": stamp(b.now), "sampledValue": [value]}]}
    b.now = now
    b.from_station("MeterValues", payload | {("connectorId" if b.version is V16 else "evseId"): 1})


@ALL
@pytest.mark.requirement("LC-044")
@pytest.mark.parametrize("csms_ahead_s", [0.0, 600.0, -600.0])
def test_a_station_whose_clock_is_not_its_csmss_is_told_once(
    bench: Any, version: OcppVersion, csms_ahead_s: float
) -> None:
    for wrong_s in (8.0, -8.0, 7200.0, -7200.0):
        b = bench(version)
        b.csms_ahead_s = csms_ahead_s
        b.boot()
        for _ in range(30):
            metered(b, wrong_s)
            b.wait(60)
        assert clock_warnings(b) == [wrong_s]


@ALL
@pytest.mark.requirement("LC-044")
def test_a_station_that_follows_its_csms_is_not_suspected(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    metered(b, 600.0)  # it knows the CSMS's clock, we do not yet
    for ahead_s in (600.0, 0.0, -600.0):
        b.csms_ahead_s = ahead_s
        b.from_station("Heartbeat", {})
        for second in range(60):
            metered(b, -(second % 5))
            b.wait(10)
    assert clock_warnings(b) == []


@ALL
@pytest.mark.requirement("LC-044")
def test_stored_samples_of_an_outage_are_old_and_no_sign_of_a_slow_clock(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.from_station("Heartbeat", {})
    for minute in range(60, 0, -1):
        metered(b, -60.0 * minute)
        b.wait(0.2)
    metered(b, 0.0)
    assert clock_warnings(b) == []


@ALL
def test_an_answer_that_was_meant_for_the_question_before_a_boot_is_not_taken_for_the_next(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version)
    b.boot()
    b.station[read(version)] = None
    b.wait(10)
    (before,) = [frame for frame in b.sent[Peer.STATION] if frame.action == read(version)]
    b.boot()
    b.wait(10)  # the first one timed out, the second one is on its way
    assert questions(b) == [read(version)] * 2
    b._do(b.proxy.receive(Peer.STATION, rpc.result(before.message_id, {}).text, b.now))
    b.wait(AGAIN_S)
    b.wait(40)
    assert questions(b) == [read(version)] * 3, "the second one is still without an answer"


@ALL
def test_who_sent_nothing_when_asked_to_is_not_looked_at_more_often_for_ever(bench: Any, version: OcppVersion) -> None:
    """Nothing is left to be asked again, so that only a transaction that falls silent is a reason to look."""
    b = bench(version)
    b.station["TriggerMessage"] = None
    b.boot()
    b.start()
    b.wait(2 * SILENT_S)
    assert questions(b)[-1] == sample(version)
    b.stop()
    b.wait(AGAIN_S)
    looks, end = 0, b.now.after(3600.0)
    while b.proxy.deadline is not None and b.proxy.deadline < end.monotonic_s:
        b.wait(b.proxy.deadline - b.now.monotonic_s)
        looks += 1
    assert looks <= 2 * 3600.0 / SILENT_S
