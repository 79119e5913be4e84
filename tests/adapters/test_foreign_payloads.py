"""Are the payloads of other products judged by their own time stamps, from a real broker to what the site is told?"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from local_controller.adapters.inputs import Inputs, Listener
from local_controller.config.load import load
from tests.adapters.test_mqtt import Limits, Mosquitto, SetClock, mosquitto

__all__ = ["mosquitto"]
pytestmark = pytest.mark.e2e

SITE = """
site: {{name: payloads, mode: control}}
csms: {{url: "ws://127.0.0.1:9/ocpp"}}
grid_connection: {{fuse_a: 63, assumed_base_load_a: 20}}
brokers: [{{id: ems, host: 127.0.0.1, port: {port}}}]
limits:
  - {{id: amps, broker: ems, topic: openwb, fallback_a: 10,
      payload: {{path: max_current, time_path: timestamp, time_format: unix_s}}}}
  - {{id: watts, broker: ems, topic: openwb, fallback_a: 10,
      payload: {{path: max_power, unit: W, time_path: timestamp, time_format: unix_s}}}}
  - {{id: zigbee, broker: ems, topic: zigbee2mqtt/ems, fallback_a: 10,
      payload: {{path: limit, time_path: last_seen, time_format: unix_ms}}}}
  - {{id: tasmota, broker: ems, topic: tele/ems/SENSOR, fallback_a: 10,
      payload: {{path: EMS.Limit, time_path: Time, time_zone: Asia/Tokyo}}}}
  - {{id: evcc, broker: ems, topic: evcc/site/circuits/main/maxPower, fallback_w: 4200, payload: {{path: "@", unit: W}}}}
  - {{id: victron, broker: ems, topic: N/c0619ab1/limit, fallback_w: 4200, payload: {{path: value, unit: W}}}}
