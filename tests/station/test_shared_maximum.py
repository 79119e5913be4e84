"""A station that can be told a maximum only: is it for each of its EVSEs or for their sum? What their samples prove."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.station.capability import How
from local_controller.station.capability_view import capability_view
from local_controller.station.knowledge import Actuator, Knowledge
from local_controller.station.shared_maximum import LASTS_S, ROUNDS, Meaning, SharedMaximum
from local_controller.station.words import OcppVersion, Phase
from tests.station.test_memory import boots, remembered
from tests.station.test_rungs import limits

ALL = pytest.mark.parametrize("version", list(OcppVersion))
pytestmark = pytest.mark.requirement("LC-117")

Draws = Callable[[float], tuple[float, float]]


def shares(maximum_a: float) -> tuple[float, float]:
    """Two cars that want all, at a station that divides its maximum."""
    return maximum_a / 2 - 0.2, maximum_a / 2 - 0.2


def each_has_all(maximum_a: float) -> tuple[float, float]:
    return maximum_a - 0.3, maximum_a - 0.3


def one_station(bench: Any, version: OcppVersion, **more: Any) -> Any:
    b = bench(version, evses=[1, 2], knowledge=Knowledge(actuators=(Actuator.STATION_MAX,), **more))
    boots(b, "1.0")
    b.start(7, evse=1)
    b.start(8, evse=2)
    return b


def charges(b: Any, maximum_a: float, draws: Draws, seconds: int = 300, *, of_phases: int = 3) -> None:
    """Both are told so much and draw what their station makes of it, measured every 30 s."""
    for evse in (1, 2):
        b.set_limit(maximum_a, evse=evse)
    for number in range(seconds // 30):
        b.wait(30)
        if number % 2:
            for evse in (1, 2):
                b.set_limit(maximum_a, evse=evse)
        for evse, drawn_a in enumerate(draws(maximum_a), start=1):
            b.meter([drawn_a] * of_phases, evse=evse)


def believed(b: Any) -> tuple[Any, How]:
    known = b.smart.state.capability
    return known.station_max, known.belief("station_max").origin.how


def second_leaves(b: Any) -> None:
    b.stop(8)
    b.set_limit(16.0)


@ALL
def test_a_maximum_that_cars_share_at_one_value_and_at_another_is_one_of_the_sum(
    bench: Any, version: OcppVersion
) -> None:
    b = one_station(bench, version)
    charges(b, 16.0, shares)
    assert believed(b) == (None, How.DEFAULT), "two cars that take 8 A each would look the same"
    second_leaves(b)
    assert limits(b)[-1][0] == 6.0
    b.start(8, evse=2)
    charges(b, 24.0, shares)
    assert believed(b) == ("sum", How.MEASURED)
    second_leaves(b)
    assert limits(b)[-1][0] == 16.0, "a car that comes takes from the other"
    shown = next(one for one in capability_view(b.smart.state)["beliefs"] if one["what"] == "station_max")
    assert (shown["value"], shown["learnt"]) == ("sum", "measured")


@ALL
def test_it_is_remembered_over_a_restart_and_forgotten_with_the_firmware(bench: Any, version: OcppVersion) -> None:
    b = one_station(bench, version)
    for maximum_a in (16.0, 24.0):
        charges(b, maximum_a, shares)
    c = bench(version, evses=[1, 2], knowledge=Knowledge(actuators=(Actuator.STATION_MAX,)), remembered=remembered(b))
    boots(c, "1.0")
    assert believed(c) == ("sum", How.MEASURED)
    boots(c, "1.1")
    assert believed(c) == (None, How.DEFAULT)


@ALL
def test_a_station_that_gives_each_the_maximum_is_found_out_within_two_rounds_and_for_good(
    bench: Any, version: OcppVersion
) -> None:
    b = one_station(bench, version)
    for maximum_a in (16.0, 24.0):
        charges(b, maximum_a, shares)
    assert believed(b) == ("sum", How.MEASURED)
    charges(b, 20.0, each_has_all, 60)
    assert believed(b) == ("each", How.MEASURED)
    for maximum_a in (16.0, 24.0):
        charges(b, maximum_a, shares)
    assert believed(b) == ("each", How.MEASURED), "what was wrong once is not believed again"
    second_leaves(b)
    assert limits(b)[-1][0] == 6.0


@ALL
@pytest.mark.parametrize(
    "draws",
    [
        lambda maximum_a: (8.0, 8.0),
        lambda maximum_a: (maximum_a, 0.2),
        lambda maximum_a: (min(maximum_a, 13.0), 0.0),
        lambda maximum_a: (maximum_a / 2, 0.0),
        lambda maximum_a: (7.0, 6.0),
    ],
    ids=["always eight", "one has all", "one takes little", "one alone", "less than the maximum"],
)
def test_cars_that_take_what_they_like_prove_nothing(bench: Any, version: OcppVersion, draws: Draws) -> None:
    b = one_station(bench, version)
    for maximum_a in (16.0, 24.0, 20.0):
        charges(b, maximum_a, draws)
    assert believed(b) == (None, How.DEFAULT)


@ALL
def test_cars_on_phases_of_their_own_prove_nothing(bench: Any, version: OcppVersion) -> None:
    b = one_station(bench, version)
    for maximum_a in (16.0, 24.0):
        for evse in (1, 2):
            b.set_limit(maximum_a, evse=evse)
        for _ in range(6):
            b.wait(30)
            for evse in (1, 2):
                b.set_limit(maximum_a, evse=evse)
            b.meter([maximum_a, 0.0], evse=1)
            b.meter([0.0, maximum_a], evse=2)
    assert believed(b) == (None, How.DEFAULT)


@ALL
def test_what_the_site_file_says_stays_and_people_are_told_once_that_it_is_wrong(
    bench: Any, version: OcppVersion
) -> None:
    b = one_station(bench, version, station_max="sum")
    for maximum_a in (16.0, 20.0):
        charges(b, maximum_a, each_has_all)
    assert believed(b) == ("sum", How.SITE_FILE)
    assert [note.fields for note in b.notes if note.event == "station_maximum_is_for_each"] == [
        {"told": "site file", "measured": "each"}
    ]


def test_a_sample_of_the_time_before_is_no_proof_against_a_sum() -> None:
    """The first car had all; the second has taken its half, and the first one's next sample is late."""
    seen = SharedMaximum()
    seen.told(16.0, 0.0, 900.0)
    assert not seen.sees(1, {Phase.L1: 16.0}, {1, 2}, 20.0)
    assert not seen.sees(2, {Phase.L1: 8.0}, {1, 2}, 25.0)
    for at_s in (40.0, 60.0):
        assert not seen.sees(1, {Phase.L1: 8.0}, {1, 2}, at_s)
        assert not seen.sees(2, {Phase.L1: 8.0}, {1, 2}, at_s + 5.0)
    assert seen.meaning is None


