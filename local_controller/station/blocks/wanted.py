"""What should an EVSE hold now, between the site's wish and the CSMS's profiles?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from local_controller.clock import Instant
from local_controller.profiles.composite import composite
from local_controller.profiles.context import Context
from local_controller.profiles.installed import InstalledProfiles
from local_controller.profiles.profile import Purpose
from local_controller.profiles.schedule import Schedule, lower
from local_controller.profiles.units import round_down
from local_controller.station.blocks.actuator import FORESIGHT, Target, foresight, working_limit
from local_controller.station.dialects.shared import LIMIT_STEP
from local_controller.station.state import StationState


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


def csms_limit(state: StationState, profiles: InstalledProfiles, evse: int, start: datetime, end: datetime) -> Schedule:
    """What these profiles of the CSMS allow in [start, end): the running transaction, or without one its like.

    The instants are in the station's clock.
    """
    transaction = state.transactions.get(evse)
    context = Context(evse, time_zone=state.time_zone)
    if transaction is not None:
        since = state.to_station_time(transaction.started.utc)
        context = Context(evse, transaction.transaction_id, energy_since=since, time_zone=state.time_zone)
    return composite(profiles, context, start, (end - start).total_seconds())


def floor_a(state: StationState, evse: int, fallback_a: float, now: Instant) -> float:
    """The floor: never more than the CSMS's TxDefaultProfiles allow within the next day."""
    at = state.station_time(now)
    defaults = state.store.installed.of_purposes(Purpose.TX_DEFAULT_PROFILE)
    allowed = composite(defaults, Context(evse, time_zone=state.time_zone), at, FORESIGHT.total_seconds())
    lowest_a = lower(fallback_a, allowed.lowest(at, at + FORESIGHT))
    return round_down(fallback_a if lowest_a is None else lowest_a, LIMIT_STEP)


def wanted(state: StationState, orders: Orders, now: Instant, *, holds_working: bool) -> Target:
    """The floor, and for a transaction the working limit above (or below) it.

    holds_working: the station obeys a working limit now, so that without a wish a new one must end it.
    """
    floor = Target(orders.evse, floor_a(state, orders.evse, orders.fallback_a, now))
    transaction = state.transactions.get(orders.evse)
    if transaction is None:
        return floor
    working = _working(state, floor, orders.wish, now, holds_working=holds_working)
    return replace(
        floor,
        working=working,
        transaction_id=transaction.transaction_id,
        phases=transaction.phases_in_use or 1,
    )


def _working(
    state: StationState, floor: Target, wish: Wish | None, now: Instant, *, holds_working: bool
) -> Schedule | None:
    """The wish as far as the CSMS allows it (LC-093); without a wish only what the CSMS allows below the floor."""
    at, least_a = state.station_time(now), floor.fallback_a
    until = max(at, state.to_station_time(wish.until)) if wish is not None else at
    allowed = csms_limit(state, state.store.owned(), floor.evse, at, foresight(until))
    if wish is not None and until > at:
        return working_limit(wish.limit_a, until, least_a, allowed, at)
    lowest_a = allowed.lowest(at, foresight(at))
    is_needed = holds_working or (lowest_a is not None and lowest_a < least_a)
    return working_limit(least_a, at, least_a, allowed, at) if is_needed else None
