"""How is a limit told by a setting of the maker? It holds at once and for ever: nothing of it ends by itself."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

from local_controller.station.blocks.actuator import Target, settable_a
from local_controller.station.capability import Capability
from local_controller.station.knowledge import VendorKey, VendorUnit

_PER_AMPERE: Final = {VendorUnit.A: 1, VendorUnit.DECI_A: 10, VendorUnit.MILLI_A: 1000}
_NOISE = 1e-6


def setting_a(target: Target, capability: Capability, at: datetime) -> float:
    """What the setting should say at this moment, in A per phase: whole steps of its unit."""
    limit_a = None if target.working is None else target.working.at(at)
    limit_a = settable_a(target.fallback_a if limit_a is None else limit_a, capability)
    return _units(limit_a, _key(capability)) / _PER_AMPERE[_key(capability).unit]


def written_setting(capability: Capability, evse: int, limit_a: float) -> tuple[VendorKey, str, str]:
    """The key, its name for this EVSE (0: the station's), and the value as text."""
    key = _key(capability)
    suffix = key.suffix(evse) if evse else ""
    return key, key.name + suffix, str(_units(limit_a, key))


def _units(limit_a: float, key: VendorKey) -> int:
    return math.floor(limit_a * _PER_AMPERE[key.unit] + _NOISE)


def _key(capability: Capability) -> VendorKey:
    if capability.vendor_key is None:
        raise ValueError("a limit cannot be told by a vendor's key that nobody has named")
    return capability.vendor_key
