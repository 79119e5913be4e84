"""Stations and a CSMS on real sockets, with the relay between them: good manners and every bad one."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import socket
import struct
import time
from contextlib import closing, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.http11 import Response
from websockets.utils import accept_key

from local_controller.adapters import driver as driver_module
from local_controller.adapters import leg as leg_module
from local_controller.adapters.driver import Outlets
from local_controller.adapters.framing import text_frame
from local_controller.adapters.leg import Leg, LegSettings
from local_controller.adapters.station_leg import StationLeg
from local_controller.clock import Instant
from local_controller.config.legs import ListenSection
from local_controller.rpc.frame import Frame
from local_controller.station.block import Block, BlockEffect, OwnCall, Urgency
from local_controller.station.effects import CsmsLimitChanged, Fate, Peer, StationFact, Tell
from local_controller.station.words import (
    Connected,
    Disconnected,
    FellSilent,
    OcppVersion,
    SpokeAgain,
    UnitLearnt,
)
from tests.adapters.relay_site import MIB, Csms, close_of, refusal, site_with
from tests.robust_client import RobustClient

# --- the handshake ------------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-001", "LC-005", "LC-018")
@pytest.mark.parametrize("segment", ["CP-7", "CP%207", "CP%7C7%3a", "CP" + "x" * 46])
async def test_a_station_is_relayed_under_its_own_name_byte_for_byte(segment: str) -> None:
    async with site_with() as site, site.pair(f"any/ocpp2.1/{segment}") as (station, csms):
        assert [request.path for request in site.csms.requests] == [f"/ocpp/{segment}"]
        await station.send('[2, "a", "MeterValues", {"é": 1.10, "e": 1E3}]')
        assert await csms.recv() == '[2, "a", "MeterValues", {"é": 1.10, "e": 1E3}]'
        await csms.send('[3,"a",{} ]')
        assert await station.recv() == '[3,"a",{} ]'
        assert {trace.fate for trace in site.traces} == {Fate.PASSED}
        assert [fact for _, fact in site.facts] == [Connected(OcppVersion.V16)]


@pytest.mark.requirement("LC-001")
@pytest.mark.parametrize("prefixes", [None, ("/ocpp",)])
async def test_a_slash_behind_the_identity_goes_up_as_it_came(prefixes: tuple[str, ...] | None) -> None:
    """Some CSMSs take it off and others do not know such a station: a cable would leave that to them."""
    async with site_with(path_prefixes=prefixes) as site:
        for path in ("CP-7/", "ocpp/CP-7/?token=%41b/", "ocpp//CP-7//"):
            async with site.pair(path) as (station, csms):
                await station.send('[2,"a","Heartbeat",{}]')
                assert await csms.recv() == '[2,"a","Heartbeat",{}]'
                assert list(site.server.drivers) == ["CP-7"]
        assert [request.path for request in site.csms.requests] == [
            "/ocpp/CP-7/", "/ocpp/CP-7/?token=%41b/", "/ocpp/CP-7//"
        ]  # fmt: skip


@pytest.mark.requirement("LC-001")
async def test_what_else_a_station_says_in_its_request_goes_up_too() -> None:
    async with (
        site_with() as site,
        site.raw_station(
            b"X-Site: 7",
            b"Cookie: a=b",
            b"User-Agent: wallbox/1",
            b"Connection: keep-alive",
            path=b"/x/CP-7?token=%41b",
        ) as (reader, _),
    ):
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        (request,) = site.csms.requests
        assert request.path == "/ocpp/CP-7?token=%41b"
        ours = {"Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol"}
        said = {name: value for name, value in request.headers.raw_items() if name not in ours}
        assert said == {"X-Site": "7", "Cookie": "a=b", "User-Agent": "wallbox/1"}
        assert request.headers.get_all("Connection") == ["Upgrade"]


@pytest.mark.requirement("LC-003")
@pytest.mark.parametrize(
    ("offered", "upstream", "chosen"),
    [
        (["ocpp2.0", "ocpp1.6", "ocpp2.0.1"], "ocpp1.6, ocpp2.0.1", "ocpp2.0.1"),
        (["ocpp2.0.1", "ocpp1.6"], "ocpp2.0.1, ocpp1.6", "ocpp2.0.1"),
        (["ocpp2.1", "soap", "ocpp1.6"], "ocpp2.1, ocpp1.6", "ocpp1.6"),
    ],
)
async def test_the_csms_chooses_among_the_versions_that_all_three_speak(
    offered: list[str], upstream: str, chosen: str
) -> None:
    async with site_with() as site, site.pair(subprotocols=offered) as (station, _):
        assert site.csms.requests[0].headers["Sec-WebSocket-Protocol"] == upstream
        assert station.subprotocol == chosen
        assert site.facts == [("CP-7", Connected(OcppVersion(chosen)))]


@pytest.mark.requirement("LC-004")
async def test_without_a_common_version_the_handshake_completes_and_the_socket_closes() -> None:
    async with site_with() as site, site.dial(subprotocols=["ocpp1.5", "soap"]) as station:
        assert station.subprotocol is None
        assert await close_of(station) == 1002
        assert site.csms.requests == []


@pytest.mark.requirement("LC-003", "LC-004")
async def test_of_a_station_that_names_no_version_at_all_the_csms_decides() -> None:
    """Some 1.6 stations are known to do so (docs/quirks.md), and some CSMSs to let them in."""
    async with site_with() as site:
        async with site.pair(subprotocols=None) as (station, upstream):
            assert "Sec-WebSocket-Protocol" not in site.csms.requests[0].headers
            assert station.subprotocol is None
            await station.send('[2,"a","Heartbeat",{}]')
            assert await upstream.recv() == '[2,"a","Heartbeat",{}]'
            assert site.facts == [("CP-7", Connected(OcppVersion.V16))]
        site.csms.greet = lambda socket: socket.close(1002, "no version")
        async with site.dial(subprotocols=None) as station:
            assert await close_of(station) == 1002


@pytest.mark.requirement("LC-003", "LC-004")
async def test_a_csms_that_names_no_version_is_copied() -> None:
    csms = Csms(chooses=())
    async with site_with(csms=csms) as site:
        async with site.dial(subprotocols=["ocpp1.6", "ocpp2.0.1"]) as station:
            assert station.subprotocol is None
            assert await close_of(station) == 1002
        async with site.pair() as (station, upstream):
            assert station.subprotocol is None
            await upstream.send('[2,"a","Reset",{}]')
            assert await station.recv() == '[2,"a","Reset",{}]'


@pytest.mark.requirement("LC-002")
@pytest.mark.parametrize(
    ("status", "told"), [(401, 401), (403, 403), (404, 404), (429, 429), (499, 499), (500, 500), (300, 503)]
)
async def test_a_refusal_of_the_csms_reaches_the_station(status: int, told: int) -> None:
    def refuse(connection: ServerConnection) -> Response:
        response = connection.respond(404, "no")
        response.status_code = status
        response.headers["WWW-Authenticate"] = 'Basic realm="ä"'
        response.headers["Location"] = f"ws://127.0.0.1:{site.csms.port}/elsewhere"
        return response

    async with site_with(csms=Csms(refuse=refuse)) as site:
        response = await refusal(site.dial())
        assert response.status_code == told
        assert response.headers.get("WWW-Authenticate") == (None if told == 503 else 'Basic realm="ä"')
        assert len(site.csms.requests) == 1
        assert site.facts == []
        assert site.events == ["csms_refused"]


@pytest.mark.requirement("LC-002")
@pytest.mark.parametrize("behaviour", ["closed port", "silent", "hangs up", "talks nonsense"])
async def test_a_csms_that_cannot_be_reached_is_service_unavailable(behaviour: str) -> None:
    async def serve_badly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            if behaviour == "silent":
                await reader.read()
            writer.write(b"220 smtp ready\r\n\r\n" if behaviour == "talks nonsense" else b"")
        hung_up.set()

    hung_up = asyncio.Event()
    bad = await asyncio.start_server(serve_badly, "127.0.0.1", 0)
    port = bad.sockets[0].getsockname()[1]
    if behaviour == "closed port":
        bad.close()
        hung_up.set()
    async with bad, site_with(csms_port=port, dial_timeout_s=0.3) as site:
        assert (await refusal(site.dial())).status_code == 503
        await hung_up.wait()


@pytest.mark.requirement("LC-003")
@pytest.mark.parametrize(
    ("named", "told"),
    [
        (["ocpp1.6", "ocpp1.6"], "multiple values: ocpp1.6, ocpp1.6"),  # of RFC 6455 §11.3.4 there must not be two
        (
            ["ocpp1.6", "ocpp2.0.1, ocpp1.6"],
            "multiple values: ocpp1.6, ocpp2.0.1, ocpp1.6",
        ),  # of a framework that echoes
        (["ocpp2.0.1"], "unsupported subprotocol: ocpp2.0.1"),  # which was not offered
    ],
)
async def test_a_csms_that_does_not_choose_one_offered_version_is_failed_and_the_log_says_why(
    named: list[str], told: str
) -> None:
    """RFC 6455 §4.1 leaves a client no choice; and in which version were we to read, where two are named?"""

    def misname(connection: ServerConnection) -> Response:
        accept = accept_key(connection.request.headers["Sec-WebSocket-Key"])
        answer = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
        return Response(101, "Yes", Headers([*answer, *(("Sec-WebSocket-Protocol", one) for one in named)]), b"")

    async with site_with(csms=Csms(refuse=misname)) as site:
        assert (await refusal(site.dial())).status_code == 503
        (told_of,) = [call.kwargs for call in site.log.calls if call.kwargs["event"] == "csms_refused"]
        assert told_of["station"] == "CP-7"
        assert told_of["reason"].endswith(told)


async def test_strangers_get_404_and_the_csms_never_hears_of_them() -> None:
    async with site_with() as site:
        for path in ("", "/", "nobody", "nobody/", "CP-7/nobody", "../nobody"):
            assert (await refusal(site.dial(path))).status_code == 404
        assert site.csms.requests == []
        assert "unknown_station" in site.events


@pytest.mark.requirement("LC-006")
@pytest.mark.parametrize(
    "value",
    [
        b"Basic " + base64.b64encode(b"CP-7:" + bytes(range(0xF0, 0x100)) + b"\xff\xfe"),
        b"Basic \xff\xfe raw bytes \xc3\xa9",
        b"bAsIc   odd==  spacing",
    ],
)
async def test_the_credentials_reach_the_csms_byte_for_byte(value: bytes) -> None:
    seen: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def catch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.set_result(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    catcher = await asyncio.start_server(catch, "127.0.0.1", 0)
    headers = b"Authorization: " + value, b"User-Agent: wallbox/1"
    port = catcher.sockets[0].getsockname()[1]
    async with catcher, site_with(csms_port=port) as site, site.raw_station(*headers) as (reader, _):
        assert set(headers) < set((await seen).split(b"\r\n"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 503")


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (b"GET /CP-7 HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 426"),
        (b"GET /CP-7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: ,;,\r\n\r\n", b"HTTP/1.1 4"),
        (b"\x16\x03\x01\x02\x00 this is TLS\r\n\r\n", b"HTTP/1.1 400"),
    ],
)
async def test_what_is_no_websocket_request_never_reaches_the_csms(request_bytes: bytes, answer: bytes) -> None:
    async with site_with() as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.server.ports[0])
        with closing(writer):
            writer.write(request_bytes)
            assert (await reader.read()).startswith(answer)
        assert site.csms.requests == []
        async with site.pair() as (station, csms):
            await station.send("still there")
            assert await csms.recv() == "still there"


@pytest.mark.requirement("LC-038")
async def test_a_station_that_leaves_during_the_handshake_leaves_nothing_upstream() -> None:
    async with site_with(csms=Csms(delay_s=1.0)) as site:
        async with site.raw_station() as (_, writer):
            while not site.csms.requests:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
            writer.transport.abort()
        upstream = await site.csms.socket()
        assert await close_of(upstream) in {1001, 1006}
        assert site.facts == []
        site.csms.delay_s = 0.0
        async with site.pair() as (station, csms):
            await csms.send("welcome back")
            assert await station.recv() == "welcome back"


# --- the end ------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-036", "LC-038")
@pytest.mark.parametrize(("code", "other"), [(1000, 1000), (1001, 1001), (1008, 1008), (4321, 4321), (None, 1001)])
@pytest.mark.parametrize("who", ["station", "csms"])
async def test_both_legs_end_together_with_a_legal_code(who: str, code: int | None, other: int) -> None:
    async with site_with() as site, site.pair() as pair:
        leaving, staying = pair if who == "station" else pair[::-1]
        if code is None:
            leaving.transport.abort()
        else:
            await leaving.close(code, "for a reason")
        assert await close_of(staying) == other
        assert staying.close_reason == ("" if code is None else "for a reason")
        gone = await site.until_told(Disconnected)
        assert isinstance(gone, Disconnected)
        assert who in gone.reason
        await site.server.stop()
        assert not site.server.drivers


@pytest.mark.requirement("LC-036")
async def test_a_peer_that_says_goodbye_but_holds_the_line_is_cut_off() -> None:
    async with site_with() as site, site.raw_station() as (reader, writer):
        assert b"101" in await reader.readuntil(b"\r\n\r\n")
        upstream = await site.csms.socket()
        writer.write(b"\x88\x80abcd")  # a Close frame; the TCP connection stays
        assert await close_of(upstream) == 1000
        await reader.read()


@pytest.mark.requirement("LC-014", "LC-033")
@pytest.mark.parametrize("who", ["station", "csms"])
async def test_eight_mebibytes_pass_nine_close_the_leg_and_others_do_not_notice(who: str) -> None:
    robust = {
        "create_connection": RobustClient,
        "close_timeout": 0.9,
    }  # the plain one fails when closed with much unsent
    async with site_with() as site, site.pair("CP-1") as bystanders, site.pair("CP-2", **robust) as pair:
        sender, receiver = pair if who == "station" else pair[::-1]
        large = '[6,"e","NotifyPeriodicEventStream",{"data":"' + "x" * (8 * MIB - 64) + '"}]'
        await sender.send(large)
        assert await receiver.recv() == large
        with suppress(ConnectionClosed):
            await sender.send("x" * 9 * MIB)
        assert await close_of(sender) == 1009
        assert await close_of(receiver) in {1001, 1009}
        await bystanders[0].send("here")
        assert await bystanders[1].recv() == "here"


@pytest.mark.parametrize("who", ["station", "csms"])
async def test_a_binary_message_closes_both_legs(who: str) -> None:
    async with site_with() as site, site.pair() as pair:
        sender, receiver = pair if who == "station" else pair[::-1]
        await sender.send(b'[2,"a","Heartbeat",{}]')
        assert await close_of(sender) == 1003
        assert await close_of(receiver) == 1003


@pytest.mark.requirement("LC-033")
async def test_text_that_is_no_utf8_closes_the_leg_and_nothing_else() -> None:
    async with site_with() as site, site.pair("CP-1") as bystanders, site.pair("CP-2") as (station, csms):
        await station.send(b"\xff\xfe", text=True)
        assert await close_of(station) == 1007
        assert await close_of(csms) in {1001, 1007}
        await bystanders[1].send("here")
        assert await bystanders[0].recv() == "here"


@pytest.mark.requirement("LC-015")
async def test_a_station_that_answers_no_ping_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leg_module, "LINGER_S", 0.1)
    async with site_with(leg=LegSettings(ping_interval_s=0.1, ping_timeout_s=0.1)) as site, site.raw_station():
        upstream = await site.csms.socket()
        assert await close_of(upstream) == 1001


@pytest.mark.requirement("LC-015")
async def test_a_station_that_answers_no_ping_is_silent_first_and_its_link_stays_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may only be slow: the site counts it as unreachable, and it needs no new connection when it speaks again."""
    monkeypatch.setattr(leg_module, "LINGER_S", 5.0)
    often = LegSettings(ping_interval_s=0.2, ping_timeout_s=0.2)
    async with site_with(leg=often) as site, site.raw_station() as (reader, writer):
        upstream = await site.csms.socket()
        await site.until_told(FellSilent)
        writer.write(text_frame('[2,"1","Heartbeat",{}]', masked=True))
        assert await upstream.recv() == '[2,"1","Heartbeat",{}]'
        await site.until_told(SpokeAgain)
        kinds = [type(fact) for _, fact in site.facts]
        assert kinds[:3] == [Connected, FellSilent, SpokeAgain]
        await reader.readuntil(b"\x89\x00")
        assert Disconnected not in kinds


