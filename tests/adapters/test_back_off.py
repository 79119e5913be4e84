"""When is a CSMS that is away dialled again?"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from local_controller.adapters.back_off import LONG_ENOUGH_S, BackOff, BackOffTimes

TIMES = BackOffTimes(wait_minimum_s=5, random_range_s=10, repeat_times=4)


@pytest.mark.requirement("LC-017")
def test_the_wait_doubles_up_to_a_ceiling_and_something_random_is_added_each_time() -> None:
    none, all_of_it = BackOff(TIMES, lambda: 0.0), BackOff(TIMES, lambda: 1.0)
    assert [none.next_s() for _ in range(7)] == [5, 10, 20, 40, 80, 80, 80]
    assert [all_of_it.next_s() for _ in range(7)] == [15, 20, 30, 50, 90, 90, 90]


@pytest.mark.requirement("LC-017")
def test_a_connection_that_lasted_begins_anew_and_one_that_fell_at_once_does_not() -> None:
    back_off = BackOff(TIMES, lambda: 0.0)
    assert [back_off.next_s() for _ in range(3)] == [5, 10, 20]
    back_off.lasted(0.5)
    assert back_off.next_s() == 40, "a CSMS that accepts and closes at once is not dialled in a circle"
    back_off.lasted(LONG_ENOUGH_S)
    assert back_off.next_s() == 5


@pytest.mark.requirement("LC-017")
@pytest.mark.parametrize("seed", range(20))
def test_fifty_stations_do_not_come_back_in_the_same_second(seed: int) -> None:
    draw = random.Random(seed).random
    stations = [BackOff(TIMES, draw) for _ in range(50)]
    for _ in range(6):
        in_one_second = Counter(int(station.next_s()) for station in stations)
        assert max(in_one_second.values()) < 20
        assert len(in_one_second) >= 8
