"""What does a site file mean for the connections? Its sections as the settings of doors and legs."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from local_controller.adapters.admission import Resident
from local_controller.adapters.certificates import CertificateFiles
from local_controller.adapters.csms_client import CsmsSettings
from local_controller.adapters.leg import LegSettings
from local_controller.adapters.own_chain import OwnDoors
from local_controller.adapters.routing import Routes, TlsFiles, Upstream, upstreams
from local_controller.adapters.station_server import Door, DoorLimits, ServerSettings
from local_controller.adapters.tls import CsmsTls, StationTls, TlsLeg
from local_controller.config.legs import ListenTlsSection
from local_controller.config.models import SiteConfig

_MIB: Final = 1024 * 1024
_KIB: Final = 1024


STATIONS: Final = "listen.tls"
"""The name of the leg towards the stations; those towards the CSMSs have theirs."""


def tls_legs(config: SiteConfig) -> dict[str, TlsLeg]:
    """All that is encrypted, by name; reads the files. Raises LocalControllerError."""
    legs: dict[str, TlsLeg] = {}
    if config.listen.tls is not None:
        legs[STATIONS] = TlsLeg(STATIONS, _station_tls(config.listen.tls, config.listen.public_url))
    for upstream in upstreams(config):
        if any(url.startswith("wss:") for url in upstream.urls.values()):
            legs[upstream.label] = TlsLeg(f"csms {upstream.label}", _csms_tls(upstream.tls))
    for broker in config.brokers:
        if broker.tls is not None:
            name = broker_leg(broker.id)
            legs[name] = TlsLeg(name, _csms_tls(TlsFiles(**broker.tls.model_dump())))
    return legs


def broker_leg(broker: str) -> str:
    """The name of the leg towards a broker."""
    return f"broker {broker}"


def _station_tls(section: ListenTlsSection, public_url: str | None) -> StationTls:
    public = urlsplit(public_url or "")
    return StationTls(
        tuple(CertificateFiles(Path(one.certificate), Path(one.key)) for one in section.certificates),
        None if section.station_authorities is None else Path(section.station_authorities),
        section.require_certificate,
        public.hostname if public.scheme == "wss" else None,
    )


def _csms_tls(files: TlsFiles) -> CsmsTls:
    own = None
    if files.certificate is not None and files.key is not None:
        own = CertificateFiles(Path(files.certificate), Path(files.key))
    return CsmsTls(None if files.authorities is None else Path(files.authorities), own)


def door_settings(config: SiteConfig, tls: Mapping[str, TlsLeg]) -> ServerSettings:
    """Where and how stations come in. tls: as of `tls_legs`."""
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
    credentials = None if config.credentials is None else Path(config.credentials.file)
    encrypted = tls.get(STATIONS)
    return ServerSettings(
        _doors(config, None if encrypted is None else encrypted.context), leg, bounds, listen.path_prefixes, credentials
    )


def _doors(config: SiteConfig, tls: ssl.SSLContext | None) -> tuple[Door, ...]:
    """A plain one, an encrypted one, or both."""
    listen = config.listen
    if listen.tls is None:
        return (Door(listen.host, listen.port),)
    if listen.tls.port is None:
        return (Door(listen.host, listen.port, tls),)
    return Door(listen.host, listen.port), Door(listen.host, listen.tls.port, tls)


def guarded_doors(config: SiteConfig, tls: Mapping[str, TlsLeg]) -> OwnDoors | None:
    """What guards must know of our doors; None: only `listen.public_url` says how stations come in."""
    leg, section = tls.get(STATIONS), config.listen.tls
    if leg is None or section is None or not isinstance(leg.settings, StationTls):
        return None
    return OwnDoors(leg, leg.settings, has_plain_door=section.port is not None)


def residents(config: SiteConfig, tls: Mapping[str, TlsLeg]) -> dict[str, Resident]:
    """The stations of the site by their identity without case (2.x: identifierString). tls: as of `tls_legs`."""
    routes = Routes(upstreams(config))
    unsecured = frozenset(config.unsecured)
    csms: dict[str, CsmsSettings] = {}
    found: dict[str, Resident] = {}
    for station in config.stations:
        upstream = routes.of(station.id)
        assert upstream is not None  # noqa: S101 - the site file was checked
        if upstream.label not in csms:
            encrypted = tls.get(upstream.label)
            csms[upstream.label] = _csms_settings(config, upstream, None if encrypted is None else encrypted.context)
        settings = csms[upstream.label]
        found[station.id.casefold()] = Resident(
            station.id, settings, station.id in unsecured, station.serial, upstream.outage is not None
        )
    return found


def _csms_settings(config: SiteConfig, upstream: Upstream, tls: ssl.SSLContext | None) -> CsmsSettings:
    leg = LegSettings(
        ping_interval_s=upstream.ping_interval_s,
        ping_timeout_s=upstream.ping_timeout_s,
        compress=upstream.compression,
        max_message_bytes=config.listen.limits.max_message_mb * _MIB,
    )
    return CsmsSettings(upstream, leg, upstream.dial_timeout_s, tls)
