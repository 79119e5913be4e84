"""What do our own certificate files say, and what is wrong with them?

Everything that OpenSSL would only call "key values mismatch" is found here first, with the file and the remedy. The dates
alone refuse nothing: a box whose clock has lost the date would otherwise shut its stations out of load control.
"""

from __future__ import annotations

import ipaddress
import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtensionOID, NameOID

from local_controller.errors import LocalControllerError

WARN_DAYS: Final = (30, 14, 7, 1)
"""A certificate that ends in so many days is worth a word: a month to order one, a fortnight to chase it, then alarm."""

_ALARM_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """One key pair of ours, as PEM. certificate: ours first, then each issuer but the root; key: unencrypted."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What one of our certificates says.

    names: the host names and addresses that peers may dial us by (subjectAltName). algorithm: ECDSA or RSA.
    """

    file: Path
    common_name: str
    names: tuple[str, ...]
    algorithm: str
    not_before: datetime
    not_after: datetime

    def covers(self, host: str) -> bool:
        """Whether a peer that dials `host` accepts this certificate (A00.FR.308, RFC 6125 §6.4)."""
        return any(_matches(name, host) for name in self.names)


@dataclass(frozen=True, slots=True)
class Expiry:
    """A certificate whose dates need attention.

    days: full days until its end, negative after it. step: which of `WARN_DAYS` was reached, 0 once it has ended,
    None while it is not valid yet; it changes when the same certificate is worth another word.
    """

    level: str  # "warning" | "error"
    file: Path
    days: int
    step: int | None
    text: str


def expiry(facts: CertificateFacts, now_utc: datetime) -> Expiry | None:
    """What there is to say about the dates of a certificate; None while all is well."""
    left = facts.not_after - now_utc
    days = left // timedelta(days=1)
    if now_utc < facts.not_before:
        text = (
            f"{facts.file}: valid only from {facts.not_before:%Y-%m-%d %H:%M} UTC on; check the clock of this machine"
        )
        return Expiry("error", facts.file, days, None, text)
    if left <= timedelta(0):
        text = f"{facts.file}: ended on {facts.not_after:%Y-%m-%d %H:%M} UTC; peers refuse it: replace the file now"
        return Expiry("error", facts.file, days, 0, text)
    step = min((step for step in WARN_DAYS if left <= timedelta(days=step)), default=None)
    if step is None:
        return None
    text = f"{facts.file}: ends on {facts.not_after:%Y-%m-%d %H:%M} UTC, in {days} days; renew it and replace the file"
    return Expiry("error" if step <= _ALARM_DAYS else "warning", facts.file, days, step, text)


def read_facts(files: CertificateFiles) -> CertificateFacts:
    """What the certificate says. Raises LocalControllerError if certificate, chain and key do not belong together."""
    chain = read_certificates(files.certificate)
    _check_key(files, chain)
    _check_order(files.certificate, chain)
    own = chain[0]
    return CertificateFacts(
        files.certificate,
        _common_name(own),
        _names(own),
        "ECDSA" if isinstance(own.public_key(), ec.EllipticCurvePublicKey) else "RSA",
        own.not_valid_before_utc,
        own.not_valid_after_utc,
    )


def read_certificates(file: Path) -> list[x509.Certificate]:
    """All certificates of a PEM file, at least one. Raises LocalControllerError."""
    try:
        return x509.load_pem_x509_certificates(read_file(file))
    except ValueError as error:
        raise LocalControllerError(
            f"{file}: no certificates in PEM form ({error}); it must hold -----BEGIN CERTIFICATE----- blocks"
        ) from error


def read_file(file: Path) -> bytes:
    """The bytes of a file that the site file names. Raises LocalControllerError with the remedy."""
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise LocalControllerError(f"{file}: no such file; create it or correct the path in the site file") from error
    except PermissionError as error:
        raise LocalControllerError(
            f"{file}: must not be read by this process; give it to the user that runs the gateway, mode 0600"
        ) from error
    except OSError as error:
        raise LocalControllerError(f"{file}: {error.strerror or error}; correct the path in the site file") from error


# --- certificate, key and chain ---------------------------------------------------------------------------------------


def _check_key(files: CertificateFiles, chain: list[x509.Certificate]) -> None:
    key = _private_key(files.key).public_key()
    if key == chain[0].public_key():
        return
    for number, certificate in enumerate(chain[1:], 2):
        if key == certificate.public_key():
            raise LocalControllerError(
                f"{files.certificate}: wrong order: the gateway's own certificate is number {number} of {len(chain)}; put "
                "it first, then its issuer, then the issuer of that"
            )
    raise LocalControllerError(
        f"{files.key}: this key does not belong to the certificate {_common_name(chain[0])!r} in {files.certificate}; "
        "name the key that its signing request was made with"
    )


def _private_key(file: Path) -> PrivateKeyTypes:
    try:
        key = load_pem_private_key(read_file(file), None, unsafe_skip_rsa_key_validation=True)
    except TypeError as error:
        raise LocalControllerError(
            f"{file}: the key is encrypted and nobody is there to type a password; decrypt it "
            f"(openssl pkey -in {file.name} -out plain.pem) and keep it at mode 0600"
        ) from error
    except ValueError as error:
        raise LocalControllerError(
            f"{file}: no private key in PEM form; it must hold a -----BEGIN PRIVATE KEY----- block"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise LocalControllerError(
            f"{file}: stations understand ECDSA and RSA keys only (A00.FR.318); make one of these"
        )
    return key


def _check_order(file: Path, chain: list[x509.Certificate]) -> None:
    """Each certificate must be issued by the next one: some stations put no chain in order."""
    for number, (certificate, issuer) in enumerate(itertools.pairwise(chain), 2):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise LocalControllerError(
                f"{file}: wrong order: certificate number {number}, {_common_name(issuer)!r}, did not issue the one before "
                f"it, {_common_name(certificate)!r}; put the gateway's own first, then its issuer, then the issuer of that"
            ) from error


# --- names ------------------------------------------------------------------------------------------------------------


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        return ()
    if not isinstance(found, x509.SubjectAlternativeName):
        return ()
    addresses = found.get_values_for_type(x509.IPAddress)
    return (*found.get_values_for_type(x509.DNSName), *map(str, addresses))


def _matches(name: str, host: str) -> bool:
    """Whether a name of a certificate means this host. A star stands for the whole first label, and for that only."""
    try:
        return ipaddress.ip_address(host) == ipaddress.ip_address(name)
    except ValueError:
        pass
    name, host = name.rstrip(".").lower(), host.rstrip(".").lower()
    if not name.startswith("*."):
        return name == host
    return name[2:] == host.partition(".")[2] and name.count(".") > 1
