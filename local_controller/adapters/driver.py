"""How does a StationProxy get its messages and its time, and how are its effects carried out?

One driver per connected station: two legs call it, and one timer. All inputs go through `StationDriver.do`, so effects
keep their order, and our own faults end this station's connection, never the site.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from structlog.typing import FilteringBoundLogger

from local_controller.adapters.leg import PRESSURE, RATE, Ear
from local_controller.adapters.link import Link
from local_controller.adapters.rates import MessageRate
from local_controller.clock import Clock, Instant
from local_controller.station.effects import Close, Effect, Fact, Note, PasswordOffered, Peer, Send, Tell, Trace
from local_controller.station.proxy import StationProxy
from local_controller.station.words import Disconnected, FellSilent, SpokeAgain

STALL_S = 60.0  # a peer that reads nothing for so long is as good as lost; twice the longest usual answer time
OVERFULL_BYTES = 1024 * 1024  # more unsent to a full peer that talks on unread: answers must not pile up for ever
_STATION = Peer.STATION
_SHORTEST_SLEEP_S = 0.01  # a deadline that does not move must not occupy the loop


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where the facts, notes and traces of stations go, each with the station's identity.

    `tell` and `trace` are called in the order of events and may call `StationDriver.do`. `offered` hears of each new
    password that the CSMS sends to a station.
    """

    tell: Callable[[str, Fact, Instant], None]
    log: FilteringBoundLogger
    trace: Callable[[str, Trace, Instant], None] | None = None
    offered: Callable[[str, str], None] | None = None


