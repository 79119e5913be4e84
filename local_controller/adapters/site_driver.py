"""How do facts reach the SiteController, and who carries out what it decides? The site's asyncio shell.

All inputs come through here, on one event loop, without an await between an input and its last effect; slow things
(solving, sending) run elsewhere and come back as inputs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

from local_controller.adapters.planner import Planner
from local_controller.clock import Clock, Instant
from local_controller.site.controller import SiteController
from local_controller.site.effects import ApplyFallback, ApplyLimit, Notice, SiteEffect, Solve
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.readings import MeterReading
from local_controller.station.effects import CsmsLimitChanged, StationFact
from local_controller.station.words import Measured

KEPT_NOTICES = 200
_SHORTEST_SLEEP_S = 0.01  # a deadline that does not move must not occupy the loop

log = structlog.get_logger(__name__)


class Stations(Protocol):
    """Whoever passes limits on to the stations."""

    def apply(self, effect: ApplyFallback | ApplyLimit) -> None:
        """Hand the limit to the station's proxy; its fate comes back as a LimitAnswered fact."""


class SiteDriver:
    """Feeds the core, arms its one timer, carries out its effects in order."""

    def __init__(self, site: SiteController, planner: Planner, clock: Clock) -> None:
        self.site = site
        self.notices: deque[tuple[Instant, Notice]] = deque(maxlen=KEPT_NOTICES)
        self._planner = planner
        self._clock = clock
        self._stations: Stations | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._plans: set[asyncio.Task[None]] = set()
        self._todo: deque[tuple[SiteEffect, Instant]] = deque()
        self._is_busy = False
        self._armed_s: float | None = None
        self._news: list[tuple[str, StationFact | CsmsLimitChanged, Instant]] = []

    def start(self, stations: Stations) -> None:
        """Begin; the running loop's time must run at the clock's speed."""
        self._stations = stations
        self._do(self.site.expire)

    async def stop(self) -> None:
        """No more timers and plans."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._plans:
            task.cancel()
        await asyncio.gather(*self._plans, return_exceptions=True)

    # --- inputs --------------------------------------------------------------------------------------------------

    def meter_read(self, reading: MeterReading) -> None:
        """A reading of a meter."""
        self._do(lambda now: self.site.meter_read(reading, now))

    def meter_failed(self, meter: str, text: str) -> None:
        """A meter that cannot be read."""
        self._do(lambda now: self.site.meter_failed(meter, text, now))

    def limit_received(self, source: str, limit: ReceivedLimit) -> None:
        """A limit of an external source."""
        self._do(lambda now: self.site.limit_received(source, limit, now))

    def limit_source_failed(self, source: str, text: str) -> None:
        """A source that cannot be understood."""
        self._do(lambda now: self.site.limit_source_failed(source, text, now))

    def station_changed(self, station: str, fact: StationFact | CsmsLimitChanged) -> None:
        """A fact about a station. The site reacts once to all facts of one turn of the event loop.

        A reaction looks at every EVSE: when hundreds of stations come back at once, one per fact would take minutes.
        """
        if isinstance(fact, Measured) and not self._news:
            self._do(lambda now: self.site.station_changed(station, fact, now))
            return
        if not self._news:
            asyncio.get_running_loop().call_soon(self._tell)
        self._news.append((station, fact, self._clock.now()))

    def _tell(self) -> None:
        news, self._news = self._news, []
        self._do(lambda now: self.site.stations_changed(news, now))

    # --- effects -------------------------------------------------------------------------------------------------

    def _do(self, entry: Callable[[Instant], Sequence[SiteEffect]]) -> None:
        """One input. Carrying out an effect may lead to the next input; its effects queue behind those of this one.

        A fault of ours costs this input and a notice, never the meter, station or timer that brought it.
        """
        now = self._clock.now()
        try:
            self._todo.extend((effect, now) for effect in entry(now))
        except Exception as fault:  # our fault costs this input, never the site; StationDriver has its counterpart
            log.exception("site_fault")
            text = f"a fault of the gateway itself ({fault!r}): please report it with the log"
            self.notices.append((now, Notice("error", "site_fault", text)))
        self._arm(now)
        if self._is_busy:
            return
        self._is_busy = True
        try:
            while self._todo:
                self._carry_out(*self._todo.popleft())
        finally:
            self._is_busy = False

    def _carry_out(self, effect: SiteEffect, now: Instant) -> None:
        match effect:
            case ApplyFallback() | ApplyLimit():
                if self._stations is not None:
                    self._stations.apply(effect)
            case Solve():
                task = asyncio.get_running_loop().create_task(self._solve(effect))
                self._plans.add(task)
                task.add_done_callback(self._plans.discard)
            case Notice():
                self.notices.append((now, effect))
                _write(effect)

    async def _solve(self, question: Solve) -> None:
        allocation = await self._planner.solve(question.problem)
        self._do(lambda now: self.site.planned(question.number, allocation, now))

    def _arm(self, now: Instant) -> None:
        """Sees to it that the timer rings at the site's deadline; most inputs, such as samples, do not move it."""
        if self.site.deadline == self._armed_s:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_s = self.site.deadline
        if self._armed_s is not None:
            delay_s = max(_SHORTEST_SLEEP_S, self._armed_s - now.monotonic_s)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._armed_s = None
        self._do(self.site.expire)


def _write(notice: Notice) -> None:
    fields: dict[str, Any] = dict(notice.fields)
    getattr(log, notice.level)(notice.code, text=notice.text, **fields)