def test_a_station_is_named_silent_within_30_s_of_its_last_word_and_lost_within_50() -> None:
    """Its last word may have come right after a ping: then the next ping asks, and its time-out tells (G12)."""
    listen = ListenSection()
    named_s = listen.ping_interval_s + listen.ping_timeout_s
    assert listen.ping_timeout_s <= listen.ping_interval_s
    assert named_s < 30.0
    assert named_s + leg_module.LINGER_S < 50.0


@pytest.mark.requirement("LC-015")
async def test_an_answer_that_came_while_we_stood_still_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """uvloop rings timers before it reads again: after a pause of ours, all stations would be taken for lost at once."""
    read, pauses = Leg.data_received, 0

    def read_and_stand_still(leg: Leg, data: bytes) -> None:
        nonlocal pauses
        is_message = len(data) > 20 and not data.startswith(b"GET")  # and no mere pong
        if isinstance(leg, StationLeg) and is_message:
            os.write(writer.get_extra_info("socket").fileno(), b"\x8a\x80masK")
            time.sleep(0.5)
            pauses += 1
        read(leg, data)

    monkeypatch.setattr(Leg, "data_received", read_and_stand_still)
    often = LegSettings(ping_interval_s=0.3, ping_timeout_s=0.3)
    async with (
        site_with(leg=often) as site,
        site.raw_station(path=b"/slow/CP-1") as (reader, writer),
        site.pair("slow/CP-2") as (other, _),
    ):
        for _ in range(3):
            await reader.readuntil(b"\x89\x00")
            await other.send('[6,"a","Heartbeat",{}]')
        assert pauses >= 2
        assert not any(isinstance(fact, Disconnected) for _, fact in site.facts)


