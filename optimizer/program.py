"""Which linear program is this problem? Sparse matrices as coordinates, with a name for every row and column.

Maximise worth @ x where row_low <= A @ x <= row_high and 0 <= x <= upper.

Columns: current[need, block] in A (in block 0 one per segment of worth), group[circuits, phases, block] in A,
beyond[need] in Wh beyond the prior of a car whose wish is unknown, one for each likely wish, rung[need, number] in Wh of the need that is
served by departure, if fractions of needs count, and, if prices count, covered[block] in Wh that surplus covers, and peak in W
by which the site's mean power in some block is above its highest so far. A group is all cars on the same circuits, phases and wires; it has a column
in the blocks in which that makes the program smaller (`_worth_a_sum`), else its cars stand in the rows themselves.
Rows: link[circuits, phases, block] (currents add up to the group), limit[circuit, phase or sum, block] (of groups),
wire[wire, degrees, block] (a tangent, of groups), energy[need], fraction[need] (rungs up to what was and will
be delivered), covered[block] (no more than is drawn) and peak[block] (what is drawn beyond the room is at most the peak, which may
grow, so it never makes a site infeasible). So many cars show in link, energy and fraction rows only, however deep the tree of circuits is.
Rows that cannot bind, because the cars' own maxima are less, are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from optimizer.manners import Indexes
from optimizer.objectives import Weights, first_block
from optimizer.problem import PHASES, TOGETHER, ChargingNeed, Problem
from optimizer.rows import Array, Rows, wh_per_ampere
from optimizer.tangents import directions, tangent
from optimizer.worth import Worth, worth_of

Group = tuple[tuple[str, ...], tuple[int, ...], tuple[tuple[str, complex], ...]]
"""What cars have in common that load the same rows in the same way: circuits, phases, wires."""


@dataclass(frozen=True, slots=True)
class Program:
    """A linear program; `row`, `column` and `value` are the coordinates of A (repeated ones add up).

    The rest says what rows and columns mean. need, block: of each current column. groups: as `Group`. group,
    wanted_wh: (N,) group of each need, and what counts as wanted by it. summed: those with a column, as numbers of groups
    times blocks plus block. limits: (index of `Rows.names`, block) of each
    limit row. tangents: (index of the wire, block) of each wire row, and angles: its direction in radians. capped: need
    of each energy row; open: of each beyond; climbing: of each fraction row. covered: block of each covered column and row;
    peaked: of each peak row, with one column for all, if there is any. money: what all of it is worth.
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
    groups: tuple[Group, ...]
    group: Indexes
    summed: Indexes
    wanted_wh: Array
    limits: Indexes
    tangents: Indexes
    angles: Array
    capped: Indexes
    open: Indexes
    climbing: Indexes
    covered: Indexes
    peaked: Indexes
    money: Worth

    def column_name(self, index: int) -> str:
        """As in the list of columns above."""
        currents, grouped = len(self.need), len(self.summed)
        if index < currents:
            return f"current[{self.problem.needs[self.need[index]].id}, {self.block[index]}]"
        if index < currents + grouped:
            return f"group[{self._group_name(self.summed[index - currents])}]"
        if index < currents + grouped + len(self.open):
            return f"beyond[{self.problem.needs[self.open[index - currents - grouped]].id}]"
        priced = index - len(self.worth) + len(self.covered) + self._peaks
        if priced >= 0:
            return f"covered[{self.covered[priced]}]" if priced < len(self.covered) else "peak"
        climber, rung = divmod(index - currents - grouped - len(self.open), self._rungs)
        return f"rung[{self.problem.needs[self.climbing[climber]].id}, {rung}]"

    def row_name(self, index: int) -> str:
        """As in the list of rows above."""
        links, limits, tangents = len(self.summed), len(self.limits), len(self.tangents)
        if index < links:
            return f"link[{self._group_name(self.summed[index])}]"
        if index < links + limits:
            row, block = self.limits[index - links]
            circuit, phase = self.rows.names[row]
            name = "sum" if phase == TOGETHER else PHASES[phase]
            return f"limit[{self.problem.circuits[circuit].id}, {name}, {block}]"
        if index < links + limits + tangents:
            wire, block = self.tangents[index - links - limits]
            degrees = math.degrees(self.angles[index - links - limits])
            return f"wire[{self.problem.wires[wire].id}, {degrees:.1f}, {block}]"
        if index < links + limits + tangents + len(self.capped):
            return f"energy[{self.problem.needs[self.capped[index - links - limits - tangents]].id}]"
        priced = index - len(self.row_high) + len(self.covered) + len(self.peaked)
        if priced >= 0:
            blocks = (*(f"covered[{k}]" for k in self.covered), *(f"peak[{k}]" for k in self.peaked))
            return blocks[priced]
        return f"fraction[{self.problem.needs[self.climbing[priced]].id}]"

    @property
    def _rungs(self) -> int:
        others = len(self.need) + len(self.summed) + len(self.open) + len(self.covered) + self._peaks
        return (len(self.worth) - others) // max(len(self.climbing), 1)

    @property
    def _peaks(self) -> int:
        return min(len(self.peaked), 1)

    def _group_name(self, index: int) -> str:
        group, block = divmod(int(index), self.problem.horizon.blocks)
        circuits, phases, wires = self.groups[group]
        return f"{'/'.join((*circuits, *dict(wires)))}, {'+'.join(PHASES[phase] for phase in phases)}, {block}"

    def currents(self, x: Array) -> Array:
        """The plan (N, K) in a solution, its segments added up."""
        plan = np.zeros((len(self.problem.needs), self.problem.horizon.blocks))
        np.add.at(plan, (self.need, self.block), x[: len(self.need)])
        return plan


