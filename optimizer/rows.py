"""Which car loads which row (a phase of a circuit), and how much may it draw in each block? Arrays for the makers.

Shapes: N needs, R rows that some car loads, K blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from optimizer.arrays import Array, Phasors
from optimizer.problem import TOGETHER, ChargingNeed, Problem

TINY_A = 1e-9
"""Rounding noise of sums of currents; the judge (`check`) tolerates a thousand times more."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that cars load.

    names: (circuit index, phase or TOGETHER) of each row.
    of_need: the rows that each need loads, the sum over the phases once for each of its phases.
    loads: the same as (R, N), how often the need loads the row.
    available_a: (R, K), never negative: a circuit without room allows its cars 0 A.
    weights: (W, N) phasors that an ampere of each need adds to each wire. wire_a: (W, K) what the wires can carry.
    """

    names: tuple[tuple[int, int], ...]
    of_need: tuple[tuple[int, ...], ...]
    loads: Array
    available_a: Array
    weights: Phasors = field(default_factory=lambda: np.zeros((0, 0), dtype=np.complex128))
    wire_a: Array = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def has_wires(self) -> bool:
        """Whether there are rows that are no plain sums."""
        return len(self.weights) > 0


def rows_of(problem: Problem) -> Rows:
    """The rows of a problem, in the order in which its needs mention them."""
    index = {circuit.id: c for c, circuit in enumerate(problem.circuits)}
    number: dict[tuple[int, int], int] = {}
    limited = {circuit.id for circuit in problem.circuits if circuit.together_a is not None}
    alike: dict[tuple[tuple[str, ...], tuple[int, ...]], tuple[int, ...]] = {}
    for need in problem.needs:
        if (need.circuits, need.phases) not in alike:
            rows = ((index[name], row) for name, row in _loaded(need, limited))
            alike[need.circuits, need.phases] = tuple(number.setdefault(row, len(number)) for row in rows)
    of_need = tuple(alike[need.circuits, need.phases] for need in problem.needs)
    loads = loads_of(of_need, len(number))
    available = [_available(problem, c, phase) for c, phase in number]
    available_a = np.array(available).reshape(len(number), problem.horizon.blocks).clip(min=0.0)
    return Rows(tuple(number), of_need, loads, available_a, *_wires_of(problem))


def _loaded(need: ChargingNeed, limited: set[str]) -> Iterator[tuple[str, int]]:
    """Circuit and phase of each row that a need loads; limited: the circuits with a limit on the sum over the phases."""
    for name in need.circuits:
        yield from ((name, phase) for phase in need.phases)
        if name in limited:
            yield from ((name, TOGETHER) for _ in need.phases)


def _available(problem: Problem, circuit: int, phase: int) -> Array:
    limit = problem.circuits[circuit]
    if phase == TOGETHER:
        return np.array(limit.together_a)
    return np.array([block[phase] for block in limit.available_a])


def loads_of(of_need: Sequence[tuple[int, ...]], rows: int) -> Array:
    """`Rows.loads` of `Rows.of_need`."""
    loads = np.zeros((rows, len(of_need)))
    loaded, times = (np.fromiter(values, np.intp) for values in (chain.from_iterable(of_need), map(len, of_need)))
    np.add.at(loads, (loaded, np.repeat(np.arange(len(of_need)), times)), 1.0)
    return loads


def _wires_of(problem: Problem) -> tuple[Phasors, Array]:
    number = {wire.id: w for w, wire in enumerate(problem.wires)}
    weights = np.zeros((len(number), len(problem.needs)), dtype=np.complex128)
    for n, need in enumerate(problem.needs):
        for wire, weight in need.wires:
            weights[number[wire], n] = weight
    return weights, np.array([wire.limit_a for wire in problem.wires]).reshape(len(number), problem.horizon.blocks)


def block_hours(problem: Problem) -> Array:
    """(K,) how long each block is."""
    hours: Array = np.diff(np.array(problem.horizon.edges_s)) / 3600
    return hours


def falling(problem: Problem) -> Array:
    """(K,) 1 now, falling to 0 at the horizon, for what is worth more the sooner it is."""
    edges = np.array(problem.horizon.edges_s)
    part: Array = 1 - edges[:-1] / edges[-1]
    return part


def _hours_of(problem: Problem) -> Array:
    """(N, K) hours that each car is there in each block; in block 0 all of them, `caps_of` knows who is yet to come."""
    edges = np.array(problem.horizon.edges_s)
    comes_s = [0.0 if need.arrival_s is None else need.arrival_s for need in problem.needs]
    begins = np.maximum(edges[:-1], np.array(comes_s)[:, None])
    begins[:, 0] = edges[0]
    stays = [edges[-1] if need.departure_s is None else max(need.departure_s, edges[1]) for need in problem.needs]
    until = np.array(stays)[:, None]
    hours: Array = (np.minimum(edges[1:], until) - begins).clip(min=0.0) / 3600
    return hours


def wh_per_ampere(problem: Problem) -> Array:
    """(N, K) energy that one ampere per phase brings in each block."""
    watts = np.array([need.power_w(1.0) for need in problem.needs])
    per_ampere: Array = watts[:, None] * _hours_of(problem)
    return per_ampere


def likely_of(problem: Problem) -> Array:
    """(N, K) how likely each car is still there in each block; 1 where its departure is no guess."""
    blocks = problem.horizon.blocks
    return np.array([need.presence or (1.0,) * blocks for need in problem.needs]).reshape(-1, blocks)


def minimum_of(problem: Problem) -> Array:
    """(N,) the lowest current of a running car: its minimum, on a step; one step where it has no minimum."""
    minimum, step = (np.array([getattr(need, field) for need in problem.needs]) for field in ("min_a", "step_a"))
    return on_step_above(np.maximum(minimum, step), step)


def on_step_above(minimum_a: Array, step_a: Array) -> Array:
    """The lowest multiples of the steps that reach the minimums."""
    lowest: Array = np.ceil(minimum_a / step_a - TINY_A) * step_a
    return lowest


def on_step_below(current_a: Array, step_a: Array) -> Array:
    """The highest multiples of the steps within the currents."""
    highest: Array = np.floor(current_a / step_a + TINY_A) * step_a
    return highest


def caps_of(problem: Problem) -> Array:
    """(N, K) the highest current of each car in each block, on steps in block 0; 0 where it cannot or need not run.

    In block 0 a car that wants little gets no more than it can use, but its minimum at least: it stops by itself.
    """
    per_ampere = wh_per_ampere(problem)
    minimum = minimum_of(problem)[:, None]
    caps = allowed_a(problem, [need.max_a for need in problem.needs], [need.ceiling_a for need in problem.needs])
    wanted = _wanted_wh(problem)
    step = np.array([need.step_a for need in problem.needs])
    caps[:, 0] = useful_caps(caps[:, 0], wanted, per_ampere[:, 0], minimum[:, 0], step)
    caps[(caps < minimum - TINY_A) | (per_ampere == 0) | (wanted == 0)[:, None]] = 0.0
    caps[[need.arrival_s is not None for need in problem.needs], 0] = 0.0
    return caps


def allowed_a(problem: Problem, most_a: Sequence[float], ceilings_a: Sequence[tuple[float, ...] | None]) -> Array:
    """(N, K) the highest currents below a maximum of each need and perhaps a ceiling [block]."""
    allowed = np.repeat(np.array(most_a)[:, None], problem.horizon.blocks, axis=1)
    for n, ceiling_a in enumerate(ceilings_a):
        if ceiling_a is not None:
            allowed[n] = np.minimum(allowed[n], ceiling_a)
    return allowed


def useful_caps(permitted_a: Array, wanted_wh: Array, per_ampere_wh: Array, minimum_a: Array, step_a: Array) -> Array:
    """(N,) the highest current of each car in a first block, on steps; 0 where it cannot or need not run.

    wanted_wh: infinite where unknown.
    """
    useful = on_step_above(wanted_wh / per_ampere_wh, step_a)
    caps: Array = np.minimum(on_step_below(permitted_a, step_a), np.maximum(useful, minimum_a))
    caps[(caps < minimum_a - TINY_A) | (wanted_wh == 0)] = 0.0
    return caps


def trim_to_energy(plan_a: Array, problem: Problem) -> Array:
    """The plan (N, K) without what follows once the wanted energy is delivered; block 0 stays as it is."""
    per_ampere = wh_per_ampere(problem)
    planned = plan_a * per_ampere
    before = planned.cumsum(axis=1) - planned
    kept: Array = np.minimum(planned, (_wanted_wh(problem)[:, None] - before).clip(min=0.0))
    trimmed: Array = np.divide(kept, per_ampere, out=np.zeros_like(kept), where=per_ampere > 0)
    trimmed = np.minimum(trimmed, plan_a)  # x * y / y may exceed x by rounding
    trimmed[:, 0] = plan_a[:, 0]
    return trimmed


def _wanted_wh(problem: Problem) -> Array:
    """(N,) what is still wanted; infinite where unknown."""
    return np.array([np.inf if need.energy_wh is None else need.energy_wh for need in problem.needs])
