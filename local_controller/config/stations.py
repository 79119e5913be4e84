"""What may a site file say about a charging station and its EVSEs?"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from local_controller.config.capability import CapabilitySection
from local_controller.config.section import Id, Section, Text, wrong
from local_controller.config.week import TimeOfDay
from local_controller.site.per_phase import PHASE_NAMES
from local_controller.site.topology import GRID, grid_phases


def _in_tenths(amps: float) -> float:
    """OCPP 1.6 says no more (multipleOf 0.1), and what is told would stay below what this says for ever."""
    if abs(amps * 10 - round(amps * 10)) > 1e-6:
        raise PydanticCustomError(
            "tenths",
            "{amps} A is finer than the tenths that a station can be told: write {rounded}",
            {"amps": f"{amps:g}", "rounded": f"{math.ceil(amps * 10) / 10:g}"},
        )
    return amps


StationAmps = Annotated[float, Field(ge=0, le=500), AfterValidator(_in_tenths)]


def _identity(value: str) -> str:
    """1.6 allows any text, percent-encoded in the URL (1.6J §3.1.1); what is refused here is the rest of the URL."""
    if set(value) & set("/?#") or not value.isprintable() or value != value.strip():
        raise PydanticCustomError(
            "identity", "the identity of a station has no / ? # and no blanks around it (it is the end of its URL)"
        )
    return value


ChargingMode = Literal["normal", "cheapest", "surplus"]


class RateUnit(StrEnum):
    """In which unit a station takes limits."""

    AUTO = "auto"
    A = "A"
    W = "W"


def _phases(value: Any) -> int | tuple[str, str]:
    """The number of phases, or two lines in their order."""
    if (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(one in PHASE_NAMES for one in value)
        and value[0] != value[1]
    ):
        first, second = sorted(value)
        return first, second
    if isinstance(value, int) and not isinstance(value, bool) and value in {1, 3}:
        return value
    raise PydanticCustomError("lines", "must be 1, 3, or the two lines that it stands between, such as [L1, L2]")


def _two_lines(value: Any) -> tuple[str, str]:
    found = _phases(value)
    if isinstance(found, tuple):
        return found
    raise PydanticCustomError("lines", "must be the two lines that it stands between, such as [L1, L2]")


_PAIR: Final = {
    "type": "array",
    "items": {"enum": list(PHASE_NAMES)},
    "minItems": 2,
    "maxItems": 2,
    "uniqueItems": True,
}
Phases = Annotated[int | tuple[str, str], PlainValidator(_phases), WithJsonSchema({"anyOf": [{"enum": [1, 3]}, _PAIR]})]

_SINGLE: Final = {"R": "R", "S": "S", "T": "T", "L1": "R", "L2": "S", "L3": "T"}
_THREE: Final = ("RST", "RTS", "SRT", "STR", "TRS", "TSR")
Rotation = Annotated[str, Field(examples=["RST"]), WithJsonSchema({"enum": [*_THREE, *_SINGLE]})]


class EvseSection(Section):
    """What differs between the EVSEs of a station; what is left out is as the station says."""

    rotation: Rotation | None = None
    """As `rotation` of the station."""
    phases: Annotated[tuple[str, str], PlainValidator(_two_lines), WithJsonSchema(_PAIR)] | None = None
    """As `phases` of the station, where that is two lines: [L2, L3]."""
    max_a: StationAmps | None = None
    """As `max_a` of the station."""
    fallback_a: StationAmps | None = None
    """As `fallback_a` of the station."""
    charging_mode: ChargingMode | None = None
    """As `charging_mode` of the station."""
    ready_by: TimeOfDay | None = None
    """As `ready_by` of the station."""


def _evses(value: Any) -> Any:
    """A number of equal EVSEs means as many empty sections."""
    if isinstance(value, bool) or not isinstance(value, int | list):
        raise PydanticCustomError("evses", "the number of EVSEs, or a list with what differs between them")
    count = value if isinstance(value, int) else len(value)
    if not 1 <= count <= 100:
        raise PydanticCustomError("evses", "a station has 1 to 100 EVSEs")
    return tuple({} for _ in range(value)) if isinstance(value, int) else tuple(value)


Evses = Annotated[
    tuple[EvseSection, ...],
    BeforeValidator(_evses, json_schema_input_type=Annotated[int, Field(ge=1, le=100)] | tuple[EvseSection, ...]),
]


class StationSection(Section):
    """A charging station. Its fuse, if it has one of its own, is a circuit."""

    id: Annotated[str, Field(min_length=1, max_length=48), AfterValidator(_identity)] = Field(examples=["CP-1"])
    """Identity: the last part of the URL that the station dials."""
    name: Text | None = None
    """Name for people; the id if left out."""
    circuit: Id = GRID
    """The circuit that feeds it; "grid" is the grid connection itself."""
    evses: Evses = (EvseSection(),)
    """How many cars charge at once: a number, or a list with what differs between the EVSEs. In OCPP 1.6 every
    connector counts."""
    phases: Phases = 3
    """Phases that the station is connected to, 1 or 3; or the two lines between which each of its EVSEs stands, such as
    [L1, L2]: one phase to the station, at the voltage between them."""
    rotation: Rotation | None = None
    """Which grid phase is behind each phase of the station, as OCPP says it: RST is straight, STR means that its L1
    is the grid's L2. A single-phase station has one: R, S, T or L1, L2, L3, and must say which."""
    max_a: StationAmps = 32.0
    """The most that an EVSE can draw, in amperes per phase: of its hardware, as installed. It is relied upon."""
    fallback_a: StationAmps = 6.0
    """What an EVSE takes by itself when nobody controls it, in amperes per phase; 0 pauses it."""
    min_a: StationAmps = Field(default=6.0, gt=0)
    """Below this a car does not charge (6 A for AC, IEC 61851-1)."""
    unit: RateUnit = RateUnit.AUTO
    """Unit in which the station takes limits, if it is known to take only one."""
    capability: CapabilitySection | None = None
    """What is known about how it can be told limits; else the gateway finds out."""
    charging_mode: ChargingMode = "normal"
    """When its cars charge. normal: as soon as possible. cheapest: when `prices` are lowest, with the energy they want by their
    departure all the same. surplus: only from what the site would feed in, as the grid connection's meter shows it."""
    ready_by: TimeOfDay | None = Field(default=None, examples=['"07:00"'])
    """By this time of day a car has to have what it wants, where neither driver nor CSMS says when it leaves."""
    serial: Annotated[str, Field(min_length=1, max_length=25)] | None = None
    """Serial number, as in the name (CN) of the station's certificate and in its BootNotification: security profile 3."""
    allow_unsecured: bool | None = None
    """As `listen.allow_unsecured`, for this station."""

    @model_validator(mode="after")
    def _amps_in_order(self) -> StationSection:
        for index, evse in enumerate(self.evses):
            max_a = self.max_a if evse.max_a is None else evse.max_a
            fallback_a = self.fallback_a if evse.fallback_a is None else evse.fallback_a
            if max_a < self.min_a:
                raise wrong(_key(index, "max_a", evse.max_a), f"{max_a:g} A is below min_a ({self.min_a:g} A)")
            if fallback_a > max_a or 0 < fallback_a < self.min_a:
                key = _key(index, "fallback_a", evse.fallback_a)
                raise wrong(key, f"0 or from min_a ({self.min_a:g} A) to max_a ({max_a:g} A), not {fallback_a:g} A")
        return self

    @model_validator(mode="after")
    def _units_agree(self) -> StationSection:
        said = None if self.capability is None else self.capability.unit
        if said is not None and self.unit is not RateUnit.AUTO and said != self.unit.value:
            raise wrong("capability.unit", f"unit of the station is {self.unit}: keep one of the two")
        return self

    @model_validator(mode="after")
    def _rotations_fit(self) -> StationSection:
        for index, evse in enumerate(self.evses):
            if evse.phases is not None and not isinstance(self.phases, tuple):
                raise wrong(f"evses.{index}.phases", "only where the station names two lines as well: phases: [L1, L2]")
        if isinstance(self.phases, tuple):
            turned = [(index, evse.rotation) for index, evse in enumerate(self.evses) if evse.rotation is not None]
            for key in ["rotation"] if self.rotation is not None else [_key(n, "rotation", r) for n, r in turned]:
                raise wrong(key, "phases says already on which lines it is: remove one of the two")
            return self
        if self.rotation is not None:
            _check_rotation(self.rotation, self.phases, "rotation")
        for index, evse in enumerate(self.evses):
            if evse.rotation is not None:
                _check_rotation(evse.rotation, self.phases, _key(index, "rotation", evse.rotation))
            elif self.phases == 1 and self.rotation is None:
                raise wrong("rotation", "a single-phase station must say where it is connected, e.g. rotation: L1")
        return self

    def mode_of(self, evse: EvseSection) -> ChargingMode:
        """When the cars of one of its EVSEs charge."""
        return evse.charging_mode or self.charging_mode

    def lines_of(self, evse: EvseSection) -> tuple[int, ...]:
        """The grid phases (0..2) behind the phases of one of its EVSEs, or the two lines between which it stands."""
        if isinstance(self.phases, tuple):
            first, second = self.phases if evse.phases is None else evse.phases
            return PHASE_NAMES.index(first), PHASE_NAMES.index(second)
        return grid_phases(self.rotation_of(evse))

    def rotation_of(self, evse: EvseSection) -> str:
        """The rotation of one of its EVSEs in the letters R, S, T."""
        rotation = evse.rotation or self.rotation or "RST"
        return _SINGLE.get(rotation, rotation)


def _key(index: int, name: str, own: object) -> str:
    """Where a value of an EVSE stands in the file."""
    return name if own is None else f"evses.{index}.{name}"


def _check_rotation(rotation: str, phases: int, key: str) -> None:
    allowed = _THREE if phases == 3 else tuple(_SINGLE)
    if rotation not in allowed:
        raise wrong(key, f"{rotation} is not one of {', '.join(allowed)}, as a {phases}-phase station needs")
