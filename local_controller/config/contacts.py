"""What may a site file say about the contacts of a grid operator, and about the I/O modules that they are wired to?"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from local_controller.config.electrical import LoadPerPhase
from local_controller.config.modbus_lines import ModbusSection
from local_controller.config.section import Id, Section, wrong

CHANNELS: Final[Mapping[str, range]] = {
    "advantech_adam_6000": range(12),
    "kmtronic_relay_8": range(1, 9),
    "moxa_iologik_e1200": range(16),
    "openwb_dimm_kit": range(1, 9),
    "wago_750": range(256),
}
"""The known kinds of I/O modules, and how they number their channels."""


def _known_kind(name: str) -> str:
    if name not in CHANNELS:
        near = difflib.get_close_matches(name, CHANNELS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(CHANNELS))}"
        raise PydanticCustomError(
            "io_module", 'no known kind of I/O module: "{name}" - {hint}', {"name": name, "hint": hint}
        )
    return name


class IoModuleSection(ModbusSection):
    """An I/O module whose digital inputs are read over Modbus."""

    device: Annotated[str, AfterValidator(_known_kind)] = Field(
        examples=["moxa_iologik_e1200"], json_schema_extra={"enum": [*sorted(CHANNELS)]}
    )
    """Kind of module."""
    poll_s: float = Field(default=0.5, ge=0.2, le=1.0)
    """Seconds between two readings."""


class ContactSection(Section):
    """A wire from a relay of the grid operator to an input of the module."""

    id: Id = Field(examples=["W4"])
    """Short name, best the one that stands on the relay."""
    channel: int = Field(examples=[0], ge=0)
    """Channel of the module, numbered as on its front."""
    given_when: Literal["open", "closed"] = "open"
    """When the contact is given. open: a broken wire limits, too; agree with the grid operator on a closed-circuit contact."""


class PatternSection(Section):
    """What it means that exactly these contacts are given. One of the other keys says what then counts."""

    given: tuple[Id, ...] = Field(examples=["[W4]"])
    """The contacts that are given; all others are not. []: none is."""
    max_a: LoadPerPhase | None = None
    """Amperes per phase."""
    max_w: float | None = Field(default=None, ge=0, le=1e8)
    """Watts over all phases."""
    percent: float | None = Field(default=None, ge=0, le=100)
    """Per cent of rated_w."""
    section_14a: Literal[True] | None = None
    """The minimum power of §14a EnWG for as many devices as there are: 4.2 kW for one, 7.56 kW for two, 40.11 kW for twenty."""
    unlimited: Literal[True] | None = None
    """No limit."""

    @model_validator(mode="after")
    def _one_meaning(self) -> PatternSection:
        said = [key for key in _MEANINGS if getattr(self, key) is not None]
        if len(said) != 1:
            written = " and ".join(said) or "nothing"
            raise wrong("given", f"{written} says what counts then: write one of {', '.join(_MEANINGS)}")
        return self


_MEANINGS: Final = ("max_a", "max_w", "percent", "section_14a", "unlimited")
