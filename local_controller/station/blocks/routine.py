"""Which messages are of no use to anybody before the next ones come?

A station that sends many says with nearly each of them that its transaction goes on, and brings a sample that is not read yet
(`unread.py`). Nobody else learns anything from such a message, nor from an empty answer to it: so it is not shown to the other blocks.
They see one of these at least after each pause, and each that says anything else.
"""

from __future__ import annotations

from local_controller.clock import Instant
from local_controller.rpc.frame import Frame
from local_controller.station.block import ROUTINE, ROUTINE_SOONER, UNCHANGED, Block, Wanted
from local_controller.station.blocks.unread import Unread, was_read_lately
from local_controller.station.dialects.base import Dialect
from local_controller.station.effects import Peer
from local_controller.station.state import StationState
from local_controller.station.transaction import Transaction

_STATION = Peer.STATION


class Routine(Block):
    """Stands before all blocks, so that what it adds to what is `unread` is not shown to them."""

    called_only = frozenset({"MeterValues", "TransactionEvent"})

    def __init__(self, state: StationState, dialect: Dialect, unread: Unread) -> None:
        """The first message is nobody's routine."""
        self._state = state
        self._dialect = dialect
        self._unread = unread
        self._seen = -1  # the state's revision when the others were shown a message last

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:
        """Keeps what may wait, and shows the others what they have to see."""
        transaction = self._read_lately(call, now) if sender is _STATION and self._is_as_seen() else None
        if transaction is None:
            self._seen = self._state.revision
            return UNCHANGED
        return ROUTINE_SOONER if self._unread.keep(transaction, call, now) else ROUTINE

    def _is_as_seen(self) -> bool:
        """Whether the others have nothing to catch up with, and wait for no answer that shows that the station is accepted."""
        state = self._state
        return state.revision == self._seen and state.answered and not state.is_verdict_old and state.expected.is_empty

    def _read_lately(self, call: Frame, now: Instant) -> Transaction | None:
        """The transaction that goes on by this message, if its samples were read a moment ago."""
        head = self._dialect.meter_head_of(call)
        if head is None or not head.may_wait:
            return None
        here = self._state.running(head.evse, head.transaction_id)
        if here is None or not was_read_lately(here, call, now):
            return None
        return here if head.event is None or here.goes_on(head.event) else None
