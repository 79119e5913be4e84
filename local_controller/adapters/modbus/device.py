"""Where does a meter of this model keep its values, and which models do we know?

One YAML file per device in `devices/`, named after the device. Addresses are those on the wire (counted from 0); `at`
holds the first register of a value, one for each phase or one for the total; value = register value * factor.
"""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Literal, Self

import pydantic
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from local_controller.errors import SourceError

MAX_BLOCK_REGISTERS = 125
"""The most registers that one Modbus read can carry."""

WireType = Literal["u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64"]


def registers_of(wire_type: WireType) -> int:
    """How many registers a value of this type takes: u16 one, f64 four."""
    return int(wire_type[1:]) // 16


class _Data(pydantic.BaseModel):
    """Data from a device file: nothing unknown, nothing changed later."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Point(_Data):
    """One value."""

    type: WireType
    at: int = pydantic.Field(ge=0, le=0xFFFF)
    factor: float = 1.0


class PhasePoints(_Data):
    """The same value for L1, L2 and L3."""

    type: WireType
    at: tuple[int, int, int]
    factor: float = 1.0

    def phases(self) -> tuple[Point, Point, Point]:
        """The three values apart."""
        l1, l2, l3 = (Point(type=self.type, at=at, factor=self.factor) for at in self.at)
        return l1, l2, l3


class Points(_Data):
    """What is read from a meter. Currents may be magnitudes: their direction comes from the phase's power.

    phase_export_w, export_w: of a meter that counts both directions apart; the powers beside them are the import then.
    Without a register for the total (power_w) the phases are added up.
    """

    voltage_v: PhasePoints
    current_a: PhasePoints
    phase_power_w: PhasePoints
    phase_export_w: PhasePoints | None = None
    power_w: Point | None = None
    export_w: Point | None = None
    frequency_hz: Point | None = None
    energy_import_wh: Point | None = None

    def all(self) -> list[Point]:
        """Every value one by one."""
        phases = [self.voltage_v, self.current_a, self.phase_power_w, self.phase_export_w]
        single = [self.power_w, self.export_w, self.frequency_hz, self.energy_import_wh]
        per_phase = [point for three in phases if three is not None for point in three.phases()]
        return [*per_phase, *(point for point in single if point is not None)]

    def nets(self) -> list[tuple[Point, Point | None]]:
        """The power of L1, L2 and L3 and, where there is one, in total: import and, where it counts apart, export."""
        exports = (None, None, None) if self.phase_export_w is None else self.phase_export_w.phases()
        total = [] if self.power_w is None else [(self.power_w, self.export_w)]
        return [*zip(self.phase_power_w.phases(), exports, strict=True), *total]


class Device(_Data):
    """One model of meter.

    function_code: 3 reads holding registers, 4 input registers; word_order: of values longer than one register;
    not_a_value: raw codes by type that mean "no value"; blocks: (first register, count) of the reads that cover all
    points; sources: where the addresses were read, none is measured on hardware unless a note says so;
    connect_delay_s: the pause that it needs between the connection and the first question.
    """

    id: str
    vendor: str
    models: tuple[str, ...]
    sources: tuple[str, ...] = pydantic.Field(min_length=1)
    notes: tuple[str, ...] = ()
    function_code: Literal[3, 4]
    word_order: Literal["big", "little"]
    not_a_value: dict[WireType, frozenset[int]] = {}
    connect_delay_s: float = pydantic.Field(default=0.0, ge=0, le=5)
    blocks: tuple[tuple[int, int], ...]
    points: Points

    @pydantic.model_validator(mode="after")
    def _blocks_cover_points(self) -> Self:
        """A point outside of every block would never be read."""
        for first, count in self.blocks:
            if not 1 <= count <= MAX_BLOCK_REGISTERS:
                raise ValueError(f"block [{first}, {count}]: a read carries 1 to {MAX_BLOCK_REGISTERS} registers")
        for point in self.points.all():
            if not self._share_a_block(point):
                raise ValueError(f"register {point.at} ({point.type}) lies in no block")
        return self

    @pydantic.model_validator(mode="after")
    def _directions_come_together(self) -> Self:
        """Import and export of different moments may both be above 0: their difference would be no power."""
        if self.points.export_w is not None and self.points.power_w is None:
            raise ValueError("export_w needs power_w, the import that it is taken from")
        for imported, exported in self.points.nets():
            if exported is not None and not self._share_a_block(imported, exported):
                raise ValueError(f"import (register {imported.at}) and export ({exported.at}) must share a block")
        return self

    def _share_a_block(self, *points: Point) -> bool:
        """Whether one read brings all of these."""
        first, end = min(point.at for point in points), max(point.at + registers_of(point.type) for point in points)
        return any(start <= first and end <= start + count for start, count in self.blocks)


def known_devices() -> list[str]:
    """The names that a site file may use as a meter's `device`, sorted."""
    return sorted(file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml"))


def load_device(device_id: str) -> Device:
    """The data of a known device; SourceError names the known ones, or what is wrong with its file."""
    if device_id not in known_devices():
        raise SourceError(f"no meter data for {device_id!r}; known are: {', '.join(known_devices())}")
    return parse_device(device_id, (_folder() / f"{device_id}.yaml").read_text(encoding="utf-8"))


def parse_device(device_id: str, text: str) -> Device:
    """A device file's content; SourceError lists every mistake in it with its place."""
    try:
        content = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise SourceError(f"meter data {device_id}: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"meter data {device_id}: expected keys and values, found {content!r}")
    try:
        return Device(**{"id": device_id, **content})
    except pydantic.ValidationError as error:
        mistakes = [f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in error.errors()]
        raise SourceError(f"meter data {device_id}: {'; '.join(mistakes)}") from error


def _folder() -> Traversable:
    """Where the device files lie, also inside a wheel."""
    return resources.files("local_controller.adapters.modbus") / "devices"
