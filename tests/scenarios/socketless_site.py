"""The gateway as it is put together in `app`, simulated stations and CSMS around it, in virtual time and without sockets.

Only what makes sockets is replaced: legs are queues, plans are made at once, the grid's meter is the simulated world.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import structlog
from websockets.exceptions import ConnectionClosedError

from local_controller.adapters.driver import Outlets, StationDriver
from local_controller.adapters.leg import Ear, Leg
from local_controller.adapters.rates import MessageRate
from local_controller.app import LocalController
from local_controller.clock import Clock, Instant
from local_controller.config.models import SiteConfig
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.planning import Question
from local_controller.site.readings import MeterReading
from local_controller.site.snapshot import EvseView, snapshot
from local_controller.station.effects import Peer
from local_controller.station.quirks import Quirk
from local_controller.station.words import OcppVersion
from optimizer.problem import Allocation
from optimizer.solve import solve
from site_simulator.clock import SimClock
from site_simulator.csms import SimulatedCsms
from site_simulator.outlet import StationSpec
from site_simulator.site import Node, Placement, SiteWorld
from site_simulator.station import SimulatedStation
from site_simulator.words import stamp
from tests.scenarios.joined_stations import FarEnd, Joined
from tests.virtual_loop import VirtualClock, VirtualLoop

STEP_S = 0.5
ON_THE_WAY_S = 0.05
"""So long a message travels."""

REPEATED_S = 10.0
"""So often a limit from outside is said again; each holds for 30 s."""

READ_S = 0.002
"""So long a peer is busy with a message before it reads the next one."""


class _MemoryLeg:
    """One connection of the gateway. `far` is the other end."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.far = _FarEnd(self, loop)
        self.ear: Ear | None = None
        self._loop = loop

    def attend(self, ear: Ear) -> None:
        self.ear = ear

    def send(self, text: str) -> None:
        self._loop.call_later(ON_THE_WAY_S, self.far.inbox.put_nowait, text)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._loop.call_later(ON_THE_WAY_S, self.far.hang_up)
        self._loop.call_soon(self.ended, code, reason)

    def ended(self, code: int, reason: str) -> None:
        ear, self.ear = self.ear, None
        if ear is not None:
            ear.ended(code, reason)

    def abort(self) -> None:
        self.close(1006)

    def hold(self, why: int) -> None:
        """Nobody talks too much here."""

    def release(self, why: int) -> None:
        """As above."""


class _FarEnd:
    """The station's or the CSMS's end."""

    def __init__(self, leg: _MemoryLeg, loop: VirtualLoop) -> None:
        self.inbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._leg = leg
        self._loop = loop
        self._is_over = False

    async def recv(self) -> str:
        await asyncio.sleep(READ_S)
        text = None if self._is_over else await self.inbox.get()
        if text is None:
            self._is_over = True
            raise ConnectionClosedError(None, None)
        return text

    async def send(self, message: str) -> None:
        if self._is_over:
            raise ConnectionClosedError(None, None)
        self._loop.call_later(ON_THE_WAY_S, self._arrive, message)

    def _arrive(self, text: str) -> None:
        if self._leg.ear is not None:
            self._leg.ear.text(text)

    def hang_up(self) -> None:
        self._is_over = True
        self.inbox.put_nowait(None)

    def drop(self) -> None:
        self.hang_up()
        self._leg.ended(1006, "")


class _InstantPlanner:
    """Makes plans in no time."""

    async def solve(self, question: Question) -> Allocation:
        return solve(question.problem())


