"""What can be said about a product or a single station? One vocabulary for quirk records and the site file.

Each key of a record in `quirks/records.yaml` and of a station's `capability` section in the site file has the name of
the field here, and so has the belief in `Capability` that it sets.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

import msgspec

from local_controller.errors import KnowledgeError
from local_controller.profiles.units import RateUnit
from local_controller.station.words import Phase


class Actuator(StrEnum):
    """How a limit of a running transaction is applied."""

    TX_PROFILE = "tx_profile"  # a TxProfile above the TxDefaultProfile that is the floor
    TX_DEFAULT = "tx_default"  # one TxDefaultProfile: the limit first, then the floor
    STATION_MAX = "station_max"  # the maximum of the whole station, above the TxDefaultProfiles that are the floors
    VENDOR_KEY = "vendor_key"  # a setting of the maker, which holds for ever


class StartKind(StrEnum):
    """Of which kind a working profile is: ChargingProfileKindType without Recurring."""

    ABSOLUTE = "absolute"  # with a start in the past
    RELATIVE = "relative"  # from the moment in which the station takes it


class FloorPlace(StrEnum):
    """Where a TxDefaultProfile is installed."""

    EVSE = "evse"
    STATION = "station"  # connector or EVSE 0


class ZeroMeans(StrEnum):
    """What a station does with a limit of 0."""

    PAUSES = "pauses"
    REFUSED = "refused"  # it does not take it, or goes on charging


class Loss(StrEnum):
    """When a station loses its profiles."""

    DISCONNECT = "disconnect"
    REBOOT = "reboot"


class VendorUnit(StrEnum):
    """In which unit a vendor's key takes a current."""

    A = "A"
    DECI_A = "dA"
    MILLI_A = "mA"


_Positive = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
_Amps = Annotated[float, msgspec.Meta(ge=0, le=500)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=50)]


EVSE: Final = "{evse}"
"""What stands for the number of an EVSE."""


class VendorKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A setting that limits the current at once and for ever: ChangeConfiguration in 1.6, SetVariables in 2.x.

    evse_suffix: what follows the name for one EVSE, with `{evse}` for its number; without it the setting is the station's.
    component: whose variable it is in 2.x.
    """

    name: _Name
    unit: VendorUnit = VendorUnit.A
    evse_suffix: str | None = None
    component: _Name = "EVSE"

    def suffix(self, evse: int | str) -> str:
        """What follows the name for this EVSE."""
        return (self.evse_suffix or "").replace(EVSE, str(evse))


class Knowledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What somebody knows; None where nothing is said. Amperes are per phase.

    actuators: what to try, in this order; empty: nothing works. unit: the only one that takes effect. kinds: of working
    profiles, in the order of trying. stack_level: the one to use, whatever the station states. connector: where the
    TxDefaultProfile is installed. station_max: what the station applies it to (its sum, or each EVSE); unknown: each, until measured.
    levels_a, step_a: the only currents it takes. least_a: below it nothing but 0 is meant. zero: what 0 does.
    repeat_after_zero: the first limit after 0 is ignored. min_interval_s, writes_per_day: how often it may be written to.
    settle_s: until it obeys a new limit. forgets: when it loses its profiles. never_read: keys that must not be read.
    never_trigger: TriggerMessage harms it. ignores_phases: numberPhases is without effect. switches_phases: a car may be told
    to use one phase in the midst of its transaction; phase_to_use: and which; one_phase: which one that is where it is not
    told. smart_charging: it has it although it does not state it. version: the only one in which it can be controlled.
    """

    actuators: tuple[Actuator, ...] | None = None
    unit: RateUnit | None = None
    kinds: Annotated[tuple[StartKind, ...], msgspec.Meta(min_length=1)] | None = None
    stack_level: Annotated[int, msgspec.Meta(ge=0, le=1000)] | None = None
    connector: FloorPlace | None = None
    station_max: Literal["sum", "each"] | None = None
    levels_a: Annotated[tuple[_Amps, ...], msgspec.Meta(min_length=1)] | None = None
    step_a: Annotated[float, msgspec.Meta(gt=0, le=32)] | None = None
    least_a: _Amps | None = None
    zero: ZeroMeans | None = None
    repeat_after_zero: bool | None = None
    max_periods: Annotated[int, msgspec.Meta(ge=1, le=1024)] | None = None
    min_interval_s: _Positive | None = None
    writes_per_day: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    vendor_key: VendorKey | None = None
    settle_s: _Positive | None = None
    forgets: frozenset[Loss] | None = None
    never_read: frozenset[str] | None = None
    never_trigger: bool | None = None
    ignores_phases: bool | None = None
    switches_phases: bool | None = None
    phase_to_use: bool | None = None
    one_phase: Phase | None = None
    smart_charging: Literal["unstated"] | None = None
    version: Literal["1.6", "2.0.1", "2.1"] | None = None

    def said(self) -> dict[str, Any]:
        """What is said, by key."""
        if self == _NOTHING:  # as of nearly every station, asked when hundreds come at once
            return {}
        return {key: value for key in self.__struct_fields__ if (value := getattr(self, key)) is not None}

    @classmethod
    def read(cls, data: Mapping[str, Any], place: str) -> Self:
        """From plain data; KnowledgeError names `place`, the key and the remedy."""
        for key in data:
            if key not in cls.__struct_fields__:
                near = difflib.get_close_matches(str(key), cls.__struct_fields__, n=1)
                remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(cls.__struct_fields__)}"
                raise KnowledgeError(place, str(key), f"there is no such key: {remedy}")
        found = cls()
        for key, value in data.items():
            try:
                found = msgspec.structs.replace(found, **{key: getattr(msgspec.convert({key: value}, cls), key)})
            except msgspec.ValidationError as error:
                raise KnowledgeError(place, key, f"{error}: {_remedy(key)}") from error
        _check(found, place)
        return found


