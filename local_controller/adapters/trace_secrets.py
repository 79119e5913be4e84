"""Which words of a message must no trace hold? Passwords (LC-132); everything else stays as it was, to the byte.

Identifiers (IdToken) stay, until the CSMS has a customer's data erased (LC-146): without them a trace proves nothing.
That is why a trace is for its owner's eyes only. Logs have other readers and hide them too (`log_masks.py`, which finds
passwords by the rules of this file).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any, Final

from local_controller.station.credentials import PASSWORD_KEYS

MASK: Final = "***"

_MEMBERS: Final = PASSWORD_KEYS | {"apnpassword", "simpin", "password"}
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
    if not is_suspicious(text):
        return text
    try:
        secrets = set(secrets_in(json.loads(text, object_pairs_hook=_unambiguous)))
    except (ValueError, RecursionError):
        return MASK
    if not all(isinstance(secret, str) for secret in secrets):
        return MASK
    if secrets:
        text = _STRING.sub(lambda match: f'"{MASK}"' if json.loads(match.group()) in secrets else match.group(), text)
    return without_user_info(text)


def is_suspicious(text: str) -> bool:
    """Whether a text may hold a password."""
    lower = text.lower()
    return any(word in lower for word in _SUSPICIOUS)


def without_user_info(text: str) -> str:
    """The text without user and password in its addresses."""
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
    """The members. Raises ValueError when one is there twice: readers would differ about its value."""
    if len({name.lower() for name, _ in members}) < len(members):
        raise ValueError("a member twice")
    return dict(members)


def secrets_in(value: Any) -> Iterator[str | bytes]:
    """Every secret in a message or a part of it; one that should be a string and is not is given as bytes."""
    if isinstance(value, str) and _NESTED.search(value):
        yield value
    elif isinstance(value, list):
        for child in value:
            yield from secrets_in(child)
    elif isinstance(value, dict):
        for secret in _own_secrets({str(name).lower(): child for name, child in value.items()}):
            if secret is not None and secret != "":
                yield secret if isinstance(secret, str) else json.dumps(secret).encode()
        for child in value.values():
            yield from secrets_in(child)


def _own_secrets(members: dict[str, Any]) -> Iterator[Any]:
    """The secrets that stand directly in this object."""
    variable, vpn = members.get("variable"), members.get("vpn")
    if _is_key(members.get("key")):
        yield members.get("value")
    if isinstance(variable, dict) and _is_key(_member(variable, "name")):
        yield members.get("attributevalue")
    if isinstance(vpn, dict):
        yield _member(vpn, "key")
    yield from (members[name] for name in _MEMBERS & members.keys())


def _member(members: dict[str, Any], wanted: str) -> Any:
    return next((value for name, value in members.items() if str(name).lower() == wanted), None)


def _is_key(name: Any) -> bool:
    return isinstance(name, str) and name.lower() in PASSWORD_KEYS
