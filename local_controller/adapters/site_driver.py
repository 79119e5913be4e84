"""How do facts reach the SiteController, and who carries out what it decides? The site's asyncio shell.

All inputs come through here, on one event loop, without an await between an input and its last effect; slow things
(solving, sending) run elsewhere and come back as inputs.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import structlog

from local_controller.adapters.mqtt import BrokerState, Link
from local_controller.clock import Clock, Instant
from local_controller.site.controller import SiteController
from local_controller.site.effects import (
    ApplyFallback,
    ApplyLimit,
    AskSample,
    Disobeyed,
    ForStation,
    Notice,
    SiteEffect,
    Solve,
    StopSession,
)
from local_controller.site.energy_check import EnergyCheck
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.lpc import LpcWord
from local_controller.site.observing import Observation
from local_controller.site.outlook import Kind
from local_controller.site.person_limit import Told
from local_controller.site.planning import Question
from local_controller.site.readings import MeterReading
from local_controller.site.series import Series
from local_controller.site.snapshot import SiteSnapshot, pieces
from local_controller.station.effects import CsmsLimitChanged, StationFact
from optimizer.problem import Allocation

KEPT_NOTICES = 200

SLICE_S = 0.001
"""So long the site keeps the event loop with orders to stations; then others have their turn. Telling one takes 0.1 ms."""

TURN_S = 0.0005
"""So long the site keeps the event loop with what nobody waits for: a picture of it, a question to the planner."""

CATCH_UP_S, CATCH_UP_EVERY_S = 0.0005, 0.025
"""So long and so often the site works ahead for its next reaction, for 10 to 20 stations each time, while there is anything to
do: 400 samples a second keep it busy. It is 2 % of the time at most, also when all of hundreds measure all the time. After each
station others have their turn: all at once, it was what kept most messages waiting at 200 round trips a second."""

PAUSE_S = 0.05
"""From a reaction to the next that only facts of stations ask for: when hundreds answer, each turn of the loop brings some of them. Cars and
stations take seconds to follow; a reading or a lower limit is answered within its own turn."""

PAUSE_PER_EVSE_S = 0.0003
"""So much longer is that pause for each EVSE: a reaction takes 0.02 ms of the event loop for each."""

log = structlog.get_logger(__name__)

_T = TypeVar("_T")


class Stations(Protocol):
    """Whoever passes limits on to the stations."""

    def apply(self, effect: ForStation) -> None:
        """Hand the limit to the station's proxy; its fate comes back as a LimitAnswered fact."""


class Solver(Protocol):
    """Whoever makes plans."""

    async def solve(self, question: Question) -> Allocation:
        """The plan, in time."""


