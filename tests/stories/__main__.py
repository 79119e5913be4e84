"""Which acceptance stories hold? `python -m tests.stories [NUMBER …]`: one JSON object each; 1 if one is not held."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from site_simulator.clock import SimClock, run
from tests.stories import dimming, fallbacks, kill, limits, lpc, meter, phases, registers, stations, step

STORIES = {
    1: kill.story,
    2: meter.story,
    3: limits.story,
    4: stations.story,
    5: step.story,
    6: dimming.story,
    7: lpc.story,
    8: phases.story,
    9: fallbacks.story,
    10: registers.story,
}

SPEEDS = {7: lpc.SPEED}
"""So many times faster than real time."""


def main() -> int:
    numbers = [int(number) for number in sys.argv[1:]] or sorted(STORIES)
    verdicts = []
    for number in numbers:
        clock = SimClock(SPEEDS.get(number, 1.0))
        with tempfile.TemporaryDirectory() as folder:
            verdict = run(STORIES[number](clock, Path(folder)), clock)
        sys.stdout.write(f"{verdict.as_json()}\n")
        sys.stdout.flush()
        verdicts.append(verdict)
    return 0 if all(verdict.held for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
