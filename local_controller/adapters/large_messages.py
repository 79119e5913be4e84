"""How much memory may messages take that are still on their way in? A few large ones at a time, for all legs together.

A message may have 8 MiB (LC-014), and hundreds of stations could send one at once: whoever holds more than a share of
it must have one of a few places, or is not read until one is free. A place is not for ever: who does not finish in time
is cut off.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

LARGE_BYTES: Final = 256 * 1024  # of an unfinished message, from which on it needs a place; one read of a socket
PLACES: Final = 8  # together 64 MiB at the usual limit of a message
PATIENCE_S: Final = 60.0  # 8 MiB in a minute is 1.1 Mbit/s, which a bad mobile link has


class Sender(Protocol):
    """A leg, as far as this is concerned."""

    def hold(self, why: int) -> None:
        """Stop reading it."""

    def release(self, why: int) -> None:
        """Go on."""

    def fail(self, code: int, reason: str) -> None:
        """End it."""


class LargeMessages:
    """The places, and who waits for one."""

    def __init__(self, reason: int, places: int = PLACES, patience_s: float = PATIENCE_S) -> None:
        """`reason`: with which legs are held."""
        self._reason = reason
        self._places = places
        self._patience_s = patience_s
        self._inside: dict[Sender, asyncio.TimerHandle] = {}
        self._waiting: deque[Sender] = deque()

    def watch(self, leg: Sender, unfinished_bytes: int) -> None:
        """`leg` holds so much of messages that are not complete."""
        if unfinished_bytes <= LARGE_BYTES:
            if self._inside:
                self.leave(leg)
        elif leg not in self._inside and leg not in self._waiting:
            if len(self._inside) < self._places:
                self._enter(leg)
            else:
                self._waiting.append(leg)
                leg.hold(self._reason)

    def leave(self, leg: Sender) -> None:
        """`leg` has finished its message, or is gone; the next one may go on."""
        if leg in self._waiting:
            self._waiting.remove(leg)
        if (timer := self._inside.pop(leg, None)) is None:
            return
        timer.cancel()
        if self._waiting:
            following = self._waiting.popleft()
            self._enter(following)
            # Not at once: it may finish and let the next one on, and so on, each in the call of the one before.
            asyncio.get_running_loop().call_soon(following.release, self._reason)

    def _enter(self, leg: Sender) -> None:
        loop = asyncio.get_running_loop()
        self._inside[leg] = loop.call_later(self._patience_s, leg.fail, 1008, "a large message took too long")
