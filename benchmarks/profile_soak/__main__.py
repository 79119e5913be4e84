"""Does the CSMS notice the gateway, and does every limit hold, while it uses smart charging in every way at random?

Prints what happened and then one line of JSON with the counts; progress and failures go to standard error. Exit code 1
unless all of them are 0. No sockets, no real time: two worlds live through the same stories (see `case`). A story that fails
is printed as its shortest form and as the dialogue behind the gateway; `--version` and `--seed` repeat it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import count

from benchmarks.profile_soak.case import VERSIONS, Setting, Story, shortened, tell, unspoilt
from benchmarks.profile_soak.comparison import ALLOWED
from benchmarks.profile_soak.open_points import OPEN, Scope
from benchmarks.profile_soak.worlds import Spoil

ASKED = 200
"""So many questions of the CSMS make a story."""

PROGRESS_S = 10.0
COUNTS = {"violation": "violations", "differs": "answers_differing", "leak": "own_ids_leaked"}


def main() -> int:
    """Soaks and counts."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.profile_soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--operations", type=int, default=100_000, help="of the CSMS, in all")
    parser.add_argument("--version", choices=VERSIONS, help="only stations of this version")
    parser.add_argument("--seed", type=int, help="only this story")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--strict", action="store_true", help=f"with what is left open: {', '.join(OPEN)}")
    parser.add_argument(
        "--differences", action="store_true", help="prints what a CSMS may see of the gateway, and ends"
    )
    options = parser.parse_args()
    if options.differences:
        print(json.dumps(ALLOWED, indent=2))
        return 0
    versions = [options.version] if options.version else VERSIONS
    scope = Scope(()) if options.strict else Scope()
    seeds = range(options.first_seed, sys.maxsize) if options.seed is None else range(options.seed, options.seed + 1)
    totals = soak(options.operations, versions, seeds, scope)
    counts = {"operations": totals["operations"], **{name: totals[name] for name in COUNTS.values()}}
    print(json.dumps({name: number for name, number in totals.items() if name not in counts}))
    print(json.dumps(counts))
    return 1 if any(totals[name] for name in COUNTS.values()) else 0


def soak(operations: int, versions: Sequence[str], seeds: range, scope: Scope, spoil: Spoil = unspoilt) -> Counter[str]:
    """Tells stories, version by version in turn, until the CSMS has asked so often."""
    totals: Counter[str] = Counter()
    told_s = time.monotonic()
    stories = ((version, seed) for seed in seeds for version in versions)
    for number, (version, seed) in zip(count(1), stories):
        story = tell(version, seed, min(ASKED, operations - totals["operations"]), scope, spoil)
        _count(totals, story, version)
        if story.told.failure is not None:
            _show(version, seed, scope, story, spoil)
        if totals["operations"] >= operations:
            break
        if time.monotonic() > told_s + PROGRESS_S:
            told_s = time.monotonic()
            print(f"{number} stories: {dict(totals)}", file=sys.stderr)
    return totals


def _count(totals: Counter[str], story: Story, version: str) -> None:
    told = story.told
    totals["operations"] += told.asked
    totals[f"operations_{version}"] += told.asked
    totals["steps"] += len(told.operations)
    totals["instants_checked"] += told.checks
    totals["virtual_hours"] += round(story.clock.elapsed_s / 3600)
    totals["stories"] += 1
    totals["updates_pulled"] += told.pulled
    totals.update({f"decided_by_{name}": number for name, number in told.decided.items()})
    if told.failure is not None:
        totals[COUNTS[told.failure.kind]] += 1


def _show(version: str, seed: int, scope: Scope, story: Story, spoil: Spoil) -> None:
    """The failure, its shortest story, and what was said in it."""
    short = shortened(Setting.of(version, seed), story, scope, spoil)
    print(f"\n{version}, seed {seed}: {short.told.failure}", file=sys.stderr)
    for operation in short.told.operations:
        print(f"  {operation.do} {json.dumps(operation.args)}", file=sys.stderr)
    print("  behind the gateway:", file=sys.stderr)
    for line in short.behind.transcript:
        print(f"    {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
