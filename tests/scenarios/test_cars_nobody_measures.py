"""What is kept free for a car whose station sends no meter values? Its word is no proof, but the meter of a fuse sees what it draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from local_controller.site.capacity import capacity
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo
from local_controller.site.overload import STOP_S
from local_controller.site.per_phase import minus
from local_controller.site.topology import FuseType, Topology
from local_controller.site.wiring import Grid, GridSystem
from tests.effort import EFFORT
from tests.scenarios.site_events import csms_allows
from tests.scenarios.site_soak import HIGH_S, Judge
from tests.site.virtual_site import STEP_S, Car, VirtualSite, VirtualStation, topology

LONG_S = 5000
SLOWEST: Final = {"limited_to": 1.0, "fallback_a": 8.0, "answer_s": 7.5, "obey_s": 8.0}
SLACK = settings(deadline=None, derandomize=EFFORT == 1, suppress_health_check=[HealthCheck.too_slow])


def begun(tree: Topology, limit_a: float, *mute: str, poll_s: float = 1.0) -> VirtualSite:
    """A site with a limit, where every station has a car. mute: the stations that never measure. poll_s: between readings."""
    return limited(tree, LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, (limit_a,) * 3), *mute, poll_s=poll_s)


def limited(tree: Topology, ems: LimitSource, *mute: str, poll_s: float = 1.0) -> VirtualSite:
    """The same for any limit."""
    site = VirtualSite(tree, (ems,), poll_s=poll_s)
    site.connect()
    site.run(15)
    for name in mute:
        site.stations[name].silent_meter = True
    for name in site.stations:
        site.plug(name)
    return site


def falling_back_to(fallback_a: float, tree: Topology) -> Topology:
    stations = (replace(s, evses=tuple(replace(e, fallback_a=fallback_a) for e in s.evses)) for s in tree.stations)
    return replace(tree, stations=tuple(stations))


def protected_by(fuse: FuseType, tree: Topology) -> Topology:
    return replace(tree, nodes=tuple(replace(node, fuse_type=fuse) for node in tree.nodes))


def loses_its_limit(station: VirtualStation, site: VirtualSite) -> None:
    """It says yes to what it is told, and is at its fallback."""
    site.on_step.append(lambda _: setattr(station, "working", None))


def draws_a(station: VirtualStation) -> float:
    return max(station.draw_a().values())


def drawn_over(site: VirtualSite, seconds: float) -> dict[str, list[float]]:
    """What flows at each station in each half second."""
    seen: dict[str, list[float]] = {name: [] for name in site.stations}
    site.on_step.append(lambda now: [seen[name].append(draws_a(one)) for name, one in now.stations.items()])
    site.run(seconds)
    return seen


@pytest.mark.requirement("LC-110")
def test_a_paused_car_that_nobody_measures_keeps_nobody_waiting_where_the_meter_of_the_fuse_would_see_it() -> None:
    """11.5 A are left, for either of two cars. 3.5 A were left to the other one, as 8 A were kept for the paused one."""
    seen = drawn_over(begun(falling_back_to(8.0, topology(40.0, 2)), 12.5, "CP-2"), LONG_S)
    charged = {name: sum(a > 0 for a in amperes) / len(amperes) for name, amperes in seen.items()}
    assert min(charged.values()) > 0.4
    assert max(seen["CP-1"]) == pytest.approx(11.5, abs=0.1)


def test_behind_a_fuse_without_a_meter_what_it_falls_back_to_is_kept_for_it() -> None:
    """It says yes to 0 A and charges on; 11 A were given to the other one, behind 12 A, when what it had been told had run out."""
    site = begun(topology(40.0, 2, circuits={"west": 12.0}), 40.0, "CP-2")
    site.run(30)
    site.stations["CP-2"].liar = True
    site.run(LONG_S)
    assert max(site.worst["west"]) <= 12.0


def test_nobody_is_paused_for_a_car_that_has_no_chance_beside_what_is_kept() -> None:
    """Of 11 A behind a fuse without a meter 6 A are kept, be they drawn or not: to pause that car gives nothing to the other one."""
    seen = drawn_over(begun(topology(40.0, 2, circuits={"west": 12.0}), 40.0, "CP-2"), LONG_S)
    assert sum(a > 0 for a in seen["CP-2"]) > 0.95 * len(seen["CP-2"])


def in_watts(limit_a: float, applies_to: AppliesTo) -> LimitSource:
    """So many amperes for cars on one phase each."""
    return LimitSource("ems", "EMS limit", "grid", applies_to, None, fallback_w=limit_a * 253.0)


def on_one_phase(fuse_a: float, stations: int = 2) -> Topology:
    return topology(fuse_a, stations, rotations=("R",))


def part_of_time(site: VirtualSite, seconds: float) -> dict[str, float]:
    """In which each car charges, after its station was found not to measure."""
    site.run(250)
    return {name: sum(a > 0 for a in seen) / len(seen) for name, seen in drawn_over(site, seconds).items()}


@pytest.mark.requirement("LC-110")
@pytest.mark.parametrize(
    "ems",
    [
        LimitSource("ems", "EMS limit", "grid", AppliesTo.CHARGING, (11.0,) * 3),
        in_watts(11.0, AppliesTo.CHARGING),
        in_watts(14.0, AppliesTo.TOTAL),
    ],
)
def test_nobody_is_paused_for_a_car_that_has_no_chance_below_such_a_limit_either(ems: LimitSource) -> None:
    """11 A for two cars: it was paused in every second round, and the other one could not begin; of the third limit nobody had anything."""
    parts = part_of_time(limited(on_one_phase(40.0), ems, "CP-2"), 1500)
    assert parts["CP-2"] > 0.95
    assert parts["CP-1"] == 0.0


@pytest.mark.requirement("LC-110")
def test_a_car_that_nobody_measures_does_not_make_room_for_its_own_draw() -> None:
    """9 A are left, the meter shows 6 A: that is the car itself, and no other load beside which its 6 A have no room."""
    assert part_of_time(begun(topology(40.0, 1), 10.0, "CP-1"), 900)["CP-1"] == 1.0
    assert part_of_time(begun(on_one_phase(10.0, 1), 10.0, "CP-1"), 900)["CP-1"] == 1.0


@pytest.mark.requirement("LC-110")
def test_what_a_car_draws_that_nobody_measures_counts_once_where_the_fuse_bears_that_it_is_another_load() -> None:
    """12 A are enough for both: they took turns, because 18 A were thought to be drawn."""
    parts = part_of_time(begun(topology(40.0, 2), 13.5, "CP-2"), 900)
    assert min(parts.values()) == 1.0


@pytest.mark.requirement("LC-110")
def test_whoever_has_a_chance_only_now_and_then_is_not_started_each_time() -> None:
    """An oven that heats every 40 s leaves 6.7 A, or 5.3 A: the measured car was started 18 times within 25 minutes."""
    site = begun(topology(40.0, 2), 14.0, "CP-2")
    site.run(200)
    site.base = lambda s: ((6.3, 7.7)[int(s) // 40 % 2],) * 3
    for amperes in drawn_over(site, 1500).values():
        assert sum(before == 0 < now for before, now in pairwise(amperes)) <= 1500 / 300 + 1


def test_where_something_feeds_in_the_assumed_other_loads_are_not_taken_for_such_a_car() -> None:
    """7 A are assumed, of which the roof hides what it likes: what the meter shows beyond the measured car says nothing of them."""
    site = begun(topology(40.0, 2, base_a=7.0), 40.0, "CP-2")
    site.stations["CP-1"].car = Car(max_a=16.0)
    site.run(300)
    others_a: list[float] = []
    for sun_a in (-10.0, -3.0):
        site.base = lambda _s, now_a=sun_a: (now_a,) * 3
        site.run(20)
        grid = capacity(site.controller.nodes["grid"], site.controller.book, site.now)
        others_a += minus(grid.base_a, grid.unheard_a)
    assert min(others_a) == 7.0


@pytest.mark.requirement("LC-110")
def test_both_have_their_turns_where_the_fuse_bears_less() -> None:
    """11.9 A are left, and 3.7 A of its fallback kept beside another car; it was stopped as soon as the meter saw it, and had 3 % of the time."""
    parts = part_of_time(begun(topology(12.9, 2), 40.0, "CP-2"), 4800)
    assert min(parts.values()) > 0.4


def loses_its_link(site: VirtualSite) -> None:
    site.disconnect("CP-2")
    site.run(5)
    site.connect("CP-2", boot=False)


@pytest.mark.requirement("LC-110")
@pytest.mark.parametrize("happens", [loses_its_link, VirtualSite.restart])
def test_both_still_have_their_turns_when_such_a_car_was_lost_or_found_while_it_charged(
    happens: Callable[[VirtualSite], object],
) -> None:
    """Its 6 A were taken for other loads from then on, for good: 3.5 A of 13 A were left, and the other car never had a turn again."""
    site = begun(topology(14.0, 2), 40.0, "CP-2")
    site.run(250)
    while not draws_a(site.stations["CP-2"]):
        site.run(STEP_S)
    site.run(20)
    happens(site)
    assert min(part_of_time(site, 2600).values()) > 0.3


@pytest.mark.requirement("LC-110")
@pytest.mark.parametrize("applies_to", AppliesTo)
@pytest.mark.parametrize("silent_s", [0.0, 300.0])
def test_cars_that_nobody_measures_have_their_turns_below_a_limit_in_watts(
    applies_to: AppliesTo, silent_s: float
) -> None:
    """The limit falls, and the fuse's meter falls silent with it: two of three cars fit. Nobody charged again, though all were told 0 A.

    What is kept for all three is more than there is; so much one of them may have nevertheless, as it is its own. The other
    one is lowered before.
    """
    ems = LimitSource("ems", "EMS limit", "grid", applies_to, (63.0,) * 3)
    site = limited(topology(63.0, 3), ems, "CP-1", "CP-2", "CP-3")
    others_a = 5.0 if applies_to is AppliesTo.TOTAL else 0.0
    site.base = lambda _s: (others_a,) * 3
    site.run(300)
    site.go_blind(silent_s)
    fell_to_w = (2 * 6.0 + others_a + 4.0) * 3 * 230.0
    site.announce("ems", None, 30_000.0, power_w=fell_to_w)
    site.run(silent_s + 60)
    drawn_w: list[float] = []
    site.on_step.append(lambda now: drawn_w.append(sum(now.flow("grid")) * 230.0))
    seen = drawn_over(site, 3000)
    assert min(sum(a > 0 for a in amperes) / len(amperes) for amperes in seen.values()) > 0.4
    assert max(drawn_w) <= fell_to_w
    assert sum(map(sum, seen.values())) > 0.95 * 12.0 * len(drawn_w)


@pytest.mark.requirement("LC-110")
def test_both_have_their_turns_where_currents_are_out_of_phase() -> None:
    """What a car drew when it was measured last was thought to be given up, and its draw to be other loads: it had all the time."""
    grid = Grid(GridSystem.LINE_TO_LINE, 230.0)
    assert min(part_of_time(begun(topology(40.0, 2, rotations=("R-S",), grid=grid), 16.0, "CP-2"), 2600).values()) > 0.3


@pytest.mark.requirement("LC-107", "LC-110")
@settings(SLACK, max_examples=4 * EFFORT)
@given(
    fuse=st.sampled_from(FuseType),
    rating_a=st.floats(20.0, 60.0),
    oven_a=st.floats(0.0, 8.0),
    mute=st.integers(1, 2),
    silent_s=st.sampled_from([0.0, 9.0, 100.0]),
)
@example(fuse=FuseType.SLS_E, rating_a=26.0, oven_a=6.0, mute=1, silent_s=100.0)
@example(fuse=FuseType.MCB, rating_a=26.0, oven_a=8.0, mute=2, silent_s=100.0)
def test_law_an_oven_that_is_taken_for_a_car_that_nobody_measures_is_borne_when_the_car_begins(
    fuse: FuseType, rating_a: float, oven_a: float, mute: int, silent_s: float
) -> None:
    """A car rests, the building takes more, which may be the car; others have the rest, and then the car goes on."""
    silent = [f"CP-{number}" for number in range(2, 2 + mute)]
    site = begun(protected_by(fuse, topology(rating_a, 1 + mute)), rating_a, *silent)
    judge = Judge(site)
    site.on_step.append(judge.look)
    for station in site.stations.values():
        station.answer_s, station.sample_s, station.car = 7.5, 60.0, Car(phases=3, obey_s=8.0)
    site.run(300)
    cars = [site.stations[name].car for name in silent]
    for car in cars:
        car.paused = True
    site.run(30)
    site.base = lambda _s: (oven_a,) * 3
    site.run(150)
    for car in cars:
        car.paused = False
    site.go_blind(silent_s)
    site.run(150)
    assert judge.longest_high_s <= HIGH_S
    assert judge.worst_integral_s <= STOP_S[fuse]
    assert max(site.flow("grid")) <= rating_a


@pytest.mark.requirement("LC-107", "LC-110")
@settings(SLACK, max_examples=8 * EFFORT)
@given(
    fuse=st.sampled_from(FuseType),
    rating_a=st.floats(26.0, 80.0),
    limited_to=st.floats(0.6, 1.0),
    fallback_a=st.sampled_from([6.0, 8.0]),
    mute=st.integers(1, 2),
    answer_s=st.sampled_from([0.5, 7.5]),
    obey_s=st.sampled_from([0.5, 8.0]),
    silent_s=st.sampled_from([0.0, 9.0, 100.0]),
    poll_s=st.sampled_from([1.0, 5.0]),
)
@example(**SLOWEST, fuse=FuseType.MCB, rating_a=26.0, mute=2, silent_s=0.0, poll_s=1.0)
@example(**SLOWEST, fuse=FuseType.SLS_E, rating_a=26.0, mute=1, silent_s=0.0, poll_s=1.0)
@example(**SLOWEST, fuse=FuseType.MCB, rating_a=40.0, mute=2, silent_s=100.0, poll_s=5.0)
@example(**SLOWEST, fuse=FuseType.SLS_E, rating_a=40.0, mute=2, silent_s=100.0, poll_s=5.0)
def test_law_a_car_that_begins_in_spite_of_what_its_station_said_is_borne_by_the_fuse(
    fuse: FuseType,
    rating_a: float,
    limited_to: float,
    fallback_a: float,
    mute: int,
    answer_s: float,
    obey_s: float,
    silent_s: float,
    poll_s: float,
) -> None:
    """The CSMS pauses cars that nobody measures, others take the room, and all of the paused ones begin at once (goal G4).

    silent_s: in that moment the meter of the fuse falls silent for so long.
    """
    limit_a = max(rating_a * limited_to, 3 * fallback_a)
    silent = [f"CP-{number}" for number in range(2, 2 + mute)]
    tree = falling_back_to(fallback_a, protected_by(fuse, topology(rating_a, 1 + mute)))
    site = begun(tree, limit_a, *silent, poll_s=poll_s)
    judge = Judge(site)
    site.on_step.append(judge.look)
    for name, station in site.stations.items():
        station.answer_s, station.sample_s = answer_s, 60.0
        station.car = Car(phases=3, obey_s=obey_s)
        if name in silent:
            csms_allows(site, station, 0.0)
    site.run(400)
    assert [draws_a(site.stations[name]) for name in silent] == [0.0] * mute
    assert draws_a(site.stations["CP-1"]) >= min(32.0, limit_a - 1.0 - mute * fallback_a) - 0.1
    for name in silent:
        loses_its_limit(site.stations[name], site)
    site.go_blind(silent_s)
    site.run(150)
    assert judge.longest_high_s <= HIGH_S
    assert judge.worst_integral_s <= STOP_S[fuse]
    assert max(site.flow("grid")) <= limit_a
