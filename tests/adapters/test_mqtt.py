"""Do limits arrive from a real broker, also after it was away, and is every trouble with it a named state?"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
import structlog
from paho.mqtt import publish

from local_controller.adapters import mqtt
from local_controller.adapters.inputs import Inputs, Listener
from local_controller.adapters.mqtt import REMEDIES, BrokerSettings, BrokerState, Link, MqttBroker
from local_controller.clock import Clock, Instant
from local_controller.config.load import load
from local_controller.errors import SourceError
from local_controller.site.limit_message import ReceivedLimit, parse_limit

pytestmark = pytest.mark.e2e
TOPIC = "site/limit/set"


def mosquitto_or_skip() -> str:
    """The broker's path; without it these tests are skipped, or fail where REQUIRE_PEERS=1 says so."""
    path = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        reason = "mosquitto is not installed: the MQTT tests need this broker"
        if os.environ.get("REQUIRE_PEERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@dataclass
class Mosquitto:
    """A real broker that can be killed, frozen and restarted on its port."""

    binary: str
    folder: Path
    port: int
    options: str = "allow_anonymous true"
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        account = "user root\n" if os.geteuid() == 0 else ""  # else it drops to an account that cannot read our files
        config = self.folder / "mosquitto.conf"
        config.write_text(f"{account}listener {self.port} 127.0.0.1\n{self.options}\n")
        self.process = subprocess.Popen(
            [self.binary, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            self.signal(0)
            time.sleep(0.05)
        raise AssertionError("mosquitto does not listen")

    def signal(self, number: int) -> None:
        assert self.process is not None
        assert self.process.poll() is None, "mosquitto ended"
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def publish(self, payload: str, *, retain: bool = False, topic: str = TOPIC) -> None:
        publish.single(topic, payload, qos=1, retain=retain, hostname="127.0.0.1", port=self.port)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(mosquitto_or_skip(), tmp_path, free_port())
    broker.start()
    yield broker
    broker.kill()


@dataclass
class Heard:
    """What our client told."""

    messages: list[tuple[str, bytes, bool, Instant]] = field(default_factory=list)
    states: list[BrokerState] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def message(self, topic: str, payload: bytes, retained: bool, received_at: Instant) -> None:
        self.messages.append((topic, payload, retained, received_at))
        self.news.set()

    def state(self, state: BrokerState) -> None:
        self.states.append(state)
        self.news.set()

    @property
    def links(self) -> list[Link]:
        return [state.link for state in self.states]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(12):
            while not condition():
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def connected(port: int, **settings: object) -> AsyncIterator[tuple[MqttBroker, Heard]]:
    heard = Heard()
    plain = replace(BrokerSettings("ems", "127.0.0.1", port, topics=(TOPIC,)), **settings)
    client = MqttBroker(plain, heard.message, heard.state, Clock(), structlog.get_logger())
    await client.start()
    try:
        yield client, heard
    finally:
        await client.stop()


async def test_a_limit_arrives(mosquitto: Mosquitto) -> None:
    before = Clock().now()
    async with connected(mosquitto.port) as (_, heard):
        await heard.until(lambda: heard.states)
        await asyncio.to_thread(mosquitto.publish, '{"max_a": 40, "reason": "grid operator"}')
        await heard.until(lambda: heard.messages)
    topic, payload, retained, received_at = heard.messages[0]
    assert (topic, retained, heard.links) == (TOPIC, False, [Link.CONNECTED])
    assert before <= received_at <= Clock().now()
    received = parse_limit(payload, retained, received_at)
    assert (received.limit_a, received.may_raise) == ((40.0, 40.0, 40.0), True)


async def test_a_retained_limit_without_time_stamp_may_only_lower(mosquitto: Mosquitto) -> None:
    await asyncio.to_thread(mosquitto.publish, '{"max_a": 63}', retain=True)
    async with connected(mosquitto.port) as (_, heard):
        await heard.until(lambda: heard.messages)
    _, payload, retained, received_at = heard.messages[0]
    assert retained
    assert not parse_limit(payload, retained, received_at).may_raise


@pytest.mark.parametrize("garbage", ["unavailable", "nan", '{"max_a": null}'])
async def test_garbage_arrives_as_it_is_and_is_no_limit(mosquitto: Mosquitto, garbage: str) -> None:
    async with connected(mosquitto.port) as (_, heard):
        await heard.until(lambda: heard.states)
        await asyncio.to_thread(mosquitto.publish, garbage)
        await heard.until(lambda: heard.messages)
    _, payload, retained, received_at = heard.messages[0]
    with pytest.raises(SourceError):
        parse_limit(payload, retained, received_at)


async def test_a_broker_that_was_killed_is_found_again_and_subscribed(mosquitto: Mosquitto) -> None:
    async with connected(mosquitto.port) as (client, heard):
        await heard.until(lambda: heard.states)
        mosquitto.kill()
        await heard.until(lambda: Link.UNREACHABLE in heard.links)
        assert not client.publish("site/state", "1")
        mosquitto.start()
        back_at = Clock().now()
        await heard.until(lambda: heard.links[-1] is Link.CONNECTED)
        assert Clock().now().since(back_at) <= mqtt.RETRY_MAX_S + 1
        await asyncio.to_thread(mosquitto.publish, '{"max_a": 20}')
        await heard.until(lambda: heard.messages)
    assert heard.links == [Link.CONNECTED, Link.LOST, Link.UNREACHABLE, Link.CONNECTED]


async def test_a_frozen_broker_is_lost_once_and_does_not_hold_up_the_end(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "KEEPALIVE_S", 1)
    monkeypatch.setattr(mqtt, "STOP_S", 0.2)
    async with connected(mosquitto.port) as (_, heard):
        await heard.until(lambda: heard.states)
        mosquitto.signal(signal.SIGSTOP)
        await heard.until(lambda: len(heard.states) == 2)
        assert heard.states[1] == BrokerState("ems", Link.LOST, "Keep alive timeout", REMEDIES[Link.LOST])
    mosquitto.signal(signal.SIGCONT)


async def test_a_wrong_password_is_a_named_state(mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    (mosquitto.folder / "passwords").write_text("")
    mosquitto.options = f"allow_anonymous false\npassword_file {mosquitto.folder / 'passwords'}"
    mosquitto.start()
    async with connected(mosquitto.port, username="ems", password="wrong") as (_, heard):  # noqa: S106 a wrong one
        await heard.until(lambda: heard.states)
        await asyncio.sleep(1.5)  # the next attempt is refused, too: reported once
    assert heard.links == [Link.REFUSED]
    assert heard.states[0].remedy == REMEDIES[Link.REFUSED]


async def test_a_broker_that_is_not_there_is_a_named_state_until_it_comes_up(mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    async with connected(mosquitto.port) as (_, heard):
        await heard.until(lambda: heard.states)
        assert heard.states == [BrokerState("ems", Link.UNREACHABLE, "no connection", REMEDIES[Link.UNREACHABLE])]
        mosquitto.start()
        await heard.until(lambda: Link.CONNECTED in heard.links)


async def test_a_peer_that_speaks_no_mqtt_is_a_named_state() -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(http, "127.0.0.1", 0)
    async with server, connected(server.sockets[0].getsockname()[1]) as (_, heard):
        await heard.until(lambda: heard.states)
    assert heard.links == [Link.UNREACHABLE]
    assert heard.states[0].detail.startswith("no MQTT broker answers")


async def test_a_topic_that_is_no_utf8_is_dropped_and_the_next_message_arrives() -> None:
    async def rogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(200)
        writer.write(b"\x20\x02\x00\x00" + b"\x30\x04\x00\x01\xffA" + b"\x30\x04\x00\x01aB")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(rogue, "127.0.0.1", 0)
    async with server, connected(server.sockets[0].getsockname()[1], topics=()) as (_, heard):
        await heard.until(lambda: heard.messages)
    assert [message[:3] for message in heard.messages] == [("a", b"B", False)]


async def test_others_see_whether_we_are_there(mosquitto: Mosquitto) -> None:
    availability, watched = "site/availability", Heard()
    watcher = BrokerSettings("watcher", "127.0.0.1", mosquitto.port, "watcher", topics=(availability,))
    observer = MqttBroker(watcher, watched.message, watched.state, Clock(), structlog.get_logger())
    await observer.start()
    await watched.until(lambda: watched.states)
    async with connected(mosquitto.port, availability_topic=availability) as (client, _):
        await watched.until(lambda: len(watched.messages) == 1)
        assert client.publish("site/state", "{}", retain=True)
    await watched.until(lambda: len(watched.messages) >= 2)
    await asyncio.sleep(0.1)  # a last will on top of our own word would arrive now
    await observer.stop()
    assert [payload for _, payload, _, _ in watched.messages] == [b"online", b"offline"]


async def test_a_client_can_be_stopped_before_it_ever_connected(mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    async with connected(mosquitto.port) as (client, heard):
        assert not client.publish("site/state", "1")
    told = list(heard.states)
    await asyncio.sleep(0.1)
    assert heard.states == told


# --- a clock that is set -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetClock(Clock):
    """The system's clock, by so many seconds wrong from a moment on."""

    wrong_s: list[float] = field(default_factory=lambda: [0.0])

    def now(self) -> Instant:
        now = super().now()
        return Instant(now.monotonic_s, now.utc + timedelta(seconds=self.wrong_s[0]))


@dataclass
class Limits(Heard):
    """What the site is told of its limits."""

    received: list[ReceivedLimit] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)

    def limit_received(self, _source: str, limit: ReceivedLimit) -> None:
        self.received.append(limit)
        self.news.set()

    def broker_changed(self, state: BrokerState) -> None:
        self.state(state)

    def limit_outdated(self, _source: str, text: str) -> None:
        self.outdated.append(text)
        self.news.set()


@pytest.mark.requirement("LC-116")
async def test_while_the_clock_is_set_back_the_source_goes_on_and_its_old_limit_stays_old(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """The broker restarts meanwhile, and brings the limit of an hour ago that somebody retained there."""
    file = tmp_path / "site.yaml"
    file.write_text(SITE.format(port=mosquitto.port, topic=TOPIC), encoding="utf-8")
    clock, told = SetClock(), Limits()
    inputs = Inputs(load(file), cast(Listener, told), clock, {})
    (broker,) = inputs.brokers
    clock.wrong_s[0] = -3600.0
    old, new = (
        json.dumps({"max_a": 63, "ts": (datetime.now(UTC) - timedelta(seconds=s)).isoformat()}) for s in (3600, 1)
    )
    await asyncio.to_thread(mosquitto.publish, old, retain=True)
    await broker.start()
    try:
        await told.until(lambda: told.outdated)
        await asyncio.to_thread(mosquitto.publish, new)
        await told.until(lambda: told.received)
    finally:
        await broker.stop()
    assert "limit is 3600 s old" in told.outdated[0] or "limit is 3601 s old" in told.outdated[0]
    assert [limit.limit_a for limit in told.received] == [(63.0, 63.0, 63.0)]


SITE = """
site: {{name: clock, mode: control}}
csms: {{url: "ws://127.0.0.1:9/ocpp"}}
grid_connection: {{fuse_a: 63, assumed_base_load_a: 20}}
brokers: [{{id: ems, host: 127.0.0.1, port: {port}}}]
limits: [{{id: ems, broker: ems, topic: {topic}, fallback_a: 10, max_age_s: 60}}]
stations: [{{id: CP-1}}]
"""
