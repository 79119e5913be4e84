"""A charging site in virtual time: cars, stations and meters as simple physics around the real SiteController.

One step is half a second. Stations answer limits after a delay, obey them after another, fall back when a working
limit runs out, and report samples at their own interval. Nothing here is shared with the product but its public words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from local_controller.clock import Instant
from local_controller.site.controller import ControlSettings, SiteController
from local_controller.site.effects import ApplyFallback, ApplyLimit, Notice, Solve
from local_controller.site.limits import AppliesTo, Limit, LimitBook, LimitSource, SourceState
from local_controller.site.readings import MeterReading
from local_controller.site.topology import Evse, FuseType, Node, Station, Topology
from local_controller.station import words
from local_controller.station.words import EvseId, LimitKind, LimitOutcome, MeterSample, Phase
from optimizer.solve import solve

STEP_S = 0.5
START = Instant(1000.0, datetime(2026, 3, 2, 8, 0, tzinfo=UTC))
PerPhase = tuple[float, float, float]


def topology(
    fuse_a: float,
    stations: int = 3,
    *,
    base_a: float = 0.0,
    circuits: dict[str, float] | None = None,
    margin_a: float = 1.0,
    rotations: tuple[str, ...] = ("RST",),
) -> Topology:
    """A grid connection with a meter, optional unmetered circuits, and one-EVSE stations spread over them."""
    margin = (margin_a,) * 3
    nodes = [Node("grid", "Grid", None, (fuse_a,) * 3, FuseType.MCB, base_a=(base_a,) * 3, margin_a=margin, meter="m")]
    nodes += [Node(c, c.title(), "grid", (a,) * 3, FuseType.MCB, margin_a=margin) for c, a in (circuits or {}).items()]
    homes = list(circuits or ["grid"])
    built = []
    for n in range(stations):
        order = tuple("RST".index(letter) for letter in rotations[n % len(rotations)])
        evse = Evse(EvseId(f"CP-{n + 1}", 1), homes[n % len(homes)], order)
        built.append(Station(f"CP-{n + 1}", f"CP-{n + 1}", (evse,)))
    return Topology(tuple(nodes), tuple(built))


@dataclass
class Car:
    """phases: how many it uses; max_a: its own limit; obey_s: until a new limit reaches its draw."""

    phases: int = 3
    max_a: float = 32.0
    obey_s: float = 3.0


@dataclass
class VirtualStation:
    """One station with one EVSE; `refuses`, `deaf` and `mute` make it misbehave."""

    evse: Evse
    answer_s: float = 0.5
    sample_s: float = 10.0
    connected: bool = False
    refuses: bool = False
    liar: bool = False
    silent_meter: bool = False
    fallback_a: float | None = None
    working: tuple[float, float] | None = None
    car: Car | None = None
    transaction: str | None = None
    obeys: list[tuple[float, float]] = field(default_factory=list)
    pwm_a: float = 0.0
    next_sample_s: float = 0.0

    def limit_a(self, now_s: float) -> float:
        if self.working is not None and now_s < self.working[1]:
            return self.working[0]
        return self.evse.max_a if self.fallback_a is None else self.fallback_a

    def step(self, now_s: float) -> None:
        wanted = self.limit_a(now_s)
        if not self.obeys or self.obeys[-1][1] != wanted:
            self.obeys.append((now_s + (self.car.obey_s if self.car else 0.0), wanted))
        while len(self.obeys) > 1 and self.obeys[1][0] <= now_s:
            self.obeys.pop(0)
        if self.obeys[0][0] <= now_s and not (self.liar and self.transaction and self.pwm_a):
            self.pwm_a = self.obeys[0][1]

    def draw_a(self) -> dict[Phase, float]:
        if self.car is None or self.transaction is None or self.pwm_a < 6.0:
            return dict.fromkeys(self.evse.station_phases, 0.0)
        amps = min(self.pwm_a, self.car.max_a)
        return {p: amps if i < self.car.phases else 0.0 for i, p in enumerate(self.evse.station_phases)}


class VirtualSite:
    """The site, its controller, and a record of what really flowed."""

    def __init__(
        self, topo: Topology, sources: tuple[LimitSource, ...] = (), settings: ControlSettings | None = None
    ) -> None:
        fixed = tuple(Limit(n.id, n.limit_a, AppliesTo.TOTAL, f"{n.label} fuse") for n in topo.nodes)
        book = LimitBook(fixed, {s.id: SourceState(s) for s in sources})
        self.topology = topo
        self.controller = SiteController(topo, book, settings or ControlSettings(), {"m": 1.0})
        self.stations = {s.id: VirtualStation(s.evses[0]) for s in topo.stations}
        self.now = START
        self.base: Callable[[float], PerPhase] = lambda _s: (0.0, 0.0, 0.0)
        self.meter_alive = True
        self.notices: list[Notice] = []
        self.events: list[tuple[float, Callable[[], object]]] = []
        self.worst: dict[str, PerPhase] = {n.id: (0.0, 0.0, 0.0) for n in topo.nodes}
        self.on_step: list[Callable[[VirtualSite], None]] = []
        self.orders: list[tuple[float, EvseId, float]] = []

    # --- what people and cars do ---
    def connect(self, *ids: str) -> None:
        for id_ in ids or self.stations:
            self.stations[id_].connected = True
            self.tell(id_, words.Connected(words.OcppVersion.V16))
            self.tell(id_, words.Booted("v", "m", "f", "s", words.RegistrationStatus.ACCEPTED))

    def disconnect(self, id_: str) -> None:
        self.stations[id_].connected = False
        self.tell(id_, words.Disconnected("link lost"))

    def plug(self, id_: str, car: Car | None = None) -> None:
        station = self.stations[id_]
        station.car, station.transaction = car or Car(), f"tx-{id_}-{self.now.monotonic_s:.0f}"
        station.next_sample_s = self.now.monotonic_s + station.sample_s
        self.tell(id_, words.TransactionStarted(1, station.transaction))

    def unplug(self, id_: str) -> None:
        station = self.stations[id_]
        transaction, station.car, station.transaction, station.working = station.transaction, None, None, None
        assert transaction
        self.tell(id_, words.TransactionEnded(1, transaction))

    # --- time ---
    def after(self, delay_s: float, action: Callable[[], object]) -> None:
        self.events.append((self.now.monotonic_s + delay_s, action))

    def tell(self, id_: str, fact: object) -> None:
        self.carry_out(self.controller.station_changed(id_, fact, self.now))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.now = self.now.after(STEP_S)
            self._step()

    def _step(self) -> None:
        now_s = self.now.monotonic_s
        due = [event for event in self.events if event[0] <= now_s]
        self.events = [event for event in self.events if event[0] > now_s]
        for _, action in sorted(due, key=lambda event: event[0]):
            action()
        for station in self.stations.values():
            station.step(now_s)
        for node, flow in ((n.id, self.flow(n.id)) for n in self.topology.nodes):
            self.worst[node] = tuple(max(a, b) for a, b in zip(self.worst[node], flow, strict=True))
        for hook in self.on_step:
            hook(self)
        self._samples(now_s)
        if now_s % 1.0 == 0 and self.meter_alive:
            self.carry_out(self.controller.meter_read(MeterReading("m", self.now, self.flow("grid")), self.now))
        elif now_s % 1.0 == 0:
            self.carry_out(self.controller.expire(self.now))

    def _samples(self, now_s: float) -> None:
        for id_, station in self.stations.items():
            if (
                station.transaction
                and station.connected
                and not station.silent_meter
                and now_s >= station.next_sample_s
            ):
                station.next_sample_s = now_s + station.sample_s
                self.tell(id_, words.Measured(1, MeterSample(station.draw_a())))

    # --- physics ---
    def flow(self, node: str) -> PerPhase:
        """What really flows at a node, per grid phase; the base load belongs to the grid connection."""
        result = list(self.base(self.now.since(START))) if node == "grid" else [0.0, 0.0, 0.0]
        for evse in self.topology.evses_below(node):
            for phase, amps in self.stations[evse.id.station].draw_a().items():
                result[evse.grid_phase(phase)] += amps
        return tuple(result)

    # --- effects ---
    def carry_out(self, effects: list[object]) -> None:
        for effect in effects:
            match effect:
                case ApplyFallback():
                    self._fallback(effect)
                case ApplyLimit():
                    self.orders.append((self.now.since(START), effect.evse, effect.limit_a))
                    self._limit(effect)
                case Solve():
                    allocation = solve(effect.problem)
                    self.after(
                        1.0,
                        lambda n=effect.number, a=allocation: self.carry_out(self.controller.planned(n, a, self.now)),
                    )
                case Notice():
                    self.notices.append(effect)

    def _fallback(self, effect: ApplyFallback) -> None:
        station = self.stations[effect.evse.station]
        if not station.connected:
            return

        def answered() -> None:
            if station.refuses:
                self._answer(effect.evse, LimitKind.FALLBACK, LimitOutcome.REFUSED, effect.limit_a)
            else:
                station.fallback_a = effect.limit_a
                self._answer(effect.evse, LimitKind.FALLBACK, LimitOutcome.ACCEPTED, effect.limit_a)

        self.after(station.answer_s, answered)

    def _limit(self, effect: ApplyLimit) -> None:
        station = self.stations[effect.evse.station]
        if not station.connected or station.transaction is None:
            self._answer(effect.evse, LimitKind.WORKING, LimitOutcome.DROPPED, effect.limit_a)
            return
        self._answer(effect.evse, LimitKind.WORKING, LimitOutcome.SENT, effect.limit_a)

        def answered() -> None:
            if not station.connected:
                self._answer(effect.evse, LimitKind.WORKING, LimitOutcome.TIMED_OUT, effect.limit_a)
            elif station.refuses:
                self._answer(effect.evse, LimitKind.WORKING, LimitOutcome.REFUSED, effect.limit_a)
            else:
                station.working = (effect.limit_a, self.now.monotonic_s + effect.valid_s)
                self._answer(effect.evse, LimitKind.WORKING, LimitOutcome.ACCEPTED, effect.limit_a)

        self.after(station.answer_s, answered)

    def _answer(self, evse: EvseId, kind: LimitKind, outcome: LimitOutcome, limit_a: float) -> None:
        self.tell(evse.station, words.LimitAnswered(evse.evse, kind, outcome, limit_a))
