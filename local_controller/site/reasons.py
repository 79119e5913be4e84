"""Why may this car draw what it may draw? The decision record that page, API, command line and tests read.

Nobody waits for it: what a reaction decided is remembered, and put into words when somebody asks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from local_controller.clock import Instant
from local_controller.site.asymmetry import is_balance
from local_controller.site.capacity import Capacity
from local_controller.site.enforcement import Wait
from local_controller.site.evse import EvseState
from local_controller.site.foreign import foreign_reasons
from local_controller.site.foresight import Foresight
from local_controller.site.known_evse import SAMPLE_MAX_AGE_S
from local_controller.site.per_phase import PHASES, PerPhase
from local_controller.site.phase_switches import switch_reasons
from local_controller.site.places import Place
from local_controller.site.plan import Plan
from local_controller.site.planning import PRESENT, asking, circuit, need
from local_controller.site.session import Session
from local_controller.station.words import EvseId
from optimizer.arrays import Array, Flags
from optimizer.explain import Explainer
from optimizer.problem import Problem, Reason

_PAUSE_AFTER = 50  # records in words take about half a millisecond


@dataclass(frozen=True, slots=True)
class Decision:
    """The ordered limit, the limit it is on its way to (A per phase), and the reasons, the most telling one first."""

    evse: EvseId
    limit_a: float
    wanted_a: float
    reasons: tuple[str, ...]
    at: Instant


class Granted(NamedTuple):
    """One session in a reaction: its name in the optimizer's words, the nodes that carry it, what capped it, its share.

    blind: a meter on its way to the grid was silent.
    """

    state: EvseState
    key: str
    path: tuple[str, ...]
    cap_a: float
    blind: bool
    share_a: float


class Grants(NamedTuple):
    """The same of all sessions in columns: the reaction itself needs no more."""

    places: Sequence[Place]
    ways: Sequence[tuple[str, ...]]
    sessions: Sequence[Session | None]
    caps_a: Array
    blind: Flags
    shares_a: Sequence[float]

    def running(self) -> Iterator[Granted]:
        """Those that have not ended since."""
        columns = zip(
            self.places, self.ways, self.sessions, self.caps_a.tolist(), self.blind.tolist(), self.shares_a, strict=True
        )
        for place, way, session, cap_a, blind, share_a in columns:
            if session is not None and place.state.session is session:
                yield Granted(place.state, place.key, way, cap_a, blind, share_a)


@dataclass(frozen=True, slots=True)
class Reaction:
    """What one reaction of the site saw and decided. turns_s: in about how many seconds those have their turn that wait."""

    at: Instant
    capacities: Sequence[Capacity]
    reserved_a: Mapping[str, PerPhase]
    grants: Grants
    set_aside: Sequence[EvseState]
    waits: Mapping[EvseId, Wait]
    turns_s: Mapping[EvseId, float] = field(default_factory=dict)


def explained(reaction: Reaction, plan: Plan, foresight: Foresight) -> Iterator[Decision | None]:
    """The records of all sessions. None: nothing yet; at every step the caller may do something else for a while."""
    running = list(reaction.grants.running())
    needs, at_s = [], reaction.at.utc.timestamp()
    for number, one in enumerate(running, start=1):
        needs.append(need(asking(one.state, one.key, one.path, one.cap_a, reaction.at), PRESENT, at_s))
        if number % _PAUSE_AFTER == 0:
            yield None
    circuits = tuple(circuit(c, reaction.reserved_a[c.node], PRESENT.blocks) for c in reaction.capacities)
    yield None
    problem = Problem(PRESENT, circuits, tuple(needs))
    yield None
    explainer = Explainer(problem, {one.key: one.share_a for one in running})
    highest = max((asked.priority for asked in needs), default=0)
    for one, asked in zip(running, needs, strict=True):
        found = [r for r in explainer.reasons(asked) if one.cap_a >= one.state.evse.max_a or r.code != "vehicle_max"]
        turn = _turn(one, reaction.turns_s.get(one.state.evse.id), highest)
        decided = _decision(one, found, turn, plan, reaction)
        yield replace(decided, reasons=(*decided.reasons, *_guessed(one, plan, foresight, reaction.at)))
    for state in reaction.set_aside:
        if state.session is not None:
            yield _set_aside(state, reaction.at)


def _decision(one: Granted, shared: Sequence[Reason], turn: Sequence[str], plan: Plan, reaction: Reaction) -> Decision:
    """The record of one session. Where the plan or a doubt capped it, that is the reason, not its maximum."""
    capped, evse = one.cap_a < one.state.evse.max_a, one.state.evse.id
    wait = reaction.waits.get(evse)
    found = [*(plan.reasons(one.key) if capped else ()), *shared]
    reasons = [
        *foreign_reasons(one.state, reaction.at, one.share_a),
        *switch_reasons(one.state, reaction.at),
        *([] if wait is None else [wait.reason]),
        *turn,
        *_distrust(one, reaction.at),
        *(reason.text for reason in found),
        *_unknown_phases(one, found),
        *_given_priority(one),
    ]
    return Decision(evse, one.state.ordered_a, one.share_a, tuple(dict.fromkeys(reasons)), reaction.at)


def _guessed(one: Granted, plan: Plan, foresight: Foresight, now: Instant) -> list[str]:
    """What the plan took for what nobody said."""
    expected = None if plan.first_block_a(one.key) is None else foresight.expected(one.state, now)
    return [] if expected is None else [expected.sentence]


def _turn(one: Granted, wait_s: float | None, highest: int) -> list[str]:
    """Why it waits. highest: charging priority of any car that asks."""
    if wait_s is None:
        return []
    text = f"not all minimums fit: waits for its turn, next in about {math.ceil(wait_s / 60)} min"
    if one.state.takes_nothing:
        return [f"{text}; it took nothing when it could charge, so others go first"]
    return [text if highest <= one.state.priority else f"{text}; the CSMS gave others a higher charging priority"]


def _given_priority(one: Granted) -> list[str]:
    if (priority := one.state.priority) == 0:
        return []
    return [
        f"the CSMS gave it charging priority {priority}: that decides whose turn it is where not all minimums fit, no more"
    ]


def _distrust(one: Granted, now: Instant) -> list[str]:
    reasons = []
    if one.state.mute(now):
        reasons.append(
            f"{one.state.evse.id} sent no measurement for {SAMPLE_MAX_AGE_S:.0f} s: only its fallback is granted"
        )
    if one.cap_a >= one.state.lasting_cap_a:
        reasons.append(
            f"{one.state.evse.id} obeys a limit {_how_long(one.state.lasts_s)}, also without the gateway: no more than"
            f" {one.state.lasting_cap_a:.1f} A is safe then"
        )
    if one.blind:
        reasons.append("a meter on the way to the grid is silent: only the fallback is granted")
    return reasons


def _unknown_phases(one: Granted, found: Iterable[Reason]) -> list[str]:
    """Why a car on three phases gets no more because of an asymmetry limit."""
    if len(one.state.phases()) < len(PHASES) or not any(is_balance(reason.circuit) for reason in found):
        return []
    return [f"{one.state.evse.id} counts there until it was measured to load its three phases alike"]


def _how_long(seconds: float) -> str:
    return "for ever" if math.isinf(seconds) else f"for {seconds / 60:.0f} min"


def _set_aside(state: EvseState, now: Instant) -> Decision:
    """The record of a session that cannot be controlled just now: it is lost, or it does not follow."""
    trouble = "does not follow its limit" if state.connected else "has no connection"
    trouble = "says nothing over its open connection" if state.is_silent else trouble
    text = f"{state.evse.id} {trouble}: it counts with up to {state.exposure_a(now):.1f} A"
    return Decision(state.evse.id, state.ordered_a, min(state.ordered_a, state.modest_a), (text,), now)
