"""On which grid phases does a car count that is told to use one, and when is it proven that nothing flows? (LC-112)"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local_controller.clock import Instant
from local_controller.site.evse import EvseState
from local_controller.site.known_evse import EXPIRY_LEAD_S, SETTLE_S
from local_controller.site.phase_switch import AGAIN_S, PAUSE_S, Seen, Step, Told
from local_controller.site.topology import Evse
from local_controller.site.worst_case import CONFIRM_S
from local_controller.station.words import BehaviourLearnt, EvseId, ForeignLimit, MeterSample, Phase, PhaseSwitching

NOW = Instant(1000.0, datetime(2026, 6, 1, 12, 0, tzinfo=UTC))
UNTIL = NOW.after(10_000.0)
EVSE = Evse(EvseId("CP-1", 1), "grid", (1, 2, 0))
ANY, SAID = PhaseSwitching(is_able=True), PhaseSwitching(is_able=True, one_phase=Phase.L1)
L1, L2, ALL = (1,), (2,), (1, 2, 0)
"""The station's phases, as phases of the grid."""


def charging(switching: PhaseSwitching) -> EvseState:
    """A car on three phases with 10 A, measured."""
    state = EvseState(EVSE)
    state.behaves(BehaviourLearnt(switching=switching))
    state.connected_now(NOW)
    state.fallback_answered(6.0, NOW)
    state.started("tx", NOW)
    told(state, 10.0, NOW)
    measured(state, NOW.after(SETTLE_S), L1=10.0, L2=10.0, L3=10.0)
    return state


def told(state: EvseState, limit_a: float, now: Instant) -> None:
    state.ordered(limit_a, now)
    state.sent(limit_a, UNTIL)
    state.accepted(limit_a, now, UNTIL)
    assert state.session is not None
    state.phases_accepted(None if state.session.asked_phases is None else state.session.asked_phases.phases, now)


def measured(state: EvseState, now: Instant, **amps: float) -> None:
    state.measured(MeterSample({Phase(name): value for name, value in amps.items()}), now)


def step(state: EvseState, now: Instant, room_a: float = 8.0) -> Step:
    """Room for one phase, or for three of them where there is three times as much."""
    seen = Seen(state.is_at_zero(now), SETTLE_S, 6.0, 16.0, lambda phases: room_a / len(phases), spans=True)
    state.switches(seen, now)
    assert state.session is not None
    return state.session.switch.step


def paused(state: EvseState, at: Instant) -> Instant:
    """0 A is ordered, taken and measured; when that was."""
    step(state, at)
    told(state, 0.0, at)
    proven = at.after(SETTLE_S)
    measured(state, proven, L1=0.0, L2=0.0, L3=0.0)
    return proven


def on_one(switching: PhaseSwitching = SAID) -> tuple[EvseState, Instant]:
    """The car was switched and has 8 A, of which nothing is measured yet."""
    state = charging(switching)
    if switching is ANY:
        state.wire.is_missed = True
    proven = paused(state, NOW.after(60.0)) if switching is SAID else tried(state)
    step(state, proven, 8.0 if switching is SAID else 60.0)
    told(state, 0.0, proven)
    now = proven.after(PAUSE_S)
    assert step(state, now, 8.0 if switching is SAID else 60.0) is Step.ONE
    told(state, 8.0, now)
    return state, now


def tried(state: EvseState) -> Instant:
    at = NOW.after(60.0)
    step(state, at, 60.0)
    told(state, 0.0, at)
    proven = at.after(SETTLE_S)
    measured(state, proven, L1=0.0, L2=0.0, L3=0.0)
    return proven


def told_one(state: EvseState, proven: Instant) -> None:
    assert step(state, proven) is Step.LEAVES_THREE
    assert state.session is not None
    assert state.session.switch.told == Told(1)


