"""Which words of a message must no trace hold? Passwords (LC-132); everything else stays as it was, to the byte.

Identifiers (IdToken) stay: without them a trace proves nothing. That is why a trace is for its owner's eyes only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

MASK: Final = "***"

_KEYS: Final = frozenset({"authorizationkey", "basicauthpassword"})
"""The configuration key of 1.6 (security white paper) and the variable of 2.x that hold the station's password."""

_MEMBERS: Final = frozenset({"basicauthpassword", "apnpassword", "password", "authorizationkey"})
"""Members that are passwords wherever they stand; SetNetworkProfile of 2.x has three of them."""

_SUSPICIOUS: Final = re.compile(r"password|authorizationkey|\"vpn\"|://[^/\s\"]*@|\\u", re.IGNORECASE)
"""A text without any of these holds no secret that we know of; an escape may hide one."""

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_USER_INFO: Final = re.compile(r"(?<=://)[^/\s\"@]*:[^/\s\"]*(?=@)")
"""User and password in the address of a file server (GetLog, GetDiagnostics, UpdateFirmware)."""


def masked(text: str) -> str:
    """The text with each password replaced by `***`; a suspicious text that is no JSON is replaced as a whole."""
    if _SUSPICIOUS.search(text) is None:
        return text
    try:
        secrets = set(_secrets(json.loads(text)))
    except (ValueError, RecursionError):
        return MASK
    if not all(isinstance(secret, str) for secret in secrets):
        return MASK
    if secrets:
        text = _STRING.sub(lambda match: f'"{MASK}"' if json.loads(match.group()) in secrets else match.group(), text)
    return _USER_INFO.sub(MASK, text)


def _secrets(value: Any) -> Iterator[Any]:
    """Every password in a message; what should be a string and is not is given as bytes."""
    if isinstance(value, list):
        for child in value:
            yield from _secrets(child)
    elif isinstance(value, dict):
        yield from map(_secret, _own_secrets(value))
        for child in value.values():
            yield from _secrets(child)


def _own_secrets(members: dict[str, Any]) -> Iterator[Any]:
    """The secrets that stand directly in this object."""
    lower = {name.lower(): value for name, value in members.items()}
    variable = lower.get("variable")
    if _is_key(lower.get("key")):
        yield lower.get("value")
    if isinstance(variable, dict) and _is_key(variable.get("name")):
        yield lower.get("attributevalue")
    if isinstance(vpn := lower.get("vpn"), dict):
        yield vpn.get("key")
    yield from (lower[name] for name in _MEMBERS & lower.keys())


def _is_key(name: Any) -> bool:
    return isinstance(name, str) and name.lower() in _KEYS


def _secret(value: Any) -> Any:
    """A number as a password is a mistake, but still a password."""
    return value if isinstance(value, str) else ("" if value is None else json.dumps(value).encode())
