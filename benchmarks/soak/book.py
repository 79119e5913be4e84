"""What was sent, what arrived? Kept apart from the relay, by hashes of contents, for each connection and direction.

A message counts as

* lost, if it did not arrive although both legs stayed up until nothing was under way any more, or if the relay itself
  ended the connection;
* altered, if what arrived was never sent in this direction of this connection, in these bytes;
* duplicated, if it arrived more often than it was sent;
* reordered, if it overtook another one of its kind: CALLs may have to wait, what needs no slot (answers, SENDs) passes them.

What was under way when a peer cut its connection is *cut*, not lost: TCP promises nothing about it, so nobody can tell
whether the relay ever had it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What keeps its order among its like."""

    CALL = "call"
    SEND = "send"
    ANSWER = "answer"


@dataclass
class Counts:
    """What became of all messages. own: those that the gateway wrote itself; they belong to no count above."""

    messages: int = 0
    lost: int = 0
    altered: int = 0
    duplicated: int = 0
    reordered: int = 0
    cut: int = 0
    own: int = 0
    bytes: int = 0

    @property
    def faults(self) -> int:
        """How often the relay was no cable."""
        return self.lost + self.altered + self.duplicated + self.reordered


@dataclass
class Way:
    """One direction of one connection. before: the same direction of the connection before it."""

    counts: Counts
    before: frozenset[bytes] = frozenset()
    _under_way: dict[bytes, tuple[Kind, int]] = field(default_factory=dict)
    _arrived: set[bytes] = field(default_factory=set)
    _numbers: Counter[Kind] = field(default_factory=Counter)
    _latest: Counter[Kind] = field(default_factory=Counter)

    def sent(self, text: str, kind: Kind) -> None:
        """Somebody sends this, which nobody sent before: message ids are unique."""
        self._numbers[kind] += 1
        self._under_way[_digest(text)] = kind, self._numbers[kind]

    def arrived(self, text: str) -> None:
        """The other end has it."""
        digest = _digest(text)
        self.counts.messages += 1
        self.counts.bytes += len(text)
        if (found := self._under_way.pop(digest, None)) is not None:
            self._arrived.add(digest)
            kind, number = found
            self.counts.reordered += number < self._latest[kind]
            self._latest[kind] = max(number, self._latest[kind])
        elif digest in self._arrived or digest in self.before:
            self.counts.duplicated += 1
        else:
            self.counts.altered += 1

    @property
    def under_way(self) -> int:
        """How many are sent and not there yet."""
        return len(self._under_way)

    def ended(self, *, by_cut: bool) -> Way:
        """The connection is gone; what follows in this direction is kept in the result."""
        if by_cut:
            self.counts.cut += self.under_way
        else:
            self.counts.lost += self.under_way
        return Way(self.counts, frozenset(self._arrived))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
