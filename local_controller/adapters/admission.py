"""May this station come in, before its CSMS is asked? By what the site file says of it and what it shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from local_controller.adapters.csms_client import CsmsSettings
from local_controller.station.certificate_identity import ClientCertificate, refusal
from local_controller.station.security_profile import SecurityProfile, security_profile, unsecured_refusal


@dataclass(frozen=True, slots=True)
class Resident:
    """A station that belongs to the site.

    identity: as in the site file; the station may write it in other cases. unsecured: whether it may come in without
    password and certificate (LC-008). serial: what its certificate must name (LC-011); None: it is known by its password.
    stays_served: whether it is served also while its CSMS is away (LC-037).
    """

    identity: str
    csms: CsmsSettings
    unsecured: bool = False
    serial: str | None = None
    stays_served: bool = False


@dataclass(frozen=True, slots=True)
class Visitor:
    """What somebody who wants to come in shows. certificate: verified by TLS already."""

    is_encrypted: bool
    has_password: bool
    certificate: ClientCertificate | None = None


@dataclass(frozen=True, slots=True)
class Objection:
    """Why somebody stays outside: what is answered, and what is logged."""

    status: HTTPStatus
    text: str
    event: str
    fields: Mapping[str, Any]
    headers: tuple[tuple[str, str], ...] = ()


def profile_of(visitor: Visitor, resident: Resident) -> SecurityProfile:
    """The security profile; a certificate counts for a station whose serial number is known, else it names nobody."""
    certificate = visitor.certificate if resident.serial is not None else None
    return security_profile(
        is_encrypted=visitor.is_encrypted, has_password=visitor.has_password, certificate=certificate
    )


def objection(visitor: Visitor, resident: Resident) -> Objection | None:
    """What speaks against this visitor; None: nothing."""
    if resident.serial is not None and visitor.certificate is not None:
        reason = refusal(visitor.certificate, resident.serial)
        if reason is not None:
            fields = {"certificate": visitor.certificate.common_name, "serial": resident.serial, "reason": reason}
            return Objection(HTTPStatus.FORBIDDEN, "This is another's certificate.\n", "wrong_certificate", fields)
    missing = unsecured_refusal(profile_of(visitor, resident), allow_unsecured=resident.unsecured)
    if missing is not None:
        text = "This station needs a password or a certificate.\n"
        challenge = (("WWW-Authenticate", 'Basic realm="OCPP"'),)
        return Objection(HTTPStatus.UNAUTHORIZED, text, "unsecured_station", {"reason": missing}, challenge)
    return None
