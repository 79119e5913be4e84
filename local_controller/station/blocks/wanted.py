"""What should an EVSE hold now, between the site's wish and the CSMS's profiles?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial, reduce
from math import inf
from typing import NamedTuple

from local_controller.clock import Instant
from local_controller.profiles.composite import FREE_OF_LIMITS, Allowed, allowed
from local_controller.profiles.context import Context
from local_controller.profiles.installed import Installed, InstalledProfiles
from local_controller.profiles.profile import ALL_PHASES, ChargingSchedule, Kind, Purpose, SchedulePeriod
from local_controller.profiles.schedule import Schedule
from local_controller.profiles.units import RateUnit, round_down
from local_controller.station.blocks.actuator import ANY_WATTS, FORESIGHT, InWatts, Target, foresight, working_limit
from local_controller.station.blocks.next_transaction import of_awaited, stores_of_any_start
from local_controller.station.blocks.virtual_store import VIRTUAL
from local_controller.station.blocks.wish import ANY_PHASES, Wish
from local_controller.station.dialects.shared import LIMIT_STEP
from local_controller.station.evse_context import context_of, sharing, watts_context_of
from local_controller.station.state import StationState

DEFAULTS = frozenset({Purpose.TX_DEFAULT_PROFILE, Purpose.CHARGING_STATION_MAX_PROFILE})
"""What holds without a transaction."""

ALL = frozenset(Purpose)

AHEAD = timedelta(minutes=30)
"""So much more than is asked for is worked out, so that for so long it need not be done again."""


class Orders(NamedTuple):
    """What the site has ordered for an EVSE: its floor (A per phase) and perhaps a working limit."""

    evse: int
    fallback_a: float
    wish: Wish | None


class Allowances:
    """What the CSMS's profiles allow, worked out once and remembered while neither they nor the transaction change.

    The instants are in the station's clock.
    """

    def __init__(self, state: StationState, evses: int = 1) -> None:
        """Nothing is known yet. `evses`: how many there are, which share what the station as a whole generates."""
        self._state = state
        self._evses = evses
        self._store = state.store
        self._outdated: set[int] = set()  # in the station, where they may hide what it should see to
        self._meant: dict[tuple[frozenset[Purpose], int | None], _Meant] = {}
        self._offline_s: tuple[int, ...] | None = None
        self._known: dict[_Key, _Known] = {}
        self._next: dict[tuple[int, int], _Known] = {}  # of the transaction that begins next

    def allowed(  # noqa: PLR0913 - of which profiles, for whom, when, told how
        self,
        purposes: frozenset[Purpose],
        evse: int,
        start: datetime,
        end: datetime,
        offline_s: int | None = None,
        *,
        in_watts: bool = False,
    ) -> Allowed:
        """What holds in [start, end), and whatever else is known: of the running transaction, or without one of its like.

        Only virtual profiles count, for the station sees to its own; but of ALL purposes, and while something outdated is
        in the station, both.
        offline_s: for a station that has had no connection for that long, and a moment more (2.1 K01.FR.101).
        in_watts: as amperes that are told in watts, and only so: the CSMS's watts pass unchanged.
        """
        if not self._state.store.installed.entries:
            return FREE_OF_LIMITS
        meant = self._of(purposes, offline_s)
        if not meant.profiles.entries:
            return FREE_OF_LIMITS
        basis = self._basis(meant, evse, in_watts=in_watts)
        key = id(meant.profiles), evse, basis.context.told_in_watts is None
        known = self._known.get(key)
        if known is None or known.basis != basis or start < known.start or end > known.end:
            known = self._work_out(meant, key, (start, end), basis)
        return known.allowed

    def offline_s(self) -> tuple[int, ...]:
        """After which times without a connection the CSMS's profiles allow something else."""
        self._notice_change()
        if self._offline_s is None:
            allowed_s = {entry.profile.max_offline_duration_s for entry in self._store.installed}
            self._offline_s = tuple(sorted(seconds for seconds in allowed_s if seconds is not None))
        return self._offline_s

    def _of(self, purposes: frozenset[Purpose], offline_s: int | None) -> _Meant:
        self._notice_change()
        key = purposes, offline_s
        if key not in self._meant:
            installed = self._store.installed if purposes == ALL or self._outdated else self._store.virtual()
            installed = _with_shares(installed, self._evses)
            profiles = installed.of_purposes(*purposes)
            if offline_s is not None:
                profiles = profiles.valid_offline(offline_s)
            self._meant[key] = _Meant.of(installed if len(profiles) == len(installed) else profiles)
        return self._meant[key]

    def _notice_change(self) -> None:
        """Nothing that was worked out from an earlier store counts."""
        if self._store is not self._state.store or self._outdated != self._state.outdated:
            self._store, self._outdated = self._state.store, set(self._state.outdated)
            self._meant.clear()
            self._known.clear()
            self._next.clear()
            self._offline_s = None

    def of_next_transaction(
        self, purposes: frozenset[Purpose], evse: int, start: datetime, end: datetime, offline_s: int | None = None
    ) -> Allowed:
        """The limit of one that begins at any time, perhaps unseen: Relative profiles begin with it."""
        meant = self._of(purposes, offline_s)
        if not meant.is_relative:
            return FREE_OF_LIMITS
        basis = _Basis(context_of(self._state, evse, with_transaction=False), self._state.csms_ahead_s)
        known = self._next.get((id(meant.profiles), evse))
        if known is None or known.basis != basis or start < known.start or end > known.end:
            end += AHEAD
            limits = (
                allowed(profiles, basis.context, start, (end - start).total_seconds())
                for profiles in stores_of_any_start(meant.profiles, start, end)
            )
            known = _Known(basis, start, end, reduce(Allowed.within, limits))
            self._next[id(meant.profiles), evse] = known
        return known.allowed

    def _basis(self, meant: _Meant, evse: int, *, in_watts: bool) -> _Basis:
        """What the limit depends on besides the profiles; some of these mean amperes of each phase."""
        context_in_unit = watts_context_of if in_watts and not meant.means_amperes else context_of
        context = context_in_unit(self._state, evse, with_transaction=meant.depends_on_transaction)
        return _Basis(context, self._state.csms_ahead_s)

    def _work_out(self, meant: _Meant, key: _Key, window: tuple[datetime, datetime], basis: _Basis) -> _Known:
        """More than is asked for, so that it serves for a while; but not where the moment of asking is the origin."""
        start, end = window
        context = basis.context
        if meant.is_relative and context.energy_since is None:
            return _Known(basis, start, end, allowed(meant.profiles, context, start, (end - start).total_seconds()))
        end = max(end, start + FORESIGHT + FORESIGHT / 2) + AHEAD
        known = _Known(basis, start, end, allowed(meant.profiles, context, start, (end - start).total_seconds()))
        self._known[key] = known
        return known


