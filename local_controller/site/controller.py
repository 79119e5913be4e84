"""Facts in, limits out: what does the site decide when something happens?

Every input is a method, every output a list of effects. After each fact the same chain runs: capacity of every node,
fair share of what the plan wants, what may be sent now. A limit that drops is therefore answered within the very
input that reported it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from local_controller.clock import Instant
from local_controller.site.capacity import Capacity, MeterState, NodeState, capacity
from local_controller.site.effects import ApplyFallback, ApplyLimit, Notice, SiteEffect, Solve
from local_controller.site.enforcement import Candidate, Pace, Room, Wait, decide
from local_controller.site.evse import EvseState
from local_controller.site.freshness import METER_LADDER, Watch, scaled_to
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.limits import AppliesTo, LimitBook, ReceivedValue
from local_controller.site.per_phase import PHASE_NAMES, PHASES, PerPhase, minus, total
from local_controller.site.plan import Plan, PlanPace
from local_controller.site.planning import PRESENT, Wish, horizon_at, make_problem
from local_controller.site.readings import MeterReading
from local_controller.site.reasons import Decision, decision, set_aside
from local_controller.site.topology import Topology
from local_controller.station import words
from local_controller.station.effects import CsmsLimitChanged, StationFact
from local_controller.station.words import EvseId, LimitKind, LimitOutcome
from optimizer.problem import Allocation
from optimizer.share import share

TICK_S: Final = 1.0
"""Ages, expiries and renewals are looked at this often when nothing else happens."""


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """How the site is controlled; the defaults are the numeric goals.

    stable_s / calm_s: no increase so long after missing room / after a measured overload (goal G15).
    """

    pace: Pace = field(default_factory=Pace)
    plan: PlanPace = field(default_factory=PlanPace)
    stable_s: float = 10.0
    calm_s: float = 60.0


@dataclass(frozen=True, slots=True)
class _Moment:
    """The site at one instant, per node: capacity, what those that do not follow may draw, what all leave at worst.

    followers, set_aside: EVSEs with a session that can be controlled just now, and those that are lost or defiant.
    """

    capacities: Sequence[Capacity]
    reserved: Mapping[str, PerPhase]
    left: Mapping[str, PerPhase]
    followers: Sequence[EvseState]
    set_aside: Sequence[EvseState]


class SiteController:
    """The one core that decides limits. It owns no socket, no clock and no thread.

    meter_poll_s: how often each meter is asked; a node with a meter that is not listed is an error of the caller.
    """

    def __init__(
        self, topology: Topology, book: LimitBook, settings: ControlSettings, meter_poll_s: Mapping[str, float]
    ) -> None:
        self.topology = topology
        self.book = book
        self.settings = settings
        self.meters = {m: MeterState(m, Watch(scaled_to(METER_LADDER, poll_s))) for m, poll_s in meter_poll_s.items()}
        self.nodes = {n.id: NodeState(n, self.meters[n.meter] if n.meter else None) for n in topology.nodes}
        self.evses = {evse.id: EvseState(evse) for evse in topology.evses}
        self.plan = Plan(settings.plan)
        self.decisions: dict[EvseId, Decision] = {}
        self.deadline: float | None = None
        self._started_at: Instant | None = None
        self._with_strangers: set[str] = set()
        self._paths = {evse.id: topology.path(evse.id) for evse in topology.evses}
        self._below = {n.id: [self.evses[e.id] for e in topology.evses_below(n.id)] for n in topology.nodes}

    # --- inputs --------------------------------------------------------------------------------------------------

    def meter_read(self, reading: MeterReading, now: Instant) -> list[SiteEffect]:
        """A plausible reading; its age starts at `reading.asked_at`."""
        meter = self.meters[reading.meter]
        notices = _answers_again(meter)
        meter.watch.seen(reading.asked_at)
        meter.reading, meter.failure = reading, ""
        for state in self.nodes.values():
            if state.meter is meter:
                self._measure(state, reading, now)
        return [*notices, *self._react(now)]

    def meter_failed(self, meter: str, text: str, now: Instant) -> list[SiteEffect]:
        """The supervisor cannot read this meter; the age of its last reading does the rest."""
        is_news = text != self.meters[meter].failure
        self.meters[meter].failure = text
        notice = Notice("error", "meter_failed", f"meter {meter} {text}", {"meter": meter})
        return [*([notice] if is_news else []), *self._react(now)]

    def limit_received(self, source: str, limit: ReceivedLimit, now: Instant) -> list[SiteEffect]:
        """A limit of an external source: EMS, grid operator, a person."""
        state = self.book.sources[source]
        before = state.limit_a(now)
        state.received(ReceivedValue.of(limit, now), now)
        notices: list[SiteEffect] = []
        if state.limit_a(now) != before:
            self.plan.want()
            notices.append(
                Notice("info", "limit_changed", state.sentence(now), {"source": source, "reason": limit.reason})
            )
        return [*notices, *self._react(now)]

    def limit_source_failed(self, source: str, text: str, now: Instant) -> list[SiteEffect]:
        """A source said something that cannot be understood: it counts as silent at once."""
        state = self.book.sources[source]
        is_news = text != state.failure
        state.lost(text)
        self.plan.want()
        notice = Notice("error", "limit_unusable", f"{text}; its fallback counts", {"source": source})
        return [*([notice] if is_news else []), *self._react(now)]

    def station_changed(self, station: str, fact: StationFact | CsmsLimitChanged, now: Instant) -> list[SiteEffect]:
        """A fact about one of the stations, in our words whatever its version.

        What a sample proves is used at the next reading or tick: hundreds of stations measure more often than that.
        """
        effects = self._station_fact(station, fact, now)
        return effects if isinstance(fact, words.Measured) else [*effects, *self._react(now)]

    def stations_changed(
        self, facts: Iterable[tuple[str, StationFact | CsmsLimitChanged, Instant]], now: Instant
    ) -> list[SiteEffect]:
        """As `station_changed` for several facts, each with the moment it was told, in their order; one reaction to all."""
        told = [effect for station, fact, at in facts for effect in self._station_fact(station, fact, at)]
        return [*told, *self._react(now)]

    def planned(self, number: int, allocation: Allocation, now: Instant) -> list[SiteEffect]:
        """The answer to `Solve(number, ...)`; an outdated one is dropped."""
        return self._react(now) if self.plan.answered(number, allocation, now) else []

    def expire(self, now: Instant) -> list[SiteEffect]:
        """Time passed: ages grow, working limits end, renewals are due."""
        return self._react(now)

    # --- facts of stations ---------------------------------------------------------------------------------------

    def _station_fact(self, station: str, fact: StationFact | CsmsLimitChanged, now: Instant) -> list[SiteEffect]:
        match fact:
            case words.Connected() | words.Booted(status=words.RegistrationStatus.ACCEPTED):
                return self._assert_fallbacks(station, isinstance(fact, words.Booted), now)
            case words.Disconnected():
                for state in self._of(station):
                    state.connected = False
                return [Notice("warning", "station_lost", f"{station}: {fact.reason}", {"station": station})]
            case words.UnitLearnt():
                for state in self._of(station):
                    state.watts_only = fact.unit == "W"
            case words.Booted():
                pass
            case _ if fact.evse == 0:
                pass
            case _ if EvseId(station, fact.evse) not in self.evses:
                return self._stranger(station, fact.evse)
            case _:
                return self._evse_fact(self.evses[EvseId(station, fact.evse)], fact, now)
        return []

    def _stranger(self, station: str, evse: int) -> list[SiteEffect]:
        """An EVSE that is wired, but not in the site file; said once per station."""
        if station in self._with_strangers:
            return []
        self._with_strangers.add(station)
        text = f"{station} has an EVSE {evse} that the site file does not know: it is not controlled; add it"
        return [Notice("error", "unknown_evse", text, {"station": station, "evse": evse})]

    def _assert_fallbacks(self, station: str, booted: bool, now: Instant) -> list[SiteEffect]:
        """Both a new connection and a reboot may have lost the station's profiles (LC-041, LC-042)."""
        for state in self._of(station):
            state.connected_now(now, booted=booted)
        return [ApplyFallback(state.evse.id, state.evse.fallback_a) for state in self._of(station)]

    def _evse_fact(self, state: EvseState, fact: StationFact | CsmsLimitChanged, now: Instant) -> list[SiteEffect]:
        match fact:
            case words.LimitAnswered(kind=LimitKind.FALLBACK):
                return _fallback_answered(state, fact, now)
            case words.LimitAnswered():
                return _limit_answered(state, fact, self._valid_until(state, now), now)
            case words.Measured():
                return self._measured(state, fact.sample, now)
            case words.TransactionStarted():
                state.started(fact.transaction_id, now)
                self.plan.forget(str(state.evse.id))
            case words.TransactionEnded():
                state.ended(fact.transaction_id)
                self.plan.forget(str(state.evse.id))
                self.decisions.pop(state.evse.id, None)
            case _ if _changes_the_question(state, fact, now):
                self.plan.want()
            case _:
                pass
        return []

    def _measured(self, state: EvseState, sample: words.MeterSample, now: Instant) -> list[SiteEffect]:
        """A sample may show other phases in use, which the plan should know, and a car above its limit (LC-115)."""
        phases, was_defiant = state.phases(), state.ignores_its_limit
        state.measured(sample, now)
        if state.phases() != phases:
            self.plan.want()
        if not state.ignores_its_limit or was_defiant:
            return []
        text = f"{state.evse.id} draws {state.drawn_a(now):.1f} A although it may draw {state.ordered_a:.1f} A only"
        return [Notice("error", "limit_ignored", f"{text}: check the station", {"evse": str(state.evse.id)})]

    def _valid_until(self, state: EvseState, now: Instant) -> Instant:
        """A limit ends with its order; a station that is told again because the CSMS changed a profile keeps that end."""
        ordered_at = None if state.session is None else state.session.ordered_at
        return (ordered_at or now).after(self.settings.pace.valid_s)

    def _of(self, station: str) -> list[EvseState]:
        return [state for evse_id, state in self.evses.items() if evse_id.station == station]

    # --- measuring -----------------------------------------------------------------------------------------------

    def _measure(self, state: NodeState, reading: MeterReading, now: Instant) -> None:
        bounds = [evse.draw_bounds(now) for evse in self._below[state.node.id]]
        proofs = [bound.measured_at for bound in bounds if bound.measured_at is not None]
        state.base.update(
            reading.current_a,
            total(bound.least_a for bound in bounds),
            total(bound.most_a for bound in bounds),
            now,
            min(proofs, key=lambda at: at.monotonic_s, default=None),
        )
        ceiling = self.book.ceiling(state.node.id, AppliesTo.TOTAL, now)
        if ceiling is None:
            return
        over_a = minus(reading.current_a, ceiling.limit_a)
        state.over_limit.measured(max(over_a), now)
        state.over_fuse.measured(max(minus(reading.current_a, state.node.rating_a)), now)
        for phase in PHASES:
            if over_a[phase] > self.settings.pace.tolerance_a:
                where = f"{state.node.label} {PHASE_NAMES[phase]}"
                text = f"{where} was {over_a[phase]:.1f} A over its limit"
                state.hold(phase, now.monotonic_s + self.settings.calm_s, text)

    # --- reacting ------------------------------------------------------------------------------------------------

    def _react(self, now: Instant) -> list[SiteEffect]:
        self.deadline = now.monotonic_s + TICK_S
        self._started_at = self._started_at or now
        for evse in self.evses.values():
            evse.expire(now)
        moment = self._moment(now)
        self._watch_room(moment.left, now)
        wishes = [self._wish(evse, now) for evse in moment.followers]
        shares = share(make_problem(wishes, moment.capacities, moment.reserved, PRESENT, now))
        orders, waits = self._decide(wishes, shares, moment, now)
        for wish in wishes:
            evse_id = wish.state.evse.id
            self.decisions[evse_id] = decision(wish, shares, self.plan, waits.get(evse_id), now)
        for evse in moment.set_aside:
            self.decisions[evse.evse.id] = set_aside(evse, now)
        return [*orders, *self._replan(moment, now)]

    def _moment(self, now: Instant) -> _Moment:
        sessions = [evse for evse in self.evses.values() if evse.session is not None]
        follows = {evse: evse.connected and not evse.defiant(now) for evse in sessions}
        capacities = [capacity(state, self.book, now) for state in self.nodes.values()]
        worst = {evse: evse.exposure(now) for evse in self.evses.values()}
        return _Moment(
            capacities=capacities,
            reserved={
                node: total(worst[e] for e in below if not follows.get(e, False)) for node, below in self._below.items()
            },
            left={c.node: minus(c.available_a, total(worst[e] for e in self._below[c.node])) for c in capacities},
            followers=[evse for evse in sessions if follows[evse]],
            set_aside=[evse for evse in sessions if not follows[evse]],
        )

    def _watch_room(self, left: Mapping[str, PerPhase], now: Instant) -> None:
        for node, state in self.nodes.items():
            for phase in PHASES:
                if left[node][phase] < -self.settings.pace.tolerance_a:
                    text = f"{state.node.label} {PHASE_NAMES[phase]} had no room a moment ago"
                    state.hold(phase, now.monotonic_s + self.settings.stable_s, text)

    def _wish(self, evse: EvseState, now: Instant) -> Wish:
        planned_a = self.plan.first_block_a(str(evse.evse.id))
        cap_a = evse.evse.max_a if planned_a is None else min(planned_a, evse.evse.max_a)
        blind = self._blind(evse, now)
        if blind or evse.mute(now):
            cap_a = min(cap_a, evse.modest_a)
        return Wish(evse, self._paths[evse.evse.id], cap_a, blind)

    def _blind(self, evse: EvseState, now: Instant) -> bool:
        """A meter on the way to the grid is silent: only fallbacks are granted below it (G5)."""
        return any(self.nodes[node].blind(now) for node in self._paths[evse.evse.id])

    def _decide(
        self, wishes: Sequence[Wish], shares: Allocation, moment: _Moment, now: Instant
    ) -> tuple[list[SiteEffect], Mapping[EvseId, Wait]]:
        room = Room(moment.left, {node: state.node.label for node, state in self.nodes.items()})
        candidates = [Candidate(w.state, shares.currents_a[w.key][0], w.path, self._held(w, now)) for w in wishes]
        candidates += [
            Candidate(e, min(e.ordered_a, e.modest_a), self._paths[e.evse.id], "it does not follow its limit")
            for e in moment.set_aside
            if e.connected
        ]
        orders, waits = decide(candidates, room, self.settings.pace, now)
        for order in orders:
            self.evses[order.evse].ordered(order.limit_a, now)
        valid_s = self.settings.pace.valid_s
        effects: list[SiteEffect] = [ApplyLimit(o.evse, o.limit_a, valid_s, o.urgent) for o in orders]
        return effects, {wait.evse: wait for wait in waits}

    def _held(self, wish: Wish, now: Instant) -> str:
        """Why nothing may be raised on the way to the grid just now; empty if nothing speaks against it."""
        phases = wish.state.phases()
        return next((why for node in wish.path if (why := self._held_at(self.nodes[node], phases, now))), "")

    def _held_at(self, state: NodeState, phases: Sequence[int], now: Instant) -> str:
        if state.meter is not None and not state.meter.watch.state(now).may_raise:
            return f"meter {state.meter.id} of {state.node.label} is {state.meter.watch.state(now)}"
        if not self.book.may_raise(state.node.id, now):
            return f"a limit of {state.node.label} is about to end"
        if state.meter is None and self._may_hold_old_limits(state.node.id, now):
            return f"stations of {state.node.label} may still hold limits of an earlier run"
        return state.held_because(phases, now)

    def _may_hold_old_limits(self, node: str, now: Instant) -> bool:
        """Before the working limits of an earlier run have ended, unless every station has booted or shown its session.

        Where a meter measures, it sees what they draw.
        """
        runs_s = now.since(self._started_at or now)
        return runs_s < self.settings.pace.valid_s and not all(evse.known for evse in self._below[node])

    def _replan(self, moment: _Moment, now: Instant) -> list[SiteEffect]:
        room = {c.node: minus(c.available_a, moment.reserved[c.node]) for c in moment.capacities}
        if not moment.followers or not self.plan.due(room, now):
            return []
        wishes = [Wish(evse, self._paths[evse.evse.id], evse.evse.max_a) for evse in moment.followers]
        problem = make_problem(wishes, moment.capacities, moment.reserved, horizon_at(now), now)
        return [Solve(self.plan.asked(room, now), problem)]


