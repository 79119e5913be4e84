"""How do the site's limits and the CSMS's charging profiles share one station? (functional block K)

The gateway owns TxDefaultProfile and TxProfile. The CSMS's profiles of these purposes live in a virtual store; the
station holds the lower of the site's limit and what that store allows (LC-093). The CSMS is answered as a station
would answer, and never meets a profile of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from local_controller.clock import Instant
from local_controller.errors import PayloadError, UnknownWordError
from local_controller.rpc.frame import CALLRESULT, Frame
from local_controller.station.block import (
    UNCHANGED,
    Answer,
    AnswerError,
    Block,
    BlockEffect,
    Forward,
    OwnCall,
    Unreadable,
    Urgency,
    Wanted,
)
from local_controller.station.blocks import car_schedules, priority_charging
from local_controller.station.blocks.allowances import Allowances
from local_controller.station.blocks.applying import Applying
from local_controller.station.blocks.dynamic_updates import DynamicUpdates, Pull
from local_controller.station.blocks.news import News
from local_controller.station.blocks.own_questions import TO_FIRMWARE, Question, Topic
from local_controller.station.blocks.priority_charging import PriorityCharging
from local_controller.station.blocks.profile_clears import ClearingRest, ProfileClears
from local_controller.station.blocks.profile_desk import ProfileDesk
from local_controller.station.blocks.profile_reports import REPORT, Collection, ProfileReports, Told, told_on
from local_controller.station.blocks.profile_sets import ProfileSets, Replaced
from local_controller.station.blocks.push import Push
from local_controller.station.blocks.schedule_ids import TELL_OF_SCHEDULES, shown_schedules
from local_controller.station.blocks.standing import Standing
from local_controller.station.blocks.start_profiles import StartProfiles
from local_controller.station.blocks.wish import ANY_PHASES, OnPhases
from local_controller.station.blocks.writer import ProfileWriter
from local_controller.station.dialects import dynamic_update
from local_controller.station.dialects.base import Dialect
from local_controller.station.effects import Note, Peer, Tell
from local_controller.station.state import StationState
from local_controller.station.turns import Turns
from local_controller.station.words import OcppVersion

REVIEW_S = 900.0
"""How often the CSMS's profiles are looked at again, since they change with time too."""

SET_BACK_S = 10.0
"""A clock that goes back by more makes a limit last longer than the site reckons with, which gives a car 10 s to follow."""

PATIENCE_S = 30.0
"""A request that waited so long behind others is not executed any more: the CSMS has given it up (LC-025)."""

READ_S = 4.0
"""So long a profile waits for what the station says of itself; then it is judged without. The station has 8 s to take it."""

_REMOTE_STARTS = frozenset({"RemoteStartTransaction", "RequestStartTransaction"})
_CSMS = Peer.CSMS
_NOTHING_SEEN = -1
_ALWAYS_NEW = frozenset({"BootNotification", car_schedules.NEEDS, priority_charging.NOTIFY, *TO_FIRMWARE})
_ABOUT_PROFILES = frozenset(
    {
        "SetChargingProfile",
        "ClearChargingProfile",
        "GetChargingProfiles",
        dynamic_update.UPDATE,
        priority_charging.USE,
    }
)
_OF_STATION = frozenset({REPORT, dynamic_update.PULL}) | TELL_OF_SCHEDULES


@dataclass(frozen=True, slots=True)
class _Stop:
    """Tag of our request to end a transaction."""

    transaction_id: str


_Asked = Callable[[Frame, Instant], list[BlockEffect] | None]
_Answered = Callable[[Any, Frame | None, Instant], list[BlockEffect]]


