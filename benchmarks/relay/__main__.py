"""How does the product compare with nginx (R1) and with the obvious relay of `websockets` and uvloop (R2)?

Relays on one core, stations and CSMS on the other; all relays in every round, medians over the rounds. Prints one JSON
object per figure; progress and errors go to standard error. Exit code 1 when a figure is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import frames
from load import Load, LostError
from relays import LOAD_CORE, Relay, real_time, running

NAMES = ("r1", "r2", "product")
RATE_PER_S = 200.0
LOAD_PRIORITY, RELAY_PRIORITY = 20, 10


@dataclass(frozen=True)
class Goal:
    """What a figure must not exceed: `factor` times what the relay `of` takes, or `factor` itself."""

    unit: str
    factor: float
    of: str | None

    def limit(self, medians: Mapping[str, float]) -> float | None:
        """The limit in the figure's unit; None without the relay's own figure."""
        if self.of is None:
            return self.factor
        return None if self.of not in medians else self.factor * medians[self.of]


GOALS = {
    "cpu_round_trip_50": Goal("us", 0.6, "r2"),
    "cpu_round_trip_500": Goal("us", 0.6, "r2"),
    "cpu_round_trip_50_v16": Goal("us", 0.6, "r2"),
    "added_latency_p50_50": Goal("us", 2.0, "r1"),
    "added_latency_p99_50": Goal("us", 2.0, "r1"),
    "memory_per_station_500": Goal("kB", 1.0, "r2"),
    "storm_500": Goal("ms", 0.7, "r2"),
    "loop_stall_500": Goal("ms", 5.0, None),
}


@dataclass(frozen=True)
class Lengths:
    """How long each measurement takes, in seconds, and how often all is repeated."""

    rounds: int
    saturated_s: float
    timed_s: float


FULL = Lengths(5, 3.0, 5.0)
QUICK = Lengths(3, 1.0, 2.0)

Part = Callable[[str, Lengths, Path], dict[str, float]]


def at_50(name: str, lengths: Lengths, folder: Path) -> dict[str, float]:
    """CPU per round trip and added latency at 50 stations of 2.0.1."""
    with _loaded(name, "v201", 50, folder) as (load, relay, _):
        figures = {"cpu_round_trip_50": _cpu_us(load, relay, lengths)}
        load.connect_directly(50)
        with _in_real_time(relay):
            via, direct = load.latencies_us(lengths.timed_s, RATE_PER_S)
        base_us = statistics.median(direct)
        cuts = statistics.quantiles(via, n=100)
        return figures | {"added_latency_p50_50": cuts[49] - base_us, "added_latency_p99_50": cuts[98] - base_us}


def at_50_v16(name: str, lengths: Lengths, folder: Path) -> dict[str, float]:
    """CPU per round trip at 50 stations of 1.6."""
    with _loaded(name, "v16", 50, folder) as (load, relay, _):
        return {"cpu_round_trip_50_v16": _cpu_us(load, relay, lengths)}


def at_500(name: str, lengths: Lengths, folder: Path) -> dict[str, float]:
    """Storm, memory, CPU and stalls at 500 stations of 2.0.1."""
    with _loaded(name, "v201", 500, folder) as (load, relay, figures):
        figures["cpu_round_trip_500"] = _cpu_us(load, relay, lengths)
        if name != "r1":  # nginx passes pings on
            with _in_real_time(relay):
                figures["loop_stall_500"] = load.longest_pong_ms(lengths.timed_s, _chores(load))
            load.idle()
        return figures


PARTS: dict[str, Part] = {"50": at_50, "50_v16": at_50_v16, "500": at_500}


@contextmanager
def _loaded(name: str, version: str, stations: int, folder: Path) -> Iterator[tuple[Load, Relay, dict[str, float]]]:
    """A relay with stations that are connected and booted, and what that took."""
    load = Load(version)
    try:
        with running(name, load.csms_port, stations, folder) as relay:
            before_kb = relay.rss_kb()
            with _in_real_time(relay):
                storm_s = load.connect(relay.port, stations)
            load.pause(0.5)
            memory_kb = (relay.rss_kb() - before_kb) / stations
            yield load, relay, {f"storm_{stations}": storm_s * 1e3, f"memory_per_station_{stations}": memory_kb}
            if load.mismatched:
                raise LostError(f"{load.mismatched} messages arrived changed or twice")
    finally:
        load.close()


@contextmanager
def _in_real_time(relay: Relay) -> Iterator[None]:
    """Neighbours on this machine do not blur what is timed."""
    real_time(os.getpid(), LOAD_PRIORITY)
    relay.in_real_time(RELAY_PRIORITY)
    try:
        yield
    finally:
        relay.in_real_time(None)
        real_time(os.getpid(), None)


def _cpu_us(load: Load, relay: Relay, lengths: Lengths) -> float:
    """CPU time per round trip when every station always has a CALL in flight."""
    load.saturate(lengths.saturated_s / 3)
    before_us = relay.cpu_us()
    round_trips = load.saturate(lengths.saturated_s)
    return (relay.cpu_us() - before_us) / round_trips


def _chores(load: Load) -> list[Callable[[], None]]:
    """What a station of the site does between two pings: mostly the usual, at times a report of 11 kB."""
    others = list(load.stations.values())[1:]

    def usual() -> None:
        others.insert(0, station := others.pop())
        station.event()

    def report() -> None:
        others.insert(0, station := others.pop())
        station.call("NotifyReport", frames.report(1))

    for station in load.stations.values():
        station.done = lambda _: None
    return [usual] * 19 + [report]


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three short rounds")
    parser.add_argument("--rounds", type=int, help="how often all is repeated")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--relays", default=",".join(NAMES), help=f"some of {', '.join(NAMES)}")
    options = parser.parse_args()
    lengths = QUICK if options.quick else FULL
    os.sched_setaffinity(0, {LOAD_CORE})
    samples: dict[str, dict[str, list[float]]] = {figure: defaultdict(list) for figure in GOALS}
    for number in range(options.rounds or lengths.rounds):
        for part in options.parts.split(","):
            for name in options.relays.split(","):
                for figure, value in _measured(PARTS[part], name, lengths, f"round {number + 1}, {part}").items():
                    if figure in samples:
                        samples[figure][name].append(value)
    lines = [_line(figure, relays) for figure, relays in samples.items() if relays]
    for line in lines:
        print(json.dumps(line))
    return 0 if all(line["product"] is not None for line in lines) else 1


def _measured(part: Part, name: str, lengths: Lengths, what: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="bench-relay-") as folder:
        try:
            figures = part(name, lengths, Path(folder))
        except (LostError, RuntimeError, OSError) as error:
            print(f"{what}, {name}: {error}", file=sys.stderr)
            return {}
    shown = ", ".join(f"{figure} {value:.1f}" for figure, value in figures.items())
    print(f"{what}, {name}: {shown}", file=sys.stderr, flush=True)
    return figures


def _line(figure: str, relays: Mapping[str, list[float]]) -> dict[str, object]:
    goal = GOALS[figure]
    medians = {name: statistics.median(values) for name, values in relays.items()}
    limit, product = goal.limit(medians), medians.get("product")
    return {
        "figure": figure,
        **{name: None if name not in medians else round(medians[name], 1) for name in ("product", "r1", "r2")},
        "unit": goal.unit,
        "to_reach": None if limit is None else round(limit, 1),
        "reached": product is not None and limit is not None and product <= limit,
        "spread": [round(edge(relays.get("product", [0.0])), 1) for edge in (min, max)],
    }


if __name__ == "__main__":
    sys.exit(main())
