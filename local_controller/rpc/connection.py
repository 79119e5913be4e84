"""Which CALL may go out on one connection now, and whose CALL does an answer belong to?

The state of one leg as far as we send CALLs on it: one slot (LC-022), a bounded queue in front of it, deadlines, and
the memory of CALLs whose answer is late. It knows neither sockets nor charging, and not who its callers are: that is
the opaque `origin`. Answers, SENDs and unknown messages take no slot and never pass here (LC-023).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

import msgspec

from local_controller.rpc.frame import Frame
from local_controller.rpc.recent import Recent

Origin = TypeVar("Origin")

QUEUE_LIMIT = 64  # per urgency; busy CSMSs were seen to send 8 CALLs at once, so this is a fault, not a burst
QUEUE_LIMIT_CHARS = 16 * 1024 * 1024  # of all waiting texts: two messages of the largest size we accept (LC-014)
LATE_LIMIT = 8  # timed-out CALLs remembered per leg: four minutes of a silent peer at 30 s each, one at 8 s each


class Call(msgspec.Struct, Generic[Origin], eq=False, gc=False):
    """A CALL that waits for its slot or for its answer.

    urgency: lower goes first; first in, first out among equals. timeout_s: from sending to giving the slot away.
    patience_s: None for our own CALLs. A number makes it somebody else's: it is discarded unsent when it waited so long
    (LC-025), and our own CALLs may hold it up only for a limited time (LC-024).
    since_s: when its present state (waiting, sent) began, in monotonic seconds.
    """

    frame: Frame
    urgency: int
    timeout_s: float
    patience_s: float | None
    origin: Origin
    since_s: float


@dataclass(frozen=True, slots=True)
class Expired(Generic[Origin]):
    """What `RpcConnection.expire` found: a CALL without answer in time, and CALLs that became too old to be sent."""

    timed_out: Call[Origin] | None
    discarded: list[Call[Origin]]


class RpcConnection(Generic[Origin]):
    """The CALLs on their way to one peer."""

    __slots__ = ("_held_up_s", "_late", "due_s", "in_flight", "own_budget_s", "waiting")

    def __init__(self, own_budget_s: float = 8.0) -> None:
        """`own_budget_s`: when our own CALLs held up a foreign one for so long, the foreign one is next (LC-024).

        The same after a single own time-out. So a dead own CALL costs a foreign one at most its time-out, while a
        series of answered reductions still goes first. And a dead foreign one costs a more urgent one of ours no more.
        """
        self.own_budget_s = own_budget_s
        self.in_flight: Call[Origin] | None = None
        self.due_s = math.inf
        """When `expire` has something to do, in monotonic seconds."""
        self.waiting: dict[int, deque[Call[Origin]]] = {}  # for the slot, by urgency; no empty queues
        self._late: Recent[Call[Origin]] = Recent(LATE_LIMIT)
        self._held_up_s = 0.0

    # --- sending -------------------------------------------------------------------------------------------------

    def take_slot(self, call: Call[Origin]) -> bool:
        """Lets `call` have the slot at once; False, and no change, unless it is free and nobody waits for it."""
        if self.in_flight is not None or self.waiting:
            return False
        self.in_flight = call
        self.due_s = call.since_s + call.timeout_s
        if call.patience_s is not None:
            self._held_up_s = 0.0
        return True

    def submit(self, call: Call[Origin]) -> bool:
        """Lets `call` wait for its slot; False, and no change, when too much is waiting already (LC-031)."""
        queue = self.waiting.get(call.urgency)
        waiting = len(queue) if queue is not None else 0
        if waiting >= QUEUE_LIMIT or self._waiting_chars() + len(call.frame.text) > QUEUE_LIMIT_CHARS:
            return False
        if queue is None:
            self.waiting[call.urgency] = deque((call,))
        else:
            queue.append(call)
        self._look_ahead()
        return True

    def next_to_send(self, now_s: float) -> Call[Origin] | None:
        """Moves the next CALL into the free slot; the caller writes it to the wire. None: nothing may go now."""
        if self.in_flight or not self.waiting:
            return None
        urgency = self._next_urgency()
        queue = self.waiting[urgency]
        call = queue.popleft()
        if not queue:
            del self.waiting[urgency]
        call.since_s = now_s
        self._occupy(call)
        return call

    def withdraw(self, wanted: Callable[[Origin], bool]) -> list[Call[Origin]]:
        """Takes the waiting CALLs whose origin is wanted out of the queue."""
        return self._remove(lambda call: wanted(call.origin))

    # --- what happens to them ------------------------------------------------------------------------------------

    def answered(self, message_id: str, now_s: float) -> tuple[Call[Origin], bool] | None:
        """The CALL that an answer with this id belongs to, and whether it is late; None if nobody asked (LC-027).

        Ids that are in use twice (a peer may retry under the same id) are answered present one first, then oldest.
        """
        call = self.in_flight
        if call is not None and call.frame.message_id == message_id:
            if self.waiting or call.patience_s is None:
                self._free_slot(call, now_s)
            else:
                self.in_flight, self.due_s = None, math.inf
            return call, False
        for call in self._late:
            if call.frame.message_id == message_id:
                self._late.remove(call)
                return call, True
        return None

    def expire(self, now_s: float) -> Expired[Origin]:
        """Gives up what is overdue at `now_s`."""
        timed_out = None
        if self.in_flight is not None and self.in_flight.since_s + self.in_flight.timeout_s <= now_s:
            timed_out = self.in_flight
            self._free_slot(timed_out, now_s)
            self._late.append(timed_out)
            if timed_out.patience_s is None:
                self._held_up_s = self.own_budget_s
        return Expired(timed_out, self._remove(lambda call: _too_old_at_s(call) <= now_s))

    def close(self) -> list[Call[Origin]]:
        """The connection is over: all CALLs that will never be answered, the one on the wire first."""
        unanswered = [self.in_flight] if self.in_flight else []
        self.in_flight = None
        self.due_s = math.inf
        self._late.clear()
        return unanswered + self._remove(lambda _: True)

    @property
    def deadline(self) -> float | None:
        """When `expire` has something to do, in monotonic seconds; None for never."""
        return None if self.due_s == math.inf else self.due_s

    def mentioned(self, text: str) -> list[Call[Origin]]:
        """The CALLs, sent and perhaps still to be answered, whose id stands somewhere in `text`."""
        return [call for call in self.sent if call.frame.message_id in text]

    @property
    def sent(self) -> list[Call[Origin]]:
        """The CALLs that may still be answered, the oldest first."""
        return [*self._late, self.in_flight] if self.in_flight else [*self._late]

    def bears(self, message_id: str) -> bool:
        """Whether a CALL that waits, is sent or is still remembered has this id."""
        if self.in_flight is None and not self.waiting and not self._late:
            return False
        sent = self.in_flight is not None and self.in_flight.frame.message_id == message_id
        others = chain(self._late, *self.waiting.values())
        return sent or any(call.frame.message_id == message_id for call in others)

    # --- inside --------------------------------------------------------------------------------------------------

    def _press(self) -> None:
        """A foreign CALL on the wire keeps its slot no longer than one of ours would, if a more urgent one or the next foreign one waits.

        How long an answer is awaited is free (Part 4 §4.1.1), and who sends the next CALL awaits none any more; one that
        comes later is passed on all the same (decision 0026).
        """
        call = self.in_flight
        if call is not None and call.patience_s is not None and min(self.waiting, default=math.inf) <= call.urgency:
            call.timeout_s = min(call.timeout_s, self.own_budget_s)

    def _next_urgency(self) -> int:
        """Whose turn it is: the most urgent, unless a foreign CALL was held up long enough."""
        if self._held_up_s >= self.own_budget_s:
            return min(self.waiting, key=lambda urgency: (self.waiting[urgency][0].patience_s is None, urgency))
        return min(self.waiting)

    def _occupy(self, call: Call[Origin]) -> None:
        """Puts a CALL whose `since_s` is now into the slot."""
        if call.patience_s is not None:
            self._held_up_s = 0.0
        self.in_flight = call
        self.due_s = call.since_s + call.timeout_s
        if self.waiting:
            self._look_ahead()

    def _free_slot(self, call: Call[Origin], now_s: float) -> None:
        """Empties the slot, and keeps account of how long an own CALL in it held up the oldest foreign one."""
        self.in_flight = None
        self.due_s = math.inf
        if self.waiting:
            self._look_ahead()
        if call.patience_s is None:
            held_up = [queue[0].since_s for queue in self.waiting.values() if queue[0].patience_s is not None]
            self._held_up_s += now_s - max(call.since_s, min(held_up, default=now_s))

    def _look_ahead(self) -> None:
        """Finds out when `expire` has something to do."""
        self._press()
        self.due_s = math.inf if self.in_flight is None else self.in_flight.since_s + self.in_flight.timeout_s
        for queue in self.waiting.values():
            if (first := queue[0]).patience_s is not None:  # as above
                self.due_s = min(self.due_s, _too_old_at_s(first))

    def _remove(self, wanted: Callable[[Call[Origin]], bool]) -> list[Call[Origin]]:
        removed = [call for _, queue in sorted(self.waiting.items()) for call in queue if wanted(call)]
        if removed:
            kept = {urgency: deque(c for c in queue if not wanted(c)) for urgency, queue in self.waiting.items()}
            self.waiting = {urgency: queue for urgency, queue in kept.items() if queue}
            self._look_ahead()
        return removed

    def _waiting_chars(self) -> int:
        if not self.waiting:
            return 0
        return sum(len(call.frame.text) for queue in self.waiting.values() for call in queue)


def _too_old_at_s(call: Call[Origin]) -> float:
    """When a waiting CALL becomes too old to be sent, in monotonic seconds; our own never do."""
    return math.inf if call.patience_s is None else call.since_s + call.patience_s
