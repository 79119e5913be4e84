"""Does a meter's supervisor read every device, and survive whatever a meter or its gateway does?"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
import structlog
from pymodbus.framer.rtu import FramerRTU

from local_controller.adapters.examination.finding import State
from local_controller.adapters.examination.inputs import examine_inputs
from local_controller.adapters.modbus.connection import ModbusConnection
from local_controller.adapters.modbus.device import known_devices, load_device
from local_controller.adapters.modbus.lines import ConnectionSettings
from local_controller.adapters.modbus.meter import MeterSettings, ModbusMeter
from local_controller.adapters.modbus.register_map import FixedMap
from local_controller.clock import Clock
from local_controller.config.meter_devices import Device, Point
from local_controller.site.per_phase import only
from local_controller.site.readings import MeterReading
from tests.adapters.register_image import VOLTS, WATTS, encoded, image, modbus_server
from tests.config.test_connections import sound
from tests.patient_time import loop_clock

SDM630 = load_device("eastron_sdm630")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted_server(port: int, handler: Handler) -> AsyncIterator[None]:
    """A TCP peer that misbehaves as the handler says."""
    served: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served[asyncio.current_task()] = writer
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for writer in served.values():
            writer.close()
        await asyncio.gather(*(task for task in served if task is not None))


@dataclass
class Observed:
    """What a supervisor told."""

    readings: list[MeterReading] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    on_reading: Callable[[MeterReading], None] | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def read(self, reading: MeterReading) -> None:
        self.readings.append(reading)
        self.news.set()
        if self.on_reading is not None:
            self.on_reading(reading)

    def failed(self, meter: str, text: str) -> None:
        assert meter == "grid"
        self.failures.append(text)
        self.news.set()

    async def until(self, *, readings: int = 0, failures: int = 0) -> None:
        """Wait until so much was told."""
        async with asyncio.timeout(8):
            while len(self.readings) < readings or len(self.failures) < failures:
                self.news.clear()
                await self.news.wait()


def settings(port: int) -> ConnectionSettings:
    return ConnectionSettings("127.0.0.1", port, timeout_s=0.2)


GRID = MeterSettings("grid", poll_s=0.05)


@asynccontextmanager
async def watching(
    settings: ConnectionSettings, device: Device = SDM630, clock: Clock | None = None, meter: MeterSettings = GRID
) -> AsyncIterator[Observed]:
    observed = Observed()
    log = structlog.get_logger()
    connection = ModbusConnection(settings, log)
    connection.add(ModbusMeter(meter, FixedMap(device), clock or Clock(), observed.read, observed.failed, log))
    await connection.start()
    try:
        yield observed
    finally:
        await connection.stop()


@pytest.mark.parametrize("name", known_devices())
async def test_every_known_device_is_read_from_a_real_server(name: str) -> None:
    device, port = load_device(name), free_port()
    before = Clock().now()
    points, lines = device.points, tuple(range(device.points.lines))
    grid = replace(GRID, lines=lines)
    async with modbus_server(device, port, image(device)), watching(settings(port), device, meter=grid) as observed:
        await observed.until(readings=1)
    assert observed.failures == []
    reading = observed.readings[0]
    assert reading.current_a == pytest.approx(only(lines, (10.5, -21.25, 32.75)), abs=abs(points.current_a.factor))
    assert reading.voltage_v == pytest.approx(only(lines, VOLTS), abs=points.voltage_v.factor)
    assert reading.phase_power_w == pytest.approx(only(lines, WATTS))
    assert reading.power_w == pytest.approx(sum(only(lines, WATTS)))
    assert reading.energy_import_wh == (None if points.energy_import_wh is None else pytest.approx(1_234_000.0))
    assert before <= reading.asked_at <= Clock().now()


async def test_a_device_that_needs_time_after_the_connection_is_not_asked_before() -> None:
    hasty, port = SDM630.model_copy(update={"connect_delay_s": 0.4}), free_port()
    connected: list[float] = []
    asked: list[float] = []

    async def listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        connected.append(loop.time())
        await reader.readexactly(1)
        asked.append(loop.time())

    async with scripted_server(port, listen), watching(settings(port), hasty) as observed:
        await observed.until(failures=1)
    assert asked[0] - connected[0] >= 0.35


async def test_a_name_that_nobody_knows_is_told_as_such() -> None:
    async with watching(ConnectionSettings("no-such-meter.invalid", free_port())) as observed:
        await observed.until(failures=1)
    assert observed.failures == [
        "cannot be reached: this machine finds no address of no-such-meter.invalid: check the name, and DNS"
    ]


async def test_a_meter_that_is_down_at_the_start_is_a_named_state_until_it_comes_up() -> None:
    port = free_port()
    async with watching(settings(port)) as observed:
        await asyncio.sleep(0.3)  # several attempts, one report
        assert observed.failures == [f"cannot be reached: no connection to 127.0.0.1:{port}"]
        async with modbus_server(SDM630, port, image(SDM630)):
            await observed.until(readings=2)
        await observed.until(failures=2)  # the server is gone again: reported again
    assert len(observed.failures) == 2


async def test_a_black_hole_does_not_answer_and_a_meter_in_its_place_does() -> None:
    async def swallow(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            pass

    port = free_port()
    async with contextlib.AsyncExitStack() as hole:
        await hole.enter_async_context(scripted_server(port, swallow))
        async with watching(settings(port)) as observed:
            await asyncio.sleep(0.8)  # several attempts, one report
            assert observed.failures == ["does not answer: registers 0 to 35 within 0.2 s"]
            await hole.aclose()
            async with modbus_server(SDM630, port, image(SDM630)):
                await observed.until(readings=1)


@pytest.mark.parametrize(
    ("unit_id", "device", "text"),
    [
        (7, SDM630, "device failure: is `unit_id` right?"),
        (1, load_device("siemens_pac"), "illegal address: is `device` the right model?"),
    ],
)
async def test_an_exception_answer_names_what_to_check(unit_id: int, device: Device, text: str) -> None:
    port = free_port()
    asked = replace(GRID, unit_id=unit_id)
    async with modbus_server(SDM630, port, image(SDM630)), watching(settings(port), device, meter=asked) as observed:
        await observed.until(failures=1)
    assert observed.failures[0].startswith("answers with an exception: ")
    assert text in observed.failures[0]
    assert observed.readings == []


async def test_a_late_answer_on_rtu_over_tcp_is_never_taken_for_the_next() -> None:
    """RTU over TCP has no transaction id; each answer carries the number of its question in its current (G24)."""
    one_block = SDM630.model_copy(update={"blocks": ((0, 74),)})
    asked = 0

    async def gateway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        loop = asyncio.get_running_loop()
        bus_free_s = loop.time()
        while True:
            unit, code, first, count = struct.unpack(">BBHH", (await reader.readexactly(8))[:6])
            asked += 1
            registers = image(one_block, (100 + asked, 100 + asked, 100 + asked))
            words = [registers[first + offset] for offset in range(count)]
            body = struct.pack(f">BBB{count}H", unit, code, 2 * count, *words)
            frame = body + FramerRTU.compute_CRC(body).to_bytes(2, "big")
            # two answers come later than the time-out of 0.2 s, and those after them queue behind
            bus_free_s = max(bus_free_s, loop.time()) + (0.3 if asked in {3, 5} else 0.03)
            loop.call_at(bus_free_s, writer.write, frame)

    def belongs_to_the_last_question(reading: MeterReading) -> None:
        numbers.append((reading.current_a[0], 100.0 + asked))

    numbers: list[tuple[float, float]] = []
    port = free_port()
    rtu = replace(settings(port), framing="rtu_over_tcp")
    async with scripted_server(port, gateway), watching(rtu, one_block) as observed:
        observed.on_reading = belongs_to_the_last_question
        await observed.until(readings=6)
    assert [answer for answer, _ in numbers] == [question for _, question in numbers]
    assert observed.failures[0].startswith("does not answer")


async def test_garbage_is_survived() -> None:
    noise = random.Random(7)

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(100):
            head = request[:2] + b"\0\0" + noise.choice((b"\0\3\1\4", b"\0\5\1\x84", b"\xff\xff"))
            writer.write(noise.choice((head, b"")) + noise.randbytes(noise.randrange(40)))

    port = free_port()
    hasty = replace(settings(port), timeout_s=0.03)
    async with contextlib.AsyncExitStack() as nonsense:
        await nonsense.enter_async_context(scripted_server(port, babble))
        async with watching(hasty, meter=replace(GRID, poll_s=0.01)) as observed:
            await asyncio.sleep(1)
            assert observed.readings == []
            assert observed.failures
            await nonsense.aclose()
            async with modbus_server(SDM630, port, image(SDM630)):
                await observed.until(readings=1)


async def test_a_meter_that_repeats_old_data_has_failed_until_something_changes() -> None:
    port = free_port()
    async with (
        modbus_server(SDM630, port, image(SDM630)) as server,
        watching(settings(port), clock=loop_clock(50.0), meter=replace(GRID, poll_s=0.02)) as observed,
    ):
        await observed.until(failures=1)
        assert observed.failures[0].startswith("repeats old data: no register has changed for 3")
        assert len(observed.readings) >= 10
        first, *others = observed.readings
        assert others[-1].asked_at.since(first.asked_at) < 30
        assert [one.unchanged_s for one in others] == [one.asked_at.since(first.asked_at) for one in others]
        told = len(observed.readings)
        await server.async_setValues(1, 4, 70, list(encoded(SDM630, Point(type="f32", at=70), 49.9).values()))
        await observed.until(readings=told + 1)
        assert observed.readings[told].unchanged_s == 0.0
    assert len(observed.failures) == 1


async def test_implausible_values_are_no_reading() -> None:
    port = free_port()
    broken = image(SDM630) | encoded(SDM630, SDM630.points.voltage_v.phases()[1], 23.0)
    async with modbus_server(SDM630, port, broken), watching(settings(port)) as observed:
        await observed.until(failures=1)
    assert observed.readings == []
    assert "answers nonsense: voltage implausible: L2 has 23 V" in observed.failures[0]


EM340 = load_device("carlo_gavazzi_em3x0_em5x0")


def with_current_l2(device: Device, words: tuple[int, int]) -> dict[int, int]:
    """A good image but for the two registers of the current of L2."""
    at = device.points.current_a.at[1]
    return image(device) | dict(zip((at, at + 1), words, strict=True))


@pytest.mark.parametrize(
    ("device", "registers", "text"),
    [
        pytest.param(
            SDM630.model_copy(update={"word_order": "little"}),
            image(SDM630),
            "voltage implausible: L1",
            id="words swapped",
        ),
        pytest.param(SDM630, with_current_l2(SDM630, (0x7FC0, 0)), "no current on L2", id="NaN"),
        pytest.param(EM340, with_current_l2(EM340, (0xFFFF, 0x7FFF)), "no current on L2", id="code for no value"),
        pytest.param(
            SDM630,
            image(SDM630) | encoded(SDM630, SDM630.points.phase_power_w.phases()[1], -WATTS[1]),
            "total power implausible: phases add up to 14700 W, the total says 5100 W",
            id="sign of one phase swapped",
        ),
        pytest.param(
            SDM630,
            image(SDM630) | encoded(SDM630, SDM630.points.current_a.phases()[2], 3.275),
            "apparent power implausible: L3 has 7500 W at 231.5 V and 3.275 A",
            id="wrong ratio of a transformer",
        ),
    ],
)
async def test_what_contradicts_physics_is_dropped_and_named(
    device: Device, registers: dict[int, int], text: str
) -> None:
    port = free_port()
    async with modbus_server(device, port, registers), watching(settings(port), device) as observed:
        await observed.until(failures=1)
    assert observed.readings == []
    assert observed.failures[0].startswith(f"answers nonsense: {text}")


async def test_a_host_that_is_no_host_is_a_named_state() -> None:
    async with watching(replace(settings(1), host="no..host")) as observed:
        await observed.until(failures=1)
    assert observed.failures[0].startswith("cannot be reached: no..host:1: ")


async def test_an_answer_of_another_length_belongs_to_another_question() -> None:
    async def two_registers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(100):
            writer.write(request[:4] + struct.pack(">HBBBHH", 7, 1, 4, 4, 0x4366, 0x8000))

    port = free_port()
    async with scripted_server(port, two_registers), watching(settings(port)) as observed:
        await observed.until(failures=1)
    assert observed.failures == ["answers nonsense: asked for 36 registers, got 2"]


async def test_a_meter_stops_although_its_client_swallows_the_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    polling = asyncio.Event()

    async def swallow(*_: object) -> None:  # as wait_for does before Python 3.12 when the answer arrives just then
        polling.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)

    monkeypatch.setattr(ModbusConnection, "_connect", swallow)
    async with watching(settings(free_port())), asyncio.timeout(5):
        await polling.wait()


async def test_a_load_that_steps_between_two_reads_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    second_block = SDM630.blocks[1]
    total = SDM630.points.nets()[3][0]
    stepped = image(SDM630) | encoded(SDM630, total, sum(WATTS) + 5_000.0)
    torn = iter([True, False, True, False])
    ask = ModbusConnection.registers

    async def read(line: ModbusConnection, function_code: int, first: int, count: int, unit_id: int) -> Sequence[int]:
        words = await ask(line, function_code, first, count, unit_id)
        is_torn = first == second_block[0] and next(torn, False)
        return [stepped[first + offset] for offset in range(count)] if is_torn else words

    monkeypatch.setattr(ModbusConnection, "registers", read)
    port = free_port()
    async with modbus_server(SDM630, port, image(SDM630)), watching(settings(port)) as observed:
        await observed.until(readings=3)
    assert next(torn, None) is None
    assert observed.failures == []


async def test_a_meter_of_a_kind_that_the_site_file_describes_is_read_as_it_says() -> None:
    port = free_port()
    own = {**SDM630.model_dump(mode="json", exclude_unset=True), "id": "basement", "function_code": 3}
    config = sound(
        "csms: {url: ws://csms.example.com}\n"
        f"meters: [{{id: grid, device: basement, host: 127.0.0.1, port: {port}}}]\n"
        f"devices: {json.dumps([own])}\n"
    )
    (device,) = config.devices
    async with modbus_server(device, port, image(device)):
        (found,) = await examine_inputs(config, Clock(), 5.0, {})
    assert (found.subject, found.state) == ("meter grid", State.OK)
    assert found.text == "10.5 / -21.2 / 32.8 A, 230 / 230 / 232 V, 5.10 kW"
