"""Does one phase of the site ever carry more than the others by more than the grid operator allows (goal G13)?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from local_controller.site.asymmetry import balance_id
from local_controller.site.snapshot import snapshot
from local_controller.site.topology import GRID, Topology
from tests.effort import EFFORT
from tests.scenarios.site_events import perform
from tests.site.virtual_site import Car, VirtualSite, topology

LIMIT_A, MARGIN_A = 20.0, 1.0
MOST_A = LIMIT_A - MARGIN_A
ROTATIONS = ("RST", "STR", "TRS", "RTS", "SRT", "TSR", "R", "S", "T")


class Uneven:
    """By how much the phases have differed at most; `look` is asked at every step."""

    def __init__(self, site: VirtualSite) -> None:
        self.worst_a = 0.0
        site.on_step.append(self.look)

    def look(self, site: VirtualSite) -> None:
        flow = site.flow(GRID)
        self.worst_a = max(self.worst_a, max(flow) - min(flow))


def balanced(
    stations: int = 3, *, rotations: tuple[str, ...] = ("RST",), fallback_a: float = 0.0, fuse_a: float = 100.0
) -> tuple[VirtualSite, Uneven]:
    """Connected stations behind a grid connection with an asymmetry limit of 20 A."""
    tree = topology(fuse_a, stations, rotations=rotations)
    root = replace(tree.root, asymmetry_a=LIMIT_A, asymmetry_margin_a=MARGIN_A)
    with_fallback = tuple(
        replace(station, evses=tuple(replace(evse, fallback_a=fallback_a) for evse in station.evses))
        for station in tree.stations
    )
    site = VirtualSite(Topology((root, *tree.nodes[1:]), with_fallback))
    uneven = Uneven(site)
    site.connect()
    site.run(10)
    return site, uneven


def plug_all(site: VirtualSite, *phases: int) -> None:
    for name, used in zip(site.stations, phases, strict=True):
        site.plug(name, Car(phases=used))


def reasons(site: VirtualSite, name: str) -> str:
    evse = site.stations[name].evse.id
    return " ".join(site.controller.decisions[evse].reasons)


@pytest.mark.requirement("LC-112")
def test_cars_on_the_same_phase_share_what_it_may_carry_more() -> None:
    site, uneven = balanced()
    plug_all(site, 1, 1, 1)
    site.run(120)
    assert uneven.worst_a <= LIMIT_A
    assert sum(site.drawn()) > MOST_A - 1.0
    told = reasons(site, "CP-1")
    assert "Grid, asymmetry, L1: 19.0 A available for charging (asymmetry limit 20.0 A" in told
    assert "3 cars share it" in told
    assert "until it was measured" not in told


@pytest.mark.requirement("LC-112")
def test_cars_on_different_phases_may_each_have_all_of_it_and_no_more() -> None:
    """Nobody may count on the others to stay: any of them may stop at any moment."""
    site, uneven = balanced(rotations=("RST", "STR", "TRS"))
    plug_all(site, 1, 1, 1)
    site.run(120)
    assert site.drawn() == [MOST_A] * 3
    site.stations["CP-1"].car.paused = True
    site.unplug("CP-2")
    site.run(30)
    assert uneven.worst_a == MOST_A


@pytest.mark.requirement("LC-112")
@pytest.mark.parametrize("phases", [1, 2])
def test_a_car_on_some_phases_is_limited_whatever_the_fuse_would_bear(phases: int) -> None:
    site, uneven = balanced(1)
    plug_all(site, phases)
    site.run(120)
    assert site.drawn() == [MOST_A]
    assert uneven.worst_a <= LIMIT_A


@pytest.mark.requirement("LC-112")
def test_a_three_phase_car_counts_until_it_is_measured_to_load_all_alike() -> None:
    site, _ = balanced()
    for station in site.stations.values():
        station.sample_s = 60.0
    plug_all(site, 3, 3, 3)
    site.run(50)
    assert sum(site.drawn()) <= MOST_A
    site.run(120)
    assert site.drawn() == [32.0, 32.0, 32.0]


def test_whoever_measures_no_phases_counts_as_uneven() -> None:
    site, _ = balanced(1)
    site.stations["CP-1"].silent_meter = True
    plug_all(site, 3)
    site.run(120)
    assert site.drawn() == [MOST_A]
    assert "counts there until it was measured to load its three phases alike" in reasons(site, "CP-1")


@pytest.mark.requirement("LC-107", "LC-112")
def test_a_car_that_drops_to_one_phase_is_lowered_once_it_is_seen() -> None:
    site, _ = balanced(1)
    plug_all(site, 3)
    site.run(120)
    assert site.drawn() == [32.0]
    car = site.stations["CP-1"].car
    assert car is not None
    car.phases = 1
    site.run(15)
    assert 6.0 <= site.drawn()[0] <= MOST_A
    site.run(120)
    assert site.drawn() == [MOST_A]


def test_what_only_the_sites_meter_shows_of_that_lowers_its_neighbours_at_once() -> None:
    """Its own station tells once a minute."""
    site, _ = balanced(2)
    quiet = site.stations["CP-2"]
    quiet.sample_s, quiet.sends_when_asked = 60.0, False
    plug_all(site, 1, 3)
    site.run(300)
    assert site.drawn() == [MOST_A, 32.0]
    assert quiet.car is not None
    quiet.car.phases = 1
    site.run(15)
    assert site.drawn() == [0.0, 32.0]


def test_uneven_loads_of_the_building_take_their_part_where_a_meter_shows_them() -> None:
    site, uneven = balanced(rotations=("RST", "STR", "TRS"))
    site.base = lambda _s: (14.0, 4.0, 4.0)
    site.run(5)
    for name in ("CP-3", "CP-2", "CP-1"):  # the last one knows that the others are on other phases
        site.plug(name, Car(phases=1))
        site.run(90)
    assert site.drawn() == [MOST_A - 10.0, MOST_A, MOST_A]
    assert uneven.worst_a <= LIMIT_A
    assert "10.0 A unevenness of other loads" in reasons(site, "CP-1")


def test_a_load_that_comes_on_the_phase_of_a_car_lowers_it_within_fifteen_seconds() -> None:
    site, _ = balanced(1)
    plug_all(site, 1)
    site.run(120)
    site.base = lambda _s: (8.0, 0.0, 0.0)
    site.run(15)
    late = Uneven(site)
    site.run(120)
    assert late.worst_a <= LIMIT_A
    assert site.drawn()[0] >= MOST_A - 8.0


def test_a_load_that_goes_from_the_other_phases_lowers_the_car_too() -> None:
    """To carry less on one phase is to carry more on the others; the meter shows what the estimate cannot know yet."""
    site, _ = balanced(1)
    site.base = lambda _s: (8.0, 8.0, 8.0)
    site.stations["CP-1"].sample_s = 60.0
    plug_all(site, 1)
    site.run(120)
    assert site.drawn() == [MOST_A]
    site.base = lambda _s: (8.0, 1.0, 8.0)
    site.run(15)
    late = Uneven(site)
    site.run(120)
    assert late.worst_a <= LIMIT_A


@pytest.mark.requirement("LC-108")
def test_a_lost_car_is_no_load_of_the_building_that_makes_up_for_others() -> None:
    site, uneven = balanced(2, rotations=("STR", "R"))
    site.base = lambda _s: (0.0, 9.0, 3.0)
    site.run(5)
    plug_all(site, 1, 1)
    site.run(100)
    assert site.drawn() == [MOST_A - 9.0, MOST_A]
    site.disconnect("CP-2")
    site.run(180)
    assert site.drawn() == [MOST_A - 9.0, 0.0], "its limit ran out"
    assert uneven.worst_a <= LIMIT_A


def test_fallbacks_are_reserved_where_all_of_them_fit() -> None:
    site, uneven = balanced(3, fallback_a=6.0)
    site.plug("CP-1", Car(phases=1))
    site.run(60)
    assert site.drawn() == [MOST_A - 12.0, 0.0, 0.0]
    assert "12.0 A reserved for EVSEs without a controlled session" in reasons(site, "CP-1")
    plug_all_but_first(site)
    assert uneven.worst_a <= LIMIT_A


def plug_all_but_first(site: VirtualSite) -> None:
    for name in list(site.stations)[1:]:
        site.plug(name, Car(phases=1))
    site.run(60)


def test_where_not_all_fallbacks_fit_a_car_that_comes_makes_others_give_way() -> None:
    site, _ = balanced(4, fallback_a=6.0)
    site.plug("CP-1", Car(phases=1))
    site.run(60)
    assert site.drawn()[0] == MOST_A
    site.plug("CP-2", Car(phases=1))
    site.run(15)
    late = Uneven(site)
    site.run(120)
    assert late.worst_a <= LIMIT_A
    assert min(site.drawn()[:2]) > MOST_A / 2 - 1.0


def test_without_a_meter_the_limit_is_one_on_charging() -> None:
    tree = topology(100.0, 1)
    root = replace(tree.root, asymmetry_a=LIMIT_A, meter=None)
    site = VirtualSite(Topology((root,), tree.stations))
    site.base = lambda _s: (14.0, 4.0, 4.0)
    site.connect()
    site.run(100)
    site.plug("CP-1", Car(phases=1))
    site.run(120)
    assert site.drawn() == [MOST_A]


def test_people_see_the_limit_and_what_is_measured() -> None:
    site, _ = balanced(1)
    plug_all(site, 1)
    site.run(120)
    (grid,) = snapshot(site.controller, site.now).nodes
    assert (grid.asymmetry_limit_a, grid.asymmetry_a) == (LIMIT_A, MOST_A)
    assert grid.asymmetry_cars_a == (MOST_A, 0.0, 0.0)
    assert grid.asymmetry_worst_excess_a == 0.0


CARS = st.builds(
    Car,
    phases=st.sampled_from([1, 2, 3]),
    max_a=st.sampled_from([10.0, 16.0, 32.0]),
    obey_s=st.sampled_from([0.5, 3.0, 8.0]),
)
ACTIONS = ("plug", "plug", "plug", "unplug", "swap_at_once", "lose", "back", "rest", "resume", "run", "pause", "free")


@pytest.mark.requirement("LC-112")
@settings(max_examples=8 * EFFORT, deadline=None, derandomize=EFFORT == 1, suppress_health_check=[HealthCheck.too_slow])
@given(
    stations=st.integers(2, 6),
    rotations=st.lists(st.sampled_from(ROTATIONS), min_size=1, max_size=6),
    base_a=st.sampled_from([(5.0, 5.0, 5.0), (0.0, 9.0, 3.0)]),
    timeline=st.lists(
        st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5), CARS, st.integers(1, 60)), min_size=4, max_size=12
    ),
)
def test_no_cars_coming_going_or_resting_makes_the_phases_differ_by_more(
    stations: int, rotations: list[str], base_a: tuple[float, float, float], timeline: list[Any]
) -> None:
    fallback_a = 6.0 if stations <= 3 and base_a[0] == base_a[1] else 0.0
    site, uneven = balanced(stations, rotations=tuple(rotations), fallback_a=fallback_a)
    site.base = lambda _s: base_a
    site.run(5)
    for name in site.stations:
        site.plug(name, Car(phases=1 + len(name) % 3))
    site.run(60)
    for step in timeline:
        note(f"{site.now.monotonic_s}: {step}")
        perform(site, step)
        assert uneven.worst_a <= LIMIT_A + 1e-6
    assert balance_id(GRID) in site.controller.balances
