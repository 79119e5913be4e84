"""What does a station's conversation teach that others than the site must know: who keeps certificates, traces, people?"""

from __future__ import annotations

from dataclasses import dataclass, field

from local_controller.station.remembered import Remembered


@dataclass(frozen=True, slots=True)
class CertificateIssued:
    """The station took a certificate for its connection from the CSMS; who checks stations has to trust its issuer.

    chain: PEM, the station's certificate first (A02, A03).
    """

    chain: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CustomerCleared:
    """The CSMS has a customer's data erased (N09, N10): whatever was kept about these identifiers has to go (LC-146)."""

    identifiers: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class OperatorMustKnow:
    """Something that a person has to decide or set right; `code` is stable snake_case."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class CapabilityLearnt:
    """How the station can be told limits, as far as its answers and its meter have shown: worth keeping over a restart."""

    remembered: Remembered


Announcement = CapabilityLearnt | CertificateIssued | CustomerCleared | OperatorMustKnow
