"""What does the optimizer say to cars on a real day? The sentences of docs/explained.md, from recorded sessions.

`python -m benchmarks.optimizer.explained --sessions FOLDER`; each kind of reason at the moment at which most cars have it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from backtest.engine import run
from backtest.network import STEP_S, Network
from backtest.sessions import Session
from benchmarks.optimizer import recorded
from benchmarks.optimizer.contract import Contract, Unhinted
from benchmarks.optimizer.recorded import Window
from benchmarks.optimizer.sites import caltech
from optimizer.acn import Sale, make
from optimizer.explain import explain
from optimizer.problem import Allocation, Problem, Reason

DAY = date(2018, 9, 5)
CROWDED_KW, ROOMY_KW = 30.0, 150.0
"""Of the transformer: one that delivers two thirds of the wishes, and one that limits nothing, so that only prices do."""


@dataclass(frozen=True)
class Moment:
    """One car at one step, with all that is said about it. cars: how many have the same reason then."""

    step: int
    car: str
    cars: int
    wanted_kwh: float
    leaves_in_h: float
    reasons: tuple[Reason, ...]

    def __str__(self) -> str:
        at = int(self.step * STEP_S / 60)
        head = f"{at // 60:02d}:{at % 60:02d} {self.car}, {self.wanted_kwh:.1f} kWh to go, leaves in {self.leaves_in_h:.1f} h"
        said = "\n".join(f"  {reason.text}" for reason in self.reasons)
        return f"{head}, {self.cars} with this reason:\n{said}"


class Diary:
    """Of each kind of reason the moment at which most cars have it; the car that wants most stands for them."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.moments: dict[str, Moment] = {}

    def seen(self, obs: Mapping[str, Any], problem: Problem, plan: Allocation) -> None:
        """What `optimizer.acn.make` tells."""
        named, currents = self._named(problem, plan)
        reasons = explain(named, currents)
        for code in {said[0].code for said in reasons.values() if said}:
            needs = [need for need in named.needs if reasons[need.id] and reasons[need.id][0].code == code]
            if code in self.moments and len(needs) <= self.moments[code].cars:
                continue
            need = max(needs, key=lambda need: need.energy_wh or 0.0)
            wanted_kwh, leaves_in_h = (need.energy_wh or 0.0) / 1000, (need.departure_s or 0.0) / 3600
            self.moments[code] = Moment(obs["t"], need.id, len(needs), wanted_kwh, leaves_in_h, reasons[need.id])

    def _named(self, problem: Problem, plan: Allocation) -> tuple[Problem, dict[str, tuple[float, ...]]]:
        """With the names of EVSEs and limits in place of their numbers."""
        names = self._network.stations
        needs = tuple(replace(need, id=names[int(need.id)]) for need in problem.needs)
        wires = tuple(replace(wire, label=self._network.limits[int(wire.id)]) for wire in problem.wires)
        currents = {names[int(number)]: currents_a for number, currents_a in plan.currents_a.items()}
        return replace(problem, needs=needs, wires=wires), currents


def crowded(network: Network, sessions: list[Session]) -> dict[str, Moment]:
    """By code of the decisive reason: a transformer that is too small for the day."""
    diary = Diary(network)
    run(network, sessions, make(network, seen=diary.seen))
    return diary.moments


def priced(network: Network, sessions: list[Session], weekday: int) -> dict[str, Moment]:
    """The same where only prices and the peak hold anybody back."""
    diary = Diary(network)
    contract = Contract(weekday, peak_per_kw=Contract.peak_per_kw / 30)
    sale = Sale(Unhinted(contract, network, 1), contract.revenue_per_kwh)
    run(network, sessions, make(network, "cost", sale=sale, seen=diary.seen))
    return diary.moments


def _lines(folder: Path, day: date) -> Iterator[str]:
    window = Window("caltech", day, day + timedelta(days=1))
    for limit_kw in (CROWDED_KW, ROOMY_KW):
        network = caltech(limit_kw)
        sessions = recorded.sessions(folder, window, network)
        yield f"== {window}, {len(sessions)} sessions, {limit_kw:g} kW"
        of_day = crowded(network, sessions) if limit_kw == CROWDED_KW else priced(network, sessions, day.weekday())
        yield from (f"[{code}] {moment}" for code, moment in sorted(of_day.items()))


def main() -> int:
    """Prints."""
    parser = argparse.ArgumentParser(prog="benchmarks.optimizer.explained", description=__doc__)
    parser.add_argument("--sessions", type=Path, required=True, help="folder of recorded sessions")
    parser.add_argument("--day", type=date.fromisoformat, default=DAY, help=f"default {DAY}")
    options = parser.parse_args()
    for text in _lines(options.sessions, options.day):
        print(text, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
