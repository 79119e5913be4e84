"""Are prices and forecasts understood as products publish them, with the sections that the documentation shows, by a real broker?"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from local_controller.adapters.examination.finding import State
from local_controller.adapters.examination.inputs import examine_inputs
from local_controller.adapters.inputs import Inputs, Listener
from local_controller.adapters.publishing import publisher
from local_controller.app import LocalController
from local_controller.clock import Clock
from local_controller.config.load import load
from local_controller.site.outlook import Kind
from local_controller.site.series import Series
from tests.adapters.test_mqtt import Limits, Mosquitto, free_port, mosquitto
from tests.adapters.test_publisher import watcher

__all__ = ["mosquitto"]
pytestmark = pytest.mark.e2e

PAGE = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text(encoding="utf-8")
HOUR_S = 3600


def example(comment: str) -> str:
    """The section of the documentation whose first line begins so."""
    (found,) = [
        block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if block.startswith(f"# {comment}")
    ]
    return found


def site(folder: Path, port: int, section: str) -> Path:
    file = folder / "site.yaml"
    file.write_text(
        f"""
site: {{name: ahead, mode: control}}
csms: {{url: "ws://127.0.0.1:9/ocpp"}}
listen: {{port: {free_port()}}}
grid_connection: {{fuse_a: 63, assumed_base_load_a: 20}}
brokers: [{{id: site, host: 127.0.0.1, port: {port}}}]
stations: [{{id: CP-1}}]
{section}""",
        encoding="utf-8",
    )
    return file


@dataclass
class Told(Limits):
    """What the site is told of the hours ahead."""

    series: list[tuple[Kind, Series]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def series_received(self, kind: Kind, series: Series) -> None:
        self.series.append((kind, series))
        self.news.set()

    def series_failed(self, _kind: Kind, text: str) -> None:
        self.failures.append(text)
        self.news.set()


@asynccontextmanager
async def listening(broker: Mosquitto, folder: Path, section: str) -> AsyncIterator[Told]:
    told = Told()
    (client,) = Inputs(load(site(folder, broker.port, section)), cast(Listener, told), Clock(), {}).brokers
    await client.start()
    try:
        await told.until(lambda: told.states)
        yield told
    finally:
        await client.stop()


async def publish(broker: Mosquitto, topic: str, message: Any, *, retain: bool = False) -> None:
    await asyncio.to_thread(broker.publish, json.dumps(message), retain=retain, topic=topic)


def this_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def rows(values: list[float], zone: str = "Europe/Berlin") -> list[dict[str, Any]]:
    begins = [this_hour().astimezone(ZoneInfo(zone)) + number * timedelta(hours=1) for number in range(len(values))]
    return [
        {"start": at.isoformat(), "end": (at + timedelta(hours=1)).isoformat(), "value": value}
        for at, value in zip(begins, values, strict=True)
    ]


HOUR = this_hour()
EXAMPLES = [
    ("evcc: evcc/site/forecast/grid", "evcc/site/forecast/grid", rows([0.283, 0.31]), Kind.ENERGY, [0.283, 0.31]),
    (
        "openWB",
        "openWB/optional/et/get/prices",
        {f"{HOUR.timestamp():.0f}": 0.000257, f"{HOUR.timestamp() + HOUR_S:.0f}": 0.00031},
        Kind.ENERGY,
        [0.257, 0.31],
    ),
    (
        "Nord Pool",
        "nordpool/prices",
        {"raw_today": rows([100.0, -20.0]), "raw_tomorrow": []},
        Kind.ENERGY,
        [0.299, 0.1562],
    ),
    (
        "evcc's forecast",
        "evcc/site/forecast/solar",
        {"timeseries": [{"ts": (HOUR + n * timedelta(hours=1)).isoformat(), "val": 1000.0 * n} for n in range(2)]},
        Kind.PV,
        [0.0, 1000.0],
    ),
    (
        "Forecast.Solar",
        "solar/forecast",
        {
            "result": {
                "watts": {
                    (HOUR + n * timedelta(hours=1))
                    .astimezone(ZoneInfo("Europe/Berlin"))
                    .strftime("%Y-%m-%d %H:%M:%S"): n
                    for n in range(2)
                }
            }
        },
        Kind.PV,
        [0.0, 1.0],
    ),
]


@pytest.mark.parametrize("is_retained", [True, False])
@pytest.mark.parametrize(("comment", "topic", "message", "kind", "values"), EXAMPLES, ids=[one[0] for one in EXAMPLES])
async def test_payloads_of_others_are_understood_as_the_documentation_shows_it(
    mosquitto: Mosquitto,
    tmp_path: Path,
    comment: str,
    topic: str,
    message: Any,
    kind: Kind,
    values: list[float],
    is_retained: bool,
) -> None:
    if is_retained:
        await publish(mosquitto, topic, message, retain=True)
    async with listening(mosquitto, tmp_path, example(comment)) as told:
        if not is_retained:
            await publish(mosquitto, topic, message)
        await told.until(lambda: told.series or told.failures)
    assert told.failures == []
    ((told_kind, series),) = told.series
    assert told_kind is kind
    assert [step.value for step in series.steps] == pytest.approx(values)
    assert [(step.start_s - HOUR.timestamp(), step.end_s - step.start_s) for step in series.steps] == [
        (0, HOUR_S),
        (HOUR_S, HOUR_S),
    ]


async def test_the_price_of_this_moment_counts_when_it_is_sent_and_not_when_it_is_retained(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    await publish(mosquitto, "evcc/site/tariffGrid", 0.5, retain=True)
    async with listening(mosquitto, tmp_path, example("evcc: evcc/site/tariffGrid")) as told:
        await publish(mosquitto, "evcc/site/tariffGrid", 0.283)
        await told.until(lambda: told.series)
    ((_, series),) = told.series
    (step,) = series.steps
    assert step.value == 0.283
    assert step.end_s - step.start_s == 1800
    assert abs(step.start_s - time.time()) < 60


async def test_what_is_wrong_is_told_in_the_same_words_until_it_is_understood(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    async with listening(mosquitto, tmp_path, example("openWB")) as told:
        for number in (1, 2):
            await publish(mosquitto, "openWB/optional/et/get/prices", [number])
        await told.until(lambda: len(told.failures) == 2)
        await publish(mosquitto, "openWB/optional/et/get/prices", {str(round(time.time())): 0.0002})
        await told.until(lambda: told.series)
        await publish(mosquitto, "openWB/optional/et/get/prices", "unavailable")
        await told.until(lambda: len(told.failures) == 3)
    assert told.failures[0] == told.failures[1]
    assert told.failures[0] == (
        "price of energy on topic openWB/optional/et/get/prices: the price of energy must be a number or an object whose keys"
        " are times (a list needs `start`), found [1]"
    )


async def test_the_gateway_tells_the_price_of_now_and_what_is_wrong_with_it(
    mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "ROUND_S", 0.05)
    topic, section = "evcc/site/forecast/grid", example("evcc: evcc/site/forecast/grid")
    await publish(mosquitto, topic, rows([0.283, 0.31]), retain=True)
    config = load(site(tmp_path, mosquitto.port, f"{section}\npublish: {{broker: site, prefix: lc/garage}}\n"))
    async with LocalController(config, Clock()), watcher(mosquitto.port) as (seen, _):
        await seen.until(lambda: (seen.json("outlook/energy") or {}).get("value") == 0.283)
        assert seen.json("outlook/energy")["unit"] == "EUR/kWh"
        assert seen.json("outlook/energy")["until"] == (HOUR + timedelta(hours=2)).isoformat()
        await publish(mosquitto, topic, "unavailable")
        await seen.until(lambda: any(b"outlook_unknown" in one for one in seen.told("lc/garage/alarm")))
        await seen.until(lambda: "counts until" in seen.json("outlook/energy")["trouble"])
        assert seen.json("outlook/energy")["value"] == 0.283


async def test_the_doctor_says_what_each_source_tells(mosquitto: Mosquitto, tmp_path: Path) -> None:
    section = """
