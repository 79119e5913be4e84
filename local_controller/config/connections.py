"""Do devices behind one address agree on how it is spoken to? They share one connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from local_controller.config.document import Path
from local_controller.config.references import Finding

_LISTS: Final = ("meters", "io_modules")


def connection_findings(data: Mapping[str, Any]) -> Iterator[Finding]:
    """The framing of a later section that is not that of the first one with its host and port."""
    first: dict[tuple[str, int], tuple[str, str]] = {}
    for path, row in _rows(data):
        port = row.get("port", 502 if path[0] == "meters" else None)  # that of an I/O module depends on its kind
        host, framing = row.get("host"), row.get("framing", "tcp")
        if isinstance(host, str) and isinstance(port, int) and isinstance(framing, str):
            who, agreed = first.setdefault((host, port), (str(row.get("id")), framing))
            if framing != agreed:
                reason = f"{who} says {agreed} of {host}:{port} and this says {framing}"
                yield (*path, "framing"), f"{reason}: both share one connection, so one of the two is wrong"


def _rows(data: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for section in _LISTS:
        items = data.get(section)
        for index, row in enumerate(items if isinstance(items, list) else ()):
            if isinstance(row, dict):
                yield (section, index), row
