"""What does OCPP 2.1 say differently from 2.0.1?"""

from __future__ import annotations

from local_controller.station.dialects.reading import Fields
from local_controller.station.dialects.v201 import V201
from local_controller.station.words import OcppVersion


class V21(V201):
    """The 2.1 dialect."""

    version = OcppVersion.V21
    composite_step = 1e-6  # at most six decimals (2.1 Part 2 ch. 2.1)

    def _energy_wh(self, needs: Fields) -> float | None:
        """Also the target of a bidirectional session (2.1 V2XChargingParametersType)."""
        v2x = needs.child("v2xChargingParameters")
        target_wh = v2x.number("evTargetEnergyRequest") if v2x else None
        return super()._energy_wh(needs) if target_wh is None else target_wh
