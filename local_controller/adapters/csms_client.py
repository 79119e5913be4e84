"""How is one WebSocket to the CSMS opened in a station's name? With all that the station said, byte for byte.

Part 4 §6.2: same path segment, same credentials, same order of versions; the CSMS cannot tell us from the station.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus, InvalidURI
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from local_controller.adapters.decrypted import Decrypted
from local_controller.adapters.handshake import address, request_head, take_plain_acceptance
from local_controller.adapters.large_messages import LargeMessages
from local_controller.adapters.leg import Leg, LegSettings
from local_controller.adapters.lookups import addresses
from local_controller.adapters.redirects import MAX_REDIRECTS, described, followed
from local_controller.adapters.routing import Upstream, offers
from local_controller.station.words import OcppVersion

_LOGGER: Final = logging.getLogger("websockets.client")  # which each would look up anew
_OF_ONE_LEG: Final = frozenset(
    {"host", "connection", "upgrade", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"}
)
"""Hop-by-hop headers (RFC 9110 §7.6.1), and the host; besides, those that `Connection` names."""


_VERDICTS: Final = frozenset({400, 401, 403, 404})
"""Bad request, unauthorized, forbidden, not found; all else is an outage, such as 502 of a proxy whose CSMS restarts."""


@dataclass(frozen=True, slots=True)
class CsmsSettings:
    """A CSMS and how it is dialled.

    upstream: its addresses. dial_timeout_s: when a CSMS that does not answer counts as unreachable. tls: for wss; None
    verifies chain and host name with the system's authorities (LC-010).
    """

    upstream: Upstream
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

    @property
    def event(self) -> str:
        """How it is logged."""
        return "csms_tls_failed" if self.is_tls_failure else "csms_refused"

    @property
    def is_verdict(self) -> bool:
        """Whether the CSMS, and nothing in front of it that is out of order, says that it does not want this station."""
        return self.status in _VERDICTS


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a station says of itself, and we in its name.

    segment: its identity as it encoded it, with the query if there is one (LC-001). headers: those of its request; all
    but those that concern one leg are passed on, as `Authorization` (LC-006; ISO-8859-1 keeps every byte). names_version:
    whether it names any; who does not is passed on so, and the CSMS decides.
    """

    segment: str
    headers: Headers
    names_version: bool = True


class CsmsLeg(Leg):
    """Our end of the upstream leg."""

    __slots__ = ("answered", "client", "offer")

    def __init__(
        self,
        settings: CsmsSettings,
        uri: WebSocketURI,
        offer: Sequence[OcppVersion],
        large_messages: LargeMessages,
        *,
        names_version: bool = True,
    ) -> None:
        leg = settings.leg
        subprotocols = [Subprotocol(version.value) for version in offer] if names_version else []
        protocol = ClientProtocol(
            uri,
            subprotocols=subprotocols,
            extensions=leg.client_extensions(),
            max_size=leg.max_message_bytes,
            logger=_LOGGER,
        )
        super().__init__(protocol, leg, large_messages)
        self.offer = tuple(offer)
        self.answered: asyncio.Future[Exception | None] = self._loop.create_future()
        self.client = protocol

    @property
    def subprotocol(self) -> Subprotocol | None:
        """What the CSMS chose."""
        return self.protocol.subprotocol

    @property
    def version(self) -> OcppVersion | None:
        """The version to read messages in; a CSMS that names none can only have meant the only one in question."""
        if self.subprotocol is not None:
            return OcppVersion(self.subprotocol)
        return self.offer[0] if len(self.offer) == 1 else None

    def ask(self, station: Headers) -> None:
        """Sends our half of the handshake, in the words of the station's own."""
        named = {name.strip().lower() for value in station.get_all("Connection") for name in value.split(",")}
        of_one_leg = _OF_ONE_LEG | named - {"authorization"}  # a station cannot take back what it was judged by
        others = [
            (name, value)
            for name, value in station.raw_items()
            if (lower := name.lower()) not in of_one_leg and not lower.startswith("sec-websocket-")
        ]
        if self.transport is not None:
            self.transport.write(request_head(self.client, others))

    def take_plain_head(self, head: bytes) -> bool:
        """Reads a plain answer 101."""
        if not take_plain_acceptance(self.client, head):
            return False
        self._accepted()
        return True

    def opened(self, message: Request | Response) -> None:  # noqa: ARG002 - the protocol has read it
        """The CSMS has accepted in another way."""
        self._accepted()

    def _accepted(self) -> None:
        self.ready()
        if not self.answered.done():
            self.answered.set_result(None)

    def not_opened(self) -> None:
        """The CSMS refused, or is none. Raised here, the reason would hold what it is held by (`garbage`)."""
        if not self.answered.done():
            self.answered.set_result(self.protocol.handshake_exc or EOFError("connection closed"))


