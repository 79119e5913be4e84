"""What should an EVSE hold now, between the site's wish and the CSMS's profiles?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from local_controller.clock import Instant
from local_controller.profiles.composite import composite
from local_controller.profiles.context import Context
from local_controller.profiles.installed import InstalledProfiles
from local_controller.profiles.profile import Kind, Purpose
from local_controller.profiles.schedule import Schedule, lower
from local_controller.profiles.units import round_down
from local_controller.station.blocks.actuator import FORESIGHT, Target, foresight, working_limit
from local_controller.station.blocks.virtual_store import OWNED
from local_controller.station.dialects.shared import LIMIT_STEP
from local_controller.station.state import StationState

DEFAULTS = frozenset({Purpose.TX_DEFAULT_PROFILE})

AHEAD = timedelta(minutes=30)
"""So much more than is asked for is worked out, so that for so long it need not be done again."""

_UNLIMITED = Schedule.unlimited()


@dataclass(slots=True)
class Wish:
    """What the site wants of a transaction until `until` (our clock: the station's may be set); new until sent once."""

    limit_a: float
    until: datetime
    is_urgent: bool
    is_new: bool = True


class Orders(NamedTuple):
    """What the site has ordered for an EVSE: its floor (A per phase) and perhaps a working limit."""

    evse: int
    fallback_a: float
    wish: Wish | None


class Allowances:
    """What the CSMS's profiles allow, worked out once and remembered while neither they nor the transaction change.

    The instants are in the station's clock.
    """

    def __init__(self, state: StationState) -> None:
        """Nothing is known yet."""
        self._state = state
        self._store = state.store
        self._profiles: dict[frozenset[Purpose], InstalledProfiles] = {}
        self._known: dict[tuple[frozenset[Purpose], int], _Known] = {}

    def within(self, purposes: frozenset[Purpose], evse: int, start: datetime, end: datetime) -> Schedule:
        """The limit in [start, end), and whatever else is known: the running transaction's, or without one its like."""
        if not self._state.store.installed.entries:
            return _UNLIMITED
        profiles = self._of(purposes)
        if not profiles.entries:
            return _UNLIMITED
        basis = self._basis(purposes, evse)
        known = self._known.get((purposes, evse))
        if known is None or known.basis != basis or start < known.start or end > known.end:
            known = self._work_out(profiles, purposes, evse, (start, end), basis)
        return known.limit

    def _of(self, purposes: frozenset[Purpose]) -> InstalledProfiles:
        if self._store is not self._state.store:
            self._store = self._state.store
            self._profiles.clear()
            self._known.clear()
        if purposes not in self._profiles:
            self._profiles[purposes] = self._store.installed.of_purposes(*purposes)
        return self._profiles[purposes]

    def _basis(self, purposes: frozenset[Purpose], evse: int) -> tuple[object, ...]:
        """What the limit depends on besides the profiles; a floor holds for whatever transaction comes."""
        transaction = None if purposes == DEFAULTS else self._state.transactions.get(evse)
        zone, ahead_s = self._state.time_zone, self._state.csms_ahead_s
        if transaction is None:
            return zone, ahead_s, None, None
        return zone, ahead_s, transaction.transaction_id, transaction.started.utc

    def _work_out(
        self,
        profiles: InstalledProfiles,
        purposes: frozenset[Purpose],
        evse: int,
        window: tuple[datetime, datetime],
        basis: tuple[object, ...],
    ) -> _Known:
        """A little more than is asked for, so that it serves for a while."""
        start, end = window
        _, _, transaction_id, started = basis
        context = Context(evse, time_zone=self._state.time_zone)
        if isinstance(transaction_id, str) and isinstance(started, datetime):
            since = self._state.to_station_time(started)
            context = Context(evse, transaction_id, energy_since=since, time_zone=self._state.time_zone)
        elif any(entry.profile.kind is Kind.RELATIVE for entry in profiles):  # its origin is the moment of asking
            return _Known(basis, start, end, composite(profiles, context, start, (end - start).total_seconds()))
        end += AHEAD
        known = _Known(basis, start, end, composite(profiles, context, start, (end - start).total_seconds()))
        self._known[purposes, evse] = known
        return known


@dataclass(frozen=True, slots=True)
class _Known:
    """The limit in [start, end), and what it was worked out from."""

    basis: tuple[object, ...]
    start: datetime
    end: datetime
    limit: Schedule


def floor_a(state: StationState, allowances: Allowances, evse: int, fallback_a: float, now: Instant) -> float:
    """The floor: never more than the CSMS's TxDefaultProfiles allow within the next day."""
    at = state.station_time(now)
    allowed = allowances.within(DEFAULTS, evse, at, at + FORESIGHT)
    lowest_a = lower(fallback_a, allowed.lowest(at, at + FORESIGHT))
    return round_down(fallback_a if lowest_a is None else lowest_a, LIMIT_STEP)


def wanted(state: StationState, allowances: Allowances, orders: Orders, now: Instant, *, holds_working: bool) -> Target:
    """The floor, and for a transaction the working limit above (or below) it.

    holds_working: the station obeys a working limit now, so that without a wish a new one must end it.
    """
    fallback_a = floor_a(state, allowances, orders.evse, orders.fallback_a, now)
    transaction = state.transactions.get(orders.evse)
    if transaction is None:
        return Target(orders.evse, fallback_a)
    at, wish = state.station_time(now), orders.wish
    until = max(at, state.to_station_time(wish.until)) if wish is not None else at
    allowed = allowances.within(OWNED, orders.evse, at, foresight(until))
    working = _working(wish, (at, until), fallback_a, allowed, holds_working=holds_working)
    return Target(orders.evse, fallback_a, working, transaction.transaction_id, transaction.phases_in_use or 1)


def _working(
    wish: Wish | None, span: tuple[datetime, datetime], least_a: float, allowed: Schedule, *, holds_working: bool
) -> Schedule | None:
    """The wish as far as the CSMS allows it (LC-093); without a wish only what the CSMS allows below the floor."""
    at, until = span
    if wish is not None and until > at:
        return working_limit(wish.limit_a, until, least_a, allowed, at)
    lowest_a = allowed.lowest(at, foresight(at))
    is_needed = holds_working or (lowest_a is not None and lowest_a < least_a)
    return working_limit(least_a, at, least_a, allowed, at) if is_needed else None
