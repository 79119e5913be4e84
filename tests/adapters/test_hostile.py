"""What somebody tries who means harm, or whose firmware is broken: nobody stays half alive, nothing grows without end."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import closing, suppress
from io import StringIO
from pathlib import Path

import pytest
import structlog
from websockets.frames import Opcode

from local_controller.adapters import station_server
from local_controller.adapters.certificates import CertificateFiles
from local_controller.adapters.large_messages import LargeMessages
from local_controller.adapters.station_server import DoorLimits
from local_controller.adapters.tls import StationTls, TlsLeg
from local_controller.cli.logs import configure
from local_controller.station.effects import Peer
from tests.adapters.relay_site import HOST, MIB, close_of, refusal, site_with
from tests.adapters.test_leg import masked, opened
from tests.certificates import authority


@pytest.mark.requirement("LC-033")
async def test_a_request_with_contradicting_headers_is_refused_and_gone() -> None:
    async with (
        site_with(limits=DoorLimits(max_connections=1)) as site,
        asyncio.timeout(5),
        site.raw_station(b"Upgrade: h2c") as (reader, _),
    ):
        assert (await reader.read()).startswith(b"HTTP/1.1 426")


@pytest.mark.requirement("LC-138")
@pytest.mark.parametrize(
    ("request_bytes", "said"),
    [
        (b"GET /CP 7 HTTP/1.1\r\n\r\n", "percent-encoded"),
        ("GET /S\u00e4ule-7 HTTP/1.1\r\n\r\n".encode(), "percent-encoded"),
        (b"GET /CP-7 HTTP/1.1\r\nAuthorization: Basic c2VjcmV0\x01\r\n\r\n", "no HTTP: invalid HTTP header value"),
        (b"\r\n\r\n", "no HTTP"),
    ],
)
async def test_a_request_that_cannot_be_read_is_told_so_and_whoever_runs_the_site_too(
    request_bytes: bytes, said: str
) -> None:
    async with site_with() as site, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(HOST, site.server.ports[0])
        with closing(writer):
            writer.write(request_bytes)
            assert (await reader.read()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        async with site.pair():  # the other one is gone meanwhile
            assert site.events == ["unreadable_request"], "said once"
        fields = site.log.calls[0].kwargs
        assert said in fields["reason"]
        assert "c2Vjcm" not in str(fields)


@pytest.mark.requirement("LC-138")
@pytest.mark.parametrize(
    ("start", "said"), [(b"\x16\x03\x01\x02\x00\x01\x00", "speaks TLS"), (b"GET /CP-7 HT", "not complete in time")]
)
async def test_who_never_finishes_its_request_is_named_too(start: bytes, said: str) -> None:
    """A station that is told to dial wss:// at an address of ws:// waits for the gateway's half of TLS."""
    async with site_with(limits=DoorLimits(handshake_timeout_s=0.2)) as site, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(HOST, site.server.ports[0])
        with closing(writer):
            writer.write(start)
            assert await reader.read() == b""
        assert site.events == ["unreadable_request"]
        assert said in site.log.calls[0].kwargs["reason"]


@pytest.mark.requirement("LC-033", "LC-138")
async def test_who_fails_at_tls_takes_no_room_for_ever(tmp_path: Path) -> None:
    root = authority()
    files = root.issue("gateway", [HOST]).save(tmp_path, "gateway")
    leg = TlsLeg("listen.tls", StationTls((CertificateFiles(files.certificate, files.key),)))
    async with site_with(tls=leg.context, limits=DoorLimits(max_connections=2)) as site:
        for _ in range(4):
            reader, writer = await asyncio.open_connection(HOST, site.server.ports[0])
            with closing(writer), suppress(ConnectionError):
                writer.write(b"GET /CP-7 HTTP/1.1\r\n\r\n")
                await reader.read()
        context = ssl.create_default_context(cadata=root.pem.decode())
        async with site.pair(scheme="wss", ssl=context) as (station, csms):
            await station.send("here")
            assert await csms.recv() == "here"


@pytest.mark.requirement("LC-036")
async def test_what_comes_for_a_station_that_has_just_left_is_no_fault_of_ours() -> None:
    """Its goodbye and a message of the CSMS may arrive in the same moment."""
    async with site_with() as site, opened(site):
        csms = await site.csms.socket()
        leg = site.server.drivers["CP-7"]._legs[Peer.STATION]
        leg.eof_received()
        leg.send("too late")
        assert await close_of(csms) == 1001
        assert "station_failed" not in site.events


@pytest.mark.requirement("LC-036", "LC-038")
async def test_a_station_that_ends_its_half_but_reads_nothing_is_cut_off() -> None:
    """It would hold its name for ever, and could not even replace itself."""
    async with site_with() as site, opened(site) as (_, writer), asyncio.timeout(10):
        csms = await site.csms.socket()
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # of a socket it reads, too
        leg = site.server.drivers["CP-7"]._legs[Peer.STATION]
        while not leg.transport.get_write_buffer_size():
            await csms.send("x" * 8_000)
            await asyncio.sleep(0)
        writer.write_eof()
        assert await close_of(csms) == 1001
        while "CP-7" in site.server.drivers:  # noqa: ASYNC110 - its end is elsewhere
            await asyncio.sleep(0.01)


