"""Does a station apply its maximum to each of its EVSEs, or to their sum? What the samples of all of them say (LC-117).

More together than the maximum, none of them above it: each has it. Together just the maximum, and at another maximum just
that again: they share it. Two cars that take little by themselves may come to one maximum by chance, but not to two.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from local_controller.profiles.overdraw import tolerated_a
from local_controller.station.words import Phase

CHARGES_A: Final = 3.0
"""Who draws less says nothing: half a maximum of 6 A, the least that two cars may share."""

NEAR_A: Final = 1.0
"""A sum so near to the maximum is held by it: each of two cars stays up to 0.5 A below what it is told."""

OTHER_A: Final = 3.0
"""A maximum that differs by less is the same one."""

FOLLOWED: Final = 2
"""So many rounds in a row show that each has the maximum: the first may pair a sample with one of the time before."""

ROUNDS: Final = 3
LASTS_S: Final = 60.0
"""So many rounds, and so long, the sum stays at a maximum: as of a car that stays at its floor (`at_floor.py`)."""

Meaning = Literal["sum", "each"]
"""What a maximum of the station is for, in the words of the site file."""


@dataclass(slots=True)
class SharedMaximum:
    """What the samples have said since the station took its first maximum of ours.

    meaning: what is proven, as news for whoever takes it. A round is one sample of each EVSE with a transaction, of two at least.
    """

    meaning: Meaning | None = None
    _found: Meaning | None = None
    _limit_a: float | None = None
    _from_s: float = 0.0
    _until_s: float = 0.0
    _drawn_a: dict[int, Mapping[Phase, float]] = field(default_factory=dict)
    _seems: Meaning | None = None
    _rounds: int = 0
    _since_s: float = 0.0
    _shared_a: list[float] = field(default_factory=list)

    def changes(self, limit_a: float) -> None:
        """Another maximum is on its way: nobody knows which one holds."""
        if limit_a != self._limit_a:
            self.lost()

    def lost(self) -> None:
        """The station may hold none."""
        self._limit_a = None

    def told(self, limit_a: float, from_s: float, until_s: float) -> None:
        """The station has taken a maximum of so much on each phase, which all follow from `from_s` on and which ends at `until_s`."""
        self._until_s = until_s
        if limit_a != self._limit_a:
            self._limit_a, self._from_s = limit_a, from_s
            self._begins_anew()

    def sees(self, evse: int, current_a: Mapping[Phase, float], running: Collection[int], now_s: float) -> bool:
        """A sample of one EVSE; `running`: those with a transaction. Whether something is proven by it."""
        if self._limit_a is None:  # as nearly everywhere
            return False
        if not self._from_s <= now_s < self._until_s:
            self._begins_anew()
            return False
        self._drawn_a = {one: amps for one, amps in self._drawn_a.items() if one in running} | {evse: current_a}
        if len(running) < 2 or not self._drawn_a.keys() >= {*running}:
            return False
        seems = self._round(self._limit_a)
        self._drawn_a.clear()
        if seems is None or seems != self._seems:
            self._seems, self._rounds, self._since_s = seems, 0, now_s
        self._rounds += 1
        found = self._proven(self._limit_a, now_s)
        if found is None or found == self._found:
            return False
        self.meaning = self._found = found
        return True

    def _begins_anew(self) -> None:
        self._drawn_a.clear()
        self._seems = None

    def _round(self, limit_a: float) -> Meaning | None:
        """What this round speaks for; on one phase all of it may be said."""
        most_a, is_shared = tolerated_a(limit_a), False
        for phase in Phase:
            drawn_a = [amps for one in self._drawn_a.values() if (amps := one.get(phase, 0.0)) > 0.0]
            if sum(amps >= CHARGES_A for amps in drawn_a) < 2 or max(drawn_a) > most_a:
                continue
            if sum(drawn_a) > most_a:
                return "each"
            is_shared |= abs(sum(drawn_a) - limit_a) <= NEAR_A
        return "sum" if is_shared else None

    def _proven(self, limit_a: float, now_s: float) -> Meaning | None:
        if self._seems == "each":
            self._shared_a.clear()
            return "each" if self._rounds >= FOLLOWED else None
        if self._seems is None or self._rounds < ROUNDS or now_s - self._since_s < LASTS_S:
            return None
        if all(abs(limit_a - other_a) >= OTHER_A for other_a in self._shared_a):
            self._shared_a.append(limit_a)
        return "sum" if len(self._shared_a) > 1 else None
