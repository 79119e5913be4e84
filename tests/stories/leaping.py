"""`local-controller run` on a clock that runs faster, and whose monotonic time leaps when SIGUSR1 comes.

`python -m tests.stories.leaping run SITE SPEED ORIGIN_S ORIGIN_UTC`. The time of day goes on as before.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from local_controller.app import LocalController
from local_controller.cli.logs import configure
from local_controller.clock import Clock, Instant
from local_controller.config.load import load
from site_simulator.clock import SimClock
from site_simulator.clock import run as run_on

LEAP_S = 6900.0


@dataclass(frozen=True, slots=True)
class LeapingClock(Clock):
    """leaps: each made so far, in seconds."""

    leaps: tuple[list[float]] = ([],)

    def monotonic_s(self) -> float:
        return Clock.monotonic_s(self) + sum(self.leaps[0])

    def now(self) -> Instant:
        now = Clock.now(self)
        return Instant(now.monotonic_s + sum(self.leaps[0]), now.utc)


async def until_stopped(site: Path, clock: LeapingClock) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: clock.leaps[0].append(LEAP_S))
    async with LocalController(load(site), clock):
        await stopped.wait()


def main() -> None:
    _, site, speed, origin_s, origin_utc = sys.argv[1:]
    configure("info", as_json=True)
    origin = float(speed), float(origin_s), datetime.fromisoformat(origin_utc)
    run_on(until_stopped(Path(site), LeapingClock(*origin)), SimClock(*origin))


if __name__ == "__main__":
    main()
