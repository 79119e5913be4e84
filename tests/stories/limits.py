"""Story 3: the broker freezes, comes back with an old retained limit, or with one without a time stamp; the clock is set.

An EMS limits the site over a real mosquitto. Each of these has a site of its own, all at the same time. What may flow is the
limit in force, or the fallback of the limit once it has outlasted its validity; a clock that is set changes nothing, and the
limits that stations were told after it end as they must when the gateway then dies.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from local_controller.cli.demo_peers import free_ports
from site_simulator.clock import SimClock
from tests.e2e.surroundings import HOST, program
from tests.stories.judge import Judge, Verdict
from tests.stories.stage import GRID, STATIONS, Setting, Stage, slow

SETTING = Setting(fuse_a=70.0, base_a=10.0, valid_s=60.0)
TOPIC = "ems/limit"
HIGH_A, LOW_A, FULL_A = 60.0, 40.0, 50.0
"""What the EMS allows at first and then; the lower one is its fallback too. From then on the higher one counts as used."""

MAX_AGE_S, EVERY_S = 20.0, 5.0
"""A third of the default, so that the story is short; how often the EMS speaks."""

REACT_S, FOLLOW_S, LOOK_S, AFTERWARDS_S = 15.0, 10.0, 35.0, 5.0
"""From a limit to its effect (G3); from the end of a working limit; how long we look on, and after the last end."""

FALLBACK_A, NOISE_A = 6.0, 0.5
BOUND = {"worst_excess_a": 0.0, "integral_s": 20.0, "offered_afterwards_a": FALLBACK_A, "lowered_by_clock_a": NOISE_A}


class Broker:
    """A mosquitto that remembers what is retained, and that can be stopped."""

    def __init__(self, folder: Path) -> None:
        """Does not run yet; its files will be in this new folder."""
        folder.mkdir()
        (self.port,) = free_ports(1)
        self._config = folder / "mosquitto.conf"
        lines = (
            f"listener {self.port} {HOST}",
            "allow_anonymous true",
            "persistence true",
            f"persistence_location {folder}/",
        )
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._log = folder / "broker.log"

    async def start(self) -> None:
        """Runs; with what was retained before."""
        with self._log.open("ab") as log:
            arguments = (program("mosquitto"), "-c", str(self._config))
            self.process = await asyncio.create_subprocess_exec(*arguments, stdout=log, stderr=log)

    async def stop(self) -> None:
        """Gone, also if it was frozen."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGCONT)
        await self.process.wait()


@dataclass(slots=True)
class Ems:
    """Repeats its limit every few seconds, None: says nothing."""

    client: Client
    limit_a: float | None = HIGH_A

    async def speak(self) -> None:
        """Until cancelled."""
        while True:
            if self.limit_a is not None:
                self.say(self.limit_a)
            await asyncio.sleep(EVERY_S)

    def say(self, limit_a: float, *, retain: bool = False, stamped: bool = True) -> None:
        """One message, as of now."""
        stamp = {"ts": datetime.now(UTC).isoformat()} if stamped else {}
        self.client.publish(TOPIC, json.dumps(stamp | {"max_a": limit_a, "valid_s": MAX_AGE_S}), qos=1, retain=retain)


@asynccontextmanager
async def ems(port: int) -> AsyncIterator[Ems]:
    """An EMS that speaks through the broker at this port."""
    client = Client(CallbackAPIVersion.VERSION2, client_id="ems")
    client.connect_async(HOST, port)
    client.loop_start()
    one = Ems(client)
    speaking = asyncio.create_task(one.speak())
    try:
        yield one
    finally:
        speaking.cancel()
        client.disconnect()
        client.loop_stop()


@dataclass(slots=True)
class Play:
    """One of the sites, and what came of it. limited: the judge by the limit in force, once it must have had its effect."""

    stage: Stage
    broker: Broker
    ems: Ems
    limited: Judge = field(default_factory=lambda: Judge(LOW_A))
    offered_a: float = 0.0
    lowered_a: float = 0.0

    async def lowered(self) -> None:
        """All that the EMS allows was used and measured; then it has lowered its limit, and that has had its effect."""
        await self.stage.full(FULL_A)
        await asyncio.sleep(REACT_S)
        self.ems.limit_a = LOW_A
        self.ems.say(LOW_A)
        await asyncio.sleep(REACT_S)

    async def look_on(self) -> None:
        """What flows is compared with the lower limit."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self.limited.watch(self.stage.site.world, GRID)


async def frozen(play: Play) -> None:
    """The broker stands still, its connections stay."""
    await play.stage.full(FULL_A)
    play.broker.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(MAX_AGE_S + REACT_S)
    await play.look_on()


def came_back(*, stamped: bool) -> Callable[[Play], Awaitable[None]]:
    """The broker restarts with a high limit that was retained long ago, while a low one is in force."""

    async def story(play: Play) -> None:
        play.ems.say(HIGH_A, retain=True, stamped=stamped)
        await play.lowered()
        play.ems.limit_a = None
        await play.broker.stop()
        await play.broker.start()
        await play.look_on()

    return story


def clock_set(number: signal.Signals) -> Callable[[Play], Awaitable[None]]:
    """The gateway's clock is set, the EMS goes on; then the gateway dies."""

    async def story(play: Play) -> None:
        await play.lowered()
        before_a = min(play.stage.grid.current_a)
        play.stage.gateway.send_signal(number)
        await play.look_on()
        play.lowered_a = before_a - min(play.stage.grid.current_a)
        play.stage.gateway.kill()
        await asyncio.sleep(SETTING.valid_s + FOLLOW_S)
        play.offered_a = await play.stage.most_offered_a(AFTERWARDS_S)

    return story


SLOW, SETTABLE = replace(SETTING, stations=slow(STATIONS)), replace(SETTING, module="tests.stories.settable")
STORIES = {
    "frozen": (frozen, SLOW),
    "old": (came_back(stamped=True), SLOW),
    "unstamped": (came_back(stamped=False), SLOW),
    "forward": (clock_set(signal.SIGUSR1), SETTABLE),
    "back": (clock_set(signal.SIGUSR2), SETTABLE),
}


async def story(clock: SimClock, folder: Path) -> Verdict:
    """About three minutes of real time."""
    played = await asyncio.gather(*(_play(name, clock, folder / name) for name in STORIES))
    judges = [judge for play in played for judge in (play.stage.judge, play.limited)]
    told = {
        "offered_afterwards_a": max(play.offered_a for play in played),
        "lowered_by_clock_a": max(play.lowered_a for play in played),
    }
    return Verdict(3, Judge.worst(judges), BOUND, told)


async def _play(name: str, clock: SimClock, folder: Path) -> Play:
    tell, setting = STORIES[name]
    broker = Broker(folder)
    await broker.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(broker.stop)
        speaker = await stack.enter_async_context(ems(broker.port))
        more = (
            f"brokers: [{{id: site, host: {HOST}, port: {broker.port}}}]\n"
            f"limits:\n  - {{id: ems, broker: site, topic: {TOPIC}, fallback_a: {LOW_A:g}, max_age_s: {MAX_AGE_S:g}}}\n"
        )
        stage = await stack.enter_async_context(Stage(replace(setting, more=more), clock, folder))
        play = Play(stage, broker, speaker)
        await tell(play)
    return play
