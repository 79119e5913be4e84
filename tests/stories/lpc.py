"""Story 7: a grid operator's control box, as EEBUS LPC wants it: each state, and each way from one to another.

A bridge speaks for the control box over a real mosquitto. Three sites live through different parts of it at the same time,
ten times faster than real time; of the two hours of failsafe the gateway's clock leaps over most. Judged by the power at the
simulated meter: what may flow is what LPC allows, 15 s after it fell (G3), and where it rose cars must follow.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from site_simulator.clock import SimClock
from site_simulator.outlet import StationSpec
from site_simulator.peer import V16, V201
from site_simulator.vehicle import VehicleSpec
from tests.e2e.surroundings import HOST, until
from tests.stories.judge import Judge, Verdict
from tests.stories.leaping import LEAP_S
from tests.stories.limits import Broker
from tests.stories.stage import Setting, Stage

SPEED = 10.0
LIMIT, HEARTBEAT = "lpc/limit", "lpc/heartbeat"
VOLTS_V, NOISE_W = 230.0, 1.0
FAILSAFE_W, LOW_W, MIDDLE_W, HIGH_W = 4200.0, 2800.0, 5100.0, 7000.0
FULL_W = 2 * 32.0 * VOLTS_V
"""What both cars draw on their one phase when nothing limits them."""

REACT_S, RISE_S, STILL_S = 15.0, 120.0, 20.0
"""From a limit to its effect (G3); until cars have risen; so long a state is looked at."""

BEAT_S, SILENT_S, AUTONOMOUS_S, FAILSAFE_S = 50.0, 120.0, 120.0, 7200.0
START_S = 500.0
"""A process that starts on a busy machine takes ten times as long on this clock."""

BOUND = {"worst_excess_w": NOISE_W, "missed": 0.0, "too_soon": 0.0}

CAR = VehicleSpec(phases=1, max_a=32.0, need_wh=200_000.0, arrives_s=1.0)
STATIONS = (
    StationSpec("CP-1", V16, rotation="R", phases=1, vehicles=(CAR,)),
    StationSpec("CP-2", V201, rotation="S", phases=1, vehicles=(CAR,)),
)


@dataclass(slots=True)
class ControlBox:
    """What its bridge publishes; a heartbeat now and then while it is beating."""

    client: Client
    is_beating: bool = False

    def beat(self) -> None:
        """One heartbeat."""
        self.client.publish(HEARTBEAT, "{}", qos=1)

    async def live(self) -> None:
        """Until cancelled."""
        while True:
            if self.is_beating:
                self.beat()
            await asyncio.sleep(BEAT_S)

    def write(self, limit_w: float | None, duration_s: float | None = None) -> None:
        """A limit, or that none is active."""
        message = {"active": limit_w is not None, "limit_w": limit_w, "duration_s": duration_s}
        self.client.publish(LIMIT, json.dumps(message), qos=1)


class Play:
    """One of the sites and its control box. missed: rises that did not come, too_soon: what came before its time."""

    def __init__(self, stage: Stage, box: ControlBox, clock: SimClock) -> None:
        self.stage, self.box, self._clock = stage, box, clock
        self.allowed_w = FAILSAFE_W
        self.worst_excess_w = 0.0
        self.reached = self.missed = self.too_soon = 0

    @property
    def power_w(self) -> float:
        """At the meter; the building draws nothing."""
        return sum(self.stage.grid.current_a) * VOLTS_V

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            self.worst_excess_w = max(self.worst_excess_w, self.power_w - self.allowed_w)
            await asyncio.sleep(0.2)

    async def falls(self, to_w: float, for_s: float = STILL_S) -> None:
        """Less is allowed since just now: it has had its effect in time, and it stays."""
        await asyncio.sleep(REACT_S)
        self.allowed_w = to_w
        self.reached += 1
        await asyncio.sleep(for_s)

    async def rises(self, to_w: float, above_w: float, within_s: float = RISE_S) -> None:
        """More is allowed: the cars take more than was allowed before."""
        self.allowed_w = to_w
        try:
            await until(lambda: self.power_w > 1.1 * above_w, within_s)
        except TimeoutError:
            self.missed += 1
        else:
            self.reached += 1

    async def silent(self) -> None:
        """The control box says nothing any more; just before that is noticed all is as it was."""
        self.box.is_beating = False
        self.box.beat()
        await asyncio.sleep(SILENT_S - 10.0)
        self.too_soon += self.power_w <= 1.1 * FAILSAFE_W
        await asyncio.sleep(10.0)
        await self.falls(FAILSAFE_W)

    async def begins(self) -> None:
        """It runs and cars charge with the failsafe limit (LPC-901); then the control box is there, and limits nothing."""
        await self.charges()
        self.box.is_beating = True
        self.box.beat()
        self.box.write(None)
        await self.rises(FULL_W, FAILSAFE_W)

    async def charges(self) -> None:
        """Until about as much flows as the failsafe limit allows."""
        await until(lambda: self.power_w >= 0.8 * FAILSAFE_W, START_S)

    async def is_told(self, text: str, within_s: float) -> None:
        """Until the gateway says so."""
        await until(lambda: any(text in notice["text"] for notice in self.stage.notices("limit_changed")), within_s)

    def now_s(self) -> float:
        return self._clock.monotonic_s()


async def controlled(play: Play) -> None:
    """Alone after two minutes (LPC-906), limited, with an end, silent (LPC-911, LPC-912)."""
    await play.is_told("unlimited, autonomous", START_S)
    play.too_soon += play.now_s() - play.stage.started_s < AUTONOMOUS_S
    await play.rises(FULL_W, FAILSAFE_W)
    play.box.is_beating = True
    play.box.beat()
    play.box.write(LOW_W)
    await play.falls(LOW_W)
    play.box.write(MIDDLE_W, duration_s=60.0)
    await play.rises(MIDDLE_W, LOW_W, 60.0)
    await play.rises(FULL_W, MIDDLE_W)
    await play.silent()


async def back_again(play: Play) -> None:
    """Out of failsafe with a limit after a heartbeat (LPC-916), and two minutes after heartbeats alone (LPC-921)."""
    await play.begins()
    await play.silent()
    play.box.write(HIGH_W)
    await asyncio.sleep(STILL_S)
    play.box.is_beating = True
    play.box.beat()
    await asyncio.sleep(STILL_S)
    play.box.write(HIGH_W)
    await play.rises(HIGH_W, FAILSAFE_W)
    await play.silent()
    play.box.is_beating = True
    play.box.beat()
    await asyncio.sleep(AUTONOMOUS_S - 5.0)
    await play.rises(FULL_W, HIGH_W)


async def long_silent(play: Play) -> None:
    """Out of failsafe by its time (LPC-922); most of the two hours is leapt over."""
    await play.begins()
    since_s = play.now_s()
    await play.silent()
    play.stage.gateway.send_signal(signal.SIGUSR1)
    rest_s = FAILSAFE_S - LEAP_S + SILENT_S - (play.now_s() - since_s)
    await asyncio.sleep(rest_s - 5.0)
    await play.rises(FULL_W, FAILSAFE_W)


STORIES: dict[str, Callable[[Play], Awaitable[None]]] = {
    "controlled": controlled,
    "back": back_again,
    "silent": long_silent,
}


async def story(clock: SimClock, folder: Path) -> Verdict:
    """A little more than a minute and a half of real time."""
    plays = await asyncio.gather(*(_play(name, clock, folder / name) for name in STORIES))
    told = {
        "worst_excess_w": max(play.worst_excess_w for play in plays),
        "reached": float(sum(play.reached for play in plays)),
        "missed": float(sum(play.missed for play in plays)),
        "too_soon": float(sum(play.too_soon for play in plays)),
    }
    return Verdict(7, Judge.worst(play.stage.judge for play in plays), BOUND, told)


async def _play(name: str, clock: SimClock, folder: Path) -> Play:
    broker = Broker(folder)
    await broker.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(broker.stop)
        box = await stack.enter_async_context(_control_box(broker.port))
        stage = await stack.enter_async_context(Stage(setting(broker.port, clock), clock, folder))
        play = Play(stage, box, clock)
        tasks = [asyncio.create_task(play.watch()), asyncio.create_task(box.live())]
        stack.callback(lambda: [task.cancel() for task in tasks])
        await STORIES[name](play)
    return play


@asynccontextmanager
async def _control_box(port: int) -> AsyncIterator[ControlBox]:
    client = Client(CallbackAPIVersion.VERSION2, client_id="bridge")
    client.connect_async(HOST, port)
    client.loop_start()
    try:
        yield ControlBox(client)
    finally:
        client.disconnect()
        client.loop_stop()


def setting(port: int, clock: SimClock) -> Setting:
    """The site, whose gateway finds the broker at this port."""
    topics = f"limit: {{topic: {LIMIT}}}, heartbeat: {{topic: {HEARTBEAT}}}"
    return Setting(
        fuse_a=70.0,
        base_a=0.0,
        assumed_a=0.0,
        stations=STATIONS,
        fallback_a=0.0,
        more=(
            f"brokers: [{{id: site, host: {HOST}, port: {port}}}]\n"
            f"limits:\n  - {{id: box, source: lpc, broker: site, {topics}}}\n"
        ),
        boot_s=START_S,
        most_s=3000.0,
        module="tests.stories.leaping",
        arguments=(str(clock.speed), str(clock.origin_s), clock.origin_utc.isoformat()),
    )
