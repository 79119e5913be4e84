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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import unquote

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidHeader
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from local_controller.adapters.csms_client import (
    CsmsConnection,
    CsmsSettings,
    LegSettings,
    PromptlyClosed,
    Refusal,
    dial,
)
from local_controller.adapters.driver import Outlets, StationDriver
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
    """Where stations find us, and where we find the CSMS. port: 0 for any free one."""

    host: str
    port: int
    csms: CsmsSettings
    leg: LegSettings = field(default_factory=LegSettings)
    tls: ssl.SSLContext | None = None


class StationConnection(PromptlyClosed, ServerConnection):
    """Our end of the downstream leg."""


@dataclass(eq=False, slots=True)
class _Session:
    """One station that got through to the CSMS: from the dialled upstream leg until both legs are closed.

    relayed: set when its relay has ended; None before there is one.
    """

    identity: str
    credentials: list[str]
    station: ServerConnection
    csms: CsmsConnection
    version: OcppVersion | None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    relayed: asyncio.Event | None = None


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
        self._server: Server | None = None
        self._drivers: dict[str, StationDriver] = {}
        self._sessions: dict[str, _Session] = {}
        self._doors: dict[str, asyncio.Lock] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def drivers(self) -> Mapping[str, StationDriver]:
        """The connected stations by identity; a live view."""
        return MappingProxyType(self._drivers)

    @property
    def port(self) -> int:
        """The TCP port that stations dial, once started."""
        assert self._server, "not started"  # noqa: S101 - misuse by us
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def start(self) -> None:
        """Opens the door to the stations. Raises OSError when the address is in use."""
        settings = self._settings
        self._server = await serve(
            self._serve,
            settings.host,
            settings.port,
            process_request=self._admit,
            select_subprotocol=self._chosen_subprotocol,
            create_connection=StationConnection,
            open_timeout=settings.csms.dial_timeout_s + ALIVE_S + 5.0,
            server_header=None,
            backlog=BACKLOG,
            ssl=settings.tls,
            **settings.leg.arguments(),
        )

    async def stop(self) -> None:
        """Closes all connections on both legs (1001) and waits for their end."""
        if self._server:
            self._server.close()
            await self._server.wait_closed()
            await asyncio.gather(*self._leaving)

    # --- the handshake -------------------------------------------------------------------------------------------

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """The HTTP answer for a station that may not come in; None lets it in, with its upstream leg dialled."""
        identity = _identity(request)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return connection.respond(HTTPStatus.UPGRADE_REQUIRED, "OCPP-J speaks WebSocket.\n")
        if not self._known(identity):
            self._log.warning("unknown_station", identity=identity, address=str(connection.remote_address))
            return connection.respond(HTTPStatus.NOT_FOUND, "No such station at this site.\n")
        offer = _common_subprotocols(request)
        if not offer:
            return None  # completed without a subprotocol, then closed by `_serve` (LC-004)
        async with self._doors.setdefault(identity, asyncio.Lock()):
            if not await self._make_room(identity, request):
                return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "This identity is connected already.\n")
            return await self._dial(connection, request, offer)

    async def _make_room(self, identity: str, request: Request) -> bool:
        """Closes the session that `identity` already has, if it must give way; see the module's text."""
        old = self._sessions.get(identity)
        if old is None:
            return True
        if request.headers.get_all("Authorization") != old.credentials and await _is_alive(old.station):
            self._log.warning("second_connection_refused", station=identity)
            return False
        self._log.info("connection_replaced", station=identity)
        await asyncio.gather(*(leg.close(1001, "replaced by a new connection") for leg in (old.station, old.csms)))
        await old.over.wait()
        return True

    async def _dial(self, connection: ServerConnection, request: Request, offer: list[Subprotocol]) -> Response | None:
        """The CSMS's refusal for the station (LC-002), or None when the upstream leg is open."""
        identity = _identity(request)
        csms = await dial(self._settings.csms, _segment(request), offer, request.headers)
        if isinstance(csms, Refusal):
            event = "csms_tls_failed" if csms.is_tls_failure else "csms_refused"
            self._log.warning(event, station=identity, status=csms.status, reason=csms.reason)
            return _copied_refusal(connection, csms)
        credentials = request.headers.get_all("Authorization")
        session = _Session(identity, credentials, connection, csms, _version(csms, offer))
        self._sessions[identity] = session
        task = asyncio.get_running_loop().create_task(self._see_out(session))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return None

    def _chosen_subprotocol(self, connection: ServerConnection, _: object) -> Subprotocol | None:
        """What the CSMS chose, also if that is nothing (LC-003)."""
        session = self._session_of(connection)
        return session.csms.subprotocol if session else None

    # --- a connected station -------------------------------------------------------------------------------------

    async def _serve(self, connection: ServerConnection) -> None:
        """Relays for a station whose handshake is complete."""
        session = self._session_of(connection)
        if session is None or session.version is None:
            await connection.close(1002, "no common OCPP version")
            return
        identity = session.identity
        proxy = self._make_proxy(identity, session.version, self._clock.now())
        legs = {Peer.STATION: connection, Peer.CSMS: session.csms}
        driver = StationDriver(identity, proxy, legs, self._clock, self._outlets)
        self._drivers[identity] = driver
        session.relayed = asyncio.Event()
        try:
            await driver.run()
        finally:
            del self._drivers[identity]
            session.relayed.set()

    async def _see_out(self, session: _Session) -> None:
        """No upstream leg outlives its station, whatever became of the handshake (LC-038).

        The identity is free again when its relay has told all it had to tell.
        """
        await session.station.wait_closed()
        await session.csms.close(1001)
        if session.relayed:
            await session.relayed.wait()
        del self._sessions[session.identity]
        session.over.set()

    def _session_of(self, connection: ServerConnection) -> _Session | None:
        session = self._sessions.get(_identity(connection.request)) if connection.request else None
        return session if session and session.station is connection else None


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


def _version(csms: CsmsConnection, offer: list[Subprotocol]) -> OcppVersion | None:
    """The version to read messages in; a CSMS that names none can only have meant the only one offered."""
    chosen = csms.subprotocol or (offer[0] if len(offer) == 1 else None)
    return OcppVersion(chosen) if chosen else None


def _copied_refusal(connection: ServerConnection, refusal: Refusal) -> Response:
    response = connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{refusal.reason}\n")
    response.status_code = refusal.status
    response.reason_phrase = next((one.phrase for one in HTTPStatus if one == refusal.status), "Refused by the CSMS")
    for challenge in refusal.challenges:
        response.headers["WWW-Authenticate"] = challenge
    return response


async def _is_alive(connection: ServerConnection) -> bool:
    try:
        async with asyncio.timeout(ALIVE_S):
            await (await connection.ping())
    except (TimeoutError, ConnectionClosed):
        return False
    return True
