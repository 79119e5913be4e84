"""How much may cars draw that are to charge from surplus only, at this moment? Followed second by second at the meter.

A plan is minutes old, a cloud comes in seconds. So the plan's current does not bind such a car; what binds it is what the
meter of the grid connection shows without these cars. Down at once: less surplus is less current within the same reading. Up on
proof: no more than what was left over all of the last `PROOF_S`. Nobody who measures means no surplus.

Below its minimum a car cannot charge, and each pause wears its contactor. So one that runs keeps its minimum for `RIDE_S` when
the surplus falls below it: that is the most that it ever imports, beside the seconds in which cars follow. Time with enough
surplus gives back as much of that. Then it pauses, and begins again after `REST_S` at the earliest.

Where there is too little for all, they take turns: who waits longest begins first, and who has charged for a whole turn gives way to
who waits, whenever that could begin in its place.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from local_controller.clock import Instant
from local_controller.profiles.units import NOMINAL_VOLTAGE_V, watts_from_amps
from local_controller.site.base_load import ANY_SIGN, BaseLoad
from local_controller.site.enforcement import Wait
from local_controller.site.freshness import METER_LADDER
from local_controller.site.per_phase import PerPhase
from local_controller.site.standing import DrawBounds
from local_controller.site.turns import TurnPace
from local_controller.station.words import EvseId

PROOF_S: Final = 60.0
"""A start and a rise need so long of surplus: the delay with which evcc switches on by default."""

RIDE_S: Final = 60.0
"""So long a car keeps its minimum below it: the delay with which openWB switches off by default."""

REST_S: Final = 300.0
"""So long a car that was paused rests at least: openWB's limit for changes of phases, for the same contactors."""

TURN_S: Final = TurnPace().turn_s
"""So long a car goes on before it gives way to one that waits: as where minimums do not fit below a fuse (`turns.py`)."""

SPARE_A: Final = 0.5
"""So much is left over on each phase that such a car uses: smaller decreases are not worth a message (`Pace.dead_band_a`)."""


class Taker(NamedTuple):
    """A session that charges from surplus only. phases: how many it uses. A per phase; least_a: below that it cannot.

    most_a: what it may have, and takes. is_idle: it takes nothing although it may.
    """

    evse: EvseId
    phases: int
    least_a: float
    most_a: float
    is_idle: bool = False

    @property
    def least_together_a(self) -> float:
        """What its minimum takes on all its phases together, and what is left over for it."""
        return (self.least_a + SPARE_A) * self.phases


