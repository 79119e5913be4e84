"""A car stays at the floor although more was accepted: which other way is tried once, and when?

The floor is obeyed, so its unit, kind and stack level have an effect. What may have none is the TxProfile above it.
"""

from __future__ import annotations

from collections.abc import Mapping

from local_controller.clock import Instant
from local_controller.station.at_floor import ABOVE_A, AtFloor
from local_controller.station.block import BlockEffect
from local_controller.station.blocks.carried_over import FloorTrial
from local_controller.station.blocks.evse_limits import EvseLimits
from local_controller.station.blocks.obedience import LEAST_SETTLE_S
from local_controller.station.blocks.push import Push
from local_controller.station.blocks.trials import Trials
from local_controller.station.capability import Rung
from local_controller.station.effects import Note
from local_controller.station.empty import EMPTY
from local_controller.station.knowledge import Actuator
from local_controller.station.state import StationState
from local_controller.station.words import LimitKind

PAUSE_S = 900.0
"""From one trial of a station to the next; in one transaction there is one at most."""


class FloorTrials:
    """The trials of one station, one at a time."""

    def __init__(self, state: StationState, evses: Mapping[int, EvseLimits], trials: Trials) -> None:
        """Nothing is known to have an effect yet."""
        self._state = state
        self._evses = evses
        self._trials = trials
        self._effective: frozenset[Rung] = EMPTY

    def watch(self, e: EvseLimits, now: Instant) -> None:
        """The station said yes to a limit: do its samples show anything above the floor?"""
        transaction, held = self._state.transactions.get(e.number), e.held
        trial = self.open_trial(e)
        if transaction is None or held is None or (trial is not None and held.rung != trial.other):
            return
        floor_a, latest = e.held_fallback_a, e.carried.trial
        is_known = held.rung in self._effective or (
            trial is None and latest is not None and latest.transaction_id == e.transaction_id
        )
        if is_known or floor_a is None or held.limit_a < floor_a + ABOVE_A:
            transaction.at_floor = None
        elif (seen := transaction.at_floor) is None or (seen.way, seen.floor_a) != (held.rung, floor_a):
            from_s = now.monotonic_s + max(self._state.capability.settle_s, LEAST_SETTLE_S)
            transaction.at_floor = AtFloor(held.rung, floor_a, from_s)

    def has_news(self) -> bool:
        """Whether the samples of a transaction have said enough."""
        return any(self._seen(e) is not None for e in self._evses.values())

    def judge(self, now: Instant) -> list[BlockEffect]:
        """Begins a trial where a car stays at the floor, and ends one whose effect is known."""
        notes: list[BlockEffect] = []
        for e in self._evses.values():
            if e.push is None and (seen := self._seen(e)) is not None:
                self._state.transactions[e.number].at_floor = None
                notes += self._judge(e, seen, now)
                self.watch(e, now)
        return notes

    def _seen(self, e: EvseLimits) -> AtFloor | None:
        transaction = self._state.transactions.get(e.number)
        seen = None if transaction is None else transaction.at_floor
        return seen if seen is not None and seen.is_settled else None

    def _judge(self, e: EvseLimits, seen: AtFloor, now: Instant) -> list[BlockEffect]:
        held, trial = e.held, self.open_trial(e)
        if held is None or held.rung != seen.way:
            return []
        if seen.follows:
            self._effective |= {held.rung}
            if trial is None:
                return []
            trial.is_open = False
            return [_note(e, held, "limit_has_effect_now", before=str(trial.before))]
        if trial is not None:
            self.give_up(e, now)
            return [_note(e, held, "car_takes_no_more", before=str(trial.before))]
        return self._begin(e, held, now)

    def _begin(self, e: EvseLimits, held: Push, now: Instant) -> list[BlockEffect]:
        other = self._other_way(e, held, now)
        if other is None or not self._may_begin(e, now):
            return []
        e.carried.trial = FloorTrial(e.transaction_id, held.rung, other, now.monotonic_s)
        self._state.capability = self._state.capability.trying(other)
        e.repeats = True
        return [_note(e, held, "stays_at_fallback", other=str(other))]

    def _may_begin(self, e: EvseLimits, now: Instant) -> bool:
        """One trial per transaction, one in a while, and nobody else is charging on this station meanwhile."""
        if any(one is not e and one.number in self._state.transactions for one in self._evses.values()):
            return False
        known = [one.carried.trial for one in self._evses.values() if one.carried.trial is not None]
        return all(now.monotonic_s - trial.since_s >= PAUSE_S for trial in known)

    def _other_way(self, e: EvseLimits, held: Push, now: Instant) -> Rung | None:
        """What is like the floor that is obeyed: a TxProfile again, or one profile for both.

        Nothing else: a station maximum would hide the floor, and a key of the maker holds for ever.
        """
        floor, capability = e.floor_rung, self._state.capability
        if floor is None or held.rung.actuator is not Actuator.TX_PROFILE or capability.writes_per_day is not None:
            return None
        candidates = [
            rung
            for rung in capability.working_rungs()
            if rung.actuator in _TRIED and rung.is_like(floor) and rung not in {held.rung, *capability.disobeyed}
        ]
        at_place = [rung for rung in candidates if rung.place in {held.rung.place, floor.place}]
        return self._trials.other(LimitKind.WORKING, at_place, now.monotonic_s)

    # --- while a trial runs --------------------------------------------------------------------------------------

    @staticmethod
    def open_trial(e: EvseLimits) -> FloorTrial | None:
        """The trial that is under way."""
        trial = e.carried.trial
        return trial if trial is not None and trial.is_open else None

    def way_of_reduction(self, e: EvseLimits) -> Rung | None:
        """A TxProfile beats the other way while it runs: so it is lowered first, and then the other way."""
        trial = self.open_trial(e)
        return trial.before if trial is not None and trial.other.holds_floor else None

    def is_half_told(self, e: EvseLimits, push: Push) -> bool:
        """Whether that told a reduction the way before only."""
        trial = self.open_trial(e)
        return trial is not None and trial.other.holds_floor and push.is_reduction and push.rung == trial.before

    def give_up(self, e: EvseLimits, now: Instant) -> None:
        """The way before is used again, and whatever was told the other way is told in that."""
        trial = self.open_trial(e)
        if trial is None:
            return
        trial.is_open = False
        if self._state.capability.works == trial.other:
            self._state.capability = self._state.capability.accepted(trial.before, is_floor=False, at=now.utc)
        for one in self._evses.values():
            if one.held is not None and one.held.rung == trial.other:
                one.held = None
                if trial.other.holds_floor:
                    one.held_fallback_a = None

    def disobeyed(self, e: EvseLimits) -> None:
        """It draws more than it may: that leads on by itself."""
        if (trial := self.open_trial(e)) is not None:
            trial.is_open = False

    def refused(self, e: EvseLimits, rung: Rung, now: Instant) -> None:
        """The station does not take the other way, or says nothing: what held is told once more."""
        trial = self.open_trial(e)
        if trial is not None and rung == trial.other:
            self.give_up(e, now)
            e.held = None


_TRIED = frozenset({Actuator.TX_PROFILE, Actuator.TX_DEFAULT})


def _note(e: EvseLimits, held: Push, event: str, **more: str) -> Note:
    return Note("warning", event, {"evse": e.number, "limit_a": round(held.limit_a, 1), "way": str(held.rung)} | more)
