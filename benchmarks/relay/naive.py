"""R2: how much does the obvious relay of `websockets` cost, with uvloop and a long backlog, that looks at nothing?"""

from __future__ import annotations

import asyncio
import contextlib
import sys

import uvloop
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

MAX_MESSAGE_BYTES = 8 * 1024 * 1024


async def _pump(source: Connection, sink: Connection) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for message in source:
            await sink.send(message)
    await sink.close()


async def _main(port: int, csms_url: str) -> None:
    async def relay(station: ServerConnection) -> None:
        assert station.request is not None  # noqa: S101 - the handshake is over
        offered = [station.subprotocol] if station.subprotocol else None
        async with connect(
            f"{csms_url}{station.request.path}",
            subprotocols=offered,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            proxy=None,
        ) as csms:
            await asyncio.gather(_pump(station, csms), _pump(csms, station))

    async with serve(
        relay,
        "127.0.0.1",
        port,
        subprotocols=["ocpp2.0.1", "ocpp1.6"],  # type: ignore[list-item]  # a NewType of str
        compression=None,
        max_size=MAX_MESSAGE_BYTES,
        backlog=4096,
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]), sys.argv[2]))
