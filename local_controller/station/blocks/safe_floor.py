"""How high may a floor be told, while limits that keep cars below it are not held yet?

A floor holds for whoever has no working limit. So it is never raised above what the CSMS allows a car that has yet to get
its own, be it that the station was not told, did not answer or refuses (LC-093). What the site wishes is no reason: all
floors fit below the fuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from msgspec import structs

from local_controller.profiles.profile import ALL_PHASES
from local_controller.profiles.units import round_down
from local_controller.station.blocks.actuator import Target
from local_controller.station.blocks.evse_limits import EvseLimits
from local_controller.station.blocks.wanted import Cap
from local_controller.station.dialects.shared import LIMIT_STEP


def safe_floor(e: EvseLimits, target: Target, missing: Sequence[Cap]) -> Target:
    """The target with a floor no higher than the one that is held, or than all the caps that are `missing`.

    A floor that is not known to be held counts as none; but one that the station refused then gives way to the target, as
    nothing at all would be worse. Amperes and phases each for themselves: less of one is no reason to wait for the other.
    """
    if not missing:
        return target
    lowest_a, fewest = min(cap.limit_a for cap in missing), min(cap.phases for cap in missing)
    held_a, held_phases = (0.0, 1) if e.held_fallback_a is None else (e.held_fallback_a, e.held_phases or ALL_PHASES)
    floor_a = min(target.fallback_a, max(held_a, inf if lowest_a == inf else round_down(lowest_a, LIMIT_STEP)))
    if e.held_fallback_a is None and e.refused_floor_a is not None and floor_a <= e.refused_floor_a:
        return target
    phases = min(target.floor_phases or ALL_PHASES, max(held_phases, fewest))
    return structs.replace(target, fallback_a=floor_a, floor_phases=None if phases == ALL_PHASES else phases)


def is_below(target: Target, floor: Target) -> bool:
    """Whether its working limit keeps a car below this floor, now or later, or on fewer phases."""
    limits_a = [] if target.working is None else [limit_a for _, limit_a in target.working.steps if limit_a is not None]
    phases = [number for _, number in target.fewer.steps if number is not None]
    return min(limits_a, default=inf) < floor.fallback_a or min(phases, default=inf) < (
        floor.floor_phases or ALL_PHASES
    )
