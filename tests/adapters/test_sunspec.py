"""Is a SunSpec meter found wherever its device keeps it, read with the right scale, and found again when it has moved?"""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from local_controller.adapters.examination.finding import Finding, State
from local_controller.adapters.examination.inputs import examine_inputs
from local_controller.adapters.modbus.connection import ModbusConnection
from local_controller.adapters.modbus.lines import ConnectionSettings
from local_controller.adapters.modbus.meter import MeterSettings, ModbusMeter
from local_controller.adapters.modbus.sunspec import SunSpecMap
from local_controller.clock import Clock
from tests.adapters.test_modbus_connection import Told
from tests.adapters.test_modbus_meter import free_port
from tests.config.test_connections import SITE, sound

Words = list[int]
Model = tuple[int, Words]

NOT_THERE = 0x8000
COMMON: Model = (1, [0x4D6F] * 66)
INVERTER: Model = (103, [0] * 50)
FLOAT_INVERTER: Model = (113, [0] * 60)
READ = "10.5 / -21.2 / 32.8 A, 230 / 230 / 232 V, 5.10 kW"


def integer_meter(model: int = 203, **changes: int) -> Model:
    """10.5, 21.2 and 32.8 A in tenths, volts in hundredths, watts in tens; by offsets from the model's id."""
    values = {3: 105, 4: 212, 5: 328, 6: -1, 8: 22950, 9: 23050, 10: 23150, 15: -2, 16: 5001, 17: -2}
    values |= {18: 510, 19: 240, 20: -480, 21: 750, 22: 1, 46: 0, 47: 1234, 54: 3}
    values |= {int(name[1:]): value for name, value in changes.items()}
    return model, [values.get(offset, NOT_THERE) & 0xFFFF for offset in range(2, 107)]


def float_meter(model: int = 213, **changes: float) -> Model:
    """The same in floating point."""
    values = {4: 10.5, 6: 21.2, 8: 32.8, 12: 229.5, 14: 230.5, 16: 231.5, 26: 50.01}
    values |= {28: 5100.0, 30: 2400.0, 32: -4800.0, 34: 7500.0, 68: 1_234_000.0}
    values |= {int(name[1:]): value for name, value in changes.items()}
    packed = b"".join(struct.pack(">f", values.get(offset, math.nan)) for offset in range(2, 126, 2))
    return model, list(struct.unpack(f">{len(packed) // 2}H", packed))


def sunspec(*models: Model) -> Words:
    """The mark, the models and the end."""
    return [0x5375, 0x6E53, *(word for model, data in models for word in (model, len(data), *data)), 0xFFFF, 0]


