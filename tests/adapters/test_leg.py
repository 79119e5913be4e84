"""One leg and its peer, byte by byte: handshakes that dribble, fragments, pings, closings, and too much of anything."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, Frame, Opcode
from websockets.utils import accept_key

from local_controller.adapters import large_messages as large_messages_module
from local_controller.adapters.framing import plain_text, text_frame
from local_controller.adapters.leg import MAX_HEAD_BYTES, TURN, TURN_BYTES, LegSettings
from local_controller.adapters.station_server import DoorLimits
from local_controller.station.effects import Peer
from local_controller.station.words import Connected, Disconnected
from tests.adapters.relay_site import MIB, QUIET, Site, close_of, site_with

Raw = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def opened(site: Site, *headers: bytes, path: bytes = b"/CP-7") -> AsyncIterator[Raw]:
    """A station that has got its 101 and from now on writes frames by hand."""
    async with site.raw_station(*headers, path=path) as (reader, writer):
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        yield reader, writer


def masked(opcode: Opcode, data: bytes, *, fin: bool = True, rsv1: bool = False) -> bytes:
    """A frame as the rules say, but for these two bits."""
    wire = bytearray(Frame(opcode, data).serialize(mask=True))
    wire[0] = (0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode
    return bytes(wire)


async def frame_from(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The next (short) frame of the relay to a station: its opcode and data."""
    head = await reader.readexactly(2)
    return head[0] & 0x0F, await reader.readexactly(head[1])


async def acceptance(reader: asyncio.StreamReader) -> bytes:
    """What a hand-made CSMS answers to the request that it reads."""
    request = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = next(line.split(": ")[1] for line in request.split("\r\n") if line.startswith("Sec-WebSocket-Key"))
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(key)}",
        "Sec-WebSocket-Protocol: ocpp1.6",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


# --- the opening handshake ----------------------------------------------------------------------------------------


async def test_a_request_that_dribbles_in_is_one_request() -> None:
    async with site_with() as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.server.ports[0])
        request = (
            b"GET /CP-7 HTTP/1.1\r\nHost: lc\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
        )
        with closing(writer):
            for byte in request:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")


@pytest.mark.requirement("LC-033")
async def test_a_request_that_never_ends_is_cut_off_in_time() -> None:
    async with site_with(limits=DoorLimits(handshake_timeout_s=1.0)) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.server.ports[0])
        with closing(writer):
            writer.write(b"GET /CP-7 HTTP/1.1\r\nHost: lc\r\n")
            with suppress(ConnectionError):
                assert await reader.read() == b""
        async with site.pair() as (station, csms):
            await station.send("here")
            assert await csms.recv() == "here"


@pytest.mark.requirement("LC-033")
@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * MAX_HEAD_BYTES,
        b"GET /CP-7 HTTP/1.1\r\n" + b"X: y\r\n" * (MAX_HEAD_BYTES // 6 + 1),
        b"GET /CP-7 HTTP/1.1\r\nHost: lc\r\nX: " + b"y" * 10_000 + b"\r\n\r\n",
    ],
)
async def test_a_request_that_is_too_large_is_refused(head: bytes) -> None:
    async with site_with() as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.server.ports[0])
        with closing(writer), suppress(ConnectionError):
            writer.write(head)
            assert (await reader.read())[:12] in {b"", b"HTTP/1.1 431"}
        assert site.csms.requests == []


