"""A charging site in virtual time: cars, stations and meters as simple physics around the real SiteController.

One step is half a second. Stations answer limits after a delay, obey them after another, fall back when a working
limit runs out, and report samples at their own interval; between site and station stands a writer with one CALL in
flight and the newest wish behind it. Nothing here is shared with the product but its public words.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from itertools import islice

from local_controller.clock import Instant
from local_controller.site.control_box import control_box
from local_controller.site.control_settings import ControlSettings
from local_controller.site.controller import SiteController
from local_controller.site.effects import ApplyFallback, ApplyLimit, AskSample, Disobeyed, Notice, Solve, StopSession
from local_controller.site.foresight import Foresight
from local_controller.site.limit_book import LimitBook
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.limit_source import LimitSource, SourceState
from local_controller.site.limits import AppliesTo, Limit, OwnLimit
from local_controller.site.lpc import LpcSettings
from local_controller.site.per_phase import upper
from local_controller.site.readings import MeterReading
from local_controller.site.topology import Evse, FuseType, Node, Station, Topology
from local_controller.site.wiring import STAR, Grid
from local_controller.station import words
from local_controller.station.words import EvseId, LimitKind, LimitOutcome, MeterSample, Phase
from optimizer.solve import solve
from site_simulator.lines import Phasors, added, lengths
from site_simulator.lines import phasors as phasors_of

STEP_S = 0.5
SILENCE_S = 8.0
"""So long the station's proxy waits for an answer."""

BOOT_S = 20.0
START = Instant(1000.0, datetime(2026, 3, 2, 8, 0, tzinfo=UTC))
PerPhase = tuple[float, float, float]
phasors = lru_cache(10_000)(phasors_of)
"""Most loads are in this half second what they were in the last one."""


def connection(evse: Evse) -> str:
    """In the words of `site_simulator.lines`."""
    return ("-" if evse.is_between else "").join("RST"[line] for line in evse.grid_phases)


def topology(
    fuse_a: float,
    stations: int = 3,
    *,
    base_a: float = 0.0,
    circuits: dict[str, float] | None = None,
    margin_a: float = 1.0,
    rotations: tuple[str, ...] = ("RST",),
    evses: int = 1,
    circuit_meters: bool = False,
    grid: Grid = STAR,
) -> Topology:
    """A grid connection with a meter, circuits (with meters on demand), and stations spread over them.

    rotations: of the stations in turn, "R-S" for one between two lines.
    """
    margin = (margin_a,) * 3
    nodes = [Node("grid", "Grid", None, (fuse_a,) * 3, FuseType.MCB, base_a=(base_a,) * 3, margin_a=margin, meter="m")]
    nodes += [
        Node(c, c.title(), "grid", (a,) * 3, FuseType.MCB, margin_a=margin, meter=f"m-{c}" if circuit_meters else None)
        for c, a in (circuits or {}).items()
    ]
    homes = list(circuits or ["grid"])
    built = []
    for n in range(stations):
        letters = rotations[n % len(rotations)]
        order, is_between = tuple("RST".index(letter) for letter in letters.replace("-", "")), "-" in letters
        name, home = f"CP-{n + 1}", homes[n % len(homes)]
        numbered = (EvseId(name, number) for number in range(1, evses + 1))
        shows = grid.has_neutral or len(order) < 3
        wired = tuple(Evse(id_, home, order, is_between=is_between, shows_phases=shows) for id_ in numbered)
        built.append(Station(name, name, wired))
    return Topology(tuple(nodes), tuple(built), grid)


@dataclass
class Car:
    """phases: how many it uses; max_a: its own limit; obey_s: until a new limit reaches its draw; paused: it rests.

    overdraw: so many times its limit it really draws.
    """

    phases: int = 3
    max_a: float = 32.0
    obey_s: float = 3.0
    paused: bool = False
    overdraw: float = 1.0


