"""Which registers does a meter show? Plausible values of every device, and a real Modbus server with them."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from local_controller.config.meter_devices import Device, Point

PACKED = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f", "f64": "d"}
VOLTS, AMPERES = (229.5, 230.5, 231.5), (10.5, 21.25, 32.75)
WATTS = (2_400.0, -4_800.0, 7_500.0)


def encoded(device: Device, point: Point, value: float) -> dict[int, int]:
    """Registers of one value, written apart from the decoder."""
    raw = value / point.factor if point.type.startswith("f") else round(value / point.factor)
    packed = struct.pack(">" + PACKED[point.type], raw)
    words = list(struct.unpack(f">{len(packed) // 2}H", packed))
    ordered = words if device.word_order == "big" else words[::-1]
    return dict(enumerate(ordered, start=point.at))


def directions(nets: list[tuple[Point, Point | None]], watts: list[float]) -> Iterator[tuple[Point, float]]:
    """Powers with a sign, or import and export apart."""
    for (imported, exported), power_w in zip(nets, watts, strict=False):  # some meters have no total
        if exported is None:
            yield imported, power_w
        else:
            yield imported, max(power_w, 0.0)
            yield exported, max(-power_w, 0.0)


def image(device: Device, amperes: tuple[float, float, float] = AMPERES) -> dict[int, int]:
    """All registers of a device's blocks, with plausible values in them."""
    points, lines = device.points, device.points.lines
    values = [
        *zip(points.voltage_v.phases(), VOLTS[:lines], strict=True),
        *zip(points.current_a.phases(), amperes[:lines], strict=True),
        *directions(points.nets(), [*WATTS[:lines], sum(WATTS[:lines])]),
        (points.frequency_hz, 50.1),
        (points.energy_import_wh, 1_234_000.0),
    ]
    registers = {first + offset: 0 for first, count in device.blocks for offset in range(count)}
    for point, value in values:
        if point is not None:
            registers |= encoded(device, point, value)
    return registers


@asynccontextmanager
async def modbus_server(device: Device, port: int, registers: dict[int, int]) -> AsyncIterator[ModbusTcpServer]:
    """A real Modbus TCP server (unit 1) that shows these registers where the device keeps them."""
    blocks = [
        SimData(first, values=[registers[first + offset] for offset in range(count)], datatype=DataType.REGISTERS)
        for first, count in sorted(device.blocks)
    ]
    bits, unused = [SimData(0, values=False, datatype=DataType.BITS)], [SimData(0)]
    tables = (bits, bits, blocks, unused) if device.function_code == 3 else (bits, bits, unused, blocks)
    server = ModbusTcpServer(SimDevice(1, simdata=tables), address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    try:
        yield server
    finally:
        await server.shutdown()
