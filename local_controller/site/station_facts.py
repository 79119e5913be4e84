"""What do the facts of stations change of the site's EVSEs, and what of it is news?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from local_controller.clock import Instant
from local_controller.site.effects import ApplyFallback, Disobeyed, Notice, SiteEffect
from local_controller.site.evse import EvseState
from local_controller.site.foreign import foreign_notices
from local_controller.site.learning import Learning
from local_controller.site.notices import lost_notice, silent_notice, speaks_notice
from local_controller.site.plan import Plan
from local_controller.site.topology import Topology
from local_controller.station import words
from local_controller.station.effects import CsmsLimitChanged, StationFact
from local_controller.station.words import EvseId, LimitKind, LimitOutcome


class StationFacts:
    """All stations of a site, in our words whatever their version.

    lasting_is_new: how long limits outlast the gateway somewhere is news, until the controller has seen to it.
    """

    def __init__(  # noqa: PLR0913 - who hears of facts
        self,
        topology: Topology,
        evses: Mapping[EvseId, EvseState],
        plan: Plan,
        learning: Learning,
        valid_s: float,
        *,
        is_balanced: bool,
    ) -> None:
        """valid_s: so long a limit holds that nobody renews. is_balanced: whether the site has asymmetry limits."""
        self.lasting_is_new = False
        self._of_station = {s.id: {e.id.evse: evses[e.id] for e in s.evses} for s in topology.stations}
        self._plan = plan
        self._learning = learning
        self._valid_s = valid_s
        self._is_balanced = is_balanced
        self._with_strangers: set[str] = set()
        self._waiting: dict[EvseState, tuple[words.MeterSample, Instant]] = {}

    def told(self, station: str, fact: StationFact | CsmsLimitChanged, now: Instant) -> list[SiteEffect]:
        """A fact about one of the stations, but for its samples."""
        evses = self._of_station.get(station, {})
        match fact:
            case words.Connected() | words.Booted(status=words.RegistrationStatus.ACCEPTED):
                return self._assert_fallbacks(evses.values(), isinstance(fact, words.Booted), now)
            case words.Disconnected() | words.FellSilent() | words.SpokeAgain():
                return [_unreachable(station, evses.values(), fact)]
            case words.UnitLearnt():
                for state in evses.values():
                    state.takes(fact.unit)
            case words.BehaviourLearnt():
                for state in evses.values():
                    state.behaves(fact)
                self.lasting_is_new = True
            case words.Booted():
                pass
            case CsmsLimitChanged() if fact.evse in evses and evses[fact.evse].knows_of_csms(fact):
                pass  # as after nearly every connection, when hundreds come at once
            case _ if fact.evse in evses:
                return self._evse_fact(evses[fact.evse], fact, now)
            case _:
                return self._stranger(station, fact.evse)
        return []

    def _stranger(self, station: str, evse: int) -> list[SiteEffect]:
        """An EVSE that is wired, but not in the site file; said once per station. 0 is the station itself."""
        if evse == 0 or station in self._with_strangers:
            return []
        self._with_strangers.add(station)
        text = f"{station} has an EVSE {evse} that the site file does not know: it is not controlled; add it"
        return [Notice("error", "unknown_evse", text, {"station": station, "evse": evse})]

    @staticmethod
    def _assert_fallbacks(evses: Iterable[EvseState], booted: bool, now: Instant) -> list[SiteEffect]:
        """Both a new connection and a reboot may have lost the station's profiles (LC-041, LC-042)."""
        for state in evses:
            state.connected_now(now, booted=booted)
        return [ApplyFallback(state.evse.id, state.evse.fallback_a) for state in evses]

    def _evse_fact(self, state: EvseState, fact: StationFact | CsmsLimitChanged, now: Instant) -> list[SiteEffect]:
        told = self.take_waiting(state)
        match fact:
            case words.LimitAnswered(kind=LimitKind.FALLBACK):
                told += _fallback_answered(state, fact, now)
            case words.LimitAnswered(outcome=LimitOutcome.SENT):
                state.sent(fact.limit_a, self._valid_until(state, fact, now))
                return told  # soon it is answered
            case words.LimitAnswered():
                told += _limit_answered(state, fact, self._valid_until(state, fact, now), now)
            case words.ForeignLimit():
                state.meets_foreign(fact)
                told += foreign_notices(state, now)
            case words.TransactionStarted():
                state.started(fact.transaction_id, now, is_found=fact.is_found)
                self._learning.began(state.evse.id, fact, now)
                self._plan.forget(str(state.evse.id))
            case words.Authorized():
                self._learning.authorized(state.evse.id, fact)
            case words.DelayWaived():
                state.waives_delay(fact.transaction_id, is_waived=fact.is_waived)
            case words.TransactionEnded():
                self._learning.ended(state, fact, now)
                state.ended(fact.transaction_id)
                self._plan.forget(str(state.evse.id))
            case _ if _changes_the_question(state, fact, now):
                self._plan.want()
            case _:
                pass
        self._learning.saw(state, fact, now)
        state.stand(now)  # derived now rather than for hundreds at once in the next reaction
        return told

    def sampled(self, station: str, fact: words.Measured, now: Instant) -> list[SiteEffect]:
        """A sample of the station's own meter.

        One that shows what the last one showed waits for the next fact, reading or tick; the newest stands for all.
        """
        state, sample = self._of_station.get(station, {}).get(fact.evse), fact.sample
        if state is None:
            return self._stranger(station, fact.evse)
        if state.session is None:
            return self._strayed(state, sample, now)
        if state.session.shown_a == sample.current_a:
            self._waiting[state] = sample, now
            return []
        told = [*self.take_waiting(state), *self._measured(state, sample, now)]
        state.stand(now)
        return told

    @staticmethod
    def _strayed(state: EvseState, sample: words.MeterSample, now: Instant) -> list[SiteEffect]:
        """It charges without a transaction, as far as anybody told us: said once, until it rests."""
        if not state.strays(sample, now):
            return []
        drawn_a = state.drawn_a(now)
        text = (
            f"{state.evse.id} draws {drawn_a:.1f} A without a transaction: it cannot be told a limit, the others make room; "
            "set its station to begin one for every car (authorization in place of free charging)"
        )
        return [Notice("warning", "no_transaction", text, {"evse": str(state.evse.id)})]

    def has_waiting(self, state: EvseState) -> bool:
        """Whether a sample of this EVSE waits to be taken."""
        return state in self._waiting

    def take_waiting(self, state: EvseState) -> list[SiteEffect]:
        """The sample of this EVSE counts from now on."""
        waiting = self._waiting.pop(state, None)
        return [] if waiting is None else self._measured(state, *waiting)

    def take_all_waiting(self) -> list[SiteEffect]:
        """Everything that was measured counts from now on, each from the moment it was told."""
        told: list[SiteEffect] = []
        while self._waiting:
            state, (sample, at) = self._waiting.popitem()
            told += self._measured(state, sample, at)
        return told

    def _measured(self, state: EvseState, sample: words.MeterSample, now: Instant) -> list[SiteEffect]:
        """A sample may show other phases in use, which the plan should know, and a car above its limit (LC-115)."""
        loads, was_defiant = self._loads(state, now), state.ignores_its_limit
        state.measured(sample, now)
        if self._loads(state, now) != loads:
            self._plan.want()
        if not state.ignores_its_limit:
            return []
        disobeyed = Disobeyed(state.evse.id, state.drawn_a(now))
        if was_defiant:
            return [disobeyed]
        text = f"{state.evse.id} draws {state.drawn_a(now):.1f} A although it may draw {state.ordered_a:.1f} A only"
        return [disobeyed, Notice("error", "limit_ignored", f"{text}: check the station", {"evse": str(state.evse.id)})]

    def _loads(self, state: EvseState, now: Instant) -> tuple[tuple[int, ...], bool, float]:
        """The phases that a car may use, whether it counts at asymmetry limits, and the most that it takes."""
        return state.phases(), self._is_balanced and state.is_uneven(now), state.useful_a

    def _valid_until(self, state: EvseState, fact: words.LimitAnswered, now: Instant) -> Instant | None:
        """A limit ends with its order; a station that is told again because the CSMS changed a profile keeps that end.

        One that is seldom written to obeys longer, one that obeys a setting of its maker for ever (None).
        """
        if fact.lasts_s is not None:
            return None if math.isinf(fact.lasts_s) else now.after(fact.lasts_s)
        ordered_at = None if state.session is None else state.session.ordered_at
        return (ordered_at or now).after(self._valid_s)


