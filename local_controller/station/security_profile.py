"""How well does a station prove who it is? By OCPP's security profiles (A00), of which 0 is none at all (LC-008)."""

from __future__ import annotations

from enum import IntEnum

from local_controller.station.certificate_identity import ClientCertificate


class SecurityProfile(IntEnum):
    """As numbered by OCPP; NONE is what the white paper for 1.6 calls 0."""

    NONE = 0
    PASSWORD = 1
    PASSWORD_AND_TLS = 2
    CERTIFICATES = 3


def security_profile(
    *, is_encrypted: bool, has_password: bool, certificate: ClientCertificate | None
) -> SecurityProfile:
    """That of a connection. TLS alone keeps secrets from others but does not tell who is there, so it counts as none."""
    if certificate is not None:
        return SecurityProfile.CERTIFICATES
    if not has_password:
        return SecurityProfile.NONE
    return SecurityProfile.PASSWORD_AND_TLS if is_encrypted else SecurityProfile.PASSWORD


def unsecured_refusal(profile: SecurityProfile, *, allow_unsecured: bool) -> str | None:
    """Why a station without any security may not come in; None: it may (LC-008)."""
    if profile is not SecurityProfile.NONE or allow_unsecured:
        return None
    return "it shows neither a password nor a certificate; set allow_unsecured for this station if it cannot"


def unsecured_warning(station: str, profile: SecurityProfile) -> str | None:
    """What the status says about a station that came in without any security; None: nothing."""
    if profile is not SecurityProfile.NONE:
        return None
    return (
        f"{station}: anybody who reaches the gateway can pose as this station: give it a password (security profile 1)"
    )
