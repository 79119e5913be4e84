"""How do one station and its CSMS talk through a relay for a long time, and come and go?

Both ends live in this process, so that each knows what the other one sent. A connection ends in one of four ways: either
end goes, after both were quiet until nothing was under way (then nothing may be missing), or in the middle of a sentence.
"""

from __future__ import annotations

import asyncio
import base64
import random
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from benchmarks.soak.book import Counts, Kind, Way
from benchmarks.soak.messages import CALL, SEND, VERSIONS, Heard, Writer, heard

_MAX_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Habits:
    """How peers behave, in seconds. drain_s: how long what is under way may take to arrive."""

    calls_per_s: float = 1.0
    burst: int = 4
    connected_s: float = 60.0
    away_s: float = 1.0
    answer_s: float = 0.03
    drain_s: float = 30.0
    gone_s: float = 10.0


@dataclass
class Tally:
    """What all pairs count together. events: ends of connections by their kind, refusals, and what must not happen."""

    counts: Counts = field(default_factory=Counts)
    events: Counter[str] = field(default_factory=Counter)


class Pair:
    """One station, and its CSMS's end."""

    def __init__(
        self, number: int, url: Callable[[], str], habits: Habits, tally: Tally, tls: ssl.SSLContext | None
    ) -> None:
        self.identity = f"CP-{number}"
        self._version = VERSIONS[number % len(VERSIONS)]
        self._url, self._habits, self._tally, self._tls = url, habits, tally, tls
        self._rnd = random.Random(number)
        self._writers = {"station": Writer(self._version, 2 * number), "csms": Writer(self._version, 2 * number + 1)}
        self._ways = {"station": Way(tally.counts), "csms": Way(tally.counts)}
        """By sender."""
        self._ends: dict[str, Connection] = {}
        self._is_ending = True
        self._to_answer = 0
        self._gone = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        """On both legs."""
        return len(self._ends) == 2

    # --- a station's life ----------------------------------------------------------------------------------------

    async def live(self, over: asyncio.Event) -> None:
        """Connections, one after the other; the last one ends without a message under way."""
        while not over.is_set():
            await asyncio.sleep(self._rnd.uniform(0, 2 * self._habits.away_s))
            try:
                station = await self._dial()
            except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError):
                self._tally.events["refused"] += 1
                await self._gone_on_both_legs()
                continue
            self._ends["station"] = station
            reading = asyncio.create_task(self._read("station", station))
            await self._talk(over)
            await self._part(is_last=over.is_set())
            await reading

    async def _dial(self) -> Connection:
        self._is_ending = False
        self._gone.clear()
        password = base64.b64encode(f"{self.identity}:0123456789abcdef".encode()).decode()
        return await connect(
            f"{self._url()}/{self.identity}",
            subprotocols=[Subprotocol(self._version)],
            additional_headers={"Authorization": f"Basic {password}"},
            compression=None,
            max_size=_MAX_BYTES,
            ping_interval=None,
            proxy=None,
            ssl=self._tls,
        )

    async def _talk(self, over: asyncio.Event) -> None:
        """Bursts from either end, for a random time."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._rnd.expovariate(1 / self._habits.connected_s)
        self._say("station", self._writers["station"].boot())
        while loop.time() < end_s and not over.is_set() and not self._gone.is_set():
            pause_s = self._rnd.expovariate(self._habits.calls_per_s * 2 / (1 + self._habits.burst))
            await _first_of(self._gone, over, within_s=min(pause_s, max(0.0, end_s - loop.time())))
            sender = "station" if self._rnd.random() < 0.6 else "csms"
            if sender not in self._ends:
                continue
            for _ in range(self._rnd.randint(1, self._habits.burst)):
                writer = self._writers[sender]
                self._say(sender, writer.station_call() if sender == "station" else writer.csms_call())

    async def _part(self, *, is_last: bool) -> None:
        """Ends the connection on both legs, from either end, after silence or at once; a relay may be slow to make the second one."""
        await _until(lambda: self.is_connected or self._gone.is_set(), self._habits.gone_s)
        is_cut = not is_last and self._rnd.random() < 0.5
        if not is_cut:
            await self._drained()
        self._is_ending = True
        who = self._rnd.choice(("station", "csms"))
        if self._gone.is_set() or (end := self._ends.get(who)) is None:
            self._tally.events["closed_by_relay"] += 1
            is_cut = False
        elif is_cut:
            self._tally.events[f"cut_by_{who}"] += 1
            end.transport.abort()
        else:
            self._tally.events[f"left_by_{who}"] += 1
            await end.close()
        await self._gone_on_both_legs()
        self._ways = {sender: way.ended(by_cut=is_cut) for sender, way in self._ways.items()}

    async def _drained(self) -> None:
        """Nobody begins anything until all is there and answered."""
        await _until(lambda: self._gone.is_set() or not self._to_answer + self._under_way, self._habits.drain_s)

    @property
    def _under_way(self) -> int:
        return sum(way.under_way for way in self._ways.values())

    async def _gone_on_both_legs(self) -> None:
        if not await _until(lambda: not self._ends, self._habits.gone_s):
            self._tally.events["leg_left_open"] += 1
            for end in self._ends.values():
                end.transport.abort()
            await _until(lambda: not self._ends, self._habits.gone_s)

    # --- both ends -----------------------------------------------------------------------------------------------

    async def attend(self, csms: ServerConnection) -> None:
        """The CSMS's end of this station's connection."""
        await self._read("csms", csms)

    async def _read(self, who: str, end: Connection) -> None:
        self._ends[who] = end
        try:
            async for text in end:
                self._hear(who, text if isinstance(text, str) else text.decode())
        except ConnectionClosed:
            pass
        finally:
            if self._ends.get(who) is end:
                del self._ends[who]
                if not self._is_ending:
                    self._gone.set()

    def _hear(self, who: str, text: str) -> None:
        try:
            said = heard(text)
        except ValueError:
            said = Heard(0, "", "")
        if who == "station" and said.is_own:
            self._tally.counts.own += 1
            self._send(who, Writer.answer_to_gateway(said))
            return
        self._ways["csms" if who == "station" else "station"].arrived(text)
        if said.type == CALL:
            self._to_answer += 1
            delay_s = self._rnd.expovariate(1 / self._habits.answer_s)
            asyncio.get_running_loop().call_later(delay_s, self._answer, who, self._ends.get(who), said)
        elif (complaint := self._writers[who].complaint(said)) is not None:
            self._say(who, complaint)

    def _answer(self, who: str, end: Connection | None, call: Heard) -> None:
        """On the connection that the CALL came over, if that is still there."""
        self._to_answer -= 1
        if end is not None and self._ends.get(who) is end and not self._is_ending:
            self._say(who, self._writers[who].answer(call))

    def _say(self, who: str, text: str) -> None:
        kind = {CALL: Kind.CALL, SEND: Kind.SEND}.get(heard(text).type, Kind.ANSWER)
        self._ways[who].sent(text, kind)
        self._send(who, text)

    def _send(self, who: str, text: str) -> None:
        if (end := self._ends.get(who)) is not None:
            broadcast([end], text)


async def _first_of(*events: asyncio.Event, within_s: float) -> None:
    """Until one of them is set, but not for longer."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiting, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()


async def _until(condition: Callable[[], bool], within_s: float) -> bool:
    """Whether it came true in time. It is looked for: counts tell nothing by themselves."""
    end_s = asyncio.get_running_loop().time() + within_s
    while not condition():
        if asyncio.get_running_loop().time() > end_s:
            return False
        await asyncio.sleep(0.02)
    return True


@asynccontextmanager
async def served(pairs: Iterable[Pair]) -> AsyncIterator[int]:
    """The CSMS of all pairs, and its port."""
    by_identity = {pair.identity: pair for pair in pairs}

    async def attend(csms: ServerConnection) -> None:
        if csms.request is not None:
            await by_identity[csms.request.path.rsplit("/", 1)[1]].attend(csms)

    async with serve(
        attend,
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol(version) for version in VERSIONS],
        compression=None,
        max_size=_MAX_BYTES,
        ping_interval=None,
        backlog=4096,
    ) as server:
        yield int(next(iter(server.sockets)).getsockname()[1])
