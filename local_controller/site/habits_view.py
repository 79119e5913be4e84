"""What has the site learnt from visits? Counts, spreads and ages for people, of the site and of each EVSE; nothing of single cards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
import numpy as np

from optimizer.habits import ENOUGH, Visit


@dataclass(frozen=True, slots=True)
class Spread:
    """One in ten is at most p10, half at most p50, nine in ten at most p90."""

    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class Learnt:
    """Of some visits: how many, how long they stayed, what they took, when the first and the last ended (local days)."""

    visits: int
    stay_h: Spread
    energy_kwh: Spread
    first_day: str
    last_day: str


@dataclass(frozen=True, slots=True)
class HabitsView:
    """kept_days: so long a visit is remembered, 0: nothing is learnt. kept_in: the file; None: it ends with the gateway.

    enough: so many visits of a kind are needed before they say anything. cards: how many are told apart. overall: None
    without visits.
    """

    kept_days: int
    kept_in: str | None
    enough: int
    cards: int
    overall: Learnt | None
    evses: dict[str, Learnt]

    def as_json(self) -> dict[str, Any]:
        """Plain values for a JSON encoder."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def habits_view(visits: Sequence[Visit], kept_days: int, kept_in: str | None) -> HabitsView:
    """The picture of these visits."""
    return HabitsView(
        kept_days,
        kept_in,
        ENOUGH,
        len({visit.token for visit in visits} - {""}),
        _learnt(visits) if visits else None,
        {evse: _learnt([v for v in visits if v.evse == evse]) for evse in sorted({v.evse for v in visits})},
    )


def _learnt(visits: Sequence[Visit]) -> Learnt:
    days = [visit.day for visit in visits]
    return Learnt(
        len(visits),
        _spread(visits, lambda visit: visit.stay_s / 3600),
        _spread(visits, lambda visit: visit.energy_wh / 1000),
        _day(min(days)),
        _day(max(days)),
    )


def _spread(visits: Sequence[Visit], value: Callable[[Visit], float]) -> Spread:
    p10, p50, p90 = np.quantile([value(visit) for visit in visits], (0.1, 0.5, 0.9)).tolist()
    return Spread(round(p10, 2), round(p50, 2), round(p90, 2))


def _day(day: int) -> str:
    return date.fromordinal(day).isoformat()
