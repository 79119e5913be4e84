"""Do the lines of the optimizer's benchmark say what was measured, and are its cases what they say they are?"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from backtest.network import Wiring
from backtest.sessions import Session
from benchmarks.optimizer.__main__ import month
from benchmarks.optimizer.closed_loop import Case
from benchmarks.optimizer.goals import GOALS, line
from benchmarks.optimizer.snapshots import snapshot, snapshots
from benchmarks.optimizer.speed import curtailments, plans

ROOT = Path(__file__).parents[2]


def test_a_line_compares_with_a_part_of_the_optimum() -> None:
    assert line("G1_30kW", 73.45678, {"window": "w", "r_pct": 99.45678}, optimum=73.9) == {
        "figure": "G1_30kW", "value": 73.4568, "optimum": 73.9, "to_reach": 73.3827, "reached": True,
        "unit": "% delivered", "window": "w", "r_pct": 99.4568,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("figure", "value", "sound", "reached"),
    [
        ("G2_30kW", 0.1, True, True),
        ("G2_30kW", 0.11, True, False),
        ("G2_30kW", 0.0, False, False),  # at the price of a limit, or of the energy
        ("G3_jain_30kW", 0.84, True, True),
        ("G3_jain_30kW", 0.83, True, False),
        ("G7_N100", 25.0, True, True),
        ("G7_N1000", 26.0, True, True),
        ("G9_violations", 1.0, True, False),
    ],
)
def test_a_figure_is_reached_on_its_own_side_and_by_sound_runs_only(
    figure: str, value: float, sound: bool, reached: bool
) -> None:
    assert line(figure, value, {}, sound=sound)["reached"] is reached


def test_a_case_tells_all_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    wiring = Wiring({"A": (0, 1), "B": (0, 1)})
    wiring.breaker("breaker", ("A", "B"), 20.0)
    sessions = [Session("one", 0, 0, 12, energy_kwh=2.0), Session("two", 1, 0, 12, energy_kwh=4.0)]
    lines = list(Case("an hour", 7.0, wiring.network(), sessions, fair=True).lines())
    assert [one["figure"] for one in lines] == [
        "G1_7kW", "G2_7kW", "G3_energy_7kW", "G3_p10_7kW", "G3_jain_7kW", "G3_stops_7kW",
    ]  # fmt: skip
    best_pct = 100 * 20 * 0.208 / 6
    assert lines[0]["optimum"] == pytest.approx(best_pct, abs=1e-3)
    for one in lines:
        assert one["violation_a"] == 0
        assert isinstance(one["r_pct"], float)
        assert 98 < one["r_pct"] <= 100
    told = capsys.readouterr().err
    assert all(
        f"an hour, 7 kW, {name}" in told for name in ("round_robin", "first_come", "least_laxity", "throughput", "fair")
    )


def test_snapshots_are_repeatable_and_hold_what_they_promise() -> None:
    problems = [snapshot(seed) for seed in range(300)]
    assert problems[:20] == [snapshot(seed) for seed in range(20)]
    needs = [need for problem in problems for need in problem.needs]
    negative = [problem for problem in problems for c in problem.circuits[:1] if np.min(c.available_a) < 0]
    alike = [
        p
        for p in problems
        if len(p.needs) > 2 and len({(n.circuits, n.energy_wh, n.departure_s) for n in p.needs}) == 1
    ]
    for kind in (
        negative,
        alike,
        [problem for problem in problems if problem.wires],
        [problem for problem in problems if not problem.needs],
        [need for need in needs if need.max_a < need.min_a],
        [need for need in needs if need.energy_wh is None],
        [need for need in needs if need.energy_wh == 0],
        [need for need in needs if need.departure_s is not None and need.departure_s < 0],
    ):
        assert len(kind) > 5


def test_all_kinds_of_figures_are_measured() -> None:
    lines = [*plans({50: 2}), *curtailments(2), *snapshots(30)]
    assert [one["figure"] for one in lines] == [
        "G7_N50", "G8", "G9_exceptions", "G9_violations", "G9_late", "G9_fallback",
    ]  # fmt: skip
    assert {one["figure"]: one["value"] for one in lines if one["figure"] in {"G9_exceptions", "G9_violations"}} == {
        "G9_exceptions": 0,
        "G9_violations": 0,
    }
    assert lines[1]["violations"] == 0


def test_a_month_is_a_window() -> None:
    window = month("caltech:2019-02")
    assert (window.site, window.first, window.last) == ("caltech", date(2019, 2, 1), date(2019, 3, 1))
    with pytest.raises(ValueError, match=r"write SITE:YEAR-MONTH"):
        month("caltech:February")


def test_the_command_prints_one_object_a_line() -> None:
    command = [sys.executable, "-m", "benchmarks.optimizer", "--parts", "G1", "--days", "1", "--kw", "20"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [json.loads(text) for text in done.stdout.splitlines()]
    assert [one["figure"] for one in lines] == ["G1_20kW", "G2_20kW"]
    assert all({"figure", "value", "optimum", "to_reach", "reached"} <= one.keys() for one in lines)
    assert lines[0]["window"] == "1 made-up weekdays, seed 1"
    assert "optimum" in done.stderr
    assert {one["figure"].split("_")[0] for one in lines} <= {goal.split("_")[0] for goal in GOALS}
