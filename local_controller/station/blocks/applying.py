"""Which change of the CSMS is not in the station yet, and what becomes of it? (LC-092)

It counts from the beginning, and is answered once the station has taken what follows from it. If the station refuses
that, or says nothing in time, the change is undone and the CSMS refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from local_controller.clock import Instant
from local_controller.station.block import BlockEffect
from local_controller.station.blocks.profile_desk import ProfileDesk
from local_controller.station.words import OcppVersion

ANSWER_S = 8.0
"""The CSMS waits for an answer at most as long as for one of our own CALLs (LC-092)."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a request of the CSMS has changed at these EVSEs.

    undo: takes it back, and nothing that came since. then: what else is to be done once the station has taken it.
    """

    message_id: str
    evses: tuple[int, ...]
    undo: Callable[[], None]
    then: tuple[BlockEffect, ...] = ()


class Applying:
    """At most one change at a time."""

    def __init__(self, desk: ProfileDesk) -> None:
        """None yet."""
        self._desk = desk
        self._change: Change | None = None
        self.due_s: float | None = None
        """When the CSMS must have its answer, in monotonic seconds."""

    @property
    def is_busy(self) -> bool:
        """Whether an answer is still owed."""
        return self._change is not None

    def begin(self, change: Change, now: Instant) -> list[BlockEffect]:
        """Writes what follows from a change that is made already."""
        self._change, self.due_s = change, now.monotonic_s + ANSWER_S
        return [*self._desk.writer.reconsider(now, retry=True), *self.settle(now)]

    def settle(self, now: Instant) -> list[BlockEffect]:
        """Answers the CSMS once the station holds what follows. A station that we may not call learns it later."""
        change, writer = self._change, self._desk.writer
        if change is None or (self._desk.state.may_call and not all(writer.is_done(e, now) for e in change.evses)):
            return []
        self.forget()
        return [self._desk.answer(change.message_id, "Accepted"), *change.then, *self._desk.news.latest(now)]

    def refused(self, evse: int, word: str, now: Instant) -> list[BlockEffect]:
        """The station has refused the last way to tell it what follows at this EVSE."""
        return self._undo(word, now) if self._change is not None and evse in self._change.evses else []

    def expire(self, now: Instant) -> list[BlockEffect]:
        """The CSMS has waited long enough."""
        return self._undo("no answer", now) if self.due_s is not None and self.due_s <= now.monotonic_s else []

    def _undo(self, word: str, now: Instant) -> list[BlockEffect]:
        change = self._change
        if change is None:
            return []
        self.forget()
        change.undo()
        is_known = self._desk.state.version is OcppVersion.V16 and word == "NotSupported"
        answer = self._desk.answer(change.message_id, word if is_known else "Rejected")
        return [answer, *self._desk.writer.reconsider(now), *self._desk.news.latest(now)]

    def forget(self) -> None:
        """Nobody waits for an answer any more; the change stays.

        Safe when a connection ends: it was checked like any other, and the CSMS, which got no answer, must ask again.
        """
        self._change = self.due_s = None
