"""Which of the equally good plans treats like cars alike? Cars of a group swap amperes now against amperes later.

A linear program returns corners: of two cars with the same worth, one gets all now and the other all later. A swap
changes no total of a group, so all rows hold, and no car's energy, so the plan is worth what it was. Measured on a
crowded garage without information (`benchmarks/optimizer_day.py`): like cars differ by one step instead of 8 A.
"""

from __future__ import annotations

import numpy as np

from optimizer.program import Indexes
from optimizer.realize import fill
from optimizer.rows import TINY_A, Array


def level(plan_a: Array, caps_a: Array, per_ampere_wh: Array, group: Indexes) -> Array:
    """The plan (N, K) with block 0 as even inside each group as swaps can make it.

    caps_a, per_ampere_wh: (N, K), bounds and energy of an ampere; group: (N,), equal numbers load the same rows.
    """
    plan = plan_a.copy()
    later = per_ampere_wh[:, 1:] / per_ampere_wh[:, :1]
    change = _even(plan, caps_a, later, group) - plan[:, 0]
    for number in np.unique(group):
        cars = np.flatnonzero(group == number)
        for giver in cars[change[cars] < -TINY_A]:
            for taker in cars[change[cars] > TINY_A]:
                moved_a = _swap(plan, caps_a, later, (giver, taker), min(-change[giver], change[taker]))
                change[giver] += moved_a
                change[taker] -= moved_a
    return np.clip(plan, 0.0, caps_a)


def _even(plan_a: Array, caps_a: Array, later: Array, group: Indexes) -> Array:
    """(N,) max-min fair currents of block 0 inside each group, if later blocks had room for every swap.

    A car gives at most what it has time to catch up with, and takes at most what it would get later.
    """
    least = (plan_a[:, 0] - ((caps_a - plan_a)[:, 1:] * later).sum(axis=1)).clip(min=0.0)
    most = np.minimum(plan_a[:, 0] + (plan_a[:, 1:] * later).sum(axis=1), caps_a[:, 0])
    even: Array = plan_a[:, 0].copy()
    for number in np.unique(group):
        cars = np.flatnonzero(group == number)
        total = plan_a[cars, 0].sum(keepdims=True)
        even[cars] = fill(np.ones((1, len(cars))), total, least[cars], most[cars])
    return even


def _swap(plan_a: Array, caps_a: Array, later: Array, pair: tuple[int, int], most_a: float) -> float:
    """Moves up to `most_a` of block 0 from the first car to the second, and back in later blocks; A that moved.

    Blocks in which an ampere is not worth the same to both (one leaves in between) take no part.
    """
    giver, taker = pair
    alike = np.isclose(later[giver], later[taker])
    room = np.where(alike, np.minimum(caps_a[giver, 1:] - plan_a[giver, 1:], plan_a[taker, 1:]) * later[giver], 0.0)
    back = np.diff(np.minimum(room.cumsum(), most_a), prepend=0.0)
    in_block = np.divide(back, later[giver], out=np.zeros_like(back), where=room > 0)
    plan_a[giver, 1:] += in_block
    plan_a[taker, 1:] -= in_block
    moved_a = float(back.sum())
    plan_a[giver, 0] -= moved_a
    plan_a[taker, 0] += moved_a
    return moved_a
