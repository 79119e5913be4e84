"""How do the contacts of a grid operator look to a Modbus TCP client? Like the digital inputs of an I/O module."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Self, cast

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

UNIT = 1
CHANNELS = 16
COILS, DISCRETE_INPUTS, HOLDING_REGISTERS, INPUT_REGISTERS = 1, 2, 3, 4
"""The tables of a device, by the function code that reads each."""


class SimulatedIoModule:
    """A Modbus server on the loopback interface with sixteen channels; as a context manager it listens.

    It shows them as coils, as discrete inputs and as one word of each kind of register, all at the same address: the
    families of modules differ in where they are read. closed: channels that conduct, counted from 0.
    """

    def __init__(self, closed: Iterable[int] = (), *, port: int = 0, first_address: int = 0) -> None:
        self.port = port
        self._first_address = first_address
        self._closed = frozenset(closed)

    async def __aenter__(self) -> Self:
        """Listen; `port` then tells where."""
        first = self._first_address
        bits = SimData(first, values=self._bits, datatype=DataType.BITS)
        word = SimData(first, values=[self._word], datatype=DataType.REGISTERS)
        device = SimDevice(UNIT, simdata=([bits], [bits], [word], [word]))
        self._server = ModbusTcpServer(device, address=("127.0.0.1", self.port))
        await self._server.serve_forever(background=True)
        listener = cast("asyncio.Server", self._server.transport)  # typed too narrowly
        self.port = listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop answering."""
        await self.stop()

    async def stop(self) -> None:
        """It is gone, connections too."""
        await self._server.shutdown()  # type: ignore[no-untyped-call]  # lacks its annotation

    async def close(self, *channels: int) -> None:
        """These conduct from now on, all others are open."""
        self._closed = frozenset(channels)
        for table in (COILS, DISCRETE_INPUTS):
            await self._server.async_setValues(UNIT, table, self._first_address, self._bits)
        for table in (HOLDING_REGISTERS, INPUT_REGISTERS):
            await self._server.async_setValues(UNIT, table, self._first_address, [self._word])

    @property
    def _bits(self) -> list[bool]:
        return [channel in self._closed for channel in range(CHANNELS)]

    @property
    def _word(self) -> int:
        return sum(1 << channel for channel in self._closed)
