"""How does time pass in tests, so that a slow machine makes them longer and changes nothing else?

On a shared machine a process may stand still for half a second, and every time-out of a test runs off meanwhile. On a
compressed clock it is worse: at a speed of 10 a pause of 0.3 s makes every meter stale. Here time passes while the loop
waits, `speed` times faster, but never longer than it wanted to wait, and hardly while it works.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from local_controller.clock import Clock, Instant

T = TypeVar("T")
BUSY_STEP_S = 0.02
"""Simulated seconds that pass at most during one turn of the loop's work: a message over five hops takes 0.1 s."""


class PatientTime:
    """One clock for all: it has the methods of the gateway's Clock and of the simulator's SimClock."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.origin_s = time.monotonic()
        self.origin_utc = datetime.now(UTC)
        self._now_s = self.origin_s

    def advance(self, seconds: float) -> None:
        self._now_s += max(0.0, seconds)

    def monotonic_s(self) -> float:
        return self._now_s

    def utc(self) -> datetime:
        return self.origin_utc + timedelta(seconds=self._now_s - self.origin_s)

    def now(self) -> Instant:
        return Instant(self._now_s, self.utc())


class _PatientSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]  # a class chosen at run time
    """Lets time pass: in full while it waits, but never longer than it was asked to; a little while others work."""

    def __init__(self, clock: PatientTime) -> None:
        super().__init__()
        self._clock = clock
        self._returned = time.monotonic()

    def select(self, timeout: float | None = None) -> Any:
        clock, asked = self._clock, time.monotonic()
        clock.advance(min((asked - self._returned) * clock.speed, BUSY_STEP_S))
        events = super().select(None if timeout is None else timeout / clock.speed)
        self._returned = time.monotonic()
        waited_s = (self._returned - asked) * clock.speed
        clock.advance(waited_s if timeout is None else min(waited_s, max(0.0, timeout)))
        return events


class _PatientLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: PatientTime) -> None:
        super().__init__(_PatientSelector(clock))
        self._patient = clock

    def time(self) -> float:
        return self._patient.monotonic_s()


def new_event_loop() -> asyncio.AbstractEventLoop:
    """For a test in real time: its own process may stand still at any moment, and no time-out runs off."""
    return _PatientLoop(PatientTime(1.0))


class LoopClock(Clock):
    """The product's clock on the time of the loop that runs."""

    def monotonic_s(self) -> float:
        return self.origin_s + (asyncio.get_running_loop().time() - self.origin_s) * self.speed

    def now(self) -> Instant:
        monotonic_s = self.monotonic_s()
        assert self.origin_utc is not None
        return Instant(monotonic_s, self.origin_utc + timedelta(seconds=monotonic_s - self.origin_s))


def loop_clock(speed: float = 1.0) -> LoopClock:
    """One that starts now, at the present date: what it shows does not run off either while the process stands still."""
    return LoopClock(speed, asyncio.get_running_loop().time(), datetime.now(UTC))


def run(main: Coroutine[Any, Any, T], clock: PatientTime) -> T:
    """`asyncio.run` on the patient clock."""
    with asyncio.Runner(loop_factory=lambda: _PatientLoop(clock)) as runner:
        return runner.run(main)