class Manner(Enum):
    """How a station treats SetChargingProfile."""

    HONEST = "answers and obeys"
    REFUSES = "says no"
    DEAF = "neither answers nor obeys"
    MUMBLES = "obeys, but its answer gets lost"
    BUSY = "its queue is full, nothing can be sent"


@dataclass
class VirtualStation:
    """One EVSE of a station; `manner`, `liar` and `silent_meter` make it misbehave. stops, sends_when_asked: it ends a
    session, or sends a sample, when asked to; late_s: what its meter showed so long before (up to 5 s).

    highest_a: it refuses limits above this. switching: what it says of its phases; one_phase: on which of them it charges a car
    that is told to use one and not which; ignores_phases: it does not, although it says so. lines: those that are connected;
    moved: when its contactor moved, to how many lines, and whether it was told so. pauses: how long the car had nothing around
    each move that it was told; 0 under load. has_forgotten: what it said yes to, and has not done yet what it was told since; so its car may charge in the midst of such a pause. foreign_a: what somebody else's profile makes of its fallback. wish: the order
    that waits until the CALL in flight is answered. lag: by how many radians the car's current is behind its voltage.
    """

    evse: Evse
    answer_s: float = 0.5
    sample_s: float = 10.0
    connected: bool = False
    manner: Manner = Manner.HONEST
    highest_a: float = 1000.0
    liar: bool = False
    stops: bool = True
    sends_when_asked: bool = True
    late_s: float = 0.0
    drew: deque[dict[Phase, float]] = field(default_factory=lambda: deque(maxlen=10))
    silent_meter: bool = False
    forgetful: bool = False
    foreign_a: float | None = None
    fallback_a: float | None = None
    working: tuple[float, float] | None = None
    car: Car | None = None
    transaction: str | None = None
    switching: words.PhaseSwitching = field(default_factory=words.PhaseSwitching)
    one_phase: int = 1
    ignores_phases: bool = False
    told_phases: tuple[int | None, int | None] = (None, None)
    lines: tuple[int, ...] = (0, 1, 2)
    moved: list[tuple[float, int, bool]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    drew_s: float = 0.0
    has_moved: bool = False
    has_forgotten: bool = False
    obeys: list[tuple[float, float, tuple[int, ...]]] = field(default_factory=list)
    pwm_a: float = 0.0
    next_sample_s: float = 0.0
    off_until_s: float = 0.0
    in_flight: ApplyLimit | None = None
    wish: tuple[ApplyLimit, float] | None = None
    line: int = 0
    lag: float = 0.0
    idle: dict[Phase, float] = field(init=False)

    def __post_init__(self) -> None:
        self.idle = dict.fromkeys(self.evse.station_phases, 0.0)

    @property
    def refuses(self) -> bool:
        return self.manner is Manner.REFUSES

    @refuses.setter
    def refuses(self, refuses: bool) -> None:
        self.manner = Manner.REFUSES if refuses else Manner.HONEST

    def limit_a(self, now_s: float) -> float:
        if self.working is not None and now_s < self.working[1]:
            return self.working[0]
        fallback_a = self.evse.max_a if self.fallback_a is None else self.fallback_a
        return fallback_a if self.foreign_a is None else self.foreign_a

    def wanted_lines(self, now_s: float) -> tuple[int, ...]:
        """One while a limit on one phase holds: the phase to use if it takes that, else its own one."""
        phases, phase_to_use = self.told_phases
        holds = self.working is not None and now_s < self.working[1]
        if not holds or phases != 1 or not self.switching.is_able or self.ignores_phases:
            return (0, 1, 2)
        return ((phase_to_use if phase_to_use and self.switching.takes_phase else self.one_phase) - 1,)

    def forget(self) -> None:
        """What it said yes to, until it is told again."""
        self.working, self.has_forgotten = None, True

    def step(self, now_s: float) -> None:
        if max(self.draw_a().values()) > 0.5:
            if self.has_moved and not self.has_forgotten:
                self.pauses.append(now_s - self.drew_s)
            self.has_forgotten = self.has_forgotten and (not self.has_moved or len(self.obeys) > 1)
            self.drew_s, self.has_moved = now_s, False
        wanted, lines = self.limit_a(now_s), self.wanted_lines(now_s)
        if not self.obeys or self.obeys[-1][1:] != (wanted, lines):
            self.obeys.append((now_s + (self.car.obey_s if self.car else 0.0), wanted, lines))
        while len(self.obeys) > 1 and self.obeys[1][0] <= now_s:
            self.obeys.pop(0)
        if self.obeys[0][0] <= now_s and not (self.liar and self.transaction and self.pwm_a):
            self.pwm_a = self.obeys[0][1]
            self._move(self.obeys[0][2], now_s)
        if now_s < self.off_until_s:  # a station that has booted begins with what it knows by then
            self.pwm_a, self.obeys = 0.0, [(now_s, wanted, lines)]
        self.drew.appendleft(self.draw_a())

    def _move(self, lines: tuple[int, ...], now_s: float) -> None:
        if self.lines != lines:
            is_told = self.told_phases[0] is not None and self.working is not None and now_s < self.working[1]
            self.has_moved = is_told
            self.lines = lines
            self.moved.append((now_s, len(lines), is_told))

    def draw_a(self) -> dict[Phase, float]:
        car = self.car
        if car is None or self.transaction is None or self.pwm_a < 6.0 or car.paused:
            return self.idle.copy()
        amps = min(self.pwm_a, car.max_a) * car.overdraw
        lines = self.lines if len(self.idle) > 1 else (0,)
        used = [phase for i, phase in enumerate(self.idle) if i in lines]
        return self.idle | dict.fromkeys(used[: car.phases], amps)


class VirtualSite:
    """The site, its controller, and a record of what really flowed: per node, and in watts at the grid connection.

    between: loads of the building between two lines, "R-S". volts_v: on each phase; shows_volts: its meters tell it, and the power. said: what a source said last, watts and until when.

    `stations` are the EVSEs by the name of their station; further EVSEs of a station are "CP-1/2" and so on.
    """

    def __init__(
        self,
        topo: Topology,
        sources: tuple[LimitSource, ...] = (),
        settings: ControlSettings | None = None,
        fixed: Sequence[Limit] = (),
        own: tuple[OwnLimit, ...] = (),
        boxes: Mapping[str, LpcSettings] | None = None,
        foresight: Callable[[], Foresight] = Foresight,
        poll_s: float = 1.0,
    ) -> None:
        fuses = tuple(Limit(n.id, n.limit_a, AppliesTo.TOTAL, f"{n.label} fuse") for n in topo.nodes)
        self._limits, self._sources, self._own = (*fuses, *fixed), sources, own
        self._boxes = boxes or {}
        self._foresight, self._poll_s = foresight, poll_s
        self._settings = settings or ControlSettings()
        self.topology = topo
        self.meters = {n.meter: n.id for n in topo.nodes if n.meter is not None}
        self.controller = self._begun()
        self.stations = {
            e.id.station if e.id.evse == 1 else str(e.id): VirtualStation(e) for s in topo.stations for e in s.evses
        }
        self.now = START
        self.base: Callable[[float], PerPhase] = lambda _s: (0.0, 0.0, 0.0)
        self.circuit_base: dict[str, PerPhase] = {}
        self.between: dict[str, float] = {}
        self.volts_v = 230.0
        self.shows_volts = False
        self.meter_alive = True
        self.unchanged_s: Callable[[], float] = lambda: 0.0
        self.shown: Callable[[PerPhase], PerPhase] = lambda flow: flow
        self.notices: list[Notice] = []
        self.events: list[tuple[float, Callable[[], object]]] = []
        self.worst: dict[str, PerPhase] = {n.id: (0.0, 0.0, 0.0) for n in topo.nodes}
        self.worst_w = 0.0
        self.said: dict[str, tuple[float | None, float]] = {}
        self.on_step: list[Callable[[VirtualSite], None]] = []
        self.orders: list[tuple[float, EvseId, float]] = []
        self.stopped: list[tuple[float, EvseId, str]] = []
        self.disobeyed: list[tuple[float, EvseId, float]] = []
        self.asked: list[tuple[float, EvseId]] = []
        self._by_id = {station.evse.id: station for station in self.stations.values()}
        self._below = {n.id: [self._by_id[evse.id] for evse in topo.evses_below(n.id)] for n in topo.nodes}
        self._where = {id_: connection(station.evse) for id_, station in self._by_id.items()}
        self._flows: dict[str, PerPhase] = {}
        self._loads: dict[EvseId, Phasors] = {}
        self._is_still = False

    def _begun(self) -> SiteController:
        """A gateway that knows nothing but its site file."""
        sources = {s.id: SourceState(s) for s in self._sources}
        sources |= {id_: control_box(id_, "grid", AppliesTo.CHARGING, lpc) for id_, lpc in self._boxes.items()}
        book = LimitBook(self._limits, sources, self._own)
        return SiteController(
            self.topology, book, self._settings, dict.fromkeys(self.meters, self._poll_s), self._foresight()
        )

    def fix(self, limit: Limit) -> None:
        """One more limit for ever, before anything happens."""
        self._limits = (*self._limits, limit)
        self.controller = self._begun()

    def foresees(self, foresight: Callable[[], Foresight]) -> None:
        """It knows something of prices, or what cars charge by, before anything happens."""
        self._foresight = foresight
        self.controller = self._begun()

    @property
    def fixed_w(self) -> float:
        """What is allowed for ever in watts at the grid connection."""
        return min((one.power_w for one in self._limits if one.power_w is not None), default=float("inf"))

    @property
    def elapsed_s(self) -> float:
        """Since the beginning."""
        return self.now.since(START)

    # --- what happens to the gateway ---
    def restart(self) -> None:
        """It is killed and begins anew; stations keep what they were told, and come back with what goes on."""
        self.controller = self._begun()
        for station in self.stations.values():
            station.line += 1
            station.in_flight = station.wish = None
        for id_ in sorted({one.evse.id.station for one in self.stations.values() if one.connected}):
            self.connect(id_, boot=False)
            for outlet in self.outlets(id_):
                if outlet.transaction is not None:
                    begun = words.TransactionStarted(outlet.evse.id.evse, outlet.transaction, is_found=True)
                    self.tell(id_, begun)

    def go_blind(self, seconds: float) -> None:
        """No meter is read for so long."""
        self.meter_alive = False
        self.after(seconds, lambda: setattr(self, "meter_alive", True))

    # --- what people and cars do ---
    def connect(self, *ids: str, boot: bool = True) -> None:
        for id_ in ids or tuple(s.id for s in self.topology.stations):
            for outlet in self.outlets(id_):
                outlet.connected = True
            self.tell(id_, words.Connected(words.OcppVersion.V16))
            if (switching := self.outlets(id_)[0].switching).is_able:
                self.tell(id_, words.BehaviourLearnt(switching=switching))
            if boot:
                self.tell(id_, words.Booted("v", "m", "f", "s", words.RegistrationStatus.ACCEPTED))

    def disconnect(self, id_: str) -> None:
        for outlet in self.outlets(id_):
            outlet.connected, outlet.wish = False, None
            outlet.line += 1
            if outlet.in_flight is not None:
                self._answer(outlet, LimitOutcome.TIMED_OUT)
        self.tell(id_, words.Disconnected("link lost"))

    def reboot(self, id_: str) -> None:
        """Power fails: the link is gone, and what was in memory; the transaction goes on after the boot."""
        if self.stations[id_].connected:
            self.disconnect(id_)
        for outlet in self.outlets(id_):
            outlet.working = None
            outlet.fallback_a = None if outlet.forgetful else outlet.fallback_a
            outlet.off_until_s = self.now.monotonic_s + BOOT_S + 12.0
        self.after(BOOT_S, lambda: None if self.stations[id_].connected else self.connect(id_))

    def plug(self, id_: str, car: Car | None = None) -> None:
        station = self.stations[id_]
        station.car, station.transaction = car or Car(), f"tx-{id_}-{self.now.monotonic_s:.0f}"
        station.working = None
        station.has_moved = False  # what its contactor did in the session before is no switch of this one
        station.drew.clear()
        station.next_sample_s = self.now.monotonic_s + station.sample_s
        self.tell(station.evse.id.station, words.TransactionStarted(station.evse.id.evse, station.transaction))

    def found(self, id_: str, car: Car, limit_a: float, for_s: float) -> None:
        """A car that charges since before our start, under a limit of then; its station is here and tells of it."""
        station = self.stations[id_]
        station.car, station.transaction = car, f"tx-{id_}-old"
        station.working = (limit_a, self.now.monotonic_s + for_s)
        station.next_sample_s = self.now.monotonic_s + station.sample_s
        self.tell(
            station.evse.id.station,
            words.TransactionStarted(station.evse.id.evse, station.transaction, is_found=True),
        )

    def unplug(self, id_: str) -> None:
        station = self.stations[id_]
        transaction, station.car, station.transaction, station.working = station.transaction, None, None, None
        station.wish = None
        assert transaction
        self.tell(station.evse.id.station, words.TransactionEnded(station.evse.id.evse, transaction))

    def announce(
        self, source: str, limit_a: float | None, valid_s: float = 60.0, *, power_w: float | None = None
    ) -> None:
        limit = None if limit_a is None else (limit_a,) * 3
        self.said[source] = power_w, self.now.monotonic_s + valid_s
        received = ReceivedLimit(limit, power_w, self.now.after(valid_s))
        self.carry_out(self.controller.limit_received(source, received, self.now))

    def source(self, id_: str) -> LimitSource:
        return next(source for source in self._sources if source.id == id_)

    def said_w(self, source: str) -> float:
        """The watts that a source allows just now: what it said until that ends, then its fallback."""
        power_w, until_s = self.said.get(source, (None, -1.0))
        if self.now.monotonic_s >= until_s:
            power_w = self.source(source).fallback_w
        return float("inf") if power_w is None else power_w

    def outlets(self, id_: str) -> list[VirtualStation]:
        """The EVSEs of a station."""
        return [s for s in self.stations.values() if s.evse.id.station == id_]

    # --- time ---
    def after(self, delay_s: float, action: Callable[[], object]) -> None:
        self.events.append((self.now.monotonic_s + delay_s, action))

    def tell(self, id_: str, fact: object) -> None:
        self.carry_out(self.controller.station_changed(id_, fact, self.now))
        if self.controller.deadline is not None and self.controller.deadline <= self.now.monotonic_s:
            self.carry_out(self.controller.expire(self.now))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.now = self.now.after(STEP_S)
            self._step()

    def _step(self) -> None:
        now_s = self.now.monotonic_s
        self._let_happen(now_s)
        for station in self.stations.values():
            station.step(now_s)
        self._flows, self._loads, self._is_still = {}, {}, True
        for node, flow in ((n.id, self.flow(n.id)) for n in self.topology.nodes):
            self.worst[node] = upper(self.worst[node], flow)
            if node == "grid":
                self.worst_w = max(self.worst_w, sum(flow) * self.volts_v)
        for hook in self.on_step:
            hook(self)
            self._flows.clear()  # it may have changed something
            self._loads.clear()
        self._is_still = False
        self._look_at_what_is_remembered()
        self._samples(now_s)
        if now_s % self._poll_s == 0 and self.meter_alive:
            for meter, node in self.meters.items():
                self.carry_out(self.controller.meter_read(self._reading(meter, node), self.now))
        elif now_s % 1.0 == 0:
            self.carry_out(self.controller.expire(self.now))
        for told in islice(self.controller.catch_up(self.now), 2):
            self.carry_out(told)

    def _let_happen(self, now_s: float) -> None:
        """What is due, in its order."""
        due = [event for event in self.events if event[0] <= now_s]
        if due:
            self.events = [event for event in self.events if event[0] > now_s]
        for _, action in sorted(due, key=lambda event: event[0]):
            action()

    def flow(self, node: str) -> PerPhase:
        """What really flows at a node, per grid phase; looked up once while nothing changes."""
        if not self._is_still:
            return self._flow(node)
        found = self._flows.get(node)
        if found is None:
            found = self._flows[node] = self._flow(node)
        return found

    def _reading(self, meter: str, node: str) -> MeterReading:
        shown = self.shown(self.flow(node))
        if not self.shows_volts:
            return MeterReading(meter, self.now, shown, unchanged_s=self.unchanged_s())
        volts, power_w = (self.volts_v,) * 3, sum(shown) * self.volts_v
        return MeterReading(meter, self.now, shown, volts, power_w, unchanged_s=self.unchanged_s())

    def _look_at_what_is_remembered(self) -> None:
        """What the site has derived earlier and still goes by is what it would derive now."""
        for state in self.controller.evses.values():
            remembered = state._standing
            if remembered is not None and self.now.monotonic_s < remembered.until_s:
                now = state._stand(self.now)
                if state.csms.steps:  # the wall clock is looked at now and then
                    now = now._replace(cap_a=remembered.cap_a)
                assert remembered[1:] == now[1:], state.evse.id  # all but `until_s`

    def _samples(self, now_s: float) -> None:
        for station in self.stations.values():
            if now_s >= station.next_sample_s and self._sample(station):
                station.next_sample_s = now_s + station.sample_s

    def _sample(self, station: VirtualStation, late_s: float = 0.0) -> bool:
        """Whether it told what its meter shows, or showed so long before."""
        if not station.transaction or not station.connected or station.silent_meter:
            return False
        evse, ago = station.evse.id, min(round(late_s / STEP_S), len(station.drew))
        shown_a = station.drew[ago - 1] if ago else station.draw_a()
        self.tell(evse.station, words.Measured(evse.evse, MeterSample(shown_a)))
        return True

    # --- physics ---
    def _flow(self, node: str) -> PerPhase:
        return lengths(added([*self._building(node), *map(self._load, self._below[node])]))

    def _load(self, station: VirtualStation) -> Phasors:
        """What an EVSE draws; looked up by the nodes above it while nothing changes."""
        id_ = station.evse.id
        found = self._loads.get(id_) if self._is_still else None
        if found is None:
            found = self._phasors(self._where[id_], tuple(station.draw_a().values()), station.lag)
            self._loads[id_] = found
        return found

    def building(self, node: str) -> PerPhase:
        """The part of it that is no car."""
        return lengths(added(self._building(node)))

    def _building(self, node: str) -> list[Phasors]:
        loads = [phasors(a, "RST") for circuit, a in self.circuit_base.items() if node in {circuit, "grid"}]
        if node == "grid":
            loads.append(phasors(self.base(self.now.since(START)), "RST"))
            loads += [self._phasors(where, (amps,)) for where, amps in self.between.items()]
        return loads

    def _phasors(self, where: str, current_a: tuple[float, ...], lag: float = 0.0) -> Phasors:
        return phasors(current_a, where, lines=len(self.topology.grid.lines), lag=lag)

    def drawn(self) -> list[float]:
        """The highest phase current of each EVSE."""
        return [max(station.draw_a().values()) for station in self.stations.values()]

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
                    question = self.controller.question()
                    allocation = solve(question.problem(), weights=question.weights())
                    self.after(
                        1.0,
                        lambda n=effect.number, a=allocation: self.carry_out(self.controller.planned(n, a, self.now)),
                    )
                case Notice():
                    self.notices.append(effect)
                case StopSession():
                    self.stopped.append((self.now.since(START), effect.evse, effect.transaction_id))
                    self._stop(effect)
                case AskSample():
                    self.asked.append((self.now.since(START), effect.evse))
                    self._ask_sample(effect)
                case Disobeyed():
                    self.disobeyed.append((self.now.since(START), effect.evse, effect.drawn_a))

    def _ask_sample(self, effect: AskSample) -> None:
        """It sends what its meter shows by then, if it sends anything when asked to."""
        station = self._by_id[effect.evse]
        if station.sends_when_asked and station.manner not in {Manner.DEAF, Manner.BUSY}:
            self.after(station.answer_s, lambda: self._sample(station, station.late_s))

    def _stop(self, effect: StopSession) -> None:
        """Whoever obeys nothing else may obey this: it is another part of the firmware."""
        station = self._by_id[effect.evse]
        if station.connected and station.stops and station.transaction == effect.transaction_id:
            self.after(station.answer_s, lambda: self.unplug(self._name_of(station)))

    def _name_of(self, station: VirtualStation) -> str:
        return next(name for name, one in self.stations.items() if one is station)

    def _fallback(self, effect: ApplyFallback) -> None:
        station = self._by_id[effect.evse]
        line = station.line

        def answered() -> None:
            if station.line != line or not station.connected:
                return
            if station.manner is Manner.REFUSES:
                outcome = LimitOutcome.REFUSED
            elif station.manner is Manner.HONEST:
                station.fallback_a, outcome = effect.limit_a, LimitOutcome.ACCEPTED
            else:
                self.after(30.0, lambda: self._fallback(effect))  # the writer tries again
                outcome = LimitOutcome.TIMED_OUT
            self.tell(
                effect.evse.station, words.LimitAnswered(effect.evse.evse, LimitKind.FALLBACK, outcome, effect.limit_a)
            )

        if station.connected:
            self.after(station.answer_s if station.manner in {Manner.HONEST, Manner.REFUSES} else SILENCE_S, answered)

    def _limit(self, effect: ApplyLimit) -> None:
        station = self._by_id[effect.evse]
        if not station.connected or station.transaction is None or station.manner is Manner.BUSY:
            self._tell_outcome(station, LimitOutcome.DROPPED, effect.limit_a)
            return
        station.wish = (effect, self.now.monotonic_s + effect.valid_s)
        self._send(station)

    def _send(self, station: VirtualStation) -> None:
        if station.in_flight is not None or station.wish is None:
            return
        (effect, until_s), station.wish = station.wish, None
        station.in_flight = effect
        transaction, line, manner = station.transaction, station.line, station.manner
        if effect.limit_a > station.highest_a:
            manner = Manner.REFUSES
        self._tell_outcome(station, LimitOutcome.SENT, effect.limit_a)

        def arrived() -> None:
            if (
                station.line == line
                and station.transaction == transaction
                and manner in {Manner.HONEST, Manner.MUMBLES}
            ):
                station.working = (effect.limit_a, until_s)
                station.told_phases = (effect.phases, effect.phase_to_use)

        def answered() -> None:
            if station.in_flight is not effect or station.line != line:
                return
            if station.transaction != transaction:
                self._answer(station, LimitOutcome.DROPPED)
            elif manner is Manner.HONEST:
                self._answer(station, LimitOutcome.ACCEPTED)
            else:
                self._answer(station, LimitOutcome.REFUSED if manner is Manner.REFUSES else LimitOutcome.TIMED_OUT)

        self.after(station.answer_s, arrived)
        self.after(station.answer_s if manner in {Manner.HONEST, Manner.REFUSES} else SILENCE_S, answered)

    def _answer(self, station: VirtualStation, outcome: LimitOutcome) -> None:
        effect, station.in_flight = station.in_flight, None
        assert effect is not None
        self._tell_outcome(station, outcome, effect.limit_a, effect.phases)
        self._send(station)

    def _tell_outcome(
        self, station: VirtualStation, outcome: LimitOutcome, limit_a: float, phases: int | None = None
    ) -> None:
        evse = station.evse.id
        self.tell(evse.station, words.LimitAnswered(evse.evse, LimitKind.WORKING, outcome, limit_a, phases=phases))
