"""How does a station reach the other end? By WebSocket, or by whatever a test puts in its place."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from site_simulator.outlet import StationSpec
from site_simulator.wire import Connection


class Line(Connection, Protocol):
    """A connection that can be lost."""

    def drop(self) -> None:
        """Lose it, as if somebody had pulled the cable."""


Dial = Callable[[StationSpec], AbstractAsyncContextManager[Line]]
"""Connects a station; raises OSError or WebSocketException if that fails."""


class _WebSocketLine:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def recv(self) -> str | bytes:
        return await self._socket.recv()

    async def send(self, message: str) -> None:
        await self._socket.send(message)

    def drop(self) -> None:
        self._socket.transport.abort()


def by_websocket(url: str) -> Dial:
    """`url` is without the identity."""

    @asynccontextmanager
    async def dial(spec: StationSpec) -> AsyncIterator[Line]:
        async with connect(
            f"{url}/{spec.identity}",
            subprotocols=[Subprotocol(spec.version)],
            additional_headers=_authorization(spec),
            proxy=None,
            open_timeout=120,
            ping_interval=60,
            ping_timeout=120,
        ) as socket:
            yield _WebSocketLine(socket)

    return dial


def _authorization(spec: StationSpec) -> dict[str, str]:
    if spec.password is None:
        return {}
    pair = f"{spec.identity}:{spec.password}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
