"""Does the stories' judge measure what it says?"""

from __future__ import annotations

import cmath
import math

import pytest

from site_simulator.outlet import Outlet, StationSpec
from site_simulator.peer import V16
from site_simulator.vehicle import Vehicle, VehicleSpec
from tests.stories.judge import Judge, Verdict
from tests.stories.phasors import Phasors, lines, voltage_angle


def test_the_longest_run_above_the_rating_counts_and_heat_cools_below_it() -> None:
    judge = Judge(100.0)
    for current_a, seconds in ((120.0, 4.0), (100.0, 1.0), (110.0, 6.0), (50.0, 100.0), (120.0, 1.0)):
        judge.note((current_a, 0.0, 0.0), seconds)
    assert judge.worst_excess_a == 20.0
    assert judge.excess_s == 6.0
    assert judge.integral_s == pytest.approx(4 * 0.44 + 6 * 0.21)


def test_phases_are_not_mixed_up() -> None:
    judge = Judge(100.0)
    judge.note((120.0, 0.0, 0.0), 3.0)
    judge.note((0.0, 120.0, 0.0), 3.0)
    assert judge.excess_s == 3.0
    assert judge.integral_s == pytest.approx(3 * 0.44)


@pytest.mark.parametrize(("seconds", "held"), [(10.0, True), (10.1, False)])
def test_a_story_is_held_when_every_figure_is_within_its_bound(seconds: float, held: bool) -> None:
    judge = Judge(100.0)
    judge.note((101.0, 0.0, 0.0), seconds)
    assert Verdict(1, judge, {"excess_s": 10.0, "integral_s": 20.0}, {}).held is held


def test_of_several_the_worst_of_each_figure_counts() -> None:
    long, high = Judge(100.0), Judge(50.0)
    long.note((101.0, 0.0, 0.0), 30.0)
    high.note((0.0, 60.0, 0.0), 2.0)
    worst = Judge.worst((long, high))
    assert (worst.worst_excess_a, worst.excess_s) == (10.0, 30.0)
    assert worst.integral_s == pytest.approx(2 * 0.44)


def plugged(rotation: str, phases: int, current_a: float) -> Outlet:
    """A station with a car that draws as much as it is said to."""
    outlet = Outlet(StationSpec("CP-1", V16, rotation=rotation))
    outlet.vehicle = Vehicle(VehicleSpec(phases=phases))
    outlet.vehicle.current_a = current_a
    return outlet


def test_three_equal_currents_leave_nothing_for_the_neutral_conductor() -> None:
    phasors = Phasors((5.0, 5.0, 5.0), [plugged("STR", 3, 16.0)])
    phasors.look()
    assert phasors.full_a == pytest.approx(21.0, abs=0.05)
    assert (phasors.asymmetry_a, phasors.neutral_a) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_a_car_is_found_on_the_lines_behind_its_rotation_a_little_behind_its_voltage() -> None:
    currents = lines((10.0, 0.0, 0.0), [plugged("STR", 2, 6.0)])
    assert [abs(current) for current in currents] == pytest.approx([10.0, 6.0, 6.0])
    assert math.cos(cmath.phase(currents[1]) - voltage_angle(1)) == pytest.approx(0.9)
