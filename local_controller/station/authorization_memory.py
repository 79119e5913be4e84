"""What does a site keep of identifiers, and in which form? Digests and sealed groups only, never an identifier (LC-068)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec

from local_controller.station.authorization_cache import AuthorizationCache
from local_controller.station.authorization_word import Word
from local_controller.station.authorizations import Authorizations
from local_controller.station.local_list import LocalList
from local_controller.station.sealed import KEY_BYTES, Seal

_FORMAT: Final = 1


class _Cache(msgspec.Struct, forbid_unknown_fields=True):
    words: dict[str, dict[str, Word]]
    cleared: dict[str, Annotated[datetime, msgspec.Meta(tz=True)]]


class _List(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    words: dict[str, Word]


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    format: Literal[1]
    key: Annotated[str, msgspec.Meta(pattern=f"^[0-9a-f]{{{2 * KEY_BYTES}}}$")]
    caches: dict[str, _Cache]
    lists: dict[str, _List]


class AuthorizationMemory:
    """Of all stations. What a CSMS says to one of its stations counts at all of them, unless it is said to them otherwise."""

    def __init__(self, key: bytes, lifetime_s: float | None = None) -> None:
        """key: 32 random bytes of this site. lifetime_s: as AuthCacheLifeTime; None: an acceptance does not age."""
        self._seal = Seal(key)
        self._lifetime = None if lifetime_s is None else timedelta(seconds=lifetime_s)
        self._caches: dict[str, AuthorizationCache] = {}
        self._lists: dict[str, LocalList] = {}

    @property
    def revision(self) -> int:
        """Rises whenever something else is to be kept."""
        return sum(one.revision for one in self._parts())

    def of(self, station: str, csms: str) -> Authorizations:
        """What is known at this station. csms: any name, the same one for those that share what it says."""
        cache = self._caches.setdefault(csms, AuthorizationCache())
        local = self._lists.setdefault(station, LocalList())
        return Authorizations(station, self._seal, cache, local, self._lifetime)

    def forget(self, identifier: str) -> None:
        """Nothing here is about this driver any more, whatever the type (LC-146)."""
        digest = self._seal.digest(identifier)
        for one in self._parts():
            one.forget(digest)

    def as_dict(self, now: datetime) -> dict[str, Any]:
        """All of it as JSON has it, with its key; what is too old by now (the CSMS's clock) is left out."""
        kept = _Kept(
            format=_FORMAT,
            key=self._seal.key.hex(),
            caches={csms: _Cache(one.young(now, self._lifetime), one.cleared) for csms, one in self._caches.items()},
            lists={station: _List(one.version, one.words) for station, one in self._lists.items()},
        )
        found: dict[str, Any] = msgspec.to_builtins(kept)
        return found

    @classmethod
    def from_dict(cls, kept: Any, lifetime_s: float | None = None) -> AuthorizationMemory:
        """The same again. Raises ValueError for what was not written by `as_dict`."""
        read = msgspec.convert(kept, _Kept)
        memory = cls(bytes.fromhex(read.key), lifetime_s)
        memory._caches = {csms: AuthorizationCache(one.words, one.cleared) for csms, one in read.caches.items()}
        memory._lists = {station: LocalList(one.version, one.words) for station, one in read.lists.items()}
        return memory

    def _parts(self) -> list[AuthorizationCache | LocalList]:
        return [*self._caches.values(), *self._lists.values()]
