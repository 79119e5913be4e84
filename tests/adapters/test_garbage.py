"""What is frozen must need no collector: an ended connection leaves no circles behind."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from local_controller.adapters.garbage import GarbageKeeper
from local_controller.adapters.leg import Leg
from local_controller.station.effects import Peer
from local_controller.station.words import Disconnected
from tests.adapters.relay_site import QUIET, Csms, LegSettings, site_with


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("settings", [QUIET, LegSettings(0.05, 0.05), LegSettings(0.0, compress=True)])
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


@pytest.mark.parametrize("why", ["refused", "nobody listens", "hangs up"])
async def test_a_station_that_its_csms_does_not_take_is_gone_without_a_collector(why: str, no_collector: None) -> None:
    """A CSMS may be down for a day, and 500 stations try again and again."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    rude = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    ports = {"refused": 0, "nobody listens": 1, "hangs up": rude.sockets[0].getsockname()[1]}
    refusing = Csms(refuse=lambda connection: connection.respond(403, "no"))
    async with rude, site_with(csms=refusing, csms_port=ports[why]) as site:
        for _ in range(2):  # the first one fills caches
            async with site.raw_station() as (reader, _):
                assert b" 403 " if why == "refused" else b" 503 " in await reader.read()
            await asyncio.sleep(0.05)
        assert [one for one in gc.get_objects() if isinstance(one, Leg)] == []