@dataclass(slots=True)
class Surplus:
    """The surplus at the grid connection, on all phases together, and who charges from it.

    Currents of all phases are added up, with their signs: that is what meters bill that add up phases. fresh_s: nothing rises by a
    reading that is older (G5). line_v: as of `Grid`.
    """

    fresh_s: float = METER_LADDER.suspect_s
    line_v: float = NOMINAL_VOLTAGE_V
    _others: BaseLoad = field(default_factory=lambda: BaseLoad(lowest_a=ANY_SIGN))
    _rooms: deque[tuple[float, float]] = field(default_factory=deque)
    _runs: dict[EvseId, float] = field(default_factory=dict)
    _rests: dict[EvseId, Instant] = field(default_factory=dict)
    _since: dict[EvseId, Instant] = field(default_factory=dict)  # each charges, or waits, since then
    _needs_a: dict[EvseId, float] = field(default_factory=dict)
    _short_s: float = 0.0
    _looked_at: Instant | None = None
    _waits: dict[EvseId, Wait] = field(default_factory=dict)

    def measured(self, current_a: PerPhase, drawn: DrawBounds, now: Instant) -> None:
        """A reading of the grid connection, while its takers draw between these bounds."""
        others_a = self._others.update(current_a, drawn.least_a, drawn.most_a, now, drawn.measured_at)
        self._rooms.append((now.monotonic_s, -sum(others_a)))
        while len(self._rooms) > 1 and now.monotonic_s - self._rooms[1][0] >= PROOF_S:
            self._rooms.popleft()

    @property
    def left_a(self) -> float | None:
        """What is left over for takers, in the sum over the phases; negative where the site imports without them."""
        return self._rooms[-1][1] if self._rooms else None

    def _proven_a(self, now: Instant) -> float:
        """What was left over all the time of late."""
        if not self._rooms or now.monotonic_s - self._rooms[-1][0] > self.fresh_s:
            return -math.inf
        if now.monotonic_s - self._rooms[0][0] < PROOF_S - self.fresh_s:
            return -math.inf
        return min(room_a for _, room_a in self._rooms)

    def caps_a(self, takers: Sequence[Taker], now: Instant, *, is_blind: bool) -> dict[EvseId, float]:
        """The most that each may draw just now, A per phase. is_blind: nothing measures the grid connection."""
        if is_blind:
            self._rooms.clear()
        room_a = -math.inf if self.left_a is None else self.left_a
        by_id = {taker.evse: taker for taker in takers}
        self._needs_a = {taker.evse: taker.least_together_a for taker in takers}
        self._runs = {evse: cap_a for evse, cap_a in self._runs.items() if evse in by_id}
        self._since = {evse: self._since.get(evse, now) for evse in by_id}
        self._pause([by_id[evse] for evse in self._runs], room_a, now)
        proven_a = self._proven_a(now)
        self._start(takers, proven_a, now)
        running = [by_id[evse] for evse in self._runs]
        held, risen = _spread(running, room_a), _spread(running, proven_a)
        self._runs = {evse: max(risen[evse], min(held[evse], cap_a)) for evse, cap_a in self._runs.items()}
        self._explain(takers, room_a)
        return {taker.evse: self._runs.get(taker.evse, 0.0) for taker in takers}

    def room_a(self, evse: EvseId, phases: int, aims: Mapping[EvseId, Taker], now: Instant) -> float:
        """What was left over all the time of late for one taker on so many phases, A per phase; infinite for who takes more.

        The minimums of all others that run are theirs. aims: those that pause for other phases have their minimum there already.
        """
        if evse not in self._needs_a:
            return math.inf
        needs_a = {one: self._needs_a[one] for one in self._runs}
        for one, aim in aims.items():
            if one in self._needs_a:
                needs_a[one] = max(needs_a.get(one, 0.0), aim.least_together_a)
        return (self._proven_a(now) - sum(need_a for one, need_a in needs_a.items() if one != evse)) / phases - SPARE_A

    def _pause(self, running: Sequence[Taker], room_a: float, now: Instant) -> None:
        """Where the minimums of all take more than there is for too long, the last ones that began pause."""
        needed_a = sum(taker.least_together_a for taker in running)
        is_short = sum(taker.least_a * taker.phases for taker in running) > room_a
        passed_s = 0.0 if self._looked_at is None else now.since(self._looked_at)
        self._looked_at = now
        self._short_s = max(0.0, self._short_s + (passed_s if is_short else -passed_s))
        if not is_short or (room_a > -math.inf and self._short_s < RIDE_S):
            return
        for taker in reversed(running):
            if needed_a <= room_a:
                break
            needed_a -= self._gives_way(taker, now)
        self._short_s = 0.0

    def _start(self, takers: Sequence[Taker], proven_a: float, now: Instant) -> None:
        """Those begin whose minimum was left over beside that of all who run, who waits longest first.

        Who takes nothing pauses for that, and goes last; so does who has had its turn.
        """
        running = [taker for taker in takers if taker.evse in self._runs]
        left_a = proven_a - sum(taker.least_together_a for taker in running)
        over = [one for one in running if one.is_idle or now.since(self._since[one.evse]) >= TURN_S]
        over.sort(key=lambda one: (one.is_idle, now.since(self._since[one.evse])))
        for taker in sorted(takers, key=lambda one: (one.is_idle, -now.since(self._since[one.evse]))):
            if taker.evse in self._runs or taker.most_a < taker.least_a or self._still_rests(taker.evse, now):
                continue
            needed_a, freed_a = taker.least_together_a, sum(one.least_together_a for one in over)
            if needed_a > left_a + (0.0 if taker.is_idle else freed_a):
                continue
            while needed_a > left_a:
                left_a += self._gives_way(over.pop(), now)
            self._runs[taker.evse], self._since[taker.evse] = taker.least_a, now
            left_a -= needed_a

    def _still_rests(self, evse: EvseId, now: Instant) -> bool:
        rests = self._rests.get(evse)
        return rests is not None and now.since(rests) < REST_S

    def _gives_way(self, taker: Taker, now: Instant) -> float:
        """It pauses, and leaves its minimum to others (all phases together)."""
        del self._runs[taker.evse]
        self._rests[taker.evse] = self._since[taker.evse] = now
        return taker.least_together_a

    def _explain(self, takers: Sequence[Taker], room_a: float) -> None:
        left = (
            "nobody measures what is left over"
            if room_a == -math.inf
            else f"{_kilowatts(room_a, self.line_v)} are left over"
        )
        self._waits = {}
        for taker in takers:
            cap_a = self._runs.get(taker.evse)
            needs = (
                "" if cap_a is not None else f", its minimum takes {_kilowatts(taker.least_together_a, self.line_v)}"
            )
            if cap_a is None and self._runs and taker.least_together_a <= room_a:
                needs += ", and others have their turn"
            text = f"charges from surplus only: {left}{needs}"
            self._waits[taker.evse] = Wait(taker.evse, cap_a or 0.0, text)

    def reasons(self) -> Mapping[EvseId, Wait]:
        """Why its takers get no more, as page and JSON tell it."""
        return self._waits


def _spread(running: Sequence[Taker], room_a: float) -> dict[EvseId, float]:
    """Their minimums, and what is left beside those in equal parts on each phase that is used, on whole tenths."""
    caps_a, phases = {}, sum(taker.phases for taker in running)
    left_a = max(0.0, room_a - sum(taker.least_together_a for taker in running))
    for taker in sorted(running, key=lambda one: one.most_a - one.least_a):
        more_a = max(0.0, min(taker.most_a - taker.least_a, left_a / phases))
        caps_a[taker.evse] = max(taker.least_a, math.floor((taker.least_a + more_a) * 10 + 1e-6) / 10)
        left_a, phases = left_a - more_a * taker.phases, phases - taker.phases
    return caps_a


def _kilowatts(current_a: float, line_v: float) -> str:
    return f"{watts_from_amps(max(0.0, current_a), 1, line_v) / 1000:.1f} kW"
