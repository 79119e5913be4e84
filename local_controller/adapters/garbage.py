"""When does Python look for garbage? Often among what is new, and never among what a connected site holds.

A full collection stops every station's traffic for as long as it takes to look at all that they hold: tens of
milliseconds at 500 stations. What has lived through a few seconds is therefore frozen: the collector does not look at it
again. It is still freed as soon as nobody refers to it; only circles of frozen objects would stay, and a connection leaves
none, however it ends (tests/adapters/test_garbage.py).

To look for circles among what came since the last tick would be no way out: while 500 stations come and go these are
50,000 objects, which take 20 ms and more, and a circle that is older would stay all the same.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

TICK_S: Final = 5.0  # a storm's objects are frozen before they fill a generation
YOUNG: Final = 5_000  # new objects until the young are looked at: well below 1 ms each time
FULL_NEVER: Final = 1_000_000


class GarbageKeeper:
    """Runs beside the site."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._before = gc.get_threshold()

    def start(self) -> None:
        """What the start has built stays for ever."""
        gc.collect()
        gc.set_threshold(YOUNG, 50, FULL_NEVER)
        self._tick()

    def stop(self) -> None:
        """As Python does it by itself."""
        if self._timer is not None:
            self._timer.cancel()
        gc.set_threshold(*self._before)
        gc.unfreeze()

    def _tick(self) -> None:
        gc.freeze()
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
