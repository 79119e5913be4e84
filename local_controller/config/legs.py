"""What may a site file say about connections? The leg from the stations to us (`listen`), and from us to each CSMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from local_controller.config.section import Host, Id, OcppUrl, Port, Seconds, Section, Text, needs_its_pair, wrong
from local_controller.station.words import OcppVersion

PingInterval = Annotated[float, Field(ge=0, le=86_400)]


class CsmsTlsSection(Section):
    """How a CSMS with a wss:// address is recognised, and how the gateway shows who it is."""

    authorities: Text | None = None
    """PEM file with the authorities that may sign the CSMS's certificate. The machine's own ones if left out."""
    certificate: Text | None = None
    """PEM file with the gateway's certificate and the chain behind it, for a CSMS that wants one (security profile 3)."""
    key: Text | None = None
    """PEM file with the private key of that certificate, without a passphrase."""

    @model_validator(mode="after")
    def _a_pair(self) -> CsmsTlsSection:
        needs_its_pair(self.certificate, self.key)
        return self


class OutageSection(Section):
    """How stations are served on while their CSMS is away. What it must hear is kept in `state_directory` and delivered afterwards."""

    unknown_id_tokens: Literal["reject", "accept"] = "reject"
    """What a driver is answered of whose card the CSMS has said nothing that still counts: charging goes on or it does not."""
    id_token_days: Annotated[float, Field(ge=0.01, le=3660)] = 30.0
    """So many days after the CSMS has let a driver charge his card still counts (AuthCacheLifeTime); what is in a station's local list
    stays. Of several CSMSs the least counts."""
    unaccepted_stations: Literal["refuse", "serve"] = "refuse"
    """Whether a station may come in meanwhile that the CSMS has never accepted."""
    wait_minimum_s: Annotated[float, Field(ge=0.1, le=3600)] = 5.0
    """Seconds until the CSMS is dialled again; twice as long after each failure (RetryBackOffWaitMinimum of OCPP 2.x)."""
    random_range_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """So many seconds at most are added, drawn anew each time, lest all stations come in one second (RetryBackOffRandomRange)."""
    repeat_times: Annotated[int, Field(ge=0, le=12)] = 4
    """How often the wait is doubled at most (RetryBackOffRepeatTimes); with the defaults the longest is 80 to 90 s."""
    journal_mb: Annotated[int, Field(ge=1, le=100_000)] = 256
    """Size of what is kept for all stations, in units of 1,048,576 bytes; of several CSMSs the largest counts. A busy EVSE says a
    kilobyte a minute. When it is nearly full every second sample from the middle of a transaction is given up."""


class CsmsSection(Section):
    """The charging station management system that the stations belong to; several ones as a list."""

    id: Id | None = None
    """Short name for logs and status; the host of its address if left out."""
    url: OcppUrl | None = Field(default=None, examples=["wss://csms.example.com/ocpp"])
    """Address without the station's identity, which is appended: what stations would dial without the gateway."""
    urls: Annotated[dict[Annotated[OcppVersion, Field(strict=False)], OcppUrl], Field(min_length=1)] | None = None
    """In place of url, for a CSMS with an address for each OCPP version: ocpp1.6, ocpp2.0.1, ocpp2.1."""
    stations: Annotated[tuple[Text, ...], Field(strict=False, min_length=1)] | None = None
    """Which stations belong to it: identities, or patterns such as "HALL-*". The first CSMS in the file that names a
    station has it; the one CSMS without this key has all others."""
    tls: CsmsTlsSection | None = None
    """How it is recognised at a wss:// address; by the machine's own authorities if left out."""
    ping_interval_s: PingInterval = 30.0
    """Seconds between two pings of the gateway; 0 for none. Firewalls forget a silent connection, often after 60 s."""
    ping_timeout_s: Seconds = 20.0
    """A connection whose ping is not answered within this time counts as lost."""
    compression: bool = False
    """Whether to offer permessage-deflate: less data on a paid link for more memory and computing time."""
    dial_timeout_s: Annotated[float, Field(ge=1, le=60)] = 8.0
    """When a CSMS that does not complete the handshake counts as unreachable. Stations wait for it in their own one."""
    outage: OutageSection | None = None
    """How its stations are served on while it is away; `outage: {}` takes all defaults. Left out: they are disconnected at once,
    as if nothing was between them and the CSMS, and do what they do on their own."""

    @model_validator(mode="after")
    def _an_address(self) -> CsmsSection:
        if self.url is None and self.urls is None:
            raise wrong("url", "is missing - for example `url: wss://csms.example.com/ocpp`")
        if self.url is not None and self.urls is not None:
            raise wrong("urls", "url is there as well: keep one of the two")
        if self.tls is not None and not any(url.startswith("wss:") for url in self.addresses.values()):
            raise wrong(
                "tls", "counts for a wss:// address only: write wss:// if the CSMS has one, or delete the section"
            )
        return self

    @property
    def addresses(self) -> Mapping[OcppVersion, str]:
        """The address for each version that this CSMS can be dialled for."""
        if self.urls is not None:
            return self.urls
        return dict.fromkeys(OcppVersion, self.url or "")

    @property
    def label(self) -> str:
        """Its id, or else its host."""
        return self.id or urlsplit(next(iter(self.addresses.values()))).hostname or ""


def _listed(value: Any) -> Any:
    """One section means a list of one."""
    if isinstance(value, Mapping):
        return (value,)
    if not isinstance(value, list) or not value:
        raise PydanticCustomError("csms", "must be a section with `url:` below it, or a list of such sections")
    return tuple(value)


