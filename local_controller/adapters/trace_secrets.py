"""Which words of a message must no trace hold? Passwords (LC-132); everything else stays as it was, to the byte.

Identifiers (IdToken) stay, until the CSMS has a customer's data erased (LC-146): without them a trace proves nothing.
That is why a trace is for its owner's eyes only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any, Final

MASK: Final = "***"

_KEYS: Final = frozenset({"authorizationkey", "basicauthpassword"})
"""The configuration key of 1.6 (security white paper) and the variable of 2.x that hold the station's password."""

_MEMBERS: Final = frozenset({"basicauthpassword", "apnpassword", "simpin", "password", "authorizationkey"})
"""Members that are secret wherever they stand; SetNetworkProfile of 2.x has four of them."""

_SUSPICIOUS: Final = ("password", "authorizationkey", "simpin", '"vpn"', "://", ":\\/\\/", "\\u")
"""A text without any of these, in lower case, holds no secret that we know of; an escape may hide one."""

_NESTED: Final = re.compile(r"(?:password|authorizationkey)\W{0,3}[:=]", re.IGNORECASE)
"""A string that is a document of its own, such as the data of a DataTransfer, with a password in it."""

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_USER_INFO: Final = re.compile(r"(:(?:\\?/){2})[^/\\\s\"@]*:[^/\s\"]*(?=@)")
"""User and password in the address of a file server (GetLog, GetDiagnostics, UpdateFirmware)."""


def masked(text: str) -> str:
    """The text with each password replaced by `***`; a suspicious text that is no JSON is replaced as a whole."""
    lower = text.lower()
    if not any(word in lower for word in _SUSPICIOUS):
        return text
    try:
        secrets = set(_secrets(json.loads(text, object_pairs_hook=_unambiguous)))
    except (ValueError, RecursionError):
        return MASK
    if not all(isinstance(secret, str) for secret in secrets):
        return MASK
    if secrets:
        text = _STRING.sub(lambda match: f'"{MASK}"' if json.loads(match.group()) in secrets else match.group(), text)
    return _USER_INFO.sub(rf"\1{MASK}", text)


def erased(text: str, words: Collection[str]) -> str:
    """The text with each string that is one of these words, whatever its case, replaced by `***` (LC-146).

    A text that is no JSON and has such a word in it is replaced as a whole.
    """
    wanted, lower = {word.lower() for word in words}, text.lower()
    if "\\" not in text and not any(word in lower for word in wanted):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return MASK if any(word in lower for word in wanted) else text
    return _STRING.sub(
        lambda found: f'"{MASK}"' if json.loads(found.group()).lower() in wanted else found.group(), text
    )


def _unambiguous(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members in lower case. Raises ValueError when one is there twice: readers would differ about its value."""
    found = {name.lower(): value for name, value in members}
    if len(found) < len(members):
        raise ValueError("a member twice")
    return found


def _secrets(value: Any) -> Iterator[str | bytes]:
    """Every secret in a message; one that should be a string and is not is given as bytes."""
    if isinstance(value, str) and _NESTED.search(value):
        yield value
    elif isinstance(value, list):
        for child in value:
            yield from _secrets(child)
    elif isinstance(value, dict):
        for secret in _own_secrets(value):
            if secret is not None and secret != "":
                yield secret if isinstance(secret, str) else json.dumps(secret).encode()
        for child in value.values():
            yield from _secrets(child)


def _own_secrets(members: dict[str, Any]) -> Iterator[Any]:
    """The secrets that stand directly in this object."""
    variable, vpn = members.get("variable"), members.get("vpn")
    if _is_key(members.get("key")):
        yield members.get("value")
    if isinstance(variable, dict) and _is_key(variable.get("name")):
        yield members.get("attributevalue")
    if isinstance(vpn, dict):
        yield vpn.get("key")
    yield from (members[name] for name in _MEMBERS & members.keys())


def _is_key(name: Any) -> bool:
    return isinstance(name, str) and name.lower() in _KEYS
