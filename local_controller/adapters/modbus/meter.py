"""How is one meter kept under observation, whatever it or its network does?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusTcpClient
from structlog.typing import FilteringBoundLogger

from local_controller.adapters.modbus.decode import Registers, decode_reading
from local_controller.adapters.modbus.device import Device
from local_controller.clock import Clock, Instant
from local_controller.errors import SourceError
from local_controller.site.readings import MeterReading, implausible

RETRY_MAX_S = 5.0
"""The longest pause between two attempts (goal: a meter that is back is seen within 5 s)."""

FROZEN_POLLS = 10
FROZEN_AFTER_S = 30.0
"""A meter whose registers all stay the same for so long repeats old data: a grid's voltage never stands still.

A gateway in front of a dead RS-485 bus does this. 30 s is the age at which a silent meter has failed, too.
"""

_FRAMERS = {"tcp": FramerType.SOCKET, "rtu_over_tcp": FramerType.RTU}

_EXCEPTIONS = {
    1: "illegal function: is `device` the right model?",
    2: "illegal address: is `device` the right model?",
    3: "illegal value: is `device` the right model?",
    4: "device failure: is `unit_id` right?",
    6: "device busy",
    10: "gateway has no path: is `unit_id` right?",
    11: "gateway hears nothing from the meter: check `unit_id`, wiring and bus settings",
}


@dataclass(frozen=True, slots=True)
class MeterSettings:
    """How to reach a meter. `timeout_s` bounds connecting and each read; there are no retries inside of a poll."""

    id: str
    host: str
    port: int = 502
    unit_id: int = 1
    framing: Literal["tcp", "rtu_over_tcp"] = "tcp"
    invert: bool = False
    poll_s: float = 1.0
    timeout_s: float = 1.0


class Trouble(StrEnum):
    """The states of a meter that gives no reading."""

    UNREACHABLE = "cannot be reached"
    SILENT = "does not answer"
    REFUSING = "answers with an exception"
    NONSENSE = "answers nonsense"
    FROZEN = "repeats old data"


class MeterError(SourceError):
    """One poll gave no reading."""

    def __init__(self, trouble: Trouble, detail: str) -> None:
        super().__init__(f"{trouble}: {detail}")
        self.trouble = trouble


class ModbusMeter:
    """Polls one meter in a task of its own until stopped, so that no meter can hold up another.

    on_reading gets every usable reading; on_failure gets (meter, text) once for each change of trouble, also when the
    meter is down at the start. A reading after a failure is the news that the meter is back.
    """

    def __init__(  # noqa: PLR0913, PLR0917 the collaborators of a shell, all required, named by the caller
        self,
        settings: MeterSettings,
        device: Device,
        clock: Clock,
        on_reading: Callable[[MeterReading], None],
        on_failure: Callable[[str, str], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._settings = settings
        self._device = device
        self._clock = clock
        self._on_reading = on_reading
        self._on_failure = on_failure
        self._log = log.bind(meter=settings.id, address=f"{settings.host}:{settings.port}")
        self._client: AsyncModbusTcpClient | None = None
        self._task: asyncio.Task[None] | None = None
        self._trouble: Trouble | None = None
        self._failures = 0
        self._last: tuple[Registers, Instant] | None = None
        self._same_polls = 0

    async def start(self) -> None:
        """Begin to poll; returns at once, whether the meter is there or not."""
        self._task = asyncio.create_task(self._run(), name=f"meter {self._settings.id}")

    async def stop(self) -> None:
        """End polling and close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._disconnect()

    async def _run(self) -> None:
        """One poll after the other, at the rate of the settings while all is well."""
        loop = asyncio.get_running_loop()
        while True:
            started_s = loop.time()
            await self._poll()
            heed_cancellation()
            await asyncio.sleep(max(0.0, started_s + self._pause_s() - loop.time()))

    def _pause_s(self) -> float:
        """From the start of one poll to the next: the rate of the settings, or longer and longer pauses up to 5 s."""
        if not self._failures:
            return self._settings.poll_s
        return min(RETRY_MAX_S, self._settings.poll_s * 2.0 ** min(self._failures - 1, 10))

    async def _poll(self) -> None:
        """One reading or one failure.

        Every failure drops the connection: a late answer on it would be taken for the next one (RTU over TCP has no
        transaction id), and a half-open connection would never recover.
        """
        try:
            reading = await self._read()
        except MeterError as error:
            self._disconnect()
            self._failed(error)
        else:
            self._succeeded(reading)

    async def _read(self) -> MeterReading:
        """A plausible reading; else MeterError.

        Blocks are read one after the other: a load that changes in between contradicts itself, so what looks
        implausible is looked at again before it counts as a failure.
        """
        client = await self._connected()
        reading = await self._look(client)
        if implausible(reading):
            reading = await self._look(client)
        if findings := implausible(reading):
            raise MeterError(Trouble.NONSENSE, "; ".join(map(str, findings)))
        return reading

    async def _look(self, client: AsyncModbusTcpClient) -> MeterReading:
        """What the registers say, its age counted from before the first question; MeterError if that is no reading."""
        asked_at = self._clock.now()
        registers: dict[int, int] = {}
        for first, count in self._device.blocks:
            registers |= await self._read_block(client, first, count)
        unchanged_s = self._unchanged_s(registers, asked_at)
        try:
            reading = decode_reading(
                self._device, registers, meter=self._settings.id, asked_at=asked_at, invert=self._settings.invert
            )
        except SourceError as error:
            raise MeterError(Trouble.NONSENSE, str(error)) from error
        return replace(reading, unchanged_s=unchanged_s)

    async def _connected(self) -> AsyncModbusTcpClient:
        """The open connection, or a new one."""
        if self._client is not None and self._client.connected:
            return self._client
        self._disconnect()
        self._client = AsyncModbusTcpClient(
            self._settings.host,
            port=self._settings.port,
            framer=_FRAMERS[self._settings.framing],
            timeout=self._settings.timeout_s,
            retries=0,
            reconnect_delay=0,  # its own reconnecting waits up to 300 s
        )
        try:
            connected = await self._client.connect()
        except ValueError as error:  # a host name that no resolver accepts
            raise MeterError(Trouble.UNREACHABLE, f"host {self._settings.host!r}: {error}") from error
        if not connected:
            raise MeterError(Trouble.UNREACHABLE, f"no connection to {self._settings.host}:{self._settings.port}")
        await asyncio.sleep(self._device.connect_delay_s)
        return self._client

    async def _read_block(self, client: AsyncModbusTcpClient, first: int, count: int) -> dict[int, int]:
        """The content of some registers by address; an answer of another length belongs to another question."""
        read = client.read_holding_registers if self._device.function_code == 3 else client.read_input_registers
        try:
            answer = await read(first, count=count, device_id=self._settings.unit_id)
        except (ModbusException, OSError) as error:
            waited = f"registers {first} to {first + count - 1} within {self._settings.timeout_s:g} s"
            raise MeterError(Trouble.SILENT, waited) from error
        if answer.isError():
            raise MeterError(Trouble.REFUSING, f"register {first}: {refused(answer.exception_code)}")
        if len(answer.registers) != count:
            raise MeterError(Trouble.NONSENSE, f"asked for {count} registers, got {len(answer.registers)}")
        return dict(enumerate(answer.registers, start=first))

    def _unchanged_s(self, registers: Registers, asked_at: Instant) -> float:
        """For how long nothing at all has changed; MeterError once that is too long."""
        if self._last is None or registers != self._last[0]:
            self._last, self._same_polls = (registers, asked_at), 0
            return 0.0
        self._same_polls += 1
        same_s = asked_at.since(self._last[1])
        if self._same_polls >= FROZEN_POLLS and same_s >= FROZEN_AFTER_S:
            raise MeterError(Trouble.FROZEN, f"no register has changed for {same_s:.0f} s")
        return same_s

    def _succeeded(self, reading: MeterReading) -> None:
        if self._trouble is not None:
            self._log.info("meter_back", after_failures=self._failures)
        self._trouble, self._failures = None, 0
        self._on_reading(reading)

    def _failed(self, error: MeterError) -> None:
        self._failures += 1
        if error.trouble is self._trouble:
            return
        self._trouble = error.trouble
        self._log.warning("meter_failed", reason=str(error))
        self._on_failure(self._settings.id, str(error))

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def refused(code: int) -> str:
    """What an exception of a Modbus device means."""
    return _EXCEPTIONS.get(code, f"exception {code}")


def heed_cancellation() -> None:
    """Raise the CancelledError that pymodbus lost: before Python 3.12 `wait_for` swallows it when an answer arrives."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
