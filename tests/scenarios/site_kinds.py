"""What else may be the case on a site of the soak of sites? Cars that charge by the sun or by prices, EVSEs that share a fuse of their station."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, time
from typing import Final

from local_controller.site.foresight import Foresight
from local_controller.site.outlook import Kind, Source, Told
from local_controller.site.price_table import PriceTable, PriceWindow
from local_controller.site.topology import FuseType, Node, Topology
from local_controller.site.wishes import ChargingMode, Wish
from tests.site.virtual_site import VirtualSite

EVERY_DAY: Final = frozenset(range(7))
SUNS_A: Final = (0.0, 0.0, 4.0, 8.0, 15.0, 30.0)
"""What feeds in on each phase."""


def sunny(site: VirtualSite, rnd: random.Random) -> None:
    """A roof in place of other loads, from which some cars charge, and others when a kWh is cheap: never room behind a fuse."""
    edges, at_s = [], 0.0
    while at_s < 6000.0:
        at_s += rnd.choice([10.0, 60.0, 180.0, 600.0])
        edges.append((at_s, rnd.choice(SUNS_A)))
    site.base = lambda s: (-next((sun_a for end_s, sun_a in edges if s < end_s), 0.0),) * 3
    modes = {one.evse.id: Wish(rnd.choice([*ChargingMode])) for one in site.stations.values()}
    windows = [
        PriceWindow(EVERY_DAY, time(8, rnd.randrange(60)), time(9), rnd.choice([-0.1, 0.1, 0.5])) for _ in range(2)
    ]
    table = PriceTable(0.3, windows, UTC)
    site.foresees(lambda: Foresight({Kind.ENERGY: Source(Told(Kind.ENERGY, "EUR/kWh", table=table))}, modes))


def sharing(tree: Topology, rnd: random.Random) -> Topology:
    """Each station has a fuse of its own behind which its EVSEs share what is less than they may draw; some have a meter there."""
    nodes, stations = list(tree.nodes), []
    for station in tree.stations:
        least_a = sum(evse.fallback_a for evse in station.evses)
        fuse_a, home = least_a + rnd.choice([1.0, 4.0, 10.0, 20.0]), station.evses[0].node
        meter = f"m-{station.id}" if rnd.random() < 0.5 else None
        margin_a = (rnd.choice([0.0, 1.0]),) * 3
        nodes.append(Node(station.id, station.id, home, (fuse_a,) * 3, FuseType.MCB, margin_a=margin_a, meter=meter))
        stations.append(replace(station, evses=tuple(replace(evse, node=station.id) for evse in station.evses)))
    return replace(tree, nodes=tuple(nodes), stations=tuple(stations))
