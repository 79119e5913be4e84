"""When does a transaction follow the CSMS's PriorityCharging profile? (2.1 K21, K22)

The profile lives in the store, so that it never lifts the site's limit. It leads from when the CSMS, or a driver at the
station, has asked for it, until it is taken back or the transaction ends.
"""

from __future__ import annotations

from local_controller.clock import Instant
from local_controller.profiles.profile import Purpose
from local_controller.rpc.frame import Frame
from local_controller.station.block import BlockEffect
from local_controller.station.blocks.applying import Applying, Change
from local_controller.station.blocks.profile_desk import ProfileDesk
from local_controller.station.dialects.reading import Fields
from local_controller.station.effects import Tell
from local_controller.station.transaction import Transaction
from local_controller.station.words import DelayWaived

USE = "UsePriorityCharging"
NOTIFY = "NotifyPriorityCharging"


class PriorityCharging:
    """Who may charge first."""

    def __init__(self, desk: ProfileDesk, applying: Applying) -> None:
        """Nobody yet."""
        self._desk = desk
        self._applying = applying

    def asked(self, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """UsePriorityCharging of the CSMS (K21); None lets it pass: a station that knows no priority says so itself."""
        state = self._desk.state
        if Purpose.PRIORITY_CHARGING in state.said.lacks.purposes:
            return None
        fields = Fields(USE, frame.payload)
        transaction, wanted = state.transaction(fields.need_text("transactionId")), fields.flag("activate")
        if transaction is None:
            return [self._desk.answer(frame.message_id, "Rejected")]
        if not self._has_profile(transaction.evse):
            return [self._desk.answer(frame.message_id, "NoProfile")]
        before, transaction.has_priority = transaction.has_priority, wanted

        def undo() -> None:
            transaction.has_priority = before

        change = Change(frame.message_id, (transaction.evse,), undo, (Tell(delay_waived(transaction)),))
        return self._applying.begin(change, now)

    def _has_profile(self, evse: int) -> bool:
        """Whether there is one, be it that it is not valid yet: then it leads from when it is."""
        virtual = self._desk.state.store.virtual()
        return any(one.purpose is Purpose.PRIORITY_CHARGING and place in {0, evse} for place, one in virtual)

    def notified(self, call: Frame) -> Transaction | None:
        """NotifyPriorityCharging: a driver has asked for it at the station, or no longer does (K22)."""
        fields = Fields(NOTIFY, call.payload)
        transaction = self._desk.state.transaction(fields.need_text("transactionId"))
        if transaction is not None:
            transaction.has_priority = fields.flag("activated")
        return transaction


def delay_waived(transaction: Transaction) -> DelayWaived:
    """Who charges first does not wait for a random delay of the site either."""
    return DelayWaived(transaction.evse, transaction.transaction_id, is_waived=transaction.has_priority)
