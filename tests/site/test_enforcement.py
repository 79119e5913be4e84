"""Which limits are sent now, and which wait? One decision at a time."""

from __future__ import annotations

import pytest

from local_controller.site.capacity import Left
from local_controller.site.enforcement import Candidate, Order, Pace, Room, Wait, decide
from local_controller.site.evse import EvseState
from local_controller.site.per_phase import equal
from local_controller.site.topology import Evse
from local_controller.station.words import BehaviourLearnt, EvseId, MeterSample, Phase
from tests.site.virtual_site import START

PACE = Pace()
LATER = START.after(30)


def charging(name: str, limit_a: float, phases: tuple[int, ...] = (0, 1, 2)) -> EvseState:
    """Has followed `limit_a` for a while."""
    state = EvseState(Evse(EvseId(name, 1), "grid", phases))
    state.connected_now(START.after(-60))
    state.fallback_answered(6.0, START.after(-59))
    state.started(f"tx-{name}", START.after(-30))
    state.ordered(limit_a, START)
    state.sent(limit_a, START.after(90))
    state.accepted(limit_a, START, START.after(90))
    state.measured(MeterSample(dict.fromkeys(state.evse.station_phases, limit_a)), START.after(10))
    return state


def decided(
    *wants: tuple[EvseState, float], left_a: float = 100.0, held: str = "", seconds: float = 30
) -> tuple[dict[str, float], dict[str, str]]:
    """Limits that are ordered and reasons of those that wait, by station."""
    candidates = [Candidate(state, target_a, ("grid",), held) for state, target_a in wants]
    orders, waits = decide(
        candidates, Room(Left({"grid": equal(left_a)}, {}), {"grid": "Grid"}), PACE, START.after(seconds)
    )
    assert all(isinstance(o, Order) for o in orders)
    assert all(isinstance(w, Wait) for w in waits)
    assert len({o.evse for o in orders}) == len(orders)
    return {o.evse.station: o.limit_a for o in orders}, {w.evse.station: w.reason for w in waits}


def test_a_decrease_is_one_step_a_raise_many() -> None:
    assert decided((charging("A", 20.0), 6.0), (charging("B", 6.0), 20.0)) == ({"A": 6.0, "B": 12.0}, {})


@pytest.mark.requirement("LC-107")
def test_raises_share_the_proven_room_smallest_first() -> None:
    orders, waits = decided((charging("A", 10.0), 20.0), (charging("B", 6.0), 20.0), left_a=7.0)
    assert orders == {"B": 12.0, "A": 11.0}
    orders, waits = decided((charging("A", 10.0), 20.0), (charging("B", 6.0), 20.0), left_a=6.2)
    assert orders == {"B": 12.0}
    assert "Grid, L1" in waits["A"]


@pytest.mark.requirement("LC-107")
def test_raises_share_what_limits_in_watts_leave_on_all_phases_together() -> None:
    three, one = charging("A", 10.0), charging("B", 6.0, (0,))
    room = Room(Left({"grid": equal(100.0)}, {"grid": 12.0}), {"grid": "Grid"})
    orders, waits = decide([Candidate(state, 20.0, ("grid",)) for state in (three, one)], room, PACE, LATER)
    assert {order.evse.station: order.limit_a for order in orders} == {"B": 12.0, "A": 12.0}  # 6 A on one, 2 A on three
    assert waits == []
    assert room.scarcest(("grid",), (0, 1, 2)) == (0.0, "Grid, all phases together")


@pytest.mark.requirement("LC-107")
def test_a_car_that_nobody_measures_takes_first_what_is_kept_for_it() -> None:
    """It counts with 6 A on each phase, but said that it draws nothing: what of that is kept, it may have."""

    def told(kept_a: float) -> dict[str, float]:
        room = Room(Left({"grid": equal(1.0)}, {"grid": 3.0}), {"grid": "Grid"}, {"grid": equal(kept_a)})
        unmeasured = Candidate(charging("A", 0.0), 6.0, ("grid",), worst_a=6.0, good_faith_a=6.0)
        orders, _ = decide([unmeasured, Candidate(charging("B", 6.0), 20.0, ("grid",))], room, PACE, LATER)
        return {order.evse.station: order.limit_a for order in orders}

    assert told(6.0) == {"A": 6.0, "B": 7.0}
    assert told(5.0) == {"A": 6.0}
    assert told(4.0) == {"B": 7.0}


def test_nothing_is_raised_while_held_but_decreases_go_on() -> None:
    orders, waits = decided((charging("A", 20.0), 10.0), (charging("B", 6.0), 20.0), held="the meter is suspect")
    assert orders == {"A": 10.0}
    assert waits == {"B": "the meter is suspect"}


@pytest.mark.requirement("LC-113")
@pytest.mark.parametrize(
    ("target_a", "left_a", "seconds", "sent"),
    [
        (9.7, 5.0, 30, False),  # within the dead band
        (9.4, 5.0, 30, True),
        (9.4, 5.0, 4, False),  # the last order is 4 s old
        (9.4, -1.0, 4, True),  # urgent
        (9.7, -1.0, 4, False),  # urgent, but not worth a message each second
        (9.7, -1.0, 6, True),
    ],
)
def test_small_changes_are_sent_seldom(target_a: float, left_a: float, seconds: float, sent: bool) -> None:
    state = charging("A", 10.0)
    state.session.lowered_at = START
    orders, _ = decided((state, target_a), left_a=left_a, seconds=seconds)
    assert bool(orders) is sent