def _answers_again(meter: MeterState) -> list[SiteEffect]:
    if not meter.failure:
        return []
    return [Notice("info", "meter_answers", f"meter {meter.id} answers", {"meter": meter.id})]


def _changes_the_question(state: EvseState, fact: StationFact | CsmsLimitChanged, now: Instant) -> bool:
    """Take over a fact of a session; whether the plan should know it."""
    match fact:
        case words.NeedsKnown() if state.session is not None:
            state.session.energy_wh, state.session.departure = fact.energy_wh, fact.departure
            return True
        case CsmsLimitChanged():
            changed = state.csms != fact.schedule
            state.csms = fact.schedule
            return changed
        case words.TransactionUpdated() | words.ConnectorChanged(charging_state=words.ChargingState()):
            if fact.charging_state is not None:
                state.charging_state_is(fact.charging_state, now)
    return False


def _limit_answered(state: EvseState, fact: words.LimitAnswered, until: Instant, now: Instant) -> list[SiteEffect]:
    match fact.outcome:
        case LimitOutcome.SENT:
            state.sent(fact.limit_a, until)
        case LimitOutcome.ACCEPTED:
            state.accepted(fact.limit_a, now, until)
        case LimitOutcome.TIMED_OUT | LimitOutcome.DROPPED:
            state.unconfirmed(now)
        case LimitOutcome.REFUSED:
            is_news = not state.refuses
            state.refused(fact.limit_a, now)
            counted_a = state.exposure_a(now)
            text = f"{state.evse.id} refuses {fact.limit_a:.1f} A ({fact.detail}); it counts with {counted_a:.1f} A"
            return [Notice("warning", "limit_refused", text, {"evse": str(state.evse.id)})] if is_news else []
    return []


def _fallback_answered(state: EvseState, fact: words.LimitAnswered, now: Instant) -> list[SiteEffect]:
    match fact.outcome:
        case LimitOutcome.ACCEPTED:
            state.fallback_answered(fact.limit_a, now)
        case LimitOutcome.REFUSED:
            state.fallback_answered(None, now)
            text = (
                f"{state.evse.id} takes no fallback ({fact.detail}): it counts with its maximum {state.evse.max_a:g} A"
            )
            return [Notice("error", "fallback_refused", text, {"evse": str(state.evse.id)})]
        case _:
            pass
    return []