stations: [{{id: CP-1}}]
"""


@dataclass
class Told(Limits):
    """What the site is told, by source."""

    by_source: dict[str, list[Any]] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)

    def limit_received(self, source: str, limit: Any) -> None:
        self.by_source.setdefault(source, []).append(limit)
        super().limit_received(source, limit)

    def limit_source_failed(self, source: str, text: str) -> None:
        self.failures.append((source, text))
        self.news.set()


@asynccontextmanager
async def listening(broker: Mosquitto, folder: Path, clock: SetClock | None = None) -> AsyncIterator[Told]:
    """The real inputs of the site above, connected."""
    file, told = folder / "site.yaml", Told()
    file.write_text(SITE.format(port=broker.port), encoding="utf-8")
    (client,) = Inputs(load(file), cast(Listener, told), clock or SetClock(), {}).brokers
    await client.start()
    try:
        await told.until(lambda: told.states)
        yield told
    finally:
        await client.stop()


async def publish(broker: Mosquitto, topic: str, message: dict[str, Any], *, retain: bool = False) -> None:
    await asyncio.to_thread(broker.publish, json.dumps(message), retain=retain, topic=topic)


@pytest.mark.requirement("LC-116")
async def test_each_message_is_as_old_as_it_says(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """20 s old on arrival each; what is retained from an hour ago counts for nothing, and both limits of one message hold."""
    now_s = time.time()
    old = {"max_current": [63, 63, 63], "max_power": 40_000, "timestamp": now_s - 3600}
    await publish(mosquitto, "openwb", old, retain=True)
    async with listening(mosquitto, tmp_path) as told:
        await told.until(lambda: len(told.outdated) == 2)
        assert all("limit is 36" in text for text in told.outdated)
        local = datetime.fromtimestamp(now_s - 20, ZoneInfo("Asia/Tokyo")).strftime("%Y-%m-%dT%H:%M:%S")
        await publish(mosquitto, "openwb", {"max_current": [20, 20, 16], "max_power": 11_000, "timestamp": now_s - 20})
        await publish(mosquitto, "zigbee2mqtt/ems", {"limit": 16, "last_seen": round((now_s - 20) * 1000)})
        await publish(mosquitto, "tele/ems/SENSOR", {"Time": local, "EMS": {"Limit": 16}})
        await told.until(lambda: len(told.by_source) == 4)
        now = SetClock().now()
    assert told.by_source["amps"][0].limit_a == (20.0, 20.0, 16.0)
    assert told.by_source["watts"][0].power_w == 11_000.0
    left_s = [one.valid_until.since(now) for (one,) in told.by_source.values()]
    assert all(30.0 < seconds <= 40.0 for seconds in left_s), left_s
    assert told.failures == []


@pytest.mark.requirement("LC-116")
async def test_numbers_without_a_time_stamp_count_when_they_arrive_and_their_absence_lifts_nothing(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """evcc keeps all its values at the broker, empties what it does not know, and Victron says null; neither says when."""
    evcc, victron = "evcc/site/circuits/main/maxPower", "N/c0619ab1/limit"
    await asyncio.to_thread(mosquitto.publish, "40000", topic=evcc, retain=True)
    async with listening(mosquitto, tmp_path) as told:
        await told.until(lambda: "evcc" in told.by_source)
        await asyncio.to_thread(mosquitto.publish, "11000.5", topic=evcc, retain=True)
        await publish(mosquitto, victron, {"value": 9000})
        await told.until(lambda: len(told.received) == 3)
        await asyncio.to_thread(mosquitto.publish, "", topic=evcc, retain=True)
        await publish(mosquitto, victron, {"value": None})
        await told.until(lambda: len(told.failures) == 2)
    assert [(one.power_w, one.may_raise) for one in told.by_source["evcc"]] == [(40_000.0, False), (11_000.5, True)]
    assert [(one.power_w, one.may_raise) for one in told.by_source["victron"]] == [(9000.0, True)]
    assert sorted(source for source, _ in told.failures) == ["evcc", "victron"]


@pytest.mark.requirement("LC-116")
async def test_a_missing_time_stamp_is_told_in_the_same_words_until_the_source_is_understood(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """The site tells each text once; the number in it would otherwise be news with every message."""
    async with listening(mosquitto, tmp_path) as told:
        for number in range(3):
            await publish(mosquitto, "zigbee2mqtt/ems", {"limit": 16, "last_seen": round(time.time()) + number})
        await publish(mosquitto, "zigbee2mqtt/ems", {"limit": 16})
        await told.until(lambda: len(told.failures) == 4)
        await publish(mosquitto, "zigbee2mqtt/ems", {"limit": 16, "last_seen": round(time.time() * 1000)})
        await told.until(lambda: told.by_source)
        await publish(mosquitto, "zigbee2mqtt/ems", {"limit": 16})
        await told.until(lambda: len(told.failures) == 5)
    texts = [text for _, text in told.failures]
    assert texts[0] == texts[1] == texts[2]
    assert texts[0].endswith("is its time_format unix_s?")
    assert (
        texts[3]
        == texts[4]
        == (
            "zigbee on topic zigbee2mqtt/ems: limit message has no time stamp at last_seen: without it nobody knows how old it is"
        )
    )


@pytest.mark.requirement("LC-116")
async def test_a_clock_that_is_set_back_makes_no_foreign_message_fresh(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """What somebody retained an hour ago stays old; the source that goes on is understood."""
    clock = SetClock()
    now_ms = round(time.time() * 1000)
    await publish(mosquitto, "zigbee2mqtt/ems", {"limit": 63, "last_seen": now_ms - 3_600_000}, retain=True)
    async with listening(mosquitto, tmp_path, clock) as told:
        await told.until(lambda: told.outdated)
        await publish(mosquitto, "zigbee2mqtt/ems", {"limit": 20, "last_seen": round(time.time() * 1000)})
        await told.until(lambda: told.received)
        clock.wrong_s[0] = -3600.0
        await publish(mosquitto, "zigbee2mqtt/ems", {"limit": 22, "last_seen": round(time.time() * 1000)})
        await told.until(lambda: len(told.received) == 2)
        await publish(mosquitto, "zigbee2mqtt/ems", {"limit": 63, "last_seen": now_ms - 3_600_000})
        await told.until(lambda: len(told.outdated) == 2)
    assert [limit.limit_a[0] for limit in told.received if limit.limit_a] == [20.0, 22.0]
