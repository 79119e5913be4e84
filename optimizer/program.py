"""Which linear program is this problem? Sparse matrices as coordinates, with a name for every row and column.

Maximise worth @ x where row_low <= A @ x <= row_high and 0 <= x <= upper.

Columns: current[need, block] in A (in block 0 one per segment of worth), group[circuits, phases, block] in A, and
beyond[need] in Wh beyond the prior of a car whose wish is unknown. A group is all cars on the same circuits and phases.
Rows: link[circuits, phases, block] (currents add up to the group), limit[circuit, phase, block] (of groups only) and
energy[need]. So the number of cars shows in link and energy rows only, however deep the tree of circuits is. Rows that
cannot bind, because the cars' own maxima are less, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from optimizer.objectives import Weights, first_block
from optimizer.problem import DEFAULT_ENERGY_WH, PHASES, ChargingNeed, Problem
from optimizer.rows import Array, Rows, wh_per_ampere

Indexes = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Program:
    """A linear program; `row`, `column` and `value` are the coordinates of A (repeated ones add up).

    The rest says what rows and columns mean. need, block: of each current column. groups: (circuits, phases). group,
    wanted_wh: (N,) group of each need, and what counts as wanted by it. limits: (index of `Rows.names`, block) of each
    limit row. capped: need of each energy row; open: of each beyond.
    """

    worth: Array
    upper: Array
    row: Indexes
    column: Indexes
    value: Array
    row_low: Array
    row_high: Array
    problem: Problem
    rows: Rows
    need: Indexes
    block: Indexes
    groups: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...]
    group: Indexes
    wanted_wh: Array
    limits: Indexes
    capped: Indexes
    open: Indexes

    def column_name(self, index: int) -> str:
        """As in the list of columns above."""
        currents, grouped = len(self.need), len(self.groups) * self.problem.horizon.blocks
        if index < currents:
            return f"current[{self.problem.needs[self.need[index]].id}, {self.block[index]}]"
        if index < currents + grouped:
            return f"group[{self._group_name(index - currents)}]"
        return f"beyond[{self.problem.needs[self.open[index - currents - grouped]].id}]"

    def row_name(self, index: int) -> str:
        """As in the list of rows above."""
        links, limits = len(self.groups) * self.problem.horizon.blocks, len(self.limits)
        if index < links:
            return f"link[{self._group_name(index)}]"
        if index < links + limits:
            row, block = self.limits[index - links]
            circuit, phase = self.rows.names[row]
            return f"limit[{self.problem.circuits[circuit].id}, {PHASES[phase]}, {block}]"
        return f"energy[{self.problem.needs[self.capped[index - links - limits]].id}]"

    def _group_name(self, index: int) -> str:
        group, block = divmod(index, self.problem.horizon.blocks)
        circuits, phases = self.groups[group]
        return f"{'/'.join(circuits)}, {'+'.join(PHASES[phase] for phase in phases)}, {block}"

    def currents(self, x: Array) -> Array:
        """The plan (N, K) in a solution, its segments added up."""
        plan = np.zeros((len(self.problem.needs), self.problem.horizon.blocks))
        np.add.at(plan, (self.need, self.block), x[: len(self.need)])
        return plan


def build(problem: Problem, rows: Rows, caps_a: Array, fair_a: Array, weights: Weights) -> Program:
    """The program of a problem; caps_a (N, K) as of `caps_of`, fair_a (N,) the fair share of block 0."""
    blocks, per_ampere = problem.horizon.blocks, wh_per_ampere(problem)
    need, block, upper, worth = _current_columns(problem, caps_a, fair_a, per_ampere, weights)
    groups, group = _groups(problem.needs)
    links, currents = len(groups) * blocks, len(need)
    limits, limit_row, limit_group = _limits(rows, caps_a, group)
    wanted = np.array([DEFAULT_ENERGY_WH if n.energy_wh is None else n.energy_wh for n in problem.needs])
    capped = np.flatnonzero((caps_a * per_ampere).sum(axis=1) > wanted)
    is_open = np.array([n.energy_wh is None for n in problem.needs])
    open_ = capped[is_open[capped]]
    energy_row = np.full(len(problem.needs), -1)
    energy_row[capped] = links + len(limits) + np.arange(len(capped))
    in_energy = np.flatnonzero(energy_row[need] >= 0)
    entries = (
        (group[need] * blocks + block, np.arange(currents), np.ones(currents)),
        (np.arange(links), currents + np.arange(links), -np.ones(links)),
        (links + limit_row, currents + limit_group * blocks + limits[limit_row, 1], np.ones(len(limit_row))),
        (energy_row[need[in_energy]], in_energy, per_ampere[need[in_energy], block[in_energy]]),
        (energy_row[open_], currents + links + np.arange(len(open_)), -np.ones(len(open_))),
    )
    row, column, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    return Program(
        worth=np.concatenate((worth, np.zeros(links), np.full(len(open_), weights.beyond_prior - 1.0))),
        upper=np.concatenate((upper, np.full(links + len(open_), np.inf))),
        row=row,
        column=column,
        value=value,
        row_low=np.concatenate((np.zeros(links), np.full(len(limits) + len(capped), -np.inf))),
        row_high=np.concatenate((np.zeros(links), rows.available_a[limits[:, 0], limits[:, 1]], wanted[capped])),
        problem=problem,
        rows=rows,
        need=need,
        block=block,
        groups=groups,
        group=group,
        wanted_wh=wanted,
        limits=limits,
        capped=capped,
        open=open_,
    )


def _current_columns(
    problem: Problem, caps_a: Array, fair_a: Array, per_ampere: Array, weights: Weights
) -> tuple[Indexes, Indexes, Array, Array]:
    """Need, block, upper bound (A) and worth (Wh per A) of each current column: later blocks, then block 0's segments."""
    need, block = np.nonzero(caps_a[:, 1:])
    block += 1
    edges = np.array(problem.horizon.edges_s)
    value = per_ampere * (1 + weights.early * (1 - edges[:-1] / edges[-1]))
    segments = [
        (n, segment.width_a, segment.worth_wh)
        for n in np.flatnonzero(caps_a[:, 0])
        for segment in first_block(problem.needs[n], caps_a[n, 0], fair_a[n], per_ampere[n, 0], weights)
    ]
    now, width, worth = np.array(segments).reshape(-1, 3).T
    return (
        np.concatenate((need, now.astype(np.intp))),
        np.concatenate((block, np.zeros(len(now), dtype=np.intp))),
        np.concatenate((caps_a[need, block], width)),
        np.concatenate((value[need, block], worth)),
    )


def _groups(
    needs: tuple[ChargingNeed, ...],
) -> tuple[tuple[tuple[tuple[str, ...], tuple[int, ...]], ...], Indexes]:
    """The groups, and the group of each need (N,)."""
    keys = [(need.circuits, tuple(sorted(need.phases))) for need in needs]
    groups = tuple(dict.fromkeys(keys))
    number = {key: index for index, key in enumerate(groups)}
    return groups, np.array([number[key] for key in keys], dtype=np.intp)


def _limits(rows: Rows, caps_a: Array, group: Indexes) -> tuple[Indexes, Indexes, Indexes]:
    """(L, 2) row and block of each limit that can bind, and the coordinates (limit, group) of what loads it."""
    limits = np.argwhere(rows.loads @ caps_a > rows.available_a)
    _, example = np.unique(group, return_index=True)
    limit_row, limit_group = np.nonzero(rows.loads[np.ix_(limits[:, 0], example)])
    return limits, limit_row, limit_group
