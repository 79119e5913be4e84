"""Would a soak notice a relay that is no cable? A tiny relay makes one mistake in so many messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from benchmarks.soak.book import Counts, Kind, Way
from benchmarks.soak.messages import VERSIONS, Writer, heard
from benchmarks.soak.pairs import Habits, Pair, Tally, served

RESTLESS = Habits(calls_per_s=60, connected_s=0.3, away_s=0.02, answer_s=0.005, drain_s=0.5)
ENOUGH = 400
ONE_IN = 25

Fault = Callable[[str], list[str]]
"""What a relay sends on in place of a message."""


def no_fault() -> Fault:
    return lambda text: [text]


def one_in(mistake: Fault) -> Callable[[], Fault]:
    """Counted over all lines, however few messages go over each of them."""
    numbers = count(1)

    def relay() -> Fault:
        return lambda text: mistake(text) if next(numbers) % ONE_IN == 0 else [text]

    return relay


def reordering() -> Callable[[], Fault]:
    """Keeps one message back until after the next one of its type."""
    numbers = count(1)

    def relay() -> Fault:
        kept: list[str] = []

        def relayed(text: str) -> list[str]:
            if kept and heard(kept[0]).type == heard(text).type:
                return [text, kept.pop()]
            if next(numbers) % ONE_IN == 0 and not kept:
                kept.append(text)
                return []
            return [text]

        return relayed

    return relay


def respelled(text: str) -> list[str]:
    """The same JSON: one blank more."""
    return [text.replace("[", "[ ", 1)]


@asynccontextmanager
async def relay(csms_port: int, fault: Callable[[], Fault]) -> AsyncIterator[int]:
    """A relay without any features, with a mistake per direction of a connection."""

    async def pump(source: Connection, sink: Connection, sent_on: Fault) -> None:
        with suppress(ConnectionClosed):
            async for text in source:
                for one in sent_on(str(text)):
                    await sink.send(one)
        await sink.close()

    async def attend(station: ServerConnection) -> None:
        assert station.request
        assert station.subprotocol
        url = f"ws://127.0.0.1:{csms_port}{station.request.path}"
        async with connect(url, subprotocols=[station.subprotocol], compression=None, proxy=None) as csms:
            await asyncio.gather(pump(station, csms, fault()), pump(csms, station, fault()))

    async with serve(attend, "127.0.0.1", 0, subprotocols=VERSIONS, compression=None) as server:  # type: ignore[arg-type]  # a NewType of str
        yield next(iter(server.sockets)).getsockname()[1]


async def soaked(fault: Callable[[], Fault]) -> Tally:
    """Six stations talk until enough has arrived."""
    tally, over = Tally(), asyncio.Event()
    ports: list[int] = []
    pairs = [Pair(number, lambda: f"ws://127.0.0.1:{ports[0]}", RESTLESS, tally, None) for number in range(6)]
    async with served(pairs) as csms_port, relay(csms_port, fault) as port:
        ports.append(port)
        living = asyncio.gather(*(pair.live(over) for pair in pairs))
        while tally.counts.messages < ENOUGH:  # noqa: ASYNC110 - counts tell nothing
            await asyncio.sleep(0.01)
        over.set()
        await living
    return tally


async def test_a_relay_without_mistakes_is_found_to_have_none() -> None:
    tally = await soaked(no_fault)
    assert tally.counts.faults == 0
    assert tally.counts.messages >= ENOUGH
    assert tally.events["cut_by_station"] + tally.events["cut_by_csms"] > 0
    assert tally.events["left_by_station"] + tally.events["left_by_csms"] > 0
    assert tally.events["closed_by_relay"] == tally.events["leg_left_open"] == 0


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (one_in(lambda _: []), "lost"),
        (one_in(respelled), "altered"),
        (one_in(lambda text: [text, text]), "duplicated"),
        (reordering(), "reordered"),
    ],
)
async def test_one_mistake_in_twenty_five_messages_is_found(fault: Callable[[], Fault], name: str) -> None:
    counts = (await soaked(fault)).counts
    assert getattr(counts, name) > 0
    others = {"lost", "altered", "duplicated", "reordered"} - {name}
    if name == "altered":
        others -= {"lost"}  # what was sent did not arrive
    if name == "reordered":
        others -= {"lost"}  # one that is still kept back when its connection ends
    assert all(getattr(counts, other) == 0 for other in others)


def test_what_was_under_way_when_a_peer_cut_the_line_is_not_lost_and_may_not_come_later_twice() -> None:
    way = Way(Counts())
    way.sent("a", Kind.CALL)
    way.sent("b", Kind.CALL)
    way.arrived("a")
    after = way.ended(by_cut=True)
    assert (way.counts.cut, way.counts.lost) == (1, 0)
    after.arrived("a")
    assert (way.counts.duplicated, way.counts.altered) == (1, 0)
    after.arrived("b")  # sent over another connection: not a message of this one
    assert way.counts.altered == 1


def test_what_is_missing_on_a_line_that_nobody_cut_is_lost() -> None:
    way = Way(Counts())
    way.sent("a", Kind.ANSWER)
    way.ended(by_cut=False)
    assert way.counts.lost == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_no_two_messages_are_alike_and_every_one_can_be_read(version: str) -> None:
    writer = Writer(version, seed=1)
    texts = [writer.boot()] + [text for _ in range(300) for text in (writer.station_call(), writer.csms_call())]
    texts += [writer.answer(heard(text)) for text in texts]
    assert len(set(texts)) == len(texts)
    assert not any(heard(text).is_own for text in texts)
    assert max(map(len, texts)) > 10_000
    assert any("\n" in text for text in texts)
    assert any(not text.isascii() for text in texts)
