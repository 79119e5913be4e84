"""A sender of limits is killed: does the running gateway fall back by its last will, long before its message runs out?

The gateway, mosquitto and the sender are real; only the charging stations are missing.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import subscribe

from local_controller.app import LocalController
from local_controller.clock import Clock
from local_controller.config.load import load
from tests.adapters.test_mqtt import Mosquitto, free_port, mosquitto
from tests.cli.test_doctor import examined

__all__ = ["mosquitto"]
pytestmark = pytest.mark.e2e

SITE = """
site: {{name: Presence, mode: control}}
csms: {{url: "ws://127.0.0.1:9/ocpp"}}
listen: {{port: {door}}}
grid_connection: {{fuse_a: 63, assumed_base_load_a: 10}}
brokers: [{{id: home, host: 127.0.0.1, port: {port}}}]
limits:
  - {{id: ems, broker: home, topic: ems/limit, fallback_a: 16, max_age_s: 600,
      availability: {{topic: ems/bridge/state, path: state}}}}
stations: [{{id: CP-1}}]
"""

SENDER = """
import json, sys, time
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
client = Client(CallbackAPIVersion.VERSION2)
client.will_set("ems/bridge/state", json.dumps({"state": "offline"}), 1, retain=True)
client.connect("127.0.0.1", int(sys.argv[1]), 5)
client.loop_start()
for topic, message in ("ems/bridge/state", {"state": "online"}), ("ems/limit", {"max_a": 40}):
    client.publish(topic, json.dumps(message), 1, retain=topic.endswith("state")).wait_for_publish(5)
    time.sleep(0.2)
print("sent", flush=True)
time.sleep(600)
"""


def site_file(folder: Path, broker: Mosquitto) -> Path:
    file = folder / "site.yaml"
    file.write_text(SITE.format(port=broker.port, door=free_port()), encoding="utf-8")
    return file


@asynccontextmanager
async def sender(broker: Mosquitto) -> AsyncIterator[Process]:
    """An EMS with a last will that has just sent 40 A, which hold for ten minutes."""
    command = [sys.executable, "-c", SENDER, str(broker.port)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"sent\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def gone(port: int) -> None:
    """The broker has told of it: its last will is what new clients hear first."""
    for _ in range(100):
        told = subscribe.simple("ems/bridge/state", hostname="127.0.0.1", port=port)
        if json.loads(told.payload) == {"state": "offline"}:
            return
        time.sleep(0.05)
    pytest.fail("the broker tells no last will")


async def until(gateway: LocalController, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The picture in which it holds, within 5 s."""
    async with asyncio.timeout(5):
        while True:
            view = await gateway.picture()
            if condition(view):
                return view
            await asyncio.sleep(0.05)


def allows(limit_a: float) -> Callable[[dict[str, Any]], bool]:
    return lambda view: view["nodes"][0]["limit_a"][0] == limit_a


@pytest.mark.requirement("LC-116")
async def test_a_killed_sender_counts_as_silent_at_once(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """And again in full only when it is back and has sent anew."""
    async with LocalController(load(site_file(tmp_path, mosquitto)), Clock()) as gateway:
        view = await until(gateway, lambda view: any(one["code"] == "broker_link" for one in view["notices"]))
        assert view["limits"][0]["trouble"].startswith("has not said yet that it is there")
        async with sender(mosquitto) as process:
            await until(gateway, allows(40.0))
            process.kill()
            view = await until(gateway, allows(16.0))
        (limit,) = view["limits"]
        assert limit["ends_in_s"] > 500, "its message would have held for long"
        assert limit["trouble"] == "ems on topic ems/bridge/state: it says that it is not there"
        assert view["notices"][-1]["code"] in {"limit_source_offline", "limit_changed"}
        await asyncio.to_thread(mosquitto.publish, '{"max_a": 40}', topic="ems/limit")
        await asyncio.to_thread(mosquitto.publish, '{"max_a": 9}', topic="ems/limit")
        await until(gateway, allows(9.0))
        async with sender(mosquitto):
            await until(gateway, allows(40.0))
    codes = [one["code"] for one in view["notices"]]
    assert codes.count("limit_source_offline") == 1


@pytest.mark.requirement("LC-116")
async def test_a_gateway_that_starts_while_the_sender_is_gone_does_not_raise(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """The last will is retained, and so may be an old limit."""
    async with sender(mosquitto):
        await asyncio.to_thread(mosquitto.publish, json.dumps({"max_a": 50}), topic="ems/limit", retain=True)
    await asyncio.to_thread(gone, mosquitto.port)
    async with LocalController(load(site_file(tmp_path, mosquitto)), Clock()) as gateway:
        view = await until(gateway, lambda view: view["limits"][0]["ends_in_s"] is not None)
        assert view["nodes"][0]["limit_a"][0] == 16.0
        assert "not there" in view["limits"][0]["trouble"]


async def test_the_doctor_says_whether_the_sender_is_there(mosquitto: Mosquitto, tmp_path: Path) -> None:
    file = site_file(tmp_path, mosquitto)
    _, found = await examined(file)
    assert found["limit ems"]["text"] == "nothing on ems/bridge/state within 1.5 s: its messages may only lower"
    assert found["limit ems"]["state"] == "warning"
    await asyncio.to_thread(mosquitto.publish, '{"state": "offline"}', topic="ems/bridge/state", retain=True)
    _, found = await examined(file)
    assert found["limit ems"]["state"] == "error"
    assert found["limit ems"]["remedy"] == "start its sender, or correct online and offline in availability"
    await asyncio.to_thread(mosquitto.publish, '{"state": "online"}', topic="ems/bridge/state", retain=True)
    await asyncio.to_thread(mosquitto.publish, '{"max_a": 30}', topic="ems/limit", retain=True)
    _, found = await examined(file)
    assert found["limit ems"]["text"] == "30.0 / 30.0 / 30.0 A, of unknown age: it has no time stamp"
