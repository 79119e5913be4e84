"""What somebody tries who means harm, or whose firmware is broken: nobody stays half alive, nothing grows without end."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import closing, suppress
from pathlib import Path

import pytest
from websockets.frames import Opcode

from local_controller.adapters.certificates import CertificateFiles
from local_controller.adapters.station_server import DoorLimits
from local_controller.adapters.tls import StationTls, TlsLeg
from local_controller.station.effects import Peer
from tests.adapters.relay_site import HOST, close_of, site_with
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
    async with site_with() as site, opened(site) as (reader, writer), asyncio.timeout(10):
        csms = await site.csms.socket()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        leg = site.server.drivers["CP-7"]._legs[Peer.STATION]
        while not leg.transport.get_write_buffer_size():
            await csms.send("x" * 8_000)
            await asyncio.sleep(0)
        writer.write_eof()
        assert await close_of(csms) == 1001
        while "CP-7" in site.server.drivers:  # noqa: ASYNC110 - its end is elsewhere
            await asyncio.sleep(0.01)
        assert reader is not None


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
        site.csms.delay_s = 1.0
        async with site.raw_station() as (judged, _):
            while not site.csms.requests:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
            silent, writer = await asyncio.open_connection(HOST, site.server.ports[0])
            with closing(writer):
                await asyncio.sleep(0.05)
                await site.server.stop()
                async with asyncio.timeout(1):
                    for reader in (judged, silent):
                        with suppress(ConnectionError):
                            assert b" 101 " not in await reader.read()
