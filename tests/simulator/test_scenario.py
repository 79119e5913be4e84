"""Does a whole site run, add up its results and end without leaving anything behind?"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from site_simulator.csms import ProfileOrder
from site_simulator.demo_site import DEMO_SITE, LimitChange, SiteSpec
from site_simulator.outlet import StationSpec
from site_simulator.scenario import StationsMissingError, run_site
from site_simulator.site import Node
from site_simulator.vehicle import VehicleSpec
from tests.patient_time import PatientTime, run

CAR = (VehicleSpec(max_a=32, need_wh=50_000, arrives_s=5),)
SMALL = SiteSpec(
    nodes=(Node("grid", 50), Node("garage", 40, "grid")),
    stations=(
        StationSpec("CP-1", "ocpp1.6", circuit="garage", vehicles=CAR),
        StationSpec("CP-2", "ocpp2.1", circuit="garage", vehicles=CAR),
    ),
    orders=(ProfileOrder("CP-2", 20, 10.0, "TxProfile"),),
    limits=(LimitChange(0, 50), LimitChange(30, 30)),
)


def test_an_uncontrolled_site_exceeds_its_fuses_and_the_results_say_so() -> None:
    results = run(run_site(SMALL, None, clock := PatientTime(100), duration_s=60), clock)
    assert results.csms_errors == 0, results.complaints
    assert results.profile_outcomes == ["CP-2 TxProfile 10 A: Accepted"]
    worst = {(row.node, row.phase): row.worst_excess_a for row in results.nodes}
    assert worst["grid", "R"] == 14
    assert worst["garage", "T"] == results.worst_excess_a == 24
    assert 0 < results.longest_excess_s < 55
    assert results.energy_kwh == pytest.approx(sum(results.energy_kwh_by_station.values()))
    assert json.loads(results.as_json())["stations"] == 2


def test_stations_without_a_gateway_are_named() -> None:
    clock = PatientTime(100)
    with pytest.raises(StationsMissingError, match="CP-1, CP-2"):
        run(run_site(SMALL, "ws://127.0.0.1:9/ocpp", clock, duration_s=60, boot_within_s=20), clock)


@pytest.mark.parametrize("moment_s", [3, 8.3, 13.7])
def test_a_site_can_be_stopped_at_any_moment(moment_s: float) -> None:
    clock = PatientTime(100)

    async def interrupted() -> set[asyncio.Task[object]]:
        task = asyncio.create_task(run_site(SMALL, None, clock, duration_s=600))
        await asyncio.sleep(moment_s)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert run(interrupted(), clock) == set()


@pytest.mark.e2e
def test_the_demo_site_runs_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "site_simulator", "--speed", "60", "--duration", "260"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    ready, results = (json.loads(line) for line in done.stdout.splitlines())
    assert set(ready["meters"]) == set(DEMO_SITE.metered)
    assert results["csms_errors"] == 0, results["complaints"]
    assert min(results["energy_kwh_by_station"].values()) > 0, results["energy_kwh_by_station"]
    assert results["worst_excess_a"] > 60
    assert done.stderr == ""


@pytest.fixture
def broker_port() -> Iterator[int]:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    broker = subprocess.Popen([program, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_open(port)
        yield port
    finally:
        broker.terminate()
        broker.wait(timeout=10)


def _wait_until_open(port: int) -> None:
    for _ in range(100):
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    pytest.fail("the broker does not start")


@pytest.mark.e2e
def test_the_grid_operator_repeats_its_limit_and_announces_a_change(broker_port: int) -> None:
    heard: list[dict[str, object]] = []
    listener = mqtt.Client(CallbackAPIVersion.VERSION2)
    listener.on_connect = lambda client, *_: client.subscribe(SMALL.limit_topic)
    listener.on_message = lambda _, __, message: heard.append(json.loads(message.payload))
    listener.connect("127.0.0.1", broker_port)
    listener.loop_start()
    clock = PatientTime(20)
    spec = replace(SMALL, limits=(LimitChange(0, 70), LimitChange(35, 30)))
    results = run(run_site(spec, None, clock, duration_s=65, mqtt_port=broker_port), clock)
    for _ in range(200):  # the broker may be behind
        if [message["max_a"] for message in heard][-3:] == [30, 30, 30]:
            break
        time.sleep(0.05)
    listener.disconnect()
    listener.loop_stop()
    assert [message["max_a"] for message in heard][-3:] == [30, 30, 30]
    assert 70 in [message["max_a"] for message in heard]
    assert {message["valid_s"] for message in heard} == {60}
    assert results.limit_worst_excess_a == 12
