"""Which of the equally good plans treats like cars alike? Cars of a group swap amperes now against amperes later.

A linear program returns corners: of two cars with the same worth, one gets all now and the other all later. A swap
changes no total of a group, so all rows hold, and no car's energy, so the plan is worth what it was. Measured on a
crowded garage without information (`benchmarks/optimizer_day.py`): like cars differ by one step instead of 8 A.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from optimizer.program import Indexes
from optimizer.realize import fill
from optimizer.rows import TINY_A, Array


def level(plan_a: Array, caps_a: Array, per_ampere_wh: Array, wanted_wh: Array, group: Indexes) -> Array:
    """The plan (N, K) with block 0 as even inside each group as gifts and then swaps can make it.

    caps_a, per_ampere_wh: (N, K), bounds and energy of an ampere; wanted_wh: (N,); group: (N,), equal numbers load the
    same rows. A gift moves energy to a car that the plan leaves unserved, if the giver has more current than that car.
    """
    plan = plan_a.copy()
    unserved_a = (wanted_wh - (plan * per_ampere_wh).sum(axis=1)).clip(min=0.0) / per_ampere_wh[:, 0]
    plan[:, 0] = _even(plan[:, 0], np.zeros(len(plan)), np.minimum(plan[:, 0] + unserved_a, caps_a[:, 0]), group)
    later = per_ampere_wh[:, 1:] / per_ampere_wh[:, :1]
    catch_up_a = ((caps_a - plan)[:, 1:] * later).sum(axis=1)
    due_a = (plan[:, 1:] * later).sum(axis=1)
    least, most = (plan[:, 0] - catch_up_a).clip(min=0.0), np.minimum(plan[:, 0] + due_a, caps_a[:, 0])
    change = _even(plan[:, 0], least, most, group) - plan[:, 0]
    for number in np.unique(group):
        cars = np.flatnonzero(group == number)
        for giver, taker in product(cars[change[cars] < -TINY_A], cars[change[cars] > TINY_A]):
            if (most_a := min(-change[giver], change[taker])) > TINY_A:
                moved_a = _swap(plan, caps_a, later, (giver, taker), most_a)
                change[giver] += moved_a
                change[taker] -= moved_a
    return np.clip(plan, 0.0, caps_a)


def _even(currents_a: Array, least_a: Array, most_a: Array, group: Indexes) -> Array:
    """(N,) max-min fair currents with the same total in each group, between least_a and most_a."""
    even = currents_a.copy()
    for number in np.unique(group):
        cars = np.flatnonzero(group == number)
        even[cars] = fill(np.ones((1, len(cars))), even[cars].sum(keepdims=True), least_a[cars], most_a[cars])
    return even


def _swap(plan_a: Array, caps_a: Array, later: Array, pair: tuple[int, int], most_a: float) -> float:
    """Moves up to `most_a` of block 0 from the first car to the second, and back in later blocks; A that moved.

    Blocks in which an ampere is not worth the same to both (one leaves in between) take no part.
    """
    giver, taker = pair
    alike = abs(later[giver] - later[taker]) < TINY_A
    room = np.minimum(caps_a[giver, 1:] - plan_a[giver, 1:], plan_a[taker, 1:]) * later[giver] * alike
    back = np.minimum(room, (most_a - (room.cumsum() - room)).clip(min=0.0))
    in_block = np.divide(back, later[giver], out=np.zeros_like(back), where=room > 0)
    plan_a[giver, 1:] += in_block
    plan_a[taker, 1:] -= in_block
    moved_a = float(back.sum())
    plan_a[giver, 0] -= moved_a
    plan_a[taker, 0] += moved_a
    return moved_a
