"""What is frozen must need no collector: an ended connection leaves no circles behind."""

from __future__ import annotations

import asyncio
import gc
import ssl
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import FrameType, FunctionType, MethodType

import pytest
from websockets.asyncio.client import connect
from websockets.datastructures import Headers
from websockets.http11 import Response

from local_controller.adapters.garbage import GarbageKeeper
from local_controller.adapters.leg import Leg
from local_controller.adapters.tls_door import TlsDoor
from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.effects import Peer
from local_controller.station.proxy import StationProxy
from local_controller.station.words import Disconnected, OcppVersion
from tests.adapters.relay_site import HOST, QUIET, Csms, LegSettings, Site, close_of, refusal, site_with
from tests.adapters.test_station_tls import PASSWORD, station_context, tls_leg


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What was there before the test, garbage or not, is set aside: to look through all of it takes a second each time."""
    gc.disable()
    gc.freeze()
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.parametrize("settings", [QUIET, LegSettings(0.05, 5.0), LegSettings(0.0, compress=True)])
@pytest.mark.parametrize("way", ["station closes", "csms closes", "lost"])
async def test_a_connection_that_has_ended_is_gone_without_a_collector(
    settings: LegSettings, way: str, no_collector: None
) -> None:
    async with site_with(leg=settings, csms_leg=settings) as site:
        async with site.pair(compression="deflate") as (station, csms):
            await station.send('[2,"a","Heartbeat",{}]')
            await csms.send(f'[3,"{(await csms.recv())[4]}",{{}}]')
            driver = site.server.drivers["CP-7"]
            held = [
                weakref.ref(one) for one in (driver, driver.proxy, driver._legs[Peer.CSMS], driver._legs[Peer.STATION])
            ]
            protocols = [weakref.ref(driver._legs[peer].protocol) for peer in Peer]
            del driver
            if way == "station closes":
                await station.close()
            elif way == "csms closes":
                await csms.close()
            else:
                station.transport.abort()
            await site.until_told(Disconnected)
        async with site.pair("CP-8"):  # its coming in shows that the other one has left
            while "CP-7" in site.server.drivers:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            assert [ref() for ref in (*held, *protocols)] == [None] * 6


async def test_the_keeper_freezes_what_is_there_and_leaves_python_as_it_was() -> None:
    before = gc.get_threshold()
    keeper = GarbageKeeper()
    keeper.start()
    frozen = gc.get_freeze_count()
    assert frozen > 1000
    keeper.stop()
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before


@pytest.mark.parametrize("why", ["refused", "led in circles", "nobody listens", "hangs up"])
async def test_a_station_that_its_csms_does_not_take_is_gone_without_a_collector(why: str, no_collector: None) -> None:
    """A CSMS may be down for a day, and 500 stations try again and again."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    rude = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    ports = {"refused": 0, "led in circles": 0, "nobody listens": 1, "hangs up": rude.sockets[0].getsockname()[1]}
    circle = Response(302, "Found", Headers({"Location": "/", "Content-Length": "0"}), b"")
    refusing = Csms(refuse=lambda connection: connection.respond(403, "no") if why == "refused" else circle)
    async with rude, site_with(csms=refusing, csms_port=ports[why]) as site:
        for _ in range(2):  # the first one fills caches
            async with site.raw_station() as (reader, _):
                assert b" 403 " if why == "refused" else b" 503 " in await reader.read()
            await asyncio.sleep(0.05)
        assert [one for one in gc.get_objects() if isinstance(one, Leg)] == []


# --- whatever happens at a door --------------------------------------------------------------------------------------

Dial = Callable[..., connect]
Story = Callable[[Site, Dial], Awaitable[None]]


def _owner(thing: object) -> str:
    """Whose code made it; of what the interpreter makes of code, whose code that is."""
    if type(thing) is FrameType:
        return str(thing.f_globals["__name__"])
    return str(thing.__module__ if type(thing) in {FunctionType, MethodType} else type(thing).__module__)


