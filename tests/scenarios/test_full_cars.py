"""Cars that are full, or take nothing for a while, and stay at the plug: who has what they leave, and when do they charge again?"""

from __future__ import annotations

from collections import Counter

import pytest

from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo
from local_controller.site.surplus import SPARE_A
from local_controller.site.turns import Asker, TurnPace, Turns
from local_controller.station.words import EvseId
from tests.scenarios.test_prices import sunny
from tests.site.test_controller import settled
from tests.site.test_turns import seats_at, watched
from tests.site.virtual_site import VirtualSite, topology

PACE = TurnPace()


def site_of(cars: int, fuse_a: float, limit_a: float | None = None) -> VirtualSite:
    """A fuse, or a limit, and cars that charge on three phases."""
    ems = LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, (limit_a or fuse_a,) * 3)
    site = settled(VirtualSite(topology(fuse_a, cars), (ems,)))
    for name in site.stations:
        site.plug(name)
    return site


@pytest.mark.requirement("LC-110")
@pytest.mark.parametrize("sample_s", [10.0, 60.0])
def test_what_a_full_car_leaves_its_neighbour_has_until_it_charges_again(sample_s: float) -> None:
    site = site_of(2, 33.0)
    full = site.stations["CP-2"].car
    assert full is not None
    site.stations["CP-2"].sample_s = sample_s
    site.run(300)
    assert site.drawn() == pytest.approx([16.0, 16.0], abs=0.5)
    full.paused = True
    site.run(300)
    assert site.drawn() == pytest.approx([26.0, 0.0], abs=0.5), "it may begin again with 6 A at any time"
    full.paused = False
    site.run(30)
    assert site.drawn()[1] >= 6.0
    site.run(2 * sample_s + 60)
    assert site.drawn() == pytest.approx([16.0, 16.0], abs=0.5)
    assert max(site.worst["grid"]) <= 33.0


@pytest.mark.requirement("LC-110")
def test_a_car_that_has_never_begun_keeps_its_minimum_only() -> None:
    """It waits for a time of its own, in the night."""
    site = site_of(2, 33.0)
    late = site.stations["CP-2"].car
    assert late is not None
    late.paused = True
    site.run(400)
    assert site.drawn() == pytest.approx([26.0, 0.0], abs=0.5)
    late.paused = False
    site.run(120)
    assert site.drawn() == pytest.approx([16.0, 16.0], abs=0.5)


@pytest.mark.requirement("LC-110")
def test_a_full_car_has_no_turn() -> None:
    """8 A are there for three cars, of which one is full from the beginning: it had the least energy, and so every second round."""
    site = site_of(3, 60.0, 8.0)
    full = site.stations["CP-3"].car
    assert full is not None
    full.paused = True
    charged_s, _ = watched(site)
    site.run(1800)
    (reason,) = (one for one in site.controller.decisions[EvseId("CP-3", 1)].reasons if "waits for its turn" in one)
    assert reason.endswith("it took nothing when it could charge, so others go first")
    site.run(1200)
    assert sum(charged_s.values()) / 2 > 0.85 * 3000


@pytest.mark.requirement("LC-110")
def test_a_full_car_is_asked_about_once_an_hour_and_has_its_turns_again_when_it_wants_more() -> None:
    turns, charges, charged_min = Turns(PACE), set[int](), Counter[tuple[int, bool]]()
    for minute in range(600):
        is_full = minute < 300
        asking = [Asker(n, "tx", n in charges, 100.0 * n, takes_nothing=n == 0 and is_full) for n in range(3)]
        charges = seats_at(turns, asking, 1, 60.0 * minute)
        charged_min.update((n, is_full) for n in charges)
    assert charged_min[0, True] <= 5 * 4
    assert charged_min[0, True] >= 3 * 3
    assert charged_min[0, False] >= 80


# --- surplus ------------------------------------------------------------------------------------------------------


def test_a_full_car_keeps_no_sun_from_one_that_would_charge_by_it() -> None:
    """It began first, and 9 A are left over on each phase: its minimum was kept for it as long as it stayed."""
    site, _ = sunny(lambda _: 11.0, stations=2)
    site.run(300)
    assert site.drawn() == pytest.approx([8.5, 0.0], abs=0.5)
    car = site.stations["CP-1"].car
    assert car is not None
    car.paused = True
    site.run(600)
    assert site.drawn() == pytest.approx([0.0, 8.5], abs=0.5)


def test_the_sun_that_a_car_does_not_take_another_one_has() -> None:
    site, sun = sunny(lambda _: 26.0, stations=2)
    car = site.stations["CP-1"].car
    assert car is not None
    car.max_a = 7.0
    site.run(600)
    assert site.drawn() == pytest.approx([7.0, 24.0 - 9.0 - SPARE_A], abs=1.0)
    car.paused = True
    site.run(400)
    assert site.drawn() == pytest.approx([0.0, 24.0 - 6.0 - 2 * SPARE_A], abs=0.5)
    car.paused, car.max_a = False, 32.0
    site.run(400)
    assert site.drawn() == pytest.approx([11.5, 11.5], abs=0.5)
    assert max((lasted_s for lasted_s, _ in sun.times), default=0.0) <= 60.0
