"""Do several devices share one connection without holding up or mixing up each other?"""

from __future__ import annotations

import asyncio
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

import pytest
import structlog
from pymodbus.framer.rtu import FramerRTU

from local_controller.adapters.modbus.connection import (
    ModbusConnection,
    ModbusConnections,
    PollError,
    Questions,
    Trouble,
)
from local_controller.adapters.modbus.device import load_device
from local_controller.adapters.modbus.lines import ConnectionSettings
from local_controller.adapters.modbus.meter import MeterSettings, ModbusMeter
from local_controller.adapters.modbus.register_map import FixedMap
from local_controller.clock import Clock
from local_controller.site.readings import MeterReading
from tests.adapters.register_image import image
from tests.adapters.test_modbus_meter import free_port, scripted_server

SDM630 = load_device("eastron_sdm630").model_copy(update={"blocks": ((0, 74),)})
TIMEOUT_S, LATE_S = 0.5, 0.6


class Writer(Protocol):
    """Where answers go."""

    def write(self, data: bytes) -> object:
        """Some bytes of one."""


@dataclass
class Gateway:
    """A gateway in front of a bus, for one TCP client: unit n has a current of 50 + n A on each phase.

    units: those that are there; late: those whose answers come when nobody waits for them any more.
    """

    framing: str
    units: Iterable[int]
    late: Iterable[int] = ()
    port: int = field(default_factory=free_port)
    busy: bool = False
    clients: int = 0
    turned_away: int = 0
    asked: list[int] = field(default_factory=list)
    waiting: int = 0
    most_waiting: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until it was asked for so much."""
        while not reached():
            self.news.clear()
            await self.news.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        """One client."""
        await asyncio.sleep(0)  # a connection that was closed before is seen to be closed
        if self.busy:
            self.turned_away += 1
            return
        self.clients += 1
        self.news.set()
        self.busy = True
        try:
            while True:
                await self._answer(reader, writer)
        finally:
            self.busy = False

    async def _answer(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        head = await reader.readexactly(6) if self.framing == "tcp" else b""
        unit, code, first, count = struct.unpack(">BBHH", await reader.readexactly(6))
        if not head:
            await reader.readexactly(2)  # its checksum
        self.asked.append(unit)
        self.news.set()
        if unit not in self.units:
            return
        registers = image(SDM630, (50.0 + unit,) * 3)
        words = [registers[first + offset] for offset in range(count)]
        body = struct.pack(f">BBB{count}H", unit, code, 2 * count, *words)
        head = head[:4] + len(body).to_bytes(2, "big") if head else b""
        frame = head + body + (b"" if head else FramerRTU.compute_CRC(body).to_bytes(2, "big"))
        self.waiting += 1
        self.most_waiting = max(self.waiting, self.most_waiting)
        asyncio.get_running_loop().call_later(LATE_S if unit in self.late else 0.01, self._send, writer, frame)

    def _send(self, writer: Writer, frame: bytes) -> None:
        self.waiting -= 1
        writer.write(frame)


@dataclass
class Told:
    """What the meters told, by their ids."""

    readings: dict[str, list[MeterReading]] = field(default_factory=lambda: defaultdict(list))
    failures: list[tuple[str, str]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def read(self, reading: MeterReading) -> None:
        self.readings[reading.meter].append(reading)
        self.news.set()

    def failed(self, meter: str, text: str) -> None:
        self.failures.append((meter, text))
        self.news.set()

    async def until(self, meters: Iterable[str], readings: int) -> None:
        async with asyncio.timeout(8):
            while any(len(self.readings[meter]) < readings for meter in meters):
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def sharing(gateway: Gateway, *units: int, timeout_s: float = TIMEOUT_S) -> AsyncIterator[Told]:
    """A meter for each unit, all behind one gateway."""
    told, log = Told(), structlog.get_logger()
    connections = ModbusConnections(log)
    for unit in units:
        settings = ConnectionSettings("127.0.0.1", gateway.port, gateway.framing, timeout_s)
        meter = MeterSettings(f"unit {unit}", unit_id=unit, poll_s=0.05)
        connections.to(settings).add(ModbusMeter(meter, FixedMap(SDM630), Clock(), told.read, told.failed, log))
    (connection,) = connections.all()
    async with scripted_server(gateway.port, gateway.serve):
        await connection.start()
        try:
            yield told
        finally:
            await connection.stop()


@pytest.mark.parametrize("framing", ["tcp", "rtu_over_tcp"])
async def test_a_gateway_for_one_client_is_asked_one_question_at_a_time_for_all_meters_behind_it(framing: str) -> None:
    gateway = Gateway(framing, units=(1, 2, 3))
    async with sharing(gateway, 1, 2, 3, timeout_s=5.0) as told:  # nobody is late, however busy this machine is
        await told.until(("unit 1", "unit 2", "unit 3"), readings=4)
    assert (gateway.clients, gateway.turned_away, gateway.most_waiting) == (1, 0, 1)
    assert told.failures == []
    for unit in (1, 2, 3):
        assert {abs(one.current_a[0]) for one in told.readings[f"unit {unit}"]} == {50.0 + unit}


@pytest.mark.parametrize(("framing", "connections"), [("tcp", 1), ("rtu_over_tcp", 3)])
async def test_a_silent_unit_costs_the_others_one_time_out_and_its_late_answers_are_nobody_s(
    framing: str, connections: int
) -> None:
    """G1, G24: RTU over TCP is opened anew after each time-out; transaction numbers let TCP go on."""
    gateway = Gateway(framing, units=(1, 2, 3), late=(2,))
    async with sharing(gateway, 1, 2, 3) as told, asyncio.timeout(10):
        await gateway.until(lambda: gateway.asked.count(2) >= 3)
        await told.until(("unit 1", "unit 3"), readings=4)
    assert [meter for meter, _ in told.failures] == ["unit 2"]
    assert told.failures[0][1] == f"does not answer: registers 0 to 73 within {TIMEOUT_S} s"
    assert told.readings["unit 2"] == []
    assert gateway.clients >= connections if connections > 1 else gateway.clients == 1
    assert gateway.turned_away == 0
    for unit in (1, 3):
        assert {abs(one.current_a[0]) for one in told.readings[f"unit {unit}"]} == {50.0 + unit}
    between = "".join(str(unit) for unit in gateway.asked).split("1")[1:-1]
    assert max(others.count("2") for others in between) == 1  # one question to the silent one, so one time-out


@dataclass(eq=False)
class Asker:
    """A reader of eight inputs from `first` on, which are the bits of that number."""

    first: int
    seen: list[object] = field(default_factory=list)
    connect_delay_s: float = 0.0

    async def poll(self, line: Questions) -> None:
        bits = await line.bits(2, self.first, 8, 1)
        self.seen.append(sum(bit << number for number, bit in enumerate(bits)))

    def failed(self, error: PollError) -> None:
        self.seen.append(error.trouble)

    def pause_s(self) -> float:
        return 0.05


@pytest.mark.parametrize("late", [0, 4])
async def test_a_device_that_numbers_every_answer_0_is_treated_as_one_without_numbers(late: int) -> None:
    """A late answer looks like that to the next question: the connection is opened anew after a time-out, be it the first of all."""
    asked = list[int]()

    async def unnumbered(reader: asyncio.StreamReader, writer: Writer) -> None:
        while True:
            *_, first, _ = struct.unpack(">HHHBBHH", await reader.readexactly(12))
            asked.append(first)
            answer = struct.pack(">HHHBBBB", 0, 0, 4, 1, 2, 1, first)
            delay_s = LATE_S if len(asked) == late + 1 else 0.2
            asyncio.get_running_loop().call_later(delay_s, writer.write, answer)

    settings = ConnectionSettings("127.0.0.1", free_port(), "tcp", TIMEOUT_S)
    connection, askers = ModbusConnection(settings, structlog.get_logger()), (Asker(16), Asker(33))
    for one in askers:
        connection.add(one)
    async with scripted_server(settings.port, unnumbered):
        await connection.start()
        async with asyncio.timeout(8):
            while len(asked) < late + 12:  # noqa: ASYNC110 the server tells nobody that it was asked
                await asyncio.sleep(0.01)
        await connection.stop()
    for one in askers:
        numbers = [seen for seen in one.seen if not isinstance(seen, Trouble)]
        assert numbers
        assert set(numbers) == {one.first}
    assert Trouble.SILENT in {*askers[0].seen, *askers[1].seen}


@pytest.mark.parametrize(("units", "asked_before"), [((1, 2), [1, 2]), ((1,), [1])])
async def test_a_connection_on_which_nobody_answers_is_opened_anew(
    units: tuple[int, ...], asked_before: list[int]
) -> None:
    gateway = Gateway("tcp", units=())
    async with sharing(gateway, *units), asyncio.timeout(5):
        await gateway.until(lambda: gateway.clients >= 2)
    assert gateway.asked[: len(asked_before)] == asked_before


@dataclass(eq=False)
class Looker:
    """A reader of some inputs."""

    seen: list[object] = field(default_factory=list)
    connect_delay_s: float = 0.0
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def poll(self, line: Questions) -> None:
        self.seen.append(await line.bits(2, 16, 10, 1))
        self.enough.set()

    def failed(self, error: PollError) -> None:
        self.seen.append(error.trouble)
        self.enough.set()

    def pause_s(self) -> float:
        return 0.05


async def test_without_numbers_a_late_answer_has_a_time_out_more_to_fall_out() -> None:
    asked_s = list[float]()

    async def silence(reader: asyncio.StreamReader, _: Writer) -> None:
        while await reader.read(100):
            asked_s.append(asyncio.get_running_loop().time())

    settings = ConnectionSettings("127.0.0.1", free_port(), "rtu_over_tcp", TIMEOUT_S)
    connection = ModbusConnection(settings, structlog.get_logger())
    connection.add(Looker())
    async with scripted_server(settings.port, silence):
        await connection.start()
        async with asyncio.timeout(5):
            while len(asked_s) < 2:  # noqa: ASYNC110 the server tells nobody that it was asked
                await asyncio.sleep(0.01)
        await connection.stop()
    assert asked_s[1] - asked_s[0] >= 2 * TIMEOUT_S - 0.02


class Faulty(Looker):
    """A reader with a defect."""

    async def poll(self, line: Questions) -> None:
        raise ZeroDivisionError


async def test_a_fault_of_our_own_costs_one_poll_and_nobody_else_s() -> None:
    gateway = Gateway("tcp", units=(1,))
    faulty, told, log = Faulty(), Told(), structlog.get_logger()
    connection = ModbusConnection(ConnectionSettings("127.0.0.1", gateway.port), log)
    connection.add(faulty)
    meter = MeterSettings("unit 1", poll_s=0.05)
    connection.add(ModbusMeter(meter, FixedMap(SDM630), Clock(), told.read, told.failed, log))
    async with scripted_server(gateway.port, gateway.serve):
        await connection.start()
        await told.until(("unit 1",), readings=3)
        await connection.stop()
    assert len(faulty.seen) > 1
    assert set(faulty.seen) == {Trouble.NONSENSE}
    assert told.failures == []


async def test_all_learn_at_once_that_nobody_is_there() -> None:
    connection = ModbusConnection(ConnectionSettings("127.0.0.1", free_port()), structlog.get_logger())
    lookers = Looker(), Looker()
    for one in lookers:
        connection.add(one)
    await connection.start()
    async with asyncio.timeout(5):
        for one in lookers:
            await one.enough.wait()
    await connection.stop()
    assert {one.seen[0] for one in lookers} == {Trouble.UNREACHABLE}


@asynccontextmanager
async def answering(body: bytes) -> AsyncIterator[tuple[Looker, list[int]]]:
    """A looker whose questions are all answered so, and the number of connections that it took."""
    connections = list[int]()

    async def inputs(reader: asyncio.StreamReader, writer: Writer) -> None:
        connections.append(1)
        while request := await reader.read(100):
            assert request[6:] == struct.pack(">BBHH", 1, 2, 16, 10)
            writer.write(request[:4] + struct.pack(">HB", len(body) + 1, 1) + body)

    settings = ConnectionSettings("127.0.0.1", free_port())
    connection, looker = ModbusConnection(settings, structlog.get_logger()), Looker()
    connection.add(looker)
    async with scripted_server(settings.port, inputs):
        await connection.start()
        async with asyncio.timeout(5):
            while len(looker.seen) < 2:
                looker.enough.clear()
                await looker.enough.wait()
        await connection.stop()
    yield looker, connections


async def test_inputs_come_in_whole_bytes_and_only_those_that_were_asked_for_are_told() -> None:
    async with answering(struct.pack("BBBB", 2, 2, 0b00000101, 0b11111110)) as (looker, connections):
        assert looker.seen[0] == [True, False, True, False, False, False, False, False, False, True]
        assert len(connections) == 1


@pytest.mark.parametrize("inputs", [b"", b"\x05", b"\x05\xfe\x00"])
async def test_more_or_fewer_inputs_are_the_answer_to_another_question(inputs: bytes) -> None:
    async with answering(bytes([2, len(inputs)]) + inputs) as (looker, connections):
        assert set(looker.seen) == {Trouble.NONSENSE}
        assert len(connections) > 1


async def test_an_exception_is_an_answer_and_costs_no_connection() -> None:
    async with answering(bytes([0x82, 2])) as (looker, connections):
        assert set(looker.seen) == {Trouble.REFUSING}
        assert len(connections) == 1


def test_one_address_is_one_connection() -> None:
    connections = ModbusConnections(structlog.get_logger())
    settings = ConnectionSettings("gateway", 502)
    assert connections.to(settings) is connections.to(replace(settings))
    assert connections.to(replace(settings, port=503)) is not connections.to(settings)
    assert len(connections.all()) == 2
