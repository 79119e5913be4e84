"""What do bounds cost where cars stand between lines? Random mixes of pairs against the exact division by phasors.

Sites of four to twelve cars on random pairs behind one fuse that they would exceed, in virtual time around the real core, each
with and without a meter. Prints one line of JSON: of the energy that max-min fair shares on exact phasors (`optimizer.share`)
would bring, how much the gateway's cars get, in the mean and in the worst site; and by how much any fuse was exceeded.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import replace
from statistics import mean

from local_controller.site.wiring import Grid, GridSystem
from optimizer.problem import ChargingNeed, Horizon, Problem, WireLimit
from optimizer.share import share
from optimizer.wiring import between
from tests.site.virtual_site import VirtualSite, topology

MARGIN_A, SETTLED_S = 1.0, 480.0
PAIRS = {"R-S": (0, 1), "S-T": (1, 2), "R-T": (0, 2)}
DELTA = Grid(GridSystem.LINE_TO_LINE, 230.0)


def exact_a(pairs: list[str], fuse_a: float) -> float:
    """The sum of all cars' currents where phasors are added up exactly."""
    wires = tuple(WireLimit(str(line), f"L{line + 1}", (fuse_a - MARGIN_A,)) for line in range(3))
    needs = []
    for number, pair in enumerate(pairs):
        weights = enumerate(between(*PAIRS[pair]))
        needs.append(ChargingNeed(str(number), (), (0,), wires=tuple((str(line), one) for line, one in weights if one)))
    found = share(Problem(Horizon((0.0, 300.0)), (), tuple(needs), wires))
    return sum(currents[0] for currents in found.currents_a.values())


def drawn_a(pairs: list[str], fuse_a: float, *, is_metered: bool) -> tuple[float, float]:
    """The sum of all cars' currents once they have settled, and by how much a line was ever above the fuse."""
    topo = topology(fuse_a, len(pairs), rotations=tuple(pairs), grid=DELTA)
    if not is_metered:
        topo = replace(topo, nodes=tuple(replace(node, meter=None) for node in topo.nodes))
    site = VirtualSite(topo)
    site.connect()
    site.run(15)
    for name in site.stations:
        site.plug(name)
    site.run(SETTLED_S)
    return sum(site.drawn()), max(site.worst["grid"]) - fuse_a


def main() -> None:
    """Runs `--sites` of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    shares: dict[bool, list[float]] = {False: [], True: []}
    excess_a = -1e9
    for _ in range(given.sites):
        pairs = draw.choices(list(PAIRS), k=draw.randint(4, 12))
        fuse_a = 6.0 * len(pairs) + draw.uniform(5.0, 8.0 * len(pairs))
        most_a = exact_a(pairs, fuse_a)
        for is_metered, found in shares.items():
            sum_a, over_a = drawn_a(pairs, fuse_a, is_metered=is_metered)
            found.append(sum_a / most_a)
            excess_a = max(excess_a, over_a)
    figures = {
        name: {"mean": round(mean(shares[is_metered]), 4), "worst": round(min(shares[is_metered]), 4)}
        for name, is_metered in (("metered", True), ("unmetered", False))
    }
    print(json.dumps({"sites": given.sites, "of_exact": figures, "worst_excess_a": round(max(0.0, excess_a), 3)}))


if __name__ == "__main__":
    main()
