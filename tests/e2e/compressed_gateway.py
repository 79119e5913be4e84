"""How does the gateway run as a process of its own on compressed time? As `local-controller run`, but on a scaled loop.

`python compressed_gateway.py SITE SPEED ORIGIN_S ORIGIN_UTC` prints one line when it controls the site; SIGTERM ends it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import datetime
from pathlib import Path

from local_controller.app import LocalController
from local_controller.cli.logs import configure
from local_controller.clock import Clock
from local_controller.config.load import load
from site_simulator.clock import ScaledEventLoop, SimClock


async def until_stopped(site: Path, clock: Clock) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with LocalController(load(site), clock):
        sys.stdout.write("running\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> None:
    site, speed, origin_s, origin_utc = sys.argv[1:]
    configure("info", as_json=True)
    clock = Clock(float(speed), float(origin_s), datetime.fromisoformat(origin_utc))
    compressed = SimClock(clock.speed, clock.origin_s, datetime.fromisoformat(origin_utc))
    with asyncio.Runner(loop_factory=lambda: ScaledEventLoop(compressed)) as runner:
        runner.run(until_stopped(Path(site), clock))


if __name__ == "__main__":
    main()
