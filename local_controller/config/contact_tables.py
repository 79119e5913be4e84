"""What do the contacts of a site file mean? From the words of the installer to the tables of the site."""

from __future__ import annotations

from local_controller.config.build import topology
from local_controller.config.contacts import CHANNELS, PatternSection
from local_controller.config.limits import ContactLimitSection
from local_controller.config.models import SiteConfig
from local_controller.site.contacts import Contact, ContactTable
from local_controller.site.limits import Bound
from local_controller.site.section_14a import minimum_power_w


def contact_tables(config: SiteConfig) -> dict[str, ContactTable]:
    """What the contacts of each limit mean, by its id."""
    kinds = {module.id: module.device for module in config.io_modules}
    return {
        section.id: _contact_table(section, CHANNELS[kinds[section.io_module]][0], config)
        for section in config.contact_limits
    }


def _contact_table(section: ContactLimitSection, first_channel: int, config: SiteConfig) -> ContactTable:
    contacts = (Contact(one.id, one.channel - first_channel, one.given_when == "open") for one in section.contacts)
    devices = section.devices or controllable_evses(section.node, config)
    meanings = {frozenset(row.given): _meaning(row, section.rated_w or 0.0, devices) for row in section.patterns}
    return ContactTable(tuple(contacts), meanings)


def _meaning(row: PatternSection, rated_w: float, devices: int) -> Bound:
    if row.section_14a:
        return Bound(power_w=minimum_power_w(devices))
    if row.percent is not None:
        return Bound(power_w=rated_w * row.percent / 100)
    return Bound(row.max_a, row.max_w)


def controllable_evses(node: str, config: SiteConfig) -> int:
    """How many EVSEs behind a node can be told a limit: the controllable devices of §14a EnWG; at least one."""
    dumb = {one.id for one in config.stations if one.capability is not None and one.capability.actuators == ()}
    return max(1, sum(evse.id.station not in dumb for evse in topology(config).evses_below(node)))
