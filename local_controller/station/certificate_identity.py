"""Is this certificate the station's own? By the serial number in its subject (security profile 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The subject of a certificate that a station has proven to hold; common_name has its serial number (A00.FR.404)."""

    common_name: str

    def names(self, serial: str) -> bool:
        """Whether it is the certificate of the station with this serial number.

        "Contain" (A00.FR.404) means as a word: the certificate of CP112 is none for CP11. Case says nothing.
        """
        serial = serial.strip()
        word = rf"(?<![^\W_]){re.escape(serial)}(?![^\W_])"
        return bool(serial) and re.search(word, self.common_name, re.IGNORECASE) is not None


def refusal(certificate: ClientCertificate | None, serial: str) -> str | None:
    """Why a station of security profile 3 with this configured serial number may not come in; None: it may (LC-011)."""
    if certificate is None:
        return "it showed no certificate"
    if not certificate.names(serial):
        return f"its certificate is that of {certificate.common_name!r}, not of serial number {serial!r}"
    return None
