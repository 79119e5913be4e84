"""How near to perfect foresight does a site come over days, how calmly and how fairly? Throughput and fair (G1, G2, G3).

Also where nobody says when he leaves and what he wants (G4), and with batteries that taper (G5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from backtest.engine import Algorithm, run
from backtest.network import Network
from backtest.rules import RULES
from backtest.sessions import Session
from benchmarks.optimizer.goals import SOUND_A, line, say
from benchmarks.optimizer.optimum import optimum
from optimizer import acn
from optimizer.habits import Habits

SHOWN = ("delivered_pct", "p10", "jain", "stops_per_session")


@dataclass(frozen=True)
class Case:
    """Days of a site with one limit. fair: whether the objective `fair` is measured too. first_weekday: 0 is Monday."""

    window: str
    limit_kw: float
    network: Network
    sessions: Sequence[Session]
    fair: bool = False
    first_weekday: int = 0

    def lines(self) -> Iterator[dict[str, object]]:
        """All figures of the case. Calm is worth nothing without the energy, so G2 is reached only where G1 is."""
        best = optimum(self.network, self.sessions)
        say(
            f"{self}: optimum {best.delivered_pct:.3f} %, {best.cuts} cuts, {best.wall_s:.1f} s, {best.cpu_s:.1f} s CPU"
        )
        rules = {name: self._figures(name, make(self.network)) for name, make in RULES.items()}
        figures = self._figures("throughput", acn.make(self.network))
        sound, common = self._common(figures, best.delivered_pct)
        more = {
            **{key: value for key, value in figures.items() if "_ms_" in key},
            "optimum_s": best.wall_s,
            "rules": {name: {key: of[key] for key in SHOWN} for name, of in rules.items()},
        }
        at = f"{self.limit_kw:g}kW"
        energy = line(f"G1_{at}", figures["delivered_pct"], common | more, optimum=best.delivered_pct, sound=sound)
        yield energy
        yield line(f"G2_{at}", figures["stops_per_session"], common, sound=bool(energy["reached"]))
        if self.fair:
            yield from self._fair_lines(best.delivered_pct, at)

    def unknown_line(self) -> dict[str, object]:
        """G4: departures and wishes are guessed from the visits that have ended so far; nothing is known on the first day.

        Reached only where round robin, which knows as little, is not better.
        """
        best = optimum(self.network, self.sessions)
        turns = self._figures("round robin, nothing known", RULES["round_robin"](self.network), informed=False)
        learning = acn.make(self.network, habits=Habits(), first_weekday=self.first_weekday)
        figures = self._figures("throughput, nothing known, learning", learning, informed=False)
        sound, common = self._common(figures, best.delivered_pct)
        more = {
            "stops_per_session": figures["stops_per_session"],
            "round_robin": turns["delivered_pct"],
        }
        delivered = figures["delivered_pct"]
        sound = sound and delivered >= turns["delivered_pct"]
        return line(f"G4_{self.limit_kw:g}kW", delivered, common | more, optimum=best.delivered_pct, sound=sound)

    def tapering_line(self) -> dict[str, object]:
        """G5: batteries take less and less when nearly full, which nobody told the optimizer. The optimum's batteries do not."""
        best = optimum(self.network, self.sessions)
        rule = self._figures("least laxity, real batteries", RULES["least_laxity"](self.network), two_stage=True)
        figures = self._figures("throughput, real batteries", acn.make(self.network), two_stage=True)
        sound, common = self._common(figures, best.delivered_pct)
        more = {"stops_per_session": figures["stops_per_session"], "least_laxity": rule["delivered_pct"]}
        delivered = figures["delivered_pct"]
        return line(f"G5_{self.limit_kw:g}kW", delivered, common | more, optimum=best.delivered_pct, sound=sound)

    def _fair_lines(self, optimum_pct: float, at: str) -> Iterator[dict[str, object]]:
        figures = self._figures("fair", acn.make(self.network, "fair"))
        sound, common = self._common(figures, optimum_pct)
        yield line(f"G3_energy_{at}", figures["delivered_pct"], common, optimum=optimum_pct, sound=sound)
        for goal, key in (("p10", "p10"), ("jain", "jain"), ("stops", "stops_per_session")):
            yield line(f"G3_{goal}_{at}", figures[key], common, sound=sound)

    def _common(self, figures: Mapping[str, float], optimum_pct: float) -> tuple[bool, dict[str, object]]:
        """Whether all limits were kept, and what stands in all lines of a run."""
        violation_a = figures["violation_a"]
        return violation_a <= SOUND_A, {
            "window": self.window,
            "sessions": len(self.sessions),
            "r_pct": 100 * figures["delivered_pct"] / optimum_pct,
            "violation_a": violation_a,
        }

    def _figures(
        self, name: str, algorithm: Algorithm, *, informed: bool = True, two_stage: bool = False
    ) -> dict[str, float]:
        result = run(self.network, self.sessions, algorithm, informed=informed, two_stage=two_stage)
        figures = result.figures()
        told = ", ".join(f"{key} {figures[key]:.3f}" for key in SHOWN)
        say(f"{self}, {name}: {told}, violation {figures['violation_a']:.2g} A, {sum(result.wall_s):.0f} s")
        return figures

    def __str__(self) -> str:
        return f"{self.window}, {self.limit_kw:g} kW"
