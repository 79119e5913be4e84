"""How far, how long and with how much heat was a fuse exceeded? Measured at true physics, apart from the product."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from site_simulator.site import TOLERANCE_A, SiteWorld

LOOK_S = 0.1


@dataclass(slots=True)
class Judge:
    """The worst of all phases: amperes above the rating, the longest run of it, and S = ∫ ((I / In)² - 1) dt ≥ 0."""

    rating_a: float
    worst_excess_a: float = 0.0
    excess_s: float = 0.0
    integral_s: float = 0.0
    _running_s: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    _heat_s: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def note(self, current_a: Sequence[float], dt_s: float) -> None:
        """These currents flowed for `dt_s` seconds."""
        for phase, amperes in enumerate(current_a):
            over_a = amperes - self.rating_a
            self._running_s[phase] = self._running_s[phase] + dt_s if over_a > TOLERANCE_A else 0.0
            heat_s = self._heat_s[phase] + ((amperes / self.rating_a) ** 2 - 1.0) * dt_s
            self._heat_s[phase] = max(0.0, heat_s)
            self.worst_excess_a = max(self.worst_excess_a, over_a)
        self.excess_s = max(self.excess_s, *self._running_s)
        self.integral_s = max(self.integral_s, *self._heat_s)

    @classmethod
    def worst(cls, judges: Iterable[Judge]) -> Judge:
        """The worst of each figure of several judges, each by its own rating."""
        seen = list(judges)
        return cls(
            seen[0].rating_a,
            max(judge.worst_excess_a for judge in seen),
            max(judge.excess_s for judge in seen),
            max(judge.integral_s for judge in seen),
        )

    async def watch(self, world: SiteWorld, node: str) -> None:
        """Look at the node until cancelled."""
        seen_s = world.elapsed_s
        while True:
            await asyncio.sleep(LOOK_S)
            self.note(world.gauges[node].current_a, world.elapsed_s - seen_s)
            seen_s = world.elapsed_s


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a story brought. judge: of what flowed, None where nothing did. bound: the most that is allowed, by figure; told: further figures of this story."""

    story: int
    judge: Judge | None
    bound: dict[str, float]
    told: dict[str, float]

    @property
    def held(self) -> bool:
        """Whether each bounded figure is within its bound."""
        figures = self.figures
        return all(figures[name] <= most for name, most in self.bound.items())

    @property
    def figures(self) -> dict[str, float]:
        """All that was measured, by name."""
        names = () if self.judge is None else ("worst_excess_a", "excess_s", "integral_s")
        measured = {name: getattr(self.judge, name) for name in names}
        return {name: round(value, 2) for name, value in (measured | self.told).items()}

    def as_json(self) -> str:
        """One line."""
        return json.dumps({"story": self.story, **self.figures, "bound": self.bound, "held": self.held})
