"""Does this allocation keep every rule? The judge, written apart from everything that makes allocations.

The solver proposes, `violations` disposes: nothing that it objects to is ever sent to a station. It shares no code
with the makers beyond the data of `optimizer.problem`, and it prefers the plainest loop to the fastest one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from optimizer.problem import PHASES, Allocation, ChargingNeed, Problem

TOLERANCE_A = 1e-6
"""Excess that counts as rounding: a millionth of an ampere is what the solver's own tolerance may leave."""

TOLERANCE_WH = 1e-3
TOLERANCE_W = 1e-3


def violations(problem: Problem, allocation: Allocation) -> list[str]:
    """Every broken rule in one sentence each, with ids, blocks and amperes; an empty list is a sound allocation."""
    malformed = list(_malformed(problem, allocation))
    if malformed:
        return malformed
    broken = [text for need in problem.needs for text in _of_need(need, problem, allocation.currents_a[need.id])]
    return [
        *broken,
        *_of_circuits(problem, allocation),
        *_of_wires(problem, allocation),
        *_of_surplus(problem, allocation),
    ]


def _malformed(problem: Problem, allocation: Allocation) -> Iterator[str]:
    wanted, given = {need.id for need in problem.needs}, set(allocation.currents_a)
    yield from (f"{name}: no current given" for name in sorted(wanted - given))
    yield from (f"{name}: a current for nobody's need" for name in sorted(given - wanted))
    for name, currents in allocation.currents_a.items():
        if len(currents) != problem.horizon.blocks:
            yield f"{name}: {len(currents)} currents for {problem.horizon.blocks} blocks"
        if not all(math.isfinite(current) and current >= 0 for current in currents):
            yield f"{name}: a current that is negative or no number"


def _of_need(need: ChargingNeed, problem: Problem, currents: tuple[float, ...]) -> Iterator[str]:
    now = currents[0]
    if 0 < now < need.min_a - TOLERANCE_A:
        yield f"{need.id}: {now} A now is neither 0 nor at least {need.min_a} A"
    if need.arrival_s is not None and now > 0:
        yield f"{need.id}: {now} A now, but it is yet to come"
    if abs(now - round(now / need.step_a) * need.step_a) > TOLERANCE_A:
        yield f"{need.id}: {now} A now is no multiple of {need.step_a} A"
    for block, current in enumerate(currents):
        if current > 0 and need.arrival_s is not None and need.arrival_s >= problem.horizon.edges_s[block + 1]:
            yield f"{need.id}, block {block}: {current} A before it comes"
        if current > need.max_a + TOLERANCE_A:
            yield f"{need.id}, block {block}: {current} A is above its maximum of {need.max_a} A"
        if need.ceiling_a is not None and current > need.ceiling_a[block] + TOLERANCE_A:
            yield f"{need.id}, block {block}: {current} A is above the CSMS's {need.ceiling_a[block]} A"
    yield from _of_energy(need, problem, currents)


def _of_energy(need: ChargingNeed, problem: Problem, currents: tuple[float, ...]) -> Iterator[str]:
    """A plan delivers at most the wanted energy, save that block 0 may run at the minimum and round up by a step."""
    if need.energy_wh is None:
        return
    delivered = [current * _wh_per_ampere(need, problem, block) for block, current in enumerate(currents)]
    rounding_wh = need.step_a * _wh_per_ampere(need, problem, 0)
    least_wh = math.ceil(need.min_a / need.step_a - 1e-9) * rounding_wh if need.energy_wh > 0 else 0.0
    if delivered[0] > max(need.energy_wh + rounding_wh, least_wh) + TOLERANCE_WH:
        yield f"{need.id}: {delivered[0]} Wh in block 0, wanted are {need.energy_wh} Wh"
    if math.fsum(delivered) > max(need.energy_wh, delivered[0]) + TOLERANCE_WH:
        yield f"{need.id}: {math.fsum(delivered)} Wh planned, wanted are {need.energy_wh} Wh"


def _wh_per_ampere(need: ChargingNeed, problem: Problem, block: int) -> float:
    """Energy of one ampere per phase; every car that is here is there during the whole of block 0."""
    start_s, end_s = problem.horizon.edges_s[block : block + 2]
    if need.arrival_s is not None:
        start_s = min(max(start_s, need.arrival_s), end_s)
    if need.departure_s is not None and block > 0:
        end_s = max(min(end_s, need.departure_s), start_s)
    return need.voltage_v * len(need.phases) * (end_s - start_s) / 3600


def _of_circuits(problem: Problem, allocation: Allocation) -> Iterator[str]:
    for circuit in problem.circuits:
        for phase, name in enumerate(PHASES):
            loading = [need.id for need in problem.needs if circuit.id in need.circuits and phase in need.phases]
            for block in range(problem.horizon.blocks):
                drawn = math.fsum(allocation.currents_a[car][block] for car in loading)
                available = max(circuit.available_a[block][phase], 0.0)
                if drawn > available + TOLERANCE_A:
                    yield f"{circuit.label}, {name}, block {block}: {drawn} A drawn, {available} A available"
        for block, sum_a in enumerate(circuit.together_a or ()):
            cars = [need for need in problem.needs if circuit.id in need.circuits]
            drawn = math.fsum(len(need.phases) * allocation.currents_a[need.id][block] for need in cars)
            if drawn > max(sum_a, 0.0) + TOLERANCE_A * len(PHASES):
                yield f"{circuit.label}, all phases, block {block}: {drawn} A drawn, {sum_a} A available"


def _of_wires(problem: Problem, allocation: Allocation) -> Iterator[str]:
    """The exact length of each sum of phasors."""
    for wire in problem.wires:
        for block in range(problem.horizon.blocks):
            real, imaginary = [], []
            for need in problem.needs:
                for name, weight in need.wires:
                    if name == wire.id:
                        real.append(weight.real * allocation.currents_a[need.id][block])
                        imaginary.append(weight.imag * allocation.currents_a[need.id][block])
            drawn = math.hypot(math.fsum(real), math.fsum(imaginary))
            if drawn > wire.limit_a[block] + TOLERANCE_A:
                yield f"{wire.label}, block {block}: {drawn} A drawn, {wire.limit_a[block]} A available"


def _of_surplus(problem: Problem, allocation: Allocation) -> Iterator[str]:
    """Cars that take nothing else draw no more than it, in watts; nothing where nobody says that there is any."""
    cars = [need for need in problem.needs if need.surplus_only]
    surplus_w = problem.tariff.surplus_w if problem.tariff is not None else ()
    for block in range(problem.horizon.blocks if cars else 0):
        watts = [allocation.currents_a[need.id][block] * need.voltage_v * len(need.phases) for need in cars]
        covered_w = surplus_w[block] if surplus_w else 0.0
        if math.fsum(watts) > covered_w + TOLERANCE_W:
            yield f"surplus, block {block}: {math.fsum(watts)} W drawn by cars that take nothing else, {covered_w} W there"
