"""Do the names in a site file lead somewhere? Checked on the raw data, so that other mistakes hide nothing."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from local_controller.config.document import Path
from local_controller.config.refused_meters import refusal
from local_controller.site.topology import GRID

Finding = tuple[Path, str]
"""The path of a value, and what is wrong with it."""

_LISTS: Final = ("circuits", "stations", "meters", "devices", "io_modules", "limits", "brokers")
_REFERENCES: Final = (
    ("circuits", "parent", "circuits"),
    ("circuits", "meter", "meters"),
    ("stations", "circuit", "circuits"),
    ("limits", "node", "circuits"),
    ("limits", "broker", "brokers"),
    ("limits", "io_module", "io_modules"),
    ("meters", "broker", "brokers"),
)
"""Where a name is used, and the list that must have it."""
_WITH_BROKER: Final = (
    ("publish",),
    ("prices", "energy", "mqtt"),
    ("prices", "feed_in", "mqtt"),
    ("forecasts", "pv"),
    ("forecasts", "base_load"),
)
"""Sections that are no lists and name a broker."""


def findings(data: Mapping[str, Any], devices: Collection[str]) -> Iterator[Finding]:
    """Duplicate ids, names of nothing, circuits in a circle, unknown kinds of meters, meters at two places."""
    for section in _LISTS:
        yield from _duplicates(section, data)
    for section, key, target in _REFERENCES:
        yield from _dangling(named(data, section, key), target, data)
    grid_meter = _named_in_section(("grid_connection", "meter"), data)
    yield from _dangling(grid_meter, "meters", data)
    yield from _dangling(_brokers_of_sections(data), "brokers", data)
    yield from _circles(data)
    yield from _shared([*grid_meter, *named(data, "circuits", "meter")])
    own = named(data, "devices", "id")
    for path, name in own:
        if name in devices:
            yield path, f"the gateway brings {name} itself: choose another id"
    known = {*devices, *(name for _, name in own)}
    for path, name in named(data, "meters", "device"):
        if name not in known:
            yield path, refusal(name, known) or f'no known kind of meter: "{name}"{did_you_mean(name, known)}'


def did_you_mean(name: str, known: Collection[str]) -> str:
    """A hint with the nearest known name, or with all of them if none is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f" - did you mean {near[0]}?"
    return f" - known here: {', '.join(sorted(set(known)))}" if known else " - none is known"


def named(data: Mapping[str, Any], section: str, key: str) -> list[tuple[Path, str]]:
    """The texts under `key` in a list of sections, with their paths; whatever has another shape is passed over."""
    items = data.get(section)
    rows = enumerate(items) if isinstance(items, list) else ()
    return [
        ((section, index, key), row[key]) for index, row in rows if isinstance(row, dict) and _is_text(row.get(key))
    ]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _brokers_of_sections(data: Mapping[str, Any]) -> list[tuple[Path, str]]:
    return [one for place in _WITH_BROKER for one in _named_in_section((*place, "broker"), data)]


def _named_in_section(path: tuple[str, ...], data: Mapping[str, Any]) -> list[tuple[Path, str]]:
    """The text at a path through sections that are no lists, with its path."""
    found: Any = data
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return [(path, found)] if isinstance(found, str) else []


def _duplicates(section: str, data: Mapping[str, Any]) -> Iterator[Finding]:
    seen: set[str] = set()
    for path, name in named(data, section, "id"):
        compared = name.casefold() if section == "stations" else name  # identifierString knows no case
        if compared in seen:
            yield path, f"{name} is the id of another one of the {section}: ids are unique"
        seen.add(compared)


def _dangling(uses: Sequence[tuple[Path, str]], target: str, data: Mapping[str, Any]) -> Iterator[Finding]:
    """Each name of nothing once, where it stands first: it is as likely one slip in the list as many outside it."""
    known = [known for _, known in named(data, target, "id")] + ([GRID] if target == "circuits" else [])
    places: dict[str, list[Path]] = {}
    for path, name in uses:
        if name not in known:
            places.setdefault(name, []).append(path)
    for name, (first, *others) in places.items():
        more = f"; so at {len(others)} more place{'s' if len(others) > 1 else ''}" if others else ""
        yield first, f'no {target.removesuffix("s")} has the id "{name}"{did_you_mean(name, known)}{more}'


def _circles(data: Mapping[str, Any]) -> Iterator[Finding]:
    """Circuits that feed each other, told once per circle at its first member in the file."""
    positions = {name: path[1] for path, name in named(data, "circuits", "id")}
    parents = {path[1]: name for path, name in named(data, "circuits", "parent")}
    feeder = {name: parents.get(position, GRID) for name, position in positions.items()}
    told: set[str] = set()
    for name in feeder:
        circle = _circle(name, feeder)
        if circle and told.isdisjoint(circle):
            told.update(circle)
            way = " -> ".join([*circle, name])
            yield (
                ("circuits", positions[name], "parent"),
                f"circuits feed each other: {way}: let the grid feed one of them",
            )


def _circle(name: str, feeder: Mapping[str, str]) -> Sequence[str]:
    """The circuits from `name` up to itself; empty if the way up ends elsewhere."""
    way = [name]
    while (above := feeder.get(way[-1])) is not None:
        if above == name:
            return way
        if above in way:
            return ()
        way.append(above)
    return ()


def _shared(meters: Sequence[tuple[Path, str]]) -> Iterator[Finding]:
    seen: set[str] = set()
    for path, name in meters:
        if name in seen:
            yield path, f"meter {name} measures another circuit already: a meter has one place"
        seen.add(name)
