"""How is a site of circuits and EVSEs to neutral put as a network? For sites as a gateway's file describes them.

An EVSE on three phases can be used by a car on one phase: each kind of car that comes to it is a column of its own, and only one
of an EVSE's columns is used at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from backtest.network import STEP_S, Network
from optimizer.arrays import Array
from optimizer.problem import PHASES

PerPhase = tuple[float, float, float]

LEAST_A = 6.0
"""The lowest current that lets a car charge (IEC 61851-1)."""


@dataclass(frozen=True)
class Circuit:
    """A fuse. fuse_a: what it bears; reserved_a: what others take of it, and margins; both A per phase. parent: None at the grid."""

    id: str
    parent: str | None
    fuse_a: PerPhase
    reserved_a: PerPhase = (0.0, 0.0, 0.0)
    margin_a: PerPhase = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Outlet:
    """An EVSE. phases: those of the grid behind its own, in its order. max_a: of EVSE and cable. volts: for each phase."""

    id: str
    circuit: str
    phases: tuple[int, ...] = (0, 1, 2)
    max_a: float = 32.0
    volts: float = 230.0


@dataclass(frozen=True)
class Kind:
    """Cars that are alike for the wires: how many phases they use and the most that they draw; None: as the EVSE has it."""

    phases: int | None = None
    max_a: float | None = None


ANY = Kind()


@dataclass(frozen=True)
class Tree:
    """A site as a network. columns: EVSE and kind of car of each column. fuse_a: (W,) what the fuses bear beside other loads.

    `network.lim` is that less the margins: what algorithms keep to. rows: circuit and phase of each limit.
    """

    network: Network
    columns: tuple[tuple[str, Kind], ...]
    rows: tuple[tuple[str, int], ...]
    fuse_a: Array
    reserved_a: Array


def tree(circuits: Sequence[Circuit], outlets: Sequence[Outlet], kinds: Iterable[tuple[str, Kind]] = ()) -> Tree:
    """kinds: of cars beside those that use all that an EVSE has, by the id of the EVSE. ValueError for what is not there."""
    at = {outlet.id: outlet for outlet in outlets}
    columns = tuple(dict.fromkeys([*((outlet.id, ANY) for outlet in outlets), *kinds]))
    if unknown := [id_ for id_, _ in columns if id_ not in at]:
        raise ValueError(f"{unknown[0]}: no EVSE of the site, which has {', '.join(at)}")
    uses = [_use(circuits, at[id_], kind) for id_, kind in columns]
    for use, (id_, _) in zip(uses, columns, strict=True):
        if use.max_a < LEAST_A:
            raise ValueError(f"{id_}: has less than {LEAST_A:g} A, with which no car charges")
    rows = tuple((circuit.id, phase) for circuit in circuits for phase in range(len(PHASES)))
    fuse, reserved, margin = (
        np.array([getattr(circuit, field) for circuit in circuits]).ravel()
        for field in ("fuse_a", "reserved_a", "margin_a")
    )
    network = Network(
        stations=tuple(id_ if kind == ANY else f"{id_} {_named(kind)}" for id_, kind in columns),
        limits=tuple(f"{circuit}, {PHASES[phase]}" for circuit, phase in rows),
        C=np.array([[circuit in use.path and phase in use.phases for use in uses] for circuit, phase in rows], complex),
        lim=(fuse - reserved - margin).clip(min=0.0),
        allowed=tuple(np.concatenate(([0.0], np.arange(LEAST_A, np.floor(use.max_a) + 1))) for use in uses),
        max=np.floor([use.max_a for use in uses]),
        a2k=np.array([use.volts * len(use.phases) * STEP_S / 3.6e6 for use in uses]),
    )
    return Tree(network, columns, rows, fuse - reserved, reserved)


class _Use(NamedTuple):
    """What such a car does at an EVSE: phases of the grid that it loads, the circuits that carry it, the most that it draws."""

    phases: tuple[int, ...]
    path: set[str]
    max_a: float
    volts: float


def _use(circuits: Sequence[Circuit], outlet: Outlet, kind: Kind) -> _Use:
    phases = outlet.phases if kind.phases is None else outlet.phases[: kind.phases]
    max_a = outlet.max_a if kind.max_a is None else min(outlet.max_a, kind.max_a)
    return _Use(phases, _path(circuits, outlet), max_a, outlet.volts)


def _named(kind: Kind) -> str:
    return f"({'' if kind.phases is None else f'{kind.phases} ph '}{'' if kind.max_a is None else f'{kind.max_a:g} A'})"


def _path(circuits: Sequence[Circuit], outlet: Outlet) -> set[str]:
    """The circuits that carry it."""
    parents = {circuit.id: circuit.parent for circuit in circuits}
    path: set[str] = set()
    at: str | None = outlet.circuit
    while at is not None:
        if at not in parents or at in path:
            raise ValueError(f"{outlet.id}: {at} is no circuit of a tree that has {', '.join(parents)}")
        path.add(at)
        at = parents[at]
    return path
