"""Does each start and each increase wait a random while, and no decrease ever? Smart Charge Points Regulations, goal G17."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.adapters.site_settings import random_delay
from local_controller.site.control_settings import ControlSettings
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo
from local_controller.site.snapshot import snapshot
from local_controller.station.words import DelayWaived, PriorityGiven
from tests.site.virtual_site import VirtualSite, topology


def delayed(draw_s: Callable[[], int] | None, stations: int = 1) -> VirtualSite:
    """A site with cars that draws its delays so, and whose EMS allows 16 A at first."""
    ems = LimitSource("ems", "EMS", "grid", AppliesTo.CHARGING, (16.0,) * 3)
    site = VirtualSite(topology(63.0, stations), (ems,), ControlSettings(random_delay_s=draw_s))
    site.connect()
    site.run(15)
    site.announce("ems", 16.0, 1e6)
    for name in site.stations:
        site.plug(name)
    return site


def rises_at(site: VirtualSite, above_a: float, within_s: int = 200) -> float:
    """After how many seconds the first car draws more."""
    for second in range(within_s):
        if max(site.drawn()) > above_a:
            return second
        site.run(1)
    return float("inf")


def test_a_start_and_an_increase_wait_and_a_decrease_does_not() -> None:
    site = delayed(lambda: 100)
    site.run(10)
    assert site.drawn() == [0.0]
    wait = snapshot(site.controller, site.now).evses[0].reasons
    assert [one for one in wait if one.startswith("rises after a random delay, in 9")], wait
    assert 85 <= rises_at(site, 0.0) <= 115
    site.run(40)
    assert site.drawn() == [16.0], "the steps of one rise follow each other"
    site.announce("ems", 8.0, 1e6)
    site.run(10)
    assert site.drawn() == [8.0]
    site.announce("ems", 16.0, 1e6)
    assert 100 <= rises_at(site, 8.0) <= 130
    site.run(30)
    assert site.drawn() == [16.0]


def test_who_wants_to_charge_now_waits_no_more_in_this_session_and_the_next_car_does_again() -> None:
    site = delayed(lambda: 100)
    site.run(10)
    site.tell("CP-1", DelayWaived(1))
    site.run(30)
    assert site.drawn() == [16.0]
    site.announce("ems", 8.0, 1e6)
    site.run(10)
    site.announce("ems", 16.0, 1e6)
    site.run(30)
    assert site.drawn() == [16.0], "nor does a later rise of this session"
    site.unplug("CP-1")
    site.run(5)
    site.plug("CP-1")
    site.run(10)
    assert 75 <= rises_at(site, 0.0) <= 105


def test_who_takes_it_back_waits_again_from_the_next_rise_on() -> None:
    site = delayed(lambda: 100)
    site.tell("CP-1", DelayWaived(1))
    site.run(40)
    site.tell("CP-1", DelayWaived(1, is_waived=False))
    site.announce("ems", 8.0, 1e6)
    site.run(10)
    assert site.drawn() == [8.0]
    site.announce("ems", 16.0, 1e6)
    assert rises_at(site, 8.0) >= 100


def test_a_word_for_another_transaction_or_none_changes_nothing() -> None:
    site = delayed(lambda: 100)
    site.tell("CP-1", DelayWaived(1, "another"))
    site.run(40)
    assert site.drawn() == [0.0]
    site.unplug("CP-1")
    site.tell("CP-1", DelayWaived(1))
    site.plug("CP-1")
    site.run(10)
    assert 75 <= rises_at(site, 0.0) <= 105


def test_without_the_setting_nothing_waits() -> None:
    assert random_delay(0) is None
    assert rises_at(delayed(None), 8.0) <= 30


def test_delays_are_whole_seconds_up_to_the_most_and_each_is_drawn() -> None:
    draw = random_delay(3)
    assert draw is not None
    assert {draw() for _ in range(400)} == {0, 1, 2, 3}


class Charged:
    """When each car began, in seconds; for how long each charged, and for how long none did."""

    def __init__(self, site: VirtualSite) -> None:
        self.began: dict[str, list[float]] = {name: [] for name in site.stations}
        self.seconds, self.nobody_s = Counter[str](), 0.0
        self._draws = dict.fromkeys(site.stations, False)
        site.on_step.append(self._look)

    def _look(self, site: VirtualSite) -> None:
        for name, station in site.stations.items():
            before, self._draws[name] = self._draws[name], sum(station.draw_a().values()) > 0.0
            self.seconds[name] += 0.5 * self._draws[name]
            if self._draws[name] and not before:
                self.began[name].append(site.elapsed_s)
        self.nobody_s += 0.5 * (not any(self._draws.values()))


@pytest.mark.parametrize("most_s", [600, 1800])
def test_while_one_waits_its_random_while_the_other_one_goes_on_so_turns_lose_nothing(most_s: int) -> None:
    """Three cars and room for one: where the car waited whose turn it was, nobody charged for a quarter, or two thirds, of the time."""
    draw = Random(1)
    site = delayed(lambda: draw.randint(0, most_s), 3)
    site.announce("ems", 9.0, 1e6)
    charged = Charged(site)
    site.run(9000)
    assert charged.nobody_s < 0.05 * 9000 + most_s, "but before the first start"
    assert min(charged.seconds.values()) > 0.15 * 9000
    began = sorted(at_s for starts in charged.began.values() for at_s in starts)
    _, *turns_s = [later - before for before, later in pairwise(at_s for at_s in began if at_s > 60)]
    assert all(1150 <= turn_s <= 1250 + most_s for turn_s in turns_s), "none is shorter than it was"
    assert max(turns_s) - min(turns_s) > 100, "and each ends at random"


def test_a_car_of_a_higher_priority_goes_on_while_others_wait_a_random_while_and_nobody_starves() -> None:
    draw = Random(1)
    site = delayed(lambda: draw.randint(0, 600), 3)
    site.announce("ems", 9.0, 1e6)
    site.tell("CP-3", PriorityGiven(1, str(site.stations["CP-3"].transaction), 3))
    charged = Charged(site)
    site.run(12_000)
    assert charged.nobody_s < 0.05 * 12_000 + 600
    parts = {name: seconds / sum(charged.seconds.values()) for name, seconds in charged.seconds.items()}
    assert parts["CP-3"] > 0.4
    assert min(parts.values()) > 0.1


def test_who_begins_because_there_is_more_room_waits_although_a_round_ends_just_then() -> None:
    """Nothing stops for it, so a country's cars would rise together: after hours without any room, and in a limit that rises."""
    site = delayed(lambda: 100, 2)
    site.run(150)
    site.announce("ems", 0.0, 1e6)
    site.run(3600)
    site.announce("ems", 9.0, 1e6)
    assert rises_at(site, 0.0) >= 95
    site.announce("ems", 12.5, 1e6)
    site.run(90)
    assert min(site.drawn()) == 0.0
    site.run(60)
    assert min(site.drawn()) >= 6.0


@given(draws=st.lists(st.integers(0, 30), min_size=1), limits=st.lists(st.floats(6.0, 30.0), min_size=1, max_size=5))
@settings(deadline=None, max_examples=4)
def test_law_limits_hold_whatever_is_drawn_and_everybody_rises_at_last(draws: list[int], limits: list[float]) -> None:
    def numbers() -> Iterator[int]:
        while True:
            yield from draws

    draw = numbers()
    site = delayed(lambda: next(draw), 2)
    for limit_a in limits:
        site.announce("ems", limit_a, 1e6)
        site.run(15)
        assert sum(site.drawn()) <= limit_a + 0.01
    site.announce("ems", 40.0, 1e6)
    site.run(150)
    assert site.drawn() == pytest.approx([20.0, 20.0], abs=0.5)
