"""Does work that is done again and again go on after a round that failed?"""

from __future__ import annotations

import asyncio

import structlog
from structlog.testing import capture_logs

from local_controller.adapters.rounds import rounds


async def test_a_round_that_fails_costs_that_round_and_is_told_once() -> None:
    count, enough = 0, asyncio.Event()

    async def one() -> None:
        nonlocal count
        count += 1
        if count == 6:
            enough.set()
        if count in {2, 3, 5}:
            raise ValueError("broken" if count < 5 else "otherwise")

    with capture_logs() as logs:
        task = asyncio.create_task(rounds(one, 0.0, structlog.get_logger(), "round_failed"))
        await asyncio.wait_for(enough.wait(), 5.0)
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    assert [entry["event"] for entry in logs] == ["round_failed", "round_failed"]
