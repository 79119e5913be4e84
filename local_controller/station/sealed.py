"""How is kept whose card it was, so that nobody reads it who has the file alone? (LC-068)

An identifier becomes a keyed digest. Its group has to be given back in answers, so it is encrypted, with a key that is made of
the site's and of the identifier itself: who has the site's key still needs the card.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from local_controller.station.authorization import IdToken

KEY_BYTES: Final = 32
_DIGEST_BYTES: Final = 16
"""A stranger's card must not be taken for another: at 128 bits no two of all cards in the world coincide."""

_TYPE_DIGITS: Final = 8


class Seal:
    """With the key of one site."""

    __slots__ = ("key",)

    def __init__(self, key: bytes) -> None:
        """key: `KEY_BYTES` random bytes. Raises ValueError for fewer."""
        if len(key) < KEY_BYTES:
            raise ValueError(f"{len(key)} bytes are no key")
        self.key = key

    def name(self, token: IdToken) -> str:
        """What it is kept under: a few digits for its type, and the digest of its text. The same for equal tokens."""
        kind, text = token.same
        return f"{self.digest(kind)[:_TYPE_DIGITS]}:{self.digest(text)}"

    def digest(self, text: str) -> str:
        """Of an identifier in any case."""
        return hmac.digest(self.key, _bytes(text.strip().lower()), "sha256")[:_DIGEST_BYTES].hex()

    def sealed(self, token: IdToken, group: IdToken) -> str:
        """The group of this identifier. The same again for the same, so that what has not changed is not written anew."""
        return base64.b64encode(self._cipher(token).encrypt(_bytes(f"{group.kind}\0{group.text}"), None)).decode()

    def opened(self, token: IdToken, sealed: str) -> IdToken | None:
        """The group; None if this is not what was sealed for this identifier."""
        try:
            plain = self._cipher(token).decrypt(base64.b64decode(sealed, validate=True), None)
        except (InvalidTag, binascii.Error, ValueError):
            return None
        kind, _, text = plain.decode(errors="surrogatepass").partition("\0")
        return IdToken(text, kind)

    def _cipher(self, token: IdToken) -> AESSIV:
        return AESSIV(hmac.digest(self.key, _bytes("\0".join(("group", *token.same))), "sha512"))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")  # half a character is an identifier too
