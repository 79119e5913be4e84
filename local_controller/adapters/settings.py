"""What does a site file mean for the connections? Its sections as the settings of doors and legs."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

from local_controller.adapters.csms_client import CsmsSettings
from local_controller.adapters.leg import LegSettings
from local_controller.adapters.routing import Routes, Upstream, upstreams
from local_controller.adapters.station_server import Door, DoorLimits, Resident, ServerSettings
from local_controller.config.models import SiteConfig

_MIB: Final = 1024 * 1024
_KIB: Final = 1024


def door_settings(config: SiteConfig, tls: ssl.SSLContext | None = None) -> ServerSettings:
    """Where and how stations come in. tls: the context made from `listen.tls`."""
    listen, limits = config.listen, config.listen.limits
    leg = LegSettings(
        ping_interval_s=listen.ping_interval_s,
        ping_timeout_s=listen.ping_timeout_s,
        compress=listen.compression,
        max_message_bytes=limits.max_message_mb * _MIB,
        max_head_bytes=limits.max_header_kb * _KIB,
    )
    bounds = DoorLimits(
        connections_per_minute_per_address=limits.connections_per_minute_per_address,
        connections_per_minute_per_station=limits.connections_per_minute_per_station,
        handshake_timeout_s=limits.handshake_timeout_s,
        messages_per_second_per_station=limits.messages_per_second_per_station,
        message_burst=limits.message_burst,
        max_connections=limits.max_connections,
    )
    return ServerSettings(_doors(config, tls), leg, bounds, listen.path_prefixes)


def _doors(config: SiteConfig, tls: ssl.SSLContext | None) -> tuple[Door, ...]:
    """A plain one, an encrypted one, or both."""
    listen = config.listen
    if listen.tls is None:
        return (Door(listen.host, listen.port),)
    if listen.tls.port is None:
        return (Door(listen.host, listen.port, tls),)
    return Door(listen.host, listen.port), Door(listen.host, listen.tls.port, tls)


def residents(config: SiteConfig, tls: Mapping[str, ssl.SSLContext] | None = None) -> dict[str, Resident]:
    """The stations of the site by their identity without case (2.x: identifierString). tls: contexts by CSMS label."""
    routes = Routes(upstreams(config))
    unsecured = frozenset(config.unsecured)
    csms: dict[str, CsmsSettings] = {}
    found: dict[str, Resident] = {}
    for station in config.stations:
        upstream = routes.of(station.id)
        assert upstream is not None  # noqa: S101 - the site file was checked
        if upstream.label not in csms:
            csms[upstream.label] = _csms_settings(config, upstream, (tls or {}).get(upstream.label))
        found[station.id.casefold()] = Resident(station.id, csms[upstream.label], station.id in unsecured)
    return found


def _csms_settings(config: SiteConfig, upstream: Upstream, tls: ssl.SSLContext | None) -> CsmsSettings:
    leg = LegSettings(
        ping_interval_s=upstream.ping_interval_s,
        ping_timeout_s=upstream.ping_timeout_s,
        compress=upstream.compression,
        max_message_bytes=config.listen.limits.max_message_mb * _MIB,
    )
    return CsmsSettings(upstream, leg, upstream.dial_timeout_s, tls)
