"""What happens to the cars of a site when an algorithm tells the pilots? A closed loop in steps of five minutes.

Each step: cars leave and come, the algorithm sees who still wants energy and answers with a pilot for each EVSE, the
batteries take what they take. The algorithm is what `optimizer.acn.make` makes.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backtest.batteries import Battery, Ideal, fitted
from backtest.network import STEP_S, Network
from backtest.sessions import Session
from optimizer.arrays import Array

Algorithm = Callable[[Mapping[str, Any]], Array]
Watch = Callable[[int, Array], None]
"""Is told a step and (N,) what was drawn in it, A."""

HOURS = STEP_S / 3600
FINISHED_KWH = 1e-3
"""Who wants less than this is finished and not shown to the algorithm any more."""

STOP_KWH = 0.1
"""Being paused counts as a stop for who still wanted more than this."""


@dataclass
class Car:
    """A session as it goes on. pilot_a, rate_a: what it was last told, and took."""

    session: Session
    battery: Battery
    wanted_kwh: float
    got_kwh: float = 0.0
    pilot_a: float = 0.0
    rate_a: float = 0.0
    stops: int = 0

    @property
    def left_kwh(self) -> float:
        """What it still wants."""
        return self.wanted_kwh - self.got_kwh

    def charge(self, pilot_a: float, kwh_per_a: float) -> None:
        """One step with this pilot."""
        taken_kwh = min(self.battery.charge(pilot_a * kwh_per_a / HOURS, HOURS), self.left_kwh)
        self.got_kwh += taken_kwh
        self.rate_a = taken_kwh / kwh_per_a
        self.stops += self.pilot_a > 0 and pilot_a == 0 and self.left_kwh > STOP_KWH
        self.pilot_a = pilot_a


@dataclass
class Result:
    """Of a run. excess_a: the most that the pilots were above any limit, not above 0 if all were kept.

    drawn_kwh: in each step in which anybody wanted energy.
    """

    cars: list[Car]
    excess_a: float = -np.inf
    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    drawn_kwh: dict[int, float] = field(default_factory=dict)

    @property
    def delivered_kwh(self) -> float:
        """By all cars."""
        return sum(car.got_kwh for car in self.cars)

    @property
    def wanted_kwh(self) -> float:
        """By all cars."""
        return sum(car.wanted_kwh for car in self.cars)

    def figures(self) -> dict[str, float]:
        """As in all tables: what was delivered, how fairly, how calmly, how soundly, how fast."""
        served = np.array([car.got_kwh / car.wanted_kwh for car in self.cars])
        return {
            "delivered_pct": 100 * self.delivered_kwh / self.wanted_kwh,
            "p10": float(np.quantile(served, 0.1)),
            "jain": jain(served),
            "stops_per_session": sum(car.stops for car in self.cars) / len(self.cars),
            "violation_a": max(0.0, self.excess_a),
            "cpu_ms_p50": 1e3 * float(np.median(self.cpu_s)),
            "cpu_ms_p95": 1e3 * float(np.quantile(self.cpu_s, 0.95)),
            "wall_ms_p50": 1e3 * float(np.median(self.wall_s)),
            "wall_ms_p95": 1e3 * float(np.quantile(self.wall_s, 0.95)),
        }


def jain(served: Array) -> float:
    """1 if all are served the same fraction, 1/N if one gets everything."""
    squares = float((served**2).sum())
    return float(served.sum()) ** 2 / (len(served) * squares) if squares else 1.0


def run(  # noqa: PLR0913  # what a run is
    network: Network,
    sessions: Sequence[Session],
    algorithm: Algorithm,
    *,
    informed: bool = True,
    two_stage: bool = False,
    watch: Watch | None = None,
) -> Result:
    """All sessions from the first arrival to the last departure.

    informed: whether the algorithm knows departures and energies. two_stage: batteries that taper. watch: is told what was
    drawn in each step in which anybody wanted energy.
    """
    arriving = defaultdict(list)
    for session in sessions:
        arriving[session.arrival].append(_car(session, network, two_stage=two_stage))
    result = Result([car for cars in arriving.values() for car in cars])
    present: dict[int, Car] = {}
    for step in range(max((session.departure for session in sessions), default=0)):
        present = {station: car for station, car in present.items() if car.session.departure > step}
        present |= {car.session.station: car for car in arriving.get(step, ())}
        active = [present[station] for station in sorted(present) if present[station].left_kwh > FINISHED_KWH]
        if active:
            _step(network, result, active, algorithm, observation(network, active, step, informed=informed))
            if watch is not None:
                watch(step, _drawn_a(network, active))
    return result


def _drawn_a(network: Network, active: Sequence[Car]) -> Array:
    """(N,) what batteries took, which may be less than their pilots."""
    drawn = np.zeros(len(network.max))
    drawn[[car.session.station for car in active]] = [car.rate_a for car in active]
    return drawn


def observation(network: Network, active: Sequence[Car], step: int, *, informed: bool) -> dict[str, Any]:
    """What an algorithm sees; see `optimizer.acn.make`."""
    stays, left = [car.session.departure - step for car in active], [car.left_kwh for car in active]
    return {
        "t": step,
        "net": network,
        "sid": [car.session.id for car in active],
        "st": np.array([car.session.station for car in active]),
        "dep": np.array(stays if informed else [-1] * len(active)),
        "rem": np.array(left if informed else [-1.0] * len(active)),
        "age": np.array([step - car.session.arrival for car in active]),
        "deliv": np.array([car.got_kwh for car in active]),
        "prev_pilot": np.array([car.pilot_a for car in active]),
        "prev_rate": np.array([car.rate_a for car in active]),
    }


def _car(session: Session, network: Network, *, two_stage: bool) -> Car:
    if not two_stage:
        return Car(session, Ideal(), session.energy_kwh)
    most_kw = float(network.max[session.station] * network.a2k[session.station]) / HOURS
    return Car(session, *fitted(session.energy_kwh, session.steps * HOURS, most_kw))


def _step(network: Network, result: Result, active: list[Car], algorithm: Algorithm, seen: Mapping[str, Any]) -> None:
    """Asks, judges the answer and charges."""
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    pilots = np.asarray(algorithm(seen), dtype=np.float64)
    result.wall_s.append(time.perf_counter() - wall_s)
    result.cpu_s.append(time.process_time() - cpu_s)
    _demand_allowed(network, pilots, {car.session.station for car in active})
    result.excess_a = max(result.excess_a, network.excess_a(pilots))
    before_kwh = sum(car.got_kwh for car in active)
    for car in active:
        car.charge(float(pilots[car.session.station]), float(network.a2k[car.session.station]))
    result.drawn_kwh[seen["t"]] = sum(car.got_kwh for car in active) - before_kwh


def _demand_allowed(network: Network, pilots: Array, active: set[int]) -> None:
    """ValueError for a pilot that the EVSE cannot give, or one where nobody wants any."""
    for station, pilot in enumerate(pilots.tolist()):
        allowed, name = network.allowed[station], network.stations[station]
        if station not in active and pilot != 0:
            raise ValueError(f"{name}: {pilot} A where no car wants energy; 0 A is what to answer there")
        if not 0 <= pilot <= network.max[station] + 1e-9:
            raise ValueError(f"{name}: {pilot} A is not between 0 and {network.max[station]} A")
        if allowed is not None and np.abs(allowed - pilot).min() > 1e-6:
            raise ValueError(f"{name}: {pilot} A is none of its pilots {allowed.tolist()} A")
