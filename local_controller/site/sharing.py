"""Who may draw how much at this moment? Max-min fair shares of what is left, for every session that can be controlled.

The plan looks ahead; this is asked at every reading, so it works on arrays, and what only changes with the sessions is
remembered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from local_controller.profiles.units import NOMINAL_VOLTAGE_V
from local_controller.site.evse import PRESENT_S, Standing
from local_controller.site.per_phase import PHASES, PerPhase
from local_controller.site.planning import STEP_A
from optimizer.realize import Manners, realized
from optimizer.rows import Array, Rows, on_step_above, useful_caps


class Sharer(NamedTuple):
    """One session that takes part: the nodes that carry it, its standing, and what caps it just now (A)."""

    path: tuple[str, ...]
    standing: Standing
    cap_a: float


class Sharing:
    """The shares of one site. `nodes` are the ids of its nodes in the order of its rows."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._first_row = {node: len(PHASES) * number for number, node in enumerate(nodes)}
        self._loading: list[tuple[tuple[str, ...], tuple[int, ...]]] = []
        self._rows = Rows((), (), np.zeros((0, 0)), np.zeros((0, 0)))

    def shares_a(self, sharers: Sequence[Sharer], available_a: Mapping[str, PerPhase]) -> list[float]:
        """What each may draw, A per phase, on steps; `available_a` is what each node has left for all of them."""
        if not sharers:
            return []
        rows = self._rows_for(sharers)
        standings = [sharer.standing for sharer in sharers]
        step = np.full(len(sharers), STEP_A)
        minimum = on_step_above(np.array([standing.min_a for standing in standings]), step)
        hours = PRESENT_S / 3600
        per_ampere = np.array([NOMINAL_VOLTAGE_V * hours * len(standing.phases) for standing in standings])
        wanted = np.array([standing.wanted_wh for standing in standings])
        caps = useful_caps(np.array([s.cap_a for s in sharers]).clip(min=0.0), wanted, per_ampere, minimum, step)
        present = np.array([standing.ordered_a for standing in standings])
        manners = Manners(minimum, step, np.zeros(len(sharers)), present)
        shares: list[float] = realized(rows, self._available(available_a), manners, caps, caps).tolist()
        return shares

    def _available(self, available_a: Mapping[str, PerPhase]) -> Array:
        return np.array([available_a[node] for node in self._first_row]).ravel().clip(min=0.0)

    def _rows_for(self, sharers: Sequence[Sharer]) -> Rows:
        """Who loads which phase of which node; that changes only when sessions do."""
        loading = [(sharer.path, sharer.standing.phases) for sharer in sharers]
        if loading != self._loading:
            first = self._first_row
            of_need = tuple(tuple(first[node] + phase for node in path for phase in phases) for path, phases in loading)
            loads = np.zeros((len(PHASES) * len(first), len(of_need)))
            for number, rows in enumerate(of_need):
                loads[rows, number] = 1.0
            self._loading, self._rows = loading, Rows((), of_need, loads, np.zeros((len(loads), 1)))
        return self._rows
