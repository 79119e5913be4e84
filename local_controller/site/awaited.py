"""Which sessions are to come, and what may the plan reckon with? What reservations and remote starts say (LC-078, LC-140).

It is only ever a matter of plans: what is to come has no limit, and no room is kept for it. It ends by itself, whatever the
station says or forgets, and a restart of the gateway forgets it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import tzinfo
from itertools import chain

from local_controller.clock import Instant
from local_controller.site.evse import EvseState
from local_controller.site.spoken import moment
from local_controller.station.words import EvseId, ExpectationOver, Foretold, SessionExpected
from optimizer.habits import Likely
from optimizer.problem import Horizon

LikeIt = Callable[[str, str | None, Instant], Likely | None]
"""By EVSE ("" where it may be any), token and time of arrival: what similar visits did. No token is kept here."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """A session to come at an EVSE of a station; 0: at any. likely: what visits like it did, None where too few are known."""

    evse: int
    by: Foretold
    until: Instant
    likely: Likely | None = None

    def arrives_in_s(self, now: Instant) -> float:
        """When its car should be here: after a remote start at any moment.

        Who has reserved comes at any moment of what is left, each as likely as another: so in the middle of it.
        """
        return 0.0 if self.by is Foretold.REMOTE_START else max(0.0, self.until.since(now)) / 2

    def presence(self, arrives_in_s: float, horizon: Horizon) -> tuple[tuple[float, ...] | None, float | None]:
        """How likely it is there in each block, and what it wants (Wh), by visits like it; None where nobody knows."""
        if self.likely is None:
            return None, None
        guess = self.likely.guess(0.0, 0.0, [max(0.0, edge_s - arrives_in_s) for edge_s in horizon.edges_s])
        return guess.presence, guess.expected_wh

    def sentence(self, zone: tzinfo, now: Instant) -> str:
        """For people, with the time of day of the site."""
        if self.by is Foretold.REMOTE_START:
            return "awaits a car after a remote start"
        return f"reserved until {moment(self.until, zone, now)}"


class AwaitedSessions:
    """All of a site, by station and key."""

    def __init__(self) -> None:
        self._by_station: dict[str, dict[str, Awaited]] = {}

    def told(self, station: str, fact: SessionExpected | ExpectationOver, like: LikeIt, now: Instant) -> bool:
        """One more, or one less; whether that is news. like: finds what visits like it did."""
        known = self._by_station.setdefault(station, {})
        if isinstance(fact, ExpectationOver):
            return known.pop(fact.key, None) is not None
        one = Awaited(fact.evse, fact.by, now.after(fact.lasts_s))
        where = str(EvseId(station, fact.evse)) if fact.evse else ""
        known[fact.key] = replace(one, likely=like(where, fact.id_token, now.after(one.arrives_in_s(now))))
        return fact.lasts_s > 0

    def look(self, now: Instant) -> bool:
        """Time passes; whether somebody has not come in his time."""
        gone = [
            (known, key)
            for known in self._by_station.values()
            for key, one in known.items()
            if one.until.since(now) <= 0
        ]
        for known, key in gone:
            del known[key]
        return bool(gone)

    def at(self, states: Iterable[EvseState], now: Instant) -> dict[EvseId, Awaited]:
        """Where they will be: one at each EVSE that is free; those without a place of their own at the first that is left."""
        if not any(self._by_station.values()):
            return {}
        free = [state.evse.id for state in states if state.session is None and state.connected]
        found: dict[EvseId, Awaited] = {}
        for station, one in sorted(self._waiting(now), key=lambda pair: not pair[1].evse):
            places = (id_ for id_ in free if id_.station == station and one.evse in {0, id_.evse} and id_ not in found)
            if (place := next(places, None)) is not None:
                found[place] = one
        return found

    def _waiting(self, now: Instant) -> Iterator[tuple[str, Awaited]]:
        return chain.from_iterable(
            ((station, one) for one in known.values() if one.until.since(now) > 0)
            for station, known in self._by_station.items()
        )
