"""Do stations that only take watts get their turn, although nobody knows how many phases their car uses?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from ruamel.yaml import YAML

from local_controller.config.models import SiteConfig
from site_simulator.outlet import StationSpec
from site_simulator.site import Node
from site_simulator.vehicle import VehicleSpec
from tests.scenarios.socketless_site import SocketlessSite
from tests.virtual_loop import VirtualLoop, run

SITE_FILE = """
site: {name: Two bays, mode: control}
csms: {url: "ws://127.0.0.1:1/ocpp"}
grid_connection: {fuse_a: 25, assumed_base_load_a: 0, meter: main}
meters: [{id: main, device: eastron_sdm630, host: 127.0.0.1}]
brokers: [{id: ems, host: 127.0.0.1}]
limits: [{id: ems, broker: ems, topic: limit, node: grid, fallback_a: 25}]
stations:
  - {id: AMPERES, max_a: 32}
  - {id: WATTS, max_a: 32}
"""
FUSE_A = 25.0
COMES_S = 120.0


@pytest.mark.requirement("LC-110")
@pytest.mark.parametrize(("phases", "within_s"), [(1, 120.0), (3, 300.0)])
def test_a_car_at_a_station_in_watts_begins_although_another_one_uses_all(phases: int, within_s: float) -> None:
    """It would need 20 A at first, were it on three phases. Those are not free for a minute, so 6.7 A are tried.

    Once it has begun it goes on: it is never told less than a car needs at 230 V, where 6 A x 207 V are 5.4 A.
    """
    loop = VirtualLoop()
    site = SocketlessSite(_config(), _specs(phases), loop, [Node("grid", FUSE_A)])
    in_watts_a, total_a = run(_currents(site, COMES_S + within_s + 300.0), loop)
    assert min(in_watts_a[-300:]) >= 6.0 * 0.99
    assert max(total_a) <= FUSE_A


@pytest.mark.requirement("LC-110")
def test_a_car_that_proves_to_need_more_is_given_it_without_waiting_for_the_next_plan() -> None:
    """While 10 A are allowed it is tried with what one phase needs; then all is free, and 20 A + 6 A fit."""
    loop = VirtualLoop()
    site = SocketlessSite(_config(fuse_a=30), _specs(3), loop, [Node("grid", 30.0)])
    cut_s, proven_s = 100.0, 70.0 + 20.0
    changes = {0.0: 10.0, COMES_S + cut_s: 30.0}
    in_watts_a, total_a = run(_currents(site, COMES_S + cut_s + proven_s + 60.0, changes), loop)
    assert in_watts_a[-1] >= 6.0 * 0.99
    assert max(total_a) <= 30.0


@pytest.mark.requirement("LC-110")
@pytest.mark.parametrize("phases", [1, 2, 3])
def test_any_car_begins_at_a_station_of_11_kw_in_watts(phases: int) -> None:
    """The 20 A that a car on three phases would need on one of them are more than that can carry: 16 A are promised."""
    loop = VirtualLoop()
    site = SocketlessSite(_config(40, 16), _specs(phases, 16.0), loop, [Node("grid", 40.0)])
    in_watts_a, total_a = run(_currents(site, COMES_S + 120.0, {0.0: 40.0}), loop)
    assert in_watts_a[-1] >= 12.0
    assert max(total_a) <= 40.0
    told_w = [_highest_w(profile) for profile in site.written("WATTS")]
    assert 16.0 * 207 * 3 in told_w


@pytest.mark.requirement("LC-110")
def test_a_car_that_takes_little_at_a_station_in_watts_is_not_stopped_where_not_all_can_have_all() -> None:
    """It takes 4 A, so that 6.67 A are all that it is worth offering: no whole tenth, and less than the 6.7 A that it needs."""
    loop = VirtualLoop()
    site = SocketlessSite(_config(), _specs(3, car_a=4.0), loop, [Node("grid", FUSE_A)])
    in_watts_a, total_a = run(_currents(site, COMES_S + 600.0), loop)
    assert min(in_watts_a[-300:]) == pytest.approx(4.0)
    assert max(total_a) <= FUSE_A


@pytest.mark.requirement("LC-110")
@pytest.mark.parametrize("volts", [230.0, 245.0])
def test_what_a_higher_voltage_makes_of_watts_is_nothing_that_a_car_leaves(volts: float) -> None:
    """32 A are told as watts at 207 V: at 245 V these are 27 A, and 17 A were left of them by a car that took all there was."""
    loop = VirtualLoop()
    specs = [replace(spec, volts=volts) for spec in _specs(3)]
    site = SocketlessSite(_config(62), specs, loop, [Node("grid", 62.0)], volts=volts)
    in_watts_a, _ = run(_currents(site, COMES_S + 1500.0, {0.0: 62.0}), loop)
    assert in_watts_a[-1] >= 28.0 * 207.0 / volts


@pytest.mark.requirement("LC-093", "LC-110")
@pytest.mark.parametrize(
    ("max_a", "allowed_w"), [(32, 11_000.0), (32, 5_000.0), (32, 4_140.0), (16, 7_000.0), (16, 4_200.0)]
)
@pytest.mark.parametrize("phases", [1, 2, 3])
def test_a_limit_of_the_csms_in_watts_is_told_to_the_watt(max_a: int, allowed_w: float, phases: int) -> None:
    """It is of all phases together, so nobody needs to know how many a car uses to begin; and none of it is given away.

    4140 W are 6 A at 230 V on three phases, and 6.67 A at 207 V: in tenths, 6.6 A would stop the car and 6.7 A be too much.
    """
    loop = VirtualLoop()
    site = SocketlessSite(_config(70, max_a), _specs(phases, max_a), loop, [Node("grid", 70.0)])
    in_watts_a, total_a = run(_currents(site, COMES_S + 240.0, {0.0: 70.0}, _limit_w(allowed_w)), loop)
    all_a = min(allowed_w / phases / 230.0, float(max_a) * 207 / 230)
    assert in_watts_a[-1] == pytest.approx(all_a, rel=0.02)
    assert max(total_a) <= 70.0
    told_w = [_highest_w(profile) for profile in site.written("WATTS")]
    assert max(told_w) <= allowed_w


def _limit_w(allowed_w: float) -> dict[str, Any]:
    """A TxDefaultProfile for every transaction."""
    schedule = {
        "id": 1,
        "start_schedule": "2026-06-01T00:00:00Z",
        "charging_rate_unit": "W",
        "charging_schedule_period": [{"start_period": 0, "limit": allowed_w}],
    }
    return {
        "id": 5,
        "stack_level": 0,
        "charging_profile_purpose": "TxDefaultProfile",
        "charging_profile_kind": "Absolute",
        "charging_schedule": [schedule],
    }


def _highest_w(request: dict[str, Any]) -> float:
    (schedule,) = request["chargingProfile"]["chargingSchedule"]
    return max(period["limit"] for period in schedule["chargingSchedulePeriod"])


async def _currents(
    site: SocketlessSite,
    seconds: float,
    limits_a: Mapping[float, float] = MappingProxyType({}),
    profile: Mapping[str, Any] | None = None,
) -> tuple[list[float], list[float]]:
    """Of the station in watts and of the most loaded phase of the grid connection, each second.

    limits_a: from then on. profile: of the CSMS, a minute after the start.
    """
    in_watts_a, total_a = [], []
    async with site.running():
        for second in range(int(seconds)):
            if second == 60 and profile is not None:
                answer = await site.csms.command("WATTS", "SetChargingProfile", evse_id=0, charging_profile=profile)
                assert answer.status == "Accepted"
            if second in limits_a:
                site.order("ems", limits_a[second])
            await asyncio.sleep(1.0)
            in_watts_a.append(site.drawn_a("WATTS"))
            total_a.append(max(site.world.gauges["grid"].current_a))
    return in_watts_a, total_a


def _config(fuse_a: int = int(FUSE_A), max_a: int = 32) -> SiteConfig:
    text = SITE_FILE.replace("fuse_a: 25", f"fuse_a: {fuse_a}").replace("max_a: 32", f"max_a: {max_a}")
    return SiteConfig.model_validate(YAML(typ="safe", pure=True).load(text), strict=False)


def _specs(phases: int, max_a: float = 32.0, car_a: float = 32.0) -> list[StationSpec]:
    always = VehicleSpec(phases=3, max_a=32.0, need_wh=1e6, arrives_s=5.0)
    late = VehicleSpec(phases=phases, max_a=car_a, need_wh=1e6, arrives_s=COMES_S)
    return [
        StationSpec("AMPERES", "ocpp2.0.1", 3, max_a, "RST", "grid", (always,)),
        StationSpec("WATTS", "ocpp2.0.1", 3, max_a, "RST", "grid", (late,), units=("W",)),
    ]
