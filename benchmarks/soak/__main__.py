"""Does the product lose, alter or duplicate anything while many stations talk, come and go for a long time?

Prints what happened and then one line of JSON with the counts (their meaning: benchmarks/soak/book.py); progress goes to
standard error. Exit code 1 when the relay was no cable. Everything is on the loopback interface.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks.relay.certificate import Certificate, trusting
from benchmarks.relay.relays import LOAD_CORE, Relay, free_port, running
from benchmarks.relay.yaml_site import Site
from benchmarks.soak.pairs import Habits, Pair, Tally, served

PROGRESS_S = 10.0
TRACE = "trace.db"
_MUST_NOT_HAPPEN = ("closed_by_relay", "leg_left_open")


def main() -> int:
    """Soaks and counts."""
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--stations", type=int, default=500)
    parser.add_argument("--calls-per-second", type=float, default=400, help="of all peers together")
    parser.add_argument("--tls", action="store_true", help="stations speak TLS")
    parser.add_argument("--trace", action="store_true", help="with a trace, and what its diff says at the end")
    options = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="soak-relay-") as folder:
        peak_kb = asyncio.run(_soak(options, tally, Path(folder)))
        is_sound = not options.trace or _traced(Path(folder) / TRACE)
    counts = asdict(tally.counts)
    print(
        json.dumps({"stations": options.stations, "minutes": options.minutes, "peak_rss_kb": peak_kb, **tally.events})
    )
    print(json.dumps({name: counts.pop(name) for name in ("reordered", "cut", "own", "bytes")}))
    print(json.dumps(counts))
    return 1 if not is_sound or tally.counts.faults or any(tally.events[name] for name in _MUST_NOT_HAPPEN) else 0


async def _soak(options: argparse.Namespace, tally: Tally, folder: Path) -> int:
    """The most memory that the relay had, in kB."""
    certificate = Certificate.made_in(folder) if options.tls else None
    habits = Habits(calls_per_s=options.calls_per_second / options.stations)
    tls, port = (trusting() if options.tls else None), free_port()
    url = f"{'wss' if options.tls else 'ws'}://127.0.0.1:{port}"
    pairs = [Pair(number, lambda: url, habits, tally, tls) for number in range(options.stations)]
    async with served(pairs) as csms_port:
        site = Site(port, csms_port, None, options.stations, certificate, folder / TRACE if options.trace else None)
        with _told(site, folder) as relay, _progress(tally, pairs, relay):
            over = asyncio.Event()
            asyncio.get_running_loop().call_later(options.minutes * 60, over.set)
            await asyncio.gather(*(pair.live(over) for pair in pairs))
            return relay.peak_rss_kb()


def _traced(file: Path) -> bool:
    """Prints what the gateway says that it did; whether that was nothing to any message that it says it passed."""
    command = [sys.executable, "-m", "local_controller", "trace", "diff", str(file)]
    diff = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a command of ours
    print(diff.stdout.splitlines()[-1] if diff.stdout else diff.stderr)
    return diff.returncode == 0


@contextlib.contextmanager
def _told(site: Site, folder: Path) -> Iterator[Relay]:
    """The running product; what it logged last, if this ends badly."""
    try:
        with running("product", site, folder) as relay:
            yield relay
    except BaseException:
        print((folder / "product.log").read_text(errors="replace")[-2000:], file=sys.stderr)
        raise


@contextlib.contextmanager
def _progress(tally: Tally, pairs: list[Pair], relay: Relay) -> Iterator[None]:
    """A line every ten seconds, from a thread: reading /proc is no work for the loop that answers."""
    start_s, stopped = time.monotonic(), threading.Event()

    def tell() -> None:
        while not stopped.wait(PROGRESS_S):
            connected = sum(pair.is_connected for pair in pairs)
            shown = {name: value for name, value in asdict(tally.counts).items() if value}
            print(
                f"{time.monotonic() - start_s:.0f} s, {connected} connected, {relay.rss_kb()} kB: {shown}, {dict(tally.events)}",
                file=sys.stderr,
            )

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
