"""What may a site file say about the electrical tree? The grid connection, the circuits, and amperes per phase."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from local_controller.config.section import Id, Section, Text, wrong
from local_controller.profiles.units import NOMINAL_VOLTAGE_V
from local_controller.site.topology import GRID, FuseType

MAX_RATING_A: Final = 6300.0
"""The largest standard rating of a low-voltage breaker; more is a mistake of the unit."""

LEAST_A: Final = 6.0
"""Below this no car charges (IEC 61851-1)."""


def _spread(value: Any) -> Any:
    """One number means all three phases."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (value, value, value)
    return tuple(value) if isinstance(value, list) else value


def _spread_lines(value: Any) -> Any:
    """Of two numbers, for a site without L3, the lower one stands for that as well (`wiring.lists_of_lines`)."""
    if isinstance(value, list) and len(value) == 2 and all(type(one) in {int, float} for one in value):
        return (*value, min(value))
    return _spread(value)


_Rating = Annotated[float, Field(gt=0, le=MAX_RATING_A)]
_Load = Annotated[float, Field(ge=0, le=MAX_RATING_A)]
RatingPerPhase = Annotated[
    tuple[_Rating, _Rating, _Rating],
    BeforeValidator(
        _spread_lines, json_schema_input_type=_Rating | tuple[_Rating, _Rating] | tuple[_Rating, _Rating, _Rating]
    ),
]
LoadPerPhase = Annotated[
    tuple[_Load, _Load, _Load],
    BeforeValidator(_spread_lines, json_schema_input_type=_Load | tuple[_Load, _Load] | tuple[_Load, _Load, _Load]),
]

ThreeLoads = Annotated[
    tuple[_Load, _Load, _Load], BeforeValidator(_spread, json_schema_input_type=_Load | tuple[_Load, _Load, _Load])
]
"""Said by somebody who does not know the site's grid: a list is one of three."""


class FusedSection(Section):
    """What the grid connection and the circuits have in common."""

    fuse_a: RatingPerPhase = Field(examples=[63])
    """Rating of the fuse in amperes: one number, or a list for L1, L2, L3 (L1, L2 on split_phase)."""
    fuse_type: FuseType = FuseType.SLS_E
    """mcb: miniature circuit breaker; gg: fuse link; sls_e: selective main breaker; iec60947: industrial breaker.
    If unknown leave it out: the type that bears the least overload is assumed."""
    meter: Id | None = None
    """Id of the meter that measures everything behind this fuse."""
    asymmetry_a: Annotated[float, Field(gt=0, le=MAX_RATING_A)] | None = Field(default=None, examples=[20])
    """By how many amperes one phase may carry more than another because of cars that do not load three phases alike. Grid
    operators ask for this at the grid connection: 20 in Germany (4.6 kVA), 16 in Austria and Switzerland. Left out: there
    is no such limit."""

    @model_validator(mode="after")
    def _room_for_one_car(self) -> Self:
        """Nobody knows before a car has charged whether it is an even one."""
        if self.asymmetry_a is not None and self.asymmetry_a < LEAST_A:
            amperes = self.asymmetry_a * 1000 / NOMINAL_VOLTAGE_V
            hint = f" - kVA? write {amperes:.0f}" if amperes >= LEAST_A else ""
            raise wrong("asymmetry_a", f"{self.asymmetry_a:g} A is less than the {LEAST_A:g} A that a car needs{hint}")
        return self


class GridSection(FusedSection):
    """The grid connection: the root of the electrical tree, known as "grid"."""

    name: Text = "Grid connection"
    """Name for people."""
    contract_a: RatingPerPhase | None = None
    """What the grid contract allows in amperes per phase, if that is less than the fuse."""
    assumed_base_load_a: LoadPerPhase = Field(examples=[10])
    """The building at its worst: amperes per phase of everything but the stations. Counts while no meter tells better."""


class CircuitSection(FusedSection):
    """A part of the installation behind a fuse of its own."""

    id: Id = Field(examples=["garage"])
    """Short name that other parts of the file refer to."""
    name: Text | None = None
    """Name for people; the id if left out."""
    parent: Id = GRID
    """The circuit that feeds this one; "grid" is the grid connection."""
    assumed_base_load_a: LoadPerPhase = (0.0, 0.0, 0.0)
    """Amperes per phase of everything behind this fuse but the stations, circuits below included."""

    @model_validator(mode="after")
    def _not_the_root(self) -> CircuitSection:
        if self.id == GRID:
            raise wrong("id", f'"{GRID}" is the grid connection: choose another id')
        return self
