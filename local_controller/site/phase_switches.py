"""Which cars are told another number of phases in this reaction, and who pauses for it?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from local_controller.clock import Instant
from local_controller.site.capacity import Left
from local_controller.site.effects import Notice
from local_controller.site.evse import EvseState
from local_controller.site.per_phase import PHASE_NAMES
from local_controller.site.phase_room import Load, PhaseRoom
from local_controller.site.phase_switch import PAUSE_S, ROOM_S, Seen, Step
from local_controller.site.places import Columns, Place, Table
from local_controller.site.surplus import Taker
from local_controller.station.words import EvseId
from optimizer.arrays import Indexes

SurplusRoom = Callable[[EvseId, int, Mapping[EvseId, Taker], Instant], float]
"""What is left over for an EVSE on so many phases beside those that pause for others (`Surplus.room_a`)."""


class PhaseSwitches:
    """The switches of one site. Where no station can switch it costs a glance at each."""

    def __init__(self, places: Sequence[Place], table: Table, surplus_a: SurplusRoom) -> None:
        """`table` holds the standings of these places. surplus_a: what is left over for those that take nothing else."""
        self._places = places
        self._table = table
        self._surplus_a = surplus_a
        self._notices: list[Notice] = []
        self._watched: set[EvseState] = set()
        self.has_news = False

    def lowered(
        self, followers: Indexes, columns: Columns, shares_a: Sequence[float], available: Left, now: Instant
    ) -> Sequence[float]:
        """The shares, nothing for those that pause for a switch; what becomes of each switch is decided first.

        followers: the numbers of their places. columns: their standings. available: what each node has for all of them.
        """
        numbers = followers.tolist()
        minima_a = columns.min_a.tolist()
        able = self._able(numbers, minima_a, shares_a)
        if not able:
            return shares_a
        shares = list(shares_a)
        per_car = zip(numbers, minima_a, shares, strict=True)
        loads = [self._load(number, min_a, share_a) for number, min_a, share_a in per_car]
        room = PhaseRoom(available, loads)
        aims: dict[EvseId, Taker] = {}
        for at in able:
            self._aim(aims, self._places[numbers[at]].state, minima_a[at])
        for at in able:
            number, state = numbers[at], self._places[numbers[at]].state
            self._watched.add(state)
            way = self._table.uneven_way(number)
            seen = Seen(
                state.is_at_zero(now),
                state.settle_s,
                float(columns.min_a[at]),
                min(float(columns.cap_a[at]), state.useful_a) if columns.wanted_wh[at] > 0.0 else 0.0,
                partial(self._room_a, partial(room.without, loads[at], way), state.evse.id, aims, now),
                state.session is not None and state.session.uses.spans,
                state.foreign_limit_a > 0.0,
            )
            self._look(state, seen, now)
            if state.session is not None and state.session.switch.pauses:
                shares[at] = 0.0
            loads[at] = room.moved(loads[at], self._load(number, minima_a[at], shares[at]))
            self._aim(aims, state, minima_a[at])
        return shares

    def _able(self, numbers: Sequence[int], minima_a: Sequence[float], shares_a: Sequence[float]) -> list[int]:
        """Who can switch and is not content: the positions in these lists."""
        return [
            at
            for at, (number, min_a, share_a) in enumerate(zip(numbers, minima_a, shares_a, strict=True))
            if self._is_able(state := self._places[number].state) and not self._is_content(state, share_a >= min_a)
        ]

    def _room_a(
        self,
        of_nodes_a: Callable[[Sequence[int]], float],
        evse: EvseId,
        aims: Mapping[EvseId, Taker],
        now: Instant,
        phases: Sequence[int],
    ) -> float:
        """What there is for a car on these phases: below fuses and limits, and of surplus if it takes nothing else."""
        return min(of_nodes_a(phases), self._surplus_a(evse, len(phases), aims, now))

    @staticmethod
    def _is_able(state: EvseState) -> bool:
        """Whether there is anything to switch: not where 0 A cannot be told, nor where watts would be shared out anew.

        Where something foreign lifts its limit, 0 A would never be proven.
        """
        session = state.session
        if session is None or (session.switch.step is Step.THREE and not state.wire.may.is_able):
            return False  # as nearly all
        if state.foreign_limit_a > 0.0 and not session.switch.pauses:
            return False
        if session.switch.step is not Step.THREE:
            return True
        is_wired = state.evse.shows_phases and len(state.evse.station_phases) > 1
        can = is_wired and not state.wire.is_disproved and not state.watts_only and state.least_a == 0.0
        return can and len(state.phases()) > 1

    @staticmethod
    def _is_content(state: EvseState, has_minimum: bool) -> bool:
        """Whether it has what it needs on three phases, and nothing is to be tried, as most of the time."""
        session = state.session
        is_on_three = session is not None and session.switch.step is Step.THREE
        return is_on_three and has_minimum and not state.wire.is_missed

    def _load(self, number: int, min_a: float, share_a: float) -> Load:
        """What it counts with for others: whoever pauses for other phases has its minimum there already."""
        state = self._places[number].state
        goal = None if state.session is None else state.session.switch.goal(state.evse)
        if goal is not None:
            return Load(self._table.uneven_way(number), goal, min_a)
        return Load(self._table.ways[number], self._table.phases[number], min_a if share_a >= min_a else 0.0)

    @staticmethod
    def _aim(aims: dict[EvseId, Taker], state: EvseState, min_a: float) -> None:
        """Notes what it takes on the phases that it pauses for, so that nobody else counts on that."""
        goal = None if state.session is None else state.session.switch.goal(state.evse)
        aims.pop(state.evse.id, None)
        if goal is not None:
            aims[state.evse.id] = Taker(state.evse.id, len(goal), min_a, min_a)

    def _look(self, state: EvseState, seen: Seen, now: Instant) -> None:
        session = state.session
        if session is None:
            return
        before, is_trial = session.switch.step, session.switch.is_trial
        self.has_news |= state.switches(seen, now)
        after = session.switch.step
        if (word := _WORDS.get((before, after))) is not None:
            text = f"{state.evse.id} {_TRIES if is_trial and after is Step.ONE else word}"
            self._notices.append(Notice("info", "phase_switch", text, {"evse": str(state.evse.id), "step": str(after)}))

    def news(self) -> list[Notice]:
        """What people must know since the last call."""
        told, self._notices = self._notices, []
        for state in [one for one in self._watched if one.wire.is_disproved]:
            self._watched.discard(state)
            told.append(_ignored(state.evse.id))
        return told


def _ignored(evse: EvseId) -> Notice:
    text = (
        f"{evse} was told to charge on one phase and did not: it is not asked again; if it cannot switch phases, say"
        " `switches_phases: false` in its `capability` section"
    )
    return Notice("warning", "phases_ignored", text, {"evse": str(evse)})


_TRIES = "charges on one phase once, to learn which one that is"
_WORDS: Mapping[tuple[Step, Step], str] = {
    (Step.LEAVES_THREE, Step.ONE): "charges on one phase from now on, as there is no room for three",
    (Step.ONE, Step.LEAVES_ONE): "pauses to go back to three phases, for which there was room long enough",
    (Step.LEAVES_ONE, Step.ONE): "stays on one phase, as the room for three is gone again",
    (Step.LEAVES_ONE, Step.THREE): "may charge on three phases again",
}


def switch_reasons(state: EvseState, now: Instant) -> Iterator[str]:
    """Of a car that was switched or is about to be: on how many phases it charges, and when that may change."""
    session = state.session
    if session is None:
        return
    switch, min_a = session.switch, state.evse.min_a
    match switch.step:
        case Step.ONE:
            phases, since = state.phases(), switch.room_since
            where = PHASE_NAMES[phases[0]] if len(phases) == 1 else "not known yet which, so it counts on all"
            wait_s = ROOM_S if since is None else max(0.0, ROOM_S - now.since(since))
            until = (
                f"when there is room for 3 x {min_a:g} A for {ROOM_S / 60:.0f} min"
                if since is None
                else f"in {math.ceil(wait_s / 60)} min at the earliest, if the room for 3 x {min_a:g} A lasts"
            )
            yield f"switched to one phase ({where}); back to three {until}"
        case Step.LEAVES_THREE | Step.LEAVES_ONE:
            target = "one phase" if switch.step is Step.LEAVES_THREE else "three phases"
            zero = switch.zero_since
            left = (
                "as soon as it is proven that nothing flows"
                if zero is None
                else f"{max(0.0, PAUSE_S - now.since(zero)):.0f} s to go"
            )
            why = ", once, to learn which phase carries it" if switch.is_trial else ""
            yield f"pauses at 0 A for {PAUSE_S:.0f} s to switch to {target}{why}: {left}"
        case Step.THREE:
            pass
