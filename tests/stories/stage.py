"""What surrounds the gateway in every story? `local-controller run` as a process of its own, and a site in real sockets.

Stations, CSMS and meter are simulated; between meter and gateway lies a line that a story may spoil (`line.py`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from local_controller.cli.demo_peers import free_ports
from site_simulator.clock import SimClock
from site_simulator.demo_site import SiteSpec
from site_simulator.meter import SimulatedMeter
from site_simulator.outlet import Outlet, StationSpec
from site_simulator.peer import V16, V21, V201
from site_simulator.scenario import RunningSite
from site_simulator.site import BaseLoad, Gauge, Node
from site_simulator.vehicle import VehicleSpec
from tests.e2e.surroundings import HOST, command, meters, site_text, station_row, until
from tests.stories.judge import Judge
from tests.stories.line import Line

GRID = "grid"
CAR = VehicleSpec(max_a=32, need_wh=60_000, arrives_s=1)
STATIONS = tuple(StationSpec(f"CP-{n}", version, vehicles=(CAR,)) for n, version in enumerate((V16, V201, V21, V16)))

PWM_S, EV_S = 5.0, 5.0
"""The slowest that grid-and-safety §7 expects: of a station until the pilot signal follows, of a car after that."""


def slow(stations: Sequence[StationSpec]) -> tuple[StationSpec, ...]:
    """The same stations and cars, as slow as they may be."""
    return tuple(
        replace(spec, obey_delay_s=PWM_S, vehicles=tuple(replace(car, reaction_s=EV_S) for car in spec.vehicles))
        for spec in stations
    )


@dataclass(slots=True)
class Switched:
    """A load of the building that somebody switches on."""

    change_a: float = 0.0

    def at(self, _: float) -> float:
        """Amperes added."""
        return self.change_a


@dataclass(frozen=True, slots=True)
class Setting:
    """The site of a story. base_a, assumed_a: what the building takes at first, and at most by the site file.

    valid_s: of a working limit; 60 is the shortest that a site file may ask for. more: further sections of that file.
    fallback_a: of every station. of_grid: further keys of the grid connection. loads: of the building instead of `base_a`.
    least_a: of the building on each phase; negative where it may feed in.
    make_meter: of the main fuse, and what the site file says about it besides its address. module,
    arguments: what is run, and what it is told beside `run` and the site file. boot_s, most_s: how long stations may take to
    boot, and the longest story.
    """

    fuse_a: float = 70.0
    fuse_type: str = "gg"
    base_a: float = 10.0
    assumed_a: float = 10.0
    valid_s: float = 60.0
    stations: tuple[StationSpec, ...] = STATIONS
    more: str = ""
    fallback_a: float = 6.0
    of_grid: str = ""
    loads: tuple[float, float, float] | None = None
    least_a: float = 0.0
    make_meter: Callable[[Gauge], SimulatedMeter] = SimulatedMeter
    of_meter: str = ""
    module: str = "local_controller"
    arguments: tuple[str, ...] = ()
    boot_s: float = 180.0
    most_s: float = 900.0


class Stage:
    """A story that runs: its site, the judge at the main fuse, the building's switch, the line to the meter."""

    def __init__(self, setting: Setting, clock: SimClock, folder: Path) -> None:
        """Nothing listens yet; `port` is where the gateway will."""
        (self.port,) = free_ports(1)
        self.setting, self.folder = setting, folder
        folder.mkdir(exist_ok=True)
        self.building, self.line, self.judge = Switched(), Line(), Judge(setting.fuse_a)
        l1, l2, l3 = (
            BaseLoad(a, (self.building,), least_a=setting.least_a) for a in setting.loads or (setting.base_a,) * 3
        )
        spec = SiteSpec((Node(GRID, setting.fuse_a, None, (l1, l2, l3)),), setting.stations, metered=())
        self.site = RunningSite(spec, f"ws://{HOST}:{self.port}", clock)
        self._open = AsyncExitStack()
        self._tasks: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> Self:
        """All listens and flows, and the gateway has been started."""
        await self._open.enter_async_context(self.site)
        meter = await self._open.enter_async_context(self.setting.make_meter(self.grid))
        await self._open.enter_async_context(self.line.to(meter.port))
        self._path.write_text(self._site_file(), encoding="utf-8")
        await self.start()
        playing, judging = (
            self.site.play(self.setting.most_s, self.setting.boot_s),
            self.judge.watch(self.site.world, GRID),
        )
        self._tasks = [asyncio.create_task(playing), asyncio.create_task(judging)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """All is gone, the gateway too."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._open.aclose()

    async def start(self) -> None:
        """A gateway with this site file, also after the one before was killed."""
        log = self._open.enter_context(self._log.open("ab"))
        told = "run", str(self._path), *self.setting.arguments
        self.started_s = asyncio.get_running_loop().time()
        process = command(*told, output=log, module=self.setting.module)
        self.gateway = await self._open.enter_async_context(process)

    async def full(self, from_a: float, within_s: float = 120.0) -> float:
        """Until so much flows on every phase; how much it then is on the most loaded one."""
        await until(lambda: self._is_full(from_a), within_s)
        return max(self.grid.current_a)

    def _is_full(self, from_a: float) -> bool:
        """A story without its gateway would show nothing."""
        if self.gateway.returncode is not None:
            raise AssertionError(f"the gateway has ended by itself: {self._log.read_text(encoding='utf-8')[-2000:]}")
        return min(self.grid.current_a) >= from_a

    @property
    def grid(self) -> Gauge:
        """The main fuse as it really is."""
        return self.site.world.gauges[GRID]

    @property
    def outlets(self) -> list[Outlet]:
        """The plugs of all stations."""
        return [station.outlet for station in self.site.stations.values()]

    @property
    def offered_a(self) -> float:
        """The highest pilot signal of all stations."""
        return max(outlet.offered_a for outlet in self.outlets)

    async def most_offered_a(self, for_s: float) -> float:
        """The highest pilot signal of all stations, for so long from now on."""
        most_a = 0.0
        for _ in range(round(for_s)):
            most_a = max(most_a, self.offered_a)
            await asyncio.sleep(1.0)
        return most_a

    def notices(self, *codes: str) -> list[dict[str, Any]]:
        """What the gateway has logged under these names, oldest first."""
        lines = self._log.read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry for entry in entries if entry["event"] in codes]

    @property
    def _path(self) -> Path:
        return self.folder / "site.yaml"

    @property
    def _log(self) -> Path:
        return self.folder / "gateway.log"

    def _site_file(self) -> str:
        setting = self.setting
        meter = meters({GRID: self.line.port}).rstrip("}\n") + f"{setting.of_meter}}}\n"
        more = f"{meter}control: {{working_limit_valid_s: {setting.valid_s:g}}}\n{setting.more}"
        rows = (station_row(station, setting.fallback_a) for station in setting.stations)
        where = {"csms_url": self.site.csms.url, "port": self.port}
        fuse = {"fuse_a": setting.fuse_a, "fuse_type": setting.fuse_type}
        return site_text(rows, **where, **fuse, base_a=setting.assumed_a, of_grid=setting.of_grid, more=more)
