"""Would twelve more EVSEs fit behind this fuse? The command, from a site file to a table, JSON and a picture."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from local_controller.cli.main import app

SITE = (
    "site: {name: Yard, mode: control, time_zone: Europe/Berlin}\ncsms: {url: ws://csms}\n"
    "grid_connection: {fuse_a: 63, assumed_base_load_a: 15}\n"
    "circuits: [{id: row, parent: grid, fuse_a: 40}]\n"
    "stations: [{id: CP-1, max_a: 16}, {id: CP-2, max_a: 16, circuit: row, evses: 2}]\n"
)
VISITS = (
    "evse,arrival,departure,kwh,max_a,phases\n"
    "CP-1,2026-03-02T08:00,2026-03-02T12:00,20,,\n"
    "CP-2/1,2026-03-02T08:00,2026-03-02T10:00,5,16,1\n"
    "CP-2/2,2026-03-02T08:30,2026-03-02T12:00,20,,\n"
)


def written(folder: Path, visits: str = VISITS) -> tuple[str, str]:
    (folder / "site.yaml").write_text(SITE, encoding="utf-8")
    (folder / "visits.csv").write_text(visits, encoding="utf-8")
    return str(folder / "site.yaml"), str(folder / "visits.csv")


def ran(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["simulate", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_recorded_visits_become_a_row_for_each_way_of_charging(tmp_path: Path) -> None:
    site, visits = written(tmp_path)
    code, said, progress = ran(site, "--visits", visits, "--json")
    told = json.loads(said)
    assert (code, told["evses"], told["sessions"], told["objective"]) == (0, 3, 3, "even")
    assert [one["way"] for one in told["ways"]] == [
        "uncontrolled",
        "round robin",
        "first come",
        "least laxity",
        "optimizer",
        "optimizer, nobody tells",
    ]
    assert {one["wanted_kwh"] for one in told["ways"]} == {45.0}
    grid = told["ways"][0]["circuits"]["grid"]
    assert [phase["peak_a"] for phase in grid] == [63.0, 47.0, 47.0], "the one-phase car is on L1"
    assert progress.splitlines() == [f"{number}/6 {one['way']}" for number, one in enumerate(told["ways"], start=1)]


def test_twelve_more_do_not_fit_uncontrolled_but_controlled_they_do(tmp_path: Path) -> None:
    site, _ = written(tmp_path)
    code, said, _ = ran(site, "--add", "12", "--at", "row", "--days", "1", "--seed", "2")
    assert code == 0
    words = " ".join(said.split())
    assert "made-up visits in 1 day at 15 EVSEs. Uncontrolled, a fuse would bear more than its rating for" in words
    assert "Controlled, none does" in words
    assert "of 40 A, row L" in words


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--add", "1", "--at", "cellar"], "--at cellar: the site file has no such circuit, but grid, row"),
        (["--visits", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_what_cannot_be_simulated_is_told(tmp_path: Path, arguments: list[str], why: str) -> None:
    code, said, errors = ran(written(tmp_path)[0], *arguments)
    assert (code, said) == (1, "")
    assert why in errors


@pytest.mark.parametrize("name", ["CP-2", "CP-9", "CP-1/2"])
def test_a_visit_at_an_evse_that_is_not_in_the_site_file_is_named(tmp_path: Path, name: str) -> None:
    site, visits = written(tmp_path, VISITS.replace("CP-1,", f"{name},"))
    code, _, errors = ran(site, "--visits", visits)
    assert code == 1
    assert f"visits.csv:2: evse '{name}': the site file has no such one, but CP-1/1, CP-2/1, CP-2/2" in errors


def test_without_visits_in_the_file_there_is_nothing_to_simulate(tmp_path: Path) -> None:
    site, visits = written(tmp_path, VISITS.splitlines()[0])
    code, _, errors = ran(site, "--visits", visits)
    assert code == 1
    assert "holds no visit" in errors


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    site, visits = written(tmp_path)
    code, _, errors = ran(site, "--visits", visits, "--plot", str(tmp_path / "load.png"))
    assert code == 0, errors
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    site, visits = written(tmp_path)
    code, said, errors = ran(site, "--visits", visits, "--plot", str(tmp_path / "load.png"))
    assert (code, said) == (1, "")
    assert (
        "--plot needs matplotlib, which is not installed: install it with pip install 'local-controller[plot]'"
        in errors
    )


def test_the_table_loses_nothing_in_a_terminal_of_80_columns(tmp_path: Path) -> None:
    site, visits = written(tmp_path)
    result = CliRunner().invoke(app, ["simulate", site, "--visits", visits], env={"COLUMNS": "80"})
    table = result.stdout.partition("3 visits of visits.csv")[0]
    assert all(len(line) <= 80 for line in table.splitlines())
    assert {"Told", "kWh", "wish", "Cars", "Stops", "Highest", "load", "Hours", "above"} <= set(table.split())
    assert "…" not in table
