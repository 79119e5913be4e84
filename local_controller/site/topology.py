"""What is wired to what? The electrical tree: grid connection, circuits, stations, EVSEs and the phases they load."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

from local_controller.profiles.units import NOMINAL_VOLTAGE_V
from local_controller.site.per_phase import ZERO, PerPhase, lower, total
from local_controller.site.per_phase import on as on_phases
from local_controller.site.wiring import STAR, Grid, GridSystem
from local_controller.station.words import EvseId, Phase

GRID: Final = "grid"
"""The id of the root node: the grid connection."""

STATION_PHASES: Final = tuple(Phase)
"""The phases of a station in their order."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class FuseType(StrEnum):
    """Kinds of overcurrent protection; they differ in how long they bear an overload (grid-and-safety §5.4, G4)."""

    MCB = "mcb"  # miniature circuit breaker, IEC 60898
    GG = "gg"  # fuse link, IEC 60269
    SLS_E = "sls_e"  # selective main breaker of German meter cabinets
    IEC60947 = "iec60947"  # industrial breaker


def grid_phases(rotation: str) -> tuple[int, ...]:
    """The grid phases (0..2) behind a connector's phases, from its OCPP ConnectorPhaseRotation.

    R, S, T are the grid's L1, L2, L3; their order is the connector's: "STR" means connector L1 is on grid L2.
    A single letter is a single-phase connection. ValueError for anything else.
    """
    phases = tuple("RST".find(letter) for letter in rotation)
    if -1 in phases or len(phases) not in {1, 3} or len(set(phases)) != len(phases):
        raise ValueError(f"rotation {rotation!r} is neither a permutation of RST nor a single one of these letters")
    return phases


@dataclass(frozen=True, slots=True)
class Node:
    """A place with a fuse: the grid connection (`parent` None) or a circuit. Triples are amperes per grid phase.

    rating_a: the fuse. contract_a: what the grid contract allows, None if it says nothing.
    base_a: assumed load of everything behind this fuse that is no station, counted while nothing measures it.
    margin_a: what is left unused because meters and cars are not exact (goal G16).
    meter: id of the meter that measures this node, None if none does.
    asymmetry_a: how much more one phase may carry than another (`site.asymmetry`), None: any; asymmetry_margin_a: its margin.
    line_v: nominal volts by which amperes of its lines are watts (`Grid.line_v`).
    """

    id: str
    label: str
    parent: str | None
    rating_a: PerPhase
    fuse_type: FuseType = FuseType.SLS_E
    contract_a: PerPhase | None = None
    base_a: PerPhase = ZERO
    margin_a: PerPhase = ZERO
    meter: str | None = None
    asymmetry_a: float | None = None
    asymmetry_margin_a: float = 1.0
    line_v: float = NOMINAL_VOLTAGE_V

    @property
    def limit_a(self) -> PerPhase:
        """What may flow at most: the lower one of fuse and contract."""
        return self.rating_a if self.contract_a is None else lower(self.rating_a, self.contract_a)


@dataclass(frozen=True, slots=True)
class Evse:
    """A place where one car charges. `grid_phases[i]` is the grid phase (0..2) behind the station's phase i.

    fallback_a: amperes per phase that it takes when nobody controls it. min_a: below this a car pauses.
    is_between: it stands between two lines, its grid_phases: one phase to the station, whose current both of them carry.
    line_v: nominal volts by which an ampere of one of its lines is watts. shows_phases: a phase on which its station measures
    nothing carries nothing; not so without a neutral, where a car on one phase of three draws its current from a second one.
    """

    id: EvseId
    node: str
    grid_phases: tuple[int, ...] = (0, 1, 2)
    max_a: float = 32.0
    fallback_a: float = 6.0
    min_a: float = 6.0
    is_between: bool = False
    line_v: float = NOMINAL_VOLTAGE_V
    shows_phases: bool = True

    @property
    def station_phases(self) -> tuple[Phase, ...]:
        """The phases as the station counts them: L1, or L1 to L3."""
        return STATION_PHASES[: 1 if self.is_between else len(self.grid_phases)]

    def grid_phase(self, phase: Phase) -> int:
        """The grid phase behind a phase of the station; a single-phase EVSE has one, whatever the station calls it."""
        return self.grid_phases[0 if len(self.station_phases) == 1 else STATION_PHASES.index(phase)]

    def behind(self, phases: Iterable[Phase]) -> frozenset[int]:
        """The grid phases that carry what flows on these of the station."""
        found = frozenset(self.grid_phase(phase) for phase in phases)
        return frozenset(self.grid_phases) if self.is_between and found else found

    def on_grid(self, current_a: Mapping[Phase, float]) -> PerPhase:
        """Amperes per phase of the station as amperes per phase of the grid.

        Between two lines flows one current, under whatever names the station tells it.
        """
        if self.is_between:
            return on_phases(self.grid_phases, max(current_a.values(), key=abs, default=0.0))
        return total(on_phases((self.grid_phase(phase),), value_a) for phase, value_a in current_a.items())

    def worst_a(self, limit_a: float) -> PerPhase:
        """What may flow on each grid phase under a limit, whichever phases the car uses."""
        return on_phases(self.grid_phases, limit_a)


