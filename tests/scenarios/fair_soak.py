"""Does any car starve beside free room, is room left unused, is anybody switched on and off for nothing?

Random sites without faults around the whole gateway, in virtual time and without sockets (`tests/scenarios/fair_world.py`), judged by what flows
(`tests/scenarios/fair_judge.py` says which laws, and from which rules their times follow). Prints what happened and then one line of JSON; progress
and violations go to standard error. Exit code 1 unless there are none. `--seed` repeats one of them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Final, NamedTuple

from tests.scenarios.fair_judge import described, judged
from tests.scenarios.fair_world import World

PROGRESS_S: Final = 10.0
ROUND: Final = 12
"""So many worlds are shared out among the processes at a time."""

SECONDS: Final = (1500, 1500, 1500, 1500, 9000)
"""A world lasts one of these: the turns of many cars take hours."""


class Lived(NamedTuple):
    """What became of one world. wanting_s: all seconds in which a car wanted energy; shown: its violations, in words."""

    station_hours: float
    counts: Counter[str]
    shown: str | None


def lived(seed: int) -> Lived:
    """Lives through the world of a seed."""
    world = World.of(seed, random.Random(f"{seed}/seconds").choice(SECONDS))
    judge, _ = judged(world)
    counts = Counter({"worlds": 1, "starts": judge.starts, "wanting_s": round(judge.judged_s)})
    counts.update(fault.split()[1] for fault in judge.faults)
    shown = described(world, judge.faults) if judge.faults else None
    return Lived(len(world.posts) * world.seconds / 3600.0, counts, shown)


def soak(hours: float, first_seed: int, say: Callable[[str], None], jobs: int = 1) -> dict[str, float]:
    """Lives through worlds until so many station-hours are over, on so many processes; their number changes no result."""
    totals = Counter({"violations": 0})
    station_hours, said_s = 0.0, time.monotonic()
    with closing(_lives(first_seed, jobs)) as lives:
        for one in lives:
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


def _lives(first_seed: int, jobs: int) -> Generator[Lived]:
    """One world after the other, without an end."""
    if jobs == 1:
        yield from map(lived, itertools.count(first_seed))
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for seed in itertools.count(first_seed, ROUND):
            yield from pool.map(lived, range(seed, seed + ROUND), chunksize=1)


def main() -> int:
    """Soaks and counts."""
    parser = argparse.ArgumentParser(prog="make soak-fair", description=__doc__)
    parser.add_argument("--hours", type=float, default=100.0, help="station-hours")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, help="only this site")
    options = parser.parse_args()

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    if options.seed is not None:
        found = lived(options.seed)
        say(found.shown or "no violation")
        return 0 if found.shown is None else 1
    totals = soak(options.hours, options.first_seed, say, options.jobs)
    print(json.dumps(totals))
    print(json.dumps({"station_hours": totals["station_hours"], "violations": totals["violations"]}))
    return 1 if totals["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
