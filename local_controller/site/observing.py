"""What would the site do, and what does it cost that it does nothing? The world of observe mode.

Nothing is sent to any station. The site decides as always, in a world in which every station takes at once what it is told
and every car follows: what a station measures is cut down to the limit that it would have, and the meters show so much
less. Beside it stands the real world: what flows, by how much fuses are exceeded, and what the cars draw above their
limits.

A car's draw is known from its station's samples only. What it takes from one sample to the next changes the meter at once
and this world later, so that for so long a rise looks like the building's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from local_controller.clock import Instant
from local_controller.profiles.overdraw import OVERDRAW_A
from local_controller.site.asymmetry import leads_a
from local_controller.site.dimming import Power
from local_controller.site.effects import ApplyFallback, ApplyLimit, ForStation, Notice
from local_controller.site.excess import Excess
from local_controller.site.known_evse import SAMPLE_MAX_AGE_S
from local_controller.site.limit_book import LimitBook
from local_controller.site.limits import AppliesTo
from local_controller.site.overload import Overload
from local_controller.site.per_phase import PHASE_NAMES, PHASES, ZERO, PerPhase, minus, on, total
from local_controller.site.readings import MeterReading
from local_controller.site.snapshot import AboveLimit, EvseView, IfControlled, MeterView, NodeView, SiteSnapshot
from local_controller.site.together import excess_a
from local_controller.site.topology import GRID, STATION_PHASES, Evse, Node, Topology
from local_controller.station import words
from local_controller.station.effects import CsmsLimitChanged, StationFact
from local_controller.station.words import (
    ChargingState,
    EvseId,
    LimitAnswered,
    LimitKind,
    LimitOutcome,
    MeterSample,
    Phase,
)

_Fact = StationFact | CsmsLimitChanged


@dataclass(slots=True)
class Car:
    """The session at an EVSE in both worlds.

    limit_a: what it would be told; line: the one phase of its station that it would use, None for all. drawn_a: what it
    really drew when it was measured last, A per grid phase; power_w: if its station says that. is_resting: its station has said since that it draws nothing.
    above_s, worst_above_a, withheld_wh: for how long and by how much it drew more than that, and how much energy.
    """

    evse: Evse
    limit_a: float
    drawn_a: PerPhase = ZERO
    power_w: float | None = None
    measured_at: Instant | None = None
    is_resting: bool = False
    above_s: float = 0.0
    worst_above_a: float = 0.0
    withheld_wh: float = 0.0
    line: Phase | None = None

    @property
    def above_a(self) -> PerPhase:
        """How much more it draws on each phase than it would."""
        if self.is_resting:
            return ZERO
        limits_a = on(PHASES if self.line is None else (self.evse.grid_phase(self.line),), self.limit_a)
        l1, l2, l3 = (max(0.0, drawn_a - limit_a) for drawn_a, limit_a in zip(self.drawn_a, limits_a, strict=True))
        return l1, l2, l3

    def is_known(self, now: Instant) -> bool:
        """Whether it was measured lately."""
        return self.measured_at is not None and now.since(self.measured_at) <= SAMPLE_MAX_AGE_S

    def measured(self, drawn_a: PerPhase, power_w: float | None, now: Instant) -> None:
        """What it drew since its last sample counts until now."""
        self._count(now)
        self.drawn_a, self.power_w, self.measured_at, self.is_resting = drawn_a, power_w, now, False
        self.worst_above_a = max(self.worst_above_a, *self.above_a)

    def rests(self, now: Instant) -> None:
        """It draws nothing until it is measured again."""
        self._count(now)
        self.is_resting = True

    def _count(self, now: Instant) -> None:
        if self.measured_at is not None and self.is_known(now) and max(self.above_a) > OVERDRAW_A:
            seconds = now.since(self.measured_at)
            self.above_s += seconds
            self.withheld_wh += sum(self.above_a) * self.evse.line_v * seconds / 3600


@dataclass(slots=True)
class Fuse:
    """What the meter of a node really shows."""

    node: Node
    reading: MeterReading | None = None
    over_fuse: Excess = field(default_factory=Excess)
    over_limit: Excess = field(default_factory=Excess)
    over_asymmetry: Excess = field(default_factory=Excess)
    overload: Overload = field(default_factory=Overload)


class Observation:
    """Both worlds of a site. Facts pass through it to the site, and what the site orders ends here."""

    def __init__(self, topology: Topology, book: LimitBook, now: Instant) -> None:
        self._since = now
        self._book = book
        self._evses = {evse.id: evse for evse in topology.evses}
        self._named = {str(evse): evse for evse in self._evses}
        self._cars: dict[EvseId, Car] = {}
        self._past: dict[EvseId, Car] = {}
        self._one_phase: dict[str, Phase | None] = {}
        self._fuses = {node.meter: Fuse(node) for node in topology.nodes if node.meter is not None}
        self._behind = {
            meter: [evse.id for evse in topology.evses_below(fuse.node.id)] for meter, fuse in self._fuses.items()
        }

    # --- what the site orders ------------------------------------------------------------------------------------

    def obeyed(self, order: ForStation) -> Sequence[LimitAnswered]:
        """The answers of a station that takes what it is told at once."""
        match order:
            case ApplyLimit(evse=evse, limit_a=limit_a, phases=phases):
                if evse in self._cars:
                    self._cars[evse].limit_a, self._cars[evse].line = limit_a, self._line(order)
                return [
                    LimitAnswered(evse.evse, LimitKind.WORKING, outcome, limit_a, phases=phases)
                    for outcome in (LimitOutcome.SENT, LimitOutcome.ACCEPTED)
                ]
            case ApplyFallback(evse=evse, limit_a=limit_a):
                return [LimitAnswered(evse.evse, LimitKind.FALLBACK, LimitOutcome.ACCEPTED, limit_a)]
            case _:
                return []

    def _line(self, order: ApplyLimit) -> Phase | None:
        """The phase that a car would use that is told to use one: the told one, else what is known of its station, else L1."""
        if order.phases != 1:
            return None
        if order.phase_to_use is not None:
            return STATION_PHASES[order.phase_to_use - 1]
        return self._one_phase.get(order.evse.station) or Phase.L1

    # --- what is measured ----------------------------------------------------------------------------------------

    def told(self, station: str, fact: _Fact, now: Instant) -> _Fact:
        """A fact of a station as the site would hear it."""
        match fact:
            case words.TransactionStarted(evse=number) if (
                evse := self._evses.get(EvseId(station, number))
            ) is not None:
                self._ended(evse.id)
                self._cars[evse.id] = Car(evse, evse.fallback_a)
            case words.TransactionEnded(evse=number):
                self._ended(EvseId(station, number))
            case words.Measured(evse=number, sample=sample) if (
                car := self._cars.get(EvseId(station, number))
            ) is not None:
                if sample.current_a:
                    car.measured(car.evse.on_grid(sample.current_a), sample.power_w, now)
                return words.Measured(number, _cut(sample, car.limit_a, car.line))
            case words.BehaviourLearnt(switching=switching):
                self._one_phase[station] = switching.one_phase
            case words.TransactionUpdated() | words.ConnectorChanged(charging_state=ChargingState()) if (
                fact.charging_state is not ChargingState.CHARGING
                and (car := self._cars.get(EvseId(station, fact.evse))) is not None
            ):
                car.rests(now)
            case _:
                pass
        return fact

    def _ended(self, evse: EvseId) -> None:
        """The totals of an EVSE go on with its next car."""
        if (car := self._cars.pop(evse, None)) is None:
            return
        past = self._past.setdefault(evse, Car(car.evse, 0.0))
        past.above_s += car.above_s
        past.withheld_wh += car.withheld_wh
        past.worst_above_a = max(past.worst_above_a, car.worst_above_a)

    def read(self, reading: MeterReading, now: Instant) -> tuple[MeterReading, list[Notice]]:
        """A reading as it would be if all cars followed; what people must know of the real one."""
        fuse = self._fuses.get(reading.meter)
        if fuse is None:
            return reading, []
        fuse.reading, node = reading, fuse.node
        fuse.over_fuse.measured(max(minus(reading.current_a, node.rating_a)), now)
        limits = self._book.bounds(node.id, AppliesTo.TOTAL, now)
        if limits.amperes is not None:
            over_power_a = excess_a(reading, limits.power)
            fuse.over_limit.measured(max(*minus(reading.current_a, limits.amperes.limit_a), over_power_a), now)
        if node.asymmetry_a is not None:
            fuse.over_asymmetry.measured(max(leads_a(reading.current_a)) - node.asymmetry_a, now)
        hot = fuse.overload.measured(reading.current_a, node.rating_a, node.fuse_type, reading.asked_at)
        cars = [car for evse in self._behind[reading.meter] if (car := self._cars.get(evse)) is not None]
        above_a = total(car.above_a for car in cars if car.is_known(now))
        return _without(reading, above_a, fuse.node.line_v), [
            _overloaded(fuse, phase, reading.current_a) for phase in hot
        ]

    # --- what people see -----------------------------------------------------------------------------------------

    def corrected(self, picture: SiteSnapshot, now: Instant) -> SiteSnapshot:
        """The site's picture with what really flows, and beside it what would."""
        at_node = {fuse.node.id: fuse for fuse in self._fuses.values()}
        return replace(
            picture,
            nodes=tuple(_node(view, at_node.get(view.id), now) for view in picture.nodes),
            evses=tuple(self._evse(view, now) for view in picture.evses),
            meters=tuple(_meter(view, self._fuses.get(view.id)) for view in picture.meters),
            observed_since=self._since.utc.isoformat(timespec="milliseconds"),
        )

    def power(self, power: Power) -> Power:
        """The same, but as the cars and the grid connection really draw."""
        cars = [car for car in self._cars.values() if not car.is_resting]
        charging_w = sum(sum(one.drawn_a) * one.evse.line_v if one.power_w is None else one.power_w for one in cars)
        read_w = [fuse.reading.power_w for fuse in self._fuses.values() if fuse.node.id == GRID and fuse.reading]
        return replace(power, charging_w=charging_w, grid_w=read_w[0] if read_w and power.grid_w is not None else None)

    def _evse(self, view: EvseView, now: Instant) -> EvseView:
        evse = self._named[view.id]
        car = self._cars.get(evse)
        both = [one for one in (car, self._past.get(evse)) if one is not None]
        above = AboveLimit(
            round(sum(one.above_s for one in both), 1),
            round(max((one.worst_above_a for one in both), default=0.0), 2),
            round(sum(one.withheld_wh for one in both) / 1000, 3),
        )
        if car is None or car.measured_at is None:
            return replace(view, above_limit=above)
        return replace(
            view,
            measured_a=_rounded(car.drawn_a),
            measured_w=car.power_w,
            measured_age_s=round(now.since(car.measured_at), 1),
            above_limit=above,
        )


