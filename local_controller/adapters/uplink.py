"""How does a station stay served while its CSMS comes and goes? Its way to the CSMS, which is a leg at times and a deputy at others.

To the driver it is one link that never ends by itself, unless the CSMS does not want the station, or wants another version of
OCPP (LC-046). In between the CSMS is dialled again and again, in the station's name as in its own handshake (LC-007, LC-017).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from local_controller.adapters.back_off import BackOff, BackOffTimes
from local_controller.adapters.csms_client import CsmsLeg, Refusal
from local_controller.adapters.driver import Outlets
from local_controller.adapters.journal import Journal, Kept, NotKept
from local_controller.adapters.leg import Ear
from local_controller.clock import Clock, Instant
from local_controller.deputy.deputy import Deputy
from local_controller.deputy.effects import (
    DeputyEffect,
    Drop,
    EndStation,
    Entry,
    Fetch,
    Keep,
    PutAside,
    Rename,
    ToCsms,
    ToStation,
)
from local_controller.station.effects import Note, Peer, Tell, Trace
from local_controller.station.proxy import StationProxy
from local_controller.station.words import Disconnected, OcppVersion

REASONS: Final = 8
"""So many reasons why the CSMS is not reached are logged for one absence."""

Dial = Callable[[], Awaitable[CsmsLeg | Refusal]]
Act = Callable[[Deputy, Instant], Sequence[DeputyEffect]]


class Way(NamedTuple):
    """How a CSMS is reached. leg: the open one of the station's own handshake; None: it was away. dial: it, in the station's name."""

    leg: CsmsLeg | None
    dial: Dial


@dataclass(frozen=True, slots=True)
class UplinkState:
    """What the status says of a station's way to its CSMS. since_s: when it came or went (monotonic). waiting: messages it has yet to get."""

    is_there: bool
    since_s: float
    waiting: int


@dataclass(frozen=True, slots=True)
class StandIn:
    """Who answers for a CSMS that is away. version_of: in which version it would speak with a station; None: not at all.

    deputy: one for a station whose proxy was just made, with what the journal has of it. back_off: how long it waits before the CSMS
    is dialled again.
    """

    journal: Journal
    version_of: Callable[[str, Sequence[OcppVersion]], OcppVersion | None]
    deputy: Callable[[str, Kept], Deputy]
    back_off: Callable[[str], BackOffTimes]


@dataclass(frozen=True, slots=True)
class Around:
    """What an uplink needs beside its station: where messages are kept, the time, and to whom all goes."""

    journal: Journal
    clock: Clock
    outlets: Outlets
    back_off: BackOffTimes


