"""Is each leg encrypted as OCPP wants it? A scan of the stations' door and of what we accept from a CSMS, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.typing import Subprotocol

from local_controller.adapters import tls_door
from local_controller.adapters.certificates import CertificateFiles
from local_controller.adapters.csms_client import CsmsSettings, Introduction, Refusal, connect
from local_controller.adapters.large_messages import LargeMessages
from local_controller.adapters.leg import ROOM
from local_controller.adapters.routing import Upstream
from local_controller.adapters.tls import (
    MANDATED_SUITES,
    CsmsTls,
    LiveContext,
    StationTls,
    TlsLeg,
    client_certificate,
)
from local_controller.adapters.tls_door import TlsDoor, TlsFailure
from local_controller.station.certificate_identity import ClientCertificate
from local_controller.station.words import OcppVersion
from tests.certificates import TODAY, Issued, authority, rsa_key

HOST = "127.0.0.1"
ROOT = authority()
MAKER = authority("Station maker")
OF_ECDSA = ROOT.issue("box", [HOST])
OF_RSA = ROOT.issue("box", [HOST], key=rsa_key())
STATION = MAKER.issue("CPX-0815")
REFUSED = (ssl.SSLError, ConnectionError)
"""What a station sees; event loops often hang up without the alert that OpenSSL has ready."""


class Echo(asyncio.Protocol):
    """What is behind the door: says who came, and what was sent."""

    transport: Any = None
    certificate: ClientCertificate | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.certificate = client_certificate(transport.get_extra_info("ssl_object"))

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


@dataclass
class Door:
    """An open door of the gateway."""

    leg: TlsLeg
    port: int = 0
    busiest: int = 0
    door: TlsDoor | None = None
    failures: list[TlsFailure] = field(default_factory=list)
    through: list[Echo] = field(default_factory=list)
    failed: asyncio.Event = field(default_factory=asyncio.Event)

    def behind(self) -> Echo:
        assert self.door
        self.busiest = max(self.busiest, len(self.door._quick))
        self.through.append(Echo())
        return self.through[-1]

    async def failure(self, number: int = 0) -> TlsFailure:
        while len(self.failures) <= number:
            self.failed.clear()
            await self.failed.wait()
        return self.failures[number]

    def hear(self, failure: TlsFailure) -> None:
        self.failures.append(failure)
        self.failed.set()

    def came_through(self) -> list[Echo]:
        return [echo for echo in self.through if echo.transport is not None]


@asynccontextmanager
async def door(
    settings: StationTls, timeout_s: float = 5.0, admit: Callable[[str], bool] = lambda _: True
) -> AsyncIterator[Door]:
    opened = Door(TlsLeg("listen", settings))
    opening = opened.door = TlsDoor(opened.behind, opened.leg.context, opened.hear, admit, timeout_s)
    await opening.open(HOST, 0, backlog=16)
    opened.port = opening.port
    try:
        yield opened
    finally:
        await opening.close()


@pytest.fixture
def both(tmp_path: Path) -> StationTls:
    """A door with an ECDSA and an RSA certificate."""
    return StationTls((OF_ECDSA.save(tmp_path, "ecdsa"), OF_RSA.save(tmp_path, "rsa")), public_host=HOST)


@pytest.fixture
def profile_3(tmp_path: Path, both: StationTls) -> StationTls:
    makers = tmp_path / "makers.pem"
    makers.write_bytes(MAKER.pem)
    return StationTls(both.certificates, makers, require_certificate=True)


def station(own: CertificateFiles | None = None, root: Issued = ROOT) -> ssl.SSLContext:
    """A station's TLS client, which knows our root."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=root.pem.decode())
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


