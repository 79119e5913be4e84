"""What does a source of limits say, and what counts while it says nothing?

A source that went silent counts with its configured fallback, never as "unlimited" (LC-116, G6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from local_controller.clock import Instant
from local_controller.site.freshness import Freshness
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.limits import AppliesTo, Bound, Limit
from local_controller.site.per_phase import PerPhase

SAME_S: Final = 1.0
"""Of two time stamps of one source that are no further apart the older one may be of the newer message: many are in whole seconds."""

_UNHEARD: Final = "not heard since the start", "does it run, and send to where the site file listens?"
_RUN_OUT: Final = "its last word has run out", "does it still run, and repeat in time what it says?"
"""Why a source is silent, and what to look for."""

MOST_BESIDE: Final = 16
"""So many messages of unknown age of one source hold at a time."""


@dataclass(frozen=True, slots=True)
class LimitSource:
    """An input that sends limits while the site runs.

    fallback_a, fallback_w: what counts when it is silent, per phase, over all phases, or both; a source without a fallback
    cannot be configured (ValueError).
    max_age_s: how long a message without its own validity counts. tells_availability: it says itself whether it is there;
    until it has, and after it has said no, its messages may lower but not raise. adds_surplus: as in `Limit`.
    ends_sessions: it is an obligation, as that of a grid operator: a session that ignores its limit may be ended for it.
    """

    id: str
    label: str
    node: str
    applies_to: AppliesTo
    fallback_a: PerPhase | None
    max_age_s: float = 60.0
    tells_availability: bool = False
    fallback_w: float | None = None
    adds_surplus: bool = False
    ends_sessions: bool = False

    def __post_init__(self) -> None:
        if self.fallback.is_none:
            raise ValueError(f"the limit source {self.id} needs a fallback, in amperes or watts")

    @property
    def fallback(self) -> Bound:
        """What counts when it is silent."""
        return Bound(self.fallback_a, self.fallback_w)


@dataclass(frozen=True, slots=True)
class ReceivedValue:
    """What a source said (see `Bound`; neither amperes nor watts: explicitly unlimited), until when.

    may_raise is False for a retained message without a time stamp: it may lower the limit in force, never raise it.
    stated_at: when, by the time stamp of the source; None where it has none.
    """

    limit_a: PerPhase | None
    received_at: Instant
    valid_until: Instant
    may_raise: bool = True
    reason: str = ""
    power_w: float | None = None
    stated_at: Instant | None = None

    @classmethod
    def of(cls, received: ReceivedLimit, now: Instant) -> ReceivedValue:
        """A message that came just now."""
        return cls(
            received.limit_a,
            now,
            received.valid_until,
            received.may_raise,
            received.reason,
            received.power_w,
            received.stated_at,
        )

    def is_over(self, now: Instant) -> bool:
        """Whether it ended."""
        return now.monotonic_s >= self.valid_until.monotonic_s

    @property
    def bound(self) -> Bound:
        """What it allows."""
        return Bound(self.limit_a, self.power_w)

    def within(self, bound: Bound) -> ReceivedValue:
        """The same, but no more than that."""
        both = self.bound.and_(bound)
        return replace(self, limit_a=both.limit_a, power_w=both.power_w, may_raise=False)


def _that_count(values: Sequence[ReceivedValue]) -> tuple[ReceivedValue, ...]:
    """Without those that are no lower than another one that lasts as long; of too many, the two that end first count as one."""
    kept: list[ReceivedValue] = []
    for value in sorted(values, key=lambda one: one.valid_until.monotonic_s, reverse=True):
        if all(longer.bound.and_(value.bound) != longer.bound for longer in kept):
            kept.append(value)
    if len(kept) > MOST_BESIDE:
        *kept, longer, shorter = kept
        kept.append(longer.within(shorter.bound))
    return tuple(kept)


@dataclass(slots=True)
class SourceState:
    """A limit source and the last thing it said; `failure` is empty while it is understood.

    beside: what it said at an unknown time, or before its last word: each until its end they hold beside what counts otherwise,
    so that they lower, but raise nothing and let nothing last longer. stated_at: when it stated the newest that it ever said.
    is_there: whether it says so itself; None: it has not said anything about it yet. `absence` says more than no.
    outdated: what was wrong with the time of its latest message, which counts for nothing; empty if nothing was.
    """

    source: LimitSource
    value: ReceivedValue | None = None
    beside: tuple[ReceivedValue, ...] = field(default=(), kw_only=True)
    stated_at: Instant | None = field(default=None, kw_only=True)
    failure: str = ""
    is_there: bool | None = None
    absence: str = ""
    outdated: str = ""
    _began: Instant | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def id(self) -> str:
        """Its name in the site file."""
        return self.source.id

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
        self.failure = self.outdated = ""
        if not value.may_raise or self._has_said_more_since(value):
            self.beside = _that_count((*self.beside_at(now), value))
            return
        if not self.may_raise:
            value = value.within(self.bound(now))
        self.value, self.beside, self.stated_at = value, (), value.stated_at or self.stated_at

    def _has_said_more_since(self, value: ReceivedValue) -> bool:
        """Whether a message is from before the last word: retained by a broker, or late. Its clock may have been put back, too."""
        newest, stated = self.stated_at, value.stated_at
        return newest is not None and stated is not None and newest.since(stated) > SAME_S

    def available(self, is_there: bool, absence: str, now: Instant) -> None:
        """It is there again, and its next message counts in full; or it is not, and at most its fallback counts at once.

        A limit below the fallback stays until its end: that somebody is gone is no reason to raise anything.
        """
        self.is_there, self.absence = is_there, "" if is_there else absence
        if not is_there and self.value is not None and self.state(now).usable:
            self.value = self.value.within(self.source.fallback)

    def lost(self, failure: str) -> None:
        """The source said something unreadable: it counts as silent at once (grid-and-safety §3.3)."""
        self.value, self.beside, self.failure, self.outdated = None, (), failure, ""

    def look(self, now: Instant) -> str:
        """Lets time pass; what is news, for people, with what helps: that it has fallen silent, once until it is heard again."""
        self._began = self._began or now
        is_silent = now.since(self._began) >= self.source.max_age_s if self.value is None else self.value.is_over(now)
        if self.failure or self.is_there is False or not is_silent:
            return ""
        self.failure, remedy = _UNHEARD if self.value is None else _RUN_OUT
        return f"{self.source.label} is silent ({self.failure}): its fallback counts; {remedy}"

    def bound(self, now: Instant) -> Bound:
        """What counts now; nothing is bounded only where the source explicitly lifted the limit."""
        counts = self.source.fallback if self.value is None or self.value.is_over(now) else self.value.bound
        for one in self.beside_at(now):
            counts = counts.and_(one.bound)
        return counts

    def beside_at(self, now: Instant) -> tuple[ReceivedValue, ...]:
        """What holds beside it at this moment."""
        return tuple(one for one in self.beside if not one.is_over(now)) if self.beside else ()

    def limit_a(self, now: Instant) -> PerPhase | None:
        """The amperes that count now; None: it bounds none."""
        return self.bound(now).limit_a

    def state(self, now: Instant) -> Freshness:
        """FRESH for the first half of the validity, then SUSPECT (no increases), then STALE (fallback)."""
        if self.value is None:
            return Freshness.INIT
        if self.value.is_over(now):
            return Freshness.STALE
        half_s = self.value.valid_until.since(self.value.received_at) / 2
        return Freshness.SUSPECT if now.since(self.value.received_at) > half_s else Freshness.FRESH

    def sentence(self, now: Instant) -> str:
        """What counts now, as people read it."""
        limit = self.limit(now)
        if limit is None:
            return f"{self.source.label}: no limit"
        return f"{limit.source}: {self.bound(now)} ({limit.applies_to}) at {limit.node}"

    def limit(self, now: Instant) -> Limit | None:
        """The limit in force with its source in words."""
        bound = self.bound(now)
        if bound.is_none:
            return None
        silent = not self.state(now).usable
        label = self.source.label
        if silent:
            at_most = "at most its " if self.beside_at(now) else ""
            label = f"{label} (silent: {at_most}fallback)"
        elif not self.may_raise:
            label = f"{label} (not there: at most its fallback)"
        until = None if silent or self.value is None else self.value.valid_until
        source = self.source
        return Limit(source.node, bound.limit_a, source.applies_to, label, until, bound.power_w, source.adds_surplus)
