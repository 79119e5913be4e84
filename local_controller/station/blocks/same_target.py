"""Do two targets mean the same from now on? What a station holds already is not written again."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from local_controller.profiles.schedule import Schedule
from local_controller.station.blocks.actuator import InWatts, Target


def is_same(a: Target, b: Target, at: datetime) -> bool:
    """Whether two targets mean the same from now on."""
    return (
        (a.working is None) == (b.working is None)
        and (a.evse, a.fallback_a, a.transaction_id) == (b.evse, b.fallback_a, b.transaction_id)
        and _is_told_alike(a.in_watts, b.in_watts, at)
        and a.floor_phases == b.floor_phases
        and (a.working is b.working or _rest(a.working, at) == _rest(b.working, at))
        and (a.working is None or (a.offline_s, a.phase_to_use) == (b.offline_s, b.phase_to_use))
        and (a.working is None or _is_like(a.fewer, b.fewer, at))
    )


def _rest(working: Schedule | None, at: datetime) -> tuple[object, ...]:
    """What is left of a limit: what holds now, and the steps to come."""
    if working is None or not working.steps or working.steps[-1][0] <= at:
        return ()
    *until, (end, _) = working.steps
    return working.at(at), [step for step in until if step[0] > at], end


def _is_told_alike(a: InWatts, b: InWatts, at: datetime) -> bool:
    """Whether the same amperes become the same watts."""
    return a is b or (replace(a, most_w=b.most_w) == b and _is_like(a.most_w, b.most_w, at))


def _is_like(a: Schedule, b: Schedule, at: datetime) -> bool:
    """Whether the same is left of both."""
    return a is b or (a.at(at) == b.at(at) and _steps_after(a, at) == _steps_after(b, at))


def _steps_after(schedule: Schedule, at: datetime) -> list[tuple[datetime, float | None]]:
    return [step for step in schedule.steps if step[0] > at]


def is_flat(target: Target) -> bool:
    """Whether the working limit is one and the same until it ends."""
    return target.working is not None and len(target.working.steps) <= 2
