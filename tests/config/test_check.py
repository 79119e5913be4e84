"""The commands `check` and `schema`, the shipped example sites, and what may be imported for them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
from ruamel.yaml import YAML
from typer.testing import CliRunner

from local_controller.cli.main import LAZY, app
from local_controller.cli.schema import schema_text
from local_controller.config.models import SiteConfig

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "site_configs").glob("*.yaml"))
SCHEMA = ROOT / "site_configs" / "schema.json"


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout


def test_check_prints_the_proof_with_its_headroom(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(
        "site: {name: Shop, mode: control}\ncsms: {url: ws://csms}\nstations: [{id: A}, {id: B, phases: 1, rotation: L3}]\n"
        "grid_connection: {name: Main, fuse_a: [40, 40, 35], assumed_base_load_a: 12.5}\n",
        encoding="utf-8",
    )
    status, printed = run("check", str(file))
    assert status == 0
    assert printed == (
        f"{file}: 2 stations with 2 EVSEs; safe when nobody controls them:\n\n"
        "  node  phase  fallback A  base A  limit A  headroom A\n"
        "  Main  L1            6.0    12.5     40.0        21.5\n"
        "  Main  L2            6.0    12.5     40.0        21.5\n"
        "  Main  L3           12.0    12.5     35.0        10.5\n\n"
        "note: the grid connection has no meter: the assumed base load counts all the time\n"
        "note: a restart forgets the CSMS's charging profiles, what was learnt of stations and visits, and limits that people set:"
        " name a folder in state_directory\n"
    )


def test_check_prints_each_mistake_on_a_line_and_fails(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("site: {nam: Shop, mode: observe}\n", encoding="utf-8")
    status, printed = run("check", str(file))
    assert status == 1
    assert printed.splitlines() == [
        f"{file}:1:1: csms: is missing: the file needs a section `csms:`",
        f"{file}:1:1: grid_connection: is missing: the file needs a section `grid_connection:`",
        f"{file}:1:1: stations: is missing: the file needs a section `stations:`",
        f"{file}:1:7: site.name: is missing - for example `name: Town hall car park`",
        f"{file}:1:8: site.nam: unknown key - did you mean name?",
    ]


def test_check_speaks_json_to_programs(tmp_path: Path) -> None:
    status, printed = run("check", "--json", str(ROOT / "site_configs" / "minimal.yaml"))
    result = json.loads(printed)
    assert (status, result["ok"], result["problems"]) == (0, True, [])
    assert result["proof"][0] == {
        "node": "grid",
        "label": "Grid connection",
        "phase": "L1",
        "fallback_a": 18.0,
        "base_a": 25.0,
        "limit_a": 50.0,
        "headroom_a": 7.0,
    }
    missing = tmp_path / "missing.yaml"
    status, printed = run("check", "--json", str(missing))
    message = "cannot be read: No such file or directory"
    assert status == 1
    assert json.loads(printed) == {
        "file": str(missing),
        "ok": False,
        "problems": [{"file": str(missing), "line": 1, "column": 1, "message": message}],
    }


def test_check_tells_which_csms_has_which_stations() -> None:
    depot = str(ROOT / "site_configs" / "depot_with_tariff.yaml")
    shares = {"fleet": ["A-01", "A-02", "A-03", "A-04"], "tenant": ["B-01", "B-02", "B-03", "B-04"]}
    assert json.loads(run("check", "--json", depot)[1])["csms"] == shares
    assert (
        "\n\nCSMS fleet: A-01, A-02, A-03, A-04\nCSMS tenant: B-01, B-02, B-03, B-04\n\nnote: "
        in run("check", depot)[1]
    )


def test_these_are_the_examples() -> None:
    assert [file.stem for file in EXAMPLES] == [
        "apartment_house_14a",
        "depot_with_tariff",
        "line_to_line",
        "minimal",
        "office_pv_ems",
        "parking_garage",
        "split_phase",
    ]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_examples_are_sound_and_safe(file: Path) -> None:
    status, printed = run("check", str(file))
    assert status == 0, printed
    assert file.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=./schema.json\n")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_editors_find_the_examples_sound_as_well(file: Path) -> None:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    data = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(data)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**data, "grid_connection": {"fuse_amps": 63}})


def test_the_shipped_schema_is_the_one_that_the_command_prints() -> None:
    status, printed = run("schema")
    assert status == 0
    assert printed == schema_text() == SCHEMA.read_text(encoding="utf-8"), "run: make schema"


def test_the_reference_describes_every_key_as_the_schema_does() -> None:
    reference = (ROOT / "docs" / "site-configuration.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", reference, re.MULTILINE))
    parts = json.loads(schema_text())["$defs"].values()
    keys = [(key, value["description"]) for part in parts for key, value in part.get("properties", {}).items()]
    assert set(SiteConfig.model_fields) <= {key for key, _ in rows}
    assert {(key, description.replace("\n", " ")) for key, description in keys} <= rows


def imported_by(*arguments: str) -> set[str]:
    """The top-level packages, and our own ones, that a command imports."""
    script = (
        "import sys\nfrom typer.testing import CliRunner\nfrom local_controller.cli.main import app\n"
        "assert CliRunner().invoke(app, sys.argv[1:]).exit_code == 0\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], check=True, capture_output=True, text=True)
    return {name.split(".")[0] for name in done.stdout.split()} | set(done.stdout.split())


@pytest.mark.parametrize("arguments", [("--help",), ("check", str(EXAMPLES[0])), ("schema",)], ids=lambda a: a[0])
def test_light_commands_import_nothing_heavy(arguments: tuple[str, ...]) -> None:
    heavy = {"highspy", "numpy", "ocpp", "uvicorn", "starlette", "websockets", "pymodbus", "paho", "optimizer"}
    imported = imported_by(*arguments)
    assert "pydantic" in imported
    assert imported & {*heavy, "local_controller.adapters", "local_controller.app"} == set()


def test_help_lists_heavy_commands_without_importing_them() -> None:
    status, printed = run("--help")
    assert status == 0
    assert all(f"  {name}" in printed and text in printed for name, text in LAZY.items())


def test_a_heavy_command_is_imported_when_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        @staticmethod
        def run(site: str, speed: float = 1.0) -> None:
            """Stands in for the real command."""
            typer.echo(f"{site} {speed}")

    monkeypatch.setitem(sys.modules, "local_controller.cli.run", Module)
    assert run("run", "site.yaml", "--speed", "10") == (0, "site.yaml 10.0\n")
    status, printed = run("run", "--help")
    assert status == 0
    assert "Stands in for the real command." in printed
