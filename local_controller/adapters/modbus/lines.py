"""Over which wire are Modbus devices reached, and what is wrong where it cannot be opened?"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient

from local_controller.adapters.lookups import addresses
from local_controller.config.modbus_lines import Baud, ModbusPlace, Parity

if sys.platform == "win32":
    _CANNOT_BE_SET: tuple[type[Exception], ...] = (ValueError,)
else:
    import termios

    _CANNOT_BE_SET = (ValueError, termios.error)
WRONG_SETTINGS: Final = _CANNOT_BE_SET
"""What connecting raises for a host name that no resolver accepts, and for what a serial line cannot be set to."""

Client = AsyncModbusTcpClient | AsyncModbusSerialClient

_FRAMERS: Final = {"tcp": FramerType.SOCKET, "rtu_over_tcp": FramerType.RTU}

SLOW_BAUD: Final = 2400
SLOW_TIMEOUT_S: Final = 1.5
"""At 2400 Bd the longest answer takes 1.2 s on the wire (255 bytes of 11 bits); at 4800 Bd and more it is 0.6 s at most."""


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Devices in the network. `timeout_s` bounds connecting and each question; there are no retries inside of a poll."""

    host: str
    port: int = 502
    framing: Literal["tcp", "rtu_over_tcp"] = "tcp"
    timeout_s: float = 1.0

    @property
    def address(self) -> str:
        """What tells connections apart."""
        return f"{self.host}:{self.port}"

    @property
    def has_numbers(self) -> bool:
        """Whether an answer bears the number of its question, so that a late one falls out."""
        return self.framing == "tcp"

    async def clients(self) -> Sequence[Client]:
        """One for each address of the host, not yet connected; OSError, ValueError as of `addresses`."""
        async with asyncio.timeout(self.timeout_s):
            found = await addresses(self.host)
        return [self._client(address) for address in found]

    def _client(self, address: str) -> Client:
        return AsyncModbusTcpClient(
            address,
            port=self.port,
            framer=_FRAMERS[self.framing],
            timeout=self.timeout_s,
            retries=0,
            reconnect_delay=0,  # its own reconnecting waits up to 300 s
        )

    async def unreachable(self) -> str:
        """What to tell people when it cannot be connected."""
        try:
            async with asyncio.timeout(self.timeout_s):
                await addresses(self.host)
        except OSError:
            return f"this machine finds no address of {self.host}: check the name, and DNS"
        return f"no connection to {self.address}"


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """Devices on a bus that is wired to this machine. `timeout_s` bounds each question."""

    device: str
    baud: Baud = 9600
    parity: Parity = "none"
    stop_bits: Literal[1, 2] = 1
    timeout_s: float = 1.0

    @property
    def address(self) -> str:
        """What tells connections apart."""
        return self.device

    @property
    def has_numbers(self) -> bool:
        """RTU knows no numbers of questions."""
        return False

    async def clients(self) -> Sequence[Client]:
        """The only one, not yet connected."""
        client = AsyncModbusSerialClient(
            self.device,
            framer=FramerType.RTU,
            baudrate=self.baud,
            parity=self.parity[0].upper(),
            stopbits=self.stop_bits,
            timeout=self.timeout_s,
            retries=0,
            reconnect_delay=0,
        )
        return [client]

    async def unreachable(self) -> str:
        """What to tell people when it cannot be opened."""
        return self._unopened()

    def _unopened(self) -> str:
        if not os.path.exists(self.device):  # noqa: PTH110 - beside os.access
            return f"there is no {self.device}: is the adapter plugged in?"
        if not os.access(self.device, os.R_OK | os.W_OK):
            return f"{self.device} may not be opened: add the gateway's user to the group that owns it, mostly dialout"
        return f"{self.device} cannot be opened: does another program use it, and is it a serial line?"


Line = ConnectionSettings | SerialSettings


def line_of(section: ModbusPlace, usual_port: int = 502) -> Line:
    """How a device of a site file is reached."""
    if section.serial is not None:
        timeout_s = SLOW_TIMEOUT_S if section.baud <= SLOW_BAUD else 1.0
        return SerialSettings(section.serial, section.baud, section.parity, section.stop_bits, timeout_s)
    port = usual_port if section.port is None else section.port
    return ConnectionSettings(section.host or "", port, section.framing)
