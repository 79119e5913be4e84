"""Which limit holds at a node of the tree just now, and who set it?

The lowest of all sources counts: fuse, contract, EMS, grid operator. Every number keeps its source and its end
(house rule 4). A source that went silent counts with its configured fallback, never as "unlimited" (LC-116, G6).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from local_controller.clock import Instant
from local_controller.profiles.units import safe_amps_from_watts
from local_controller.site.freshness import Freshness
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.per_phase import PHASES, PerPhase, equal, lower
from local_controller.site.timetable import Timetable


class AppliesTo(StrEnum):
    """What a limit bounds: everything that flows through the node, or the cars below it."""

    TOTAL = "total"
    CHARGING = "charging"


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound in amperes per grid phase at a node, with its source in words and its end (None: for ever)."""

    node: str
    limit_a: PerPhase
    applies_to: AppliesTo
    source: str
    valid_until: Instant | None = None


@dataclass(frozen=True, slots=True)
class LimitSource:
    """An input that sends limits while the site runs.

    fallback_a: what counts when it is silent, per phase; a source without a sound fallback cannot be configured.
    max_age_s: how long a message without its own validity counts. tells_availability: it says itself whether it is there;
    until it has, and after it has said no, its messages may lower but not raise.
    """

    id: str
    label: str
    node: str
    applies_to: AppliesTo
    fallback_a: PerPhase
    max_age_s: float = 60.0
    tells_availability: bool = False


@dataclass(frozen=True, slots=True)
class ReceivedValue:
    """What a source said: amperes per phase (None: explicitly unlimited), until when.

    may_raise is False for a retained message without a time stamp: it may lower the limit in force, never raise it.
    """

    limit_a: PerPhase | None
    received_at: Instant
    valid_until: Instant
    may_raise: bool = True
    reason: str = ""

    @classmethod
    def of(cls, received: ReceivedLimit, now: Instant) -> ReceivedValue:
        """A message as amperes: watts become equal currents at the highest voltage, so that they are never exceeded."""
        limit_a = received.limit_a
        if received.power_w is not None:
            from_power = equal(safe_amps_from_watts(max(0.0, received.power_w), len(PHASES)))
            limit_a = from_power if limit_a is None else lower(limit_a, from_power)
        return cls(limit_a, now, received.valid_until, received.may_raise, received.reason)


@dataclass(slots=True)
class SourceState:
    """A limit source and the last thing it said; `failure` is empty while it is understood.

    is_there: whether it says so itself; None: it has not said anything about it yet. `absence` says more than no.
    outdated: what was wrong with the time of its latest message, which counts for nothing; empty if nothing was.
    """

    source: LimitSource
    value: ReceivedValue | None = None
    failure: str = ""
    is_there: bool | None = None
    absence: str = ""
    outdated: str = ""

    @property
    def may_raise(self) -> bool:
        """Whether its messages may raise the limit in force: not those of a source that seems not to be there."""
        return self.is_there is True or not self.source.tells_availability

    @property
    def trouble(self) -> str:
        """What is wrong with it just now, for people; empty if nothing is."""
        if not self.may_raise and not self.failure:
            return self.absence or "has not said yet that it is there: its messages may lower only"
        return self.failure or self.outdated

    def received(self, value: ReceivedValue, now: Instant) -> None:
        """Take over what the source said; see `ReceivedValue.may_raise`."""
        if not (value.may_raise and self.may_raise):
            value = self._lowered_to(value, now)
        self.value, self.failure, self.outdated = value, "", ""

    def available(self, is_there: bool, absence: str, now: Instant) -> None:
        """It is there again, and its next message counts in full; or it is not, and at most its fallback counts at once.

        A limit below the fallback stays until its end: that somebody is gone is no reason to raise anything.
        """
        self.is_there, self.absence = is_there, "" if is_there else absence
        if not is_there and self.value is not None and self.state(now).usable:
            limit_a, fallback_a = self.value.limit_a, self.source.fallback_a
            self.value = replace(
                self.value, limit_a=fallback_a if limit_a is None else lower(limit_a, fallback_a), may_raise=False
            )

    def _lowered_to(self, value: ReceivedValue, now: Instant) -> ReceivedValue:
        in_force = self.limit_a(now)
        if in_force is None:
            return value
        lowest = in_force if value.limit_a is None else lower(in_force, value.limit_a)
        return ReceivedValue(lowest, value.received_at, value.valid_until, may_raise=False, reason=value.reason)

    def lost(self, failure: str) -> None:
        """The source said something unreadable: it counts as silent at once (grid-and-safety §3.3)."""
        self.value, self.failure, self.outdated = None, failure, ""

    def limit_a(self, now: Instant) -> PerPhase | None:
        """What counts now; None only where the source explicitly lifted the limit."""
        if self.value is None or self.state(now) is Freshness.STALE:
            return self.source.fallback_a
        return self.value.limit_a

    def state(self, now: Instant) -> Freshness:
        """FRESH for the first half of the validity, then SUSPECT (no increases), then STALE (fallback)."""
        if self.value is None:
            return Freshness.INIT
        if now.monotonic_s >= self.value.valid_until.monotonic_s:
            return Freshness.STALE
        half_s = self.value.valid_until.since(self.value.received_at) / 2
        return Freshness.SUSPECT if now.since(self.value.received_at) > half_s else Freshness.FRESH

    def sentence(self, now: Instant) -> str:
        """What counts now, as people read it."""
        limit = self.limit(now)
        if limit is None:
            return f"{self.source.label}: no limit"
        return f"{limit.source}: {' / '.join(f'{a:.1f}' for a in limit.limit_a)} A ({limit.applies_to}) at {limit.node}"

    def limit(self, now: Instant) -> Limit | None:
        """The limit in force with its source in words."""
        limit_a = self.limit_a(now)
        if limit_a is None:
            return None
        silent = not self.state(now).usable
        label = self.source.label
        if silent:
            label = f"{label} (silent: fallback)"
        elif not self.may_raise:
            label = f"{label} (not there: at most its fallback)"
        until = None if silent or self.value is None else self.value.valid_until
        return Limit(self.source.node, limit_a, self.source.applies_to, label, until)


