"""Why is the composite what it is? The leading profile of each purpose, stretch by stretch."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from local_controller.profiles.bound import bound_of
from local_controller.profiles.composite import by_purpose, choices, in_turn
from local_controller.profiles.context import Context
from local_controller.profiles.installed import Installed, InstalledProfiles
from local_controller.profiles.leading import Asked, Lead, leads
from local_controller.profiles.lines import Line, Window, combined
from local_controller.profiles.profile import Purpose
from local_controller.profiles.units import RateUnit


class Leading(NamedTuple):
    """A profile that leads its purpose: where it is installed, what it allows alone, and whether that counts.

    limit: in the unit that was asked for; None if it leaves the limit to others. choice: which of its schedules, from 0.
    counts: not a TxDefaultProfile beside a TxProfile that leads, say.
    """

    entry: Installed
    choice: int
    limit: float | None
    counts: bool


class Stretch(NamedTuple):
    """[start, end) with the same leading profiles, in the order of purposes."""

    start: datetime
    end: datetime
    leading: tuple[Leading, ...]


STATION_WIDE = (
    Purpose.CHARGING_STATION_MAX_PROFILE,
    Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS,
    Purpose.LOCAL_GENERATION,
)
"""What limits the station as a whole, in the order of merging."""


def explained(
    installed: InstalledProfiles,
    context: Context,
    unit: RateUnit,
    window: Window,
    but: Collection[Purpose] = (),
) -> list[Stretch]:
    """Which profiles lead when, without those purposes; of alternative schedules each."""
    purposes = {p: entries for p, entries in by_purpose(installed, context).items() if p not in but}
    line: Line[tuple[Leading, ...]] = [(0, ())]
    for choice in choices(purposes, context):
        asked, order = Asked(window, unit, choice), in_turn(context)
        ordered = sorted(purposes, key=(Purpose.PRIORITY_CHARGING, *order, *STATION_WIDE).index)
        taken: Line[bool] = [(0, False)]
        for purpose in ordered:
            if purpose is Purpose.PRIORITY_CHARGING and not context.priority_charging:
                continue

            def leading(lead: Lead, choice: int = choice) -> Leading:
                limit = bound_of(lead.schedule, lead.period, context, unit).drawn
                return Leading(lead.entry, choice, limit, counts=True)

            found = leads(purposes[purpose], context, asked, leading)
            if purpose in order:
                found = combined(found, taken, _unless_taken)
                taken = combined(taken, found, _or_said)
            line = combined(line, found, _with)
    return [
        Stretch(window.instant(at), window.instant(until), leading)
        for (at, leading), (until, _) in pairwise([*line, (window.span_us, ())])
        if at < until
    ]


def _unless_taken(leading: Leading | None, taken: bool) -> Leading | None:
    return leading if leading is None or not taken else leading._replace(counts=False)


def _or_said(taken: bool, leading: Leading | None) -> bool:
    return taken or leading is not None


def _with(so_far: tuple[Leading, ...], leading: Leading | None) -> tuple[Leading, ...]:
    return so_far if leading is None or leading in so_far else (*so_far, leading)
