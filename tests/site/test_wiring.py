"""Grids and their voltages, and what a meter says in them."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from local_controller.clock import Instant
from local_controller.site.base_load import BaseLoad
from local_controller.site.readings import MeterReading, implausible
from local_controller.site.topology import Evse
from local_controller.site.wiring import STAR, Grid, GridSystem
from local_controller.station.words import EvseId, Phase

NOW = Instant(100.0, datetime(2026, 3, 2, 8, 0, tzinfo=UTC))
SPLIT = Grid(GridSystem.SPLIT_PHASE, 120.0)
DELTA = Grid(GridSystem.LINE_TO_LINE, 230.0)
WYE_208 = Grid(GridSystem.THREE_PHASE_WYE, 120.0)
SINGLE = Grid(GridSystem.SINGLE_PHASE, 230.0)


def reading(*volts: float, amps: tuple[float, float, float] = (10.0, 10.0, 10.0)) -> MeterReading:
    l1, l2, l3 = volts
    return MeterReading("m", NOW, amps, (l1, l2, l3))


@pytest.mark.parametrize(
    ("grid", "line_v", "between_v"),
    [(STAR, 230.0, 398.4), (SPLIT, 120.0, 240.0), (WYE_208, 120.0, 207.8), (DELTA, 132.8, 230.0)],
)
def test_the_voltages_of_a_grid(grid: Grid, line_v: float, between_v: float) -> None:
    assert (round(grid.line_v, 1), round(grid.between_v, 1)) == (line_v, between_v)


def test_one_line_has_no_second_one() -> None:
    with pytest.raises(ValueError, match="no second line"):
        _ = SINGLE.between_v


@pytest.mark.parametrize(
    ("grid", "volts", "expected"),
    [
        (SPLIT, (121.0, 119.0, 0.0), ""),
        (SPLIT, (230.0, 230.0, 230.0), "94 to 141 V"),
        (STAR, (121.0, 119.0, 120.0), "180 to 270 V"),
        (DELTA, (231.0, 229.0, 230.0), ""),
        (DELTA, (133.0, 132.0, 133.0), ""),
        (DELTA, (60.0, 60.0, 60.0), "180 to 270 V or 104 to 156 V"),
    ],
)
def test_voltages_are_judged_by_those_of_the_grid(grid: Grid, volts: tuple[float, ...], expected: str) -> None:
    amps = (10.0, 10.0, 0.0) if grid is SPLIT else (10.0, 10.0, 10.0)
    found = [finding.text for finding in implausible(reading(*volts, amps=amps), grid.shown_v)]
    assert all(text.endswith(f"expected {expected}") for text in found)
    assert bool(found) == bool(expected)


def test_what_a_meter_shows_on_a_line_that_there_is_not_counts_for_nothing() -> None:
    """Its third transformer may be on the neutral conductor."""
    seen = SPLIT.read(reading(121.0, 119.0, 0.0, amps=(30.0, 20.0, 10.0)))
    assert seen.current_a == (30.0, 20.0, 0.0)
    assert seen.voltage_v == (121.0, 119.0, 121.0)
    assert SINGLE.read(reading(231.0, 0.0, 0.0, amps=(30.0, 1.0, 1.0))).current_a == (30.0, 0.0, 0.0)


def test_voltages_between_lines_are_read_as_to_the_middle() -> None:
    between, to_middle = DELTA.read(reading(230.0, 240.0, 220.0)), DELTA.read(reading(133.0, 138.0, 127.0))
    assert between.voltage_v == pytest.approx([v / math.sqrt(3) for v in (230.0, 240.0, 220.0)])
    assert to_middle.voltage_v == (133.0, 138.0, 127.0)
    assert STAR.read(reading(230.0, 240.0, 220.0)).voltage_v == (230.0, 240.0, 220.0)


@pytest.mark.parametrize(
    ("powers_w", "power_w", "shown_a"),
    [
        ((-200.0, 0.0, 6_900.0), None, (30.0, 20.0, 30.0)),
        ((-4_000.0, 0.0, -2_500.0), None, (-30.0, 20.0, -30.0)),
        (None, -6_500.0, (-30.0, 20.0, -30.0)),
        (None, 6_700.0, (30.0, 20.0, 30.0)),
        (None, None, (30.0, 20.0, 30.0)),
    ],
    ids=["a motor", "all feed in", "in all fed in", "in all drawn", "nothing told"],
)
def test_without_neutral_the_sign_of_one_line_says_nothing(
    powers_w: tuple[float, float, float] | None, power_w: float | None, shown_a: tuple[float, float, float]
) -> None:
    """A motor between L1 and L3 with a power factor of 0.85: one of the two wattmeters turns backwards."""
    told = replace(
        reading(230.0, 230.0, 230.0), current_a=(-30.0, 20.0, -30.0), power_w=power_w, phase_power_w=powers_w
    )
    assert DELTA.read(told).current_a == shown_a
    assert STAR.read(told).current_a == (-30.0, 20.0, -30.0)


def test_between_two_lines_flows_one_current() -> None:
    evse = Evse(EvseId("CP", 1), "grid", (1, 2), is_between=True)
    assert evse.station_phases == (Phase.L1,)
    assert evse.on_grid({Phase.L1: 20.0}) == (0.0, 20.0, 20.0)
    assert evse.on_grid({Phase.L1: 20.0, Phase.L2: 19.9, Phase.L3: 0.0}) == (0.0, 20.0, 20.0)
    assert evse.on_grid({}) == (0.0, 0.0, 0.0)
    assert (evse.behind([Phase.L1]), evse.behind([])) == ({1, 2}, frozenset())
    assert Evse(EvseId("CP", 1), "grid", (1, 2, 0)).behind([Phase.L1, Phase.L3]) == {1, 0}


def test_less_than_cars_draw_is_a_gain_as_far_as_angles_explain_it() -> None:
    """30 A and 30 A of two pairs: 52 A on their line. Where 40 A are seen something feeds in."""
    gain_a = (8.0, 0.0, 0.0)
    seen, fed_in = BaseLoad(0.7), BaseLoad(0.7)
    assert seen.update((52.0, 30.0, 30.0), (60.0, 30.0, 30.0), (60.0, 30.0, 30.0), NOW, gain_a=gain_a)[0] == -8.0
    assert not seen.fed_in(NOW)
    assert fed_in.update((40.0, 30.0, 30.0), (60.0, 30.0, 30.0), (60.0, 30.0, 30.0), NOW, gain_a=gain_a)[0] == -8.0
    assert fed_in.fed_in(NOW) == (0,)
