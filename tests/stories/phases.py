"""Story 8: cars that use one, two and three phases, at stations that are connected in every rotation.

The fuse of each phase and the limit on how much one phase may carry more than another hold at every moment, also when
those leave that balanced others. Judged by phasors, which know of neither rows nor limits.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from site_simulator.clock import SimClock
from site_simulator.outlet import StationSpec
from site_simulator.peer import V16, V21, V201
from site_simulator.vehicle import VehicleSpec
from tests.stories.judge import Judge, Verdict
from tests.stories.phasors import Phasors
from tests.stories.stage import Setting, Stage

FUSE_A, ASYMMETRY_A = 70.0, 20.0
BUILDING_A = (11.0, 10.0, 10.0)
LEFT_A = 3.0
"""A story that leaves more than this of what the limit allows has shown nothing: the margin and a step."""

LASTS_S = 125.0
BOUND = {
    "worst_excess_a": 0.0,
    "integral_s": 0.0,
    "full_a": FUSE_A,
    "asymmetry_a": ASYMMETRY_A,
    "asymmetry_left_a": LEFT_A,
    "neutral_a": FUSE_A,
}


def _car(phases: int, arrives_s: float, departs_s: float | None = None) -> VehicleSpec:
    return VehicleSpec(phases=phases, max_a=32.0, need_wh=60_000.0, arrives_s=arrives_s, departs_s=departs_s)


STATIONS = (
    StationSpec("CP-1", V16, rotation="TRS", vehicles=(_car(3, 1),)),
    StationSpec("CP-2", V201, rotation="RTS", vehicles=(_car(3, 2, 95),)),
    StationSpec("CP-3", V21, rotation="RST", vehicles=(_car(1, 20),)),
    StationSpec("CP-4", V16, rotation="SRT", vehicles=(_car(1, 22),)),
    StationSpec("CP-5", V201, rotation="TSR", vehicles=(_car(1, 24, 75), _car(3, 100))),
    StationSpec("CP-6", V16, rotation="STR", vehicles=(_car(2, 26, 90),)),
    StationSpec("CP-7", V21, rotation="R", phases=1, vehicles=(_car(1, 28),)),
)


async def story(clock: SimClock, folder: Path) -> Verdict:
    """A little more than two minutes of real time."""
    of_grid = f", asymmetry_a: {ASYMMETRY_A:g}"
    setting = Setting(FUSE_A, assumed_a=11.0, stations=STATIONS, fallback_a=0.0, of_grid=of_grid, loads=BUILDING_A)
    async with Stage(setting, clock, folder) as stage:
        phasors, meter = Phasors(BUILDING_A, stage.outlets), Uneven()
        with suppress(TimeoutError):
            async with asyncio.timeout(LASTS_S), asyncio.TaskGroup() as looking:
                looking.create_task(phasors.watch())
                looking.create_task(meter.watch(stage))
        return _verdict(stage.judge, phasors, meter.asymmetry_a)


class Uneven:
    """The greatest difference between two phases at the simulated meter."""

    def __init__(self) -> None:
        self.asymmetry_a = 0.0

    async def watch(self, stage: Stage) -> None:
        while True:
            await asyncio.sleep(0.1)
            current_a = stage.grid.current_a
            self.asymmetry_a = max(self.asymmetry_a, max(current_a) - min(current_a))


def _verdict(judge: Judge, phasors: Phasors, at_meter_a: float) -> Verdict:
    asymmetry_a = max(phasors.asymmetry_a, at_meter_a)
    told = {
        "full_a": phasors.full_a,
        "asymmetry_a": asymmetry_a,
        "asymmetry_left_a": ASYMMETRY_A - asymmetry_a,
        "neutral_a": phasors.neutral_a,
    }
    return Verdict(8, judge, BOUND, told)
