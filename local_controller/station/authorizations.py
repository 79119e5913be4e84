"""What has the CSMS said of identifiers to one station, and what follows from it while it cannot be asked? (LC-063 to LC-065)"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from local_controller.station.authorization import (
    ACCEPTED,
    UNKNOWN,
    AuthorizationStatus,
    IdToken,
    LocalListUpdate,
    UnknownPolicy,
    Verdict,
)
from local_controller.station.authorization_cache import AuthorizationCache
from local_controller.station.authorization_word import verdict, word
from local_controller.station.local_list import LocalList
from local_controller.station.sealed import Seal

_NOBODYS: Final = frozenset({"noauthorization", "central"})
"""Types that are let in and not kept: of a start button (C02), and of what the CSMS itself has started (C05)."""


class Authorizations:
    """Of one station. Made by `AuthorizationMemory.of`, which keeps it. Times are UTC by the CSMS's clock."""

    def __init__(
        self, station: str, seal: Seal, cache: AuthorizationCache, local: LocalList, lifetime: timedelta | None
    ) -> None:
        """cache: shared with others, or not. lifetime: of an acceptance in it."""
        self._station = station
        self._seal = seal
        self._cache = cache
        self._list = local
        self._lifetime = lifetime

    def learn(self, token: IdToken, said: Verdict, now: datetime) -> None:
        """The CSMS has answered so.

        What is in the local list is not cached as well (1.6 §3.5.3): once it is taken out of the list, nobody knows it. And who
        charges elsewhere at the moment (ConcurrentTx) is none the worse for it later, so that this is not kept (C10.FR.01 is stricter).
        """
        name = self._seal.name(token)
        if token.same[0] in _NOBODYS or name in self._list.words or said.status is AuthorizationStatus.CONCURRENT_TX:
            return
        self._cache.learn(name, self._station, word(self._seal, token, said, now))

    def clear_cache(self, now: datetime) -> None:
        """The station has cleared its cache (C11); what others are told from now on counts here as well."""
        self._cache.clear(self._station, now)

    def local_list_sent(self, update: LocalListUpdate) -> None:
        """The station has taken this update of its local list."""
        entries = [
            (self._seal.name(token), None if said is None else word(self._seal, token, said))
            for token, said in update.entries
        ]
        self._list.sent(update.type, update.version, entries)
        for name, _ in entries:
            self._cache.unlearn(name, self._station)

    def local_list_is(self, version: int) -> None:
        """The station says which list it has (GetLocalListVersion); 0 or less is none."""
        self._list.is_at(version)

    def local_list_unread(self) -> None:
        """The station has taken an update that cannot be read."""
        self._list.doubt()

    def decide(self, token: IdToken, unknown: UnknownPolicy, now: datetime) -> Verdict:
        """What to answer to this driver: as the local list says, else the cache, else the policy (C13.FR.01, C15)."""
        name = self._seal.name(token)
        said = self._list.words.get(name) or self._cache.word(name, self._station, now, self._lifetime)
        if said is not None:
            return verdict(self._seal, token, said).at(now)
        return ACCEPTED if unknown is UnknownPolicy.ACCEPT or token.same[0] in _NOBODYS else UNKNOWN