def _node(view: NodeView, fuse: Fuse | None, now: Instant) -> NodeView:
    if fuse is None or fuse.reading is None:
        return view
    return replace(
        view,
        measured_a=_rounded(fuse.reading.current_a),
        measured_w=fuse.reading.power_w,
        measured_age_s=round(now.since(fuse.reading.asked_at), 2),
        worst_excess_a=round(fuse.over_fuse.worst_a, 2),
        longest_excess_s=round(fuse.over_fuse.longest_s, 1),
        excess_integral_as=round(fuse.over_fuse.integral_as, 1),
        overload_s=round(max(fuse.overload.stress_s), 1),
        limit_worst_excess_a=round(fuse.over_limit.worst_a, 2),
        limit_longest_excess_s=round(fuse.over_limit.longest_s, 1),
        limit_excess_integral_as=round(fuse.over_limit.integral_as, 1),
        asymmetry_a=round(max(leads_a(fuse.reading.current_a)), 2),
        asymmetry_worst_excess_a=None if fuse.node.asymmetry_a is None else round(fuse.over_asymmetry.worst_a, 2),
        if_controlled=IfControlled(view.measured_a, view.worst_excess_a),
    )


def _meter(view: MeterView, fuse: Fuse | None) -> MeterView:
    if fuse is None or fuse.reading is None:
        return view
    return replace(view, current_a=_rounded(fuse.reading.current_a), power_w=fuse.reading.power_w)


