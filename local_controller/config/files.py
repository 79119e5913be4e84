"""Are the certificates and keys that a site file names there, and do they belong together? Read as TLS will read them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Final

from local_controller.config.document import Path
from local_controller.config.references import Finding

_SECTIONS: Final = ("csms", "listen")
_CERTIFICATES: Final = ("certificate", "authorities", "station_authorities")


def file_findings(data: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with each file that TLS needs. Names are those of the machine that checks."""
    for section in _SECTIONS:
        yield from _within(data.get(section), (section,))


def _within(data: object, path: Path) -> Iterator[Finding]:
    if isinstance(data, dict):
        yield from _files_of(data, path)
        for key, value in data.items():
            yield from _within(value, (*path, key))
    elif isinstance(data, list):
        for position, value in enumerate(data):
            yield from _within(value, (*path, position))


def _files_of(section: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    """The files that one section names; a pair is compared when each of the two is sound alone."""
    told = {key: why for key in _CERTIFICATES if (why := _no_certificates(section.get(key)))}
    certificate = None if "certificate" in told else section.get("certificate")
    if why := _unreadable(section.get("key")) or _no_pair(certificate, section.get("key")):
        told["key"] = why
    yield from (((*path, key), why) for key, why in told.items())


def _unreadable(name: object) -> str | None:
    if not isinstance(name, str):
        return None
    try:
        with open(name, "rb") as file:  # noqa: PTH123 - as `ssl` opens it
            file.read(1)
    except (OSError, ValueError) as error:
        return f"{name} cannot be read: {getattr(error, 'strerror', None) or error}"
    return None


def _no_certificates(name: object) -> str | None:
    if not isinstance(name, str):
        return None
    if why := _unreadable(name):
        return why
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(name)
    except ssl.SSLError:
        return f"{name} holds no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----"
    return None


def _no_pair(certificate: object, key: object) -> str | None:
    if not isinstance(certificate, str) or not isinstance(key, str):
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_nobody_to_ask)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"{key} is not the key of {certificate}"
        return f"{key} holds no private key that can be read: PEM, without a passphrase"
    return None


def _nobody_to_ask() -> str:
    """In place of a question on the terminal."""
    return ""
