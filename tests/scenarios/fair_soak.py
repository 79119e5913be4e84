"""Does any car starve beside free room, is room left unused, is anybody switched on and off for nothing?

Random sites without faults around the whole gateway, in virtual time and without sockets (`tests/scenarios/fair_world.py`), judged by what flows
(`tests/scenarios/fair_judge.py` says which laws, and from which rules their times follow). Prints what happened and then one line of JSON; progress
and violations go to standard error. Exit code 1 unless there are none. `--seed` repeats one of them,
`--kinds` says of which kinds (`tests/scenarios/fair_kinds.py`) all of them are.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Final, NamedTuple

from tests.scenarios.fair_judge import described, judged
from tests.scenarios.fair_kinds import KINDS, world_of
from tests.scenarios.soaking import concluded, lives, options, say

PROGRESS_S: Final = 10.0

SECONDS: Final = (1500, 1500, 1500, 1500, 9000)
"""A world lasts one of these: the turns of many cars take hours."""


class Lived(NamedTuple):
    """What became of one world. wanting_s: all seconds in which a car wanted energy; shown: its violations, in words."""

    station_hours: float
    counts: Counter[str]
    shown: str | None


def lived(seed: int, kinds: tuple[str, ...] | None = None) -> Lived:
    """Lives through the world of a seed, of these kinds or of those that it has by chance."""
    world = world_of(seed, random.Random(f"{seed}/seconds").choice(SECONDS), kinds)
    judge, _ = judged(world)
    counts = Counter({"worlds": 1, "starts": judge.starts, "wanting_s": round(judge.judged_s)})
    counts.update(world.kinds)
    counts.update(fault.split()[1] for fault in judge.faults)
    shown = described(world, judge.faults) if judge.faults else None
    return Lived(len(world.posts) * world.seconds / 3600.0, counts, shown)


def soak(
    hours: float, first_seed: int, say: Callable[[str], None], jobs: int = 1, kinds: tuple[str, ...] | None = None
) -> dict[str, float]:
    """Lives through worlds until so many station-hours are over, on so many processes; their number changes no result."""
    totals = Counter({"violations": 0})
    station_hours, said_s = 0.0, time.monotonic()
    with closing(lives(partial(lived, kinds=kinds), first_seed, jobs)) as found:
        for one in found:
            station_hours += one.station_hours
            totals.update(one.counts)
            if one.shown is not None:
                totals["violations"] += 1
                say(one.shown)
            if station_hours >= hours:
                break
            if time.monotonic() > said_s + PROGRESS_S:
                said_s = time.monotonic()
                say(f"{station_hours:.0f} station-hours, {totals['worlds']} sites, {totals['violations']} violations")
    return {**totals, "station_hours": round(station_hours)}


def main() -> int:
    """Soaks and counts."""
    asked = options("make soak-fair", __doc__, 100.0, kinds=KINDS)
    kinds = None if asked.kinds is None else tuple(asked.kinds)
    if asked.seed is not None:
        found = lived(asked.seed, kinds)
        say(found.shown or "no violation")
        return 0 if found.shown is None else 1
    return concluded(soak(asked.hours, asked.first_seed, say, asked.jobs, kinds))


if __name__ == "__main__":
    sys.exit(main())