@pytest.mark.requirement("LC-036")
async def test_stopping_the_relay_says_goodbye_on_both_legs() -> None:
    async with site_with() as site, site.pair() as (station, csms):
        await site.server.stop()
        assert station.close_code == csms.close_code == 1001
        assert site.facts[-1][1] == Disconnected("station closed the connection (1001)")


# --- a second connection of one identity --------------------------------------------------------------------------


@pytest.mark.requirement("LC-016")
async def test_a_second_connection_with_the_same_credentials_replaces_the_first_on_both_legs() -> None:
    header: dict[str, Any] = {"additional_headers": {"Authorization": "Basic eA=="}}
    async with site_with() as site, site.pair(**header) as (old, old_csms), site.pair(**header) as (new, new_csms):
        assert await close_of(old) == await close_of(old_csms) == 1001
        await new.send("new")
        assert await new_csms.recv() == "new"
        assert site.csms.most_open == 1
        assert [type(fact) for _, fact in site.facts] == [Connected, Disconnected, Connected]
        assert list(site.server.drivers) == ["CP-7"]


@pytest.mark.requirement("LC-016")
async def test_the_site_hears_of_the_end_of_the_first_before_the_second() -> None:
    async with site_with() as site, site.raw_station():  # never finishes the closing handshake
        old_csms = await site.csms.socket()
        async with site.pair():
            assert old_csms.close_code == 1001
            assert [type(fact) for _, fact in site.facts] == [Connected, Disconnected, Connected]


