"""Are meters read over a serial line, and what is told where there is none? The line is a pair of pseudo-terminals."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import structlog
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from local_controller.adapters.examination.finding import State
from local_controller.adapters.examination.inputs import examine_inputs
from local_controller.adapters.modbus.connection import ModbusConnection
from local_controller.adapters.modbus.device import load_device
from local_controller.adapters.modbus.lines import SerialSettings
from local_controller.adapters.modbus.meter import MeterSettings, ModbusMeter
from local_controller.adapters.modbus.register_map import FixedMap
from local_controller.clock import Clock
from tests.adapters.register_image import image
from tests.adapters.test_modbus_connection import SDM630 as ONE_BLOCK
from tests.adapters.test_modbus_connection import TIMEOUT_S, Gateway, Told
from tests.config.test_connections import sound

SDM630 = load_device("eastron_sdm630")


@contextmanager
def pseudo_terminal() -> Iterator[tuple[int, str]]:
    """The end that a cable is plugged into, and the name under which a program opens the other one."""
    plug, line = os.openpty()
    tty.setraw(line)
    try:
        yield plug, os.ttyname(line)
    finally:
        os.close(plug)
        os.close(line)


@contextmanager
def cable() -> Iterator[tuple[str, str]]:
    """Two serial lines: what one program writes into one, another reads from the other."""
    loop = asyncio.get_running_loop()
    with pseudo_terminal() as (plug_a, line_a), pseudo_terminal() as (plug_b, line_b), ExitStack() as pumps:
        for here, there in ((plug_a, plug_b), (plug_b, plug_a)):
            loop.add_reader(here, _pump, here, there)
            pumps.callback(loop.remove_reader, here)
        yield line_a, line_b


def _pump(here: int, there: int) -> None:
    os.write(there, os.read(here, 1024))


@asynccontextmanager
async def rtu_server(line: str, *units: int, closed: tuple[bool, ...] = (False,)) -> AsyncIterator[None]:
    """A real Modbus RTU server: unit n shows a current of 50 + n A on each phase, and the same contacts."""
    bits, unused = [SimData(0, values=list(closed), datatype=DataType.BITS)], [SimData(0)]
    devices = []
    for unit in units:
        registers = image(SDM630, (50.0 + unit,) * 3)
        blocks = [
            SimData(first, values=[registers[first + offset] for offset in range(count)], datatype=DataType.REGISTERS)
            for first, count in SDM630.blocks
        ]
        devices.append(SimDevice(unit, simdata=(bits, bits, unused, blocks)))
    server = ModbusSerialServer(devices, framer=FramerType.RTU, port=line, baudrate=9600)
    await server.serve_forever(background=True)
    try:
        yield
    finally:
        await server.shutdown()


def site(line: str) -> str:
    bus = f"device: eastron_sdm630, serial: {line}"
    return (
        "csms: {url: ws://csms.example.com}\n"
        f"meters: [{{id: main, {bus}, unit_id: 1}}, {{id: wing, {bus}, unit_id: 2}}]\n"
    )


async def test_two_meters_on_one_bus_are_read_by_their_site_file() -> None:
    with cable() as (ours, theirs):
        async with rtu_server(theirs, 1, 2):
            found = await examine_inputs(sound(site(ours)), Clock(), 5.0, {})
    assert [(one.subject, one.state, one.text.split(" A")[0]) for one in found] == [
        ("meter main", State.OK, "51.0 / -51.0 / 51.0"),
        ("meter wing", State.OK, "52.0 / -52.0 / 52.0"),
    ]


async def test_contacts_and_a_meter_share_a_bus() -> None:
    with cable() as (ours, theirs):
        more = f"""\
io_modules: [{{id: io, device: moxa_iologik_e1200, serial: {ours}, unit_id: 2, poll_s: 0.2}}]
limits:
  - id: dso
    source: contact
    applies_to: charging
    io_module: io
    contacts: [{{id: W4, channel: 3}}]
    patterns: [{{given: [W4], section_14a: true}}, {{given: [], unlimited: true}}]