def build(problem: Problem, rows: Rows, caps_a: Array, fair_a: Array, weights: Weights) -> Program:
    """The program of a problem; caps_a (N, K) as of `caps_of`, fair_a (N,) the fair share of block 0."""
    blocks, per_ampere = problem.horizon.blocks, wh_per_ampere(problem)
    money = worth_of(problem, weights)
    need, block, upper, worth = _current_columns(problem, caps_a, fair_a, money, weights)
    groups, group = _groups(problem.needs)
    wanted = np.array([n.expected_wh if n.energy_wh is None else n.energy_wh for n in problem.needs])
    certain = np.array(
        [n.wishes_wh[0] if _is_guessed(n, weights) else wh for n, wh in zip(problem.needs, wanted, strict=True)]
    )
    capped = np.flatnonzero((caps_a * per_ampere).sum(axis=1) > certain)
    open_, beyond_wh, beyond_worth = _beyond(problem.needs, capped, weights, money.beyond)
    climbing = np.flatnonzero(caps_a.any(axis=1)) if weights.ladder else np.zeros(0, dtype=np.intp)
    served = np.array([n.served_wh for n in problem.needs])
    limits, limit_row, limit_group, times = _limits(rows, caps_a, group)
    wires = _tangents(rows, caps_a, group)
    priced = _priced_blocks(problem, caps_a, money)
    car_cell = group[need] * blocks + block
    limit_cell = limit_group * blocks + limits[limit_row, 1]
    wire_cell = wires.group * blocks + wires.of[wires.row, 1]
    summed = _worth_a_sum(car_cell, np.concatenate((limit_cell, wire_cell)), len(groups) * blocks)

    columns = _Columns()
    current = columns.add(upper, worth)
    total = columns.add(np.full(len(summed), np.inf), 0.0)
    beyond = columns.add(beyond_wh, beyond_worth)
    width, value = np.array(weights.ladder).reshape(-1, 2).T
    rungs = columns.add(np.outer((served + wanted)[climbing], width).ravel(), np.tile(value, len(climbing)))
    matrix = _Matrix()
    link = matrix.add(np.zeros(len(total)), equal=True)
    matrix.enter_some(link, summed, (car_cell, current, np.ones(len(current))))
    matrix.enter(link, total, -1.0)
    alone = ~np.isin(car_cell, summed)
    members = _Members(np.concatenate((car_cell[alone], summed)), np.concatenate((current[alone], total)))
    limit = matrix.add(rows.available_a[limits[:, 0], limits[:, 1]])
    entry, column = members.of(limit_cell)
    matrix.enter(limit[limit_row[entry]], column, times[entry])
    wire = matrix.add(rows.wire_a[wires.of[:, 0], wires.of[:, 1]])
    entry, column = members.of(wire_cell)
    matrix.enter(wire[wires.row[entry]], column, wires.value[entry])
    energy = matrix.add(certain[capped])
    matrix.enter_some(energy, capped, (need, current, per_ampere[need, block]))
    matrix.enter_some(energy, capped, (open_, beyond, np.full(len(open_), -1.0)))
    climb = matrix.add(served[climbing])
    matrix.enter_some(climb, climbing, (need, current, -per_ampere[need, block]))
    matrix.enter(np.repeat(climb, len(width)), rungs, 1.0)
    _enter_prices(columns, matrix, (block, current, per_ampere[need, block]), priced)
    return Program(
        worth=np.concatenate(columns.worth),
        upper=np.concatenate(columns.upper),
        row=np.concatenate(matrix.row),
        column=np.concatenate(matrix.column),
        value=np.concatenate(matrix.value),
        row_low=np.concatenate(matrix.low),
        row_high=np.concatenate(matrix.high),
        problem=problem,
        rows=rows,
        need=need,
        block=block,
        groups=groups,
        group=group,
        summed=summed,
        wanted_wh=wanted,
        limits=limits,
        tangents=wires.of,
        angles=wires.angles,
        capped=capped,
        open=open_,
        climbing=climbing,
        covered=priced.covered,
        peaked=priced.peaked,
        money=money,
    )