@pytest.mark.requirement("LC-016")
async def test_a_dead_first_connection_does_not_keep_the_second_waiting() -> None:
    """A station that lost its network has left a socket behind that will never finish the closing handshake."""
    leg = LegSettings(ping_interval_s=0.0, close_timeout_s=3600.0)
    async with site_with(leg=leg) as site, site.raw_station() as (reader, _):
        await site.csms.socket()
        async with site.pair() as (new, csms):
            await new.send("new")
            assert await csms.recv() == "new"
            assert site.csms.most_open == 1
        assert b"\x88\x1e\x03\xe9replaced by a new connection" in await reader.read(), "it may not be as dead as that"


@pytest.mark.requirement("LC-016")
async def test_many_at_once_under_one_name_never_become_two_upstream() -> None:
    async with site_with() as site:
        results = await asyncio.gather(*(site.dial() for _ in range(5)), return_exceptions=True)
        sockets = [one for one in results if isinstance(one, ClientConnection)]
        assert sockets
        assert site.csms.most_open == 1
        for socket in sockets:
            await socket.close()


@pytest.mark.requirement("LC-016")
async def test_a_stranger_with_other_credentials_cannot_throw_out_a_living_station() -> None:
    async with site_with() as site, site.pair(additional_headers={"Authorization": "Basic eA=="}) as (station, csms):
        response = await refusal(site.dial(additional_headers={"Authorization": "Basic eQ=="}))
        assert response.status_code == 503
        await station.send("here")
        assert await csms.recv() == "here"
        assert len(site.csms.requests) == 1


