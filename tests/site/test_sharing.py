"""Does what is remembered of the last shares never stand for what is asked now?"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.site.capacity import Left
from local_controller.site.places import Columns
from local_controller.site.sharing import Sharing
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


def test_others_who_are_alike_may_load_another_circuit() -> None:
    sharing = Sharing(NODES, TABLE)
    alike = {"caps_a": (32.0,) * CARS, "min_a": (6.0,) * CARS, "wanted_wh": (np.inf,) * CARS}
    alike |= {"per_ampere_wh": (11.5,) * CARS, "ordered_a": (0.0,) * CARS, "left_a": (60.0, 13.0, 40.0), "together": {}}
    assert asked(sharing, alike | {"sharers": (0, 2)}) == [6.5, 6.5], "both are on the left"
    assert asked(sharing, alike | {"sharers": (0, 1)}) == [13.0, 32.0]
