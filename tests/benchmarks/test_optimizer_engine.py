"""Does the closed loop of the optimizer's benchmark do the sums right, and is anybody found out who cheats?"""

from __future__ import annotations

import gzip
import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.batteries import TwoStage, fitted
from backtest.engine import Algorithm, jain, run
from backtest.network import Network, Wiring
from backtest.rules import RULES
from backtest.sessions import Session, weekdays
from benchmarks.optimizer import recorded, sites
from benchmarks.optimizer.optimum import optimum
from optimizer import acn
from optimizer.arrays import Array
from optimizer.habits import Habits
from optimizer.objectives import OBJECTIVES

KWH_PER_A = 208.0 / 12 / 1000
"""What one ampere between two lines brings in five minutes."""


def pair_of_evses(breaker_a: float) -> Network:
    """Two EVSEs between the same lines behind one breaker."""
    wiring = Wiring({"A": (0, 1), "B": (0, 1)})
    wiring.breaker("breaker", ("A", "B"), breaker_a)
    return wiring.network()


def script(*pilots: tuple[float, float]) -> Algorithm:
    """Tells these pilots, one pair a step, and the last one from then on."""
    told = itertools.chain(pilots, itertools.repeat(pilots[-1]))
    return lambda _: np.array(next(told))


ALGORITHMS: Mapping[str, Callable[[Network], Algorithm]] = {
    **RULES,
    **{objective: partial(acn.make, objective=objective) for objective in OBJECTIVES},
}


# --- two cars, worked out by hand -----------------------------------------------------------------------------------


def test_two_cars_on_one_breaker_get_what_the_script_gives_them() -> None:
    first = Session("first", 0, arrival=0, departure=4, energy_kwh=40 * KWH_PER_A)
    second = Session("second", 1, arrival=1, departure=4, energy_kwh=100 * KWH_PER_A)
    # A step each: 20 A; 10 A and 12 A; a pause for the first, 22 A; the first wants 10 A of its 16 A yet, a pause for the second
    result = run(pair_of_evses(22.0), [first, second], script((20, 0), (10, 12), (0, 22), (16, 0)))
    assert [car.got_kwh for car in result.cars] == pytest.approx([40 * KWH_PER_A, 34 * KWH_PER_A])
    assert [car.stops for car in result.cars] == [1, 1]
    assert result.excess_a == pytest.approx(0.0)
    figures = result.figures()
    assert figures["delivered_pct"] == pytest.approx(100 * 74 / 140)
    assert figures["stops_per_session"] == 1
    assert figures["p10"] == pytest.approx(0.34 + 0.1 * 0.66)
    assert figures["jain"] == pytest.approx(1.34**2 / (2 * (1 + 0.34**2)))


def test_the_end_of_a_wish_is_no_stop_and_neither_is_leaving() -> None:
    served = Session("served", 0, 0, 9, energy_kwh=20 * KWH_PER_A)
    leaving = Session("leaving", 1, 0, 2, energy_kwh=1.0)
    shown: list[list[str]] = []

    def algorithm(seen: Mapping[str, Any]) -> Array:
        shown.append(seen["sid"])
        return np.array([10.0 if "served" in seen["sid"] else 0.0, 6.0 if "leaving" in seen["sid"] else 0.0])

    result = run(pair_of_evses(32.0), [served, leaving], algorithm)
    assert shown == [["served", "leaving"], ["served", "leaving"]]  # then nobody is there that wants anything
    assert [car.stops for car in result.cars] == [0, 0]


def test_the_next_car_at_an_evse_starts_anew() -> None:
    sessions = [Session("one", 0, 0, 2, energy_kwh=1.0), Session("two", 0, 2, 4, energy_kwh=1.0)]
    before: list[float] = []

    def algorithm(seen: Mapping[str, Any]) -> Array:
        before.append(float(seen["prev_pilot"][0]))
        return np.array([8.0, 0.0])

    run(pair_of_evses(32.0), sessions, algorithm)
    assert before == [0, 8, 0, 8]


def test_an_uninformed_algorithm_sees_no_wishes() -> None:
    def algorithm(seen: Mapping[str, Any]) -> Array:
        assert (seen["dep"].tolist(), seen["rem"].tolist()) == ([-1], [-1])
        return np.array([32.0, 0.0])

    result = run(pair_of_evses(32.0), [Session("one", 0, 0, 2, energy_kwh=0.3)], algorithm, informed=False)
    assert result.cars[0].got_kwh == pytest.approx(0.3)


# --- who cheats is found out ----------------------------------------------------------------------------------------


