"""Do the documents tell the truth about the code: files, numbers, commands, links?"""

from __future__ import annotations

import dataclasses
import importlib
import re
from pathlib import Path
from typing import Any

import msgspec
import pydantic
import pytest

from local_controller.site.freshness import METER_LADDER, scaled_to
from tests.scenarios.test_site_timelines import settled
from tests.site.virtual_site import VirtualSite, topology
from tests.transcripts.dialogue import play

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
ROOTS = (ROOT, ROOT / "local_controller", DOCS)

pages = pytest.mark.parametrize("page", PAGES, ids=[path.relative_to(ROOT).as_posix() for path in PAGES])


def prose(page: Path) -> str:
    """The text without its examples."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


@pages
def test_links_lead_somewhere(page: Path) -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if "://" not in link]
    assert [link for link in links if link and not (page.parent / link).exists()] == []


@pages
def test_named_files_exist(page: Path) -> None:
    named = re.findall(r"`((?:[\w.]+/)+[\w.]*\w)`", prose(page))
    files = [name for name in named if re.search(r"\.(py|yaml|json|md|txt)$", name)]
    assert [name for name in files if not any((root / name).exists() for root in ROOTS)] == []


@pages
def test_named_commands_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?<=[`\n ])make ([a-z]+(?:-[a-z]+)*)(?=[`\n ])", code(page))) <= targets


def code(page: Path) -> str:
    """Everything in code style, one piece a line."""
    text = page.read_text(encoding="utf-8")
    return "\n".join(
        f"\n{piece}\n" for piece in re.findall(r"```\w*\n(.*?)```|`([^`\n]+)`", text, re.DOTALL) for piece in piece
    )


CONSTANT = re.compile(r"^\| `([a-z_]+(?:\.\w+)+)` \| ([\d.]+)(?: [sA])? \|", re.MULTILINE)
CONSTANTS = [found.groups() for found in CONSTANT.finditer((DOCS / "failsafe.md").read_text(encoding="utf-8"))]


def constant(name: str) -> Any:
    """The value of `package.module.NAME`, or of a default as `package.module.Class.field`."""
    parts = name.split(".")
    depth = max(
        n for n in range(1, len(parts)) if (ROOT / "local_controller" / "/".join(parts[:n])).with_suffix(".py").exists()
    )
    value: Any = importlib.import_module(".".join(["local_controller", *parts[:depth]]))
    for part in parts[depth:]:
        value = default(value, part) if isinstance(value, type) else getattr(value, part)
    return value


def default(owner: type, field: str) -> Any:
    if issubclass(owner, pydantic.BaseModel):
        return owner.model_fields[field].default
    if issubclass(owner, msgspec.Struct):
        return next(one.default for one in msgspec.structs.fields(owner) if one.name == field)
    assert dataclasses.is_dataclass(owner)
    return next(one.default for one in dataclasses.fields(owner) if one.name == field)


@pytest.mark.parametrize(("name", "value"), CONSTANTS)
def test_numbers_of_the_failsafe_page_are_those_of_the_code(name: str, value: str) -> None:
    assert constant(name) == float(value)


def test_the_failsafe_page_has_its_numbers() -> None:
    assert len(CONSTANTS) >= 30
    assert constant("site.freshness.METER_LADDER.failsafe_s") != constant("site.freshness.METER_LADDER.stale_s")


def test_the_ages_of_meters_are_those_of_the_code() -> None:
    rows = re.findall(
        r"^\| ([\d.]+) s \| ([\d.]+) s \| ([\d.]+) s \| ([\d.]+) s \|$", prose(DOCS / "failsafe.md"), re.MULTILINE
    )
    assert len(rows) >= 2
    for row in rows:
        poll_s, *ages_s = map(float, row)
        ladder = scaled_to(METER_LADDER, poll_s)
        assert ages_s == [ladder.suspect_s, ladder.stale_s, ladder.failsafe_s]


def test_decisions_are_numbered_and_say_why() -> None:
    decisions = sorted((DOCS / "decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]} "), path
        assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == ["Context", "Decision", "Consequence"], path


def test_all_known_meters_are_in_the_table() -> None:
    devices = {path.stem for path in (ROOT / "local_controller/adapters/modbus/devices").glob("*.yaml")}
    table = re.findall(r"^\| `(\w+)` \| ", (DOCS / "inputs.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert devices <= set(table)


def example(language: str) -> str:
    """The one example of this language among the rules for contributors."""
    (text,) = re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    return str(text)


def test_the_example_of_a_transcript_plays(tmp_path: Path) -> None:
    story = tmp_path / "story.txt"
    story.write_text(example(""), encoding="utf-8")
    play(story)


def test_the_example_of_a_scenario_holds() -> None:
    names: dict[str, Any] = {"settled": settled, "VirtualSite": VirtualSite, "topology": topology}
    exec(example("python"), names)  # noqa: S102 - the document's own text
    assert names["site"].worst["grid"][0] > 20.0
