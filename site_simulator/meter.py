"""How does a node of the site look to a Modbus TCP client? Like an Eastron SDM630: input registers, float32, big-endian."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Callable
from typing import Self, cast

from pymodbus import FramerType
from pymodbus.pdu import ModbusPDU
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from site_simulator.site import Amperes, Gauge

REFRESH_S = 0.5
FREQUENCIES_HZ = (49.98, 50.0, 50.01, 49.99, 50.02)
READ_INPUT_REGISTERS = 4
UNIT = 1
IMAGE_REGISTERS = 76
VOLTAGE, CURRENT, POWER, POWER_SUM, FREQUENCY, ENERGY_KWH = 0, 6, 12, 52, 70, 72
"""First registers; the three phases follow each other, two registers apart."""


def image(gauge: Gauge, frequency_hz: float = 50.0) -> list[int]:
    """The 76 input registers that show the node's present state."""
    values = dict.fromkeys(range(0, IMAGE_REGISTERS, 2), 0.0)
    for phase, amperes in enumerate(gauge.current_a):
        values[VOLTAGE + 2 * phase] = gauge.volts
        values[CURRENT + 2 * phase] = amperes
        values[POWER + 2 * phase] = amperes * gauge.volts
    values[POWER_SUM] = sum(gauge.current_a) * gauge.volts
    values[FREQUENCY] = frequency_hz
    values[ENERGY_KWH] = gauge.energy_wh / 1000
    return [register for value in values.values() for register in struct.unpack(">HH", struct.pack(">f", value))]


class SimulatedMeter:
    """A Modbus server on the loopback interface, TCP or RTU over TCP; as a context manager it listens and refreshes itself.

    was_read: told what it shows whenever somebody reads it.
    """

    def __init__(
        self,
        gauge: Gauge,
        port: int = 0,
        framer: FramerType = FramerType.SOCKET,
        was_read: Callable[[Amperes], None] | None = None,
    ) -> None:
        self.port = port
        self._gauge = gauge
        self._framer = framer
        self._shown = gauge.current_a
        self._was_read = was_read

    async def __aenter__(self) -> Self:
        """Listen; `port` then tells where."""
        unused = [SimData(0, values=False, datatype=DataType.BITS)]
        registers = [SimData(0, values=image(self._gauge), datatype=DataType.REGISTERS)]
        device = SimDevice(UNIT, simdata=(unused, unused, [SimData(0, datatype=DataType.REGISTERS)], registers))
        address = ("127.0.0.1", self.port)
        self._server = ModbusTcpServer(device, framer=self._framer, address=address, trace_pdu=self._noted)
        await self._server.serve_forever(background=True)
        listener = cast("asyncio.Server", self._server.transport)  # typed too narrowly
        self.port = listener.sockets[0].getsockname()[1]
        self._refreshing = asyncio.create_task(self._refresh())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop answering."""
        self._refreshing.cancel()
        await asyncio.wait([self._refreshing])
        await self._server.shutdown()  # type: ignore[no-untyped-call]  # lacks its annotation

    def _noted(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:
        if sending and self._was_read is not None:
            self._was_read(self._shown)
        return pdu

    async def _refresh(self) -> None:
        """The grid's frequency never stands still."""
        for frequency_hz in itertools.cycle(FREQUENCIES_HZ):
            self._shown = self._gauge.current_a
            await self._server.async_setValues(UNIT, READ_INPUT_REGISTERS, 0, image(self._gauge, frequency_hz))
            await asyncio.sleep(REFRESH_S)
