"""How does a site run: CSMS, meters, stations, physics and grid operator, all at once, and what came out?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from site_simulator.clock import SimClock
from site_simulator.csms import SimulatedCsms
from site_simulator.demo_site import LimitChange, SiteSpec
from site_simulator.lines import PHASES
from site_simulator.meter import SimulatedMeter
from site_simulator.site import STEP_S, Excess, Placement, SiteWorld
from site_simulator.station import SimulatedStation
from site_simulator.words import stamp

ANNOUNCE_S, VALID_S = 10.0, 60
"""How often the grid operator repeats its limit, and how long each announcement holds."""


class StationsMissingError(Exception):
    """Not all stations could boot in time; the text names them."""


@dataclass(frozen=True, slots=True)
class NodePhase:
    """Excess of one phase of one node over its fuse and over the commanded limit: amperes, seconds, ampere-seconds."""

    node: str
    phase: str
    worst_excess_a: float
    longest_excess_s: float
    excess_integral_as: float
    limit_worst_excess_a: float
    limit_longest_excess_s: float


@dataclass(frozen=True, slots=True)
class Results:
    """What a run brought; the site's figures are the worst (integral: the sum) of all nodes and phases."""

    stations: int
    simulated_s: float
    worst_excess_a: float
    excess_integral_as: float
    longest_excess_s: float
    limit_worst_excess_a: float
    limit_longest_excess_s: float
    energy_kwh: float
    energy_kwh_by_station: dict[str, float]
    csms_errors: int
    complaints: list[str]
    profile_outcomes: list[str]
    nodes: list[NodePhase]

    def as_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


