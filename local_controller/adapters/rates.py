"""How often may somebody come, and how much may one station say? Token buckets, with the time as an argument.

A bucket holds `burst` tokens, is full at first and gains `rate` tokens a second: in any time t nobody gets more than
burst + rate * t, and who stays below the rate never waits. All that is stored of a bucket is when it will be full again
(the virtual scheduling of GCRA, ITU-T I.371), so nothing is refilled while nobody asks.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address
from typing import Final

REMEMBERED: Final = 4096
"""Buckets kept of each kind, less than a megabyte. Who is forgotten has a full bucket again, which delays nobody. It is no
way around the limit: every new address has a full one anyway, and `listen.limits.max_connections` bounds them together.
"""

_NEARLY_ONE: Final = 0.999
"""A token that lacks a thousandth is whole: sums of times are not exact, and nobody shall wait for a rounding error."""


COUNTED_CHARS: Final = 16 * 1024
"""So much of a message counts as one more: what is long takes longer to be read, and 99 of 100 have below 2 kB (Part 4 §5.2)."""


class MessageRate:
    """The bucket of one station. It never says no: messages are not dropped, but read later (LC-033)."""

    __slots__ = ("_depth_s", "_full_at_s", "_gap_s")

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._gap_s = 1.0 / rate_per_s
        self._depth_s = (burst - _NEARLY_ONE) * self._gap_s
        self._full_at_s = float("-inf")

    def take(self, now_s: float, characters: int = 0) -> float:
        """Counts one message of so many that was read; for how many seconds no other one should be."""
        gap_s = self._gap_s
        if characters >= COUNTED_CHARS:
            gap_s = min(gap_s * (1 + characters // COUNTED_CHARS), max(gap_s, self._depth_s))
        full_at_s = self._full_at_s
        full_at_s = (full_at_s if full_at_s > now_s else now_s) + gap_s  # noqa: FURB136 - `max` takes twice as long
        self._full_at_s = full_at_s
        wait_s = full_at_s - self._depth_s - now_s
        return wait_s if wait_s > 0.0 else 0.0  # noqa: FURB136 - as above


class ConnectionRates:
    """The buckets of all addresses, and of all identities that an address uses.

    The identity counts for one address only: a stranger who tries out its passwords cannot lock the station itself out.
    """

    def __init__(self, address_per_minute: float, station_per_minute: float, *, remembered: int = REMEMBERED) -> None:
        """What may come in a minute may also come at once: after a power cut all stations do, behind one address or not."""
        self._addresses = _Buckets(address_per_minute, remembered)
        self._stations = _Buckets(station_per_minute, remembered)

    def __len__(self) -> int:
        """How many buckets are remembered."""
        return len(self._addresses) + len(self._stations)

    def knock(self, address: str, now_s: float) -> float:
        """0 for a TCP connection that may go on; else in how many seconds one may. Asked before TLS costs anything."""
        return self._addresses.take_or_wait(hash(_origin(address)), now_s)

    def enter(self, address: str, identity: str, now_s: float) -> float:
        """0 for a request of an identity that may go on; else in how many seconds one may (429 with Retry-After)."""
        # A hash, because a stranger's identity may be as long as a header.
        return self._stations.take_or_wait(hash((_origin(address), identity.casefold())), now_s)

    def admit(self, address: str, identity: str, now_s: float) -> float:
        """Both at once, where no TLS comes between; one that is refused counts for neither."""
        wait_s = self._addresses.wait_s(hash(_origin(address)), now_s)
        return wait_s or self.enter(address, identity, now_s) or self.knock(address, now_s)


class _Buckets:
    """Buckets of one size by key; the least recently used ones are forgotten."""

    def __init__(self, per_minute: float, capacity: int) -> None:
        self._gap_s = 60.0 / per_minute
        self._depth_s = (per_minute - _NEARLY_ONE) * self._gap_s
        self._capacity = capacity
        self._full_at_s: OrderedDict[int, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at_s)

    def wait_s(self, key: int, now_s: float) -> float:
        """Seconds until this bucket has a token."""
        return max(0.0, self._full_at_s.get(key, now_s) - self._depth_s - now_s)

    def take_or_wait(self, key: int, now_s: float) -> float:
        """Takes a token and says 0, or says when there will be one."""
        if wait_s := self.wait_s(key, now_s):
            return wait_s
        self._full_at_s[key] = max(self._full_at_s.get(key, now_s), now_s) + self._gap_s
        self._full_at_s.move_to_end(key)
        if len(self._full_at_s) > self._capacity:
            self._full_at_s.popitem(last=False)
        return 0.0


def _origin(address: str) -> str | bytes:
    """Who is behind an address: of IPv6 the network of 64 bits, in which one machine can have as many as it likes."""
    if ":" not in address:
        return address
    try:
        full = IPv6Address(address)
    except ValueError:
        return address
    return str(full.ipv4_mapped) if full.ipv4_mapped else full.packed[:8]
