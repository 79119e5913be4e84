"""What is known about single products? Vendor deviations as data (`records.yaml`), one record per product family."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ruamel.yaml import YAML

from local_controller.profiles.units import RateUnit
from local_controller.station.capability import Actuator, Capability
from local_controller.station.dialects.base import BootCall


@dataclass(frozen=True, slots=True)
class Quirk:
    """One product family. `vendor` and `model` are regular expressions searched whatever the case; None matches all."""

    name: str
    vendor: str
    note: str
    source: str
    model: str | None = None
    unit: RateUnit | None = None
    actuators: tuple[Actuator, ...] = ()

    def matches(self, who: BootCall) -> bool:
        """Whether a station that says so belongs to the family."""
        return _found(self.vendor, who.vendor) and (self.model is None or _found(self.model, who.model))

    def applied(self, capability: Capability) -> Capability:
        """The capability of such a station; a unit that the site file fixed stays."""
        return capability.known(self.unit, self.actuators, f"quirk: {self.name}")


@cache
def shipped_quirks() -> tuple[Quirk, ...]:
    """The records of this package, read once."""
    text = resources.files(__package__).joinpath("records.yaml").read_text("utf-8")
    return tuple(_quirk(record) for record in YAML(typ="safe", pure=True).load(text))


def quirk_of(who: BootCall, quirks: Iterable[Quirk]) -> Quirk | None:
    """The first record that matches."""
    return next((quirk for quirk in quirks if quirk.matches(who)), None)


def _found(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _quirk(record: dict[str, Any]) -> Quirk:
    unit, actuators = record.pop("unit", None), record.pop("actuators", ())
    return Quirk(**record, unit=unit and RateUnit(unit), actuators=tuple(Actuator(name) for name in actuators))
