"""What does a terminal show of a journal? What waits for whom since when, and what could not be delivered, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table

from local_controller.cli.terminal import many
from local_controller.site.spoken import ago


def journal_picture(found: dict[str, Any], now_utc: datetime) -> RenderableType:
    """What `journal show --json` prints, as tables."""
    parts: list[RenderableType] = [_summary(found)]
    if found["stations"]:
        parts.append(_stations(found["stations"], now_utc))
    if found["put_aside"]:
        parts += [_put_aside(found["put_aside"], now_utc), _REMEDY]
    return Group(*parts)


_REMEDY = (
    "What was put aside stays until you settle it: `journal export` writes it for whoever books it by hand, `journal retry`"
    " sends it once more, `journal drop` deletes it."
)


def _summary(found: dict[str, Any]) -> str:
    waiting = sum(one["waiting"] for one in found["stations"])
    size = f"{found['file']}: {_size(found['size_bytes'])}"
    if not found["stations"]:
        return f"{size}; nothing waits for a CSMS"
    aside = len(found["put_aside"])
    waits = f"{many(waiting, 'message')} {'waits' if waiting == 1 else 'wait'} for a CSMS"
    return f"{size}; {waits}, {aside} {'was' if aside == 1 else 'were'} put aside"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.0f} kB"


def _table(*columns: tuple[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name, justify in columns:
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=name != "reason")
    return table


def _stations(rows: list[dict[str, Any]], now_utc: datetime) -> Table:
    table = _table(("station", "left"), ("waiting", "right"), ("the oldest", "right"), ("put aside", "right"))
    for one in rows:
        oldest = _age(one["oldest"], now_utc) if one["waiting"] else ""
        table.add_row(one["station"], str(one["waiting"]), oldest, str(one["put_aside"]))
    return table


def _age(at: str | None, now_utc: datetime) -> str:
    if at is None:
        return "unreadable"
    return ago(max(0.0, (now_utc - datetime.fromisoformat(at)).total_seconds()))


def _put_aside(rows: list[dict[str, Any]], now_utc: datetime) -> Table:
    table = _table(("number", "right"), ("station", "left"), ("action", "left"), ("sent", "right"), ("reason", "left"))
    for one in rows:
        table.add_row(str(one["number"]), one["station"], one["action"], _age(one["at"], now_utc), one["reason"])
    return table
