"""What may be asked? Wrong data is refused with its name; the horizon follows the clock; asking is cheap."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.problem import ChargingNeed, CircuitLimit, Horizon, Problem, variable_horizon
from tests.optimizer.samples import car, garage

NEED: dict[str, Any] = {"id": "CP-1", "circuits": ("garage",), "phases": (0,)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"phases": ()},
        {"phases": (0, 0)},
        {"phases": (3,)},
        {"circuits": ("garage", "garage")},
        {"min_a": -6.0},
        {"max_a": float("inf")},
        {"step_a": 0.0},
        {"voltage_v": float("nan")},
        {"energy_wh": -1.0},
        {"departure_s": float("nan")},
        {"ceiling_a": (-1.0,)},
        {"present_a": -1.0},
    ],
)
def test_a_wrong_field_of_a_need_is_named_with_its_owner(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"ChargingNeed 'CP-1': {next(iter(wrong))} must be "):
        ChargingNeed(**NEED | wrong)


@pytest.mark.parametrize("edges", [(), (0.0,), (1.0, 2.0), (0.0, 2.0, 2.0), (0.0, float("inf"))])
def test_a_horizon_starts_now_and_ascends(edges: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="Horizon: edges_s must be "):
        Horizon(edges)


def test_a_limit_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="CircuitLimit 'roof': available_a must be "):
        CircuitLimit("roof", "Roof", ((10.0, float("nan"), 10.0),))


def test_parts_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Problem: needs must be of different ids, is \['CP-1'\]"):
        garage(car("CP-1"), car("CP-1"))
    with pytest.raises(ValueError, match="ChargingNeed 'CP-1': circuits must be ids"):
        garage(ChargingNeed("CP-1", ("cellar",), (0,)))
    with pytest.raises(ValueError, match="ChargingNeed 'CP-1': ceiling_a must be 4 blocks, is 1"):
        garage(ChargingNeed("CP-1", ("garage",), (0,), ceiling_a=(16.0,)))
    with pytest.raises(ValueError, match="CircuitLimit 'garage': available_a must be 4 blocks, is 2"):
        garage(available_a=(63.0, 63.0))
    limit = CircuitLimit("roof", "Roof", ((1.0, 1.0, 1.0),))
    with pytest.raises(ValueError, match=r"Problem: circuits must be of different ids, is \['roof'\]"):
        Problem(Horizon((0.0, 60.0)), (limit, limit), ())


@given(st.floats(0, 86_400))
def test_the_horizon_is_fine_near_coarse_far_and_follows_the_clock(now_s: float) -> None:
    horizon = variable_horizon(now_s)
    edges = horizon.edges_s
    assert horizon.blocks == 20
    for index, edge in enumerate(edges[1:], 1):
        width_s = 300 if index <= 3 else 900 if index <= 7 else 1800 if index <= 11 else 3600
        assert (edge + now_s) % width_s == pytest.approx(0, abs=1e-6) or (edge + now_s) % width_s > width_s - 1e-6
        assert width_s / 2 - 1e-6 <= edge - edges[index - 1] <= width_s * 1.5 + 1e-6
    assert edges[-1] == pytest.approx(12 * 3600, abs=3600)


def test_stating_a_problem_loads_no_numerics_and_sharing_no_solver() -> None:
    program = (
        "import sys, optimizer.problem\n"
        "assert not {'numpy', 'highspy'} & set(sys.modules)\n"
        "import optimizer.share, optimizer.check, optimizer.program\n"
        "assert 'highspy' not in sys.modules and not any(name.startswith('local_controller') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
