"""What does the CSMS say of identifiers, in its answers and its commands? (functional blocks C and D; LC-063, LC-064)

Only where the site file asks for service without the CSMS: else nothing is kept of whose card it was.
"""

from __future__ import annotations

from typing import Final

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import CALLRESULT, Frame
from local_controller.station.authorization import UNREADABLE, Verdict
from local_controller.station.authorizations import Authorizations
from local_controller.station.block import UNCHANGED, Block, Wanted
from local_controller.station.dialects.authorization import authorization_dialect
from local_controller.station.effects import Peer
from local_controller.station.state import StationState

_ANSWERS: Final = frozenset({"Authorize", "StartTransaction", "StopTransaction", "TransactionEvent"})
_COMMANDS: Final = frozenset({"SendLocalList", "ClearCache", "GetLocalListVersion"})


class LearnsAuthorizations(Block):
    """Looks on. What it hears is said to `authorizations`, which outlives the connection."""

    observe_only = _ANSWERS | _COMMANDS

    def __init__(self, state: StationState, authorizations: Authorizations) -> None:
        """The station's clock in `state` is the CSMS's."""
        self._state = state
        self._authorizations = authorizations
        self._dialect = authorization_dialect(state.version)

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> Wanted:
        """PayloadError where who or what is meant cannot be read."""
        if answer is None or answer.message_type != CALLRESULT or not answer.payload:
            return UNCHANGED
        if call.message_id in self._state.answered_here:
            return UNCHANGED  # a guess teaches nothing
        if sender is Peer.STATION and call.action in _ANSWERS:
            self._told(call.action, call, answer, now)
        elif sender is Peer.CSMS:
            self._commanded(call, answer, now)
        return UNCHANGED

    def _told(self, action: str, call: Frame, answer: Frame, now: Instant) -> None:
        """Of whom the station has asked. What cannot be read is no reason to go on with what was known before."""
        try:
            verdict = self._dialect.verdict(action, answer.payload)
        except PayloadError:
            self._learn(action, call, UNREADABLE, now)
            raise
        if verdict is not None:
            self._learn(action, call, verdict, now)

    def _learn(self, action: str, call: Frame, verdict: Verdict, now: Instant) -> None:
        token = self._dialect.presented(action, call.payload)
        if token is not None:
            self._authorizations.learn(token, verdict, self._state.station_time(now))

    def _commanded(self, call: Frame, answer: Frame, now: Instant) -> None:
        """What the station has done with its list or its cache."""
        if call.action == "GetLocalListVersion":
            self._authorizations.local_list_is(self._dialect.list_version(answer.payload))
        elif answer.payload.get("status") != "Accepted":
            return
        elif call.action == "ClearCache":
            self._authorizations.clear_cache(self._state.station_time(now))
        elif call.action == "SendLocalList":
            self._listed(call)

    def _listed(self, call: Frame) -> None:
        try:
            update = self._dialect.local_list(call.payload)
        except PayloadError:
            self._authorizations.local_list_unread()
            raise
        self._authorizations.local_list_sent(update)
