"""Which certificates must a station keep, and which new root may it get, so that it still knows the gateway?

What guards need of our certificates (M03 to M05), read from the certificates themselves.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hashes import HashAlgorithm
from cryptography.x509 import ocsp

from local_controller.adapters.certificates import read_certificates
from local_controller.adapters.tls import StationTls, TlsLeg
from local_controller.errors import LocalControllerError
from local_controller.station.certificates import CertificateHash, OwnChain, certificate_hash
from local_controller.station.guard_policy import Door, Doors

Chain = Sequence[x509.Certificate]
"""A certificate of ours, its issuer, the issuer of that ... with or without the root."""

_ALGORITHMS: Final[dict[str, HashAlgorithm]] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}
"""HashAlgorithmEnumType: a station chooses."""


class OwnDoors:
    """The doors of this gateway as its guards must know them at any moment, also after certificates were replaced."""

    def __init__(self, leg: TlsLeg, settings: StationTls, *, has_plain_door: bool) -> None:
        """leg: that towards the stations, which holds the newest certificates."""
        ways = {Door.PLAIN} if has_plain_door else set()
        if not settings.require_certificate:
            ways.add(Door.TLS)
        if settings.station_authorities is not None:
            ways.add(Door.CLIENT_CERTIFICATE)
        self._leg = leg
        self._ways = frozenset(ways)
        self._read_of: object = None
        self._chain: OwnChain | None = None

    def __call__(self) -> Doors:
        """Reads the files only when other certificates came into use; while they cannot be read, nothing is known."""
        if self._read_of is not self._leg.certificates:
            try:
                self._chain = own_chain([read_certificates(facts.file) for facts in self._leg.certificates])
            except LocalControllerError:
                self._chain = None
            self._read_of = self._leg.certificates
        return Doors(self._ways, self._chain)


def own_chain(chains: Sequence[Chain]) -> OwnChain:
    """What stations verify us by, if they may meet any of these chains (ECDSA and RSA, A00.FR.318)."""
    signed_by = frozenset(found for chain in chains for found in _signers(chain))

    def is_valid_under(root: str) -> bool:
        try:
            certificate = x509.load_pem_x509_certificate(root.encode())
        except ValueError:
            return False
        return all(_is_valid_under(chain, certificate) for chain in chains)

    return OwnChain(signed_by, is_valid_under)


def _signers(chain: Chain) -> Iterator[CertificateHash]:
    """The hash data of all that sign ours. Of a root that is not in the chain only its name is known."""
    top = chain[-1]
    above = chain[1:] or ([top] if top.issuer == top.subject else [])
    for name, algorithm in _ALGORITHMS.items():
        for certificate, issuer in itertools.pairwise([*above, *([top] if top.issuer == top.subject else [])]):
            yield _hash_data(name, algorithm, certificate, issuer)
        if top.issuer != top.subject:
            yield (name.lower(), hashlib.new(name, top.issuer.public_bytes()).hexdigest())


def _hash_data(
    name: str, algorithm: HashAlgorithm, certificate: x509.Certificate, issuer: x509.Certificate
) -> CertificateHash:
    """CertificateHashDataType, which is made as in OCSP (RFC 6960)."""
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, algorithm).build()
    return certificate_hash(
        {
            "hashAlgorithm": name,
            "issuerNameHash": request.issuer_name_hash.hex(),
            "issuerKeyHash": request.issuer_key_hash.hex(),
            "serialNumber": f"{request.serial_number:x}",
        }
    )


def _is_valid_under(chain: Chain, root: x509.Certificate) -> bool:
    """Whether some certificate of the chain is issued by this root, or is this root."""
    return any(certificate == root or _is_issued_by(certificate, root) for certificate in chain)


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
