"""What does a terminal show of step tests? A row for each EVSE: what was proven, or what is wrong and what helps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from local_controller.site.per_phase import PHASE_NAMES

STYLES: Final[Mapping[str, str]] = {"proven": "green", "wrong": "bold red", "not clear": "yellow"}


def results_table(results: Iterable[dict[str, Any]]) -> Table:
    """The results, as the gateway tells them."""
    table = Table(box=box.ROUNDED, expand=True)
    for header, ratio in (("EVSE", 2), ("Verdict", None), ("Meter", 2), ("Step", 4), ("In words", 10)):
        table.add_column(header, ratio=ratio, overflow="fold", no_wrap=ratio is None)
    for one in results:
        verdict = Text(one["conclusion"], style=STYLES.get(one["conclusion"], ""))
        table.add_row(one["evse"], verdict, one.get("meter", "-"), _step(one), _words(one))
    return table


def _step(one: dict[str, Any]) -> str:
    """Where the meter saw how much, and how late."""
    if not one.get("step_a"):
        return "-"
    sizes = [f"{PHASE_NAMES[phase]} {one['step_a'][phase]:+.1f} A" for phase in one["found_phases"]] or ["none"]
    late = "" if one["latency_s"] is None else f"\nafter {one['latency_s']:.0f} s"
    return f"{', '.join(sizes)}\nexpected {_phases(one['expected_phases'])} {one['expected_a']:+.1f} A{late}"


def _words(one: dict[str, Any]) -> Text:
    text = Text(one["text"])
    faults = one.get("faults") or []
    if faults:
        text = Text("\n").join(Text(f"{f['about']}: {f['text']}\n-> {f['remedy']}") for f in faults)
    elif one["remedy"]:
        text.append(f"\n-> {one['remedy']}")
    for note in one.get("notes", ()):
        text.append(f"\n{note}", style="dim")
    return text


def _phases(phases: Sequence[int]) -> str:
    return ", ".join(PHASE_NAMES[phase] for phase in phases) or "-"
