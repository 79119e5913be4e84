"""A WebSocket client for tests that end connections the hard way."""

from __future__ import annotations

import asyncio

from websockets.asyncio.client import ClientConnection
from websockets.protocol import State


class RobustClient(ClientConnection):
    """Ends within its close timeout; the plain one of `websockets` fails when it is closed with much still unsent."""

    closing: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.closing is None and self.protocol.close_expected():
            self.closing = self.loop.create_task(self.close())

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self.protocol.state is State.OPEN:
            await super().close(code, reason)
        elif self.protocol.state is not State.CLOSED:
            try:
                async with asyncio.timeout(self.close_timeout):
                    await self.wait_closed()
            except TimeoutError:
                self.transport.abort()
