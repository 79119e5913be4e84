"""Which of the equally good plans treats like cars alike? Cars of a group give, swap and average their amperes.

A linear program returns corners: of two cars with the same worth, one gets all now and the other all later or nothing.
Three moves keep every total of a group, so all rows hold, and the energy of all cars together:

gift     of energy in block 0 to a car that has less current and would leave unserved,
swap     of current in block 0 against current in later blocks, which changes no car's energy,
average  of cars that differ in nothing but what they have now.

Measured with `benchmarks/optimizer_day.py`: without information like cars differ by one step instead of 8 A; with it, in
twofold overload, the worst served tenth of the cars gets 20 % instead of 7 % of its wish, at the same energy in all.
"""

from __future__ import annotations

from itertools import product
from operator import attrgetter

import numpy as np

from optimizer.arrays import Array, Indexes
from optimizer.problem import ChargingNeed, Problem
from optimizer.realize import fill
from optimizer.rows import TINY_A, likely_of, wh_per_ampere

_CHARACTER = attrgetter(
    *(
        "circuits",
        "phases",
        "min_a",
        "max_a",
        "step_a",
        "energy_wh",
        "arrival_s",
        "departure_s",
        "ceiling_a",
        "priority",
        "voltage_v",
        "expected_wh",
        "presence",
        "wishes_wh",
    )
)

TINY_WH = 1e-9
"""An ampere brings so much at least, also to a car that is thought to have left."""

ALIKE = 0.1
"""Of cars that are about as likely still there in a block, one may take its current there for the other's now: what is expected
to be delivered changes by a tenth of that at most. Guesses for equal cars that came minutes apart differ by less."""


def level(problem: Problem, plan_a: Array, caps_a: Array, wanted_wh: Array, group: Indexes) -> Array:
    """The plan (N, K) with block 0 as even inside each group as gifts and then swaps can make it.

    caps_a: (N, K) as of `caps_of`. wanted_wh: (N,) what counts as wanted. group: (N,), equal numbers load the same rows.
    """
    per_ampere_wh, likely = wh_per_ampere(problem), likely_of(problem)
    plan = plan_a.copy()
    plan[:, 0] = _with_gifts(plan, caps_a, per_ampere_wh * likely, wanted_wh, group)
    later = per_ampere_wh[:, 1:] / per_ampere_wh[:, :1]
    catch_up_a = ((caps_a - plan)[:, 1:] * later).sum(axis=1)
    due_a = (plan[:, 1:] * later).sum(axis=1)
    least, most = (plan[:, 0] - catch_up_a).clip(min=0.0), np.minimum(plan[:, 0] + due_a, caps_a[:, 0])
    change = _even(plan[:, 0], least, most, group) - plan[:, 0]
    for number in np.unique(group):
        cars = np.flatnonzero(group == number)
        for giver, taker in product(cars[change[cars] < -TINY_A], cars[change[cars] > TINY_A]):
            if (most_a := min(-change[giver], change[taker])) > TINY_A:
                moved_a = _swap(plan, caps_a, (later, likely), (giver, taker), most_a)
                change[giver] += moved_a
                change[taker] -= moved_a
    return np.clip(plan, 0.0, caps_a)


def average_twins(plan_a: Array, needs: tuple[ChargingNeed, ...]) -> Array:
    """The plan (N, K) in which cars that want the same get the same."""
    twins: dict[object, list[int]] = {}
    for n, need in enumerate(needs):
        twins.setdefault(_CHARACTER(need), []).append(n)
    plan = plan_a.copy()
    for cars in (cars for cars in twins.values() if len(cars) > 1):
        plan[cars] = plan[cars].mean(axis=0)
    return plan


def _with_gifts(plan_a: Array, caps_a: Array, per_ampere_wh: Array, wanted_wh: Array, group: Indexes) -> Array:
    """(N,) block 0 after gifts: the lowest first, each up to what the plan leaves it unserved."""
    unserved_wh = (wanted_wh - (plan_a * per_ampere_wh).sum(axis=1)).clip(min=0.0)
    unserved_a = unserved_wh / per_ampere_wh[:, 0].clip(min=TINY_WH)
    most_a = np.minimum(plan_a[:, 0] + unserved_a, caps_a[:, 0])
    return _even(plan_a[:, 0], np.zeros(len(plan_a)), most_a, group)


def _even(currents_a: Array, least_a: Array, most_a: Array, group: Indexes) -> Array:
    """(N,) max-min fair currents with the same total in each group, between least_a and most_a."""
    member = (group == np.unique(group)[:, None]).astype(np.float64)
    return fill(member, member @ currents_a, least_a, most_a)


def _swap(plan_a: Array, caps_a: Array, worth: tuple[Array, Array], pair: tuple[int, int], most_a: float) -> float:
    """Moves up to `most_a` of block 0 from the first car to the second, and back in later blocks; A that moved.

    Blocks in which an ampere is not worth the same to both (one leaves in between, or may have left) take no part.
    worth: energy of an ampere beside that of block 0, and how likely the car is still there.
    """
    later, likely = worth
    giver, taker = pair
    alike = (abs(later[giver] - later[taker]) < TINY_A) & (abs(likely[giver] - likely[taker])[1:] < ALIKE)
    room = np.minimum(caps_a[giver, 1:] - plan_a[giver, 1:], plan_a[taker, 1:]) * later[giver] * alike
    back = np.minimum(room, (most_a - (room.cumsum() - room)).clip(min=0.0))
    in_block = np.divide(back, later[giver], out=np.zeros_like(back), where=room > 0)
    plan_a[giver, 1:] += in_block
    plan_a[taker, 1:] -= in_block
    moved_a = float(back.sum())
    plan_a[giver, 0] -= moved_a
    plan_a[taker, 0] += moved_a
    return moved_a
