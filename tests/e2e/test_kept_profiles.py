"""Does a CSMS notice of its charging profiles that the gateway was killed and started again? Simulated stations, all else is real."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from local_controller.cli.demo_peers import free_ports
from site_simulator.clock import SimClock, run
from site_simulator.csms import ProfileOrder
from site_simulator.demo_site import SiteSpec
from site_simulator.outlet import StationSpec
from site_simulator.peer import V16, V21, V201
from site_simulator.scenario import RunningSite
from site_simulator.site import Node
from site_simulator.vehicle import VehicleSpec
from tests.e2e.surroundings import HOST, gateway_process, site_text, station_row, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
SPEED = 15.0
FALLBACK_A, DEFAULT_A, TX_A = 16.0, 10.0, 8.0
CAR = (VehicleSpec(max_a=32, need_wh=60_000, arrives_s=1),)
SPEC = SiteSpec(
    nodes=(Node("grid", 100.0),),
    stations=tuple(StationSpec(f"CP-{n}", version, vehicles=CAR) for n, version in enumerate((V16, V201, V21), 1)),
    metered=(),
)
ORDERS = [ProfileOrder(spec.identity, 0, DEFAULT_A, profile_id=40) for spec in SPEC.stations]
ORDERS.append(ProfileOrder("CP-3", 0, TX_A, "TxProfile", profile_id=41))


async def reported(site: RunningSite, station: str) -> list[dict[str, Any]]:
    """What GetChargingProfiles shows."""
    record, any_of_them = site.csms.records[station], {"charging_limit_source": ["CSO"]}
    before = len(record.payloads("ReportChargingProfiles"))
    answer = await site.csms.command(station, "GetChargingProfiles", request_id=7, charging_profile=any_of_them)
    assert answer.status == "Accepted"
    await until(lambda: len(record.payloads("ReportChargingProfiles")) > before, 60)
    return [one for told in record.payloads("ReportChargingProfiles")[before:] for one in told["chargingProfile"]]


@pytest.mark.requirement("LC-047", "LC-093", "LC-096")
def test_profiles_outlive_kill_9_and_no_car_gets_more_than_they_allow(tmp_path: Path) -> None:
    async def story(clock: SimClock) -> None:
        (port,) = free_ports(1)
        async with RunningSite(SPEC, f"ws://{HOST}:{port}", clock) as site:
            path, kept = tmp_path / "site.yaml", tmp_path / "profiles.json"
            rows = [station_row(spec, FALLBACK_A) for spec in SPEC.stations]
            text = site_text(rows, csms_url=site.csms.url, port=port, more=f"state_directory: {tmp_path}\n")
            path.write_text(text, encoding="utf-8")
            outlets = {name: station.outlet for name, station in site.stations.items()}
            playing = asyncio.create_task(site.play(3600, boot_within_s=900))
            async with gateway_process(path, clock) as gateway:
                await until(lambda: min(outlet.offered_a for outlet in outlets.values()) > FALLBACK_A, 300)
                assert [await site.csms.order(order) for order in ORDERS] == ["Accepted"] * len(ORDERS)
                await until(lambda: kept.exists() and kept.read_text().count("SetChargingProfile") == len(ORDERS), 300)
                before = {name: await reported(site, name) for name in ("CP-2", "CP-3")}
                gateway.kill()
                await gateway.wait()
            most_a = dict.fromkeys(outlets, 0.0)

            async def watched() -> None:
                while True:
                    for name, outlet in outlets.items():
                        most_a[name] = max(most_a[name], outlet.offered_a)
                    await asyncio.sleep(0.5)

            async with gateway_process(path, clock):
                watching = asyncio.create_task(watched())
                await until(lambda: all(name in site.csms._peers for name in outlets), 300)
                after = {name: await reported(site, name) for name in ("CP-2", "CP-3")}
                await asyncio.sleep(200)  # its transactions are heard of, and limits are raised again
                offered_a = {name: outlet.offered_a for name, outlet in outlets.items()}
                watching.cancel()
            for task in (playing, watching):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            assert after == before
            assert [sorted(one["id"] for one in told) for told in after.values()] == [[40], [40, 41]]
            print(f"\nafter kill -9 at most {most_a}, then {offered_a}")  # noqa: T201  # the figures of the story
            assert max(most_a.values()) <= DEFAULT_A
            assert offered_a == {"CP-1": DEFAULT_A, "CP-2": DEFAULT_A, "CP-3": TX_A}
            assert site.csms.complaints == []

    clock = SimClock(SPEED)
    run(story(clock), clock)