@pytest.mark.requirement("LC-016")
async def test_a_station_with_a_new_password_replaces_its_dead_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_controller.adapters.station_server.ALIVE_S", 0.1)
    async with site_with() as site, site.raw_station(b"Authorization: Basic eA=="):  # it answers no ping
        old_csms = await site.csms.socket()
        async with site.pair(additional_headers={"Authorization": "Basic eQ=="}) as (new, new_csms):
            assert await close_of(old_csms) == 1001
            await new_csms.send("welcome")
            assert await new.recv() == "welcome"
            assert site.csms.most_open == 1


# --- bad neighbours -----------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-033", "LC-014")
async def test_a_station_that_reads_nothing_holds_up_its_own_csms_and_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(driver_module, "STALL_S", 0.5)
    async with site_with() as site, site.pair("CP-1") as bystanders, site.raw_station(path=b"/CP-2"):
        flooder = await site.csms.socket(1)
        sent = 0
        with suppress(ConnectionClosed):
            while sent < 200:
                await flooder.send('[6,"e","X",{"data":"' + "x" * MIB + '"}]')
                sent += 1
                await bystanders[0].send("here")
                assert await bystanders[1].recv() == "here"
        assert sent < 60, "the relay took in what it could not get rid of"
        assert "connection_stalled" in site.events


