"""How is what TLS has decrypted handed over? In a buffer of its size.

Event loops read a protocol's TLS into 256 KiB at a time, cut to what has come: three system calls and fresh pages for each
message of a few hundred bytes, since blocks of that size come from the machine one by one (`freed_memory`). Who offers a
buffer is asked for one as large as what is waiting.
"""

from __future__ import annotations

import asyncio
from typing import Final

MOST_BYTES: Final = 64 * 1024
"""At a time: what is left is read next."""

_NOBODY: Final = asyncio.Protocol()


class Decrypted(asyncio.BufferedProtocol):
    """Stands before a protocol on a connection with TLS."""

    __slots__ = ("_behind", "_buffer")

    def __init__(self, behind: asyncio.Protocol) -> None:
        """`behind` sees nothing of it."""
        self._behind = behind
        self._buffer = memoryview(b"")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS has shaken hands."""
        self._behind.connection_made(transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """For so many bytes, or some more."""
        self._buffer = memoryview(bytearray(min(max(sizehint, 1), MOST_BYTES)))
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many have come."""
        data, self._buffer = bytes(self._buffer[:nbytes]), memoryview(b"")
        self._behind.data_received(data)

    def eof_received(self) -> bool | None:
        """The peer sends no more."""
        return self._behind.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone. Event loops keep our methods, by which the protocol would be held by what it holds (`garbage`)."""
        behind, self._behind = self._behind, _NOBODY
        behind.connection_lost(exc)

    def pause_writing(self) -> None:
        """The peer does not read as fast as it is sent."""
        self._behind.pause_writing()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._behind.resume_writing()
