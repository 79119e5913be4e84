"""Who may connect, and with which connection to the CSMS? The CSMS decides, inside the station's own handshake.

Mirror mode (Part 4 §6.2, §6.3): each station's handshake dials the CSMS with the same identity, credentials and versions,
and gets the CSMS's answer. Both legs live and die together.

A second connection of an identity (LC-016) must not give the CSMS two sockets of it, so the first is closed, on both
legs, before the second is dialled. To keep a stranger from throwing out a station in this way, that happens only if the
newcomer proves to be the station, by its certificate or a password that the CSMS accepted or just sent it, or if the first
no longer answers a ping; otherwise the newcomer gets 503.

Where the site file says so a station is served also while its CSMS is away (`uplink`): the same proof lets it in then.
"""

from __future__ import annotations

import asyncio
import math
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import unquote

from websockets.exceptions import InvalidHeader
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response

from local_controller.adapters.admission import Resident, objection, profile_of
from local_controller.adapters.csms_client import CsmsLeg, Introduction, Refusal, connect
from local_controller.adapters.driver import Outlets, StationDriver
from local_controller.adapters.large_messages import LargeMessages
from local_controller.adapters.leg import ROOM, LegSettings
from local_controller.adapters.link import Link
from local_controller.adapters.logins import Logins
from local_controller.adapters.rates import ConnectionRates, MessageRate
from local_controller.adapters.routing import is_open_path
from local_controller.adapters.station_leg import StationLeg
from local_controller.adapters.tls_door import TlsDoor, TlsFailure
from local_controller.adapters.uplink import Around, StandIn, Uplink, UplinkState, Way
from local_controller.clock import Clock
from local_controller.station.certificate_identity import ClientCertificate
from local_controller.station.effects import Peer
from local_controller.station.proxy import StationProxy
from local_controller.station.security_profile import SecurityProfile, unsecured_warning
from local_controller.station.words import OcppVersion

BACKLOG = 4096  # with 100, a site of 500 stations took three times as long to come back after a power cut
ALIVE_S = 2.0  # a station that is there answers a ping within this time
_VERSIONS = {version.value: version for version in OcppVersion}

MakeProxy = Callable[[str, OcppVersion, ClientCertificate | None], StationProxy]


@dataclass(frozen=True, slots=True)
class Door:
    """One address that stations dial. port: 0 for any free one. tls: None for ws://."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """What the stations' side bears (LC-033); the site file explains each."""

    connections_per_minute_per_address: float = 1200.0
    connections_per_minute_per_station: float = 60.0
    handshake_timeout_s: float = 20.0
    messages_per_second_per_station: float = 100.0
    message_burst: float = 500.0
    max_connections: int = 4096


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where stations find us.

    path_prefixes: what may stand before the identity; None for anything. credentials: where hashes of the stations'
    passwords outlive a restart; None: they do not.
    """

    doors: tuple[Door, ...]
    leg: LegSettings = field(default_factory=LegSettings)
    limits: DoorLimits = field(default_factory=DoorLimits)
    path_prefixes: Sequence[str] | None = None
    credentials: Path | None = None


class _Login(NamedTuple):
    """What a station has shown, and the version in which it is spoken with."""

    version: OcppVersion
    authorization: list[str]


@dataclass(eq=False, slots=True)
class _Session:
    """One station that got through: from the open upstream leg, or a deputy's word, until both sides are gone."""

    identity: str
    profile: SecurityProfile
    authorization: list[str]
    station: StationLeg
    csms: CsmsLeg | Uplink
    driver: StationDriver
    over: asyncio.Future[None]