class _Columns:
    """The columns so far."""

    def __init__(self) -> None:
        self.upper: list[Array] = []
        self.worth: list[Array] = []
        self._count = 0

    def add(self, upper: Array, worth: Array | float) -> Indexes:
        """The indexes of more columns."""
        self.upper.append(upper)
        self.worth.append(np.broadcast_to(worth, upper.shape))
        self._count += len(upper)
        return np.arange(self._count - len(upper), self._count)


class _Matrix:
    """The rows so far, and the coordinates of what is in them."""

    def __init__(self) -> None:
        self.low: list[Array] = []
        self.high: list[Array] = []
        self.row: list[Indexes] = []
        self.column: list[Indexes] = []
        self.value: list[Array] = []
        self._count = 0

    def add(self, high: Array, *, equal: bool = False) -> Indexes:
        """The indexes of more rows; `equal`: they are not only at most `high`."""
        self.high.append(high)
        self.low.append(high if equal else np.full(len(high), -np.inf))
        self._count += len(high)
        return np.arange(self._count - len(high), self._count)

    def enter(self, row: Indexes, column: Indexes, value: Array | float) -> None:
        """Coordinates and values."""
        self.row.append(row)
        self.column.append(column)
        self.value.append(np.broadcast_to(value, row.shape))

    def enter_some(self, rows: Indexes, owners: Indexes, entries: tuple[Indexes, Indexes, Array]) -> None:
        """Of entries (owner, column, value) those whose owner has one of these rows: `owners` tells whose they are."""
        owner, column, value = entries
        row_of = np.full(max(owner.max(initial=-1), owners.max(initial=-1)) + 1, -1)
        row_of[owners] = rows
        has_row = row_of[owner] >= 0
        self.enter(row_of[owner][has_row], column[has_row], value[has_row])


class _Members:
    """Which columns belong to a cell (a group in a block)?"""

    def __init__(self, cell: Indexes, column: Indexes) -> None:
        """The cell of each column."""
        order = np.argsort(cell, kind="stable")
        self._cell, self._column = cell[order], column[order]

    def of(self, cells: Indexes) -> tuple[Indexes, Indexes]:
        """Of each column of each of these cells: the index of the cell here, and the column."""
        first, last = (np.searchsorted(self._cell, cells, side) for side in ("left", "right"))
        count = last - first
        index = np.repeat(np.arange(len(cells)), count)
        ranks = np.arange(len(index)) - np.repeat(count.cumsum() - count, count)
        return index, self._column[first[index] + ranks]


def _worth_a_sum(car_cell: Indexes, row_cell: Indexes, count: int) -> Indexes:
    """The cells whose currents are summed up in a column, so that there are fewer entries than with each car in each row.

    Not for one or two rows: with 24 cars to a panel, a third of the rows and of the time were links (55, 140 and 385 ms for 200,
    500 and 1000 cars with a column for every cell; 38, 118 and 298 ms by the number of entries alone; 38, 100 and 225 ms so).
    """
    cars, rows = np.bincount(car_cell, minlength=count), np.bincount(row_cell, minlength=count)
    cells: Indexes = np.flatnonzero((rows > 2) & (cars * rows > cars + rows + 1))
    return cells


def _current_columns(
    problem: Problem, caps_a: Array, fair_a: Array, money: Worth, weights: Weights
) -> tuple[Indexes, Indexes, Array, Array]:
    """Need, block, upper bound (A) and worth (Wh per A) of each current column: later blocks, then block 0's segments."""
    need, block = np.nonzero(caps_a[:, 1:])
    block += 1
    per_ampere = wh_per_ampere(problem)
    value = per_ampere * money.net
    segments = [
        (n, segment.width_a, segment.worth_wh)
        for n in np.flatnonzero(caps_a[:, 0])
        for segment in first_block(
            problem.needs[n], caps_a[n, 0], fair_a[n], (value[n, 0], per_ampere[n, 0] * money.unit), weights
        )
    ]
    now, width, worth = np.array(segments).reshape(-1, 3).T
    return (
        np.concatenate((need, now.astype(np.intp))),
        np.concatenate((block, np.zeros(len(now), dtype=np.intp))),
        np.concatenate((caps_a[need, block], width)),
        np.concatenate((value[need, block], worth)),
    )


class _Priced(NamedTuple):
    """The blocks in which surplus makes energy cheaper, and those in which the cars' most raises the peak; (K,) hours."""

    covered: Indexes
    peaked: Indexes
    hours: Array
    money: Worth


