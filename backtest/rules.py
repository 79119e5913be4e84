"""What do the usual rules of thumb make of a site? Round robin, first come first served, least laxity first.

They are meant to be strong. Each knows what the optimizer knows, keeps every limit by exact phasors and tells only pilots that
the EVSE has. Before anybody gets more, each keeps the lowest pilot for as many cars as fit: for those that run, so that no
car is stopped for another one's comfort, then for those that leave first. A car that wants less than its lowest pilot
brings gets that pilot. On two recorded days (54 EVSEs, 30 kW) this delivers 58.7, 58.2 and 60.0 % without any stop; keeping
the lowest pilot by departure alone, as is usual, 57.3, 57.6 and 59.3 % with 0.4 to 0.5 stops per session; keeping none
55.5, 48.8 and 53.2 %. Going round a second time never brought anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backtest.engine import Algorithm
from backtest.network import Network
from optimizer.arrays import Array

Order = Callable[[Mapping[str, Any], Network], Array]
"""A number for each active car; the lowest goes first."""


def round_robin(network: Network) -> Algorithm:
    """One pilot more for each car in turn, from the longest there on, until no turn brings anything: near-equal currents."""

    def schedule(seen: Mapping[str, Any]) -> Array:
        shares = _Shares(network, seen)
        order = np.argsort(-seen["age"], kind="stable").tolist()
        while [car for car in order if shares.raise_(car)]:
            pass
        return shares.pilots

    return schedule


def first_come(network: Network) -> Algorithm:
    """The car that came first gets all that it can use and the limits allow, then the second, and so on."""
    return _in_order(network, lambda seen, _: -seen["age"])


def least_laxity(network: Network) -> Algorithm:
    """First the car that has the least time to spare: time until it leaves minus the time it needs at its highest pilot."""
    return _in_order(network, _laxity)


RULES: Mapping[str, Callable[[Network], Algorithm]] = {
    "round_robin": round_robin,
    "first_come": first_come,
    "least_laxity": least_laxity,
}


def _laxity(seen: Mapping[str, Any], network: Network) -> Array:
    stations = seen["st"]
    laxity: Array = seen["dep"] - seen["rem"] / (network.max * network.a2k)[stations]
    return laxity


def _in_order(network: Network, order: Order) -> Algorithm:
    def schedule(seen: Mapping[str, Any]) -> Array:
        shares = _Shares(network, seen)
        for car in np.argsort(order(seen, network), kind="stable").tolist():
            shares.raise_fully(car)
        return shares.pilots

    return schedule


class _Shares:
    """Pilots as they grow, at first the lowest ones; cars are numbers as in the observation."""

    def __init__(self, network: Network, seen: Mapping[str, Any]) -> None:
        self._network = network
        self._stations: list[int] = seen["st"].tolist()
        self._steps = [
            _useful(network, station, left) for station, left in zip(self._stations, seen["rem"], strict=True)
        ]
        self._at = [0] * len(self._stations)
        self.pilots = np.zeros(len(network.max))
        for car in np.lexsort((seen["dep"], seen["prev_pilot"] == 0)).tolist():
            self.raise_(car)

    def raise_(self, car: int) -> bool:
        """The next pilot, if there is one and it fits."""
        return self._at[car] + 1 < len(self._steps[car]) and self._try(car, self._at[car] + 1)

    def raise_fully(self, car: int) -> None:
        """The highest pilot that fits."""
        any(self._try(car, step) for step in range(len(self._steps[car]) - 1, self._at[car], -1))

    def _try(self, car: int, step: int) -> bool:
        station = self._stations[car]
        before = self.pilots[station]
        self.pilots[station] = self._steps[car][step]
        if self._network.keeps(self.pilots):
            self._at[car] = step
            return True
        self.pilots[station] = before
        return False


def _useful(network: Network, station: int, left_kwh: float) -> list[float]:
    """The pilots of an EVSE up to the first that brings all that is left; all where that is unknown (-1)."""
    allowed = network.allowed[station]
    if allowed is None:
        raise ValueError(f"{network.stations[station]}: the rules need a list of pilots, not any current")
    useful_a = left_kwh / float(network.a2k[station]) if left_kwh >= 0 else np.inf
    pilots: list[float] = allowed[: int(np.searchsorted(allowed, useful_a - 1e-9)) + 1].tolist()
    return pilots
