"""How are the digital inputs of one I/O module kept under observation, whatever it or its network does?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from structlog.typing import FilteringBoundLogger

from local_controller.adapters.modbus.connection import PollError, Questions, Trouble
from local_controller.adapters.modbus.module import Module
from local_controller.clock import Clock, Instant
from local_controller.site.contacts import STEADY_S, Steady

RETRY_MAX_S: Final = 1.0
"""The longest pause between two attempts: contacts are looked at once a second at least, also when they come back."""

AGAIN_S: Final = STEADY_S + 0.01
"""After a change the next look follows so soon, a little later than it has to."""


@dataclass(frozen=True, slots=True)
class IoModuleSettings:
    """Which device on its connection a module is, how many of its channels are read, and how often."""

    id: str
    channels: int
    unit_id: int = 1
    poll_s: float = 0.5


class IoModule:
    """Reads one module whenever its connection says that it is its turn.

    on_read gets the channels that are closed, without their bouncing, and when they were asked for, after every poll;
    on_failure gets why a poll brought nothing, every time.
    """

    connect_delay_s = 0.0

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
        self._log = log.bind(io_module=settings.id, unit_id=settings.unit_id)
        self._trouble: Trouble | None = None
        self._steady = Steady()
        self._pause_s = settings.poll_s

    async def poll(self, line: Questions) -> None:
        """One look at the channels; a change is looked at once more before it counts."""
        asked_at = self._clock.now()
        closed = await self._read(line)
        if self._trouble is not None:
            self._log.info("io_module_back")
            self._trouble = None
        if self._steady.look(closed, asked_at.monotonic_s):
            self._pause_s = self._settings.poll_s
            self._on_read(closed, asked_at)
        else:
            self._pause_s = AGAIN_S

    def failed(self, error: PollError) -> None:
        """Nothing was read."""
        self._steady.missed()
        self._pause_s = min(RETRY_MAX_S, 2 * self._settings.poll_s)
        if error.trouble is not self._trouble:
            self._trouble = error.trouble
            self._log.warning("io_module_failed", reason=str(error))
        self._on_failure(str(error), self._clock.now())

    def pause_s(self) -> float:
        """From the start of one poll to the next."""
        return self._pause_s

    async def _read(self, line: Questions) -> tuple[bool, ...]:
        """The channels; PollError if there are none."""
        code, first, channels = self._module.function_code, self._module.first_address, self._settings.channels
        count, unit_id = self._module.asked_for(channels), self._settings.unit_id
        if code == 1 or code == 2:  # noqa: PLR1714 - what the type checker understands
            return self._module.closed(await line.bits(code, first, count, unit_id), channels)
        return self._module.closed(await line.registers(code, first, count, unit_id), channels)
