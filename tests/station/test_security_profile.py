"""Which security profile does a station have, and may it come in without one?"""

from __future__ import annotations

import itertools

import pytest

from local_controller.station.certificate_identity import ClientCertificate
from local_controller.station.security_profile import (
    SecurityProfile,
    security_profile,
    unsecured_refusal,
    unsecured_warning,
)

CERTIFICATE = ClientCertificate("CPX-0815")


@pytest.mark.parametrize(
    ("is_encrypted", "has_password", "certificate", "profile"),
    [
        (False, False, None, 0),
        (True, False, None, 0),
        (False, True, None, 1),
        (True, True, None, 2),
        (True, False, CERTIFICATE, 3),
        (True, True, CERTIFICATE, 3),
    ],
)
def test_the_profile_is_what_was_shown(
    is_encrypted: bool, has_password: bool, certificate: ClientCertificate | None, profile: int
) -> None:
    found = security_profile(is_encrypted=is_encrypted, has_password=has_password, certificate=certificate)
    assert found == profile


@pytest.mark.requirement("LC-008")
def test_only_who_shows_nothing_needs_the_site_files_permission() -> None:
    refused = [
        (int(profile), allowed)
        for profile, allowed in itertools.product(SecurityProfile, [False, True])
        if unsecured_refusal(profile, allow_unsecured=allowed) is not None
    ]
    assert refused == [(0, False)]


@pytest.mark.requirement("LC-008")
def test_who_came_in_without_any_security_is_a_warning() -> None:
    warned = [int(profile) for profile in SecurityProfile if unsecured_warning("CP-7", profile)]
    assert warned == [0]
    assert "anybody who reaches the gateway can pose as this station" in (
        unsecured_warning("CP-7", SecurityProfile.NONE) or ""
    )