Upstreams = Annotated[
    tuple[CsmsSection, ...],
    BeforeValidator(
        _listed, json_schema_input_type=CsmsSection | Annotated[tuple[CsmsSection, ...], Field(min_length=1)]
    ),
]


class CertificateSection(Section):
    """One certificate of the gateway towards the stations."""

    certificate: Text = Field(examples=["/etc/local-controller/gateway.pem"])
    """PEM file with the certificate and the chain behind it. It bears the name or address that stations dial."""
    key: Text = Field(examples=["/etc/local-controller/gateway.key"])
    """PEM file with its private key, without a passphrase."""


class ListenTlsSection(Section):
    """Encryption towards the stations, TLS 1.2 or newer (security profiles 2 and 3)."""

    port: Port | None = None
    """TCP port of an encrypted door beside the plain one, while stations move from one to the other. If left out,
    `listen.port` is encrypted and there is no plain door."""
    certificates: Annotated[tuple[CertificateSection, ...], Field(min_length=1)]
    """The gateway's certificates. OCPP asks for two, one with an ECDSA key and one with an RSA key: the station chooses."""
    station_authorities: Text | None = None
    """PEM file with the authorities that sign stations' certificates (security profile 3). None is asked for if left out."""
    require_certificate: bool = False
    """true: a station without certificate is refused. false: one without may come with its password (profile 2)."""

    @model_validator(mode="after")
    def _known_authorities(self) -> ListenTlsSection:
        if self.require_certificate and self.station_authorities is None:
            remedy = "name the file of their authorities in station_authorities"
            raise wrong("require_certificate", f"stations' certificates cannot be verified: {remedy}")
        return self


class ListenLimitsSection(Section):
    """What the stations' side bears. Behind the defaults a whole site comes back at once; a stranger is held off."""

    connections_per_minute_per_address: Annotated[float, Field(ge=1, le=1e6)] = 1200.0
    """Connections from one address (IPv6: from one /64 network) per minute, so many at once; others get HTTP 429."""
    connections_per_minute_per_station: Annotated[float, Field(ge=1, le=1e6)] = 60.0
    """Connections with one identity from one address per minute, so many at once; others get HTTP 429."""
    handshake_timeout_s: Annotated[float, Field(ge=1, le=120)] = 20.0
    """Seconds from the TCP connection to the complete request, TLS included; then it is closed."""
    max_header_kb: Annotated[int, Field(ge=4, le=64)] = 16
    """Size of a request, in units of 1,024 bytes; more gets HTTP 431."""
    messages_per_second_per_station: Annotated[float, Field(ge=1, le=1e6)] = 100.0
    """Messages of one station per second, in the long run. What is more is read later; no message is dropped."""
    message_burst: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    """Messages of one station that may come at once."""
    max_message_mb: Annotated[int, Field(ge=1, le=64)] = 8
    """Size of a message on either side, in units of 1,048,576 bytes; a larger one closes its connection (1009)."""
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = 4096
    """Connections at the same time, those in their handshake included; further ones are closed at once."""


def _prefix(path: str) -> str:
    if not path.startswith("/") or set(path) & set("?# ") or "://" in path:
        raise PydanticCustomError(
            "path", "must be a path that begins with /, such as /ocpp, without the station's identity"
        )
    return path.rstrip("/") or "/"


class ListenSection(Section):
    """Where stations dial in, as ws://<host>:<port>/<identity>, or wss:// with `tls`."""

    host: Host = "127.0.0.1"
    """Address of the network interface towards the stations. The default is this machine only."""
    port: Port = 9310
    """TCP port."""
    public_url: OcppUrl | None = Field(default=None, examples=["ws://192.168.1.10:9310"])
    """Address under which the stations reach this gateway, without their identity: what guards write into a station.
    With wss:// either `tls` is here, or something in front of the gateway ends the encryption."""
    path_prefixes: Annotated[tuple[Annotated[str, AfterValidator(_prefix)], ...], Field(min_length=1)] | None = None
    """What may stand before the identity in the path that stations dial, beside nothing. Anything if left out."""
    tls: ListenTlsSection | None = None
    """Encryption. Without this section stations dial ws://."""
    allow_unsecured: bool = False
    """Whether stations may come in that show neither password nor certificate (security profile 0 of OCPP 1.6): anybody
    in their network can then pass for one of them."""
    ping_interval_s: PingInterval = 15.0
    """Seconds between two pings of the gateway; 0 for none."""
    ping_timeout_s: Seconds = 14.0
    """A station that does not answer a ping within this time, nor says anything else, counts as unreachable; 20 s later its
    connection is closed."""
    compression: bool = False
    """Whether to accept permessage-deflate if a station offers it: less data for 230 kB of memory per station."""
    limits: ListenLimitsSection = ListenLimitsSection()
    """What the stations' side bears."""

    @model_validator(mode="after")
    def _doors(self) -> ListenSection:
        if self.tls is not None and self.tls.port == self.port:
            raise wrong(
                "tls.port", f"{self.port} is the plain door: choose another port, or leave it out to encrypt this one"
            )
        is_encrypted_only = self.tls is not None and self.tls.port is None
        if is_encrypted_only and self.public_url is not None and self.public_url.startswith("ws:"):
            raise wrong("public_url", "there is no plain door: write wss://, or give tls a port of its own")
        return self
