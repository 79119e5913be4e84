"""Do a meter's powers and its energy counter say the same? A contradiction is told; no reading is dropped for it.

The counter is that of a calibrated meter, the powers are what fuses are guarded by: where both differ, a factor, a ratio of
transformers or the device in the site file is wrong, or readings of a relayed meter stand still for a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from local_controller.clock import Instant
from local_controller.site.effects import Notice
from local_controller.site.readings import MeterReading

WINDOW_S: Final = 900.0
"""A quarter of an hour of powers is compared with what the counter has risen by."""

TOLERANCE: Final = 0.05
"""Of the larger of both; the smallest step of the counter is allowed beside that."""

STEP_WH: Final = 1000.0
"""The step of a counter that has not moved: no counter is coarser."""

GAP_S: Final = 10.0
"""What flowed between two readings so far apart is not known: the comparison begins anew."""


@dataclass(slots=True)
class _Window:
    """Since when energy is added up, what it adds up to, and the smallest step that the counter made."""

    since: Instant
    counter_wh: float
    added_wh: float = 0.0
    step_wh: float | None = None


class EnergyCheck:
    """Looks at all readings of one meter; each contradiction is told once, until both agree again."""

    def __init__(self) -> None:
        self._last: MeterReading | None = None
        self._highest_wh: float | None = None
        self._window: _Window | None = None
        self._told: set[str] = set()

    def look(self, reading: MeterReading) -> list[Notice]:
        """What is wrong by this reading."""
        counter_wh = reading.energy_import_wh
        if counter_wh is None:
            return []
        notices = self._went_back(reading.meter, counter_wh)
        drawn_w = _drawn_w(reading)
        if notices or drawn_w is None:
            self._window = None
        else:
            notices += self._compared(reading, drawn_w, counter_wh)
        self._last = reading
        return notices

    def _went_back(self, meter: str, counter_wh: float) -> list[Notice]:
        """A counter only rises."""
        before_wh, self._highest_wh = self._highest_wh, counter_wh
        if before_wh is None or counter_wh >= before_wh:
            return []
        text = f"its counter of energy went back from {before_wh / 1000:.3f} to {counter_wh / 1000:.3f} kWh: was it exchanged?"
        return self._news("meter_counter_went_back", meter, text)

    def _compared(self, reading: MeterReading, drawn_w: float, counter_wh: float) -> list[Notice]:
        """Adds one reading; at the end of a window, what both say."""
        window, last = self._window, self._last
        last_w = None if last is None else _drawn_w(last)
        if window is None or last is None or last_w is None or reading.asked_at.since(last.asked_at) > GAP_S:
            self._window = _Window(reading.asked_at, counter_wh)
            return []
        window.added_wh += (last_w + drawn_w) / 2 * reading.asked_at.since(last.asked_at) / 3600
        risen_wh = counter_wh - (last.energy_import_wh or 0.0)
        if risen_wh > 0:
            window.step_wh = risen_wh if window.step_wh is None else min(risen_wh, window.step_wh)
        if reading.asked_at.since(window.since) < WINDOW_S:
            return []
        self._window = _Window(reading.asked_at, counter_wh)
        return self._judged(reading.meter, window, counter_wh - window.counter_wh)

    def _judged(self, meter: str, window: _Window, counted_wh: float) -> list[Notice]:
        step_wh = STEP_WH if window.step_wh is None else window.step_wh
        if abs(counted_wh - window.added_wh) <= TOLERANCE * max(counted_wh, window.added_wh) + step_wh:
            self._told.clear()
            return []
        text = (
            f"in a quarter of an hour its powers add up to {window.added_wh / 1000:.2f} kWh, and its counter rose by"
            f" {counted_wh / 1000:.2f} kWh: compare `device` and the ratio of its transformers; its readings count as before"
        )
        return self._news("meter_energy_differs", meter, text)

    def _news(self, code: str, meter: str, text: str) -> list[Notice]:
        if code in self._told:
            return []
        self._told.add(code)
        return [Notice("warning", code, f"meter {meter}: {text}", {"meter": meter})]


def _drawn_w(reading: MeterReading) -> float | None:
    """What an import counter counts; None while a phase feeds in, which some counters take off and others do not."""
    powers_w = reading.phase_power_w
    if powers_w is None or min(powers_w) < 0:
        return None
    return sum(powers_w) if reading.power_w is None else reading.power_w
