"""What is known of one EVSE's limits: what the site wants, what the station holds, and the CALL between them?"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from local_controller.profiles.profile import ALL_PHASES
from local_controller.profiles.schedule import Schedule
from local_controller.station.blocks.carried_over import CarriedOver
from local_controller.station.blocks.obedience import Obedience
from local_controller.station.blocks.push import NEVER, Push
from local_controller.station.blocks.wish import Wish
from local_controller.station.capability import Rung
from local_controller.station.words import LimitKind

_UNLIMITED = Schedule.unlimited()


@dataclass(slots=True)
class EvseLimits:
    """One EVSE.

    floor_rung: how it was given the floor. unanswered: rungs in a row; silences: so many times all of them. repeats: the same
    limit is to be told once more. is_floor_asked: the site waits for a word on its floor. refused_floor_a: a floor that the
    station does not take. later_s: when the station may be written to again. look_s: when a setting of the maker must be
    changed.
    """

    number: int
    carried: CarriedOver
    held_fallback_a: float | None = None
    held_phases: int | None = None
    floor_rung: Rung | None = None
    held: Push | None = None
    push: Push | None = None
    is_sent: bool = False
    is_withdrawn: bool = False
    unanswered: int = 0
    silences: int = 0
    repeats: bool = False
    is_floor_asked: bool = False
    refused_floor_a: float | None = None
    later_s: float | None = None
    look_s: float | None = None
    obedience: Obedience = field(default_factory=Obedience)
    retry_s: dict[LimitKind, float] = field(default_factory=dict)

    @property
    def fallback_a(self) -> float:
        """The floor that the site wants."""
        return self.carried.fallback_a

    @fallback_a.setter
    def fallback_a(self, limit_a: float) -> None:
        self.carried.fallback_a = limit_a

    @property
    def transaction_id(self) -> str | None:
        """The transaction that limits were last written for."""
        return self.carried.transaction_id

    @property
    def wish(self) -> Wish | None:
        """The site's latest wish for it."""
        return self.carried.wish

    @wish.setter
    def wish(self, wish: Wish | None) -> None:
        self.carried.wish = wish

    @property
    def possible(self) -> tuple[Push, ...]:
        """TxProfiles of ours that the station may hold."""
        return self.carried.possible

    @possible.setter
    def possible(self, pushes: tuple[Push, ...]) -> None:
        self.carried.possible = pushes

    @property
    def held_floor(self) -> tuple[float | None, int | None]:
        """All that it was told of the floor."""
        return self.held_fallback_a, self.held_phases

    def forget(self) -> None:
        """The station may have lost everything: nothing is known to be held, nothing is on its way; the wish stays."""
        self.held_fallback_a = self.held = self.push = None
        self.retry_s, self.unanswered, self.silences, self.repeats = {}, 0, 0, False
        self.later_s = self.look_s = self.refused_floor_a = None
        self.obedience = Obedience()

    def held_limit(self) -> Schedule:
        """The working limit that the station holds; no constraint if it holds none."""
        return _UNLIMITED if self.held is None or self.held.target.working is None else self.held.target.working

    def may_hold_after(self, at: datetime) -> bool:
        """Whether a TxProfile of ours may still run: a station may keep its transaction, and that, over a reboot."""
        working = (push.target.working for push in self.possible)
        return any(one is not None and bool(one.steps) and one.steps[-1][0] > at for one in working)

    def holds_after(self, at: datetime) -> bool:
        """Whether the working limit that the station holds has not ended yet; after a clock was set back it may begin again."""
        steps = self.held_limit().steps
        return bool(steps) and (steps[-1][0] > at or self._never_ends)

    @property
    def _never_ends(self) -> bool:
        """Whether the station holds a setting of the maker."""
        return self.held is not None and self.held.ends == NEVER

    def is_on_fewer_phases(self, fewer: Schedule, at: datetime) -> bool:
        """Whether these are fewer phases than the station lets a car use, now or later."""
        if fewer.is_unlimited:
            return False
        moments = (at, *(moment for moment, _ in fewer.steps if moment > at))
        return any((fewer.at(moment) or ALL_PHASES) < self.phases_in_force(moment) for moment in moments)

    def phases_in_force(self, at: datetime) -> float:
        """How many phases the station lets a car use at this moment, as far as known."""
        if self.held is not None and self.held_limit().at(at) is not None:
            return self.held.target.fewer.at(at) or ALL_PHASES
        return self.held_phases or ALL_PHASES

    def in_force_a(self, at: datetime) -> float | None:
        """The most that the station may obey now; None if that is not known."""
        working_a = self.held_limit().at(at)
        if working_a is not None or self.carried.is_unsure or self.held_fallback_a is None:
            return working_a
        working = (push.target.working for push in self.possible if push.target.working is not None)
        return max([self.held_fallback_a, *(limit_a for one in working if (limit_a := one.at(at)) is not None)])

    def is_lowered_later(self, working: Schedule, at: datetime) -> bool:
        """Whether this limit changes to less than the station would obey then by what it holds now."""
        held = self.held_limit()
        moments = {moment for limit in (working, held) for moment, _ in limit.steps[1:-1] if moment > at}
        for moment in moments:
            before_a, after_a = held.at(moment), working.at(moment)
            before_a = self.held_fallback_a if before_a is None else before_a
            if before_a is not None and after_a is not None and after_a < before_a:
                return True
        return False
