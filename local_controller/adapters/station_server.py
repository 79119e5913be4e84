"""Who may connect, and with which connection to the CSMS? The CSMS decides, inside the station's own handshake.

Mirror mode (Part 4 §6.2, §6.3): each station's handshake dials the CSMS with the same identity, credentials and versions,
and gets the CSMS's answer. Both legs live and die together.

A second connection of an identity (LC-016) must not give the CSMS two sockets of it, so the first is closed, on both
legs, before the second is dialled. To keep a stranger from throwing out a station in this way, that happens only if the
newcomer shows the same credentials, or the first no longer answers a ping; otherwise the newcomer gets 503.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import unquote

from websockets.exceptions import InvalidHeader
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from local_controller.adapters.csms_client import CsmsLeg, CsmsSettings, Refusal, dial
from local_controller.adapters.driver import Outlets, StationDriver
from local_controller.adapters.large_messages import LargeMessages
from local_controller.adapters.leg import ROOM, Leg, LegSettings
from local_controller.clock import Clock, Instant
from local_controller.station.effects import Peer
from local_controller.station.proxy import StationProxy
from local_controller.station.words import OcppVersion

BACKLOG = 4096  # with 100, a site of 500 stations took three times as long to come back after a power cut
ALIVE_S = 2.0  # a station that is there answers a ping within this time
_VERSIONS = frozenset(version.value for version in OcppVersion)

MakeProxy = Callable[[str, OcppVersion, Instant], StationProxy]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where stations find us, and where we find the CSMS. port: 0 for any free one.

    handshake_timeout_s: for a station's half of the opening handshake, and before it for that of TLS.
    """

    host: str
    port: int
    csms: CsmsSettings
    leg: LegSettings = field(default_factory=LegSettings)
    tls: ssl.SSLContext | None = None
    handshake_timeout_s: float = 10.0


class StationLeg(Leg):
    """Our end of the downstream leg."""

    def __init__(
        self, settings: ServerSettings, large_messages: LargeMessages, admit: Callable[[StationLeg], None]
    ) -> None:
        leg = settings.leg
        self.server = ServerProtocol(extensions=leg.server_extensions(), max_size=leg.max_message_bytes)
        super().__init__(self.server, leg, large_messages)
        self._admit = admit
        self._patience_s = settings.handshake_timeout_s
        self._deadline: asyncio.TimerHandle | None = None
        self._request: Request | None = None

    @property
    def request(self) -> Request:
        """What the station asked for; only until it is answered."""
        assert self._request is not None  # noqa: S101 - misuse by us
        return self._request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A request that dribbles in has so long and no longer."""
        self._deadline = self._loop.call_later(self._patience_s, self.abort)
        super().connection_made(transport)

    def opened(self, message: Request | Response) -> None:
        """The request is complete: let somebody judge it."""
        assert isinstance(message, Request)  # noqa: S101 - what a server receives
        self._be_patient()
        self._request = message
        self._admit(self)

    def not_opened(self) -> None:
        """The request is none, or the station has left: the protocol has answered what there is to answer."""
        self._be_patient()

    def _be_patient(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

    def accept(self) -> Response:
        """The answer 101, or another one if the request has a fault; it is not sent yet."""
        return self.server.accept(self.request)

    def answer(self, response: Response) -> bool:
        """Sends the answer; False if the station has not waited for it."""
        self._request = None
        if self.protocol.state is not State.CONNECTING or self.gone.done():
            return False
        self.server.send_response(response)
        self.flush()
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._abort_later()
        return self.is_open

    def refuse(self, status: int, text: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Answers with an error."""
        response = self.server.reject(HTTPStatus.SERVICE_UNAVAILABLE, text)
        response.status_code = status
        response.reason_phrase = next((one.phrase for one in HTTPStatus if one == status), "Refused by the CSMS")
        for name, value in headers:
            response.headers[name] = value
        self.answer(response)

    def refuse_as(self, refusal: Refusal) -> None:
        """Passes a refusal of the CSMS on (LC-002)."""
        headers = [("WWW-Authenticate", challenge) for challenge in refusal.challenges]
        if refusal.retry_after is not None:
            headers.append(("Retry-After", refusal.retry_after))
        self.refuse(refusal.status, f"{refusal.reason}\n", headers)


