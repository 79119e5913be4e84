"""Would a car's minimum fit beside those of all others that charge, if the car used other phases than now?

What others have beyond their minimums counts as there for the asking: fair shares take it from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from local_controller.site.capacity import Left


class Load(NamedTuple):
    """The nodes that carry a car, the grid phases that it may use, and its minimum in amperes per phase; 0 if it waits."""

    way: Sequence[str]
    phases: Sequence[int]
    min_a: float


class PhaseRoom:
    """What a site leaves when everybody who charges has the minimum and nothing more, in amperes."""

    def __init__(self, available: Left, loads: Iterable[Load]) -> None:
        """available: what each node has for all that follow."""
        self._per_phase = {node: list(left) for node, left in available.per_phase.items()}
        self._together = dict(available.together)
        for load in loads:
            self._add(load, -1.0)

    def _add(self, load: Load, sign: float) -> None:
        if load.min_a == 0.0:
            return
        for node in load.way:
            for phase in load.phases:
                self._per_phase[node][phase] += sign * load.min_a
            if node in self._together:
                self._together[node] += sign * load.min_a * len(load.phases)

    def moved(self, before: Load, after: Load) -> Load:
        """A car counts otherwise from now on; returns how."""
        self._add(before, 1.0)
        self._add(after, -1.0)
        return after

    def without(self, own: Load, way: Sequence[str], phases: Sequence[int]) -> float:
        """The current per phase that there is on these phases all along this way, if what the car has now were free."""
        self._add(own, 1.0)
        room_a = [self._per_phase[node][phase] for node in way for phase in phases]
        room_a += [self._together[node] / len(phases) for node in way if node in self._together]
        self._add(own, -1.0)
        return min(room_a)