def old(suite: str = "", *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> ssl.SSLContext:
    """A station that knows nothing newer than `version`, and perhaps one suite only."""
    context = station()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = min(version, ssl.TLSVersion.TLSv1_2)
        context.maximum_version = version
    context.set_ciphers(suite or "ALL:@SECLEVEL=0")
    return context


async def talk(port: int, context: ssl.SSLContext, text: bytes = b"hello") -> ssl.SSLObject:
    """Shakes hands and is answered. Raises ssl.SSLError or ConnectionError."""
    reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
    try:
        writer.write(text)
        answer = await reader.readexactly(len(text))
        assert answer == text
        return writer.get_extra_info("ssl_object")  # type: ignore[no-any-return]  # asyncio types no extra
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("hung up") from error
    finally:
        writer.close()


# --- the stations' door -----------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-009")
@pytest.mark.parametrize("suite", MANDATED_SUITES)
async def test_each_mandated_suite_is_spoken(both: StationTls, suite: str) -> None:
    async with door(both) as opened:
        spoken = await talk(opened.port, old(suite))
        assert spoken.cipher() == (suite, "TLSv1.2", 256 if "256-GCM" in suite or "AES256" in suite else 128)
        assert spoken.compression() is None


@pytest.mark.requirement("LC-009")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_old_versions_are_refused(both: StationTls, version: ssl.TLSVersion) -> None:
    async with door(both) as opened:
        with pytest.raises(REFUSED):
            await talk(opened.port, old(version=version))
        told = await opened.failure()
        assert (told.address, told.reason) == (HOST, "UNSUPPORTED_PROTOCOL")
        assert "update its firmware" in told.remedy
        assert opened.came_through() == []


@pytest.mark.requirement("LC-009")
async def test_tls_1_3_is_spoken(both: StationTls) -> None:
    async with door(both) as opened:
        spoken = await talk(opened.port, station())
        assert spoken.version() == "TLSv1.3"


@pytest.mark.requirement("LC-009")
async def test_weak_suites_are_refused(both: StationTls) -> None:
    async with door(both) as opened:
        for number, suite in enumerate(["AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"]):
            with pytest.raises(REFUSED):
                await talk(opened.port, old(f"{suite}:@SECLEVEL=0"))
            told = await opened.failure(number)
            assert told.reason == "NO_SHARED_CIPHER"
            assert "an ECDSA and an RSA one" in told.remedy


@pytest.mark.requirement("LC-009")
async def test_the_better_suite_is_ours_to_choose(both: StationTls) -> None:
    async with door(both) as opened:
        spoken = await talk(opened.port, old("AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"))
        assert spoken.cipher() == ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLSv1.2", 128)


@pytest.mark.requirement("LC-009")
async def test_compression_is_never_agreed_on(both: StationTls) -> None:
    async with door(both) as opened:
        reader, writer = await asyncio.open_connection(HOST, opened.port)
        writer.write(hello_with_compression(old("ECDHE-ECDSA-AES128-GCM-SHA256")))
        record = await reader.readexactly(5)
        assert record[0] == 22, "a handshake message, no alert"
        server_hello = await reader.readexactly(int.from_bytes(record[3:]))
        length_of_session = server_hello[4 + 2 + 32]
        assert server_hello[4 + 2 + 32 + 1 + length_of_session + 2] == 0, "compression method null"
        writer.close()


def hello_with_compression(context: ssl.SSLContext) -> bytes:
    """The first message of a station that offers DEFLATE before null."""
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=HOST)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()[9:]
    at = 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2])
    assert hello[at : at + 2] == b"\x01\x00", "null is all it offers by itself"
    body = hello[:at] + b"\x02\x01\x00" + hello[at + 2 :]
    message = b"\x01" + len(body).to_bytes(3) + body
    return b"\x16\x03\x01" + len(message).to_bytes(2) + message


