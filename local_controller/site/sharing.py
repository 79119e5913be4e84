"""Who may draw how much at this moment? Max-min fair shares of what is left, for every session that can be controlled.

The plan looks ahead; this is asked at every reading, so it works on arrays, and what only changes with the sessions is
remembered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from local_controller.site.per_phase import PHASES, PerPhase
from local_controller.site.places import Columns, Table
from local_controller.site.planning import STEP_A
from optimizer.manners import Indexes, Manners
from optimizer.realize import Flags, admit, realized
from optimizer.rows import Array, Rows, on_step_above, useful_caps


class Sharing:
    """The shares of one site. `nodes` are the ids of its nodes in the order of its rows."""

    def __init__(self, nodes: Sequence[str], table: Table) -> None:
        self._table = table
        self._first_row = {node: len(PHASES) * number for number, node in enumerate(nodes)}
        self._loading: tuple[int, bytes] | None = None
        self._rows = Rows((), (), np.zeros((0, 0)), np.zeros((0, 0)))

    def shares_a(self, sharers: Indexes, columns: Columns, caps_a: Array, available_a: Mapping[str, PerPhase]) -> Array:
        """What each may draw, A per phase, on steps; `available_a` is what each node has left for all of them.

        sharers: the numbers of their places. columns: their standings. caps_a: what caps each just now.
        """
        if not len(sharers):
            return caps_a
        rows = self._rows_for(sharers)
        step = np.full(len(sharers), STEP_A)
        minimum = on_step_above(columns.min_a, step)
        caps = useful_caps(caps_a.clip(min=0.0), columns.wanted_wh, columns.per_ampere_wh, minimum, step)
        manners = Manners(minimum, step, np.zeros(len(sharers)), columns.ordered_a)
        return realized(rows, self._available(available_a), manners, caps, caps)

    def seated(self, sharers: Indexes, min_a: Array, in_order: Indexes, available_a: Mapping[str, PerPhase]) -> Flags:
        """Whose minimums fit if those in the list have it one after the other: positions among `sharers`."""
        rows = self._rows_for(sharers)
        return admit(rows, self._available(available_a), on_step_above(min_a, np.full(len(min_a), STEP_A)), in_order)

    def _available(self, available_a: Mapping[str, PerPhase]) -> Array:
        return np.array([available_a[node] for node in self._first_row]).ravel().clip(min=0.0)

    def _rows_for(self, sharers: Indexes) -> Rows:
        """Who loads which phase of which node; that changes only when sessions do."""
        loading = self._table.revision, sharers.tobytes()
        if loading != self._loading:
            first = self._first_row
            ways, phases_of = self._table.ways, self._table.phases
            of_need = tuple(
                tuple(first[node] + phase for node in ways[number] for phase in phases_of[number])
                for number in sharers.tolist()
            )
            loads = np.zeros((len(PHASES) * len(first), len(of_need)))
            for number, rows in enumerate(of_need):
                loads[rows, number] = 1.0
            self._loading, self._rows = loading, Rows((), of_need, loads, np.zeros((len(loads), 1)))
        return self._rows
