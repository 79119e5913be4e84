"""How is each leg encrypted? Towards stations as a server, towards the CSMS as a client, each with keys of our own.

Part 4 §6.5: a Local Controller is TLS server downstream and TLS client upstream, with its own certificates (LC-012). What
OpenSSL and Python leave open is fixed here as OCPP wants it (A00.FR.308 to A00.FR.318).

A context in use is never changed: OpenSSL does not lock it, and a handshake between two calls would get the new
certificate with the old key. `LiveContext` takes a complete new one instead, for the handshakes to come.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, cast

from local_controller.adapters.certificates import CertificateFacts, CertificateFiles, read_facts, read_file
from local_controller.errors import LocalControllerError
from local_controller.station.certificate_identity import ClientCertificate

MANDATED_SUITES: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
)
"""What A00.FR.318 asks a CSMS to offer; the last two need an RSA certificate and have no forward secrecy."""

SUITES: Final = (
    *MANDATED_SUITES[:2],
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
    *MANDATED_SUITES[2:],
)
"""Suites of TLS 1.2, best first: ECDSA costs a handshake half of what RSA does; those of TLS 1.3 are always there."""


@dataclass(frozen=True, slots=True)
class StationTls:
    """What the stations' door needs.

    certificates: an ECDSA and an RSA one serve all stations (A00.FR.318); one alone serves those that can use it.
    station_authorities: PEM file with who may issue certificates of stations (security profile 3).
    require_certificate: whether a station without one is turned away; otherwise it must show a password (profile 2).
    public_host: the host that stations dial, which a certificate must name (A00.FR.308).
    """

    certificates: tuple[CertificateFiles, ...]
    station_authorities: Path | None = None
    require_certificate: bool = False
    public_host: str | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that a change of makes a new context necessary."""
        return _files(self.certificates, self.station_authorities)

    @property
    def keys(self) -> tuple[Path, ...]:
        """The files that nobody else may read."""
        return tuple(pair.key for pair in self.certificates)

    def load(self) -> Loaded:
        """The context and what its certificates say; reads files, so call it in a thread. Raises LocalControllerError."""
        if not self.certificates:
            raise LocalControllerError("listen.tls.certificates: name at least one certificate with its key")
        if self.require_certificate and self.station_authorities is None:
            raise LocalControllerError(
                "listen.tls.require_certificate: name the issuers of the stations' certificates in station_authorities"
            )
        context = _context(ssl.PROTOCOL_TLS_SERVER)
        # One ticket is enough for a station that comes back; OpenSSL makes two.
        context.num_tickets = 1
        # A station that asks for new handshakes on one connection makes us work for nothing.
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        facts = tuple(_with_certificate(context, files) for files in self.certificates)
        for one in facts:
            self._check_name(one)
        if self.station_authorities is not None:
            _trust(context, self.station_authorities)
            context.verify_mode = ssl.CERT_REQUIRED if self.require_certificate else ssl.CERT_OPTIONAL
        return Loaded(context, facts)

    def _check_name(self, facts: CertificateFacts) -> None:
        if self.public_host is None or facts.covers(self.public_host):
            return
        named = ", ".join(facts.names) or "no host at all"
        raise LocalControllerError(
            f"{facts.file}: stations dial {self.public_host} (listen.public_url), but the certificate names {named}; get "
            f"one with {self.public_host} as subjectAltName, or correct listen.public_url"
        )


@dataclass(frozen=True, slots=True)
class CsmsTls:
    """What a connection to a CSMS, or to a broker, needs; chain and host name are always verified (LC-010).

    authorities: PEM file with who may issue its certificate; None: those that this machine trusts.
    certificate: the gateway's own for a CSMS that asks for one (profile 3 upstream, see docs/security.md).
    """

    authorities: Path | None = None
    certificate: CertificateFiles | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that a change of makes a new context necessary."""
        return _files(() if self.certificate is None else (self.certificate,), self.authorities)

    @property
    def keys(self) -> tuple[Path, ...]:
        """The files that nobody else may read."""
        return () if self.certificate is None else (self.certificate.key,)

    def load(self) -> Loaded:
        """The context and what its certificate says; reads files, so call it in a thread. Raises LocalControllerError."""
        context = _context(ssl.PROTOCOL_TLS_CLIENT)
        if self.authorities is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            _trust(context, self.authorities)
        facts = () if self.certificate is None else (_with_certificate(context, self.certificate),)
        return Loaded(context, facts)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A context that is ready, and what our certificates in it say."""

    context: ssl.SSLContext
    certificates: tuple[CertificateFacts, ...]


