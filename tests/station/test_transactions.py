"""Does every transaction event arrive as it was sent, and does the site notice when energy begins to flow?"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local_controller.station import words
from local_controller.station.build import StationSettings
from local_controller.station.effects import Peer
from local_controller.station.words import ChargingState, OcppVersion
from tests.station.conftest import EFFORT, Bench, own

ALL = pytest.mark.parametrize("version", list(OcppVersion))
V2 = pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
TIME_OUT_S = 31.0  # by then a CALL without an answer has failed, for the station and for us
EVSES = {1: 6.0, 2: 6.0}

# --- no event is lost, renumbered or reordered ------------------------------------------------------------------------

STATES = ["EVConnected", "Charging", "SuspendedEV", "SuspendedEVSE", "Idle", None]


@dataclass
class Counting:
    """A station with two transactions that numbers their events, retries what was not answered, and dials in again."""

    version: OcppVersion
    sent: list[str] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings = StationSettings(fallback_a=6.0, evses=EVSES)
        self.past: list[Bench] = []
        self.b = Bench(self.version, self.settings)
        self.b.unchecked = frozenset({"TransactionEvent"})
        self.b.boot()

    def event(self, number: int) -> None:
        """The next event of a transaction, with an odd spelling, a sample, and members that nobody knows."""
        evse, kind = 1 + number % 2, ["Updated", "Updated", "Started", "Ended"][number % 4]
        seq = self.numbers[evse] = self.numbers.get(evse, -1) + 1
        state = STATES[number % len(STATES)]
        info = {"transactionId": f"t{evse}"} | ({"chargingState": state} if state else {})
        value = {"value": number % 32, "measurand": "Current.Import", "phase": "L1"}
        meter = [{"timestamp": "2026-06-01T12:00:00Z", "sampledValue": [value]}]
        body = {"eventType": kind, "timestamp": "2026-06-01T12:00:00Z", "triggerReason": "Trigger", "seqNo": seq}
        body |= {
            "transactionInfo": info,
            "evse": {"id": evse},
            "meterValue": meter,
            "x": "\u00e9",
            "offline": not number % 3,
        }
        self._send(f'[2 ,"e{len(self.sent)}", "TransactionEvent",{json.dumps(body)} ]')

    def again(self, _: int) -> None:
        """The last event once more under a new id (E13): the station had no answer that it liked."""
        if self.sent:
            self._send(self.sent[-1].replace(f'"e{len(self.sent) - 1}"', f'"e{len(self.sent)}"'))

    def answered_with(self, number: int) -> None:
        """From now on the CSMS answers so; None: not at all."""
        self.b.csms["TransactionEvent"] = [{}, {"chargingPriority": 3}, "InternalError", None][number % 4]

    def limit(self, number: int) -> None:
        self.b.set_limit(6.0 + number % 26, evse=1 + number % 2)

    def command(self, number: int) -> None:
        self.b.csms_sets("TxDefaultProfile", 6.0 + number % 26, evse=number % 3)

    def wait(self, number: int) -> None:
        self.b.wait([0.1, 1.0, 31.0, 400.0][number % 4])

    def dials_again(self, _: int) -> None:
        self.past.append(self.b)
        self.b = Bench(self.version, self.settings, known=self.b.smart.state)
        self.b.unchecked = frozenset({"TransactionEvent"})

    def _send(self, text: str) -> None:
        self.sent.append(text)
        self.b._do(self.b.proxy.receive(Peer.STATION, text, self.b.now))
        message_id = text.split('"')[1]
        if not any(frame.message_id == message_id for frame in self.b.sent[Peer.STATION]):
            self.b.wait(TIME_OUT_S)  # a station has one open CALL; it gives this one up

    @property
    def arrived(self) -> list[str]:
        """What the CSMS got of it, oldest first, over all connections."""
        return [frame.text for b in [*self.past, self.b] for frame in b.calls_to(Peer.CSMS, "TransactionEvent")]

    def answers(self) -> dict[str, list[Any]]:
        """What the station was told of its events."""
        told: dict[str, list[Any]] = {}
        for b in [*self.past, self.b]:
            for frame in b.sent[Peer.STATION]:
                if frame.message_id.startswith("e") and not own(frame):
                    told.setdefault(frame.message_id, []).append(frame.error_code or frame.payload)
        return told


DEEDS = [
    *3 * [Counting.event], Counting.again, Counting.answered_with, Counting.limit, Counting.command, Counting.wait,
    Counting.dials_again,
]  # fmt: skip


@V2
@given(steps=st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 500)), max_size=40))
@example(steps=[(deed, number) for number in range(0, 60, 3) for deed in DEEDS])
@settings(max_examples=30 * EFFORT)
@pytest.mark.requirement("LC-072")
def test_the_csms_sees_each_event_once_in_order_and_with_its_number_whatever_we_do_meanwhile(
    version: OcppVersion, steps: list[tuple[Any, int]]
) -> None:
    station = Counting(version)
    for deed, number in steps:
        deed(station, number)
        assert station.arrived == station.sent, "to the byte, at once"
    assert all(len(told) == 1 for told in station.answers().values())


@V2
@pytest.mark.requirement("LC-072")
def test_an_event_that_the_csms_did_not_answer_is_never_answered_by_us(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=EVSES)
    b.boot()
    for answer in (None, "InternalError"):
        b.csms["TransactionEvent"] = answer
        before = len(b.sent[Peer.STATION])
        b.transaction_event("Updated", "t1", evse={"id": 1}, info={"chargingState": "Charging"})
        b.wait(400)
        told = [frame for frame in b.sent[Peer.STATION][before:] if frame.action is None]
        assert [frame.error_code for frame in told] == ([] if answer is None else [answer]), "it is to send it again"


# --- a transaction and its energy transfer begin ----------------------------------------------------------------------

START_POINTS = {
    "ParkingBayOccupancy": "EVDetected",
    "EVConnected": "CablePluggedIn",
    "Authorized": "Authorized",
    "DataSigned": "SignedDataReceived",
    "PowerPathClosed": "ChargingStateChanged",
    "EnergyTransfer": "ChargingStateChanged",
}
"""Each TxStartPoint (E01) with the triggerReason of the event that begins a transaction by it."""


def begins_of(b: Any) -> list[Any]:
    """Begin and charging states of transactions, as the site is told them."""
    kinds = words.TransactionStarted | words.TransactionUpdated | words.TransactionEnded
    return [fact for fact in b.facts if isinstance(fact, kinds)]


@V2
@pytest.mark.parametrize("state", [*ChargingState, None])
@pytest.mark.parametrize("point", START_POINTS)
@pytest.mark.requirement("LC-073")
def test_2_x_begin_and_energy_transfer_are_noticed_whatever_begins_a_transaction(
    bench: Any, version: OcppVersion, point: str, state: ChargingState | None
) -> None:
    b = bench(version, evses=EVSES)
    b.boot()
    info = {} if state is None else {"chargingState": state.value}
    b.transaction_event("Started", "t", info=info, evse={"id": 2}, triggerReason=START_POINTS[point])
    said = [] if state is None else [words.TransactionUpdated(2, "t", state)]
    started = words.TransactionStarted(2, "t")
    assert begins_of(b) == [started, *said], "the begin comes first, and once"
    for reason in ("ChargingStateChanged", "MeterValuePeriodic"):
        b.transaction_event("Updated", "t", info={"chargingState": "Charging"}, triggerReason=reason)
    charging = words.TransactionUpdated(2, "t", ChargingState.CHARGING)
    assert begins_of(b) == [started, *dict.fromkeys([*said, charging])]
    b.set_limit(16.0, evse=2)
    assert b.in_force_a(evse=2) == 16.0, "and its energy can be limited"


@V2
@pytest.mark.requirement("LC-073")
def test_2_x_a_transaction_of_a_driver_begins_for_the_site_where_the_cable_is_plugged_in(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version, evses=EVSES)
    b.boot()
    b.transaction_event("Started", "t", idToken={"idToken": "TAG", "type": "ISO14443"}, triggerReason="Authorized")
    assert begins_of(b) == [], "nobody knows yet which EVSE it will be"
    info = {"chargingState": "EVConnected"}
    b.transaction_event("Updated", "t", info=info, evse={"id": 2}, triggerReason="CablePluggedIn")
    b.transaction_event("Updated", "t", info={"chargingState": "Charging"}, triggerReason="ChargingStateChanged")
    started, *updates = begins_of(b)
    assert (started.evse, started.transaction_id) == (2, "t")
    assert [fact.charging_state for fact in updates] == [ChargingState.EV_CONNECTED, ChargingState.CHARGING]


@ALL
@pytest.mark.requirement("LC-078")
@pytest.mark.parametrize("answer", [{"status": "Accepted"}, {"status": "Rejected"}, "InternalError"])
def test_a_remote_stop_passes_as_it_is_and_so_does_its_answer(bench: Any, version: OcppVersion, answer: Any) -> None:
    b = bench(version)
    b.boot()
    b.start(7)
    b.set_limit(16.0)
    action = "RemoteStopTransaction" if version is OcppVersion.V16 else "RequestStopTransaction"
    b.station[action] = answer
    payload: Any = {"transactionId": 7 if version is OcppVersion.V16 else "7"}
    before = len(b.sent[Peer.STATION])
    assert b.from_csms(action, payload) == answer
    stops = [frame for frame in b.sent[Peer.STATION][before:] if frame.action is not None]
    assert [(frame.action, frame.payload, own(frame)) for frame in stops] == [(action, payload, False)]
    assert not [fact for fact in b.facts if isinstance(fact, words.TransactionEnded)], "only the station ends one"
    b.stop(7)
    assert [fact.evse for fact in b.facts if isinstance(fact, words.TransactionEnded)] == [1]
