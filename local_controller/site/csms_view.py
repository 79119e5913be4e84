"""What do people see of a CSMS that was away: since when, who is served on without it, what waits, what could not be delivered?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, NamedTuple

from local_controller.clock import Instant
from local_controller.site.csms_absence import CsmsAbsence, Way, Ways
from local_controller.site.spoken import capital, lasting, many, moment, named

NAMED: Final = 6
"""Stations in a sentence."""


class KeptMessages(NamedTuple):
    """What the journal holds of a station: messages that wait to be delivered, and those that could not be (LC-054)."""

    waiting: int = 0
    put_aside: int = 0


@dataclass(frozen=True, slots=True)
class Sentence:
    """For people. level: info, warning or error, as in notices."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class CsmsView:
    """One CSMS whose stations stay served. is_there: None while none of them is connected, as nobody knows then.

    away_since: UTC, RFC 3339. served: its connected stations, of all that the site file gives it. waiting: messages of
    connected stations that it has yet to get; waiting_for_stations: of those that are not connected, in whose name nobody
    can deliver them; put_aside: that could not be delivered.
    """

    name: str
    is_there: bool | None
    away_since: str | None
    away_s: float | None
    stations: int
    served: int
    waiting: int
    waiting_for_stations: int
    put_aside: int
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class WayView:
    """The way of one connected station to its CSMS; since: UTC, RFC 3339. sentence: "" unless the CSMS is away for it and not for all."""

    is_there: bool
    since: str
    since_s: float
    waiting: int
    sentence: str


class Look(NamedTuple):
    """What is seen of all: the ways of the connected stations, and what the journal holds, by identity."""

    ways: Ways
    kept: Mapping[str, KeptMessages]
    zone: tzinfo
    now: Instant


def csms_view(absence: CsmsAbsence, look: Look) -> CsmsView:
    """One CSMS as it is now."""
    own, kept = absence.of(look.ways), {one: look.kept[one] for one in absence.stations if one in look.kept}
    is_there = any(way.is_there for way in own.values()) if own else None
    since = absence.since if is_there is False else None
    return CsmsView(
        name=absence.name,
        is_there=is_there,
        away_since=None if since is None else _second(since),
        away_s=None if since is None else round(look.now.since(since), 1),
        stations=len(absence.stations),
        served=len(own),
        waiting=sum(way.waiting for way in own.values()),
        waiting_for_stations=sum(one.waiting for identity, one in kept.items() if identity not in own),
        put_aside=sum(one.put_aside for one in kept.values()),
        sentences=tuple(_sentences(absence, own, kept, look)),
    )


def way_views(absences: Iterable[CsmsAbsence], look: Look) -> Iterator[dict[str, WayView] | None]:
    """Of each connected station that stays served, at the last of many steps: of hundreds that takes some 2 ms."""
    views = {}
    for absence in absences:
        own = absence.of(look.ways)
        is_alone = any(way.is_there for way in own.values())
        for identity, way in own.items():
            views[identity] = _way(way, look, is_alone=is_alone)
            yield None
    yield views


def _way(way: Way, look: Look, *, is_alone: bool) -> WayView:
    since = look.now.after(way.since_s - look.now.monotonic_s)
    text = ""
    if is_alone and not way.is_there:
        text = f"its CSMS has been away since {_since(since, look)}: {_wait(way.waiting)} for it"
    return WayView(way.is_there, _second(since), round(look.now.since(since), 1), way.waiting, text)


def _sentences(
    absence: CsmsAbsence, own: Mapping[str, Way], kept: Mapping[str, KeptMessages], look: Look
) -> Iterator[Sentence]:
    """What people must know; nothing where all is as ever."""
    waiting = sum(way.waiting for way in own.values())
    if own and absence.since is not None and not any(way.is_there for way in own.values()):
        count = len(absence.stations)
        yield Sentence(
            "warning",
            f"{capital(absence.name)} has been away since {_since(absence.since, look)}: {len(own)} of"
            f" {many(count, 'station')} {'is' if len(own) == 1 else 'are'} served on; {_wait(waiting)} for it.",
        )
    elif delivering := sum(way.waiting for way in own.values() if way.is_there):
        are = "is" if delivering == 1 else "are"
        yield Sentence(
            "info", f"{capital(absence.name)} is there: {many(delivering, 'message')} {are} being delivered to it."
        )
    absent = [identity for identity, one in kept.items() if one.waiting and identity not in own]
    if absent:
        count, again = sum(kept[one].waiting for one in absent), "connects" if len(absent) == 1 else "connect"
        yield Sentence(
            "info",
            f"{capital(_wait(count))} for {absence.name} until {named(absent, NAMED)} {again} again.",
        )
    aside = [identity for identity, one in kept.items() if one.put_aside]
    if aside:
        count = sum(kept[one].put_aside for one in aside)
        are = "is" if count == 1 else "are"
        yield Sentence(
            "error",
            f"{many(count, 'message')} of {named(aside, NAMED)} could not be delivered and {are} put aside:"
            " local-controller journal shows what and why.",
        )


def _wait(count: int) -> str:
    return "no message waits" if not count else f"{many(count, 'message')} {'waits' if count == 1 else 'wait'}"


def _since(at: Instant, look: Look) -> str:
    return f"{moment(at, look.zone, look.now)} ({lasting(look.now.since(at))})"


def _second(at: Instant) -> str:
    return at.utc.isoformat(timespec="seconds")
