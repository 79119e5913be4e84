"""How much may a station be told whose limit outlasts the gateway by far? What is safe should nobody ever lower it.

Most stations return to their fallback a minute and a half after the gateway has died. One that is seldom written to, or
obeys a setting of its maker, goes on for an hour or for ever, while the building may come to its worst. Therefore all such
stations together get no more than what the proof of the site file leaves: limit less assumed base load less all fallbacks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from local_controller.site.topology import Node, Topology
from local_controller.station.words import EvseId

LONG_S: Final = 120.0
"""The longest validity that a site file may give a working limit; what lasts no longer is nothing special."""

MOST_LASTING_S: Final = 86_400.0
"""So long after its start the gateway reckons with limits of an earlier run that hold for ever, in a station that is not here."""


def lasting_caps_a(topology: Topology, lasting: Collection[EvseId]) -> Mapping[EvseId, float]:
    """The most for each of these EVSEs, in A per phase: its fallback and an equal share of what is left everywhere."""
    shares = {
        (node.id, phase): _share_a(topology, node, phase, lasting) for node in topology.nodes for phase in range(3)
    }
    caps = {}
    for evse_id in lasting:
        evse = topology.evse(evse_id)
        left_a = min(shares[node, phase] for node in topology.path(evse_id) for phase in evse.grid_phases)
        caps[evse_id] = min(evse.max_a, evse.fallback_a + left_a)
    return caps


def _share_a(topology: Topology, node: Node, phase: int, lasting: Collection[EvseId]) -> float:
    left_a = node.limit_a[phase] - node.base_a[phase] - topology.fallback_a(node.id)[phase]
    sharing = sum(evse.id in lasting for evse in topology.on_phase(node.id, phase))
    return max(0.0, left_a) / max(1, sharing)
