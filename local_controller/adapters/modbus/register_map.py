"""Which registers does a meter have to be asked for?"""

from __future__ import annotations

from typing import Protocol

from local_controller.adapters.modbus.connection import Questions
from local_controller.adapters.modbus.decode import Registers
from local_controller.config.meter_devices import Device


class RegisterMap(Protocol):
    """What asks a meter for its registers, and knows how to read them."""

    @property
    def device(self) -> Device:
        """How what was asked for last is read."""

    async def ask(self, line: Questions, unit_id: int) -> Registers:
        """The content of all blocks of that device; PollError."""


class FixedMap:
    """A meter whose registers stand where its data says."""

    def __init__(self, device: Device) -> None:
        self.device = device

    async def ask(self, line: Questions, unit_id: int) -> Registers:
        """Block after block."""
        return await read_blocks(line, self.device, unit_id)


async def read_blocks(line: Questions, device: Device, unit_id: int, start: int = 0) -> Registers:
    """The blocks of a device whose addresses count from a register, by these addresses."""
    registers: dict[int, int] = {}
    for first, count in device.blocks:
        words = await line.registers(device.function_code, start + first, count, unit_id)
        registers |= enumerate(words, start=first)
    return registers
