"""Which recorded visits are in a CSV or JSON file? A row for each: evse, arrival, departure, kwh, and if known max_a and phases.

Times are ISO 8601; those without an offset are of the zone that the caller names.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final

from backtest.network import STEP_S
from backtest.sessions import Session
from backtest.tree import LEAST_A, Kind, Tree

LONGEST: Final = timedelta(days=366)
"""Of a visit, and of all of them together: of every step of a longer time each way of charging is asked."""

NEEDED: Final = ("evse", "arrival", "departure", "kwh")


@dataclass(frozen=True)
class Recorded:
    """One visit, as it was recorded. kwh: what it took, and here wants. where: its place in the file."""

    evse: str
    arrival: datetime
    departure: datetime
    kwh: float
    kind: Kind
    where: str


def read_visits(path: Path, zone: tzinfo) -> list[Recorded]:
    """In order of arrival. ValueError with file, row and remedy; OSError if it cannot be read."""
    rows = _json(path) if path.suffix.lower() == ".json" else _csv(path)
    found = sorted((_recorded(where, row, zone) for where, row in rows), key=lambda one: one.arrival)
    if found and found[-1].arrival - found[0].arrival > LONGEST:
        first, last = found[0], found[-1]
        text = f"{last.arrival.date()} is more than {LONGEST.days} days after {first.arrival.date()} ({first.where})"
        raise ValueError(f"{last.where}: {text}: give one year at a time")
    return found


def sessions_of(visits: Sequence[Recorded], site: Tree) -> tuple[list[Session], int, int]:
    """As the engine takes them, the weekday of the first midnight (0: Monday), and how many were left out.

    Left out is who comes to an EVSE that is still taken, or stays for less than a step. Nobody wants more than fits in the stay.
    """
    if not visits:
        return [], 0, 0
    first = visits[0].arrival.replace(hour=0, minute=0, second=0, microsecond=0)
    column = {which: number for number, which in enumerate(site.columns)}
    free_from: dict[str, int] = {}
    found: list[Session] = []
    for number, one in enumerate(visits):
        start, end = (int((at - first).total_seconds() / STEP_S) for at in (one.arrival, one.departure))
        if end > start >= free_from.get(one.evse, 0):
            free_from[one.evse], here = end, column[one.evse, one.kind]
            most_kwh = float(site.network.max[here] * site.network.a2k[here]) * (end - start)
            found.append(Session(f"s{number}", here, start, end, min(one.kwh, most_kwh)))
    return found, first.weekday(), len(visits) - len(found)


def _csv(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            for number, row in enumerate(csv.DictReader(file), start=2):
                yield f"{path}:{number}", row
        except csv.Error as error:
            raise ValueError(
                f"{path}: {error}; a table with commas and the columns {', '.join(NEEDED)} was expected"
            ) from None


def _json(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}; a JSON list of visits was expected") from None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ValueError(f"{path}: a JSON list of objects was expected, each with {', '.join(NEEDED)}")
    for number, row in enumerate(found, start=1):
        yield f"{path}, visit {number}", row


def _recorded(where: str, row: Mapping[str, Any], zone: tzinfo) -> Recorded:
    if any(";" in name for name in row if isinstance(name, str)):
        raise ValueError(f"{where}: {next(iter(row))}: separate columns with commas, not with semicolons")
    if missing := [name for name in NEEDED if row.get(name) in (None, "")]:
        raise ValueError(
            f"{where}: {missing[0]} is missing; a visit has {', '.join(NEEDED)}, and may have max_a and phases"
        )
    phases, max_a = (_number(where, row, name) for name in ("phases", "max_a"))
    if phases not in {None, 1, 2, 3}:
        raise ValueError(f"{where}: phases {row['phases']!r}: 1, 2 or 3 was expected")
    if max_a is not None and max_a < LEAST_A:
        raise ValueError(f"{where}: max_a {row['max_a']}: no car charges with less than {LEAST_A:g} A")
    kind = Kind(None if phases is None else int(phases), max_a)
    arrival, departure = (_moment(where, row, name, zone) for name in ("arrival", "departure"))
    if departure <= arrival:
        raise ValueError(f"{where}: departure {row['departure']} is not after arrival {row['arrival']}")
    if departure - arrival > LONGEST:
        raise ValueError(
            f"{where}: departure {row['departure']} is more than {LONGEST.days} days after arrival {row['arrival']}"
        )
    return Recorded(str(row["evse"]), arrival, departure, _number(where, row, "kwh") or 0.0, kind, where)


def _number(where: str, row: Mapping[str, Any], name: str) -> float | None:
    if row.get(name) in (None, ""):
        return None
    try:
        value = math.nan if isinstance(row[name], bool) else float(row[name])
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{where}: {name} {row[name]!r}: a number above 0 was expected")
    return value


def _moment(where: str, row: Mapping[str, Any], name: str, zone: tzinfo) -> datetime:
    try:
        moment = datetime.fromisoformat(str(row[name]))
        return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)
    except (ValueError, OverflowError):
        raise ValueError(f"{where}: {name} {row[name]!r}: a time like 2026-03-02T08:15 was expected") from None