async def test_frames_sent_together_with_the_handshake_are_not_lost() -> None:
    """A CSMS may ask at once, in the very packet that accepts; a station may not wait for our answer."""
    answered = asyncio.get_running_loop().create_future()

    async def csms(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await acceptance(reader) + text_frame('[2,"at once","Reset",{}]', masked=False))
        answered.set_result(await reader.readexactly(6 + 18))
        writer.close()

    server = await asyncio.start_server(csms, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, site_with(csms_port=port) as site, site.raw_station() as (reader, writer):
        writer.write(text_frame('[6,"early","X",{}]', masked=True))
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        assert await frame_from(reader) == (Opcode.TEXT, b'[2,"at once","Reset",{}]')
        assert plain_text(await answered, masked=True) == '[6,"early","X",{}]'


@pytest.mark.requirement("LC-036")
@pytest.mark.parametrize("code", [1001, 1012, 1013])
async def test_a_csms_that_accepts_and_closes_at_once_is_passed_on_at_once(code: int) -> None:
    """The station opens and is closed, as without us: its own back-off goes on as it would."""
    async with site_with() as site:
        site.csms.greet = lambda socket: socket.close(code, "not now")
        for _ in range(3):
            async with asyncio.timeout(2), site.dial() as station:
                assert await close_of(station) == code
                assert station.close_reason == "not now"
        assert [type(fact) for _, fact in site.facts] == [Connected, Disconnected] * 3
        assert site.csms.most_open == 1
        await site.csms.sockets[-1].wait_closed()


@pytest.mark.requirement("LC-036")
async def test_what_the_csms_said_before_it_closed_arrives_first() -> None:
    async def greet(socket: ServerConnection) -> None:
        for number in range(3 * TURN):
            await socket.send(f'[6,"{number}","X",{{}}]')
        await socket.close(1012)

    async with site_with() as site:
        site.csms.greet = greet
        async with site.dial() as station:
            heard = []
            with suppress(ConnectionClosed):
                while True:
                    heard.append(await station.recv())
            assert heard == [f'[6,"{number}","X",{{}}]' for number in range(3 * TURN)]
            assert station.close_code == 1012


# --- messages -----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-014", "LC-018")
async def test_a_message_in_fragments_with_pings_between_is_relayed_as_one() -> None:
    async with site_with() as site, opened(site) as (reader, writer):
        csms = await site.csms.socket()
        parts = '[2,"a","Grüße",{}]'.encode()
        writer.write(masked(Opcode.TEXT, parts[:10], fin=False))  # in the middle of a character
        writer.write(masked(Opcode.PING, b"now"))
        writer.write(masked(Opcode.CONT, parts[10:12], fin=False))
        writer.write(masked(Opcode.CONT, parts[12:]) + text_frame("next", masked=True))
        assert await frame_from(reader) == (Opcode.PONG, b"now")
        assert await csms.recv() == parts.decode()
        assert await csms.recv() == "next"


@pytest.mark.requirement("LC-033")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked(Opcode.CONT, b"x"), 1002),
        (masked(Opcode.TEXT, b"x", fin=False) + text_frame("y", masked=True), 1002),
        (text_frame("unmasked", masked=False), 1002),
        (masked(Opcode.TEXT, b"x", rsv1=True), 1002),
        (masked(Opcode.PING, b"x", fin=False), 1002),
        (b"\x83\x80abcd", 1002),
        (masked(Opcode.TEXT, b"\xff", fin=False) + masked(Opcode.CONT, b"\xfe"), 1007),
        (masked(Opcode.TEXT, b"\xff\xfe"), 1007),
        (masked(Opcode.BINARY, b"[]"), 1003),
        (b"\x81\xff" + (9 * MIB).to_bytes(8, "big") + b"abcd" + b"x" * 100, 1009),
        (b"\x81\xff" + b"\xff" * 8 + b"abcd", 1009),
    ],
    ids=[
        "no beginning",
        "no end",
        "unmasked",
        "rsv1",
        "ping in parts",
        "opcode 3",
        "no utf-8",
        "no text",
        "binary",
        "9 MiB",
        "2^64",
    ],
)
async def test_a_peer_that_breaks_the_rules_hears_which_and_the_other_leg_ends_too(data: bytes, code: int) -> None:
    async with site_with() as site, opened(site) as (reader, writer):
        csms = await site.csms.socket()
        writer.write(data)
        opcode, told = await frame_from(reader)
        assert (opcode, Close.parse(told).code) == (Opcode.CLOSE, code)
        assert await close_of(csms) in {code, 1001}


@pytest.mark.requirement("LC-014")
async def test_a_message_that_grows_when_unpacked_is_refused_before_it_has_grown() -> None:
    """Nine MiB of zeros are nine kB of deflate."""
    packer = zlib.compressobj(9, wbits=-15)
    bomb = packer.compress(bytes(9 * MIB)) + packer.flush(zlib.Z_SYNC_FLUSH)
    header = b"Sec-WebSocket-Extensions: permessage-deflate"
    async with site_with(leg=LegSettings(0.0, compress=True)) as site, opened(site, header) as (reader, writer):
        writer.write(masked(Opcode.TEXT, bomb[:-4], rsv1=True))
        opcode, told = await frame_from(reader)
        assert (opcode, Close.parse(told).code) == (Opcode.CLOSE, 1009)


@pytest.mark.requirement("LC-033")
async def test_a_burst_of_one_station_leaves_the_others_their_turns() -> None:
    """A thousand messages in one packet: another station's message overtakes most of them."""
    async with (
        site_with() as site,
        site.pair("CP-1") as (bystander, bystander_csms),
        opened(site, path=b"/CP-2") as raw,
    ):
        flooded = await site.csms.socket(1)
        order: list[str] = []
        wire = b"".join(text_frame(f'[6,"{n}","X",{{}}]', masked=True) for n in range(2000))
        raw[1].write(wire)
        await bystander.send("here")

        async def listen() -> None:
            await bystander_csms.recv()
            order.append("bystander")

        listening = asyncio.create_task(listen())
        for n in range(2000):
            assert await flooded.recv() == f'[6,"{n}","X",{{}}]'
            order.append("flood")
        await listening
        assert order.index("bystander") < 2000


