"""Which peer breaks the schema of its version? All functional blocks; for those who look for the cause of a trouble.

What breaks its schema is relayed like anything else; here it is counted and told (LC-020). What the gateway itself
needs of a message is read field by field where it is needed, and not used if it cannot be read.
"""

from __future__ import annotations

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import CALLRESULT, Frame
from local_controller.rpc.schemas import violation
from local_controller.station.block import UNCHANGED, Block, SchemaBroken, Wanted
from local_controller.station.effects import Peer
from local_controller.station.words import OcppVersion

EVERY_S = 60.0
"""Of the messages of one action one is looked at in this time: whoever breaks a schema does so again and again, and a
message that is read anew for this costs 8 µs."""

LARGEST = 64 * 1024
"""Characters of the longest message that is looked at: reading it keeps the event loop for 0.5 ms."""

ACTIONS = 256
"""So many actions are told apart; more than twice as many as a version has. Names may be anything."""


class SchemaWatch(Block):
    """Looks at CALLs, SENDs and CALLRESULTs of both peers."""

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
        due_s[call.action] = now.monotonic_s + EVERY_S
        try:
            payload = frame.payload
        except PayloadError:
            return UNCHANGED  # noted already, as of any message
        found = violation(self._version, call.action, payload, is_answer=frame is not call)
        if found is None:
            return UNCHANGED
        return (SchemaBroken(sender, call.action, "CALLRESULT" if frame is not call else "CALL", *found),)
