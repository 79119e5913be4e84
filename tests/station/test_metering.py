"""When is a sample told? At once where samples are rare, and 0.5 s later at most where a station sends many."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.rpc import frame as rpc
from local_controller.station import words
from local_controller.station.blocks.metering import MOST_SAMPLES
from local_controller.station.blocks.unread import FLOOD, KEPT, KEPT_CHARS, KNOWN_S, PAUSE_S
from local_controller.station.build import StationSettings
from local_controller.station.effects import Peer, Tell
from local_controller.station.words import ChargingState, OcppVersion, Phase
from tests.station.conftest import EFFORT, Bench, stamp

ALL = pytest.mark.parametrize("version", list(OcppVersion))
V2 = pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
pytestmark = pytest.mark.requirement("LC-075")
SOON_S = PAUSE_S / 10


def running(b: Any) -> Any:
    b.boot()
    b.start(7)
    return b


def amps(b: Any, evse: int = 1) -> list[float]:
    """What was told of the first phase, oldest first."""
    measured = [fact for fact in b.facts if isinstance(fact, words.Measured) and fact.evse == evse]
    return [fact.sample.current_a[Phase.L1] for fact in measured if fact.sample.current_a]


def event(b: Any, kind: str, current_a: float | None = None, **info: Any) -> None:
    """A TransactionEvent of transaction 7, with or without a sample."""
    sampled = {"value": current_a, "measurand": "Current.Import", "phase": "L1"}
    meter = [{"timestamp": "2026-06-01T12:00:00Z", "sampledValue": [sampled]}]
    more = {} if current_a is None else {"meterValue": meter}
    b.transaction_event(kind, "7", info=info, evse={"id": 1}, **more)


@ALL
def test_who_sends_now_and_then_is_read_at_once(bench: Any, version: OcppVersion) -> None:
    b = running(bench(version))
    for number in range(5):
        b.meter([float(number)])
        assert amps(b)[-1] == number
        b.wait(5.0)


@ALL
def test_of_many_at_once_the_first_and_the_latest_one_are_told(bench: Any, version: OcppVersion) -> None:
    b = running(bench(version))
    for number in range(100):
        b.meter([float(number)])
        b.wait(PAUSE_S / 200)
    assert amps(b) == [0.0]
    b.wait(KNOWN_S - PAUSE_S / 2 + 1e-6)  # the many steps lose a little
    assert amps(b) == [0.0, 99.0]
    b.meter([200.0])
    assert amps(b)[-1] == 99.0, "the next pause has begun"
    b.wait(KNOWN_S)
    assert amps(b)[-1] == 200.0


@ALL
def test_what_is_said_in_several_messages_is_all_told(bench: Any, version: OcppVersion) -> None:
    b = running(bench(version))
    b.meter([1.0])
    b.meter([16.0])
    name = "connectorId" if version is OcppVersion.V16 else "evseId"
    energy = {"value": "5" if version is OcppVersion.V16 else 5, "measurand": "Energy.Active.Import.Register"}
    b.from_station(
        "MeterValues", {name: 1, "meterValue": [{"timestamp": "2026-06-01T12:00:00Z", "sampledValue": [energy]}]}
    )
    b.wait(KNOWN_S)
    assert amps(b) == [1.0, 16.0]
    assert b.facts[-1].sample.energy_wh == 5.0


@ALL
def test_phases_that_come_in_messages_of_their_own_hide_nothing(bench: Any, version: OcppVersion) -> None:
    b = running(bench(version))
    b.meter([1.0])
    name = "connectorId" if version is OcppVersion.V16 else "evseId"
    for amperes in (14, 15):
        for phase in ("L1", "L2", "L3"):
            value = {"value": str(amperes) if version is OcppVersion.V16 else amperes, "measurand": "Current.Import"}
            sampled = {**value, "phase": phase}
            b.from_station(
                "MeterValues",
                {name: 1, "meterValue": [{"timestamp": "2026-06-01T12:00:00Z", "sampledValue": [sampled]}]},
            )
    b.wait(KNOWN_S)
    told = [fact.sample.current_a for fact in b.facts[-3:]]
    assert [(str(phase), amps_) for sample in told for phase, amps_ in sample.items()] == [
        ("L1", 15.0),
        ("L2", 15.0),
        ("L3", 15.0),
    ]


@ALL
def test_after_a_flood_of_messages_that_say_all_what_says_less_is_hidden_for_one_pause_at_most(
    bench: Any, version: OcppVersion
) -> None:
    b = running(bench(version))
    name = "connectorId" if version is OcppVersion.V16 else "evseId"

    def by_phase(amperes: int) -> None:
        for phase in ("L1", "L2", "L3"):
            value = {"value": str(amperes) if version is OcppVersion.V16 else amperes, "measurand": "Current.Import"}
            meter = [{"timestamp": "2026-06-01T12:00:00Z", "sampledValue": [{**value, "phase": phase}]}]
            b.from_station("MeterValues", {name: 1, "meterValue": meter})

    for number in range(FLOOD + 1):
        b.meter([float(number), 1.0, 1.0])
    b.wait(KNOWN_S)
    for amperes, phases in ((14, ["L3"]), (15, ["L1", "L2", "L3"])):
        told = len(b.facts)
        by_phase(amperes)
        b.wait(KNOWN_S)
        seen = [fact.sample.current_a for fact in b.facts[told:] if isinstance(fact, words.Measured)]
        assert [dict(one) for one in seen] == [{phase: float(amperes)} for phase in phases]


@ALL
def test_samples_without_a_transaction_do_not_wait(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    for number in range(10):
        b.meter([float(number)])
    assert amps(b) == [float(number) for number in range(10)]


@ALL
def test_long_messages_do_not_wait(bench: Any, version: OcppVersion) -> None:
    b = running(bench(version))
    b.meter([1.0])
    name = "connectorId" if version is OcppVersion.V16 else "evseId"
    value = {"value": "2" if version is OcppVersion.V16 else 2, "measurand": "Current.Import", "phase": "L1"}
    meter = [{"timestamp": "2026-06-01T12:00:00Z", "sampledValue": [value]}]
    b.meter([1.5])
    b.from_station("MeterValues", {name: 1, "meterValue": meter, "customData": {"vendorId": "x" * KEPT_CHARS}})
    assert amps(b) == [1.0, 1.5, 2.0], "and what waited goes before"


@ALL
@pytest.mark.parametrize("is_long", [False, True])
def test_of_messages_that_came_together_the_newest_says_how_many_phases_are_in_use(
    bench: Any, version: OcppVersion, is_long: bool
) -> None:
    """A car that drops to one phase must not be given the watts of three."""
    b = running(bench(version))
    b.meter([16.0, 16.0, 16.0])
    b.meter([15.0, 15.0, 15.0])
    if is_long:  # read at once, with what waited
        name = "connectorId" if version is OcppVersion.V16 else "evseId"
        value = {"value": "14" if version is OcppVersion.V16 else 14, "measurand": "Current.Import", "phase": "L1"}
        meter = [{"timestamp": "2026-06-01T12:00:00Z", "sampledValue": [value]}]
        b.from_station("MeterValues", {name: 1, "meterValue": meter, "customData": {"vendorId": "x" * KEPT_CHARS}})
    else:
        b.meter([14.0])
    b.wait(KNOWN_S)
    assert amps(b) == [16.0, 15.0, 14.0]
    assert b.smart.state.transactions[1].phases_in_use == 1


@ALL
def test_a_station_that_invents_evses_does_not_fill_our_memory(bench: Any, version: OcppVersion) -> None:
    b = running(bench(version))
    b.meter([1.0])
    tracemalloc.start()
    try:
        for evse in range(2, 1002):
            b.meter([1.0], evse=evse)
        b.facts.clear()
        kept = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/metering.py")])
    finally:
        tracemalloc.stop()
    assert sum(one.size for one in kept.statistics("filename")) < 20_000


@ALL
def test_what_was_measured_before_the_end_is_told_before_it(bench: Any, version: OcppVersion) -> None:
    b = running(bench(version))
    b.meter([1.0])
    b.meter([16.0])
    b.stop(7)
    kinds = [type(fact) for fact in b.facts if isinstance(fact, (words.Measured, words.TransactionEnded))]
    assert kinds == [words.Measured, words.Measured, words.TransactionEnded]
    told = len(b.facts)
    b.wait(KNOWN_S)
    assert len([fact for fact in b.facts[told:] if isinstance(fact, words.Measured)]) == 0


@V2
def test_what_was_measured_before_a_change_of_state_is_told_before_it(bench: Any, version: OcppVersion) -> None:
    b = running(bench(version))
    event(b, "Updated", 1.0, chargingState="Charging")
    event(b, "Updated", 16.0, chargingState="Charging")
    event(b, "Updated", chargingState="Charging")
    assert amps(b) == [1.0]
    event(b, "Updated", chargingState="SuspendedEV")
    assert amps(b) == [1.0, 16.0]
    assert b.facts[-1] == words.TransactionUpdated(1, "7", ChargingState.SUSPENDED_EV)


def test_1_6_what_was_measured_before_a_change_of_the_connector_is_told_before_it(bench: Any) -> None:
    b = running(bench())
    b.meter([1.0])
    b.meter([16.0])
    b.from_station("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "SuspendedEV"})
    assert amps(b) == [1.0, 16.0]
    assert isinstance(b.facts[-1], words.ConnectorChanged)


@V2
def test_a_message_that_ends_a_transaction_does_not_wait(bench: Any, version: OcppVersion) -> None:
    b = running(bench(version))
    event(b, "Updated", 1.0)
    event(b, "Updated", 2.0)
    event(b, "Ended", 3.0)
    assert amps(b) == [1.0, 2.0, 3.0]


@ALL
def test_what_came_before_the_connection_ended_counts(bench: Any, version: OcppVersion) -> None:
    b = running(bench(version))
    b.meter([1.0])
    b.meter([16.0])
    facts = [effect.fact for effect in b.proxy.closed(Peer.STATION, b.now) if isinstance(effect, Tell)]
    assert [type(fact) for fact in facts][-2:] == [words.Measured, words.Disconnected]
    assert not b.proxy.expire(b.now.after(1.0))


@ALL
@pytest.mark.requirement("LC-018", "LC-033")
def test_of_thousands_of_samples_in_one_message_the_latest_are_told(bench: Any, version: OcppVersion) -> None:
    """The site reacts to each, and everybody else would wait meanwhile: for two seconds at 5,000 (measured)."""
    b = running(bench(version))
    name = "connectorId" if version is OcppVersion.V16 else "evseId"
    taken = [
        {
            "timestamp": stamp(b.now),
            "sampledValue": [
                {"value": str(n / 500) if name[0] == "c" else n / 500, "measurand": "Current.Import", "phase": "L1"}
            ],
        }
        for n in range(3000)
    ]
    b.from_station("MeterValues", {name: 1, "meterValue": taken})
    assert len(b.sent[Peer.CSMS][-1].payload["meterValue"]) == 3000
    assert amps(b) == [n / 500 for n in range(3000 - MOST_SAMPLES, 3000)]


@ALL
@pytest.mark.requirement("LC-020")
def test_what_waited_and_cannot_be_read_is_noted_and_spoils_nothing_else(bench: Any, version: OcppVersion) -> None:
    b = running(bench(version))
    b.meter([1.0])
    name = "connectorId" if version is OcppVersion.V16 else "evseId"
    b.meter([16.0])
    b.from_station("MeterValues", {name: 1, "meterValue": 7})
    assert "unreadable_payload" not in [note.event for note in b.notes]
    b.wait(KNOWN_S)
    assert [note.event for note in b.notes].count("unreadable_payload") == 1
    assert b.proxy.faults["unreadable_payload"] == 1
    assert amps(b) == [1.0, 16.0]


@ALL
@pytest.mark.requirement("LC-018", "LC-020")
def test_a_sample_with_a_phase_that_cannot_be_read_goes_up_as_it_is_and_proves_nothing(
    bench: Any, version: OcppVersion
) -> None:
    b = running(bench(version))
    name = "connectorId" if version is OcppVersion.V16 else "evseId"
    values = [
        {"value": value, "measurand": "Current.Import", "phase": f"L{n}"} for n, value in enumerate(["1.0", "x"], 1)
    ]
    payload = {name: 1, "meterValue": [{"timestamp": stamp(b.now), "sampledValue": values}]}
    message = rpc.call("m", "MeterValues", payload).text
    b._do(b.proxy.receive(Peer.STATION, message, b.now))
    assert b.sent[Peer.CSMS][-1].text == message
    assert [note.fields["path"] for note in b.notes if note.event == "unreadable_payload"] == [
        "$.meterValue[0].sampledValue[1].value"
    ]
    assert amps(b) == []


GAPS = st.lists(
    st.tuples(st.sampled_from([0.0, SOON_S, PAUSE_S / 2, PAUSE_S, KNOWN_S, 5.0]), st.sampled_from([1, 2])), max_size=30
)


@given(st.sampled_from(OcppVersion), GAPS)
@settings(max_examples=100 * EFFORT, deadline=None)
def test_the_newest_is_known_in_time_and_readings_are_few(version: OcppVersion, gaps: list[tuple[float, int]]) -> None:
    b = Bench(version, StationSettings(evses=(1, 2)))
    b.boot()
    b.start(7, 1)
    b.start(8, 2)
    sent: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for number, (gap_s, evse) in enumerate(gaps):
        b.wait(gap_s)
        told = {e: len(amps(b, e)) for e in sent}
        b.meter([float(number)], evse)
        sent[evse].append((b.now.monotonic_s, float(number)))
        for e, messages in sent.items():
            assert len(amps(b, e)) - told[e] <= KEPT + 1
            due = [value for at_s, value in messages if at_s <= b.now.monotonic_s - KNOWN_S]
            assert not due or amps(b, e)[-1] >= due[-1], "older than 0.3 s and not known"
    b.wait(KNOWN_S)
    for e, messages in sent.items():
        values = [value for _, value in messages]
        told_a = amps(b, e)
        assert told_a[-1:] == values[-1:]
        assert set(told_a) <= set(values), "what belongs to the other EVSE"
        assert told_a == sorted(set(told_a)), "in order, each once"


def back(bench: Any, b: Any) -> Any:
    """The same station on its next connection."""
    b.proxy.closed(Peer.STATION, b.now)
    return bench(b.version, known=b.smart.state)


@ALL
def test_what_was_measured_before_the_connection_came_says_nothing_of_now(bench: Any, version: OcppVersion) -> None:
    """1.6 §3.7.1: transaction-related messages are queued; behind a slow CSMS the queue takes minutes."""
    b = running(bench(version))
    b.meter([6.0])
    b = back(bench, b)
    came = b.now
    for ago_s in (590.0, 300.0, 30.0):
        b.wait(5.0)
        b.meter([3.0], taken_at=came.after(-ago_s))
    assert amps(b) == []
    b.wait(5.0)
    b.meter([16.0])
    assert amps(b) == [16.0]


@ALL
def test_a_clock_that_is_not_known_to_be_right_hides_no_sample(bench: Any, version: OcppVersion) -> None:
    b = running(bench(version))
    b.meter([6.0], taken_at=b.now.after(-3600.0))
    b = back(bench, b)
    for number in range(3):
        b.wait(5.0)
        b.meter([6.0 + number], taken_at=b.now.after(-3600.0))
    assert amps(b) == [6.0, 7.0, 8.0]


@ALL
def test_a_clock_that_is_put_back_hides_samples_until_it_is_found_out(bench: Any, version: OcppVersion) -> None:
    b = running(bench(version))
    b.meter([6.0])
    b = back(bench, b)
    for number in range(30):
        b.wait(10.0)
        b.meter([float(number)], taken_at=b.now.after(-3600.0))
    assert amps(b) == [float(number) for number in range(int(amps(b)[0]), 30)], "from then on all"
    assert amps(b)[0] <= 15.0, "no longer than a sample counts at the site"
