"""What comes out of a run of the main site? Results, a record of every second, and all frames that stations got."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from local_controller.app import LocalController
from local_controller.cli.demo_peers import broker, free_ports
from local_controller.config.load import load
from site_simulator.scenario import Results, RunningSite
from site_simulator.site import Amperes, SiteWorld
from site_simulator.wire import Record
from tests.e2e.patient_time import PatientTime
from tests.e2e.surroundings import HOST, circuits, meters, mqtt_limit, site_text, station_row
from tests.e2e.twenty_stations import BASE_A, DURATION_S, GRID_A, REDUCED_A, SITE

BOOT_S = 30.0
"""Real seconds for twenty handshakes and boots."""


@dataclass(frozen=True, slots=True)
class Second:
    """The grid connection at one moment: seconds since time began to flow, amperes per phase, the limit in force."""

    at_s: float
    current_a: Amperes
    limit_a: float

    @property
    def used(self) -> float:
        """The share of the limit that the most loaded phase uses."""
        return max(self.current_a) / self.limit_a


@dataclass(frozen=True, slots=True)
class MainRun:
    """A run that is over. stations, csms: the transcripts of both ends by station."""

    results: Results
    seconds: list[Second]
    stations: dict[str, Record]
    csms: dict[str, Record]
    speed: float
    versions: dict[str, str] = field(default_factory=dict)


async def main_run(clock: PatientTime, folder: Path) -> MainRun:
    """The run: real sockets for all, a real broker beside us, the gateway's solver in its worker process."""
    gateway_port, mqtt_port = free_ports(2)
    async with broker(mqtt_port, folder), RunningSite(SITE, f"ws://{HOST}:{gateway_port}", clock) as site:
        ports = {node: meter.port for node, meter in site.meters.items()}
        path = folder / "site.yaml"
        path.write_text(_site_file(site.csms.url, gateway_port, mqtt_port, ports), encoding="utf-8")
        async with LocalController(load(path), clock):
            seconds: list[Second] = []
            watching = asyncio.create_task(_watch(site.world, seconds))
            results = await site.play(DURATION_S, BOOT_S * clock.speed, mqtt_port)
            watching.cancel()
    stations = {name: station.record for name, station in site.stations.items()}
    versions = {spec.identity: spec.version for spec in SITE.stations}
    return MainRun(results, seconds, stations, dict(site.csms.records), clock.speed, versions)


def _site_file(csms_url: str, gateway_port: int, mqtt_port: int, ports: dict[str, int]) -> str:
    more = circuits(SITE.nodes, BASE_A) + meters(ports) + mqtt_limit(mqtt_port, SITE.limit_topic, REDUCED_A)
    rows = map(station_row, SITE.stations)
    return site_text(rows, csms_url=csms_url, port=gateway_port, fuse_a=GRID_A, base_a=BASE_A["grid"], more=more)


async def _watch(world: SiteWorld, seconds: list[Second]) -> None:
    grid = world.gauges["grid"]
    while True:
        seconds.append(Second(world.elapsed_s, grid.current_a, grid.limit_a or grid.node.fuse_a))
        await asyncio.sleep(1.0)


def calm(seconds: list[Second], changes_s: list[float], settle_s: float) -> Iterator[Second]:
    """The seconds at which nothing has changed for `settle_s`."""
    for second in seconds:
        if all(not change_s <= second.at_s < change_s + settle_s for change_s in changes_s):
            yield second
