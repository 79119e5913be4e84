"""Where do the tests' certificates come from? From authorities that are made here, in a few milliseconds each."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from local_controller.adapters.certificates import CertificateFiles

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
YEAR = timedelta(days=365)


SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
"""Without this a strict client, such as Python's from 3.13 on, takes no authority."""


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """RSA keys take long to find; the tests share a few."""
    return rsa.generate_private_key(65537, bits)


def subject(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example CPO"),
        ]
    )


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, and who issued it."""

    certificate: x509.Certificate
    key: Any
    issuers: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def chain(self) -> bytes:
        """Itself and its issuers, without the root."""
        return self.pem + b"".join(one.public_bytes(Encoding.PEM) for one in self.issuers[:-1])

    def key_pem(self, password: bytes | None = None) -> bytes:
        encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
        return bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))

    def save(self, folder: Path, name: str, chain: bytes | None = None) -> CertificateFiles:
        """As two files."""
        folder.mkdir(exist_ok=True)
        files = CertificateFiles(folder / f"{name}.pem", folder / f"{name}.key")
        files.certificate.write_bytes(self.chain if chain is None else chain)
        files.key.write_bytes(self.key_pem())
        files.key.chmod(0o600)
        return files

    def issue(
        self,
        common_name: str,
        names: Sequence[str] = (),
        *,
        key: Any = None,
        not_before: datetime = TODAY - YEAR,
        not_after: datetime = TODAY + YEAR,
        is_authority: bool = False,
    ) -> Issued:
        """A certificate by this authority."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate.subject
        builder = _builder(subject(common_name), issuer, key, not_before, not_after, is_authority).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_name(name) for name in names]), critical=False
            )
        return Issued(builder.sign(self.key, hashes.SHA256()), key, (self.certificate, *self.issuers))


def authority(common_name: str = "Test root") -> Issued:
    """A root of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = subject(common_name)
    builder = _builder(name, name, key, TODAY - 2 * YEAR, TODAY + 2 * YEAR, is_authority=True)
    return Issued(builder.sign(key, hashes.SHA256()), key)


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    own: x509.Name, issuer: x509.Name, key: Any, not_before: datetime, not_after: datetime, is_authority: bool
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.add_extension(SIGNS_CERTIFICATES, critical=True) if is_authority else builder
