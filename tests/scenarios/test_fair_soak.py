"""Would the soak of fairness notice a gateway that lets cars wait for nothing? Broken ones are found out; the right one is not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from local_controller.site import appetite, surplus
from local_controller.site.appetite import Appetite
from local_controller.site.base_load import BaseLoad as Estimate
from local_controller.site.evse import EvseState
from local_controller.site.known_evse import KnownEvse
from local_controller.site.per_phase import ZERO, PerPhase, upper
from local_controller.site.turns import Turns
from site_simulator.outlet import StationSpec
from site_simulator.site import BaseLoad, Node, Step
from site_simulator.vehicle import VehicleSpec
from tests.effort import EFFORT
from tests.scenarios import fair_soak
from tests.scenarios.fair_judge import judged
from tests.scenarios.fair_kinds import world_of
from tests.scenarios.fair_world import Post, World

SHORT_S = 1000
FIRST = 0


def world(limit_a: float, *posts: tuple[float, bool], seconds: int = SHORT_S) -> World:
    """One fuse. posts: the most that each car takes on its one phase, and whether its station is mute."""
    built = [
        Post(
            StationSpec(f"S{n}", "ocpp2.0.1", 1, 32.0, "R", vehicles=(VehicleSpec(1, car_a, 1e6, arrives_s=5.0),)),
            fallback_a=6.0,
            is_mute=is_mute,
        )
        for n, (car_a, is_mute) in enumerate(posts)
    ]
    return World(0, seconds, (Node("grid", 40.0),), frozenset({"grid"}), tuple(built), ((0.0, limit_a),), ())


@pytest.mark.requirement("LC-110")
def test_law_no_car_starves_no_room_is_wasted_and_nobody_is_switched_for_nothing() -> None:
    for seed in range(FIRST, FIRST + 2 * EFFORT):
        judge, _ = judged(World.of(seed, SHORT_S))
        assert judge.faults == []
        assert judge.judged_s > 0.0


@pytest.mark.requirement("LC-110")
@pytest.mark.parametrize(
    "kinds",
    [("paired", "restless"), ("favoured", "demanding"), ("sunny", "switching"), ("priced",), ("delayed", "favoured")],
)
def test_law_nor_on_sites_of_any_kind(kinds: tuple[str, ...]) -> None:
    for seed in range(FIRST, FIRST + EFFORT):
        assert judged(world_of(seed, SHORT_S, kinds))[0].faults == []


def restless(limit_a: float, seconds: int = 1600, **car: Any) -> World:
    """Two cars of which the second one rests, or is full and stays."""
    site = world(limit_a, (32.0, False), (32.0, False), seconds=seconds)
    first, second = site.posts
    spec = replace(second.spec, vehicles=(replace(second.spec.vehicles[0], **car),))
    return replace(site, posts=(first, replace(second, spec=spec)))


def test_a_gateway_that_keeps_current_for_a_full_car_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    full = restless(33.0, need_wh=300.0, stays=True)
    assert judged(full)[0].faults == []
    shown = Appetite.shown
    monkeypatch.setattr(Appetite, "shown", lambda self, drawn_a, *about: shown(self, max(drawn_a, 29.0), *about))
    assert ["wastes" in fault for fault in judged(full)[0].faults] == [True]


def test_a_gateway_that_gives_turns_to_a_car_that_takes_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asleep = restless(10.0, 2700, rests=((0.0, 1e6),), says_so=False)
    assert judged(asleep)[0].faults == []
    monkeypatch.setattr(KnownEvse, "takes_nothing", False)
    assert any("starves" in fault for fault in judged(asleep)[0].faults)


def test_a_gateway_that_buys_energy_for_cars_of_the_sun_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = BaseLoad(-20.0, (Step(400.0, 20.0),), least_a=-60.0)
    site = world(30.0, (32.0, False))
    (post,) = site.posts
    roof = replace(
        site, posts=(replace(post, mode="surplus"),), nodes=(Node("grid", 40.0, None, (cloud, cloud, cloud)),)
    )
    assert judged(roof)[0].faults == []
    monkeypatch.setattr(surplus, "RIDE_S", 1e9)
    assert ["imports" in fault for fault in judged(roof)[0].faults] == [True]


def test_a_gateway_that_switches_nobody_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The building leaves 5 A on L1 and L2, and all on L3, which the station can leave connected alone."""
    crowd, free = BaseLoad(34.0), BaseLoad(0.0)
    car = VehicleSpec(3, 16.0, 1e6, arrives_s=5.0)
    spec = StationSpec("S0", "ocpp2.0.1", vehicles=(car,), units=("A",), switches_phases=True, one_phase=3)
    post = Post(spec, fallback_a=0.0, is_mute=False, says_phase=True)
    nodes = (Node("grid", 40.0, None, (crowd, crowd, free)),)
    site = replace(world(40.0, seconds=1200), posts=(post,), nodes=nodes)
    assert judged(site)[0].faults == []
    monkeypatch.setattr(EvseState, "switches", lambda *_: False)
    assert ["misses" in fault for fault in judged(site)[0].faults] == [True]


def test_a_gateway_that_never_notices_what_a_car_leaves_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = world(33.0, (6.0, False), (32.0, False))
    monkeypatch.setattr(appetite, "LASTS_S", 1e9)
    assert ["wastes" in fault for fault in judged(narrow)[0].faults] == [True]


def test_a_gateway_that_never_believes_that_a_load_has_gone_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    oven = BaseLoad(12.0, (Step(200.0, -12.0),))
    kitchen = replace(world(20.0, (32.0, False)), nodes=(Node("grid", 40.0, None, (oven, oven, oven)),))
    update = Estimate.update

    def stays(estimate: Estimate, *about: Any) -> PerPhase:
        before_a = estimate.current_a or ZERO
        estimate.current_a = upper(before_a, update(estimate, *about))
        return estimate.current_a

    assert judged(kitchen)[0].faults == []
    monkeypatch.setattr(Estimate, "update", stays)
    assert ["wastes" in fault for fault in judged(kitchen)[0].faults] == [True]


def test_a_gateway_that_tries_a_mute_car_again_and_again_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    edge = world(14.0, (32.0, False), (32.0, True), seconds=1480)
    monkeypatch.setattr(Estimate, "unheard_a", ZERO)  # it takes its draw for another load
    monkeypatch.setattr(Turns, "rests_anyhow", lambda *_: {})
    assert any("rests" in fault for fault in judged(edge)[0].faults)


def test_the_last_line_tells_station_hours_and_violations(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["fair_soak", "--hours", "0.1"])
    monkeypatch.setattr(fair_soak, "world_of", lambda *_: world(33.0, (32.0, False), seconds=400))
    assert fair_soak.main() == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"station_hours": 0, "violations": 0}
