"""What does a person read after a slip at the command line? One line with the file, what is wrong and what helps."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from local_controller.cli.main import app

SITE = (
    "site: {name: Basement, mode: control}\ncsms: {url: 'ws://127.0.0.1:9/ocpp'}\nweb: {port: 9}\n"
    "grid_connection: {fuse_a: 50, assumed_base_load_a: 20}\nstations: [{id: CP-1}]\n"
)
PERSON = "limits: [{id: manual, source: person}]\n"


def said(*arguments: object, status: int = 1) -> str:
    """What the command says on standard error, when it ends with that status and prints nothing else."""
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert (result.exit_code, result.stdout) == (status, "")
    return result.stderr.strip()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A sound site file of a gateway that does not run."""
    file = tmp_path / "site.yaml"
    file.write_text(SITE, encoding="utf-8")
    return file


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"local-controller {version('local-controller')}\n")


def test_a_file_that_is_not_there_is_named_once(site: Path) -> None:
    gone, missing = site.parent / "gone", "No such file or directory"
    assert said("composite", gone) == f"{gone}: cannot be read: {missing}"
    assert said("simulate", site, "--visits", gone) == f"{gone}: cannot be read: {missing}"
    assert said("trace", "tail", gone) == f"{gone}: {missing}; name the `trace.file` of a site file"


def test_visits_in_another_encoding_or_with_semicolons_are_named_with_the_remedy(site: Path) -> None:
    visits = site.parent / "visits.csv"
    visits.write_bytes(
        "evse,arrival,departure,kwh\nTiefgarage S\xfcd,2026-03-02T08:00,2026-03-02T12:00,20\n".encode("cp1252")
    )
    assert said("simulate", site, "--visits", visits) == f"{visits}: not UTF-8 at byte 39: save the file as UTF-8 text"
    visits.write_text("evse;arrival;departure;kwh\nCP-1;2026-03-02T08:00;2026-03-02T12:00;20,5\n", encoding="utf-8")
    assert said("simulate", site, "--visits", visits).endswith("separate columns with commas, not with semicolons")


def test_nothing_is_simulated_for_a_picture_that_cannot_be_drawn(site: Path) -> None:
    picture = site.parent / "nowhere" / "load.png"
    assert said("simulate", site, "--plot", picture) == f"--plot {picture}: there is no folder {picture.parent}"


def test_who_names_the_site_file_is_not_asked_for_it(site: Path) -> None:
    site.write_text(SITE + PERSON, encoding="utf-8")
    no_gateway = "no gateway answers at http://127.0.0.1:9 (Connection refused): is `local-controller run` running"
    named = f"{no_gateway} with this site file?"
    assert said("limit", site, "--end") == named
    assert said("habits", "forget", site, "--all") == named
    assert said("profiles", "CP-1", "--site", site) == named
    assert said("profiles", "CP-1", "--url", "http://127.0.0.1:9") == (
        f"{no_gateway} with a `web` section in its site file? Name that file with --site, or the address of its page with --url"
    )


def test_a_limit_is_set_or_ended_but_not_both(site: Path) -> None:
    assert said("limit", site, "--end").startswith(f"{site} has no limit that a person sets")
    site.write_text(SITE + PERSON, encoding="utf-8")
    assert said("limit", site, "--end", "--max-a", "16") == "--end takes no --max-a, --max-w or --for: set it or end it"


def test_a_port_that_there_is_not_is_refused_by_its_option() -> None:
    assert "'--web-port'" in said("demo", "--web-port", "99999", status=2)
