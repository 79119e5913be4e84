"""Which rung of the ladder is tried next? What has just failed is left alone for a while.

Trials are never destructive: a profile of ours replaces itself, and what a refused one was to replace goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

from local_controller.station.capability import Rung
from local_controller.station.words import LimitKind

TRIAL_PAUSE_S = 900.0
"""A rung that failed is not tried again so soon, unless it is the best guess and there is no other."""

REFUSED_RETRY_S = 300.0
"""After every rung was refused, we try again this much later, or as soon as something changes (Wallbox: refusals pass)."""

UNANSWERED_RETRY_S = 30.0
"""After silence sooner: the station's usual time to answer is over (some take up to 60 s, field experience)."""

MOST_UNANSWERED = 2
"""So many rungs in a row may go unanswered; then the station is silent rather than unwilling."""


class Trials:
    """What failed lately on one station, be it on one EVSE or another."""

    def __init__(self) -> None:
        """Nothing has failed yet."""
        self._until_s: dict[tuple[LimitKind, Rung], float] = {}

    def next(self, kind: LimitKind, rungs: Sequence[Rung], now_s: float) -> Rung | None:
        """The first one that has not failed lately, else the best guess; None where there is no rung at all."""
        best = rungs[0] if rungs else None
        return (self.other(kind, rungs, now_s) or best) if self._until_s else best

    def other(self, kind: LimitKind, rungs: Sequence[Rung], now_s: float) -> Rung | None:
        """The first one that has not failed lately."""
        return next((rung for rung in rungs if self._until_s.get((kind, rung), now_s) <= now_s), None)

    def failed(self, kind: LimitKind, rung: Rung, until_s: float) -> None:
        """The station refused it, or said nothing; it is left alone until then."""
        self._until_s[kind, rung] = until_s

    def succeeded(self, kind: LimitKind, rung: Rung) -> None:
        """The station took it."""
        self._until_s.pop((kind, rung), None)
