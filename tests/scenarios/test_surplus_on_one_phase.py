"""A car that charges from surplus only, at a station that switches phases: little sun is enough for one phase."""

from __future__ import annotations

from collections import Counter

import pytest

from local_controller.site.phase_switch import PAUSE_S, ROOM_S
from local_controller.site.surplus import PROOF_S, SPARE_A
from local_controller.station.words import BehaviourLearnt, Phase, PhaseSwitching
from tests.scenarios.test_prices import Sun, sunny
from tests.site.virtual_site import VirtualSite

LITTLE_A, MUCH_A = 5.0, 14.0
"""Sun on each phase, of which the building takes 2 A: 9 A are left over in all, too little for three phases; or 36 A."""


def switching(little_until_s: float) -> tuple[VirtualSite, Sun]:
    """Little sun at first, then much of it. The station leaves L2 connected, as the site file says."""
    site, sun = sunny(lambda s: LITTLE_A if s < little_until_s else MUCH_A)
    site.stations["CP-1"].one_phase = 2
    site.stations["CP-1"].switching = PhaseSwitching(is_able=True, one_phase=Phase.L2)
    site.tell("CP-1", BehaviourLearnt(switching=site.stations["CP-1"].switching))
    return site, sun


def test_little_sun_charges_on_one_phase_and_much_of_it_on_three_again() -> None:
    site, sun = switching(little_until_s=1800)
    site.run(1700)
    station = site.stations["CP-1"]
    assert [lines for _, lines, _ in station.moved] == [1]
    assert station.draw_a()[Phase.L2] == pytest.approx(9.0 - SPARE_A, abs=0.3)
    assert any("switched to one phase (L2)" in reason for reason in site.controller.decisions[station.evse.id].reasons)
    site.run(ROOM_S)
    assert [lines for _, lines, _ in station.moved] == [1], "not before there was room for ten minutes"
    site.run(2 * PROOF_S + 2 * PAUSE_S + 200)
    assert [lines for _, lines, _ in station.moved] == [1, 3]
    assert min(station.draw_a().values()) == pytest.approx(12.0 - SPARE_A, abs=0.3)
    assert min(station.pauses) >= PAUSE_S
    assert sum(lasted_s for lasted_s, _ in sun.times) == 0.0, "and nothing was imported for it"


def test_without_sun_nobody_is_switched() -> None:
    site, _ = switching(little_until_s=10_000)
    site.base = lambda _s: (1.0, 1.0, 1.0)
    site.run(1800)
    assert site.stations["CP-1"].moved == []
    assert site.drawn()[0] == 0.0


def test_of_two_cars_on_one_phase_only_as_many_go_back_to_three_as_there_is_sun_for() -> None:
    """33 A are left over: enough for three times 6 A and once 6 A, not for twice three times."""
    site, sun = sunny(lambda s: 7.0 if s < 900 else 13.0, stations=2)
    for name, phase in (("CP-1", Phase.L1), ("CP-2", Phase.L2)):
        site.stations[name].car.max_a = 10.0
        site.stations[name].one_phase = [*Phase].index(phase) + 1
        site.stations[name].switching = PhaseSwitching(is_able=True, one_phase=phase)
        site.tell(name, BehaviourLearnt(switching=site.stations[name].switching))
    site.run(800)
    assert [[lines for _, lines, _ in station.moved] for station in site.stations.values()] == [[1], [1]]
    idle_s = Counter[str]()
    site.on_step.append(
        lambda _: idle_s.update(n for n, one in site.stations.items() if max(one.draw_a().values()) == 0.0)
    )
    site.run(2 * ROOM_S + 200)
    assert sorted([lines for _, lines, _ in station.moved] for station in site.stations.values()) == [[1], [1, 3]]
    assert [*idle_s] == ["CP-1"], "nobody else pauses for it"
    assert sum(lasted_s for lasted_s, _ in sun.times) == 0.0
