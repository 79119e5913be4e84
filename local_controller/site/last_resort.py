"""When is a car that ignores its limit paused, and when is its session ended? The last steps of the follow-up (G14, LC-115).

Its worst case is reserved and the others make room for it as soon as it is found out. Where a limit is exceeded all the
same it is told to pause. Where it had the time for that, the others had theirs to make room, and a limit is still exceeded, its
transaction is stopped, as its driver could stop it. That is worth more than a fuse: everybody behind that would stand
still.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from local_controller.clock import Instant
from local_controller.site.effects import Notice, StopSession
from local_controller.site.evse import EvseState
from local_controller.site.exceeded import Exceeded, Over
from local_controller.site.known_evse import SETTLE_S
from local_controller.site.per_phase import PerPhase
from local_controller.site.places import Place
from local_controller.station.words import EvseId

PAUSE_S: Final = 5.0
"""After it was found out, which takes 15 s from a decrease on: then it is told 0 A (20 s, G14)."""

STOP_S: Final = 10.0
"""If a limit has been exceeded for so long since, its transaction is stopped (30 s, G14); a slow station has longer. So long
the end of another one counts as if it had come already."""

AGAIN_S: Final = 30.0
"""A station that goes on is asked again after so long,"""

TRIES: Final = 3
"""and so often in all."""


@dataclass(slots=True)
class _Case:
    """A session that ignores its limit, since when. paused_at: since when it is to draw nothing.

    over_s: for how long a limit has been exceeded since then, less the time in which none was. asked: how often its end was
    asked for, the last time when.
    """

    transaction_id: str
    since: Instant
    paused_at: Instant | None = None
    over_s: float = 0.0
    looked_at: Instant | None = None
    asked: int = 0
    asked_at: Instant | None = None

    def look(self, *, is_over: bool, now: Instant) -> None:
        """Time passed."""
        seconds = 0.0 if self.looked_at is None else now.since(self.looked_at)
        self.over_s = max(0.0, self.over_s + (seconds if is_over else -seconds))
        self.looked_at = now
        if self.over_s <= 0.0 and not is_over:  # what is exceeded later is another case
            self.paused_at = None

    def may_be_asked(self, now: Instant) -> bool:
        """Whether there is an attempt left, and the last one was long ago."""
        return self.asked < TRIES and (self.asked_at is None or now.since(self.asked_at) >= AGAIN_S)


class _End(NamedTuple):
    """The end of a session that was asked for: when, which nodes it relieves, and of how much."""

    at: Instant
    path: Sequence[str]
    drawn_a: PerPhase


@dataclass(slots=True)
class LastResort:
    """Who ignores its limit, and what was done about it. are_stopped: whether sessions may be ended."""

    are_stopped: bool = True
    _cases: dict[EvseId, _Case] = field(default_factory=dict)
    _ends: list[_End] = field(default_factory=list)

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
        self._ends = [end for end in self._ends if now.since(end.at) < STOP_S]

    def pauses(self, evse: EvseId, now: Instant, *, is_over: bool) -> bool:
        """Whether it has ignored its limit for so long that it is told 0 A, where a limit is, or lately was, exceeded."""
        case = self._cases.get(evse)
        if case is None or now.since(case.since) < PAUSE_S:
            return False
        if is_over:
            case.paused_at = case.paused_at or now
        return case.paused_at is not None

    def stops(self, places: Sequence[Place], exceeded: Exceeded, now: Instant) -> Iterator[StopSession | Notice]:
        """The ends of as many sessions as it takes, those who draw most first."""
        if not self.are_stopped:
            return
        for place in sorted(places, key=lambda one: -one.state.drawn_a(now)):
            case = self._cases.get(place.state.evse.id)
            if case is None or case.paused_at is None:
                continue
            over = exceeded.most(place.path, place.state.phases(), now)
            case.look(is_over=over is not None, now=now)
            if over is None or not self._had_its_time(case, place.state, over, now) or not case.may_be_asked(now):
                continue
            if sum(over.of(end.drawn_a) for end in self._ends if over.node in end.path) < over.by_a:
                self._ends.append(_End(now, place.path, place.state.measured_a(now)))
                yield from _stopped(case, place.state, over, now)

    @staticmethod
    def _had_its_time(case: _Case, state: EvseState, over: Over, now: Instant) -> bool:
        """Whether it should have paused by now, and all others have followed; where no meter tells, it must be measured."""
        assert case.paused_at is not None  # noqa: S101 - the caller has looked
        time_s = STOP_S + state.settle_s - SETTLE_S
        if now.since(case.paused_at) < time_s or case.over_s < STOP_S:
            return False
        return over.is_metered or state.measured_since(case.paused_at.after(time_s))


def _stopped(case: _Case, state: EvseState, over: Over, now: Instant) -> Iterator[StopSession | Notice]:
    case.asked, case.asked_at = case.asked + 1, now
    text = (
        f"{state.evse.id} draws {state.drawn_a(now):.1f} A although it was told {state.ordered_a:.1f} A, and {over.label} is"
        f" above its limit: its session is stopped ({case.asked} of at most {TRIES} attempts); check the station"
    )
    yield StopSession(state.evse.id, case.transaction_id)
    yield Notice("error", "session_stopped", text, {"evse": str(state.evse.id)})