def _priced_blocks(problem: Problem, caps_a: Array, money: Worth) -> _Priced:
    hours = np.diff(np.array(problem.horizon.edges_s)) / 3600
    covered, peaked = np.flatnonzero((money.saved > 0) & caps_a.any(axis=0)), np.zeros(0, dtype=np.intp)
    if money.peak_room_w is not None:
        most_w = (caps_a * wh_per_ampere(problem)).sum(axis=0) / hours
        peaked = np.flatnonzero((most_w > money.peak_room_w) & (most_w > 0))
    return _Priced(covered, peaked, hours, money)


def _enter_prices(columns: _Columns, matrix: _Matrix, energy: tuple[Indexes, Indexes, Array], priced: _Priced) -> None:
    """Columns and rows of surplus and peak. energy: block, column and Wh per ampere of each current column."""
    block, current, wh = energy
    covered, peaked, hours, money = priced
    saved = columns.add(money.surplus_wh[covered], money.saved[covered])
    cover = matrix.add(np.zeros(len(covered)))
    matrix.enter_some(cover, covered, (block, current, -wh))
    matrix.enter(cover, saved, 1.0)
    if money.peak_room_w is not None and len(peaked):
        peak = columns.add(np.full(1, np.inf), -money.per_peak_w)
        below = matrix.add(money.peak_room_w[peaked])
        matrix.enter_some(below, peaked, (block, current, wh / hours[block]))
        matrix.enter(below, np.repeat(peak, len(below)), -1.0)


def _is_guessed(need: ChargingNeed, weights: Weights) -> bool:
    """Whether likely wishes stand for one that is unknown; what may wait for a better price is a matter of its prior."""
    return need.energy_wh is None and bool(need.wishes_wh) and not weights.priced


def _beyond(
    needs: tuple[ChargingNeed, ...], capped: Indexes, weights: Weights, worth: Array
) -> tuple[Indexes, Array, Array]:
    """Need, width (Wh) and worth of each beyond column: a Wh that half of the likely wishes contain is worth half.

    worth: (N,) of a Wh beyond the prior, where no likely wishes are given.
    """
    columns = []
    for n in (int(n) for n in capped if needs[n].energy_wh is None):
        if not _is_guessed(needs[n], weights):
            columns.append((n, np.inf, worth[n]))
            continue
        wishes = needs[n].wishes_wh
        widths = (*(b - a for a, b in pairwise(wishes)), np.inf)
        dearest = 1 + weights.early + weights.urgent
        columns += [(n, width, -dearest * (passed + 1) / len(wishes)) for passed, width in enumerate(widths)]
    need, width, value = np.array(columns).reshape(-1, 3).T
    return need.astype(np.intp), width, value


def _groups(needs: tuple[ChargingNeed, ...]) -> tuple[tuple[Group, ...], Indexes]:
    """The groups, and the group of each need (N,)."""
    keys: list[Group] = [(need.circuits, tuple(sorted(need.phases)), need.wires) for need in needs]
    groups = tuple(dict.fromkeys(keys))
    number = {key: index for index, key in enumerate(groups)}
    return groups, np.array([number[key] for key in keys], dtype=np.intp)


def _limits(rows: Rows, caps_a: Array, group: Indexes) -> tuple[Indexes, Indexes, Indexes, Array]:
    """(L, 2) row and block of each limit that can bind, and the entries of what loads it: limit, group, how often."""
    limits = np.argwhere(rows.loads @ caps_a > rows.available_a)
    _, example = np.unique(group, return_index=True)
    loads = rows.loads[np.ix_(limits[:, 0], example)]
    limit_row, limit_group = np.nonzero(loads)
    return limits, limit_row, limit_group, loads[limit_row, limit_group]


class _Tangents(NamedTuple):
    """(T, 2) wire and block of each tangent, (T,) its angle, and its entries: row, group, value."""

    of: Indexes
    angles: Array
    row: Indexes
    group: Indexes
    value: Array


def _tangents(rows: Rows, caps_a: Array, group: Indexes) -> _Tangents:
    """The tangents that can bind: cars that all draw their most would be beyond them."""
    _, example = np.unique(group, return_index=True)
    most_a = np.array([caps_a[group == number].sum(axis=0) for number in range(len(example))])
    of, angles, along = [], [], []
    for wire, weights in enumerate(rows.weights[:, example] if rows.has_wires else ()):
        for angle in directions(weights):
            one = tangent(weights, angle)
            blocks = np.flatnonzero(one.clip(min=0.0) @ most_a > rows.wire_a[wire])
            of += [(wire, block) for block in blocks]
            angles += [angle] * len(blocks)
            along += [one] * len(blocks)
    values = np.array(along).reshape(len(of), len(example))
    row, number = np.nonzero(values)
    return _Tangents(np.array(of, dtype=np.intp).reshape(-1, 2), np.array(angles), row, number, values[row, number])
