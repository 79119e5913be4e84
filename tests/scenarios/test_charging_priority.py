"""Does a car that the CSMS gives a charging priority go first where room is scarce, from its card to the current at its plug?"""

from __future__ import annotations

import asyncio

import pytest
from ruamel.yaml import YAML

from local_controller.config.models import SiteConfig
from local_controller.site.snapshot import EvseView
from site_simulator.outlet import StationSpec
from site_simulator.site import Node
from site_simulator.vehicle import VehicleSpec
from tests.scenarios.socketless_site import SocketlessSite
from tests.virtual_loop import VirtualLoop, run

SITE_FILE = """
site: {name: Three bays, mode: control}
csms: {url: "ws://127.0.0.1:1/ocpp"}
grid_connection: {fuse_a: 25, assumed_base_load_a: 0, meter: main}
meters: [{id: main, device: eastron_sdm630, host: 127.0.0.1}]
brokers: [{id: ems, host: 127.0.0.1}]
limits: [{id: ems, broker: ems, topic: limit, node: grid, fallback_a: 25}]
stations:
  - {id: GUEST, max_a: 32}
  - {id: AMBULANCE, max_a: 32}
  - {id: OLD, max_a: 32}
"""
FOR_ONE_A = 9.0
SETTLED_S = 120
ROUND_S = 1200


@pytest.mark.requirement("LC-067")
def test_the_car_with_a_priority_charges_and_the_others_wait_their_turn() -> None:
    loop = VirtualLoop()
    config = SiteConfig.model_validate(YAML(typ="safe", pure=True).load(SITE_FILE), strict=False)
    site = SocketlessSite(config, _specs(), loop, [Node("grid", 25.0)])
    site.csms.priorities = {"AMBULANCE": 5, "GUEST": -3}
    drawn_a, views = run(_played(site), loop)
    assert min(drawn_a["AMBULANCE"]) >= 6.0
    assert max(drawn_a["GUEST"] + drawn_a["OLD"]) == 0.0
    assert [views[name].charging_priority for name in ("GUEST", "AMBULANCE", "OLD")] == [-3, 5, 0]
    assert any("charging priority 5" in reason for reason in views["AMBULANCE"].reasons)
    for name in ("GUEST", "OLD"):
        assert any("the CSMS gave others a higher charging priority" in reason for reason in views[name].reasons)


async def _played(site: SocketlessSite) -> tuple[dict[str, list[float]], dict[str, EvseView]]:
    """What flows in each second of the second round, in which cars of one priority would take turns."""
    drawn_a: dict[str, list[float]] = {name: [] for name in site.stations}
    site.order("ems", FOR_ONE_A)
    async with site.running():
        await asyncio.sleep(SETTLED_S + ROUND_S)
        for _ in range(ROUND_S // 4):
            await asyncio.sleep(1.0)
            for name, seen in drawn_a.items():
                seen.append(site.drawn_a(name))
        return drawn_a, {name: site.shown(name) for name in site.stations}


def _specs() -> list[StationSpec]:
    came = (("GUEST", "ocpp2.0.1", 5.0), ("AMBULANCE", "ocpp2.1", 20.0), ("OLD", "ocpp1.6", 35.0))
    return [
        StationSpec(name, spoken, vehicles=(VehicleSpec(need_wh=1e6, arrives_s=arrives_s, card=name),))
        for name, spoken, arrives_s in came
    ]
