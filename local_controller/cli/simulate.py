"""Would it fit? `local-controller simulate SITE` runs a site file over recorded or made-up days, with the product's optimizer and without."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from backtest.comparison import Outcome, compare, ways
from backtest.sessions import Session, weekdays
from backtest.tree import Tree
from backtest.visits_file import Recorded, read_visits, sessions_of
from local_controller.cli.simulate_picture import comparison_table, summary
from local_controller.cli.simulate_plot import drawable, plot
from local_controller.cli.simulate_site import named_as_in_file, outlets, simulated
from local_controller.cli.terminal import many, wide_console
from local_controller.config.load import load
from local_controller.config.models import SiteConfig
from local_controller.errors import LocalControllerError, unreadable

WHERE_NO_TERMINAL: Final = 110

CARS_PER_EVSE: Final = 1.15
"""Cars a day for each EVSE: 62 at the 54 of the garage after which days are made up (`backtest.sessions`)."""


def simulate(  # noqa: PLR0913  # options of a command
    site: Annotated[Path, typer.Argument(help="The site file.", show_default=False)],
    *,
    visits: Annotated[
        Path | None,
        typer.Option(help="CSV or JSON: evse, arrival, departure, kwh, max_a, phases.", show_default=False),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=60, help="So many made-up weekdays, where no visits are given.")] = 5,
    cars: Annotated[float, typer.Option(min=0.1, max=20, help="Made-up cars a day for each EVSE.")] = CARS_PER_EVSE,
    seed: Annotated[int, typer.Option(help="Other made-up days.")] = 1,
    more: Annotated[int, typer.Option("--add", min=0, max=500, help="So many more EVSEs like the first one.")] = 0,
    at: Annotated[str | None, typer.Option(help="The circuit of the EVSEs that are added.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    picture: Annotated[
        Path | None, typer.Option("--plot", help="Draw the load of the grid connection.", show_default=False)
    ] = None,
) -> None:
    """Runs the site over days: what cars get and what fuses bear, with the optimizer, by rules of thumb and uncontrolled.

    Steps of five minutes, whole amperes, batteries that take less when nearly full. Progress is told on standard error.
    """
    try:
        config = load(site)
        tree, sessions, weekday, told = _what(config, visits, (days, cars, seed), (more, at))
        if picture is not None:
            drawable(picture)
        objective = config.control.objective
        found = compare(tree, sessions, list(ways(tree, objective, weekday)), say=_say)
        if picture is not None:
            plot(picture, config.site.name, tree, found)
    except (LocalControllerError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(_as_json(config, tree, sessions, found), indent=2, ensure_ascii=False))
        return
    console = wide_console(WHERE_NO_TERMINAL)
    console.print(comparison_table(tree, found))
    console.print(f"{told} {summary(tree, found)}")


def _what(
    config: SiteConfig, visits: Path | None, made_up: tuple[int, float, int], added: tuple[int, str | None]
) -> tuple[Tree, list[Session], int, str]:
    """The site, its sessions, the first weekday, and a sentence about them."""
    evses = outlets(config, *added)
    if visits is None:
        days, cars, seed = made_up
        tree = simulated(config, evses)
        sessions = weekdays(tree.network, days, seed, max(1, round(cars * len(evses))))
        return tree, sessions, 0, f"{len(sessions)} made-up visits in {many(days, 'day')} at {len(evses)} EVSEs."
    rows = [replace(row, evse=_known(row, evses)) for row in _read(visits, ZoneInfo(config.site.time_zone))]
    tree = simulated(config, evses, dict.fromkeys((row.evse, row.kind) for row in rows))
    sessions, weekday, left_out = sessions_of(rows, tree)
    if not sessions:
        raise LocalControllerError(f"{visits}: holds no visit")
    out = f" {left_out} were left out: their EVSE was taken, or they were too short." if left_out else ""
    return tree, sessions, weekday, f"{len(sessions)} visits of {visits.name} at {len(evses)} EVSEs.{out}"


def _read(visits: Path, zone: ZoneInfo) -> list[Recorded]:
    try:
        return read_visits(visits, zone)
    except (OSError, UnicodeDecodeError) as error:
        raise LocalControllerError(f"{visits}: {unreadable(error)}") from error


def _known(row: Recorded, evses: Any) -> str:
    found = named_as_in_file(row.evse, evses)
    if found is None:
        some = ", ".join(one.id for one in evses[:5])
        raise LocalControllerError(f"{row.where}: evse {row.evse!r}: the site file has no such one, but {some} ...")
    return found


def _as_json(config: SiteConfig, tree: Tree, sessions: list[Session], found: list[Outcome]) -> dict[str, Any]:
    return {
        "site": config.site.name,
        "objective": config.control.objective,
        "evses": len({evse for evse, _ in tree.columns}),
        "sessions": len(sessions),
        "ways": [one.as_json(tree) for one in found],
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