def test_at_their_floors_six_and_six_are_no_share_of_twelve() -> None:
    seen, at_s = SharedMaximum(), 0.0
    for limit_a in (12.0, 16.0):
        seen.told(limit_a, at_s, at_s + 90.0)
        for _ in range(20):
            at_s += 30.0
            for evse in (1, 2):
                seen.sees(evse, {Phase.L1: 6.0}, {1, 2}, at_s)
    assert seen.meaning is None


WANTED_A = st.lists(st.floats(0, 32), min_size=2, max_size=3)


@st.composite
def told_and_wanted(draw: st.DrawFn) -> tuple[list[tuple[float, int]], list[float]]:
    """Maxima and the rounds after each, and what cars want: many a maximum is just what they take together."""
    wanted_a = draw(WANTED_A)
    near_a = st.floats(-1.0, 1.0).map(lambda more_a: max(6.0, sum(wanted_a) + more_a))
    return draw(st.lists(st.tuples(st.floats(6, 32) | near_a, st.integers(1, 20)), min_size=1, max_size=8)), wanted_a


def proven(
    told: list[tuple[float, int]], evses: int, drawn_a: Callable[[float, int], float]
) -> Iterator[Meaning | None]:
    """What is proven after each maximum, which so many rounds follow. drawn_a: by the maximum and the number of the EVSE."""
    seen, at_s, running = SharedMaximum(), 0.0, {*range(evses)}
    for limit_a, rounds in told:
        seen.told(limit_a, at_s + 15.0, at_s + 1e6)
        for _ in range(rounds):
            at_s += LASTS_S / ROUNDS
            for evse in running:
                seen.sees(evse, {Phase.L1: drawn_a(limit_a, evse)}, running, at_s)
        yield seen.meaning


@given(told_and_wanted())
def test_law_whatever_cars_want_that_each_have_the_maximum_they_are_never_taken_for_a_sum(
    site: tuple[list[tuple[float, int]], list[float]],
) -> None:
    told, wanted_a = site
    assert "sum" not in [*proven(told, len(wanted_a), lambda limit_a, evse: min(wanted_a[evse], limit_a))]


@given(told_and_wanted())
def test_law_whatever_cars_want_that_share_the_maximum_it_is_never_taken_for_one_of_each(
    site: tuple[list[tuple[float, int]], list[float]],
) -> None:
    told, wanted_a = site

    def part_a(limit_a: float, evse: int) -> float:
        return wanted_a[evse] * min(1.0, limit_a / max(1e-9, sum(wanted_a)))

    assert "each" not in [*proven(told, len(wanted_a), part_a)]
