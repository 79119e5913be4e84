"""Who may charge from surplus, and how much: starts by proof, falls at once, rides a cloud, pauses and rests."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.site.per_phase import ZERO, equal
from local_controller.site.standing import DrawBounds
from local_controller.site.surplus import PROOF_S, REST_S, RIDE_S, SPARE_A, TURN_S, Surplus, Taker
from local_controller.station.words import EvseId
from tests.site.virtual_site import START

ONE, TWO = (Taker(EvseId(f"CP-{n}", 1), 3, 6.0, 32.0) for n in (1, 2))
OTHER = Taker(EvseId("CP-4", 1), 3, 6.0, 32.0)
SINGLE = Taker(EvseId("CP-3", 1), 1, 6.0, 16.0)


class World:
    """A grid connection whose meter shows what the takers leave of the surplus, each second."""

    def __init__(self, *takers: Taker) -> None:
        self.surplus, self.takers, self.now = Surplus(), takers, START
        self.caps_a: dict[EvseId, float] = {}

    def run(self, seconds: float, left_a: float, *, is_blind: bool = False) -> World:
        """left_a: what is left over on each phase without the takers, who draw what they may at once."""
        for _ in range(round(seconds)):
            self.now = self.now.after(1.0)
            drawn_a = sum(self.caps_a.get(one.evse, 0.0) * one.phases for one in self.takers) / 3
            if not is_blind:
                bounds = DrawBounds(equal(drawn_a), equal(drawn_a), equal(drawn_a), self.now)
                self.surplus.measured(equal(drawn_a - left_a), bounds, self.now)
            self.caps_a = self.surplus.caps_a(self.takers, self.now, is_blind=is_blind)
        return self

    @property
    def caps(self) -> list[float]:
        return [self.caps_a[one.evse] for one in self.takers]


def test_a_start_needs_the_minimum_and_what_is_spared_all_the_time() -> None:
    world = World(ONE).run(PROOF_S - 5, 7.0)
    assert world.caps == [0.0]
    assert world.run(10, 7.0).caps == [6.5]
    assert World(ONE).run(3 * PROOF_S, 6.0 + SPARE_A - 0.1).caps == [0.0]
    assert World(ONE).run(PROOF_S - 5, 7.0).run(1, 6.0).run(20, 7.0).caps == [0.0], (
        "one cloud, and the proof begins anew"
    )


def test_it_rises_to_what_was_left_over_all_the_time_and_falls_at_once() -> None:
    world = World(ONE).run(90, 10.0)
    assert world.caps == [9.5]
    assert world.run(30, 20.0).caps == [9.5]
    assert world.run(40, 20.0).caps == [19.5]
    assert world.run(1, 12.0).caps == [11.5]
    assert world.run(5, 20.0).caps == [11.5]


def test_it_keeps_its_minimum_for_a_while_pauses_and_rests() -> None:
    world = World(ONE).run(90, 10.0)
    assert world.run(RIDE_S - 2, 1.0).caps == [6.0]
    assert world.run(4, 1.0).caps == [0.0]
    assert world.run(REST_S - 10, 20.0).caps == [0.0]
    assert world.run(15, 20.0).caps[0] >= 6.0


def test_a_cloud_that_passes_in_time_pauses_nobody() -> None:
    world = World(ONE).run(90, 10.0)
    for _ in range(5):
        assert world.run(RIDE_S - 5, 1.0).run(RIDE_S, 10.0).caps[0] >= 6.0


def test_clouds_that_leave_the_sun_little_time_pause_it() -> None:
    world = World(ONE).run(90, 10.0).run(RIDE_S - 5, 1.0).run(2, 10.0)
    assert world.run(10, 1.0).caps == [0.0]


def test_two_share_and_the_last_one_that_began_pauses_first() -> None:
    world = World(ONE, TWO).run(90, 15.0)
    assert world.caps == [7.0, 7.0]
    assert world.run(RIDE_S + 2, 9.0).caps[1] == 0.0
    assert world.run(1, 9.0).caps[0] >= 6.0
    assert world.run(90, 9.0).caps == [8.5, 0.0]


def test_where_there_is_too_little_for_all_who_has_charged_for_a_turn_gives_way_to_who_waits_longest() -> None:
    world, began = World(ONE, TWO, OTHER), list[int]()
    for _ in range(4):
        world.run(TURN_S + 1, 10.0)
        (runs,) = [number for number, cap_a in enumerate(world.caps) if cap_a]
        began.append(runs)
    assert began == [0, 1, 2, 0]
    waiting = world.surplus.reasons()[TWO.evse].reason
    assert waiting.endswith("its minimum takes 4.5 kW, and others have their turn")


def test_nobody_gives_way_to_one_that_could_not_begin_in_its_place() -> None:
    world = World(SINGLE, ONE).run(3 * TURN_S, 3.0)
    assert world.caps == [8.5, 0.0]
    assert World(ONE, ONE._replace(evse=TWO.evse, is_idle=True)).run(3 * TURN_S, 10.0).caps == [9.5, 0.0]


def test_who_waited_longest_begins_first_when_the_sun_returns() -> None:
    world = World(ONE, TWO).run(TURN_S / 2, 10.0)
    assert world.caps == [9.5, 0.0]
    assert world.run(RIDE_S + REST_S + 60, 0.0).run(PROOF_S + 5, 10.0).caps == [0.0, 9.5]


def test_one_that_can_take_little_leaves_the_rest_to_the_others() -> None:
    small = Taker(EvseId("CP-4", 1), 3, 6.0, 8.0)
    assert World(ONE, small).run(90, 30.0).caps == pytest.approx([21.0, 8.0], abs=0.1)
    assert World(SINGLE).run(90, 3.0).caps == [8.5], "all phases together: what one phase feeds in is used on another"


def test_blind_it_is_over_at_once_and_begins_with_a_new_proof() -> None:
    world = World(ONE).run(90, 10.0)
    assert world.run(1, 10.0, is_blind=True).caps == [0.0]
    (wait,) = world.surplus.reasons().values()
    assert wait.reason.startswith("charges from surplus only: nobody measures what is left over")
    assert world.run(REST_S + 5, 10.0).caps == [9.5]


def test_a_meter_that_pauses_for_some_seconds_raises_nothing_and_lowers_nothing() -> None:
    world = World(ONE).run(90, 10.0)
    for seconds in (1, 4, 9):
        assert world.surplus.caps_a(world.takers, world.now.after(seconds), is_blind=False) == {ONE.evse: 9.5}


def test_readings_that_end_prove_nothing() -> None:
    world = World(ONE).run(PROOF_S - 5, 10.0)
    world.now = world.now.after(60.0)
    assert world.surplus.caps_a(world.takers, world.now, is_blind=False) == {ONE.evse: 0.0}


def test_one_that_has_gone_leaves_its_part_and_rests_for_nobody() -> None:
    world = World(ONE, TWO).run(90, 15.0)
    world.takers = (TWO,)
    assert world.run(2, 15.0).caps == [14.5]


_LEFT = st.lists(st.tuples(st.integers(1, 90), st.floats(-10, 40)), min_size=1, max_size=12)
_TAKERS = st.lists(st.tuples(st.sampled_from([1, 3]), st.floats(6, 8), st.floats(0, 32)), min_size=1, max_size=4).map(
    lambda found: [Taker(EvseId(f"CP-{n}", 1), p, least, most) for n, (p, least, most) in enumerate(found)]
)


@given(takers=_TAKERS, weather=_LEFT)
def test_more_than_their_minimums_is_never_more_than_what_is_left_over(
    takers: list[Taker], weather: list[tuple[int, float]]
) -> None:
    world, short_s = World(*takers), 0.0
    for seconds, left_a in weather:
        for _ in range(seconds):
            world.run(1, left_a)
            running = [one for one in takers if world.caps_a[one.evse] > 0]
            drawn_a = sum(world.caps_a[one.evse] * one.phases for one in running)
            least_a = sum(one.least_a * one.phases for one in running)
            assert drawn_a <= max(least_a, left_a * 3) + 1e-6
            assert all(world.caps_a[one.evse] >= one.least_a for one in running)
            short_s = short_s + 1 if drawn_a > max(0.0, left_a * 3) + 1e-6 else 0.0
            assert short_s <= RIDE_S + 1


def test_nothing_measured_is_nothing_left_over() -> None:
    surplus = Surplus()
    assert surplus.left_a is None
    assert surplus.caps_a([ONE], START, is_blind=False) == {ONE.evse: 0.0}
    surplus.measured(equal(-9.0), DrawBounds(ZERO, ZERO, ZERO), START)
    assert surplus.left_a == pytest.approx(27.0)
    assert not math.isinf(surplus.left_a or math.inf)
