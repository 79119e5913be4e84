"""How is the site just now put as a question to the optimizer?

The plan looks hours ahead and is made in a worker, which also builds the problem: at 500 cars that alone would hold up
the event loop for 20 ms. Between two plans every reading scales it down to what is left at this moment by max-min fair
shares, so that safety never waits for a solver.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from local_controller.clock import Instant
from local_controller.profiles.schedule import Schedule
from local_controller.profiles.units import NOMINAL_VOLTAGE_V
from local_controller.site.capacity import Capacity
from local_controller.site.car_schedules import Draws, highest_a
from local_controller.site.evse import EvseState
from local_controller.site.per_phase import PHASES, PerPhase, minus
from local_controller.site.wishes import ChargingMode
from local_controller.site.worst_case import PRESENT_S
from optimizer.habits import Guess
from optimizer.objectives import Weights, weights_of
from optimizer.problem import (
    DEFAULT_ENERGY_WH,
    ChargingNeed,
    CircuitLimit,
    Horizon,
    Problem,
    Tariff,
    variable_horizon,
)
from optimizer.worth import FIRM

PRESENT = Horizon((0.0, PRESENT_S))
"""The horizon of a share: just now. Its length does not matter to an answer that ignores energies."""

BY_PRICE: Final = "cost"
"""The objective that looks at prices, a key of `optimizer.objectives.OBJECTIVES`."""

BY_WISHES: Final = "throughput"
"""The objective that is told how wishes spread, and not only their median.

On crowded days of `tests/scenarios/test_learnt_habits.py` (43 and 73 A, wishes all alike and spread) the cars got 90 instead of 83 % with
that, `fair` 91 instead of 93 %, and `even` 87 % either way, but less where all wishes are alike."""

SURELY_THERE: Final = 0.9
"""So likely a car must still be there in an hour for which it waits: of thirty like it that stayed longer, with a bit of doubt."""

SOON: Final = 1 - 1.25 / FIRM
"""What a car that does not charge by prices loses of a block's worth to the next: more than all that hours differ by in price."""

LAST: Final = 1.0 / FIRM
"""What surplus is worth to a car that takes nothing else: less than what others lose by one block, for they take it first."""

STEP_A = 0.1
"""What 1.6 can say (multiples of 0.1 A), and what all versions are told."""


class Asking(NamedTuple):
    """One session that asks for current, in plain values: to a worker they are sent in microseconds.

    key: its name in the optimizer's words. path: the nodes that carry it. cap_a: what caps it just now. csms: what the
    CSMS's profiles allow, as POSIX seconds and amperes. line_v: as of `Evse`. expected_wh, presence, wishes_wh: as in
    `ChargingNeed`, by `site.learning`. mode: when its car charges, where there is a tariff. draws: what its car says it draws,
    by `site.car_schedules`. arrival_s, priority, stayed_s: as in `ChargingNeed`.
    """

    key: str
    path: tuple[str, ...]
    phases: tuple[int, ...]
    min_a: float
    cap_a: float
    evse_max_a: float
    present_a: float
    energy_wh: float | None
    departure_s: float | None
    served_wh: float
    csms: tuple[tuple[float, float | None], ...]
    line_v: float = NOMINAL_VOLTAGE_V
    expected_wh: float = DEFAULT_ENERGY_WH
    presence: tuple[float, ...] | None = None
    mode: ChargingMode = ChargingMode.NORMAL
    wishes_wh: tuple[float, ...] = ()
    draws: Draws = ()
    arrival_s: float | None = None
    priority: int = 0
    stayed_s: float = 0.0

    def with_guess(self, guess: Guess | None) -> Asking:
        """The same with what is expected of it; what was said (by driver, CSMS or site file) goes first."""
        if guess is None:
            return self
        presence = guess.presence if self.departure_s is None else None
        stayed_s = guess.stayed_s if self.departure_s is None else 0.0
        wishes_wh = guess.wishes_wh if self.energy_wh is None else ()
        return self._replace(expected_wh=guess.expected_wh, presence=presence, wishes_wh=wishes_wh, stayed_s=stayed_s)


