"""Does what a site file says about lines and stations fit the grid that it names? Every misfit with its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from local_controller.config.document import Path
from local_controller.config.meters import ModbusMeterSection
from local_controller.config.models import SiteConfig
from local_controller.config.references import Finding
from local_controller.config.refused_meters import ONE_LINE, too_few
from local_controller.config.stations import EvseSection, StationSection
from local_controller.site.per_phase import PHASE_NAMES
from local_controller.site.wiring import USUAL_V, Grid, GridSystem

MOST_V: Final = 277.0
"""No car takes more on one phase: the highest voltage to neutral that charging stations are made for (SAE J3068)."""

_NUMBERS: Final = {
    3: "must be one number for all phases or a list of three, for L1, L2, L3",
    2: "must be one number or a list of two, for L1 and L2: there is no L3 on split_phase",
    1: "must be one number: there is only L1 on single_phase",
}


def grid_of(config: SiteConfig) -> Grid:
    """The grid that the file names."""
    usual_v = USUAL_V[config.site.system]
    return Grid(config.site.system, usual_v if config.site.nominal_voltage_v is None else config.site.nominal_voltage_v)


def lists_of_lines(data: Mapping[str, Any]) -> Iterator[Finding]:
    """Lists of amperes that have not one number for each line; on the raw data, where a list is as it was written."""
    site = data.get("site")
    named = site.get("system", GridSystem.THREE_PHASE_WYE) if isinstance(site, dict) else GridSystem.THREE_PHASE_WYE
    system = next((one for one in GridSystem if one == named), None)
    if system is None:
        return  # a mistake of its own
    lines = len(Grid(system).lines)
    for section in ("grid_connection", "circuits", "limits"):
        for path, numbers in _lists(data.get(section), (section,)):
            if len(numbers) in {2, 3} and len(numbers) != lines:
                yield path, _NUMBERS[lines]


def _lists(value: Any, path: Path) -> Iterator[tuple[Path, list[Any]]]:
    """All lists of numbers under a key that means amperes."""
    if isinstance(value, list) and str(path[-1]).endswith("_a"):
        if all(isinstance(one, int | float) for one in value):
            yield path, value
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _lists(inner, (*path, key))


def misfits(config: SiteConfig) -> Iterator[Finding]:
    """Whatever stands on lines that there are not, or at a voltage that no car takes."""
    grid = grid_of(config)
    yield from _meters_of_too_few_lines(config)
    for index, station in enumerate(config.stations):
        path: Path = ("stations", index)
        if reason := _wrong_phases(station, grid):
            yield (*path, "phases"), reason
        else:
            yield from _wrong_lines(station, path, grid)
    if knows_asymmetry(config):
        return
    for path, asymmetry_a in _asymmetries(config):
        if asymmetry_a is not None:
            yield (
                (*path, "asymmetry_a"),
                "is about three phases whose cars stand between a phase and neutral: remove it",
            )


def knows_asymmetry(config: SiteConfig) -> bool:
    """Whether a limit on how unevenly phases are loaded means anything: all cars stand between phases and neutral."""
    is_wye = grid_of(config).system is GridSystem.THREE_PHASE_WYE
    return is_wye and all(isinstance(one.phases, int) for one in config.stations)


def _meters_of_too_few_lines(config: SiteConfig) -> Iterator[Finding]:
    """Meters that see only some of the lines."""
    lines, own = len(grid_of(config).lines), {one.id: one.points.lines for one in config.devices}
    for index, meter in enumerate(config.meters):
        if isinstance(meter, ModbusMeterSection):
            measured = own.get(meter.device, 1 if meter.device in ONE_LINE else 3)
            if measured < lines:
                yield ("meters", index, "device"), too_few(meter.device, measured, lines)


def _wrong_phases(station: StationSection, grid: Grid) -> str:
    """Why no station of this grid has such phases; empty if they fit."""
    least = 2 if isinstance(station.phases, tuple) else station.phases
    if least > len(grid.lines):
        return f"{grid.system} has {_lines(grid)} and no more: {_remedy(grid)}"
    if station.phases == 1 and not grid.has_neutral:
        return f"{grid.system} has no neutral: name the two lines that it stands between, as in phases: [L1, L2]"
    if isinstance(station.phases, tuple) and grid.between_v > MOST_V:
        found = (
            f"{grid.between_v:.0f} V between two lines is more than the {MOST_V:.0f} V that a car takes on one phase"
        )
        return f"{found}: write phases: 1 or 3, or site.nominal_voltage_v: 120 if this is 120/208 V"
    return ""


def _wrong_lines(station: StationSection, path: Path, grid: Grid) -> Iterator[Finding]:
    key = "phases" if isinstance(station.phases, tuple) else "rotation"
    places = {(*path, key)} if getattr(station, key) is not None else set()
    named: dict[Path, EvseSection] = dict.fromkeys(places, EvseSection())
    named |= {(*path, "evses", n, key): e for n, e in enumerate(station.evses) if getattr(e, key) is not None}
    for place, evse in named.items():
        missing = [PHASE_NAMES[line] for line in station.lines_of(evse) if line not in grid.lines]
        if missing:
            yield place, f"{grid.system} has {_lines(grid)} and no {missing[0]}: {_remedy(grid)}"


def _asymmetries(config: SiteConfig) -> Iterator[tuple[Path, float | None]]:
    yield ("grid_connection",), config.grid_connection.asymmetry_a
    yield from ((("circuits", number), circuit.asymmetry_a) for number, circuit in enumerate(config.circuits))


def _lines(grid: Grid) -> str:
    return " and ".join(PHASE_NAMES[line] for line in grid.lines)


def _remedy(grid: Grid) -> str:
    if grid.system is GridSystem.SPLIT_PHASE:
        return "write phases: [L1, L2] for a station at 240 V, or phases: 1 and rotation: L1 or L2 for one at 120 V"
    return "write phases: 1 and rotation: L1"
