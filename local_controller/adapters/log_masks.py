"""Which words must no log line hold? Passwords, keys (LC-132) and whose card it was, whatever the field.

Logs travel: to a support desk, into a ticket, to a cloud. Identifiers keep their first two letters and get a tag, so that
lines about one driver can be found together; the tag is made with a key that only this process knows, because the few
billion numbers that a card can have are quickly tried out otherwise.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
from collections.abc import Collection, Mapping, MutableMapping
from functools import lru_cache
from numbers import Number
from typing import Any, Final

from local_controller.adapters.trace_secrets import MASK, is_suspicious, secrets_in, without_user_info

_SHOWN: Final = 2
_LONG_ENOUGH: Final = 8
"""Of a shorter identifier even two letters say too much; the number of the smallest card has eight."""

_IDENTIFIERS: Final = frozenset(
    {"idtag", "parentidtag", "idtoken", "groupidtoken", "additionalidtoken", "emaid", "evccid"}
)
_SECRET_NAMES: Final = frozenset({"token", "accesstoken"})
_SECRET_ENDS: Final = (
    "password",
    "passwd",
    "secret",
    "authorization",
    "authorizationkey",
    "apikey",
    "privatekey",
    "simpin",
)
"""What the names of members and fields are called, without case, blanks and punctuation."""

_VALUE: Final = r"""(?:(\\*)(["'])(.*?)(?:(?<!\\)\2\3|\Z)|([^\s"'\\,;&{}\[\]()]+))"""
"""What follows a name: a quoted text, whose end is quoted as deeply as its beginning or was cut off, or a word."""


def _pair(names: str) -> re.Pattern[str]:
    """Name and value as JSON, Python, a query or people write them."""
    return re.compile(rf"""((?:{names})\\*["']?\s*[:=]\s*){_VALUE}""", re.IGNORECASE | re.DOTALL)


_SECRET_PAIR: Final = _pair("password|passwd|secret|authorization_?key|api_?key|simpin")
_IDENTIFIER_PAIR: Final = _pair("id_?tag|id_?token|emaid|evcc_?id")
_PAIRS_OF: Final = (
    (re.compile("authorization_?key|basicauthpassword", re.IGNORECASE), _pair("value")),
    (re.compile("vpn", re.IGNORECASE), _pair(r"\bkey")),
)
"""Where the first one is mentioned the second one is secret."""

_CUT_OFF_USER_INFO: Final = re.compile(r"""(:(?:\\?/){2}[^/\\\s"'@:]*:)(?!\d+\b)[^/\s"'@]+\Z""")
_HEADER: Final = re.compile(r"""(authorization\\*["']?\s*[:=]\s*\\*["']?)[^"'\r\n]+""", re.IGNORECASE)
_BASIC: Final = re.compile(r"\b(Basic\s+)([A-Za-z0-9+/]{4,}={0,2})", re.IGNORECASE)
_BEARER: Final = re.compile(r"\b(Bearer\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_PEM: Final = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL)


_SUSPICIOUS: Final = (
    "idt", "id_t", "emaid", "evcc", "pass", "secret", "auth", "key", "simpin", "vpn", "basic", "bearer", "://", ":\\/"
)  # fmt: skip
"""A text without any of these, in lower case, is let through at once: all patterns above need one of them."""

_DOCUMENT: Final = re.compile(r"""\{\s*"|\[\s*[\[{"0-9]""")
"""How a message or an object begins; a name in brackets, such as [CP-7], does not."""

_DECODER: Final = json.JSONDecoder()


class LogMask:
    """A processor of structlog, to be put behind all that add text and before what renders."""

    def __init__(self, key: bytes | None = None) -> None:
        """key: that of the tags; None: a new one, so that tags of two runs have nothing in common."""
        self._key = secrets.token_bytes(16) if key is None else key

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The event with everything hidden that must be."""
        return {name: self._field(name, value) for name, value in event.items()}

    def text(self, text: str) -> str:
        """A text of any kind: a message, a header, the words of an exception, with or without a message in it."""
        document = _DOCUMENT.search(text) if "{" in text or "[" in text else None
        if document is None:
            return self._prose(text)
        start = document.start()
        try:
            found, end = _DECODER.raw_decode(text, start)
            hidden = json.dumps(self._value(found, set(secrets_in(found))), ensure_ascii=False)
        except (ValueError, RecursionError):
            return MASK if start == 0 and is_suspicious(text) else self._prose(text)
        return self._prose(text[:start]) + hidden + (self.text(text[end:]) if end < len(text) else "")

    def pseudonym(self, identifier: str) -> str:
        """The same for the same identifier, in any case (identifiers of OCPP are case-insensitive)."""
        tag = digest(identifier, self._key, 4)
        return f"{identifier[:_SHOWN] if len(identifier) >= _LONG_ENOUGH else ''}…#{tag}"

    def _field(self, name: str, value: Any) -> Any:
        try:
            return self._member(name, value, ())
        except RecursionError:
            return MASK  # nested deeper than anything that is meant to be read

    # --- structures ----------------------------------------------------------------------------------------------

    def _value(self, value: Any, known: Collection[str | bytes]) -> Any:
        """A value; `known` are the secrets of the document that it is part of."""
        match value:
            case None | bool() | Number():
                return MASK if known and json.dumps(value, default=str).encode() in known else value
            case str():
                return MASK if value in known else self.text(value)
            case bytes() | bytearray():
                return self.text(value.decode("latin-1"))
            case Mapping():
                known = known or set(secrets_in(dict(value)))
                return {self.text(str(name)): self._member(str(name), child, known) for name, child in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self._value(child, known or set(secrets_in(child))) for child in value]
        return self.text(repr(value) if isinstance(value, Exception) else str(value))

    def _member(self, name: str, value: Any, known: Collection[str | bytes]) -> Any:
        plain = _plain(name)
        if value is None or isinstance(value, bool) or value == "":
            return value
        if plain in _IDENTIFIERS and isinstance(value, str | int):
            return self.pseudonym(str(value))
        return MASK if plain.endswith(_SECRET_ENDS) or plain in _SECRET_NAMES else self._value(value, known)

    # --- prose ---------------------------------------------------------------------------------------------------

    def _prose(self, text: str) -> str:
        """A text for people that may quote a part of a message, a header or an address."""
        lower = text.lower()
        if not any(word in lower for word in _SUSPICIOUS):
            return text
        text = _PEM.sub(rf"\1{MASK}", text)
        text = _HEADER.sub(rf"\1{MASK}", text)
        text = _BEARER.sub(rf"\1{MASK}", _BASIC.sub(_without_credentials, text))
        text = _CUT_OFF_USER_INFO.sub(rf"\1{MASK}", without_user_info(text))
        text = _SECRET_PAIR.sub(rf"\1{MASK}", text)
        for mentioned, pair in _PAIRS_OF:
            if mentioned.search(text):
                text = pair.sub(rf"\1{MASK}", text)
        return _IDENTIFIER_PAIR.sub(self._hidden_pair, text)

    def _hidden_pair(self, found: re.Match[str]) -> str:
        name, escape, quote, quoted, word = found.groups(default="")
        return f"{name}{escape}{quote}{self.pseudonym(quoted or word)}{escape}{quote}" if quoted or word else found[0]


def digest(identifier: str, key: bytes, size: int) -> str:
    """So many bytes in hexadecimal, the same for the same identifier in any case; nobody can undo it without the key."""
    text = identifier.strip().lower().encode(errors="surrogatepass")  # half a character is an identifier too
    return hashlib.blake2b(text, key=key, digest_size=size).hexdigest()


@lru_cache(maxsize=1024)
def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _without_credentials(found: re.Match[str]) -> str:
    """Words such as "basic authentication" are no credentials: these have a colon once decoded."""
    try:
        decoded = base64.b64decode(found[2], validate=True)
    except binascii.Error:
        return found[0]
    return f"{found[1]}{MASK}" if b":" in decoded else found[0]
