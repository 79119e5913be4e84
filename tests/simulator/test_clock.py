"""Does time pass faster, and for every timer alike?"""

from __future__ import annotations

import asyncio
import time

import pytest

from site_simulator.clock import SimClock, clock_from_origin, run


def test_ten_seconds_pass_in_a_tenth_of_a_second() -> None:
    clock = SimClock(speed=100)

    async def nap() -> float:
        before_s = clock.monotonic_s()
        await asyncio.sleep(10)
        return clock.monotonic_s() - before_s

    real_before_s = time.monotonic()
    assert run(nap(), clock) >= 10
    assert 0.1 <= time.monotonic() - real_before_s < 5


def test_a_deadline_counts_simulated_seconds() -> None:
    async def too_slow() -> None:
        async with asyncio.timeout(5):
            await asyncio.sleep(6)

    with pytest.raises(TimeoutError):
        run(too_slow(), SimClock(speed=100))


def test_the_loop_shows_the_clock_s_time() -> None:
    clock = SimClock(speed=50)

    async def both() -> tuple[float, float, float]:
        return clock.monotonic_s(), asyncio.get_running_loop().time(), clock.monotonic_s()

    before_s, loop_s, after_s = run(both(), clock)
    assert before_s <= loop_s <= after_s


def test_processes_with_the_same_origin_show_the_same_time() -> None:
    origin_s = time.monotonic() - 100
    first, second = clock_from_origin(20, origin_s), clock_from_origin(20, origin_s)
    assert first.monotonic_s() <= second.monotonic_s() <= first.monotonic_s()
    assert abs(first.origin_utc - second.origin_utc).total_seconds() < 1
    assert first.monotonic_s() >= origin_s + 2000
    before_s, utc, after_s = first.monotonic_s(), first.utc(), first.monotonic_s()
    shown_s = (utc - first.origin_utc).total_seconds()
    assert before_s - origin_s - 1e-3 <= shown_s <= after_s - origin_s + 1e-3
