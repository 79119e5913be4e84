"""Which I/O modules does a site file name, and what becomes of their contacts? Limits of the grid operator."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from local_controller.adapters.modbus.connection import ModbusConnections
from local_controller.adapters.modbus.io_module import IoModule, IoModuleSettings
from local_controller.adapters.modbus.lines import line_of
from local_controller.adapters.modbus.module import load_module
from local_controller.clock import Clock, Instant
from local_controller.config.contact_tables import contact_tables
from local_controller.config.limits import ContactLimitSection
from local_controller.config.models import SiteConfig
from local_controller.site.contacts import UNREADABLE_S, ContactTable
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import Bound

REPEAT_S: Final = 1.0
"""So often contacts that stand still are told again: each time makes the site think."""


class ContactListener(Protocol):
    """Who is told what contacts mean."""

    def limit_received(self, source: str, limit: ReceivedLimit) -> None:
        """The limit that they ask for."""

    def limit_source_failed(self, source: str, text: str) -> None:
        """Contacts that could not be read for too long."""


@dataclass(slots=True)
class _Told:
    """What is known of one module. closed: as it was told last, when, and when the module answered last."""

    closed: tuple[bool, ...] | None = None
    told_s: float = -math.inf
    read_s: float = -math.inf


class _ModuleLimits:
    """What one module means for the limits that depend on it."""

    def __init__(self, module: str, tables: Mapping[str, ContactTable], listener: ContactListener) -> None:
        self._module, self._tables, self._listener, self._state = module, tables, listener, _Told()

    def read(self, closed: tuple[bool, ...], read_at: Instant) -> None:
        """What it shows; told at once if it is new, else now and then, for each limit ends by itself."""
        state = self._state
        state.read_s = read_at.monotonic_s
        if closed == state.closed and read_at.monotonic_s - state.told_s < REPEAT_S:
            return
        state.closed, state.told_s = closed, read_at.monotonic_s
        for limit, table in self._tables.items():
            self._listener.limit_received(limit, table.limit(closed, read_at))

    def failed(self, text: str, now: Instant) -> None:
        """It cannot be read. What it showed last ends by itself; people are told once it has."""
        if now.monotonic_s - self._state.read_s < UNREADABLE_S:
            return
        for limit in self._tables:
            self._listener.limit_source_failed(limit, f"I/O module {self._module} {text}")


def add_io_modules(
    config: SiteConfig,
    listener: ContactListener,
    clock: Clock,
    connections: ModbusConnections,
    log: FilteringBoundLogger,
) -> None:
    """All I/O modules of a site that limits depend on, each on its connection."""
    tables = contact_tables(config)
    for section in config.io_modules:
        own = {limit.id: tables[limit.id] for limit in config.contact_limits if limit.io_module == section.id}
        if own:
            told = _ModuleLimits(section.id, own, listener)
            module = load_module(section.device)
            channels = max(table.channels for table in own.values())
            settings = IoModuleSettings(section.id, channels, section.unit_id, section.poll_s)
            connection = connections.to(line_of(section, module.port))
            connection.add(IoModule(settings, module, clock, told.read, told.failed, log))


def contact_sources(config: SiteConfig) -> list[LimitSource]:
    """The limits by contacts in the words of the site: until they are read, and when they cannot be, the lowest counts."""
    tables = contact_tables(config)
    return [_source(section, tables[section.id].lowest) for section in config.contact_limits]


def _source(section: ContactLimitSection, lowest: Bound) -> LimitSource:
    return LimitSource(
        id=section.id,
        label=f"limit {section.id!r}",
        node=section.node,
        applies_to=section.applies_to,
        fallback_a=lowest.limit_a,
        max_age_s=UNREADABLE_S,
        fallback_w=lowest.power_w,
        adds_surplus=section.add_surplus,
        ends_sessions=True,
    )
