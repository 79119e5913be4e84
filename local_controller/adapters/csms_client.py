"""How is one WebSocket to the CSMS opened in a station's name? With all that the station said, byte for byte.

Part 4 §6.2: same path segment, same credentials, same order of versions; the CSMS cannot tell us from the station.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.connection import Connection
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.protocol import State
from websockets.typing import Subprotocol

MAX_MESSAGE_BYTES = 8 * 1024 * 1024  # LC-014


@dataclass(frozen=True, slots=True)
class LegSettings:
    """How we keep one leg.

    ping_interval_s: 0 for never; a missing pong counts as loss after interval + timeout (LC-015).
    close_timeout_s: a peer that does not finish the closing handshake in time is cut off (LC-036).
    compress: whether permessage-deflate is negotiated; off, because its buffers cost more memory than all the rest.
    queue: messages read ahead of their handling; each may be as large as `MAX_MESSAGE_BYTES`.
    """

    ping_interval_s: float = 30.0
    ping_timeout_s: float = 20.0
    close_timeout_s: float = 0.9
    compress: bool = False
    queue: int = 4

    def arguments(self) -> dict[str, Any]:
        """As `websockets` names them, for clients and servers alike."""
        return {
            "max_size": MAX_MESSAGE_BYTES,
            "max_queue": self.queue,
            "ping_interval": self.ping_interval_s or None,
            "ping_timeout": self.ping_timeout_s,
            "close_timeout": self.close_timeout_s,
            "compression": "deflate" if self.compress else None,
        }


@dataclass(frozen=True, slots=True)
class CsmsSettings:
    """Where the CSMS is.

    url: ws:// or wss:// address to which "/" and the identity are appended. dial_timeout_s: when a CSMS that does not
    answer counts as unreachable. tls: for wss; None verifies chain and host name with the system's authorities (LC-010).
    """

    url: str
    leg: LegSettings = field(default_factory=LegSettings)
    dial_timeout_s: float = 8.0
    tls: ssl.SSLContext | None = None


class PromptlyClosed(Connection):
    """A connection that ends within its close timeout, also when the peer never ends the TCP connection."""

    closing: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        """After a Close frame or a protocol error `websockets` would wait for the peer without limit."""
        super().data_received(data)
        if self.closing is None and self.protocol.close_expected():
            self.closing = self.loop.create_task(self.close())

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Harmless at any time; `websockets` fails when the end comes from elsewhere while much is still unsent."""
        if self.protocol.state is State.OPEN:
            await super().close(code, reason)
        elif self.protocol.state is not State.CLOSED:
            try:
                async with asyncio.timeout(self.close_timeout):
                    await self.wait_closed()
            except TimeoutError:
                self.transport.abort()


class CsmsConnection(PromptlyClosed, ClientConnection):
    """Our end of the upstream leg."""


class _Dial(connect):
    """An attempt that does not follow redirects: credentials go to the configured host only."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Makes every redirect a refusal."""
        return exc


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no upstream connection, and what the station is told: the HTTP status and its challenges."""

    status: int
    reason: str
    challenges: tuple[str, ...] = ()
    is_tls_failure: bool = False


async def dial(
    settings: CsmsSettings, segment: str, offer: Sequence[Subprotocol], station: Headers
) -> CsmsConnection | Refusal:
    """Opens the upstream leg, offering these versions in this order (LC-003).

    segment: the identity as the station encoded it (LC-001). station: the headers of its request; `Authorization`
    (LC-006; ISO-8859-1 keeps every byte) and `User-Agent` are passed on. A refusal with 4xx or 5xx keeps its status, all
    else is 503 (LC-002).
    """
    attempt = _Dial(
        f"{settings.url.rstrip('/')}/{segment}",
        subprotocols=offer,
        additional_headers=[("Authorization", value) for value in station.get_all("Authorization")],
        user_agent_header=next(iter(station.get_all("User-Agent")), None),
        open_timeout=settings.dial_timeout_s,
        create_connection=CsmsConnection,
        proxy=None,
        **settings.leg.arguments(),
        ssl=(settings.tls or True) if settings.url.startswith("wss:") else None,
    )
    try:
        connection = await attempt
    except InvalidStatus as refused:
        return _refusal(refused)
    except (OSError, InvalidHandshake, TimeoutError) as fault:
        return Refusal(503, f"{type(fault).__name__}: {fault}", is_tls_failure=isinstance(fault, ssl.SSLError))
    assert isinstance(connection, CsmsConnection)  # noqa: S101 - the class given above
    return connection


def _refusal(refused: InvalidStatus) -> Refusal:
    response = refused.response
    if not 400 <= response.status_code < 600:
        return Refusal(503, f"the CSMS answered HTTP {response.status_code}, which is not followed")
    challenges = tuple(response.headers.get_all("WWW-Authenticate"))
    return Refusal(response.status_code, f"the CSMS answered HTTP {response.status_code}", challenges)
