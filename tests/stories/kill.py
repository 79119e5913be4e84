"""Story 1: the gateway dies at full load, the building takes more at that moment, and nobody regulates any more.

Every station must fall back by itself within the validity of its working limit and ten seconds (G11, layers L1 and L2).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from site_simulator.clock import SimClock
from tests.stories.judge import Verdict
from tests.stories.stage import Setting, Stage

MORE_A, FALLBACK_A = 10.0, 6.0
FULL_A = 60.0
"""From here on the connection counts as full: what the margin of the site leaves is a little more."""

FOLLOW_S, AFTERWARDS_S = 10.0, 15.0
"""What firmware and cars may need besides the validity; how long we look on."""

SETTING = Setting(fuse_a=70.0, base_a=10.0, valid_s=60.0)
BOUND = {"excess_s": SETTING.valid_s + FOLLOW_S, "integral_s": 20.0, "offered_afterwards_a": FALLBACK_A}


async def story(clock: SimClock, folder: Path) -> Verdict:
    """About two minutes of real time."""
    async with Stage(SETTING, clock, folder) as stage:
        full_a = await stage.full(FULL_A)
        stage.gateway.kill()
        stage.building.change_a = MORE_A
        await asyncio.sleep(SETTING.valid_s + FOLLOW_S)
        offered_a = await stage.most_offered_a(AFTERWARDS_S)
    return Verdict(1, stage.judge, BOUND, {"full_a": full_a, "offered_afterwards_a": offered_a})