@pytest.mark.requirement("LC-106")
def test_a_limit_is_renewed_before_half_of_its_time_is_over_and_only_once() -> None:
    state = charging("A", 10.0)
    assert decided((state, 10.0), seconds=40) == ({}, {})
    assert decided((state, 10.0), seconds=41) == ({"A": 10.0}, {})
    state.ordered(10.0, START.after(41))
    assert decided((state, 10.0), seconds=42) == ({}, {})
    assert decided((state, 10.0), seconds=62) == ({"A": 10.0}, {})  # its answer never came


@pytest.mark.requirement("LC-115")
def test_a_lower_limit_that_is_not_kept_after_10_s_is_told_again_once() -> None:
    """G14: the station said yes and draws on; it may have lost what it was told."""
    state = charging("A", 20.0)
    state.ordered(10.0, START.after(20))
    state.sent(10.0, START.after(110))
    state.accepted(10.0, START.after(21), START.after(110))
    for seconds, told in [(29, {}), (31, {"A": 10.0})]:
        state.measured(MeterSample({Phase.L1: 20.0}), START.after(seconds))
        assert decided((state, 10.0), seconds=seconds) == (told, {})
    state.ordered(10.0, START.after(31))
    state.accepted(10.0, START.after(32), START.after(121))
    state.measured(MeterSample({Phase.L1: 20.0}), START.after(33))
    assert decided((state, 10.0), seconds=33) == ({}, {})
    assert state.defiant(START.after(36)) is False
    state.measured(MeterSample({Phase.L1: 20.0}), START.after(36))
    assert state.defiant(START.after(36))  # telling it again gives it no more time


def test_what_failed_is_tried_again_later_unless_less_is_wanted() -> None:
    state = charging("A", 10.0)
    state.ordered(8.0, LATER)
    state.sent(8.0, LATER.after(90))
    state.unconfirmed(LATER)
    assert decided((state, 8.0), seconds=35) == ({}, {})
    assert decided((state, 6.0), seconds=35) == ({"A": 6.0}, {})
    assert decided((state, 8.0), seconds=40) == ({"A": 8.0}, {})


def test_a_refused_raise_is_not_tried_again_for_five_minutes_and_the_old_limit_is_kept() -> None:
    state = charging("A", 10.0)
    state.ordered(16.0, LATER)
    state.sent(16.0, LATER.after(90))
    state.refused(16.0, LATER)
    assert not state.defiant(LATER)
    orders, waits = decided((state, 16.0), seconds=45)
    assert orders == {"A": 10.0}
    assert "refused" in waits["A"]
    orders, _ = decided((state, 16.0), seconds=331)
    assert orders == {"A": 16.0}


def test_a_car_is_started_with_its_minimum_or_not_at_all() -> None:
    paused = charging("A", 0.0)
    assert decided((paused, 6.0), left_a=5.9)[0] == {}
    assert decided((paused, 20.0), left_a=6.5)[0] == {"A": 6.0}


@pytest.mark.requirement("LC-112")
def test_only_the_phases_in_use_need_room() -> None:
    room = Room(Left({"grid": (0.0, 50.0, 0.0)}, {}), {"grid": "Grid"})
    candidates = [Candidate(charging("A", 6.0, (1,)), 12.0, ("grid",)), Candidate(charging("B", 6.0), 12.0, ("grid",))]
    orders, waits = decide(candidates, room, PACE, LATER)
    assert [o.evse.station for o in orders] == ["A"]
    assert [w.evse.station for w in waits] == ["B"]


@pytest.mark.requirement("LC-113")
def test_a_station_that_is_seldom_written_to_is_only_lowered_before_its_time() -> None:
    state = charging("A", 10.0)
    state.postponed(LATER.after(4000))
    state.measured(MeterSample(dict.fromkeys(state.evse.station_phases, 10.0)), LATER)
    orders, waits = decided((state, 16.0), seconds=60)
    assert orders == {}, "neither raised nor renewed"
    assert waits["A"] == "the station may be written to only seldom, again in 3970 s"
    orders, _ = decided((state, 8.0), seconds=61)
    assert orders == {"A": 8.0}


def test_one_that_takes_no_0_is_lowered_to_what_it_takes_and_not_ordered_again_and_again() -> None:
    state = charging("A", 16.0)
    state.behaves(BehaviourLearnt(least_a=6.0))
    assert decided((state, 0.0))[0] == {"A": 6.0}
    low = charging("B", 6.0)
    low.behaves(BehaviourLearnt(least_a=6.0))
    assert decided((low, 0.0))[0] == {}


@pytest.mark.requirement("LC-113")
def test_one_that_may_be_raised_each_minute_only_is_raised_at_the_same_pace_in_fewer_steps() -> None:
    state = charging("A", 6.0)
    assert decided((state, 32.0))[0] == {"A": 12.0}
    state.behaves(BehaviourLearnt(every_s=30.0))
    assert decided((state, 32.0))[0] == {"A": 24.0}


def test_what_a_car_needs_at_least_is_rounded_to_what_reaches_it() -> None:
    """6.67 A for a station in watts: 6.6 A would be in vain, so it would wait for ever beside 9 A of free room."""
    state = EvseState(Evse(EvseId("W", 1), "grid", (0, 1, 2)))
    state.connected_now(START.after(-120))
    state.fallback_answered(6.0, START.after(-119))
    state.started("tx-W", START.after(-60))
    state.takes("W")
    state.ordered(0.0, START)
    state.sent(0.0, START.after(90))
    state.accepted(0.0, START, START.after(90))
    sample = MeterSample(dict.fromkeys(state.evse.station_phases, 0.0))
    state.measured(sample, START.after(10))
    assert decided((state, 9.4), left_a=9.0) == ({"W": 6.7}, {})
