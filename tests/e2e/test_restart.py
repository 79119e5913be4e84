"""Does a gateway that is restarted remember that its stations still hold the limits it gave them?

A working limit outlives the process that gave it by up to `working_limit_valid_s`. Whoever takes over must count with it,
whether the restart was ordered or not.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from local_controller.app import LocalController
from local_controller.cli.demo_peers import free_ports
from local_controller.config.load import load
from site_simulator.demo_site import SiteSpec
from site_simulator.outlet import StationSpec
from site_simulator.peer import V16, V21, V201
from site_simulator.scenario import RunningSite
from site_simulator.site import BaseLoad, Node
from site_simulator.vehicle import VehicleSpec
from tests.e2e.surroundings import HOST, site_text, station_row, until
from tests.patient_time import PatientTime, run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]
FUSE_A, BASE_A, FALLBACK_A = 70.0, 10.0, 6.0
FAST, REAL = 20.0, 1.0
CAR = (VehicleSpec(max_a=32, need_wh=60_000, arrives_s=1),)
VERSIONS = (V16, V201, V21, V16)
SPEC = SiteSpec(
    nodes=(Node("grid", FUSE_A, None, (BaseLoad(BASE_A),) * 3),),
    stations=tuple(StationSpec(f"CP-{n}", version, vehicles=CAR) for n, version in enumerate(VERSIONS, 1)),
    metered=(),
)


@pytest.mark.requirement("LC-047", "LC-107", "LC-108")
def test_a_restarted_gateway_does_not_give_away_what_stations_still_hold(tmp_path: Path) -> None:
    async def story(clock: PatientTime) -> None:
        (port,) = free_ports(1)
        async with RunningSite(SPEC, f"ws://{HOST}:{port}", clock) as site:
            path = tmp_path / "site.yaml"
            rows = map(station_row, SPEC.stations)
            path.write_text(
                site_text(rows, csms_url=site.csms.url, port=port, fuse_a=FUSE_A, base_a=BASE_A), encoding="utf-8"
            )
            outlets = [station.outlet for station in site.stations.values()]
            async with LocalController(load(path), clock):
                playing = asyncio.create_task(site.play(3600, boot_within_s=600))
                await until(lambda: min(outlet.offered_a for outlet in outlets) > 2 * FALLBACK_A, 300)
                clock.speed = REAL  # the restart takes its real seconds
            async with LocalController(load(path), clock):
                clock.speed = FAST
                await asyncio.sleep(120)
            offered_a = [outlet.offered_a for outlet in outlets]
            playing.cancel()
            with suppress(asyncio.CancelledError):
                await playing
            excess = site.world.gauges["grid"].over_fuse[0]
            print(f"\nrestarted: {excess.worst_a:.1f} A over the fuse for {excess.longest_s:.1f} s, then {offered_a}")  # noqa: T201
            assert excess.worst_a == 0
            assert max(offered_a) > FALLBACK_A, "it gives again what is proven free"

    clock = PatientTime(FAST)
    run(story(clock), clock)
