"""What is safe in a site file, but may surprise its owner? Remarks for people; nothing here stops a start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import accumulate
from typing import Final

from local_controller.config.assignment import Assignment, is_pattern
from local_controller.config.contact_tables import contact_tables
from local_controller.config.country import asymmetry_a, random_delay_s
from local_controller.config.limits import (
    ContactLimitSection,
    ControlBoxSection,
    LimitSection,
    MqttLimitSection,
    QuarterHourLimitSection,
    ScheduledLimitSection,
)
from local_controller.config.models import SiteConfig
from local_controller.profiles.units import watts_from_amps
from local_controller.site.limits import AppliesTo, Bound
from local_controller.site.per_phase import PHASE_NAMES, PHASES, ZERO, PerPhase, plus
from local_controller.site.topology import Evse, Node, Topology
from local_controller.station.knowledge import Actuator
from local_controller.station.words import OcppVersion

NOTICED_S: Final = 30.0
"""A station that says nothing for so long is unreachable (goal G12)."""


def notes(config: SiteConfig, topology: Topology) -> tuple[str, ...]:
    """One sentence each: what cannot happen at the same time, what counts for nothing."""
    crowded = (note for node in topology.nodes for note in _crowding(topology, node))
    electrical = (*crowded, *_below_fallback(config, topology), *_unmeasured(config), *_unused(config))
    uneven = (note for node in topology.nodes for note in _uneven(node, topology))
    electrical = (
        *electrical,
        *uneven,
        *_above_the_fuse(config),
        *_idle_fallbacks(config, topology),
        *_uncontrolled(config),
        *_ageless(config),
    )
    return (
        *electrical,
        *_by_country(config),
        *_unsecured(config),
        *_unnoticed(config),
        *_eavesdropped(config),
        *_without_stations(config),
        *_without_versions(config),
        *_serials(config),
        *_forgotten(config),
        *_forgotten_passwords(config),
    )


def _by_country(config: SiteConfig) -> Iterator[str]:
    """What holds although the file does not say it itself."""
    country, limit_a, delay_s = config.site.country, asymmetry_a(config), random_delay_s(config)
    if limit_a != config.grid_connection.asymmetry_a:
        yield f"site.country {country}: asymmetry_a of the grid connection is {limit_a:g} A, as the file says nothing of it"
    if delay_s != config.control.random_delay_s:
        yield (
            f"site.country {country}: starts and increases wait up to {delay_s} s at random, as the file says nothing of"
            " control.random_delay_s; set it to 0 for public points"
        )


def _unnoticed(config: SiteConfig) -> Iterator[str]:
    """How late it is seen that nothing comes from a station any more whose connection stands (goal G12)."""
    interval_s, timeout_s = config.listen.ping_interval_s, config.listen.ping_timeout_s
    if interval_s == 0:
        yield "a station that falls silent while its connection stands is not noticed: listen.ping_interval_s is 0"
    elif (seconds := max(interval_s, timeout_s) + timeout_s) > NOTICED_S:
        yield (
            f"a station that falls silent while its connection stands is noticed up to {seconds:g} s later: keep"
            f" listen.ping_interval_s and ping_timeout_s below {NOTICED_S:g} s together"
        )


def _crowding(topology: Topology, node: Node) -> Iterator[str]:
    """How many cars can have their minimum at once on the phase with the least room, if not all."""
    by_phase = ((phase, topology.on_phase(node.id, phase)) for phase in PHASES)
    crowds = [(_fitting(evses, _room_a(node, phase)), evses, phase) for phase, evses in by_phase]
    short = [crowd for crowd in crowds if crowd[0] < len(crowd[1])]
    if short:
        fitting, evses, phase = min(short, key=lambda crowd: crowd[0] / len(crowd[1]))
        yield (
            f"{node.label} {PHASE_NAMES[phase]}: only {fitting} of {len(evses)} EVSEs can charge at once under the"
            f" assumed base load ({_room_a(node, phase):g} A left below the margin); the others wait their turn"
        )


def _above_the_fuse(config: SiteConfig) -> Iterator[str]:
    """A contract that allows more than the fuse bears on all phases counts for nothing, and is perhaps a slip of the pen."""
    grid, contract_a = config.grid_connection, config.grid_connection.contract_a
    if contract_a is not None and all(contract_a[phase] > grid.fuse_a[phase] for phase in PHASES):
        yield (
            f"{grid.name}: contract_a of {min(contract_a):g} A is above fuse_a of {max(grid.fuse_a):g} A and counts for"
            " nothing: is one of them mistyped?"
        )


def _idle_fallbacks(config: SiteConfig, topology: Topology) -> Iterator[str]:
    """A fallback of which the fuse bears less: silence lifts that limit (goal G6)."""
    for limit in config.mqtt_limits:
        node, fallback_a = topology.node(limit.node), limit.fallback_a
        if fallback_a is None or limit.fallback_w is not None:
            continue
        if all(fallback_a[phase] > node.rating_a[phase] for phase in PHASES):
            yield (
                f"limit {limit.id}: fallback_a of {min(fallback_a):g} A is above the {max(node.rating_a):g} A that {node.label}"
                " bears: while its source is silent it limits nothing; is it mistyped?"
            )


def _uneven(node: Node, topology: Topology) -> Iterator[str]:
    """What an asymmetry limit does not promise (goal G13)."""
    if node.asymmetry_a is None:
        return
    limit = f"{node.label}: asymmetry_a of {node.asymmetry_a:g} A"
    room_a, evses = node.asymmetry_a - node.asymmetry_margin_a, topology.evses_below(node.id)
    if evses and room_a < (least_a := min(evse.min_a for evse in evses)):
        yield f"{limit} leaves {room_a:g} A below the margin, and a car needs {least_a:g} A: nobody can charge"
    if node.meter is None:
        yield f"{limit} counts charging alone, because no meter shows how uneven other loads are"
    if not topology.reserves_fallbacks(node):
        yield (
            f"{limit} holds while the gateway runs, and a car that comes may exceed it until others were lowered: the"
            f" fallbacks of all EVSEs together are {max(topology.fallback_a(node.id)):g} A on one phase. With a fallback_a"
            " of 0 A it always holds"
        )


def _room_a(node: Node, phase: int) -> float:
    return round(max(0.0, node.limit_a[phase] - node.margin_a[phase] - node.base_a[phase]), 3)


def _fitting(evses: Sequence[Evse], room_a: float) -> int:
    """How many EVSEs have room for their minimum rates at the same time."""
    return sum(needed_a <= room_a for needed_a in accumulate(sorted(evse.min_a for evse in evses)))


def _below_fallback(config: SiteConfig, topology: Topology) -> Iterator[str]:
    """Stations that nobody controls take their fallback even where a limit asks for less."""
    for limit, key, least in _least(config):
        node, taken_a = topology.node(limit.node), _taken_a(topology, limit)
        alike: dict[tuple[float, float], list[str]] = {}
        for phase in PHASES:
            if least.limit_a is not None and least.limit_a[phase] < taken_a[phase]:
                alike.setdefault((least.limit_a[phase], taken_a[phase]), []).append(PHASE_NAMES[phase])
        for (least_a, most_a), phases in alike.items():
            yield (
                f"limit {limit.id} {', '.join(phases)}: its {key}_a of {least_a:g} A holds while the gateway runs;"
                f" without it {node.label} takes up to {most_a:g} A"
            )
        taken_w = watts_from_amps(sum(taken_a), 1, topology.grid.line_v)
        if least.power_w is not None and least.power_w < taken_w:
            yield (
                f"limit {limit.id}: its {key}_w of {least.power_w:g} W holds while the gateway runs; without it"
                f" {node.label} takes up to {taken_w:.0f} W; and as much as an EVSE without a car would take is kept free of it:"
                " with `fallback_a: 0` the others may have that"
            )


def _taken_a(topology: Topology, limit: LimitSection) -> PerPhase:
    """What flows of what is limited when nobody controls it."""
    node = topology.node(limit.node)
    return plus(topology.fallback_a(node.id), node.base_a if limit.applies_to is AppliesTo.TOTAL else ZERO)


def _least(config: SiteConfig) -> Iterator[tuple[LimitSection, str, Bound]]:
    """The least that this file says itself about each limit from outside, and how the keys begin that say it."""
    for limit in config.limits:
        match limit:
            case MqttLimitSection():
                yield limit, "fallback", Bound(limit.fallback_a, limit.fallback_w)
            case ScheduledLimitSection():
                yield limit, "max", reduce(Bound.and_, (Bound(one.max_a, one.max_w) for one in limit.windows))
            case QuarterHourLimitSection():
                yield limit, "mean", Bound(power_w=limit.mean_w)
            case ControlBoxSection():
                yield limit, "failsafe", Bound(power_w=limit.failsafe_w)
            case ContactLimitSection():
                yield limit, "max", contact_tables(config)[limit.id].lowest


def _unmeasured(config: SiteConfig) -> Iterator[str]:
    if config.grid_connection.meter is None:
        yield "the grid connection has no meter: the assumed base load counts all the time"


def _unused(config: SiteConfig) -> Iterator[str]:
    metered = {section.meter for section in (config.grid_connection, *config.circuits)}
    yield from (f"meter {meter.id} measures no circuit" for meter in config.meters if meter.id not in metered)
    wired = {limit.io_module for limit in config.contact_limits}
    yield from (
        f"I/O module {one.id} has no contact that limits anything" for one in config.io_modules if one.id not in wired
    )
    used = {limit.broker for limit in config.mqtt_limits} | {box.broker for box in config.mqtt_control_boxes}
    used |= {meter.broker for meter in config.mqtt_meters} | ({config.publish.broker} if config.publish else set())
    used |= {section.broker for section in config.told_ahead.values()}
    idle = (broker.id for broker in config.brokers if broker.id not in used)
    yield from (f"broker {broker} sends no limit, no meter, no price and no forecast" for broker in idle)


def _ageless(config: SiteConfig) -> Iterator[str]:
    """Messages that count as new however old they are."""
    for limit in config.mqtt_limits:
        if limit.payload is not None and limit.payload.time_path is None:
            yield (
                f"limit {limit.id}: its payload names no time stamp (payload.time_path), so each message counts as new"
                " when it arrives, even one that something repeats"
            )


def _forgotten(config: SiteConfig) -> Iterator[str]:
    """What ends with the gateway. Whoever is dimmed under §14a EnWG keeps a record of it (goal G8)."""
    if config.state_directory is not None:
        return
    if config.recorded_limits:
        names = ", ".join(config.recorded_limits)
        yield f"nothing is recorded of when limit {names} holds: name a folder in state_directory"
    else:
        yield (
            "a restart forgets the CSMS's charging profiles, what was learnt of stations and visits, and limits that people set: "
            "name a folder in state_directory"
        )


def _forgotten_passwords(config: SiteConfig) -> Iterator[str]:
    """Who stays out after a restart although `outage` says that stations are served on (LC-007)."""
    if config.credentials is not None or (config.listen.tls is not None and config.listen.tls.require_certificate):
        return
    served = (
        one
        for csms, stations in zip(config.csms, config.stations_by_csms, strict=True)
        for one in stations
        if csms.outage is not None
    )
    if any(one not in config.unsecured for one in served):
        yield (
            "csms.outage: after a restart of the gateway stations with a password are let in only once their CSMS is there,"
            " because nobody else knows their passwords: name a file for hashes of them in credentials.file"
        )


def _uncontrolled(config: SiteConfig) -> Iterator[str]:
    """Stations that do not fall back by themselves."""
    for station in config.stations:
        actuators = None if station.capability is None else station.capability.actuators
        if actuators == ():
            yield f"{station.id} cannot be told a limit (actuators: []): it counts with its max_a at all times"
        elif actuators is not None and Actuator.VENDOR_KEY in actuators:
            yield (
                f"{station.id} may be limited by a setting of its maker, which holds for ever: without the gateway it stays"
                " at its last limit, not at its fallback_a"
            )


def _unsecured(config: SiteConfig) -> Iterator[str]:
    """LC-008: whoever allows it is told what it means."""
    if config.unsecured:
        names = "all stations" if len(config.unsecured) == len(config.stations) else ", ".join(config.unsecured)
        yield f"without password and certificate anybody in their network can pass for {names} (allow_unsecured)"


def _eavesdropped(config: SiteConfig) -> Iterator[str]:
    for broker in config.brokers:
        if broker.tells_its_password:
            yield f"broker {broker.id}: its password goes through the network in clear: give it a section `tls` (`tls: {{}}`)"


def _without_stations(config: SiteConfig) -> Iterator[str]:
    """Patterns without a match, and CSMSs whose stations are all named before."""
    for csms, stations in zip(config.csms, config.stations_by_csms, strict=True):
        for name in filter(is_pattern, csms.stations or ()):
            alone = Assignment([[name]])
            if all(alone.of(station.id) is None for station in config.stations):
                yield f"CSMS {csms.label}: {name} fits no station of this file"
        if not stations:
            yield f"CSMS {csms.label} has no station: others have them all"


def _without_versions(config: SiteConfig) -> Iterator[str]:
    for csms in config.csms:
        missing = [version.value for version in OcppVersion if version not in csms.addresses]
        if missing:
            yield f"CSMS {csms.label} has no address for {', '.join(missing)}: stations that speak nothing else have no version in common with it"


def _serials(config: SiteConfig) -> Iterator[str]:
    """Serial numbers that no certificate is compared with."""
    tls = config.listen.tls
    with_serial = [station.id for station in config.stations if station.serial is not None]
    if with_serial and (tls is None or tls.station_authorities is None):
        yield f"serial of {', '.join(with_serial)} counts for nothing: listen.tls has no station_authorities"
