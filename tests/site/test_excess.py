"""By how much, how long and how badly was a limit exceeded?"""

from __future__ import annotations

from local_controller.site.excess import Excess
from tests.site.virtual_site import START


def after(*readings: tuple[float, float]) -> Excess:
    excess = Excess()
    for second, over_a in readings:
        excess.measured(over_a, START.after(second))
    return excess


def test_nothing_above_the_limit_is_no_excess() -> None:
    assert after((0, -5.0), (1, 0.0), (2, -1.0)) == Excess(_over_a=0.0, _read_at=START.after(2))


def test_each_reading_counts_until_the_next_one() -> None:
    excess = after((0, 4.0), (1, 2.0), (3, -1.0), (9, -1.0))
    assert (excess.worst_a, excess.longest_s, excess.integral_as) == (4.0, 3.0, 8.0)


def test_the_longest_of_several_counts_not_their_sum() -> None:
    excess = after((0, 1.0), (2, -1.0), (5, 1.0), (6, 1.0), (8, -1.0), (20, 1.0), (21, -1.0))
    assert excess.longest_s == 3.0
    assert excess.integral_as == 6.0
