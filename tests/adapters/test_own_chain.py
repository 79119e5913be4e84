"""Do guards know which certificates sign ours? With real certificates, and a station's own arithmetic."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from local_controller.adapters.own_chain import own_chain
from local_controller.station.effects import Peer
from local_controller.station.guard_policy import Door, Doors
from local_controller.station.words import OcppVersion
from tests.station.conftest import Bench, StationSettings

ALL = pytest.mark.parametrize("version", list(OcppVersion))
START = datetime(2026, 1, 1, tzinfo=UTC)


class Authority:
    """Whoever issues certificates: itself signed by another one, or by nobody."""

    def __init__(self, name: str, issuer: Authority | None = None, *, is_ca: bool = True) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = issuer or self
        self.certificate = (
            x509.CertificateBuilder(signer.name, self.name, self.key.public_key(), 0x0A0B, START, START + timedelta(days=900))
            .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
            .sign(signer.key, hashes.SHA256())
        )  # fmt: skip

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def hash_data(self, algorithm: str, issuer: Authority | None = None) -> dict[str, str]:
        """As a station computes it: the key without its algorithm, tag and length (2.1 Part 2, CertificateHashDataType)."""
        signer = issuer or self
        point = signer.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {
            "hashAlgorithm": algorithm,
            "issuerNameHash": hashlib.new(algorithm, signer.name.public_bytes()).hexdigest().upper(),
            "issuerKeyHash": hashlib.new(algorithm, point).hexdigest(),
            "serialNumber": "0A0B",
        }


ROOT = Authority("Root of the site")
BETWEEN = Authority("Between", ROOT)
LEAF = Authority("gateway", BETWEEN, is_ca=False)
TWIN = Authority("Root of the site")
STRANGER = Authority("Somebody else")
FULL, WITHOUT_ROOT = [LEAF, BETWEEN, ROOT], [LEAF, BETWEEN]


def bench(version: OcppVersion, *chains: Sequence[Authority]) -> Bench:
    chain = own_chain([[one.certificate for one in chain] for chain in chains])
    b = Bench(version, StationSettings(doors=lambda: Doors(frozenset({Door.TLS}), chain)))
    b.station |= {"DeleteCertificate": {"status": "Accepted"}, "InstallCertificate": {"status": "Accepted"}}
    return b


def delete(b: Bench, hash_data: dict[str, str]) -> Any:
    answer = b.from_csms("DeleteCertificate", {"certificateHashData": hash_data})
    return answer["status"] if isinstance(answer, dict) else answer


def install(b: Bench, certificate: str) -> Any:
    type_ = "CentralSystemRootCertificate" if b.version is OcppVersion.V16 else "CSMSRootCertificate"
    answer = b.from_csms("InstallCertificate", {"certificateType": type_, "certificate": certificate})
    return answer["status"] if isinstance(answer, dict) else answer


@ALL
@pytest.mark.requirement("LC-135")
@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
def test_only_what_signs_our_certificate_stays(version: OcppVersion, algorithm: str) -> None:
    b = bench(version, FULL)
    assert delete(b, ROOT.hash_data(algorithm)) == "Failed"
    assert delete(b, BETWEEN.hash_data(algorithm, ROOT)) == "Failed"
    assert b.calls_to(Peer.STATION, "DeleteCertificate") == []
    assert delete(b, TWIN.hash_data(algorithm)) == "Accepted"
    assert delete(b, STRANGER.hash_data(algorithm)) == "Accepted"


@ALL
@pytest.mark.requirement("LC-135")
def test_a_root_that_is_in_no_file_is_known_by_its_name(version: OcppVersion) -> None:
    b = bench(version, WITHOUT_ROOT)
    assert delete(b, ROOT.hash_data("SHA256")) == "Failed"
    assert delete(b, STRANGER.hash_data("SHA256")) == "Accepted"


@ALL
@pytest.mark.requirement("LC-135")
def test_a_certificate_that_signs_itself_is_its_own_root(version: OcppVersion) -> None:
    b = bench(version, [STRANGER])
    assert delete(b, STRANGER.hash_data("SHA256")) == "Failed"
    assert delete(b, ROOT.hash_data("SHA256")) == "Accepted"


@ALL
@pytest.mark.requirement("LC-134")
@pytest.mark.parametrize("chain", [FULL, WITHOUT_ROOT], ids=["with root", "without"])
def test_a_new_root_passes_if_it_vouches_for_us(version: OcppVersion, chain: list[Authority]) -> None:
    for certificate, status in (
        (ROOT.pem, "Accepted"),
        (BETWEEN.pem, "Accepted"),
        (TWIN.pem, "Rejected"),
        (STRANGER.pem, "Rejected"),
        ("no PEM", "Rejected"),
    ):
        assert install(bench(version, chain), certificate) == status


@ALL
@pytest.mark.requirement("LC-134", "LC-135")
def test_a_station_may_meet_any_of_our_certificates(version: OcppVersion) -> None:
    both = bench(version, FULL, [STRANGER])
    assert install(both, ROOT.pem) == "Rejected", "it says nothing of the other one"
    assert [delete(both, one.hash_data("SHA256")) for one in (ROOT, STRANGER, TWIN)] == ["Failed", "Failed", "Accepted"]
