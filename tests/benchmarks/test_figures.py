"""Do the lines and the table of the relay benchmark say what was measured?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.relay.goals import GOALS, line
from benchmarks.relay.table import inserted, table

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def test_a_line_has_medians_spread_and_what_is_to_be_reached() -> None:
    rounds = {"r1": [14.0, 16.0, 15.0], "r2": [50.0, 40.0, 45.0], "product": [27.0, 20.0, 26.0]}
    assert line("cpu_round_trip_500", rounds) == {
        "figure": "cpu_round_trip_500", "product": 26.0, "r1": 15.0, "r2": 45.0, "unit": "us", "floor": 45.0,
        "to_reach": 27.0, "reached": True, "rounds": 3,
        "spread": {"r1": [14.0, 16.0], "r2": [40.0, 50.0], "product": [20.0, 27.0]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rounds", "reached"),
    [
        ({"r2": [45.0], "product": [27.1]}, False),
        ({"product": [1.0]}, False),  # nothing to compare with
        ({"r1": [1.0], "r2": [45.0]}, False),  # the product failed
        ({"r2": [45.0], "product": [27.0]}, True),
    ],
)
def test_a_figure_is_reached_only_beside_the_relay_it_is_compared_with(
    rounds: dict[str, list[float]], reached: bool
) -> None:
    assert line("cpu_round_trip_500", rounds)["reached"] is reached


def test_the_page_has_a_row_for_every_line_and_keeps_its_text() -> None:
    page = PAGE.read_text(encoding="utf-8")
    lines = [json.loads(json.dumps(line(figure, {"product": [1.5], "r2": [2.0]}))) for figure in GOALS]
    written = inserted(inserted(page, table(lines)), table(lines))
    assert [row.split("`")[1] for row in written.splitlines() if row.startswith("| `") and "1.5 … 1.5" in row] == list(
        GOALS
    )
    assert inserted(written, "") == inserted(page, "")
