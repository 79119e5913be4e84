"""Which nodes are there, which EVSEs does each carry, and what is known of both?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from local_controller.site.asymmetry import balances_of
from local_controller.site.base_load import BaseLoad
from local_controller.site.capacity import MeterState, NodeState
from local_controller.site.evse import EvseState
from local_controller.site.freshness import METER_LADDER, Watch, scaled_to
from local_controller.site.out_of_phase import LEAST_IN_PHASE
from local_controller.site.places import Place, Table
from local_controller.site.topology import Topology


class Tree:
    """The electrical tree of one site with its meters, as inputs have shown it.

    limited: whatever has a limit of its own, nodes and asymmetry limits. carried: the EVSEs that a node carries, directly or
    through its circuits. places, table: all EVSEs in the order of the topology.
    """

    def __init__(self, topology: Topology, meter_poll_s: Mapping[str, float]) -> None:
        """meter_poll_s: how often each meter is asked; a node with a meter that is not listed is an error of the caller."""
        self.topology = topology
        self.meters = {m: MeterState(m, Watch(scaled_to(METER_LADDER, poll_s))) for m, poll_s in meter_poll_s.items()}
        in_phase = 1.0 if topology.adds_up else LEAST_IN_PHASE
        self.nodes = {
            n.id: NodeState(n, self.meters[n.meter] if n.meter else None, BaseLoad(in_phase)) for n in topology.nodes
        }
        self.balances = {balance.node.id: balance for balance in balances_of(topology, self.nodes)}
        self.limited: Mapping[str, NodeState] = self.nodes | self.balances
        self.evses = {evse.id: EvseState(evse) for evse in topology.evses}
        self.places = [Place(state, str(id_), topology.path(id_)) for id_, state in self.evses.items()]
        self.table = Table(topology, self.places)
        self.carried = {n.id: [p.state for p in self.places if n.id in p.path] for n in topology.nodes}

    def below(self, node: str) -> Sequence[EvseState]:
        """The EVSEs that a node carries, or that of an asymmetry limit."""
        balance = self.balances.get(node)
        return self.carried[node if balance is None else str(balance.node.parent)]
