"""What does a bridge of EEBUS LPC say by registers that somebody polls? They show what is, not when it was written.

So a heartbeat is a counter that moved between two looks. What was written is what shows something else than the last that counted as
written, once a heartbeat stands for it. Everything else is of unknown age, as what a broker has retained: at the first look, after a
look that failed, and with each heartbeat what has not changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from local_controller.site.lpc import LpcFailsafe, LpcHeartbeat, LpcLimit, LpcWord


@dataclass(frozen=True, slots=True)
class LpcShown:
    """One look at the registers. heartbeat: whatever moves with each. power_w: None, no limit is active."""

    heartbeat: float
    power_w: float | None
    failsafe_w: float | None = None
    failsafe_s: float | None = None


@dataclass(slots=True)
class LpcRegisters:
    """The last look at one bridge, None: it failed, or there was none. written: what counted as written last."""

    _last: LpcShown | None = None
    _written: LpcShown | None = None

    def look(self, shown: LpcShown) -> tuple[LpcWord, ...]:
        """What that says, failsafe values and heartbeats before limits."""
        words = tuple(self._words(shown))
        self._last = shown
        return words

    def missed(self) -> None:
        """A look failed: what moved meanwhile did so at an unknown time."""
        self._last = None

    def _words(self, shown: LpcShown) -> Iterator[LpcWord]:
        last, written = self._last, self._written
        if shown == last:
            return
        is_old = last is None or written is None
        if (failsafe := _failsafe(shown)) != (None, None):
            yield LpcFailsafe(*failsafe, is_retained=is_old or written is None or failsafe == _failsafe(written))
        if last is not None and shown.heartbeat != last.heartbeat:
            yield LpcHeartbeat()
        yield LpcLimit(shown.power_w, is_retained=is_old or written is None or shown.power_w == written.power_w)
        if last is not None or written is None:
            self._written = shown


def _failsafe(shown: LpcShown) -> tuple[float | None, float | None]:
    return shown.failsafe_w, shown.failsafe_s
