"""On how many phases should a car charge, and when may that change?

A three-phase car needs three times the minimum of a phase. Where that is not there, but one phase could carry its minimum, it
charges on one phase rather than not at all. Cars may be harmed by a contactor that moves while they draw, so every switch
passes through a pause at 0 A that is proven (goal G9; evcc waits 60 s as well), and back to three phases goes only who has
had the room for 600 s, so that no cloud switches a car.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from local_controller.clock import Instant
from local_controller.site.topology import STATION_PHASES, Evse
from local_controller.station.words import PhaseSwitching

PAUSE_S: Final = 60.0
"""A switch passes through so long a pause at 0 A (goal G9)."""

ROOM_S: Final = 600.0
"""Back to three phases only when the room for three times the minimum has lasted so long (goal G9)."""

ANSWER_S: Final = 20.0
"""So long after a switch was told, answers may be to what was sent before (two time-outs of 8 s)."""

STUCK_S: Final = 600.0
"""A pause of which 0 A or the station's yes is not proven for so long is given up, so that no car starves in it."""

HELD_S: Final = 3600.0
"""So long a car stays on one phase whose CSMS allows no more: it may allow more later, and only asking tells."""

UNSEEN_S: Final = 60.0
"""Room that nobody could look at for longer may have been gone meanwhile (the station was lost, or did not follow)."""

AGAIN_S: Final = 300.0
"""Between two switches of an EVSE, whoever charges there: KEBA takes no two within 5 min (grid-and-safety §4.8)."""


class Step(StrEnum):
    """Where a session is on its way between one and three phases."""

    THREE = "three phases"
    LEAVES_THREE = "pauses before it charges on one phase"
    ONE = "one phase"
    LEAVES_ONE = "pauses before it charges on three phases"


class Told(NamedTuple):
    """What a station is told besides a limit: numberPhases, and phaseToUse where it takes that (as it counts phases)."""

    phases: int
    phase_to_use: int | None = None


class Choice(NamedTuple):
    """One way to charge on one phase, and the grid phases that may carry the car then: one if that is known, else all."""

    told: Told
    lands_on: tuple[int, ...]


@dataclass(slots=True)
class OnePhase:
    """What is known of charging on one phase at one EVSE, whoever charges there.

    may: what the station said of itself, or the site file of it. learnt: the grid phase that carried a car that was told so,
    as measured; doubted: it was another one than the site file says, or than was learnt. is_disproved: it was measured to
    charge on more phases all the same, or it refuses to be told. is_missed: a switch would have helped since the
    last trial, if it had been known which phase carries the car. switched_at: when it was told another number of phases last.
    """

    may: PhaseSwitching = field(default_factory=PhaseSwitching)
    learnt: dict[Told, int] = field(default_factory=dict)
    doubted: set[Told] = field(default_factory=set)
    is_disproved: bool = False
    is_missed: bool = False
    switched_at: Instant | None = None

    def choices(self, evse: Evse) -> list[Choice]:
        """All ways, those first that are known; none where the station cannot switch."""
        if not self.may.is_able or self.is_disproved or len(evse.grid_phases) == 1:
            return []
        numbers = (1, 2, 3) if self.may.takes_phase else ()
        ways = [Told(1, number) for number in numbers]
        if not ways or self.may.one_phase is not None:
            ways.insert(0, Told(1))
        choices = [Choice(told, self.lands_on(told, evse)) for told in ways]
        return sorted(choices, key=lambda choice: len(choice.lands_on))

    def lands_on(self, told: Told, evse: Evse) -> tuple[int, ...]:
        """The grid phases that may carry a car that is told so: as measured, as the site file says, else any (LC-112).

        A station that was measured on the phase that it was told is believed to follow to the others, too.
        """
        if told in self.learnt:
            return (self.learnt[told],)
        if told in self.doubted:
            return evse.grid_phases
        if told.phase_to_use is None:
            said = self.may.one_phase
            return evse.grid_phases if said is None else (evse.grid_phase(said),)
        follows = [
            _told_phase(one, evse) == phase for one, phase in self.learnt.items() if one.phase_to_use is not None
        ]
        return (_told_phase(told, evse),) if follows and all(follows) else evse.grid_phases

    def measured_on(self, told: Told, phase: int) -> None:
        """A three-phase car that was told so charged on this grid phase alone."""
        self.learnt[told], self.is_missed = phase, False

    def surprised_by(self, told: Told) -> None:
        """It was measured on another phase than what was known: nothing is, until that is measured often enough."""
        self.learnt.pop(told, None)
        self.doubted.add(told)

    def may_switch(self, now: Instant) -> bool:
        """Whether the last switch is long enough ago."""
        return self.switched_at is None or now.since(self.switched_at) >= AGAIN_S


