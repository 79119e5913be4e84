"""What do the contacts of a grid operator ask for just now? Relays of an FNN control box, ripple control, any wire.

An open wire and an unknown pattern count against us: where no row of the table fits, the lowest of all rows holds
(grid-and-safety §1.5). What was read is told as a limit that ends by itself, so that silence limits too (§6.4).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

from local_controller.clock import Instant
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.limits import Bound

UNREADABLE_S: Final = 5.0
"""Contacts that were not read for so long count as limiting (grid-and-safety §6.4)."""

STEADY_S: Final = 0.1
"""A change of a contact counts when a second look so much later shows it too: relays bounce for some milliseconds."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A wire to a channel of an I/O module, counted from 0. It is given while it is open, or while it is closed."""

    id: str
    channel: int
    given_when_open: bool = True

    def is_given(self, closed: Sequence[bool]) -> bool:
        """Whether these channels give it."""
        return closed[self.channel] is not self.given_when_open

    def words(self, closed: Sequence[bool]) -> str:
        """Its state as people read it."""
        position = "closed" if closed[self.channel] else "open"
        return f"{self.id} is {position} ({'given' if self.is_given(closed) else 'not given'})"


@dataclass(frozen=True, slots=True)
class ContactTable:
    """Contacts, and what each pattern of given ones means; a Bound without amperes and watts: no limit."""

    contacts: tuple[Contact, ...]
    meanings: Mapping[frozenset[str], Bound]

    @property
    def lowest(self) -> Bound:
        """What counts where nothing is known: the lowest amperes and the lowest watts of all rows."""
        return reduce(Bound.and_, self.meanings.values())

    @property
    def channels(self) -> int:
        """How many channels of the module have to be read, from the first on."""
        return max(contact.channel for contact in self.contacts) + 1

    def limit(self, closed: Sequence[bool], read_at: Instant) -> ReceivedLimit:
        """What was read at that time; it must be read again before it ends."""
        given = frozenset(contact.id for contact in self.contacts if contact.is_given(closed))
        bound = self.meanings.get(given)
        reason = ", ".join(contact.words(closed) for contact in self.contacts)
        if bound is None:
            bound, reason = self.lowest, f"{reason}: no row has this pattern, so the lowest counts"
        return ReceivedLimit(bound.limit_a, bound.power_w, read_at.after(UNREADABLE_S), reason=reason)


@dataclass(slots=True)
class Steady:
    """Contacts without their bouncing: a pattern counts when two looks, `STEADY_S` or more apart, show it.

    counts: the pattern that does; None until there is one.
    """

    counts: tuple[bool, ...] | None = None
    _seen: tuple[bool, ...] | None = None
    _since_s: float = -math.inf

    def look(self, closed: Iterable[bool], at_s: float) -> bool:
        """Take in what was read; whether it counts. If not, somebody should look again after `STEADY_S`."""
        pattern = tuple(closed)
        if pattern != self._seen:
            self._seen, self._since_s = pattern, at_s
        if at_s - self._since_s >= STEADY_S:
            self.counts = pattern
        return pattern == self.counts

    def missed(self) -> None:
        """Nothing could be read: what was seen before proves nothing about the time in between."""
        self._seen = None