def _with_shares(installed: InstalledProfiles, evses: int) -> InstalledProfiles:
    """With local generation as it may be added to every phase of every EVSE, so that its power counts once (K27).

    That of the whole station is shared out; that on fewer phases is spread over all.
    """
    if not installed.of_purposes(Purpose.LOCAL_GENERATION).entries:
        return installed
    return InstalledProfiles(tuple(_share(entry, evses) for entry in installed))


def _share(entry: Installed, evses: int) -> Installed:
    if entry.profile.purpose is not Purpose.LOCAL_GENERATION:
        return entry
    among = evses if entry.evse == 0 else 1
    schedules = tuple(
        replace(schedule, periods=tuple(_divided(_spread(period, schedule), among) for period in schedule.periods))
        for schedule in entry.profile.schedules
    )
    return entry._replace(profile=replace(entry.profile, schedules=schedules))


def _spread(period: SchedulePeriod, schedule: ChargingSchedule) -> SchedulePeriod:
    """The same power on all phases."""
    phases = period.number_phases
    if phases not in {1, 2}:
        return period
    told = replace(period, number_phases=ALL_PHASES)
    return told if schedule.rate_unit is RateUnit.W else _divided(told, ALL_PHASES / phases)


def _divided(period: SchedulePeriod, among: float) -> SchedulePeriod:
    def share(limit: float | None) -> float | None:
        return None if limit is None else limit / among

    return replace(period, limit=share(period.limit), limit_l2=share(period.limit_l2), limit_l3=share(period.limit_l3))


class _Meant(NamedTuple):
    """Some of the installed profiles, and whether what they allow depends on the transaction, or on when it began.

    means_amperes: whether one of them allows fewer phases than there are, or generated watts come on top of amperes: then
    watts mean as many amperes on each phase.
    """

    profiles: InstalledProfiles
    depends_on_transaction: bool
    is_relative: bool
    means_amperes: bool

    @classmethod
    def of(cls, profiles: InstalledProfiles) -> _Meant:
        """These profiles."""
        is_relative = any(entry.profile.kind is Kind.RELATIVE for entry in profiles)
        depends = is_relative or any(map(_is_of_transaction, profiles))
        return cls(
            profiles, depends, is_relative, any(map(_names_phases, profiles)) or _adds_watts_to_amperes(profiles)
        )


def _names_phases(entry: Installed) -> bool:
    return any(period.number_phases in {1, 2} for schedule in entry.profile.schedules for period in schedule.periods)


