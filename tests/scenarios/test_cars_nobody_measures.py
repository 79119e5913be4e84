"""What is kept free for a car whose station sends no meter values? Its word is no proof, but the meter of a fuse sees what it draws."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo
from local_controller.site.overload import STOP_S
from local_controller.site.topology import FuseType, Topology
from tests.effort import EFFORT
from tests.scenarios.site_events import csms_allows
from tests.scenarios.site_soak import HIGH_S, Judge
from tests.site.virtual_site import Car, VirtualSite, VirtualStation, topology

LONG_S = 5000
SLOWEST: Final = {"limited_to": 1.0, "fallback_a": 8.0, "answer_s": 7.5, "obey_s": 8.0}
SLACK = settings(deadline=None, derandomize=EFFORT == 1, suppress_health_check=[HealthCheck.too_slow])


def begun(tree: Topology, limit_a: float, *mute: str, poll_s: float = 1.0) -> VirtualSite:
    """A site with a limit, where every station has a car. mute: the stations that never measure. poll_s: between readings."""
    ems = LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, (limit_a,) * 3)
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
    """13 A are left, for either of two cars. 5 A were left to the other one, as 8 A were kept for the paused one."""
    seen = drawn_over(begun(falling_back_to(8.0, topology(40.0, 2)), 14.0, "CP-2"), LONG_S)
    charged = {name: sum(a > 0 for a in amperes) / len(amperes) for name, amperes in seen.items()}
    assert min(charged.values()) > 0.4
    assert max(seen["CP-1"]) == pytest.approx(13.0, abs=0.1)


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
