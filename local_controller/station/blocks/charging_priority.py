"""Whom does the CSMS want to charge first? It says so where it lets a driver in, and of a transaction (2.x K03, LC-067)."""

from __future__ import annotations

from typing import Final

from local_controller.clock import Instant
from local_controller.rpc.frame import CALLRESULT, Frame
from local_controller.station.block import UNCHANGED, Block, Wanted
from local_controller.station.charging_priorities import Token
from local_controller.station.dialects.base import Dialect, EventType
from local_controller.station.dialects.reading import Fields
from local_controller.station.effects import Peer, Tell
from local_controller.station.state import StationState
from local_controller.station.words import PriorityGiven

MOST_URGENT: Final = 9
"""chargingPriority of IdTokenInfoType and TransactionEventResponse: from -9 to 9."""

_NAME: Final = "chargingPriority"


class ChargingPriority(Block):
    """Reads the answers to Authorize and TransactionEvent; the station does with them what it likes."""

    called_only = frozenset({"TransactionEvent"})
    observe_only = frozenset({"Authorize", "TransactionEvent"})

    def __init__(self, state: StationState, dialect: Dialect) -> None:
        """Nothing is told on this connection yet."""
        self._state = state
        self._dialect = dialect
        self._told: dict[str, int] = {}

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:  # noqa: ARG002 - no age
        """Of a card that was let in it is known at once, before a car that goes first is stopped for lack of room."""
        event = self._dialect.transaction_event_of(call) if sender is Peer.STATION else None
        if event is None:
            return UNCHANGED
        if event.type is EventType.ENDED:
            self._told.pop(event.transaction_id, None)
            self._state.priorities.ended(event.transaction_id)
            return UNCHANGED
        if event.id_token is not None:
            self._state.priorities.told(event.transaction_id, None, None, _token(call))
        return self._news(event.transaction_id)

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> Wanted:  # noqa: ARG002 - no age
        """The CSMS has answered; PayloadError for a priority that is none, which counts for nothing."""
        if sender is not Peer.STATION or answer is None or answer.message_type != CALLRESULT or not answer.payload:
            return UNCHANGED
        if call.action == "Authorize":
            return self._authorized(call, answer)
        event = self._dialect.transaction_event_of(call)
        if event is None or event.type is EventType.ENDED:
            return UNCHANGED
        self._answered(event.transaction_id, call, Fields("TransactionEvent", answer.payload))
        return self._news(event.transaction_id)

    def _authorized(self, call: Frame, answer: Frame) -> Wanted:
        token, info = _token(call), Fields("Authorize", answer.payload).child("idTokenInfo")
        if token is not None and info is not None and (info.text("status") or "").lower() == "accepted":
            self._state.priorities.authorized(token, _priority(info) or 0)
        return UNCHANGED

    def _answered(self, transaction_id: str, call: Frame, answer: Fields) -> None:
        info = answer.child("idTokenInfo")
        of_token = None if info is None else _priority(info)
        self._state.priorities.told(transaction_id, _priority(answer), of_token, _token(call))

    def _news(self, transaction_id: str) -> Wanted:
        """What the site has not heard yet; of a transaction without an EVSE it hears when it has one."""
        priority = self._state.priorities.of_transactions.get(transaction_id, 0)
        is_known = priority == self._told.get(transaction_id, 0)
        transaction = None if is_known else self._state.transaction(transaction_id)
        if transaction is None:
            return UNCHANGED
        self._told[transaction_id] = priority
        return [Tell(PriorityGiven(transaction.evse, transaction_id, priority))]


def _token(call: Frame) -> Token | None:
    """The token that a CALL of the station names."""
    named = Fields(str(call.action), call.payload).child("idToken")
    identifier = None if named is None else named.text("idToken")
    return None if named is None or identifier is None else (identifier.lower(), (named.text("type") or "").lower())


def _priority(fields: Fields) -> int | None:
    """None where nothing is said."""
    value = fields.integer(_NAME)
    if value is not None and abs(value) > MOST_URGENT:
        fields.fail(_NAME, f"a whole number from -{MOST_URGENT} to {MOST_URGENT} was expected, got {value}")
    return value
