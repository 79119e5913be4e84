"""Who is asked what its car draws, when room came back? Sites in virtual time whose stations measure seldom."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from local_controller.site.base_load import STEADY_S
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo
from local_controller.site.sample_requests import AGAIN_S, WORTH_A
from local_controller.site.section_14a import minimum_power_w
from tests.site.virtual_site import START, Car, Manner, VirtualSite, topology

SLOW_S = 60.0
"""A usual interval of samples."""


def charging(stations: int, fuse_a: float = 63.0, base_a: float = 30.0, sample_s: float = SLOW_S) -> VirtualSite:
    """Cars that share what a building leaves, as their stations have measured since."""
    site = VirtualSite(topology(fuse_a, stations))
    site.base = lambda _: (base_a,) * 3
    site.connect()
    site.run(15)
    for name in site.stations:
        site.stations[name].sample_s = sample_s
        site.plug(name)
    site.run(400)
    return site


def measured(site: VirtualSite) -> VirtualSite:
    """All stations have just told what they draw."""
    for station in site.stations.values():
        station.next_sample_s = site.now.monotonic_s + 0.5
    site.run(2)
    return site


def takes(site: VirtualSite, base_a: float) -> float:
    """The building takes so much from now on; the elapsed time."""
    site.base = lambda _: (base_a,) * 3
    return site.now.since(START)


def asked_since(site: VirtualSite, at_s: float) -> list[tuple[float, str]]:
    return [(round(when - at_s, 1), evse.station) for when, evse in site.asked if when >= at_s]


@pytest.mark.requirement("LC-107")
def test_room_that_came_back_is_proven_by_asking_and_used_before_the_next_sample_of_its_own() -> None:
    site, silent = charging(3), charging(3)
    for station in silent.stations.values():
        station.sends_when_asked = False
    for one in (site, silent):
        takes(measured(one), 10.0)
        one.run(30)
    assert sum(site.drawn()) > sum(silent.drawn()) + 10.0
    assert [name for _, name in sorted(asked_since(site, 0.0))[-3:]] == ["CP-1", "CP-2", "CP-3"]
    assert max(site.worst["grid"]) <= 63.0


def test_nobody_is_asked_before_the_fall_has_lasted_long_enough_to_be_shown_by_a_slow_meter() -> None:
    site = charging(2)
    at_s = takes(measured(site), 10.0)
    site.run(20)
    assert {name for _, name in asked_since(site, at_s)} == {"CP-1", "CP-2"}
    assert min(when for when, _ in asked_since(site, at_s)) >= STEADY_S


def test_a_load_that_swings_makes_nobody_ask() -> None:
    site = charging(2)
    at_s = site.now.since(START)
    site.base = lambda s: (30.0 if s % 6.0 < 3.0 else 10.0,) * 3
    site.run(120)
    assert asked_since(site, at_s) == []


def test_nobody_is_asked_where_all_have_what_they_can_take() -> None:
    site = charging(2, fuse_a=160.0)
    at_s = takes(site, 10.0)
    site.run(70)
    assert asked_since(site, at_s) == []


def test_nobody_is_asked_for_less_than_it_is_worth() -> None:
    site = charging(5)
    at_s = takes(measured(site), 30.0 - (5 * WORTH_A - 1.0) / 3)
    site.run(50)
    assert asked_since(site, at_s) == []


def test_a_car_that_was_measured_after_the_fall_is_not_asked() -> None:
    site = charging(2, sample_s=5.0)
    at_s = takes(site, 10.0)
    site.run(60)
    assert asked_since(site, at_s) == []


@pytest.mark.requirement("LC-076")
def test_each_station_is_asked_once_a_minute_however_often_the_building_takes_more_and_less() -> None:
    site = charging(2)
    at_s = site.now.since(START)
    site.base = lambda s: (30.0 if s % 24.0 < 12.0 else 10.0,) * 3
    site.run(300)
    by_station: dict[str, list[float]] = {}
    for when, name in asked_since(site, at_s):
        by_station.setdefault(name, []).append(when)
    assert len(by_station) == 2
    for times in by_station.values():
        assert len(times) >= 3
        assert all(b - a >= AGAIN_S for a, b in pairwise(times))


def test_a_station_that_sends_nothing_costs_no_more_than_its_question() -> None:
    site = charging(2)
    for station in site.stations.values():
        station.sends_when_asked = False
    at_s = takes(measured(site), 10.0)
    site.run(55)
    assert Counter(name for _, name in asked_since(site, at_s)) == {"CP-1": 1, "CP-2": 1}


def test_a_car_that_rests_shows_it_when_asked_and_its_room_is_not_given_away() -> None:
    """What the meter shows less is the car's own doing: the question says so, and nobody gets what it may take again."""
    site = charging(2, fuse_a=42.0, base_a=10.0)
    measured(site)
    before_a, at_s = site.drawn()[1], site.now.since(START)
    site.stations["CP-1"].car.paused = True
    site.run(30)
    assert asked_since(site, at_s) != []
    assert site.drawn()[1] <= before_a + 0.5
    site.stations["CP-1"].car.paused = False
    site.run(60)
    assert max(site.worst["grid"]) <= 42.0


@pytest.mark.parametrize("manner", [Manner.BUSY, Manner.DEAF])
def test_a_station_that_hears_nothing_changes_nothing(manner: Manner) -> None:
    site = charging(2)
    site.stations["CP-1"].manner = manner
    takes(site, 10.0)
    site.run(200)
    assert max(site.worst["grid"]) <= 63.0


@pytest.mark.requirement("LC-107")
@pytest.mark.parametrize("stations", [1, 2, 5])
@pytest.mark.parametrize("sample_at_s", [-9.0, -6.5, -3.0, -0.5, 0.5])
def test_the_surplus_of_a_dimmed_site_is_used_within_half_a_minute_whenever_its_stations_measure(
    stations: int, sample_at_s: float
) -> None:
    """Stations and cars are as slow as they may be, and the last sample comes so long before or after the sun."""
    limit_w = minimum_power_w(stations)
    source = LimitSource("dso", "dim", "grid", AppliesTo.CHARGING, None, 1e6, fallback_w=limit_w, adds_surplus=True)
    site = VirtualSite(topology(400.0, stations), (source,))
    site.shows_volts, site.base = True, lambda _: (10.0, 10.0, 10.0)
    site.announce("dso", None, 1e6)
    site.connect()
    site.run(15)
    for name in site.stations:
        site.plug(name, Car(phases=1 if name == "CP-5" else 3, max_a=16.0, obey_s=10.0))
    site.run(70)
    site.announce("dso", None, 1e6, power_w=limit_w)
    site.run(25)
    for station in site.stations.values():
        station.next_sample_s = site.now.monotonic_s + sample_at_s % 10.0 + 0.5
    site.run(10)
    site.base = lambda _: (-15.0, -15.0, -15.0)
    site.run(30)
    most_w = min(limit_w + 45.0 * 230.0, sum(16.0 * (1 if name == "CP-5" else 3) for name in site.stations) * 230.0)
    drawn_w = sum(sum(one.draw_a().values()) for one in site.stations.values()) * 230.0
    assert 0.8 * most_w < drawn_w <= most_w
