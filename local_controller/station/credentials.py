"""Is this the station, if its CSMS cannot be asked? It must show the password that the CSMS accepted last (LC-007).

Only salted hashes are kept. While a password is being changed (A01) two are good: the old one, and the one that just
passed by, until the CSMS has accepted the new one.

`hashed` and `matches` take 14 ms of a core each: never call them on the event loop's thread.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

SCRYPT_LOG2_N: Final = 13
SCRYPT_R: Final = 8
"""8 MiB and 14 ms (measured; 50 to 100 ms on a small ARM core) for a try. A station's password has 16 bytes or more
(A00.FR.205), so that not the price of a try protects it but the number of tries. The price is kept low enough for 500
stations that come back after a power cut while the CSMS is away: 7 s of one core. OWASP's 128 MiB would be 3 minutes."""

PASSWORD_KEYS: Final = frozenset({"authorizationkey", "basicauthpassword"})
"""The configuration key of 1.6 (security white paper) and the variable of 2.x that hold it, in lower case."""

SALT_BYTES: Final = 16
_DIGEST_BYTES: Final = 32
_MEMORY_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """What is kept of a password. log2_n and r: the price at which it was made, so that it can be raised one day."""

    salt: bytes
    digest: bytes = field(repr=False)
    log2_n: int = SCRYPT_LOG2_N
    r: int = SCRYPT_R

    def matches(self, password: bytes) -> bool:
        """Whether it was made of this password; takes as long for any."""
        return hmac.compare_digest(self.digest, _scrypt(password, self.salt, self.log2_n, self.r))


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one station may show. offered: of a new password, in each spelling that a station might send it in."""

    accepted: PasswordHash
    offered: tuple[PasswordHash, ...] = ()

    def matches(self, password: bytes) -> bool:
        """Whether the station may come in. All are tried, so that the time tells nothing about which one was right."""
        return any([one.matches(password) for one in (self.accepted, *self.offered)])  # noqa: C419 - see above


def hashed(password: bytes, salt: bytes) -> PasswordHash:
    """What to keep of a password. salt: `SALT_BYTES` random bytes, new for each."""
    return PasswordHash(salt, _scrypt(password, salt, SCRYPT_LOG2_N, SCRYPT_R))


def after_login(known: Credentials | None, password: bytes, salt: bytes) -> Credentials:
    """The CSMS has accepted this password: the same object if that is nothing new.

    The old one says nothing about the new one: the station may not have taken it over yet.
    """
    if known is None:
        return Credentials(hashed(password, salt))
    if known.accepted.matches(password):
        return known
    new = next((one for one in known.offered if one.matches(password)), None)
    return Credentials(new or hashed(password, salt))


def after_offer(known: Credentials, passwords: Iterable[bytes], salts: Sequence[bytes]) -> Credentials:
    """A new password is on its way to the station; an earlier one that nobody used is forgotten."""
    return Credentials(known.accepted, tuple(hashed(one, salt) for one, salt in zip(passwords, salts, strict=True)))


def password_of(authorization: str, identity: str) -> bytes | None:
    """The password in an Authorization header of Basic, as raw bytes. None: there is none, or it is another's.

    The user name is the identity (A00.FR.204), in any case. An identity of 1.6 may have a colon in it, so the known one
    is what divides name and password.
    """
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    name = identity.encode() + b":"
    return decoded[len(name) :] if decoded[: len(name)].lower() == name.lower() else None


def spellings(value: str) -> tuple[bytes, ...]:
    """How a station may send a password that it was given as `value`.

    2.x: as it is. 1.6: an AuthorizationKey is hexadecimal and is sent as the bytes that it stands for; some stations
    send its digits.
    """
    as_it_is = value.encode()
    try:
        raw = bytes.fromhex(value)
    except ValueError:
        return (as_it_is,)
    return (as_it_is, raw) if raw else (as_it_is,)


def _scrypt(password: bytes, salt: bytes, log2_n: int, r: int) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=1 << log2_n, r=r, p=1, maxmem=_MEMORY_BYTES, dklen=_DIGEST_BYTES)
