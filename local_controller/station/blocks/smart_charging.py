"""How do the site's limits and the CSMS's charging profiles share one station? (functional block K)

The gateway owns TxDefaultProfile and TxProfile. The CSMS's profiles of these purposes live in a virtual store; the
station holds the lower of the site's limit and what that store allows (LC-093). The CSMS is answered as a station
would answer, and never meets a profile of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.profiles.profile import Purpose
from local_controller.profiles.rules import Reason, StationFacts, Verdict
from local_controller.rpc.frame import CALLRESULT, Frame
from local_controller.station.block import (
    UNCHANGED,
    Answer,
    AnswerError,
    Block,
    BlockEffect,
    Forward,
    OwnCall,
    Urgency,
    Wanted,
)
from local_controller.station.blocks.actuator import OWN_IDS
from local_controller.station.blocks.news import News
from local_controller.station.blocks.own_questions import TO_FIRMWARE, Question, Topic
from local_controller.station.blocks.virtual_store import MOST_PERIODS, MOST_PROFILES, OWNED, PASSED, VirtualStore
from local_controller.station.blocks.wanted import Allowances
from local_controller.station.blocks.writer import ProfileWriter, Push
from local_controller.station.dialects.base import CSO, Dialect, ProfileQuery, ProfileSet
from local_controller.station.effects import Note, Peer, Tell
from local_controller.station.state import StationState
from local_controller.station.turns import turn_s
from local_controller.station.words import OcppVersion

ANSWER_S = 8.0
"""The CSMS waits for an answer at most as long as for one of our own CALLs (LC-092)."""

REVIEW_S = 900.0
"""How often the CSMS's profiles are looked at again, since they change with time too."""

PATIENCE_S = 30.0
"""A request that waited so long behind others is not executed any more: the CSMS has given it up (LC-025)."""

_REMOTE_STARTS = frozenset({"RemoteStartTransaction", "RequestStartTransaction"})
_CSMS = Peer.CSMS
_NOTHING_SEEN = -1
_ALWAYS_NEW = frozenset({"BootNotification", "NotifyEVChargingNeeds", *TO_FIRMWARE})
_ABOUT_PROFILES = frozenset({"SetChargingProfile", "ClearChargingProfile", "GetChargingProfiles"})


class _Own(Enum):
    """Tags of CALLs that are not about a limit."""

    REPORT = "report"


@dataclass(frozen=True, slots=True)
class _ClearingRest:
    """Tag of our ClearChargingProfile for what a wildcard clear of the CSMS means beyond the virtual store."""

    message_id: str
    criteria: Any
    cleared_here: int


@dataclass(frozen=True, slots=True)
class _Pending:
    """A SetChargingProfile of the CSMS that is answered once the station has taken what follows from it."""

    message_id: str
    wanted: ProfileSet
    replaced: VirtualStore
    evses: tuple[int, ...]
    due_s: float


