"""How long can a message be under way in the gateway? Told by the CPU time of a process in which all three ends are.

While a message is under way the process does nothing but bring it there, and whatever else the story has it do. So its CPU
time bounds the delay from above, and a machine that stands still does not lengthen it. What real machines take is measured
by `benchmarks/relay`: some 0.7 ms.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.proxy import StationProxy
from local_controller.station.words import OcppVersion
from tests.adapters.relay_site import GENEROUS, MIB, Site, site_with

Pair = tuple[ClientConnection, ServerConnection]
ADDED_S, HELD_UP_S = 0.050, 0.100
ROUNDS = 8
SAMPLE = ",".join(f'{{"value":"{n}.10","measurand":"Current.Import","phase":"L{n}"}}' for n in (1, 2, 3))


@pytest.fixture(autouse=True)
def _garbage_of_others() -> Iterator[None]:
    """What the test runner has in memory is not the gateway's to look through, as is what it has at its start."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def meter_values(number: int) -> str:
    moment = f'{{"timestamp":"2026-06-01T12:00:00Z","sampledValue":[{SAMPLE}]}}'
    return f'[2,"m{number}","MeterValues",{{"connectorId":1,"transactionId":7,"meterValue":[{moment}]}}]'


async def round_trip(pair: Pair, number: int) -> float:
    """CPU seconds there and back; each byte must be as it was."""
    station, csms = pair
    there, back = meter_values(number), f'[3,"m{number}",{{}}]'
    began_s = time.process_time()
    await station.send(there)
    assert await csms.recv() == there
    await csms.send(back)
    while (text := await station.recv()) != back:
        assert str(text).startswith('[2,"LC'), "a CALL of ours"
    return time.process_time() - began_s


def complete(identity: str, version: OcppVersion) -> StationProxy:
    """With all blocks."""
    return station_proxy(identity, version, StationSettings(fallback_a=6.0, is_asked_what_it_holds=True))[0]


@asynccontextmanager
async def pairs(site: Site, stations: int) -> AsyncIterator[list[Pair]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(site.pair(f"CP-{number}")) for number in range(1, stations + 1)]


@pytest.mark.requirement("LC-032", "LC-147")
async def test_a_message_of_fifty_stations_is_worked_at_for_less_than_it_may_be_delayed() -> None:
    async with site_with(limits=GENEROUS, proxy=complete) as site, pairs(site, 50) as fifty:
        spent_s = sorted([await round_trip(pair, number) for number in range(ROUNDS) for pair in fifty])
    assert len(spent_s) == 50 * ROUNDS
    assert spent_s[len(spent_s) * 99 // 100] < ADDED_S


async def floods(pair: Pair) -> None:
    """As many messages as it can get rid of."""
    for number in range(100_000):
        await pair[0].send(f'[6,"{number}","X",{{}}]')


async def talks_garbage(pair: Pair) -> None:
    """Nothing that is OCPP, in many sizes."""
    for number in range(100_000):
        await pair[0].send(("[" * 200, '[2,"a"', "\x00", '[2,"b",{}]', '[3,"c",{"d":[[[', "[" * MIB)[number % 6])


async def never_reads(pair: Pair) -> None:
    """Its CSMS sends on and on."""
    pair[0].transport.pause_reading()
    for _ in range(100_000):
        await pair[1].send('[6,"e","X",{"data":"' + "x" * (MIB // 4) + '"}]')


@pytest.mark.requirement("LC-033")
@pytest.mark.parametrize("misbehaves", [floods, talks_garbage, never_reads])
async def test_a_neighbour_that_misbehaves_delays_nobody_by_a_tenth_of_a_second(
    misbehaves: Callable[[Pair], Awaitable[None]],
) -> None:
    async with site_with(limits=GENEROUS, proxy=complete) as site, pairs(site, 2) as (bad, good):

        async def until_cut_off() -> None:
            with suppress(ConnectionClosed):
                await misbehaves(bad)

        async def hears() -> None:
            with suppress(ConnectionClosed):
                while True:
                    await bad[1].recv()

        tasks = [asyncio.create_task(until_cut_off()), asyncio.create_task(hears())]
        await asyncio.sleep(0.1)
        spent_s = [await round_trip(good, number) for number in range(50)]
        bad[0].transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert max(spent_s) < HELD_UP_S