@asynccontextmanager
async def device(port: int, start: int, words: Words, room: int = 0) -> AsyncIterator[ModbusTcpServer]:
    """A device whose registers begin there; with room behind them."""
    held = [SimData(start, values=[*words, *[0] * room], datatype=DataType.REGISTERS)]
    bits, unused = [SimData(0, values=False, datatype=DataType.BITS)], [SimData(0)]
    server = ModbusTcpServer(SimDevice(1, simdata=(bits, bits, held, unused)), address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    try:
        yield server
    finally:
        await server.shutdown()


SPLIT = """\
site: {name: Library, mode: control, system: split_phase, nominal_voltage_v: 230}
grid_connection: {fuse_a: 63, assumed_base_load_a: 10}
stations: [{id: HALL-1, phases: 1, rotation: L1}]
"""
SINGLE = SPLIT.replace("split_phase", "single_phase")


async def examined(start: int, words: Words, more: str = "", site: str = SITE) -> Finding:
    port = free_port()
    meter = f"{{id: main, device: sunspec, host: 127.0.0.1, port: {port}{more}}}"
    async with device(port, start, words):
        (found,) = await examine_inputs(sound(f"csms: {{url: ws://csms}}\nmeters: [{meter}]\n", site), Clock(), 5.0, {})
    return found


@pytest.mark.parametrize("start", [40000, 50000, 0])
@pytest.mark.parametrize(
    "models",
    [
        pytest.param((COMMON, integer_meter(203)), id="meter with integers"),
        pytest.param((COMMON, float_meter(213)), id="meter with floating point"),
        pytest.param((COMMON, INVERTER, (160, [0] * 48), integer_meter(204)), id="behind an inverter"),
        pytest.param((COMMON, FLOAT_INVERTER, float_meter(214)), id="behind one with floating point"),
        pytest.param((COMMON, integer_meter(201), float_meter(213)), id="behind a meter of one phase"),
    ],
)
async def test_a_meter_is_found_wherever_it_stands(start: int, models: tuple[Model, ...]) -> None:
    found = await examined(start, sunspec(*models))
    assert (found.state, found.text) == (State.OK, READ)


NO_L3 = {"o5": NOT_THERE, "o10": NOT_THERE, "o18": -240, "o21": NOT_THERE}
NO_L2 = NO_L3 | {"o4": NOT_THERE, "o9": NOT_THERE, "o18": 240, "o20": NOT_THERE}
TWO, ONE = "10.5 / -21.2 / 0.0 A, 230 / 230 / 0 V, -2.40 kW", "10.5 / 0.0 / 0.0 A, 230 / 0 / 0 V, 2.40 kW"


@pytest.mark.parametrize(
    ("site", "meter", "text"),
    [
        (SPLIT, integer_meter(202, **NO_L3), TWO),
        (SPLIT, integer_meter(203, **NO_L3), TWO),
        (SINGLE, integer_meter(201, **NO_L2), ONE),
        (SINGLE, integer_meter(203, **NO_L2), ONE),
        (SINGLE, float_meter(211, o6=math.nan, o8=math.nan, o14=math.nan, o16=math.nan, o28=2400.0, o32=math.nan), ONE),
    ],
)
async def test_a_meter_of_as_many_lines_as_the_grid_has_is_read(site: str, meter: Model, text: str) -> None:
    found = await examined(40000, sunspec(COMMON, meter), site=site)
    assert (found.state, found.text) == (State.OK, text)


async def test_a_meter_of_one_leg_cannot_guard_two() -> None:
    found = await examined(40000, sunspec(COMMON, integer_meter(201)), site=SPLIT)
    assert found.text == "answers nonsense: its meter (model 201) measures one phase and cannot guard two"


async def test_the_sign_may_be_turned_for_vendors_that_count_the_export() -> None:
    found = await examined(40000, sunspec(COMMON, integer_meter()), ", invert: true")
    assert found.text == "-10.5 / 21.2 / -32.8 A, 230 / 230 / 232 V, -5.10 kW"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (sunspec(COMMON, integer_meter(o4=NOT_THERE)), "no current on L2"),
        (sunspec(COMMON, integer_meter(o6=NOT_THERE)), "no current on L1, L2, L3"),
        (sunspec(COMMON, integer_meter(o6=77)), "no current on L1, L2, L3"),
        (sunspec(COMMON, float_meter(o8=math.nan)), "no current on L3"),
        (sunspec(COMMON, integer_meter(201)), "its meter (model 201) measures one phase and cannot guard three"),
        (sunspec(COMMON, float_meter(212)), "its meter (model 212) measures two phases and cannot guard three"),
        (sunspec(COMMON, INVERTER), "no meter among its SunSpec models (1, 103): is `unit_id` that of the meter?"),
        ([0] * 200, 'no mark "SunS" at 40000, 50000, 0: does it speak SunSpec, and is that switched on?'),
        ([0x5375, 0x6E53, *[0] * 300], "its SunSpec models have no end"),
    ],
)
async def test_what_is_no_meter_for_three_phases_is_told_in_words(words: Words, text: str) -> None:
    port, told, log = free_port(), Told(), structlog.get_logger()
    connection = ModbusConnection(ConnectionSettings("127.0.0.1", port), log)
    connection.add(ModbusMeter(MeterSettings("main"), SunSpecMap(), Clock(), told.read, told.failed, log))
    async with device(port, 40000, words), asyncio.timeout(5):
        await connection.start()
        await told.news.wait()
        await connection.stop()
    assert told.failures == [("main", f"answers nonsense: {text}")]


async def test_what_is_not_implemented_is_absent_and_never_zero() -> None:
    without = {f"o{offset}": NOT_THERE for offset in (8, 9, 10, 16, 18, 20)} | {"o47": 0}
    found = await examined(40000, sunspec(COMMON, integer_meter(204, **without)))
    assert found.text == "10.5 / 21.2 / 32.8 A"  # L2 without a power counts as drawn


async def test_a_scale_that_changes_and_a_meter_that_moves_are_followed_without_a_gap() -> None:
    port, told, log = free_port(), Told(), structlog.get_logger()
    before = sunspec(COMMON, INVERTER, integer_meter())
    connection = ModbusConnection(ConnectionSettings("127.0.0.1", port), log)
    connection.add(ModbusMeter(MeterSettings("main", poll_s=0.02), SunSpecMap(), Clock(), told.read, told.failed, log))
    async with device(port, 40000, before, room=100) as server:
        await connection.start()
        await told.until(("main",), readings=2)
        scaled = sunspec(COMMON, INVERTER, integer_meter(o3=1050, o4=2120, o5=3280, o6=-2))
        await server.async_setValues(1, 3, 40000, scaled)
        await told.until(("main",), readings=len(told.readings["main"]) + 2)
        moved = sunspec(COMMON, FLOAT_INVERTER, float_meter())
        await server.async_setValues(1, 3, 40000, moved)
        await told.until(("main",), readings=len(told.readings["main"]) + 2)
        await server.async_setValues(1, 3, 40000, before)
        await told.until(("main",), readings=len(told.readings["main"]) + 2)
        await connection.stop()
    assert told.failures == []
    for reading in told.readings["main"]:
        assert reading.current_a == pytest.approx((10.5, -21.2, 32.8), rel=1e-6)
        assert reading.energy_import_wh == pytest.approx(1_234_000.0)
