"""Do devices behind one address or on one bus agree on how they are spoken to? They share one connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from local_controller.config.document import Path
from local_controller.config.references import Finding

_LISTS: Final = ("meters", "io_modules")
_SERIAL: Final = {"baud": 9600, "parity": "none", "stop_bits": 1}


def connection_findings(data: Mapping[str, Any]) -> Iterator[Finding]:
    """Settings of a connection that are not those of the section that names it first."""
    yield from _of_addresses(data)
    yield from _of_buses(data)
    yield from _twice(data)


def _twice(data: Mapping[str, Any]) -> Iterator[Finding]:
    """A device that is read as two, because its address or its unit id was forgotten."""
    first: dict[tuple[object, ...], str] = {}
    for path, row in _rows(data):
        if path[0] == "limits":
            continue  # what another limit reads there as well
        is_meter = path[0] == "meters"
        reached = (row.get("host"), row.get("port", 502 if is_meter else None), row.get("serial"))
        device, unit_id = row.get("device") if is_meter else None, row.get("unit_id", 1)
        if not all(isinstance(one, str | int | None) for one in (*reached, device, unit_id)):
            continue
        name = str(row.get("id"))
        other = first.setdefault((path[0], *reached, device, unit_id), name)
        if other != name and (reached[0] or reached[2]):
            what = "meter" if is_meter else "contacts"
            reason = f"{other} is unit {unit_id} at the same place already"
            yield (*path, "unit_id"), f"{reason}, so both would show the same {what}: give each its own unit_id"


def _of_buses(data: Mapping[str, Any]) -> Iterator[Finding]:
    """The settings of a serial line."""
    first: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for path, row in _rows(data):
        bus = row.get("serial")
        if isinstance(bus, str):
            who, agreed = first.setdefault(bus, (str(row.get("id")), row))
            for key, usual in _SERIAL.items():
                mine, theirs = row.get(key, usual), agreed.get(key, usual)
                if mine != theirs:
                    reason = f"{who} says {theirs} of {bus} and this says {mine}"
                    yield (*path, key), f"{reason}: all devices of a bus are set alike, so one of the two is wrong"


def _of_addresses(data: Mapping[str, Any]) -> Iterator[Finding]:
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
    limits = data.get("limits")
    for index, limit in enumerate(limits if isinstance(limits, list) else ()):
        registers = limit.get("registers") if isinstance(limit, dict) else None
        if isinstance(registers, dict):
            yield ("limits", index, "registers"), {"id": limit.get("id"), "port": 502, **registers}
