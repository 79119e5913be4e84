"""Which certificates does a station know its CSMS by, and which of them does it need to know us?

Towards a station we are its CSMS: what signs our certificate has to stay installed (M03, M04, M05). All of this is data
that comes from outside: who holds our certificates says which ones sign them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local_controller.station.dialects.base import Payload
from local_controller.station.empty import EMPTY

CertificateHash = tuple[str, ...]
"""A CertificateHashDataType: algorithm, hash of the issuer's name, hash of its key, serial number; in lower case."""

_HARMLESS: Final = frozenset(
    {
        "v2grootcertificate",
        "morootcertificate",
        "manufacturerrootcertificate",
        "oemrootcertificate",
        "v2gcertificatechain",
    }
)


@dataclass(frozen=True, slots=True)
class OwnChain:
    """What a station must keep to know us.

    signed_by: the hash data, by every algorithm, of all certificates above those that we show; of one that we do not
    have only algorithm and name. is_valid_under: whether what we show can be verified with nothing but this root
    certificate (PEM).
    """

    signed_by: frozenset[CertificateHash]
    is_valid_under: Callable[[str], bool]

    def needs(self, hash_: CertificateHash) -> bool:
        """Whether the certificate with this hash data signs what we show, as far as we can tell (LC-135)."""
        return hash_ in self.signed_by or hash_[:2] in self.signed_by


NO_CERTIFICATE: Final = OwnChain(frozenset(), lambda _root: True)
"""Stations come in without TLS: there is nothing of ours that they verify."""


class InstalledCertificates:
    """What a station has told of its certificates since the last one was installed."""

    def __init__(self) -> None:
        self._csms_roots: set[CertificateHash] | None = None  # None: nobody asked for them
        self._others: frozenset[CertificateHash] = EMPTY

    def learn(self, query: Payload, answer: Payload) -> None:
        """GetInstalledCertificateIds and its answer."""
        asked = query.get("certificateType") or []
        types = asked if isinstance(asked, list) else [asked]
        told = list(_told(types, answer))
        self._others |= {hash_ for type_, hash_ in told if not is_csms_root(type_)}
        if not types or any(map(is_csms_root, types)):
            self._csms_roots = {hash_ for type_, hash_ in told if is_csms_root(type_)}

    def vouch_for(self, chain: OwnChain) -> bool | None:
        """Whether the station has a root of a CSMS that signs what we show; None if it has not told its roots."""
        return None if self._csms_roots is None else any(map(chain.needs, self._csms_roots))

    def are_harmless(self, hash_data: Any) -> bool:
        """Whether a certificate is known, and known to be no root of a CSMS."""
        hash_ = certificate_hash(hash_data)
        return self._csms_roots is not None and hash_ in self._others and hash_ not in self._csms_roots


def is_csms_root(certificate_type: object) -> bool:
    """Whether a station may check its CSMS by certificates of this type; unknown types count against us."""
    return str(certificate_type or "").lower() not in _HARMLESS


def certificate_hash(data: Any) -> CertificateHash:
    """A CertificateHashDataType to compare: case, and 0x or zeros before the serial number, mean nothing."""
    if not isinstance(data, dict):
        return ()
    names = ("hashAlgorithm", "issuerNameHash", "issuerKeyHash", "serialNumber")
    *head, serial = (str(data.get(name) or "").lower() for name in names)
    return (*head, serial.removeprefix("0x").lstrip("0"))


def _told(asked: Sequence[Any], answer: Payload) -> Iterator[tuple[Any, CertificateHash]]:
    """Type and hash of each certificate in an answer; 1.6 tells no type, but asks for one type only."""
    for data in _objects(answer.get("certificateHashData")):
        yield asked[0] if len(asked) == 1 else None, certificate_hash(data)
    for chain in _objects(answer.get("certificateHashDataChain")):
        type_ = chain.get("certificateType")
        yield type_, certificate_hash(chain.get("certificateHashData"))
        yield from ((type_, certificate_hash(child)) for child in _objects(chain.get("childCertificateHashData")))


def _objects(value: Any) -> list[Payload]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