_NOTHING = Knowledge()


def _check(found: Knowledge, place: str) -> None:
    """What fits together."""
    if found.levels_a is not None and found.step_a is not None:
        raise KnowledgeError(place, "step_a", "levels_a says already which currents there are: keep one of the two")
    if found.levels_a is not None and list(found.levels_a) != sorted(set(found.levels_a)):
        raise KnowledgeError(place, "levels_a", "write the currents once each, from the lowest to the highest")
    if found.vendor_key is not None and not _names_evse(found.vendor_key):
        suffix = found.vendor_key.evse_suffix
        text = f"evse_suffix {suffix!r} must name the EVSE once, as in .{{evse}}, or be left out"
        raise KnowledgeError(place, "vendor_key", text)
    if found.ignores_phases and found.switches_phases:
        raise KnowledgeError(place, "switches_phases", "numberPhases is without effect: leave one of the two out")
    if found.actuators is None:
        return
    if len(set(found.actuators)) != len(found.actuators):
        raise KnowledgeError(place, "actuators", "name each one once, in the order of trying")
    if Actuator.VENDOR_KEY in found.actuators and found.vendor_key is None:
        raise KnowledgeError(place, "vendor_key", "actuators names it: say its name and unit")


def _names_evse(key: VendorKey) -> bool:
    """Whether each EVSE has a setting of its own, and what follows the name is written as meant."""
    return key.evse_suffix is None or (key.evse_suffix.count(EVSE) == 1 and not set("{}") & set(key.suffix("")))


def _remedy(key: str) -> str:
    """What may stand there instead."""
    return _REMEDIES.get(key, "see docs/site-configuration.md, `capability`")


_REMEDIES: Mapping[str, str] = {
    "actuators": f"a list of {', '.join(Actuator)}",
    "unit": "A or W",
    "kinds": f"a list of {', '.join(StartKind)}",
    "connector": f"one of {', '.join(FloorPlace)}",
    "station_max": "sum or each",
    "levels_a": "a list of amperes, such as [6, 8, 10, 13, 16]",
    "step_a": "amperes, such as 1",
    "least_a": "amperes, such as 6",
    "zero": f"one of {', '.join(ZeroMeans)}",
    "vendor_key": f"a mapping of name and unit ({', '.join(VendorUnit)})",
    "forgets": f"a list of {', '.join(Loss)}",
    "one_phase": f"one of {', '.join(Phase)}",
    "smart_charging": "unstated, or leave it out",
    "version": 'one of "1.6", "2.0.1", "2.1", in quotes',
}