def _told_phase(told: Told, evse: Evse) -> int:
    return evse.grid_phase(STATION_PHASES[(told.phase_to_use or 1) - 1])


class Seen(NamedTuple):
    """What the policy looks at.

    is_at_zero: nothing may flow, and that is proven. settle_s: so long after its yes a station has done as told. min_a,
    cap_a: the least that lets the car charge, the most it may have.
    room_a: the current per phase that there would be for the car on these grid phases, beside the minimums of all others.
    spans: it was measured on several phases in this session. is_lifted: something foreign lifts its limit, so that 0 A is
    never proven, and no number of phases that it was told says anything.
    """

    is_at_zero: bool
    settle_s: float
    min_a: float
    cap_a: float
    room_a: Callable[[tuple[int, ...]], float]
    spans: bool
    is_lifted: bool = False


@dataclass(slots=True)
class PhaseSwitch:
    """The number of phases of one session. told: what it is told of that, None for nothing (three, by the standard).

    told_at: since when. held_at: when its CSMS turned out to allow one phase only.
    paused_at: when it was to get 0 A, or was told another number then. looked_at: when it was looked at last.
    """

    step: Step = Step.THREE
    told: Told | None = None
    choice: Choice | None = None
    is_told: bool = False
    is_trial: bool = False
    zero_since: Instant | None = None
    confirmed_at: Instant | None = None
    room_since: Instant | None = None
    told_at: Instant | None = None
    held_at: Instant | None = None
    paused_at: Instant | None = None
    looked_at: Instant | None = None

    @property
    def is_on_one(self) -> bool:
        """Whether it was told to use one phase, so that this is what it may do once 0 A is proven."""
        return self.told is not None and self.told.phases == 1

    @property
    def pauses(self) -> bool:
        """Whether it is to get 0 A."""
        return self.step in {Step.LEAVES_THREE, Step.LEAVES_ONE}

    def goal(self, evse: Evse) -> tuple[int, ...] | None:
        """The grid phases that it pauses for; None where it does not pause."""
        if self.step is Step.LEAVES_THREE and self.choice is not None:
            return self.choice.lands_on
        return evse.grid_phases if self.step is Step.LEAVES_ONE else None

    def fell_back(self) -> None:
        """The station obeys something else than what it was told last: it counts as if on three phases."""
        self.step, self.told, self.choice, self.is_told = Step.THREE, None, None, False
        self.zero_since = self.confirmed_at = self.room_since = None

    def answered(self, phases: int | None, now: Instant) -> bool:
        """The station said yes to a limit on so many phases (None: nothing was said of them); whether that is another number.

        An answer to what was sent before the switch says nothing.
        """
        is_like = self.told is not None and (phases or 3) == self.told.phases
        if self.is_told and self.confirmed_at is None and is_like:
            self.confirmed_at = now
        is_late = self.told_at is not None and now.since(self.told_at) >= ANSWER_S
        if self.step is Step.LEAVES_ONE and self.is_told and phases == 1 and is_late:
            self._stay_on_one(now)
        return self.is_on_one and self.step is Step.ONE and not is_like

    def look(self, seen: Seen, wire: OnePhase, evse: Evse, now: Instant) -> bool:
        """One moment more; whether the session is told another number of phases from now on."""
        self.zero_since = (self.zero_since or now) if seen.is_at_zero else None
        if self.looked_at is not None and now.since(self.looked_at) > UNSEEN_S:
            self.room_since = None
        self.looked_at = now
        if self.pauses and (seen.is_lifted or self._is_stuck(now)):
            return self._give_up(wire, now)
        match self.step:
            case Step.THREE:
                self._leave_three(seen, wire, evse, now)
            case Step.LEAVES_THREE if not self.is_told:
                return self._tell_one(seen, wire, evse, now)
            case Step.ONE:
                self._leave_one(seen, wire, evse, now)
            case Step.LEAVES_ONE if not self.is_told:
                return self._tell_three(seen, wire, evse, now)
            case _:
                self._begin_again(seen.settle_s, now)
        return False

    # --- three to one --------------------------------------------------------------------------------------------

    def _leave_three(self, seen: Seen, wire: OnePhase, evse: Evse, now: Instant) -> None:
        if wire.may_switch(now) and (choice := self._one_phase(seen, wire, evse)) is not None:
            self.step, self.choice, self.paused_at = Step.LEAVES_THREE, choice, now

    def _one_phase(self, seen: Seen, wire: OnePhase, evse: Evse) -> Choice | None:
        """How the car would charge on one phase, if it should: it cannot on three, or nobody knows yet which phase that is."""
        choices, self.is_trial = wire.choices(evse), False
        if not choices or seen.cap_a < seen.min_a:
            return None
        is_room_for_three = seen.room_a(evse.grid_phases) >= seen.min_a
        if is_room_for_three:
            self.is_trial = wire.is_missed and seen.spans and len(choices[0].lands_on) > 1
            return choices[0] if self.is_trial else None
        fitting = [(seen.room_a(choice.lands_on), choice) for choice in choices if len(choice.lands_on) == 1]
        room_a, best = max(fitting, key=lambda one: one[0], default=(0.0, None))
        if room_a >= seen.min_a:
            return best
        is_unknown = len(choices[-1].lands_on) > 1
        wire.is_missed |= is_unknown and any(seen.room_a((phase,)) >= seen.min_a for phase in evse.grid_phases)
        return None

    def _tell_one(self, seen: Seen, wire: OnePhase, evse: Evse, now: Instant) -> bool:
        """Until 0 A is proven nothing has changed yet, and where the reason is gone nothing will."""
        was_trial, choice = self.is_trial, self._one_phase(seen, wire, evse)
        if choice is None or was_trial != self.is_trial:
            self.step, self.choice = Step.THREE, None
            return False
        self.choice = choice
        is_told = self._tell(choice.told, wire, now)
        if is_told and self.is_trial:
            wire.is_missed = False  # once: a car that draws nothing then teaches nothing
        return is_told

    # --- one to three --------------------------------------------------------------------------------------------

    def _leave_one(self, seen: Seen, wire: OnePhase, evse: Evse, now: Instant) -> None:
        self.room_since = (self.room_since or now) if self._wants_three(seen, wire, evse, now) else None
        if self.room_since is not None and now.since(self.room_since) >= ROOM_S and wire.may_switch(now):
            self.step, self.paused_at = Step.LEAVES_ONE, now

    def _wants_three(self, seen: Seen, wire: OnePhase, evse: Evse, now: Instant) -> bool:
        """Three phases carry the minimum, and together more than the one does."""
        if self.held_at is not None and now.since(self.held_at) < HELD_S:
            return False
        three_a = min(seen.room_a(evse.grid_phases), seen.cap_a)
        lands_on = evse.grid_phases if self.told is None else wire.lands_on(self.told, evse)
        one_a = min(seen.room_a(lands_on[:1]) if len(lands_on) == 1 else 0.0, seen.cap_a)
        return three_a >= seen.min_a and len(evse.grid_phases) * three_a > one_a

    def _tell_three(self, seen: Seen, wire: OnePhase, evse: Evse, now: Instant) -> bool:
        if not self._wants_three(seen, wire, evse, now):
            self.step, self.room_since = Step.ONE, None
            return False
        return self._tell(Told(len(evse.grid_phases)), wire, now)

    def _stay_on_one(self, now: Instant) -> None:
        """The CSMS allows one phase only, so that this is what the station was told."""
        self.step, self.is_told, self.held_at, self.room_since = Step.ONE, False, now, None
        self.told = Told(1) if self.choice is None else self.choice.told

    # --- the pause -----------------------------------------------------------------------------------------------

    def _tell(self, told: Told, wire: OnePhase, now: Instant) -> bool:
        """In the pause, so that the contactor moves while nothing flows."""
        if self.zero_since is None:
            return False
        self.told, self.is_told, self.confirmed_at = told, True, None
        self.told_at = self.paused_at = wire.switched_at = now
        return True

    def _is_stuck(self, now: Instant) -> bool:
        """Whether it waits too long for a proof; not while it was told and may draw, for then nothing is told anew."""
        is_long = self.paused_at is not None and now.since(self.paused_at) >= STUCK_S
        return is_long and (not self.is_told or self.zero_since is not None)

    def _give_up(self, wire: OnePhase, now: Instant) -> bool:
        """What is not proven for so long may never be: 0 A, or the station's yes where its CSMS names two phases."""
        wire.is_missed &= not self.is_trial
        if self.is_told:
            self.fell_back()
            wire.switched_at = now
            return True
        self.step, self.room_since = Step.ONE if self.step is Step.LEAVES_ONE else Step.THREE, None
        return False

    def _begin_again(self, settle_s: float, now: Instant) -> None:
        """After a pause that was long enough, when the station has said yes and its contactor has moved."""
        if self.zero_since is None or now.since(self.zero_since) < PAUSE_S:
            return
        if self.confirmed_at is None or now.since(self.confirmed_at) < settle_s:
            return
        self.step = Step.ONE if self.is_on_one else Step.THREE
        self.is_told, self.room_since = False, None
