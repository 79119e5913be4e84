"""What is a limit, and which of several is the lowest?

Every number keeps its source and its end (house rule 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from local_controller.clock import Instant
from local_controller.site.per_phase import PHASES, PerPhase, lower
from local_controller.site.readings import MeterReading


class AppliesTo(StrEnum):
    """What a limit bounds: everything that flows through the node, or the cars below it."""

    TOTAL = "total"
    CHARGING = "charging"


@dataclass(frozen=True, slots=True)
class Bound:
    """What may flow: amperes per grid phase, and watts over all phases. Both hold; None: not bounded in this way."""

    limit_a: PerPhase | None = None
    power_w: float | None = None

    @property
    def is_none(self) -> bool:
        """Nothing is bounded."""
        return self.limit_a is None and self.power_w is None

    def and_(self, other: Bound) -> Bound:
        """Both hold."""
        mine_a, other_a, mine_w, other_w = self.limit_a, other.limit_a, self.power_w, other.power_w
        return Bound(
            other_a if mine_a is None else mine_a if other_a is None else lower(mine_a, other_a),
            other_w if mine_w is None else mine_w if other_w is None else min(mine_w, other_w),
        )

    def __str__(self) -> str:
        """As people read it."""
        amperes = [] if self.limit_a is None else [f"{' / '.join(f'{a:.1f}' for a in self.limit_a)} A"]
        watts = [] if self.power_w is None else [f"{self.power_w:.0f} W"]
        return " and ".join([*amperes, *watts]) or "no limit"


class Limit(msgspec.Struct, frozen=True):
    """A bound at a node (see `Bound`), with its source in words and its end (None: for ever).

    adds_surplus: the watts are what cars draw from the grid; what is fed in behind the node comes on top (§14a EnWG).
    """

    node: str
    limit_a: PerPhase | None
    applies_to: AppliesTo
    source: str
    valid_until: Instant | None = None
    power_w: float | None = None
    adds_surplus: bool = False


class OwnLimit(Protocol):
    """A limit that needs no message, because the site file says all about it; see `site.own_limits`."""

    @property
    def id(self) -> str:
        """Its name in the site file."""

    @property
    def label(self) -> str:
        """Its name for people."""

    @property
    def node(self) -> str:
        """Where it counts."""

    @property
    def applies_to(self) -> AppliesTo:
        """For what."""

    @property
    def bounds_power(self) -> bool:
        """Whether it ever bounds watts."""

    @property
    def rests(self) -> str:
        """Why there is none, while there is none, for people."""

    @property
    def replaces(self) -> frozenset[str]:
        """The ids of limit sources that do not count while this limit is in force."""

    def limit(self, now: Instant) -> Limit | None:
        """The limit in force with its source in words; None while there is none."""

    def look(self, node: str, reading: MeterReading) -> None:
        """The meter of a node says something."""

    def expect(self, settle_s: float) -> None:
        """The slowest station below its node takes so long to follow."""


class Ceiling(msgspec.Struct, frozen=True):
    """The lowest limit of a kind at a node, per phase, and the source that set it on each phase."""

    limit_a: PerPhase
    sources: tuple[str, str, str]


class PowerCeiling(msgspec.Struct, frozen=True):
    """The lowest limit of a kind at a node in watts over all phases, and the source that set it."""

    power_w: float
    source: str


def lowest(limits: Iterable[Limit]) -> Ceiling | None:
    """The lowest of several limits in amperes, phase by phase; None without any."""
    chosen = [(limit.limit_a, limit.source) for limit in limits if limit.limit_a is not None]
    if not chosen:
        return None
    (l1, s1), (l2, s2), (l3, s3) = (min(chosen, key=lambda one: one[0][phase]) for phase in PHASES)
    return Ceiling((l1[0], l2[1], l3[2]), (s1, s2, s3))


def lowest_power(limits: Iterable[Limit]) -> PowerCeiling | None:
    """The lowest of several limits in watts; None without any."""
    chosen = [PowerCeiling(limit.power_w, limit.source) for limit in limits if limit.power_w is not None]
    return min(chosen, key=lambda one: one.power_w, default=None)


class Bounds(NamedTuple):
    """All that bounds a node in one way: amperes, watts, and watts to which a surplus is added."""

    amperes: Ceiling | None = None
    power: PowerCeiling | None = None
    with_surplus: PowerCeiling | None = None


def bounds_of(limits: Sequence[Limit]) -> Bounds:
    """The lowest of several limits, each in its own way."""
    powers = [limit for limit in limits if limit.power_w is not None]
    if not powers:
        return Bounds(lowest(limits))
    surplus = lowest_power(limit for limit in powers if limit.adds_surplus)
    return Bounds(lowest(limits), lowest_power(limit for limit in powers if not limit.adds_surplus), surplus)