@pytest.mark.requirement("LC-033", "LC-031")
@pytest.mark.parametrize("overfull_bytes", [driver_module.OVERFULL_BYTES, 64 * 1024])
async def test_a_station_that_reads_nothing_before_it_has_said_all_is_heard_out(
    overfull_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small stations do not read while they write; the CSMS talks to it meanwhile, and both would wait for ever.

    Also when the message that filled the way to it is larger than what may pile up of our own answers.
    """
    monkeypatch.setattr(driver_module, "OVERFULL_BYTES", overfull_bytes)
    async with site_with() as site, site.raw_station(path=b"/CP-2") as (reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        csms = await site.csms.socket()
        with suppress(TimeoutError):
            while True:  # until everything on the way to the station is full
                async with asyncio.timeout(0.3):
                    await csms.send('[6,"e","X",{"data":"' + "x" * MIB + '"}]')
        said = [f'[6,"{n}","NotifyEvent",{{"data":"{"y" * MIB}"}}]' for n in range(20)]

        async def say() -> None:
            for text in said:
                writer.write(WireFrame(Opcode.TEXT, text.encode()).serialize(mask=True))
                await writer.drain()

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(say())
            for text in said:
                assert await csms.recv() == text
        assert "connection_stalled" not in site.events


@pytest.mark.requirement("LC-031", "LC-033")
async def test_errors_for_a_station_that_never_reads_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "STALL_S", 3.0)
    monkeypatch.setattr(driver_module, "OVERFULL_BYTES", 128 * 1024)
    async with site_with() as site, site.raw_station(path=b"/CP-2") as (reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await site.csms.socket()
        leg = site.server._drivers["CP-2"]._legs[Peer.STATION]
        unsent_bytes = [0]

        async def watch() -> None:
            while not leg.gone.done():
                unsent_bytes.append(leg.unsent_bytes)
                await asyncio.sleep(0.01)

        watching = asyncio.create_task(watch())
        with suppress(ConnectionError):
            async with asyncio.timeout(30):
                for n in itertools.count():
                    call = f'[2,"{"i" * 3000}{n}","Heartbeat",{{}}]'
                    writer.write(WireFrame(Opcode.TEXT, call.encode()).serialize(mask=True))
                    await writer.drain()
        await watching
        assert 128 * 1024 < max(unsent_bytes) < 256 * 1024
        assert "connection_stalled" in site.events


@pytest.mark.requirement("LC-036")
async def test_a_station_that_vanishes_while_it_holds_up_its_csms_is_a_lost_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with site_with() as site, site.raw_station(path=b"/CP-2") as (_, writer):
        flooder = await site.csms.socket()
        with suppress(ConnectionClosed, TimeoutError):
            while True:
                async with asyncio.timeout(0.5):
                    await flooder.send('[6,"e","X",{"data":"' + "x" * MIB + '"}]')
        reset_at_once = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_at_once)
        writer.close()
        await site.until_told(Disconnected)
        await flooder.wait_closed()
    assert [type(fact) for _, fact in site.facts] == [Connected, Disconnected]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.requirement("LC-033", "LC-031")
async def test_a_flood_of_calls_is_answered_with_errors_while_others_are_served() -> None:
    async with site_with() as site, site.pair("CP-1") as bystanders, site.pair("CP-2") as (station, csms):
        for n in range(500):
            await station.send(f'[2,"{n}","Heartbeat",{{}}]')
        await bystanders[0].send("here")
        assert await bystanders[1].recv() == "here"
        errors = [await station.recv() for _ in range(500 - 1 - 64)]
        assert all('"GenericError"' in error for error in errors)
        for n in range(65):
            assert await csms.recv() == f'[2,"{n}","Heartbeat",{{}}]'
            await csms.send(f'[3,"{n}",{{}}]')
            assert await station.recv() == f'[3,"{n}",{{}}]'


@pytest.mark.requirement("LC-013")
@pytest.mark.parametrize("compressed", ["station", "csms"])
async def test_each_leg_has_its_own_compression(compressed: str) -> None:
    station_leg = LegSettings(0.0, compress=compressed == "station")
    csms_leg = LegSettings(0.0, compress=compressed == "csms")
    async with (
        site_with(leg=station_leg, csms_leg=csms_leg) as site,
        site.pair(compression="deflate") as (station, csms),
    ):
        assert [bool(one.protocol.extensions) for one in (station, csms)] == [
            compressed == "station",
            compressed == "csms",
        ]
        await station.send("x" * 10_000)
        assert await csms.recv() == "x" * 10_000


class Faulty(Block):
    """A block with a bug."""

    def called(self, sender: Peer, call: Frame, now: Instant) -> list[BlockEffect]:
        if call.action == "Boom":
            raise ZeroDivisionError("a bug of ours")
        return []


async def test_our_own_bug_ends_one_connection_and_the_site_knows() -> None:
    async with site_with(Faulty()) as site, site.pair("CP-1") as bystanders:
        async with site.pair("CP-2") as (station, csms):
            await station.send('[2,"a","Boom",{}]')
            assert await close_of(station) == await close_of(csms) == 1011
            assert site.facts[-1] == ("CP-2", Disconnected("internal error: ZeroDivisionError: a bug of ours"))
            assert site.events == ["station_failed"]
        async with site.pair("CP-2") as (station, csms):
            await station.send("again")
            assert await csms.recv() == "again"
        await bystanders[0].send("here")
        assert await bystanders[1].recv() == "here"


# --- time and order -----------------------------------------------------------------------------------------------


class Patient(Block):
    """Tells when its call was answered, or not."""

    def __init__(self) -> None:
        self.wakes_at_s: float | None = None

    @property
    def deadline(self) -> float | None:
        return self.wakes_at_s

    def connected(self, now: Instant) -> list[BlockEffect]:
        self.wakes_at_s = now.monotonic_s + 0.05
        return []

    def expire(self, now: Instant) -> list[BlockEffect]:
        self.wakes_at_s = None
        return [OwnCall(Peer.STATION, "GetConfiguration", {}, Urgency.QUERY, "q", timeout_s=0.05)]

    def answered(self, tag: Any, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        return [Tell(UnitLearnt("nothing" if answer is None else "A"))]


async def test_deadlines_of_blocks_and_of_our_calls_are_kept() -> None:
    async with site_with(Patient()) as site, site.pair() as (station, csms):
        assert await station.recv() == '[2,"LC1","GetConfiguration",{}]'
        assert await site.until_told(UnitLearnt) == UnitLearnt("nothing")
        await station.send('[3,"LC1",{}]')
        await station.send("after it")
        assert await csms.recv() == "after it"


async def test_what_the_site_asks_for_while_it_is_told_something_comes_after_it() -> None:
    call = OwnCall(Peer.STATION, "ClearCache", {}, Urgency.SAFETY, "x")
    async with site_with() as site, site.pair() as (station, _):
        driver = site.server.drivers["CP-7"]

        def on_fact(identity: str, fact: StationFact | CsmsLimitChanged, now: Instant) -> None:
            site.facts.append((identity, fact))
            if fact == UnitLearnt("A"):
                driver.do(lambda proxy, now: proxy.perform([call], now))

        driver._outlets = Outlets(on_fact, driver._outlets.log)
        driver.do(lambda proxy, now: [Tell(UnitLearnt("A")), Tell(UnitLearnt("W"))])
        assert [fact for _, fact in site.facts[1:]] == [UnitLearnt("A"), UnitLearnt("W")]
        assert await station.recv() == '[2,"LC1","ClearCache",{}]'


@pytest.mark.requirement("LC-036", "LC-038")
@pytest.mark.parametrize("peer", list(Peer))
async def test_who_speaks_no_more_is_told_no_more(peer: Peer) -> None:
    """Between its last byte and the end of its connection, as the event loop tells them, others still talk."""
    async with site_with() as site, site.pair() as (station, csms):
        leg = site.server.drivers["CP-7"]._legs[peer]
        leg.eof_received()
        await (csms if peer is Peer.STATION else station).send('[2,"a","Heartbeat",{}]')
        assert await close_of(csms if peer is Peer.STATION else station) in {1001, 1006, 1011}
        assert await site.until_told(Disconnected) == Disconnected(f"{peer} closed the connection (1006)")
        assert "station_failed" not in site.events
