"""Which figures are there, what must each of them reach, and how is it told? One JSON object a line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

SOUND_A = 1e-6
"""An excess over a limit up to this is rounding; any more and no figure of that run is reached."""


@dataclass(frozen=True)
class Goal:
    """What a figure must reach. of_optimum: to_reach is a part of the optimum's value. at_least: more is better.

    to_reach: None where a figure is only told.
    """

    unit: str
    to_reach: float | None
    at_least: bool = False
    of_optimum: bool = False


GOALS: Mapping[str, Goal] = {
    "G1": Goal("% delivered", 0.993, at_least=True, of_optimum=True),
    "G2": Goal("stops per session", 0.1),
    "G3_energy": Goal("% delivered", 0.98, at_least=True, of_optimum=True),
    "G3_p10": Goal("fraction of the wish", 0.24, at_least=True),
    "G3_jain": Goal("index", 0.84, at_least=True),
    "G3_stops": Goal("stops per session", 1.0),
    "G4": Goal("% delivered", 0.942, at_least=True, of_optimum=True),
    "G5": Goal("% delivered", 0.962, at_least=True, of_optimum=True),
    "G6_hint": Goal("profit", 0.98, at_least=True, of_optimum=True),
    "G6_alone": Goal("profit", 0.96, at_least=True, of_optimum=True),
    "G7_N50": Goal("ms CPU", 12.0),
    "G7_N100": Goal("ms CPU", 25.0),
    "G7_N200": Goal("ms CPU", 50.0),
    "G7_N500": Goal("ms CPU", 200.0),
    "G7_N1000": Goal("ms CPU", 1000.0),
    "G7_N2000": Goal("ms CPU", None),
    "G7_ratio_N50": Goal("times the CPU", 30.0, at_least=True),
    "G7_ratio_N200": Goal("times the CPU", 60.0, at_least=True),
    "G8": Goal("ms CPU", 50.0),
    "G9_exceptions": Goal("snapshots", 0.0),
    "G9_violations": Goal("snapshots", 0.0),
    "G9_late": Goal("snapshots", 0.0),
    "G9_fallback": Goal("% of snapshots", 0.1),
}


def line(
    figure: str, value: float, more: Mapping[str, object], *, optimum: float | None = None, sound: bool = True
) -> dict[str, object]:
    """A figure beside what it must reach, and what more there is to know of it.

    figure: a goal, with anything after an underscore (`G1_30kW`). sound: whether the run that it is from broke no limit
    and met what else is asked of it.
    """
    goal = GOALS[next(name for name in GOALS if f"{figure}_".startswith(f"{name}_"))]
    to_reach = goal.to_reach
    if goal.of_optimum and optimum is not None and to_reach is not None:
        to_reach *= optimum
    good = to_reach is None or (value >= to_reach if goal.at_least else value <= to_reach)
    figures = {"figure": figure, "value": value, "optimum": optimum, "to_reach": to_reach}
    return {**_rounded(figures), "reached": bool(good and sound), "unit": goal.unit, **_rounded(more)}


def say(text: str) -> None:
    """Progress, beside the figures."""
    print(text, file=sys.stderr, flush=True)


def _rounded(figures: Mapping[str, object]) -> dict[str, object]:
    """Four decimals are enough to compare, and few enough to read."""
    return {key: _short(value) for key, value in figures.items()}


def _short(value: object) -> object:
    if isinstance(value, Mapping):
        return _rounded(value)
    return round(float(value), 4) if isinstance(value, float) else value
