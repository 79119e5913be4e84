"""Story 1: the gateway dies at full load. On one site nobody takes over, on another a new process does so at once.

Where nobody does, the building takes more in the same instant, and every station must fall back by itself within the validity
of its working limit and ten seconds (G11, layers L1 and L2). Where a new one does, there is no reason to lower anybody (G23).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from site_simulator.clock import SimClock
from tests.stories.judge import Judge, Verdict
from tests.stories.stage import STATIONS, Setting, Stage, slow

MORE_A, FALLBACK_A = 10.0, 6.0
FULL_A = 60.0
"""From here on the connection counts as full: what the margin of the site leaves is a little more."""

FOLLOW_S, AFTERWARDS_S = 10.0, 15.0
"""What firmware and cars may need besides the validity; how long we look on."""

SETTING = Setting(fuse_a=70.0, base_a=10.0, valid_s=60.0)
BOUND = {
    "excess_s": SETTING.valid_s + FOLLOW_S,
    "integral_s": 20.0,
    "offered_afterwards_a": FALLBACK_A,
    "lowered_by_successor_a": 0.5,
}


async def story(clock: SimClock, folder: Path) -> Verdict:
    """About two minutes of real time."""
    (alone, told), (successor, lowered_a) = await asyncio.gather(
        _alone(clock, folder), _with_successor(clock, folder / "successor")
    )
    return Verdict(1, Judge.worst((alone, successor)), BOUND, told | {"lowered_by_successor_a": lowered_a})


async def _alone(clock: SimClock, folder: Path) -> tuple[Judge, dict[str, float]]:
    async with Stage(SETTING, clock, folder) as stage:
        full_a = await stage.full(FULL_A)
        stage.gateway.kill()
        stage.building.change_a = MORE_A
        await asyncio.sleep(SETTING.valid_s + FOLLOW_S)
        offered_a = await stage.most_offered_a(AFTERWARDS_S)
    return stage.judge, {"full_a": full_a, "offered_afterwards_a": offered_a}


async def _with_successor(clock: SimClock, folder: Path) -> tuple[Judge, float]:
    """Stations and cars are as slow as they may be. The figure is the most that a car was offered less than before."""
    async with Stage(replace(SETTING, stations=slow(STATIONS)), clock, folder) as stage:
        await stage.full(FULL_A)
        before_a = [outlet.offered_a for outlet in stage.outlets]
        stage.gateway.kill()
        await stage.gateway.wait()
        await stage.start()
        lowered_a = 0.0
        for _ in range(round(SETTING.valid_s + FOLLOW_S)):
            await asyncio.sleep(1.0)
            now_a = [outlet.offered_a for outlet in stage.outlets]
            lowered_a = max(lowered_a, *(before - now for before, now in zip(before_a, now_a, strict=True)))
    return stage.judge, lowered_a