class LiveContext(ssl.SSLContext):
    """One context for servers and clients whose content can be replaced; connections keep the one they began with.

    Event loops make the TLS side of a connection by `wrap_bio`, so that is where the newest one steps in. Tickets of an
    older one are not understood by a newer one: whoever is no longer trusted cannot come back by resuming either.
    """

    _newest: ssl.SSLContext

    def __new__(cls, newest: ssl.SSLContext) -> Self:
        """As capable as `newest`."""
        self = super().__new__(cls, newest.protocol)
        self._newest = newest
        return self

    def __init__(self, newest: ssl.SSLContext) -> None:
        """`__new__` did it."""

    def replace(self, newest: ssl.SSLContext) -> None:
        """From now on handshakes use this one; takes no time."""
        self._newest = newest

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """The TLS side of a new connection."""
        return self._newest.wrap_bio(*args, **options)

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """The same for blocking sockets."""
        return self._newest.wrap_socket(*args, **options)


class TlsLeg:
    """The live context of one leg, what it is made from, and what its certificates say."""

    def __init__(self, name: str, settings: StationTls | CsmsTls) -> None:
        """Reads the files at once; LocalControllerError stops the start. name: as in the site file, for people."""
        loaded = settings.load()
        self.name = name
        self.settings = settings
        self.context = LiveContext(loaded.context)
        self.certificates = loaded.certificates

    def take(self, loaded: Loaded) -> None:
        """Uses what was loaded for all handshakes to come."""
        self.context.replace(loaded.context)
        self.certificates = loaded.certificates


def missing_kind(certificates: Iterable[CertificateFacts]) -> str | None:
    """Which kind of certificate the mandated suites still need (A00.FR.318); None: both are there."""
    missing = {"ECDSA", "RSA"} - {one.algorithm for one in certificates}
    return " and ".join(sorted(missing)) or None


def client_certificate(connection: ssl.SSLObject | None) -> ClientCertificate | None:
    """Whose verified certificate a station has shown; None: none. `connection`: the transport's "ssl_object"."""
    found = connection.getpeercert() if connection is not None else None
    if not found:
        return None
    subject = cast("Iterable[Iterable[tuple[str, str]]]", found.get("subject", ()))
    values = {name: value for part in subject for name, value in part}
    return ClientCertificate(values.get("commonName", ""))


class TidySocket(ssl.SSLSocket):
    """A blocking socket that is closed where its handshake fails; paho leaves it to the garbage."""

    def do_handshake(self, block: bool = False) -> None:
        """As ssl does it."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


# --- the parts of a context -------------------------------------------------------------------------------------------


def _context(protocol: int) -> ssl.SSLContext:
    """What both legs share: TLS 1.2 or later (A00.FR.312), no compression (A00.FR.317)."""
    context = ssl.SSLContext(protocol)
    context.sslsocket_class = TidySocket
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(SUITES))
    context.options |= ssl.OP_NO_COMPRESSION
    # An operator may trust just the one authority below a root that issues for the whole world.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _with_certificate(context: ssl.SSLContext, files: CertificateFiles) -> CertificateFacts:
    facts = read_facts(files)
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise LocalControllerError(
            f"{files.certificate}: OpenSSL does not take it ({reason}); make a key with at least 2048 (RSA) or 256 (ECDSA) bits"
        ) from error
    return facts


def _trust(context: ssl.SSLContext, authorities: Path) -> None:
    read_file(authorities)
    try:
        context.load_verify_locations(authorities)
    except (ssl.SSLError, OSError) as error:
        raise LocalControllerError(
            f"{authorities}: no certificates in PEM form ({error}); it must hold -----BEGIN CERTIFICATE----- blocks"
        ) from error


def _files(pairs: Iterable[CertificateFiles], authorities: Path | None) -> tuple[Path, ...]:
    named = [file for pair in pairs for file in (pair.certificate, pair.key)]
    return (*named, *([] if authorities is None else [authorities]))