@dataclass(frozen=True, slots=True)
class ScheduledLimit:
    """A limit at certain times of the week."""

    id: str
    label: str
    node: str
    applies_to: AppliesTo
    timetable: Timetable

    def limit(self, now: Instant) -> Limit | None:
        """The limit in force with its source in words; None outside of its windows."""
        piece = self.timetable.at(now.utc)
        if piece.limit_a is None:
            return None
        until = now.after((piece.end - now.utc).total_seconds())
        return Limit(self.node, piece.limit_a, self.applies_to, self.label, until)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The lowest limit of a kind at a node, per phase, and the source that set it on each phase."""

    limit_a: PerPhase
    sources: tuple[str, str, str]


def lowest(limits: Iterable[Limit]) -> Ceiling | None:
    """The lowest of several limits, phase by phase; None without any."""
    chosen = list(limits)
    if not chosen:
        return None
    winners = [min(chosen, key=lambda limit: limit.limit_a[phase]) for phase in PHASES]
    return Ceiling(
        (winners[0].limit_a[0], winners[1].limit_a[1], winners[2].limit_a[2]),
        (winners[0].source, winners[1].source, winners[2].source),
    )


@dataclass(slots=True)
class LimitBook:
    """All limits of the site: the fixed ones of the tree, those that sources send, and those of timetables."""

    fixed: tuple[Limit, ...]
    sources: Mapping[str, SourceState] = field(default_factory=dict)
    scheduled: tuple[ScheduledLimit, ...] = ()
    _changing_at: dict[tuple[str, AppliesTo], list[SourceState | ScheduledLimit]] = field(
        init=False, repr=False, compare=False
    )
    _fixed_at: dict[tuple[str, AppliesTo], list[Limit]] = field(init=False, repr=False, compare=False)
    _ceilings: dict[tuple[str, AppliesTo], Ceiling | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sorted by node once: every reaction asks for every node."""
        self._changing_at, self._fixed_at = {}, {}
        for state in self.sources.values():
            self._changing_at.setdefault((state.source.node, state.source.applies_to), []).append(state)
        for scheduled in self.scheduled:
            self._changing_at.setdefault((scheduled.node, scheduled.applies_to), []).append(scheduled)
        for limit in self.fixed:
            self._fixed_at.setdefault((limit.node, limit.applies_to), []).append(limit)
        self._ceilings = {place: lowest(limits) for place, limits in self._fixed_at.items()}

    def in_force(self, node: str, applies_to: AppliesTo, now: Instant) -> list[Limit]:
        """Every limit of this kind at the node."""
        place = node, applies_to
        now_set = [limit for one in self._changing_at.get(place, ()) if (limit := one.limit(now)) is not None]
        return [*self._fixed_at.get(place, ()), *now_set]

    def ceiling(self, node: str, applies_to: AppliesTo, now: Instant) -> Ceiling | None:
        """The lowest limit of this kind at the node."""
        if (node, applies_to) not in self._changing_at:
            return self._ceilings.get((node, applies_to))
        return lowest(self.in_force(node, applies_to, now))

    def may_raise(self, node: str, now: Instant) -> bool:
        """No increases below a node while one of its limit sources is ageing or silent."""
        at_node = (one for kind in AppliesTo for one in self._changing_at.get((node, kind), ()))
        return all(one.state(now) is not Freshness.SUSPECT for one in at_node if isinstance(one, SourceState))
