"""To how much may a German grid operator dim n controllable devices behind one connection, at the least?

§14a EnWG with BNetzA BK6-22-300: 4.2 kW for one device; an energy management of several gets less for each, because not
all of them need their power at once. The cap is on what they draw from the grid (grid-and-safety §4.1, goal G8).
"""

from __future__ import annotations

from typing import Final

DEVICE_W: Final = 4200.0
"""For a device on its own."""

SIMULTANEITY: Final = {2: 0.80, 3: 0.75, 4: 0.70, 5: 0.65, 6: 0.60, 7: 0.55, 8: 0.50}
"""How much of that each further one of so many devices counts."""

SIMULTANEITY_OF_MANY: Final = 0.45
"""From nine devices on."""


def minimum_power_w(devices: int) -> float:
    """P_min of n devices: 4.2 kW + (n - 1) * GZF(n) * 4.2 kW. ValueError below one."""
    if devices < 1:
        raise ValueError(f"there is no minimum for {devices} devices")
    factor = SIMULTANEITY.get(devices, SIMULTANEITY_OF_MANY)
    return round(DEVICE_W + (devices - 1) * factor * DEVICE_W, 3)
