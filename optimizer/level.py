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

from dataclasses import dataclass
from itertools import product
from operator import attrgetter

import numpy as np

from optimizer.arrays import Array, Indexes
from optimizer.problem import ChargingNeed
from optimizer.program import Program
from optimizer.realize import fill
from optimizer.rows import TINY_A, likely_of

_CHARACTER = attrgetter(
    *(
        "circuits",
        "phases",
        "wires",
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


def level(program: Program, plan_a: Array, caps_a: Array) -> Array:
    """The plan (N, K) of a program with block 0 as even inside each group as gifts and then swaps can make it.

    caps_a: (N, K) as of `caps_of`.
    """
    per_ampere_wh, likely, group = program.wh_per_ampere, likely_of(program.problem), program.group
    plan = plan_a.copy()
    plan[:, 0] = _with_gifts(plan, caps_a, per_ampere_wh * likely, program.wanted_wh, group)
    worth = per_ampere_wh[:, 1:] / per_ampere_wh[:, :1]
    catch_up_a = ((caps_a - plan)[:, 1:] * worth).sum(axis=1)
    due_a = (plan[:, 1:] * worth).sum(axis=1)
    least, most = (plan[:, 0] - catch_up_a).clip(min=0.0), np.minimum(plan[:, 0] + due_a, caps_a[:, 0])
    change = _even(plan[:, 0], least, most, group) - plan[:, 0]
    changing = np.flatnonzero(abs(change) > TINY_A)
    later = (plan[:, 1:], caps_a[:, 1:], worth, likely[:, 1:])
    cars = [_Car(*one) for one in zip(*(values[changing].tolist() for values in (change, *later)), strict=True)]
    _swap_in_groups(cars, group[changing].tolist())
    for n, car in zip(changing.tolist(), cars, strict=True):
        plan[n] = (plan[n, 0] + change[n] - car.change_a, *car.plan_a)
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


@dataclass(slots=True)
class _Car:
    """By how much the current of a car in block 0 should still change, and its later blocks.

    plan_a, caps_a: what it is planned, and may have at most. worth: the energy of an ampere beside that of block 0. likely: to be there.
    """

    change_a: float
    plan_a: list[float]
    caps_a: list[float]
    worth: list[float]
    likely: list[float]


def _swap_in_groups(cars: list[_Car], groups: list[int]) -> None:
    """Each that should have less with each of its group that should have more."""
    of_group: dict[int, tuple[list[_Car], list[_Car]]] = {}
    for car, group in zip(cars, groups, strict=True):
        of_group.setdefault(group, ([], []))[car.change_a > 0].append(car)
    for givers, takers in of_group.values():
        for giver, taker in product(givers, takers):
            _swap(giver, taker)


def _swap(giver: _Car, taker: _Car) -> None:
    """Moves of block 0 what the one should have less and the other more, as far as later blocks can give it back."""
    due_a = wanted_a = min(-giver.change_a, taker.change_a)
    for block, worth in enumerate(giver.worth):
        if due_a <= TINY_A:
            break
        room_a = worth * min(giver.caps_a[block] - giver.plan_a[block], taker.plan_a[block])
        if room_a > 0 and _are_alike(giver, taker, block):
            back_a = min(room_a, due_a)
            giver.plan_a[block] += back_a / worth
            taker.plan_a[block] -= back_a / worth
            due_a -= back_a
    giver.change_a += wanted_a - due_a
    taker.change_a -= wanted_a - due_a


def _are_alike(one: _Car, other: _Car, block: int) -> bool:
    """Whether an ampere is worth the same to both then: not if one leaves in between, or may have left."""
    return abs(one.worth[block] - other.worth[block]) < TINY_A and abs(one.likely[block] - other.likely[block]) < ALIKE