class StationDriver:
    """One station's proxy, its two legs and its timer."""

    __slots__ = (
        "__weakref__",
        "_armed_s",
        "_clock",
        "_full_bytes",
        "_has_failed",
        "_is_busy",
        "_legs",
        "_loop",
        "_outlets",
        "_rate",
        "_stalls",
        "_timer",
        "_to_csms",
        "_to_station",
        "_todo",
        "identity",
        "proxy",
    )

    def __init__(
        self,
        proxy: StationProxy,
        legs: Mapping[Peer, Link],
        clock: Clock,
        outlets: Outlets,
        rate: MessageRate,
    ) -> None:
        """Both legs must be open; `start` does the rest. rate: how much the station may say."""
        self.identity = proxy.identity
        self.proxy = proxy
        self._legs = legs
        self._to_station, self._to_csms = legs[Peer.STATION], legs[Peer.CSMS]
        self._clock = clock
        self._outlets = outlets
        self._rate = rate
        self._todo: list[tuple[Iterable[Effect], Instant]] = []
        self._is_busy = False
        self._has_failed = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed_s = math.inf  # when it rings
        self._loop = asyncio.get_running_loop()  # whoever asks for it anew asks the kernel, up to Python 3.11
        self._stalls: dict[Peer, asyncio.TimerHandle] = {}
        self._full_bytes: dict[Peer, int] = {}  # what was unsent when a peer that is in _stalls took no more

    @property
    def _log(self) -> FilteringBoundLogger:
        """Bound when there is something to say: kept by each of hundreds it would be half a kilobyte."""
        return self._outlets.log.bind(station=self.identity)

    def start(self) -> None:
        """Relays from now on, until one leg ends; then the other is closed as well."""
        self.do(lambda proxy, now: proxy.connected(now))
        for peer in (Peer.CSMS, Peer.STATION):  # what the station has said already must find its way
            self._legs[peer].attend(self._ear(peer))

    def stop(self) -> None:
        """Both legs are gone: no more timers."""
        for timer in (self._timer, *self._stalls.values()):
            if timer is not None:
                timer.cancel()
        self.proxy.let_go()

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

    # --- what the legs tell --------------------------------------------------------------------------------------

    def _ear(self, peer: Peer) -> Ear:
        def ended(code: int, reason: str) -> None:
            self.do(lambda proxy, now: proxy.closed(peer, now, code, reason))

        def pressure(is_full: bool) -> None:
            self._pressed(peer, is_full)

        return Ear(partial(self._heard, peer), ended, pressure, self._fell_silent if peer is _STATION else None)

    def _fell_silent(self, for_s: float | None) -> None:
        """A matter of the site alone: nothing is done to the messages of a station that may only be slow."""
        fact = SpokeAgain() if for_s is None else FellSilent(for_s)
        self._outlets.tell(self.identity, fact, self._clock.now())

    def _heard(self, peer: Peer, text: str) -> None:
        """As `do`, which makes no closure for each message."""
        if self._has_failed:
            return
        now = self._clock.now()
        if peer is _STATION and (pause_s := self._rate.take(now.monotonic_s, len(text))) > 0:
            self._rest(pause_s)
        try:
            self._carry_out(self.proxy.receive(peer, text, now), now)
            if self.proxy.due_s < self._armed_s:
                self._arm(now)
        except Exception as fault:  # noqa: BLE001 - our fault ends this station's task, never the site
            self._fail(fault, now)
        if self._stalls:
            self._balance()

    def _rest(self, pause_s: float) -> None:
        """A station that talks too much is not read for a while: nothing is lost, and others are not disturbed (LC-033)."""
        leg = self._legs[Peer.STATION]
        leg.hold(RATE)
        self._loop.call_later(pause_s, leg.release, RATE)

    def _pressed(self, peer: Peer, is_full: bool) -> None:
        """A peer takes no more, or again. Not for ever: who reads nothing holds up the other side's messages."""
        if is_full and peer not in self._stalls:
            self._stalls[peer] = self._loop.call_later(STALL_S, self._stalled, peer)
            self._full_bytes[peer] = self._legs[peer].unsent_bytes
        elif not is_full and (timer := self._stalls.pop(peer, None)) is not None:
            timer.cancel()
        self._balance()

    def _balance(self) -> None:
        """A leg is read while the other one takes what it says.

        Being full itself is no reason: its peer may be one that reads nothing before it has said all, however large the
        message was that did not fit any more. But what we answer to such a one must not pile up.
        """
        for peer, leg in self._legs.items():
            is_overfull = peer in self._stalls and leg.unsent_bytes - self._full_bytes[peer] > OVERFULL_BYTES
            if peer.other in self._stalls or is_overfull:
                leg.hold(PRESSURE)
            else:
                leg.release(PRESSURE)

    def _stalled(self, peer: Peer) -> None:
        self._log.warning("connection_stalled", leg=peer)
        self._legs[peer].abort()

    # --- carrying out --------------------------------------------------------------------------------------------

    def _carry_out(self, effects: Iterable[Effect], now: Instant) -> None:
        """In order, also when carrying out one of them leads to the next input."""
        if self._is_busy:
            self._todo.append((effects, now))
            return
        self._is_busy = True
        try:
            while True:
                for effect in effects:
                    if type(effect) is Send:  # nearly all are
                        (self._to_station if effect.peer is _STATION else self._to_csms).send(effect.text)
                    elif type(effect) is Tell:  # most others are
                        self._outlets.tell(self.identity, effect.fact, now)
                    else:
                        self._carry_out_one(effect, now)
                if not self._todo:
                    break
                effects, now = self._todo.pop(0)
        finally:
            self._is_busy = False

    def _carry_out_one(self, effect: Effect, now: Instant) -> None:
        match effect:
            case Trace():
                if self._outlets.trace:
                    self._outlets.trace(self.identity, effect, now)
            case Note(level, event, fields):
                getattr(self._log, level)(event, **fields)
            case PasswordOffered(value):
                if self._outlets.offered:
                    self._outlets.offered(self.identity, value)
            case Close(peer, code, reason):
                self._legs[peer].close(code, reason)

    def _fail(self, fault: Exception, now: Instant) -> None:
        """Our own fault: nothing is relayed any more, both sides may dial again, the site counts the station as lost."""
        self._has_failed = True
        self._todo.clear()
        for leg in self._legs.values():
            leg.close(1011, "internal error")
        self._log.error("station_failed", exc_info=fault)
        self._outlets.tell(self.identity, Disconnected(f"internal error: {type(fault).__name__}: {fault}"), now)

    # --- time ----------------------------------------------------------------------------------------------------

    def _arm(self, now: Instant) -> None:
        """Sees to it that the timer rings at the proxy's deadline or earlier; a needless ring costs little."""
        due_s = self.proxy.due_s
        if due_s >= self._armed_s:
            return
        if self._timer:
            self._timer.cancel()
        delay_s = max(due_s - now.monotonic_s, _SHORTEST_SLEEP_S)
        self._armed_s = now.monotonic_s + delay_s
        self._timer = self._loop.call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._timer, self._armed_s = None, math.inf
        self.do(_expire)


def _expire(proxy: StationProxy, now: Instant) -> list[Effect]:
    return proxy.expire(now)