def _unreachable(
    station: str, evses: Iterable[EvseState], fact: words.Disconnected | words.FellSilent | words.SpokeAgain
) -> Notice:
    """Nothing comes from it any more, or something does again over the same connection."""
    if isinstance(fact, words.Disconnected):
        for state in evses:
            state.lost()
        return lost_notice(station, fact.reason)
    is_silent = isinstance(fact, words.FellSilent)
    for state in evses:
        state.fell_silent(is_silent=is_silent)
    return silent_notice(station, fact.for_s) if isinstance(fact, words.FellSilent) else speaks_notice(station)


def _changes_the_question(state: EvseState, fact: StationFact | CsmsLimitChanged, now: Instant) -> bool:
    """Take over a fact of a session; whether the plan should know it."""
    match fact:
        case words.NeedsKnown():
            return state.needs(fact.energy_wh, fact.departure)
        case words.PriorityGiven():
            return state.is_given(fact.priority, fact.transaction_id)
        case CsmsLimitChanged():
            return state.csms_allows(fact.schedule, fact.least_a)
        case words.TransactionUpdated() | words.ConnectorChanged(charging_state=words.ChargingState()):
            if fact.charging_state is not None:
                state.charging_state_is(fact.charging_state, now)
    return False


def _limit_answered(
    state: EvseState, fact: words.LimitAnswered, until: Instant | None, now: Instant
) -> list[SiteEffect]:
    match fact.outcome:
        case LimitOutcome.ACCEPTED:
            state.accepted(fact.limit_a, now, until)
            state.phases_accepted(fact.phases, now)
        case LimitOutcome.TIMED_OUT | LimitOutcome.DROPPED:
            state.unconfirmed(now)
        case LimitOutcome.POSTPONED:
            state.postponed(now.after(fact.again_s or 0.0))
        case LimitOutcome.REFUSED:
            is_news = not state.refuses
            state.refused(fact.limit_a, now)
            counted_a = state.exposure_a(now)
            refused = f"{state.evse.id} refuses {fact.limit_a:.1f} A ({fact.detail})"
            text = f"{refused}; it counts with {counted_a:.1f} A; {_refusal_remedy(state)}"
            return [Notice("warning", "limit_refused", text, {"evse": str(state.evse.id)})] if is_news else []
    return []


def _fallback_answered(state: EvseState, fact: words.LimitAnswered, now: Instant) -> list[SiteEffect]:
    match fact.outcome:
        case LimitOutcome.ACCEPTED:
            state.fallback_answered(fact.limit_a, now)
        case LimitOutcome.REFUSED:
            state.fallback_answered(None, now)
            refused = f"{state.evse.id} takes no fallback ({fact.detail})"
            text = f"{refused}: it counts with its maximum {state.evse.max_a:g} A; {_refusal_remedy(state)}"
            return [Notice("error", "fallback_refused", text, {"evse": str(state.evse.id)})]
        case _:
            pass
    return []


def _refusal_remedy(state: EvseState) -> str:
    station = state.evse.id.station
    return f"is smart charging switched on in it? `local-controller profiles {station}` shows what it holds"
