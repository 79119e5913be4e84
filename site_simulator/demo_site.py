"""What does the demonstration site look like, and what happens on it?

Twelve stations want two to three times what the grid connection gives. The sum of 6 A for all of them and the
building's peak fits at every fuse. The building's load moves by less than 0.15 A/s, so that a controller that needs
eight seconds and keeps 2 A free never exceeds a fuse.
"""

from __future__ import annotations

from dataclasses import dataclass

from site_simulator.csms import ProfileOrder
from site_simulator.outlet import StationSpec
from site_simulator.peer import V16, V21, V201
from site_simulator.readings import Spelling
from site_simulator.site import BaseLoad, Node, Wave
from site_simulator.vehicle import VehicleSpec


@dataclass(frozen=True, slots=True)
class LimitChange:
    """From `at_s` seconds after the scenario's start on the grid operator allows `max_a` amperes per phase."""

    at_s: float
    max_a: float


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """A whole site as data; times count from the moment at which all stations have booted.

    metered: nodes with a Modbus meter. limit_node: to which the limits on `limit_topic` refer.
    """

    nodes: tuple[Node, ...]
    stations: tuple[StationSpec, ...]
    orders: tuple[ProfileOrder, ...] = ()
    metered: tuple[str, ...] = ("grid",)
    limits: tuple[LimitChange, ...] = ()
    limit_node: str = "grid"
    limit_topic: str = "site/limit/set"
    seed: int = 1


def _building(mean_a: float, delay_s: float) -> BaseLoad:
    """Slopes of at most 0.08 + 0.05 A/s, and a jitter of 0.2 A."""
    return BaseLoad(mean_a, (Wave(6.0, 480.0, delay_s), Wave(1.5, 190.0, delay_s)), jitter_a=0.2)


def _lights(mean_a: float) -> BaseLoad:
    return BaseLoad(mean_a, (Wave(0.5, 300.0),), jitter_a=0.1)


def _car(  # noqa: PLR0913  # a car is a row of numbers
    arrives_s: float,
    need_wh: float,
    *,
    phases: int = 3,
    max_a: float = 16.0,
    reaction_s: float = 1.0,
    taper_wh: float = 0.0,
) -> tuple[VehicleSpec, ...]:
    return (
        VehicleSpec(
            phases=phases,
            max_a=max_a,
            need_wh=need_wh,
            taper_wh=taper_wh,
            reaction_s=reaction_s,
            arrives_s=arrives_s,
            card=f"CARD{arrives_s:04.0f}",
        ),
    )


GRID_A, GARAGE_A, YARD_A = 125.0, 63.0, 80.0

_NODES = (
    Node("grid", GRID_A, None, (_building(26.0, 0.0), _building(24.0, 160.0), _building(25.0, 320.0))),
    Node("garage", GARAGE_A, "grid", (_lights(2.0), _lights(2.0), _lights(1.5))),
    Node("yard", YARD_A, "grid", (_lights(1.0), _lights(1.5), _lights(1.0))),
)

_GARAGE = (
    StationSpec("CP-1", V16, 3, 32, "RST", "garage", _car(20, 11_000, max_a=32)),
    StationSpec("CP-2", V201, 3, 32, "STR", "garage", _car(35, 8_000, taper_wh=1_500)),
    StationSpec("CP-3", V16, 3, 32, "TRS", "garage", _car(50, 12_000, max_a=32), takes_station_max=False),
    StationSpec("CP-4", V21, 3, 22, "RST", "garage", _car(65, 2_000, phases=1, max_a=32)),
    StationSpec("CP-5", V16, 1, 32, "S", "garage", _car(80, 5_000, phases=1, max_a=32), Spelling.BARE),
    StationSpec("CP-6", V201, 3, 32, "STR", "garage", _car(95, 9_000, phases=2, reaction_s=2), Spelling.KILO),
)

_YARD = (
    StationSpec("CP-7", V16, 3, 32, "RST", "yard", _car(25, 14_000, max_a=32), Spelling.NEUTRAL, units=("W",)),
    StationSpec("CP-8", V201, 3, 32, "TRS", "yard", _car(110, 10_000, max_a=32), obey_delay_s=8.0),
    StationSpec("CP-9", V21, 3, 32, "STR", "yard", _car(125, 6_000)),
    StationSpec("CP-10", V21, 3, 32, "RST", "yard", _car(140, 12_000, max_a=32, taper_wh=2_000), Spelling.KILO),
    StationSpec("CP-11", V201, 1, 32, "T", "yard", _car(155, 4_000, phases=1, max_a=32), Spelling.NEUTRAL),
    StationSpec("CP-12", V21, 1, 32, "R", "yard", _car(170, 3_000, phases=1, max_a=16)),
)

DEMO_SITE = SiteSpec(
    nodes=_NODES,
    stations=_GARAGE + _YARD,
    orders=(
        ProfileOrder("CP-3", 60, 16.0, "TxDefaultProfile", stack_level=1, profile_id=11),
        ProfileOrder("CP-10", 120, 20.0, "ChargingStationMaxProfile", evse=0, profile_id=12),
        ProfileOrder("CP-6", 300, 10.0, "TxProfile", stack_level=2, profile_id=13),
    ),
    metered=("grid", "garage", "yard"),
    limits=(LimitChange(0, GRID_A), LimitChange(600, 100.0), LimitChange(1080, GRID_A)),
)
