"""What comes out of a run of the main site? Results, a record of every second, and all frames that stations got."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from local_controller.app import LocalController
from local_controller.cli.demo_peers import broker, free_ports
from local_controller.config.load import load
from site_simulator.scenario import Results, RunningSite
from site_simulator.site import Amperes, SiteWorld
from site_simulator.wire import Record
from tests.e2e.surroundings import HOST, circuits, meters, mqtt_limit, site_text, station_row
from tests.e2e.twenty_stations import BASE_A, DURATION_S, GRID_A, REDUCED_A, SITE
from tests.patient_time import PatientTime

PREFIX = "lc/main"

BOOT_S = 30.0
"""Real seconds for twenty handshakes and boots."""


@dataclass(frozen=True, slots=True)
class Second:
    """The grid connection at one moment: seconds since time began to flow, amperes per phase, the limit in force.

    told_a: the amperes that the gateway has published last.
    """

    at_s: float
    current_a: Amperes
    limit_a: float
    told_a: Amperes | None

    @property
    def used(self) -> float:
        """The share of the limit that the most loaded phase uses."""
        return max(self.current_a) / self.limit_a


@dataclass(frozen=True, slots=True)
class MainRun:
    """A run that is over. stations, csms: the transcripts of both ends by station. told: by topic, what was published last."""

    results: Results
    seconds: list[Second]
    stations: dict[str, Record]
    csms: dict[str, Record]
    speed: float
    told: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)


async def main_run(clock: PatientTime, folder: Path) -> MainRun:
    """The run: real sockets for all, a real broker beside us, the gateway's solver in its worker process."""
    gateway_port, mqtt_port = free_ports(2)
    async with broker(mqtt_port, folder), RunningSite(SITE, f"ws://{HOST}:{gateway_port}", clock) as site:
        ports = {node: meter.port for node, meter in site.meters.items()}
        path = folder / "site.yaml"
        path.write_text(_site_file(site.csms.url, gateway_port, mqtt_port, ports), encoding="utf-8")
        with subscriber(mqtt_port) as payloads:
            async with LocalController(load(path), clock):
                seconds: list[Second] = []
                watching = asyncio.create_task(_watch(site.world, payloads, seconds))
                results = await site.play(DURATION_S, BOOT_S * clock.speed, mqtt_port)
                watching.cancel()
                told = {topic: json.loads(payload) for topic, payload in payloads.items() if payload[:1] == b"{"}
    stations = {name: station.record for name, station in site.stations.items()}
    versions = {spec.identity: spec.version for spec in SITE.stations}
    return MainRun(results, seconds, stations, dict(site.csms.records), clock.speed, told, versions)


def _site_file(csms_url: str, gateway_port: int, mqtt_port: int, ports: dict[str, int]) -> str:
    more = circuits(SITE.nodes, BASE_A) + meters(ports) + mqtt_limit(mqtt_port, SITE.limit_topic, REDUCED_A)
    more += f"publish: {{broker: site, prefix: {PREFIX}, every_s: 60}}\n"
    rows = map(station_row, SITE.stations)
    return site_text(rows, csms_url=csms_url, port=gateway_port, fuse_a=GRID_A, base_a=BASE_A["grid"], more=more)


@contextmanager
def subscriber(port: int) -> Iterator[dict[str, bytes]]:
    """What was published last below the gateway's prefix, by the rest of the topic; of a client in a thread of its own."""
    told: dict[str, bytes] = {}

    def hear(_client: Client, _data: Any, message: MQTTMessage) -> None:
        told[message.topic.removeprefix(f"{PREFIX}/")] = message.payload

    client = Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda *_: client.subscribe(f"{PREFIX}/#")
    client.on_message = hear
    client.connect_async(HOST, port)
    client.loop_start()
    try:
        yield told
    finally:
        client.disconnect()
        client.loop_stop()


async def _watch(world: SiteWorld, told: dict[str, bytes], seconds: list[Second]) -> None:
    grid = world.gauges["grid"]
    while True:
        told_a = json.loads(told.get("circuit/grid", b"{}")).get("drawn_a")
        seconds.append(Second(world.elapsed_s, grid.current_a, grid.limit_a or grid.node.fuse_a, told_a))
        await asyncio.sleep(1.0)


def calm(seconds: list[Second], changes_s: list[float], settle_s: float) -> Iterator[Second]:
    """The seconds at which nothing has changed for `settle_s`."""
    for second in seconds:
        if all(not change_s <= second.at_s < change_s + settle_s for change_s in changes_s):
            yield second
