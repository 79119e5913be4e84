"""When did limits of the grid operator hold? `local-controller record export` writes it as CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from local_controller.adapters.dimming_file import DimmingFile
from local_controller.config.load import load
from local_controller.errors import LocalControllerError, SiteFileError
from local_controller.site.dimming import Event

record = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="The record of limits by the grid operator, kept for two years in `state_directory`.",
)

COLUMNS: Final = (
    *("limit", "kind", "start", "end", "ended_by", "limit_w", "limit_a"),
    *("charging_w_at_start", "mean_charging_w", "highest_charging_w", "highest_grid_w", "mean_surplus_w"),
    *("measurements", "reason"),
)


@record.callback()
def _several() -> None:
    """A group of commands, also while there is one only."""


@record.command()
def export(
    site: Annotated[Path, typer.Argument(help="The site file, or its `state_directory`.", show_default=False)],
    since: Annotated[
        str | None, typer.Option(help="Only what ended since then, UTC unless it says otherwise.", show_default=False)
    ] = None,
) -> None:
    """Writes one line for each time that a limit held: start, end, kind, limit, what was drawn. Times are in UTC."""
    try:
        since_utc = None if since is None else _moment(since)
        folder = _folder(site)
        found = list(dimmings(DimmingFile(folder).rows()))
    except (LocalControllerError, OSError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    chosen = [one for one in found if since_utc is None or datetime.fromisoformat(one["end"]) >= since_utc]
    writer.writerows(chosen)
    if not chosen:
        when = "" if since is None else f" since {since}"
        print(f"no limit of the grid operator is recorded in {folder}{when}", file=sys.stderr)


def _moment(text: str) -> datetime:
    """A day or a time. LocalControllerError if it is none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise LocalControllerError(
            f"--since {text}: write a day or a time, such as 2026-01-31 or 2026-01-31T12:00"
        ) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _folder(site: Path) -> Path:
    if site.is_dir():
        return site
    try:
        config = load(site)
    except SiteFileError as error:
        raise LocalControllerError(str(error)) from error
    if config.state_directory is None:
        raise LocalControllerError(f"{site}: names no `state_directory`, so nothing is recorded")
    return Path(config.state_directory)


def dimmings(rows: Iterable[dict[str, str]]) -> Iterator[dict[str, str]]:
    """What belongs together, in the order of the ends; a dimming without an end was the last that a killed gateway noted."""
    held: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        limit, event = row["limit"], row["event"]
        if event == Event.START and limit in held:
            yield _dimming(held.pop(limit), "the gateway died")
        held.setdefault(limit, []).append(row)
        if event in {Event.END, Event.STOP}:
            yield _dimming(held.pop(limit), "its source" if event == Event.END else "the gateway was stopped")
    yield from (_dimming(one, "holds, or the gateway died") for one in held.values())


def _dimming(rows: list[dict[str, str]], ended_by: str) -> dict[str, str]:
    first, later = rows[0], rows[1:]
    charging_w, grid_w, surplus_w = (_numbers(later, one) for one in ("charging_w", "grid_w", "surplus_w"))
    return {
        "limit": first["limit"],
        "kind": first["kind"],
        "start": first["at"],
        "end": rows[-1]["at"],
        "ended_by": ended_by,
        "limit_w": first["limit_w"],
        "limit_a": first["limit_a"],
        "charging_w_at_start": first["charging_w"],
        "mean_charging_w": _mean(charging_w),
        "highest_charging_w": _highest(charging_w),
        "highest_grid_w": _highest(grid_w),
        "mean_surplus_w": _mean(surplus_w),
        "measurements": str(len(later)),
        "reason": first["reason"],
    }


def _numbers(rows: list[dict[str, str]], column: str) -> list[float]:
    return [float(row[column]) for row in rows if row[column]]


def _mean(values: list[float]) -> str:
    return f"{sum(values) / len(values):.0f}" if values else ""


def _highest(values: list[float]) -> str:
    return f"{max(values):.0f}" if values else ""
