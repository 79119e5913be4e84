"""What does a site file mean for the site? Its limits and the pace of its control, as the core takes them."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from local_controller.adapters.contact_inputs import contact_sources
from local_controller.adapters.inputs import limit_source
from local_controller.adapters.lpc_bridge import control_boxes
from local_controller.adapters.outlook_settings import foresight
from local_controller.clock import Instant
from local_controller.config.build import own_limits
from local_controller.config.country import random_delay_s
from local_controller.config.models import SiteConfig
from local_controller.site.control_settings import ControlSettings
from local_controller.site.controller import SiteController
from local_controller.site.enforcement import Pace
from local_controller.site.learning import Learning
from local_controller.site.limit_book import LimitBook
from local_controller.site.limit_source import SourceState
from local_controller.site.limits import AppliesTo, Limit
from local_controller.site.observing import Observation
from local_controller.site.plan import PlanPace
from local_controller.site.topology import Node, Topology


def site_controller(config: SiteConfig, tree: Topology, learning: Learning) -> SiteController:
    """The core that decides limits, with all that limits it."""
    fixed = tuple(limit for node in tree.nodes for limit in _fixed_limits(node))
    told = [*map(limit_source, config.mqtt_limits), *contact_sources(config)]
    sources = {source.id: SourceState(source) for source in told}
    sources |= {box.source.id: box for box in control_boxes(config.control_boxes)}
    settings = ControlSettings(
        pace=Pace(valid_s=config.control.working_limit_valid_s),
        stops_sessions=config.control.last_resort == "stop",
        random_delay_s=random_delay(random_delay_s(config)),
        plan=PlanPace(interval_s=config.control.planning_interval_s, objective=config.control.objective),
    )
    poll_s = {meter.id: meter.poll_s for meter in config.meters}
    book = LimitBook(fixed, sources, own_limits(config))
    return SiteController(tree, book, settings, poll_s, foresight(config, learning))


def _fixed_limits(node: Node) -> list[Limit]:
    limits = [Limit(node.id, node.rating_a, AppliesTo.TOTAL, "fuse")]
    if node.contract_a is not None:
        limits.append(Limit(node.id, node.contract_a, AppliesTo.TOTAL, "grid contract"))
    return limits


def random_delay(most_s: int) -> Callable[[], int] | None:
    """Draws whole seconds, each number as likely as any other."""
    return (lambda: secrets.randbelow(most_s + 1)) if most_s > 0 else None


def observation(config: SiteConfig, site: SiteController, now: Instant) -> Observation | None:
    """What looks on, where the site file says `observe`."""
    return Observation(site.topology, site.book, now) if config.site.mode == "observe" else None