def asking(state: EvseState, key: str, path: tuple[str, ...], cap_a: float, now: Instant) -> Asking:
    """What a session asks for, no more than `cap_a` at any time, and than its fallback where its station does not measure."""
    standing, departure = state.stand(now), None if state.session is None else state.session.departure
    cap_a = min(cap_a, standing.modest_a) if standing.is_modest else cap_a
    return Asking(
        key,
        path,
        standing.phases,
        standing.min_a,
        max(0.0, cap_a),
        state.evse.max_a,
        max(0.0, standing.ordered_a),
        None if standing.wanted_wh == math.inf else standing.wanted_wh,
        None if departure is None else (departure - now.utc).total_seconds(),
        max(0.0, state.session_energy_wh() or 0.0),
        state.csms_steps,
        state.evse.line_v,
        priority=state.priority,
    )


@dataclass(frozen=True, slots=True)
class Question:
    """The site at `at_s` (POSIX seconds): the capacities, what EVSEs that nobody controls may draw, and who asks.

    objective: what the plan is for, a key of `optimizer.objectives.OBJECTIVES`. tariff: what energy costs; None: it is all one.
    tapers: whether a battery was seen to take less and less. awaited: who is to come; only where prices count it makes a difference
    (`optimizer.newcomers`).
    """

    at_s: float
    horizon: Horizon
    capacities: tuple[Capacity, ...]
    reserved_a: Mapping[str, PerPhase]
    asking: Sequence[Asking]
    objective: str = "even"
    tariff: Tariff | None = None
    tapers: bool = False
    awaited: tuple[Asking, ...] = ()

    def weights(self) -> Weights:
        """What the plan is for, as weights: where departures or wishes are guesses, some other ones serve better."""
        guesses = any(one.presence is not None or one.wishes_wh for one in self.asking)
        return weights_of(self.objective, guesses=guesses, tapers=self.tapers)

    def problem(self) -> Problem:
        """The question in the optimizer's words."""
        circuits = tuple(circuit(c, self.reserved_a[c.node], self.horizon.blocks) for c in self.capacities)
        needs = tuple(
            self._waits(self._soon(need(one, self.horizon, self.at_s), one.mode), one.mode)
            for one in (*self.asking, *(self.awaited if self.objective == BY_PRICE else ()))
        )
        if self.objective != BY_WISHES:
            needs = tuple(replace(one, wishes_wh=()) if one.wishes_wh else one for one in needs)
        return Problem(self.horizon, circuits, needs, tariff=self.tariff)

    def _soon(self, asked: ChargingNeed, mode: ChargingMode) -> ChargingNeed:
        """A car that does not charge by prices has its energy as soon as possible: each block is worth less than the one before.

        Else it would wait while hours are dear, or while there is surplus for cars that cannot charge at other times.
        """
        if mode is ChargingMode.SURPLUS:
            return _worth(asked, (LAST,) * self.horizon.blocks)
        if mode is not ChargingMode.NORMAL or not (self._has_cheaper_blocks() or self._has_surplus_only):
            return asked
        return _worth(asked, [SOON**number for number in range(self.horizon.blocks)])

    @property
    def _has_surplus_only(self) -> bool:
        return any(one.mode is ChargingMode.SURPLUS for one in self.asking)

    def _waits(self, asked: ChargingNeed, mode: ChargingMode) -> ChargingNeed:
        """A car that charges by prices waits as long as it is as good as surely still there, instead of weighing each hour.

        Its energy is worth `FIRM` times what hours differ by: that it is there with 95 % instead of all would outweigh every price.
        """
        if mode is not ChargingMode.CHEAPEST or self.objective != BY_PRICE or asked.presence is None:
            return asked
        stays = next((n for n, likely in enumerate(asked.presence) if likely < SURELY_THERE), self.horizon.blocks)
        departure_s = None if stays == self.horizon.blocks else self.horizon.edges_s[max(stays, 1)]
        return replace(asked, presence=None, departure_s=departure_s)

    def _has_cheaper_blocks(self) -> bool:
        """Whether prices count and a kWh costs more in one block than in another; that a peak costs delays every car."""
        if self.tariff is None or self.objective != BY_PRICE:
            return False
        return len(set(self.tariff.import_per_kwh)) > 1 or any(self.tariff.surplus_w)