def test_zero_is_proven_by_the_meter_after_the_car_had_its_time() -> None:
    state, at = charging(SAID), NOW.after(60.0)
    step(state, at)
    told(state, 0.0, at)
    assert not state.is_at_zero(at.after(SETTLE_S)), "it was measured with 10 A, and not since"
    measured(state, at.after(SETTLE_S - 1), L1=0.0, L2=0.0, L3=0.0)
    assert not state.is_at_zero(at.after(SETTLE_S)), "that sample came too early to prove anything"
    measured(state, at.after(SETTLE_S), L1=0.0, L2=0.4, L3=0.0)
    assert state.is_at_zero(at.after(SETTLE_S))
    measured(state, at.after(SETTLE_S + 5), L1=0.0, L2=0.9, L3=0.0)
    assert not state.is_at_zero(at.after(SETTLE_S + 5))


def test_where_nothing_measures_the_yes_and_time_are_all_there_is() -> None:
    state = EvseState(EVSE)
    state.behaves(BehaviourLearnt(switching=SAID))
    state.connected_now(NOW)
    state.fallback_answered(6.0, NOW)
    state.started("tx", NOW)
    told(state, 0.0, NOW)
    assert not state.is_at_zero(NOW.after(SETTLE_S - 1))
    proven = NOW.after(SETTLE_S)
    assert state.is_at_zero(proven)
    assert state.exposure(proven) == (6.0, 6.0, 6.0), "that it left its fallback is not proven, and counts"
    step(state, proven)
    told_one(state, proven)
    assert state.phases() == L1
    assert state.exposure(proven) == (6.0, 6.0, 6.0), "on all phases, for then it used all of them"


def test_nothing_is_proven_while_an_order_is_on_its_way_or_the_station_may_have_fallen_back() -> None:
    state = charging(SAID)
    proven = paused(state, NOW.after(60.0))
    state.ordered(6.0, proven)
    assert not state.is_at_zero(proven)
    state.ordered(0.0, proven)
    assert state.is_at_zero(proven)
    state.lost()
    assert not state.is_at_zero(proven)
    state.connected_now(proven)
    assert not state.is_at_zero(proven)
    told(state, 0.0, proven)
    assert not state.is_at_zero(proven), "it may have drawn its fallback since"
    proven = proven.after(SETTLE_S)
    measured(state, proven, L1=0.0, L2=0.0, L3=0.0)
    assert state.is_at_zero(proven)
    state.meets_foreign(ForeignLimit(1, limit_a=16.0))
    assert not state.is_at_zero(proven)


def test_all_phases_count_until_it_is_told_and_the_known_one_from_then_on() -> None:
    state = charging(SAID)
    proven = paused(state, NOW.after(60.0))
    assert state.phases() == ALL
    told_one(state, proven)
    assert state.phases() == L1
    assert state.is_uneven(proven), "what was measured on three phases says nothing any more"


def test_where_it_is_not_known_which_every_phase_counts_until_measured() -> None:
    state, now = on_one(ANY)
    assert state.exposure(now) == (8.0, 8.0, 8.0)
    for seconds in (20, 30, 40):
        measured(state, now.after(seconds), L2=8.0)
    assert state.exposure(now.after(40)) == (0.0, 0.0, 8.0)
    assert state.wire.learnt == {Told(1): 2}


def test_the_phase_of_one_car_is_known_for_the_next() -> None:
    state, now = on_one(ANY)
    for seconds in (20, 30, 40):
        measured(state, now.after(seconds), L2=8.0)
    state.ended("tx")
    later = now.after(AGAIN_S)
    state.started("next", later)
    told(state, 10.0, later)
    measured(state, later.after(SETTLE_S), L1=10.0, L2=10.0, L3=10.0)
    assert state.phases() == ALL
    told_one(state, paused(state, later.after(60.0)))
    assert state.phases() == L2