prices:
  energy: {per_kwh: 0.32, mqtt: {broker: site, topic: prices, start: start, end: end}}
  feed_in: {per_kwh: 0.08}
forecasts:
  pv: {broker: site, topic: sun}
  base_load: {broker: site, topic: building}
"""
    config = load(site(tmp_path, mosquitto.port, section))
    await publish(mosquitto, "prices", rows([0.283, 0.31]), retain=True)
    await publish(mosquitto, "sun", "cloudy", retain=True)
    found = {one.subject: one for one in await examine_inputs(config, Clock(), 1.5, {})}
    until = (HOUR + timedelta(hours=2)).isoformat(timespec="minutes")
    assert found["price of energy"].text == f"0.283 EUR/kWh now, known until {until}"
    assert found["price of feed-in"].text == "0.08 EUR/kWh now"
    assert found["PV forecast"].state is State.ERROR
    assert "must be a number or an object whose keys are times" in found["PV forecast"].text
    assert (found["base load forecast"].state, found["base load forecast"].text) == (
        State.WARNING,
        "nothing on building within 1.5 s",
    )
    await publish(mosquitto, "prices", [{"start": 1000, "end": 2000, "value": 1}], retain=True)
    found = {one.subject: one for one in await examine_inputs(config, Clock(), 1.5, {})}
    assert "says nothing of this moment: the 0.32 EUR/kWh of the site file count" in found["price of energy"].text
