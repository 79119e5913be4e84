"""How does the product compare with nginx (R1) and with the obvious relay of `websockets` and uvloop (R2)?

Relays on one core, stations and CSMS on the other; all relays in every round, medians over the rounds. Prints one JSON
object per figure; progress and errors go to standard error. Exit code 1 when a figure of the product is missing.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.relay.goals import GOALS, line
from benchmarks.relay.parts import FULL, PARTS, QUICK, QUICK_PARTS, Lengths, Part
from benchmarks.relay.relays import LOAD_CORE
from benchmarks.relay.sockets import LostError

NAMES = ("r1", "r2", "product")


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="benchmarks.relay", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"one short round of {', '.join(QUICK_PARTS)}")
    parser.add_argument("--rounds", type=int, help="how often all is repeated")
    parser.add_argument("--parts", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--relays", default=",".join(NAMES), help=f"some of {', '.join(NAMES)}")
    options = parser.parse_args()
    lengths = QUICK if options.quick else FULL
    parts = options.parts.split(",") if options.parts else QUICK_PARTS if options.quick else PARTS
    os.sched_setaffinity(0, {LOAD_CORE})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.disable()  # a collection here would look like a stall of the relay
    samples: dict[str, dict[str, list[float]]] = {figure: defaultdict(list) for figure in GOALS}
    for number in range(options.rounds or lengths.rounds):
        for part in parts:
            for name in options.relays.split(","):
                for figure, value in _measured(PARTS[part], name, lengths, f"round {number + 1}, {part}").items():
                    if figure in samples:
                        samples[figure][name].append(value)
    lines = [line(figure, relays) for figure, relays in samples.items() if relays]
    for one in lines:
        print(json.dumps(one))
    return 0 if all(one["product"] is not None for one in lines) else 1


def _measured(part: Part, name: str, lengths: Lengths, what: str) -> dict[str, float]:
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-relay-") as folder:
        try:
            figures = part(name, lengths, Path(folder))
        except (LostError, RuntimeError, OSError) as error:
            print(f"{what}, {name}: {error}", file=sys.stderr)
            return {}
    gc.collect()
    if figures:
        shown = ", ".join(f"{figure} {value:.1f}" for figure, value in figures.items())
        print(f"{what}, {name}, {time.monotonic() - start_s:.0f} s: {shown}", file=sys.stderr, flush=True)
    return figures


if __name__ == "__main__":
    sys.exit(main())
