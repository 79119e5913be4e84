"""Which figures are there, what must each of them reach, and how is it told? One JSON object a line."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """`factor` times what the relay `of` takes, or `factor` itself."""

    factor: float
    of: str | None = None

    def value(self, medians: Mapping[str, float]) -> float | None:
        """In the figure's unit; None without the relay's own figure."""
        if self.of is None:
            return self.factor
        return None if self.of not in medians else self.factor * medians[self.of]


@dataclass(frozen=True)
class Goal:
    """What a figure must not exceed. floor: less is a defect. Without to_reach it is shown only."""

    unit: str
    floor: Bound | None = None
    to_reach: Bound | None = None


def _of_r2(unit: str, floor: float, to_reach: float) -> Goal:
    return Goal(unit, Bound(floor, "r2"), Bound(to_reach, "r2"))


def _absolute(unit: str, floor: float, to_reach: float) -> Goal:
    return Goal(unit, Bound(floor), Bound(to_reach))


_LATENCY = Goal("us", Bound(1.1, "r2"), Bound(2.0, "r1"))

GOALS = {
    "cpu_round_trip_50": _of_r2("us", 1.0, 0.6),
    "cpu_round_trip_500": _of_r2("us", 1.0, 0.6),
    "cpu_round_trip_50_v16": _of_r2("us", 1.0, 0.6),
    "cpu_round_trip_500_v16": _of_r2("us", 1.0, 0.6),
    "added_latency_p50_50": _LATENCY,
    "added_latency_p99_50": _LATENCY,
    "p99_while_planning_500": _absolute("x idle p99", 1.5, 1.2),
    "p999_while_planning_500": _absolute("ms", 10.0, 3.0),
    "loop_stall_500": _absolute("ms", 20.0, 5.0),
    "loop_stall_500_tls": _absolute("ms", 20.0, 5.0),
    "memory_per_station_500": _of_r2("kB", 1.5, 1.0),
    "memory_per_station_500_tls": _absolute("kB", 100.0, 60.0),
    "storm_500": _of_r2("ms", 1.2, 0.7),
    "storm_500_tls": _of_r2("ms", 1.2, 0.8),
    "new_limit_to_500": _of_r2("ms", 3.0, 1.5),
    "faults_2000": _absolute("faults", 0.0, 0.0),
    "trace_per_message": Goal("us"),
    "p99_while_tracing_50": Goal("x p99 without"),
}


def _is_reached(product: float | None, to_reach: float | None) -> bool:
    """What was not measured is not reached."""
    return product is not None and to_reach is not None and product <= to_reach


def line(figure: str, samples: Mapping[str, Sequence[float]]) -> dict[str, object]:
    """The medians of a figure's rounds, by relay, beside what is to be reached; spread: least and most of each."""
    goal = GOALS[figure]
    medians = {name: statistics.median(values) for name, values in samples.items() if values}
    floor, to_reach = (None if bound is None else bound.value(medians) for bound in (goal.floor, goal.to_reach))
    product = medians.get("product")
    return {
        "figure": figure,
        **{name: _rounded(medians.get(name)) for name in ("product", "r1", "r2")},
        "unit": goal.unit,
        "floor": _rounded(floor),
        "to_reach": _rounded(to_reach),
        "reached": None if goal.to_reach is None else _is_reached(product, to_reach),
        "spread": {name: [_rounded(edge(values)) for edge in (min, max)] for name, values in samples.items() if values},
        "rounds": max(map(len, samples.values())),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2 if abs(value) < 10 else 1)
