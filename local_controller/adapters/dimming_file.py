"""Where is it kept when limits of the grid operator held, and how is it read again? One CSV file for each month.

Rows are only ever appended, each flushed to the disk, so a killed process costs the row that it was writing at most. Files
go when they are older than two years and a month; a limit that held all the time fills some 6 MB a month.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from local_controller.errors import LocalControllerError
from local_controller.site.dimming import Row

KEPT_MONTHS: Final = 25
"""How many full months before the present one are kept: two years of rows at least."""

COLUMNS: Final = ("at", "event", "limit", "kind", "limit_w", "limit_a", "charging_w", "grid_w", "surplus_w", "reason")
_PLAIN: Final = str.maketrans({",": ";", '"': "'", "\n": " ", "\r": " "})
"""Nothing is quoted: a quote that a killed process left open would swallow the rows behind it."""

_NAME: Final = "dimmings-{:%Y-%m}.csv"
_FILE: Final = re.compile(r"dimmings-(\d{4})-(\d{2})\.csv")


class DimmingFile:
    """The record in a folder. OSError where the disk does not take a row."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, rows: Iterable[Row]) -> None:
        """These rows are on the disk when this returns."""
        for row in rows:
            path = self._folder / _NAME.format(row.at)
            is_new = not path.exists() or path.stat().st_size == 0  # a full disk takes the name alone
            if is_new:
                self._forget_before(row.at)
            with open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(_lines([COLUMNS] if is_new else [], _ends_within_a_line(path), [_values(row)]))
                file.flush()
                os.fsync(file.fileno())

    def _forget_before(self, at: datetime) -> None:
        """Of both the present month and the last that is kept the earlier counts: the clock may be years ahead for a while."""
        files = _files(self._folder)
        latest = max((month for _, month in files), default=0)
        oldest = min(at.year * 12 + at.month, latest + 1) - KEPT_MONTHS
        for path, month in files:
            if month < oldest:
                path.unlink()

    def rows(self) -> Iterator[dict[str, str]]:
        """All rows, oldest first; one that a killed process or a full disk left unfinished is none, as is the head."""
        for path, _ in _files(self._folder):
            with path.open(encoding="utf-8", errors="replace", newline="") as file:
                for row in csv.DictReader(file, COLUMNS, quoting=csv.QUOTE_NONE):
                    if all(row.get(column) is not None for column in COLUMNS) and _is_time(row["at"]):
                        yield row


def _lines(head: list[Any], torn: bool, rows: list[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None).writerows([*head, *rows])
    return (("\n" if torn else "") + text.getvalue()).encode()


def _ends_within_a_line(path: Path) -> bool:
    """Whether a process was killed while it wrote."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _values(row: Row) -> tuple[str, ...]:
    bound, power = row.dimming.bound, row.power
    return (
        row.at.isoformat(timespec="milliseconds"),
        row.event,
        row.dimming.limit,
        row.dimming.kind,
        _watts(bound.power_w),
        "" if bound.limit_a is None else "/".join(f"{amps:.1f}" for amps in bound.limit_a),
        _watts(power.charging_w),
        _watts(power.grid_w),
        _watts(power.surplus_w),
        row.dimming.reason.translate(_PLAIN),
    )


def _watts(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _files(folder: Path) -> list[tuple[Path, int]]:
    """The files and their months, oldest first; LocalControllerError without such a folder."""
    if not folder.is_dir():
        raise LocalControllerError(f"{folder}: no such folder; name that of `state_directory`")
    found = ((path, _FILE.fullmatch(path.name)) for path in folder.iterdir())
    months = ((path, int(name[1]) * 12 + int(name[2])) for path, name in found if name is not None)
    return sorted(months, key=lambda one: one[1])


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
