"""Is the relay a cable, whatever both peers and the site do, in whatever order? Laws over whole sessions."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.errors import FrameError
from local_controller.rpc import frame as rpc
from local_controller.station.blocks.actuator import OWN_IDS
from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.effects import Close, Effect, Fate, Note, Peer, Send, Tell, Trace
from local_controller.station.proxy import StationProxy
from local_controller.station.words import OcppVersion
from tests.effort import TRIED
from tests.station.conftest import EFFORT

NOW = Instant(1000.0, datetime(2026, 6, 1, 12, 0, tzinfo=UTC))
OWN_TIMEOUT_S = 8.0
ID_TAG = "TAG-OF-ALICE"
IDS = ["1", "2", "same", "LC1", "-1", "", "ü"]
PROFILE_IDS = [1, 2, OWN_IDS.start + 2, OWN_IDS.start + 3]
GARBAGE = [
    "",
    "{}",
    "[]",
    "[2]",
    '[2,"1"]',
    '[3,"LC1"',
    '[2,"g",5,{}]',
    '[2,"h","Heartbeat",[]]',
    '[3,"1",7]',
    '[4,"1"]',
    "[null]",
    '["2"]',
    "\x00",
]
COMPOSITE = {"chargingRateUnit": "A", "duration": 3600, "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 20.0}]}
ANSWERS: list[Any] = [
    {},
    {"status": "Accepted"},
    {"status": "Rejected"},
    {"status": "NotSupported"},
    {"status": "accepted?"},
    {"status": 7},
    [],
    None,
    {"status": "Accepted", "currentTime": "2026-06-01T12:00:00Z", "interval": 300},
    {"status": "Pending", "currentTime": "yesterday", "interval": 300},
    {"status": "Rejected", "currentTime": "2026-06-01T14:00:00+01:00", "interval": 0},
    {"currentTime": "2026-06-01T12:10:00.123456789Z"},
    {"currentTime": 1780315200},
    {"transactionId": 7, "idTagInfo": {"status": "Accepted"}},
    {"transactionId": 0, "idTagInfo": {"status": "Invalid"}},
    {"transactionId": -1, "idTagInfo": {"status": "Blocked"}},
    {"transactionId": 1e300},
    {"configurationKey": [{"key": "ChargeProfileMaxStackLevel", "value": "0"}, {"key": "x"}]},
    {"status": "Accepted", "chargingSchedule": COMPOSITE, "schedule": COMPOSITE},
]


BOTH = "NotImplemented NotSupported InternalError ProtocolError SecurityError GenericError PropertyConstraintViolation"
V2X = {
    *BOTH.split(),
    "FormatViolation",
    "OccurrenceConstraintViolation",
    "TypeConstraintViolation",
    "RpcFrameworkError",
}
CODES = {
    OcppVersion.V16: {*BOTH.split(), "FormationViolation", "OccurenceConstraintViolation", "TypeConstraintViolation"},
    OcppVersion.V201: V2X,
    OcppVersion.V21: V2X,
}
"""The codes of error answers in the spelling of each version (1.6J §4.2.3, Part 4 §4.3)."""


def profile(version: OcppVersion, purpose: str, number: int) -> dict[str, Any]:
    """A charging profile, often odd."""
    is_v16 = version is OcppVersion.V16
    period = {
        "startPeriod": 0,
        "limit": [0.0, 5, 16, 1e12, -1][number % 5],
        "numberPhases": [1, 3, -1, 0, 10**30][number // 5 % 5],
    }
    schedule = {
        "chargingRateUnit": "AW"[number % 2],
        "chargingSchedulePeriod": [period, {"startPeriod": 600, "limit": number % 32}],
        "startSchedule": "2026-06-01T11:00:00+02:00",
        **([{}, {"duration": 900}, {"duration": 2**40}, {"useLocalTime": True}][number % 4]),
    }
    head = {
        "stackLevel": number % 3,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": ["Absolute", "Relative", "Recurring", "Dynamic"][number // 3 % 4],
        "recurrencyKind": [None, "Daily"][number // 2 % 2],
        "transactionId": [None, 7, "7", 0, "t"][number % 5],
    }
    profile_id = PROFILE_IDS[number // 7 % len(PROFILE_IDS)]
    if is_v16:
        return {"chargingProfileId": profile_id, **head, "chargingSchedule": schedule}
    return {"id": profile_id, **head, "chargingSchedule": [{"id": 1, **schedule}]}


def calls_of_csms(version: OcppVersion, number: int) -> tuple[str, Any]:
    is_v16, evse = version is OcppVersion.V16, number % 4
    purposes = ["TxProfile", "TxDefaultProfile", "ChargePointMaxProfile" if is_v16 else "ChargingStationMaxProfile"]
    purpose = [*purposes, "ChargingStationExternalConstraints", "PriorityCharging", "x"][number % 6]
    given_profile = profile(version, purpose, number)
    if is_v16:
        requests: list[tuple[str, Any]] = [
            ("SetChargingProfile", {"connectorId": evse, "csChargingProfiles": given_profile}),
            ("ClearChargingProfile", {}),
            ("ClearChargingProfile", {"id": PROFILE_IDS[number % 4], "connectorId": evse}),
            ("RemoteStartTransaction", {"connectorId": evse, "idTag": ID_TAG, "chargingProfile": given_profile}),
        ]
    else:
        token = {"idToken": ID_TAG, "type": "ISO14443"}
        requests = [
            ("SetChargingProfile", {"evseId": evse, "chargingProfile": given_profile}),
            ("ClearChargingProfile", {"chargingProfileCriteria": {}}),
            ("ClearChargingProfile", {"chargingProfileId": PROFILE_IDS[number % 4]}),
            ("GetChargingProfiles", {"requestId": number, "chargingProfile": {"stackLevel": number % 2}}),
            ("RequestStartTransaction", {"remoteStartId": 1, "idToken": token, "chargingProfile": given_profile}),
        ]
    requests += [("Reset", {"type": "Soft"}), ("SetChargingProfile", []), ("DataTransfer-Signed", {"x": 1.10})]
    return requests[number // 6 % len(requests)]


def calls_of_station(version: OcppVersion, number: int) -> tuple[str, Any]:
    evse = [1, 2, 0, 99, -1][number % 5]
    sample = {"value": ["9.6", 1e308, "-1e300", -5, "x"][number % 5], "measurand": "Current.Import", "phase": "L1"}
    values = [{"timestamp": "2026-06-01T12:00:00Z", "sampledValue": [sample | {"unit": "kA"}]}]
    if version is OcppVersion.V16:
        transaction = [7, 0, -1, 12, "t"][number // 5 % 5]
        requests: list[tuple[str, Any]] = [
            ("BootNotification", {"chargePointVendor": "v", "chargePointModel": "m"}),
            ("StatusNotification", {"connectorId": evse, "status": ["Available", "Charging"][number % 2]}),
            ("StartTransaction", {"connectorId": evse, "idTag": ID_TAG, "meterStart": 0}),
            ("StopTransaction", {"transactionId": transaction, "idTag": ID_TAG}),
            ("MeterValues", {"connectorId": evse, "transactionId": transaction, "meterValue": values}),
        ]
    else:
        info = {"transactionId": ["7", "t", 0][number // 5 % 3], "remoteStartId": [None, 1][number % 2]}
        kind = ["Started", "Updated", "Ended"][number // 2 % 3]
        event = {"eventType": kind, "transactionInfo": info, "evse": {"id": evse}, "meterValue": values}
        requests = [
            ("BootNotification", {"reason": "PowerUp", "chargingStation": {"vendorName": "v", "model": "m"}}),
            ("StatusNotification", {"evseId": evse, "connectorId": 1, "connectorStatus": "Occupied"}),
            ("TransactionEvent", event | {"idToken": {"idToken": ID_TAG}}),
            ("ReportChargingProfiles", {"requestId": number, "evseId": 1}),
            ("NotifyEVChargingNeeds", {"evseId": evse, "chargingNeeds": {"departureTime": "soon"}}),
        ]
    requests += [("Heartbeat", {}), ("Heartbeat", None), ("MeterValues", {"meterValue": 7})]
    return requests[number // 10 % len(requests)]


def read(text: str) -> rpc.Frame | None:
    try:
        return rpc.parse(text)
    except FrameError:
        return None


def earliest(proxy: StationProxy) -> float | None:
    """The proxy's deadline, searched wherever there may be one."""
    calls = [leg.calls for leg in proxy._legs.values()]
    first = [queue[0] for one in calls for queue in one.waiting.values()]
    moments = [one.in_flight.since_s + one.in_flight.timeout_s for one in calls if one.in_flight is not None]
    moments += [call.since_s + call.patience_s for call in first if call.patience_s is not None]
    moments += [block.deadline for block in proxy._blocks if block.deadline is not None]
    return min(moments, default=None)


