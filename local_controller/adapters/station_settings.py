"""What does a site file mean for a station? Its sections as the settings of the station's proxy."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from local_controller.config.models import SiteConfig
from local_controller.profiles.units import RateUnit
from local_controller.site.topology import Topology
from local_controller.station.blocks.composite_answers import Shown
from local_controller.station.blocks.own_questions import site_pace
from local_controller.station.build import StationSettings
from local_controller.station.guard_policy import Doors, GuardPolicy, Policy
from local_controller.station.knowledge import Knowledge
from local_controller.station.turns import turns_after_boot
from local_controller.station.wiring import Wiring


def station_settings(
    config: SiteConfig, tree: Topology, doors: Callable[[], Doors] | None
) -> dict[str, StationSettings]:
    """What the site file says about each station; made once, since all of them come back in the same second."""
    guards, zone, is_traced = guard_policy(config), ZoneInfo(config.site.time_zone), config.trace is not None
    pace = site_pace(len(tree.stations))
    known = {one.id: one.capability.knowledge() for one in config.stations if one.capability is not None}
    return {
        station.id: StationSettings(
            evses=[evse.id.evse for evse in station.evses],
            fallback_a=min(evse.fallback_a for evse in station.evses),
            unit=None if station.unit is None else RateUnit(station.unit),
            knowledge=known.get(station.id, Knowledge()),
            time_zone=zone,
            guards=guards,
            doors=doors,
            questions=pace,
            is_asked_what_it_holds=True,
            is_traced=is_traced,
            turns=turns_after_boot(len(tree.stations)),
            maxima_a={evse.id.evse: evse.max_a for evse in station.evses},
            composite=Shown(config.control.composite_schedules),
            notifies_limits=config.control.notify_charging_limits,
            wiring=Wiring(
                station.phase_v,
                any(evse.is_between for evse in station.evses),
                tree.grid.has_neutral,
                min(len(evse.station_phases) for evse in station.evses),
                max(len(evse.station_phases) for evse in station.evses),
            ),
        )
        for station in tree.stations
    }


def guard_policy(config: SiteConfig) -> GuardPolicy:
    """What the site file says; who merely looks on refuses where it would write something of its own."""
    guards, is_observing = config.guards, config.site.mode == "observe"
    return GuardPolicy(
        network=Policy.REFUSE if is_observing and guards.network == "rewrite" else Policy(guards.network),
        security_profile=Policy(guards.security_profile),
        credentials=Policy(guards.credentials),
        identity=Policy(guards.identity),
        root_certificates=Policy(guards.root_certificates),
        sample_interval_s=None if is_observing else guards.sample_interval_s,
        thins_samples=guards.thin_samples,
        public_url=config.listen.public_url,
    )
