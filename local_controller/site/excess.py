"""By how much, how long and how badly was a limit exceeded? The number that must stay zero."""

from __future__ import annotations

from dataclasses import dataclass

from local_controller.clock import Instant


@dataclass(slots=True)
class Excess:
    """What a node's meter saw above its limit since the start.

    worst_a: highest excess on a phase. longest_s: longest time without a reading below. integral_as: ampere-seconds,
    each reading counted until the next one.
    """

    worst_a: float = 0.0
    longest_s: float = 0.0
    integral_as: float = 0.0
    _over_a: float = 0.0
    _read_at: Instant | None = None
    _since: Instant | None = None

    def measured(self, over_a: float, now: Instant) -> None:
        """A reading `over_a` amperes above the limit (negative below)."""
        if self._read_at is not None:
            self.integral_as += self._over_a * now.since(self._read_at)
        self._read_at, self._over_a = now, max(0.0, over_a)
        self.worst_a = max(self.worst_a, self._over_a)
        if self._since is not None:
            self.longest_s = max(self.longest_s, now.since(self._since))
        if over_a <= 0:
            self._since = None
        elif self._since is None:
            self._since = now
