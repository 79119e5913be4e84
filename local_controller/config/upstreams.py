"""Has every station of a site file one CSMS? Checked on the raw data, so that other mistakes hide nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from local_controller.config.assignment import Assignment, is_pattern
from local_controller.config.document import Path
from local_controller.config.references import Finding, did_you_mean, named


def upstream_findings(data: Mapping[str, Any]) -> Iterator[Finding]:
    """CSMSs with one name, two CSMSs for the rest, names of no station, and stations without a CSMS."""
    upstreams = _upstreams(data)
    stations = named(data, "stations", "id")
    yield from _same_names(upstreams)
    yield from _second_rest(upstreams)
    yield from _dangling(upstreams, [identity for _, identity in stations])
    yield from _homeless(upstreams, stations)


def _upstreams(data: Mapping[str, Any]) -> list[tuple[Path, Mapping[str, Any]]]:
    """The sections of the CSMSs with their paths; whatever has another shape is passed over."""
    section = data.get("csms")
    rows = enumerate(section) if isinstance(section, list) else ()
    several: list[tuple[Path, Mapping[str, Any]]] = [(("csms", i), row) for i, row in rows if isinstance(row, dict)]
    return [(("csms",), section)] if isinstance(section, dict) else several


def _same_names(upstreams: Sequence[tuple[Path, Mapping[str, Any]]]) -> Iterator[Finding]:
    """Logs and status tell CSMSs apart by their id, or by their host."""
    seen: set[str] = set()
    for path, upstream in upstreams:
        name = upstream.get("id", _host(upstream))
        if isinstance(name, str) and name in seen:
            yield (*path, "id"), f"another CSMS is called {name} as well: give each an id of its own"
        seen.add(str(name))


def _host(upstream: Mapping[str, Any]) -> str | None:
    """The host of the first address."""
    urls = upstream.get("urls")
    url = next(iter(urls.values()), None) if isinstance(urls, dict) else upstream.get("url")
    try:
        return urlsplit(url).hostname if isinstance(url, str) else None
    except ValueError:
        return None


def _second_rest(upstreams: Sequence[tuple[Path, Mapping[str, Any]]]) -> Iterator[Finding]:
    rest = [path for path, upstream in upstreams if "stations" not in upstream]
    for path in rest[1:]:
        yield (*path, "stations"), "is missing: only one CSMS can have the stations that no other one names"


def _dangling(upstreams: Sequence[tuple[Path, Mapping[str, Any]]], identities: Sequence[str]) -> Iterator[Finding]:
    known = {identity.casefold() for identity in identities}
    for path, upstream in upstreams:
        for position, name in enumerate(_names(upstream) or ()):
            if not is_pattern(name) and name.casefold() not in known:
                yield (*path, "stations", position), f'no station has the id "{name}"{did_you_mean(name, identities)}'


def _homeless(
    upstreams: Sequence[tuple[Path, Mapping[str, Any]]], stations: Sequence[tuple[Path, str]]
) -> Iterator[Finding]:
    lists = [_names(upstream) for _, upstream in upstreams]
    if any("stations" in upstream and names is None for (_, upstream), names in zip(upstreams, lists, strict=True)):
        return  # told already: a list that is none
    assignment = Assignment(lists)
    for path, identity in stations if lists else ():
        if assignment.of(identity) is None:
            remedy = "name it in the `stations` of one, or leave `stations` out at one for all others"
            yield path, f"no CSMS has this station: {remedy}"


def _names(upstream: Mapping[str, Any]) -> list[str] | None:
    names = upstream.get("stations")
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None
