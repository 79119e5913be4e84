"""Which CSMS is dialled for a station, and at which of its addresses? By identity and versions; paths decide nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from local_controller.config.assignment import Assignment
from local_controller.config.legs import OutageSection
from local_controller.config.models import SiteConfig
from local_controller.station.words import OcppVersion


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files for wss://: who may sign the CSMS's certificate (None: the machine's authorities), and our own pair."""

    authorities: str | None = None
    certificate: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Upstream:
    """One CSMS.

    urls: the address for each version, without the identity. stations: identities and patterns, None for the rest.
    ping_interval_s: 0 for never. outage: how its stations are served on while it is away; None: not at all.
    """

    label: str
    urls: Mapping[OcppVersion, str]
    stations: tuple[str, ...] | None = None
    tls: TlsFiles = TlsFiles()
    ping_interval_s: float = 30.0
    ping_timeout_s: float = 20.0
    compression: bool = False
    dial_timeout_s: float = 8.0
    outage: OutageSection | None = None


def upstreams(config: SiteConfig) -> tuple[Upstream, ...]:
    """The CSMSs of a site file, in its order."""
    return tuple(
        Upstream(
            csms.label,
            csms.addresses,
            csms.stations,
            TlsFiles(**csms.tls.model_dump()) if csms.tls else TlsFiles(),
            csms.ping_interval_s,
            csms.ping_timeout_s,
            csms.compression,
            csms.dial_timeout_s,
            csms.outage,
        )
        for csms in config.csms
    )


class Routes:
    """The CSMS of each station: the first that names it, else the one that names none (LC-001)."""

    def __init__(self, upstreams: Iterable[Upstream]) -> None:
        self._upstreams = tuple(upstreams)
        self._assignment = Assignment(upstream.stations for upstream in self._upstreams)

    def of(self, identity: str) -> Upstream | None:
        """The CSMS of an identity in any case of letters; what is dialled there is the station's own spelling."""
        position = self._assignment.of(identity)
        return None if position is None else self._upstreams[position]


def offers(upstream: Upstream, versions: Sequence[OcppVersion]) -> list[tuple[str, list[OcppVersion]]]:
    """The dials to try one after the other: an address, and the versions to offer there in the station's order (LC-003).

    Neighbours with one address share a dial, so a CSMS with one address sees the station's list as it is. The next dial
    is for when the CSMS completes this one without a version, or refuses it. Versions without address are left out.
    """
    dials: list[tuple[str, list[OcppVersion]]] = []
    for version in versions:
        url = upstream.urls.get(version)
        if url is None:
            continue
        if dials and dials[-1][0] == url:
            dials[-1][1].append(version)
        else:
            dials.append((url, [version]))
    return dials


def is_open_path(path: str, prefixes: Sequence[str] | None) -> bool:
    """Whether stations may dial this raw path: the identity alone, or behind one of the prefixes; None opens all.

    A version in the path is text like any other (LC-005). One more slash before or behind the identity does no harm.
    """
    prefix = path.partition("?")[0].rstrip("/").rpartition("/")[0].rstrip("/")
    return prefixes is None or not prefix or prefix in prefixes