def _adds_watts_to_amperes(profiles: InstalledProfiles) -> bool:
    """Whether a car on one phase would get there all that is generated on three (K27), beyond its amperes."""
    units = {
        (entry.profile.purpose is Purpose.LOCAL_GENERATION, schedule.rate_unit)
        for entry in profiles
        for schedule in entry.profile.schedules
    }
    return units >= {(True, RateUnit.W), (False, RateUnit.A)}


def _is_of_transaction(entry: Installed) -> bool:
    """Whether it is for one alone, or says other things to one than to the next."""
    schedules = entry.profile.schedules
    return entry.profile.purpose in {Purpose.TX_PROFILE, Purpose.PRIORITY_CHARGING} or any(
        schedule.randomized_delay_s or schedule.limit_at_soc for schedule in schedules
    )


_Key = tuple[int, int, bool]
"""Which profiles, which EVSE, and whether its limits are told in amperes."""


class _Basis(NamedTuple):
    """What a limit depends on besides the profiles; the transaction only where these do."""

    context: Context
    csms_ahead_s: float


@dataclass(frozen=True, slots=True)
class _Known:
    """The limit in [start, end), and what it was worked out from."""

    basis: _Basis
    start: datetime
    end: datetime
    allowed: Allowed


class Floor(NamedTuple):
    """What holds without anybody's help: A per phase, and on how many phases if on fewer than usual."""

    limit_a: float
    phases: int | None = None


def floor_of(state: StationState, allowances: Allowances, evse: int, fallback_a: float, now: Instant) -> Floor:
    """The floor: never more than the CSMS's TxDefaultProfiles allow within the next day, be the station offline or not.

    Nor than the profile of a remote start that waits for its car, which may come while nobody can tell the station (LC-101).
    """
    awaited = state.remote_starts.profiles_for(evse, now, is_free=evse not in state.transactions)
    if not state.store.installed.entries and not awaited:
        return Floor(round_down(fallback_a, LIMIT_STEP))
    at = state.station_time(now)
    span, lowest_a, phases = (at, at + FORESIGHT), fallback_a, ALL_PHASES
    for found in (*_of_defaults(allowances, evse, span), *of_awaited(awaited, context_of(state, evse), span)):
        obeyed = _as_obeyed(found, state, ALL_PHASES)
        allowed_a = obeyed.limit.lowest(*span)
        lowest_a = lowest_a if allowed_a is None else min(lowest_a, allowed_a)
        phases = min(phases, int(obeyed.phases.lowest(*span) or ALL_PHASES))
    return Floor(round_down(lowest_a, LIMIT_STEP), None if phases == ALL_PHASES else phases)


class Cap(NamedTuple):
    """The lowest that the CSMS allows a car: A per phase (infinite: no limit), and the fewest phases."""

    limit_a: float
    phases: int


def cap_of(state: StationState, allowances: Allowances, evse: int, now: Instant, *, in_watts: bool) -> Cap:
    """The lowest that the CSMS allows the running transaction within the next day, for a floor that is told `in_watts` or not."""
    at, transaction = state.station_time(now), state.transactions.get(evse)
    span, used = (at, at + FORESIGHT), None if transaction is None else transaction.phases_in_use
    found = _as_obeyed(allowances.allowed(VIRTUAL, evse, *span, in_watts=in_watts), state, used or ALL_PHASES)
    lowest_a = found.limit.lowest(*span)
    return Cap(inf if lowest_a is None else lowest_a, int(found.phases.lowest(*span) or ALL_PHASES))


def _of_defaults(allowances: Allowances, evse: int, span: tuple[datetime, datetime]) -> Iterator[Allowed]:
    for offline_s in (None, *allowances.offline_s()):
        for look in (allowances.allowed, allowances.of_next_transaction):
            yield look(DEFAULTS, evse, *span, offline_s)


def _as_obeyed(found: Allowed, state: StationState, used: int) -> Allowed:
    """Where phases cannot be told, the current alone must keep the power."""
    knows_phases = not state.capability.ignores_phases and state.capability.vendor_key is None
    return found if knows_phases else found.on_all_phases(used)


