"""Does a step test prove what it should at a real controller, and does it leave no trace whatever happens meanwhile?"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from local_controller.site.commissioning import LEASE_S, SiteStepTest, UntestableError
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo
from local_controller.site.step_test import StepTest
from local_controller.site.step_verdict import Conclusion, Verdict
from local_controller.site.topology import Node, Station, Topology
from local_controller.station import words
from local_controller.station.words import EvseId
from tests.scenarios.test_site_timelines import settled
from tests.site.virtual_site import Car, VirtualSite, topology

CP1 = EvseId("CP-1", 1)
LONGEST_S = 300.0
PerPhase = tuple[float, float, float]


def charging(topo: Topology, car: Car, *, others: int = 0, sources: tuple[LimitSource, ...] = ()) -> VirtualSite:
    """A building that takes 5 A, the car at CP-1 and others like it beside it."""
    site = settled(VirtualSite(topo, sources))
    site.base = lambda _s: (5.0, 5.0, 5.0)
    site.plug("CP-1", car)
    for number in range(others):
        site.plug(f"CP-{number + 2}", Car())
    site.run(60)
    return site


def begin(site: VirtualSite, *, may_pause: bool = False) -> SiteStepTest:
    """A test that somebody goes on with at every step of time."""
    test = SiteStepTest(site.controller, CP1, site.now, may_pause=may_pause)

    def go_on(site: VirtualSite) -> None:
        if test.test.verdict is None:
            site.carry_out(test.step(site.now))

    site.on_step.append(go_on)
    return test


def until(site: VirtualSite, holds: Callable[[], bool]) -> None:
    for _ in range(round(LONGEST_S / 0.5)):
        if holds():
            return
        site.run(0.5)
    raise AssertionError("it takes too long")


def verdict(site: VirtualSite, test: SiteStepTest) -> Verdict:
    until(site, lambda: test.test.verdict is not None)
    assert test.test.verdict is not None
    return test.test.verdict


def car_a(site: VirtualSite) -> float:
    return max(site.stations["CP-1"].draw_a().values())


def lowered(site: VirtualSite, test: SiteStepTest) -> None:
    """Until the car is down for the first time."""
    until(site, lambda: test.test.doing.startswith("move 1"))
    site.run(8)
    assert car_a(site) == pytest.approx(10.0)


@pytest.mark.parametrize("obey_s", [1.0, 9.0])
def test_sign_phases_size_and_delay_of_a_three_phase_car(obey_s: float) -> None:
    site = charging(topology(63.0, 1), Car(max_a=16.0, obey_s=obey_s))
    found = verdict(site, begin(site))
    assert (found.conclusion, found.found_phases) == (Conclusion.PROVEN, (0, 1, 2))
    assert found.step_a == pytest.approx((6.0, 6.0, 6.0))
    assert found.latency_s == pytest.approx(obey_s + 1.0, abs=1.0)
    assert "which is which is not proven" in found.notes[0]
    site.run(20)
    assert car_a(site) == 16.0


def test_a_turned_meter_and_a_wrong_rotation_are_both_found() -> None:
    site = charging(topology(63.0, 1), Car(phases=1, max_a=16.0))
    site.shown = lambda flow: (-flow[2], -flow[0], -flow[1])
    found = verdict(site, begin(site))
    assert [(fault.about, fault.remedy.split(" of ")[0]) for fault in found.faults] == [
        ("sign", "set invert: true"),
        ("rotation", "set rotation: STR (or SRT, where the rotary field turns the other way)"),
    ]
    assert found.rotations == ("STR", "SRT")


def test_one_transformer_that_looks_the_wrong_way_is_named() -> None:
    site = charging(topology(63.0, 1), Car(max_a=16.0))
    site.shown = lambda flow: (flow[0], -flow[1], flow[2])
    (fault,) = verdict(site, begin(site)).faults
    assert (fault.about, fault.remedy) == ("sign", "turn the current transformer on L2 of meter m round")


def test_a_meter_that_measures_something_else_is_found() -> None:
    site = charging(topology(63.0, 1), Car(max_a=16.0))
    site.shown = lambda _flow: (8.0, 8.0, 8.0)
    found = verdict(site, begin(site))
    assert [fault.about for fault in found.faults] == ["meter"]


def test_the_nearest_meter_on_the_way_to_the_grid_is_the_one_that_is_proven() -> None:
    topo = topology(63.0, 2, circuits={"garage": 40.0, "yard": 40.0}, circuit_meters=True)
    test = begin(site := charging(topo, Car(max_a=16.0)))
    assert (test.node, test.test.meter) == ("garage", "m-garage")
    assert verdict(site, test).conclusion is Conclusion.PROVEN


def test_what_the_test_takes_away_goes_to_no_neighbour() -> None:
    site = charging(topology(45.0, 3), Car(), others=2)
    before_a = site.drawn()
    test, seen = begin(site), []
    site.worst = dict.fromkeys(site.worst, (0.0, 0.0, 0.0))
    site.on_step.append(lambda site: seen.append(site.drawn()[1:]))
    assert verdict(site, test).conclusion is Conclusion.PROVEN
    assert max(map(max, seen)) <= max(before_a) + 0.01
    assert max(site.worst["grid"]) <= 45.0
    assert max(limit_a for _, evse, limit_a in site.orders if evse == CP1) <= max(before_a) + 6.0
    site.run(60)
    assert site.drawn() == pytest.approx(before_a, abs=0.3)


def test_a_car_that_charges_little_is_paused_only_if_that_was_said() -> None:
    site = charging(topology(63.0, 1), Car(phases=1, max_a=8.0))
    found = verdict(site, begin(site))
    assert found.conclusion is Conclusion.NOT_CLEAR
    assert found.text == "the car draws 8.0 A of the 32.0 A that it may have, 12 A are needed"
    assert "--pause" in found.remedy
    found = verdict(site, begin(site, may_pause=True))
    assert (found.conclusion, found.found_phases) == (Conclusion.PROVEN, (0,))
    assert found.step_a == pytest.approx((8.0, 0.0, 0.0))


@pytest.mark.parametrize("another_comes", [False, True])
def test_a_car_that_leaves_ends_the_test(another_comes: bool) -> None:
    site = charging(topology(63.0, 1), Car(max_a=16.0))
    test = begin(site)
    lowered(site, test)
    site.unplug("CP-1")
    if another_comes:
        site.plug("CP-1", Car(max_a=16.0))
    found = verdict(site, test)
    assert (found.conclusion, found.text) == (Conclusion.NOT_CLEAR, "the car at CP-1/1 has gone")
    site.plug("CP-1", Car(max_a=16.0))
    site.run(60)
    assert car_a(site) == 16.0


def test_a_test_that_nobody_goes_on_with_lifts_itself() -> None:
    site = charging(topology(63.0, 1), Car(max_a=16.0))
    test = begin(site)
    lowered(site, test)
    site.on_step.clear()
    site.run(LEASE_S - 1.0)
    assert car_a(site) == 10.0
    site.run(8)
    assert car_a(site) == 16.0


def test_a_test_that_is_stopped_gives_back_at_once() -> None:
    site = charging(topology(63.0, 1), Car(max_a=16.0))
    test = begin(site)
    lowered(site, test)
    assert site.controller.decisions[CP1].reasons[0] == "held at 10.0 A at most while a step test runs"
    site.on_step.clear()
    site.carry_out(test.stop(site.now))
    site.run(8)
    assert car_a(site) == 16.0


def test_a_limit_that_drops_meanwhile_is_obeyed_at_once_and_ends_the_test() -> None:
    site = charging(
        topology(63.0, 1), Car(max_a=16.0), sources=(LimitSource("op", "op", "grid", AppliesTo.TOTAL, (63.0,) * 3),)
    )
    test = begin(site)
    lowered(site, test)
    site.announce("op", 13.0, valid_s=600.0)
    site.run(8)
    assert car_a(site) == pytest.approx(7.0)
    found = verdict(site, test)
    assert (found.conclusion, found.text) == (Conclusion.NOT_CLEAR, "the site took the car down to 7.0 A meanwhile")


def test_a_station_that_does_not_obey_proves_nothing_about_its_meter() -> None:
    site = charging(topology(63.0, 1), Car(max_a=16.0))
    site.stations["CP-1"].liar = True
    found = verdict(site, begin(site))
    assert found.conclusion is Conclusion.NOT_CLEAR
    assert found.text == "CP-1/1 does not follow its limit"


def test_a_station_that_falls_silent_ends_the_test() -> None:
    site = charging(topology(63.0, 1), Car(max_a=16.0))
    test = begin(site)
    lowered(site, test)
    site.tell("CP-1", words.FellSilent(14.0))
    assert verdict(site, test).text == "CP-1 says nothing over its open connection"


def test_a_station_that_is_seldom_raised_is_left_alone() -> None:
    site = charging(topology(63.0, 1), Car(max_a=16.0))
    site.tell("CP-1", words.BehaviourLearnt(every_s=3456.0))
    with pytest.raises(UntestableError, match="CP-1 may be written to for a raise only every 58 min, so long the car"):
        SiteStepTest(site.controller, CP1, site.now)


def test_a_meter_that_falls_silent_ends_the_test() -> None:
    site = charging(topology(63.0, 1), Car(max_a=16.0))
    test = begin(site)
    lowered(site, test)
    site.go_blind(60)
    assert verdict(site, test).text == "meter m is silent"


def test_a_fault_of_our_own_ends_the_test_and_gives_the_car_its_current_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StepTest, "_back", lambda *_: 1 / 0)
    site = charging(topology(63.0, 1), Car(max_a=16.0))
    test = SiteStepTest(site.controller, CP1, site.now)
    faults = 0
    for _ in range(round(LONGEST_S / 0.5)):
        site.run(0.5)
        try:
            site.carry_out(test.step(site.now))
        except ZeroDivisionError:
            faults += 1
        if test.test.verdict is not None:
            break
    assert faults == 1
    assert test.test.verdict is not None
    assert test.test.verdict.text == "the gateway has a fault"
    site.run(30)
    assert car_a(site) == pytest.approx(16.0)


def unmetered() -> Topology:
    built = topology(63.0, 1)
    root, station = built.root, built.stations[0]
    return Topology((Node(root.id, root.label, None, root.rating_a),), (Station(station.id, "", station.evses),))


@pytest.mark.parametrize(
    ("topo", "evse", "text"),
    [
        (topology(63.0, 1), EvseId("CP-9", 1), "the site file knows no CP-9/1: it knows CP-1/1"),
        (topology(63.0, 1), CP1, "CP-1/1 has no car: plug a car in that charges"),
        (unmetered(), CP1, "no meter measures CP-1/1, neither at grid: name a `meter` for its circuit or for the grid"),
    ],
)
def test_what_is_missing_is_said_with_its_remedy(topo: Topology, evse: EvseId, text: str) -> None:
    site = settled(VirtualSite(topo))
    with pytest.raises(UntestableError, match=text.split(":", maxsplit=1)[0]) as error:
        SiteStepTest(site.controller, evse, site.now)
    assert str(error.value).startswith(text)


def test_a_station_that_is_not_there_is_not_asked_for_its_car() -> None:
    site = settled(VirtualSite(topology(63.0, 1)))
    site.disconnect("CP-1")
    site.run(2)
    with pytest.raises(UntestableError, match="CP-1 is not connected: it has to dial the gateway in place of its CSMS"):
        SiteStepTest(site.controller, CP1, site.now)
