"""Who comes when, where, for how long and wanting how much? Made up by documented distributions, from a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from backtest.network import STEP_S, Network

DAY_STEPS = round(86_400 / STEP_S)
HOUR_STEPS = DAY_STEPS // 24

LONGEST_STEPS = 12 * HOUR_STEPS
"""A longer stay counts as this: no algorithm needs more time, and days stay apart."""

CARS_PER_WEEKDAY = 62
ARRIVALS_PERCENT: Mapping[int, float] = {
    6: 4, 7: 8, 8: 22, 9: 15, 10: 6, 11: 4, 12: 5, 13: 5, 14: 3, 15: 3, 16: 3, 17: 5, 18: 6, 19: 5, 20: 4, 21: 2,
}  # fmt: skip
"""Hour of arrival on a weekday at a campus garage: commuters around eight, a second wave after lunch and at dinner."""

COMMUTER_SHARE: Mapping[int, float] = {6: 0.6, 7: 0.7, 8: 0.7, 9: 0.7, 10: 0.6, 11: 0.4, 12: 0.2}
"""By hour of arrival, who stays for a day of work; everybody else visits."""

COMMUTER_STAY_H = (8.0, 1.5)
"""Mean and deviation of a normal distribution, from half an hour up."""

VISITOR_STAY_H = (2.2, 0.6)
"""Median and deviation of the logarithm of a log-normal distribution."""

ENERGY_KWH = (10.5, 0.75)
"""The same, of what a car wants: about 11.5 kWh on average. Nobody wants more than fits in the stay at full current."""


@dataclass(frozen=True)
class Session:
    """One car. station: index of its EVSE. arrival, departure: steps since the first midnight."""

    id: str
    station: int
    arrival: int
    departure: int
    energy_kwh: float

    @property
    def steps(self) -> int:
        """How long it stays."""
        return self.departure - self.arrival


def weekdays(network: Network, days: int, seed: int, cars_a_day: int = CARS_PER_WEEKDAY) -> list[Session]:
    """The sessions of so many weekdays in a row, in order of arrival; who finds no free EVSE goes away again."""
    rnd = random.Random(seed)
    free_from = [0] * len(network.stations)
    arrivals = sorted(day * DAY_STEPS + _arrival(rnd) for day in range(days) for _ in range(cars_a_day))
    found = []
    for number, arrival in enumerate(arrivals):
        free = [station for station, since in enumerate(free_from) if since <= arrival]
        stay = min(_stay(rnd, arrival % DAY_STEPS // HOUR_STEPS), LONGEST_STEPS)
        wish_kwh = rnd.lognormvariate(0.0, ENERGY_KWH[1]) * ENERGY_KWH[0]
        if free:
            station = rnd.choice(free)
            free_from[station] = arrival + stay
            found.append(_session(network, f"s{number}", station, (arrival, arrival + stay), wish_kwh))
    return found


def _session(network: Network, name: str, station: int, stay: tuple[int, int], wish_kwh: float) -> Session:
    most_kwh = float(network.max[station] * network.a2k[station]) * (stay[1] - stay[0])
    return Session(name, station, *stay, min(wish_kwh, most_kwh))


def _arrival(rnd: random.Random) -> int:
    (hour,) = rnd.choices(list(ARRIVALS_PERCENT), weights=list(ARRIVALS_PERCENT.values()))
    return hour * HOUR_STEPS + rnd.randrange(HOUR_STEPS)


def _stay(rnd: random.Random, hour: int) -> int:
    commutes = rnd.random() < COMMUTER_SHARE.get(hour, 0.0)
    hours = (
        max(0.5, rnd.gauss(*COMMUTER_STAY_H))
        if commutes
        else VISITOR_STAY_H[0] * rnd.lognormvariate(0.0, VISITOR_STAY_H[1])
    )
    return max(1, round(hours * HOUR_STEPS))