async def test_a_station_that_resumes_is_known_again(profile_3: StationTls, tmp_path: Path) -> None:
    context = station(STATION.save(tmp_path, "station"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # whose tickets come within the handshake
    async with door(profile_3) as opened:
        first = await talk(opened.port, context)
        blocking = await asyncio.to_thread(has_resumed, opened.port, context, first.session)
        assert blocking
        assert [one.certificate for one in opened.through] == [ClientCertificate("CPX-0815")] * 2


def has_resumed(port: int, context: ssl.SSLContext, session: Any) -> bool:
    """Whether a connection by blocking sockets needed no full handshake."""
    with (
        socket.create_connection((HOST, port)) as plain,
        context.wrap_socket(plain, server_hostname=HOST, session=session) as secure,
    ):
        secure.sendall(b"again")
        assert secure.recv(5) == b"again"
        return bool(secure.session_reused)


# --- security profile 3 -----------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-011")
async def test_a_station_shows_its_certificate(profile_3: StationTls, tmp_path: Path) -> None:
    async with door(profile_3) as opened:
        await talk(opened.port, station(STATION.save(tmp_path, "station")))
        assert opened.through[0].certificate == ClientCertificate("CPX-0815")


@pytest.mark.requirement("LC-011")
async def test_an_authority_below_a_root_may_be_all_we_trust(tmp_path: Path, both: StationTls) -> None:
    plant = MAKER.issue("Plant 2", is_authority=True)
    makers = tmp_path / "makers.pem"
    makers.write_bytes(plant.pem)
    async with door(StationTls(both.certificates, makers, require_certificate=True)) as opened:
        await talk(opened.port, station(plant.issue("CPX-1").save(tmp_path, "one")))
        with pytest.raises(REFUSED):
            await talk(opened.port, station(STATION.save(tmp_path, "two")))


BAD_STATIONS: dict[str, tuple[Callable[[], Issued | None], str]] = {
    "without one": (lambda: None, "PEER_DID_NOT_RETURN_A_CERTIFICATE"),
    "of somebody else's": (lambda: authority("Stranger").issue("CPX-0815"), "CERTIFICATE_VERIFY_FAILED"),
    "that has ended": (
        lambda: MAKER.issue("CPX-0815", not_after=TODAY - timedelta(days=1)),
        "CERTIFICATE_VERIFY_FAILED",
    ),
}


@pytest.mark.requirement("LC-011", "LC-138")
@pytest.mark.parametrize("kind", BAD_STATIONS)
async def test_a_station_with_a_certificate(profile_3: StationTls, tmp_path: Path, kind: str) -> None:
    made, reason = BAD_STATIONS[kind]
    certificate = made()
    context = station(certificate.save(tmp_path, "station") if certificate else None)
    async with door(profile_3) as opened:
        with pytest.raises(REFUSED):
            await talk(opened.port, context)
        told = await opened.failure()
        assert (told.address, told.reason) == (HOST, reason)
        assert told.remedy
        assert opened.came_through() == []


async def test_without_require_a_station_may_come_without_certificate(profile_3: StationTls) -> None:
    optional = StationTls(profile_3.certificates, profile_3.station_authorities)
    async with door(optional) as opened:
        await talk(opened.port, station())
        assert opened.through[0].certificate is None


def test_a_plain_connection_has_no_certificate() -> None:
    assert client_certificate(None) is None


# --- who does not get through -----------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-138")
async def test_a_station_that_does_not_know_our_issuer(both: StationTls) -> None:
    async with door(both) as opened:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(has_resumed, opened.port, station(root=authority("Another root")), None)
        told = await opened.failure()
        assert told.reason == "TLSV1_ALERT_UNKNOWN_CA"
        assert "install that root in the station" in told.remedy


@pytest.mark.requirement("LC-138")
async def test_a_station_that_speaks_plain_websocket(both: StationTls) -> None:
    async with door(both) as opened:
        _, writer = await asyncio.open_connection(HOST, opened.port)
        writer.write(b"GET /CP-7 HTTP/1.1\r\n\r\n")
        told = await opened.failure()
        assert told.reason == "HTTP_REQUEST"
        assert "it speaks ws:// to a door for wss://" in told.remedy
        writer.close()


async def test_somebody_who_hangs_up(both: StationTls) -> None:
    async with door(both) as opened:
        _, writer = await asyncio.open_connection(HOST, opened.port)
        writer.close()
        assert (await opened.failure()).reason == "HUNG_UP"


async def test_an_address_that_is_not_admitted_costs_no_handshake(both: StationTls) -> None:
    asked: list[str] = []

    def refuse(address: str) -> bool:
        asked.append(address)
        return False

    async with door(both, admit=refuse) as opened:
        with pytest.raises(REFUSED):
            await talk(opened.port, station())
        assert (asked, opened.failures, opened.through) == ([HOST], [], [])


async def test_a_name_with_several_addresses_is_open_at_each(both: StationTls, monkeypatch: pytest.MonkeyPatch) -> None:
    async def both_addresses(*_: Any, **__: Any) -> list[Any]:
        kind = (socket.SOCK_STREAM, 6, "")
        return [(socket.AF_INET, *kind, (one, 0)) for one in ("127.0.0.1", "127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both_addresses)
    async with door(both) as opened:
        assert opened.door
        assert [one.getsockname() for one in opened.door._listeners] == [
            ("127.0.0.1", opened.port),
            ("127.0.0.2", opened.port),
        ]


async def test_an_address_in_use_is_an_error_and_leaves_nothing_open(both: StationTls) -> None:
    async with door(both) as opened:
        another = TlsDoor(Echo, opened.leg.context, opened.hear)
        with pytest.raises(OSError, match="in use"):
            await another.open(HOST, opened.port, backlog=1)


async def test_only_a_few_shake_hands_at_a_time_and_all_get_in(both: StationTls) -> None:
    async with door(both) as opened:
        await asyncio.gather(*(talk(opened.port, station()) for _ in range(5 * tls_door.AT_ONCE)))
        assert len(opened.through) == 5 * tls_door.AT_ONCE
        assert opened.busiest == tls_door.AT_ONCE


async def test_who_begins_many_handshakes_and_does_not_go_on_locks_nobody_out(both: StationTls) -> None:
    async with door(both) as opened:
        idle = [await asyncio.open_connection(HOST, opened.port) for _ in range(2 * tls_door.AT_ONCE)]
        for _, writer in idle:
            writer.write(b"\x16\x03\x01")
        await talk(opened.port, station())
        for _, writer in idle:
            writer.close()


async def test_closing_ends_whoever_has_not_come_through(both: StationTls) -> None:
    async with door(both) as opened:
        connections = [await asyncio.open_connection(HOST, opened.port) for _ in range(3 * tls_door.AT_ONCE)]
        for _, writer in connections[1:]:
            writer.write(b"\x16")
        await talk(opened.port, station())
    for reader, writer in connections:
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()


async def test_no_file_descriptor_left_is_survived(both: StationTls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_door, "REST_S", 0.01)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with door(both) as opened:
        await talk(opened.port, station())
        assert opened.door
        sockets = [socket.socket() for _ in range(50)]  # so that no lower number is free
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (sockets[-1].fileno() + 1, hard))
            sockets[0].setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sockets[0].connect((HOST, opened.port))
            while not opened.door._pauses:  # noqa: ASYNC110 - it has no event for tests
                await asyncio.sleep(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for one in sockets:
                one.close()
        await talk(opened.port, station())


async def test_somebody_who_says_nothing_is_cut_off(both: StationTls) -> None:
    async with door(both, timeout_s=0.05) as opened:
        reader, writer = await asyncio.open_connection(HOST, opened.port)
        assert await reader.read() == b""
        assert (await opened.failure()).reason == "TIMED_OUT"
        writer.close()


async def request_within_the_handshake(settings: StationTls) -> None:
    """A station that sends its request together with the last message of its handshake."""
    async with door(settings) as opened:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = station().wrap_bio(incoming, outgoing, server_hostname=HOST)
        reader, writer = await asyncio.open_connection(HOST, opened.port)
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65536))
        client.write(b"GET /CP-7")
        writer.write(outgoing.read())
        answer = b""
        while len(answer) < len(b"GET /CP-7"):
            incoming.write(await reader.read(65536))
            try:
                answer += client.read(100)
            except ssl.SSLWantReadError:
                continue
        assert answer == b"GET /CP-7"
        writer.close()


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_request_that_comes_with_the_handshake_is_not_lost(
    both: StationTls, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(request_within_the_handshake(both))


# --- new certificates -------------------------------------------------------------------------------------------------


async def served_after_a_change(settings: StationTls) -> None:
    """A connection outlives the change of the certificate that it began with; the next one gets the new."""
    async with door(settings) as opened:
        reader, writer = await asyncio.open_connection(HOST, opened.port, ssl=station())
        writer.write(b"before")
        await reader.readexactly(6)
        renewed = ROOT.issue("box", [HOST])
        renewed.save(settings.certificates[0].certificate.parent, "ecdsa")
        opened.leg.take(await asyncio.to_thread(settings.load))
        writer.write(b"after")
        assert await reader.readexactly(5) == b"after"
        serial = await serial_shown(opened.port)
        assert serial == renewed.certificate.serial_number
        writer.close()


async def serial_shown(port: int) -> int:
    shown = (await talk(port, station())).getpeercert()
    assert shown is not None
    return int(str(shown["serialNumber"]), 16)


@pytest.mark.requirement("LC-137")
@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_new_certificate_drops_no_station(
    both: StationTls, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(served_after_a_change(both))


async def test_an_issuer_that_is_no_longer_trusted_cannot_be_has_resumed(profile_3: StationTls, tmp_path: Path) -> None:
    context = station(STATION.save(tmp_path, "station"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert profile_3.station_authorities
    async with door(profile_3) as opened:
        first = await talk(opened.port, context)
        profile_3.station_authorities.write_bytes(authority("Another maker").pem)
        opened.leg.take(await asyncio.to_thread(profile_3.load))
        with pytest.raises(REFUSED):
            await asyncio.to_thread(has_resumed, opened.port, context, first.session)


def test_blocking_sockets_get_the_newest_too(both: StationTls) -> None:
    live = LiveContext(both.load().context)
    live.replace(both.load().context)
    ours, theirs = socket.socketpair()
    with ours, theirs, live.wrap_socket(ours, server_side=True, do_handshake_on_connect=False) as secure:
        assert secure.context is live._newest


# --- towards the CSMS -------------------------------------------------------------------------------------------------


@dataclass
class Csms:
    """A CSMS behind TLS."""

    certificate: Issued
    asks_for: Issued | None = None
    connections: int = 0
    shown: list[ClientCertificate | None] = field(default_factory=list)

    async def handle(self, connection: Any) -> None:
        self.connections += 1
        self.shown.append(client_certificate(connection.transport.get_extra_info("ssl_object")))
        await connection.wait_closed()

    @asynccontextmanager
    async def up(self, folder: Path) -> AsyncIterator[str]:
        files = self.certificate.save(folder, "csms")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        if self.asks_for is not None:
            context.load_verify_locations(cadata=self.asks_for.pem.decode())
            context.verify_mode = ssl.CERT_REQUIRED
        server = await serve(self.handle, HOST, 0, ssl=context, subprotocols=[Subprotocol("ocpp1.6")])
        async with server:
            yield f"wss://{HOST}:{next(iter(server.sockets)).getsockname()[1]}/ocpp"


async def dialled(url: str, settings: CsmsTls) -> Any:
    leg = TlsLeg("csms", settings)
    upstream = CsmsSettings(Upstream("csms", dict.fromkeys(OcppVersion, url)), tls=leg.context)
    return await connect(upstream, Introduction("CP-7", Headers()), [OcppVersion.V16], LargeMessages(ROOM))


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    file = tmp_path / "roots.pem"
    file.write_bytes(ROOT.pem)
    return file


@pytest.mark.requirement("LC-010")
async def test_a_csms_that_we_know_is_connected(tmp_path: Path, roots: Path) -> None:
    csms = Csms(ROOT.issue("csms", [HOST]))
    async with csms.up(tmp_path) as url:
        connection = await dialled(url, CsmsTls(roots))
        assert connection.subprotocol == "ocpp1.6"
        await connection.end()
    assert csms.connections == 1


@pytest.mark.requirement("LC-010")
@pytest.mark.parametrize("is_known", [True, False])
async def test_a_csms_that_has_begun_to_encrypt_is_followed_and_verified(
    tmp_path: Path, roots: Path, is_known: bool
) -> None:
    """The balancer in front of it answers http:// with where https:// is."""
    csms = Csms((ROOT if is_known else authority("Stranger")).issue("csms", [HOST]))
    async with csms.up(tmp_path) as url:
        elsewhere = Response(301, "Moved", Headers({"Location": f"{url.replace('wss', 'https')}/CP-7"}), b"")
        async with serve(csms.handle, HOST, 0, process_request=lambda _, __: elsewhere) as plain:
            found = await dialled(f"ws://{HOST}:{next(iter(plain.sockets)).getsockname()[1]}/ocpp", CsmsTls(roots))
            if is_known:
                assert found.transport.get_extra_info("ssl_object") is not None
                await found.end()
            else:
                assert (found.status, found.is_tls_failure) == (503, True)
    assert csms.connections == (1 if is_known else 0)


BAD_CSMS: dict[str, Callable[[], Issued]] = {
    "of an unknown authority": lambda: authority("Stranger").issue("csms", [HOST]),
    "for another host": lambda: ROOT.issue("csms", ["csms.example", "127.0.0.2"]),
    "with the host as common name only": lambda: ROOT.issue(HOST),
    "that has ended": lambda: ROOT.issue("csms", [HOST], not_after=TODAY - timedelta(days=1)),
    "that is not valid yet": lambda: ROOT.issue("csms", [HOST], not_before=TODAY + timedelta(days=2)),
}


@pytest.mark.requirement("LC-010")
@pytest.mark.parametrize("kind", BAD_CSMS)
async def test_no_connection_to_a_csms_with_a_certificate(tmp_path: Path, roots: Path, kind: str) -> None:
    csms = Csms(BAD_CSMS[kind]())
    async with csms.up(tmp_path) as url:
        refusal = await dialled(url, CsmsTls(roots))
    assert isinstance(refusal, Refusal)
    assert refusal.is_tls_failure
    assert refusal.status == 503
    assert csms.connections == 0


@pytest.mark.requirement("LC-010")
async def test_the_authorities_of_the_machine_are_the_default(tmp_path: Path) -> None:
    csms = Csms(ROOT.issue("csms", [HOST]))
    async with csms.up(tmp_path) as url:
        refusal = await dialled(url, CsmsTls())
    assert isinstance(refusal, Refusal)
    assert refusal.is_tls_failure


@pytest.mark.requirement("LC-012")
async def test_profile_3_upstream_shows_the_gateways_own_certificate(tmp_path: Path, roots: Path) -> None:
    cpo = authority("CPO")
    csms = Csms(ROOT.issue("csms", [HOST]), asks_for=cpo)
    async with csms.up(tmp_path) as url:
        connection = await dialled(url, CsmsTls(roots, cpo.issue("LC-0001").save(tmp_path, "own")))
        await connection.end()
        assert csms.shown == [ClientCertificate("LC-0001")]


@pytest.mark.requirement("LC-012")
async def test_each_leg_has_keys_of_its_own(tmp_path: Path, both: StationTls, roots: Path) -> None:
    """A station's key stays in the station: what the CSMS sees is the gateway's certificate, never the station's."""
    cpo = authority("CPO")
    csms = Csms(ROOT.issue("csms", [HOST]), asks_for=cpo)
    own = cpo.issue("LC-0001").save(tmp_path, "own")
    makers = tmp_path / "makers.pem"
    makers.write_bytes(MAKER.pem)
    upstream, downstream = CsmsTls(roots, own), StationTls(both.certificates, makers, require_certificate=True)
    async with csms.up(tmp_path) as url, door(downstream) as opened:
        await talk(opened.port, station(STATION.save(tmp_path, "station")))
        connection = await dialled(url, upstream)
        await connection.end()
    assert [one.certificate for one in opened.through] == [ClientCertificate("CPX-0815")]
    assert csms.shown == [ClientCertificate("LC-0001")]
    keys = {file for file in (*upstream.files, *downstream.files) if b"PRIVATE KEY" in file.read_bytes()}
    assert keys == {own.key, *(pair.key for pair in both.certificates)}