class RunningSite:
    """A site whose CSMS and meters listen; `play` connects the stations to the gateway and lets time flow."""

    def __init__(self, spec: SiteSpec, gateway_url: str | None, clock: SimClock) -> None:
        self.spec = spec
        self.csms = SimulatedCsms(clock, [station.identity for station in spec.stations], _passwords(spec))
        self.stations: dict[str, SimulatedStation] = {}
        self.meters: dict[str, SimulatedMeter] = {}
        self._gateway_url = gateway_url
        self._clock = clock
        self._open = AsyncExitStack()

    async def __aenter__(self) -> RunningSite:  # noqa: PYI034  # not made for inheritance
        """Listen with CSMS and meters. Without a gateway's URL the stations will talk to the CSMS itself."""
        await self._open.enter_async_context(self.csms)
        url = self._gateway_url or self.csms.url
        self.stations = {spec.identity: SimulatedStation(spec, url, self._clock) for spec in self.spec.stations}
        placements = [Placement(spec.identity, spec.circuit, spec.rotation) for spec in self.spec.stations]
        draws = {name: _draw(station) for name, station in self.stations.items()}
        self.world = SiteWorld(self.spec.nodes, placements, draws, self.spec.seed)
        for node in self.spec.metered:
            meter = SimulatedMeter(self.world.gauges[node])
            self.meters[node] = await self._open.enter_async_context(meter)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything that listens."""
        await self._open.aclose()

    @property
    def ports(self) -> dict[str, object]:
        """Where CSMS and meters listen, as the ready line tells it."""
        return {"csms": self.csms.url, "meters": {node: meter.port for node, meter in self.meters.items()}}

    async def play(self, duration_s: float, boot_within_s: float, mqtt_port: int | None = None) -> Results:
        """Run for `duration_s` simulated seconds after all stations have booted.

        Raises StationsMissingError if that takes longer than `boot_within_s`.
        """
        scenario: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        physics = asyncio.create_task(self._let_time_flow())
        talks = [asyncio.create_task(station.run(scenario)) for station in self.stations.values()]
        tasks = [physics, *talks]
        try:
            await self._all_booted(boot_within_s)
            start_s = self._clock.monotonic_s()
            scenario.set_result(start_s)
            tasks.append(asyncio.create_task(self.csms.follow(self.spec.orders, start_s)))
            tasks.append(asyncio.create_task(self._operate_grid(start_s, mqtt_port)))
            await self._until_over(duration_s, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return self._results(duration_s)

    async def _all_booted(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                for station in self.stations.values():
                    await station.booted.wait()
        except TimeoutError:
            names = [name for name, station in self.stations.items() if not station.booted.is_set()]
            missing = f"not booted within {within_s:.0f} simulated seconds: {', '.join(names)}"
            raise StationsMissingError(missing) from None

    @staticmethod
    async def _until_over(duration_s: float, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Sleep, but a task that fails meanwhile ends the run with its error."""
        done, _ = await asyncio.wait(tasks, timeout=duration_s, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def _let_time_flow(self) -> None:
        """Advance physics in fixed steps; after a delay of the machine, as many as are due."""
        done_s = self._clock.monotonic_s()
        while True:
            while done_s + STEP_S <= self._clock.monotonic_s():
                done_s += STEP_S
                for station in self.stations.values():
                    station.outlet.advance(done_s, self._clock.utc(), STEP_S)
                self.world.advance(STEP_S)
            await asyncio.sleep(STEP_S)

    async def _operate_grid(self, start_s: float, mqtt_port: int | None) -> None:
        """Announce the limits over MQTT; without a broker there is no grid operator."""
        if mqtt_port is None or not self.spec.limits:
            return
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="grid-operator")
        client.connect_async("127.0.0.1", mqtt_port)
        client.loop_start()
        try:
            await self._announce(client, start_s)
        finally:
            client.disconnect()
            client.loop_stop()

    async def _announce(self, client: mqtt.Client, start_s: float) -> None:
        while True:
            elapsed_s = self._clock.monotonic_s() - start_s
            past = [change for change in self.spec.limits if change.at_s <= elapsed_s]
            if past:
                self.world.command_limit(self.spec.limit_node, past[-1].max_a)
                message = {"ts": stamp(self._clock.utc()), "max_a": past[-1].max_a, "valid_s": VALID_S}
                client.publish(self.spec.limit_topic, json.dumps(message), qos=1)
            await asyncio.sleep(_pause_s(self.spec.limits, elapsed_s))

    def _results(self, simulated_s: float) -> Results:
        nodes = [
            NodePhase(name, phase, *_figures(fuse), *_figures(limit)[:2])
            for name, gauge in self.world.gauges.items()
            for phase, fuse, limit in zip(PHASES, gauge.over_fuse, gauge.over_limit, strict=True)
        ]
        energy = {name: round(station.outlet.energy_wh / 1000, 3) for name, station in self.stations.items()}
        complaints = self.csms.complaints + [
            f"{name} (station): {text}" for name, station in self.stations.items() for text in station.record.complaints
        ]
        return Results(
            stations=len(self.stations),
            simulated_s=simulated_s,
            worst_excess_a=max(row.worst_excess_a for row in nodes),
            excess_integral_as=sum(row.excess_integral_as for row in nodes),
            longest_excess_s=max(row.longest_excess_s for row in nodes),
            limit_worst_excess_a=max(row.limit_worst_excess_a for row in nodes),
            limit_longest_excess_s=max(row.limit_longest_excess_s for row in nodes),
            energy_kwh=round(sum(energy.values()), 3),
            energy_kwh_by_station=energy,
            csms_errors=len(self.csms.complaints),
            complaints=complaints,
            profile_outcomes=self.csms.outcomes,
            nodes=nodes,
        )


def _passwords(spec: SiteSpec) -> dict[str, str]:
    return {station.identity: station.password for station in spec.stations if station.password is not None}


def _draw(station: SimulatedStation) -> Callable[[], Sequence[float]]:
    return lambda: station.outlet.currents_a


def _figures(excess: Excess) -> tuple[float, float, float]:
    return round(excess.worst_a, 3), round(excess.longest_s, 1), round(excess.integral_as, 2)


def _pause_s(limits: Sequence[LimitChange], elapsed_s: float) -> float:
    """Until the next announcement: the repetition, or a change that comes earlier."""
    ahead = [change.at_s - elapsed_s for change in limits if change.at_s > elapsed_s]
    return min([ANNOUNCE_S, *ahead])


async def run_site(  # noqa: PLR0913  # the site, its surroundings and its times
    spec: SiteSpec,
    gateway_url: str | None,
    clock: SimClock,
    *,
    duration_s: float,
    mqtt_port: int | None = None,
    boot_within_s: float = 600.0,
    ready: Callable[[dict[str, object]], None] = lambda _: None,
) -> Results:
    """A whole run; `ready` is told the ports before any station connects."""
    async with RunningSite(spec, gateway_url, clock) as site:
        ready(site.ports)
        return await site.play(duration_s, boot_within_s, mqtt_port)
