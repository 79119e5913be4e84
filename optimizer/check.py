"""Does this allocation keep every rule? The judge, written apart from everything that makes allocations.

The solver proposes, `violations` disposes: nothing that it objects to is ever sent to a station. It shares no code
with the makers beyond the data of `optimizer.problem`, and it prefers the plainest loop to the fastest one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate

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
    drawing = _drawing_alone(allocation)
    return [
        *broken,
        *_of_circuits(problem, drawing),
        *(_of_feeding_in(problem, allocation) if drawing is not allocation else ()),
        *_of_wires(problem, drawing),
        *_of_surplus(problem, drawing),
    ]


def _malformed(problem: Problem, allocation: Allocation) -> Iterator[str]:
    wanted, given = {need.id for need in problem.needs}, set(allocation.currents_a)
    yield from (f"{name}: no current given" for name in sorted(wanted - given))
    yield from (f"{name}: a current for nobody's need" for name in sorted(given - wanted))
    may_give_back = {need.id for need in problem.needs if need.discharge is not None}
    for name, currents in allocation.currents_a.items():
        if len(currents) != problem.horizon.blocks:
            yield f"{name}: {len(currents)} currents for {problem.horizon.blocks} blocks"
        least_a = -math.inf if name in may_give_back else 0.0
        if not all(math.isfinite(current) and current >= least_a for current in currents):
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
    if min(currents) < 0:
        yield from _of_giving_back(need, problem, currents)


def _of_giving_back(need: ChargingNeed, problem: Problem, currents: tuple[float, ...]) -> Iterator[str]:
    """Within its bounds, never below what it must keep, and only if all that is wanted is there again by departure."""
    back, end_s = need.discharge, problem.horizon.edges_s[-1]
    if back is None or need.energy_wh is None or need.departure_s is None or need.arrival_s is not None:
        yield f"{need.id}: gives back, though energy or departure are unknown or it is yet to come"
        return
    if need.presence is not None or need.departure_s < problem.horizon.edges_s[1] or problem.tariff is None:
        yield f"{need.id}: gives back, though its departure is a guess or due, or nobody knows a price"
    if 0 < -currents[0] < back.min_a - TOLERANCE_A:
        yield f"{need.id}: {-currents[0]} A given back now is neither 0 nor at least {back.min_a} A"
    change_wh = 0.0
    for block, current in enumerate(currents):
        most_a = back.max_a if back.ceiling_a is None else min(back.max_a, back.ceiling_a[block])
        if -current > most_a + TOLERANCE_A:
            yield f"{need.id}, block {block}: {-current} A given back, {most_a} A allowed"
        if current < 0 and _wh_per_ampere(need, problem, block) == 0:
            yield f"{need.id}, block {block}: {-current} A given back after it left"
        change_wh += _stored_wh(need, problem, block, current)
        if change_wh < -back.spare_wh - TOLERANCE_WH:
            yield f"{need.id}, block {block}: {-change_wh} Wh gone, {back.spare_wh} Wh may be"
    if change_wh < need.energy_wh - TOLERANCE_WH:
        until_s = min(need.departure_s, end_s)
        yield f"{need.id}: gives back, but has {change_wh} of {need.energy_wh} Wh after {until_s} s"


def _stored_wh(need: ChargingNeed, problem: Problem, block: int, current: float) -> float:
    """What a current makes of what the battery holds, as it took to charge: giving back takes more than what comes out."""
    lost = need.discharge.efficiency if need.discharge is not None and current < 0 else 1.0
    return current * _wh_per_ampere(need, problem, block) / lost


def _of_energy(need: ChargingNeed, problem: Problem, currents: tuple[float, ...]) -> Iterator[str]:
    """A plan delivers at most the wanted energy, save that block 0 may run at the minimum and round up by a step."""
    if need.energy_wh is None:
        return
    if min(currents) < 0:
        delivered = [_stored_wh(need, problem, block, current) for block, current in enumerate(currents)]
        highest_wh = max(accumulate(delivered))
    else:
        delivered = [current * _wh_per_ampere(need, problem, block) for block, current in enumerate(currents)]
        highest_wh = math.fsum(delivered)
    rounding_wh = need.step_a * _wh_per_ampere(need, problem, 0)
    least_wh = math.ceil(need.min_a / need.step_a - 1e-9) * rounding_wh if need.energy_wh > 0 else 0.0
    if delivered[0] > max(need.energy_wh + rounding_wh, least_wh) + TOLERANCE_WH:
        yield f"{need.id}: {delivered[0]} Wh in block 0, wanted are {need.energy_wh} Wh"
    if highest_wh > max(need.energy_wh, delivered[0]) + TOLERANCE_WH:
        yield f"{need.id}: {highest_wh} Wh planned, wanted are {need.energy_wh} Wh"


def _wh_per_ampere(need: ChargingNeed, problem: Problem, block: int) -> float:
    """Energy of one ampere per phase; every car that is here is there during the whole of block 0."""
    start_s, end_s = problem.horizon.edges_s[block : block + 2]
    if need.arrival_s is not None:
        start_s = min(max(start_s, need.arrival_s), end_s)
    if need.departure_s is not None and block > 0:
        end_s = max(min(end_s, need.departure_s), start_s)
    return need.voltage_v * len(need.phases) * (end_s - start_s) / 3600


def _drawing_alone(allocation: Allocation) -> Allocation:
    """What counts against limits: a car that gives back may stop at any moment, so it makes no room."""
    if min((min(currents) for currents in allocation.currents_a.values()), default=0.0) >= 0:
        return allocation
    drawn_a = {name: tuple(max(amps, 0.0) for amps in currents) for name, currents in allocation.currents_a.items()}
    return replace(allocation, currents_a=drawn_a)


def _of_feeding_in(problem: Problem, allocation: Allocation) -> Iterator[str]:
    """What cars give back may be fed in, also if every car that charges stops."""
    for circuit in problem.circuits:
        for phase, name in enumerate(PHASES):
            cars = [need.id for need in problem.needs if circuit.id in need.circuits and phase in need.phases]
            for block in range(problem.horizon.blocks):
                back_a = math.fsum(max(-allocation.currents_a[car][block], 0.0) for car in cars)
                allowed_a = 0.0 if circuit.feed_in_a is None else circuit.feed_in_a[block][phase]
                if back_a > allowed_a + TOLERANCE_A:
                    yield f"{circuit.label}, {name}, block {block}: {back_a} A given back, {allowed_a} A allowed"


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
