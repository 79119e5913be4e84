"""How high may a floor be told, while limits that keep cars below it are not held yet?

A floor holds for whoever has no working limit. So it is never raised above what a car may draw that has yet to get its
own, be it that the station was not told, did not answer or refuses (LC-093).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from msgspec import structs

from local_controller.profiles.profile import ALL_PHASES
from local_controller.profiles.units import round_down
from local_controller.station.blocks.actuator import Target
from local_controller.station.blocks.evse_limits import EvseLimits
from local_controller.station.dialects.shared import LIMIT_STEP


def safe_floor(e: EvseLimits, target: Target, missing: Iterable[Target]) -> Target:
    """The target with a floor no higher than the one that is held, or than all the working limits that are `missing`.

    A floor that is not known to be held counts as none. Amperes and phases each for themselves: less of one is no reason
    to wait for the other.
    """
    caps = [one for one in missing if one.working is not None]
    if not caps:
        return target
    limits_a = [limit_a for one in caps if one.working is not None for _, limit_a in one.working.steps]
    lowest_a = min((limit_a for limit_a in limits_a if limit_a is not None), default=inf)
    fewest = min((number for one in caps for _, number in one.fewer.steps if number is not None), default=ALL_PHASES)
    held_a, held_phases = (0.0, 1) if e.held_fallback_a is None else (e.held_fallback_a, e.held_phases or ALL_PHASES)
    floor_a = min(target.fallback_a, max(held_a, round_down(lowest_a, LIMIT_STEP) if lowest_a < inf else inf))
    phases = min(target.floor_phases or ALL_PHASES, max(held_phases, int(fewest)))
    return structs.replace(target, fallback_a=floor_a, floor_phases=None if phases == ALL_PHASES else phases)
