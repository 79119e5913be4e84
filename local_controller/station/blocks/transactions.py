"""Which transactions run, and on which EVSE? (functional block E)"""

from __future__ import annotations

from collections.abc import Collection

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import CALLRESULT, Frame
from local_controller.station.block import UNCHANGED, Block, BlockEffect, Wanted
from local_controller.station.blocks.metering import Metering
from local_controller.station.dialects.base import Dialect, EventType, TransactionEvent
from local_controller.station.dialects.reading import Fields
from local_controller.station.effects import Note, Peer, Tell
from local_controller.station.state import StationState
from local_controller.station.transaction import Transaction
from local_controller.station.words import (
    Authorized,
    ExpectationOver,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)

LONGEST_WAIT_S = 7 * 86_400.0
"""A message that waited for longer has no credible time stamp: then a transaction counts from when we hear of it."""

_STATION, _ENDED = Peer.STATION, EventType.ENDED


class Transactions(Block):
    """Reads StartTransaction with its answer, StopTransaction and TransactionEvent; MeterValues of 1.6 name one too."""

    called_only = frozenset({"MeterValues", "StopTransaction", "TransactionEvent"})
    observe_only = frozenset({"StartTransaction"})

    def __init__(self, state: StationState, dialect: Dialect, evses: Collection[int], metering: Metering) -> None:
        """Keeps the transactions of `state`, on these EVSEs: a station that invents others must not fill our memory.

        What was measured before a change is told before it.
        """
        self._state = state
        self._dialect = dialect
        self._evses = tuple(evses)
        self._metering = metering

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:
        """Follows what the station says by itself."""
        if sender is not _STATION:
            return UNCHANGED
        event = self._dialect.transaction_event_of(call)
        return UNCHANGED if event is None else self._follow(event, call, now)

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> Wanted:
        """Follows what only the answer completes: the CSMS of 1.6 gives the id."""
        if sender is not _STATION or call.action is None or answer is None or answer.message_type != CALLRESULT:
            return UNCHANGED
        event = self._dialect.transaction_answered(call.action, call.payload, answer.payload)
        return UNCHANGED if event is None else self._follow(event, call, now)

    def _follow(self, event: TransactionEvent, call: Frame, now: Instant) -> Wanted:
        here = None if event.evse is None else self._state.transactions.get(event.evse)
        if here is not None and here.goes_on(event) and self._state.expected.is_empty:
            return UNCHANGED
        named = self._named(event)
        if event.type is _ENDED:
            self._state.ended_unseen(event.transaction_id)
            return self._end_named(named, call, now) if named else UNCHANGED
        known = named[0] if named else None
        if known is None or self._is_another(event, known):
            return self._start(event, call, now)
        told = [*self._identified(event, known), *self._no_longer_expected(event, known)]
        if event.charging_state is None or event.charging_state is known.charging_state:
            return told or UNCHANGED
        known.charging_state = event.charging_state
        updated = Tell(TransactionUpdated(known.evse, known.transaction_id, event.charging_state))
        return [*told, *self._metering.before(known.evse, now), updated]

    def _identified(self, event: TransactionEvent, known: Transaction) -> list[BlockEffect]:
        """Whose it is, and which request of the CSMS it answers, may become known after it began."""
        if event.id_token is None and event.remote_start_id is None:
            return []
        is_news = known.id_token is None and event.id_token is not None
        known.id_token = known.id_token or event.id_token
        known.remote_start_id = known.remote_start_id or event.remote_start_id
        self._state.revision += 1
        return [Tell(Authorized(known.evse, known.transaction_id, known.id_token or ""))] if is_news else []

    def _no_longer_expected(self, event: TransactionEvent, here: Transaction) -> list[BlockEffect]:
        """A reservation or a remote start led to it, or its place is taken."""
        return [
            Tell(ExpectationOver(one.evse, one.key)) for one in self._state.expected.met(here, event.reservation_id)
        ]

    def _named(self, event: TransactionEvent) -> list[Transaction]:
        """The running ones with this id: that of its EVSE if it names one, else all; some CSMSs of 1.6 give the same id twice."""
        same = [known for known in self._state.transactions.values() if known.transaction_id == event.transaction_id]
        return [known for known in same if known.evse == event.evse] or same

    def _is_another(self, event: TransactionEvent, known: Transaction) -> bool:
        """Whether an id that runs elsewhere is told of this EVSE: it begins there, or nothing is known to run there."""
        if event.evse is None or event.evse == known.evse:
            return False
        return event.type is EventType.STARTED or event.evse not in self._state.transactions

    def _end_named(self, named: list[Transaction], call: Frame, now: Instant) -> list[BlockEffect]:
        """StopTransaction names no connector: of several with its id each may be meant.

        None counts as running then, under whatever was written to it; the one that goes on is found by its next MeterValues.
        """
        told: list[BlockEffect] = []
        for transaction in named:
            told += self._end(transaction, self._told_at(call, now), now, for_good=len(named) == 1)
        if len(named) > 1:
            where = sorted(transaction.evse for transaction in named)
            told.append(Note("warning", "transaction_id_used_twice", {"evses": where}))
        return told

    def _start(self, event: TransactionEvent, call: Frame, now: Instant) -> list[BlockEffect]:
        """Also a transaction that began unseen: its first event that tells the EVSE starts it for us."""
        if event.transaction_id in self._state.ended and event.type is not EventType.STARTED:
            return []
        evse = self._evse_of(event)
        if evse is None:
            return [Note("warning", "transaction_without_evse", {"transaction_id": event.transaction_id})]
        if evse not in self._evses:
            return [Note("warning", "transaction_on_unknown_evse", {"evse": evse})]
        effects: list[BlockEffect] = []
        if (old := self._state.transactions.get(evse)) is not None:
            effects += self._end(old, now, now, for_good=True)
        is_found = event.type is not EventType.STARTED
        if not is_found and event.transaction_id in self._state.ended:
            self._state.ended.remove(event.transaction_id)
        begun = self._found_at(evse, event, now) if is_found else self._told_at(call, now)
        started = Transaction(
            evse, event.transaction_id, begun, event.id_token, event.remote_start_id, event.charging_state
        )
        started.is_found = is_found
        self._state.transactions[evse] = started
        self._state.revision += 1
        effects += self._no_longer_expected(event, started)
        effects.append(Tell(TransactionStarted(evse, event.transaction_id, event.id_token, is_found, now.since(begun))))
        if event.charging_state is not None:
            effects.append(Tell(TransactionUpdated(evse, event.transaction_id, event.charging_state)))
        return effects

    def _found_at(self, evse: int, event: TransactionEvent, now: Instant) -> Instant:
        """When it began, if an earlier run has seen that: Relative profiles count from then."""
        earlier = self._state.awaited.get(evse)
        if earlier is None or earlier.transaction_id != event.transaction_id:
            return now
        return now.after(min(0.0, (earlier.started - self._state.station_time(now)).total_seconds()))

    def _told_at(self, call: Frame, now: Instant) -> Instant:
        """When that was by the station's own time stamp, which may have waited for a connection (K01.FR.42)."""
        try:
            stamped = Fields(str(call.action), call.payload).moment("timestamp")
        except PayloadError:
            return now
        age_s = 0.0 if stamped is None else (self._state.station_time(now) - stamped).total_seconds()
        return now.after(-age_s) if 0.0 < age_s <= LONGEST_WAIT_S else now

    def _evse_of(self, event: TransactionEvent) -> int | None:
        """Only the first event of a transaction must name its EVSE (E01); where there is one, there is no doubt."""
        if event.evse is not None or len(self._evses) != 1:
            return event.evse
        return next(iter(self._evses))

    def _end(self, transaction: Transaction, at: Instant, now: Instant, *, for_good: bool) -> list[BlockEffect]:
        """at: when it ended. for_good: later messages with its id do not bring it back."""
        measured = self._metering.before(transaction.evse, now)
        del self._state.transactions[transaction.evse]
        self._state.revision += 1
        if for_good:
            self._state.ended.append(transaction.transaction_id)
        return [*measured, Tell(TransactionEnded(transaction.evse, transaction.transaction_id, now.since(at)))]
