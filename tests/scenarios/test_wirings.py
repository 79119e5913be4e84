"""Split-phase and line-to-line sites: the whole gateway with its shipped examples, and what bounds are worth.

What really flows is the length of a sum of phasors, made by the simulator; the gateway sees what a meter shows of it.
"""

from __future__ import annotations

import asyncio
import cmath
import math
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.config.load import load
from local_controller.config.models import SiteConfig
from local_controller.site.snapshot import snapshot
from local_controller.site.topology import Evse, Topology
from local_controller.site.wiring import Grid, GridSystem
from local_controller.station.words import EvseId, Phase
from optimizer.wiring import between, to_neutral
from site_simulator.lines import added, lengths, phasors
from site_simulator.outlet import StationSpec
from site_simulator.peer import V16, V21, V201
from site_simulator.readings import Spelling
from site_simulator.site import BaseLoad, Node
from site_simulator.vehicle import VehicleSpec
from tests.scenarios.socketless_site import SocketlessSite
from tests.site.virtual_site import VirtualSite, topology
from tests.virtual_loop import VirtualLoop, run

EXAMPLES = Path(__file__).parents[2] / "site_configs"
SPLIT, DELTA = Grid(GridSystem.SPLIT_PHASE, 120.0), Grid(GridSystem.LINE_TO_LINE, 230.0)
WYE_208 = Grid(GridSystem.THREE_PHASE_WYE, 120.0)
VERSIONS = (V16, V201, V21)
SPELLINGS = (Spelling.FULL, Spelling.TWO_LINES, Spelling.BETWEEN, Spelling.SUM, Spelling.BARE)
"""How stations between two lines tell their current: on L1, on L1 and L2, on L1-L2, on no phase, with power per phase."""


@dataclass
class Example:
    """A shipped site file, and simulated stations and cars for it; 1.6, 2.0.1 and 2.1, and the spellings, in turn."""

    name: str
    lines: int
    volts: float
    rating_a: dict[str, float]
    building: tuple[tuple[str, float], ...]

    @property
    def config(self) -> SiteConfig:
        return load(EXAMPLES / f"{self.name}.yaml")

    def specs(self) -> list[StationSpec]:
        specs = []
        for number, section in enumerate(self.config.stations):
            pair = section.phases if isinstance(section.phases, tuple) else None
            letters = "".join("RST"[line] for line in section.lines_of(section.evses[0]))
            specs.append(
                StationSpec(
                    section.id,
                    VERSIONS[number % len(VERSIONS)],
                    1,
                    section.max_a,
                    "-".join(letters) if pair else letters,
                    section.circuit,
                    (VehicleSpec(phases=1, max_a=section.max_a, need_wh=1e6, arrives_s=10.0 + 5.0 * number),),
                    SPELLINGS[number % len(SPELLINGS)] if pair else Spelling.FULL,
                    units=("W",) if section.unit.value == "W" else ("A", "W"),
                    volts=230.0 if self.lines == 3 else 240.0 if pair else 120.0,
                )
            )
        return specs

    def nodes(self) -> list[Node]:
        root, *circuits = self.rating_a
        to_line = {letter: BaseLoad(amps) for letter, amps in self.building if len(letter) == 1}
        pairs = tuple((where, BaseLoad(amps)) for where, amps in self.building if len(where) > 1)
        loads = tuple(to_line.get(letter, BaseLoad()) for letter in "RST")
        grid = Node(root, self.rating_a[root], None, (loads[0], loads[1], loads[2]), pairs)
        return [grid, *(Node(name, self.rating_a[name], root) for name in circuits)]


LIBRARY = Example("split_phase", 2, 120.0, {"grid": 400.0, "lot": 100.0}, (("R", 90.0), ("S", 70.0), ("R-S", 40.0)))
HOUSES = Example(
    "line_to_line",
    3,
    230.0 / math.sqrt(3.0),
    {"grid": 160.0, "garage": 80.0},
    (("R-S", 45.0), ("S-T", 30.0), ("T-R", 20.0)),
)


@pytest.mark.requirement("LC-112")
@pytest.mark.parametrize("example", [LIBRARY, HOUSES], ids=lambda example: example.name)
def test_the_meter_of_a_shipped_example_never_shows_more_than_a_fuse(example: Example) -> None:
    site = _run(example)
    excesses = [one.worst_a for gauge in site.world.gauges.values() for one in gauge.over_fuse]
    assert max(excesses) == 0.0
    drawn = {name: site.drawn_a(name) for name in site.stations}
    assert min(drawn.values()) >= 5.5, drawn
    allowed = {evse.id: evse.limit_a for evse in snapshot(site.gateway.site, site.clock.now()).evses}
    for name, amps in drawn.items():
        assert amps <= (allowed[f"{name}/1"] or 0.0) + 0.05, name
    used = max(site.world.gauges[list(example.rating_a)[1]].current_a)
    assert used >= 0.8 * (min(list(example.rating_a.values())[1], 80.0) - 2.0), "the panel is used"


def _run(example: Example) -> SocketlessSite:
    loop = VirtualLoop()
    site = SocketlessSite(
        example.config, example.specs(), loop, example.nodes(), lines=example.lines, volts=example.volts
    )
    run(_played(site), loop)
    return site


async def _played(site: SocketlessSite) -> None:
    async with site.running():
        await asyncio.sleep(420)
