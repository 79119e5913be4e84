"""What may a site file say about how a station can be told limits? The words are those of the product records."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from local_controller.config.section import Section, Text, wrong
from local_controller.errors import KnowledgeError
from local_controller.station.knowledge import (
    Actuator,
    FloorPlace,
    Knowledge,
    Loss,
    StartKind,
    VendorUnit,
    ZeroMeans,
)
from local_controller.station.words import Phase

_Amps = Annotated[float, Field(ge=0, le=500)]


class VendorKeySection(Section):
    """A setting of the maker that limits the current (ChangeConfiguration, SetVariables) and holds until it is changed."""

    name: Annotated[str, Field(min_length=1, max_length=50)] = Field(examples=["DynamicChargerCurrent"])
    """Name of the key, or of the variable."""
    unit: VendorUnit = VendorUnit.A
    """A, dA (tenths) or mA (thousandths)."""
    evse_suffix: Text | None = None
    """What follows the name for one EVSE, with {evse} for its number. Left out: the setting is the station's."""
    component: Annotated[str, Field(min_length=1, max_length=50)] = "EVSE"
    """The component of the variable (OCPP 2.x)."""


class CapabilitySection(Section):
    """How this station can be told limits; what is left out the gateway finds out. It beats what is known of the product."""

    actuators: tuple[Actuator, ...] | None = None
    """What to try, in this order: tx_profile, tx_default, station_max, vendor_key. An empty list: nothing works, and the
    station counts with its maximum."""
    unit: Literal["A", "W"] | None = None
    """The only unit that takes effect: A or W."""
    kinds: Annotated[tuple[StartKind, ...], Field(min_length=1)] | None = None
    """Kinds of working profiles in the order of trying: absolute, relative."""
    stack_level: Annotated[int, Field(ge=0, le=1000)] | None = None
    """The one stack level to use, whatever the station states."""
    connector: FloorPlace | None = None
    """Where a TxDefaultProfile is installed: evse, or station (connector 0)."""
    station_max: Literal["sum", "each"] | None = None
    """What the station applies its maximum to: the sum of its EVSEs, or each of them. If unknown: each, until what both draw at two maxima proves a sum."""
    levels_a: Annotated[tuple[_Amps, ...], Field(min_length=1)] | None = None
    """The only currents that it takes, in amperes; limits are rounded down to them."""
    step_a: Annotated[float, Field(gt=0, le=32)] | None = None
    """Its steps in amperes, such as 1 for whole amperes; limits are rounded down to them."""
    least_a: _Amps | None = None
    """Below this current nothing but 0 is told, in amperes."""
    zero: ZeroMeans | None = None
    """What a limit of 0 does: pauses, or refused (then its lowest current is told)."""
    repeat_after_zero: bool | None = None
    """true if it ignores the first limit after 0: it is told twice."""
    max_periods: Annotated[int, Field(ge=1, le=1024)] | None = None
    """So many periods it takes in a schedule."""
    min_interval_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    """Seconds between two writes that are no reductions."""
    writes_per_day: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Profiles that may be written in 24 hours; reductions go all the same, and count. A limit then lasts until it can be
    renewed."""
    vendor_key: VendorKeySection | None = None
    """The setting that the actuator vendor_key writes."""
    settle_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    """Seconds until a new limit is obeyed."""
    forgets: frozenset[Loss] | None = None
    """When it loses its profiles: disconnect, reboot."""
    never_read: frozenset[str] | None = None
    """Configuration keys that must not be read."""
    never_trigger: bool | None = None
    """true if TriggerMessage harms it."""
    ignores_phases: bool | None = None
    """true if numberPhases is without effect."""
    switches_phases: bool | None = None
    """true if a car may be told to use one phase instead of three in the midst of its transaction; false if that must not be
    tried, whatever the station says of itself."""
    phase_to_use: bool | None = None
    """true if it takes the phase to use (OCPP 2.x phaseToUse)."""
    one_phase: Phase | None = None
    """L1, L2 or L3: its phase that carries a car that is told to use one. Left out: the gateway tries once."""
    smart_charging: Literal["unstated"] | None = None
    """unstated: it takes profiles although it does not list the feature."""
    version: Literal["1.6", "2.0.1", "2.1"] | None = None
    """The only OCPP version in which it can be controlled."""

    @model_validator(mode="after")
    def _fits_together(self) -> CapabilitySection:
        try:
            self.knowledge()
        except KnowledgeError as error:
            raise wrong(error.key, error.text) from error
        return self

    def knowledge(self) -> Knowledge:
        """In the words of the station."""
        return Knowledge.read(self.model_dump(mode="json", exclude_none=True), "capability")
