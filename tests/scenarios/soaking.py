"""How is a soak run? Story after story from its seed, on so many processes, until enough station-hours are over."""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TypeVar

ROUND = 12
"""So many stories are shared out among the processes at a time."""

_Life = TypeVar("_Life")


def options(prog: str, about: str | None, hours: float, kinds: Iterable[str] = ()) -> argparse.Namespace:
    """Of its command: hours, first_seed, jobs, seed for one story alone, and where there are kinds of stories, of which all of them are."""
    parser = argparse.ArgumentParser(prog=prog, description=about)
    parser.add_argument("--hours", type=float, default=hours, help="station-hours")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, help="only this site")
    parser.add_argument("--kinds", nargs="*", choices=[*kinds], help="of each site; else by chance")
    return parser.parse_args()


def lives(live: Callable[[int], _Life], first_seed: int, jobs: int) -> Generator[_Life]:
    """What becomes of one seed after the other, without an end; `live` is a function of a module, for other processes."""
    if jobs == 1:
        yield from map(live, itertools.count(first_seed))
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for seed in itertools.count(first_seed, ROUND):
            yield from pool.map(live, range(seed, seed + ROUND), chunksize=1)


def say(text: str) -> None:
    """Progress and violations, beside the figures."""
    print(text, file=sys.stderr, flush=True)


def concluded(totals: Mapping[str, float]) -> int:
    """Prints what happened and then the line that counts; the exit code."""
    print(json.dumps(totals))
    print(json.dumps({"station_hours": totals["station_hours"], "violations": totals["violations"]}))
    return 1 if totals["violations"] else 0
