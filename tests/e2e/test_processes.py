"""Does the gateway as a process start, end and die as it must? The stations are simulated, everything else is real.

Ready within 10 s, gone within 5 s of SIGTERM with status 0. After kill -9 nobody renews any limit: within its validity
every station falls back by itself (layer L2), and a new process takes over where the site is.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from local_controller.cli.demo_peers import free_ports
from site_simulator.clock import SimClock, run
from site_simulator.demo_site import SiteSpec
from site_simulator.outlet import StationSpec
from site_simulator.peer import V16, V21, V201
from site_simulator.scenario import RunningSite
from site_simulator.site import Node
from site_simulator.vehicle import VehicleSpec
from tests.e2e.surroundings import HOST, command, gateway_process, site_text, station_row, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
FALLBACK_A = 6.0
VALID_S = 60.0
"""The shortest validity that a site file may ask for."""

SPEED = 15.0
CAR = (VehicleSpec(max_a=32, need_wh=60_000, arrives_s=1),)
SPEC = SiteSpec(
    nodes=(Node("grid", 100.0),),
    stations=tuple(
        StationSpec(f"CP-{number}", version, vehicles=CAR) for number, version in enumerate((V16, V201, V21, V16), 1)
    ),
    metered=(),
)


def write_site(path: Path, csms_url: str, port: int) -> Path:
    text = site_text(map(station_row, SPEC.stations), csms_url=csms_url, port=port)
    path.write_text(f"{text}control: {{working_limit_valid_s: {VALID_S:g}}}\n", encoding="utf-8")
    return path


def offered_a(site: RunningSite) -> list[float]:
    return [station.outlet.offered_a for station in site.stations.values()]


def allowed_a(site: RunningSite, killed: datetime, after_s: float) -> list[float]:
    """What the profiles that the stations hold let them offer so long after the kill, however late it is looked at."""
    return [station.outlet._allowed_a(killed + timedelta(seconds=after_s)) for station in site.stations.values()]


async def played(site: RunningSite, duration_s: float) -> asyncio.Task[object]:
    return asyncio.create_task(site.play(duration_s, boot_within_s=duration_s))


async def _ended(task: asyncio.Task[object]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_run_controls_within_ten_seconds_and_sigterm_ends_it_within_five(tmp_path: Path) -> None:
    async def story(clock: SimClock) -> None:
        (port,) = free_ports(1)
        async with RunningSite(SPEC, f"ws://{HOST}:{port}", clock) as site:
            path = write_site(tmp_path / "site.yaml", site.csms.url, port)
            started_s = time.monotonic()
            async with command("run", str(path)) as gateway:
                assert gateway.stderr is not None
                while b'"running"' not in (line := await asyncio.wait_for(gateway.stderr.readline(), 60)):
                    assert line, "it ended instead"
                ready_s = time.monotonic() - started_s - waited_s(gateway.pid)
                playing = await played(site, 60)
                await until(lambda: min(offered_a(site)) > FALLBACK_A, 60)
                control_s = time.monotonic() - started_s
                gateway.send_signal(signal.SIGTERM)
                sent_s, waited_before_s = time.monotonic(), waited_s(gateway.pid)
                waits_s, ending = waited_before_s, asyncio.create_task(gateway.communicate())
                while not ending.done():
                    waits_s = max(waits_s, waited_s(gateway.pid))
                    await asyncio.wait([ending], timeout=0.05)
                _, errors = await ending
                ended_s = time.monotonic() - sent_s - (waits_s - waited_before_s)
            print(  # noqa: T201  # the figures of the process
                f"\nopen after {ready_s:.1f} s, cars raised after {control_s:.1f} s, ended {ended_s:.1f} s after SIGTERM"
            )
            await _ended(playing)
            assert gateway.returncode == 0
            assert b"Traceback" not in errors, errors.decode()
            assert ended_s <= 5
            first_profiles = [station.record for station in site.stations.values()]
            assert all("SetChargingProfile" in record.actions(sent=False) for record in first_profiles)
            assert site.csms.complaints == []
            assert ready_s <= 10

    clock = SimClock(1.0)
    run(story(clock), clock)


@pytest.mark.requirement("LC-106")
def test_after_kill_9_all_stations_fall_back_by_themselves_and_a_new_process_takes_over(tmp_path: Path) -> None:
    async def story(clock: SimClock) -> None:
        (port,) = free_ports(1)
        async with RunningSite(SPEC, f"ws://{HOST}:{port}", clock) as site:
            path = write_site(tmp_path / "site.yaml", site.csms.url, port)
            playing = await played(site, 900)
            async with gateway_process(path, clock) as gateway:
                await until(lambda: min(offered_a(site)) > 2 * FALLBACK_A, 300)
                children = _children_of(gateway.pid)
                gateway.kill()
                killed, killed_s = clock.utc(), clock.monotonic_s()
                await asyncio.wait_for(gateway.wait(), 20 * clock.speed)
                await asyncio.sleep(1.0)  # what was on its way has arrived
                assert min(allowed_a(site, killed, 1.0)) > 2 * FALLBACK_A, "a limit holds on without the gateway"
                assert max(allowed_a(site, killed, VALID_S)) <= FALLBACK_A
                await until(lambda: max(offered_a(site)) <= FALLBACK_A, VALID_S + 60)
                fell_back_s = clock.monotonic_s() - killed_s
                print(f"\nkill -9: the last station was back at {FALLBACK_A:g} A after {fell_back_s:.1f} s")  # noqa: T201
            async with gateway_process(path, clock):
                resumed = [site.stations[spec.identity].outlet for spec in SPEC.stations if spec.version == V16]
                await until(lambda: min(outlet.offered_a for outlet in resumed) > FALLBACK_A, 200)
            await _ended(playing)
            assert site.world.gauges["grid"].over_fuse[0].worst_a == 0
            await until(lambda: not [pid for pid in children if _is_running(pid)], 20 * clock.speed)

    clock = SimClock(SPEED)
    run(story(clock), clock)


def test_a_port_that_is_taken_and_a_site_file_with_ten_mistakes_are_told_and_end_with_1(tmp_path: Path) -> None:
    async def story() -> None:
        server = await asyncio.start_server(lambda *_: None, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        path = write_site(tmp_path / "site.yaml", "ws://127.0.0.1:9/ocpp", port)
        async with server, command("run", str(path)) as gateway:
            _, errors = await asyncio.wait_for(gateway.communicate(), 30)
            assert gateway.returncode == 1
            last = errors.decode().strip().splitlines()[-1]
            remedy = "is a gateway running already? Else choose another listen.port, listen.tls.port or listen.host"
            assert last == f"door for stations on {HOST}:{port}: Address already in use; {remedy}"
            assert b"Traceback" not in errors
        mistakes = Path(__file__).parents[1] / "config" / "golden" / "ten_mistakes.yaml"
        async with command("check", str(mistakes)) as check:
            output, errors = await asyncio.wait_for(check.communicate(), 30)
            assert check.returncode == 1
            assert errors == b""
            located = re.compile(rf"^{re.escape(str(mistakes))}:\d+:\d+: .+")
            lines = output.decode().splitlines()
            assert len([line for line in lines if located.match(line)]) == len(lines) == 10

    asyncio.run(story())


def waited_s(pid: int) -> float:
    """Seconds in which it could have run but others had the processors; 0 where /proc does not tell."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    return 0.0


def _children_of(pid: int) -> list[int]:
    """The gateway's own processes; empty where /proc does not tell."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text(encoding="ascii").split()] if path.exists() else []


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and os.getpgid(pid) > 0
