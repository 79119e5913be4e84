"""What nobody learns anything from is shown to nobody, and nobody can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.rpc.frame import Frame
from local_controller.station.block import ROUTINE, ROUTINE_SOONER, UNCHANGED, Block, Wanted
from local_controller.station.blocks.routine import Routine
from local_controller.station.blocks.unread import KEPT_CHARS, KNOWN_S, PAUSE_S
from local_controller.station.build import StationSettings
from local_controller.station.effects import Peer
from local_controller.station.words import OcppVersion
from tests.station.conftest import EFFORT, Bench, id_token, stamp

ALL = pytest.mark.parametrize("version", list(OcppVersion))
SOON_S = PAUSE_S / 10
Step = Callable[[Bench], None]


class Shown(Block):
    """Writes down what the other blocks are shown."""

    def __init__(self) -> None:
        self.calls: list[str | None] = []
        self.answers: list[str | None] = []

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:
        self.calls.append(call.action)
        return UNCHANGED

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> Wanted:
        self.answers.append(call.action)
        return UNCHANGED


def sample(b: Bench, amps: float, **more: Any) -> None:
    """A message that its transaction goes on; `more` may say otherwise."""
    value = {"value": amps, "measurand": "Current.Import", "phase": "L1"}
    if b.version is OcppVersion.V16:
        text = {"timestamp": stamp(b.now), "sampledValue": [value | {"value": str(amps)}]}
        b.from_station("MeterValues", {"connectorId": 1, "transactionId": 7, "meterValue": [text]} | more)
    else:
        meter = [{"timestamp": stamp(b.now), "sampledValue": [value]}]
        b.transaction_event("Updated", "7", **({"evse": {"id": 1}, "meterValue": meter} | more))


def charging(version: OcppVersion) -> tuple[Bench, Shown]:
    """What its other blocks are shown; the first messages of a transaction are news to them."""
    b, shown = Bench(version, StationSettings(fallback_a=6.0)), Shown()
    b.boot()
    b.start(7)
    watched(b.proxy, shown)
    for _ in range(3):
        sample(b, 9.0)
        b.wait(SOON_S)
    shown.calls.clear()
    shown.answers.clear()
    return b, shown


def watched(proxy: Any, shown: Shown) -> None:
    """Puts one more block behind the others."""
    other = type(proxy)("", proxy.version, [*proxy._blocks, shown])
    for name in ("_blocks", "_called", "_observe"):
        setattr(proxy, name, getattr(other, name))


@ALL
def test_a_flood_of_samples_is_shown_once_in_a_pause(version: OcppVersion) -> None:
    b, shown = charging(version)
    for number in range(100):
        sample(b, float(number))
        b.wait(SOON_S)
    assert len(b.sent[Peer.CSMS]) >= 100, "relayed all the same"
    assert 8 <= len(shown.calls) <= 22, (
        "of 4 s one in 0.4 s is read, and after a timer has read one the next is the first"
    )
    assert len(shown.answers) == len(shown.calls)


@ALL
def test_what_is_too_long_to_wait_is_shown(version: OcppVersion) -> None:
    b, shown = charging(version)
    sample(b, 9.0, long="x" * KEPT_CHARS)
    assert len(shown.calls) == len(shown.answers) == 1


@pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
@pytest.mark.parametrize(
    "news", [{"info": {"chargingState": "SuspendedEV"}}, {"idToken": id_token("TAG")}, {"evse": {"id": 2}}]
)
def test_2_x_what_says_more_is_shown(version: OcppVersion, news: dict[str, Any]) -> None:
    b, shown = charging(version)
    sample(b, 9.0, **news)
    assert len(shown.calls) == len(shown.answers) == 1


@ALL
@pytest.mark.parametrize("answer", ["InternalError", {"vendor": 1}, {"chargingPriority": 3}])
def test_an_answer_that_says_more_is_shown(version: OcppVersion, answer: Any) -> None:
    b, shown = charging(version)
    b.unchecked = frozenset({"MeterValues", "TransactionEvent"})
    b.csms["MeterValues"] = b.csms["TransactionEvent"] = answer
    sample(b, 9.0)
    assert not shown.calls
    assert len(shown.answers) == 1


@ALL
def test_no_answer_is_shown(version: OcppVersion) -> None:
    b, shown = charging(version)
    b.csms["MeterValues"] = b.csms["TransactionEvent"] = None
    sample(b, 9.0)
    b.wait(60.0)
    assert (len(shown.calls), len(shown.answers)) == (0, 1)


@ALL
def test_before_the_station_is_accepted_nothing_is_routine(version: OcppVersion) -> None:
    b, shown = charging(version)
    b.csms["BootNotification"] = lambda _: {"currentTime": stamp(b.now), "interval": 300, "status": "Pending"}
    b.boot()
    b.smart.state.answered = False
    shown.calls.clear()
    for _ in range(3):
        sample(b, 9.0)
    assert shown.calls


SAMPLES = st.builds(lambda amps: lambda b: sample(b, amps), st.sampled_from([0.0, 3.0, 9.0, 16.0]))
STEPS: st.SearchStrategy[Step] = st.one_of(
    SAMPLES,
    SAMPLES,
    SAMPLES,
    st.builds(lambda s: lambda b: b.wait(s), st.sampled_from([SOON_S, SOON_S, PAUSE_S, KNOWN_S, 5.0, 40.0])),
    st.builds(lambda a: lambda b: b.meter([a, a], evse=1), st.sampled_from([0.0, 9.0])),
    st.builds(lambda a: lambda b: b.set_limit(a, evse=1), st.sampled_from([6.0, 12.0, 16.0])),
    st.builds(lambda a: lambda b: b.csms_sets("TxProfile", a, transactionId=7), st.sampled_from([8.0, 20.0])),
    st.builds(lambda state: lambda b: said(b, chargingState=state), st.sampled_from(["Charging", "SuspendedEV"])),
    st.just(lambda b: b.start(8)),
    st.just(lambda b: b.start(7)),
    st.just(lambda b: b.stop(7)),
    st.just(lambda b: b.boot()),
    st.just(lambda b: b.from_station("Heartbeat", {})),
    st.builds(
        lambda answer: lambda b: b.csms.update(MeterValues=answer, TransactionEvent=answer),
        st.sampled_from([{}, None, "InternalError", {"chargingPriority": 2}, {"chargingPriority": 0}]),
    ),
)


def said(b: Bench, **info: Any) -> None:
    if b.version is not OcppVersion.V16:
        sample(b, 9.0, info=info)


@given(st.sampled_from(OcppVersion), st.lists(STEPS, max_size=40))
@settings(max_examples=150 * EFFORT, deadline=None)
def test_nobody_can_tell(version: OcppVersion, steps: list[Step]) -> None:
    with_it, without = (Bench(version, StationSettings(fallback_a=6.0)) for _ in range(2))
    (routine,) = (block for block in without.proxy._blocks if isinstance(block, Routine))
    # the same proxy, but nothing is routine to it: a subclass could not be put into its blocks
    routine.called = lambda *_: UNCHANGED  # type: ignore[method-assign]
    for b in (with_it, without):
        b.unchecked = frozenset({"MeterValues", "TransactionEvent"})
        b.boot()
        b.start(7)
        sample(b, 9.0)
    for step in [*steps, lambda b: b.wait(KNOWN_S)]:
        for b in (with_it, without):
            step(b)
        assert with_it.sent == without.sent
        assert with_it.facts == without.facts
    assert {note.event for note in with_it.notes} == {note.event for note in without.notes}


def test_the_two_words_for_it_are_told_from_no_change() -> None:
    assert len({id(ROUTINE), id(ROUTINE_SOONER), id(UNCHANGED)}) == 3
