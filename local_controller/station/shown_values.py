"""What does the CSMS believe a setting of its station to be, where the gateway wrote something else? (LC-126, LC-128)

A CSMS reads back what it wrote. The station's own value is replaced on its way only as long as it is the one that the
gateway wrote: what anybody changes at the station itself is shown as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from local_controller.station.dialects.base import Payload
from local_controller.station.words import OcppVersion

MOST_SHOWN: Final = 64
"""So many settings of a station may differ; a guarded write makes one, and there are some ten network profiles."""

LONGEST_KEPT: Final = 32
"""Characters of a number that outlives a restart."""

LONGEST_INTERVAL: Final = 9
"""Digits of seconds: 30 years, whatever a CSMS writes."""


class Setting(NamedTuple):
    """A configuration key of 1.6 (component "") or a variable of 2.x; names are in lower case, as they compare."""

    component: str
    component_instance: str
    evse: str
    name: str
    instance: str


@dataclass(frozen=True, slots=True)
class _Shown:
    """`real` is in the station, `wished` is what the CSMS set; an address may have a password in it."""

    real: str = field(repr=False)
    wished: str = field(repr=False)


@dataclass(slots=True)
class ShownValues:
    """The settings of one station that the CSMS sees with a value of its own."""

    _values: dict[Setting, _Shown] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._values)

    def write(self, setting: Setting, real: str, wished: str) -> None:
        """The CSMS set `wished`, and the station was given `real`. Equal ones need no memory."""
        self._values.pop(setting, None)
        if real == wished:
            return
        while len(self._values) >= MOST_SHOWN:
            del self._values[next(iter(self._values))]
        self._values[setting] = _Shown(real, wished)

    def of(self, setting: Setting, value: Any) -> str | None:
        """What the CSMS is to see in place of this value of the station; None: just that."""
        known = self._values.get(setting)
        return known.wished if known is not None and str(value).strip() == known.real else None

    def kept(self, setting: Setting) -> tuple[str, str] | None:
        """What is in the station, and what the CSMS set; None if that is the same, or too long to be worth keeping."""
        known = self._values.get(setting)
        if known is None or max(len(known.real), len(known.wished)) > LONGEST_KEPT:
            return None
        return known.real, known.wished

    def intervals_s(self, setting: Setting) -> tuple[int, int] | None:
        """Of an interval that we shortened, in seconds: ours, and the longer one of the CSMS (0: never). Else None."""
        known = self._values.get(setting)
        if known is None or not known.real.isdecimal() or not known.wished.isdecimal():
            return None
        return int(known.real), int(known.wished[:LONGEST_INTERVAL])


def key(name: Any) -> Setting:
    """A configuration key of 1.6."""
    return Setting("", "", "", _plain(name), "")


def variable(entry: Any) -> Setting | None:
    """The variable that an entry of SetVariables, GetVariables or NotifyReport is about; only its actual value counts."""
    component, named = (entry.get("component"), entry.get("variable")) if isinstance(entry, dict) else (None, None)
    if not isinstance(component, dict) or not isinstance(named, dict) or not is_actual(entry.get("attributeType")):
        return None
    evse: Payload = component["evse"] if isinstance(component.get("evse"), dict) else {}
    return Setting(
        component=_plain(component.get("name")),
        component_instance=_plain(component.get("instance")),
        evse=f"{evse.get('id', '')}/{evse.get('connectorId', '')}" if evse else "",
        name=_plain(named.get("name")),
        instance=_plain(named.get("instance")),
    )


def csms_url_of(slot: object) -> Setting:
    """The variable that shows the address in a network profile (B09, appendix 3: NetworkConfiguration)."""
    return Setting("networkconfiguration", _plain(slot), "", "ocppcsmsurl", "")


def is_actual(attribute_type: Any) -> bool:
    """Whether an attribute is the value itself, and not its bounds or its target."""
    return attribute_type is None or str(attribute_type).lower() == "actual"


def _plain(name: Any) -> str:
    return "" if name is None else str(name).strip().lower()


ENTRIES_VARIABLE: Final[Payload] = {
    "component": {"name": "SmartChargingCtrlr"},
    "variable": {"name": "Entries", "instance": "ChargingProfiles"},
}
"""How many charging profiles there are in a station; its bounds say how many there may be (2.x)."""

SAMPLE_KEY: Final = "MeterValueSampleInterval"
SAMPLE_VARIABLE: Final = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "TxUpdatedInterval"}}
_SAMPLE_INTERVALS: Final = (key(SAMPLE_KEY), variable(SAMPLE_VARIABLE))


def sample_interval(version: OcppVersion) -> Setting:
    """How often a station samples during a transaction."""
    found = _SAMPLE_INTERVALS[version is not OcppVersion.V16]
    assert found is not None  # noqa: S101 - our own constant
    return found
