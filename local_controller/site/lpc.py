"""What does a grid operator's control box allow just now? The state machine of EEBUS LPC, limitation of power consumption.

An external bridge speaks EEBUS with the control box and hands on what it says: heartbeats, limits, failsafe values. The rules
are those of grid-and-safety §4.2 (LPC-901 … LPC-922), on monotonic time. What is retained is of unknown age: it takes
away at once, and gives nothing (§3.3).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from local_controller.clock import Instant

HEARTBEAT_S: Final = 60.0
"""At least so often a heartbeat comes; later than that nothing is raised (LPC-911)."""

SILENT_S: Final = 120.0
"""Without a heartbeat for so long the failsafe limit counts (LPC-911, LPC-912)."""

AUTONOMOUS_S: Final = 120.0
"""Without a limit for so long after the start, or after heartbeats came back, nothing is limited (LPC-906, LPC-921)."""

ANSWER_S: Final = 60.0
"""Within so long after it is there (again) a control box has to write its limit (LPC-913)."""

SHORTEST_FAILSAFE_S: Final = 7200.0
LONGEST_FAILSAFE_S: Final = 86_400.0
"""What a control box may ask for (LPC-022)."""


class LpcState(StrEnum):
    """The states of a controlled system."""

    INIT = "init"
    UNLIMITED_CONTROLLED = "unlimited, controlled"
    LIMITED = "limited"
    FAILSAFE = "failsafe"
    UNLIMITED_AUTONOMOUS = "unlimited, autonomous"


@dataclass(frozen=True, slots=True)
class LpcSettings:
    """failsafe_w: what counts at the start and when the control box is silent. failsafe_s: for how long at least.

    ends_by_itself: after that nothing is limited, though the control box is still silent (LPC-922, which is optional).
    """

    failsafe_w: float = 4200.0
    failsafe_s: float = SHORTEST_FAILSAFE_S
    ends_by_itself: bool = True


@dataclass(frozen=True, slots=True)
class LpcHeartbeat:
    """The control box is there; of a retained one nobody knows when it was."""


@dataclass(frozen=True, slots=True)
class LpcLimit:
    """The control box writes a limit. power_w: None, it is not active. duration_s: None, it never expires."""

    power_w: float | None
    duration_s: float | None = None
    is_retained: bool = False


@dataclass(frozen=True, slots=True)
class LpcFailsafe:
    """The control box sets what counts while it is silent, and for how long at least; None: as before."""

    power_w: float | None
    duration_s: float | None = None
    is_retained: bool = False


LpcWord = LpcHeartbeat | LpcLimit | LpcFailsafe
"""What a control box says."""


@dataclass(frozen=True, slots=True)
class LpcWrite:
    """A limit that was written at a time. power_w: None, it is not active. ends_at: None, it never expires."""

    power_w: float | None
    at: Instant
    ends_at: Instant | None = None

    def is_over(self, now: Instant) -> bool:
        """Whether it expired."""
        return self.ends_at is not None and now.since(self.ends_at) >= 0


@dataclass(slots=True)
class Lpc:
    """One control box. Every method first lets time pass until `now`, which never goes back.

    since: when the state began. heartbeat_at: the last heartbeat. answers_since: since when heartbeats come without a gap,
    and no limit with them. written: what counts while limited. waiting, retained: a limit without (fresh) heartbeat, and one
    of unknown age; they take away only, and for `SILENT_S` after they and the last heartbeat came.
    """

    settings: LpcSettings
    since: Instant
    state: LpcState = LpcState.INIT
    heartbeat_at: Instant | None = None
    answers_since: Instant | None = None
    written: LpcWrite | None = None
    waiting: LpcWrite | None = None
    retained: LpcWrite | None = None
    failsafe_w: float = field(init=False)
    failsafe_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.failsafe_w, self.failsafe_s = self.settings.failsafe_w, self.settings.failsafe_s

    # --- what the control box says -------------------------------------------------------------------------------

    def heartbeat(self, now: Instant) -> None:
        """It is there."""
        self.advance(now)
        if not self._is_alive(now):
            self.answers_since = now
        self.heartbeat_at = now
        if self.state in {LpcState.INIT, LpcState.UNLIMITED_AUTONOMOUS} and self.waiting is not None:
            self._take(self.waiting, now)  # both are there, in whatever order two topics brought them

    def limit(self, told: LpcLimit, now: Instant) -> None:
        """It writes a limit. In failsafe only one after a heartbeat counts in full (LPC-916)."""
        self.advance(now)
        write = LpcWrite(told.power_w, now, None if told.duration_s is None else now.after(told.duration_s))
        if told.is_retained:
            self.retained = write
        elif self._is_alive(now):
            self._take(write, now)
        else:
            self.waiting = write

    def failsafe(self, told: LpcFailsafe, now: Instant) -> None:
        """It sets the failsafe values, or one of them; of what is retained only the stricter counts."""
        self.advance(now)
        if (power_w := told.power_w) is not None:
            self.failsafe_w = min(power_w, self.failsafe_w) if told.is_retained else power_w
        if told.duration_s is not None:
            duration_s = min(max(told.duration_s, SHORTEST_FAILSAFE_S), LONGEST_FAILSAFE_S)
            self.failsafe_s = max(duration_s, self.failsafe_s) if told.is_retained else duration_s

    def hear(self, word: LpcWord, now: Instant) -> None:
        """Any of these."""
        match word:
            case LpcHeartbeat():
                self.heartbeat(now)
            case LpcLimit():
                self.limit(word, now)
            case LpcFailsafe():
                self.failsafe(word, now)

    def lost(self, now: Instant) -> None:
        """It says what nobody understands: failsafe begins anew, for that may have been a limit; what is lower stays."""
        self.advance(now)
        kept, self.written, self.heartbeat_at = self._lowest(self.written, self.waiting, self.retained), None, None
        self._enter(LpcState.FAILSAFE, now)
        self.waiting = None if kept is None else replace(kept, at=now)

    # --- time ----------------------------------------------------------------------------------------------------

    def advance(self, now: Instant) -> None:
        """What time alone does; several steps if long nobody asked."""
        self.waiting, self.retained = self._unless_old(self.waiting, now), self._unless_old(self.retained, now)
        while (following := self._following(now)) is not None:
            state, at = following
            if state in {LpcState.FAILSAFE, LpcState.UNLIMITED_AUTONOMOUS, LpcState.UNLIMITED_CONTROLLED}:
                self.written = None  # failsafe discards the old limit, too
            if state is LpcState.UNLIMITED_AUTONOMOUS and (lowest := self._lowest_of_unknown()) and self._is_alive(at):
                self._take(lowest, at)  # before nothing is limited any more, this is, while the control box is there
            else:
                self._enter(state, at)

    def _following(self, now: Instant) -> tuple[LpcState, Instant] | None:
        """The next state, if it is due, and since when."""
        match self.state:
            case LpcState.INIT:
                return _due(LpcState.UNLIMITED_AUTONOMOUS, self.since.after(AUTONOMOUS_S), now)
            case LpcState.UNLIMITED_CONTROLLED | LpcState.LIMITED:
                silent_at = (self.heartbeat_at or self.since).after(SILENT_S)
                ends_at = None if self.written is None else self.written.ends_at
                if ends_at is not None and ends_at.since(silent_at) < 0:
                    return _due(LpcState.UNLIMITED_CONTROLLED, ends_at, now)
                return _due(LpcState.FAILSAFE, silent_at, now)
            case LpcState.FAILSAFE:
                return self._out_of_failsafe(now)
            case LpcState.UNLIMITED_AUTONOMOUS:
                return None

    def _out_of_failsafe(self, now: Instant) -> tuple[LpcState, Instant] | None:
        ends = [self._failsafe_ends()] if self.settings.ends_by_itself else []
        if self.answers_since is not None and self._is_alive(at := self.answers_since.after(AUTONOMOUS_S)):
            ends.append(at)
        return _due(LpcState.UNLIMITED_AUTONOMOUS, min(ends), now) if ends else None

    def _failsafe_ends(self) -> Instant:
        """Heartbeats that came back and stopped again begin another silence, which lasts as long."""
        silences = [self.since, *([] if self.heartbeat_at is None else [self.heartbeat_at.after(SILENT_S)])]
        return max(silences, key=lambda at: at.monotonic_s).after(self.failsafe_s)

    def _enter(self, state: LpcState, at: Instant) -> None:
        self.state, self.since = state, at
        if state is LpcState.FAILSAFE:
            self.answers_since = self.waiting = self.retained = None

    def _take(self, write: LpcWrite, now: Instant) -> None:
        """A write counts in full."""
        self.waiting = self.retained = self.answers_since = None
        if write.power_w is None:
            self.written = None
            self._enter(LpcState.UNLIMITED_CONTROLLED, now)
        else:
            self.written = write
            self._enter(LpcState.LIMITED, now)

    # --- what it means -------------------------------------------------------------------------------------------

    def power_w(self, now: Instant) -> float | None:
        """What counts now, in watts; None: no limit."""
        self.advance(now)
        lowest = self._lowest_of_unknown()
        bounds_w = [one for one in (self._state_w(), None if lowest is None else lowest.power_w) if one is not None]
        return min(bounds_w, default=None)

    def _state_w(self) -> float | None:
        if self.state in {LpcState.INIT, LpcState.FAILSAFE}:
            return self.failsafe_w
        return None if self.written is None else self.written.power_w

    def may_raise(self, now: Instant) -> bool:
        """A heartbeat that is late is a reason to raise nothing."""
        self.advance(now)
        if self.state not in {LpcState.UNLIMITED_CONTROLLED, LpcState.LIMITED}:
            return True
        return self.heartbeat_at is not None and now.since(self.heartbeat_at) <= HEARTBEAT_S

    def changes_at(self) -> Instant | None:
        """When what counts ends by itself if nothing more is heard; None: never."""
        match self.state:
            case LpcState.INIT:
                return self.since.after(AUTONOMOUS_S)
            case LpcState.LIMITED:
                return None if self.written is None else self.written.ends_at
            case LpcState.FAILSAFE if self.settings.ends_by_itself:
                return self._failsafe_ends()
            case _:
                return None

    def trouble(self, now: Instant) -> str:
        """What is wrong with it just now, for people; empty if nothing is."""
        self.advance(now)
        if not self._is_alive(now):
            return (
                "no heartbeat"
                if self.heartbeat_at is None
                else f"no heartbeat for {now.since(self.heartbeat_at):.0f} s"
            )
        if self.answers_since is not None and now.since(self.answers_since) > ANSWER_S:
            return f"no limit within {ANSWER_S:.0f} s of its first heartbeat (LPC-913)"
        return "" if self.may_raise(now) else "its heartbeat is late"

    def _is_alive(self, now: Instant) -> bool:
        return self.heartbeat_at is not None and now.since(self.heartbeat_at) < SILENT_S

    def _unless_old(self, write: LpcWrite | None, now: Instant) -> LpcWrite | None:
        """What waits counts no more when it has expired, or when nobody stands for it: no heartbeat came since, or any more."""
        if write is None or write.is_over(now):
            return None
        return write if now.since(write.at) < SILENT_S or self._is_alive(now) else None

    def _lowest_of_unknown(self) -> LpcWrite | None:
        """The lowest limit that waits or is retained."""
        return self._lowest(self.waiting, self.retained)

    @staticmethod
    def _lowest(*writes: LpcWrite | None) -> LpcWrite | None:
        """Of those that are active."""
        active = [(one.power_w, one) for one in writes if one is not None and one.power_w is not None]
        return min(active, key=lambda pair: pair[0])[1] if active else None


def _due(state: LpcState, at: Instant, now: Instant) -> tuple[LpcState, Instant] | None:
    return (state, at) if now.since(at) >= 0 else None