"""
        config = sound(site(ours).replace(", unit_id: 2", ", unit_id: 3") + more)
        async with rtu_server(theirs, 1, 2, 3, closed=(False, False, False, True, *[False] * 28)):
            found = await examine_inputs(config, Clock(), 5.0, {})
    assert [(one.subject, one.state) for one in found] == [
        ("meter main", State.OK),
        ("meter wing", State.OK),
        ("limit dso", State.OK),
    ]
    assert found[2].text == "W4 is closed (not given) -> lifted: unlimited"


async def test_an_adapter_that_is_not_plugged_in_is_told_and_read_once_it_is(tmp_path: Path) -> None:
    told, log = Told(), structlog.get_logger()
    adapter = tmp_path / "ttyUSB0"
    connection = ModbusConnection(SerialSettings(str(adapter)), log)
    connection.add(
        ModbusMeter(MeterSettings("main", poll_s=0.05), FixedMap(SDM630), Clock(), told.read, told.failed, log)
    )
    with cable() as (ours, theirs):
        async with rtu_server(theirs, 1):
            await connection.start()
            async with asyncio.timeout(5):
                await told.news.wait()
            adapter.symlink_to(ours)
            await told.until(("main",), readings=2)
            await connection.stop()
    assert told.failures == [("main", f"cannot be reached: there is no {adapter}: is the adapter plugged in?")]


async def test_an_adapter_that_is_pulled_out_is_read_again_once_it_is_back(tmp_path: Path) -> None:
    told, log = Told(), structlog.get_logger()
    adapter = tmp_path / "ttyUSB0"
    connection = ModbusConnection(SerialSettings(str(adapter), timeout_s=TIMEOUT_S), log)
    meter = ModbusMeter(MeterSettings("main", poll_s=0.02), FixedMap(SDM630), Clock(), told.read, told.failed, log)
    connection.add(meter)
    with cable() as (ours, theirs):
        adapter.symlink_to(ours)
        async with rtu_server(theirs, 1):
            await connection.start()
            await told.until(("main",), readings=2)
    adapter.unlink()
    gone = ("main", f"cannot be reached: there is no {adapter}: is the adapter plugged in?")
    async with asyncio.timeout(8):
        while gone not in told.failures:
            told.news.clear()
            await told.news.wait()
    with cable() as (ours, theirs):
        adapter.symlink_to(ours)
        async with rtu_server(theirs, 1):
            await told.until(("main",), readings=len(told.readings["main"]) + 2)
            await connection.stop()


async def test_what_is_no_serial_line_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("no line", encoding="utf-8")
    found = await examine_inputs(sound(site(str(tmp_path / "notes"))), Clock(), 0.2, {})
    assert {one.state for one in found} == {State.ERROR}
    assert "cannot be opened: does another program use it, and is it a serial line?" in found[0].text


async def test_what_a_line_cannot_be_set_to_is_told() -> None:
    told, log = Told(), structlog.get_logger()
    with pseudo_terminal() as (_, line):
        connection = ModbusConnection(SerialSettings(line, parity="even", stop_bits=2), log)  # no pseudo-terminal can
        connection.add(ModbusMeter(MeterSettings("main"), FixedMap(SDM630), Clock(), told.read, told.failed, log))
        await connection.start()
        async with asyncio.timeout(5):
            await told.news.wait()
        await connection.stop()
    assert told.failures[0][1].startswith(f"cannot be reached: {line}: ")


class _Plug:
    """A writer for whatever answers at the end of a cable."""

    def __init__(self, end: int) -> None:
        self._end = end

    def write(self, data: bytes) -> None:
        os.write(self._end, data)


async def test_a_silent_unit_on_a_bus_costs_one_time_out_and_its_late_answers_are_nobody_s() -> None:
    """G24 on a wire: the line is opened anew after each time-out, which empties it."""
    told, log, loop = Told(), structlog.get_logger(), asyncio.get_running_loop()
    bus = Gateway("rtu", units=(1, 2, 3), late=(2,))
    asked = asyncio.StreamReader()
    with pseudo_terminal() as (plug, line):
        loop.add_reader(plug, lambda: asked.feed_data(os.read(plug, 1024)))
        connection = ModbusConnection(SerialSettings(line, timeout_s=TIMEOUT_S), log)
        for unit in (1, 2, 3):
            meter = MeterSettings(f"unit {unit}", unit_id=unit, poll_s=0.05)
            connection.add(ModbusMeter(meter, FixedMap(ONE_BLOCK), Clock(), told.read, told.failed, log))
        answering = asyncio.create_task(bus.serve(asked, _Plug(plug)))
        await connection.start()
        async with asyncio.timeout(6):
            await bus.until(lambda: bus.asked.count(2) >= 3)
        await told.until(("unit 1", "unit 3"), readings=6)
        await connection.stop()
        loop.remove_reader(plug)
        answering.cancel()
    assert [meter for meter, _ in told.failures] == ["unit 2"]
    for unit in (1, 3):
        assert {abs(one.current_a[0]) for one in told.readings[f"unit {unit}"]} == {50.0 + unit}
