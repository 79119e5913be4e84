"""What does a storm of TLS stations cost the event loop, by our door and by the loop's own TLS server?

    python benchmarks/tls_door.py [--stations 500] [--rounds 5]

One JSON object a line: the longest turn of the event loop in CPU time (ms, median of the rounds; it does not count what
other processes take), the time until all stations were answered (ms, median), memory (kB a station, first round).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import uvloop

from local_controller.adapters.tls import StationTls, TlsLeg
from local_controller.adapters.tls_door import TlsDoor

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.certificates import authority, rsa_key  # noqa: E402 - only there are certificates made

HOST = "127.0.0.1"
BACKLOG = 4096
CLIENT = """
import asyncio, ssl, sys, time, uvloop
async def station(port, context):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(b"x")
    await reader.readexactly(1)
    return writer
async def storm(port, roots, stations):
    context = ssl.create_default_context(cafile=roots)
    start = time.perf_counter()
    writers = await asyncio.gather(*(station(port, context) for _ in range(stations)))
    print(time.perf_counter() - start, flush=True)
    sys.stdin.read()
uvloop.run(storm(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
"""


class Echo(asyncio.Protocol):
    """What stands for the relay."""

    def connection_made(self, transport: Any) -> None:
        """Keeps it."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Sends it back."""
        self.transport.write(data)


@dataclass
class Turns:
    """The longest turn of the running loop, in CPU time of its thread."""

    longest_s: float = 0.0
    last_s: float = field(default_factory=time.thread_time)

    def watch(self) -> None:
        """Once in each turn."""
        now_s = time.thread_time()
        self.longest_s = max(self.longest_s, now_s - self.last_s)
        self.last_s = now_s
        asyncio.get_running_loop().call_soon(self.watch)


def memory_kb() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4


async def measured(name: str, open_: Callable[[TlsLeg], Awaitable[int]], stations: int, rounds: int) -> dict[str, Any]:
    """The figures of one kind of server."""
    with tempfile.TemporaryDirectory() as folder:
        root = authority()
        roots = Path(folder) / "roots.pem"
        roots.write_bytes(root.pem)
        pairs = (
            root.issue("b", [HOST]).save(Path(folder), "e"),
            root.issue("b", [HOST], key=rsa_key()).save(Path(folder), "r"),
        )
        port = await open_(TlsLeg("listen.tls", StationTls(pairs)))
        turns, longest_ms, storms_ms, memory = Turns(), [], [], []
        turns.watch()
        for _ in range(rounds):
            before_kb = memory_kb()
            turns.longest_s = 0.0
            arguments = (sys.executable, "-c", CLIENT, str(port), str(roots), str(stations))
            client = await asyncio.create_subprocess_exec(
                *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            assert client.stdout  # noqa: S101 - asked for
            assert client.stdin  # noqa: S101 - as above
            storms_ms.append(float(await client.stdout.readline()) * 1e3)
            longest_ms.append(turns.longest_s * 1e3)
            memory.append((memory_kb() - before_kb) / stations)
            client.stdin.close()
            await client.wait()
    return {
        "server": name,
        "stations": stations,
        "longest_turn_ms": round(statistics.median(longest_ms), 1),
        "storm_ms": round(statistics.median(storms_ms)),
        "memory_kb": round(memory[0], 1),
    }


async def by_door(leg: TlsLeg) -> int:
    """Ours."""
    door = TlsDoor(Echo, leg.context, print)
    await door.open(HOST, 0, BACKLOG)
    return door.port


async def by_loop(leg: TlsLeg) -> int:
    """The event loop's own."""
    server = await asyncio.get_running_loop().create_server(Echo, HOST, 0, ssl=leg.context, backlog=BACKLOG)
    return int(server.sockets[0].getsockname()[1])


SERVERS = {"event loop": by_loop, "door": by_door}


def main() -> None:
    """Measures both, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    for name, open_ in SERVERS.items():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            figures = pool.submit(_run, name, open_, wanted.stations, wanted.rounds).result()
        print(json.dumps(figures), flush=True)


def _run(name: str, open_: Callable[[TlsLeg], Awaitable[int]], stations: int, rounds: int) -> dict[str, Any]:
    return uvloop.run(measured(name, open_, stations, rounds))


if __name__ == "__main__":
    main()
