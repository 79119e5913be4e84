"""A meter that somebody publishes, through a real broker: readings, trouble once, and the doctor's word."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import pytest

from local_controller.adapters.examination.inputs import examine_inputs
from local_controller.adapters.inputs import Inputs, Listener
from local_controller.adapters.mqtt_meter import MqttMeter
from local_controller.clock import Clock
from local_controller.config.load import load
from local_controller.site.readings import MeterReading
from tests.adapters.test_mqtt import Mosquitto, mosquitto  # noqa: F401  # a fixture
from tests.site.virtual_site import START

SITE = """
site: {{name: published, mode: control}}
csms: {{url: "ws://127.0.0.1:9/ocpp"}}
grid_connection: {{fuse_a: 63, assumed_base_load_a: 20, meter: main}}
brokers: [{{id: house, host: 127.0.0.1, port: {port}}}]
meters:
  - id: main
    source: mqtt
    broker: house
    current: {{topic: openWB/counter/0/get/currents}}
    power: {{topic: openWB/counter/0/get/powers}}
stations: [{{id: CP-1}}]
"""
OTHERS = """
site: {{name: published, mode: control}}
csms: {{url: "ws://127.0.0.1:9/ocpp"}}
grid_connection: {{fuse_a: 63, assumed_base_load_a: 20, meter: main}}
brokers: [{{id: house, host: 127.0.0.1, port: {port}}}]
{example}
stations: [{{id: CP-1}}]
"""
EVCC = {
    **{f"evcc/site/grid/currents/{n}": text for n, text in enumerate(("10", "2.5", "0"), start=1)},
    **{f"evcc/site/grid/powers/{n}": text for n, text in enumerate(("2300", "-575", "0"), start=1)},
}
VICTRON = {
    f"N/c0619ab1/grid/30/Ac/L{n}/{what}": json.dumps({"value": value})
    for n, values in enumerate(((10.0, 2300.0, 230.1), (2.5, -575.0, 229.8), (0.0, 0.0, 231.0)), start=1)
    for what, value in zip(("Current", "Power", "Voltage"), values, strict=True)
}
CURRENTS, POWERS = "openWB/counter/0/get/currents", "openWB/counter/0/get/powers"


def file(folder: Path, port: int) -> Path:
    path = folder / "site.yaml"
    path.write_text(SITE.format(port=port), encoding="utf-8")
    return path


class Told:
    """What the site hears."""

    def __init__(self) -> None:
        self.readings: list[MeterReading] = []
        self.failures: list[tuple[str, str]] = []
        self.is_linked, self.has_read = asyncio.Event(), asyncio.Event()

    def meter_read(self, reading: MeterReading) -> None:
        self.readings.append(reading)
        self.has_read.set()

    def meter_failed(self, meter: str, text: str) -> None:
        self.failures.append((meter, text))

    def broker_changed(self, _state: Any) -> None:
        self.is_linked.set()


@pytest.mark.e2e
async def test_what_is_published_is_read_and_what_was_retained_is_not(
    mosquitto: Mosquitto,  # noqa: F811
    tmp_path: Path,
) -> None:
    await asyncio.to_thread(mosquitto.publish, json.dumps([60, 60, 60]), topic=CURRENTS, retain=True)
    told = Told()
    (broker,) = Inputs(load(file(tmp_path, mosquitto.port)), cast(Listener, told), Clock(), {}).brokers
    await broker.start()
    try:
        async with asyncio.timeout(10):
            await told.is_linked.wait()
            for topic, values in ((POWERS, [2300, -460, 0]), (CURRENTS, [10, 2, 0])):
                await asyncio.to_thread(mosquitto.publish, json.dumps(values), topic=topic)
            await told.has_read.wait()
    finally:
        await broker.stop()
    assert [one.current_a for one in told.readings] == [(10.0, -2.0, 0.0)]
    assert told.failures == []


def documented(begin: str) -> str:
    """An example of the documentation, by its first comment."""
    text = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text(encoding="utf-8")
    (found,) = [one.split("```")[0] for one in text.split("```yaml\n") if one.startswith(f"# {begin}")]
    return found


@pytest.mark.e2e
@pytest.mark.parametrize(("begin", "messages"), [("evcc's grid meter", EVCC), ("The grid meter of a Victron", VICTRON)])
async def test_what_others_publish_of_their_grid_meter_is_read_as_documented(
    mosquitto: Mosquitto,  # noqa: F811
    tmp_path: Path,
    begin: str,
    messages: dict[str, str],
) -> None:
    path, told = tmp_path / "site.yaml", Told()
    path.write_text(OTHERS.format(port=mosquitto.port, example=documented(begin)), encoding="utf-8")
    (broker,) = Inputs(load(path), cast(Listener, told), Clock(), {}).brokers
    await broker.start()
    try:
        async with asyncio.timeout(10):
            await told.is_linked.wait()
            for topic in sorted(messages, key=lambda topic: "urrent" in topic):
                await asyncio.to_thread(mosquitto.publish, messages[topic], topic=topic)
            await told.has_read.wait()
    finally:
        await broker.stop()
    assert told.readings[-1].current_a == (10.0, -2.5, 0.0)
    assert told.failures == []


@pytest.mark.e2e
async def test_the_doctor_says_what_is_not_published(
    mosquitto: Mosquitto,  # noqa: F811
    tmp_path: Path,
) -> None:
    config = load(file(tmp_path, mosquitto.port))
    found = {one.subject: one for one in await examine_inputs(config, Clock(), 1.0, {})}
    assert found["meter main"].text == "gave no reading within 1 s"
    assert found["meter main"].remedy == f"is {CURRENTS} published at least every 1 s, and not only retained?"


def test_the_same_trouble_is_told_once(tmp_path: Path) -> None:
    (section,) = load(file(tmp_path, 1883)).mqtt_meters
    told = Told()
    meter = MqttMeter(section, told.meter_read, told.meter_failed, _Log())
    for payload in (b"unavailable", b"unavailable", b'["1", 2, 3]', b'["2", 2, 3]', b"[1, 2, 3]", b"unavailable"):
        meter.heard(CURRENTS, payload, False, START)
    broken = "its message b'unavailable' is no JSON: JSON is malformed: invalid character (byte 0)"
    nonsense = [broken, "current must be a number up to 1e+07, found '1'", broken]
    assert told.failures == [("main", f"answers nonsense on {CURRENTS}: {one}") for one in nonsense]
    assert len(told.readings) == 1


class _Log:
    """Takes all."""

    def bind(self, **_: Any) -> Any:
        return self

    def info(self, *_: Any, **__: Any) -> None:
        """Heard."""

    warning = info
