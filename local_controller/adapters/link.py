"""What does a driver need of a way to a peer? A leg has it, and so has something that has a leg at times (`uplink`)."""

from __future__ import annotations

import asyncio
from typing import Protocol

from local_controller.adapters.leg import Ear


class Link(Protocol):
    """Each as the method of `Leg`."""

    gone: asyncio.Future[None]

    @property
    def unsent_bytes(self) -> int:
        """What its peer has yet to take."""

    def attend(self, ear: Ear) -> None:
        """Hands over all messages from now on."""

    def send(self, text: str) -> None:
        """Sends a text message."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Ends it."""

    def abort(self) -> None:
        """Cuts the connection off."""

    def hold(self, why: int) -> None:
        """Reads no more until the same reason is released."""

    def release(self, why: int) -> None:
        """Reads on."""
