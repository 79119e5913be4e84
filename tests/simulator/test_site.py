"""Do the currents add up, and is every excess noted?"""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from site_simulator.demo_site import DEMO_SITE
from site_simulator.lines import lengths, phasors
from site_simulator.site import BaseLoad, Excess, Node, Placement, SiteWorld, Step, Wave


def steady(*amperes: float) -> tuple[BaseLoad, BaseLoad, BaseLoad]:
    first, second, third = (BaseLoad(value) for value in amperes)
    return first, second, third


@pytest.mark.parametrize(("rotation", "grid"), [("RST", [1, 2, 3]), ("STR", [3, 1, 2]), ("TRS", [2, 3, 1])])
def test_rotation_puts_each_line_on_its_grid_phase(rotation: str, grid: list[float]) -> None:
    assert lengths(phasors((1, 2, 3), rotation)) == tuple(grid)


def test_a_single_phase_station_loads_one_phase() -> None:
    assert lengths(phasors((16,), "S")) == (0, 16, 0)


@given(st.lists(st.tuples(st.sampled_from(["RST", "RTS", "SRT", "STR", "TRS", "TSR"]), st.floats(0, 32)), max_size=8))
def test_what_flows_below_flows_above(stations: list[tuple[str, float]]) -> None:
    draws = {str(i): (lambda a=a: (a, a / 2, 0.0)) for i, (_, a) in enumerate(stations)}
    placements = [Placement(str(i), "garage", rotation) for i, (rotation, _) in enumerate(stations)]
    nodes = [Node("grid", 100, None, steady(5, 6, 7)), Node("garage", 50, "grid", steady(1, 1, 1))]
    world = SiteWorld(nodes, placements, draws)
    world.advance(0.2)
    garage, grid = world.gauges["garage"].current_a, world.gauges["grid"].current_a
    assert sum(garage) == pytest.approx(3 + sum(1.5 * a for _, a in stations))
    assert grid == pytest.approx([below + own for below, own in zip(garage, (5, 6, 7), strict=True)])


def test_excess_is_measured_per_phase_in_height_length_and_area() -> None:
    current_a = [40.0]
    world = SiteWorld([Node("grid", 50)], [Placement("CP", "grid", "S")], {"CP": lambda: current_a})
    for amperes, seconds in ((40, 10), (60, 3), (45, 1), (55, 5)):
        current_a[0] = amperes
        for _ in range(seconds):
            world.advance(1.0)
    first, second, third = world.gauges["grid"].over_fuse
    assert (second.worst_a, second.longest_s, second.integral_as) == (10, 5, 10 * 3 + 5 * 5)
    assert first == third == Excess()


def test_a_commanded_limit_is_judged_apart_from_the_fuse() -> None:
    world = SiteWorld([Node("grid", 50, None, steady(40, 0, 0))], [], {})
    world.advance(1.0)
    world.command_limit("grid", 30)
    world.advance(1.0)
    world.command_limit("grid", None)
    world.advance(1.0)
    gauge = world.gauges["grid"]
    assert gauge.over_limit[0] == Excess(worst_a=10, longest_s=1, integral_as=10, running_s=1)
    assert gauge.over_fuse[0].worst_a == 0


def test_a_step_may_come_at_once_or_with_a_ramp() -> None:
    assert [Step(10, 20).at(t) for t in (9.9, 10)] == [0, 20]
    assert [Step(10, 20, ramp_s=4).at(t) for t in (10, 12, 14, 99)] == [0, 10, 20, 20]


def test_the_demo_s_base_load_moves_slowly_and_stays_below_its_share() -> None:
    noise = random.Random(1)
    for node in DEMO_SITE.nodes:
        below = [s for s in DEMO_SITE.stations if node.name in {"grid", s.circuit}]
        own = [other for other in DEMO_SITE.nodes if node.name in {"grid", other.name}]
        for phase, letter in enumerate("RST"):
            wired = [s for s in below if letter in s.rotation[: s.phases]]
            loads = [other.loads[phase] for other in own]
            peak_a = max(sum(load.at(t, noise) for load in loads) for t in range(1800))
            assert peak_a + 6 * len(wired) <= node.fuse_a
            assert sum(_steepest(load) for load in loads) <= 0.15


def _steepest(load: BaseLoad) -> float:
    return sum(abs(wave.at(0.01) - wave.at(-0.01)) / 0.02 for wave in _in_phase(load))


def _in_phase(load: BaseLoad) -> list[Wave]:
    return [Wave(m.amplitude_a, m.period_s) for m in load.movements if isinstance(m, Wave)]


def test_the_demo_is_congested_and_varied() -> None:
    wanted_a = sum(min(s.max_a, s.vehicles[0].max_a) for s in DEMO_SITE.stations if s.phases == 3) + 25
    grid = DEMO_SITE.nodes[0]
    assert wanted_a > 1.8 * grid.fuse_a
    assert sorted({s.version for s in DEMO_SITE.stations}) == ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]
    assert {s.vehicles[0].phases for s in DEMO_SITE.stations} == {1, 2, 3}
    assert any(s.obey_delay_s >= 8 for s in DEMO_SITE.stations)
    assert any(s.units == ("W",) for s in DEMO_SITE.stations)
    assert any(not s.takes_station_max for s in DEMO_SITE.stations)
