"""Which samples of a station have come and are not read yet?

Reading the samples is most of what a message costs, and samples that come faster than the site can react say nothing
that the newest ones do not. So of a running transaction's EVSE a message is read at once only if none was read in the
last 0.4 s. Otherwise it waits for the next one after that time, or until it is 0.5 s since the last reading, and then
the newest is read, and older ones as long as they may say what the newer ones leave out. A rise is thus known 0.5 s after
it came, of the second that the site has for its reaction (goal G2). Who sends a sample every 5 to 60 s, as stations do,
is always read at once; who sends hundreds a second costs two or three readings a second and EVSE, or 20 if each message
says something else, and a timer that seldom finds something to do.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from local_controller.clock import Instant
from local_controller.rpc.frame import Frame
from local_controller.station.empty import EMPTY
from local_controller.station.transaction import Transaction

PAUSE_S: Final = 0.4
"""Between two readings of one EVSE: less than half of G2's second, a twelfth of the shortest usual interval of samples."""

KNOWN_S: Final = 0.5
"""From one reading to the next of what waits, also if nothing more comes. Where a message comes every 0.1 s or sooner, no timer
has to read it; with 0.05 s more than the pause, as it was, one had to unless 20 came a second."""

KEPT: Final = 8
"""Messages of one EVSE that wait. What is sampled, aligned to the clock and triggered may come at once (1.6 §4.7, J01), or
current, voltage, power, energy ... each in a message of its own: none must hide what the others say."""

FLOOD: Final = 4
"""When so many waited in one pause and the newest says all that was ever said, only the newest waits in the next pause:
memory that is not held is used again at once, and 500 stations need not hold 10 MB."""

KEPT_CHARS: Final = 16 * 1024
"""Longer messages do not wait, lest waiting takes memory; a usual one has 1 kB."""

_Kept = tuple[Transaction, Frame, Instant]
"""A message that waits, whose samples it brings, and when it came."""


def was_read_lately(transaction: Transaction, call: Frame, now: Instant) -> bool:
    """Whether this message, which may wait by its form, is to: something of its transaction was read just before, and it is not long."""
    return now.monotonic_s < transaction.read_s + PAUSE_S and len(call.text) <= KEPT_CHARS


class Waiting:
    """What waits of one EVSE, the oldest first. said: what its samples were ever about. came: how many have waited since the last reading."""

    __slots__ = ("came", "kept", "said")

    def __init__(self) -> None:
        self.kept: deque[_Kept] = deque(maxlen=KEPT)
        self.said: frozenset[str] = EMPTY
        self.came = 0

    def taken(self) -> list[_Kept]:
        """What waits, the newest first; nothing does afterwards."""
        taken = list(self.kept)
        self.kept.clear()
        taken.reverse()
        return taken

    def hear_of(self, said: frozenset[str]) -> None:
        """What samples of a transaction are about."""
        if not said <= self.said:
            self.said |= said

    def make_room(self, *, newest_says_all: bool) -> None:
        """For the next pause."""
        room = 1 if newest_says_all and self.came >= FLOOD else KEPT
        if self.kept.maxlen != room:
            self.kept = deque(maxlen=room)
        self.came = 0


class Unread:
    """Of which EVSE what waits. For as long as a connection lasts: what came before its end is read then."""

    __slots__ = ("_due_s", "of")

    def __init__(self) -> None:
        """Nothing waits."""
        self.of: dict[int, Waiting] = {}
        self._due_s: float | None = None  # of what waited when that was looked at last: it may be read already

    def of_evse(self, evse: int) -> Waiting:
        """Also of one of which nothing has waited yet; only on EVSEs that there are, whatever else a station names."""
        return self.of.get(evse) or self.of.setdefault(evse, Waiting())

    def keep(self, transaction: Transaction, call: Frame, now: Instant) -> bool:
        """Lets a message wait; the oldest one makes room. Says whether something is due earlier than before."""
        waiting = self.of_evse(transaction.evse)
        waiting.came += 1
        waiting.kept.append((transaction, call, now))
        due_s = transaction.read_s + KNOWN_S
        if self._due_s is not None and self._due_s <= due_s:
            return False
        self._due_s = due_s
        return True

    @property
    def due_s(self) -> float | None:
        """When what waits is to be read, in monotonic seconds; None: nothing waits."""
        self._due_s = None
        for waiting in self.of.values():
            if waiting.kept and (self._due_s is None or waiting.kept[0][0].read_s + KNOWN_S < self._due_s):
                self._due_s = waiting.kept[0][0].read_s + KNOWN_S
        return self._due_s

    def due(self, until_s: float) -> list[int]:
        """The EVSEs of which something is to be read until then."""
        return [
            evse for evse, waiting in self.of.items() if waiting.kept and waiting.kept[0][0].read_s + KNOWN_S <= until_s
        ]
