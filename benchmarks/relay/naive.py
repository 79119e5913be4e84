"""R2: how much does the obvious relay of `websockets` cost, with uvloop and a long backlog, that looks at nothing?"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import signal
import ssl

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


async def _main(port: int, csms_url: str, tls: ssl.SSLContext | None) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, gc.collect)

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
        ssl=tls,
    ) as server:
        await server.serve_forever()


def _context(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("csms_url")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    options = parser.parse_args()
    uvloop.run(_main(options.port, options.csms_url, _context(options.certificate, options.key)))