def wanted(  # noqa: PLR0913 - between the site, the CSMS and the station
    state: StationState,
    allowances: Allowances,
    orders: Orders,
    now: Instant,
    *,
    holds_working: bool,
    may_fall: bool,
    in_watts: bool,
) -> Target:
    """The floor, and for a transaction the working limit above (or below) it.

    holds_working: the station obeys a working limit now, so that without a wish a new one must end it. may_fall: a working
    limit can be told to give way to the floor after a time without a connection. in_watts: it is told in watts, whichever way
    is taken now.
    """
    least = floor_of(state, allowances, orders.evse, orders.fallback_a, now)
    transaction = state.transactions.get(orders.evse)
    if transaction is None:
        told = InWatts(phase_v=state.wiring.phase_v)
        return Target(orders.evse, least.limit_a, in_watts=told, floor_phases=least.phases)
    at, wish = state.station_time(now), orders.wish
    until = at if wish is None else max(at, _whole_second(state.to_station_time(wish.until), wish, least))
    may_fall = may_fall and wish is not None and until > at and wish.limit_a >= least.limit_a
    look = partial(allowances.allowed, VIRTUAL, orders.evse, at, foresight(until), in_watts=in_watts)
    found, offline_s = _offline(look, allowances.offline_s(), (at, foresight(until)), least if may_fall else None)
    found = _as_obeyed(found, state, transaction.phases_in_use or ALL_PHASES)
    working = _working(wish, (at, until), least, found, holds_working=holds_working)
    fewer = Schedule()
    if working is not None and found.phases.steps:
        fewer = found.phases.clipped(at, working.steps[-1][0])
    on = ANY_PHASES if wish is None or until <= at else wish.on
    if working is not None and on.phases is not None:
        fewer = fewer.minimum(on.during(at, min(until, working.steps[-1][0])))
    return Target(
        orders.evse,
        least.limit_a,
        working,
        transaction.transaction_id,
        _in_watts(state, orders.evse, _while_told(found.watts, working)),
        least.phases,
        fewer,
        offline_s,
        on.phase_to_use,
    )


def _while_told(schedule: Schedule, working: Schedule | None) -> Schedule:
    """As long as the working limit holds: what was before or comes later makes no other target."""
    return Schedule() if working is None else schedule.clipped(working.steps[0][0], working.steps[-1][0])


def _in_watts(state: StationState, evse: int, most_w: Schedule) -> InWatts:
    """How the limits of the running transaction are told in watts, within those of the CSMS."""
    phases, lines = sharing(state, evse)
    full_a = state.maxima_a.get(evse, inf)
    return InWatts(phases, state.wiring.phase_v, full_a, lines, most_w if lines > phases else ANY_WATTS)


def _offline(
    look: Callable[[int | None], Allowed],
    offline_s: tuple[int, ...],
    span: tuple[datetime, datetime],
    least: Floor | None,
) -> tuple[Allowed, int | None]:
    """What the CSMS allows, and after how long without a connection the floor must take over (K01.FR.101, LC-060).

    What would be too much for the station alone then, and the floor with it, is never allowed. look: what it allows a station
    that has had no connection for so long. least: the floor, None where it cannot take over.
    """
    found, falls_s = look(None), None
    for seconds in offline_s:
        alone = look(seconds)
        if least is not None and _keeps(least, alone, span):
            falls_s = seconds if falls_s is None and alone != found else falls_s
        else:
            found = found.within(alone)
    return found, falls_s


def _keeps(least: Floor, allowed: Allowed, span: tuple[datetime, datetime]) -> bool:
    """Whether the floor is within this all the time."""
    lowest_a, fewest = allowed.limit.lowest(*span), allowed.phases.lowest(*span)
    return (lowest_a is None or lowest_a >= least.limit_a) and (least.phases or ALL_PHASES) <= (fewest or ALL_PHASES)


def _whole_second(until: datetime, wish: Wish, least: Floor) -> datetime:
    """When the floor takes over, in whole seconds as profiles have them: early, unless it is higher than the wish.

    So the CSMS's own steps within that second are told with those of the time after it.
    """
    early = until.replace(microsecond=0)
    return early if early == until or wish.limit_a >= least.limit_a else early + timedelta(seconds=1)


def _working(
    wish: Wish | None, span: tuple[datetime, datetime], least: Floor, found: Allowed, *, holds_working: bool
) -> Schedule | None:
    """The wish as far as the CSMS allows it (LC-093); without a wish only what the CSMS allows below the floor."""
    at, until = span
    is_wished = wish is not None and until > at
    since = until if is_wished else at
    fewest = found.phases.lowest(since, foresight(since))
    is_fewer = fewest is not None and fewest < (least.phases or ALL_PHASES)
    if wish is not None and is_wished:
        return working_limit(wish.limit_a, until, least.limit_a, found.limit, at, is_fewer_later=is_fewer)
    lowest_a = found.limit.lowest(at, foresight(at))
    is_needed = holds_working or is_fewer or (lowest_a is not None and lowest_a < least.limit_a)
    return working_limit(least.limit_a, at, least.limit_a, found.limit, at) if is_needed else None
