"""What does the site of the main test look like, and what happens on it within six minutes?

Twenty stations of three versions want about three times what the grid connection gives. The building's load jumps
without a ramp, and the grid operator takes a fifth of the connection away for a while.
"""

from __future__ import annotations

from typing import Final

from site_simulator.csms import ProfileOrder
from site_simulator.demo_site import LimitChange, SiteSpec
from site_simulator.outlet import StationSpec
from site_simulator.peer import V16, V21, V201
from site_simulator.readings import Spelling
from site_simulator.site import BaseLoad, Node, Step, Wave
from site_simulator.vehicle import VehicleSpec

GRID_A, REDUCED_A, CIRCUIT_A = 180.0, 140.0, 125.0
BASE_A: Final = {"grid": 45.0, "garage": 4.0, "yard": 4.0}
"""The building at its worst, as the site file says it."""

STEPS: Final = ((130.0, 12.0), (250.0, -12.0))
"""When the building's load jumps, in seconds since time began to flow, and by how many amperes on every phase."""

LIMITS: Final = (LimitChange(0, GRID_A), LimitChange(190, REDUCED_A), LimitChange(290, GRID_A))
DURATION_S: Final = 360.0
SLOWEST_OBEYS_S, SLOWEST_REACTS_S, SLOWEST_RAMP_A_PER_S = 4.0, 2.0, 8.0


def _car(number: int, phases: int = 3, max_a: float = 32.0, reaction_s: float = 1.0) -> tuple[VehicleSpec, ...]:
    return (VehicleSpec(phases, max_a, need_wh=60_000, reaction_s=reaction_s, arrives_s=2.0 * number),)


def _station(number: int, version: str, rotation: str, phases: int = 3, **habits: object) -> StationSpec:
    circuit = "garage" if number % 2 else "yard"
    cars = _car(number, phases=min(phases, len(rotation)), reaction_s=SLOWEST_REACTS_S if number % 5 == 0 else 1.0)
    return StationSpec(f"CP-{number}", version, len(rotation), 32.0, rotation, circuit, cars, **habits)  # type: ignore[arg-type]  # names of its fields


STATIONS: Final = (
    _station(1, V16, "RST"),
    _station(2, V16, "STR"),
    _station(3, V16, "TRS", spelling=Spelling.BARE),
    _station(4, V16, "RST", 2),
    _station(5, V16, "S"),
    _station(6, V16, "RST", units=("W",), spelling=Spelling.NEUTRAL),
    _station(7, V16, "STR", 1, takes_station_max=False),
    _station(8, V201, "RST"),
    _station(9, V201, "STR", obey_delay_s=SLOWEST_OBEYS_S),
    _station(10, V201, "TRS", spelling=Spelling.KILO),
    _station(11, V201, "TRS", 1),
    _station(12, V201, "T"),
    _station(13, V201, "RST", units=("W",)),
    _station(14, V201, "SRT"),
    _station(15, V21, "RST"),
    _station(16, V21, "STR", spelling=Spelling.KILO),
    _station(17, V21, "TRS", 2),
    _station(18, V21, "R"),
    _station(19, V21, "TSR", 1, spelling=Spelling.NEUTRAL),
    _station(20, V21, "RTS"),
)


def _building(mean_a: float, delay_s: float) -> BaseLoad:
    steps = tuple(Step(at_s, change_a) for at_s, change_a in STEPS)
    return BaseLoad(mean_a, (*steps, Wave(2.0, 300.0, delay_s)), jitter_a=0.2)


_LIGHTS = BaseLoad(2.0, jitter_a=0.1)
SITE: Final = SiteSpec(
    nodes=(
        Node("grid", GRID_A, None, (_building(22.0, 0.0), _building(20.0, 100.0), _building(21.0, 200.0))),
        Node("garage", CIRCUIT_A, "grid", (_LIGHTS,) * 3),
        Node("yard", CIRCUIT_A, "grid", (_LIGHTS,) * 3),
    ),
    stations=STATIONS,
    orders=(
        ProfileOrder("CP-1", 60, 10.0, "TxDefaultProfile", stack_level=1, profile_id=11),
        ProfileOrder("CP-8", 80, 12.0, "TxProfile", stack_level=2, profile_id=12),
        ProfileOrder("CP-15", 100, 20.0, "ChargingStationMaxProfile", evse=0, profile_id=13),
    ),
    metered=("grid", "garage", "yard"),
    limits=LIMITS,
)
