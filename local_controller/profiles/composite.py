"""What may be drawn when, given all installed profiles? The composite schedule.

The leading profiles of the purposes are merged by their minimum (OCPP 2.1 Part 2 K 3.6, K08.FR.04; 1.6 ch. 3.13).
The result is constant between neighbouring edges of the candidates, so each stretch is evaluated once, at its start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from typing import NamedTuple, Protocol

from local_controller.profiles.context import Context, StationContext
from local_controller.profiles.installed import Installed, InstalledProfiles
from local_controller.profiles.leading import FREE, Bound, Leader
from local_controller.profiles.profile import Purpose
from local_controller.profiles.schedule import Schedule, lost_by_joining, lower, merged_down
from local_controller.profiles.units import RateUnit, converted, round_down


def composite(installed: InstalledProfiles, context: Context, start: datetime, horizon_s: float) -> Schedule:
    """Amperes per phase that the profiles allow at one EVSE in [start, start + horizon); no constraint outside.

    For id 0 use `composite_station`. Where no profile contributes there is no constraint (K06.FR.02): applying the
    hardware maximum is the caller's business.
    """
    if not installed.entries:
        return Schedule.unlimited()
    return _schedule(_pieces(_Evse.of(installed, context, RateUnit.A, start), start, horizon_s))


def composite_station(
    installed: InstalledProfiles, station: StationContext, start: datetime, horizon_s: float
) -> Schedule:
    """Amperes per phase that the profiles allow the station as a whole, otherwise like `composite`.

    The currents of its EVSEs are added as if all used the same phases. An EVSE without constraint counts with its
    hardware maximum; if that is unknown, only the station-wide limits count.
    """
    return _schedule(_pieces(_Station.of(installed, station, RateUnit.A, start), start, horizon_s))


def answer(
    installed: InstalledProfiles, context: Context, unit: RateUnit, start: datetime, horizon_s: float
) -> CompositeSchedule:
    """What a station answers to GetCompositeSchedule for one EVSE, in `unit` and with phases.

    Where no profile limits, it reports the hardware maximum (limit None only if that is unknown).
    """
    return _answer(_pieces(_Evse.of(installed, context, unit, start), start, horizon_s), context, unit)


def answer_station(
    installed: InstalledProfiles, station: StationContext, unit: RateUnit, start: datetime, horizon_s: float
) -> CompositeSchedule:
    """What a station answers for id 0: what it expects to take from the grid (K08.FR.03)."""
    return _answer(_pieces(_Station.of(installed, station, unit, start), start, horizon_s), station.whole, unit)


class CompositePeriod(NamedTuple):
    """One stretch [start, end) of an answer; `limit` in the unit of the answer, None if nothing limits."""

    start: datetime
    end: datetime
    limit: float | None
    number_phases: int


@dataclass(frozen=True, slots=True)
class CompositeSchedule:
    """A gapless composite in `unit` (A per phase or W of all phases); neighbouring periods differ."""

    unit: RateUnit
    periods: tuple[CompositePeriod, ...]

    def rounded_down(self, step: float) -> CompositeSchedule:
        """Every limit rounded down to a multiple of `step`; 1.6 needs 0.1 (LC-086)."""
        rounded = [p if p.limit is None else p._replace(limit=round_down(p.limit, step)) for p in self.periods]
        return CompositeSchedule(self.unit, _without_equal_neighbours(rounded))

    def coalesced(self, max_periods: int) -> CompositeSchedule:
        """At most `max_periods` periods, nowhere above this composite (LC-087). ValueError below one period."""
        return CompositeSchedule(self.unit, tuple(merged_down(self.periods, max_periods, join=_joined, loss=_loss)))


# --- one instant -------------------------------------------------------------------------------------------------


class _Merged(Protocol):
    """A function of time that is constant between its edges."""

    def at(self, t: datetime) -> Bound:
        """What holds at `t`."""

    def edges(self, start: datetime, end: datetime) -> set[datetime]:
        """Where in (start, end) that may change."""


_IN_TURN = frozenset({Purpose.TX_PROFILE, Purpose.TX_DEFAULT_PROFILE})


class _Evse(NamedTuple):
    """The profiles that bear on one EVSE, by purpose."""

    leaders: dict[Purpose, Leader]
    context: Context

    @classmethod
    def of(cls, installed: InstalledProfiles, context: Context, unit: RateUnit, asked_at: datetime) -> _Evse:
        mine = [entry for entry in installed if entry.evse in {0, context.evse} and _of_transaction(entry, context)]
        by_purpose: dict[Purpose, list[Installed]] = {}
        for entry in mine:
            by_purpose.setdefault(entry.profile.purpose, []).append(entry)
        return cls({p: Leader.of(entries, context, unit, asked_at) for p, entries in by_purpose.items()}, context)

    def at(self, t: datetime) -> Bound:
        """The transaction's limit, the station's and external ones by their minimum, plus local generation."""
        if self.leaders.keys() <= _IN_TURN:
            return self._transaction_at(t)
        limits = self.own_share_at(t).and_(self.lead(Purpose.CHARGING_STATION_MAX_PROFILE, t))
        return limits.plus(self.lead(Purpose.LOCAL_GENERATION, t))

    def own_share_at(self, t: datetime) -> Bound:
        """What this EVSE may draw if the station-wide maximum leaves it room."""
        return self._transaction_at(t).and_(self.lead(Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS, t))

    def lead(self, purpose: Purpose, t: datetime) -> Bound:
        """What the leading profile of this purpose says."""
        return FREE if purpose not in self.leaders else self.leaders[purpose].at(t) or FREE

    def _transaction_at(self, t: datetime) -> Bound:
        """PriorityCharging if activated (K21.FR.04), else TxProfile, else TxDefaultProfile (K02.FR.08)."""
        priority = (Purpose.PRIORITY_CHARGING,) if self.context.priority_charging else ()
        for purpose in (*priority, Purpose.TX_PROFILE, Purpose.TX_DEFAULT_PROFILE):
            bound = self.leaders[purpose].at(t) if purpose in self.leaders else None
            if bound is not None:
                return bound
        return FREE

    def edges(self, start: datetime, end: datetime) -> set[datetime]:
        return {edge for leader in self.leaders.values() for edge in leader.edges(start, end)}


class _Station(NamedTuple):
    """A station as a whole: its EVSEs and the profiles installed at id 0."""

    whole: _Evse
    evses: tuple[_Evse, ...]
    unit: RateUnit

    @classmethod
    def of(cls, installed: InstalledProfiles, station: StationContext, unit: RateUnit, asked_at: datetime) -> _Station:
        each = tuple(_Evse.of(installed, context, unit, asked_at) for context in station.evses)
        return cls(_Evse.of(installed, station.whole, unit, asked_at), each, unit)

    def at(self, t: datetime) -> Bound:
        """The sum of the EVSEs' shares, at most the station-wide limits, plus local generation once (K04.FR.05).

        A station-wide external constraint binds the sum too (K12.FR.01).
        """
        limits = (
            self._sum_at(t)
            .and_(self.whole.lead(Purpose.CHARGING_STATION_MAX_PROFILE, t))
            .and_(self.whole.lead(Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS, t))
        )
        return limits.plus(self.whole.lead(Purpose.LOCAL_GENERATION, t))

    def _sum_at(self, t: datetime) -> Bound:
        """Added limits on as many phases as any EVSE uses; no limit as soon as one EVSE has none at all."""
        shares = [_or_hardware_maximum(evse.own_share_at(t), evse.context, self.unit) for evse in self.evses]
        limits = [share.limit for share in shares if share.limit is not None]
        phases = max((share.phases for share in shares if share.phases is not None), default=None)
        return Bound(sum(limits) if shares and len(limits) == len(shares) else None, phases)

    def edges(self, start: datetime, end: datetime) -> set[datetime]:
        return self.whole.edges(start, end).union(*(evse.edges(start, end) for evse in self.evses))


def _of_transaction(entry: Installed, context: Context) -> bool:
    """A TxProfile belongs to one transaction; without an id (1.6) to whichever runs."""
    profile = entry.profile
    if profile.purpose is not Purpose.TX_PROFILE:
        return True
    return context.transaction_id is not None and profile.transaction_id in {None, context.transaction_id}


def _or_hardware_maximum(bound: Bound, context: Context, unit: RateUnit) -> Bound:
    """What can flow where no profile limits."""
    phases = bound.phases or context.default_phases
    limit_a = context.hardware_maximum_a
    if bound.limit is not None or limit_a is None:
        return bound._replace(phases=phases)
    return Bound(converted(limit_a, RateUnit.A, unit, phases=phases, voltage_v=context.nominal_voltage_v), phases)


# --- many instants -----------------------------------------------------------------------------------------------

_Piece = tuple[datetime, datetime, Bound]


def _pieces(merged: _Merged, start: datetime, horizon_s: float) -> list[_Piece]:
    """[start, start + horizon) cut at every edge."""
    first = start.astimezone(UTC)
    last = first + timedelta(seconds=horizon_s)
    if last <= first:
        return []
    cuts = sorted({first, last} | merged.edges(first, last))
    return [(a, b, _without_overflow(merged.at(a))) for a, b in pairwise(cuts)]


def _without_overflow(bound: Bound) -> Bound:
    """A limit that adds up or converts to more than a float can hold is none."""
    return bound._replace(limit=None) if bound.limit == math.inf else bound


def _schedule(pieces: list[_Piece]) -> Schedule:
    end = ((pieces[-1][1], None),) if pieces else ()
    return Schedule((*((start, bound.limit) for start, _, bound in pieces), *end))


def _answer(pieces: list[_Piece], context: Context, unit: RateUnit) -> CompositeSchedule:
    filled = ((start, end, _or_hardware_maximum(bound, context, unit)) for start, end, bound in pieces)
    periods = [
        CompositePeriod(start, end, bound.limit, bound.phases or context.default_phases) for start, end, bound in filled
    ]
    return CompositeSchedule(unit, _without_equal_neighbours(periods))


def _without_equal_neighbours(periods: Sequence[CompositePeriod]) -> tuple[CompositePeriod, ...]:
    runs = (list(run) for _, run in groupby(periods, key=lambda period: period[2:]))
    return tuple(run[0]._replace(end=run[-1].end) for run in runs)


def _joined(a: CompositePeriod, b: CompositePeriod) -> CompositePeriod:
    return CompositePeriod(a.start, b.end, lower(a.limit, b.limit), min(a.number_phases, b.number_phases))


def _loss(a: CompositePeriod, b: CompositePeriod) -> float:
    second = timedelta(seconds=1)
    return lost_by_joining((a.end - a.start) / second, a.limit, (b.end - b.start) / second, b.limit)