class SiteDriver:
    """Feeds the core, arms its one timer, carries out its effects in order."""

    def __init__(
        self, site: SiteController, planner: Solver, clock: Clock, observation: Observation | None = None
    ) -> None:
        """observation: only looks on; no station is told anything then."""
        self.site = site
        self.observation = observation
        self.notices: deque[tuple[Instant, Notice]] = deque(maxlen=KEPT_NOTICES)
        self._energy_checks = defaultdict[str, EnergyCheck](EnergyCheck)
        self._planner = planner
        self._clock = clock
        self._stations: Stations | None = None
        self._timer: asyncio.Handle | None = None
        self._catching_up: asyncio.Handle | None = None
        self._caught_up_s = 0.0  # what it has taken since it began
        self._plans: set[asyncio.Task[None]] = set()
        self._first: deque[ApplyFallback | ApplyLimit | StopSession] = deque()
        self._then: deque[ApplyLimit | AskSample | Disobeyed] = deque()
        self._is_busy = False
        self._armed_s: float | None = None
        self._reacted_s = float("-inf")
        self._pause_s = PAUSE_S + PAUSE_PER_EVSE_S * len(site.evses)

    def start(self, stations: Stations) -> None:
        """Begin; the running loop's time must run at the clock's speed."""
        self._stations = stations
        self._do(self.site.expire)

    async def stop(self) -> None:
        """No more timers, orders and plans."""
        for timer in (self._timer, self._catching_up):
            if timer is not None:
                timer.cancel()
        self._first.clear()
        self._then.clear()
        for task in self._plans:
            task.cancel()
        await asyncio.gather(*self._plans, return_exceptions=True)

    # --- inputs --------------------------------------------------------------------------------------------------

    def meter_read(self, reading: MeterReading) -> None:
        """A reading of a meter."""
        self._do(self._read, reading)

    def meter_failed(self, meter: str, text: str) -> None:
        """A meter that cannot be read."""
        self._do(self.site.meter_failed, meter, text)

    def limit_received(self, source: str, limit: ReceivedLimit) -> None:
        """A limit of an external source."""
        self._do(self.site.limit_received, source, limit)

    def limit_told(self, limit: str, told: Told | None) -> None:
        """A person sets a limit for a while, or ends it (None)."""
        self._do(self.site.limit_told, limit, told)

    def limit_source_failed(self, source: str, text: str) -> None:
        """A source that cannot be understood."""
        self._do(self.site.limit_source_failed, source, text)

    def limit_outdated(self, source: str, text: str) -> None:
        """A message of another time."""
        self._do_at(self._clock.now(), self.site.limit_outdated, source, text)

    def limit_source_available(self, source: str, is_there: bool, text: str) -> None:
        """A source that says whether it is there."""
        self._do(self.site.limit_source_available, source, is_there, text)

    def control_box_said(self, source: str, word: LpcWord) -> None:
        """A control box of the grid operator."""
        self._do(self.site.control_box_said, source, word)

    def control_box_unread(self, source: str, text: str) -> None:
        """Its bridge cannot be asked; nothing is known by that but that people must know."""
        self.notices.append((self._clock.now(), Notice("error", "control_box_unread", text, {"source": source})))

    def series_received(self, kind: Kind, series: Series) -> None:
        """Prices or power ahead."""
        self._do_at(self._clock.now(), self.site.series_received, kind, series)

    def series_failed(self, kind: Kind, text: str) -> None:
        """A message about them that cannot be read."""
        self._do_at(self._clock.now(), self.site.series_failed, kind, text)

    def broker_changed(self, state: BrokerState) -> None:
        """The link to a broker, which the broker's client has logged."""
        level = "info" if state.link is Link.CONNECTED else "error"
        self.notices.append((self._clock.now(), Notice(level, "broker_link", state.sentence)))

    def station_changed(self, station: str, fact: StationFact | CsmsLimitChanged, now: Instant | None = None) -> None:
        """A fact about a station, and when it was told, if the teller has looked at the clock anyway."""
        entry = self.site.station_changed if self.observation is None else self._observed
        self._do_at(now or self._clock.now(), entry, station, fact)
        if self._catching_up is None:
            self._catching_up = asyncio.get_running_loop().call_later(CATCH_UP_EVERY_S, self._catch_up)

    def tell(self, notice: Notice) -> None:
        """What people must know of something that is done to the site."""
        self._take([notice], self._clock.now())

    def tested(self, look: Callable[[Instant], list[SiteEffect]]) -> None:
        """One look of a step test at the site, and what it wants of it."""
        self._do(look)

    def habits_forgotten(self, evse: str | None, id_token: str | None) -> None:
        """Somebody wants it forgotten what was learnt at an EVSE, of a card, or at all."""
        self._do(lambda now: self.site.habits_forgotten(now, evse=evse, id_token=id_token))

    async def picture(self) -> SiteSnapshot:
        """The site as it is now; made in slices, because of hundreds of stations that takes a while."""
        seen = await in_turns(pieces(self.site, self._clock.now()))
        return seen if self.observation is None else self.observation.corrected(seen, self._clock.now())

    def _read(self, reading: MeterReading, now: Instant) -> list[SiteEffect]:
        told: list[SiteEffect] = [*self._energy_checks[reading.meter].look(reading)]
        if self.observation is not None:
            reading, notices = self.observation.read(reading, now)
            told += notices
        return [*told, *self.site.meter_read(reading, now)]

    def _observed(self, station: str, fact: StationFact | CsmsLimitChanged, now: Instant) -> list[SiteEffect]:
        if self.observation is not None:
            fact = self.observation.told(station, fact, now)
        return self.site.station_changed(station, fact, now)

    # --- effects -------------------------------------------------------------------------------------------------

    def _do(self, entry: Callable[..., list[SiteEffect]], *args: Any) -> None:
        """An input that is reacted to at once."""
        now = self._clock.now()
        self._reacted_s = now.monotonic_s
        self._do_at(now, entry, *args)

    def _do_at(self, now: Instant, entry: Callable[..., list[SiteEffect]], *args: Any) -> None:
        """One input. Carrying out an effect may lead to the next input; its effects queue behind those of this one.

        A fault of ours costs this input and a notice, never the meter, station or timer that brought it.
        """
        end_s = time.perf_counter() + SLICE_S
        try:
            effects = entry(*args, now)
        except Exception as fault:  # our fault costs this input, never the site; StationDriver has its counterpart
            log.exception("site_fault")
            text = f"a fault of the gateway itself ({fault!r}): please report it with the log"
            self.notices.append((now, Notice("error", "site_fault", text)))
            effects = []
        if self.site.deadline != self._armed_s:
            self._arm(now)
        if effects:
            self._take(effects, now)
            if not self._is_busy:
                self._work(end_s)

    def _take(self, effects: Iterable[SiteEffect], now: Instant) -> None:
        """Decreases and fallbacks go before all increases and renewals, also before those of earlier reactions."""
        for effect in effects:
            match effect:
                case ApplyLimit(urgent=False) | AskSample() | Disobeyed():
                    self._then.append(effect)
                case ApplyFallback() | ApplyLimit() | StopSession():
                    self._first.append(effect)
                case Solve():
                    task = asyncio.get_running_loop().create_task(self._solve(effect))
                    self._plans.add(task)
                    task.add_done_callback(self._plans.discard)
                case Notice():
                    self.notices.append((now, effect))
                    _write(effect)

    def _work(self, end_s: float) -> None:
        """Tells stations their limits until the slice of time is over, at least one; the rest in a later turn."""
        self._is_busy = True
        try:
            while self._first or self._then:
                self._tell(self._first.popleft() if self._first else self._then.popleft())
                if time.perf_counter() >= end_s:
                    break
        finally:
            self._is_busy = bool(self._first or self._then)
            if self._is_busy:
                asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._work(time.perf_counter() + SLICE_S)

    def _tell(self, effect: ForStation) -> None:
        """An order that was replaced, or whose session has ended while it waited, is none any more."""
        if self._stations is None or (isinstance(effect, ApplyLimit) and not self.site.wants(effect)):
            return
        if self.observation is None:
            self._stations.apply(effect)
            return
        for answer in self.observation.obeyed(effect):
            self.station_changed(effect.evse.station, answer)

    async def _solve(self, ask: Solve) -> None:
        question = await in_turns(self.site.question_in_steps())
        self._do(self.site.planned, ask.number, await self._planner.solve(question))

    def _arm(self, now: Instant) -> None:
        """Sees to it that the timer rings at the site's deadline, but not at once after the last reaction."""
        if self._timer is not None:
            self._timer.cancel()
        self._armed_s = self.site.deadline
        if self._armed_s is None:
            return
        delay_s = max(self._armed_s, self._reacted_s + self._pause_s) - now.monotonic_s
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(delay_s, self._ring) if delay_s > 0 else loop.call_soon(self._ring)

    def _catch_up(self) -> None:
        self._catching_up, begun_s = None, time.perf_counter()
        self._do_at(self._clock.now(), self._caught_up)
        self._caught_up_s += time.perf_counter() - begun_s

    def _caught_up(self, now: Instant) -> list[SiteEffect]:
        """What follows at one station; the next one has its turn in the next turn of the loop, or when there is time for it again."""
        told, loop = next(self.site.catch_up(now), None), asyncio.get_running_loop()
        if told is not None and self._caught_up_s < CATCH_UP_S:
            self._catching_up = loop.call_soon(self._catch_up)
            return told
        self._caught_up_s = 0.0
        if told is not None:
            self._catching_up = loop.call_later(CATCH_UP_EVERY_S, self._catch_up)
        return told or []

    def _ring(self) -> None:
        self._armed_s = None
        self._do(self.site.expire)


async def in_turns(steps: Iterable[_T | None]) -> _T:
    """What the last step gives; after some steps others have their turn."""
    end_s = time.perf_counter() + TURN_S
    for found in steps:
        if found is not None:
            return found
        if time.perf_counter() >= end_s:
            await asyncio.sleep(0)
            end_s = time.perf_counter() + TURN_S
    raise AssertionError("the last step gives what is made")


def _write(notice: Notice) -> None:
    fields: dict[str, Any] = dict(notice.fields)
    getattr(log, notice.level)(notice.code, text=notice.text, **fields)
