"""Story 5: at full charging the building takes more at once, half of the rating behind a gG fuse, a quarter behind an SLS-E.

Stations and cars are as slow as they may be. The effect must be there after fifteen seconds, and the fuse must not have been
heated by more than its type bears (G3, G4).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from site_simulator.clock import SimClock
from tests.stories.judge import Judge, Verdict
from tests.stories.stage import STATIONS, Setting, Stage, slow

SETTING = Setting(fuse_a=70.0, base_a=10.0, stations=slow(STATIONS))
FULL_A, SETTLED_S, LASTS_S = 68.0, 15.0, 60.0
"""All that the margin leaves; until that was measured; how long we look on."""


@dataclass(frozen=True, slots=True)
class Step:
    """A fuse type, the building's step as a share of the rating, and the heat that the type bears."""

    fuse_type: str
    share: float
    integral_s: float


STEPS = (Step("gg", 0.5, 20.0), Step("sls_e", 0.25, 7.0))
BOUND = {"excess_s": 15.0, "integral_s": STEPS[0].integral_s, "integral_sls_e_s": STEPS[1].integral_s}


async def story(clock: SimClock, folder: Path) -> Verdict:
    """About two and a half minutes of real time."""
    gg, sls_e = await asyncio.gather(*(_play(step, clock, folder / step.fuse_type) for step in STEPS))
    return Verdict(5, Judge.worst((gg, sls_e)), BOUND, {"integral_sls_e_s": sls_e.integral_s})


async def _play(step: Step, clock: SimClock, folder: Path) -> Judge:
    async with Stage(replace(SETTING, fuse_type=step.fuse_type), clock, folder) as stage:
        await stage.full(FULL_A)
        await asyncio.sleep(SETTLED_S)
        stage.building.change_a = step.share * SETTING.fuse_a
        await asyncio.sleep(LASTS_S)
    return stage.judge
