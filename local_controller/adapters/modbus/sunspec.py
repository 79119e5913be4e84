"""Where does a SunSpec device keep its meter? It is looked for, and looked for again when it has moved.

The map begins with the mark "SunS" at one of three addresses; models follow, each with its id and its length. Devices move
them: some by ten registers, when somebody switches between integers and floating point.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import resources
from typing import Final

from local_controller.adapters.modbus.connection import PollError, Questions, Trouble
from local_controller.adapters.modbus.decode import Registers
from local_controller.adapters.modbus.device import parse_device
from local_controller.adapters.modbus.register_map import read_blocks
from local_controller.config.meter_devices import Device

STARTS: Final = (40000, 50000, 0)
MARK: Final = [0x5375, 0x6E53]
END: Final = 0xFFFF
MOST_MODELS: Final = 60
"""Where more follow each other it is no map."""

_INTEGER, _FLOAT = "integer", "float"
_METERS: Final = {200: _INTEGER, 210: _FLOAT}
_PHASES: Final = {1: 1, 2: 2, 3: 3, 4: 3}
"""A meter's model: what its tens are says how its values are written, what its ones are how many phases it measures."""

_MEASURES: Final = {1: "one phase", 2: "two phases"}
_TO_GUARD: Final = {2: "two", 3: "three"}


@dataclass(frozen=True, slots=True)
class _Found:
    """A meter, and the registers with its id and length."""

    model: int
    length: int
    at: int
    device: Device


class SunSpecMap:
    """A meter among the models of a SunSpec device: the first one of as many phases as the grid has, or more."""

    def __init__(self, phases: int = 3) -> None:
        self._phases = phases
        self._devices = {kind: _model(kind) for kind in (_INTEGER, _FLOAT)}
        self._found: _Found | None = None

    @property
    def device(self) -> Device:
        """The model that was found last."""
        return self._devices[_INTEGER] if self._found is None else self._found.device

    async def ask(self, line: Questions, unit_id: int) -> Registers:
        """All registers of the meter in one read, so that each scale factor is that of its values."""
        if self._found is not None:
            registers = await self._where_it_was(line, unit_id, self._found)
            if registers is not None:
                return registers
        self._found = await self._looked_for(line, unit_id)
        return await read_blocks(line, self._found.device, unit_id, self._found.at)

    async def _where_it_was(self, line: Questions, unit_id: int, found: _Found) -> Registers | None:
        """None if something else stands there now."""
        try:
            registers = await read_blocks(line, found.device, unit_id, found.at)
        except PollError as error:
            if error.trouble is Trouble.REFUSING:
                return None
            raise
        return registers if (registers[0], registers[1]) == (found.model, found.length) else None

    async def _looked_for(self, line: Questions, unit_id: int) -> _Found:
        """The meter; PollError in words if there is none."""
        seen: list[int] = []
        async for model, length, at in _models(line, unit_id, await _start(line, unit_id)):
            seen.append(model)
            if _phases(model) >= self._phases:
                return _Found(model, length, at, self._devices[_METERS[model // 10 * 10]])
        few = next((model for model in seen if _phases(model)), None)
        if few is not None:
            measures, guards = _MEASURES[_phases(few)], _TO_GUARD[self._phases]
            raise PollError(Trouble.NONSENSE, f"its meter (model {few}) measures {measures} and cannot guard {guards}")
        listed = ", ".join(map(str, seen)) or "none"
        raise PollError(
            Trouble.NONSENSE, f"no meter among its SunSpec models ({listed}): is `unit_id` that of the meter?"
        )


def _phases(model: int) -> int:
    """How many phases a meter of this model measures; 0: it is none."""
    return _PHASES.get(model % 10, 0) if model // 10 * 10 in _METERS else 0


async def _start(line: Questions, unit_id: int) -> int:
    """Where the mark stands."""
    for at in STARTS:
        try:
            words = await line.registers(3, at, len(MARK), unit_id)
        except PollError as error:
            if error.trouble is not Trouble.REFUSING:
                raise
        else:
            if list(words) == MARK:
                return at
    places = ", ".join(map(str, STARTS))
    raise PollError(Trouble.NONSENSE, f'no mark "SunS" at {places}: does it speak SunSpec, and is that switched on?')


async def _models(line: Questions, unit_id: int, start: int) -> AsyncIterator[tuple[int, int, int]]:
    """Id, length and address of model after model."""
    at = start + len(MARK)
    for _ in range(MOST_MODELS):
        model, length = await line.registers(3, at, 2, unit_id)
        if model == END:
            return
        yield model, length, at
        at += 2 + length
        if at > END - 2:
            break
    raise PollError(Trouble.NONSENSE, "its SunSpec models have no end")


def _model(kind: str) -> Device:
    folder = resources.files("local_controller.adapters.modbus") / "sunspec_models"
    return parse_device(f"sunspec_{kind}", (folder / f"{kind}.yaml").read_text(encoding="utf-8"))
