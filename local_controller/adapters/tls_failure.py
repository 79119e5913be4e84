"""Why did a TLS connection to a server not come about, in words, and what helps?

OpenSSL says it in a code; the codes of its versions differ in how they begin, so that only their ends are looked at.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class TlsFailure:
    """What is wrong, as the end of a sentence about the server, and what to do about it."""

    text: str
    remedy: str


_TRUST: Final = "name the PEM file with its authority in tls.authorities"
_NAME: Final = "write into host a name that its certificate bears, or get it a certificate for this one"
_CLOCK: Final = "renew it there; if it was renewed, compare the clock of this machine"
_OURS: Final = "name a certificate by an authority that it trusts in tls.certificate, with its tls.key"

_PLAIN: Final = "is this its plain port? 8883 is usual for TLS"
_HANGS_UP: Final = TlsFailure("it hangs up during the handshake", _PLAIN)

_BY_VERIFICATION: Final = {
    9: TlsFailure("its certificate is not valid yet", "compare the clocks of both machines"),
    10: TlsFailure("its certificate has expired", _CLOCK),
    18: TlsFailure("its certificate is signed by itself", _TRUST),
    19: TlsFailure("its certificate is of an authority that is not trusted", _TRUST),
    20: TlsFailure("its certificate is of an authority that is not trusted", _TRUST),
    21: TlsFailure("its certificate is of an authority that is not trusted", _TRUST),
    62: TlsFailure("its certificate is for another name", _NAME),
    64: TlsFailure("its certificate is for another address", _NAME),
}
"""By OpenSSL's X509_V_ERR codes."""

_BY_END: Final = (
    ("CERTIFICATE_REQUIRED", TlsFailure("it asks for a certificate of ours", _OURS)),
    ("ALERT_UNKNOWN_CA", TlsFailure("it does not trust the authority of our certificate", _OURS)),
    ("ALERT_CERTIFICATE_EXPIRED", TlsFailure("our certificate has expired", "renew tls.certificate")),
    ("ALERT_BAD_CERTIFICATE", TlsFailure("it does not take our certificate", _OURS)),
    ("ALERT_CERTIFICATE_UNKNOWN", TlsFailure("it does not take our certificate", _OURS)),
    ("ALERT_CERTIFICATE_REVOKED", TlsFailure("our certificate was revoked", "get a new tls.certificate")),
    ("PROTOCOL_VERSION", TlsFailure("it speaks no TLS 1.2 or newer", "switch TLS 1.2 or 1.3 on there")),
    ("UNSUPPORTED_PROTOCOL", TlsFailure("it speaks no TLS 1.2 or newer", "switch TLS 1.2 or 1.3 on there")),
    (
        "HANDSHAKE_FAILURE",
        TlsFailure("it ends the handshake", "does it ask for a certificate (tls.certificate), or are its ciphers old?"),
    ),
    (
        "WRONG_VERSION_NUMBER",
        TlsFailure("it speaks no TLS at this port", _PLAIN),
    ),
    ("UNEXPECTED_EOF_WHILE_READING", _HANGS_UP),
)
"""By the end of OpenSSL's reason."""


def of_error(error: BaseException | None) -> TlsFailure | None:
    """A connection that was to be encrypted and failed with this; None: not for reasons of TLS."""
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return _HANGS_UP
    if not isinstance(error, ssl.SSLError):
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        other = TlsFailure(f"its certificate is not accepted: {error.verify_message}", _TRUST)
        return _BY_VERIFICATION.get(error.verify_code, other)
    return _of_reason(error.reason or str(error))


def of_text(text: str) -> TlsFailure | None:
    """A connection that broke, by the words that somebody has found for OpenSSL's error; None: it was not TLS."""
    match = re.search(r"\[SSL: (\w+)\]", text)
    return None if match is None else _of_reason(match[1])


def _of_reason(reason: str) -> TlsFailure:
    other = TlsFailure(f"no TLS: {reason}", "look into its log")
    return next((failure for end, failure in _BY_END if reason.endswith(end)), other)
