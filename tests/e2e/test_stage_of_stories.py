"""Does what the stories are staged with work: a real process, a line that swallows everything, a judge at true physics?

A story takes minutes and is no part of the suite; this is the beginning of one, in real time.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from site_simulator.clock import SimClock, run
from tests.e2e.surroundings import until
from tests.stories.stage import GRID, STATIONS, Setting, Stage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]
FALLBACK_A = 6.0
STALE_S = 10.0
"""A meter that was silent for so long leaves the fallbacks only (goal G5)."""

FOLLOW_S = 5.0
"""For the answer, the simulated firmware and a busy machine."""


@pytest.mark.requirement("LC-106", "LC-116")
def test_a_meter_behind_a_black_hole_sends_all_cars_to_their_fallbacks_and_is_named(tmp_path: Path) -> None:
    async def story(clock: SimClock) -> None:
        async with Stage(Setting(stations=STATIONS[:2]), clock, tmp_path) as stage:
            await until(lambda: min(outlet.offered_a for outlet in stage.outlets) > FALLBACK_A, 30)
            assert not stage.notices("meter_failed")
            stage.line.is_black_hole = True
            await until(lambda: stage.offered_a <= FALLBACK_A, STALE_S + FOLLOW_S)
            assert [notice["meter"] for notice in stage.notices("meter_failed") if "text" in notice] == [GRID]
        assert stage.judge.worst_excess_a == 0.0
        assert stage.judge.integral_s == 0.0

    clock = SimClock(1.0)
    run(story(clock), clock)
