"""How much could anybody deliver who knew it all beforehand? The exact optimum as one linear program.

Continuous currents, ideal batteries, the sessions' true times, every limit by phasors. While nobody comes or leaves, the mean
of any currents keeps the same limits and brings the same energy, so one column for each car and each such interval is enough.
The circles of the phasors are cut out by tangents where a solution leaves them, until none does by more than `TOLERANCE_A`.
The value is that of the program with tangents, so it is never below what any algorithm can deliver.
"""

from __future__ import annotations

import cmath
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csc_array

from backtest.engine import HOURS
from backtest.network import Network
from backtest.sessions import Session
from benchmarks.optimizer.contract import Contract
from optimizer.arrays import Array, Indexes
from optimizer.linear import Draft

TOLERANCE_A = 1e-6
FIRST_CUTS = 12
"""Tangents of each circle to start with."""

FANS = (-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75)
"""Where a solution leaves a circle between two tangents, these parts of the way to them get one each. With the middle alone a
day of 93 cars took 28 to 34 rounds and 2.3 s of CPU, with these 8 to 14 and 0.5 to 1.2 s; 8 or 4 tangents to start with took longer."""

MARGIN_WH = 1e-4
"""Worth of each ampere, up to one, that a sum stays below a tangent. Among equally good solutions this takes one inside the
circles; without it, a day with little to share out jumps from corner to corner and was not done after 200 rounds."""

ROUNDS = 200


@dataclass(frozen=True)
class Optimum:
    """delivered_kwh: at most; what keeps all limits but for excess_a is gap_kwh less, the worth of margins.

    cuts: how many tangents it took, in how many rounds of the slowest part.
    """

    delivered_kwh: float
    gap_kwh: float
    wanted_kwh: float
    excess_a: float
    cuts: int
    rounds: int
    wall_s: float
    cpu_s: float

    @property
    def delivered_pct(self) -> float:
        """Of what was wanted."""
        return 100 * self.delivered_kwh / self.wanted_kwh


def optimum(network: Network, sessions: Sequence[Session]) -> Optimum:
    """The most energy (kWh) that these sessions can be given."""
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    parts = [_Program(network, part).solved() for part in _apart(sessions)]
    return Optimum(
        delivered_kwh=sum(part.worth for part in parts),
        gap_kwh=sum(part.worth - part.kwh for part in parts),
        wanted_kwh=sum(session.energy_kwh for session in sessions),
        excess_a=max((part.excess_a for part in parts), default=0.0),
        cuts=sum(part.cuts for part in parts),
        rounds=max((part.rounds for part in parts), default=0),
        wall_s=time.perf_counter() - wall_s,
        cpu_s=time.process_time() - cpu_s,
    )


@dataclass(frozen=True)
class BestProfit:
    """What can be earned at most, how much energy and what peak that takes, and the greatest excess over a limit."""

    profit: float
    delivered_kwh: float
    peak_kw: float
    excess_a: float
    rounds: int
    wall_s: float


def best_profit(network: Network, sessions: Sequence[Session], contract: Contract) -> BestProfit:
    """The most that a period can earn. Its peak is one for all days, so this is one program."""
    wall_s = time.perf_counter()
    part = _Program(network, sessions, contract).solved()
    return BestProfit(
        profit=part.worth,
        delivered_kwh=part.kwh,
        peak_kw=part.peak_kw,
        excess_a=part.excess_a,
        rounds=part.rounds,
        wall_s=time.perf_counter() - wall_s,
    )


def _apart(sessions: Sequence[Session]) -> Iterator[list[Session]]:
    """Sessions between two moments at which nobody is there: such parts have nothing to do with each other."""
    part: list[Session] = []
    until = 0
    for session in sorted(sessions, key=lambda session: session.arrival):
        if part and session.arrival >= until:
            yield part
            part = []
        part.append(session)
        until = max(until, session.departure)
    if part:
        yield part


@dataclass(frozen=True)
class _Part:
    """worth: of the solution, margins included; kwh: what it delivers."""

    worth: float
    kwh: float
    peak_kw: float
    excess_a: float
    cuts: int
    rounds: int


