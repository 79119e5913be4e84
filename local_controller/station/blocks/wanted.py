"""What should an EVSE hold now, between the site's wish and the CSMS's profiles?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from math import inf
from typing import NamedTuple

from local_controller.clock import Instant
from local_controller.profiles.composite import FREE_OF_LIMITS, Allowed
from local_controller.profiles.profile import ALL_PHASES, Purpose
from local_controller.profiles.schedule import Schedule
from local_controller.profiles.units import round_down
from local_controller.station.blocks.actuator import (
    ANY_WATTS,
    FORESIGHT,
    NOT_FEWER,
    InWatts,
    Target,
    foresight,
    working_limit,
)
from local_controller.station.blocks.allowances import DEFAULTS, Allowances
from local_controller.station.blocks.next_transaction import of_awaited
from local_controller.station.blocks.virtual_store import VIRTUAL
from local_controller.station.blocks.wish import ANY_PHASES, Wish
from local_controller.station.dialects.shared import LIMIT_STEP
from local_controller.station.evse_context import context_of, sharing
from local_controller.station.state import StationState


class Orders(NamedTuple):
    """What the site has ordered for an EVSE: its floor (A per phase) and perhaps a working limit."""

    evse: int
    fallback_a: float
    wish: Wish | None


class Floor(NamedTuple):
    """What holds without anybody's help: A per phase, and on how many phases if on fewer than usual."""

    limit_a: float
    phases: int | None = None


def floor_of(state: StationState, allowances: Allowances, evse: int, fallback_a: float, now: Instant) -> Floor:
    """The floor: never more than the CSMS's TxDefaultProfiles allow within the next day, be the station offline or not.

    Nor than the profile of a remote start that waits for its car, which may come while nobody can tell the station (LC-101), nor
    than those of a transaction of an earlier run of which nothing was heard yet (LC-047).
    """
    awaited = [*state.remote_starts.profiles_for(evse, now, is_free=evse not in state.transactions)]
    if evse in state.awaited:
        awaited += [
            one.profile
            for one in state.store.installed
            if one.evse == evse and one.profile.purpose is Purpose.TX_PROFILE
        ]
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
    found, offline_s = FREE_OF_LIMITS, None
    if state.store.installed.entries:
        span = at, foresight(until)
        look = partial(allowances.allowed, VIRTUAL, orders.evse, *span, in_watts=in_watts)
        found, offline_s = _offline(look, allowances.offline_s(), span, least if may_fall else None)
        found = _as_obeyed(found, state, transaction.phases_in_use or ALL_PHASES)
    working = _working(wish, (at, until), least, found, holds_working=holds_working)
    fewer = NOT_FEWER
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
    if working is None or schedule.is_unlimited:
        return ANY_WATTS
    return schedule.clipped(working.steps[0][0], working.steps[-1][0])


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
    fewest = found.phases.lowest(since, foresight(since)) if found.phases.steps else None
    is_fewer = fewest is not None and fewest < (least.phases or ALL_PHASES)
    if wish is not None and is_wished:
        return working_limit(wish.limit_a, until, least.limit_a, found.limit, at, is_fewer_later=is_fewer)
    lowest_a = found.limit.lowest(at, foresight(at))
    is_needed = holds_working or is_fewer or (lowest_a is not None and lowest_a < least.limit_a)
    return working_limit(least.limit_a, at, least.limit_a, found.limit, at) if is_needed else None