class SmartCharging(Block):
    """The block that limits a station. The site calls `set_fallback` and `set_limit`; their effects are performed."""

    claims_only = _ABOUT_PROFILES | _REMOTE_STARTS | _OF_STATION

    def __init__(
        self, state: StationState, dialect: Dialect, evses: Sequence[int], fallback_a: float, turns: Turns
    ) -> None:
        """Every EVSE starts with the floor `fallback_a`, written as soon as we may call the station.

        turns: when that is after a boot, if all stations boot in the same second.
        """
        self.state = state
        self._dialect = dialect
        self._evses = tuple(evses)
        allowances = Allowances(state, len(self._evses))
        self._writer = ProfileWriter(state, allowances, dialect, evses, fallback_a)
        self._could_call = False
        self._turn_s = turns.delay_s(state.identity)
        self._waiting: list[tuple[Frame, float]] = []
        self._read_until_s: float | None = None  # so long a profile waits for what the station says of itself
        self._news = News(state, allowances, self._evses)
        self._desk = ProfileDesk(state, dialect, self._evses, self._writer, self._news)
        self._applying = Applying(self._desk)
        self._sets = ProfileSets(self._desk, self._applying)
        self._clears = ProfileClears(self._desk)
        self._reports = ProfileReports(self._desk)
        self._starts = StartProfiles(self._desk)
        self._dynamics = DynamicUpdates(self._desk, self._applying)
        self._priority = PriorityCharging(self._desk, self._applying)
        self._asked: dict[str, _Asked] = {
            "SetChargingProfile": self._sets.asked,
            "ClearChargingProfile": self._clears.asked,
            "GetChargingProfiles": self._reports.asked,
            **dict.fromkeys(_REMOTE_STARTS, self._starts.asked),
        }
        if state.version is OcppVersion.V21:
            self._asked |= {dynamic_update.UPDATE: self._dynamics.asked, priority_charging.USE: self._priority.asked}
        self._hears: tuple[tuple[type, _Answered], ...] = (
            (Collection, self._reports.answered),
            (Told, told_on),
            (ClearingRest, self._clears.answered),
            (Pull, self._dynamics.answered),
            (Replaced, self._sets.cleared_in_station),
        )
        self._csms_ahead_s, self._set_s = state.csms_ahead_s, state.set_s
        self._review_s: float | None = None
        self._seen = _NOTHING_SEEN  # the revision of the transactions at which there was nothing more to follow

    # --- the site's inputs ---------------------------------------------------------------------------------------

    def set_fallback(self, evse: int, limit_a: float, now: Instant) -> list[BlockEffect]:
        """Keep this limit (A per phase) in the station for the case that nobody controls it (failsafe layer L1).

        ValueError for an EVSE that the station does not have.
        """
        self.state.look_at_our_clock(now)
        return self._writer.set_fallback(self._known(evse), limit_a, now) + self._settle(now)

    def will_hold(self, evse: int, limit_a: float, now: Instant) -> bool:
        """Whether this fallback is written anyway, as soon as the station may be called or has its turn."""
        return self._writer.will_write(self._known(evse), limit_a, now)

    def set_limit(  # noqa: PLR0913, PLR0917 - a limit, for how long, and on which phases
        self, evse: int, limit_a: float, valid_s: float, urgent: bool, now: Instant, on: OnPhases = ANY_PHASES
    ) -> list[BlockEffect]:
        """Let the running transaction draw this much (A per phase) for `valid_s` seconds; then the fallback holds (L2).

        ValueError for an EVSE that the station does not have.
        """
        self.state.look_at_our_clock(now)
        effects = self._writer.set_limit(self._known(evse), limit_a, valid_s, urgent=urgent, now=now, on=on)
        return effects + self._settle(now)

    def disobeyed(self, evse: int, drawn_a: float, now: Instant) -> list[BlockEffect]:
        """The car was measured above its limit (A on its fullest phase); more than one sample leads to the next rung."""
        return [*self._writer.disobeyed(self._known(evse), drawn_a, now), *self._news.latest(now), *self._settle(now)]

    def wants_sample(self, evse: int) -> list[BlockEffect]:
        """The site wants to know at once what this EVSE's car draws: `OwnQuestions` asks, where that makes sense."""
        self.state.samples_wanted = (*self.state.samples_wanted, evse)
        return []

    def stop(self, transaction_id: str) -> list[BlockEffect]:
        """End this transaction at the station, which ignores its limit (LC-115). Asked while it may be called at all."""
        if not self.state.may_call:
            return []
        action, payload = self._dialect.stop_request(transaction_id)
        return [OwnCall(Peer.STATION, action, payload, Urgency.SAFETY, _Stop(transaction_id))]

    def write_again(self, evse: int, now: Instant) -> list[BlockEffect]:
        """The station shows that it no longer holds what it said yes to: so it gets that once more (LC-042)."""
        return self._writer.write_again(self._known(evse), now) + self._settle(now)

    def standing(self, evse: int, now: Instant) -> Standing:
        """What this EVSE is given now, and what the station holds because of it."""
        self.state.look_at_our_clock(now)
        return self._writer.standing(self._known(evse), now)

    def _known(self, evse: int) -> int:
        if evse not in self._evses:
            raise ValueError(f"{self.state.identity} has no EVSE {evse}; it has {', '.join(map(str, self._evses))}")
        return evse

    # --- what passes by ------------------------------------------------------------------------------------------

    def connected(self, now: Instant) -> list[BlockEffect]:
        """Profiles are asserted again once the station may be called (LC-042)."""
        self._review_s = now.monotonic_s + REVIEW_S
        if self.state.lost is not None:  # the station's CSMS is whoever is at our end of its connection
            self.state.store = self.state.store.after_offline(now.since(self.state.lost))
            self.state.lost = None
        self._writer.follow_transactions(now)
        return self._news.latest(now)

    def csms_changed(self, now: Instant, *, is_there: bool) -> list[BlockEffect]:
        """Some of the CSMS's profiles end after so long without it, and do not all come back with it (2.1 K01.FR.101-.103, LC-060)."""
        if not is_there:
            self.state.csms_lost = self.state.csms_lost or now
        elif self.state.csms_lost is not None:
            self.state.store = self.state.store.after_offline(now.since(self.state.csms_lost))
            self.state.csms_lost = None
        return [*self._news.latest(now), *self._writer.reconsider(now), *self._settle(now)]

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:
        """Transactions begin and end, cars tell their needs, samples show the phases in use."""
        if sender is _CSMS or call.action is None:
            return UNCHANGED
        if self._seen == self.state.revision and call.action not in _ALWAYS_NEW:
            return UNCHANGED
        if call.action == "BootNotification" or (self.state.installs and self._could_call):
            return self._restart(now)
        effects = self._follow(now)
        try:
            effects += self._read(call, now)
        except PayloadError as error:  # what follows from the transactions must not be lost with it
            effects.append(Unreadable(error))
        writer = self._writer
        if writer.shares_watts_wrongly() or writer.knows_draws() or self.state.store.follows_soc:
            effects += [*self._writer.reconsider(now), *self._news.latest(now)]
        return effects

    def _read(self, call: Frame, now: Instant) -> list[BlockEffect]:
        """What a car needs, and whether a driver has priority."""
        effects: list[BlockEffect] = []
        if call.action == priority_charging.NOTIFY and (transaction := self._priority.notified(call)) is not None:
            effects += [Tell(priority_charging.delay_waived(transaction))]
            effects += [*self._writer.reconsider(now), *self._news.latest(now)]
        if call.action == car_schedules.NEEDS:
            car_schedules.needs_told(self.state, call, now)
        needs = self._dialect.charging_needs(call.action or "", call.payload)
        if needs is not None:
            departure = None if needs.departure is None else self.state.to_our_time(needs.departure)
            effects.append(Tell(replace(needs, departure=departure)))
        return effects

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> Wanted:
        """Registration, 1.6 transaction ids, and what the station itself accepted from the CSMS."""
        self.state.look_at_our_clock(now)
        if sender is _CSMS:
            return self._observe_csms(call, answer, now)
        if answer is None or answer.message_type != CALLRESULT:
            return []
        if call.action == car_schedules.NEEDS:
            car_schedules.needs_answered(self.state, call, answer.payload)
            return [*self._writer.reconsider(now), *self._settle(now)]
        if call.action == dynamic_update.PULL and self._dynamics.pulled(call, answer, now):
            return self._desk.changed(now)
        if self._seen == self.state.revision and self._csms_ahead_s == self.state.csms_ahead_s and self._could_call:
            return UNCHANGED
        begun: list[BlockEffect] = []
        if self.state.may_call and not self._could_call:
            self._could_call = True
            delay_s = self._turn_s if call.action == "BootNotification" else 0.0
            begun = [*self._writer.begin(delay_s, now), *self._sets.clear_outdated(), *self._settle(now)]
        verdict = self._news.latest(now) if call.action == "BootNotification" else []
        return [*begun, *verdict, *self._follow_clock(now), *self._follow(now)]

    def _restart(self, now: Instant) -> list[BlockEffect]:
        """The station boots: until it is accepted nothing of ours is sent, then all of it again (LC-039, LC-041).

        So it is while it installs firmware, whether it boots for that or not (LC-141).
        """
        self._could_call = False
        return self._writer.forget(now)

    def _follow_clock(self, now: Instant) -> list[BlockEffect]:
        """The CSMS's clock has moved, so the station's will: what is to end at an instant is written again (LC-044)."""
        if self.state.csms_ahead_s == self._csms_ahead_s:
            return []
        ours_set_s = self.state.set_s - self._set_s
        if self.state.csms_ahead_s + ours_set_s < self._csms_ahead_s - SET_BACK_S:
            self._writer.set_back()
        self._csms_ahead_s, self._set_s = self.state.csms_ahead_s, self.state.set_s
        self._news.forget()
        return [*self._writer.reconsider(now), *self._news.latest(now)]

    def _follow(self, now: Instant) -> list[BlockEffect]:
        """Transactions that began or ended: TxProfiles go with theirs (LC-079), remote starts bring theirs (LC-101)."""
        changed = self._writer.follow_transactions(now)
        for evse in changed:
            if not self.state.goes_on(evse):
                self.state.store = self.state.store.after_transaction(evse)
        running = self.state.transactions.values()
        brought = [found for t in running if (found := self.state.remote_starts.taken_by(t, now)) is not None]
        self._seen = self.state.revision if self.state.remote_starts.is_empty else _NOTHING_SEEN
        if not changed and not brought:
            return []
        notes = [note for wanted in brought for note in self._starts.adopt(wanted, now)]
        return [*notes, *self._writer.reconsider(now), *self._news.latest(now), *self._settle(now)]

    def _observe_csms(self, call: Frame, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        """Records what the station itself took or dropped of the purposes that pass through (LC-090)."""
        if answer is None:
            return []
        if answer.is_error or answer.payload.get("status") != "Accepted":
            self._sets.refused(call)
            if call.action in _REMOTE_STARTS:
                self.state.remote_starts.refused(call.message_id)
                return self._writer.reconsider(now)
            return []
        if call.action in _REMOTE_STARTS:
            self._starts.accepted(call)
            return []
        if call.action == "SetChargingProfile":
            self._sets.passed(call, now)
        elif call.action == "ClearChargingProfile":
            self._clears.passed(call)
        elif call.action != dynamic_update.UPDATE or not self._dynamics.passed(call, now):
            return []
        return self._desk.changed(now)

    # --- what the CSMS asks --------------------------------------------------------------------------------------

    def claims(self, sender: Peer, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """Profiles of owned purposes are ours; while one request about profiles is at work, further ones wait."""
        if sender is not Peer.CSMS:
            return self._from_station(frame, now)
        if frame.action in _ABOUT_PROFILES and (self._is_busy or self._sets.must_wait(frame)):
            self._waiting.append((frame, now.monotonic_s))
            return []
        if frame.action == "SetChargingProfile" and self._sets.needs_reading(frame):
            self._read_until_s, self.state.read_at_s = now.monotonic_s + READ_S, now.monotonic_s
            self._waiting.append((frame, now.monotonic_s))
            return []
        return self._handle(frame, now)

    @property
    def _is_busy(self) -> bool:
        is_changing = self._writer.tries_maximum or self._applying.is_busy or self._clears.is_busy
        return is_changing or self._reports.is_busy or self._read_until_s is not None

    def _from_station(self, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """What the station reports of profiles, where that is for us or shows one of ours."""
        if frame.action == dynamic_update.PULL:
            return self._dynamics.pulled_by_station(frame)
        if frame.action in TELL_OF_SCHEDULES:
            return shown_schedules(frame, self.state.store)
        if frame.action != REPORT:
            return None
        try:
            effects = self._reports.reported(frame, now)
        except PayloadError as error:  # passed on as it is, it could show one of ours
            return [AnswerError(Peer.STATION, frame.message_id, self._dialect.format_violation, str(error))]
        return None if effects is None else [*effects, *self._settle(now)]

    def _handle(self, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """The reaction to a request of the CSMS; None lets it pass.

        What is unreadable must not reach the station, where it could replace, clear or show a profile of ours.
        """
        asked = self._asked.get(frame.action or "")
        if asked is None:
            return None
        self.state.look_at_our_clock(now)
        self._seen = _NOTHING_SEEN  # a remote start may have brought a profile that waits
        try:
            effects = asked(frame, now)
        except UnknownWordError as error:
            return [AnswerError(Peer.CSMS, frame.message_id, "PropertyConstraintViolation", str(error))]
        except PayloadError as error:
            return [AnswerError(Peer.CSMS, frame.message_id, self._dialect.format_violation, str(error))]
        self._dynamics.follow(now)
        return effects

    def _settle(self, now: Instant) -> list[BlockEffect]:
        """Answers the CSMS once the station holds what follows from its change; then what waited has its turn."""
        effects = self._applying.settle(now)
        self._dynamics.follow(now)
        while self._waiting and not self._is_busy and not self._sets.must_wait(self._waiting[0][0]):
            frame, since_s = self._waiting.pop(0)
            if since_s + PATIENCE_S <= now.monotonic_s:
                effects.append(Note("warning", "request_discarded", {"message_id": frame.message_id}))
                continue
            handled = self._handle(frame, now)
            effects += [Forward(Peer.CSMS, frame, frame.payload)] if handled is None else handled
        return effects

    # --- our own CALLs -------------------------------------------------------------------------------------------

    def sent(self, tag: Any, now: Instant) -> list[BlockEffect]:
        """A profile of ours is on the wire."""
        return self._writer.sent(tag, now) if isinstance(tag, Push) else []

    def answered(self, tag: Any, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        """The station (or the CSMS, to a report) has answered."""
        self._seen = _NOTHING_SEEN  # what the station holds may have changed: do the phases in use still fit it?
        if isinstance(tag, Push):
            effects, last_word = self._writer.answered(tag, answer, now)
            is_silent = (
                last_word is not None and answer is None
            )  # to be refused in its time, unless the connection ends
            if last_word is not None and not is_silent:
                effects += self._applying.refused(tag.target.evse, last_word, now)
            effects += self._sets.superseded(self._writer.maximum.superseded())
            settled = [] if is_silent and self._applying.is_busy else self._settle(now)
            return _answers_first([*effects, *self._news.latest(now), *settled])
        if isinstance(tag, _Stop):
            return _stop_answered(tag, answer)
        for kind, answered in self._hears:
            if isinstance(tag, kind):
                return [*answered(tag, answer, now), *self._settle(now)]
        if isinstance(tag, Question) and tag.topic in {Topic.CAPABILITY, Topic.PLACES}:
            self._read_until_s = self._read_until_s if self.state.is_unread else None
            return [*self._writer.follow_unit(now), *self._news.latest(now), *self._settle(now)]
        return []

    # --- time ----------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """The next of: an answer that is due, a retry, a look at the phases in use, the regular review."""
        read_s = self._read_until_s if self._read_until_s is None or self.state.is_unread else 0.0
        earliest_s = self._review_s
        for due_s in (
            self._applying.due_s,
            self._reports.due_s,
            self._dynamics.due_s,
            self._writer.deadline,
            self.state.remote_starts.ends_s,
            read_s,
            self.state.phases_learnt_s,
        ):
            if due_s is not None and (earliest_s is None or due_s < earliest_s):
                earliest_s = due_s
        return earliest_s

    def expire(self, now: Instant) -> list[BlockEffect]:
        """Answers what is due, tries again what was refused, reviews what changes with time."""
        self.state.look_at_our_clock(now)
        effects = [*self._applying.expire(now), *self._reports.expire(now), *self._dynamics.expire(now)]
        self.state.phases_learnt_s = None
        self.state.remote_starts.expire(now)
        if self._read_until_s is not None and (self._read_until_s <= now.monotonic_s or not self.state.is_unread):
            self._read_until_s, self.state.is_unread = None, False
        if self._review_s is not None and self._review_s <= now.monotonic_s:
            self._review_s = now.monotonic_s + REVIEW_S
            self._news.forget()
            effects += self._news.latest(now)
        return [*effects, *self._writer.reconsider(now), *self._settle(now)]

    def closed(self, now: Instant) -> list[BlockEffect]:
        """Nothing can be sent any more; the CSMS's profile that was being applied counts as installed.

        Safe, because it can only lower the limit; the CSMS, which got no answer, must ask again.
        """
        self._writer.forget(now)
        self._review_s = self._read_until_s = None
        self.state.lost = now
        self._waiting.clear()
        for one in (self._applying, self._sets, self._clears, self._reports, self._dynamics):
            one.forget()
        return []


def _stop_answered(tag: _Stop, answer: Frame | None) -> list[BlockEffect]:
    """What is accepted shows by itself: the transaction ends."""
    if answer is not None and not answer.is_error and answer.payload.get("status") == "Accepted":
        return []
    said = "no answer" if answer is None else "an error" if answer.is_error else str(answer.payload.get("status"))
    return [Note("error", "stop_not_accepted", {"transaction": tag.transaction_id, "answer": said})]


def _answers_first(effects: list[BlockEffect]) -> list[BlockEffect]:
    """The CSMS does not wait until the site has reacted to what the station said (LC-092)."""
    return sorted(effects, key=lambda effect: not isinstance(effect, Answer))
