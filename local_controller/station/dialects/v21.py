"""What does OCPP 2.1 say differently from 2.0.1?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from local_controller.profiles.profile import Purpose
from local_controller.station.dialects.base import Lacks
from local_controller.station.dialects.reading import Fields
from local_controller.station.dialects.stated import stated_flag, stated_words
from local_controller.station.dialects.v201 import V201
from local_controller.station.words import OcppVersion

_SMART_CHARGING = "SmartChargingCtrlr"
_PURPOSES, _FEATURE = "SupportedAdditionalPurposes", "SupportsFeature"
_OPTIONAL: Final = frozenset({Purpose.PRIORITY_CHARGING, Purpose.LOCAL_GENERATION})
_FEATURES: Final = ("DynamicProfiles", "MaxOfflineDuration", "UseLocalTime", "RandomizedDelay", "LimitAtSoC")


class V21(V201):
    """The 2.1 dialect."""

    version = OcppVersion.V21
    composite_step = 1e-6  # at most six decimals (2.1 Part 2 ch. 2.1)
    asked = (
        *V201.asked,
        (_SMART_CHARGING, _PURPOSES, None),
        *((_SMART_CHARGING, _FEATURE, feature) for feature in _FEATURES),
    )

    def _lacks(self, values: Mapping[tuple[str | None, str | None], Any]) -> Lacks:
        """Only what a station says counts: of what it does not name, nothing is known."""
        named = stated_words(values.get((_PURPOSES, None)))
        purposes = _OPTIONAL if named is not None else frozenset()
        return Lacks(
            purposes=frozenset(purpose for purpose in purposes if purpose.lower() not in (named or ())),
            features=frozenset(one for one in _FEATURES if stated_flag(values.get((_FEATURE, one))) is False),
        )

    def _energy_wh(self, needs: Fields) -> float | None:
        """Also the target of a bidirectional session (2.1 V2XChargingParametersType)."""
        v2x = needs.child("v2xChargingParameters")
        target_wh = v2x.number("evTargetEnergyRequest") if v2x else None
        return super()._energy_wh(needs) if target_wh is None else target_wh
