"""What does a terminal show of a simulation? A row for each way of charging: what cars got, and what fuses bore."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from backtest.comparison import Outcome
from backtest.tree import Tree
from local_controller.site.per_phase import PHASE_NAMES


def comparison_table(site: Tree, found: Sequence[Outcome]) -> Table:
    """The ways beside each other. Told: whether it knows when cars leave and what they want.

    The highest load is that of the fuse that bore most for its size; the hours above are those of the fuse with most of them.
    """
    table = Table(box=box.SIMPLE, show_edge=False, collapse_padding=True, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("Told", no_wrap=True)
    for header in ("kWh", "Of wish", "Cars\n< 80 %", "Stops\na car"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("Highest load")
    table.add_column("Hours\nabove", justify="right", no_wrap=True)
    for one in found:
        table.add_row(
            one.name,
            "yes" if one.knows else "no",
            f"{one.delivered_kwh:.0f}",
            f"{one.delivered_pct:.1f} %",
            f"{one.badly_served}",
            f"{one.stops_per_session:.2f}",
            _highest(site, one),
            f"{one.hours_above:.1f}",
            style="bold" if one.name.startswith("optimizer") else "",
        )
    return table


def _highest(site: Tree, one: Outcome) -> str:
    rated_a = site.fuse_a + site.reserved_a
    row = int((one.peak_a / rated_a).argmax())
    circuit, phase = site.rows[row]
    return f"{one.peak_a[row]:.0f} of {rated_a[row]:.0f} A, {circuit} {PHASE_NAMES[phase]}"


def summary(site: Tree, found: Sequence[Outcome]) -> str:
    """The answer in a sentence or two: does it fit?"""
    by_name = {one.name: one for one in found}
    free, kept = by_name["uncontrolled"], by_name["optimizer, nobody tells"]
    if free.hours_above == 0:
        return "No fuse is exceeded even if nobody controls the site."
    share = kept.badly_served / max(1, kept.sessions)
    return (
        f"Uncontrolled, a fuse would bear more than its rating for {free.hours_above:.1f} h ({_highest(site, free)}). Controlled, none"
        f" does, and {kept.delivered_pct:.0f} % of the energy is delivered though nobody tells anything; {100 * share:.0f} % of the cars get"
        " less than 80 % of their wish."
    )
