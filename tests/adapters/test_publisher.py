"""Does the site's state arrive at a real broker: retained, after its restart, with a last word, and found by Home Assistant?"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from local_controller.adapters import mqtt
from local_controller.adapters.examination.inputs import examine_inputs
from local_controller.adapters.mqtt import BrokerSettings, Link, MqttBroker
from local_controller.adapters.publishing import publisher
from local_controller.adapters.publishing.home_assistant import discovery
from local_controller.app import LocalController
from local_controller.clock import Clock
from local_controller.config.load import load
from tests.adapters.test_mqtt import Heard, Mosquitto, free_port, mosquitto
from tests.e2e.surroundings import command

__all__ = ["mosquitto"]
pytestmark = pytest.mark.e2e

SITE = """
site: {{name: Garage, mode: control}}
csms: {{url: "ws://127.0.0.1:9/ocpp"}}
listen: {{host: 127.0.0.1, port: {door}}}
grid_connection: {{name: Main board, fuse_a: 100, assumed_base_load_a: 10}}
brokers: [{{id: building, host: 127.0.0.1, port: {port}}}]
limits: [{{id: ems, broker: building, topic: ems/limit, fallback_a: 16}}]
publish: {{broker: building, prefix: lc/garage, every_s: 60, home_assistant: true}}
stations: [{{id: CP-1}}, {{id: CP-2, evses: {evses}}}]
"""
HERE = "lc/garage"
CONFIG = "homeassistant/device/lc_2fgarage/{}/config"


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "ROUND_S", 0.05)


def site_file(folder: Path, port: int, evses: int = 1) -> Path:
    file = folder / "site.yaml"
    file.write_text(SITE.format(port=port, door=free_port(), evses=evses), encoding="utf-8")
    return file


class Watcher(Heard):
    """Somebody at the broker who sees all that is told."""

    def last(self, topic: str) -> bytes | None:
        return next((payload for at, payload, *_ in reversed(self.messages) if at == topic), None)

    def told(self, topic: str) -> list[bytes]:
        return [payload for at, payload, *_ in self.messages if at == topic]

    def json(self, below: str) -> Any:
        return json.loads(self.last(f"{HERE}/{below}") or b"null")


@asynccontextmanager
async def watcher(port: int) -> AsyncIterator[tuple[Watcher, MqttBroker]]:
    seen = Watcher()
    settings = BrokerSettings("watcher", "127.0.0.1", port, "watcher", topics=(f"{HERE}/#", "homeassistant/#"))
    client = MqttBroker(settings, seen.message, seen.state, Clock(), structlog.get_logger())
    await client.start()
    try:
        await seen.until(lambda: Link.CONNECTED in seen.links)
        yield seen, client
    finally:
        await client.stop()


@asynccontextmanager
async def gateway(folder: Path, port: int, evses: int = 1) -> AsyncIterator[LocalController]:
    async with LocalController(load(site_file(folder, port, evses)), Clock()) as running:
        yield running


def is_complete(seen: Watcher) -> Callable[[], bool]:
    return lambda: seen.last(f"{HERE}/station/CP-2/evse/1") is not None


async def test_the_state_is_there_for_who_comes_later_and_changes_when_the_site_does(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    async with gateway(tmp_path, mosquitto.port):
        async with watcher(mosquitto.port) as (seen, _):
            await seen.until(is_complete(seen))
        async with watcher(mosquitto.port) as (seen, _):
            await seen.until(is_complete(seen))
            assert all(retained for topic, _, retained, _ in seen.messages if topic != f"{HERE}/alarm")
            assert seen.last(f"{HERE}/availability") == b"online"
            assert seen.json("limit/ems/state")["is_fallback"]
            assert seen.json("circuit/grid")["limit_a"] == [16.0, 16.0, 16.0]
            assert seen.json("station/CP-1") == {"ts": seen.json("station/CP-1")["ts"], "connected": False}
            await asyncio.to_thread(mosquitto.publish, '{"max_a": 40}', topic="ems/limit")
            await seen.until(lambda: seen.json("limit/ems/state")["limit_a"] == [40.0, 40.0, 40.0])
            await seen.until(lambda: seen.json("circuit/grid")["limit_a"] == [40.0, 40.0, 40.0])
            await seen.until(lambda: any(b"limit_changed" in one for one in seen.told(f"{HERE}/alarm")))
            assert len(seen.told(f"{HERE}/station/CP-1/evse/1")) == 1, "nothing has changed there"
    async with watcher(mosquitto.port) as (seen, _):
        await seen.until(is_complete(seen))
        assert seen.last(f"{HERE}/availability") == b"offline"
        assert seen.told(f"{HERE}/alarm") == [], "an alarm is no state"


async def test_after_a_restart_of_the_broker_everything_is_told_anew(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with gateway(tmp_path, mosquitto.port), watcher(mosquitto.port) as (seen, _):
        await seen.until(is_complete(seen))
        mosquitto.kill()  # what it retained is lost with it
        seen.messages.clear()
        await asyncio.sleep(0.2)
        mosquitto.start()
        await seen.until(is_complete(seen))
        await seen.until(lambda: seen.last(CONFIG.format("station-CP-2-evse-1")))
        assert seen.last(f"{HERE}/availability") == b"online"


async def test_the_broker_says_that_a_killed_gateway_is_gone(mosquitto: Mosquitto, tmp_path: Path) -> None:
    file = site_file(tmp_path, mosquitto.port)
    with (tmp_path / "log").open("wb") as output:
        async with watcher(mosquitto.port) as (seen, _), command("run", str(file), output=output) as process:
            await seen.until(is_complete(seen))
            assert seen.last(f"{HERE}/availability") == b"online"
            process.kill()
            await seen.until(lambda: seen.last(f"{HERE}/availability") == b"offline")


async def test_home_assistant_loses_what_vanished_and_finds_the_rest_again_after_its_own_start(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    gone, kept = CONFIG.format("station-CP-2-evse-2"), CONFIG.format("station-CP-2-evse-1")
    before = discovery(load(site_file(tmp_path, mosquitto.port, evses=2)))
    assert before is not None
    vanished, foreign = f"{HERE}/station/CP-2/evse/2", "homeassistant/device/other/site/config"
    async with watcher(mosquitto.port) as (seen, client):
        for topic, payload in ((gone, before.messages[gone]), (vanished, b"{}"), (foreign, b"{}")):
            assert client.publish(topic, payload, retain=True)
        await seen.until(lambda: seen.last(foreign))
    async with watcher(mosquitto.port) as (seen, client), gateway(tmp_path, mosquitto.port):
        await seen.until(lambda: seen.last(gone) == seen.last(vanished) == b"" and seen.last(kept))
        announced = json.loads(seen.last(kept) or b"{}")
        assert announced["state_topic"] == f"{HERE}/station/CP-2/evse/1"
        assert set(announced["components"]) >= {"power", "offered", "reason", "drawn_a_l1"}
        await seen.until(is_complete(seen))
        seen.messages.clear()
        assert client.publish("homeassistant/status", "online")
        await seen.until(lambda: seen.last(kept) and is_complete(seen)())
    async with watcher(mosquitto.port) as (seen, _):
        await seen.until(lambda: seen.last(kept) and seen.last(foreign) and is_complete(seen)())
        assert seen.last(gone) is seen.last(vanished) is None


async def test_a_broker_that_confirms_nothing_is_sent_no_more_than_a_window(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is frozen while the link counts as sound; then it goes on, and takes the newest."""
    monkeypatch.setattr(mqtt, "WINDOW", 5)
    heard = Heard()
    settings = BrokerSettings("ems", "127.0.0.1", mosquitto.port)
    client = MqttBroker(settings, heard.message, heard.state, Clock(), structlog.get_logger())
    await client.start()
    try:
        await heard.until(lambda: client.is_connected)
        mosquitto.signal(signal.SIGSTOP)
        assert [client.publish("t", str(n), retain=True) for n in range(7)] == [True] * 5 + [False] * 2
        mosquitto.signal(signal.SIGCONT)
        async with asyncio.timeout(5):
            while not client.publish("t", "newest", retain=True):  # noqa: ASYNC110  (a confirmation tells nothing)
                await asyncio.sleep(0.02)
    finally:
        await client.stop()