ALTERED = {"RemoteStartTransaction", "RequestStartTransaction", "SetChargingProfile", "ClearChargingProfile"}
"""What may reach the station otherwise than its CSMS wrote it."""


class Session:
    """A proxy between two peers of whom anything is possible, and a book that is kept apart from the product."""

    def __init__(self, version: OcppVersion) -> None:
        own_ids = count(1)
        station_settings = StationSettings(evses=(1, 2), fallback_a=6.0, is_asked_what_it_holds=True)
        self.version, self.now = version, NOW
        self.proxy, self.smart = station_proxy("CP", version, station_settings, None, lambda: f"LC-{next(own_ids)}")
        self.numbers = count(1)
        self.received: Counter[tuple[Peer, str]] = Counter()
        self.ended: Counter[tuple[Peer, str]] = Counter()
        self.queued: set[tuple[Peer, str]] = set()
        self.to_answer: dict[Peer, deque[tuple[str, str]]] = {peer: deque() for peer in Peer}
        self.unanswered: dict[Peer, Counter[str]] = {peer: Counter() for peer in Peer}
        self.strays: dict[Peer, Counter[str]] = {peer: Counter() for peer in Peer}
        self.slot: dict[Peer, tuple[str, float] | None] = dict.fromkeys(Peer)
        self.own_open: set[str] = set()
        self.facts: list[Any] = []
        self.effects: list[Effect] = []
        self.do(self.proxy.connected(self.now))

    # --- what happens

    def receive(self, peer: Peer, text: str) -> None:
        self.received[peer, text] += 1
        try:
            frame = rpc.parse(text)
        except FrameError as error:
            self.strays[peer][error.message_id] += 1
            self.strays[peer][([*text.split('"'), ""])[1]] += 1  # as a more tolerant reader may take it
        else:
            if frame.message_type == rpc.CALL:
                self.unanswered[peer][frame.message_id] += 1
            elif frame.message_type not in {rpc.CALLRESULT, rpc.CALLERROR, rpc.CALLRESULTERROR}:
                self.strays[peer][frame.message_id or "-1"] += 1
            slot = self.slot[peer]
            if frame.message_type in {rpc.CALLRESULT, rpc.CALLERROR} and slot and slot[0] == frame.message_id:
                self.slot[peer] = None
        self.do(self.proxy.receive(peer, text, self.now))

    def call(self, peer: Peer, number: int) -> None:
        action, payload = (calls_of_csms if peer is Peer.CSMS else calls_of_station)(self.version, number)
        message_id = IDS[number % len(IDS)] if number % 11 == 0 else f"{peer[0]}{next(self.numbers)}"
        self.receive(peer, json.dumps([2, message_id, action, payload], separators=(", ", ":")))

    def answer(self, peer: Peer, number: int) -> None:
        waiting = self.to_answer[peer]
        if not waiting:
            return
        message_id, action = waiting[0 if number % 3 else -1]
        if number % 7:
            waiting.remove((message_id, action))  # else it answers again later
        if number % 5 == 0:
            self.receive(peer, json.dumps([4, message_id, "InternalError", "", {}]))
        elif number % 5 < 3:  # mostly sensible
            right = {"BootNotification": ANSWERS[8], "StartTransaction": ANSWERS[13]}.get(action, ANSWERS[1])
            self.receive(peer, json.dumps([3, message_id, right]))
        else:
            self.receive(peer, json.dumps([3, message_id, ANSWERS[number // 15 % len(ANSWERS)]]))

    def odd(self, peer: Peer, number: int) -> None:
        own = next(iter(sorted(self.own_open)), "LC-0")
        more = [
            '[6,"s","NotifyPeriodicEventStream",{"a":1.10}]',
            f'[5,"{own}","FormatViolation","",{{}}]',
            '[5,"e","FormatViolation","",{}]',
            f'[7,"{own}"]',
            f'[3,"{own}",{{',
            '[3,"unknown",{}]',
            '[4,"-1","FormatViolation","",{}]',
        ]
        self.receive(peer, (GARBAGE + more)[number % (len(GARBAGE) + len(more))])

    def limit(self, _: Peer, number: int) -> None:
        amps, evse = [0.0, 6.0, 10.0, 16.0, 32.0][number % 5], 1 + number % 2
        if number % 3:
            self.do(self.proxy.perform(self.smart.set_limit(evse, amps, 60.0, number % 7 == 0, self.now), self.now))
        else:
            self.do(self.proxy.perform(self.smart.set_fallback(evse, amps, self.now), self.now))

    def wait(self, _: Peer, number: int) -> None:
        self.now = self.now.after([0.1, 1.0, 7.9, 8.1, 31.0, 400.0][number % 6])
        self.do(self.proxy.expire(self.now))

    def close(self, peer: Peer) -> None:
        self.do(self.proxy.closed(peer, self.now))
        self.do(self.proxy.receive(peer, '[2,"x","Heartbeat",{}]', self.now), is_open=False)
        self.do(self.proxy.expire(self.now), is_open=False)

    # --- what must hold

    def do(self, effects: Iterable[Effect], *, is_open: bool = True) -> None:
        pending: deque[str] = deque()
        for effect in effects:
            self.effects.append(effect)
            match effect:
                case Send(peer, text):
                    assert is_open
                    pending.append(text)
                    self.sent(peer, text)
                case Trace(sender, text, fate):
                    self.traced(sender, text, fate, pending)
                case Note(_, _, fields):
                    assert ID_TAG not in str(fields), "LC-068"
                case Tell(fact):
                    self.facts.append(fact)
                case Close():
                    pass
        assert not pending, "what is sent is traced"
        assert self.proxy.deadline == earliest(self.proxy), "no deadline is overlooked"

    def traced(self, sender: Peer | None, text: str, fate: Fate, pending: deque[str]) -> None:
        if fate in {Fate.PASSED, Fate.ALTERED, Fate.INJECTED}:
            assert pending.popleft() == text
        if sender is None or fate is Fate.ALTERED:
            return
        if fate is Fate.QUEUED:
            self.queued.add((sender, text))
            return
        self.ended[sender, text] += 1

    def sent(self, peer: Peer, text: str) -> None:
        frame = read(text)
        if not self.received[peer.other, text]:
            assert frame is not None
            self.written(peer, frame)
        if frame is None or frame.message_type not in {rpc.CALL, rpc.CALLRESULT, rpc.CALLERROR}:
            return
        if frame.message_type == rpc.CALL:
            slot = self.slot[peer]
            pressed_s = slot and slot[1] + OWN_TIMEOUT_S  # a foreign one is pressed by ours and by the next
            assert pressed_s is None or pressed_s <= self.now.monotonic_s, "one CALL at a time (LC-022)"
            self.slot[peer] = frame.message_id, self.now.monotonic_s
            self.to_answer[peer].append((frame.message_id, frame.action or ""))
            return
        if self.unanswered[peer][frame.message_id]:
            self.unanswered[peer][frame.message_id] -= 1
        else:
            assert self.strays[peer][frame.message_id], "an answer that nobody waits for"

    def written(self, peer: Peer, frame: rpc.Frame) -> None:
        """Not a text of the other peer: an own CALL, our answer to a claimed CALL, or an altered one."""
        if frame.message_id.startswith("LC-"):
            assert frame.message_type == rpc.CALL
            assert peer is Peer.STATION or frame.action == "ReportChargingProfiles"
            self.own_open.add(frame.message_id)
            return
        if frame.is_error:
            assert frame.error_code in CODES[self.version], "LC-028"
        if frame.message_type == rpc.CALL:
            assert peer is Peer.STATION
            assert frame.action in ALTERED
            return
        if peer is Peer.CSMS:
            assert str(OWN_IDS.start)[:7] not in frame.text

    def finished(self) -> None:
        for key, times in self.received.items():
            missing = times - self.ended[key]
            assert missing >= 0, f"{key} ended {-missing} times too often"
            assert not missing or key in self.queued, f"{key} vanished"

    def ended_for_good(self) -> None:
        """What still waited is discarded with its connection: the trace tells the end of every message."""
        assert {key: self.ended[key] for key in self.received} == self.received


OPERATIONS: list[Callable[[Session, Peer, int], None]] = [
    Session.call,
    Session.call,
    Session.answer,
    Session.answer,
    Session.answer,
    Session.odd,
    Session.limit,
    Session.wait,
]
STEPS = st.lists(
    st.tuples(st.sampled_from(OPERATIONS), st.sampled_from(Peer), st.integers(0, 2000)), min_size=1, max_size=60
)


def play(session: Session, steps: list[tuple[Any, Peer, int]], *, is_booted: bool) -> Session:
    if is_booted:
        session.call(Peer.STATION, 1)
        session.receive(Peer.CSMS, json.dumps([3, session.to_answer[Peer.CSMS].popleft()[0], ANSWERS[8]]))
    for operation, peer, number in steps:
        operation(session, peer, number)
    TRIED["whole sessions"] += 1
    TRIED["messages and events in sessions"] += len(steps)
    return session


@pytest.mark.parametrize("version", list(OcppVersion))
@given(steps=STEPS, is_booted=st.booleans(), closer=st.sampled_from(Peer))
@example(  # a claimed CALL that was sent on after all, and still waited at the end
    steps=[
        (Session.call, Peer.CSMS, 1),
        (Session.call, Peer.STATION, 0),
        (Session.call, Peer.CSMS, 1217),
        (Session.wait, Peer.STATION, 1310),
    ],
    is_booted=True,
    closer=Peer.STATION,
)
@settings(max_examples=60 * EFFORT)
@pytest.mark.requirement("LC-018", "LC-019", "LC-022", "LC-027", "LC-028", "LC-068")
def test_whatever_happens_every_message_ends_once_and_none_of_ours_leaks(
    version: OcppVersion, steps: list[tuple[Any, Peer, int]], is_booted: bool, closer: Peer
) -> None:
    session = play(Session(version), steps, is_booted=is_booted)
    session.finished()
    session.close(closer)
    session.ended_for_good()


class Attentive(Session):
    """A session whose block for charging never relies on having seen everything."""

    def receive(self, peer: Peer, text: str) -> None:
        self.smart._seen = -1
        super().receive(peer, text)


@pytest.mark.parametrize("version", list(OcppVersion))
@given(steps=STEPS)
@example(  # a limit that presses a CALL of the CSMS (decision 0026)
    steps=[
        (Session.call, Peer.STATION, 0),
        (Session.call, Peer.CSMS, 36),
        (Session.answer, Peer.STATION, 0),
        (Session.answer, Peer.CSMS, 1),
        (Session.wait, Peer.STATION, 441),
    ],
)
@settings(max_examples=60 * EFFORT)
def test_who_looks_only_at_what_is_new_overlooks_nothing(
    version: OcppVersion, steps: list[tuple[Any, Peer, int]]
) -> None:
    relying, attentive = (play(kind(version), steps, is_booted=True) for kind in (Session, Attentive))
    assert relying.effects == attentive.effects
