"""`local-controller commission` against a running gateway with real sockets: a wrong rotation and a turned meter are found.

The site file says that the station's L1 is the grid's L1, and turns the meter's signs over; in the simulated site L1 is on the
grid's L2, and the meter is right.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from local_controller.adapters.commissioning_file import read_records
from local_controller.app import LocalController
from local_controller.cli.demo_peers import free_ports
from local_controller.config.load import load
from site_simulator.demo_site import SiteSpec
from site_simulator.meter import SimulatedMeter
from site_simulator.outlet import StationSpec
from site_simulator.peer import V16
from site_simulator.scenario import RunningSite
from site_simulator.site import BaseLoad, Node
from site_simulator.vehicle import VehicleSpec
from tests.e2e.surroundings import HOST, command, site_text, until
from tests.patient_time import PatientTime, run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]
SPEED = 40.0
LOAD = BaseLoad(8.0, jitter_a=0.2)
CAR = VehicleSpec(phases=1, max_a=16, need_wh=60_000, arrives_s=1)
STATION = StationSpec("CP-1", V16, rotation="STR", vehicles=(CAR,), meter_interval_s=10.0)
SPEC = SiteSpec(nodes=(Node("grid", 63.0, None, (LOAD, LOAD, LOAD)),), stations=(STATION,), metered=())


def sections(meter_port: int, web: int, state: Path) -> str:
    return (
        f"meters: [{{id: main, device: eastron_sdm630, host: {HOST}, port: {meter_port}, invert: true}}]\n"
        f"web: {{host: {HOST}, port: {web}}}\n"
        f"state_directory: {state}\n"
    )


async def commissioned(site: Path) -> tuple[int | None, str, str]:
    async with command("commission", str(site), "--json") as process:
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def test_a_wrong_rotation_and_a_turned_meter_are_found_and_kept(tmp_path: Path) -> None:
    async def story(clock: PatientTime) -> None:
        port, web = free_ports(2)
        async with (
            RunningSite(SPEC, f"ws://{HOST}:{port}", clock) as site,
            SimulatedMeter(site.world.gauges["grid"]) as meter,
        ):
            path = tmp_path / "site.yaml"
            row = "id: CP-1, phases: 3, rotation: RST, max_a: 16, fallback_a: 16"
            more = sections(meter.port, web, tmp_path)
            text = site_text([row], csms_url=site.csms.url, port=port, fuse_a=63, more=more)
            path.write_text(text.replace("meter: grid", "meter: main"), encoding="utf-8")
            async with LocalController(load(path), clock):
                playing = asyncio.create_task(site.play(900, boot_within_s=900))
                await until(lambda: site.stations["CP-1"].outlet.currents_a[0] > 12, 300)
                status, out, err = await commissioned(path)
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)
                assert status == 1, err
                (found,) = json.loads(out)
                assert [one["about"] for one in found["faults"]] == ["sign", "rotation"], found
                assert (found["found_phases"], found["expected_phases"]) == ([1], [0])
                assert found["rotations"] == ["STR", "SRT"]
                assert found["step_a"][1] == pytest.approx(-6.0, abs=0.8)
                assert 0.5 <= found["latency_s"] <= 10.0
                assert "Example Works Simulated Station 1.0" in found["product"]
                assert "lowered to 10 A" in err
                assert site.csms.complaints == []
                assert read_records(tmp_path)["CP-1/1"].rotations == ("STR", "SRT")

    clock = PatientTime(SPEED)
    run(story(clock), clock)
