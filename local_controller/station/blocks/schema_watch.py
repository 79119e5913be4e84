"""Which peer breaks the schema of its version? All functional blocks; for those who look for the cause of a trouble.

What breaks its schema is relayed like anything else; here it is counted and told (LC-020). What the gateway itself
needs of a message is read where it is needed, and nothing of it is used if a part of that is broken. A fault elsewhere, a
product's name that is too long, is no reason to overlook that a car has begun to charge: then less would be known, not more.
"""

from __future__ import annotations

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import CALLRESULT, Frame
from local_controller.rpc.schemas import violation
from local_controller.station.block import UNCHANGED, Block, SchemaBroken, Wanted
from local_controller.station.effects import Peer
from local_controller.station.words import OcppVersion

EVERY_S = 5.0
"""Who sends more messages of one action than one in this time has one looked at in it: the shortest usual interval of
samples. To read one of 1.1 kB anew and to judge it costs 10 µs, beside the 15 µs of all the rest in a flood (measured)."""

AT_ONCE = 8
"""So many of one action may come sooner: a station sends a sample of each EVSE in the same second."""

LARGEST = 64 * 1024
"""Characters of the longest message that is looked at: reading it keeps the event loop for 0.5 ms."""

ACTIONS = 256
"""So many actions are told apart; more than twice as many as a version has. Names may be anything."""


class SchemaWatch(Block):
    """Looks at CALLs, SENDs and CALLRESULTs of both peers: at every one, but in a flood."""

    def __init__(self, version: OcppVersion) -> None:
        """Nothing has been looked at yet."""
        self._version = version
        self._called_s: dict[str | None, float] = {}
        self._answered_s: dict[str | None, float] = {}

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:
        """A CALL or SEND."""
        due_s = self._called_s.get(call.action)
        if due_s is not None and now.monotonic_s < due_s:
            return UNCHANGED
        return self._look(self._called_s, sender, call, call, now)

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> Wanted:
        """The answer to a CALL of `sender`."""
        due_s = self._answered_s.get(call.action)
        if due_s is not None and now.monotonic_s < due_s:
            return UNCHANGED
        if answer is None or answer.message_type != CALLRESULT:
            return UNCHANGED
        return self._look(self._answered_s, sender.other, call, answer, now)

    def _look(self, due_s: dict[str | None, float], sender: Peer, call: Frame, frame: Frame, now: Instant) -> Wanted:
        is_new = call.action not in due_s
        if call.action is None or len(frame.text) > LARGEST or (is_new and len(due_s) >= ACTIONS):
            return UNCHANGED
        earliest_s = now.monotonic_s - (AT_ONCE - 1) * EVERY_S
        due_s[call.action] = max(due_s.get(call.action, earliest_s), earliest_s) + EVERY_S
        try:
            payload = frame.payload
        except PayloadError:
            return UNCHANGED  # noted already, as of any message
        found = violation(self._version, call.action, payload, is_answer=frame is not call)
        if found is None:
            return UNCHANGED
        return (SchemaBroken(sender, call.action, "CALLRESULT" if frame is not call else "CALL", *found),)