class StationServer:
    """The WebSocket server that all stations of the site connect to."""

    def __init__(  # noqa: PLR0913 - who comes in, who speaks with them, and to whom all goes
        self,
        settings: ServerSettings,
        clock: Clock,
        resident: Callable[[str], Resident | None],
        make_proxy: MakeProxy,
        outlets: Outlets,
        *,
        stand_in: StandIn | None = None,
    ) -> None:
        """`resident` finds the station of an identity (none: 404); `make_proxy` is called per connection.

        stand_in: for stations that stay served while their CSMS is away.
        """
        self._settings = settings
        self._clock = clock
        self._resident = resident
        self._make_proxy = make_proxy
        self._stand_in = stand_in
        self._logins = Logins(settings.credentials, outlets.log)
        self._outlets = replace(outlets, offered=self._logins.offered)
        self._log = outlets.log
        limits = settings.limits
        self._rates = ConnectionRates(
            limits.connections_per_minute_per_address, limits.connections_per_minute_per_station
        )
        self._large_messages = LargeMessages(ROOM)
        self._doors: list[asyncio.Server | TlsDoor] = []
        self._drivers: dict[str, StationDriver] = {}
        self._sessions: dict[str, _Session] = {}
        self._gates: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._legs: set[StationLeg] = set()
        self._is_stopping = False

    @property
    def drivers(self) -> Mapping[str, StationDriver]:
        """The connected stations by identity; a live view."""
        return MappingProxyType(self._drivers)

    @property
    def uplinks(self) -> dict[str, UplinkState]:
        """How those stations that stay served without it stand with their CSMS, by identity."""
        return {one.identity: one.csms.state for one in self._sessions.values() if isinstance(one.csms, Uplink)}

    def thin(self) -> None:
        """The journal is nearly full (LC-056)."""
        for session in list(self._sessions.values()):
            if isinstance(session.csms, Uplink):
                session.csms.thin()

    @property
    def warnings(self) -> list[str]:
        """What the status says about connected stations: those without any security (LC-008)."""
        found = [unsecured_warning(one.identity, one.profile) for one in self._sessions.values()]
        return [text for text in found if text is not None]

    @property
    def ports(self) -> tuple[int, ...]:
        """The TCP ports of the doors, once started."""
        return tuple(
            door.port if isinstance(door, TlsDoor) else int(door.sockets[0].getsockname()[1]) for door in self._doors
        )

    async def start(self) -> None:
        """Opens the doors to the stations. Raises OSError when an address is in use; its `filename` is that address."""
        for door in self._settings.doors:
            try:
                self._doors.append(await self._opened(door))
            except OSError as error:
                await self.stop()
                raise OSError(error.errno, _plain(error), f"{door.host}:{door.port}") from error

    async def _opened(self, door: Door) -> asyncio.Server | TlsDoor:
        if door.tls is None:
            loop = asyncio.get_running_loop()
            return await loop.create_server(self._plain_leg, door.host, door.port, backlog=BACKLOG)
        encrypted = self._tls_door(door.tls)
        await encrypted.open(door.host, door.port, BACKLOG)
        return encrypted

    async def stop(self) -> None:
        """Closes all connections on both legs (1001) and waits for their end."""
        for door in self._doors:
            if isinstance(door, TlsDoor):
                await door.close()
            else:
                door.close()
        self._is_stopping = True
        relayed = {session.station for session in self._sessions.values()}
        for leg in self._legs - relayed:
            leg.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self._finish(session, "") for session in list(self._sessions.values())))
        for door in self._doors:
            if not isinstance(door, TlsDoor):
                await door.wait_closed()
        await self._logins.stop()

    # --- the handshake -------------------------------------------------------------------------------------------

    def _knock(self, address: str, waiting: int = 0) -> float:
        """Seconds that a new connection of this address should wait; 0 to come in, infinity if there is no room.

        waiting: how many, this one included, have no leg on a connection yet.
        """
        if len(self._legs) + waiting > self._settings.limits.max_connections:
            self._log.warning("rate_limited", address=address, open_connections=len(self._legs))
            return math.inf
        wait_s = self._rates.knock(address, self._clock.monotonic_s())
        if wait_s > 0:
            self._log.warning("rate_limited", address=address, wait_s=round(wait_s, 1))
        return wait_s

    def _plain_leg(self) -> StationLeg:
        """Judged when the connection is there; at the other door before TLS costs anything."""
        return self._leg(self._knock)

    def _leg(self, knock: Callable[[str], float] = lambda _: 0.0) -> StationLeg:
        def connected(leg: StationLeg) -> float:
            """Only now does it count: one that fails at TLS never gets here, and its end is not told either."""
            self._legs.add(leg)
            leg.gone.add_done_callback(lambda _: self._legs.discard(leg))
            return knock(leg.address)

        settings = self._settings
        leg = StationLeg(settings.leg, settings.limits.handshake_timeout_s, self._large_messages, self._arrived)
        leg.knock, leg.complain = connected, self._unreadable
        return leg

    def _unreadable(self, leg: StationLeg, reason: str) -> None:
        self._log.warning("unreadable_request", address=leg.address, reason=reason)

    def _tls_door(self, context: ssl.SSLContext) -> TlsDoor:
        def failed(failure: TlsFailure) -> None:
            self._log.warning("station_tls_failed", **asdict(failure))

        timeout_s = self._settings.limits.handshake_timeout_s
        door = TlsDoor(
            self._leg, context, failed, lambda address: self._knock(address, door.waiting + 1) <= 0, timeout_s
        )
        return door

    def _arrived(self, leg: StationLeg) -> None:
        if self._is_stopping:
            leg.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "The gateway stops.\n")
            return
        task = asyncio.get_running_loop().create_task(self._admit(leg))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _admit(self, leg: StationLeg) -> None:
        """As `_judge`; our own fault ends this connection, which would otherwise wait for its answer for ever."""
        address = leg.address
        try:
            await self._judge(leg)
        except Exception as fault:  # noqa: BLE001 - our fault ends this connection, never the site
            self._log.error("handshake_failed", address=address, exc_info=fault)
            leg.abort()

    async def _judge(self, leg: StationLeg) -> None:
        """Judges a request, dials the CSMS in its name, and answers it."""
        request, identity = leg.request, _identity(leg.request)
        if [value.lower() for value in request.headers.get_all("Upgrade")] != ["websocket"]:
            leg.refuse(HTTPStatus.UPGRADE_REQUIRED, "OCPP-J speaks WebSocket.\n", [("Upgrade", "websocket")])
            return
        wait_s = self._rates.enter(leg.address, identity, self._clock.monotonic_s())
        if wait_s > 0:
            self._log.warning("rate_limited", station=identity, address=leg.address, wait_s=round(wait_s, 1))
            leg.refuse_for(wait_s)
            return
        resident = self._resident(identity) if is_open_path(request.path, self._settings.path_prefixes) else None
        if resident is None:
            self._log.warning("unknown_station", identity=identity, address=leg.address)
            leg.refuse(HTTPStatus.NOT_FOUND, "No such station at this site.\n")
            return
        if (against := objection(leg.visitor, resident)) is not None:
            self._log.warning(against.event, station=resident.identity, address=leg.address, **against.fields)
            leg.refuse(against.status, against.text, against.headers)
            return
        await self._shake_hands(leg, resident)

    async def _shake_hands(self, leg: StationLeg, resident: Resident) -> None:
        response, offer = leg.accept(), _common_versions(leg.request)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            leg.answer(response)
        elif not offer:  # completed without a subprotocol, then closed (LC-004)
            leg.answer(response)
            leg.close(1002, "no common OCPP version")
        else:
            async with self._gates.setdefault(resident.identity, asyncio.Lock()):
                await self._let_in(leg, resident, response, offer)

    async def _let_in(self, leg: StationLeg, resident: Resident, response: Response, offer: list[OcppVersion]) -> None:
        """Connects with the CSMS, unless another connection of this identity must not give way."""
        if not leg.waits:
            return  # it has left while others had their turn, and must not replace anybody
        request, identity = leg.request, resident.identity
        if not await self._make_room(identity, leg):
            leg.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "This identity is connected already.\n")
            return
        introduction = Introduction(_segment(request), request.headers, _names_version(request))
        dial = partial(connect, resident.csms, introduction, offer, self._large_messages)
        csms = await dial()
        if isinstance(csms, Refusal):
            self._log.warning(csms.event, station=identity, address=leg.address, status=csms.status, reason=csms.reason)
            version = await self._alone(leg, resident, csms, offer)
            if version is None:
                leg.refuse_as(csms)
                return
            up, named = None, version.value if introduction.names_version else None
        else:
            up, version, named = csms, csms.version, csms.subprotocol
        if named is not None:  # what the CSMS chose, also if that is nothing (LC-003)
            response.headers["Sec-WebSocket-Protocol"] = named
        if not leg.answer(response):
            if up is not None:
                up.close(1001)  # no upstream leg outlives its station (LC-038)
        elif version is None:
            await asyncio.gather(*(one.end(1002, "no common OCPP version") for one in (leg, up) if one is not None))
        else:
            authorization = request.headers.get_all("Authorization")
            await self._begin(resident, _Login(version, authorization), leg, Way(up, dial))

    async def _alone(
        self, leg: StationLeg, resident: Resident, refusal: Refusal, offer: Sequence[OcppVersion]
    ) -> OcppVersion | None:
        """In which version a station is served whose CSMS is away; None: not at all."""
        if self._stand_in is None or not resident.stays_served or refusal.is_verdict:
            return None
        identity, profile = resident.identity, profile_of(leg.visitor, resident)
        version = self._stand_in.version_of(identity, offer)
        if version is None:
            reason = "its CSMS never accepted it in this version"
            remedy = "wait for the CSMS, or set unaccepted_stations in csms.outage to serve"
            self._log.warning("not_served_alone", station=identity, reason=reason, remedy=remedy)
            return None
        if profile in {SecurityProfile.PASSWORD, SecurityProfile.PASSWORD_AND_TLS}:
            authorization = leg.request.headers.get_all("Authorization")
            if not await self._logins.is_known(identity, authorization):
                remedy = "wait for the CSMS; with a section `credentials` passwords outlive a restart"
                self._log.warning(
                    "not_served_alone", station=identity, reason="its password is not known here", remedy=remedy
                )
                return None
        return version

    async def _begin(self, resident: Resident, login: _Login, leg: StationLeg, way: Way) -> None:
        """Serves a station whose handshake is complete."""
        authorization, csms = login.authorization, way.leg
        try:
            proxy = self._make_proxy(resident.identity, login.version, self._certificate(leg, resident))
            if self._stand_in is not None and resident.stays_served:
                uplink = await self._uplink(self._stand_in, proxy, way)
                self._start(resident, authorization, proxy, (leg, uplink))
            elif csms is not None:
                self._start(resident, authorization, proxy, (leg, csms))
        except BaseException:  # also our own end: neither peer may wait for the other; `_admit` tells it
            for one in (leg, csms):
                if one is not None:
                    one.close(1011, "internal error")
            raise
        if csms is not None:
            self._logins.accepted(resident.identity, authorization)

    async def _uplink(self, stand_in: StandIn, proxy: StationProxy, way: Way) -> Uplink:
        identity = proxy.identity
        deputy = stand_in.deputy(identity, await stand_in.journal.of(identity))
        around = Around(stand_in.journal, self._clock, self._outlets, stand_in.back_off(identity))
        return Uplink(proxy, way, deputy, around)

    async def _make_room(self, identity: str, leg: StationLeg) -> bool:
        """Closes the session that `identity` already has, if it must give way; see the module's text."""
        old = self._sessions.get(identity)
        if old is None:
            return True
        if not await self._is_itself(leg, old) and await old.station.is_alive(ALIVE_S):
            self._log.warning("second_connection_refused", station=identity, address=leg.address)
            return False
        self._log.info("connection_replaced", station=identity)
        old.csms.gone.add_done_callback(lambda _: old.station.abort())  # nobody is left there to say goodbye to
        await self._finish(old, "replaced by a new connection")
        return True

    async def _is_itself(self, leg: StationLeg, old: _Session) -> bool:
        """Whether the newcomer proves to be the station, as far as we can tell without its CSMS."""
        if old.profile is SecurityProfile.CERTIFICATES:
            return leg.visitor.certificate is not None  # of this station, or it would not have come so far
        authorization = leg.request.headers.get_all("Authorization")
        return authorization == old.authorization or await self._logins.is_known(old.identity, authorization)

    # --- a connected station -------------------------------------------------------------------------------------

    @staticmethod
    def _certificate(leg: StationLeg, resident: Resident) -> ClientCertificate | None:
        is_shown = profile_of(leg.visitor, resident) is SecurityProfile.CERTIFICATES
        return leg.visitor.certificate if is_shown else None

    def _start(
        self,
        resident: Resident,
        authorization: list[str],
        proxy: StationProxy,
        links: tuple[StationLeg, CsmsLeg | Uplink],
    ) -> None:
        """Relays for a station whose handshake is complete, until both sides are gone."""
        identity, (station, csms) = resident.identity, links
        profile = profile_of(station.visitor, resident)
        if profile is SecurityProfile.NONE:
            self._log.warning("unsecured_station", station=identity, address=station.address, let_in=True)
        limits = self._settings.limits
        rate = MessageRate(limits.messages_per_second_per_station, limits.message_burst)
        legs: dict[Peer, Link] = {Peer.STATION: station, Peer.CSMS: csms}
        driver = StationDriver(proxy, legs, self._clock, self._outlets, rate)
        over = asyncio.get_running_loop().create_future()
        session = _Session(identity, profile, authorization, station, csms, driver, over)
        self._sessions[identity] = session
        self._drivers[identity] = driver
        if isinstance(csms, Uplink):
            csms.changed = lambda is_there: driver.do(lambda proxy, now: proxy.csms_changed(now, is_there=is_there))
        for link in links:
            link.gone.add_done_callback(lambda _: self._left(session))
        driver.start()

    def _left(self, session: _Session) -> None:
        """A leg is gone; after both, the identity is free again, and all is told that there was to tell."""
        if session.station.gone.done() and session.csms.gone.done() and not session.over.done():
            session.driver.stop()
            del self._drivers[session.identity], self._sessions[session.identity]
            session.over.set_result(None)

    async def _finish(self, session: _Session, reason: str) -> None:
        """Closes both legs and waits for their end."""
        session.station.close(1001, reason)
        session.csms.close(1001, reason)
        await asyncio.shield(session.over)