async def test_a_refused_extra_subscription_costs_no_limit() -> None:
    """A broker whose rights do not let the gateway hear Home Assistant: limits arrive, and states are told."""

    async def strict(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(200)
        writer.write(b"\x20\x02\x00\x00")
        subscribe = await reader.read(200)
        writer.write(b"\x90\x04" + subscribe[2:4] + b"\x01\x80")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(strict, "127.0.0.1", 0)
    heard = Heard()
    settings = BrokerSettings("ems", "127.0.0.1", server.sockets[0].getsockname()[1], topics=("a",), also=("b/+",))
    client = MqttBroker(settings, heard.message, heard.state, Clock(), structlog.get_logger())
    async with server:
        await client.start()
        try:
            await heard.until(lambda: heard.states)
            assert heard.links == [Link.CONNECTED]
        finally:
            await client.stop()


@pytest.mark.parametrize(("rights", "state"), [("topic readwrite #", "ok"), ("topic read #", "warning")])
async def test_the_doctor_says_whether_the_gateway_may_write(
    mosquitto: Mosquitto, tmp_path: Path, rights: str, state: str
) -> None:
    mosquitto.kill()
    (tmp_path / "rights").write_text(f"{rights}\n")
    mosquitto.options = f"allow_anonymous true\nacl_file {tmp_path / 'rights'}"
    mosquitto.start()
    config = load(site_file(tmp_path, mosquitto.port))
    findings = {one.subject: one for one in await examine_inputs(config, Clock(), 0.3, {})}
    assert findings["publish"].state == state
    assert ("let this user write to lc/garage/#" in findings["publish"].remedy) is (state == "warning")