class _TlsGate(asyncio.Protocol):
    """A new connection on which TLS comes first. We start it ourselves, since a server's own would fail in silence."""

    def __init__(self, encrypt: Callable[[asyncio.Transport], None]) -> None:
        self._encrypt = encrypt

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Not a byte is read before the encryption is there."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a TCP server makes
        transport.pause_reading()
        self._encrypt(transport)


@dataclass(eq=False, slots=True)
class _Session:
    """One station that got through to the CSMS: from the open upstream leg until both legs are gone."""

    identity: str
    credentials: list[str]
    station: StationLeg
    csms: CsmsLeg
    driver: StationDriver
    over: asyncio.Event = field(default_factory=asyncio.Event)


class StationServer:
    """The WebSocket server that all stations of the site connect to."""

    def __init__(
        self,
        settings: ServerSettings,
        clock: Clock,
        known: Callable[[str], bool],
        make_proxy: MakeProxy,
        outlets: Outlets,
    ) -> None:
        """`known` says whether an identity belongs to the site (else 404); `make_proxy` is called per connection."""
        self._settings = settings
        self._clock = clock
        self._known = known
        self._make_proxy = make_proxy
        self._outlets = outlets
        self._log = outlets.log
        self._server: asyncio.Server | None = None
        self._large_messages = LargeMessages(ROOM)
        self._drivers: dict[str, StationDriver] = {}
        self._sessions: dict[str, _Session] = {}
        self._doors: dict[str, asyncio.Lock] = {}
        self._arriving: set[asyncio.Task[None]] = set()

    @property
    def drivers(self) -> Mapping[str, StationDriver]:
        """The connected stations by identity; a live view."""
        return MappingProxyType(self._drivers)

    @property
    def port(self) -> int:
        """The TCP port that stations dial, once started."""
        assert self._server, "not started"  # noqa: S101 - misuse by us
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Opens the door to the stations. Raises OSError when the address is in use."""
        settings = self._settings
        self._server = await asyncio.get_running_loop().create_server(
            self._gate if settings.tls else self._leg, settings.host, settings.port, backlog=BACKLOG
        )

    async def stop(self) -> None:
        """Closes all connections on both legs (1001) and waits for their end."""
        if self._server is None:
            return
        self._server.close()
        for task in self._arriving:
            task.cancel()
        await asyncio.gather(*self._arriving, return_exceptions=True)
        await asyncio.gather(*(self._finish(session, "") for session in list(self._sessions.values())))
        await self._server.wait_closed()

    # --- the handshake -------------------------------------------------------------------------------------------

    def _leg(self) -> StationLeg:
        return StationLeg(self._settings, self._large_messages, lambda leg: self._spawn(self._admit(leg)))

    def _gate(self) -> _TlsGate:
        return _TlsGate(lambda transport: self._spawn(self._encrypt(transport)))

    def _spawn(self, arrival: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(arrival)
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _encrypt(self, transport: asyncio.Transport) -> None:
        """The TLS handshake; then the station's leg begins on the encrypted transport."""
        leg, address = self._leg(), transport.get_extra_info("peername")
        context, timeout_s = self._settings.tls, self._settings.handshake_timeout_s
        assert context is not None  # noqa: S101 - else there is no gate
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                transport, leg, context, server_side=True, ssl_handshake_timeout=timeout_s
            )
        except OSError as fault:  # of TLS, of the network, or a time-out
            transport.abort()
            self._log.warning("station_tls_failed", address=str(address), reason=f"{type(fault).__name__}: {fault}")
            return
        if encrypted is not None:
            leg.connection_made(encrypted)

    async def _admit(self, leg: StationLeg) -> None:
        """Judges a request, dials the CSMS in its name, and answers it."""
        request, identity = leg.request, _identity(leg.request)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            leg.refuse(HTTPStatus.UPGRADE_REQUIRED, "OCPP-J speaks WebSocket.\n", [("Upgrade", "websocket")])
            return
        if not self._known(identity):
            self._log.warning("unknown_station", identity=identity, address=leg.address)
            leg.refuse(HTTPStatus.NOT_FOUND, "No such station at this site.\n")
            return
        response, offer = leg.accept(), _common_subprotocols(request)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            leg.answer(response)
        elif not offer:  # completed without a subprotocol, then closed (LC-004)
            leg.answer(response)
            leg.close(1002, "no common OCPP version")
        else:
            async with self._doors.setdefault(identity, asyncio.Lock()):
                await self._let_in(leg, identity, response, offer)

    async def _let_in(self, leg: StationLeg, identity: str, response: Response, offer: list[Subprotocol]) -> None:
        """Connects with the CSMS, unless another connection of this identity must not give way."""
        request = leg.request
        if not await self._make_room(identity, request):
            leg.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "This identity is connected already.\n")
            return
        csms = await dial(self._settings.csms, _segment(request), offer, request.headers, self._large_messages)
        if isinstance(csms, Refusal):
            event = "csms_tls_failed" if csms.is_tls_failure else "csms_refused"
            self._log.warning(event, station=identity, status=csms.status, reason=csms.reason)
            leg.refuse_as(csms)
            return
        if csms.subprotocol is not None:  # what the CSMS chose, also if that is nothing (LC-003)
            response.headers["Sec-WebSocket-Protocol"] = csms.subprotocol
        version = _version(csms, offer)
        if not leg.answer(response):
            csms.close(1001)  # no upstream leg outlives its station (LC-038)
        elif version is None:
            await asyncio.gather(*(one.end(1002, "no common OCPP version") for one in (leg, csms)))
        else:
            self._start(identity, request.headers.get_all("Authorization"), leg, csms, version)

    async def _make_room(self, identity: str, request: Request) -> bool:
        """Closes the session that `identity` already has, if it must give way; see the module's text."""
        old = self._sessions.get(identity)
        if old is None:
            return True
        if request.headers.get_all("Authorization") != old.credentials and await old.station.is_alive(ALIVE_S):
            self._log.warning("second_connection_refused", station=identity)
            return False
        self._log.info("connection_replaced", station=identity)
        await self._finish(old, "replaced by a new connection")
        return True

    # --- a connected station -------------------------------------------------------------------------------------

    def _start(
        self, identity: str, credentials: list[str], station: StationLeg, csms: CsmsLeg, version: OcppVersion
    ) -> None:
        """Relays for a station whose handshake is complete, until both legs are gone."""
        proxy = self._make_proxy(identity, version, self._clock.now())
        legs = {Peer.STATION: station, Peer.CSMS: csms}
        driver = StationDriver(identity, proxy, legs, self._clock, self._outlets)
        session = _Session(identity, credentials, station, csms, driver)
        self._sessions[identity] = session
        self._drivers[identity] = driver
        for leg in (station, csms):
            leg.gone.add_done_callback(lambda _: self._left(session))
        driver.start()

    def _left(self, session: _Session) -> None:
        """A leg is gone; after both, the identity is free again, and all is told that there was to tell."""
        if session.station.gone.done() and session.csms.gone.done() and not session.over.is_set():
            session.driver.stop()
            del self._drivers[session.identity], self._sessions[session.identity]
            session.over.set()

    async def _finish(self, session: _Session, reason: str) -> None:
        """Closes both legs and waits for their end."""
        session.station.close(1001, reason)
        session.csms.close(1001, reason)
        await session.over.wait()


def _segment(request: Request) -> str:
    """The last segment of the path, raw, as the station encoded it (LC-001); nothing else of it counts (LC-005)."""
    return request.path.partition("?")[0].rpartition("/")[2]


def _identity(request: Request) -> str:
    return unquote(_segment(request))


def _common_subprotocols(request: Request) -> list[Subprotocol]:
    """The station's versions that we speak, in the station's order; none if its header is unreadable."""
    try:
        offered = [
            one for value in request.headers.get_all("Sec-WebSocket-Protocol") for one in parse_subprotocol(value)
        ]
    except InvalidHeader:
        return []
    return [one for one in offered if one in _VERSIONS]


def _version(csms: CsmsLeg, offer: list[Subprotocol]) -> OcppVersion | None:
    """The version to read messages in; a CSMS that names none can only have meant the only one offered."""
    chosen = csms.subprotocol or (offer[0] if len(offer) == 1 else None)
    return OcppVersion(chosen) if chosen else None
