"""What do one number for all phases and one for each of L1, L2, L3 (OCPP 2.1) mean together?"""

from __future__ import annotations

import math
from collections.abc import Callable

from local_controller.profiles.context import Context
from local_controller.profiles.schedule import lower
from local_controller.profiles.units import RateUnit

Rates = tuple[float | None, ...]
"""One rate for all phases alike (A of each, or W of all), or three: of L1, L2 and L3. Empty: nothing is said."""


def rates(l1: float | None, l2: float | None, l3: float | None) -> Rates:
    """The rates of a period's fields: without those of L2 and L3 the first is that of all phases."""
    if l2 is None and l3 is None:
        return () if l1 is None else (l1,)
    return (l1, l2, l3)


def in_unit(given: Rates, unit: RateUnit, wanted: RateUnit, phases: int, context: Context) -> Rates:
    """The same in another unit; a rate for all is spread over `phases`, one of a phase is that phase's (K01.FR.50/.51)."""
    if unit is wanted:
        return given
    over = phases if len(given) == 1 else 1
    return tuple(None if rate is None else context.converted(rate, unit, wanted, over) for rate in given)


def whole(given: Rates, unit: RateUnit) -> float | None:
    """One number for all phases: in A what each may carry, so the lowest; in W the total. None if nothing is said."""
    said = [rate for rate in given if rate is not None]
    if not said:
        return None
    return min(said) if unit is RateUnit.A else math.fsum(said)


def lowest(a: Rates, b: Rates, unit: RateUnit) -> Rates:
    """Both hold: the lower on every phase, and in W together not more than a total."""
    if not a or not b:
        return a or b
    if len(a) == len(b):
        return tuple(lower(x, y) for x, y in zip(a, b, strict=True))
    each, (total,) = (a, b) if len(a) == 3 else (b, a)
    if total is None:
        return each
    if unit is RateUnit.A:
        return tuple(lower(rate, total) for rate in each)
    return _within_total(each, total)


def highest(a: Rates, b: Rates, unit: RateUnit) -> Rates:
    """Both hold of what may be fed back, which is negative: the one nearer to zero."""
    return mapped(lowest(mapped(a, _negative), mapped(b, _negative), unit), _negative)


def total(a: Rates, b: Rates, unit: RateUnit) -> Rates:
    """One on top of the other; where either says nothing, the sum says nothing."""
    if not a or not b:
        return ()
    if len(a) != len(b):
        a, b = each_phase(a, unit), each_phase(b, unit)
    return tuple(None if x is None or y is None else x + y for x, y in zip(a, b, strict=True))


def between(setpoints: Rates, limits: Rates, discharge_limits: Rates, unit: RateUnit) -> Rates:
    """Setpoints cut to what may be drawn where they are positive, and to what may be fed back where negative (K08.FR.08)."""
    if not setpoints:
        return ()
    drawn = lowest(mapped(setpoints, lambda rate: max(0.0, rate)), limits, unit)
    fed_back = highest(mapped(setpoints, lambda rate: min(0.0, rate)), discharge_limits, unit)
    cut = total(drawn, fed_back, unit)
    if len(setpoints) == 1:
        return cut
    return tuple(None if said is None else rate for said, rate in zip(setpoints, cut, strict=True))


def mapped(given: Rates, change: Callable[[float], float]) -> Rates:
    """Each rate changed in the same way."""
    return tuple(None if rate is None else change(rate) for rate in given)


def each_phase(given: Rates, unit: RateUnit) -> Rates:
    """A rate for all as one for each of three phases."""
    if len(given) != 1:
        return given
    (rate,) = given
    return (rate if rate is None or unit is RateUnit.A else rate / 3.0,) * 3


def _within_total(each: Rates, most: float) -> Rates:
    """The rates of the phases, the highest ones lowered to the same level, so that they are not more together."""
    said = sorted(rate for rate in each if rate is not None)
    if math.fsum(said) <= most:
        return each
    left = most
    for number, rate in enumerate(said):
        level = left / (len(said) - number)
        if level < rate:
            break
        left -= rate
    return mapped(each, lambda rate: min(rate, level))


def _negative(rate: float) -> float:
    return 0.0 - rate  # of nothing it is nothing, not -0.0