@dataclass(frozen=True, slots=True)
class Station:
    """A charging station; `id` is its identity in the URL. unit: "A" or "W" if it is known to take only this one.

    phase_v: the nominal voltage of each of its phases, as it counts them.
    """

    id: str
    label: str
    evses: tuple[Evse, ...]
    unit: str | None = None
    phase_v: float = NOMINAL_VOLTAGE_V


@dataclass(frozen=True)
class Topology:
    """The tree. `nodes` has the grid connection first and every parent before its children.

    ValueError if the nodes are no single tree, or if ids are used twice or lead nowhere.
    """

    nodes: tuple[Node, ...]
    stations: tuple[Station, ...]
    grid: Grid = STAR
    _nodes: Mapping[str, Node] = field(init=False, repr=False, compare=False)
    _evses: Mapping[EvseId, Evse] = field(init=False, repr=False, compare=False)
    _paths: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        nodes = _unique(self.nodes, lambda node: node.id)
        paths = {node_id: path_to_root(node_id, {n.id: n.parent for n in self.nodes}) for node_id in nodes}
        _unique(self.stations, lambda station: station.id)
        evses = _unique([e for s in self.stations for e in s.evses], lambda evse: evse.id)
        if sum(node.parent is None for node in self.nodes) != 1:
            raise ValueError("a site has exactly one grid connection, the node without a parent")
        if lost := [str(evse.id) for evse in evses.values() if evse.node not in nodes]:
            raise ValueError(f"no such circuit for {', '.join(lost)}")
        in_order = tuple(sorted(self.nodes, key=lambda node: len(paths[node.id])))
        for name, value in (("nodes", in_order), ("_nodes", nodes), ("_evses", evses), ("_paths", paths)):
            object.__setattr__(self, name, value)

    @property
    def root(self) -> Node:
        """The grid connection."""
        return self.nodes[0]

    @property
    def adds_up(self) -> bool:
        """Whether all currents of a line are in phase, so that what one takes less is what another may take more.

        A load between two of three lines is 30 degrees early or late on each of them.
        """
        if self.grid.system is GridSystem.THREE_PHASE_WYE:
            return not any(evse.is_between for evse in self.evses)
        return self.grid.system is not GridSystem.LINE_TO_LINE

    @property
    def evses(self) -> tuple[Evse, ...]:
        """All EVSEs in the order of the stations."""
        return tuple(self._evses.values())

    def node(self, node_id: str) -> Node:
        """The node with this id; KeyError if there is none."""
        return self._nodes[node_id]

    def evse(self, evse_id: EvseId) -> Evse:
        """The EVSE with this id; KeyError if there is none."""
        return self._evses[evse_id]

    def path(self, evse_id: EvseId) -> tuple[str, ...]:
        """The ids of all nodes that carry this EVSE, its own circuit first, the grid connection last."""
        return self._paths[self._evses[evse_id].node]

    def children(self, node_id: str) -> tuple[Node, ...]:
        """The circuits directly behind a node."""
        return tuple(node for node in self.nodes if node.parent == node_id)

    def evses_below(self, node_id: str) -> tuple[Evse, ...]:
        """The EVSEs that a node carries, directly or through its circuits."""
        return tuple(evse for evse in self.evses if node_id in self._paths[evse.node])

    def grid_phase(self, evse_id: EvseId, phase: Phase) -> int:
        """The grid phase (0..2) behind a phase of an EVSE, see `Evse.grid_phase`."""
        return self._evses[evse_id].grid_phase(phase)

    def fallback_a(self, node_id: str) -> PerPhase:
        """What the stations behind a node take at worst when nobody controls them."""
        return total(evse.worst_a(evse.fallback_a) for evse in self.evses_below(node_id))

    def reserves_fallbacks(self, node: Node) -> bool:
        """Whether all fallbacks below fit into its asymmetry limit: then nobody who comes, and no end of the gateway, exceeds it.

        Where they do not, no reserve would help: EVSEs count from the beginning of a session on.
        """
        return node.asymmetry_a is None or max(self.fallback_a(node.id)) <= node.asymmetry_a

    def on_phase(self, node_id: str, phase: int) -> tuple[Evse, ...]:
        """The EVSEs behind a node that may load this grid phase (0..2)."""
        return tuple(evse for evse in self.evses_below(node_id) if phase in evse.grid_phases)


def path_to_root(node_id: str, parents: Mapping[str, str | None]) -> tuple[str, ...]:
    """The ids from a node to its root. ValueError if a parent is missing or the path runs in a circle."""
    path = [node_id]
    while (parent := parents[path[-1]]) is not None:
        if parent not in parents:
            raise ValueError(f"the parent {parent!r} of {path[-1]!r} does not exist")
        if parent in path:
            raise ValueError(f"circuits feed each other in a circle: {' -> '.join([*path, parent])}")
        path.append(parent)
    return tuple(path)


def _unique(values: Iterable[_Value], key: Callable[[_Value], _Key]) -> dict[_Key, _Value]:
    """The values by key. ValueError if a key occurs twice."""
    result: dict[_Key, _Value] = {}
    for value in values:
        if key(value) in result:
            raise ValueError(f"used twice: {key(value)}")
        result[key(value)] = value
    return result
