"""Can any Modbus client read the site's meter as an SDM630?"""

from __future__ import annotations

import asyncio
import struct

import pytest
from pymodbus.client import AsyncModbusTcpClient

from site_simulator.clock import SimClock, run
from site_simulator.meter import SimulatedMeter
from site_simulator.site import Gauge, Node


async def read(client: AsyncModbusTcpClient, address: int, count: int = 1) -> list[float]:
    answer = await client.read_input_registers(address, count=2 * count, device_id=1)
    assert not answer.isError()
    return [
        struct.unpack(">f", struct.pack(">HH", *pair))[0]
        for pair in zip(answer.registers[::2], answer.registers[1::2], strict=True)
    ]


def test_the_registers_follow_the_currents() -> None:
    gauge = Gauge(Node("grid", 125), current_a=(10.0, 20.5, 0.0), energy_wh=1500.0)

    async def story() -> None:
        async with SimulatedMeter(gauge) as meter:
            client = AsyncModbusTcpClient("127.0.0.1", port=meter.port, timeout=60)
            assert await client.connect()
            assert await read(client, 0, 3) == [230, 230, 230]
            assert await read(client, 6, 3) == [10, 20.5, 0]
            assert await read(client, 12, 3) == [2300, 4715, 0]
            assert await read(client, 52) == [7015]
            assert await read(client, 70) == pytest.approx([50], abs=0.03)
            assert await read(client, 72) == [1.5]
            gauge.current_a = (33.0, 0.0, 0.0)
            await asyncio.sleep(5)
            assert (await read(client, 6))[0] == pytest.approx(33)
            client.close()

    run(story(), SimClock(speed=20))


def test_several_meters_have_ports_of_their_own() -> None:
    async def story() -> None:
        first, second = Gauge(Node("grid", 1)), Gauge(Node("garage", 1))
        async with SimulatedMeter(first) as one, SimulatedMeter(second) as other:
            assert one.port != other.port

    run(story(), SimClock(speed=20))
