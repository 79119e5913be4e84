"""Story 1: the gateway dies at full load, the building takes more at that moment, and nobody regulates any more.

Every station must fall back by itself within the validity of its working limit and ten seconds (G11, layers L1 and L2).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from local_controller.cli.demo_peers import free_ports
from site_simulator.clock import SimClock
from site_simulator.demo_site import SiteSpec
from site_simulator.outlet import StationSpec
from site_simulator.peer import V16, V21, V201
from site_simulator.scenario import RunningSite
from site_simulator.site import BaseLoad, Node
from site_simulator.vehicle import VehicleSpec
from tests.e2e.surroundings import HOST, command, meters, site_text, station_row, until
from tests.stories.judge import Judge, Verdict

FUSE_A, BASE_A, MORE_A, FALLBACK_A = 70.0, 10.0, 10.0, 6.0
FULL_A = 60.0
"""From here on the connection counts as full: what the margin of the site leaves is a little more."""

VALID_S, FOLLOW_S, AFTERWARDS_S = 60.0, 10.0, 15.0
"""The shortest validity that a site file may ask for; what firmware and cars may need besides; how long we look on."""

BOUND = {"excess_s": VALID_S + FOLLOW_S, "integral_s": 20.0, "offered_afterwards_a": FALLBACK_A}
CAR = (VehicleSpec(max_a=32, need_wh=60_000, arrives_s=1),)


@dataclass(slots=True)
class Switched:
    """A load of the building that somebody switches on."""

    change_a: float = 0.0

    def at(self, _: float) -> float:
        """Amperes added."""
        return self.change_a


async def story(clock: SimClock, folder: Path) -> Verdict:
    """About two minutes of real time."""
    (port,) = free_ports(1)
    building, judge = Switched(), Judge(FUSE_A)
    load = BaseLoad(BASE_A, (building,))
    stations = tuple(StationSpec(f"CP-{n}", version, vehicles=CAR) for n, version in enumerate((V16, V201, V21, V16)))
    spec = SiteSpec((Node("grid", FUSE_A, None, (load, load, load)),), stations)
    async with RunningSite(spec, f"ws://{HOST}:{port}", clock) as site:
        path = folder / "site.yaml"
        ports = {name: meter.port for name, meter in site.meters.items()}
        more = f"{meters(ports)}control: {{working_limit_valid_s: {VALID_S:g}}}\n"
        rows = map(station_row, stations)
        text = site_text(rows, csms_url=site.csms.url, port=port, fuse_a=FUSE_A, base_a=BASE_A, more=more)
        path.write_text(text, encoding="utf-8")
        grid = site.world.gauges["grid"]
        outlets = [station.outlet for station in site.stations.values()]
        async with command("run", str(path), output=asyncio.subprocess.DEVNULL) as gateway:
            tasks = [asyncio.create_task(site.play(600, 60)), asyncio.create_task(judge.watch(site.world, "grid"))]
            await until(lambda: min(grid.current_a) >= FULL_A, 120)
            full_a = max(grid.current_a)
            gateway.kill()
            building.change_a = MORE_A
            await asyncio.sleep(VALID_S + FOLLOW_S)
            offered_a = 0.0
            for _ in range(int(AFTERWARDS_S)):
                offered_a = max(offered_a, *(outlet.offered_a for outlet in outlets))
                await asyncio.sleep(1.0)
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    return Verdict(1, judge, BOUND, {"full_a": full_a, "offered_afterwards_a": offered_a})
