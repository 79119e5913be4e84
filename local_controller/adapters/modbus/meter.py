"""How is one meter kept under observation, whatever it or its network does?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from structlog.typing import FilteringBoundLogger

from local_controller.adapters.modbus.connection import PollError, Questions, Trouble, lasting_pause_s
from local_controller.adapters.modbus.decode import Registers, decode_reading
from local_controller.adapters.modbus.register_map import RegisterMap
from local_controller.clock import Clock, Instant
from local_controller.errors import SourceError
from local_controller.profiles.units import NOMINAL_VOLTAGE_V
from local_controller.site.per_phase import PHASES
from local_controller.site.readings import MeterReading, implausible

FROZEN_POLLS = 10
FROZEN_AFTER_S = 30.0
"""A meter whose registers all stay the same for so long repeats old data: a grid's voltage never stands still.

A gateway in front of a dead RS-485 bus does this. 30 s is the age at which a silent meter has failed, too.
"""


@dataclass(frozen=True, slots=True)
class MeterSettings:
    """Which device on its connection a meter is, how it is mounted, and how often it is read. lines: of the grid."""

    id: str
    unit_id: int = 1
    invert: bool = False
    poll_s: float = 1.0
    nominal_v: tuple[float, ...] = (NOMINAL_VOLTAGE_V,)
    lines: tuple[int, ...] = PHASES


class ModbusMeter:
    """Reads one meter whenever its connection says that it is its turn.

    on_reading gets every usable reading; on_failure gets (meter, text) once for each change of trouble, also when the
    meter is down at the start. A reading after a failure is the news that the meter is back.
    """

    def __init__(  # noqa: PLR0913, PLR0917 the collaborators of a shell, all required, named by the caller
        self,
        settings: MeterSettings,
        registers: RegisterMap,
        clock: Clock,
        on_reading: Callable[[MeterReading], None],
        on_failure: Callable[[str, str], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._settings = settings
        self._map = registers
        self._clock = clock
        self._on_reading = on_reading
        self._on_failure = on_failure
        self._log = log.bind(meter=settings.id, unit_id=settings.unit_id)
        self.connect_delay_s = registers.device.connect_delay_s
        self._trouble: Trouble | None = None
        self._failures = 0
        self._last: tuple[Registers, Instant] | None = None
        self._same_polls = 0

    async def poll(self, line: Questions) -> None:
        """One reading; else PollError."""
        reading = await self._read(line)
        if self._trouble is not None:
            self._log.info("meter_back", after_failures=self._failures)
        self._trouble, self._failures = None, 0
        self._on_reading(reading)

    def failed(self, error: PollError) -> None:
        """No reading, told when it is news."""
        self._failures += 1
        if error.trouble is self._trouble:
            return
        self._trouble = error.trouble
        self._log.warning("meter_failed", reason=str(error))
        self._on_failure(self._settings.id, str(error))

    def pause_s(self) -> float:
        """From the start of one poll to the next: the rate of the settings, or longer and longer pauses up to 5 s."""
        return lasting_pause_s(self._settings.poll_s, self._failures)

    async def _read(self, line: Questions) -> MeterReading:
        """A plausible reading; else PollError.

        Blocks are read one after the other: a load that changes in between contradicts itself, so what looks
        implausible is looked at again before it counts as a failure.
        """
        reading = await self._look(line)
        if implausible(reading, self._settings.nominal_v):
            reading = await self._look(line)
        if findings := implausible(reading, self._settings.nominal_v):
            raise PollError(Trouble.NONSENSE, "; ".join(map(str, findings)))
        return reading

    async def _look(self, line: Questions) -> MeterReading:
        """What the registers say, its age counted from before the first question; PollError if that is no reading."""
        asked_at = self._clock.now()
        registers = await self._map.ask(line, self._settings.unit_id)
        unchanged_s = self._unchanged_s(registers, asked_at)
        try:
            reading = decode_reading(
                self._map.device,
                registers,
                meter=self._settings.id,
                asked_at=asked_at,
                invert=self._settings.invert,
                lines=self._settings.lines,
            )
        except SourceError as error:
            raise PollError(Trouble.NONSENSE, str(error)) from error
        return replace(reading, unchanged_s=unchanged_s)

    def _unchanged_s(self, registers: Registers, asked_at: Instant) -> float:
        """For how long nothing at all has changed; PollError once that is too long."""
        if self._last is None or registers != self._last[0]:
            self._last, self._same_polls = (registers, asked_at), 0
            return 0.0
        self._same_polls += 1
        same_s = asked_at.since(self._last[1])
        if self._same_polls >= FROZEN_POLLS and same_s >= FROZEN_AFTER_S:
            raise PollError(Trouble.FROZEN, f"no register has changed for {same_s:.0f} s")
        return same_s
