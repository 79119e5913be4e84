"""Which sessions were recorded in a window of a site? Reads `sessions.csv.gz` of a folder given by the caller.

Columns: site, session_id, station, arrival, departure (ISO 8601, UTC), kwh (delivered); others are not used.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from backtest.network import STEP_S, Network
from backtest.sessions import LONGEST_STEPS, Session

ZONE = ZoneInfo("America/Los_Angeles")
NAME = "sessions.csv.gz"


@dataclass(frozen=True)
class Window:
    """Sessions of a site that arrive from the first day on and before the last, in local time."""

    site: str
    first: date
    last: date

    @classmethod
    def of(cls, text: str) -> Window:
        """`caltech:2018-09-05:2018-09-07`."""
        try:
            site, first, last = text.split(":")
            return cls(site, date.fromisoformat(first), date.fromisoformat(last))
        except ValueError as error:
            raise ValueError(
                f"window {text!r}: {error}; write SITE:FIRST:LAST, as caltech:2018-09-05:2018-09-07"
            ) from error

    def __str__(self) -> str:
        return f"{self.site}:{self.first}:{self.last}"


def sessions(folder: Path, window: Window, network: Network) -> list[Session]:
    """In order of arrival. Who comes to an EVSE that is still taken, or stays for no step, is left out."""
    midnight = datetime.combine(window.first, datetime.min.time(), ZONE)
    end = datetime.combine(window.last, datetime.min.time(), ZONE)
    number = {name: index for index, name in enumerate(network.stations)}
    first_step = int(midnight.timestamp() / STEP_S)
    found = [
        _session(row, number[row["station"]], first_step, network)
        for row in _rows(folder)
        if row["site"] == window.site and midnight <= _time(row["arrival"]) < end and row["station"] in number
    ]
    free_from = [0] * len(number)
    kept = []
    for session in sorted(found, key=lambda session: session.arrival):
        if session.steps > 0 and session.energy_kwh > 0 and session.arrival >= free_from[session.station]:
            kept.append(session)
            free_from[session.station] = session.departure
    return kept


def _rows(folder: Path) -> Iterator[dict[str, str]]:
    path = next((path for path in (folder / NAME, folder / "data" / NAME) if path.is_file()), None)
    if path is None:
        raise FileNotFoundError(f"{folder}: neither {NAME} nor data/{NAME} is there; name the folder that has it")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _session(row: Mapping[str, str], station: int, first_step: int, network: Network) -> Session:
    arrival, departure = (int(_time(row[key]).timestamp() / STEP_S) - first_step for key in ("arrival", "departure"))
    departure = min(departure, arrival + LONGEST_STEPS)
    most_kwh = float(network.max[station] * network.a2k[station]) * (departure - arrival)
    return Session(row["session_id"], station, arrival, departure, min(float(row["kwh"]), most_kwh))
