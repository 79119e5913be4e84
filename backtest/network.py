"""Which EVSEs are there, and which currents may they be told together? Phasors, limits and pilots of a site.

The attributes are those that `optimizer.acn` asks of a network.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.arrays import Array, Flags, Phasors
from optimizer.wiring import before_transformer, between

STEP_S = 300.0
"""Pilots change every 5 minutes, as in all published figures of such sites."""

WHOLE_AMPERES = np.concatenate(([0.0], np.arange(6.0, 33.0)))
EIGHTS = np.arange(0.0, 33.0, 8.0)
"""Pilots of the pod whose EVSEs know five currents only."""

LINE_V, NEUTRAL_V = 208.0, 120.0
SUPPLY_LINE_V, SUPPLY_NEUTRAL_V = 480.0, 277.0
"""Nominal voltages between two lines and from line to neutral, behind and before the transformer."""


@dataclass(frozen=True)
class Network:
    """EVSEs and limits; a limit is kept if the sum of phasors is no longer than it.

    C: (W, N) phasor that one ampere of each EVSE adds to each limit. lim: (W,) in A. allowed: pilots of each EVSE in A,
    or None for any. max: (N,) in A. a2k: (N,) kWh that one ampere brings in a step.
    """

    stations: tuple[str, ...]
    limits: tuple[str, ...]
    C: Phasors
    lim: Array
    allowed: tuple[Array | None, ...]
    max: Array
    a2k: Array

    def excess_a(self, pilots_a: Array) -> float:
        """By how much the worst limit is exceeded; negative if all are kept."""
        return float(np.max(np.abs(self.C @ pilots_a) - self.lim, initial=-np.inf))

    def keeps(self, pilots_a: Array) -> bool:
        """Whether all limits are kept."""
        return self.excess_a(pilots_a) <= 1e-9


class Wiring:
    """EVSEs between two lines, and the limits above them, as they are written down one after the other."""

    def __init__(self, pairs: Mapping[str, tuple[int, int]], coarse: Collection[str] = ()) -> None:
        """pairs: the two lines (0..2) of each EVSE. coarse: those with five pilots only."""
        self._stations = tuple(pairs)
        self._lines = np.array([between(*pair) for pair in pairs.values()]).T
        ratio = NEUTRAL_V / SUPPLY_LINE_V
        self._supply = np.array([before_transformer(between(*pair), ratio) for pair in pairs.values()]).T
        self._coarse = frozenset(coarse)
        self._rows: list[Phasors] = []
        self._limits: dict[str, float] = {}

    def breaker(self, name: str, stations: Sequence[str], limit_a: float) -> None:
        """Carries EVSEs between the same two lines."""
        one_line = self._lines[np.argmax(self._has(stations) & (self._lines != 0), axis=0)[self._has(stations)][0]]
        self._add(name, limit_a, np.where(self._has(stations), one_line, 0.0))

    def panel(self, name: str, stations: Sequence[str], limit_a: float) -> None:
        """Three wires."""
        for line, weights in enumerate(self._lines, 1):
            self._add(f"{name}, L{line}", limit_a, np.where(self._has(stations), weights, 0.0))

    def transformer(self, name: str, stations: Sequence[str], limit_kw: float) -> None:
        """Delta-wye: three wires behind it and three before it."""
        self.panel(f"{name}, behind", stations, limit_kw * 1000 / 3 / NEUTRAL_V)
        limit_a = limit_kw * 1000 / 3 / SUPPLY_NEUTRAL_V
        for line, weights in enumerate(self._supply, 1):
            self._add(f"{name}, before, L{line}", limit_a, np.where(self._has(stations), weights, 0.0))

    def network(self) -> Network:
        """All that was written down."""
        count = len(self._stations)
        return Network(
            stations=self._stations,
            limits=tuple(self._limits),
            C=np.array(self._rows),
            lim=np.array(list(self._limits.values())),
            allowed=tuple(EIGHTS if name in self._coarse else WHOLE_AMPERES for name in self._stations),
            max=np.full(count, 32.0),
            a2k=np.full(count, LINE_V * STEP_S / 3.6e6),
        )

    def _add(self, name: str, limit_a: float, weights: Phasors) -> None:
        self._rows.append(weights)
        self._limits[name] = limit_a

    def _has(self, stations: Sequence[str]) -> Flags:
        return np.isin(self._stations, stations)
