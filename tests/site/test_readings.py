"""Does a reading that contradicts physics get caught, and an honest one pass?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.site.per_phase import PerPhase
from local_controller.site.readings import Doubt, MeterReading, implausible

NOW = Instant(0.0, datetime(2026, 11, 22, tzinfo=UTC))
HONEST = MeterReading(
    meter="grid",
    asked_at=NOW,
    current_a=(10.0, -20.0, 30.0),
    voltage_v=(230.0, 231.0, 229.0),
    power_w=4_500.0,
    phase_power_w=(2_250.0, -4_600.0, 6_850.0),
)


def test_an_honest_reading_has_no_finding() -> None:
    assert implausible(HONEST) == []


def test_absent_values_are_not_judged() -> None:
    assert implausible(MeterReading("grid", NOW, (10.0, 10.0, 10.0))) == []


@pytest.mark.parametrize(
    ("reading", "doubt", "text"),
    [
        (replace(HONEST, voltage_v=(230.0, 179.0, 230.0)), Doubt.VOLTAGE, "L2 has 179 V, expected 180 to 270 V"),
        (replace(HONEST, voltage_v=(230.0, 230.0, 398.0)), Doubt.VOLTAGE, "L3 has 398 V"),
        (replace(HONEST, power_w=4_700.0), Doubt.TOTAL_POWER, "phases add up to 4500 W, the total says 4700 W"),
        (
            replace(HONEST, phase_power_w=(2_250.0, -5_000.0, 6_850.0), power_w=4_100.0),
            Doubt.APPARENT_POWER,
            "L2 has -5000 W at 231 V and -20 A",
        ),
    ],
)
def test_a_contradiction_is_named(reading: MeterReading, doubt: Doubt, text: str) -> None:
    findings = [finding for finding in implausible(reading) if finding.doubt is doubt]
    assert len(findings) == 1
    assert text in str(findings[0])


def test_a_meter_on_one_phase_is_plausible() -> None:
    reading = replace(
        HONEST,
        current_a=(10.0, 0.0, 0.0),
        voltage_v=(230.0, 0.3, 0.0),
        phase_power_w=(2_300.0, 0.0, 0.0),
        power_w=2_300.0,
    )
    assert implausible(reading) == []


def test_current_without_voltage_is_a_fault() -> None:
    assert implausible(replace(HONEST, voltage_v=(230.0, 0.0, 230.0)))[0].doubt is Doubt.VOLTAGE


def test_an_image_full_of_zeros_is_no_reading() -> None:
    zero = (0.0, 0.0, 0.0)
    dead = MeterReading("grid", NOW, zero, zero, 0.0, 0.0, zero)
    assert [finding.doubt for finding in implausible(dead)] == [Doubt.VOLTAGE]


def phases(low: float, high: float) -> st.SearchStrategy[PerPhase]:
    return st.tuples(st.floats(low, high), st.floats(low, high), st.floats(low, high))


@given(voltage_v=phases(180, 270), current_a=phases(-1000, 1000), power_factor=phases(0, 1))
def test_whatever_a_real_meter_can_measure_passes(
    voltage_v: PerPhase, current_a: PerPhase, power_factor: PerPhase
) -> None:
    l1, l2, l3 = (v * i * pf for v, i, pf in zip(voltage_v, current_a, power_factor, strict=True))
    reading = MeterReading("grid", NOW, current_a, voltage_v, l1 + l2 + l3, None, (l1, l2, l3))
    assert implausible(reading) == []
