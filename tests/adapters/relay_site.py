"""A relay between stations and a CSMS that a test holds in its hands, all on real sockets."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response

from local_controller.adapters.admission import Resident
from local_controller.adapters.csms_client import CsmsSettings
from local_controller.adapters.driver import Outlets
from local_controller.adapters.leg import LegSettings
from local_controller.adapters.routing import Upstream
from local_controller.adapters.station_server import Door, DoorLimits, ServerSettings, StationServer
from local_controller.clock import Clock
from local_controller.station.block import Block
from local_controller.station.certificate_identity import ClientCertificate
from local_controller.station.effects import CsmsLimitChanged, StationFact, Trace
from local_controller.station.proxy import StationProxy
from local_controller.station.words import OcppVersion

HOST = "127.0.0.1"
MIB = 1024 * 1024
QUIET = LegSettings(ping_interval_s=0.0)
GENEROUS = DoorLimits(messages_per_second_per_station=1e6)


@dataclass
class Csms:
    """A CSMS that does what a test tells it, and remembers what it saw."""

    server: Server | None = None
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    sockets: list[ServerConnection] = field(default_factory=list)
    refuse: Callable[[ServerConnection], Response | None] = lambda _: None
    chooses: tuple[str, ...] = ("ocpp2.0.1", "ocpp1.6")
    greet: Callable[[ServerConnection], Awaitable[None]] | None = None
    delay_s: float = 0.0
    open_now: int = 0
    most_open: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        await asyncio.sleep(self.delay_s)
        return self.refuse(connection)

    def choose(self, _: ServerConnection, offered: Any) -> Any:
        return next((one for one in self.chooses if one in offered), None)

    async def handle(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        self.arrived.set()
        if self.greet is not None:
            await self.greet(socket)
        await socket.wait_closed()
        self.open_now -= 1

    async def socket(self, number: int = 0) -> ServerConnection:
        """The socket of the n-th station that got through."""
        while len(self.sockets) <= number:
            self.arrived.clear()
            await self.arrived.wait()
        return self.sockets[number]


@dataclass
class Site:
    """The relay with its facts, log and blocks."""

    server: StationServer
    csms: Csms
    facts: list[tuple[str, StationFact | CsmsLimitChanged]] = field(default_factory=list)
    certificates: list[ClientCertificate | None] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    log: CapturingLogger = field(default_factory=CapturingLogger)

    @property
    def events(self) -> list[str]:
        """What was logged, but that stations without a password came in, as most of these do."""
        return [call.kwargs["event"] for call in self.log.calls if "let_in" not in call.kwargs]

    async def until_told(self, wanted: type) -> StationFact | CsmsLimitChanged:
        while True:
            for _, fact in self.facts:
                if isinstance(fact, wanted):
                    return fact
            await asyncio.sleep(0.005)

    def dial(self, path: str = "CP-7", scheme: str = "ws", **options: Any) -> connect:
        """A station's attempt to connect."""
        options = {"subprotocols": ["ocpp1.6"], "compression": None, "max_size": 16 * MIB, "proxy": None} | options
        return connect(f"{scheme}://{HOST}:{self.server.ports[0]}/{path}", **options)

    @asynccontextmanager
    async def pair(
        self, path: str = "CP-7", **options: Any
    ) -> AsyncIterator[tuple[ClientConnection, ServerConnection]]:
        """A connected station and the CSMS's end of it."""
        number = len(self.csms.sockets)
        async with self.dial(path, **options) as station:
            yield station, await self.csms.socket(number)

    @asynccontextmanager
    async def raw_station(
        self, *headers: bytes, path: bytes = b"/CP-7"
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A station that sends exactly these header lines; only the request is written."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.ports[0])
        lines = [
            b"GET " + path + b" HTTP/1.1",
            b"Host: lc",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Protocol: ocpp1.6",
            *headers,
        ]
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
        with closing(writer):
            yield reader, writer


@asynccontextmanager
async def site_with(
    *blocks: Block,
    leg: LegSettings = QUIET,
    csms_leg: LegSettings = QUIET,
    csms: Csms | None = None,
    dial_timeout_s: float = 2.0,
    csms_port: int = 0,
    limits: DoorLimits = GENEROUS,
    path_prefixes: Sequence[str] | None = None,
    urls: Mapping[OcppVersion, str] | None = None,
    unsecured: bool = True,
    tls: ssl.SSLContext | None = None,
    serial: str | None = None,
    proxy: Callable[[str, OcppVersion], StationProxy] | None = None,
) -> AsyncIterator[Site]:
    """A running relay for the stations CP-…, with a CSMS unless its port is given. proxy: instead of one of the blocks."""
    csms = csms or Csms()
    csms.server = await serve(
        csms.handle,
        "127.0.0.1",
        0,
        process_request=csms.process_request,
        select_subprotocol=csms.choose,
        compression="deflate",
        max_size=16 * MIB,
        max_queue=None,
    )
    csms.port = next(iter(csms.server.sockets)).getsockname()[1]
    ids = (f"LC{n}" for n in itertools.count(1))
    site = Site(None, csms)  # type: ignore[arg-type]  # the server follows three lines below

    def make_proxy(identity: str, version: OcppVersion, certificate: ClientCertificate | None) -> StationProxy:
        site.certificates.append(certificate)
        if proxy is not None:
            return proxy(identity, version)
        return StationProxy(identity, version, blocks, ids=lambda: next(ids))

    addresses = urls or dict.fromkeys(OcppVersion, f"ws://127.0.0.1:{csms_port or csms.port}/ocpp")
    upstream = CsmsSettings(Upstream("csms", addresses), csms_leg, dial_timeout_s)
    site.server = StationServer(
        ServerSettings((Door(HOST, 0, tls),), leg, limits, path_prefixes),
        Clock(),
        lambda identity: (
            Resident(identity.upper(), upstream, unsecured, serial) if identity.upper().startswith("CP") else None
        ),
        make_proxy,
        Outlets(
            lambda identity, fact, now: site.facts.append((identity, fact)),
            structlog.wrap_logger(site.log, processors=[], wrapper_class=structlog.make_filtering_bound_logger(10)),
            lambda identity, trace, now: site.traces.append(trace),
        ),
    )
    await site.server.start()
    try:
        async with asyncio.timeout(30):
            yield site
    finally:
        await site.server.stop()
        csms.server.close()
        await csms.server.wait_closed()


async def refusal(attempt: connect) -> Response:
    """The HTTP answer that is no 101."""
    with pytest.raises(InvalidStatus) as caught:
        await attempt
    return caught.value.response


async def close_of(socket: ClientConnection | ServerConnection) -> int | None:
    """The close code that this end sees; a loss is 1006."""
    with suppress(ConnectionClosed):
        while True:
            await socket.recv()
    return socket.close_code