async def connect(
    settings: CsmsSettings,
    station: Introduction,
    offer: Sequence[OcppVersion],
    large_messages: LargeMessages,
) -> CsmsLeg | Refusal:
    """Opens the upstream leg at the first of the CSMS's addresses that takes one of these versions; else its first refusal.

    A CSMS with one address is dialled once, and what it answers is the answer, also if it names no version.
    """
    refusal: Refusal | None = None
    dials = offers(settings.upstream, offer)
    for number, (url, versions) in enumerate(dials, 1):
        answer = await dial(settings, url, station, versions, large_messages)
        if isinstance(answer, Refusal):
            refusal = refusal or answer
        elif answer.subprotocol is None and number < len(dials):
            await answer.end(1000)
        else:
            return answer
    return refusal or Refusal(503, "the CSMS has no address for these versions")


async def dial(
    settings: CsmsSettings,
    url: str,
    station: Introduction,
    offer: Sequence[OcppVersion],
    large_messages: LargeMessages,
) -> CsmsLeg | Refusal:
    """Opens the upstream leg at one address, offering these versions in this order (LC-003).

    url: ws:// or wss:// address to which "/" and the segment are appended. A refusal with 4xx or 5xx keeps its status, all
    else is 503 (LC-002); what redirects are followed, says `redirects`.
    """
    try:
        uri = address(url, station.segment)
    except InvalidURI:
        return Refusal(503, "the station's path makes no address")  # which may hold a secret in its query
    try:
        async with asyncio.timeout(settings.dial_timeout_s):
            answer = await _asked(settings, uri, station, offer, large_messages)
            for _ in range(MAX_REDIRECTS):
                to = followed(uri, answer.response) if isinstance(answer, InvalidStatus) else None
                if to is None:
                    break
                uri, answer = to, await _asked(settings, to, station, offer, large_messages)
    except TimeoutError as fault:
        return _refusal(uri, fault)
    return answer if isinstance(answer, CsmsLeg) else _refusal(uri, answer)


async def _asked(
    settings: CsmsSettings,
    uri: WebSocketURI,
    station: Introduction,
    offer: Sequence[OcppVersion],
    large_messages: LargeMessages,
) -> CsmsLeg | Exception:
    """The open leg, or why there is none; nothing of it stays behind then."""
    leg = CsmsLeg(settings, uri, offer, large_messages, names_version=station.names_version)
    is_wanted = False
    try:
        await _open(leg, uri, (settings.tls or True) if uri.secure else None)
        leg.ask(station.headers)
        refused = await leg.answered
    except OSError as fault:
        return fault.with_traceback(None)  # which holds this frame, and by it the leg (`garbage`)
    else:
        is_wanted = refused is None  # else it was refused, or whoever dials has given up in this very moment
        return refused or leg
    finally:
        if not (is_wanted and leg.is_open):
            leg.answered.cancel()
            leg.give_up()


async def _open(leg: CsmsLeg, uri: WebSocketURI, tls: ssl.SSLContext | bool | None) -> None:
    """Connects at the first of the host's addresses that lets us; OSError of the last one, ssl.SSLError of any."""
    loop, name = asyncio.get_running_loop(), uri.host if tls else None

    def made() -> asyncio.BaseProtocol:
        return Decrypted(leg) if tls else leg

    *others, last = await addresses(uri.host)
    for one in others:
        try:
            await loop.create_connection(made, one, uri.port, ssl=tls, server_hostname=name)
        except ssl.SSLError:
            raise
        except OSError:
            continue
        return
    await loop.create_connection(made, last, uri.port, ssl=tls, server_hostname=name)


def _refusal(uri: WebSocketURI, fault: Exception) -> Refusal:
    if not isinstance(fault, InvalidStatus):
        return Refusal(503, f"{type(fault).__name__}: {fault}", is_tls_failure=isinstance(fault, ssl.SSLError))
    response, said = fault.response, described(uri, fault.response)
    if not 400 <= response.status_code < 600:
        return Refusal(503, said)
    return Refusal(
        response.status_code,
        said,
        tuple(response.headers.get_all("WWW-Authenticate")),
        next(iter(response.headers.get_all("Retry-After")), None),
    )
