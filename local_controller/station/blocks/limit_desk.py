"""What do all share who tell a station its limits?"""

from __future__ import annotations

from collections.abc import Iterable

from local_controller.clock import Instant
from local_controller.profiles.units import RateUnit
from local_controller.station.blocks.actuator import settable_a
from local_controller.station.blocks.allowances import Allowances
from local_controller.station.blocks.carried_over import CarriedOver
from local_controller.station.blocks.evse_limits import EvseLimits
from local_controller.station.blocks.floor_trial import FloorTrials
from local_controller.station.blocks.limit_call import LimitCall
from local_controller.station.blocks.maximum_meaning import MaximumMeaning
from local_controller.station.blocks.next_write import NextWrite
from local_controller.station.blocks.own_maximum import OwnMaximum
from local_controller.station.blocks.push import Push
from local_controller.station.blocks.trials import Trials
from local_controller.station.capability import Rung
from local_controller.station.dialects.base import Dialect
from local_controller.station.effects import Tell
from local_controller.station.state import StationState
from local_controller.station.words import LimitAnswered, LimitKind, LimitOutcome


class LimitDesk:
    """One station's EVSEs with what is known of their limits and of the ways to tell them, and the words for the site."""

    def __init__(
        self, state: StationState, allowances: Allowances, dialect: Dialect, evses: Iterable[int], fallback_a: float
    ) -> None:
        """Until told otherwise every EVSE has the floor `fallback_a`, or a lower one of an earlier connection."""
        self.state = state
        self.dialect = dialect
        self.evses = {
            number: EvseLimits(number, state.carried_over.setdefault(number, CarriedOver(fallback_a)))
            for number in evses
        }
        for e in self.evses.values():
            e.fallback_a = min(e.fallback_a, fallback_a)
        self.trials = Trials()
        self.next = NextWrite(state, allowances, self.evses, self.trials)
        self.floor_trials = FloorTrials(state, self.evses, self.trials)
        self.calls = LimitCall(state, dialect)
        self.maximum = OwnMaximum(state)
        self.shared_maximum = MaximumMeaning(state)

    def concerned(self, e: EvseLimits, rung: Rung) -> list[EvseLimits]:
        """The EVSEs for which it holds what is told this one that way."""
        return list(self.evses.values()) if self.next.is_shared(rung) else [e]

    # --- telling the site ------------------------------------------------------------------------------------------

    @staticmethod
    def tell(e: EvseLimits, kind: LimitKind, outcome: LimitOutcome, limit_a: float, detail: str = "") -> Tell:
        """What became of a limit that the site wanted."""
        if kind is LimitKind.FALLBACK:  # whoever was told no wants to know when the floor is right after all
            e.is_floor_asked = outcome is not LimitOutcome.ACCEPTED
        return Tell(LimitAnswered(e.number, kind, outcome, limit_a, detail))

    def tell_of(
        self, e: EvseLimits, push: Push, outcome: LimitOutcome, now: Instant, *, limit_a: float | None = None
    ) -> Tell:
        """What became of a CALL, and for how long the station obeys it."""
        told_a = push.limit_a if limit_a is None else limit_a
        if push.target.kind is LimitKind.FALLBACK and outcome is LimitOutcome.ACCEPTED:
            e.is_floor_asked = False
        phases = push.phases_at(self.state.station_time(now))
        return Tell(LimitAnswered(e.number, push.target.kind, outcome, told_a, "", push.lasts_s(now), None, phases))

    def told_floor_a(self, e: EvseLimits, floor_a: float) -> float:
        """What a floor means that the station took the way it was given: rounded to what it can be set to."""
        unit = RateUnit.A if e.floor_rung is None else e.floor_rung.unit
        return settable_a(floor_a, self.state.capability, unit)
