"""What do other cars, crowded legs and asymmetry limits make of a switch? A site in virtual time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from local_controller.site.capacity import Left
from local_controller.site.effects import ApplyLimit
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo
from local_controller.site.phase_room import Load, PhaseRoom
from local_controller.site.phase_switch import Step, Told
from local_controller.site.topology import Topology
from local_controller.station import words
from local_controller.station.words import Phase, PhaseSwitching
from tests.site.virtual_site import Car, VirtualSite, topology

SAID = PhaseSwitching(is_able=True, one_phase=Phase.L1)
EMS = LimitSource("ems", "EMS limit", "grid", AppliesTo.CHARGING, (40.0,) * 3)


def site_of(tree: Topology, switching: PhaseSwitching = SAID) -> VirtualSite:
    site = VirtualSite(tree, (EMS,))
    for station in site.stations.values():
        station.switching = switching
    site.connect()
    site.run(15)
    return site


def step_of(site: VirtualSite, name: str = "CP-1") -> Step:
    session = site.controller.evses[site.stations[name].evse.id].session
    assert session is not None
    return session.switch.step


def under(site: VirtualSite, power_w: float, seconds: float) -> None:
    for _ in range(round(seconds / 30)):
        site.announce("ems", None, 60.0, power_w=power_w)
        site.run(30)


def drawn(site: VirtualSite, name: str = "CP-1") -> list[float]:
    return [round(amps, 1) for amps in site.stations[name].draw_a().values()]


@pytest.mark.requirement("LC-107", "LC-110", "LC-112")
def test_a_leg_that_the_building_crowds_does_not_stop_a_car_on_another() -> None:
    site = site_of(topology(25.0, 1))
    site.plug("CP-1")
    site.run(60)
    assert drawn(site) == [24.0, 24.0, 24.0]
    site.base = lambda _s: (2.0, 2.0, 21.0)
    site.run(150)
    assert drawn(site) == [22.0, 0.0, 0.0]
    assert max(site.flow("grid")) <= 25.0


def test_a_car_is_not_switched_to_the_leg_that_is_crowded() -> None:
    site = site_of(topology(25.0, 1, rotations=("TRS",)))
    site.plug("CP-1")
    site.run(60)
    site.base = lambda _s: (2.0, 2.0, 21.0)
    site.run(300)
    assert (drawn(site), step_of(site)) == ([0.0, 0.0, 0.0], Step.THREE)


def test_beside_an_asymmetry_limit_one_phase_gets_no_more_than_that() -> None:
    tree = topology(40.0, 1)
    site = site_of(replace(tree, nodes=(replace(tree.root, asymmetry_a=16.0),)))
    site.plug("CP-1")
    under(site, 4_000.0, 180)
    assert step_of(site) is Step.ONE
    assert drawn(site) == [15.0, 0.0, 0.0], "16 A less the margin of 1 A, although 4 kW are there"


def test_nobody_is_switched_to_a_phase_that_the_building_loads_too_unevenly() -> None:
    tree = topology(40.0, 1)
    site = site_of(replace(tree, nodes=(replace(tree.root, asymmetry_a=16.0),)))
    site.plug("CP-1")
    under(site, 9_000.0, 120)
    site.base = lambda _s: (12.0, 0.0, 0.0)
    under(site, 9_000.0, 60)
    assert min(drawn(site)) >= 6.0, "it loads three phases alike"
    under(site, 3_000.0, 300)
    assert (drawn(site), step_of(site)) == ([0.0, 0.0, 0.0], Step.THREE)
    assert max(site.worst["grid"]) <= 40.0


def test_a_neighbour_of_a_car_on_three_phases_takes_what_is_left_on_one() -> None:
    """6.5 kW are 25 A at 253 V: 18 A for the one, and not another 18 A for the other."""
    site = site_of(topology(40.0, 2, rotations=("RST", "STR")))
    site.plug("CP-1")
    site.plug("CP-2")
    under(site, 6_500.0, 400)
    assert sum(site.flow("grid")) * 230.0 <= 6_500.0
    assert all(max(drawn(site, name)) >= 6.0 for name in site.stations)
    assert {step_of(site, name) for name in site.stations} == {Step.ONE, Step.THREE}


FREE = PhaseSwitching(is_able=True, takes_phase=True)
"""It takes the phase that it is told; that it does was measured."""


def without_room_on_three_phases() -> VirtualSite:
    """Two cars that charged on three phases: now there is room for one of them on L1 and on L2 each, for none on L3."""
    site = site_of(topology(25.0, 2), FREE)
    for state in site.controller.evses.values():
        state.wire.measured_on(Told(1, 1), 0)
    site.plug("CP-1")
    site.plug("CP-2")
    site.run(60)
    site.base = lambda _s: (14.0, 15.0, 21.0)
    site.run(200)
    return site


def test_two_cars_that_leave_three_phases_at_the_same_time_do_not_crowd_the_same_one() -> None:
    site = without_room_on_three_phases()
    each = sorted(drawn(site, name) for name in site.stations)
    assert [[amps >= 6.0 for amps in of_car] for of_car in each] == [[False, True, False], [True, False, False]]
    assert max(site.flow("grid")) <= 25.0


def test_of_two_cars_that_want_back_to_three_phases_only_as_many_go_as_there_is_room_for() -> None:
    site = without_room_on_three_phases()
    site.base = lambda _s: (11.0, 11.0, 16.0)
    site.run(900)
    assert sorted(step_of(site, name) for name in site.stations) == [Step.ONE, Step.THREE]
    for _ in range(20):
        site.run(60)
        assert all(max(drawn(site, name)) >= 6.0 for name in site.stations)


def test_a_single_phase_car_is_never_switched() -> None:
    site = site_of(topology(40.0, 1))
    site.plug("CP-1", Car(phases=1))
    under(site, 9_000.0, 90)
    under(site, 1_200.0, 300)
    assert step_of(site) is Step.THREE
    assert site.stations["CP-1"].moved == []


def test_a_car_that_turns_out_to_have_one_phase_is_switched_back_once_and_no_more() -> None:
    site = site_of(topology(40.0, 1))
    site.announce("ems", None, 120.0, power_w=1_900.0)
    site.plug("CP-1", Car(phases=1))
    under(site, 1_900.0, 120)
    assert step_of(site) is Step.ONE, "it was never measured on three"
    under(site, 9_000.0, 780)
    assert step_of(site) is Step.THREE
    under(site, 1_900.0, 700)
    assert (step_of(site), len(site.stations["CP-1"].moved)) == (Step.THREE, 2)
    assert drawn(site)[0] >= 6.0


def test_a_trial_that_teaches_nothing_is_not_made_again_before_the_next_dip() -> None:
    """A full car draws nothing on one phase either: no contactor moves all night for that."""
    site = site_of(topology(40.0, 1), PhaseSwitching(is_able=True))
    site.plug("CP-1")
    under(site, 9_000.0, 120)
    under(site, 3_000.0, 120)
    full = site.stations["CP-1"].car
    assert full is not None
    full.paused = True
    under(site, 9_000.0, 3_600)
    assert [lines for _, lines, _ in site.stations["CP-1"].moved] == [1, 3]
    assert step_of(site) is Step.THREE
    full.paused = False
    under(site, 3_000.0, 120)
    under(site, 9_000.0, 180)
    assert step_of(site) is Step.ONE, "a switch would have helped once more"


@pytest.mark.parametrize("after_s", [0, 25, 60], ids=["before the pause", "in the pause", "in the pause, and told"])
@pytest.mark.parametrize("is_on_one", [False, True])
@pytest.mark.parametrize("foreign", [words.ForeignLimit(1, fallback_a=10.0), words.ForeignLimit(1, limit_a=10.0)])
def test_a_foreign_profile_starves_nobody(after_s: int, foreign: words.ForeignLimit, *, is_on_one: bool) -> None:
    """Where it lifts the limit of the session, 0 A cannot be proven and nobody pauses for that; a lifted fallback does no harm."""
    site = site_of(topology(40.0, 1), SAID if is_on_one else PhaseSwitching(is_able=True))
    site.plug("CP-1")
    under(site, 9_000.0, 90)
    under(site, 3_000.0, 180)
    if is_on_one:
        assert step_of(site) is Step.ONE
        under(site, 9_000.0, 600)
    site.announce("ems", None, 120.0, power_w=9_000.0)
    site.run(after_s)
    site.tell("CP-1", foreign)
    under(site, 9_000.0, 120)
    assert max(drawn(site)) >= 6.0


@pytest.mark.parametrize("fact", [words.UnitLearnt("W"), words.BehaviourLearnt(switching=SAID, least_a=6.0)])
def test_who_takes_watts_only_or_no_pause_is_not_switched(fact: object) -> None:
    site = site_of(topology(40.0, 1))
    site.tell("CP-1", fact)
    site.plug("CP-1")
    under(site, 9_000.0, 90)
    under(site, 3_000.0, 300)
    assert step_of(site) is Step.THREE
    assert site.stations["CP-1"].moved == []


@pytest.mark.requirement("LC-108")
def test_a_gateway_that_dies_in_the_midst_of_it_leaves_a_safe_site() -> None:
    """Its limits end, and the fallback lets the car use three phases again."""
    site = site_of(topology(8.0, 1))
    site.base = lambda _s: (0.0, 0.0, 0.0)
    site.plug("CP-1")
    under(site, 1_700.0, 150)
    assert step_of(site) is Step.ONE
    site.disconnect("CP-1")
    site.run(200)
    assert drawn(site) == [6.0, 6.0, 6.0]
    assert max(site.worst["grid"]) <= 8.0
    assert step_of(site) is Step.THREE, "who fell back counts on all phases"


def test_an_order_on_other_phases_replaces_one_that_still_waits() -> None:
    site = site_of(topology(40.0, 1))
    site.plug("CP-1")
    under(site, 9_000.0, 60)
    under(site, 3_000.0, 30)
    evse = site.stations["CP-1"].evse.id
    assert site.controller.wants(ApplyLimit(evse, 0.0, 90.0, urgent=False, phases=1))
    assert not site.controller.wants(ApplyLimit(evse, 0.0, 90.0, urgent=False))
    assert not site.controller.wants(ApplyLimit(evse, 0.0, 90.0, urgent=False, phases=1, phase_to_use=2))


def test_the_limit_says_on_how_many_phases_as_long_as_it_is_renewed() -> None:
    site = site_of(topology(40.0, 1))
    site.plug("CP-1")
    under(site, 3_000.0, 600)
    assert site.stations["CP-1"].told_phases == (1, None)
    assert len(site.stations["CP-1"].moved) == 1
    assert any("one phase" in notice.text for notice in site.notices if notice.code == "phase_switch")


def test_room_is_what_the_minimums_of_the_others_leave() -> None:
    left = Left({"grid": (20.0, 14.0, 9.0), "bay": (12.0, 30.0, 30.0)}, {"grid": 24.0})
    own, other = Load(("bay", "grid"), (0, 1, 2), 6.0), Load(("grid",), (1,), 6.0)
    room = PhaseRoom(left, [own, other, Load(("grid",), (0, 1, 2), 0.0)])
    assert room.without(own, own.way, (0,)) == 12.0, "its circuit"
    assert room.without(own, own.way, (1,)) == 8.0, "beside the other one"
    assert room.without(own, own.way, (0, 1, 2)) == 6.0, "(24 - 6) A for three phases together"
    assert room.without(own, own.way, (0, 1, 2)) == 6.0, "asking changes nothing"