def _cut(sample: MeterSample, limit_a: float, line: Phase | None) -> MeterSample:
    """A sample of a car that draws no more than its limit on any phase, and on one alone if so told; what it feeds back stays."""
    cut_a = {
        phase: min(drawn_a, limit_a if line in {None, phase} else 0.0) for phase, drawn_a in sample.current_a.items()
    }
    drawn_a, left_a = sum(sample.current_a.values()), sum(cut_a.values())
    power_w = sample.power_w
    if power_w is not None and drawn_a > 0:
        power_w *= max(0.0, left_a) / drawn_a
    return msgspec.structs.replace(sample, current_a=cut_a, power_w=power_w)


def _without(reading: MeterReading, above_a: PerPhase, line_v: float) -> MeterReading:
    """The reading without these amperes."""
    if above_a == ZERO:
        return reading
    voltage_v = reading.voltage_v or (line_v,) * 3
    l1_w, l2_w, l3_w = (a * v for a, v in zip(above_a, voltage_v, strict=True))
    return replace(
        reading,
        current_a=minus(reading.current_a, above_a),
        power_w=None if reading.power_w is None else reading.power_w - l1_w - l2_w - l3_w,
        phase_power_w=None if reading.phase_power_w is None else minus(reading.phase_power_w, (l1_w, l2_w, l3_w)),
    )


def _overloaded(fuse: Fuse, phase: int, current_a: PerPhase) -> Notice:
    node = fuse.node
    text = (
        f"{node.label} {PHASE_NAMES[phase]} carries {current_a[phase]:.1f} A of {node.rating_a[phase]:g} A and has been overloaded by"
        f" {fuse.overload.stress_s[phase]:.1f} s: nobody lowers the cars in observe mode"
    )
    return Notice("error", "overload", text, {"node": node.id, "phase": PHASE_NAMES[phase]})


def _rounded(value: PerPhase) -> PerPhase:
    l1, l2, l3 = (round(one, 2) for one in value)
    return l1, l2, l3
