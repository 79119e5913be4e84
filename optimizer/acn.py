"""How does this optimizer charge a site of the Adaptive Charging Network? Observations of a simulator in, pilots out.

A network is any object with `C` (complex phasors per ampere, limits x stations), `lim` (A), `allowed` (pilots of each
station in A, or None for any), `max` (A) and `a2k` (kWh per ampere and step of 5 min); see `make`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from optimizer.arrays import Array
from optimizer.draw import Draw
from optimizer.habits import Guess, Habits, Likely, Visit
from optimizer.objectives import weights_of
from optimizer.problem import (
    DEFAULT_ENERGY_WH,
    Allocation,
    ChargingNeed,
    Horizon,
    Problem,
    Tariff,
    WireLimit,
    variable_horizon,
)
from optimizer.solve import solve

STEP_S = 300.0
DAY_S = 86_400.0

PATIENCE_S = 60.0
"""For the solver: a simulated clock stands still meanwhile, and a busy machine must not change what is measured."""


Prices = Callable[[Mapping[str, Any], Horizon, float], Tariff]
"""The tariff over a horizon, given what is observed at its start and the site's highest mean power (W) until then."""


Seen = Callable[[Mapping[str, Any], Problem, Allocation], None]
"""Is told each plan: what was observed, what was asked and what came out. Needs and wires are named by their numbers."""


class Sale(NamedTuple):
    """For the objective `cost`: what energy costs, and what drivers pay for a kWh (None: all is to be delivered)."""

    prices: Prices
    worth_per_kwh: float | None = None


def make(  # noqa: PLR0913  # what a scheduler is
    net: Any,
    objective: str = "throughput",
    habits: Habits | None = None,
    first_weekday: int | None = None,
    sale: Sale | None = None,
    *,
    seen: Seen | None = None,
) -> Callable[[Mapping[str, Any]], Array]:
    """A scheduler for this network: `scheduler(obs)` gives the pilots (A) of all stations.

    objective: a key of `optimizer.objectives.OBJECTIVES`. obs: `t` step, `st` station of each active car, `dep` steps
    until it leaves and `rem` kWh that it still wants (-1: unknown), `prev_pilot` and `prev_rate` (A), what it was told and drew,
    `deliv` kWh that it got, `age` steps that it is there, `sid` its session. habits: what unknown departures and wishes are
    guessed by, and what learns from those who leave; None: it starts empty. first_weekday: of step 0; None: all days are alike.
    seen: is told each plan.
    """
    wires = [[(f"{w}", complex(row[i])) for w, row in enumerate(net.C) if row[i] != 0] for i in range(len(net.max))]
    diary = _Diary(Habits() if habits is None else habits, first_weekday)
    watch, meter = _Watch(net), _Meter(net)

    def schedule(obs: Mapping[str, Any]) -> Array:
        horizon = variable_horizon(obs["t"] * STEP_S % DAY_S)
        limits = tuple(WireLimit(f"{w}", f"limit {w}", (float(a),) * horizon.blocks) for w, a in enumerate(net.lim))
        guesses, draws = diary.guesses(obs, horizon.edges_s), watch.draws(obs)
        needs = tuple(
            _need(net, tuple(wires[i]), obs, (n, int(i)), (guesses[n], draws[n])) for n, i in enumerate(obs["st"])
        )
        tariff = None
        if sale is not None:
            tariff = sale.prices(obs, horizon, meter.peak_w(obs))
            needs = tuple(replace(need, energy_worth_per_kwh=sale.worth_per_kwh) for need in needs)
        weights = weights_of(objective, guesses=any(guesses), tapers=watch.has_seen_taper)
        problem = Problem(horizon, (), needs, limits, tariff)
        plan = solve(problem, time_limit_s=PATIENCE_S, weights=weights)
        if seen is not None:
            seen(obs, problem, plan)
        pilots = np.zeros(len(net.max))
        for need in needs:
            pilots[int(need.id)] = plan.currents_a[need.id][0]
        meter.told(obs, pilots)
        return pilots

    return schedule


class _Meter:
    """The site's highest mean power in a step: of who is still there as measured, of who left as it was told to draw."""

    def __init__(self, net: Any) -> None:
        self._net = net
        self._peak_w = 0.0
        self._told_kwh: dict[str, float] = {}

    def peak_w(self, obs: Mapping[str, Any]) -> float:
        """Until this observation."""
        taken_a = zip(obs["sid"], obs["st"], obs["prev_rate"], strict=True)
        taken_kwh = {str(sid): float(a) * float(self._net.a2k[i]) for sid, i, a in taken_a}
        drawn_kwh = sum(taken_kwh.get(sid, told_kwh) for sid, told_kwh in self._told_kwh.items())
        self._peak_w = max(self._peak_w, drawn_kwh * 3.6e6 / STEP_S)
        return self._peak_w

    def told(self, obs: Mapping[str, Any], pilots: Array) -> None:
        """Who takes how much until the next observation: no more than it wants."""
        self._told_kwh = {
            str(sid): min(float(pilots[i] * self._net.a2k[i]), left if left >= 0 else np.inf)
            for sid, i, left in zip(obs["sid"], obs["st"], obs["rem"].tolist(), strict=True)
        }


