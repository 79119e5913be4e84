"""How are the registers of one EEBUS bridge kept under observation, whatever it or its network does?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

from local_controller.adapters.modbus.connection import PollError, Questions, Trouble, lasting_pause_s
from local_controller.adapters.modbus.decode import Registers, decode_value
from local_controller.config.limits import LpcRegistersSection
from local_controller.config.meter_devices import Point
from local_controller.errors import SourceError
from local_controller.site.limit_message import number
from local_controller.site.lpc import LpcWord
from local_controller.site.lpc_registers import LpcRegisters, LpcShown

POLL_S: Final = 1.0
"""A heartbeat comes once a minute, a limit has to count soon."""


class ControlBoxReader:
    """Reads one bridge whenever its connection says that it is its turn.

    on_word gets (limit, word) for all that is new; on_nonsense gets (limit, text) when registers hold what cannot be, once until
    they can be read again; on_silence the same when nothing is read.
    """

    connect_delay_s = 0.0

    def __init__(
        self,
        section: LpcRegistersSection,
        on_word: Callable[[str, LpcWord], None],
        on_nonsense: Callable[[str, str], None],
        on_silence: Callable[[str, str], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._id, self._place = section.id, section.registers
        self._on_word, self._on_nonsense, self._on_silence = on_word, on_nonsense, on_silence
        self._log = log.bind(limit=section.id, unit_id=section.registers.unit_id)
        self._registers = LpcRegisters()
        self._trouble: Trouble | None = None
        self._failures = 0

    async def poll(self, line: Questions) -> None:
        """One look at the registers; PollError."""
        first, count = self._place.block
        words = await line.registers(self._place.function_code, first, count, self._place.unit_id)
        try:
            shown = self._shown(dict(enumerate(words, start=first)))
        except SourceError as error:
            raise PollError(Trouble.NONSENSE, str(error)) from error
        if self._trouble is not None:
            self._log.info("control_box_back")
        self._trouble, self._failures = None, 0
        for word in self._registers.look(shown):
            self._on_word(self._id, word)

    def failed(self, error: PollError) -> None:
        """Nothing was read; what cannot be understood may have been a limit."""
        self._registers.missed()
        self._failures += 1
        if error.trouble is self._trouble:
            return
        self._trouble = error.trouble
        self._log.warning("control_box_failed", reason=str(error))
        tell = self._on_nonsense if error.trouble is Trouble.NONSENSE else self._on_silence
        tell(self._id, f"limit {self._id} {error}")

    def pause_s(self) -> float:
        """From the start of one poll to the next."""
        return lasting_pause_s(POLL_S, self._failures)

    def _shown(self, registers: Registers) -> LpcShown:
        """What they say; SourceError."""
        place = self._place
        power_w, active = self._number(place.limit, registers, "limit"), self._value(place.active, registers, "active")
        return LpcShown(
            heartbeat=self._value(place.heartbeat, registers, "heartbeat"),
            power_w=power_w if active else None,
            failsafe_w=None if place.failsafe is None else self._number(place.failsafe, registers, "failsafe"),
            failsafe_s=None
            if place.failsafe_duration is None
            else self._number(place.failsafe_duration, registers, "failsafe_duration"),
        )

    def _value(self, point: Point, registers: Registers, name: str) -> float:
        value = decode_value(self._place, point, registers)
        if value is None:
            raise SourceError(f"no value of {name}")
        return value

    def _number(self, point: Point, registers: Registers, name: str) -> float:
        return number(self._value(point, registers, name), name)
