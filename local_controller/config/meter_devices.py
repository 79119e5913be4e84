"""Where does a meter of some model keep its values? Described alike by the shipped files and by a site file.

Addresses are those on the wire (counted from 0); value = content of the registers * factor.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from local_controller.config.section import Id, Section, Text, wrong

MAX_BLOCK_REGISTERS: Final = 125
"""The most registers that one Modbus read can carry."""

WireType = Literal["u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64"]
Register = Annotated[int, Field(ge=0, le=0xFFFF)]


def registers_of(wire_type: WireType) -> int:
    """How many registers a value of this type takes: u16 one, f64 four."""
    return int(wire_type[1:]) // 16


class _Content(Section):
    """How registers are read."""

    type: WireType = Field(examples=["f32"])
    """How the registers are read: unsigned (u), signed (i) or floating (f), with so many bits."""
    factor: float = 1.0
    """What the content is multiplied with to be in the unit of the key: 1000 for a power in kW."""
    scale_at: Register | None = None
    """The register with a signed power of ten that the content is multiplied with as well, as SunSpec has them."""

    @model_validator(mode="after")
    def _a_value_is_more_than_nothing(self) -> Self:
        if self.factor == 0:
            raise wrong("factor", "must not be 0")
        return self


class Point(_Content):
    """One value."""

    at: Register = Field(examples=[52])
    """The first register, as on the wire: manuals that count from 1 need 1 subtracted."""


class PhasePoints(_Content):
    """The same value for L1, L2 and L3, or for as many of them as the meter measures."""

    at: tuple[Register, ...] = Field(examples=["[0, 2, 4]"], min_length=1, max_length=3)
    """The first registers for L1, L2 and L3, as on the wire: manuals that count from 1 need 1 subtracted. A meter of one or two
    lines has as many: it is for sites whose `system` has no more."""

    def phases(self) -> tuple[Point, ...]:
        """The values apart, L1 first."""
        type_, factor, scale_at = self.type, self.factor, self.scale_at
        return tuple(Point(type=type_, at=at, factor=factor, scale_at=scale_at) for at in self.at)


class Points(Section):
    """What is read from a meter. One without currents and powers of each phase cannot guard a fuse."""

    voltage_v: PhasePoints = Field(examples=["{type: f32, at: [0, 2, 4]}"])
    """Volts to neutral."""
    current_a: PhasePoints = Field(examples=["{type: f32, at: [6, 8, 10]}"])
    """Amperes. They may be magnitudes: their direction comes from the phase's power."""
    phase_power_w: PhasePoints = Field(examples=["{type: f32, at: [12, 14, 16]}"])
    """Active power of each phase, + is drawn from the grid."""
    phase_export_w: PhasePoints | None = None
    """Of a meter that counts both directions apart: what each phase feeds in; phase_power_w is what it draws then."""
    power_w: Point | None = None
    """Active power in total; without it the phases are added up."""
    export_w: Point | None = None
    """Of a meter that counts both directions apart: what is fed in in total; power_w is what is drawn then."""
    frequency_hz: Point | None = None
    """Frequency: it tells a living meter from one that repeats old data."""
    energy_import_wh: Point | None = None
    """Meter reading of the energy that was drawn, in Wh."""

    @model_validator(mode="after")
    def _as_many_of_each(self) -> Self:
        for key in ("voltage_v", "phase_power_w", "phase_export_w"):
            three = getattr(self, key)
            if three is not None and len(three.at) != self.lines:
                raise wrong(f"{key}.at", f"must be as many addresses as those of current_a: {self.lines}")
        return self

    @property
    def lines(self) -> int:
        """How many lines it measures."""
        return len(self.current_a.at)

    def all(self) -> list[Point]:
        """Every value one by one."""
        phases = [self.voltage_v, self.current_a, self.phase_power_w, self.phase_export_w]
        single = [self.power_w, self.export_w, self.frequency_hz, self.energy_import_wh]
        per_phase = [point for three in phases if three is not None for point in three.phases()]
        return [*per_phase, *(point for point in single if point is not None)]

    def nets(self) -> list[tuple[Point, Point | None]]:
        """The power of each line and, where there is one, in total: import and, where it counts apart, export."""
        exports = (None,) * self.lines if self.phase_export_w is None else self.phase_export_w.phases()
        total = [] if self.power_w is None else [(self.power_w, self.export_w)]
        return [*zip(self.phase_power_w.phases(), exports, strict=True), *total]


class Device(Section):
    """A model of meter of which the gateway brings no register addresses: a meter's `device` may name it."""

    id: Id = Field(examples=["my_meter"])
    """The name that a meter's `device` uses."""
    vendor: str = ""
    """Who makes it; for people."""
    models: tuple[Text, ...] = ()
    """Which models it is; for people."""
    sources: tuple[Text, ...] = ()
    """Where the addresses were read; for people."""
    notes: tuple[Text, ...] = ()
    """What is peculiar about it; for people."""
    function_code: Literal[3, 4] = Field(examples=[4])
    """How its registers are read: 3 holding registers, 4 input registers."""
    word_order: Literal["big", "little"] = Field(examples=["big"])
    """Of values longer than one register: big has the high word first."""
    not_a_value: dict[WireType, frozenset[int]] = Field(default_factory=dict)
    """Raw contents by type that mean "no value", as in {i32: [0x7FFFFFFF]}."""
    connect_delay_s: float = Field(default=0.0, ge=0, le=5)
    """Pause in seconds that it needs between the connection and the first question."""
    blocks: tuple[tuple[Register, int], ...] = Field(examples=["[[0, 36], [52, 22]]"], min_length=1)
    """The reads that cover all points: first register and how many, at most 125."""
    points: Points
    """Where its values are."""

    @model_validator(mode="after")
    def _blocks_cover_points(self) -> Self:
        """A point outside of every block would never be read."""
        for index, (first, count) in enumerate(self.blocks):
            if not 1 <= count <= MAX_BLOCK_REGISTERS:
                reason = f"a read carries 1 to {MAX_BLOCK_REGISTERS} registers"
                raise wrong(f"blocks.{index}", f"[{first}, {count}]: {reason}: split it into several blocks")
        for point in self.points.all():
            if not self._share_a_block(point):
                end = point.at + registers_of(point.type) - 1
                remedy = f"a block has to reach from {point.at} to {end} at least"
                raise wrong("blocks", f"register {point.at} ({point.type}) lies in no block: {remedy}")
            if point.scale_at is not None and not self._share_a_block(point, Point(type="i16", at=point.scale_at)):
                reason = f"the scale factor of register {point.at} ({point.scale_at}) must share its block"
                raise wrong("blocks", f"{reason}, or it may be that of another moment")
        return self

    @model_validator(mode="after")
    def _directions_come_together(self) -> Self:
        """Import and export of different moments may both be above 0: their difference would be no power."""
        if self.points.export_w is not None and self.points.power_w is None:
            raise wrong("points.export_w", "export_w needs power_w, the import that it is taken from")
        for imported, exported in self.points.nets():
            if exported is not None and not self._share_a_block(imported, exported):
                reason = "or they are of different moments"
                raise wrong(
                    "blocks", f"import (register {imported.at}) and export ({exported.at}) must share a block, {reason}"
                )
        return self

    def _share_a_block(self, *points: Point) -> bool:
        """Whether one read brings all of these."""
        first, end = min(point.at for point in points), max(point.at + registers_of(point.type) for point in points)
        return any(start <= first and end <= start + count for start, count in self.blocks)
