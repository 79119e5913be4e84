"""When is it a station's turn, if hundreds come back in the same second? No station needs to know of another."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

FEW: Final = 50
"""So many stations need not wait for each other."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Whose turn is when, in seconds: first_s for all, and over spread_s one after another."""

    first_s: float = 0.0
    spread_s: float = 0.0

    def delay_s(self, identity: str) -> float:
        """How long this station waits: always the same, and evenly spread over a site."""
        return self.first_s + self.spread_s * _share(identity)


@lru_cache(maxsize=16)
def _share(identity: str) -> float:
    """Where between 0 and 1 the station stands; several ask for it one after another."""
    number = int.from_bytes(hashlib.blake2b(identity.encode(errors="replace"), digest_size=4).digest())
    return number / 2**32


def turns_after_boot(stations: int) -> Turns:
    """When the stations of a site get their first profiles: 250 a second, of which each takes 0.2 ms of our time.

    At the latest after 6 s, because the site waits 10 s for their confirmation (`site.evse.CONFIRM_S`).
    """
    return Turns() if stations <= FEW else Turns(1.0, min(5.0, stations / 250.0))
