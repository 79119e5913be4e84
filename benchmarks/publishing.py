"""What does it cost to tell the state of a large site over MQTT? One JSON object a line, in real time beside a real broker.

Every car charges; a tenth of the stations measure in each second, each something else than before, so that everything changes
every ten seconds. Processor time is that of the process, paho's thread included, without the site itself. The loop is watched
by a task that wants a turn every 10 ms; the line "nothing" says what that costs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import random
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import structlog

from benchmarks.site_reaction import Timeline, tree
from local_controller.adapters.mqtt import BrokerSettings, BrokerState, MqttBroker
from local_controller.adapters.publishing.publisher import Publisher
from local_controller.adapters.site_driver import in_turns
from local_controller.cli.demo_peers import broker, free_ports
from local_controller.clock import Clock, Instant
from local_controller.config.load import examined
from local_controller.config.models import SiteConfig
from local_controller.site.effects import Notice
from local_controller.site.snapshot import SiteSnapshot, pieces

LOOK_S = 0.01
FIRST_S = 5.0
"""So long the announcement of everything may take."""

SITE = """
site: {{name: Bench, mode: control}}
csms: {{url: "ws://csms/ocpp"}}
listen: {{limits: {{max_connections: 5000}}}}
grid_connection: {{fuse_a: 6300, assumed_base_load_a: 0}}
brokers: [{{id: b, host: 127.0.0.1, port: {port}}}]
publish: {{broker: b, prefix: lc/bench, every_s: {every_s}, home_assistant: true}}
stations:
"""


class Site:
    """The site of a timeline as a publisher sees it."""

    def __init__(self, evses: int) -> None:
        self.line = Timeline(tree(evses, circuits=False))
        self.line.begin()
        self.notices: deque[tuple[Instant, Notice]] = deque()
        self.cpu_s = 0.0
        self._random = random.Random(1)
        self._second = 0

    async def picture(self) -> SiteSnapshot:
        """As the driver makes it."""
        return await in_turns(pieces(self.line.site, self.line.now))

    def second(self) -> None:
        """One more; what it costs is no matter here."""
        begun_s = time.thread_time()
        line = self.line
        line.now = line.now.after(1.0)
        self._second += 1
        for reading in line.stations.readings(line.now):
            line.do(lambda: line.site.meter_read(reading, line.now))  # noqa: B023  (at once)
        measuring = line.ids[self._second % 10 :: 10]
        line.tell([(i.station, line.stations.sample(i, self._random.uniform(-1.0, 0.0))) for i in measuring])
        self.cpu_s += time.thread_time() - begun_s


class Counted:
    """The broker, and how many messages it took."""

    def __init__(self, link: MqttBroker) -> None:
        self._link = link
        self.messages = 0

    @property
    def connections(self) -> int:
        """As of the broker."""
        return self._link.connections

    @property
    def is_connected(self) -> bool:
        """As of the broker."""
        return self._link.is_connected

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> bool:
        """As of the broker."""
        is_taken = self._link.publish(topic, payload, retain=retain)
        self.messages += is_taken
        return is_taken


class Watch:
    """How long nobody else had a turn, at worst."""

    def __init__(self) -> None:
        self.worst_s = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            begun_s = time.perf_counter()
            await asyncio.sleep(LOOK_S)
            self.worst_s = max(self.worst_s, time.perf_counter() - begun_s - LOOK_S)


def site_file(evses: int, port: int, every_s: float) -> SiteConfig:
    """The site file of the same stations, with fallbacks that no proof minds."""
    rows = "".join(f"  - {{id: CP-{n}, fallback_a: 0}}\n" for n in range(evses))
    config, mistakes = examined(SITE.format(port=port, every_s=every_s) + rows, ())
    if config is None:
        raise SystemExit(f"the site file of this benchmark is wrong: {mistakes}")
    return config


async def measured(site: Site, counted: Counted, seconds: float, watch: Watch) -> dict[str, Any]:
    """What so many seconds cost."""
    begun_s, cpu_s, site_s, messages = time.perf_counter(), time.process_time(), site.cpu_s, counted.messages
    watch.worst_s = 0.0
    while (left_s := begun_s + seconds - time.perf_counter()) > 0:
        site.second()
        await asyncio.sleep(min(1.0, left_s))
    wall_s = time.perf_counter() - begun_s
    cpu_s = time.process_time() - cpu_s - (site.cpu_s - site_s)
    return {
        "messages": counted.messages - messages,
        "messages_per_s": round((counted.messages - messages) / wall_s, 1),
        "cpu_percent": round(100 * cpu_s / wall_s, 2),
        "worst_wait_ms": round(watch.worst_s * 1000, 1),
    }


async def figures(evses: int, every_s: float, seconds: float, folder: Path) -> None:
    """One line without publishing, one of the first round, one of going on."""
    (port,) = free_ports(1)
    config = site_file(evses, port, every_s)
    if config.publish is None:
        raise AssertionError("the site file has this section")
    site, watch = Site(evses), Watch()
    publisher = Publisher(config, config.publish, site, Clock())
    settings = BrokerSettings("b", "127.0.0.1", port, availability_topic=publisher.availability_topic)
    gc.freeze()  # as the gateway does, which keeps the collector away from what lasts
    async with broker(port, folder):
        link = MqttBroker(settings, lambda *_: None, _ignored, Clock(), structlog.get_logger())
        counted = Counted(link)
        watching = asyncio.create_task(watch.run())
        await link.start()
        while not link.is_connected:  # noqa: ASYNC110  (it tells nobody else)
            await asyncio.sleep(0.05)
        site.second()
        say(evses, every_s, "nothing", await measured(site, counted, FIRST_S, watch))
        await publisher.start(counted)
        say(evses, every_s, "first", await measured(site, counted, FIRST_S, watch))
        say(evses, every_s, "steady", await measured(site, counted, seconds, watch))
        await publisher.stop()
        watching.cancel()
        await link.stop()


def _ignored(_state: BrokerState) -> None:
    pass


def say(evses: int, every_s: float, what: str, found: dict[str, Any]) -> None:
    """One line."""
    print(json.dumps({"evses": evses, "every_s": every_s, "what": what, **found}), flush=True)


def main() -> None:
    """All lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evses", type=int, nargs="*", default=[50, 500])
    parser.add_argument("--every-s", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        for evses in options.evses:
            asyncio.run(figures(evses, options.every_s, options.seconds, Path(folder)))


if __name__ == "__main__":
    main()
