"""Which linear program is this problem? Sparse matrices as coordinates, with a name for every row and column.

Columns
    current[need, block]                 A; in block 0 one for each segment of worth
    group[circuits, phases, block]       A; the sum of a group, where that makes the program smaller (`_worth_a_sum`)
    beyond[need]                         Wh beyond the prior of a car whose wish is unknown; one for each likely wish
    rung[need, number]                   Wh of the need that is served by departure, if fractions of needs count
    covered[block]                       Wh that surplus covers, if prices count
    peak                                 W by which the site's mean power in some block is above its highest so far, if that costs

Rows
    link[circuits, phases, block]        the currents of a group add up to its sum
    limit[circuit, phase or sum, block]  of the currents of groups
    wire[wire, degrees, block]           the same, along one direction: a tangent
    energy[need]                         no more than is wanted
    fraction[need]                       rungs up to what was and will be delivered
    covered[block]                       no more than is drawn
    peak[block]                          what is drawn beyond the room is at most the peak

A group is all cars on the same circuits, phases and wires. Where it has no sum its cars stand in limits and wires themselves; so many
cars show in link, energy and fraction rows only, however deep the tree of circuits is. The peak may grow, so it never makes a site
infeasible. Rows that cannot bind, because the cars' own maxima are less, are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from optimizer.arrays import Array, Flags, Indexes
from optimizer.linear import Draft, Linear
from optimizer.objectives import Weights
from optimizer.problem import PHASES, TOGETHER, ChargingNeed, Problem
from optimizer.rows import Rows, block_hours, wh_per_ampere
from optimizer.tangents import directions, tangent
from optimizer.worth import Worth, first_block, worth_of

Group = tuple[tuple[str, ...], tuple[int, ...], tuple[tuple[str, complex], ...]]
"""What cars have in common that load the same rows in the same way: circuits, phases, wires."""


Name = Callable[[int], str]
"""The name of a row or column by its number among those that were added with it."""


@dataclass(frozen=True, slots=True)
class Program:
    """A linear program and what it means.

    need, block: of each current column; these come first.
    group, wanted_wh: (N,) equal numbers are one group, and what counts as wanted.
    wh_per_ampere: (N, K) as of `rows`.
    money: what all of it is worth.
    named_columns, named_rows: how many were added at a time, and their names.
    """

    linear: Linear
    problem: Problem
    need: Indexes
    block: Indexes
    group: Indexes
    wanted_wh: Array
    wh_per_ampere: Array
    money: Worth
    named_columns: tuple[tuple[int, Name], ...]
    named_rows: tuple[tuple[int, Name], ...]

    def column_name(self, index: int) -> str:
        """As in the list of columns above."""
        return _name(self.named_columns, index)

    def row_name(self, index: int) -> str:
        """As in the list of rows above."""
        return _name(self.named_rows, index)

    def currents(self, x: Array) -> Array:
        """The plan (N, K) in a solution, its segments added up."""
        plan = np.zeros((len(self.problem.needs), self.problem.horizon.blocks))
        np.add.at(plan, (self.need, self.block), x[: len(self.need)])
        return plan


def _name(added: tuple[tuple[int, Name], ...], index: int) -> str:
    for count, name in added:
        if index < count:
            return name(index)
        index -= count
    raise IndexError(index)


def build(problem: Problem, rows: Rows, caps_a: Array, fair_a: Array, weights: Weights) -> Program:
    """The program of a problem; caps_a (N, K) as of `caps_of`, fair_a (N,) the fair share of block 0."""
    builder = _Builder(problem, caps_a, fair_a, weights)
    makers = (_limits, _tangents) if rows.has_wires else (_limits,)
    builder.add_limits(*(limits(problem, rows, caps_a, builder.group) for limits in makers))
    builder.add_energies()
    builder.add_fractions()
    builder.add_surplus()
    builder.add_peak()
    return builder.program()


class _Builder:
    """The program so far; it begins with the currents."""

    def __init__(self, problem: Problem, caps_a: Array, fair_a: Array, weights: Weights) -> None:
        """As `build`."""
        self._problem, self._caps_a, self._weights = problem, caps_a, weights
        self._draft = Draft()
        self._columns: list[tuple[int, Name]] = []
        self._rows: list[tuple[int, Name]] = []
        self._wh, self._money = wh_per_ampere(problem), worth_of(problem, weights)
        self._groups, self.group = _groups(problem.needs)
        self._wanted_wh = np.array([n.expected_wh if n.energy_wh is None else n.energy_wh for n in problem.needs])
        self._add_currents(fair_a)

    def program(self) -> Program:
        """All that was added."""
        return Program(
            linear=self._draft.numbers(),
            problem=self._problem,
            need=self._need,
            block=self._block,
            group=self.group,
            wanted_wh=self._wanted_wh,
            wh_per_ampere=self._wh,
            money=self._money,
            named_columns=tuple(self._columns),
            named_rows=tuple(self._rows),
        )

    def add_limits(self, *limits: _Limits) -> None:
        """Limits on the currents of groups, and the sum of a group in a block where that makes them smaller."""
        blocks = self._problem.horizon.blocks
        cells = [one.group * blocks + one.block[one.row] for one in limits]
        car_cell = self.group[self._need] * blocks + self._block
        has_sum = _worth_a_sum(car_cell, np.concatenate(cells), len(self._groups) * blocks)
        summed = np.flatnonzero(has_sum)
        total = self._add_columns(np.full(len(summed), np.inf), 0.0, lambda i: f"group[{self._group_name(summed[i])}]")
        link = self._add_rows(np.zeros(len(summed)), lambda i: f"link[{self._group_name(summed[i])}]", low=0.0)
        self._enter_some(link, summed, (car_cell, self._current, np.ones(len(car_cell))))
        self._draft.enter(link, total, -1.0)
        alone = ~has_sum[car_cell]
        members = _Members(np.concatenate((car_cell[alone], summed)), np.concatenate((self._current[alone], total)))
        for one, cell in zip(limits, cells, strict=True):
            row = self._add_rows(one.limit_a, one.name)
            entry, column = members.of(cell)
            self._draft.enter(row[one.row[entry]], column, one.value[entry])

    def add_energies(self) -> None:
        """No more energy than is wanted, and where that is unknown columns for what may be."""
        needs, weights = self._problem.needs, self._weights
        certain_wh = np.array(
            [n.wishes_wh[0] if _is_guessed(n, weights) else wh for n, wh in zip(needs, self._wanted_wh, strict=True)]
        )
        capped = np.flatnonzero((self._caps_a * self._wh).sum(axis=1) > certain_wh)
        need, width_wh, worth = _beyond(needs, capped, weights, self._money)
        beyond = self._add_columns(width_wh, worth, lambda i: f"beyond[{self._id(need[i])}]")
        energy = self._add_rows(certain_wh[capped], lambda i: f"energy[{self._id(capped[i])}]")
        self._enter_some(energy, capped, (self._need, self._current, self._wh_of_current))
        self._enter_some(energy, capped, (need, beyond, np.full(len(need), -1.0)))

    def add_fractions(self) -> None:
        """Rungs of each need, if the objective has a ladder."""
        if not self._weights.ladder:
            return
        climbing = np.flatnonzero(self._caps_a.any(axis=1))
        served_wh = np.array([need.served_wh for need in self._problem.needs])
        width, worth = np.array(self._weights.ladder).T
        rungs = self._add_columns(
            np.outer((served_wh + self._wanted_wh)[climbing], width).ravel(),
            np.tile(worth, len(climbing)),
            lambda i: f"rung[{self._id(climbing[i // len(width)])}, {i % len(width)}]",
        )
        climb = self._add_rows(served_wh[climbing], lambda i: f"fraction[{self._id(climbing[i])}]")
        self._enter_some(climb, climbing, (self._need, self._current, -self._wh_of_current))
        self._draft.enter(np.repeat(climb, len(width)), rungs, 1.0)

    def add_surplus(self) -> None:
        """What surplus covers, in the blocks in which it makes energy cheaper."""
        money = self._money
        covered = np.flatnonzero((money.saved > 0) & self._caps_a.any(axis=0))
        saved = self._add_columns(money.surplus_wh[covered], money.saved[covered], lambda i: f"covered[{covered[i]}]")
        cover = self._add_rows(np.zeros(len(covered)), lambda i: f"covered[{covered[i]}]")
        self._enter_some(cover, covered, (self._block, self._current, -self._wh_of_current))
        self._draft.enter(cover, saved, 1.0)

    def add_peak(self) -> None:
        """The peak, in the blocks in which the cars' most raises it."""
        room_w = self._money.peak_room_w
        if room_w is None:
            return
        hours = block_hours(self._problem)
        most_w = (self._caps_a * self._wh).sum(axis=0) / hours
        peaked = np.flatnonzero((most_w > room_w) & (most_w > 0))
        if not len(peaked):
            return
        peak = self._add_columns(np.full(1, np.inf), -self._money.per_peak_w, lambda _: "peak")
        below = self._add_rows(room_w[peaked], lambda i: f"peak[{peaked[i]}]")
        self._enter_some(below, peaked, (self._block, self._current, self._wh_of_current / hours[self._block]))
        self._draft.enter(below, peak, -1.0)

    def _add_currents(self, fair_a: Array) -> None:
        """Of each need in each later block in which it may draw, then of each in block 0, segment by segment."""
        caps_a, worth = self._caps_a, self._wh * self._money.net
        per_ampere = worth[:, 0], self._wh[:, 0] * self._money.unit
        now = first_block(self._problem.needs, caps_a[:, 0], fair_a, per_ampere, self._weights)
        later, after = np.nonzero(caps_a[:, 1:])
        need = self._need = np.concatenate((later, now.need))
        block = self._block = np.concatenate((after + 1, np.zeros_like(now.need)))
        self._wh_of_current = self._wh[need, block]
        self._current = self._add_columns(
            np.concatenate((caps_a[:, 1:][later, after], now.width_a)),
            np.concatenate((worth[:, 1:][later, after], now.worth)),
            lambda i: f"current[{self._id(need[i])}, {block[i]}]",
        )

    def _add_columns(self, upper: Array, worth: Array | float, name: Name) -> Indexes:
        self._columns.append((len(upper), name))
        return self._draft.columns(upper, worth)

    def _add_rows(self, high: Array, name: Name, *, low: float = -np.inf) -> Indexes:
        self._rows.append((len(high), name))
        return self._draft.rows(high, low)

    def _enter_some(self, rows: Indexes, owners: Indexes, entries: tuple[Indexes, Indexes, Array]) -> None:
        """Of entries (owner, column, value) those whose owner has one of these rows: `owners` tells whose they are."""
        owner, column, value = entries
        row_of = np.full(max(owner.max(initial=-1), owners.max(initial=-1)) + 1, -1)
        row_of[owners] = rows
        has_row = row_of[owner] >= 0
        self._draft.enter(row_of[owner][has_row], column[has_row], value[has_row])

    def _id(self, need: int) -> str:
        return self._problem.needs[need].id

    def _group_name(self, cell: int) -> str:
        group, block = divmod(int(cell), self._problem.horizon.blocks)
        circuits, phases, wires = self._groups[group]
        return f"{'/'.join((*circuits, *dict(wires)))}, {'+'.join(PHASES[phase] for phase in phases)}, {block}"


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


