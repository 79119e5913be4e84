"""How does a whole site, spread over several processes, run faster than real time on one common clock?"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SimClock:
    """CLOCK_MONOTONIC, which all processes of a machine share, running `speed` times faster since `origin_s`.

    `origin_utc` is the date at the origin. Processes with the same three values show the same time.
    """

    speed: float = 1.0
    origin_s: float = field(default_factory=time.monotonic)
    origin_utc: datetime = field(default_factory=lambda: datetime.now(UTC))

    def monotonic_s(self) -> float:
        """Seconds on the scaled clock; equals `origin_s` at the origin."""
        return self.origin_s + (time.monotonic() - self.origin_s) * self.speed

    def utc(self) -> datetime:
        """The scaled date and time."""
        return self.origin_utc + timedelta(seconds=self.monotonic_s() - self.origin_s)


def clock_from_origin(speed: float, origin_s: float) -> SimClock:
    """The clock whose origin was at the monotonic reading `origin_s`, dated by the system's wall clock."""
    origin_utc = datetime.now(UTC) - timedelta(seconds=time.monotonic() - origin_s)
    return SimClock(speed, origin_s, origin_utc)


class _CompressedSelector(selectors.BaseSelector):
    """A selector that is asked to wait for scaled seconds and waits for `speed` times fewer real ones."""

    def __init__(self, speed: float) -> None:
        self._inner = selectors.DefaultSelector()
        self._speed = speed

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return self._inner.select(None if timeout is None else timeout / self._speed)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class ScaledEventLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers all run on `clock`: sleeps, time-outs, WebSocket pings, Modbus deadlines.

    Code that runs on it needs no knowledge of the speed. Real threads and `time.sleep` stay uncompressed.
    """

    def __init__(self, clock: SimClock) -> None:
        super().__init__(_CompressedSelector(clock.speed))
        self._clock = clock

    def time(self) -> float:
        """The loop's time is the scaled monotonic clock, in seconds."""
        return self._clock.monotonic_s()


def run(main: Coroutine[Any, Any, T], clock: SimClock) -> T:
    """`asyncio.run` on the compressed clock."""
    with asyncio.Runner(loop_factory=lambda: ScaledEventLoop(clock)) as runner:
        return runner.run(main)