def test_a_car_that_has_one_phase_only_teaches_nothing() -> None:
    state, now = on_one(ANY)
    assert state.session is not None
    state.session.uses.spans = False
    for seconds in (20, 30, 40):
        measured(state, now.after(seconds), L2=8.0)
    assert state.wire.learnt == {}


def test_a_fallback_counts_on_all_phases() -> None:
    state, now = on_one()
    assert state.exposure(now) == (0.0, 8.0, 0.0)
    state.lost()
    assert state.exposure(now) == (6.0, 8.0, 6.0)
    state.connected_now(now.after(20))
    assert state.exposure(now.after(20)) == (6.0, 8.0, 6.0), "it may have fallen back meanwhile"
    told(state, 8.0, now.after(21))
    assert state.exposure(now.after(21)) == (0.0, 8.0, 0.0), "a short loss changes nothing"
    late = UNTIL.after(1.0 - EXPIRY_LEAD_S)
    measured(state, late, L1=8.0)
    assert state.exposure(late) == (6.0, 8.0, 6.0), "the renewal is late"


@pytest.mark.requirement("LC-112")
@pytest.mark.parametrize("samples", [0, 3], ids=["unmeasured", "measured on one phase"])
@pytest.mark.parametrize("how", ["expired", "booted", "forgot", "told otherwise"])
def test_who_fell_back_counts_as_on_three_phases(how: str, samples: int) -> None:
    """Whatever was measured on one phase: that the others carried nothing then says nothing of a fallback."""
    state, now = on_one()
    for _ in range(samples):
        now = now.after(10.0)
        measured(state, now, L1=8.0)
    match how:
        case "expired":
            state.lost()
            now = UNTIL.after(1.0)
            state.expire(now)
        case "booted":
            state.connected_now(now, booted=True)
        case "forgot":
            state.behaves(BehaviourLearnt(forgets=True, switching=SAID))
            state.lost()
        case _:
            state.phases_accepted(None, now)
    assert state.phases() == ALL
    assert state.session is not None
    assert state.session.switch.step is Step.THREE
    assert min(state.exposure(now)) >= 6.0


def test_a_foreign_limit_counts_on_all_phases() -> None:
    state, now = on_one()
    state.meets_foreign(ForeignLimit(1, limit_a=16.0))
    assert state.exposure(now) == (16.0, 16.0, 16.0)


def test_a_station_on_more_phases_than_told_is_never_asked_again() -> None:
    state, now = on_one()
    measured(state, now.after(20), L1=8.0, L2=8.0, L3=8.0)
    assert state.wire.is_disproved
    assert state.exposure(now.after(20)) == (8.0, 8.0, 8.0)
    assert not state.stand(now.after(20)).is_settled, "it is told at once that nobody counts on one phase any more"
    later = paused(state, now.after(2 * AGAIN_S))
    assert step(state, later) is Step.THREE


def test_a_station_on_another_phase_than_known_is_believed_only_when_measured() -> None:
    state, now = on_one()
    measured(state, now.after(20), L2=8.0)
    assert state.phases() == ALL
    assert state.exposure(now.after(20)) == (8.0, 8.0, 8.0)
    for seconds in (30, 40, 50):
        measured(state, now.after(seconds), L2=7.9 - seconds / 100)
    assert state.phases() == L2
    assert state.wire.lands_on(Told(1), EVSE) == L2


def test_a_refused_number_of_phases_is_not_tried_again() -> None:
    state = charging(SAID)
    proven = paused(state, NOW.after(60.0))
    told_one(state, proven)
    state.ordered(0.0, proven)
    state.sent(0.0, UNTIL)
    state.refused(0.0, proven)
    assert state.wire.is_disproved
    assert state.phases() == ALL


def test_a_new_transaction_begins_on_three_phases() -> None:
    state, now = on_one()
    state.ended("tx")
    assert state.phases() == ALL
    state.started("next", now.after(CONFIRM_S))
    assert state.phases() == ALL
    assert min(state.exposure(now.after(CONFIRM_S))) >= 6.0