@pytest.mark.requirement("LC-033")
async def test_a_few_long_messages_of_one_station_leave_the_others_their_turns_too() -> None:
    async with (
        site_with() as site,
        site.pair("CP-1") as (bystander, bystander_csms),
        opened(site, path=b"/CP-2"),
    ):
        flooded = await site.csms.socket(1)
        station = site.server.drivers["CP-2"]._legs[Peer.STATION]
        handled: list[int] = []
        wire = b"".join(text_frame(f'[6,"{n}","X",{{"x":"{"y" * 16384}"}}]', masked=True) for n in range(8))

        def in_one_turn() -> None:
            before = len(site.traces)
            station.data_received(wire)
            handled.append(len(site.traces) - before)

        in_one_turn()
        assert 1 <= handled[0] * 16384 <= TURN_BYTES + 16384
        await bystander.send("here")
        assert await bystander_csms.recv() == "here"
        for n in range(8):
            assert str(await flooded.recv()).startswith(f'[6,"{n}"')


@pytest.mark.requirement("LC-014")
async def test_only_so_many_large_messages_are_on_their_way_in_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten stations send 1 MiB each, all but the last byte; then each finishes, and all arrive."""
    monkeypatch.setattr(large_messages_module, "PLACES", 2)
    monkeypatch.setattr(large_messages_module.LargeMessages.__init__, "__defaults__", (2, 60.0))
    async with site_with() as site, asyncio.TaskGroup() as group:
        text = "x" * MIB

        async def talk(number: int) -> None:
            async with opened(site, path=b"/CP-%d" % number) as (_, writer):
                wire = text_frame(text, masked=True)
                writer.write(wire[:-1])
                await asyncio.sleep(0.2)
                writer.write(wire[-1:])
                csms = next(
                    one for one in site.csms.sockets if one.request and one.request.path == f"/ocpp/CP-{number}"
                )
                assert await csms.recv() == text

        tasks = [group.create_task(talk(number)) for number in range(10)]
        await asyncio.sleep(0.15)
        legs = [session.station for session in site.server._sessions.values()]
        held = [len(leg._splitter) for leg in legs]
        assert sum(bytes_ > large_messages_module.LARGE_BYTES + 512 * 1024 for bytes_ in held) <= 2
        await asyncio.gather(*tasks)


@pytest.mark.requirement("LC-014")
async def test_who_does_not_finish_a_large_message_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_messages_module.LargeMessages.__init__, "__defaults__", (1, 1.0))
    async with (
        site_with() as site,
        opened(site, path=b"/CP-1") as (reader, writer),
        opened(site, path=b"/CP-2") as other,
    ):
        wire = text_frame("x" * MIB, masked=True)
        writer.write(wire[:-1])
        await asyncio.sleep(0.1)
        other[1].write(wire)
        opcode, told = await frame_from(reader)
        assert (opcode, Close.parse(told).code) == (Opcode.CLOSE, 1008)
        assert await (await site.csms.socket(1)).recv() == "x" * MIB


# --- keep-alive ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-015")
async def test_both_legs_are_pinged_and_answer_pings() -> None:
    often = LegSettings(ping_interval_s=0.1, ping_timeout_s=1.0)
    async with site_with(leg=often, csms_leg=often) as site, site.pair() as (station, csms):
        for peer in (station, csms):
            await (await peer.ping())  # our pong
        await asyncio.sleep(1.3)  # longer than a leg lives on which nobody answers
        await station.send("here")
        assert await csms.recv() == "here"


@pytest.mark.requirement("LC-015")
async def test_an_interval_of_zero_means_no_pings() -> None:
    async with site_with(leg=QUIET) as site, opened(site) as (reader, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await reader.read(1)


@pytest.mark.requirement("LC-015")
async def test_a_csms_that_answers_no_ping_is_lost_to_its_station() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await acceptance(reader))
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, site_with(csms_port=port, csms_leg=LegSettings(0.1, 0.1)) as site, site.dial() as station:
        assert await close_of(station) == 1001


@pytest.mark.requirement("LC-015")
async def test_a_station_that_talks_but_answers_no_pings_stays() -> None:
    async with site_with(leg=LegSettings(0.2, 1.0)) as site, opened(site) as (_, writer):
        csms = await site.csms.socket()
        for number in range(15):
            writer.write(text_frame(f"{number}", masked=True))
            assert await csms.recv() == f"{number}"
            await asyncio.sleep(0.1)


# --- the end ------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-036", "LC-038")
async def test_a_lost_leg_leaves_nothing_behind() -> None:
    async with site_with() as site:
        async with opened(site) as (_, writer):
            csms = await site.csms.socket()
            writer.transport.abort()
            assert await close_of(csms) == 1001
        await site.until_told(Disconnected)
        async with site.pair():  # waits until the identity is free again
            assert list(site.server.drivers) == ["CP-7"]
        await csms.wait_closed()
        assert site.csms.most_open == 1


async def test_what_is_sent_to_a_leg_that_closes_is_dropped_quietly() -> None:
    async with site_with() as site, opened(site):
        csms = await site.csms.socket()
        driver = site.server.drivers["CP-7"]
        leg = driver._legs[Peer.STATION]
        leg.close(1000, "é" * 100)  # a reason is cut at 123 bytes, not in the middle of a character
        leg.send("too late")
        leg.close(1000)
        assert await close_of(csms) in {1000, 1001}
