"""How much may the cars below a node draw together, and how did that number come about?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from local_controller.clock import Instant
from local_controller.profiles.units import voltage_for_watts_v
from local_controller.site.base_load import BaseLoad
from local_controller.site.excess import Excess
from local_controller.site.freshness import Watch
from local_controller.site.limit_book import LimitBook
from local_controller.site.limits import AppliesTo, Bounds, Ceiling, PowerCeiling
from local_controller.site.overload import Overload
from local_controller.site.per_phase import PHASES, ZERO, PerPhase, lower, minus, only, plus, upper
from local_controller.site.readings import MeterReading
from local_controller.site.together import TOGETHER, AllPhases, Together
from local_controller.site.topology import Node

_UNHEARD: Final = "no reading since the start"

_SILENT_REMEDY: Final = "does it have power, and does what sends its readings run? `local-controller doctor` asks it"


@dataclass(slots=True)
class MeterState:
    """A meter, its last reading and how much that is worth; `failure` is empty while it answers."""

    id: str
    watch: Watch
    reading: MeterReading | None = None
    failure: str = _UNHEARD
    _began: Instant | None = field(default=None, init=False, repr=False)

    def look(self, now: Instant) -> str:
        """Lets time pass; what is news, for people, with what helps: nothing is heard of it, though nobody said that it cannot be read.

        So it is with a meter whose sender is gone, while the broker is there.
        """
        self._began = self._began or now
        silent_s = now.since(self._began if self.watch.last is None else self.watch.last)
        ladder = self.watch.ladder
        if self.failure not in {"", _UNHEARD} or silent_s <= (ladder.failsafe_s if self.failure else ladder.stale_s):
            return ""
        self.failure = f"says nothing (for {silent_s:.0f} s by now)"
        return f"meter {self.id} {self.failure}: {_SILENT_REMEDY}"


@dataclass(slots=True)
class NodeState:
    """A node of the tree, its meter, its base load and its history.

    over_fuse, over_limit: what its meter saw above the rating, and above the lowest limit in force (watts in amperes
    on each phase). overload: its heat. unexplained_a: what it saw beyond base load and cars that follow, as far as that is too much.
    all_phases: the same of all phases together. told_fed_in: people know that something feeds in here.
    held: for each phase in trouble (or TOGETHER), the monotonic time before which nothing on it is raised, and why.
    """

    node: Node
    meter: MeterState | None
    base: BaseLoad = field(default_factory=BaseLoad)
    over_fuse: Excess = field(default_factory=Excess)
    over_limit: Excess = field(default_factory=Excess)
    overload: Overload = field(default_factory=Overload)
    unexplained_a: PerPhase = ZERO
    all_phases: AllPhases = field(init=False)
    told_fed_in: bool = False
    held: dict[int, tuple[float, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Watts and amperes at the voltage of this node."""
        self.all_phases = AllPhases(self.node.line_v)

    def hold(self, phase: int, until_s: float, reason: str) -> None:
        """No increase on this phase below this node before `until_s`. The other phases have their own room."""
        if phase not in self.held or until_s > self.held[phase][0]:
            self.held[phase] = until_s, reason

    def held_because(self, phases: Iterable[int], now: Instant) -> str:
        """Why nothing may be raised on these phases just now; empty if nothing speaks against it."""
        waits = [self.held[phase] for phase in (*phases, TOGETHER) if phase in self.held]
        return max(((until_s, why) for until_s, why in waits if now.monotonic_s < until_s), default=(0.0, ""))[1]

    def blind(self, now: Instant) -> bool:
        """The node has a meter, and that meter is silent (or was never heard)."""
        return self.meter is not None and not self.meter.watch.state(now).usable

    def measured_a(self, now: Instant) -> PerPhase | None:
        """What its meter shows; None where nothing (or nothing fresh) measures it."""
        if self.meter is None or self.meter.reading is None or self.blind(now):
            return None
        return self.meter.reading.current_a

    @property
    def is_metered(self) -> bool:
        """Whether a meter should measure it."""
        return self.meter is not None

    def base_a(self, now: Instant) -> PerPhase:
        """Other loads: estimated, or assumed when nothing (or nothing fresh) measures them (G5).

        The assumption counts too where more is fed in than cars draw. What has overheated the fuse counts on top, for the
        estimate cannot have been right (G4); and so does, at once, what is measured though all cars must have followed by
        now: a new load in the building, or a car that does not (G3).
        """
        if self.meter is None:
            return self.node.base_a
        if self.base.current_a is not None and not self.blind(now):
            hidden_a = only(self.base.fed_in(now), upper(ZERO, minus(self.node.base_a, self.base.current_a)))
            seen_a = plus(self.base.current_a, hidden_a)
            return plus(seen_a, upper(self.overload.shed_a, self.unexplained_a))
        return upper(self.node.base_a, self.base.peak())

    def unheard_a(self, now: Instant) -> PerPhase:
        """What of the other loads cars draw that nobody measures; nothing where other loads are only assumed, or hidden."""
        if self.measured_a(now) is None or self.base.unheard_a == ZERO:
            return ZERO
        hidden = self.base.fed_in(now)
        return only([phase for phase in PHASES if phase not in hidden], self.base.unheard_a)

    def base_together_a(self, now: Instant) -> float:
        """Other loads on all phases together, less what feeds in; where nothing (fresh) measures them, as assumed."""
        if self.meter is None or self.base.current_a is None or self.blind(now):
            return sum(self.base_a(now))
        return self.all_phases.base_a + self.all_phases.unexplained_a

    def volts_v(self, now: Instant) -> float:
        """The highest measured voltage, or that of the grid where nothing (fresh) measures it."""
        if self.meter is None or self.blind(now):
            return voltage_for_watts_v(None, self.node.line_v)
        return self.all_phases.volts_v