def _worth(need: ChargingNeed, worth: Sequence[float]) -> ChargingNeed:
    """The car, to which energy of a block is worth so much."""
    stays = need.presence or (1.0,) * len(worth)
    return replace(need, presence=tuple(likely * one for likely, one in zip(stays, worth, strict=True)))


def horizon_at(now: Instant) -> Horizon:
    """The plan's blocks, with their edges on the clock."""
    midnight = now.utc.replace(hour=0, minute=0, second=0, microsecond=0)
    return variable_horizon((now.utc - midnight).total_seconds())


def circuit(capacity: Capacity, reserved_a: PerPhase, blocks: int) -> CircuitLimit:
    """What a node leaves for the cars that ask."""
    available_a = minus(capacity.reckoned_a, reserved_a)
    l1, l2, l3 = (_less_reserved(capacity.sentence(phase), reserved_a[phase]) for phase in PHASES)
    sources = l1, l2, l3
    if (watts := capacity.together) is None:
        return CircuitLimit(capacity.node, capacity.label, (available_a,) * blocks, sources)
    reserved_together_a = sum(reserved_a)
    together_a = watts.reckoned_a - reserved_together_a
    source = _less_reserved(watts.sentence(), reserved_together_a)
    return CircuitLimit(capacity.node, capacity.label, (available_a,) * blocks, sources, (together_a,) * blocks, source)


def _less_reserved(sentence: str, reserved_a: float) -> str:
    if reserved_a <= 0:
        return sentence
    return f"{sentence} - {reserved_a:.1f} A reserved for EVSEs without a controlled session"


def need(one: Asking, horizon: Horizon, at_s: float) -> ChargingNeed:
    """One session in the optimizer's words."""
    return ChargingNeed(
        id=one.key,
        circuits=one.path,
        phases=one.phases,
        min_a=one.min_a,
        max_a=one.cap_a,
        step_a=STEP_A,
        energy_wh=one.energy_wh,
        departure_s=one.departure_s,
        ceiling_a=_ceilings(one, horizon, at_s) if one.csms or one.draws else None,
        present_a=one.present_a,
        voltage_v=one.line_v,
        served_wh=one.served_wh,
        expected_wh=one.expected_wh,
        presence=one.presence,
        stayed_s=one.stayed_s,
        wishes_wh=one.wishes_wh,
        surplus_only=one.mode is ChargingMode.SURPLUS,
        arrival_s=one.arrival_s,
        priority=one.priority,
    )


def _ceilings(one: Asking, horizon: Horizon, at_s: float) -> tuple[float, ...] | None:
    """The CSMS's limit in each block: its lowest value there, so that no instant exceeds it; or what the car says it draws at most.

    None: no constraint.
    """
    csms, at = (
        Schedule(tuple((datetime.fromtimestamp(s, UTC), a) for s, a in one.csms)),
        datetime.fromtimestamp(at_s, UTC),
    )
    edges = [at + timedelta(seconds=edge_s) for edge_s in horizon.edges_s]
    lows = [csms.lowest(start, end) for start, end in pairwise(edges)]
    draws_a = highest_a(one.draws, horizon, at_s)
    if all(low is None for low in lows) and min(draws_a) == math.inf:
        return None
    allowed_a = (one.evse_max_a if low is None else low for low in lows)
    return tuple(map(min, allowed_a, draws_a))
