"""What may an EVSE draw at worst? Stories of orders, answers, silences and measurements at one EVSE."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.site.evse import EvseState
from local_controller.site.topology import Evse
from local_controller.station.words import BehaviourLearnt, ChargingState, EvseId, MeterSample, Phase
from tests.site.virtual_site import START

VALID_S = 90.0


def at(seconds: float) -> Instant:
    return START.after(seconds)


def charging(fallback_a: float = 6.0, grid_phases: tuple[int, ...] = (0, 1, 2), max_a: float = 32.0) -> EvseState:
    """An EVSE whose fallback is confirmed, with a transaction that began at second 0."""
    state = EvseState(Evse(EvseId("CP-1", 1), "grid", grid_phases, fallback_a=fallback_a, max_a=max_a))
    state.connected_now(at(-20))
    state.fallback_answered(fallback_a, at(-19))
    state.started("tx", at(0))
    return state


def order(state: EvseState, limit_a: float, second: float, *, accepted: float | None = None) -> None:
    """Ordered and sent at `second`; accepted at `accepted` if at all."""
    state.ordered(limit_a, at(second))
    state.sent(limit_a, at(second + VALID_S))
    if accepted is not None:
        state.accepted(limit_a, at(accepted), at(second + VALID_S))


def sample(state: EvseState, amps: float, second: float, phases: int = 3) -> None:
    drawn = {phase: amps if i < phases else 0.0 for i, phase in enumerate(Phase)}
    state.measured(MeterSample(drawn), at(second))


def test_a_car_has_its_time_to_follow_a_fallback_that_is_lowered() -> None:
    """It never had another limit; then the CSMS allows it nothing, and the next sample comes a second later."""
    state = charging()
    sample(state, 6.0, 100)
    state.fallback_answered(0.0, at(120))
    sample(state, 6.0, 121)
    assert not state.defiant(at(121))
    sample(state, 6.0, 136)
    assert state.defiant(at(136))


@pytest.mark.requirement("LC-107", "LC-111")
def test_what_nobody_measures_is_at_its_fallback_when_what_it_was_told_before_has_ended() -> None:
    """It said yes to 0 A. If it did not mean it, the 11 A of before have run out by now, and it has fallen back."""
    state = charging()
    order(state, 11.0, 1, accepted=2)
    order(state, 0.0, 50, accepted=51)
    order(state, 0.0, 120, accepted=121)
    assert state.stand(at(152)).worst_a == 6.0
    assert state.stand(at(152)).good_faith_a == 6.0
    order(state, 0.0, 160)
    assert state.stand(at(161)).good_faith_a == 6.0
    state.unconfirmed(at(168))
    assert state.stand(at(168)).good_faith_a == 0.0  # it may be anywhere


@pytest.mark.requirement("LC-107")
def test_a_lowered_limit_counts_with_its_old_value_until_it_is_measured() -> None:
    state = charging()
    order(state, 20.0, 1, accepted=2)
    sample(state, 20.0, 15)
    order(state, 10.0, 20, accepted=21)
    assert state.exposure_a(at(25)) == 20.0
    sample(state, 10.0, 26)  # too early: the car may not have got there for good
    assert state.exposure_a(at(26)) == 20.0
    sample(state, 10.0, 32)
    assert state.exposure_a(at(32)) == 10.0


def test_a_raised_limit_counts_from_the_order_on() -> None:
    state = charging()
    state.ordered(20.0, at(1))
    assert state.exposure_a(at(1)) == 20.0


@pytest.mark.requirement("LC-107")
def test_renewals_do_not_put_off_the_proof_of_a_lowered_limit() -> None:
    state = charging()
    order(state, 20.0, 1, accepted=2)
    order(state, 10.0, 20, accepted=21)
    order(state, 10.0, 25, accepted=26)
    order(state, 9.5, 30, accepted=31)
    sample(state, 9.5, 33)
    assert state.exposure_a(at(33)) == 10.0  # 10 A hold for more than 10 s; 9.5 A not yet


@pytest.mark.requirement("LC-108")
def test_a_working_limit_below_the_fallback_ends_on_time_although_renewals_were_sent_in_vain() -> None:
    state = charging(fallback_a=6.0)
    order(state, 0.0, 1, accepted=2)
    sample(state, 0.0, 15)
    for second in (41, 59, 77):
        order(state, 0.0, second)
        state.unconfirmed(at(second + 8))
    assert state.exposure_a(at(70)) == 6.0  # 21 s before the end: the station may be back at its fallback soon
    state.expire(at(92))
    assert state.exposure_a(at(100)) == 6.0


@pytest.mark.requirement("LC-108")
def test_an_unanswered_limit_stays_possible_when_its_repetition_is_refused() -> None:
    state = charging()
    order(state, 12.0, 1)
    state.unconfirmed(at(9))
    order(state, 12.0, 20)
    state.refused(12.0, at(21))
    assert state.exposure_a(at(22)) == 12.0


def test_all_ways_of_telling_a_limit_that_were_refused_are_forgotten() -> None:
    state = charging()
    order(state, 12.0, 1)
    state.sent(11.9, at(91))  # the next rung of the ladder, in watts
    state.refused(11.9, at(3))
    assert state.exposure_a(at(4)) == 6.0


@pytest.mark.requirement("LC-041", "LC-042")
def test_after_a_reconnect_the_fallback_counts_until_the_working_limit_is_confirmed_again() -> None:
    state = charging()
    order(state, 0.0, 1, accepted=2)
    sample(state, 0.0, 15)
    state.connected_now(at(30))
    state.fallback_answered(6.0, at(31))
    assert state.exposure_a(at(31)) == 6.0
    order(state, 0.0, 32, accepted=33)
    assert state.exposure_a(at(34)) == 6.0  # lowered, not yet measured
    sample(state, 0.0, 44)
    assert state.exposure_a(at(44)) == 0.0


@pytest.mark.requirement("LC-041")
def test_a_station_that_boots_and_does_not_confirm_its_fallback_counts_with_its_maximum() -> None:
    state = charging()
    order(state, 10.0, 1, accepted=2)
    state.connected_now(at(30), booted=True)
    state.expire(at(35))
    assert state.exposure_a(at(35)) == 10.0
    state.expire(at(41))
    assert state.exposure_a(at(41)) == 32.0


@pytest.mark.requirement("LC-108")
def test_a_lost_station_counts_with_its_last_limit_until_that_has_ended_then_with_its_fallback() -> None:
    state = charging()
    order(state, 20.0, 1, accepted=2)
    state.connected = False
    state.expire(at(50))
    assert state.exposure_a(at(50)) == 20.0
    state.expire(at(95))
    assert state.exposure_a(at(95)) == 20.0  # its car needs some seconds to follow
    state.expire(at(103))
    assert state.exposure_a(at(103)) == 6.0


@pytest.mark.requirement("LC-079")
def test_what_the_last_transaction_was_promised_counts_for_the_next_one_while_it_could_still_hold() -> None:
    state = charging()
    order(state, 20.0, 1, accepted=2)
    state.ended("tx")
    assert state.exposure_a(at(30)) == 6.0  # nobody draws without a transaction
    state.started("next", at(31))
    assert state.exposure_a(at(31)) == 20.0
    state.expire(at(102))
    state.fallback_answered(6.0, at(102))
    state.ended("next")
    state.started("third", at(110))
    assert state.exposure_a(at(110)) == 6.0


@pytest.mark.requirement("LC-079")
def test_a_confirmed_fallback_ends_what_the_last_transaction_was_promised() -> None:
    state = charging()
    order(state, 20.0, 1, accepted=2)
    state.ended("tx")
    state.fallback_answered(6.0, at(30))
    state.started("next", at(31))
    assert state.exposure_a(at(31)) == 6.0


@pytest.mark.requirement("LC-073")
def test_that_a_car_charges_is_known_whichever_comes_first_its_state_or_its_transaction() -> None:
    """1.6: Preparing, Charging, and then the answer to StartTransaction; or the other way round."""
    states = []
    for is_first in (True, False):
        state = EvseState(Evse(EvseId("CP-1", 1), "grid", fallback_a=6.0))
        state.connected_now(at(-20))
        told = [ChargingState.EV_CONNECTED, ChargingState.CHARGING]
        if is_first:
            for said in told:
                state.charging_state_is(said, at(0))
        state.started("tx", at(1))
        if not is_first:
            for said in told:
                state.charging_state_is(said, at(2))
        assert state.session is not None
        states.append((state.session.charging_state, state.session.suspended_at))
        state.ended("tx")
        state.started("next", at(9))
        states.append((state.session.charging_state, state.session.suspended_at))
    assert states == 2 * [(ChargingState.CHARGING, None), (None, None)], "of the next car nothing is known"


@pytest.mark.requirement("LC-073")
@pytest.mark.parametrize("said", ChargingState)
def test_no_state_from_before_a_transaction_proves_that_its_car_draws_nothing(said: ChargingState) -> None:
    state = EvseState(Evse(EvseId("CP-1", 1), "grid", fallback_a=6.0))
    state.connected_now(at(-20))
    state.charging_state_is(said, at(-1))
    state.started("tx", at(0))
    assert state.session is not None
    assert not state.session.rests
    state.lost()
    assert state.said_state is None


@pytest.mark.requirement("LC-115")
def test_a_session_that_draws_too_much_is_defiant_until_it_is_measured_at_its_limit() -> None:
    state = charging()
    order(state, 20.0, 1, accepted=2)
    sample(state, 20.0, 15)
    order(state, 10.0, 20, accepted=21)
    sample(state, 20.0, 30)
    assert not state.defiant(at(30))  # still within the time that an honest chain needs
    sample(state, 20.0, 36)
    assert state.defiant(at(36))
    order(state, 6.0, 37, accepted=38)
    assert state.defiant(at(40))  # another order does not make it honest
    sample(state, 6.0, 50)
    assert not state.defiant(at(50))


@pytest.mark.requirement("LC-115")
def test_a_session_that_never_obeyed_its_fallback_is_defiant() -> None:
    state = charging()
    sample(state, 32.0, 20)
    assert state.defiant(at(20))
    assert state.exposure_a(at(20)) == 32.0


@pytest.mark.requirement("LC-112")
def test_a_phase_is_out_of_use_after_three_samples_and_back_with_one() -> None:
    state = charging()
    for second in (10, 20, 30):
        assert state.phases() == (0, 1, 2)
        sample(state, 6.0, second, phases=1)
    assert state.phases() == (0,)
    sample(state, 6.0, 40, phases=3)
    assert state.phases() == (0, 1, 2)


def test_a_suspended_car_proves_no_draw() -> None:
    state = charging()
    order(state, 20.0, 1, accepted=2)
    sample(state, 20.0, 15)
    assert state.draw_bounds(at(16))[0] == (20.0, 20.0, 20.0)
    state.charging_state_is(ChargingState.SUSPENDED_EV, at(17))
    assert state.draw_bounds(at(18))[0] == (0.0, 0.0, 0.0)


def test_facts_without_a_session_change_nothing() -> None:
    state = EvseState(Evse(EvseId("CP-1", 1), "grid"))
    sample(state, 6.0, 1)
    state.ordered(6.0, at(1))
    state.sent(6.0, at(91))
    state.accepted(6.0, at(2), at(91))
    state.refused(6.0, at(3))
    state.unconfirmed(at(4))
    state.ended("tx")
    state.charging_state_is(ChargingState.CHARGING, at(5))
    state.expire(at(6))
    assert state.exposure_a(at(7)) == 6.0
    assert not state.defiant(at(7))


def test_a_watts_only_station_begins_with_what_one_phase_needs_and_knows_more_once_its_car_was_measured() -> None:
    state = charging()
    state.takes("W")
    assert state.min_a(at(59)) == pytest.approx(20.0), "for a while it waits for what a car on three phases needs"
    assert state.min_a(at(60)) == pytest.approx(6.0 * 230 / 207)
    for second, current_a in ((10, 20.0), (20, 0.0)):
        state.measured(MeterSample(dict.fromkeys(Phase, current_a)), at(second))
        assert state.min_a(at(60)) == pytest.approx(6.0 * 230 / 207), "6 A at 207 V are 5.4 A at 230 V: it would stop"


def test_a_car_that_does_not_begin_with_what_one_phase_needs_is_given_what_three_need() -> None:
    state = charging()
    state.takes("W")
    assert state.stand(at(5)).min_a == pytest.approx(20.0)
    order(state, 6.7, 61, accepted=62)
    for second in range(70, 130, 10):
        sample(state, 0.0, second)
        assert state.stand(at(second)).min_a == pytest.approx(6.0 * 230 / 207), "it may still be waking up"
    sample(state, 0.0, 133)
    assert state.stand(at(133)).min_a == pytest.approx(20.0)
    order(state, 0.0, 140, accepted=141)
    sample(state, 0.0, 200)
    assert state.stand(at(200)).min_a == pytest.approx(20.0), "which a pause does not make forgotten"
    order(state, 20.0, 210, accepted=211)
    sample(state, 6.0, 230)
    assert state.stand(at(230)).min_a == pytest.approx(6.0 * 230 / 207)


def test_a_watts_only_station_of_11_kw_begins_with_all_that_a_phase_can_carry() -> None:
    state = charging(max_a=16.0)
    state.takes("W")
    assert state.min_a(at(59)) == 16.0, "watts are then told for all phases"
    assert state.min_a(at(60)) == pytest.approx(6.0 * 230 / 207)


@given(st.sampled_from([(0, 1, 2), (2, 0, 1), (1,)]), st.floats(6.0, 20.0), st.lists(st.integers(0, 200), max_size=6))
def test_what_a_watts_only_car_needs_to_begin_changes_nothing_of_its_worst_case(
    grid_phases: tuple[int, ...], limit_a: float, idle_at_s: list[int]
) -> None:
    """The least that helps it is a guess that costs at worst a start in vain; what it may draw counts on all phases."""
    states = [charging(grid_phases=grid_phases), charging(grid_phases=grid_phases)]
    for state, unit in zip(states, ("W", "A"), strict=True):
        state.takes(unit)
        order(state, limit_a, 1, accepted=2)
        for second in sorted(idle_at_s):
            sample(state, 0.0, second)
    watts, amperes = (state.stand(at(201)) for state in states)
    assert (watts.exposure, watts.phases, watts.bounds) == (amperes.exposure, amperes.phases, amperes.bounds)
    assert amperes.min_a <= watts.min_a <= amperes.min_a * len(watts.phases) * 230 / 207


@pytest.mark.requirement("LC-108")
def test_a_limit_that_never_ends_counts_when_the_station_is_lost_and_after_its_transaction() -> None:
    state = charging(fallback_a=6.0)
    state.ordered(16.0, at(1))
    state.sent(16.0, None)
    state.accepted(16.0, at(2), None)
    sample(state, 16.0, 15)
    assert state.stand(at(5000)).ends_s == float("inf"), "there is nothing to renew"
    state.lost()
    assert state.exposure_a(at(9000)) == 16.0, "it does not fall back by itself"
    state.ended("tx")
    state.started("next", at(9001))
    assert state.exposure_a(at(9002)) == 16.0, "nor with its transaction"
    state.fallback_answered(6.0, at(9003))
    assert state.exposure_a(at(9003)) == 16.0, "until it is measured"
    state.accepted(6.0, at(9004), None)
    sample(state, 6.0, 9020)
    assert state.exposure_a(at(9020)) == 6.0


@pytest.mark.requirement("LC-113")
def test_what_was_postponed_leaves_the_limit_as_it_was() -> None:
    state = charging(fallback_a=6.0)
    order(state, 10.0, 1, accepted=2)
    state.ordered(16.0, at(20))
    assert state.exposure_a(at(20)) == 16.0
    state.postponed(at(4000))
    assert (state.exposure_a(at(20)), state.ordered_a) == (10.0, 10.0)
    assert not state.defiant(at(21)), "that is no disobedience"


@pytest.mark.requirement("LC-107", "LC-115")
def test_a_station_that_takes_long_to_follow_is_given_that_time() -> None:
    state = charging()
    state.behaves(BehaviourLearnt(settle_s=60.0))
    order(state, 20.0, 1, accepted=2)
    order(state, 10.0, 100, accepted=101)
    sample(state, 20.0, 130)
    assert not state.ignores_its_limit
    sample(state, 10.0, 131)
    assert state.exposure_a(at(131)) == 20.0, "it may still be on its way up"
    sample(state, 10.0, 162)
    assert state.exposure_a(at(162)) == 10.0


@pytest.mark.requirement("LC-108")
def test_one_that_forgets_its_limits_counts_with_its_maximum_as_soon_as_it_is_lost() -> None:
    state = charging()
    state.behaves(BehaviourLearnt(forgets=True))
    order(state, 10.0, 1, accepted=2)
    sample(state, 10.0, 15)
    assert state.exposure_a(at(16)) == 10.0
    state.lost()
    assert state.exposure_a(at(17)) == state.evse.max_a
    state.connected_now(at(60))
    state.fallback_answered(6.0, at(61))
    order(state, 6.0, 62, accepted=63)
    assert state.exposure_a(at(64)) == state.evse.max_a, "until it is measured"
    sample(state, 6.0, 80)
    assert state.exposure_a(at(80)) == 6.0


@pytest.mark.requirement("LC-079", "LC-108")
@pytest.mark.parametrize("is_lost", [False, True])
def test_a_setting_that_holds_for_ever_counts_until_it_is_written_anew(is_lost: bool) -> None:
    """The transaction is over, but nobody has confirmed that the setting is back at the fallback."""
    state = charging()
    state.behaves(BehaviourLearnt(lasts_s=math.inf))
    state.ordered(16.0, at(1))
    state.sent(16.0, None)
    state.accepted(16.0, at(2), None)
    state.ended("tx")
    if is_lost:
        state.lost()
    assert state.stand(at(3)).worst_a == state.stand(at(4000)).worst_a == 16.0
    state.fallback_answered(6.0, at(4001))
    assert state.stand(at(4001)).worst_a == 6.0


@pytest.mark.requirement("LC-079", "LC-108")
def test_a_lost_station_may_obey_the_limit_of_an_ended_transaction_until_that_ends() -> None:
    """Limit and floor may be one TxDefaultProfile, and the next car comes unseen."""
    state = charging()
    order(state, 16.0, 1, accepted=2)
    state.ended("tx")
    assert state.stand(at(3)).worst_a == 6.0, "a car is heard of, and the floor is written before that"
    state.lost()
    assert state.stand(at(80)).worst_a == 16.0
    assert state.stand(at(1 + VALID_S)).worst_a == 6.0
