"""Does what is remembered of the last shares never stand for what is asked now?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local_controller.site.beside import Beside
from local_controller.site.capacity import Left
from local_controller.site.places import Columns
from local_controller.site.sharing import Sharing, Unheard
from tests.effort import EFFORT
from tests.site.test_controller import settled
from tests.site.virtual_site import VirtualSite, topology

CARS = 3
NODES = ["grid", "left", "right"]
TABLE = settled(VirtualSite(topology(40.0, CARS, circuits={"left": 32.0, "right": 32.0}))).controller.tree.table


def of_each(*values: float) -> st.SearchStrategy[tuple[float, ...]]:
    return st.tuples(*[st.sampled_from(values)] * CARS)


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    """Few values, so that each of them matters."""
    return {
        "sharers": draw(st.sampled_from([(0, 1), (0, 2), (1, 2)])),
        "caps_a": draw(of_each(6.0, 12.0, 32.0)),
        "min_a": draw(of_each(6.0, 10.0)),
        "wanted_wh": draw(of_each(np.inf, 0.0, 60.0)),
        "per_ampere_wh": draw(of_each(11.5, 3.8)),
        "ordered_a": draw(of_each(0.0, 6.0)),
        "left_a": draw(of_each(13.0, 40.0)),
        "together": draw(st.sampled_from([{}, {"grid": 30.0}, {"grid": 90.0}])),
    }


def asked(sharing: Sharing, question: dict[str, Any]) -> list[float]:
    sharers = np.array(question["sharers"], dtype=np.intp)
    some = {name: np.array(values)[sharers] for name, values in question.items() if name in Columns._fields}
    others = np.zeros(len(sharers))
    columns = Columns(**{name: some.get(name, others) for name in Columns._fields})
    left = {node: (amps,) * 3 for node, amps in zip(NODES, question["left_a"], strict=True)}
    given_a = sharing.shares_a(
        sharers, columns, np.array(question["caps_a"])[sharers], Left(left, question["together"])
    )
    shares_a: list[float] = given_a.tolist()
    given_a += 1.0  # what was given belongs to who asked
    return shares_a


@given(first=questions(), second=questions())
@settings(max_examples=100 * EFFORT)
def test_law_an_answer_is_that_of_one_who_was_never_asked_before(first: dict[str, Any], second: dict[str, Any]) -> None:
    """The same is asked twice, and then with one thing changed."""
    for name in sorted(first):
        sharing = Sharing(NODES, TABLE)
        for question in (first, first, first | {name: second[name]}):
            assert asked(sharing, question) == asked(Sharing(NODES, TABLE), question), name


@given(question=questions())
@settings(max_examples=100 * EFFORT)
def test_law_alone_fits_who_would_be_the_only_one_seated(question: dict[str, Any]) -> None:
    sharers, sharing = np.array(question["sharers"], dtype=np.intp), Sharing(NODES, TABLE)
    left = {node: (amps - 5.0,) * 3 for node, amps in zip(NODES, question["left_a"], strict=True)}
    available, min_a = Left(left, question["together"]), np.array(question["min_a"])[sharers]
    one_by_one = [sharing.seated(sharers, min_a, np.array([at]), available)[at] for at in range(len(sharers))]
    assert sharing.fits_alone(sharers, min_a, available).tolist() == one_by_one


NOTHING = Left(dict.fromkeys(NODES, (0.0,) * 3), {"grid": 0.0})


@st.composite
def seatings(draw: st.DrawFn) -> tuple[Any, ...]:
    """Who is measured, what each falls back to and needs, in which order they are asked, and what there is for them."""
    who, fallback_a, min_a = draw(of_each(False, True)), draw(of_each(0.0, 6.0, 8.0)), draw(of_each(6.0, 10.0))
    in_order = draw(st.lists(st.sampled_from(range(CARS)), unique=True))
    rooms = [
        Left(
            {node: (a,) * 3 for node, a in zip(NODES, draw(of_each(5.0, 13.0, 14.0, 20.0, math.inf)), strict=True)},
            {"grid": together_a},
        )
        for together_a in draw(st.tuples(*[st.sampled_from([18.0, 42.0, 60.0, math.inf])] * 2))
    ]
    kept = Left({node: (a,) * 3 for node, a in zip(NODES, draw(of_each(0.0, 2.5)), strict=True)}, {"grid": 3.0})
    return who, fallback_a, min_a, in_order, *rooms, kept


def rooms_of(grid_a: float) -> Left:
    """Only the fuse of the site matters."""
    return Left({node: (grid_a if node == "grid" else math.inf,) * 3 for node in NODES}, {"grid": math.inf})


@given(question=seatings())
@example(
    question=((False, True, True), (0.0, 0.0, 8.0), (6.0, 10.0, 6.0), [0, 1], rooms_of(20.0), rooms_of(99.0), NOTHING)
)
@example(
    question=((False, True, True), (0.0, 0.0, 8.0), (6.0, 10.0, 6.0), [0, 1], rooms_of(24.0), rooms_of(99.0), NOTHING)
)
@settings(max_examples=100 * EFFORT)
def test_law_seats_are_taken_beside_cars_that_nobody_measures_as_if_all_was_added_up_each_time(
    question: tuple[Any, ...],
) -> None:
    """All of them have a seat, or one after the other whose minimum fits; what is kept counts where anybody else has a seat."""
    who, fallback_a, min_a, in_order, once, twice, kept = question

    def fit(seated: list[int]) -> bool:
        for node in NODES:
            here = [car for car in range(CARS) if node in TABLE.ways[car]]
            has_others = any(car in seated and not who[car] for car in here)
            used_a = sum(min_a[car] for car in here if car in seated)
            idle_a = sum(fallback_a[car] for car in here if who[car] and car not in seated) * has_others
            for left, besides in ((once, idle_a), (twice, kept.per_phase[node][0] * has_others)):
                if used_a + besides > left.per_phase[node][0]:
                    return False
            for left, besides in ((once, 3 * idle_a), (twice, kept.together.get(node, 0.0) * has_others)):
                if 3 * used_a + besides > left.together.get(node, math.inf):
                    return False
        return True

    seats: list[int] = in_order if fit(in_order) else []
    for car in in_order:
        seats = seats if car in seats or not fit([*seats, car]) else [*seats, car]
    unheard = Unheard(np.array(who), np.array(fallback_a), Beside(once, twice, {}, kept))
    found = Sharing(NODES, TABLE).seated(np.arange(CARS), np.array(min_a), np.array(in_order, dtype=np.intp), unheard)
    assert sorted(seats) == found.nonzero()[0].tolist()


def test_others_who_are_alike_may_load_another_circuit() -> None:
    sharing = Sharing(NODES, TABLE)
    alike = {"caps_a": (32.0,) * CARS, "min_a": (6.0,) * CARS, "wanted_wh": (np.inf,) * CARS}
    alike |= {"per_ampere_wh": (11.5,) * CARS, "ordered_a": (0.0,) * CARS, "left_a": (60.0, 13.0, 40.0), "together": {}}
    assert asked(sharing, alike | {"sharers": (0, 2)}) == [6.5, 6.5], "both are on the left"
    assert asked(sharing, alike | {"sharers": (0, 1)}) == [13.0, 32.0]
