"""What has a person told the site for a while? A limit with an end, and perhaps in place of others until then.

It can take the place only of what the site file names: an EMS that is out of order, never a fuse, a contract or a contact of the
grid operator. When its time is over everything is as before, without anybody having to think of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from local_controller.clock import Instant
from local_controller.site.limits import AppliesTo, Bound, Limit
from local_controller.site.readings import MeterReading

LONGEST_S: Final = 7 * 86400.0
"""Whoever wants it for longer writes it into the site file."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a person said: so much may flow until then; reason: in their words."""

    bound: Bound
    until: Instant
    reason: str = ""


@dataclass(slots=True)
class PersonLimit:
    """A limit that a person sets for a while. replaces: the ids of those in whose place it holds.

    lost: what is to be said of an earlier word that nobody can read any more.
    """

    id: str
    label: str
    node: str
    applies_to: AppliesTo
    replaces: frozenset[str] = frozenset()
    told: Told | None = field(default=None)
    lost: str = ""

    @property
    def bounds_power(self) -> bool:
        """It may."""
        return True

    @property
    def rests(self) -> str:
        """Nobody wants it now, as far as anybody knows."""
        return f"not set; {self.lost}" if self.lost else "not set"

    def limit(self, now: Instant) -> Limit | None:
        """The limit in force with its source in words; None while there is none."""
        told = self.told
        if told is None or now.monotonic_s >= told.until.monotonic_s:
            return None
        source = f"{self.label} ({told.reason})" if told.reason else self.label
        return Limit(self.node, told.bound.limit_a, self.applies_to, source, told.until, told.bound.power_w)

    def look(self, node: str, reading: MeterReading) -> None:
        """A person needs no meter."""

    def expect(self, settle_s: float) -> None:
        """Nobody knows before when a person wants a limit."""

    def sentence(self, now: Instant) -> str:
        """What counts now, as people read it."""
        limit = self.limit(now)
        if limit is None or self.told is None:
            return f"{self.label}: ended"
        instead = f", in place of {', '.join(sorted(self.replaces))}" if self.replaces else ""
        minutes = self.told.until.since(now) / 60
        return f"{limit.source}: {self.told.bound} ({self.applies_to}) at {self.node} for {minutes:.0f} min{instead}"