class Capacity(msgspec.Struct, frozen=True):
    """What cars below a node may draw together, A per phase.

    ceiling_a, sources: the lowest limit of the whole node and who set it, per phase; base_a: other loads counted
    against it (`others`: what they are called); margin_a: kept free. charging: a limit on the cars alone, if there is one.
    available_a: what is left for all cars, also for those that cannot be controlled just now.
    watts: what limits in watts leave to them on all phases together. unheard_a: what of the other loads cars draw that nobody
    measures, as far as anybody can tell, so that it counts twice. is_metered: something fresh measures the node.
    """

    node: str
    label: str
    ceiling: Ceiling
    base_a: PerPhase
    margin_a: PerPhase
    charging: Ceiling | None
    available_a: PerPhase
    others: str = "other loads"
    watts: tuple[Together, ...] = ()
    unheard_a: PerPhase = ZERO
    is_metered: bool = False

    @property
    def reckoned_a(self) -> PerPhase:
        """What there is for all cars, if nothing that they draw is among the other loads too. No proof: for plans and shares."""
        if self.unheard_a == ZERO:  # as nearly everywhere
            return self.available_a
        return self.within_total_a if self.charging is None else lower(self.within_total_a, self.charging.limit_a)

    @property
    def within_total_a(self) -> PerPhase:
        """The same of the limit of the whole node."""
        return minus(minus(self.ceiling.limit_a, minus(self.base_a, self.unheard_a)), self.margin_a)

    @property
    def together(self) -> Together | None:
        """The scarcest of `watts`."""
        if not self.watts:  # as nearly everywhere
            return None
        return min(self.watts, key=lambda one: one.available_a)

    def sentence(self, phase: int) -> str:
        """The arithmetic as people read it."""
        if self.charging is not None and self.charging.limit_a[phase] <= self.available_a[phase]:
            return f"{self.charging.sources[phase]} {self.charging.limit_a[phase]:.1f} A for charging"
        base_a = self.base_a[phase]
        others = f"- {base_a:.1f} A {self.others}" if base_a >= 0.0 else f"+ {-base_a:.1f} A of cars out of phase"
        limit = f"{self.ceiling.sources[phase]} {self.ceiling.limit_a[phase]:.1f} A"
        return f"{limit} {others} - {self.margin_a[phase]:.1f} A margin"


def capacity(state: NodeState, book: LimitBook, now: Instant) -> Capacity:
    """The capacity of a node now. ValueError for a node without any limit: every node has a fuse."""
    node = state.node
    total, cars = (book.bounds(node.id, kind, now) for kind in (AppliesTo.TOTAL, AppliesTo.CHARGING))
    ceiling, charging = total.amperes, cars.amperes
    if ceiling is None:
        raise ValueError(f"node {node.id} has no limit: every node has a fuse")
    base_a = state.base_a(now)
    available_a = minus(minus(ceiling.limit_a, base_a), node.margin_a)
    if charging is not None:
        available_a = lower(available_a, charging.limit_a)
    watts = tuple(_watts(state, total.power, cars, now))
    unheard_a, is_metered = state.unheard_a(now), state.measured_a(now) is not None
    return Capacity(
        node.id,
        node.label,
        ceiling,
        base_a,
        node.margin_a,
        charging,
        available_a,
        watts=watts,
        unheard_a=unheard_a,
        is_metered=is_metered,
    )


def _watts(state: NodeState, total: PowerCeiling | None, cars: Bounds, now: Instant) -> Iterator[Together]:
    if total is not None:
        others_a, margin_a = state.base_together_a(now), sum(state.node.margin_a)
        unheard_a = 0.0 if state.measured_a(now) is None else state.all_phases.base.unheard_a[0]
        yield Together(AppliesTo.TOTAL, total, state.volts_v(now), others_a, margin_a, unheard_a)
    if cars.power is not None:
        yield Together(AppliesTo.CHARGING, cars.power, state.volts_v(now))
    if cars.with_surplus is not None:
        yield Together(AppliesTo.CHARGING, cars.with_surplus, state.volts_v(now), min(0.0, state.base_together_a(now)))


class Left(NamedTuple):
    """What nodes leave, in amperes: on each phase, and on all phases together where watts are limited."""

    per_phase: Mapping[str, PerPhase]
    together: Mapping[str, float]


def left(capacities: Iterable[Capacity], drawn_a: Mapping[str, PerPhase]) -> Left:
    """What is left of capacities by those who draw."""
    per_phase, together = {}, {}
    for one in capacities:
        per_phase[one.node] = minus(one.available_a, drawn_a[one.node])
        if (watts := one.together) is not None:
            together[one.node] = watts.available_a - sum(drawn_a[one.node])
    return Left(per_phase, together)
