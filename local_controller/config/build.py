"""What tree does a site file describe? From the words of the installer to the topology."""

from __future__ import annotations

from datetime import time
from zoneinfo import ZoneInfo

from local_controller.config.country import asymmetry_a
from local_controller.config.electrical import CircuitSection, GridSection
from local_controller.config.limits import (
    AnyLimit,
    PersonLimitSection,
    QuarterHourLimitSection,
    ScheduledLimitSection,
    WindowSection,
)
from local_controller.config.models import ControlSection, SiteConfig
from local_controller.config.stations import EvseSection, StationSection
from local_controller.config.wiring import grid_of
from local_controller.site.limits import Bound, OwnLimit
from local_controller.site.own_limits import QuarterHourLimit, ScheduledLimit
from local_controller.site.per_phase import PerPhase, equal, only, upper
from local_controller.site.person_limit import PersonLimit
from local_controller.site.quarter_hour import QuarterHour
from local_controller.site.timetable import Timetable, Window
from local_controller.site.topology import GRID, Evse, Node, Station, Topology
from local_controller.site.wiring import Grid
from local_controller.station.words import EvseId


def topology(config: SiteConfig) -> Topology:
    """The electrical tree of a site. ValueError if circuits feed each other or lead nowhere (`load` tells where)."""
    grid = grid_of(config)
    connection = config.grid_connection.model_copy(update={"asymmetry_a": asymmetry_a(config)})
    root = _node(connection, GRID, connection.name, None, config.control, grid)
    circuits = (_node(c, c.id, c.name or c.id, c.parent, config.control, grid) for c in config.circuits)
    return Topology((root, *circuits), tuple(_station(station, grid) for station in config.stations), grid)


def margin_a(rating_a: PerPhase, control: ControlSection) -> PerPhase:
    """What is left unused below a fuse: the larger one of margin_a and margin_percent (goal G16)."""
    return upper(equal(control.margin_a), _percent(rating_a, control.margin_percent))


def _percent(value_a: PerPhase, percent: float) -> PerPhase:
    l1, l2, l3 = value_a
    return (l1 * percent / 100, l2 * percent / 100, l3 * percent / 100)


def _node(  # noqa: PLR0913, PLR0917 - a section, its place in the tree, and what holds for all of them
    section: GridSection | CircuitSection,
    node_id: str,
    label: str,
    parent: str | None,
    control: ControlSection,
    grid: Grid,
) -> Node:
    return Node(
        id=node_id,
        label=label,
        parent=parent,
        rating_a=section.fuse_a,
        fuse_type=section.fuse_type,
        contract_a=section.contract_a if isinstance(section, GridSection) else None,
        base_a=only(grid.lines, section.assumed_base_load_a),
        margin_a=margin_a(section.fuse_a, control),
        meter=section.meter,
        asymmetry_a=section.asymmetry_a,
        asymmetry_margin_a=margin_a(equal(section.asymmetry_a or 0.0), control)[0],
        line_v=grid.line_v,
    )


def _fallback_a(section: StationSection, evse: EvseSection) -> float:
    """A station that cannot be told anything takes what it can."""
    if section.capability is not None and section.capability.actuators == ():
        return section.max_a if evse.max_a is None else evse.max_a
    return section.fallback_a if evse.fallback_a is None else evse.fallback_a


def _station(section: StationSection, grid: Grid) -> Station:
    is_between = isinstance(section.phases, tuple)
    evses = tuple(
        Evse(
            id=EvseId(section.id, number),
            node=section.circuit,
            grid_phases=section.lines_of(evse),
            max_a=section.max_a if evse.max_a is None else evse.max_a,
            fallback_a=_fallback_a(section, evse),
            min_a=section.min_a,
            is_between=is_between,
            line_v=grid.between_v / 2 if is_between else grid.line_v,
            shows_phases=grid.has_neutral or is_between,
        )
        for number, evse in enumerate(section.evses, start=1)
    )
    unit = None if section.unit == "auto" else section.unit.value
    phase_v = grid.between_v if is_between else grid.line_v
    return Station(section.id, section.name or section.id, evses, unit, phase_v)


def own_limits(config: SiteConfig) -> tuple[OwnLimit, ...]:
    """The limits of which the site file says everything."""
    return tuple(limit for section in config.limits if (limit := _own_limit(section, config)) is not None)


def _own_limit(section: AnyLimit, config: SiteConfig) -> OwnLimit | None:
    label = f"limit {section.id!r}"
    match section:
        case ScheduledLimitSection():
            table = Timetable([_window(window) for window in section.windows], ZoneInfo(config.site.time_zone))
            return ScheduledLimit(section.id, label, section.node, section.applies_to, table)
        case QuarterHourLimitSection():
            return QuarterHourLimit(
                section.id, label, section.node, QuarterHour(section.mean_w), grid_of(config).line_v
            )
        case PersonLimitSection():
            return PersonLimit(section.id, label, section.node, section.applies_to, frozenset(section.replaces))
        case _:
            return None


def _window(section: WindowSection) -> Window:
    start, end = time.fromisoformat(section.start), time.fromisoformat(section.end)
    return Window(section.day_numbers, start, end, Bound(section.max_a, section.max_w))