def _worth_a_sum(car_cell: Indexes, row_cell: Indexes, count: int) -> Flags:
    """Of so many cells those whose currents are summed up in a column, so that there are fewer entries than with each car in each row.

    Not for one or two rows: with 24 cars to a panel, a third of the rows and of the time were links (55, 140 and 385 ms for 200,
    500 and 1000 cars with a column for every cell; 38, 118 and 298 ms by the number of entries alone; 38, 100 and 225 ms so).
    """
    cars, rows = np.bincount(car_cell, minlength=count), np.bincount(row_cell, minlength=count)
    is_worth: Flags = (rows > 2) & (cars * rows > cars + rows + 1)
    return is_worth


def _is_guessed(need: ChargingNeed, weights: Weights) -> bool:
    """Whether likely wishes stand for one that is unknown; what may wait for a better price is a matter of its prior."""
    return need.energy_wh is None and bool(need.wishes_wh) and not weights.priced


def _beyond(
    needs: tuple[ChargingNeed, ...], capped: Indexes, weights: Weights, money: Worth
) -> tuple[Indexes, Array, Array]:
    """Need, width (Wh) and worth of each beyond column: a Wh that half of the likely wishes contain is worth half."""
    columns = []
    for n in (int(n) for n in capped if needs[n].energy_wh is None):
        if not _is_guessed(needs[n], weights):
            columns.append((n, np.inf, money.beyond[n]))
            continue
        wishes = needs[n].wishes_wh
        widths = (*(b - a for a, b in pairwise(wishes)), np.inf)
        columns += [(n, width, -money.net[n, 0] * (passed + 1) / len(wishes)) for passed, width in enumerate(widths)]
    need, width, value = np.array(columns).reshape(-1, 3).T
    return need.astype(np.intp), width, value


