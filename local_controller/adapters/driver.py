"""How does a StationProxy get its messages and its time, and how are its effects carried out?

One driver per connected station: a reader per leg, one timer. All inputs go through `StationDriver.do`, so effects keep
their order, and our own faults end this station's connection, never the site.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import broadcast
from websockets.exceptions import ConnectionClosed

from local_controller.clock import Clock, Instant
from local_controller.station.effects import Close, Effect, Fact, Note, Peer, Send, Tell, Trace
from local_controller.station.proxy import StationProxy
from local_controller.station.words import Disconnected

STALL_S = 60.0  # a peer that reads nothing for so long is as good as lost; twice the longest usual answer time
TURN = 16  # messages of one peer handled before others have their turn (LC-033)
_SHORTEST_SLEEP_S = 0.01  # a deadline that does not move must not occupy the loop
_REASON_BYTES = 123  # RFC 6455 §5.5


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where the facts, notes and traces of stations go, each with the station's identity.

    `tell` and `trace` are called in the order of events and may call `StationDriver.do`.
    """

    tell: Callable[[str, Fact, Instant], None]
    log: FilteringBoundLogger
    trace: Callable[[str, Trace, Instant], None] | None = None


class StationDriver:
    """One station's proxy, its two sockets and its timer."""

    def __init__(
        self, identity: str, proxy: StationProxy, legs: Mapping[Peer, Connection], clock: Clock, outlets: Outlets
    ) -> None:
        """Both legs must be open; `run` does the rest."""
        self.identity = identity
        self.proxy = proxy
        self._legs = legs
        self._clock = clock
        self._outlets = outlets
        self._log = outlets.log.bind(station=identity)
        self._todo: deque[tuple[Effect, Instant]] = deque()
        self._is_busy = False
        self._has_failed = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed_s = 0.0
        self._closings: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Relays until both legs are closed."""
        self.do(lambda proxy, now: proxy.connected(now))
        try:
            await asyncio.gather(*(self._read(peer) for peer in Peer))
        finally:
            if self._timer:
                self._timer.cancel()
            await asyncio.gather(*(leg.close(1001) for leg in self._legs.values()))

    def do(self, act: Callable[[StationProxy, Instant], Iterable[Effect]]) -> None:
        """Gives the proxy one input, now, and carries out what follows. Never raises for a fault of ours or of a block."""
        if self._has_failed:
            return
        now = self._clock.now()
        try:
            self._carry_out(act(self.proxy, now), now)
            self._arm(now)
        except Exception as fault:  # noqa: BLE001 - our fault ends this station's task, never the site
            self._fail(fault, now)

    # --- reading -------------------------------------------------------------------------------------------------

    async def _read(self, peer: Peer) -> None:
        """Hands over the messages of one leg until it is closed, then its end."""
        leg = self._legs[peer]
        code, reason = 1006, ""
        try:
            await self._read_messages(peer, leg)
            code, reason = 1003, "OCPP-J uses text messages only"
        except ConnectionClosed:
            code, reason = leg.close_code or 1006, leg.close_reason or ""
        except TimeoutError:
            reason = "a peer does not read what it is sent"
            self._log.warning("connection_stalled", leg=peer)
        self.do(lambda proxy, now: proxy.closed(peer, now, code, reason))
        await leg.close(1001 if code == 1006 else code, reason)

    async def _read_messages(self, peer: Peer, leg: Connection) -> None:
        """Returns at the first binary message. Raises ConnectionClosed, or TimeoutError when a leg is stalled."""
        count = 0
        while isinstance(text := await leg.recv(), str):
            self._receive(peer, text)
            count += 1
            if count % TURN == 0:
                await asyncio.sleep(0)
            for receiver in self._legs.values():
                if receiver.paused:
                    await self._drained(receiver)

    async def _drained(self, receiver: Connection) -> None:
        """Waits until this leg takes more; one that breaks meanwhile is its own reader's business. Raises TimeoutError."""
        try:
            async with asyncio.timeout(STALL_S):
                await receiver.drain()
        except TimeoutError:
            raise
        except OSError as fault:  # what broke the transport, not a ConnectionClosed
            self._log.debug("connection_broke", fault=str(fault))

    def _receive(self, peer: Peer, text: str) -> None:
        self.do(lambda proxy, now: proxy.receive(peer, text, now))

    # --- carrying out --------------------------------------------------------------------------------------------

    def _carry_out(self, effects: Iterable[Effect], now: Instant) -> None:
        """In order, also when carrying out one of them leads to the next input."""
        self._todo.extend((effect, now) for effect in effects)
        if self._is_busy:
            return
        self._is_busy = True
        try:
            while self._todo:
                self._carry_out_one(*self._todo.popleft())
        finally:
            self._is_busy = False

    def _carry_out_one(self, effect: Effect, now: Instant) -> None:
        match effect:
            case Send(peer, text):
                broadcast([self._legs[peer]], text)
            case Trace():
                if self._outlets.trace:
                    self._outlets.trace(self.identity, effect, now)
            case Tell(fact):
                self._outlets.tell(self.identity, fact, now)
            case Note(level, event, fields):
                getattr(self._log, level)(event, **fields)
            case Close(peer, code, reason):
                self._close(peer, code, reason)

    def _close(self, peer: Peer, code: int, reason: str) -> None:
        """Starts the closing handshake; `run` waits for its end."""
        short = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        task = asyncio.get_running_loop().create_task(self._legs[peer].close(code, short))
        self._closings.add(task)
        task.add_done_callback(self._closings.discard)

    def _fail(self, fault: Exception, now: Instant) -> None:
        """Our own fault: nothing is relayed any more, both sides may dial again, the site counts the station as lost."""
        self._has_failed = True
        self._todo.clear()
        for peer in Peer:
            self._close(peer, 1011, "internal error")
        self._log.error("station_failed", exc_info=fault)
        self._outlets.tell(self.identity, Disconnected(f"internal error: {type(fault).__name__}: {fault}"), now)

    # --- time ----------------------------------------------------------------------------------------------------

    def _arm(self, now: Instant) -> None:
        """Sees to it that the timer rings at the proxy's deadline or earlier; a needless ring costs nothing."""
        deadline_s = self.proxy.deadline
        if deadline_s is None or (self._timer and self._armed_s <= deadline_s):
            return
        if self._timer:
            self._timer.cancel()
        delay_s = max(deadline_s - now.monotonic_s, _SHORTEST_SLEEP_S)
        self._armed_s = now.monotonic_s + delay_s
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.do(lambda proxy, now: proxy.expire(now))