class SmartCharging(Block):
    """The block that limits a station. The site calls `set_fallback` and `set_limit`; their effects are performed."""

    claims_only = _ABOUT_PROFILES | _REMOTE_STARTS

    def __init__(
        self, state: StationState, dialect: Dialect, evses: Sequence[int], fallback_a: float, spread_s: float = 0.0
    ) -> None:
        """Every EVSE starts with the floor `fallback_a`, written as soon as we may call the station.

        spread_s: over so long the writes after a boot are spread when all stations boot in the same second.
        """
        self.state = state
        self._dialect = dialect
        self._evses = tuple(evses)
        allowances = Allowances(state)
        self._writer = ProfileWriter(state, allowances, dialect, evses, fallback_a)
        self._could_call = False
        self._turn_s = turn_s(state.identity, spread_s)
        self._pending: _Pending | None = None
        self._waiting: list[tuple[Frame, float]] = []
        self._news = News(state, allowances, self._evses)
        self._csms_ahead_s = state.csms_ahead_s
        self._review_s: float | None = None
        self._seen = _NOTHING_SEEN  # the revision of the transactions at which there was nothing more to follow

    # --- the site's inputs ---------------------------------------------------------------------------------------

    def set_fallback(self, evse: int, limit_a: float, now: Instant) -> list[BlockEffect]:
        """Keep this limit (A per phase) in the station for the case that nobody controls it (failsafe layer L1).

        ValueError for an EVSE that the station does not have.
        """
        return self._writer.set_fallback(self._known(evse), limit_a, now) + self._settle(now)

    def set_limit(self, evse: int, limit_a: float, valid_s: float, urgent: bool, now: Instant) -> list[BlockEffect]:
        """Let the running transaction draw this much (A per phase) for `valid_s` seconds; then the fallback holds (L2).

        ValueError for an EVSE that the station does not have.
        """
        effects = self._writer.set_limit(self._known(evse), limit_a, valid_s, urgent=urgent, now=now)
        return effects + self._settle(now)

    def _known(self, evse: int) -> int:
        if evse not in self._evses:
            raise ValueError(f"{self.state.identity} has no EVSE {evse}; it has {', '.join(map(str, self._evses))}")
        return evse

    # --- what passes by ------------------------------------------------------------------------------------------

    def connected(self, now: Instant) -> list[BlockEffect]:
        """Profiles are asserted again once the station may be called (LC-042)."""
        self._review_s = now.monotonic_s + REVIEW_S
        self._writer.follow_transactions()
        return self._news.latest(now)

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:
        """Transactions begin and end, cars tell their needs, samples show the phases in use."""
        if sender is _CSMS or call.action is None:
            return UNCHANGED
        if self._seen == self.state.revision and call.action not in _ALWAYS_NEW:
            return UNCHANGED
        if call.action == "BootNotification" or (self.state.installs and self._could_call):
            return self._restart()
        effects = self._follow(now)
        needs = self._dialect.charging_needs(call.action, call.payload)
        if needs is not None:
            departure = None if needs.departure is None else self.state.to_our_time(needs.departure)
            effects.append(Tell(replace(needs, departure=departure)))
        if self._writer.shares_watts_wrongly():
            effects += self._writer.reconsider(now)
        return effects

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> Wanted:
        """Registration, 1.6 transaction ids, and what the station itself accepted from the CSMS."""
        if sender is _CSMS:
            return self._observe_csms(call, answer, now)
        if answer is None or answer.message_type != CALLRESULT:
            return []
        if self._seen == self.state.revision and self._csms_ahead_s == self.state.csms_ahead_s and self._could_call:
            return UNCHANGED
        begun: list[BlockEffect] = []
        if self.state.may_call and not self._could_call:
            self._could_call = True
            delay_s = self._turn_s if call.action == "BootNotification" else 0.0
            begun = [*self._writer.begin(delay_s, now), *self._settle(now)]
        return [*begun, *self._follow_clock(now), *self._follow(now)]

    def _restart(self) -> list[BlockEffect]:
        """The station boots: until it is accepted nothing of ours is sent, then all of it again (LC-039, LC-041).

        So it is while it installs firmware, whether it boots for that or not (LC-141).
        """
        self._could_call = False
        return self._writer.forget()

    def _follow_clock(self, now: Instant) -> list[BlockEffect]:
        """The CSMS's clock has moved, so the station's will: what is to end at an instant is written again (LC-044)."""
        if self.state.csms_ahead_s == self._csms_ahead_s:
            return []
        self._csms_ahead_s = self.state.csms_ahead_s
        self._news.forget()
        return [*self._writer.reconsider(now), *self._news.latest(now)]

    def _follow(self, now: Instant) -> list[BlockEffect]:
        """Transactions that began or ended: TxProfiles go with theirs (LC-079), remote starts bring theirs (LC-101)."""
        changed = self._writer.follow_transactions()
        for evse in changed:
            self.state.store = self.state.store.after_transaction(evse)
        running = self.state.transactions.values()
        brought = [found for t in running if (found := self.state.remote_starts.taken_by(t, now)) is not None]
        self._seen = self.state.revision if self.state.remote_starts.is_empty else _NOTHING_SEEN
        if not changed and not brought:
            return []
        notes = [note for wanted in brought for note in self._adopt(wanted)]
        return [*notes, *self._writer.reconsider(now), *self._news.latest(now), *self._settle(now)]

    def _adopt(self, wanted: ProfileSet) -> list[BlockEffect]:
        """Gives a transaction the profile of the remote start that began it, or that came while it waited for one."""
        self.state.store, verdict = self.state.store.install(wanted, self.state.version, self._facts())
        if verdict.accepted:
            return []
        return [Note("warning", "remote_start_profile_refused", {"id": wanted.profile.id, "reason": verdict.detail})]

    def _observe_csms(self, call: Frame, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        """Records what the station itself took or dropped of the purposes that pass through (LC-090)."""
        if answer is None:
            return []
        if answer.is_error or answer.payload.get("status") != "Accepted":
            if call.action in _REMOTE_STARTS:
                self.state.remote_starts.refused(call.message_id)
            return []
        if call.action == "SetChargingProfile":
            taken = self._dialect.profile_set(call.payload).received(self.state.station_time(now))
            self.state.store = self.state.store.recorded(taken, self.state.version)
        elif call.action == "ClearChargingProfile":
            self.state.store, _ = self.state.store.cleared(self._dialect.clear_criteria(call.payload), PASSED)
        else:
            return []
        return [*self._writer.reconsider(now, retry=True), *self._news.latest(now)]

    # --- what the CSMS asks --------------------------------------------------------------------------------------

    def claims(self, sender: Peer, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """Profiles of owned purposes are ours; while one is being applied, further requests about profiles wait."""
        if sender is not Peer.CSMS:
            return None
        if frame.action in _ABOUT_PROFILES and self._pending is not None:
            self._waiting.append((frame, now.monotonic_s))
            return []
        return self._handle(frame, now)

    def _handle(self, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """The reaction to a request of the CSMS; None lets it pass.

        What is unreadable must not reach the station, where it could replace, clear or show a profile of ours.
        """
        try:
            match frame.action:
                case "SetChargingProfile":
                    return self._set(frame, now)
                case "ClearChargingProfile":
                    return self._clear(frame, now)
                case "GetChargingProfiles":
                    query = self._dialect.profile_query(frame.action, frame.payload)
                    return None if query is None else self._report(frame, query)
                case "RemoteStartTransaction" | "RequestStartTransaction":
                    return self._remote_start(frame.action, frame, now)
        except PayloadError as error:
            return [AnswerError(Peer.CSMS, frame.message_id, self._dialect.format_violation, str(error))]
        return None

    def _set(self, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """SetChargingProfile, by its purpose. What passes must not take the place of ours in the station (LC-098)."""
        profile_id, purpose = self._dialect.profile_head(frame.payload)
        if purpose not in PASSED:
            return self._install(frame, self._dialect.profile_set(frame.payload), now)
        if profile_id not in OWN_IDS:
            return None  # and the rest is the station's to judge (LC-020)
        return [self._answer(frame.message_id, "Rejected", Reason.INVALID_PROFILE_ID)]

    def _install(self, frame: Frame, wanted: ProfileSet, now: Instant) -> list[BlockEffect]:
        """A profile of an owned purpose: judged as a station would (LC-091), applied, then answered (LC-092)."""
        before = self.state.store
        store, verdict = before.install(wanted, self.state.version, self._facts())
        if not verdict.accepted:
            return [self._refusal(frame.message_id, verdict)]
        self.state.store = store
        evses = self._evses if wanted.evse == 0 else (wanted.evse,)
        self._pending = _Pending(frame.message_id, wanted, before.missing(store), evses, now.monotonic_s + ANSWER_S)
        return [*self._writer.reconsider(now, retry=True), *self._settle(now)]

    def _refusal(self, message_id: str, verdict: Verdict) -> BlockEffect:
        """1.6 answers a connector that does not exist with an error (errata 3.39), all else with Rejected."""
        if self.state.version is OcppVersion.V16 and verdict.reason is Reason.UNKNOWN_EVSE:
            return AnswerError(Peer.CSMS, message_id, "PropertyConstraintViolation", verdict.detail)
        return self._answer(message_id, "Rejected", verdict.reason)

    def _settle(self, now: Instant) -> list[BlockEffect]:
        """Answers the CSMS once the station holds what follows from its profile."""
        pending = self._pending
        if pending is None or (self.state.may_call and not all(self._writer.is_done(e, now) for e in pending.evses)):
            return []
        return [self._answer(pending.message_id, "Accepted"), *self._done(now)]

    def _roll_back(self, status: str, now: Instant) -> list[BlockEffect]:
        """The station refuses what follows from the CSMS's profile: so the CSMS is refused too (LC-092)."""
        if self._pending is None:
            return []
        pending, self._pending = self._pending, None
        self.state.store = self.state.store.without(pending.wanted, pending.replaced)
        known = (
            status if status in {"Rejected", "NotSupported"} and self.state.version is OcppVersion.V16 else "Rejected"
        )
        return [self._answer(pending.message_id, known), *self._writer.reconsider(now), *self._done(now)]

    def _done(self, now: Instant) -> list[BlockEffect]:
        """The store is final: the site learns of it, and what waited has its turn."""
        self._pending = None
        effects = self._news.latest(now)
        while self._waiting and self._pending is None:
            frame, since_s = self._waiting.pop(0)
            if since_s + PATIENCE_S <= now.monotonic_s:
                effects.append(Note("warning", "request_discarded", {"message_id": frame.message_id}))
                continue
            handled = self._handle(frame, now)
            effects += [Forward(Peer.CSMS, frame, frame.payload)] if handled is None else handled
        return effects

    def _clear(self, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """ClearChargingProfile: what is in the store is cleared there; ours are never meant (LC-094, LC-095)."""
        criteria = self._dialect.clear_criteria(frame.payload)
        if criteria.profile_ids is not None:
            (profile_id,) = criteria.profile_ids
            purpose = self.state.store.purpose_of(profile_id)
            if purpose not in OWNED and profile_id not in OWN_IDS:
                return self._pass_alone(frame, profile_id)
        elif criteria.purpose is not None and criteria.purpose not in OWNED:
            return None
        self.state.store, count = self.state.store.cleared(criteria, OWNED)
        effects = [*self._writer.reconsider(now, retry=True), *self._news.latest(now)]
        station_max = replace(criteria, purpose=Purpose.CHARGING_STATION_MAX_PROFILE)
        if criteria.profile_ids is None and criteria.purpose is None and self.state.store.holds(station_max):
            payload = self._dialect.clear_purpose(criteria, Purpose.CHARGING_STATION_MAX_PROFILE)
            tag = _ClearingRest(frame.message_id, station_max, count)
            return [*effects, OwnCall(Peer.STATION, "ClearChargingProfile", payload, Urgency.RAISE, tag)]
        return [self._answer(frame.message_id, "Accepted" if count else "Unknown"), *effects]

    def _pass_alone(self, frame: Frame, profile_id: int) -> list[BlockEffect] | None:
        """Other fields beside an id mean nothing (1.6 errata 3.25), but some firmware might clear ours by them."""
        alone = self._dialect.clear_id(profile_id)
        return None if frame.payload == alone else [Forward(Peer.CSMS, frame, alone)]

    def _rest_cleared(self, tag: _ClearingRest, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        """The station has cleared (or not) what a wildcard clear meant beyond the store."""
        accepted = answer is not None and not answer.is_error and answer.payload.get("status") == "Accepted"
        effects: list[BlockEffect] = []
        if accepted:
            self.state.store, _ = self.state.store.cleared(tag.criteria, PASSED)
            effects = self._news.latest(now)
        return [self._answer(tag.message_id, "Accepted" if accepted or tag.cleared_here else "Unknown"), *effects]

    def _report(self, frame: Frame, query: ProfileQuery) -> list[BlockEffect]:
        """GetChargingProfiles: the CSMS's own profiles, real and virtual, one report per EVSE (LC-096)."""
        is_meant = query.sources is None or CSO in query.sources
        found = sorted(self.state.store.by_evse(query.criteria).items()) if is_meant else []
        answer = self._answer(frame.message_id, "Accepted" if found else "NoProfiles")
        reports = [
            query.report(evse, originals, to_be_continued=number < len(found))
            for number, (evse, originals) in enumerate(found, start=1)
        ]
        calls = [OwnCall(Peer.CSMS, "ReportChargingProfiles", r, Urgency.QUERY, _Own.REPORT) for r in reports]
        return [answer, *calls]

    def _remote_start(self, action: str, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """A remote start goes on without its profile, which waits for the transaction (LC-101)."""
        start = self._dialect.remote_start(action, frame.payload)
        if start is None:
            return None
        if start.profile.purpose is Purpose.TX_PROFILE:
            self.state.remote_starts.expect(frame.message_id, start, now)
            self._seen = _NOTHING_SEEN
        return [Forward(Peer.CSMS, frame, start.bare)]

    # --- our own CALLs -------------------------------------------------------------------------------------------

    def sent(self, tag: Any, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - the moment does not matter
        """A profile of ours is on the wire."""
        return self._writer.sent(tag) if isinstance(tag, Push) else []

    def answered(self, tag: Any, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        """The station (or the CSMS, to a report) has answered."""
        self._seen = _NOTHING_SEEN  # what the station holds may have changed: do the phases in use still fit it?
        if isinstance(tag, Push):
            effects, last_word = self._writer.answered(tag, answer, now)
            if last_word is not None and self._pending is not None and tag.target.evse in self._pending.evses:
                effects += self._roll_back(last_word, now)
            return [*effects, *self._news.latest(now), *self._settle(now)]
        if isinstance(tag, _ClearingRest):
            return self._rest_cleared(tag, answer, now)
        if isinstance(tag, Question) and tag.topic is Topic.CAPABILITY:
            return [*self._writer.follow_unit(now), *self._news.latest(now)]
        return []

    # --- time ----------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """The next of: an answer that is due, a retry, a look at the phases in use, the regular review."""
        pending_s = None if self._pending is None else self._pending.due_s
        moments = (pending_s, self._writer.deadline, self.state.phases_learnt_s, self._review_s)
        return min((moment for moment in moments if moment is not None), default=None)

    def expire(self, now: Instant) -> list[BlockEffect]:
        """Answers what is due, tries again what was refused, reviews what changes with time."""
        effects: list[BlockEffect] = []
        self.state.phases_learnt_s = None
        if self._pending is not None and self._pending.due_s <= now.monotonic_s:
            effects += self._roll_back("no answer", now)
        if self._review_s is not None and self._review_s <= now.monotonic_s:
            self._review_s = now.monotonic_s + REVIEW_S
            self._news.forget()
            effects += self._news.latest(now)
        return [*effects, *self._writer.reconsider(now), *self._settle(now)]

    def closed(self, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - nothing is timed any more
        """Nothing can be sent any more; the CSMS's profile that was being applied counts as installed.

        Safe, because it can only lower the limit; the CSMS, which got no answer, must ask again.
        """
        self._writer.forget()
        self._pending, self._review_s = None, None
        self._waiting.clear()
        return []

    # --- small change --------------------------------------------------------------------------------------------

    def _answer(self, message_id: str, status: str, reason: str | None = None) -> Answer:
        return Answer(Peer.CSMS, message_id, self._dialect.status_answer(status, reason))

    def _facts(self) -> StationFacts:
        """What the station knows of itself when it judges a profile. Any unit will do: we convert."""
        return StationFacts(
            evses=frozenset(self._evses),
            transactions={evse: t.transaction_id for evse, t in self.state.transactions.items()},
            max_stack_level=self.state.capability.max_stack_level,
            max_periods=MOST_PERIODS,
            max_installed=MOST_PROFILES,
        )