class _Program:
    """Columns: the current (A) of each session in each interval in which it is there, sums of like EVSEs, margins, the peak.

    Rows: each sum is what its cars draw; each car's energy; a tangent (limit, interval, angle) for each cut; each interval's power,
    where the peak costs. A margin belongs to all tangents of a limit in an interval.
    """

    def __init__(self, network: Network, sessions: Sequence[Session], contract: Contract | None = None) -> None:
        """Worth the energy, or what a contract makes of it; then intervals end where prices change, too."""
        self._network, self._contract = network, contract
        changes = () if contract is None else contract.changes(max(session.departure for session in sessions))
        moves = [step for session in sessions for step in (session.arrival, session.departure)]
        edges = np.unique([*moves, *(step for step in changes if min(moves) < step < max(moves))])
        first, last = (np.searchsorted(edges, [getattr(s, end) for s in sessions]) for end in ("arrival", "departure"))
        session = np.repeat(np.arange(len(sessions)), last - first)
        self._interval = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
        station = np.array([session.station for session in sessions])[session]
        self._step_kwh = network.a2k[station]
        self._kwh = self._step_kwh * np.diff(edges)[self._interval]
        self._worth = self._kwh
        if contract is not None:
            prices = np.array([contract.price(int(step)) for step in edges])[self._interval]
            self._worth = self._kwh * (contract.revenue_per_kwh - prices)
        self._most_a = network.max[station]
        used = np.unique(station)
        self._weights, like = np.unique(network.C[:, used], axis=1, return_inverse=True)
        self._group = like.reshape(-1)[np.searchsorted(used, station)]
        self._shape = (self._weights.shape[1], len(edges) - 1)
        self._wanted_kwh = np.array([session.energy_kwh for session in sessions])
        self._session = session
        self._cuts = list(self._first_cuts())

    def solved(self) -> _Part:
        """Solves, cuts what is outside, and solves again."""
        limits_a = self._network.lim[:, None]
        for number in range(1, ROUNDS + 1):
            kwh, worth, sums, peak_kw = self._solve()
            lengths = self._weights @ sums
            excess = np.abs(lengths) - limits_a
            if excess.max() <= TOLERANCE_A:
                return _Part(worth, kwh, peak_kw, float(excess.max()), len(self._cuts), number)
            for w, k in np.argwhere(excess > TOLERANCE_A / 10).tolist():
                reach = math.acos(self._network.lim[w] / abs(lengths[w, k]))
                self._cuts += [(w, k, cmath.phase(lengths[w, k]) + part * reach) for part in FANS]
        raise ArithmeticError(f"{excess.max()} A above a limit after {ROUNDS} rounds of cuts")

    def _first_cuts(self) -> Iterator[tuple[int, int, float]]:
        """All around the circles that the cars which are there could leave."""
        most = np.zeros(self._shape)
        np.add.at(most, (self._group, self._interval), self._most_a)
        for w, k in np.argwhere(np.abs(self._weights) @ most > self._network.lim[:, None]).tolist():
            yield from ((w, k, 2 * np.pi * turn / FIRST_CUTS) for turn in range(FIRST_CUTS))

    def _solve(self) -> tuple[float, float, Array, float]:
        """Within the cuts so far: the energy (kWh), the worth with margins, the sums (groups, intervals), the peak (kW)."""
        draft = Draft()
        current = draft.columns(self._most_a, 1000 * self._worth)
        total = draft.columns(np.full(self._shape, np.inf), 0.0)
        link = draft.rows(np.zeros(self._shape), 0.0)
        draft.enter(link[self._group, self._interval], current, 1.0)
        draft.enter(link, total, -1.0)
        draft.enter(draft.rows(self._wanted_kwh)[self._session], current, self._kwh)
        self._enter_cuts(draft, total)
        self._enter_peak(draft, current)
        linear = draft.numbers()
        shape = (len(linear.row_high), len(linear.worth))
        matrix = csc_array((linear.value, (linear.row, linear.column)), shape=shape)
        answer = milp(
            -linear.worth,
            bounds=Bounds(0.0, linear.upper),
            constraints=LinearConstraint(matrix, linear.row_low, linear.row_high),
        )
        if answer.status != 0:
            raise ArithmeticError(f"the optimum was not found: {answer.message}")
        kwh, worth = float(self._kwh @ answer.x[current]), -float(answer.fun) / 1000
        return kwh, worth, answer.x[total], float(answer.x[-1])

    def _enter_cuts(self, draft: Draft, total: Indexes) -> None:
        """The tangents; all of a limit in an interval have one margin."""
        limit, interval, angle = np.array(self._cuts).reshape(-1, 3).T
        limit, interval = limit.astype(int), interval.astype(int)
        circles, of = np.unique(limit * self._shape[1] + interval, return_inverse=True)
        margin = draft.columns(np.ones(len(circles)), MARGIN_WH)
        cut = draft.rows(self._network.lim[limit])
        along = (self._weights[limit] * np.exp(-1j * angle)[:, None]).real
        row, group = np.nonzero(np.abs(along) > 1e-12)
        draft.enter(cut[row], total[group, interval[row]], along[row, group])
        draft.enter(cut, margin[of], 1.0)

    def _enter_peak(self, draft: Draft, current: Indexes) -> None:
        """The highest power of all intervals (kW), in the last column; limited by nothing but what it costs."""
        per_kw = 0.0 if self._contract is None else self._contract.peak_per_kw
        peak = draft.columns(np.full(1, np.inf), -1000 * per_kw)
        if self._contract is not None:
            below = draft.rows(np.zeros(self._shape[1]))
            draft.enter(below[self._interval], current, self._step_kwh / HOURS)
            draft.enter(below, peak, -1.0)
