"""Why does a car get no more than this? The binding row or bound of block 0 in plain English, with its source."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from optimizer.explain_back import BackView
from optimizer.explain_cost import CostView
from optimizer.problem import PHASES, TOGETHER, ChargingNeed, CircuitLimit, Problem, Reason, WireLimit
from optimizer.surplus import SURPLUS, with_surplus

NOISE_A = 1e-6


@dataclass(frozen=True, slots=True)
class _Row:
    """One phase of one circuit in block 0, or a wire: what it has, what is left, who gets most.

    text: all of that in words. phase: None for a wire, TOGETHER for the sum over the phases. left_a: of a wire, as much as this
    car could have there.
    """

    id: str
    text: str
    phase: int | None
    available_a: float
    left_a: float
    first: ChargingNeed | None


def _without_circuit(reason: Reason) -> Reason:
    """Surplus is no circuit of the site."""
    if reason.circuit != SURPLUS:
        return reason
    return replace(reason, code="surplus", circuit=None, phase=None)


def _text(label: str, source: str, available_a: float, running: int) -> str:
    sharing = {0: "no car uses it", 1: "one car uses it"}.get(running, f"{running} cars share it")
    return f"{label}: {available_a:.1f} A available for charging{f' ({source})' if source else ''}, {sharing}"


def explain(problem: Problem, currents_a: Mapping[str, Sequence[float]]) -> dict[str, tuple[Reason, ...]]:
    """Reasons per need, the decisive one first, read off the currents of block 0 (whoever made them).

    The later ones say only for which hour a car waits, where prices are known.
    """
    explainer = Explainer(problem, {need.id: currents_a[need.id][0] for need in problem.needs}, currents_a)
    return {need.id: explainer.reasons(need) for need in problem.needs}


class Explainer:
    """What `explain` says, need by need; `now_a` are the currents of block 0, `plan_a` those of all if they are known."""

    def __init__(
        self, problem: Problem, now_a: Mapping[str, float], plan_a: Mapping[str, Sequence[float]] | None = None
    ) -> None:
        problem = with_surplus(problem)
        self._needs = {need.id: need for need in problem.needs}
        self._now_a = now_a
        self._back = BackView.of(problem, plan_a or {name: (current,) for name, current in now_a.items()})
        self._cost = CostView.of(problem, now_a, plan_a)
        self._by_row = _rows(problem, now_a)
        self._by_wire = {wire.id: _Wire.of(wire, problem, now_a) for wire in problem.wires}
        self._by_way: dict[object, list[_Row]] = {}

    def reasons(self, need: ChargingNeed) -> tuple[Reason, ...]:
        """Why this need of the problem gets no more, the decisive reason first."""
        need = self._needs[need.id]
        if need.arrival_s is not None:
            return (Reason("expected", f"{need.id} is expected: nothing flows before it is here."),)
        back = self._back.reasons(need)
        return back if self._now_a[need.id] < 0 else (*self._charging(need), *back)

    def _charging(self, need: ChargingNeed) -> tuple[Reason, ...]:
        way = need.circuits, need.phases, need.wires
        if way not in self._by_way:
            self._by_way[way] = self._rows_of(need)
        rows = self._by_way[way]
        found = _reasons(need, self._now_a, rows)
        return self._of_cost(need, rows, found) or tuple(_without_circuit(reason) for reason in found)

    def _rows_of(self, need: ChargingNeed) -> list[_Row]:
        rows = [self._by_row[circuit, phase] for circuit in need.circuits for phase in need.phases]
        sums = [self._by_row[circuit, TOGETHER] for circuit in need.circuits if (circuit, TOGETHER) in self._by_row]
        rows += [replace(row, left_a=row.left_a / len(need.phases)) for row in sums]
        return rows + [self._by_wire[wire].for_(weight) for wire, weight in need.wires]

    def _of_cost(self, need: ChargingNeed, rows: list[_Row], found: tuple[Reason, ...]) -> tuple[Reason, ...]:
        """Where there is room and no bound of the car, it may be the price; not where it gets all that it still wants now."""
        if self._cost is None:
            return ()
        now_a = self._now_a[need.id]
        least_a = need.step_a * (1 if now_a else max(1, math.ceil(need.min_a / need.step_a - NOISE_A)))
        most_a = need.max_a if need.ceiling_a is None else min(need.max_a, need.ceiling_a[0])
        free = all(left_a >= least_a - NOISE_A for left_a in (most_a, *(row.left_a for row in rows)))
        bound = need.energy_wh == 0 or {reason.code for reason in found} & {"vehicle_max", "csms_profile"}
        if not free or bound or self._cost.satisfies(need, now_a):
            return ()
        return self._cost.reasons(need, now_a)


def _rows(problem: Problem, now: Mapping[str, float]) -> dict[tuple[str, int], _Row]:
    circuits = {circuit.id: circuit for circuit in problem.circuits}
    loading: dict[tuple[str, int], list[ChargingNeed]] = {}
    for need in problem.needs:
        for name in need.circuits:
            limited = () if circuits[name].together_a is None else (TOGETHER,)
            for phase in (*need.phases, *limited):
                loading.setdefault((name, phase), []).append(need)
    return {(name, phase): _row(circuits[name], phase, needs, now) for (name, phase), needs in loading.items()}


def _row(circuit: CircuitLimit, phase: int, needs: list[ChargingNeed], now: Mapping[str, float]) -> _Row:
    """Of the needs that load it; with `together_a` also the sum over all phases."""
    running = [need for need in needs if now[need.id] > 0]
    first = max(running, key=lambda need: now[need.id], default=None)
    if phase == TOGETHER and circuit.together_a is not None:
        label, source, available = "all phases together", circuit.together_source, circuit.together_a[0]
        used = sum(len(need.phases) * now[need.id] for need in running)
    else:
        label, source, available = PHASES[phase], circuit.sources[phase], circuit.available_a[0][phase]
        used = sum(now[need.id] for need in running)
    available = max(available, 0.0)
    text = _text(f"{circuit.label}, {label}", source, available, len(running))
    return _Row(circuit.id, text, phase, available, available - used, first)


@dataclass(frozen=True, slots=True)
class _Wire:
    """A wire in block 0: the sum of its phasors, who gets most, and how it stands in words."""

    limit: WireLimit
    total: complex
    text: str
    first: ChargingNeed | None

    @classmethod
    def of(cls, wire: WireLimit, problem: Problem, now: Mapping[str, float]) -> _Wire:
        """What all its cars make of it."""
        loading = [(need, weight) for need in problem.needs for name, weight in need.wires if name == wire.id]
        running = [need for need, _ in loading if now[need.id] > 0]
        total = sum((weight * now[need.id] for need, weight in loading), 0j)
        text = _text(wire.label, wire.source, wire.limit_a[0], len(running))
        return cls(wire, total, text, max(running, key=lambda need: now[need.id], default=None))

    def for_(self, weight: complex) -> _Row:
        """As a car sees it that adds this phasor to it."""
        limit_a = self.limit.limit_a[0]
        return _Row(self.limit.id, self.text, None, limit_a, _room(self.total, weight, limit_a), self.first)


def _room(total: complex, weight: complex, limit: float) -> float:
    """The largest x with |total + x * weight| <= limit; at least 0."""
    along = (total * weight.conjugate()).real / abs(weight)
    across_2 = abs(total) ** 2 - along**2
    return max((math.sqrt(max(limit**2 - across_2, 0.0)) - along) / abs(weight), 0.0)


def _reasons(need: ChargingNeed, now: Mapping[str, float], rows: list[_Row]) -> tuple[Reason, ...]:
    current = now[need.id]
    if need.energy_wh == 0:
        return (Reason("energy_met", f"{need.id} pauses at 0 A: it has all the energy that was asked for."),)
    if current == 0:
        return _paused(need, rows)
    bounds = _bounds(need, current)
    full = min(rows, key=lambda row: row.left_a, default=None)
    if bounds:
        return bounds
    if full is None or full.left_a >= need.step_a - NOISE_A:
        return _last_energy(need, current)
    text = f"{current:.1f} A: {full.text}."
    circuit = Reason("circuit", text, full.id, full.phase, full.available_a)
    return (circuit, *_favoured(need, now, full))


def _bounds(need: ChargingNeed, current: float) -> tuple[Reason, ...]:
    """The car's own bounds that a further step would pass."""
    ceiling = need.ceiling_a[0] if need.ceiling_a is not None else None
    beyond = current + need.step_a - NOISE_A
    if ceiling is not None and beyond > ceiling and ceiling <= need.max_a:
        text = f"{current:.1f} A: the CSMS's charging profile allows {ceiling:.1f} A."
        return (Reason("csms_profile", text, limit_a=ceiling),)
    if beyond > need.max_a:
        text = f"{current:.1f} A: car, cable and station take at most {need.max_a:.1f} A."
        return (Reason("vehicle_max", text, limit_a=need.max_a),)
    return ()


