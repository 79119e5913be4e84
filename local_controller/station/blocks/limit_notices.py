"""What is the CSMS told, in a station's name, of what the site allows its cars? Only if the site wants that (2.x K12, K13, LC-123).

A station that an energy management limits tells its CSMS so. That it is limited here, and by how much, is known to the gateway
alone, so it says it on the station's connection, seldom and last in the order of urgency.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from local_controller.clock import Instant
from local_controller.rpc.frame import Frame
from local_controller.station.block import UNCHANGED, Block, BlockEffect, OwnCall, Urgency, Wanted
from local_controller.station.blocks.push import Push
from local_controller.station.blocks.standing import Standing
from local_controller.station.dialects.base import Payload
from local_controller.station.dialects.reading import timestamp
from local_controller.station.effects import Peer
from local_controller.station.state import StationState

PACE_S: Final = 60.0
"""From one notice of a station to the next: shares change every few seconds, and each notice holds up what the station sends."""

SIGNIFICANT: Final = 0.1
"""A limit that changed by no more than this part of what was told is no news (K12: LimitChangeSignificance, the station's own)."""

LEAST_A: Final = 1.0
"""Nor is one that changed by no more than this."""

SOURCE: Final = "EMS"
"""Whoever limits the site: a station knows its energy management only."""


@dataclass(frozen=True, slots=True, eq=False)
class _Notice:
    """The tag of a notice about an EVSE."""

    evse: int


class LimitNotices(Block):
    """NotifyChargingLimit and ClearedChargingLimit for EVSEs with a transaction."""

    called_only = frozenset({"TransactionEvent"})

    def __init__(
        self, state: StationState, maxima_a: Mapping[int, float | None], standing: Callable[[int, Instant], Standing]
    ) -> None:
        """`state` keeps what was told. maxima_a: by EVSE, what its hardware can do. standing: what the site gives an EVSE."""
        self._state = state
        self._maxima_a = maxima_a
        self._standing = standing
        self._due_s: float | None = None
        self._told_s = -math.inf
        self._is_unwanted = False

    @property
    def deadline(self) -> float | None:
        """When something is to be told."""
        return self._due_s

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:  # noqa: ARG002 - the state knows what it means
        """A transaction may have ended, and the limit with it."""
        if sender is Peer.STATION and self._state.noticed_a:
            self._look(now)
        return []

    def answered(self, tag: Any, answer: Frame | None, now: Instant) -> Wanted:
        """The station has another limit, or the CSMS was told. One that cannot be told is left in peace."""
        if isinstance(tag, _Notice):
            if answer is None:
                self._state.noticed_a.pop(tag.evse, None)
            self._is_unwanted = answer is not None and answer.is_error
        elif not isinstance(tag, Push):
            return UNCHANGED
        self._look(now)
        return []

    def _look(self, now: Instant) -> None:
        is_news = not self._is_unwanted and next(self._news(now), None) is not None
        self._due_s = max(now.monotonic_s, self._told_s + PACE_S) if is_news else None

    def expire(self, now: Instant) -> list[BlockEffect]:
        """Tells one of what is news."""
        self._due_s = None
        found = next(self._news(now), None)
        if found is None:
            return []
        self._told_s = now.monotonic_s
        if not self._state.may_call:
            self._look(now)
            return []
        evse, limit_a = found
        action, payload = self._cleared(evse) if limit_a is None else self._notified(evse, limit_a, now)
        return [OwnCall(Peer.CSMS, action, payload, Urgency.QUERY, _Notice(evse))]

    def _news(self, now: Instant) -> Iterator[tuple[int, float | None]]:
        """EVSEs that are limited otherwise than was told (A per phase), None: not any more."""
        for evse, most_a in self._maxima_a.items():
            told_a = self._state.noticed_a.get(evse)
            given_a = told_a if most_a is None else self._given_a(evse, most_a, told_a, now)
            if given_a is None or told_a is None:
                if given_a is not told_a:
                    yield evse, given_a
            elif abs(given_a - told_a) > max(LEAST_A, SIGNIFICANT * told_a):
                yield evse, given_a

    def _given_a(self, evse: int, most_a: float, told_a: float | None, now: Instant) -> float | None:
        """What the site gives a transaction, in tenths; None where that is all or there is none."""
        if evse not in self._state.transactions:
            return None
        standing = self._standing(evse, now)
        if standing.given_until is None:  # it has given it nothing yet
            return told_a
        given_a = math.floor(standing.allocated_a * 10) / 10
        return None if given_a >= most_a else given_a

    def _notified(self, evse: int, limit_a: float, now: Instant) -> tuple[str, Payload]:
        self._state.noticed_a[evse] = limit_a
        schedule = {
            "id": evse,
            "startSchedule": timestamp(self._state.station_time(now)),
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_a}],
        }
        limit = {"chargingLimitSource": SOURCE}
        return "NotifyChargingLimit", {"evseId": evse, "chargingLimit": limit, "chargingSchedule": [schedule]}

    def _cleared(self, evse: int) -> tuple[str, Payload]:
        self._state.noticed_a.pop(evse, None)
        return "ClearedChargingLimit", {"evseId": evse, "chargingLimitSource": SOURCE}
