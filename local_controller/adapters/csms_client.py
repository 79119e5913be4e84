"""How is one WebSocket to the CSMS opened in a station's name? With all that the station said, byte for byte.

Part 4 §6.2: same path segment, same credentials, same order of versions; the CSMS cannot tell us from the station.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from local_controller.adapters.large_messages import LargeMessages
from local_controller.adapters.leg import Leg, LegSettings


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


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no upstream connection, and what the station is told: the HTTP status and its challenges."""

    status: int
    reason: str
    challenges: tuple[str, ...] = ()
    retry_after: str | None = None
    is_tls_failure: bool = False


class CsmsLeg(Leg):
    """Our end of the upstream leg."""

    def __init__(
        self, settings: CsmsSettings, uri: WebSocketURI, offer: Sequence[Subprotocol], large_messages: LargeMessages
    ) -> None:
        leg = settings.leg
        protocol = ClientProtocol(
            uri, subprotocols=offer, extensions=leg.client_extensions(), max_size=leg.max_message_bytes
        )
        super().__init__(protocol, leg, large_messages)
        self.answered: asyncio.Future[None] = self._loop.create_future()
        self.client = protocol

    @property
    def subprotocol(self) -> Subprotocol | None:
        """What the CSMS chose."""
        return self.protocol.subprotocol

    def ask(self, station: Headers) -> None:
        """Sends our half of the handshake, in the words of the station's own."""
        request = self.client.connect()
        for value in station.get_all("Authorization"):
            request.headers["Authorization"] = value
        if agent := next(iter(station.get_all("User-Agent")), None):
            request.headers["User-Agent"] = agent
        self.client.send_request(request)
        self.flush()

    def opened(self, message: Request | Response) -> None:  # noqa: ARG002 - the protocol has read it
        """The CSMS has accepted."""
        if not self.answered.done():
            self.answered.set_result(None)

    def not_opened(self) -> None:
        """The CSMS refused, or is none."""
        if not self.answered.done():
            self.answered.set_exception(self.protocol.handshake_exc or EOFError("connection closed"))


async def dial(
    settings: CsmsSettings,
    segment: str,
    offer: Sequence[Subprotocol],
    station: Headers,
    large_messages: LargeMessages,
) -> CsmsLeg | Refusal:
    """Opens the upstream leg, offering these versions in this order (LC-003).

    segment: the identity as the station encoded it (LC-001). station: the headers of its request; `Authorization`
    (LC-006; ISO-8859-1 keeps every byte) and `User-Agent` are passed on. A refusal with 4xx or 5xx keeps its status, all
    else is 503 (LC-002); redirects are not followed, since credentials go to the configured host only.
    """
    try:
        uri = parse_uri(f"{settings.url.rstrip('/')}/{segment}")
    except InvalidURI as fault:
        return Refusal(503, str(fault))
    leg = CsmsLeg(settings, uri, offer, large_messages)
    try:
        async with asyncio.timeout(settings.dial_timeout_s):
            await asyncio.get_running_loop().create_connection(
                lambda: leg, uri.host, uri.port, ssl=(settings.tls or True) if uri.secure else None
            )
            leg.ask(station)
            await leg.answered
    except InvalidStatus as refused:
        return _refusal(refused.response)
    except (OSError, EOFError, InvalidHandshake, TimeoutError) as fault:
        return Refusal(503, f"{type(fault).__name__}: {fault}", is_tls_failure=isinstance(fault, ssl.SSLError))
    else:
        return leg
    finally:
        if not leg.is_open:
            leg.answered.cancel()
            leg.abort()


def _refusal(response: Response) -> Refusal:
    if not 400 <= response.status_code < 600:
        return Refusal(503, f"the CSMS answered HTTP {response.status_code}, which is not followed")
    return Refusal(
        response.status_code,
        f"the CSMS answered HTTP {response.status_code}",
        tuple(response.headers.get_all("WWW-Authenticate")),
        next(iter(response.headers.get_all("Retry-After")), None),
    )
