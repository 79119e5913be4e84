"""How do several readers share one connection, whatever the devices behind it do?

Many gateways take one TCP client, and a bus bears one question at a time. So whatever lies behind one address has one
supervisor, which connects, lets the reader ask that is due first, and decides when the connection is good no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from enum import StrEnum
from typing import Final, Literal, Protocol

from pymodbus import ModbusException
from pymodbus.pdu import ModbusPDU
from structlog.typing import FilteringBoundLogger

from local_controller.adapters.modbus.lines import WRONG_SETTINGS, Client, Line
from local_controller.errors import SourceError

RETRY_MAX_S: Final = 5.0
"""The longest pause between two attempts (goal G1: a device that is back is seen within 5 s)."""

SILENT_IN_A_ROW: Final = 2
"""After so many time-outs without an answer in between a connection with transaction numbers is opened anew.

One that a single device has for itself, after the first: nobody else loses by it, and a half-open one costs less.
"""

_EXCEPTIONS: Final = {
    1: "illegal function: is `device` the right model?",
    2: "illegal address: is `device` the right model?",
    3: "illegal value: is `device` the right model?",
    4: "device failure: is `unit_id` right?",
    6: "device busy",
    10: "gateway has no path: is `unit_id` right?",
    11: "gateway hears nothing from the device: check `unit_id`, wiring and bus settings",
}


class Trouble(StrEnum):
    """The ways in which a poll gives nothing."""

    UNREACHABLE = "cannot be reached"
    SILENT = "does not answer"
    REFUSING = "answers with an exception"
    NONSENSE = "answers nonsense"
    FROZEN = "repeats old data"


class PollError(SourceError):
    """One poll gave nothing."""

    def __init__(self, trouble: Trouble, detail: str) -> None:
        super().__init__(f"{trouble}: {detail}")
        self.trouble = trouble


class Questions(Protocol):
    """What a reader may do with the connection while it is its turn."""

    async def registers(self, function_code: Literal[3, 4], first: int, count: int, unit_id: int) -> Sequence[int]:
        """The content of so many registers; PollError."""

    async def bits(self, function_code: Literal[1, 2], first: int, count: int, unit_id: int) -> Sequence[bool]:
        """The state of so many coils or inputs; PollError."""


class Reader(Protocol):
    """Who polls over a connection. It keeps time by itself, and tells by itself what it has read.

    connect_delay_s: the pause that its device needs between the connection and the first question.
    """

    connect_delay_s: float

    async def poll(self, line: Questions) -> None:
        """One look at the device, at most a few questions; PollError, after which `failed` is called."""

    def failed(self, error: PollError) -> None:
        """A poll gave nothing, or nobody is there to be asked."""

    def pause_s(self) -> float:
        """From the start of the poll that just ended to the start of the next."""


class ModbusConnection:
    """Lets its readers poll in a task of its own until stopped: one question at a time, who is due first asks first.

    A device that is silent costs the others one time-out, each time that its reader tries.
    """

    def __init__(self, settings: Line, log: FilteringBoundLogger) -> None:
        self.settings = settings
        self._log = log.bind(address=settings.address)
        self._due_s: dict[Reader, float] = {}
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._silent = 0
        self._has_numbers = settings.has_numbers

    def add(self, reader: Reader) -> None:
        """One more who asks; before the start."""
        self._due_s[reader] = 0.0

    async def start(self) -> None:
        """Begin; returns at once, whether anybody is there or not."""
        self._task = asyncio.create_task(self._run(), name=f"Modbus {self.settings.address}")

    async def stop(self) -> None:
        """End polling and close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._disconnect()

    async def registers(self, function_code: Literal[3, 4], first: int, count: int, unit_id: int) -> Sequence[int]:
        """An answer of another length belongs to another question."""
        client = self._opened()
        read = client.read_holding_registers if function_code == 3 else client.read_input_registers
        what = f"registers {first} to {first + count - 1}"
        answer = await self._answer(read(first, count=count, device_id=unit_id), what)
        self._judge_length("registers", count, count, len(answer.registers))
        return answer.registers

    async def bits(self, function_code: Literal[1, 2], first: int, count: int, unit_id: int) -> Sequence[bool]:
        """Bits come in whole bytes."""
        client = self._opened()
        read = client.read_coils if function_code == 1 else client.read_discrete_inputs
        what = f"inputs {first} to {first + count - 1}"
        answer = await self._answer(read(first, count=count, device_id=unit_id), what)
        self._judge_length("inputs", count, -(-count // 8) * 8, len(answer.bits))
        return answer.bits[:count]

    async def _run(self) -> None:
        """One poll after the other."""
        loop = asyncio.get_running_loop()
        while True:
            reader = min(self._due_s, key=self._due_s.__getitem__)
            await asyncio.sleep(max(0.0, self._due_s[reader] - loop.time()))
            started_s = loop.time()
            try:
                await self._connect()
            except PollError as error:
                self._nobody_there(error, started_s)
            else:
                quiet_s = await self._turn(reader)
                self._due_s[reader] = max(started_s + reader.pause_s(), loop.time() + quiet_s)
            _heed_cancellation()

    async def _turn(self, reader: Reader) -> float:
        """The poll of one reader, and what its failure means for all; for how long it is not asked again, in seconds.

        A bus outlives a connection, and a late answer without a number would be taken for the next one of this device,
        whose place it knows, but not its registers: so it has another time-out to fall out.
        """
        try:
            await reader.poll(self)
        except PollError as error:
            if not self._keeps(error):
                self._disconnect()
            reader.failed(error)
            if error.trouble is Trouble.SILENT and not self._has_numbers:
                return self.settings.timeout_s
        except Exception as fault:  # noqa: BLE001 - our fault costs this poll, never what else lies behind the connection
            self._log.exception("poll_fault")
            self._disconnect()
            reader.failed(PollError(Trouble.NONSENSE, f"that the gateway has a fault with: {fault!r}"))
        return 0.0

    def _keeps(self, error: PollError) -> bool:
        """Whether the connection is still good.

        RTU has no transaction number: a late answer would be taken for the next one (goal G24), so nothing but a clean
        answer keeps it. With numbers a late answer falls out, and one silent device is no reason to drop
        the others; a half-open connection, on which nobody answers, would never recover.
        """
        if error.trouble is Trouble.REFUSING:
            return True
        if not self._has_numbers:
            return False
        return self._silent < min(SILENT_IN_A_ROW, len(self._due_s))

    def _nobody_there(self, error: PollError, started_s: float) -> None:
        """All readers learn it at once, and the one with the shortest pause tries again."""
        for reader in self._due_s:
            reader.failed(error)
            self._due_s[reader] = started_s + reader.pause_s()

    async def _connect(self) -> None:
        """Go on with the open connection, or open a new one; PollError."""
        if self._client is not None and self._client.connected:
            return
        self._disconnect()
        try:
            connected = await self._open()
        except WRONG_SETTINGS as error:
            raise PollError(Trouble.UNREACHABLE, f"{self.settings.address}: {error}") from error
        if not connected:
            raise PollError(Trouble.UNREACHABLE, await self.settings.unreachable())
        await asyncio.sleep(max(reader.connect_delay_s for reader in self._due_s))

    async def _open(self) -> bool:
        try:
            clients = await self.settings.clients()
        except OSError:
            return False
        for client in clients:
            self._disconnect()
            self._client = client
            if await client.connect():
                return True
        return False

    def _opened(self) -> Client:
        """The connection in the middle of a poll: it may have been lost after the question before."""
        if self._client is None or not self._client.connected:
            raise PollError(Trouble.SILENT, "the connection was closed")
        return self._client

    async def _answer(self, asked: Awaitable[ModbusPDU], what: str) -> ModbusPDU:
        """What came back; PollError if that is nothing, or an exception."""
        try:
            answer = await asked
        except (ModbusException, OSError) as error:
            self._silent += 1
            raise PollError(Trouble.SILENT, f"{what} within {self.settings.timeout_s:g} s") from error
        self._look_at_number(answer, what)
        self._silent = 0
        if answer.isError():
            code = answer.exception_code
            raise PollError(Trouble.REFUSING, f"{what}: {_EXCEPTIONS.get(code, f'exception {code}')}")
        return answer

    def _look_at_number(self, answer: ModbusPDU, what: str) -> None:
        """Some devices number every answer 0, which matches any question: as over RTU, a late one looks like the next (goal G24).

        The first that comes after a time-out may be such a late one.
        """
        if self._has_numbers and not answer.transaction_id:
            self._has_numbers = False
            if self._silent:
                self._disconnect()
                raise PollError(Trouble.NONSENSE, f"{what}: an answer without a number, perhaps to an earlier question")

    def _judge_length(self, what: str, count: int, expected: int, got: int) -> None:
        if got != expected:
            self._disconnect()
            raise PollError(Trouble.NONSENSE, f"asked for {count} {what}, got {got}")

    def _disconnect(self) -> None:
        self._silent = 0
        if self._client is not None:
            self._client.close()
            self._client = None


class ModbusConnections:
    """All connections of a site: one for each address or serial line."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._by_address: dict[str, ModbusConnection] = {}

    def to(self, settings: Line) -> ModbusConnection:
        """The connection with this address; what else is set about it comes from who asks first."""
        if settings.address not in self._by_address:
            self._by_address[settings.address] = ModbusConnection(settings, self._log)
        return self._by_address[settings.address]

    def all(self) -> list[ModbusConnection]:
        """Each once."""
        return list(self._by_address.values())


def lasting_pause_s(poll_s: float, failures: int, longest_s: float = RETRY_MAX_S) -> float:
    """From one poll to the next: the usual time, or longer and longer after failures."""
    return poll_s if not failures else min(longest_s, poll_s * 2.0 ** min(failures - 1, 10))


def _heed_cancellation() -> None:
    """Raise the CancelledError that pymodbus lost: before Python 3.12 `wait_for` swallows it when an answer arrives."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
