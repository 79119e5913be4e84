"""Is nothing lost that was confirmed while the CSMS was away, even if the gateway is killed in the moment after? Real processes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from local_controller.app import LocalController
from local_controller.cli.demo_peers import free_ports
from local_controller.config.load import load
from site_simulator.demo_site import SiteSpec
from site_simulator.outlet import StationSpec
from site_simulator.peer import V16, V21, V201
from site_simulator.scenario import RunningSite
from site_simulator.site import BaseLoad, Node
from site_simulator.vehicle import VehicleSpec
from tests.adapters.outage_site import OutageSite, outage_site
from tests.e2e.surroundings import HOST, command, site_text, station_row, until
from tests.patient_time import PatientTime, run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
SESSIONS = 2
FUSE_A, BASE_A, FALLBACK_A = 60.0, 10.0, 6.0
SPEED = 20.0
CAR = VehicleSpec(max_a=32, need_wh=60_000, arrives_s=1)
LATER = VehicleSpec(max_a=32, need_wh=60_000, arrives_s=150)
"""It comes while the CSMS is away."""

SPEC = SiteSpec(
    nodes=(Node("grid", FUSE_A, None, (BaseLoad(BASE_A),) * 3),),
    stations=tuple(
        StationSpec(f"CP-{n}", version, vehicles=(car,))
        for n, (version, car) in enumerate(((V16, CAR), (V201, CAR), (V21, LATER), (V16, LATER)), 1)
    ),
    metered=(),
)


@asynccontextmanager
async def running(site: OutageSite) -> AsyncIterator[asyncio.subprocess.Process]:
    """The gateway as a process, ready for stations."""
    async with command("run", str(site.write())) as gateway:
        assert gateway.stderr is not None
        while b'"running"' not in (line := await gateway.stderr.readline()):
            assert line, "it ended instead"
        yield gateway


@pytest.mark.requirement("LC-047", "LC-049", "LC-069", "LC-070")
async def test_what_was_confirmed_survives_kill_9_in_the_next_moment(tmp_path: Path) -> None:
    async with outage_site(tmp_path, within_s=90, outage="unknown_id_tokens: accept") as site:
        async with running(site), site.station() as station:
            await station.boots()
            memory = tmp_path / "capabilities.json"
            await until(lambda: memory.exists() and "Accepted" in memory.read_text(encoding="utf-8"), 20)
        await site.csms.stop()
        site.csms.heard.clear()
        confirmed: list[int] = []
        for number in range(SESSIONS):
            async with running(site) as gateway:
                with contextlib.suppress(ConnectionClosed):
                    async with site.station() as station:
                        answer = await station.says(
                            "StartTransaction",
                            connectorId=1,
                            idTag=f"C{number}",
                            meterStart=number,
                            timestamp="2026-11-22T12:00:00Z",
                        )
                        gateway.kill()
                        confirmed.append(answer["transactionId"])
                await gateway.wait()
        assert len(set(confirmed)) == SESSIONS, "a provisional id is unique for ever"
        await site.csms.start()
        async with running(site), site.station() as station:
            await until(lambda: len(site.csms.heard) >= SESSIONS, 20)
            assert [payload["idTag"] for _, _, payload in site.csms.heard] == [f"C{n}" for n in range(SESSIONS)]
            await station.says(
                "StopTransaction", transactionId=confirmed[-1], meterStop=9, timestamp="2026-11-22T13:00:00Z"
            )
            assert site.csms.heard[-1][2]["transactionId"] == site.csms.transactions, "the id that the CSMS gave"


@pytest.mark.requirement("LC-037", "LC-048", "LC-051", "LC-052", "LC-053", "LC-069")
def test_load_control_goes_on_and_a_strict_csms_finds_no_fault_in_what_it_hears_later(tmp_path: Path) -> None:
    """Cars that come meanwhile get their share, the fuse holds, and every message afterwards is one of a plain station."""

    async def story(clock: PatientTime) -> None:
        (port,) = free_ports(1)
        async with RunningSite(SPEC, f"ws://{HOST}:{port}", clock) as site:
            path = tmp_path / "site.yaml"
            text = site_text(
                map(station_row, SPEC.stations), csms_url=site.csms.url, port=port, fuse_a=FUSE_A, base_a=BASE_A
            )
            outage = f"csms: {{url: '{site.csms.url}', outage: {{unknown_id_tokens: accept}}}}\n"
            text = text.replace(f"csms: {{url: '{site.csms.url}'}}\n", outage) + f"state_directory: {tmp_path}\n"
            path.write_text(text, encoding="utf-8")
            outlets = {name: station.outlet for name, station in site.stations.items()}
            async with LocalController(load(path), clock) as gateway:
                playing = asyncio.create_task(site.play(3600, boot_within_s=600))
                await until(lambda: outlets["CP-1"].offered_a > 2 * FALLBACK_A, 300)
                begun = dict(site.csms.running)
                await site.csms.go_away()
                await until(lambda: min(outlet.offered_a for outlet in outlets.values()) > FALLBACK_A, 900)
                assert all(not uplink.is_there for uplink in gateway.stations.uplinks.values())
                assert site.csms.running == begun, "it has heard nothing of the cars that came"
                await site.csms.come_back()
                await until(
                    lambda: (
                        not any(uplink.waiting or not uplink.is_there for uplink in gateway.stations.uplinks.values())
                    ),
                    600,
                )
                assert site.csms.running.keys() == outlets.keys()
                await asyncio.sleep(60)
                offered_a = {name: outlet.offered_a for name, outlet in outlets.items()}
                playing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await playing
            excess = site.world.gauges["grid"].over_fuse[0]
            print(f"\nwithout the CSMS: {excess.worst_a:.1f} A over the fuse; then {offered_a}")  # noqa: T201
            assert excess.worst_a == 0
            assert site.csms.complaints == []
            assert [station.record.complaints for station in site.stations.values()] == [[]] * len(outlets)

    clock = PatientTime(SPEED)
    run(story(clock), clock)
