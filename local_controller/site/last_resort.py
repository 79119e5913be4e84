"""When is a car that ignores its limit paused, and when is its session ended? The last steps of the follow-up (G14, LC-115).

Its worst case is reserved and the others make room for it as soon as it is found out. Where even that is not enough it is
told to pause, and where a limit is still exceeded its transaction is stopped, as its driver could stop it. That is worth
more than a fuse: everybody behind that would stand still.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from local_controller.clock import Instant
from local_controller.site.capacity import NodeState
from local_controller.site.effects import Notice, StopSession
from local_controller.site.evse import EvseState
from local_controller.site.limits import AppliesTo, LimitBook
from local_controller.site.per_phase import PerPhase
from local_controller.station.words import EvseId

PAUSE_S: Final = 5.0
"""After it was found out, which takes 15 s from a decrease on: then it is told 0 A (20 s, G14)."""

STOP_S: Final = 15.0
"""And then its transaction is stopped (30 s, G14)."""

AGAIN_S: Final = 30.0
"""A station that goes on is asked again after so long,"""

TRIES: Final = 3
"""and so often in all."""


@dataclass(slots=True)
class _Case:
    """A session that ignores its limit, since when; how often its end was asked for, the last time when."""

    transaction_id: str
    since: Instant
    asked: int = 0
    asked_at: Instant | None = None


@dataclass(slots=True)
class LastResort:
    """Who ignores its limit, and what was done about it. stops: whether sessions may be ended."""

    stops: bool = True
    _cases: dict[EvseId, _Case] = field(default_factory=dict)

    def look(self, evses: Sequence[EvseState], now: Instant) -> None:
        """Once per reaction: those who ignore their limits; all others are forgotten."""
        cases = {}
        for state in evses:
            if state.session is None or not state.ignores_its_limit or not state.connected:
                continue
            case = self._cases.get(state.evse.id)
            is_known = case is not None and case.transaction_id == state.session.transaction_id
            cases[state.evse.id] = case if case and is_known else _Case(state.session.transaction_id, now)
        self._cases = cases

    def pauses(self, evse: EvseId, now: Instant) -> bool:
        """Whether it has ignored its limit for so long that it is told 0 A, where room is missing."""
        case = self._cases.get(evse)
        return case is not None and now.since(case.since) >= PAUSE_S

    def stop(self, state: EvseState, where: str, now: Instant) -> Sequence[StopSession | Notice]:
        """The end of a session for which a limit is exceeded at `where`, if it is time for that."""
        case = self._cases.get(state.evse.id)
        if not self.stops or case is None or now.since(case.since) < STOP_S or case.asked >= TRIES:
            return []
        if case.asked_at is not None and now.since(case.asked_at) < AGAIN_S:
            return []
        case.asked, case.asked_at = case.asked + 1, now
        text = (
            f"{state.evse.id} draws {state.drawn_a(now):.1f} A although it was told {state.ordered_a:.1f} A, and {where} is"
            f" above its limit: its session is stopped ({case.asked} of at most {TRIES} attempts); check the station"
        )
        notice = Notice("error", "session_stopped", text, {"evse": str(state.evse.id)})
        return [StopSession(state.evse.id, case.transaction_id), notice]


@dataclass(frozen=True, slots=True)
class Exceeded:
    """Which limits of a site are exceeded at a moment: as meters show, or by worst cases where none does."""

    nodes: Mapping[str, NodeState]
    book: LimitBook
    left_a: Mapping[str, PerPhase]
    tolerance_a: float

    def where(self, path: Sequence[str], phases: Sequence[int], now: Instant) -> str:
        """The first place on the way to the grid, in words; empty if nothing is exceeded there."""
        over = (self.nodes[name] for name in path if self._over_a(name, phases, now) > self.tolerance_a)
        return next((state.node.label for state in over), "")

    def _over_a(self, name: str, phases: Sequence[int], now: Instant) -> float:
        state, ceiling = self.nodes[name], self.book.ceiling(name, AppliesTo.TOTAL, now)
        reading = None if state.meter is None or state.blind(now) else state.meter.reading
        if reading is None or ceiling is None:
            return max(-self.left_a[name][phase] for phase in phases)
        return max(reading.current_a[phase] - ceiling.limit_a[phase] for phase in phases)
