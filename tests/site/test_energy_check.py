"""Is a meter whose powers and counter contradict each other told of, once, and no other one?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.site.effects import Notice
from local_controller.site.energy_check import GAP_S, STEP_WH, TOLERANCE, EnergyCheck
from local_controller.site.readings import MeterReading

START = Instant(0.0, datetime(2026, 11, 22, tzinfo=UTC))
READ_S = 5.0
HOUR = int(3600 / READ_S)


def reading(number: int, power_w: float, counter_wh: float | None, feeds_in: float = 0.0) -> MeterReading:
    phases = (power_w / 2 + feeds_in, power_w / 2, -feeds_in)
    return MeterReading("grid", START.after(number * READ_S), (0.0, 0.0, 0.0), None, power_w, counter_wh, phases)


def looked(readings: Iterable[MeterReading]) -> list[Notice]:
    check = EnergyCheck()
    return [notice for one in readings for notice in check.look(one)]


def played(powers_w: list[float], factor: float = 1.0, step_wh: float = 1.0) -> list[MeterReading]:
    """A meter that tells powers by a factor too high, and counts in whole steps what really flows."""
    flowed_wh, readings = 12_345_678.0, []
    for number, power_w in enumerate(powers_w):
        if number:
            flowed_wh += (powers_w[number - 1] + power_w) / 2 * READ_S / 3600
        readings.append(reading(number, power_w * factor, math.floor(flowed_wh / step_wh) * step_wh))
    return readings


LOADS = st.lists(st.floats(0, 100_000), min_size=2, max_size=20).map(
    lambda few: [few[number * len(few) // HOUR] for number in range(HOUR)]
)
STEPS_WH = st.sampled_from([0.1, 1.0, 10.0, 100.0, 1000.0])


@given(powers_w=LOADS, step_wh=STEPS_WH)
def test_law_a_sound_meter_is_never_told_of(powers_w: list[float], step_wh: float) -> None:
    assert looked(played(powers_w, step_wh=step_wh)) == []


@given(
    power_w=st.floats(20_000, 100_000),
    step_wh=st.sampled_from([0.1, 1.0, 10.0, 100.0]),
    factor=st.sampled_from([0.1, 0.8, 1.3, 10]),
)
def test_law_a_wrong_factor_is_told_once(power_w: float, step_wh: float, factor: float) -> None:
    assert abs(factor - 1) > TOLERANCE
    (told,) = looked(played([power_w] * HOUR, factor, step_wh))
    assert (told.level, told.code, told.fields) == ("warning", "meter_energy_differs", {"meter": "grid"})


def test_the_notice_says_both_numbers() -> None:
    (told,) = looked(played([10_000.0] * HOUR, factor=2.0))
    assert told.text == (
        "meter grid: in a quarter of an hour its powers add up to 5.00 kWh, and its counter rose by 2.50 kWh: compare"
        " `device` and the ratio of its transformers; its readings count as before"
    )


def test_a_counter_that_stands_still_is_told_of_as_soon_as_none_is_so_coarse() -> None:
    watts = STEP_WH * 4 * 1.2
    assert [told.code for told in looked(reading(n, watts, 500.0) for n in range(HOUR))] == ["meter_energy_differs"]
    assert looked(reading(n, STEP_WH * 4, 500.0) for n in range(HOUR)) == []


def test_a_counter_that_goes_back_is_told_of_once_until_both_agree_again() -> None:
    def sawtooth(number: int) -> float:
        return 1_000_000.0 + number * 10_000 * READ_S / 3600 - (500.0 if number in {10, 20, 30, HOUR - 1} else 0.0)

    told = looked(reading(n, 10_000.0, sawtooth(n)) for n in range(HOUR))
    assert [one.code for one in told] == ["meter_counter_went_back"] * 2
    assert told[0].text.startswith("meter grid: its counter of energy went back from 1000.125 to 999.639 kWh")


def test_what_is_not_known_is_not_judged() -> None:
    wrong = played([10_000.0] * HOUR, factor=2.0)
    assert looked(reading(n, 10_000.0, None) for n in range(HOUR)) == []
    assert looked(reading(n, 10_000.0, 5.0, feeds_in=500.0) for n in range(HOUR)) == []  # counters disagree on netting
    assert looked(one for n, one in enumerate(wrong) if n % 150 not in {0, 1, 2}) == []  # a gap in each window
    assert 2 * READ_S <= GAP_S < 4 * READ_S


def test_readings_that_are_missed_now_and_then_are_no_gap() -> None:
    assert looked(one for n, one in enumerate(played([10_000.0] * HOUR)) if n % 7) == []
    assert len(looked(one for n, one in enumerate(played([10_000.0] * HOUR, factor=2.0)) if n % 7)) == 1
