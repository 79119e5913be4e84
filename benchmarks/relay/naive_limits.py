"""How fast is the obvious loop that gives all stations a new limit and awaits their answers? No relay, no checks.

SIGUSR1 asks for one round. It uses `websockets` and uvloop, as R2 does.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys

import uvloop
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.relay import frames

_BOOTED = b'[2,"'


async def _main(port: int) -> None:
    stations: dict[ServerConnection, asyncio.Future[None] | None] = {}
    ids, limits = itertools.count(1), itertools.cycle((12.0, 10.0, 8.0))
    rounds: set[asyncio.Task[object]] = set()

    async def attend(station: ServerConnection) -> None:
        stations[station] = None
        async for text in station:
            said = text.encode() if isinstance(text, str) else text
            if said.startswith(_BOOTED):
                await station.send(frames.csms_answer(said).decode())
            elif (waiting := stations[station]) is not None:
                stations[station] = None
                waiting.set_result(None)

    async def limit(station: ServerConnection, limit_a: float) -> None:
        answer = stations[station] = asyncio.get_running_loop().create_future()
        await station.send(frames.set_charging_profile(b"L%d" % next(ids), limit_a).decode())
        await answer

    def begin() -> None:
        limit_a = next(limits)
        task: asyncio.Task[object] = asyncio.ensure_future(asyncio.gather(*(limit(one, limit_a) for one in stations)))
        rounds.add(task)
        task.add_done_callback(rounds.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, begin)
    async with serve(
        attend,
        "127.0.0.1",
        port,
        subprotocols=["ocpp2.0.1"],  # type: ignore[list-item]  # a NewType of str
        compression=None,
        backlog=4096,
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
