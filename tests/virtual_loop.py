"""An event loop whose time jumps to the next timer: whole hours of the real shell and of real peers, without waiting."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from local_controller.clock import Instant

T = TypeVar("T")

BEGIN_S = 1000.0
NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


class _Jump(selectors.BaseSelector):
    """Waits for nothing: what is asked to wait for is added to the loop's time."""

    def __init__(self) -> None:
        self.now_s = BEGIN_S
        self._inner = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._inner.select(0)
        if timeout is None and not ready:
            raise RuntimeError("nothing will ever happen any more")
        if not ready:
            self.now_s += timeout or 0.0
        return ready

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """Timers on a time of its own."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now_s


@dataclass(frozen=True)
class VirtualClock:
    """The loop's time for the product and for the simulator alike."""

    loop: VirtualLoop
    speed: float = 1.0

    def monotonic_s(self) -> float:
        return self.loop.time()

    def utc(self) -> datetime:
        return NOON + timedelta(seconds=self.loop.time() - BEGIN_S)

    def now(self) -> Instant:
        return Instant(self.loop.time(), self.utc())


def run(main: Coroutine[Any, Any, T], loop: VirtualLoop) -> T:
    """`asyncio.run` on this loop."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)