def _plain(error: OSError) -> str:
    """Without what the loop writes around it: the system call, and the address once more."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _segment(request: Request) -> str:
    """The last segment of the path with what follows it, be it a slash, raw, as the station encoded it (LC-001, LC-005)."""
    before = request.path.partition("?")[0].rstrip("/").rpartition("/")[0]
    return request.path[len(before) :].removeprefix("/")


def _identity(request: Request) -> str:
    return unquote(_segment(request).partition("?")[0].rstrip("/"))


def _names_version(request: Request) -> bool:
    return "Sec-WebSocket-Protocol" in request.headers


def _common_versions(request: Request) -> list[OcppVersion]:
    """The station's versions that we speak, in the station's order; none if its header is unreadable.

    One that names none at all was only ever seen to speak 1.6 (docs/quirks.md); the CSMS decides whether it may.
    """
    if not _names_version(request):
        return [OcppVersion.V16]
    return [*_spoken(tuple(request.headers.get_all("Sec-WebSocket-Protocol")))]


@lru_cache(maxsize=64)
def _spoken(names: tuple[str, ...]) -> Sequence[OcppVersion]:
    """Those of these headers; hundreds of stations send the same."""
    try:
        offered = [one for value in names for one in parse_subprotocol(value)]
    except InvalidHeader:
        return ()
    return tuple(_VERSIONS[one] for one in offered if one in _VERSIONS)
