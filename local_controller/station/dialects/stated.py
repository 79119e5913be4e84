"""What does a configuration value say about units and sizes? Stations quote, list and spell them in many ways."""

from __future__ import annotations

import re
from typing import Any

from local_controller.profiles.units import RateUnit
from local_controller.station.dialects.reading import number

_SPELLINGS = {
    "a": RateUnit.A,
    "current": RateUnit.A,
    "amps": RateUnit.A,
    "w": RateUnit.W,
    "power": RateUnit.W,
    "watts": RateUnit.W,
}


def stated_units(value: Any) -> frozenset[RateUnit] | None:
    """The units in "Current", "Power", "A,W", "Current;Power", "'power'"; None if it names none."""
    words = re.findall(r"[a-z]+", value.lower()) if isinstance(value, str) else []
    return frozenset(_SPELLINGS[word] for word in words if word in _SPELLINGS) or None


def stated_integer(value: Any) -> int | None:
    """A count that is not negative, perhaps quoted; None if there is none."""
    read = number(value.strip(" '\"") if isinstance(value, str) else value)
    return int(read) if read is not None and read >= 0 else None


def stated_words(value: Any) -> frozenset[str] | None:
    """The members of a list like "PriorityCharging,LocalGeneration", in lower case; None if there is none."""
    return frozenset(re.findall(r"[a-z0-9]+", value.lower())) if isinstance(value, str) else None


def stated_flag(value: Any) -> bool | None:
    """True or false, perhaps as text; None if it is neither."""
    return {"true": True, "false": False}.get(str(value).strip(" '\"").lower())
