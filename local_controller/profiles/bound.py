"""How much do one or several profiles allow at an instant? Limits, phases, and what OCPP 2.1 adds to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from local_controller.profiles.context import Context
from local_controller.profiles.profile import ChargingSchedule, LimitAtSoc, OperationMode, SchedulePeriod
from local_controller.profiles.rates import Rates, between, highest, in_unit, lowest, mapped, rates, total, whole
from local_controller.profiles.schedule import lower
from local_controller.profiles.units import RateUnit

_SHOWN = (
    "preconditioningRequest",
    "evseSleep",
    "v2xBaseline",
    "v2xFreqWattCurve",
    "v2xSignalWattCurve",
)
_REACTIVE = ("setpointReactive", "setpointReactive_L2", "setpointReactive_L3")


class More(NamedTuple):
    """What a period of 2.1 may say beside one limit for all phases; the rates are in `unit`.

    others: fields that do not limit (V2X curves, reactive setpoints, evseSleep), under their OCPP names.
    """

    unit: RateUnit
    limits: Rates = ()
    setpoints: Rates = ()
    discharge_limits: Rates = ()
    phase_to_use: int | None = None
    mode: OperationMode = OperationMode.CHARGING_ONLY
    others: Mapping[str, Any] = {}


class Bound(NamedTuple):
    """What one or several profiles say at an instant. `phases` None: nobody says.

    limit: for all phases alike (A of each, or W of all); None for no constraint. With `more` its `limits` hold, of
    which this is the lowest (A) or the sum (W). each: in W, what a limit in A means for any one phase.
    """

    limit: float | None = None
    phases: int | None = None
    more: More | None = None
    each: float | None = None

    @property
    def limits(self) -> Rates:
        """The limit as rates."""
        if self.more is not None:
            return self.more.limits
        return () if self.limit is None else (self.limit,)

    @property
    def drawn(self) -> float | None:
        """The most that is drawn: a setpoint is followed, and one to feed back draws nothing (K08.FR.08)."""
        if self.more is None or not self.more.setpoints:
            return self.limit
        wanted = mapped(self.more.setpoints, lambda rate: max(0.0, rate))
        return whole(lowest(wanted, self.more.limits, self.more.unit), self.more.unit)

    def with_setpoints_cut(self) -> Bound:
        """The same with its setpoints within its limits (K08.FR.08)."""
        more = self.more
        if more is None or not more.setpoints:
            return self
        cut = between(more.setpoints, more.limits, more.discharge_limits, more.unit)
        return self._replace(more=more._replace(setpoints=cut))


FREE = Bound()
"""No profile says anything."""


def both(a: Bound | None, b: Bound | None) -> Bound | None:
    """Both hold: the lowest limit (SC.01) on the lowest number of phases (K01.FR.140). What is said of V2X, `a` leads."""
    if a is None or b is None:
        return b if a is None else a
    more = a.more or b.more
    if more is not None:
        return _both_in_full(a, b, more.unit)
    limit, phases, _, each = a
    if limit is None or (b.limit is not None and b.limit < limit):
        limit = b.limit
    if phases is None or (b.phases is not None and b.phases < phases):
        phases = b.phases
    if each is None or (b.each is not None and b.each < each):
        each = b.each
    if limit is a.limit and phases == a.phases and each is a.each:
        return a
    return Bound(limit, phases, None, each)


def lower_of(a: Bound | None, b: Bound | None) -> Bound | None:
    """The lower of two alternatives, for which nothing said is no limit, on the fewest phases of both."""
    a, b = a or FREE, b or FREE
    phases = min((n for n in (a.phases, b.phases) if n is not None), default=None)
    is_b = a.drawn is None or (b.drawn is not None and b.drawn < a.drawn)
    return (b if is_b else a)._replace(phases=phases)


def with_extra(a: Bound | None, extra: Bound | None) -> Bound | None:
    """More capacity on top of a limit, not of a setpoint (LocalGeneration, K08.FR.04)."""
    if a is None or a.limit is None or extra is None or extra.limit is None:
        return a
    if a.more is None and extra.more is None:
        return a._replace(limit=a.limit + extra.limit, each=_each_with(a, extra))
    a = _with_each(a)
    more = a.more or More(extra.more.unit if extra.more else RateUnit.A, a.limits)
    limits = total(more.limits, extra.limits, more.unit)
    each = _each_with(a, extra) if len(extra.limits) == 1 else None  # is in the limits of the phases already
    return Bound(whole(limits, more.unit), a.phases, more._replace(limits=limits), each)


def _each_with(a: Bound, extra: Bound) -> float | None:
    """What a limit in A leaves any one phase, when more for all phases comes on top."""
    if a.each is None or extra.limit is None:
        return None
    return a.each + (extra.limit / 3.0 if extra.each is None else extra.each)


def added(a: Bound, b: Bound) -> Bound:
    """What two EVSEs draw together, as if on the same phases; without a limit of either there is none."""
    phases = max((n for n in (a.phases, b.phases) if n is not None), default=None)
    if a.limit is None or b.limit is None:
        return Bound(None, phases)
    each = None if a.each is None or b.each is None else a.each + b.each
    more = a.more or b.more
    if more is None:
        return Bound(a.limit + b.limit, phases, None, each)
    limits = total(a.limits, b.limits, more.unit)
    return Bound(whole(limits, more.unit), phases, More(more.unit, limits) if len(limits) > 1 else None, each)


def as_drawn(bound: Bound) -> Bound:
    """A bound that says no more than what may be drawn of it, phase by phase where it does."""
    bound = _with_each(bound)
    more = bound.more
    if more is None:
        return bound
    wanted = mapped(more.setpoints, lambda rate: max(0.0, rate))
    limits = lowest(wanted, more.limits, more.unit)
    of_phases = More(more.unit, limits) if len(limits) > 1 else None
    return Bound(whole(limits, more.unit), bound.phases, of_phases, bound.each)


def _with_each(bound: Bound) -> Bound:
    """The same with limits of single phases that respect a limit in A, whatever they are together."""
    more = bound.more
    if more is None or bound.each is None or len(more.limits) < 3:
        return bound
    limits = lowest(more.limits, (bound.each,) * 3, more.unit)
    return bound._replace(limit=whole(limits, more.unit), more=more._replace(limits=limits))


def plain(bound: Bound) -> Bound:
    """The same without a `more` that says nothing more. A limit that is more than a float can hold is none."""
    if bound.limit == math.inf:
        return Bound(None, bound.phases)
    bound = _with_each(bound)
    more = bound.more
    is_plain = more is None or (len(more.limits) < 2 and more == More(more.unit, more.limits))
    return bound._replace(more=None) if is_plain and more is not None else bound


def bound_of(schedule: ChargingSchedule, period: SchedulePeriod, context: Context, unit: RateUnit) -> Bound:
    """What a period says, in `unit`: converted by the nominal voltage and its own phases (K01.FR.50/.51)."""
    phases = period.number_phases if period.number_phases in {1, 2, 3} else context.default_phases  # some say -1
    cap = None if schedule.limit_at_soc is None else _cap_at_soc(schedule.limit_at_soc, context.soc_percent)
    others = (
        {name: period.extra[name] for name in (*_SHOWN, *_REACTIVE) if name in period.extra} if period.extra else {}
    )
    if period.is_plain and period.phase_to_use is None and not others:
        limit = period.limit if cap is None else lower(period.limit, cap)
        if limit is None:
            return Bound(None, phases)
        if schedule.rate_unit is unit:
            return Bound(max(0.0, limit), phases)
        return bound_of_limit(max(0.0, limit), schedule.rate_unit, unit, phases, context)

    def wanted(said: Rates) -> Rates:
        return in_unit(said, schedule.rate_unit, unit, phases, context)

    said = rates(period.limit, period.limit_l2, period.limit_l3)
    if period.operation_mode is OperationMode.IDLE:
        said = (0.0,)
    said = lowest(said, rates(cap, None, None), schedule.rate_unit)
    limits = mapped(wanted(said), lambda rate: max(0.0, rate))
    more = More(
        unit,
        limits,
        setpoints=wanted(rates(period.setpoint, period.setpoint_l2, period.setpoint_l3)),
        discharge_limits=wanted(rates(period.discharge_limit, period.discharge_limit_l2, period.discharge_limit_l3)),
        phase_to_use=period.phase_to_use,
        mode=period.operation_mode,
        others=_in_unit(others, wanted),
    )
    if len(said) != 1 or said[0] is None:
        return Bound(whole(limits, unit), phases, more)
    return bound_of_limit(max(0.0, said[0]), schedule.rate_unit, unit, phases, context)._replace(more=more)


def bound_of_limit(limit: float, given: RateUnit, unit: RateUnit, phases: int, context: Context) -> Bound:
    """A limit for all phases alike, in `unit`."""
    each = context.converted(limit, given, unit, 1) if given is RateUnit.A and unit is RateUnit.W else None
    return Bound(context.converted(limit, given, unit, phases), phases, None, each)


def _both_in_full(a: Bound, b: Bound, unit: RateUnit) -> Bound:
    each, phases = lower(a.each, b.each), min((n for n in (a.phases, b.phases) if n is not None), default=None)
    more, other = a.more or More(unit, a.limits), b.more or More(unit, b.limits)
    first = more if more.mode is not OperationMode.CHARGING_ONLY else other
    limits = lowest(more.limits, other.limits, unit)
    merged = More(
        unit,
        limits,
        setpoints=lowest(more.setpoints, other.setpoints, unit),
        discharge_limits=highest(more.discharge_limits, other.discharge_limits, unit),
        phase_to_use=more.phase_to_use or other.phase_to_use,
        mode=first.mode,
        others={**other.others, **more.others},
    )
    return Bound(whole(limits, unit), phases, merged, each)


def _in_unit(others: Mapping[str, Any], wanted: Callable[[Rates], Rates]) -> Mapping[str, Any]:
    """Reactive setpoints follow the unit of the schedule; the rest is as it was sent."""
    given = [others.get(name) for name in _REACTIVE]
    if not any(isinstance(rate, int | float) for rate in given):
        return others
    reactive = dict(zip(_REACTIVE, wanted(rates(*given)), strict=False))
    return {**others, **{name: rate for name, rate in reactive.items() if rate is not None}}


def _cap_at_soc(at_soc: LimitAtSoc, soc_percent: float | None) -> float | None:
    """The limit of limitAtSoC from its state of charge on; an unavailable one counts as below (K01.FR.100)."""
    return None if soc_percent is None or soc_percent < at_soc.soc_percent else at_soc.limit
