"""Limits that were told in one way are without effect: what is written now, and which floors does nobody rely on?"""

from __future__ import annotations

from local_controller.clock import Instant
from local_controller.station.block import BlockEffect
from local_controller.station.blocks.evse_limits import EvseLimits
from local_controller.station.blocks.limit_desk import LimitDesk
from local_controller.station.blocks.limit_writing import LimitWriting
from local_controller.station.blocks.trials import REFUSED_RETRY_S
from local_controller.station.capability import Rung
from local_controller.station.effects import Note
from local_controller.station.words import LimitKind, LimitOutcome

WITHOUT_EFFECT = "a limit that was told in the same way is without effect"
"""Why a floor is not believed."""


class WithoutEffect:
    """What is without effect at one station (LC-105)."""

    def __init__(self, desk: LimitDesk, writing: LimitWriting) -> None:
        self._desk = desk
        self._state = desk.state
        self._evses = desk.evses
        self._writing = writing

    def disobeyed(self, e: EvseLimits, drawn_a: float, now: Instant) -> list[BlockEffect]:
        """The car draws so much; what was measured above its limit for long enough leads to the next rung."""
        at = self._state.station_time(now)
        if e.held is None or e.push is not None or not e.holds_after(at):
            return []
        if not e.obedience.exceeded(drawn_a, e.held.limit_a, self._state.capability.settle_s, now.monotonic_s):
            return []
        rung, limit_a = e.held.rung, e.held.limit_a
        self._state.capability = self._state.capability.disobeying(rung, now.utc)
        self._desk.floor_trials.disobeyed(e)
        doubted = self._doubt_floors(rung)
        fields = {"evse": e.number, "drawn_a": round(drawn_a, 1), "limit_a": round(limit_a, 1), "way": str(rung)}
        noted = Note("warning", "limit_without_effect", fields)
        if self._state.capability.obeys_nothing:
            word = f"it draws {drawn_a:.1f} A, whichever way it is told a limit"
            return [noted, *doubted, self._desk.tell(e, LimitKind.WORKING, LimitOutcome.REFUSED, limit_a, word)]
        e.held = None
        return [noted, *doubted, *self._writing.pump(e, now)]

    def _doubt_floors(self, rung: Rung) -> list[BlockEffect]:
        """A floor that was given in the same way is perhaps without effect as well: nobody must rely on it."""
        doubted = [e for e in self._evses.values() if e.floor_rung is not None and e.floor_rung.is_like(rung)]
        for e in doubted:
            e.held_fallback_a = None
        return [
            self._desk.tell(e, LimitKind.FALLBACK, LimitOutcome.REFUSED, e.fallback_a, WITHOUT_EFFECT) for e in doubted
        ]

    def disbelieves(self, e: EvseLimits, now: Instant) -> list[BlockEffect]:
        """To say yes to a floor proves nothing where limits told in that way have no effect: it counts when one is taken."""
        e.held_fallback_a = None
        e.retry_s[LimitKind.FALLBACK] = now.monotonic_s + REFUSED_RETRY_S
        return [self._desk.tell(e, LimitKind.FALLBACK, LimitOutcome.REFUSED, e.fallback_a, WITHOUT_EFFECT)]

    def give_floors_anew(self, but: EvseLimits, now: Instant) -> list[BlockEffect]:
        """Another way is taken: floors that were in doubt have not to wait any longer, nor for their own EVSE."""
        doubted = [e for e in self._evses.values() if e.held_fallback_a is None]
        for e in doubted:
            e.retry_s.pop(LimitKind.FALLBACK, None)
        return [effect for e in doubted if e is not but for effect in self._writing.pump(e, now)]
