"""How is the site just now put as a question to the optimizer?

The plan looks hours ahead and is made in a worker; between two plans every reading scales it down to what is left at
this moment by max-min fair shares, so that safety never waits for a solver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from local_controller.clock import Instant
from local_controller.profiles.schedule import Schedule
from local_controller.site.capacity import Capacity
from local_controller.site.evse import EvseState
from local_controller.site.per_phase import PHASES, PerPhase, minus
from optimizer.problem import ChargingNeed, CircuitLimit, Horizon, Problem, variable_horizon

PRESENT = Horizon((0.0, 300.0))
"""The horizon of a share: just now. Its length does not matter to an answer that ignores energies."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One session that asks for current: its state, the nodes that carry it, and what caps it just now (A).

    blind: a meter on its way to the grid is silent.
    """

    state: EvseState
    path: tuple[str, ...]
    cap_a: float
    blind: bool = False

    @property
    def key(self) -> str:
        """Its name in the optimizer's words."""
        return str(self.state.evse.id)


def horizon_at(now: Instant) -> Horizon:
    """The plan's blocks, with their edges on the clock."""
    midnight = now.utc.replace(hour=0, minute=0, second=0, microsecond=0)
    return variable_horizon((now.utc - midnight).total_seconds())


def make_problem(
    wishes: Sequence[Wish],
    capacities: Sequence[Capacity],
    reserved_a: Mapping[str, PerPhase],
    horizon: Horizon,
    now: Instant,
) -> Problem:
    """The site just now; `reserved_a` is what EVSEs that nobody controls may draw below each node."""
    circuits = tuple(_circuit(capacity, reserved_a[capacity.node], horizon.blocks) for capacity in capacities)
    return Problem(horizon, circuits, tuple(_need(wish, horizon, now) for wish in wishes))


def _circuit(capacity: Capacity, reserved_a: PerPhase, blocks: int) -> CircuitLimit:
    available_a = minus(capacity.available_a, reserved_a)
    l1, l2, l3 = (_source(capacity, reserved_a, phase) for phase in PHASES)
    return CircuitLimit(capacity.node, capacity.label, (available_a,) * blocks, (l1, l2, l3))


def _source(capacity: Capacity, reserved_a: PerPhase, phase: int) -> str:
    if reserved_a[phase] <= 0:
        return capacity.sentence(phase)
    return f"{capacity.sentence(phase)} - {reserved_a[phase]:.1f} A reserved for EVSEs without a controlled session"


def _need(wish: Wish, horizon: Horizon, now: Instant) -> ChargingNeed:
    state, session = wish.state, wish.state.session
    departure = None if session is None else session.departure
    return ChargingNeed(
        id=wish.key,
        circuits=wish.path,
        phases=state.phases(),
        min_a=state.min_a(),
        max_a=max(wish.cap_a, 0.0),
        energy_wh=_energy_left_wh(state),
        departure_s=None if departure is None else (departure - now.utc).total_seconds(),
        ceiling_a=ceilings(state.csms, horizon, state.evse.max_a, now),
        present_a=max(0.0, state.ordered_a),
    )


def _energy_left_wh(state: EvseState) -> float | None:
    session = state.session
    if session is None or session.energy_wh is None:
        return None
    return max(0.0, session.energy_wh - (state.session_energy_wh() or 0.0))


def ceilings(csms: Schedule, horizon: Horizon, max_a: float, now: Instant) -> tuple[float, ...] | None:
    """The CSMS's limit in each block: its lowest value there, so that no instant exceeds it. None: no constraint."""
    edges = [now.utc + timedelta(seconds=edge_s) for edge_s in horizon.edges_s]
    lows = [csms.lowest(start, end) for start, end in pairwise(edges)]
    if all(low is None for low in lows):
        return None
    return tuple(max_a if low is None else low for low in lows)
