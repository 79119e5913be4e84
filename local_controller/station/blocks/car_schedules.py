"""What does a car of ISO 15118 negotiate, and when may it be told something new? (K15 to K20, LC-114)

Such a car gets a schedule, and each change of it is negotiated anew (K16.FR.02). So what is no reduction waits: for the
schedule that the CSMS owes the car after NotifyEVChargingNeeds, at most its 60 s, and from one change to the next. A car
in dynamic control mode takes each limit as it comes.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from local_controller.clock import Instant
from local_controller.rpc.frame import Frame
from local_controller.station.capability import Capability
from local_controller.station.dialects.base import Payload
from local_controller.station.dialects.reading import Fields
from local_controller.station.state import StationState
from local_controller.station.transaction import CarNeeds, Transaction

NEEDS: Final = "NotifyEVChargingNeeds"

WINDOW_S: Final = 60.0
"""So long may the CSMS take for its TxProfile (K15); what we wrote meanwhile would be taken for it."""

RENEGOTIATION_S: Final = 120.0
"""From one change to the next: a negotiation may take the 60 s of ISO 15118's sequence timeout, and the car is to charge
in between. The site renews its limits more seldom than that."""

_NOTHING_COMES: Final = frozenset({"rejected", "nochargingprofile"})


def needs_told(state: StationState, call: Frame, now: Instant) -> None:
    """NotifyEVChargingNeeds: the car of this transaction speaks ISO 15118."""
    fields = Fields(NEEDS, call.payload)
    evse, wanted = fields.integer("evseId"), fields.child("chargingNeeds")
    transaction = None if evse is None else state.transactions.get(evse)
    if transaction is not None:
        is_dynamic = wanted is not None and (wanted.text("controlMode") or "").lower() == "dynamiccontrol"
        tuples = fields.integer("maxScheduleTuples")
        transaction.needs = CarNeeds(now.monotonic_s, tuples if tuples and tuples > 0 else None, is_dynamic)
        transaction.written_s = -math.inf


def needs_answered(state: StationState, call: Frame, answer: Payload) -> None:
    """The CSMS's answer: a schedule will come, or none, and then nobody waits for one."""
    evse = Fields(NEEDS, call.payload).integer("evseId")
    transaction = None if evse is None else state.transactions.get(evse)
    if transaction is not None and (Fields(NEEDS, answer).text("status") or "").lower() in _NOTHING_COMES:
        no_longer_owed(transaction)


def no_longer_owed(transaction: Transaction | None) -> None:
    """The CSMS's schedule is there, or will not come: the car is told at once what follows."""
    if transaction is not None and transaction.needs is not None:
        transaction.needs = replace(transaction.needs, is_answered=True)
        transaction.written_s = -math.inf


def may_write_at_s(transaction: Transaction | None, now_s: float) -> float:
    """When what is no reduction may be written, at the earliest now."""
    needs = None if transaction is None else transaction.needs
    if transaction is None or needs is None or needs.is_dynamic:
        return now_s
    if not needs.is_answered and now_s < needs.told_s + WINDOW_S:
        return needs.told_s + WINDOW_S
    return max(now_s, transaction.written_s + RENEGOTIATION_S)


def within(capability: Capability, transaction: Transaction | None) -> Capability:
    """What a schedule for this car may have: no more periods than it says (maxScheduleTuples)."""
    most = None if transaction is None or transaction.needs is None else transaction.needs.max_periods
    return capability if most is None else replace(capability, max_periods=min(capability.max_periods, most))
