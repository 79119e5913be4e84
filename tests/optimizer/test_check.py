"""Does the judge see each broken rule? One wrong allocation per rule, and sound ones that look odd."""

from __future__ import annotations

import pytest

from optimizer.check import violations
from optimizer.problem import Allocation, ChargingNeed
from tests.optimizer.samples import garage

CEILING = ChargingNeed(
    "CP-1", ("garage",), (0,), max_a=16.0, step_a=0.5, energy_wh=2000.0, ceiling_a=(16.0, 12.0, 16.0, 16.0)
)
PLAIN = ChargingNeed("CP-2", ("garage",), (0, 1), max_a=80.0)


def allocation(first: tuple[float, ...], second: tuple[float, ...] = (0.0,) * 4) -> Allocation:
    return Allocation({"CP-1": first, "CP-2": second}, "share", 0.0, {})


@pytest.mark.parametrize(
    ("first", "second", "complaint"),
    [
        ((5.5, 0, 0, 0), (0, 0, 0, 0), "CP-1: 5.5 A now is neither 0 nor at least 6.0 A"),
        ((6.2, 0, 0, 0), (0, 0, 0, 0), "CP-1: 6.2 A now is no multiple of 0.5 A"),
        ((0, 0, 17, 0), (0, 0, 0, 0), "CP-1, block 2: 17 A is above its maximum of 16.0 A"),
        ((0, 13, 0, 0), (0, 0, 0, 0), "CP-1, block 1: 13 A is above the CSMS's 12.0 A"),
        ((16, 0, 0, 0), (50, 0, 0, 0), "Garage fuse, L1, block 0: 66.0 A drawn, 63.0 A available"),
        ((0, 0, 0, 0), (0, 0, 0, 64), "Garage fuse, L2, block 3: 64.0 A drawn, 63.0 A available"),
        ((16, 12, 12, 0), (0, 0, 0, 0), "CP-1: 3066.6666666666665 Wh planned, wanted are 2000.0 Wh"),
        ((0, 0, 0), (0, 0, 0, 0), "CP-1: 3 currents for 4 blocks"),
        ((-1, 0, 0, 0), (0, 0, 0, 0), "CP-1: a current that is negative or no number"),
        ((float("nan"), 0, 0, 0), (0, 0, 0, 0), "CP-1: a current that is negative or no number"),
    ],
)
def test_each_broken_rule_is_named(first: tuple[float, ...], second: tuple[float, ...], complaint: str) -> None:
    assert complaint in violations(garage(CEILING, PLAIN), allocation(first, second))


def test_a_missing_and_an_unknown_car_are_named() -> None:
    strange = Allocation({"CP-1": (0.0,) * 4, "CP-9": (0.0,) * 4}, "share", 0.0, {})
    assert violations(garage(CEILING, PLAIN), strange) == [
        "CP-2: no current given",
        "CP-9: a current for nobody's need",
    ]


def test_a_circuit_without_room_may_carry_nothing_and_nothing_is_sound() -> None:
    overloaded = garage(CEILING, PLAIN, available_a=-5.0)
    assert violations(overloaded, allocation((0.0,) * 4)) == []
    assert len(violations(overloaded, allocation((6.0, 0, 0, 0)))) == 1


def test_a_served_car_gets_nothing_and_a_nearly_served_one_at_most_its_minimum() -> None:
    served = ChargingNeed("CP-1", ("garage",), (0,), energy_wh=0.0)
    nearly = ChargingNeed("CP-1", ("garage",), (0,), energy_wh=1.0)
    minimum = Allocation({"CP-1": (6.0, 0, 0, 0)}, "share", 0.0, {})
    more = Allocation({"CP-1": (6.5, 0, 0, 0)}, "share", 0.0, {})
    assert violations(garage(nearly), minimum) == []
    assert len(violations(garage(nearly), more)) == 1
    assert len(violations(garage(served), minimum)) == 1