class _Watch:
    """What each active car takes, and whether any car has ever taken less than it was told."""

    def __init__(self, net: Any) -> None:
        self._net = net
        self._of: dict[str, Draw] = {}
        self.has_seen_taper = False

    def draws(self, obs: Mapping[str, Any]) -> list[Draw]:
        """Of each active car; who is not there any more is forgotten."""
        sids = [str(sid) for sid in obs["sid"]]
        self._of = {sid: self._of.get(sid, Draw()) for sid in sids}
        for sid, i, told, drawn in zip(sids, obs["st"], obs["prev_pilot"], obs["prev_rate"], strict=True):
            self._of[sid].seen(float(told), float(drawn), _pilots(self._net, int(i))[1])
        self.has_seen_taper |= any(draw.is_less for draw in self._of.values())
        return [self._of[sid] for sid in sids]


class _Diary:
    """Who is there, and what is expected of them. Who is not shown any more has left or is full, and that is when it wanted until."""

    def __init__(self, habits: Habits, first_weekday: int | None) -> None:
        self._habits = habits
        self._first_weekday = first_weekday
        self._likely: dict[str, Likely] = {}
        self._last: dict[str, Visit] = {}

    def guesses(self, obs: Mapping[str, Any], edges_s: tuple[float, ...]) -> list[Guess | None]:
        """Of each active car, what is expected of it from now on; None where departure and wish are known."""
        seen = {str(sid): self._visit(obs, n) for n, sid in enumerate(obs["sid"])}
        for sid in self._last.keys() - seen.keys():
            self._likely.pop(sid, None)
            self._habits.learn(self._last[sid])
        self._last = seen
        is_known = (obs["dep"] >= 0) & (obs["rem"] >= 0)
        return [
            None if known else self._guess(sid, visit, edges_s)
            for known, (sid, visit) in zip(is_known, seen.items(), strict=True)
        ]

    def _guess(self, sid: str, visit: Visit, edges_s: tuple[float, ...]) -> Guess:
        if sid not in self._likely:
            self._likely[sid] = self._habits.likely(visit.evse, "", visit.weekday, visit.arrival_h)
        return self._likely[sid].guess(visit.stay_s - STEP_S, visit.energy_wh, edges_s)

    def _visit(self, obs: Mapping[str, Any], n: int) -> Visit:
        """Of a car, as if it left after this step."""
        stays_s = float(obs["age"][n]) * STEP_S
        days, clock_s = divmod(float(obs["t"]) * STEP_S - stays_s, DAY_S)
        weekday = 0 if self._first_weekday is None else (self._first_weekday + int(days)) % 7
        charges = float(obs["prev_pilot"][n]) > 0
        got_wh = 1000 * float(obs["deliv"][n])
        return Visit(
            f"{obs['st'][n]}",
            "",
            weekday,
            clock_s / 3600,
            stays_s + STEP_S,
            got_wh,
            has_left=not charges,
            is_full=charges,
        )


def _pilots(net: Any, i: int) -> tuple[float, float]:
    """The lowest pilot of a station above 0 and the step between two (A)."""
    allowed = net.allowed[i]
    return (0.0, 0.01) if allowed is None else (float(allowed[1]), float(allowed[-1] - allowed[-2]))


def _need(
    net: Any,
    wires: tuple[tuple[str, complex], ...],
    obs: Mapping[str, Any],
    which: tuple[int, int],
    expected: tuple[Guess | None, Draw],
) -> ChargingNeed:
    (n, i), (guess, draw) = which, expected
    least, step = _pilots(net, i)
    remaining, stays = float(obs["rem"][n]), int(obs["dep"][n])
    return ChargingNeed(
        f"{i}",
        (),
        (0,),
        min_a=least,
        max_a=min(float(net.max[i]), max(draw.most_a, least)),
        step_a=step,
        energy_wh=None if remaining < 0 else 1000 * remaining,
        departure_s=None if stays < 0 else stays * STEP_S,
        presence=guess.presence if guess and stays < 0 else None,
        stayed_s=guess.stayed_s if guess and stays < 0 else 0.0,
        present_a=float(obs["prev_pilot"][n]),
        voltage_v=1000 * float(net.a2k[i]) * 3600 / STEP_S * draw.part_of(least),
        served_wh=1000 * float(obs["deliv"][n]),
        wires=wires,
        expected_wh=guess.expected_wh if guess else DEFAULT_ENERGY_WH,
        wishes_wh=guess.wishes_wh if guess else (),
    )
