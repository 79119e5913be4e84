"""How are the digital inputs of one I/O module kept under observation, whatever it or its network does?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusTcpClient
from structlog.typing import FilteringBoundLogger

from local_controller.adapters.modbus.meter import MeterError, Trouble, heed_cancellation, refused
from local_controller.adapters.modbus.module import Module
from local_controller.clock import Clock, Instant
from local_controller.site.contacts import STEADY_S, Steady

RETRY_MAX_S: Final = 1.0
"""The longest pause between two attempts: contacts are looked at once a second at least, also when they come back."""

AGAIN_S: Final = STEADY_S + 0.01
"""After a change the next look follows so soon, a little later than it has to."""

_FRAMERS: Final = {"tcp": FramerType.SOCKET, "rtu_over_tcp": FramerType.RTU}


@dataclass(frozen=True, slots=True)
class IoModuleSettings:
    """How to reach a module, and how many of its channels are read. `timeout_s` bounds connecting and each read."""

    id: str
    host: str
    port: int
    channels: int
    unit_id: int = 1
    framing: Literal["tcp", "rtu_over_tcp"] = "tcp"
    poll_s: float = 0.5
    timeout_s: float = 1.0


class IoModule:
    """Polls one module in a task of its own until stopped.

    on_read gets the channels that are closed, without their bouncing, and when they were asked for, after every poll;
    on_failure gets why a poll brought nothing, every time.
    """

    def __init__(  # noqa: PLR0913, PLR0917 the collaborators of a shell, all required, named by the caller
        self,
        settings: IoModuleSettings,
        module: Module,
        clock: Clock,
        on_read: Callable[[tuple[bool, ...], Instant], None],
        on_failure: Callable[[str, Instant], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._settings = settings
        self._module = module
        self._clock = clock
        self._on_read = on_read
        self._on_failure = on_failure
        self._log = log.bind(io_module=settings.id, address=f"{settings.host}:{settings.port}")
        self._client: AsyncModbusTcpClient | None = None
        self._task: asyncio.Task[None] | None = None
        self._trouble: Trouble | None = None
        self._steady = Steady()

    async def start(self) -> None:
        """Begin to poll; returns at once, whether the module is there or not."""
        self._task = asyncio.create_task(self._run(), name=f"I/O module {self._settings.id}")

    async def stop(self) -> None:
        """End polling and close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._disconnect()

    async def _run(self) -> None:
        """One poll after the other; a change is looked at once more before it counts."""
        loop = asyncio.get_running_loop()
        while True:
            started_s = loop.time()
            pause_s = await self._poll()
            heed_cancellation()
            await asyncio.sleep(max(0.0, started_s + pause_s - loop.time()))

    async def _poll(self) -> float:
        """One look; in how many seconds the next is due. Every failure drops the connection, as with meters."""
        asked_at = self._clock.now()
        try:
            closed = await self._read()
        except MeterError as error:
            self._disconnect()
            self._steady.missed()
            self._failed(error)
            return min(RETRY_MAX_S, 2 * self._settings.poll_s)
        if self._trouble is not None:
            self._log.info("io_module_back")
            self._trouble = None
        if not self._steady.look(closed, asked_at.monotonic_s):
            return AGAIN_S
        self._on_read(closed, asked_at)
        return self._settings.poll_s

    async def _read(self) -> tuple[bool, ...]:
        """The channels; MeterError if there are none."""
        client, module, channels = await self._connected(), self._module, self._settings.channels
        read = (
            client.read_coils,
            client.read_discrete_inputs,
            client.read_holding_registers,
            client.read_input_registers,
        )[module.function_code - 1]
        count = module.asked_for(channels)
        try:
            answer = await read(module.first_address, count=count, device_id=self._settings.unit_id)
        except (ModbusException, OSError) as error:
            raise MeterError(Trouble.SILENT, f"{channels} channels within {self._settings.timeout_s:g} s") from error
        if answer.isError():
            raise MeterError(Trouble.REFUSING, f"{channels} channels: {refused(answer.exception_code)}")
        told = answer.bits if module.function_code in {1, 2} else answer.registers
        if len(told) != module.answered(channels):
            raise MeterError(Trouble.NONSENSE, f"asked for {channels} channels, got an answer of another length")
        return module.closed(told, channels)

    async def _connected(self) -> AsyncModbusTcpClient:
        """The open connection, or a new one."""
        if self._client is not None and self._client.connected:
            return self._client
        self._disconnect()
        settings = self._settings
        self._client = AsyncModbusTcpClient(
            settings.host,
            port=settings.port,
            framer=_FRAMERS[settings.framing],
            timeout=settings.timeout_s,
            retries=0,
            reconnect_delay=0,  # its own reconnecting waits up to 300 s
        )
        try:
            connected = await self._client.connect()
        except ValueError as error:  # a host name that no resolver accepts
            raise MeterError(Trouble.UNREACHABLE, f"host {settings.host!r}: {error}") from error
        if not connected:
            raise MeterError(Trouble.UNREACHABLE, f"no connection to {settings.host}:{settings.port}")
        return self._client

    def _failed(self, error: MeterError) -> None:
        if error.trouble is not self._trouble:
            self._trouble = error.trouble
            self._log.warning("io_module_failed", reason=str(error))
        self._on_failure(str(error), self._clock.now())

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
