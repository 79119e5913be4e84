"""Who may draw how much at this moment? Max-min fair shares of what is left, for every session that can be controlled.

The plan looks ahead; this is asked at every reading, so it works on arrays, and what only changes with the sessions is
remembered, and so is the last answer: where nothing moves, it is asked the same again and again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from local_controller.site.beside import Beside
from local_controller.site.capacity import Left
from local_controller.site.per_phase import PHASES
from local_controller.site.places import Columns, Table
from local_controller.site.planning import STEP_A
from optimizer.arrays import Array, Flags, Indexes
from optimizer.manners import Manners
from optimizer.realize import admit, realized
from optimizer.rows import TINY_A, Rows, loads_of, on_step_above, useful_caps


class Unheard(NamedTuple):
    """Who of the sharers is not measured by anybody, what each of all sharers falls back to, and what is there beside those."""

    who: Flags
    fallback_a: Array
    room: Beside


class _Seats:
    """Where the rows stand while one car after the other takes a seat; a car changes nothing but the rows that it loads.

    once_a, twice_a, kept_a: as of `Beside`. idle_a: what those fall back to that nobody measures, all of them without a seat.
    """

    def __init__(self, once_a: Array, twice_a: Array, kept_a: Array, idle_a: Array) -> None:
        self._most_a = once_a, twice_a, kept_a
        self._once_a, self._twice_a, self._kept_a = once_a.tolist(), twice_a.tolist(), kept_a.tolist()
        self._idle_a: list[float] = idle_a.tolist()
        self._used_a = [0.0] * len(once_a)
        self._has_others = [False] * len(once_a)

    def fit(self, used_a: Array, idle_a: Array, has_others: Flags) -> bool:
        """Whether all that fits at the same time, row by row."""
        once_a, twice_a, kept_a = self._most_a
        once, twice = used_a + has_others * idle_a <= once_a, used_a + has_others * kept_a <= twice_a
        return bool(once.all() and twice.all())

    def take(self, rows: tuple[int, ...], needs_a: float, gives_a: float, *, is_other: bool) -> bool:
        """Whether a car fits that needs so much on each of these rows; if so, it has its seat. gives_a: so much less is idle."""
        found = []
        for row, times in Counter(rows).items():  # a row may stand there several times
            has_others = is_other or self._has_others[row]
            used_a, idle_a = self._used_a[row] + times * needs_a, self._idle_a[row] - times * gives_a
            once_a, twice_a = (used_a + idle_a, used_a + self._kept_a[row]) if has_others else (used_a, used_a)
            if once_a > self._once_a[row] or twice_a > self._twice_a[row]:
                return False
            found.append((row, used_a, idle_a, has_others))
        for row, used_a, idle_a, has_others in found:
            self._used_a[row], self._idle_a[row], self._has_others[row] = used_a, idle_a, has_others
        return True


class Sharing:
    """The shares of one site. `nodes` are the ids of its nodes in the order of its rows."""

    def __init__(self, nodes: Sequence[str], table: Table) -> None:
        self._table = table
        self._first_row = {node: len(PHASES) * number for number, node in enumerate(nodes)}
        self._loading: tuple[int, bytes, tuple[str, ...]] | None = None
        self._rows = Rows((), (), np.zeros((0, 0)), np.zeros((0, 0)))
        self._question: tuple[object, ...] = ()
        self._answer_a: Array = np.zeros(0)
        self._left: tuple[Left | None, Array] = None, np.zeros(0)

    def shares_a(self, sharers: Indexes, columns: Columns, caps_a: Array, available: Left) -> Array:
        """What each may draw, A per phase, on steps; `available` is what each node has left for all of them.

        sharers: the numbers of their places. columns: their standings. caps_a: what caps each just now.
        """
        if not len(sharers):
            return caps_a
        rows, left_a = self._rows_for(sharers, available), self._available(available)
        asked = left_a, caps_a, columns.min_a, columns.wanted_wh, columns.per_ampere_wh, columns.ordered_a
        question = self._loading, *(one.tobytes() for one in asked)
        if question != self._question:
            self._question, self._answer_a = question, self._shared(rows, left_a, columns, caps_a)
        return self._answer_a.copy()

    @staticmethod
    def _shared(rows: Rows, left_a: Array, columns: Columns, caps_a: Array) -> Array:
        step = np.full(len(caps_a), STEP_A)
        minimum = on_step_above(columns.min_a, step)
        caps = useful_caps(caps_a.clip(min=0.0), columns.wanted_wh, columns.per_ampere_wh, minimum, step)
        manners = Manners(minimum, step, np.zeros(len(caps_a)), columns.ordered_a)
        return realized(rows, left_a, manners, caps, caps)

    def seated(self, sharers: Indexes, min_a: Array, in_order: Indexes, room: Left | Unheard) -> Flags:
        """Whose minimums fit if those in the list have it one after the other: positions among `sharers`."""
        least_a = on_step_above(min_a, np.full(len(min_a), STEP_A))
        if isinstance(room, Left):
            return admit(self._rows_for(sharers, room), self._available(room), least_a, in_order)
        return self._seated_beside(sharers, least_a, in_order, room)

    def _seated_beside(self, sharers: Indexes, least_a: Array, in_order: Indexes, unheard: Unheard) -> Flags:
        """The same beside what is kept for cars that nobody measures: that counts where anybody else has a seat."""
        rows, who, room = self._rows_for(sharers, unheard.room.once), unheard.who, unheard.room
        once_a, twice_a, kept_a = (self._room_a(one) for one in (room.once, room.twice, room.kept))
        runs = np.zeros(len(sharers), dtype=bool)
        runs[in_order] = True
        own_a = unheard.fallback_a * who
        seats = _Seats(once_a + TINY_A, twice_a + TINY_A, kept_a, rows.loads @ own_a)
        if seats.fit(rows.loads @ (least_a * runs), rows.loads @ (own_a * ~runs), rows.loads @ (runs & ~who) > 0):
            return runs
        needs_a, gives_a, others = least_a.tolist(), own_a.tolist(), (~who).tolist()
        for car in in_order.tolist():
            runs[car] = seats.take(rows.of_need[car], needs_a[car], gives_a[car], is_other=others[car])
        return runs

    def fits_alone(self, sharers: Indexes, min_a: Array, available: Left) -> Flags:
        """Whose minimum fits if nobody else has anything."""
        rows, least_a = self._rows_for(sharers, available), on_step_above(min_a, np.full(len(min_a), STEP_A))
        too_much = rows.loads * least_a > self._available(available)[:, None] + TINY_A
        fits: Flags = np.logical_not(too_much.any(axis=0))
        return fits

    def fits(self, sharers: Indexes, currents_a: Array, available: Left) -> bool:
        """Whether all of them can have that at the same time."""
        rows = self._rows_for(sharers, available)
        return bool((rows.loads @ currents_a <= self._available(available)).all())

    def _available(self, available: Left) -> Array:
        """The phases of all nodes, then all phases together of those whose watts are limited."""
        if self._left[0] is not available:  # which a reaction asks about several times
            self._left = available, self._room_a(available)
            self._left[1].setflags(write=False)
        return self._left[1]

    def _room_a(self, available: Left) -> Array:
        phases = np.array([available.per_phase[node] for node in self._first_row]).ravel()
        if available.together:
            phases = np.concatenate([phases, [*available.together.values()]])
        return phases.clip(min=0.0)

    def _rows_for(self, sharers: Indexes, available: Left) -> Rows:
        """Who loads which phase of which node; that changes only when sessions do, or limits in watts come and go."""
        loading = self._table.revision, sharers.tobytes(), tuple(available.together)
        if loading != self._loading:
            first = self._first_row
            together = {node: len(PHASES) * len(first) + number for number, node in enumerate(available.together)}
            ways, phases_of = self._table.ways, self._table.phases
            of_need = tuple(
                (
                    *(first[node] + phase for node in ways[number] for phase in phases_of[number]),
                    *(together[node] for node in ways[number] if node in together for _ in phases_of[number]),
                )
                for number in sharers.tolist()
            )
            loads = loads_of(of_need, len(PHASES) * len(first) + len(together))
            self._loading, self._rows = loading, Rows((), of_need, loads, np.zeros((len(loads), 1)))
        return self._rows
