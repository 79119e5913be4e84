"""Which limits are sent now, and which must wait? Lower first, raise only into room that is proven.

Room at a node is what its limit leaves after the base load and the worst case of every EVSE below, on each phase and, where
watts are limited, on all phases together. A decrease is
ordered at once; an increase takes room, so it waits until decreases elsewhere are accepted *and* measured (LC-107).
The measured constants are those of grid-and-safety §6.5 and goal G15.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, NamedTuple

from local_controller.clock import Instant
from local_controller.site.capacity import Left
from local_controller.site.evse import EvseState
from local_controller.site.known_evse import NOISE_A, tenths_that_reach
from local_controller.site.per_phase import PHASE_NAMES, ZERO, PerPhase, equal, lower, minus, on, plus
from local_controller.site.places import Columns
from local_controller.site.session import Session
from local_controller.station.words import EvseId
from optimizer.arrays import Array, Flags

RENEWED_AT: Final = 0.55
"""A working limit is renewed when so much of its validity is left."""

ANSWER_S: Final = 20.0
"""So long an order may wait for its answer: 8 s for the CALL under way, 8 s for itself."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How calmly limits move. Amperes per phase and seconds.

    dead_band_a: smaller changes are not worth a message. tolerance_a: less missing room than this is noise, which the
    node's margin absorbs. raise_step_a per raise_interval_s: at most this fast up (G15: 6 A per 10 s).
    command_interval_s: PWM changes that are not urgent keep this distance (G15: 5 s).
    retry_s: a limit that was not confirmed is sent again after this time (G14: 10 s); one that was refused after twice,
    four times ... this time, at most `refused_s`. So long no raise is tried that a station has just refused.
    valid_s: a working limit holds this long without renewal (G11).
    """

    dead_band_a: float = 0.5
    tolerance_a: float = 0.5
    raise_step_a: float = 6.0
    raise_interval_s: float = 10.0
    command_interval_s: float = 5.0
    retry_s: float = 10.0
    refused_s: float = 300.0
    valid_s: float = 90.0


class Order(NamedTuple):
    """A limit to be sent to an EVSE, A per phase."""

    evse: EvseId
    limit_a: float
    urgent: bool


class Wait(NamedTuple):
    """An increase that is not sent yet, and what it waits for in words."""

    evse: EvseId
    wanted_a: float
    reason: str


class Room:
    """What is left at each node; negative where worst cases exceed the limit.

    kept: what of it counts only because nobody measures those cars (`site.good_faith`): it is theirs to take. as_told: what limits in
    watts leave if these do what they were told; as far as that goes each of them may have what is kept for it there, which raises
    no worst case.
    """

    def __init__(
        self,
        left: Left,
        labels: Mapping[str, str],
        kept: Mapping[str, PerPhase] | None = None,
        as_told: Mapping[str, float] | None = None,
    ) -> None:
        self._left_a = dict(left.per_phase)
        self._kept_a = dict(kept or {})
        self._together_a = dict(left.together)
        self._as_told_a = dict(as_told or {})
        self._labels = labels

    def scarcest(self, path: Sequence[str], phases: Sequence[int], own_a: float = 0.0) -> tuple[float, str]:
        """The least room on the way to the grid, in A per phase, and the place in words. own_a: at most so much is kept for it."""
        least_a, at, on_phase = math.inf, path[0], phases[0]
        for node in path:
            left_a = plus(self._left_a[node], self._own(node, own_a))
            for phase in phases:
                if left_a[phase] < least_a:
                    least_a, at, on_phase = left_a[phase], node, phase
        together = [(self._together(node, len(phases), own_a), node) for node in path if node in self._together_a]
        if together and min(together)[0] < least_a:
            least_a, at = min(together)
            return least_a, f"{self._labels[at]}, all phases together"
        return least_a, f"{self._labels[at]}, {PHASE_NAMES[on_phase]}"

    def short(self, path: Sequence[str], phases: Sequence[int], tolerance_a: float) -> bool:
        """Whether a worst case on the way exceeds its limit by more than noise."""
        return any(self._left_a[node][phase] < -tolerance_a for node in path for phase in phases) or any(
            self._together_a[node] < -tolerance_a for node in path if node in self._together_a
        )

    def take(self, path: Sequence[str], phases: Sequence[int], amount_a: float, own_a: float = 0.0) -> None:
        """Promise this much to an EVSE. own_a: first of what is kept for it, at most so much."""
        for node in path:
            amounts_a = on(phases, amount_a)
            kept_a = lower(self._own(node, own_a), amounts_a)
            self._left_a[node] = minus(self._left_a[node], minus(amounts_a, kept_a))
            self._kept_a[node] = minus(self._kept_a.get(node, ZERO), kept_a)
            if node in self._together_a:
                self._together_a[node] -= max(0.0, amount_a - own_a) * len(phases)
            if node in self._as_told_a:
                self._as_told_a[node] -= amount_a * len(phases)

    def _together(self, node: str, phases: int, own_a: float) -> float:
        """What a limit in watts leaves, in A on each of so many phases."""
        own_now_a = min(own_a, self._as_told_a.get(node, 0.0) / phases)
        return max(self._together_a[node] / phases + own_a, own_now_a)

    def _own(self, node: str, own_a: float) -> PerPhase:
        return lower(equal(own_a), self._kept_a.get(node, ZERO)) if own_a else ZERO


class Candidate(NamedTuple):
    """An EVSE with a running session, what it should get, and the nodes that carry it (its own circuit first).

    held: empty if all inputs on its way are fresh and calm, else the reason why nothing is raised.
    worst_a: what it may draw at worst; None where the caller has not looked. good_faith_a: so much less if it does what it said.
    """

    state: EvseState
    target_a: float
    path: tuple[str, ...]
    held: str = ""
    worst_a: float | None = None
    good_faith_a: float = 0.0


def is_quiet(columns: Columns, target_a: Array, pace: Pace, now: Instant) -> Flags:
    """Where there is nothing to decide: no decrease, no raise, no renewal."""
    more_a = target_a - columns.ordered_a
    return (more_a >= -NOISE_A) & (more_a < pace.dead_band_a) & _need_no_renewal(columns, pace, now)


def is_noise(columns: Columns, target_a: Array, pace: Pace, now: Instant) -> Flags:
    """Where all there is to decide is a decrease so small that it is only worth a message where it presses."""
    more_a = target_a - columns.ordered_a
    return (more_a > -pace.dead_band_a) & (more_a < 0.0) & _need_no_renewal(columns, pace, now)


def _need_no_renewal(columns: Columns, pace: Pace, now: Instant) -> Flags:
    return columns.is_settled & (columns.ends_s - now.monotonic_s > pace.valid_s * RENEWED_AT)


class Doubt(NamedTuple):
    """What an EVSE may draw besides its worst case, because its station has not confirmed anything since it came."""

    path: Sequence[str]
    phases: Sequence[int]
    more_a: float


def decide(
    candidates: Sequence[Candidate], room: Room, pace: Pace, now: Instant, doubts: Iterable[Doubt] = ()
) -> tuple[list[Order], list[Wait]]:
    """Decreases at once, increases where there is room (the smallest current first), renewals of what holds.

    Of equal currents the earlier candidate has its turn first. For `doubts` nobody is lowered, but nobody raised either.
    """
    orders: list[Order] = []
    others: list[tuple[float, Candidate]] = []
    for candidate in candidates:
        if _backing_off(candidate, pace, now):
            continue
        order = _decrease(candidate, room, pace, now)
        if order is None:
            others.append((candidate.state.ordered_a, candidate))
        else:
            orders.append(order)
    for doubt in doubts:
        room.take(*doubt)
    waits: list[Wait] = []
    for _, candidate in sorted(others, key=itemgetter(0)):
        outcome = _increase(candidate, room, pace, now) or _renewal(candidate, pace, now)
        if isinstance(outcome, Order):
            orders.append(outcome)
        elif outcome is not None:
            waits.append(outcome)
            if (renewal := _renewal(candidate, pace, now)) is not None:
                orders.append(renewal)
    return orders, waits


def _decrease(candidate: Candidate, room: Room, pace: Pace, now: Instant) -> Order | None:
    state = candidate.state
    target_a = max(candidate.target_a, state.least_a)  # it would not take less
    excess_a = state.ordered_a - target_a
    if excess_a <= NOISE_A:
        return None
    urgent = bool(candidate.held) or room.short(candidate.path, state.phases(), pace.tolerance_a)
    large = excess_a >= pace.dead_band_a
    if not urgent and not large:
        return None
    if not (urgent and large) and _commanded_lately(state, pace.command_interval_s, now):
        return None
    return Order(state.evse.id, target_a, urgent=True)


def _increase(candidate: Candidate, room: Room, pace: Pace, now: Instant) -> Order | Wait | None:
    state = candidate.state
    wanted_a = candidate.target_a
    if wanted_a - state.ordered_a < pace.dead_band_a:
        return None
    if candidate.held:
        return Wait(state.evse.id, wanted_a, candidate.held)
    if _refused_lately(state, pace, now):
        return Wait(state.evse.id, wanted_a, "the station has just refused a higher limit")
    if (wait_s := _postponed_s(state, now)) > 0.0:
        return Wait(state.evse.id, wanted_a, f"the station may be written to only seldom, again in {wait_s:.0f} s")
    if _commanded_lately(state, pace.raise_interval_s, now):
        return Wait(
            state.evse.id, wanted_a, f"raised step by step, {pace.raise_step_a:g} A every {pace.raise_interval_s:g} s"
        )
    return _grant(candidate, room, pace, now)


def _grant(candidate: Candidate, room: Room, pace: Pace, now: Instant) -> Order | Wait:
    state = candidate.state
    phases = state.phases()
    exposure_a = state.exposure_a(now) if candidate.worst_a is None else candidate.worst_a
    exposure_a -= candidate.good_faith_a
    left_a, place = room.scarcest(candidate.path, phases, candidate.good_faith_a)
    least_a = tenths_that_reach(state.min_a(now))
    steps = max(1.0, state.every_s / pace.raise_interval_s)  # the same pace in fewer steps
    next_step_a = max(state.ordered_a + pace.raise_step_a * steps, least_a)
    grant_a = _whole_tenths(min(candidate.target_a, next_step_a, exposure_a + max(0.0, left_a)))
    if grant_a < least_a or grant_a - state.ordered_a < pace.dead_band_a:
        return Wait(state.evse.id, candidate.target_a, f"waits for {place}: {max(left_a, 0.0):.1f} A are proven free")
    room.take(candidate.path, phases, max(0.0, grant_a - exposure_a), candidate.good_faith_a)
    return Order(state.evse.id, grant_a, urgent=False)


def _renewal(candidate: Candidate, pace: Pace, now: Instant) -> Order | None:
    """A working limit is sent again before half of its time is over (G11), an unconfirmed one after a short while.

    So is one that a station may have lost, once it has answered about its fallback, one that its car does not keep (G14), and
    one on another number of phases.
    """
    state, session = candidate.state, candidate.state.session
    if session is None or _postponed_s(state, now) > 0.0:
        return None
    ends_at = session.ends_at()
    is_old = ends_at is not None and ends_at.since(now) <= pace.valid_s * RENEWED_AT
    is_doubtful = session.may_have_fallen_back and not state.asserting
    is_switch = session.asked_phases != session.switch.told
    is_due = is_switch or session.is_unheeded or (not _is_under_way(session, now) and (is_old or is_doubtful))
    if session.unconfirmed_at is None and not is_due:
        return None
    return Order(state.evse.id, max(min(state.ordered_a, candidate.target_a), state.least_a), urgent=False)


def _is_under_way(session: Session, now: Instant) -> bool:
    """An order that may still be answered."""
    ordered_at = None if session.ordered_a is None else session.ordered_at
    return ordered_at is not None and now.since(ordered_at) < ANSWER_S


def _backing_off(candidate: Candidate, pace: Pace, now: Instant) -> bool:
    """Not yet again what has just failed; a still lower limit may always be tried."""
    session = candidate.state.session
    if session is None or session.unconfirmed_at is None:
        return False
    pause_s = min(pace.retry_s * 2 ** min(session.refusals, 10), pace.refused_s)
    return now.since(session.unconfirmed_at) < pause_s and candidate.target_a > session.tried_a - pace.dead_band_a


def _refused_lately(state: EvseState, pace: Pace, now: Instant) -> bool:
    at = state.session.raise_refused_at if state.session else None
    return at is not None and now.since(at) < pace.refused_s


def _postponed_s(state: EvseState, now: Instant) -> float:
    until = state.session.postponed_until if state.session else None
    return 0.0 if until is None else until.since(now)


def _commanded_lately(state: EvseState, interval_s: float, now: Instant) -> bool:
    session = state.session
    if session is None:
        return False
    raised_at, lowered_at = session.raised_at, session.lowered_at
    return (raised_at is not None and now.since(raised_at) < interval_s) or (
        lowered_at is not None and now.since(lowered_at) < interval_s
    )


def _whole_tenths(limit_a: float) -> float:
    """Rounded down to what OCPP 1.6 can say (multiples of 0.1 A)."""
    return int(limit_a * 10 + NOISE_A) / 10
