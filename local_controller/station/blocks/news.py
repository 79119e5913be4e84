"""What must the site know about a station's profiles that it was not told yet?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from local_controller.clock import Instant
from local_controller.profiles.least import least_a
from local_controller.profiles.schedule import Schedule
from local_controller.profiles.units import round_up
from local_controller.station.announcements import CapabilityLearnt
from local_controller.station.block import BlockEffect
from local_controller.station.blocks.actuator import FORESIGHT, settable_a
from local_controller.station.blocks.allowances import ALL, Allowances
from local_controller.station.blocks.write_budget import lasting_s
from local_controller.station.capability import Capability
from local_controller.station.dialects.shared import LIMIT_STEP
from local_controller.station.effects import CsmsLimitChanged, Tell
from local_controller.station.evse_context import context_of, watts_context_of
from local_controller.station.knowledge import Loss
from local_controller.station.remembered import Remembered
from local_controller.station.remembering import worth_keeping
from local_controller.station.shown_values import sample_interval
from local_controller.station.state import StationState
from local_controller.station.words import BehaviourLearnt, UnitLearnt

_NOTHING_LEARNT = BehaviourLearnt()


class News:
    """The unit in use, and what the CSMS allows within the next day, and wants at least; each is told when it changes."""

    def __init__(self, state: StationState, allowances: Allowances, evses: Sequence[int]) -> None:
        """Nothing is told yet."""
        self._state = state
        self._allowances = allowances
        self._evses = evses
        self._told: dict[int, _Told] = {}
        self._told_unit: str | None = None
        self._told_capability: Capability | None = None
        self._told_behaviour = _NOTHING_LEARNT
        self._told_known: tuple[object, ...] = ()
        self._remembered: Remembered | None = None

    def forget(self) -> None:
        """What the CSMS allows is told again, whether or not it has changed."""
        self._told.clear()

    def latest(self, now: Instant) -> list[BlockEffect]:
        """What has changed."""
        effects: list[BlockEffect] = []
        unit = self._state.capability.unit_in_use
        if unit is not None and unit != self._told_unit:
            self._told_unit = unit
            effects.append(Tell(UnitLearnt(unit.value)))
        if self._state.capability is not self._told_capability:
            effects += self._behaviour()
        effects += self._experience(now)
        start = self._state.station_time(now)
        end = start + FORESIGHT
        for evse in self._evses:
            in_watts = self._state.capability.tells_watts(len(self._evses))
            limit = self._allowances.allowed(ALL, evse, start, end, in_watts=in_watts).limit
            told = self._told.get(evse)
            if told is not None and told.limit is limit:
                continue
            context = (watts_context_of if in_watts else context_of)(self._state, evse)
            wanted_a = least_a(self._state.store.installed, context, start)
            if told is not None and told.least_a == wanted_a and told.is_like(limit, start):
                self._told[evse] = told._replace(limit=limit)
                continue
            self._told[evse] = _Told(limit, end, wanted_a)
            told_limit = limit if limit.is_unlimited else self._in_our_time(limit.clipped(start, end))
            effects.append(Tell(CsmsLimitChanged(evse, _in_tenths(told_limit) if in_watts else told_limit, wanted_a)))
        return effects

    def _behaviour(self) -> list[BlockEffect]:
        """What the site must reckon with."""
        self._told_capability = capability = self._state.capability
        before, forgets = self._told_behaviour, Loss.DISCONNECT in capability.forgets
        self._told_behaviour = BehaviourLearnt(
            capability.settle_s,
            settable_a(0.0, capability),
            forgets,
            lasting_s(capability),
            capability.min_interval_s,
            capability.switching(len(self._evses), self._state.version),
        )
        return [] if self._told_behaviour == before else [Tell(self._told_behaviour)]

    def _experience(self, now: Instant) -> list[BlockEffect]:
        """What was learnt by telling it limits, and what the CSMS thinks of it and of its transactions."""
        state = self._state
        shown = state.shown.kept(sample_interval(state.version))
        priorities = tuple(state.priorities.of_transactions.items())
        csms = (state.registration, state.boot_interval_s, state.csms_ahead_s)
        known = (state.capability, state.who, csms, state.writes.due_s, shown, priorities)
        is_nothing = state.registration is None and state.capability.works is None and state.capability.holds is None
        if known == self._told_known or is_nothing:
            return []
        self._told_known = known
        before, self._remembered = (
            self._remembered,
            worth_keeping(state, now),
        )
        return [] if self._remembered == before else [Tell(CapabilityLearnt(self._remembered))]

    def _in_our_time(self, schedule: Schedule) -> Schedule:
        if self._state.csms_ahead_s == 0.0:
            return schedule
        return Schedule(tuple((self._state.to_our_time(moment), limit_a) for moment, limit_a in schedule.steps))


def _in_tenths(limit: Schedule) -> Schedule:
    """Rounded up to what the site orders: what is written is never more than the watts, which are no whole tenths."""
    return Schedule(
        tuple((at, None if limit_a is None else round_up(limit_a, LIMIT_STEP)) for at, limit_a in limit.steps)
    )


class _Told(NamedTuple):
    """The limit that was told last, as far as `until`; what follows is told at the next review."""

    limit: Schedule
    until: datetime
    least_a: float

    def is_like(self, limit: Schedule, start: datetime) -> bool:
        """Whether a limit says the same from `start` on."""
        return self.limit.clipped(start, self.until) == limit.clipped(start, self.until)