class Uplink:
    """The way of one station to its CSMS."""

    def __init__(self, proxy: StationProxy, way: Way, deputy: Deputy, around: Around) -> None:
        """proxy: the station's, which the driver feeds."""
        self.identity = proxy.identity
        self._proxy = proxy
        self._leg, self._dial = way
        self._deputy = deputy
        self._journal, self._clock, self._outlets = around.journal, around.clock, around.outlets
        self._back_off = BackOff(around.back_off)
        self._loop = asyncio.get_running_loop()
        self._ear: Ear | None = None
        self._holds = 0
        self._todo: list[tuple[Sequence[DeputyEffect], Instant]] = []
        self._is_busy = self._is_over = False
        self._dialling: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._pass: Callable[[str], None] | None = None  # straight to the CSMS, while the deputy is transparent
        self._since_s = around.clock.monotonic_s()
        self.changed: Callable[[bool], None] = lambda _: None
        """Hears whether the CSMS is there, each time when that changes."""
        self.gone: asyncio.Future[None] = self._loop.create_future()

    @property
    def state(self) -> UplinkState:
        """For the status."""
        return UplinkState(self._leg is not None, self._since_s, self._deputy.waiting)

    @property
    def unsent_bytes(self) -> int:
        """What the CSMS has yet to take; what the journal has does not count."""
        return 0 if self._leg is None else self._leg.unsent_bytes

    # --- what the driver does ------------------------------------------------------------------------------------

    def attend(self, ear: Ear) -> None:
        """The station is served from now on."""
        self._ear = ear
        if self._leg is not None:
            self._joined(self._leg)
        else:
            self._log_away("not reachable")
            self.changed(False)
            self._dial_later()

    def send(self, text: str) -> None:
        """The proxy sends this to the CSMS."""
        if self._pass is not None:
            self._pass(text)
        else:
            self._do(lambda deputy, now: deputy.said(text, now))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """The station is gone, or shall go: no upstream leg outlives it (LC-038)."""
        self._is_over, self._pass = True, None
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None  # a circle, as in `_end`
        if self._timer is not None:
            self._timer.cancel()
        if self._leg is None:
            self._end()
        else:
            self._leg.gone.add_done_callback(lambda _: self._end())
            self._leg.close(code, reason)

    def abort(self) -> None:
        """The CSMS does not read: it counts as gone."""
        if self._leg is not None:
            self._leg.abort()

    def hold(self, why: int) -> None:
        """The CSMS, of this leg or the next one, is not read for a while."""
        self._holds |= why
        if self._leg is not None:
            self._leg.hold(why)

    def release(self, why: int) -> None:
        """It is read again."""
        self._holds &= ~why
        if self._leg is not None:
            self._leg.release(why)

    def thin(self) -> None:
        """The journal is nearly full."""
        self._do(lambda deputy, _: deputy.thin())

    # --- the CSMS comes and goes ---------------------------------------------------------------------------------

    def _joined(self, leg: CsmsLeg) -> None:
        assert self._ear is not None  # noqa: S101 - nobody dials for nobody
        self._leg, self._since_s = leg, self._clock.monotonic_s()
        if self._holds:
            leg.hold(self._holds)
        self.changed(True)
        self._do(lambda deputy, now: deputy.returned(now))
        ear = Ear(self._heard, partial(self._lost, leg), self._ear.pressure)
        leg.attend(ear)  # last: it may have spoken already, and be over

    def _heard(self, text: str) -> None:
        if self._pass is not None and self._ear is not None:
            self._ear.text(text)
        else:
            self._do(lambda deputy, now: deputy.heard(text, now))

    def _lost(self, leg: CsmsLeg, code: int, reason: str) -> None:
        if leg is not self._leg or self._is_over:
            return
        now_s = self._clock.monotonic_s()
        self._back_off.lasted(now_s - self._since_s)
        self._leg, self._pass, self._since_s = None, None, now_s
        self._log_away(f"closed with {code}{reason and ': '}{reason}")
        if self._ear is not None:
            self._ear.pressure(False)  # nobody waits for one that is gone
        asked = self._proxy.awaited(Peer.CSMS)
        self.changed(False)
        self._do(lambda deputy, now: deputy.lost(self._proxy.unanswered(Peer.CSMS), asked, now))
        self._dial_later()

    def _log_away(self, reason: str) -> None:
        self._outlets.log.warning("csms_away", station=self.identity, reason=reason)

    def _dial_later(self) -> None:
        if not self._is_over:
            self._dialling = self._loop.create_task(self._redial())

    async def _redial(self) -> None:
        """As below; a fault of ours ends this station's connection, else it would wait for its CSMS for ever."""
        try:
            await self._dial_until_there()
        except Exception as fault:  # noqa: BLE001 - our fault ends this station, never the site
            self._fail(fault)

    async def _dial_until_there(self) -> None:
        """Ends when the CSMS is there, or has said that it does not want this station. Each reason is logged once."""
        known: set[str] = set()
        while True:
            await asyncio.sleep(self._back_off.next_s())
            answer = await self._dial()
            if self._is_over:
                if not isinstance(answer, Refusal):
                    answer.close(1001)
                return
            if isinstance(answer, Refusal):
                if answer.reason not in known and len(known) < REASONS:
                    known.add(answer.reason)
                    fields = {"status": answer.status, "reason": answer.reason}
                    self._outlets.log.warning(answer.event, station=self.identity, **fields)
                if answer.is_verdict:
                    self._end_station(1008, answer.reason)
                    return
                continue
            if answer.version is not self._proxy.version:
                answer.close(1001)
                self._end_station(1001, "the CSMS speaks another version now")
                return
            self._outlets.log.info("csms_back", station=self.identity, waiting=self._deputy.waiting)
            self._joined(answer)
            return

    def _end_station(self, code: int, reason: str) -> None:
        if self._ear is not None and not self._is_over:
            self._ear.ended(code, reason)
        self.close(code, reason)

    def _end(self) -> None:
        """Nothing comes any more: breaks circles, in which no collector looks (`garbage`)."""
        if not self.gone.done():
            self.gone.set_result(None)
        self._ear, self.changed = None, lambda _: None

    # --- the deputy ----------------------------------------------------------------------------------------------

    def _do(self, act: Act) -> None:
        """Gives the deputy one input, now, and carries out what follows, in order."""
        if self._is_over:
            return
        now = self._clock.now()
        try:
            self._carry_out(act(self._deputy, now), now)
            self._look_ahead(now)
        except Exception as fault:  # noqa: BLE001 - our fault ends this station, never the site
            self._fail(fault)

    def _fail(self, fault: Exception) -> None:
        """Our own fault: the station may dial again, and counts as lost."""
        self._outlets.log.error("station_failed", station=self.identity, exc_info=fault)
        why = f"internal error: {type(fault).__name__}: {fault}"
        self._outlets.tell(self.identity, Disconnected(why), self._clock.now())
        self._end_station(1011, "internal error")

    def _look_ahead(self, now: Instant) -> None:
        """Whether texts may pass by the deputy, and when it wants to be called."""
        if self._is_over:
            return
        passes = self._deputy.is_transparent and not self._is_busy  # nothing overtakes what is in _todo
        self._pass = self._leg.send if self._leg is not None and passes else None
        self._arm(now)

    def _carry_out(self, effects: Sequence[DeputyEffect], now: Instant) -> None:
        """In order, also when one leads to the next input: as `StationDriver`, which spares each message a call for that."""
        if self._is_busy:
            self._todo.append((effects, now))
            return
        self._is_busy = True
        try:
            while True:
                for effect in effects:
                    self._carry_out_one(effect, now)
                if not self._todo:
                    return
                effects, now = self._todo.pop(0)
        finally:
            self._is_busy = False

    def _carry_out_one(self, effect: DeputyEffect, now: Instant) -> None:
        match effect:
            case ToStation(text):
                if self._ear is not None:
                    self._ear.text(text)
            case ToCsms(text):
                if self._leg is not None:
                    self._leg.send(text)
            case EndStation(code, reason):
                self._end_station(code, reason)
            case Tell() | Trace() | Note():
                self._let_know(effect, now)
            case _:
                self._journalize(effect)

    def _let_know(self, effect: Tell | Trace | Note, now: Instant) -> None:
        match effect:
            case Tell(fact):
                self._outlets.tell(self.identity, fact, now)
            case Note(level, event, fields):
                getattr(self._outlets.log, level)(event, station=self.identity, **fields)
            case Trace():
                if self._outlets.trace is not None:
                    self._outlets.trace(self.identity, effect, now)

    def _journalize(self, effect: Keep | Fetch | Drop | PutAside | Rename) -> None:
        match effect:
            case Keep(ticket, entry):
                self._journal.keep(self.identity, entry, partial(self._kept, ticket))
            case Fetch(number):
                self._journal.fetch(number, partial(self._fetched, number))
            case Drop(numbers):
                self._journal.drop(numbers)
            case PutAside(number, reason):
                self._journal.put_aside(number, reason)
            case Rename(provisional, real):
                self._journal.rename(self.identity, provisional, real)

    def _kept(self, ticket: int, result: int | NotKept) -> None:
        if isinstance(result, NotKept):
            self._do(lambda deputy, now: deputy.not_kept(ticket, result.reason, now))
        else:
            self._do(lambda deputy, now: deputy.kept(ticket, result, now))

    def _fetched(self, number: int, entry: Entry | None) -> None:
        self._do(lambda deputy, now: deputy.fetched(number, entry, now))

    def _arm(self, now: Instant) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_s = self._deputy.deadline
        if due_s is not None:
            self._timer = self._loop.call_later(max(0.01, due_s - now.monotonic_s), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._do(lambda deputy, now: deputy.expire(now))
