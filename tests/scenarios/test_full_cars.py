"""Cars that are full, or take nothing for a while, and stay at the plug: who has what they leave, and when do they charge again?"""

from __future__ import annotations

from itertools import pairwise

import pytest

from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo
from local_controller.site.surplus import SPARE_A
from local_controller.site.turns import TurnPace
from tests.scenarios.test_prices import sunny
from tests.site.test_controller import settled
from tests.site.test_turns import watched
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
def test_a_full_car_has_no_turn_but_for_a_try_an_hour() -> None:
    """8 A are there for three cars, of which one is full from the beginning: it had the least energy, and so each third round."""
    site = site_of(3, 60.0, 8.0)
    full = site.stations["CP-3"].car
    assert full is not None
    full.paused = True
    charged_s, _ = watched(site)
    site.run(4 * 3600)
    assert sum(charged_s.values()) / 2 > 0.92 * 4 * 3600
    assert abs(charged_s["CP-1"] - charged_s["CP-2"]) / 2 <= 2 * PACE.turn_s
    told = [limit_a > 0 for _, evse, limit_a in site.orders if evse.station == "CP-3"]
    assert 2 <= sum(now and not before for before, now in pairwise(told)) <= 4


@pytest.mark.requirement("LC-110")
def test_one_that_wants_more_is_noticed_at_its_try_and_has_its_turns_again() -> None:
    site = site_of(2, 60.0, 8.0)
    full = site.stations["CP-2"].car
    assert full is not None
    full.paused = True
    site.run(3600)
    full.paused = False
    charged_s, _ = watched(site)
    site.run(4 * 3600)
    shares = [count / sum(charged_s.values()) for count in charged_s.values()]
    assert min(shares) > 0.35


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