def test_an_algorithm_above_a_limit_is_found_out() -> None:
    cars = [Session(name, station, 0, 3, energy_kwh=3.0) for station, name in enumerate("AB")]
    result = run(pair_of_evses(20.0), cars, script((10, 10), (16, 10), (6, 6)))
    assert result.figures()["violation_a"] == pytest.approx(6.0)


def test_a_limit_between_phases_is_judged_by_phasors() -> None:
    wiring = Wiring({"A": (0, 1), "B": (1, 2)})
    wiring.panel("panel", ("A", "B"), 32.0)
    cars = [Session(name, station, 0, 1, energy_kwh=3.0) for station, name in enumerate("AB")]
    result = run(wiring.network(), cars, script((20, 20)))
    assert result.excess_a == pytest.approx(20 * 3**0.5 - 32)  # on L2, where they are 60 degrees apart


@pytest.mark.parametrize(
    ("pilots", "complaint"),
    [
        ((5.0, 0.0), "A: 5.0 A is none of its pilots"),
        ((6.5, 0.0), "A: 6.5 A is none of its pilots"),
        ((33.0, 0.0), "A: 33.0 A is not between 0 and 32.0 A"),
        ((-1.0, 0.0), "A: -1.0 A is not between 0 and 32.0 A"),
        ((6.0, 6.0), "B: 6.0 A where no car wants energy"),
        ((float("nan"), 0.0), "A: nan A is not between"),
    ],
)
def test_a_pilot_that_the_evse_cannot_give_is_refused(pilots: tuple[float, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        run(pair_of_evses(32.0), [Session("one", 0, 0, 1, energy_kwh=1.0)], script(pilots))


# --- laws -----------------------------------------------------------------------------------------------------------

SMALL = {"AB1": (0, 1), "AB2": (0, 1), "BC1": (1, 2), "CA1": (2, 0)}


def small_site() -> Network:
    wiring = Wiring(SMALL)
    wiring.breaker("pod", ("AB1", "AB2"), 30.0)
    wiring.transformer("transformer", tuple(SMALL), 9.0)
    return wiring.network()


@st.composite
def days(draw: st.DrawFn) -> list[Session]:
    """Up to two cars at each of four EVSEs."""
    sessions = []
    for station in range(len(SMALL)):
        edges = sorted(draw(st.lists(st.integers(0, 20), min_size=2, max_size=4, unique=True)))
        for arrival, departure in zip(edges[::2], edges[1::2], strict=False):
            most_kwh = 32 * KWH_PER_A * (departure - arrival)
            energy_kwh = draw(st.floats(0.01, 1.0)) * most_kwh
            sessions.append(Session(f"{station}-{arrival}", station, arrival, departure, energy_kwh))
    return sorted(sessions, key=lambda session: session.arrival)


@settings(max_examples=25, deadline=None)
@given(days(), st.sampled_from(sorted(ALGORITHMS)), st.booleans())
def test_energy_is_conserved_and_nobody_beats_the_optimum(sessions: list[Session], name: str, two_stage: bool) -> None:
    network = small_site()
    algorithm = ALGORITHMS[name](network)
    offered_kwh: defaultdict[str, float] = defaultdict(float)

    def overheard(seen: Mapping[str, Any]) -> Array:
        pilots = algorithm(seen)
        for car, station in zip(seen["sid"], seen["st"], strict=True):
            offered_kwh[car] += float(pilots[station]) * KWH_PER_A
        return pilots

    result = run(network, sessions, overheard, two_stage=two_stage)
    assert result.excess_a <= 1e-6
    for car in result.cars:
        most_kwh = min(car.wanted_kwh, offered_kwh[car.session.id])
        assert car.got_kwh <= most_kwh + 1e-9 if two_stage else car.got_kwh == pytest.approx(most_kwh)
    best = optimum(network, sessions)
    assert best.excess_a <= 1e-6
    assert result.delivered_kwh <= best.delivered_kwh + 1e-6


@settings(deadline=None)
@given(st.floats(0.1, 90.0), st.floats(0.1, 12.0))
def test_a_fitted_battery_takes_what_was_taken_and_no_more_than_it_has_room_for(
    energy_kwh: float, hours: float
) -> None:
    battery, wish_kwh = fitted(energy_kwh, hours, 6.656)
    room_kwh = battery.pack_kwh * (1 - battery.soc)
    in_steps_kwh = sum(battery.charge(6.656, hours / 100) for _ in range(100))
    assert in_steps_kwh == pytest.approx(wish_kwh, rel=1e-6)  # whole or in steps, it is the same
    assert in_steps_kwh <= min(room_kwh, 6.656 * hours, energy_kwh) + 1e-6


# --- batteries, fairness, sites -------------------------------------------------------------------------------------


def test_a_two_stage_battery_by_hand() -> None:
    battery = TwoStage(pack_kwh=10.0, soc=0.7, most_kw=5.0)
    assert battery.charge(5.0, 0.2) == pytest.approx(1.0)  # up to 80 %
    assert battery.charge(5.0, 0.4) == pytest.approx(
        2.0 * (1 - np.exp(-1))
    )  # 2 kWh of room, 2 kWh / 5 kW is the time constant
    assert battery.charge(0.0, 1.0) == 0
    gentle = TwoStage(pack_kwh=10.0, soc=0.7, most_kw=5.0)
    assert gentle.charge(2.5, 0.8) == pytest.approx(2.0)  # half the power goes on to 90 %


def test_jain_says_how_even_it_is() -> None:
    assert jain(np.array([0.4, 0.4, 0.4])) == pytest.approx(1)
    assert jain(np.array([1.0, 0.0, 0.0, 0.0])) == pytest.approx(0.25)


def test_the_optimum_of_one_breaker_by_hand() -> None:
    cars = [Session("A", 0, 0, 4, energy_kwh=200 * KWH_PER_A), Session("B", 1, 2, 6, energy_kwh=50 * KWH_PER_A)]
    best = optimum(pair_of_evses(40.0), cars)
    # A could take 4 x 32 A in its time; B takes its 50 A in the two steps after it, though only 8 A were left before
    assert best.delivered_kwh == pytest.approx((4 * 32 + 50) * KWH_PER_A)


def test_the_optimum_knows_phasors() -> None:
    wiring = Wiring({"A": (0, 1), "B": (1, 2)})
    wiring.panel("panel", ("A", "B"), 32.0)
    cars = [Session(name, station, 0, 1, energy_kwh=3.0) for station, name in enumerate("AB")]
    best = optimum(wiring.network(), cars)
    assert best.delivered_kwh == pytest.approx(2 * 32 / 3**0.5 * KWH_PER_A, abs=1e-5)


def test_the_made_up_days_are_the_same_for_a_seed_and_credible() -> None:
    network = sites.caltech(30.0)
    sessions = weekdays(network, days=5, seed=1)
    assert sessions == weekdays(network, days=5, seed=1)
    assert sessions != weekdays(network, days=5, seed=2)
    assert 250 < len(sessions) <= 5 * 62
    assert 10 < np.mean([session.energy_kwh for session in sessions]) < 13
    at_evse: dict[int, int] = {}
    for session in sessions:
        assert session.arrival >= at_evse.get(session.station, 0)
        assert session.energy_kwh <= 32 * KWH_PER_A * session.steps + 1e-9
        at_evse[session.station] = session.departure


def test_a_transformer_carries_what_is_written_on_it() -> None:
    network = sites.caltech(30.0)
    even = np.where([name.endswith(("8", "9", "4")) for name in network.stations], 1.0, 0.0)
    assert network.excess_a(even) < 0
    (evse,) = [index for index, name in enumerate(network.stations) if name == "CA-308"]
    single = np.zeros(len(network.stations))
    single[evse] = 10.0
    flowing = dict(zip(network.limits, np.abs(network.C @ single).round(6).tolist(), strict=True))
    assert flowing["transformer, behind, L1"] == flowing["transformer, behind, L2"] == 10
    assert flowing["transformer, before, L2"] == 5  # twice the 2.5 A of the two others
    assert (len(network.stations), len(sites.jpl(50.0).stations)) == (54, 52)


# --- recorded sessions ----------------------------------------------------------------------------------------------


def recording(folder: Path, *rows: str) -> Path:
    header = "site,session_id,station,arrival,departure,kwh,est_departure,kwh_req,claimed"
    with gzip.open(folder / "sessions.csv.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join((header, *rows)))
    return folder


def test_recorded_sessions_of_a_window(tmp_path: Path) -> None:
    folder = recording(
        tmp_path,
        "caltech,in,CA-308,2019-05-01T15:02:00Z,2019-05-01T16:10:00Z,3.5,,,False",
        "caltech,taken,CA-308,2019-05-01T16:00:00Z,2019-05-01T20:00:00Z,3.5,,,False",
        "caltech,long,CA-303,2019-05-01T15:00:00Z,2019-05-03T15:00:00Z,99.0,,,False",
        "caltech,short,CA-304,2019-05-01T15:01:00Z,2019-05-01T15:04:00Z,0.1,,,False",
        "caltech,late,CA-305,2019-05-02T07:00:00Z,2019-05-02T09:00:00Z,3.5,,,False",
        "jpl,other,AG-1F01,2019-05-01T15:00:00Z,2019-05-01T16:00:00Z,3.5,,,False",
    )
    network = sites.caltech(30.0)
    found = recorded.sessions(folder, recorded.Window.of("caltech:2019-05-01:2019-05-02"), network)
    assert [(s.id, network.stations[s.station], s.arrival, s.departure) for s in found] == [
        ("in", "CA-308", 96, 110),  # eight in the morning there
        ("long", "CA-303", 96, 96 + 144),  # twelve hours at most
    ]
    assert found[0].energy_kwh == 3.5
    assert found[1].energy_kwh == pytest.approx(6.656 * 12)


@pytest.mark.parametrize("text", ["caltech", "caltech:2019-05-01", "caltech:May:June"])
def test_a_window_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=f"window '{text}'.*write SITE:FIRST:LAST"):
        recorded.Window.of(text)


def test_a_folder_without_sessions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"name the folder that has it"):
        recorded.sessions(tmp_path, recorded.Window.of("caltech:2019-05-01:2019-05-02"), sites.caltech(30.0))


def test_an_uninformed_site_learns_from_those_who_are_gone() -> None:
    habits, day = Habits(), 5
    wishes = [Session("first", 0, 96, 98, 9.0), Session("second", 0, 99, 101, 9.0)]
    network = pair_of_evses(32.0)
    run(network, wishes, acn.make(network, habits=habits, first_weekday=day), informed=False)
    assert [(v.evse, v.weekday, v.arrival_h, v.stay_s) for v in habits.visits] == [("0", day, 8.0, 600.0)]
    assert habits.visits[0].energy_wh == pytest.approx(1000 * 32 * KWH_PER_A), "of its last step nobody tells"


def test_rules_of_thumb_raise_cars_of_unknown_wish_too() -> None:
    network = pair_of_evses(32.0)
    result = run(network, [Session("one", 0, 0, 3, 2.0)], RULES["round_robin"](network), informed=False)
    assert result.delivered_kwh == pytest.approx(3 * 32 * KWH_PER_A)


def test_what_a_tapering_battery_leaves_goes_to_its_neighbour() -> None:
    """It drew 7.4 of 16 A in the last step: it is told 8 A, the other the rest."""
    seen = {
        "t": 120,
        "sid": ["tapers", "takes all"],
        "st": np.array([0, 1]),
        "dep": np.array([24, 24]),
        "rem": np.array([5.0, 9.0]),
        "age": np.array([12, 12]),
        "deliv": np.array([4.0, 4.0]),
        "prev_pilot": np.array([16.0, 16.0]),
        "prev_rate": np.array([7.4, 16.0]),
    }
    assert acn.make(pair_of_evses(32.0))(seen).tolist() == [8.0, 24.0]


@pytest.mark.parametrize("first", ["ABC", "DEF"])
def test_where_nobody_says_anything_who_came_first_goes_first_whatever_its_station(first: str) -> None:
    """Nothing was learnt yet. Round robin would share the 40 A among all six as soon as the last three come, at eleven."""
    wiring = Wiring(dict.fromkeys("ABCDEF", (0, 1)))
    wiring.breaker("breaker", tuple("ABCDEF"), 40.0)
    network = wiring.network()
    wishes = [Session(name, n, 96 if name in first else 132, 192, 30.0) for n, name in enumerate("ABCDEF")]
    told: dict[int, Array] = {}
    algorithm = acn.make(network)

    def noted(seen: Mapping[str, Any]) -> Array:
        told[seen["t"]] = algorithm(seen)
        return told[seen["t"]]

    run(network, wishes, noted, informed=False)
    is_first = np.array([name in first for name in "ABCDEF"])
    assert told[132][is_first].sum() == 40.0
    assert told[180].min() >= 6.0, "what they may still want is in doubt, so the others start, too"


def test_where_nobody_says_anything_a_site_learns_without_being_told_to() -> None:
    """Days are alike until somebody says which they are; who is known needs no guess."""
    wishes = [Session(f"s{day}", 0, 288 * day + 96, 288 * day + 98, 9.0) for day in range(3)]
    network = pair_of_evses(32.0)
    result = run(network, wishes, acn.make(network), informed=False)
    assert [car.got_kwh for car in result.cars] == pytest.approx([2 * 32 * KWH_PER_A] * 3)
