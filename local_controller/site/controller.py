"""Facts in, limits out: what does the site decide when something happens?

Every input is a method, every output a list of effects. After each fact the same chain runs: capacity of every node,
fair share of what the plan wants, what may be sent now. A limit that drops is therefore answered within the very
input that reported it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from local_controller.clock import Instant
from local_controller.site.asymmetry import Balance, balances_of
from local_controller.site.base_load import BaseLoad
from local_controller.site.capacity import Capacity, Left, MeterState, NodeState, capacity, left
from local_controller.site.effects import ApplyLimit, Notice, SiteEffect, Solve
from local_controller.site.enforcement import Candidate, Doubt, Pace, Room, Wait, decide, is_noise, is_quiet
from local_controller.site.evse import EvseState
from local_controller.site.exceeded import Exceeded
from local_controller.site.foresight import Forecast, Foresight
from local_controller.site.freshness import METER_LADDER, Watch, scaled_to
from local_controller.site.heard import Heard, Sources
from local_controller.site.hold import Hold
from local_controller.site.known_evse import NOISE_A
from local_controller.site.last_resort import LastResort
from local_controller.site.lasting import LONG_S, MOST_LASTING_S, lasting_caps_a
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.limits import LimitBook
from local_controller.site.lpc import LpcWord
from local_controller.site.measuring import Measuring
from local_controller.site.out_of_phase import LEAST_IN_PHASE, LastSeen
from local_controller.site.outlook import Kind
from local_controller.site.per_phase import PHASE_NAMES, PHASES, PerPhase
from local_controller.site.person_limit import Told
from local_controller.site.phase_switch import Told as OnPhases
from local_controller.site.phase_switches import PhaseSwitches
from local_controller.site.places import Columns, Place, Table
from local_controller.site.plan import Plan, PlanPace
from local_controller.site.planning import Question, asking, horizon_at
from local_controller.site.random_delay import RandomDelays
from local_controller.site.readings import MeterReading
from local_controller.site.reasons import Decision, Grants, Reaction, explained
from local_controller.site.resumed import KEPT_S, kept_a
from local_controller.site.series import Series
from local_controller.site.sharing import Sharing
from local_controller.site.station_facts import StationFacts
from local_controller.site.step_caps import StepCaps
from local_controller.site.together import TOGETHER
from local_controller.site.topology import GRID, Topology
from local_controller.site.turns import Asker, TurnPace, Turns
from local_controller.station import words
from local_controller.station.effects import CsmsLimitChanged, StationFact
from local_controller.station.words import EvseId
from optimizer.manners import Indexes
from optimizer.problem import Allocation
from optimizer.rows import Array

TICK_S: Final = 1.0
"""Ages, expiries and renewals are looked at this often when nothing else happens."""

ASKING_PER_STEP: Final = 50
"""Sessions that are put into the question to the planner at once: 0.15 ms."""


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """How the site is controlled; the defaults are the numeric goals.

    stable_s / calm_s: no increase so long after missing room / after a measured overload (goal G15).
    turns: how cars take turns where not all can have their minimum (goal G9).
    stops_sessions: whether one that ignores its limit may be ended where a limit is exceeded (LC-115).
    random_delay_s: draws by how many seconds a start or an increase is delayed (goal G17); None: by none.
    """

    pace: Pace = field(default_factory=Pace)
    plan: PlanPace = field(default_factory=PlanPace)
    stable_s: float = 10.0
    calm_s: float = 60.0
    turns: TurnPace = field(default_factory=TurnPace)
    stops_sessions: bool = True
    random_delay_s: Callable[[], int] | None = None


@dataclass(frozen=True, slots=True)
class _Moment:
    """The site at one instant, per node: capacity, what all may draw, what those that do not follow may, what is left.

    followers, set_aside: sessions that can be controlled just now (the numbers of their places), and those that are lost
    or defiant. columns: what the standings of the followers say.
    """

    capacities: Sequence[Capacity]
    worst: Mapping[str, PerPhase]
    reserved: Mapping[str, PerPhase]
    left: Left
    followers: Indexes
    columns: Columns
    set_aside: Sequence[Place]

    def for_followers(self) -> Left:
        """What each node has for those that follow."""
        return left(self.capacities, self.reserved)


class SiteController:
    """The one core that decides limits. It owns no socket, no clock and no thread.

    meter_poll_s: how often each meter is asked; a node with a meter that is not listed is an error of the caller.
    foresight: what is known of prices and power ahead, and of cars by earlier visits.
    """

    def __init__(
        self,
        topology: Topology,
        book: LimitBook,
        settings: ControlSettings,
        meter_poll_s: Mapping[str, float],
        foresight: Foresight | None = None,
    ) -> None:
        self.topology = topology
        self.foresight = foresight or Foresight()
        self.book = book
        self.settings = settings
        self.meters = {m: MeterState(m, Watch(scaled_to(METER_LADDER, poll_s))) for m, poll_s in meter_poll_s.items()}
        self._adds_up = topology.adds_up
        in_phase = 1.0 if self._adds_up else LEAST_IN_PHASE
        self.nodes = {
            n.id: NodeState(n, self.meters[n.meter] if n.meter else None, BaseLoad(in_phase)) for n in topology.nodes
        }
        if (grid := self.nodes.get(GRID)) is not None and grid.meter is not None:
            self.foresight.goes_by(grid.meter.watch.ladder)
        self.balances = {balance.node.id: balance for balance in balances_of(topology, self.nodes)}
        self.evses = {evse.id: EvseState(evse) for evse in topology.evses}
        self.plan = Plan(settings.plan)
        self.learning = self.foresight.learning
        self.deadline: float | None = None
        self._started_at: Instant | None = None
        self._places = [Place(state, str(id_), topology.path(id_)) for id_, state in self.evses.items()]
        self._in_turn = itertools.cycle(range(len(self._places)))
        self._below = {n.id: [p.state for p in self._places if n.id in p.path] for n in topology.nodes}
        self._facts = StationFacts(
            topology, self.evses, self.plan, self.learning, settings.pace.valid_s, is_balanced=bool(self.balances)
        )
        self._table = Table(topology, self._places)
        self._limited: Mapping[str, NodeState] = self.nodes | self.balances
        self._sharing = Sharing(tuple(self._limited), self._table)
        self._sources = Sources(book)
        self._measuring = Measuring(
            self._below,
            self.balances,
            book,
            self.foresight,
            adds_up=self._adds_up,
            tolerance_a=settings.pace.tolerance_a,
            calm_s=settings.calm_s,
        )
        self._last_seen = LastSeen(() if self._adds_up else (n.id for n in topology.nodes if n.meter is not None))
        self._turns = Turns(settings.turns)
        self._switches = PhaseSwitches(self._places, self._table, self.foresight.surplus.room_a)
        self._last_resort = LastResort(settings.stops_sessions)
        self._obligations = book.obligations()
        self._planned_a: tuple[int, Array] = -1, np.zeros(0)
        self._reaction: Reaction | None = None
        self.step_caps = StepCaps()
        self._delays = RandomDelays(settings.random_delay_s, settings.pace.dead_band_a)
        self._is_scarce = self._has_seen_taper = False
        self._longest_s = settings.pace.valid_s

    # --- inputs --------------------------------------------------------------------------------------------------

    def meter_read(self, reading: MeterReading, now: Instant) -> list[SiteEffect]:
        """A plausible reading; its age starts at `reading.asked_at`."""
        reading = self.topology.grid.read(reading)
        meter = self.meters[reading.meter]
        notices = [*_answers_again(meter), *self._facts.take_all_waiting()]
        meter.watch.seen(reading.asked_at, reading.unchanged_s)
        meter.reading, meter.failure = reading, ""
        for state in self.nodes.values():
            if state.meter is meter:
                self._last_seen.read(state.node.id)
                notices += self._measuring.read(state, reading, now)
        return [*notices, *self._react(now)]

    def meter_failed(self, meter: str, text: str, now: Instant) -> list[SiteEffect]:
        """The supervisor cannot read this meter; the age of its last reading does the rest."""
        is_news = text != self.meters[meter].failure
        self.meters[meter].failure = text
        notice = Notice("error", "meter_failed", f"meter {meter} {text}", {"meter": meter})
        return [*([notice] if is_news else []), *self._react(now)]

    def limit_received(self, source: str, limit: ReceivedLimit, now: Instant) -> list[SiteEffect]:
        """A limit of an external source: EMS, grid operator, a person."""
        return self._heard(self._sources.received(source, limit, now), now)

    def limit_told(self, limit: str, told: Told | None, now: Instant) -> list[SiteEffect]:
        """A person sets a limit for a while, or ends it."""
        return self._heard(self._sources.told(limit, told, now), now)

    def limit_source_failed(self, source: str, text: str, now: Instant) -> list[SiteEffect]:
        """A source said something that cannot be understood: it counts as silent at once."""
        return self._heard(self._sources.failed(source, text), now)

    def limit_outdated(self, source: str, text: str, _now: Instant) -> list[SiteEffect]:
        """A message of another time counts for nothing and changes nothing; the first of several is told."""
        return [*self._sources.outdated(source, text).notices]

    def limit_source_available(self, source: str, is_there: bool, text: str, now: Instant) -> list[SiteEffect]:
        """A source says that it is there, or its last will that it is not; text: what it says otherwise."""
        return self._heard(self._sources.available(source, is_there, text, now), now)

    def control_box_said(self, source: str, word: LpcWord, now: Instant) -> list[SiteEffect]:
        """A grid operator's control box spoke."""
        return self._heard(self._sources.box_said(source, word, now), now)

    def _heard(self, heard: Heard, now: Instant) -> list[SiteEffect]:
        if heard.is_new:
            self.plan.want()
        return [*heard.notices, *self._react(now)]

    def series_received(self, kind: Kind, series: Series, now: Instant) -> list[SiteEffect]:
        """Prices or power ahead. Nothing of this moment depends on it: the next tick is soon enough."""
        if self.foresight.received(kind, series, now):
            self.plan.want()
        return []

    def series_failed(self, kind: Kind, text: str, _now: Instant) -> list[SiteEffect]:
        """A message about them that cannot be read; the next tick tells people."""
        self.foresight.failed(kind, text)
        return []

    def _look_ahead(self, now: Instant) -> list[SiteEffect]:
        """Time alone changes what is known of the hours ahead, and the price of this one."""
        is_new, told = self.foresight.look(now)
        if is_new:
            self.plan.want()
        return [*told]

    def _look_at_inputs(self, now: Instant) -> list[SiteEffect]:
        """Time alone changes what a control box allows, and makes a source or a meter silent."""
        silent = [(meter.id, text) for meter in self.meters.values() if (text := meter.look(now))]
        meters = (Notice("error", "meter_failed", text, {"meter": meter}) for meter, text in silent)
        return [*self._sources.look(now), *meters]

    def station_changed(self, station: str, fact: StationFact | CsmsLimitChanged, now: Instant) -> list[SiteEffect]:
        """A fact about one of the stations, in our words whatever its version. The site reacts at `deadline`: now.

        A sample alone is no reason to react: what it proves is used with the next fact, reading or tick. Hundreds of
        stations measure more often than that.
        """
        if isinstance(fact, words.Measured):
            return self._facts.sampled(station, fact, now)
        if isinstance(fact, Forecast):  # a matter of plans, which the next tick asks for
            if self.foresight.foretold(station, fact, self.evses, now):
                self.plan.want()
            return []
        if self.deadline is None or self.deadline > now.monotonic_s:
            self.deadline = now.monotonic_s
        return self._facts.told(station, fact, now)

    def planned(self, number: int, allocation: Allocation, now: Instant) -> list[SiteEffect]:
        """The answer to `Solve(number, ...)`; an outdated one is dropped. It looks hours ahead: the next tick is soon enough."""
        self.plan.answered(number, allocation, now, self.foresight.waiting(self.evses.values(), now))
        return []

    def habits_forgotten(
        self, now: Instant, *, evse: str | None = None, id_token: str | None = None
    ) -> list[SiteEffect]:
        """Somebody asks for it: `Learning.forget`. The next plan goes without."""
        count = self.learning.forget(evse=evse, id_token=id_token)
        self.plan.want()
        what = f"of {evse}" if evse else "of a card" if id_token else "of everybody"
        return [Notice("info", "habits_forgotten", f"the visits {what} are forgotten: {count}"), *self._react(now)]

    def hold_down(self, caps_a: Mapping[EvseId, float], until: Instant, now: Instant) -> list[SiteEffect]:
        """For a step test: these EVSEs get no more than that before `until`, and nobody gets more because of it."""
        self.step_caps = StepCaps(caps_a, until)
        return self._react(now)

    def expire(self, now: Instant) -> list[SiteEffect]:
        """Time passed: ages grow, working limits end, renewals are due."""
        return self._react(now)

    def catch_up(self, now: Instant) -> Iterator[list[SiteEffect]]:
        """Takes what a station measured and derives what that, facts and time mean, one station at a step.

        What is not caught up with, the next reaction does. The next call goes on where this one was left.
        """
        for _ in self._places:
            number = next(self._in_turn)
            state = self._places[number].state
            if self._facts.has_waiting(state) or not state.stands(now):
                told = self._facts.take_waiting(state)
                self._table.look(number, now)
                yield told

    def wants(self, order: ApplyLimit) -> bool:
        """Whether an order that waited to be carried out still is what its session was ordered last.

        That what was sent before it has failed meanwhile does not matter: then it is the next attempt.
        """
        session = self.evses[order.evse].session
        if session is None or session.asked_a != order.limit_a:
            return False
        return session.asked_phases == (None if order.phases is None else OnPhases(order.phases, order.phase_to_use))

    def _cap_lasting(self) -> None:
        """Stations whose limits outlast the gateway share what is safe without it; slow ones are told of the hour earlier."""
        self._facts.lasting_is_new = False
        self._longest_s = max(map(self._outlasts_s, self.evses.values()), default=0.0)
        caps = lasting_caps_a(self.topology, {id_ for id_, state in self.evses.items() if state.lasts_s > LONG_S})
        for id_, state in self.evses.items():
            if state.lasting_cap_a != caps.get(id_, math.inf):
                state.capped_at(caps.get(id_, math.inf))
        for limit in self.book.own:
            limit.expect(max((state.settle_s for state in self._below[limit.node]), default=0.0))

    # --- reacting ------------------------------------------------------------------------------------------------

    def _react(self, now: Instant) -> list[SiteEffect]:
        self.deadline = now.monotonic_s + TICK_S
        self._started_at = self._started_at or now
        told = [*self._facts.take_all_waiting(), *self._look_at_inputs(now), *self._look_ahead(now)]
        if self._facts.lasting_is_new:
            self._cap_lasting()
        moment = self._moment(now)
        self._watch_room(moment.left, now)
        self._last_resort.look([place.state for place in moment.set_aside], now)
        grants = self._grant(moment, now)
        orders, waits = self._decide(grants, moment, now)
        set_aside = [place.state for place in moment.set_aside]
        waits = {**self.foresight.reasons(), **waits, **self.step_caps.reasons(now), **self._delays.reasons(now)}
        self._reaction = Reaction(now, moment.capacities, moment.reserved, grants, set_aside, waits, self._turns_s(now))
        return [*told, *self._switches.news(), *orders, *self._replan(moment, now)]

    def _moment(self, now: Instant) -> _Moment:
        follows = self._table.at(now)
        followers = np.flatnonzero(follows)
        worst, reserved = self._table.exposures(), self._table.exposures(~follows)
        capacities = [capacity(state, self.book, now) for state in self.nodes.values()]
        capacities += [balance.capacity(now) for balance in self.balances.values()]
        others = [self._places[number] for number in np.flatnonzero(~follows).tolist()]
        return _Moment(
            capacities=capacities,
            worst=worst,
            reserved=reserved,
            left=left(capacities, self._last_seen.counted(worst, self._table)),
            followers=followers,
            columns=self._table.of(followers),
            set_aside=[place for place in others if place.state.session is not None],
        )

    def _watch_room(self, room: Left, now: Instant) -> None:
        least_a, until_s = -self.settings.pace.tolerance_a, now.monotonic_s + self.settings.stable_s
        for node, state in self._limited.items():
            for phase in PHASES:
                if room.per_phase[node][phase] < least_a:
                    state.hold(phase, until_s, f"{state.node.label} {PHASE_NAMES[phase]} had no room a moment ago")
        for node, left_a in room.together.items():
            if left_a < least_a:
                state = self.nodes[node]
                state.hold(TOGETHER, until_s, f"{state.node.label} had no power left a moment ago")

    def _grant(self, moment: _Moment, now: Instant) -> Grants:
        """What every session that can be controlled gets if all of it could be had at once.

        The most is the plan's current, and only its fallback where nothing measures (G5).
        """
        columns = moment.columns
        blind = self._table.below({n for n, state in self.nodes.items() if state.blind(now)})[moment.followers]
        most_a = np.where(blind | columns.is_modest, np.minimum(columns.cap_a, columns.modest_a), columns.cap_a)
        available = moment.for_followers()
        places = [self._places[number] for number in moment.followers.tolist()]
        planned_a = self._planned()[moment.followers]
        if ((planned_a > 0.0) & (planned_a < columns.min_a - NOISE_A)).any():
            self.plan.want()  # a car needs more to charge at all than it did when that was planned
        planned_a, most_a = self.foresight.bound(places, columns, planned_a, most_a, now)
        caps_a = self._in_turns(moment, np.minimum(planned_a, most_a), most_a, available, now)
        shares_a = self._sharing.shares_a(moment.followers, columns, caps_a, available).tolist()
        shares_a = self._kept(moment, shares_a, most_a, now)
        shares_a = self._switched(moment, shares_a, available, now)
        shares_a = self.step_caps.lowered(places, shares_a, now)
        shares_a = self._delays.lowered(places, shares_a, now)
        ways = [self._table.ways[number] for number in moment.followers.tolist()]
        return Grants(places, ways, [place.state.session for place in places], caps_a, blind, shares_a)

    def _switched(self, moment: _Moment, shares_a: Sequence[float], available: Left, now: Instant) -> Sequence[float]:
        """The shares; nothing for cars that pause to charge on another number of phases (goal G9)."""
        lowered_a = self._switches.lowered(moment.followers, moment.columns, shares_a, available, now)
        if self._switches.has_news:
            self._switches.has_news = False
            self.plan.want()
        return lowered_a

    def _kept(self, moment: _Moment, shares_a: Sequence[float], most_a: Array, now: Instant) -> Sequence[float]:
        """The shares; soon after the start no less than what cars may keep that went on without us."""
        if now.since(self._started_at or now) > 2 * KEPT_S:
            return shares_a
        at, tolerance_a = {c.node: c for c in moment.capacities}, self.settings.pace.tolerance_a
        who = ((self._places[number].state, self._table.ways[number]) for number in moment.followers.tolist())
        kept = (kept_a(state, way, self._limited, at, moment.left, tolerance_a, now) for state, way in who)
        return [max(share, min(one, cap)) for share, one, cap in zip(shares_a, kept, most_a.tolist(), strict=True)]

    def _in_turns(self, moment: _Moment, caps_a: Array, most_a: Array, available: Left, now: Instant) -> Array:
        """The caps, where not all minimums fit: those whose turn it is may have theirs whatever the plan says, others wait.

        A plan that gives something to who waits, or rests, binds nobody: else that would be left unused. From when all fit until
        the next plan, nobody has less than before, and nobody less than the minimum.
        """
        min_a, now_s = moment.columns.min_a, now.monotonic_s
        can = np.flatnonzero((most_a >= min_a) & (moment.columns.wanted_wh > 0))
        fits = self._sharing.seated(moment.followers, min_a, can, available)
        if fits[can].all():
            if self._turns.all_seated(now_s):
                self.plan.outgrow()
            if not self.plan.is_outgrown:
                return caps_a
            return np.maximum(caps_a, np.minimum(np.maximum(min_a, moment.columns.ordered_a), most_a))
        position = {int(moment.followers[number]): number for number in can.tolist()}
        order = self._turns.order([self._asker(place, min_a[at]) for place, at in position.items()], now_s)
        in_order = np.array([position[place] for place in order], dtype=np.intp)
        seats = self._sharing.seated(moment.followers, min_a, in_order, available)
        if self._turns.seated({int(moment.followers[number]) for number in np.flatnonzero(seats).tolist()}, now_s):
            self.plan.want()
        waiting = can[~seats[can]]
        counts_on_who_waits = bool((caps_a[waiting] >= min_a[waiting]).any())
        wanted_a = most_a if counts_on_who_waits else np.maximum(caps_a, np.minimum(min_a, most_a))
        return np.where(seats, wanted_a, 0.0)

    def _turns_s(self, now: Instant) -> dict[EvseId, float]:
        waits_s = self._turns.waits_s(now.monotonic_s)
        return {self._places[place].state.evse.id: wait_s for place, wait_s in waits_s.items()}

    def _asker(self, place: int, min_a: float) -> Asker:
        state = self._places[place].state
        transaction = "" if state.session is None else state.session.transaction_id
        return Asker(place, transaction, state.ordered_a >= min_a, state.session_energy_wh() or 0.0)

    def _planned(self) -> Array:
        """The plan's current for each place, infinite where it says nothing."""
        revision, planned_a = self._planned_a
        if revision != self.plan.revision:
            planned_a = np.array(self.plan.first_blocks_a(place.key for place in self._places))
            self._planned_a = self.plan.revision, planned_a
        return planned_a

    def _decide(self, grants: Grants, moment: _Moment, now: Instant) -> tuple[list[SiteEffect], Mapping[EvseId, Wait]]:
        room = Room(moment.left, {node: state.node.label for node, state in self._limited.items()})
        pace = self.settings.pace
        others, stops = self._for_set_aside(moment, now)
        candidates = [*self._candidates(grants, moment, room, now), *others]
        orders, waits = decide(candidates, room, pace, now, self._doubts())
        for order in orders:
            self.evses[order.evse].ordered(order.limit_a, now)
        limits = [ApplyLimit(o.evse, o.limit_a, pace.valid_s, o.urgent, *self._phases(o.evse)) for o in orders]
        return [*limits, *stops], {wait.evse: wait for wait in waits}

    def _doubts(self) -> Iterator[Doubt]:
        """Of stations that boot or come, until they have confirmed their fallbacks (LC-041)."""
        for number, place in enumerate(self._places):
            if (unproven_a := place.state.unproven_a) > 0.0:
                worst_a = self._table.standing(number).worst_a
                yield Doubt(place.path, place.state.evse.grid_phases, max(0.0, unproven_a - worst_a))

    def _phases(self, evse: EvseId) -> OnPhases | tuple[None, None]:
        """What is told of phases with a limit."""
        session = self.evses[evse].session
        return (None, None) if session is None or session.asked_phases is None else session.asked_phases

    def _for_set_aside(self, moment: _Moment, now: Instant) -> tuple[Sequence[Candidate], Iterable[SiteEffect]]:
        """What those are told that do not follow, and who of them is ended."""
        if not moment.set_aside:
            return [], []
        exceeded, held = self._exceeded(moment, now), "it does not follow its limit"
        here = [place for place in moment.set_aside if place.state.connected]
        told = [Candidate(p.state, self._set_aside_a(p, exceeded, now), p.path, held) for p in here]
        return told, self._last_resort.stops(moment.set_aside, exceeded, now)

    def _exceeded(self, moment: _Moment, now: Instant) -> Exceeded:
        """What is exceeded of fuses, contract and limits of the grid operator."""
        rooms = [capacity(state, self._obligations, now) for state in self.nodes.values()]
        at, room = {one.node: one for one in rooms}, left(rooms, moment.worst)
        return Exceeded(self.nodes, at, room, self.below, self.settings.pace.tolerance_a)

    def _set_aside_a(self, place: Place, exceeded: Exceeded, now: Instant) -> float:
        """What a session is told that does not follow: its fallback, or nothing where an obligation is exceeded."""
        state = place.state
        is_over = exceeded.most(place.path, state.phases(), now) is not None
        if self._last_resort.pauses(state.evse.id, now, is_over=is_over):
            return 0.0
        return min(state.ordered_a, state.modest_a)

    def _candidates(self, grants: Grants, moment: _Moment, room: Room, now: Instant) -> Iterator[Candidate]:
        """Those that follow and for which there is something to decide."""
        pace = self.settings.pace
        hold = Hold(self._limited, self.book, room, lambda node: self._may_hold_old_limits(node, now), now)
        columns, shares_a = moment.columns, np.array(grants.shares_a)
        noise = is_noise(columns, shares_a, pace, now)
        for number in np.flatnonzero(~is_quiet(columns, shares_a, pace, now)).tolist():
            place, standing = grants.places[number], self._table.standing(int(moment.followers[number]))
            way = grants.ways[number]
            if not noise[number] or hold.presses(way, standing.phases, pace.tolerance_a):
                held = hold.why(way, standing.phases)
                yield Candidate(place.state, grants.shares_a[number], way, held, standing.worst_a)

    def _may_hold_old_limits(self, node: str, now: Instant) -> bool:
        """Before the working limits of an earlier run have ended, unless every station has booted or shown its session.

        Where a meter measures, it sees what they draw, but not what a car that went on meanwhile may still rise to. A limit
        that lasts goes on unseen in a station that is not here.
        """
        runs_s = now.since(self._started_at or now)
        if runs_s >= self._longest_s:
            return False
        is_metered = self._limited[node].is_metered
        unknown = (evse for evse in self.below(node) if not evse.known and (evse.session is not None or not is_metered))
        return any(runs_s < self._outlasts_s(evse) for evse in unknown)

    def _outlasts_s(self, evse: EvseState) -> float:
        """So long after the start a limit of an earlier run may hold; the car that a setting for ever feeds is full by then."""
        valid_s = self.settings.pace.valid_s
        return valid_s if evse.connected else max(valid_s, min(evse.lasts_s, MOST_LASTING_S))

    def _replan(self, moment: _Moment, now: Instant) -> list[SiteEffect]:
        room = moment.for_followers()
        if not len(moment.followers) or not self.plan.due(room, now):
            return []
        self._is_scarce = not self._sharing.fits(moment.followers, moment.columns.cap_a, room)
        return [Solve(self.plan.asked(room, now))]

    def question(self) -> Question:
        """What `Solve` asks for: the site as the last reaction saw it."""
        return next(found for found in self.question_in_steps() if found is not None)

    def question_in_steps(self) -> Iterator[Question | None]:
        """The same at the last step; None before it. Facts and reactions may come between two steps.

        Who charges no more is left out; whoever has gone when the plan comes is not bound by it (`Plan.forget`). Where not all
        can have all, a car asks for what it takes.
        """
        reaction = self._reaction
        if reaction is None:
            raise ValueError("there is no question before the first reaction")
        at, who = reaction.at, []
        horizon = horizon_at(at)
        for one in reaction.grants.running():
            most_a = one.state.useful_a if self._is_scarce else one.state.most_a
            guess = self.learning.guess(one.state, horizon, at)
            asked = asking(one.state, one.key, one.path, most_a, at)
            who.append(self.foresight.asked(asked, one.state, at).with_guess(guess))
            self._has_seen_taper |= one.state.tapers
            if guess is not None or len(who) % ASKING_PER_STEP == 0:
                yield None
        capacities, modes = tuple(reaction.capacities), [one.mode for one in who]
        objective, tariff = self.foresight.ahead(horizon, modes, self.settings.plan.objective, at)
        yield Question(
            at.utc.timestamp(),
            horizon,
            capacities,
            reaction.reserved_a,
            tuple(who),
            objective,
            tariff,
            tapers=self._has_seen_taper,
            awaited=self.foresight.to_come(self._places, horizon, at),
        )

    def uneven_a(self, balance: Balance) -> PerPhase:
        """What those that may be uneven may draw at worst below an asymmetry limit, as the last reaction saw it."""
        return self._table.exposures()[balance.node.id]

    def below(self, node: str) -> Sequence[EvseState]:
        """The EVSEs that a node carries, directly or through its circuits."""
        balance = self.balances.get(node)
        return self._below[node if balance is None else str(balance.node.parent)]

    # --- why -----------------------------------------------------------------------------------------------------

    def explained(self) -> Iterator[Decision | None]:
        """The records of the last reaction; None where there is none yet to give. Putting them into words takes a while."""
        return iter(()) if self._reaction is None else explained(self._reaction, self.plan, self.foresight)

    @property
    def decisions(self) -> dict[EvseId, Decision]:
        """All records of the last reaction."""
        return {found.evse: found for found in self.explained() if found is not None}


def _answers_again(meter: MeterState) -> list[SiteEffect]:
    if not meter.failure:
        return []
    return [Notice("info", "meter_answers", f"meter {meter.id} answers", {"meter": meter.id})]
