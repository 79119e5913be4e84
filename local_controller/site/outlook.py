"""What is known of prices and power in the hours ahead, by whom, and until when?

Nothing here guards a fuse: it only decides when and from what cars charge. All the same what is unknown counts against us. A
series that has run out, or that nobody has renewed for too long, is unknown: then the price of the site file's table counts,
or there is none and all hours cost the same. An unreadable message takes nothing back of a series that was told before, for a
price of tomorrow stays what it is; the number of this moment, however, is unknown from then on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Final

from local_controller.clock import Instant
from local_controller.site.effects import Notice
from local_controller.site.price_table import PriceTable
from local_controller.site.series import Series

PATIENCE_S: Final = 60.0
"""So long after the start nobody is told that a source was never heard: brokers send what is retained within seconds."""


class Kind(StrEnum):
    """What can be known ahead."""

    ENERGY = "energy"
    FEED_IN = "feed_in"
    PV = "pv"
    BASE_LOAD = "base_load"


LABELS: Final = {
    Kind.ENERGY: "price of energy",
    Kind.FEED_IN: "price of feed-in",
    Kind.PV: "PV forecast",
    Kind.BASE_LOAD: "base load forecast",
}
"""What people call them."""


class Standing(StrEnum):
    """What a source is worth at a moment."""

    KNOWN = "known"
    TABLE = "table"
    NEVER_HEARD = "never heard"
    RUN_OUT = "run out"
    TOO_OLD = "too old"
    UNREADABLE = "unreadable"


IS_KNOWN: Final = frozenset({Standing.KNOWN, Standing.TABLE})
"""Where there is nothing that people should look after."""


@dataclass(frozen=True, slots=True)
class Told:
    """Where one of them comes from.

    unit: of its values ("EUR/kWh", "W"). topic: on which it is told; None: the table is all there is. max_age_s: so long after
    its arrival a message counts at most. table: prices of the site file.
    """

    kind: Kind
    unit: str
    topic: str | None = None
    max_age_s: float = 86400.0
    table: PriceTable | None = None

    @property
    def label(self) -> str:
        """What people call it."""
        return LABELS[self.kind]


@dataclass(slots=True)
class Source:
    """One of them and what it has told last. failure: why its last message could not be read, empty if it could."""

    told: Told
    series: Series = field(default_factory=Series)
    received_at: Instant | None = None
    failure: str = ""
    _was_told: tuple[Standing, str] = (Standing.KNOWN, "")
    _started_at: Instant | None = None

    # --- what it says --------------------------------------------------------------------------------------------

    def received(self, series: Series, now: Instant) -> bool:
        """A message that could be read; whether it says anything new of the time to come."""
        now_s, is_first = now.utc.timestamp(), self.received_at is None
        is_new = is_first or _to_come(series, now_s) != _to_come(self.series, now_s)
        self.series, self.received_at, self.failure = series, now, ""
        return is_new

    def failed(self, text: str) -> None:
        """One that could not. A number of its moment (one step) is over by that; a list of points is not."""
        self.failure = text
        if len(self.series.steps) == 1:
            self.series = Series()

    # --- what is known -------------------------------------------------------------------------------------------

    def at(self, now: Instant) -> float | None:
        """The value at this moment."""
        value = self._held(now).at(now.utc.timestamp())
        if value is None and self.told.table is not None:
            return self.told.table.series(now.utc).at(now.utc.timestamp())
        return value

    def means(self, edges_s: Sequence[float], now: Instant) -> list[float | None]:
        """The mean in each block between two edges (POSIX seconds), None where it is not known throughout."""
        held, table = self._held(now), Series() if self.told.table is None else self.told.table.series(now.utc)
        blocks = pairwise(edges_s)
        return [table.mean(*block) if (mean := held.mean(*block)) is None else mean for block in blocks]

    def known_until_s(self, now: Instant) -> float | None:
        """Until when its messages tell everything, in POSIX seconds; None where they tell nothing of this moment."""
        now_s = now.utc.timestamp()
        until_s = self._held(now).known_until_s(now_s)
        return until_s if until_s > now_s else None

    def standing(self, now: Instant) -> Standing:
        """What its value at this moment is worth."""
        if self.told.topic is None:
            return Standing.TABLE
        if self._held(now).at(now.utc.timestamp()) is not None:
            return Standing.KNOWN
        if self.failure:
            return Standing.UNREADABLE
        if self.received_at is None:
            return Standing.NEVER_HEARD
        return Standing.TOO_OLD if self._is_too_old(now) else Standing.RUN_OUT

    def _held(self, now: Instant) -> Series:
        return Series() if self._is_too_old(now) else self.series

    def _is_too_old(self, now: Instant) -> bool:
        return self.received_at is not None and now.since(self.received_at) > self.told.max_age_s

    # --- what people are told ------------------------------------------------------------------------------------

    def look(self, now: Instant) -> list[Notice]:
        """What people must know of it that they have not been told."""
        self._started_at = self._started_at or now
        standing = self.standing(now)
        if standing is Standing.NEVER_HEARD and now.since(self._started_at) < PATIENCE_S:
            return []
        before, self._was_told = self._was_told, (standing, self.failure)
        if self._was_told == before:
            return []
        fields = {"source": str(self.told.kind)}
        if standing in IS_KNOWN and not self.failure:
            was_sound = before[0] in IS_KNOWN and not before[1]
            return [] if was_sound else [Notice("info", "outlook_known", f"{self.told.label} is known again", fields)]
        return [Notice("warning", "outlook_unknown", self.trouble(now), fields)]

    def trouble(self, now: Instant) -> str:
        """What is wrong with it, what counts in its place, and what helps; empty where nothing is wrong."""
        standing = self.standing(now)
        if standing in IS_KNOWN and not self.failure:
            return ""
        why, remedy = self._why(standing, now), f"does its source publish to {self.told.topic}?"
        if self.failure:
            remedy = "compare the payload with what the site file says"
        return f"{why}: {self._instead(standing, now)}; {remedy}"

    def _why(self, standing: Standing, now: Instant) -> str:
        label, received_at = self.told.label, self.received_at
        if self.failure:
            return self.failure
        if received_at is None:
            return f"{label} was never heard"
        if standing is Standing.TOO_OLD:
            return f"{label} was told {now.since(received_at) / 3600:.0f} h ago"
        return f"{label} was told {now.since(received_at) / 60:.0f} min ago and says nothing of this moment"

    def _instead(self, standing: Standing, now: Instant) -> str:
        until_s = self.known_until_s(now)
        if standing is Standing.KNOWN and until_s is not None:
            until = datetime.fromtimestamp(until_s, UTC).isoformat(timespec="minutes")
            return f"what was told before counts until {until}"
        if self.told.table is not None:
            return f"the {self.at(now):g} {self.told.unit} of the site file count"
        return _INSTEAD[self.told.kind]


_INSTEAD: Final = {
    Kind.ENERGY: "all hours count the same",
    Kind.FEED_IN: "what is fed in counts as worth nothing",
    Kind.PV: "no surplus is expected",
    Kind.BASE_LOAD: "what the site learnt of itself counts",
}
"""What counts where nothing is known."""


def _to_come(series: Series, now_s: float) -> list[tuple[float, float]]:
    """What it says of the time to come. The number of a moment (one step) goes on with each message: that alone is no news."""
    is_one = len(series.steps) == 1
    return [(math.inf if is_one else step.end_s, step.value) for step in series.steps if step.end_s > now_s]
