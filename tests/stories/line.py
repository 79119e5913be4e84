"""What may happen between a gateway and a meter? A TCP proxy that swallows, delays and alters, as a story says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

HOST = "127.0.0.1"
CHUNK_BYTES = 4096

Alter = Callable[[bytes, bytes], bytes]
"""What becomes of the meter's answer to a question."""


def untouched(_question: bytes, answer: bytes) -> bytes:
    """The answer as it came."""
    return answer


class Line:
    """Spoils what goes through it from the moment it is told to.

    is_black_hole: accepts connections and takes whatever is sent, but nothing comes out at the other end, as where a
    router drops packets. late_s: so long each answer is held back. alter: of each answer. Whoever asks waits for the answer
    before the next question, and both travel in one piece.
    """

    def __init__(self) -> None:
        """As if it were not there."""
        self.is_black_hole = False
        self.late_s = 0.0
        self.alter: Alter = untouched
        self._question = b""
        self.port = 0

    @asynccontextmanager
    async def to(self, port: int) -> AsyncIterator[None]:
        """Listens on `self.port` while it lasts, and leads to `port`."""
        ways: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            way = asyncio.create_task(self._join(reader, writer, port))
            ways.add(way)
            way.add_done_callback(ways.discard)

        server = await asyncio.start_server(serve, HOST, self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for way in list(ways):
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _join(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter, port: int) -> None:
        """One connection, until an end closes it."""
        far_in, far_out = await asyncio.open_connection(HOST, port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._questions(near_in, far_out))
                group.create_task(self._answers(far_in, near_out))
        finally:
            for writer in (near_out, far_out):
                writer.close()

    async def _questions(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while question := await reader.read(CHUNK_BYTES):
                self._question = question
                if not self.is_black_hole:
                    writer.write(question)
        writer.close()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while answer := await reader.read(CHUNK_BYTES):
                await asyncio.sleep(self.late_s)
                if not self.is_black_hole:
                    writer.write(self.alter(self._question, answer))
        writer.close()
