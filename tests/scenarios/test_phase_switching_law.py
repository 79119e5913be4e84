"""Whatever phase a station takes: no fuse and no limit in watts is exceeded by a switch, and no car is switched in a hurry.

Random sites of stations that switch phases: some say on which one (as the site file does), some take the one they are told,
some do not say, some only claim that they can. The building's load is steady, so that no limit is ever exceeded at all.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo, Limit
from local_controller.site.phase_switch import PAUSE_S, ROOM_S
from local_controller.station.words import Phase, PhaseSwitching
from tests.effort import EFFORT
from tests.scenarios.site_events import perform
from tests.scenarios.test_site_law import CARS, SLACK, excess, excess_w
from tests.site.virtual_site import STEP_S, VirtualSite, topology

ROTATIONS = ("RST", "STR", "TRS", "RTS", "SRT", "TSR", "R")
CALM_S = 90.0
"""By then whoever came has been told, and whoever was lost is at its fallback, or back."""


@st.composite
def switching_sites(draw: st.DrawFn) -> VirtualSite:
    """Stations with contactors; the building may load one phase more than another."""
    stations = draw(st.integers(1, 3))
    base_a = draw(st.tuples(*[st.sampled_from([0.0, 4.0, 9.0])] * 3))
    fuse_a = max(base_a) + 6.0 * stations + 1.0 + draw(st.floats(0.0, 20.0))
    rotations = tuple(draw(st.lists(st.sampled_from(ROTATIONS), min_size=1, max_size=3)))
    phases = sum(len(rotations[n % len(rotations)]) for n in range(stations))
    contract_w = (sum(base_a) + 3.0 + 6.0 * phases + draw(st.floats(0.0, 20.0))) * 253.0
    contract = Limit("grid", None, AppliesTo.TOTAL, "contract", power_w=contract_w)
    source = LimitSource("ems", "EMS limit", "grid", AppliesTo.CHARGING, (fuse_a,) * 3)
    site = VirtualSite(
        topology(fuse_a, stations, base_a=max(base_a), rotations=rotations), (source,), fixed=(contract,)
    )
    site.base, site.shows_volts = (lambda _s: base_a), draw(st.booleans())
    for station in site.stations.values():
        station.answer_s, station.sample_s = draw(st.sampled_from([0.5, 3.0])), draw(st.sampled_from([5.0, 10.0, 60.0]))
        station.one_phase = draw(st.integers(1, 3))
        station.switching, station.ignores_phases = draw(_habits(station.one_phase))
    return site


def _habits(one_phase: int) -> st.SearchStrategy[tuple[PhaseSwitching, bool]]:
    """What it says of itself, and whether that is a lie: nobody vouches for a liar."""
    said = [*Phase][one_phase - 1]
    return st.sampled_from(
        [
            (PhaseSwitching(is_able=True, one_phase=said), False),
            (PhaseSwitching(is_able=True, one_phase=said, takes_phase=True), False),
            (PhaseSwitching(is_able=True), False),
            (PhaseSwitching(is_able=True, takes_phase=True), False),
            (PhaseSwitching(is_able=True), True),
            (PhaseSwitching(is_able=True, takes_phase=True), True),
        ]
    )


def steps() -> st.SearchStrategy[list[Any]]:
    """Sun and clouds for minutes, with people and losses between them."""
    sun = st.tuples(
        st.just("sun"), st.sampled_from([1_000.0, 1_900.0, 3_000.0, 4_500.0, 9_000.0]), st.integers(60, 900)
    )
    actions = ("plug", "plug", "unplug", "swap_at_once", "lose", "back", "reboot", "rest", "resume", "run")
    other = st.tuples(st.sampled_from(actions), st.integers(0, 2), CARS, st.integers(1, 120))
    return st.lists(sun | sun | other, min_size=4, max_size=12)


class Sun:
    """What may be drawn in watts. worst_a: by how much cars took more a minute and a half after all trouble, so a switch."""

    def __init__(self, site: VirtualSite) -> None:
        self.power_w = 9_000.0
        self.calm_since_s = site.now.monotonic_s
        self.worst_a = 0.0
        site.on_step.append(self.look)

    def look(self, site: VirtualSite) -> None:
        now_s = site.now.monotonic_s
        if now_s % 30.0 == 0.0:
            site.announce("ems", None, 120.0, power_w=self.power_w)
        if not all(station.connected for station in site.stations.values()):
            self.calm_since_s = now_s
        if now_s - self.calm_since_s >= CALM_S:
            cars_a = sum(site.flow("grid")) - sum(site.base(0.0))
            self.worst_a = max(self.worst_a, cars_a - self.power_w / site.volts_v)

    def shines(self, site: VirtualSite, power_w: float, seconds: int) -> None:
        self.power_w, self.calm_since_s = power_w, site.now.monotonic_s
        site.run(seconds)


@pytest.mark.requirement("LC-107", "LC-110", "LC-112")
@settings(SLACK, max_examples=4 * EFFORT)
@given(site=switching_sites(), cars=st.lists(CARS, min_size=1, max_size=3), timeline=steps())
def test_no_switch_exceeds_anything_and_none_is_hasty(site: VirtualSite, cars: list[Any], timeline: list[Any]) -> None:
    sun = Sun(site)
    site.connect()
    site.run(15)
    for name, car in zip(site.stations, cars, strict=False):
        site.plug(name, car)
    for step in timeline:
        note(f"{site.now.monotonic_s}: {step}")
        if step[0] == "sun":
            sun.shines(site, *step[1:])
        else:
            sun.calm_since_s = site.now.monotonic_s
            perform(site, step)
        assert max(excess(site).values()) <= 1e-6, excess(site)
        assert excess_w(site) <= 1e-6
        assert sun.worst_a <= 1e-6
    for station in site.stations.values():
        assert all(pause_s >= PAUSE_S - STEP_S for pause_s in station.pauses), station.pauses
        back = [b[0] - a[0] for a, b in pairwise(station.moved) if a[2] and b[2] and b[1] > 1]
        assert all(after_s >= ROOM_S for after_s in back), station.moved
