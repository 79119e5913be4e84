"""What does a site keep of identifiers, and in which form? Digests and sealed groups only, never an identifier (LC-068)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec

from local_controller.station.authorization_cache import AuthorizationCache
from local_controller.station.authorization_word import Word
from local_controller.station.authorizations import Authorizations
from local_controller.station.local_list import LocalList
from local_controller.station.sealed import KEY_BYTES, Seal

_FORMAT: Final = 1


class KeptCache(msgspec.Struct, forbid_unknown_fields=True):
    """As `AuthorizationCache`."""

    words: dict[str, dict[str, Word]]
    cleared: dict[str, Annotated[datetime, msgspec.Meta(tz=True)]]


class KeptList(msgspec.Struct, forbid_unknown_fields=True):
    """As `LocalList`."""

    version: int
    words: dict[str, Word]


class Kept(msgspec.Struct, forbid_unknown_fields=True):
    """All of a site, as JSON has it. key: in hexadecimal. caches: by CSMS. lists: by station."""

    format: Literal[1]
    key: Annotated[str, msgspec.Meta(pattern=f"^[0-9a-f]{{{2 * KEY_BYTES}}}$")]
    caches: dict[str, KeptCache]
    lists: dict[str, KeptList]


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
        return Authorizations(station, self._seal, self._cache(csms), self._list(station), self._lifetime)

    def forget(self, identifier: str) -> None:
        """Nothing here is about this driver any more, whatever the type (LC-146)."""
        digest = self._seal.digest(identifier)
        for one in self._parts():
            one.forget(digest)

    def kept(self, now: datetime) -> Kept:
        """All of it, with its key; what is too old by now (the CSMS's clock) is left out."""
        caches = {csms: KeptCache(one.young(now, self._lifetime), one.cleared) for csms, one in self._caches.items()}
        lists = {station: KeptList(one.version, one.words) for station, one in self._lists.items()}
        return Kept(_FORMAT, self._seal.key.hex(), caches, lists)

    def resume(self, kept: Kept) -> None:
        """What an earlier run has kept counts again, before anything is learnt."""
        self._seal.key = bytes.fromhex(kept.key)
        for csms, cache in kept.caches.items():
            self._cache(csms).resume(cache.words, cache.cleared)
        for station, one in kept.lists.items():
            self._list(station).resume(one.version, one.words)

    def _cache(self, csms: str) -> AuthorizationCache:
        return self._caches.setdefault(csms, AuthorizationCache())

    def _list(self, station: str) -> LocalList:
        return self._lists.setdefault(station, LocalList())

    def _parts(self) -> list[AuthorizationCache | LocalList]:
        return [*self._caches.values(), *self._lists.values()]
