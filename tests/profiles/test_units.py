"""Are amperes and watts converted as the standard says, and on the safe side where a fuse depends on it?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.profiles.units import (
    RateUnit,
    amps_from_watts,
    converted,
    round_down,
    safe_watts_from_amps,
    voltage_for_watts_v,
    watts_from_amps,
)

phases = st.integers(1, 3)
amounts = st.floats(0.0, 1e6)
grid_v = st.floats(207.0, 253.0)


@pytest.mark.requirement("LC-086")
def test_watts_are_the_total_and_amperes_are_per_phase() -> None:
    assert watts_from_amps(16.0, 3, 230.0) == 11040.0
    assert amps_from_watts(3680.0, 1, 230.0) == 16.0
    assert converted(16.0, RateUnit.A, RateUnit.W, phases=1, voltage_v=230.0) == 3680.0
    assert converted(16.0, RateUnit.A, RateUnit.A, phases=1, voltage_v=230.0) == 16.0


@given(amounts, phases, grid_v)
def test_converting_there_and_back_changes_nothing(limit_a: float, n: int, voltage_v: float) -> None:
    assert amps_from_watts(watts_from_amps(limit_a, n, voltage_v), n, voltage_v) == pytest.approx(limit_a)


@given(amounts, phases, grid_v)
def test_amperes_for_a_power_limit_hold_it_at_any_permitted_voltage(limit_w: float, n: int, real_v: float) -> None:
    assert watts_from_amps(amps_from_watts(limit_w, n, voltage_for_watts_v(None)), n, real_v) <= limit_w * (1 + 1e-12)


@given(amounts, phases, grid_v)
def test_watts_for_a_fuse_hold_it_at_any_permitted_voltage(limit_a: float, n: int, real_v: float) -> None:
    assert amps_from_watts(safe_watts_from_amps(limit_a, n), n, real_v) <= limit_a * (1 + 1e-12)


def test_a_measurement_below_the_permitted_band_is_no_evidence_and_one_above_it_is_believed() -> None:
    assert [voltage_for_watts_v(measured_v) for measured_v in (0.0, 140.0, 240.0, 400.0)] == [
        253.0,
        253.0,
        240.0,
        400.0,
    ]


@pytest.mark.parametrize(("n", "voltage_v"), [(0, 230.0), (3, 0.0)])
def test_a_conversion_without_phase_or_voltage_is_refused(n: int, voltage_v: float) -> None:
    with pytest.raises(ValueError, match="needs a phase"):
        amps_from_watts(1000.0, n, voltage_v)


@pytest.mark.requirement("LC-086")
@pytest.mark.parametrize(
    ("limit", "step", "expected"),
    [
        (15.99, 0.1, 15.9),
        (11000 / 690, 0.1, 15.9),
        (0.3, 0.1, 0.3),
        (16.1, 0.1, 16.1),
        (15.9999999999, 1.0, 16.0),
        (15.99999999, 1.0, 15.0),
        (5.999, 6.0, 0.0),
        (0.0, 0.1, 0.0),
    ],
)
def test_rounding_goes_down_but_not_because_of_float_noise(limit: float, step: float, expected: float) -> None:
    assert repr(round_down(limit, step)) == repr(expected)


@given(st.floats(0.0, 1000.0), st.sampled_from([0.1, 0.5, 1.0, 1e-6]))
def test_rounding_down_stays_within_one_step_below(limit: float, step: float) -> None:
    rounded = round_down(limit, step)
    assert limit - step - 2e-9 < rounded <= limit + 2e-9
    assert round_down(rounded, step) == rounded


@given(st.integers(0, 10_000))
def test_a_multiple_is_its_own_rounding(tenths: int) -> None:
    assert round_down(tenths / 10, 0.1) == tenths / 10
    assert round_down(tenths * 0.1, 0.1) == tenths / 10


def test_a_step_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        round_down(1.0, 0.0)