def _groups(needs: tuple[ChargingNeed, ...]) -> tuple[tuple[Group, ...], Indexes]:
    """The groups, and the group of each need (N,)."""
    keys: list[Group] = [(need.circuits, tuple(sorted(need.phases)), need.wires) for need in needs]
    groups = tuple(dict.fromkeys(keys))
    number = {key: index for index, key in enumerate(groups)}
    return groups, np.array([number[key] for key in keys], dtype=np.intp)


class _Limits(NamedTuple):
    """Rows on the currents of groups: (L,) limit and block of each, and the entries of what loads it: row, group, value."""

    limit_a: Array
    block: Indexes
    row: Indexes
    group: Indexes
    value: Array
    name: Name


def _limits(problem: Problem, rows: Rows, caps_a: Array, group: Indexes) -> _Limits:
    """Those of `Rows` that can bind."""
    of, block = np.nonzero(rows.loads @ caps_a > rows.available_a)
    _, example = np.unique(group, return_index=True)
    loads = rows.loads[np.ix_(of, example)]
    row, number = np.nonzero(loads)

    def name(i: int) -> str:
        circuit, phase = rows.names[of[i]]
        return f"limit[{problem.circuits[circuit].id}, {'sum' if phase == TOGETHER else PHASES[phase]}, {block[i]}]"

    return _Limits(rows.available_a[of, block], block, row, number, loads[row, number], name)


def _tangents(problem: Problem, rows: Rows, caps_a: Array, group: Indexes) -> _Limits:
    """The tangents that can bind: cars that all draw their most would be beyond them."""
    _, example = np.unique(group, return_index=True)
    most_a = np.array([caps_a[group == number].sum(axis=0) for number in range(len(example))])
    of: list[tuple[int, int, float]] = []
    along = []
    for wire, weights in enumerate(rows.weights[:, example]):
        for angle in directions(weights):
            one = tangent(weights, angle)
            blocks = np.flatnonzero(one.clip(min=0.0) @ most_a > rows.wire_a[wire]).tolist()
            of += [(wire, block, angle) for block in blocks]
            along += [one] * len(blocks)
    values = np.array(along).reshape(len(of), len(example))
    row, number = np.nonzero(values)
    wires, blocks_of = (np.array([one[k] for one in of], dtype=np.intp) for k in (0, 1))

    def name(i: int) -> str:
        wire, block, angle = of[i]
        return f"wire[{problem.wires[wire].id}, {math.degrees(angle):.1f}, {block}]"

    return _Limits(rows.wire_a[wires, blocks_of], blocks_of, row, number, values[row, number], name)