def _last_energy(need: ChargingNeed, current: float) -> tuple[Reason, ...]:
    """Nothing else binds: the current is enough for the rest, if that is known."""
    if need.energy_wh is None:
        return ()
    text = f"{current:.1f} A: enough for the {need.energy_wh / 1000:.1f} kWh that it still wants."
    return (Reason("energy_met", text),)


def _paused(need: ChargingNeed, rows: list[_Row]) -> tuple[Reason, ...]:
    ceiling = need.ceiling_a[0] if need.ceiling_a is not None else None
    least = f"its minimum of {need.min_a:.1f} A"
    if ceiling is not None and ceiling < need.min_a:
        text = f"Paused: the CSMS's charging profile allows {ceiling:.1f} A, less than {least}."
        return (Reason("csms_profile", text, limit_a=ceiling),)
    if need.max_a < need.min_a:
        text = f"Paused: car, cable and station take at most {need.max_a:.1f} A, less than {least}."
        return (Reason("vehicle_max", text, limit_a=need.max_a),)
    if not rows:
        return ()
    full = min(rows, key=lambda row: row.left_a)
    text = f"Paused: {full.text}; {max(full.left_a, 0.0):.1f} A left, less than {least}."
    return (Reason("minimum_rate", text, full.id, full.phase, full.available_a),)


def _favoured(need: ChargingNeed, now: Mapping[str, float], row: _Row) -> tuple[Reason, ...]:
    """Who gets most on this row, if that is more than steps explain, and what speaks for that car."""
    if row.first is None or now[row.first.id] - now[need.id] <= max(need.step_a, row.first.step_a) + NOISE_A:
        return ()
    most = now[row.first.id]
    text = f"{row.first.id} gets {most:.1f} A there{_merit(row.first, most)}."
    return (Reason("shared", text, row.id, row.phase, most),)


def _merit(other: ChargingNeed, current: float) -> str:
    if current <= other.min_a + other.step_a:
        return f", its minimum is {other.min_a:.1f} A"
    if other.departure_s is not None and other.energy_wh is not None:
        hours = max(other.departure_s, 0.0) / 3600
        return f", it wants {other.energy_wh / 1000:.1f} kWh and leaves in {hours:.1f} h"
    return ", so that all together get the most energy"