@dataclass
class SocketlessSite:
    """A site that runs. lines, volts: of the grid, as of `SiteWorld`. poll_s: how often its meters are read.

    Specs "S" and "S/2" are the two EVSEs of one station S.
    """

    config: SiteConfig
    specs: Sequence[StationSpec]
    loop: VirtualLoop
    world_nodes: Sequence[Node]
    quirks: Sequence[Quirk] | None = None
    lines: int = 3
    volts: float = 230.0
    poll_s: float = 1.0
    hooks: list[Callable[[], None]] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = VirtualClock(self.loop)
        self.gateway = LocalController(self.config, cast("Clock", self.clock))
        self.gateway.driver._planner = _InstantPlanner()
        if self.quirks is not None:
            known = self.gateway._settings
            self.gateway._settings = {name: replace(one, quirks=self.quirks) for name, one in known.items()}
        sim_clock = cast("SimClock", self.clock)
        self.csms = SimulatedCsms(sim_clock, [spec.identity for spec in self.specs])
        self.stations = {spec.identity: SimulatedStation(spec, "", sim_clock, self._dial) for spec in self.specs}
        placements = [Placement(spec.identity, spec.circuit, spec.rotation) for spec in self.specs]
        draws = {name: (lambda one=one: one.outlet.currents_a) for name, one in self.stations.items()}
        self.world = SiteWorld(self.world_nodes, placements, draws, lines=self.lines, volts=self.volts)
        self.orders: dict[str, float] = {}
        self._announced: dict[str, tuple[float, Instant]] = {}
        self._logger = structlog.wrap_logger(structlog.PrintLogger(), processors=[self._noted])
        self._talks: set[asyncio.Task[None]] = set()
        self._joined = defaultdict[str, asyncio.Future[Joined]](self.loop.create_future)

    def _noted(self, _: Any, level: str, fields: Any) -> Any:
        self.log.append({"level": level, **fields})
        raise structlog.DropEvent

    # --- connections ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _dial(self, spec: StationSpec) -> AsyncIterator[FarEnd]:
        identity, _, number = spec.identity.partition("/")
        if number:
            joined = await asyncio.shield(self._joined[identity])
            yield joined.parts[int(number)]
            return
        evses = 1 + sum(other.identity.startswith(f"{identity}/") for other in self.specs)
        legs = {Peer.STATION: _MemoryLeg(self.loop), Peer.CSMS: _MemoryLeg(self.loop)}
        proxy = self.gateway._make_proxy(identity, OcppVersion(spec.version), None)
        outlets = Outlets(self.gateway._told, self._logger)
        driver = StationDriver(
            proxy, cast("dict[Peer, Leg]", legs), cast("Clock", self.clock), outlets, MessageRate(100.0, 1000.0)
        )
        self.gateway.stations._drivers[identity] = driver
        talk = self.loop.create_task(self.csms.converse(identity, spec.version, legs[Peer.CSMS].far))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)
        driver.start()
        try:
            if evses == 1:
                yield legs[Peer.STATION].far
            else:
                yield self._join(identity, Joined(legs[Peer.STATION].far, spec.version, evses, self._stamp))
        finally:
            legs[Peer.STATION].far.drop()
            if self.gateway.stations._drivers.get(identity) is driver:
                del self.gateway.stations._drivers[identity]
            driver.stop()

    def _join(self, identity: str, joined: Joined) -> FarEnd:
        self._joined[identity].set_result(joined)
        self._talks.add(self.loop.create_task(joined.run()))
        return joined.parts[1]

    def _stamp(self) -> str:
        return stamp(self.clock.utc())

    # --- time ----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The gateway runs, stations connect, cars come at their times."""
        scenario: asyncio.Future[float] = self.loop.create_future()
        scenario.set_result(self.clock.monotonic_s())
        self.gateway.driver.start(self.gateway)
        tasks = [self.loop.create_task(self._flow())]
        tasks += [self.loop.create_task(one.run(scenario)) for one in self.stations.values()]
        try:
            yield
        finally:
            for task in [*tasks, *self._talks]:
                task.cancel()
            await asyncio.gather(*tasks, *self._talks, return_exceptions=True)
            await self.gateway.driver.stop()
        for task in tasks:
            if not task.cancelled() and (fault := task.exception()) is not None:
                raise fault

    async def _flow(self) -> None:
        """Physics in steps; now and then the meters are read, and what was ordered is told where that is due."""
        begin_s = done_s = self.clock.monotonic_s()
        while True:
            await asyncio.sleep(STEP_S)
            done_s += STEP_S
            for station in self.stations.values():
                station.outlet.advance(done_s, self.clock.utc(), STEP_S)
            self.world.advance(STEP_S)
            for hook in self.hooks:
                hook()
            if (done_s - begin_s) % self.poll_s == 0:
                self._read_meters()

    def _read_meters(self) -> None:
        now = self.clock.now()
        for meter, node in self._metered().items():
            self.gateway.driver.meter_read(MeterReading(meter, now, self.world.gauges[node].current_a))
        for source, limit_a in self.orders.items():
            last_a, at = self._announced.get(source, (None, now))
            if limit_a != last_a or now.since(at) >= REPEATED_S:
                self._announce(source, limit_a, now)

    def _metered(self) -> dict[str, str]:
        return {node.meter: node.id for node in self.gateway.topology.nodes if node.meter is not None}

    def _announce(self, source: str, limit_a: float, now: Instant) -> None:
        self._announced[source] = limit_a, now
        self.gateway.driver.limit_received(source, ReceivedLimit((limit_a,) * 3, None, now.after(30.0)))

    def order(self, source: str, limit_a: float) -> None:
        """A limit from outside, from the next second on, repeated while it holds."""
        self.orders[source] = limit_a

    # --- what is seen --------------------------------------------------------------------------------------------

    def drawn_a(self, identity: str) -> float:
        """The highest current that really flows at a station."""
        return max(self.stations[identity].outlet.currents_a)

    def shown(self, identity: str) -> EvseView:
        """What the facility manager sees of its first EVSE, or of another one by its number."""
        seen = snapshot(self.gateway.site, self.clock.now())
        return next(one for one in seen.evses if one.id == (identity if "/" in identity else f"{identity}/1"))

    def written(self, identity: str) -> list[dict[str, Any]]:
        """The profiles that the station was sent."""
        return self.stations[identity].record.payloads("SetChargingProfile")