def circles() -> Counter[str]:
    """What only a collector frees, of the gateway and of TLS at its door."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    found = Counter(f"{_owner(one)}.{type(one).__qualname__}" for one in gc.garbage if not _is_foreign(one))
    gc.garbage.clear()
    return found


def _is_foreign(thing: object) -> bool:
    if type(thing) is ssl.SSLObject:
        return not thing.server_side
    return not _owner(thing).startswith("local_controller.")


def all_blocks(identity: str, version: OcppVersion) -> StationProxy:
    return station_proxy(identity, version, StationSettings(evses=(1, 2), fallback_a=6.0))[0]


async def left_in_the_middle(site: Site, dial: Dial) -> None:
    """With CALLs of both ends, and of the gateway itself, on the wire and behind it."""
    async with dial() as station:
        csms = await site.csms.socket()
        await station.send('[2,"a","BootNotification",{"chargePointVendor":"a","chargePointModel":"b"}]')
        await csms.recv()
        await csms.send('[3,"a",{"status":"Accepted","currentTime":"2026-01-01T00:00:00Z","interval":300}]')
        await station.recv()
        for number in range(3):
            await csms.send(f'[2,"c{number}","GetConfiguration",{{"key":[]}}]')
            await station.send(f'[2,"s{number}","MeterValues",{{"connectorId":1,"meterValue":[]}}]')
        await station.send("no message")
        await csms.recv()
        await station.recv()


async def closed_by_the_csms(site: Site, dial: Dial) -> None:
    async with dial() as station:
        csms = await site.csms.socket()
        await station.send('[2,"a","Heartbeat",{}]')
        await csms.recv()
        await csms.close(1012, "restart")
        await close_of(station)


async def lost(site: Site, dial: Dial) -> None:
    async with dial() as station:
        await (await site.csms.socket()).send('[2,"a","Reset",{"type":"Soft"}]')
        station.transport.abort()


async def replaced(site: Site, dial: Dial) -> None:
    async with dial() as old, dial():
        await close_of(old)


async def left_by_a_csms_that_lets_everybody_in(site: Site, dial: Dial) -> None:
    site.csms.greet = lambda socket: socket.close(1001)
    async with dial() as station:
        await close_of(station)


async def refused_by_the_csms(site: Site, dial: Dial) -> None:
    site.csms.refuse = lambda socket: socket.respond(HTTPStatus.FORBIDDEN, "")
    assert (await refusal(dial())).status_code == HTTPStatus.FORBIDDEN


async def not_answered_by_the_csms(site: Site, dial: Dial) -> None:
    site.csms.delay_s = 1.5
    assert (await refusal(dial())).status_code == HTTPStatus.SERVICE_UNAVAILABLE


async def no_csms(site: Site, dial: Dial) -> None:
    assert site.csms.server is not None
    site.csms.server.close()
    assert (await refusal(dial())).status_code == HTTPStatus.SERVICE_UNAVAILABLE


async def unknown(site: Site, dial: Dial) -> None:
    assert (await refusal(dial("stranger"))).status_code == HTTPStatus.NOT_FOUND


async def without_a_version(site: Site, dial: Dial) -> None:
    async with dial(subprotocols=["ocpp1.5"]) as station:
        assert await close_of(station) == 1002


async def gone_at_the_door(site: Site, dial: Dial) -> None:
    """At a door for TLS it speaks none."""
    async with site.raw_station(path=b"/CP-7"):
        pass


async def no_http(site: Site, dial: Dial) -> None:
    reader, writer = await asyncio.open_connection(HOST, site.server.ports[0])
    with closing(writer):
        writer.write(b"neither HTTP nor TLS\r\n\r\n")
        with suppress(ConnectionError):
            await reader.read()


STORIES: tuple[Story, ...] = (
    left_in_the_middle,
    closed_by_the_csms,
    lost,
    replaced,
    left_by_a_csms_that_lets_everybody_in,
    refused_by_the_csms,
    not_answered_by_the_csms,
    no_csms,
    unknown,
    without_a_version,
    gone_at_the_door,
    no_http,
)


@pytest.mark.parametrize("is_encrypted", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("story", STORIES)
async def test_whatever_becomes_of_a_connection_it_leaves_no_circles(
    story: Story, is_encrypted: bool, tmp_path: Path, no_collector: None
) -> None:
    encrypted = {"scheme": "wss", "ssl": station_context(tmp_path)} if is_encrypted else {}
    tls = tls_leg(tmp_path).context if is_encrypted else None
    async with site_with(tls=tls, proxy=all_blocks, dial_timeout_s=1.0) as site:
        gc.collect()  # what the tests before this one have left
        await story(site, partial(site.dial, additional_headers=PASSWORD, **encrypted))
        doors = [door for door in site.server._doors if isinstance(door, TlsDoor)]
        while (  # noqa: ASYNC110 - nobody tells
            site.server._legs or site.server._tasks or any(door._silent or door._handshakes for door in doors)
        ):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert circles() == Counter()
