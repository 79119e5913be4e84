"""`local-controller profiles` against a running gateway with real sockets: three stacks, foreign profiles, and who is away.

The stations are simulated, and compute what holds by their own rules; somebody has given three of them a profile.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_controller.cli.demo_peers import free_ports
from site_simulator.clock import SimClock, run
from site_simulator.demo_site import SiteSpec
from site_simulator.outlet import StationSpec
from site_simulator.peer import V16, V21, V201
from site_simulator.scenario import RunningSite
from site_simulator.site import Node
from site_simulator.vehicle import VehicleSpec
from tests.e2e.surroundings import HOST, command, gateway_process, site_text, station_row

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
SPEED = 15.0
CAR = (VehicleSpec(max_a=32, need_wh=60_000, arrives_s=1),)
SPEC = SiteSpec(
    nodes=(Node("grid", 120.0),),
    stations=(
        StationSpec("CP-1", V16),
        StationSpec("CP-2", V201),
        StationSpec("CP-3", V21, vehicles=CAR),
        StationSpec("CP-4", V16, vehicles=CAR),
    ),
    metered=(),
)
NOBODY = "a profile that neither the gateway nor, since it runs, the CSMS installed"


def profile(version: str, profile_id: int, purpose: str, limit_a: float, stack_level: int) -> dict[str, Any]:
    """As the simulator keeps it, in the snake case of its payloads."""
    schedule = {
        "start_schedule": "2020-01-01T00:00:00Z",
        "charging_rate_unit": "A",
        "charging_schedule_period": [{"start_period": 0, "limit": limit_a}],
    }
    head = {
        "charging_profile_purpose": purpose,
        "charging_profile_kind": "Absolute",
        "stack_level": stack_level,
    }
    if version == V16:
        return {"charging_profile_id": profile_id, **head, "charging_schedule": schedule}
    return {"id": profile_id, **head, "charging_schedule": [{"id": 1, **schedule}]}


def somebody_installs(site: RunningSite) -> None:
    """Another one than the CSMS, by another way than OCPP."""
    for identity, version, at, purpose, limit_a, level in (
        ("CP-1", V16, 1, "TxDefaultProfile", 20.0, 3),
        ("CP-2", V201, 1, "TxDefaultProfile", 16.0, 3),
        ("CP-3", V21, 0, "ChargingStationMaxProfile", 9.0, 1),
    ):
        station = site.stations[identity]
        raw = profile(version, 7, purpose, limit_a, level)
        assert station.outlet.installed.install(at, raw, None, station.utc()) == ""


async def asked(url: str, *arguments: str) -> tuple[int | None, str, str]:
    async with command("profiles", *arguments, "--url", url) as process:
        out, err = await process.communicate()
    assert b"Traceback" not in err, err.decode()
    return process.returncode, out.decode(), err.decode()


async def stacks(url: str, identity: str) -> Any:
    status, out, err = await asked(url, identity, "--json")
    assert status == 0, err
    return json.loads(out)


async def seen(url: str, identity: str, is_so: Callable[[Any], bool]) -> Any:
    """The answer once it is so."""
    async with asyncio.timeout(400):
        while not is_so(found := await stacks(url, identity)):  # noqa: ASYNC110  # the gateway announces nothing
            await asyncio.sleep(5)
        return found


def tells(key: str) -> Callable[[Any], bool]:
    """Whether something is in this list."""
    return lambda found: bool(found["stacks"] and found["stacks"][key])


async def lifted(url: str) -> None:
    """CP-2, 2.0.1: the foreign default lifts the fallback, and its id is known."""
    found = await seen(url, "CP-2", tells("station_profiles"))
    by = {one["id"]: one["installed_by"] for one in found["stacks"]["station_profiles"]}
    assert by == {7: "somebody else", 2147480002: "gateway"}
    (now,) = found["stacks"]["in_force"]
    assert (now["limit_a"], now["worst_a"]) == (6.0, 16.0)
    assert now["foreign"] == f"{NOBODY} (id 7, TxDefaultProfile, stack level 3)"
    assert found["evses"][0]["worst_case_a"] == 16.0
    assert found["is_connected"]


async def bound(url: str) -> None:
    """CP-3, 2.1: the foreign station maximum binds, and is the first reason."""
    await seen(url, "CP-3", lambda found: tells("station_profiles")(found) and bool(found["evses"][0]["reasons"]))
    found = await seen(url, "CP-3", lambda found: found["stacks"]["in_force"][0]["stack"] == "station")
    (now,) = found["stacks"]["in_force"]
    assert (now["limit_a"], now["profile_id"], now["transaction_id"] is not None) == (9.0, 7, True)
    assert found["evses"][0]["reasons"][0].startswith(f"CP-3/1 is limited to 9.0 A by {NOBODY}")
    status, out, _ = await asked(url, "CP-3")
    assert status == 0
    print(out)  # noqa: T201  # what people see
    assert "EVSE 1 now: 9.0 A per phase [station]" in out
    assert max(map(len, out.splitlines())) <= 100


async def in_order(url: str) -> None:
    """CP-4, 1.6: nothing foreign; CP-1, 1.6: only its composite schedule shows that there is something."""
    found = await seen(url, "CP-4", tells("station_composites"))
    assert {one["state"] for one in found["stacks"]["station_composites"]} == {"known"}
    assert found["stacks"]["in_force"][0]["stack"] == "ours"
    assert found["stacks"]["station_profiles"] == []
    found = await seen(url, "CP-1", lambda found: found["stacks"]["in_force"][0]["worst_a"] == 20.0)
    assert "something in the station itself" in found["stacks"]["in_force"][0]["foreign"]


@pytest.mark.requirement("LC-096", "LC-111")
def test_three_stacks_of_stations_of_all_versions_with_and_without_foreign_profiles(tmp_path: Path) -> None:
    async def story(clock: SimClock) -> None:
        port, web = free_ports(2)
        url = f"http://{HOST}:{web}"
        async with RunningSite(SPEC, f"ws://{HOST}:{port}", clock) as site:
            path = tmp_path / "site.yaml"
            more = f"web: {{host: {HOST}, port: {web}}}\n"
            text = site_text(map(station_row, SPEC.stations), csms_url=site.csms.url, port=port, fuse_a=120, more=more)
            path.write_text(text, encoding="utf-8")
            somebody_installs(site)
            async with gateway_process(path, clock):
                status, _, err = await asked(url, "CP-9")
                assert (status, err) == (1, "the site file knows no station 'CP-9'; it knows CP-1, CP-2, CP-3, CP-4\n")
                before = await stacks(url, "CP-2")
                playing = asyncio.create_task(site.play(900, boot_within_s=900))
                assert before["stacks"] is None or not before["stacks"]["station_profiles"]
                await lifted(url)
                await bound(url)
                await in_order(url)
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)
                assert site.csms.complaints == []
        status, _, err = await asked(url, "CP-2")
        assert status == 1
        assert err.startswith(f"no gateway answers at {url}")

    clock = SimClock(SPEED)
    run(story(clock), clock)
