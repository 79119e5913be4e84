"""Which phases does a car use? What the measurements of one session say of that (LC-112)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from local_controller.profiles.overdraw import tolerated_a
from local_controller.site.per_phase import PHASES, PerPhase

PHASE_ON_A: Final = 1.0
PHASE_OFF_A: Final = 0.5
PHASE_PROOF_A: Final = 3.0
PHASE_PROOF_SAMPLES: Final = 3
"""A phase is out of use after three samples below 0.5 A while another carries 3 A; one sample above 1 A brings it back."""


def carrying(drawn: PerPhase) -> list[int]:
    """The phases that certainly carry a car."""
    return [phase for phase in PHASES if drawn[phase] >= PHASE_PROOF_A]


@dataclass(slots=True)
class UsedPhases:
    """The phases of one session.

    has_drawn: a current was measured, so that the phases in use are known. spans: it was measured on several phases while it
    was not told to use one. is_even: measured last to draw the same on three. _idle: so many samples each phase showed nothing.
    """

    has_drawn: bool = False
    spans: bool = False
    is_even: bool = False
    _idle: dict[int, int] = field(default_factory=dict)

    def shown(self, drawn: PerPhase, *, shows_phases: bool, is_on_one: bool) -> None:
        """A sample. shows_phases: what it says of each phase can be believed. is_on_one: it was told to use one phase."""
        self.has_drawn |= max(drawn) >= PHASE_ON_A
        charges = max(drawn) >= PHASE_PROOF_A
        if shows_phases:
            self._count_idle(drawn, charges=charges)
        self.spans |= len(carrying(drawn)) > 1 and not is_on_one
        if charges:  # enough to tell whether it loads three phases alike, as nearly as stations keep a limit
            self.is_even = tolerated_a(min(drawn)) >= max(drawn)

    def _count_idle(self, drawn: PerPhase, *, charges: bool) -> None:
        for phase in PHASES:
            if drawn[phase] > PHASE_ON_A:
                self._idle.pop(phase, None)
            elif charges and drawn[phase] < PHASE_OFF_A:
                self._idle[phase] = self._idle.get(phase, 0) + 1

    def of(self, wired: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the phases that may carry it that were not proven idle; all if all were."""
        if not self._idle:
            return wired
        return tuple(p for p in wired if self._idle.get(p, 0) < PHASE_PROOF_SAMPLES) or wired

    @property
    def would_learn(self) -> bool:
        """Whether one more sample like the last one may prove a phase idle."""
        return any(count < PHASE_PROOF_SAMPLES for count in self._idle.values())

    def forget_idle(self) -> None:
        """That some carried nothing says nothing any more."""
        self._idle = {}

    def forget(self) -> None:
        """It is told another number of phases."""
        self._idle, self.is_even = {}, False
