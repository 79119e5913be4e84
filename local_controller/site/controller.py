"""Facts in, limits out: what does the site decide when something happens?

Every input is a method, every output a list of effects. After each fact the same chain runs: capacity of every node,
fair share of what the plan wants, what may be sent now. A limit that drops is therefore answered within the very
input that reported it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Final

from local_controller.clock import Instant
from local_controller.site.asymmetry import Balance
from local_controller.site.capacity import MeterState
from local_controller.site.control_settings import ControlSettings
from local_controller.site.earlier_run import EarlierRun
from local_controller.site.effects import ApplyLimit, Notice, SiteEffect, Solve
from local_controller.site.foresight import Forecast, Foresight
from local_controller.site.granting import Granting
from local_controller.site.heard import Heard, Sources
from local_controller.site.lasting import LONG_S, lasting_caps_a
from local_controller.site.limit_book import LimitBook
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.lpc import LpcWord
from local_controller.site.measuring import Measuring
from local_controller.site.moment import Moment, Moments
from local_controller.site.ordering import Ordering
from local_controller.site.outlook import Kind
from local_controller.site.per_phase import PHASE_NAMES, PHASES, PerPhase
from local_controller.site.person_limit import Told
from local_controller.site.plan import Plan
from local_controller.site.planning import Question
from local_controller.site.questions import Questions
from local_controller.site.readings import MeterReading
from local_controller.site.reasons import Decision, Reaction, explained
from local_controller.site.series import Series
from local_controller.site.station_facts import StationFacts
from local_controller.site.step_caps import StepCaps
from local_controller.site.together import TOGETHER
from local_controller.site.topology import GRID, Topology
from local_controller.site.tree import Tree
from local_controller.station import words
from local_controller.station.effects import CsmsLimitChanged, StationFact
from local_controller.station.words import EvseId
from optimizer.problem import Allocation

TICK_S: Final = 1.0
"""Ages, expiries and renewals are looked at this often when nothing else happens."""


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
        self.tree = Tree(topology, meter_poll_s)
        self.meters, self.nodes, self.balances = self.tree.meters, self.tree.nodes, self.tree.balances
        self.evses = self.tree.evses
        if (grid := self.nodes.get(GRID)) is not None and grid.meter is not None:
            self.foresight.goes_by(grid.meter.watch.ladder)
        self.plan = Plan(settings.plan)
        self.learning = self.foresight.learning
        self.deadline: float | None = None
        self.step_caps = StepCaps()
        self._in_turn = itertools.cycle(enumerate(self.tree.places))
        self._facts = StationFacts(
            topology, self.evses, self.plan, self.learning, settings.pace.valid_s, is_balanced=bool(self.balances)
        )
        self._sources = Sources(book)
        self._measuring = Measuring(
            self.tree.carried,
            self.balances,
            book,
            self.foresight,
            adds_up=topology.adds_up,
            tolerance_a=settings.pace.tolerance_a,
            calm_s=settings.calm_s,
        )
        self._moments = Moments(self.tree, book)
        self._earlier_run = EarlierRun(self.tree, settings.pace.valid_s)
        self._granting = Granting(self.tree, self.plan, self.foresight, settings)
        self._ordering = Ordering(self.tree, book, settings, self._earlier_run)
        self._questions = Questions(self.tree.places, self.foresight, settings.plan.objective)
        self._reaction: Reaction | None = None

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
                self._moments.read(state.node.id)
                notices += self._measuring.read(state, reading, now)
        return [*notices, *self._react(now)]

    def meter_failed(self, meter: str, text: str, now: Instant) -> list[SiteEffect]:
        """The supervisor cannot read this meter; the age of its last reading does the rest."""
        is_news = text != self.meters[meter].failure
        self.meters[meter].failure = text
        self.meters[meter].watch.failed()
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

        What is not caught up with, the next reaction does, also where the answer to a limit will change all in a moment.
        The next call goes on where this one was left.
        """
        for number, place in itertools.islice(self._in_turn, len(self.tree.places)):
            state = place.state
            if self._facts.has_waiting(state) or not (state.stands(now) or state.awaits_answer):
                told = self._facts.take_waiting(state)
                self.tree.table.look(number, now)
                yield told

    def wants(self, order: ApplyLimit) -> bool:
        """Whether an order that waited to be carried out still is what its session was ordered last."""
        return self._ordering.wants(order)

    # --- reacting ------------------------------------------------------------------------------------------------

    def _react(self, now: Instant) -> list[SiteEffect]:
        self.deadline = now.monotonic_s + TICK_S
        told = [*self._facts.take_all_waiting(), *self._look_at_inputs(now), *self._look_ahead(now)]
        if self._facts.lasting_is_new:
            self._cap_lasting()
        moment = self._moments.at(now)
        self._watch_room(moment, now)
        grants = self._granting.granted(moment, self.step_caps, now)
        orders, waits = self._ordering.decided(grants, moment, now)
        set_aside = [place.state for place in moment.set_aside]
        waits = {**self.foresight.reasons(), **waits, **self.step_caps.reasons(now), **self._granting.delays(now)}
        turns_s = self._granting.turns_s(now)
        self._reaction = Reaction(now, moment.capacities, moment.reserved, grants, set_aside, waits, turns_s)
        return [*told, *self._granting.news(), *orders, *self._replan(moment, now)]

    def _cap_lasting(self) -> None:
        """Stations whose limits outlast the gateway share what is safe without it; slow ones are told of the hour earlier."""
        self._facts.lasting_is_new = False
        self._earlier_run.look()
        caps = lasting_caps_a(self.topology, {id_ for id_, state in self.evses.items() if state.lasts_s > LONG_S})
        for id_, state in self.evses.items():
            if state.lasting_cap_a != caps.get(id_, math.inf):
                state.capped_at(caps.get(id_, math.inf))
        for limit in self.book.own:
            limit.expect(max((state.settle_s for state in self.tree.carried[limit.node]), default=0.0))

    def _watch_room(self, moment: Moment, now: Instant) -> None:
        room = moment.left
        least_a, until_s = -self.settings.pace.tolerance_a, now.monotonic_s + self.settings.stable_s
        for node, state in self.tree.limited.items():
            for phase in PHASES:
                if room.per_phase[node][phase] < least_a:
                    state.hold(phase, until_s, f"{state.node.label} {PHASE_NAMES[phase]} had no room a moment ago")
        for node, left_a in {**room.together, **moment.as_told}.items():
            if left_a < least_a:
                state = self.nodes[node]
                state.hold(TOGETHER, until_s, f"{state.node.label} had no power left a moment ago")

    def _replan(self, moment: Moment, now: Instant) -> list[SiteEffect]:
        room = moment.for_followers()
        if not len(moment.followers) or not self.plan.due(room, now):
            return []
        self._questions.is_scarce = self._granting.is_scarce(moment, room)
        return [Solve(self.plan.asked(room, now))]

    def question(self) -> Question:
        """What `Solve` asks for: the site as the last reaction saw it."""
        return next(found for found in self.question_in_steps() if found is not None)

    def question_in_steps(self) -> Iterator[Question | None]:
        """The same at the last step; None before it. Facts and reactions may come between two steps."""
        if self._reaction is None:
            raise ValueError("there is no question before the first reaction")
        yield from self._questions.in_steps(self._reaction)

    def uneven_a(self, balance: Balance) -> PerPhase:
        """What those that may be uneven may draw at worst below an asymmetry limit, as the last reaction saw it."""
        return self.tree.table.exposures()[balance.node.id]

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
