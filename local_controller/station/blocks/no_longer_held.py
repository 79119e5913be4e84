"""What does a station no longer hold as it was written, though it was asked nothing since?"""

from __future__ import annotations

from local_controller.clock import Instant
from local_controller.profiles.units import RateUnit
from local_controller.station.block import BlockEffect, Withdraw
from local_controller.station.blocks.evse_limits import EvseLimits
from local_controller.station.blocks.limit_desk import LimitDesk
from local_controller.station.blocks.obedience import Obedience
from local_controller.station.blocks.push import NEVER, Push
from local_controller.station.effects import Peer
from local_controller.station.knowledge import Actuator


def forget(desk: LimitDesk, now: Instant) -> list[BlockEffect]:
    """A new connection or a reboot: everything is written again (LC-041, LC-042), and nothing old is sent any more."""
    waiting = [e.push for e in desk.evses.values() if e.push is not None and not e.is_sent]
    for e in desk.evses.values():
        desk.floor_trials.give_up(e, now)
        e.forget()
    return [Withdraw(Peer.STATION, push) for push in waiting]


def follow_transactions(desk: LimitDesk, now: Instant) -> list[int]:
    """Notices which EVSEs have another transaction than before (or none), and drops what belonged to the old one."""
    changed = []
    for e in desk.evses.values():
        transaction = desk.state.transactions.get(e.number)
        current = None if transaction is None else transaction.transaction_id
        if current != e.transaction_id:
            if e.held is not None and e.held.rung.actuator is not Actuator.TX_PROFILE:
                _outlives(desk, e, e.held)
            desk.floor_trials.give_up(e, now)
            e.carried.transaction_id, e.wish, e.held, e.possible = current, None, None, ()
            e.retry_s, e.repeats, e.obedience, e.refused_floor_a = {}, False, Obedience(), None
            e.carried.is_unsure = transaction is not None and transaction.is_found
            changed.append(e.number)
    return changed


def _outlives(desk: LimitDesk, e: EvseLimits, held: Push) -> None:
    """That profile or setting outlives the transaction: it is written again, where others need it as theirs."""
    for one in desk.concerned(e, held.rung):
        one.held_fallback_a = None
        if one is not e and one.held is not None and one.held.rung == held.rung:
            one.held = None


def set_back(desk: LimitDesk) -> None:
    """The station's clock was: what is to end at an instant ends later, or begins again."""
    for e in desk.evses.values():
        if e.held is not None and e.held.ends != NEVER:
            if e.held.rung.holds_floor:  # then the floor is what comes after it in the same profile
                e.held_fallback_a = None
            e.carried.is_unsure, e.held = True, None


def follow_unit(desk: LimitDesk, unit: RateUnit) -> None:
    """The station says that it takes this unit alone: what it accepted in another one may be without effect."""
    for e in desk.evses.values():
        if e.floor_rung is not None and e.floor_rung.unit is not unit:
            e.held_fallback_a = None
        if e.held is not None and e.held.rung.unit is not unit:
            e.held = None