@pytest.mark.requirement("LC-033")
async def test_a_message_in_a_great_many_fragments_takes_no_more_memory_than_its_text() -> None:
    async with site_with() as site, opened(site) as (_, writer):
        csms = await site.csms.socket()
        leg = site.server.drivers["CP-7"]._legs[Peer.STATION]
        writer.write(masked(Opcode.TEXT, b"[", fin=False) + masked(Opcode.CONT, b"", fin=False) * 5_000)
        writer.write(masked(Opcode.CONT, b"]", fin=False))
        while leg.protocol.current_size != 2:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        assert leg._message == b"[]"
        writer.write(masked(Opcode.CONT, b"", fin=True))
        assert await csms.recv() == "[]"


@pytest.mark.requirement("LC-038")
async def test_who_is_about_to_come_in_when_we_stop_does_not_stay() -> None:
    async with site_with() as site:
        site.csms.delay_s = 4.0
        async with site.raw_station() as (judged, _):
            while not site.csms.requests:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
            silent, writer = await asyncio.open_connection(HOST, site.server.ports[0])
            with closing(writer):
                await asyncio.sleep(0.05)
                await site.server.stop()
                async with asyncio.timeout(2):
                    for reader in (judged, silent):
                        with suppress(ConnectionError):
                            assert b" 101 " not in await reader.read()


@pytest.mark.requirement("LC-002")
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.0 403 Forbidden\r\n\r\n", b"403"),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\nno length, no end", b"401"),
        (b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: gzip, chunked\r\n\r\nff", b"404"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 2000000\r\n\r\nlong", b"500"),
        (b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\nHTTP/1.1 429 Later\r\n\r\n", b"429"),
    ],
)
async def test_a_refusal_counts_as_soon_as_its_head_is_there(answer: bytes, told: bytes) -> None:
    """Proxies before a CSMS speak HTTP/1.0, or never finish their text."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(refuse, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    async with server, site_with(csms_port=port, dial_timeout_s=3.0) as site, site.raw_station() as (reader, _):
        assert (await reader.readline()).startswith(b"HTTP/1.1 " + told)


@pytest.mark.requirement("LC-138")
def test_a_strangers_name_gives_no_orders_to_a_terminal() -> None:
    stream = StringIO()
    try:
        configure(as_json=False, stream=stream)
        structlog.get_logger().warning("unknown_station", identity="a\x1b[2J\x9b1mb")
    finally:
        structlog.reset_defaults()
    assert "a\\x1b[2J\\x9b1mb" in stream.getvalue()
    assert stream.getvalue().rstrip("\n").isprintable()


async def test_however_many_wait_with_large_messages_that_are_nearly_done() -> None:
    """Each finishes as soon as it may go on."""
    large = LargeMessages(1, places=1)
    done: list[object] = []

    class Impatient:
        def hold(self, why: int) -> None: ...

        def release(self, why: int) -> None:
            done.append(self)
            large.leave(self)

        def fail(self, code: int, reason: str) -> None: ...

    legs = [Impatient() for _ in range(2_000)]
    for leg in legs:
        large.watch(leg, MIB)
    large.leave(legs[0])
    while len(done) < len(legs) - 1:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0)
    assert done == legs[1:]


@pytest.mark.requirement("LC-016")
async def test_a_station_that_we_do_not_read_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a stranger could throw it out just then, with any password."""
    monkeypatch.setattr(station_server, "ALIVE_S", 0.2)
    slow = DoorLimits(messages_per_second_per_station=0.01, message_burst=1)
    async with (
        site_with(limits=slow) as site,
        site.pair(additional_headers={"Authorization": "Basic Q1AtNzp4"}, close_timeout=0.1) as (station, csms),
    ):
        await station.send("here")
        assert await csms.recv() == "here"
        response = await refusal(site.dial(additional_headers={"Authorization": "Basic Q1AtNzp5"}))
        assert response.status_code == 503
        assert "second_connection_refused" in site.events


@pytest.mark.requirement("LC-132")
async def test_a_failed_dial_tells_neither_the_address_of_the_csms_nor_the_query_of_the_station() -> None:
    async with site_with(csms_port=1) as site:
        for path in (b"/CP-7", b"/CP-7?token=0123456789#x"):
            async with site.raw_station(path=path) as (reader, _):
                answer = await reader.read()
                assert answer.startswith(b"HTTP/1.1 503")
                assert b"127.0.0.1" not in answer
        assert "0123456789" not in repr(site.log.calls)


@pytest.mark.requirement("LC-001")
async def test_headers_that_a_station_means_for_one_leg_stay_there() -> None:
    headers = b"Connection: X-Hop, Authorization", b"X-Hop: 1", b"Authorization: Basic Q1AtNzp4"
    async with site_with() as site, opened(site, *headers):
        (request,) = site.csms.requests
        assert "X-Hop" not in request.headers
        assert request.headers["Authorization"] == "Basic Q1AtNzp4"
        assert request.headers.get_all("Connection") == ["Upgrade"]
