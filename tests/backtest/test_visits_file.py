"""Recorded visits, as owners have them: CSV and JSON, with and without offsets, and what is wrong with them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from backtest.tree import ANY, Circuit, Kind, Outlet, tree
from backtest.visits_file import read_visits, sessions_of

BERLIN = ZoneInfo("Europe/Berlin")
HEAD = "evse,arrival,departure,kwh,max_a,phases\n"
SITE = ((Circuit("grid", None, (63.0,) * 3),), (Outlet("A/1", "grid", max_a=16.0), Outlet("B/1", "grid")))


def written(folder: Path, text: str, name: str = "visits.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_come_in_order_of_arrival_by_the_clock_of_the_site(tmp_path: Path) -> None:
    text = HEAD + "B/1,2026-03-03T18:00,2026-03-04T07:00,20,,\nA/1,2026-03-02T07:15Z,2026-03-02T17:00+01:00,11.5,16,1\n"
    first, second = read_visits(written(tmp_path, text), BERLIN)
    assert (first.evse, first.kwh, first.kind) == ("A/1", 11.5, Kind(1, 16.0))
    assert first.arrival == datetime(2026, 3, 2, 8, 15, tzinfo=BERLIN)
    assert (second.kind, second.arrival.astimezone(UTC).hour) == (ANY, 17)


def test_json_says_the_same(tmp_path: Path) -> None:
    row = {"evse": "A/1", "arrival": "2026-03-02T08:15", "departure": "2026-03-02T17:00", "kwh": 11.5, "phases": 3}
    (one,) = read_visits(written(tmp_path, json.dumps([row]), "visits.json"), BERLIN)
    assert (one.kwh, one.kind, one.where) == (11.5, Kind(3, None), f"{tmp_path / 'visits.json'}, visit 1")


def test_sessions_are_steps_since_the_first_midnight_and_nobody_shares_an_evse(tmp_path: Path) -> None:
    text = HEAD + (
        "A/1,2026-03-04T08:00,2026-03-04T10:00,500,,\n"
        "A/1,2026-03-04T09:00,2026-03-04T11:00,5,10,1\n"  # taken
        "A/1,2026-03-04T10:00,2026-03-04T11:00,5,10,1\n"
        "B/1,2026-03-05T00:00,2026-03-05T00:02,5,,\n"  # shorter than a step
    )
    visits = read_visits(written(tmp_path, text), BERLIN)
    site = tree(*SITE, [(one.evse, one.kind) for one in visits])
    sessions, weekday, left_out = sessions_of(visits, site)
    assert (weekday, left_out) == (2, 2)
    assert [(one.station, one.arrival, one.departure) for one in sessions] == [(0, 96, 120), (2, 120, 132)]
    assert [one.energy_kwh for one in sessions] == pytest.approx([2 * 3 * 16 * 0.23, 10 * 0.23])
    assert sessions_of([], site) == ([], 0, 0)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("A/1,2026-03-02T08:15,2026-03-02T17:00,,,", r"visits\.csv:2: kwh is missing; a visit has evse, arrival"),
        ("A/1,8 o'clock,2026-03-02T17:00,5,,", r"visits\.csv:2: arrival \"8 o'clock\": a time like 2026-03-02T08:15"),
        ("A/1,2026-03-02T17:00,2026-03-02T08:15,5,,", "departure 2026-03-02T08:15 is not after arrival"),
        ("A/1,2026-03-02T08:15,2026-03-02T17:00,-5,,", "kwh '-5': a number above 0 was expected"),
        ("A/1,2026-03-02T08:15,2026-03-02T17:00,nan,,", "kwh 'nan': a number above 0"),
        ("A/1,2026-03-02T08:15,2026-03-02T17:00,5,4,", "max_a 4: no car charges with less than 6 A"),
        ("A/1,2026-03-02T08:15,2026-03-02T17:00,5,,4", "phases '4': 1, 2 or 3 was expected"),
        ("A/1,2026-03-02T08:15,2062-03-02T17:00,5,,", "departure 2062-03-02T17:00 is more than 366 days after"),
        ("A/1,2026-03-02T08:15,9999-12-31T23:59:59-12:00,5,,", "departure '9999-.*a time like 2026-03-02T08:15"),
        (
            "A/1,2026-03-02T08:15,2026-03-02T17:00,5,,\nA/1,2062-03-02T08:15,2062-03-02T17:00,5,,",
            r"visits\.csv:3: 2062-03-02 is more than 366 days after 2026-03-02 \(.*visits\.csv:2\): give one year",
        ),
        (f"{'A' * 200_000},2026-03-02T08:15,2026-03-02T17:00,5,,", "visits.csv: field larger.*columns evse, arrival"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(tmp_path: Path, row: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_visits(written(tmp_path, f"{HEAD}{row}\n"), BERLIN)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("kwh", {}, "kwh {}: a number above 0"),
        ("kwh", True, "kwh True: a number above 0"),
        ("phases", [3], r"phases \[3\]: a number above 0"),
        ("arrival", [], r"arrival \[\]: a time like"),
    ],
)
def test_json_may_hold_what_no_table_can(tmp_path: Path, key: str, value: object, why: str) -> None:
    row = {"evse": "A/1", "arrival": "2026-03-02T08:15", "departure": "2026-03-02T17:00", "kwh": 11.5, key: value}
    with pytest.raises(ValueError, match=f"visit 1: {why}"):
        read_visits(written(tmp_path, json.dumps([row]), "visits.json"), BERLIN)


@pytest.mark.parametrize("text", ["{", "{}", "[1]", "[" * 200_000])
def test_what_is_no_list_of_visits_is_told_so(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="a JSON list of"):
        read_visits(written(tmp_path, text, "visits.json"), BERLIN)
