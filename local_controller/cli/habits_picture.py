"""What does a terminal show of habits? A row for the site and one for each EVSE: visits, stays, energies, age."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table


def summary(found: Mapping[str, Any]) -> str:
    """In one or two sentences."""
    if found["kept_days"] == 0:
        return "Nothing is learnt here: control.learning_days is 0."
    where = "in memory only, a restart forgets it" if found["kept_in"] is None else f"in {found['kept_in']}"
    if found["overall"] is None:
        return f"Nothing has been learnt yet. A visit will be kept for {found['kept_days']} days {where}."
    many = f"{found['overall']['visits']} visits with {found['cards']} cards"
    needed = f"{found['enough']} visits of a kind are needed before plans go by them."
    return f"{many}, each kept for {found['kept_days']} days {where}. {needed}"


def habits_table(found: Mapping[str, Any]) -> Table:
    """The same in numbers; of ten visits one is below the first, five below the second and nine below the third."""
    table = Table(box=box.ROUNDED, expand=True)
    for header in ("", "Visits", "Stay, h (10/50/90 %)", "Energy, kWh"):
        table.add_column(header, overflow="fold")
    for header in ("From", "To"):
        table.add_column(header, no_wrap=True)
    for name, one in (("all", found["overall"]), *found["evses"].items()):
        stay, energy = _spread(one["stay_h"]), _spread(one["energy_kwh"])
        table.add_row(name, str(one["visits"]), stay, energy, one["first_day"], one["last_day"])
    return table


def _spread(spread: Mapping[str, float]) -> str:
    return " / ".join(f"{spread[name]:.1f}" for name in ("p10", "p50", "p90"))
