"""What does the CSMS say of identifiers, in its answers and its commands? (functional blocks C and D; LC-063, LC-064)

Only where the site file asks for service without the CSMS: else nothing is kept of whose card it was.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import CALLRESULT, Frame
from local_controller.station.authorization import UNREADABLE, IdToken, Verdict
from local_controller.station.authorizations import Authorizations
from local_controller.station.block import UNCHANGED, Block, Wanted
from local_controller.station.dialects.authorization import AuthorizationDialect, authorization_dialect
from local_controller.station.effects import Peer
from local_controller.station.state import StationState

DRIVERS_ANSWERS: Final = frozenset({"Authorize", "StartTransaction", "StopTransaction", "TransactionEvent"})
_COMMANDS: Final = frozenset({"SendLocalList", "ClearCache", "GetLocalListVersion"})


class LearnsAuthorizations(Block):
    """Looks on. What it hears is said to `authorizations`, which outlives the connection."""

    observe_only = DRIVERS_ANSWERS | _COMMANDS

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
        if sender is Peer.STATION and call.action in DRIVERS_ANSWERS:
            learn_from(self._authorizations, self._dialect, call, answer, self._state.station_time(now))
        elif sender is Peer.CSMS:
            self._commanded(call, answer, now)
        return UNCHANGED

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


def learn_from(
    authorizations: Authorizations, dialect: AuthorizationDialect, call: Frame, answer: Frame, now: datetime
) -> None:
    """What the CSMS's answer says of whom a station has asked. now: by the CSMS's clock.

    Raises PayloadError where it cannot be read, which is no reason to go on with what was known before.
    """
    action = call.action or ""
    try:
        said = dialect.verdict(action, answer.payload)
    except PayloadError:
        _learn(authorizations, dialect.presented(action, call.payload), UNREADABLE, now)
        raise
    if said is not None:
        _learn(authorizations, dialect.presented(action, call.payload), said, now)


def _learn(authorizations: Authorizations, token: IdToken | None, said: Verdict, now: datetime) -> None:
    if token is not None:
        authorizations.learn(token, said, now)
