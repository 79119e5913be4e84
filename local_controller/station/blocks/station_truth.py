"""What does the station itself say that it holds, and does that agree with what it was told? (functional block K)

It is asked after a boot and then rarely, one question at a time, behind everything else: the composite schedule of each
EVSE, and in 2.x its charging profiles, whose reports stay here (decision 0012). What it has lost is written again; what
it obeys besides is told to the site. A first contradiction may be a limit on its way, so only a second one counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import Frame
from local_controller.station.block import Answer, Block, BlockEffect, OwnCall, Urgency, Withdraw
from local_controller.station.blocks.own_questions import Question, QuestionPace
from local_controller.station.blocks.push import Push
from local_controller.station.blocks.smart_charging import SmartCharging
from local_controller.station.blocks.station_word import setting_word
from local_controller.station.dialects.base import Dialect
from local_controller.station.dialects.held import (
    HeldComposite,
    HeldProfile,
    composite_question,
    profiles_question,
    read_composite,
    read_report,
    report_request_id,
)
from local_controller.station.effects import Note, Peer, Tell
from local_controller.station.empty import EMPTY
from local_controller.station.foreign import (
    Expected,
    Verdict,
    amperes,
    expected,
    foreign_profiles,
    found_in_composite,
    found_in_report,
    is_above,
    judged,
    lost,
    together,
)
from local_controller.station.knowledge import Actuator, FloorPlace
from local_controller.station.state import StationState
from local_controller.station.truth import ACCEPTED, NO_ANSWER, HeardComposite, HeardProfiles, OwnWrite
from local_controller.station.words import ForeignLimit, LimitKind, OcppVersion, RegistrationStatus

ROUND_S: Final = 900.0
"""From one round of questions to the next: reading wears nothing, but each answer takes the slot of the CSMS's CALLs."""

CHECK_S: Final = 60.0
"""A contradiction is looked at again so soon; the slowest station known takes so long to apply a profile."""

SETTLE_S: Final = 30.0
"""After the first limit of a transaction, which the station should show by then."""

SOON_S: Final = 300.0
"""From one round to the next at least, however many transactions begin."""

LATE_S: Final = 60.0
"""A report that comes later than this after the last one is not waited for."""

REWRITE_S: Final = 600.0
MOST_REWRITES: Final = 3
"""What the station seems to have lost is written again at most so often, and so many times in a row: some never show it."""

MOST_SILENCES: Final = 3
"""A question that was not answered so often is not asked again before the next boot: each costs the CSMS's slot 8 s."""

AFTER_S: Final = 0.5
"""So much later than the other questions of the gateway may come, so that these have their turn first."""

CONFIRMED: Final = 2
"""So many contradictions in a row count; then it is looked at no more often than usual."""

_COMPOSITE, _PROFILES, _REPORT = "GetCompositeSchedule", "GetChargingProfiles", "ReportChargingProfiles"
_SETS = frozenset({"SetChargingProfile", "RemoteStartTransaction", "RequestStartTransaction"})
_CANNOT = frozenset({"NotImplemented", "NotSupported"})


class Topic(StrEnum):
    """What a question is about."""

    COMPOSITE = _COMPOSITE
    PROFILES = _PROFILES


@dataclass(slots=True, eq=False)
class TruthQuestion:
    """The tag of our CALL; `expected` and `asked`: what should hold, and when it was on the wire. `evse` 0: the station."""

    topic: Topic
    evse: int = 0
    request_id: int = 0
    expected: Expected | None = None
    asked: Instant | None = None


@dataclass(slots=True)
class _Collection:
    """The reports that belong to one question, as they come."""

    question: TruthQuestion
    latest: Instant
    found: list[HeldProfile] = field(default_factory=list)


@dataclass(slots=True)
class _Doubt:
    """What speaks against an EVSE's holding ours: verdicts in a row, and how often it was written again because of it."""

    verdict: Verdict | None = None
    times: int = 0
    rewrites: int = 0

    def hears(self, verdict: Verdict) -> None:
        """One more verdict."""
        self.times = self.times + 1 if verdict is self.verdict else 1
        self.verdict = verdict


class StationTruth(Block):
    """Asks, reads, compares. It stands before the block that claims requests about profiles, to see these pass."""

    claims_only = frozenset({_REPORT, *_SETS})
    called_only = frozenset({"BootNotification"})
    observe_only = frozenset({"BootNotification"})

    def __init__(
        self, state: StationState, dialect: Dialect, evses: Sequence[int], pace: QuestionPace, charging: SmartCharging
    ) -> None:
        """`charging` writes again what the station has lost."""
        self._state = state
        self._truth = state.truth
        self._dialect = dialect
        self._evses = tuple(evses)
        self._pace = pace
        self._charging = charging
        self._delay_s = pace.delay_s(state.identity) + 2 * pace.every_s + AFTER_S
        self._left: list[tuple[Topic, int]] = []
        self._open: TruthQuestion | None = None
        self._collection: _Collection | None = None
        self._due_s: float | None = None
        self._begun_s: float | None = None
        self._missing: dict[int, _Doubt] = {}  # by what is reported
        self._contradicted: dict[tuple[int, LimitKind], _Doubt] = {}  # by a composite schedule
        self._rewritten_s: dict[int, float] = {}  # whoever of both spoke for it
        self._has_foreign = bool(foreign_profiles(state))
        # EVSEs whose last composite schedule without a session showed exactly our floor
        self._agrees: frozenset[int] = EMPTY
        # again, and its composite schedule never showed it
        self._written_in_vain: frozenset[tuple[int, LimitKind]] = EMPTY
        self._check_s: float | None = None
        self._silences: dict[Topic, int] = {}
        self._transactions: dict[int, str] = {}

    # --- what passes by ------------------------------------------------------------------------------------------

    def connected(self, now: Instant) -> list[BlockEffect]:
        """What the station says may have changed meanwhile."""
        self._truth.closed_at = None
        self._plan(now)
        return []

    def called(self, sender: Peer, call: Frame, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - the boot says it all
        """A boot ends all asking until it is accepted."""
        return self._stop() if sender is Peer.STATION else []

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - the verdict is in the state
        """After a boot it may do what it could not before, and hold something else."""
        if sender is Peer.STATION and self._state.registration is RegistrationStatus.ACCEPTED:
            self._truth.refused = EMPTY
            self._silences.clear()
            self._missing.clear()
            self._contradicted.clear()
            self._rewritten_s.clear()
            self._agrees = EMPTY
            self._written_in_vain = EMPTY
            self._plan(now)
        return []

    def claims(self, sender: Peer, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """Reports to a question of ours stay here (LC-096); a profile of the CSMS goes on, and its age is remembered."""
        if sender is Peer.CSMS:
            self._csms_sets(frame, now)
            return None
        request_id = report_request_id(frame.payload) if frame.action == _REPORT else None
        if request_id is None or request_id not in self._asked_for:
            return None  # also to a question of ours that nobody waits for any more: whoever filters reports absorbs it
        return [Answer(Peer.STATION, frame.message_id, {}), *self._reported(frame, request_id, now)]

    @property
    def _asked_for(self) -> set[int]:
        questions = (self._open, None if self._collection is None else self._collection.question)
        return {question.request_id for question in questions if question is not None}

    def _csms_sets(self, frame: Frame, now: Instant) -> None:
        try:
            profile_id = self._id_in(frame)
        except PayloadError:
            return  # whoever answers it says so
        if profile_id is not None:
            self._truth.csms_set(profile_id, now)

    def _id_in(self, frame: Frame) -> int | None:
        if frame.action == "SetChargingProfile":
            return self._dialect.profile_head(frame.payload)[0]
        start = self._dialect.remote_start(frame.action or "", frame.payload)
        return None if start is None else start.profile.id

    def closed(self, now: Instant) -> list[BlockEffect]:
        """Nothing can be asked any more; what is known stays, with its age."""
        self._truth.closed_at = now
        return self._stop()

    def _plan(self, now: Instant) -> None:
        self._left, self._due_s, self._begun_s = [], now.monotonic_s + self._delay_s, None

    def _stop(self) -> list[BlockEffect]:
        self._left, self._due_s, self._collection = [], None, None
        given_up, self._open = self._open, None
        return [] if given_up is None else [Withdraw(Peer.STATION, given_up)]

    # --- asking --------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When the next question may be asked."""
        return self._due_s

    def expire(self, now: Instant) -> list[BlockEffect]:
        """Asks one question, if the station may be asked (LC-039) and does not install firmware (LC-141)."""
        self._due_s = now.monotonic_s + self._pace.every_s
        if self._open is not None or self._state.is_installing or not self._state.may_call:
            return []
        if not self._left:
            self._left, self._begun_s, self._check_s = self._round(), now.monotonic_s, None
        if not self._left:
            self._due_s = None  # it can be asked nothing before its next boot
            return []
        topic, evse = self._left.pop(0)
        self._open = question = TruthQuestion(topic, evse)
        return [OwnCall(Peer.STATION, topic.value, self._payload(question), Urgency.QUERY, question)]

    def _round(self) -> list[tuple[Topic, int]]:
        """All that is asked, without what the station refuses."""
        profiles = [] if self._state.version is OcppVersion.V16 else [(Topic.PROFILES, 0)]
        every = [*profiles, *((Topic.COMPOSITE, evse) for evse in self._evses)]
        return [(topic, evse) for topic, evse in every if topic.value not in self._truth.refused]

    def _payload(self, question: TruthQuestion) -> dict[str, Any]:
        if question.topic is Topic.PROFILES:
            question.request_id = self._state.next_request_id()
            return profiles_question(question.request_id)
        unit = self._truth.of(question.evse).unit or self._state.capability.units[0]
        return composite_question(self._state.version, question.evse, unit)

    def sent(self, tag: Any, now: Instant) -> list[BlockEffect]:
        """A profile of ours, or a question, is on the wire."""
        if isinstance(tag, Push):
            self._is_sent(tag, now)
        elif isinstance(tag, Question) and self._due_s is not None:  # a station is asked one question in its turn
            self._due_s = max(self._due_s, now.monotonic_s + self._pace.every_s + AFTER_S)
        elif tag is self._open and isinstance(tag, TruthQuestion):
            tag.asked = now
            tag.expected = expected(self._state, tag.evse, now) if tag.topic is Topic.COMPOSITE else None
        return []

    def _is_sent(self, push: Push, now: Instant) -> None:
        """What is written to the station as a whole holds for each of its EVSEs."""
        write = OwnWrite(push, now)
        for evse in self._concerned(push):
            self._truth.of(evse).sent(write)

    def _concerned(self, push: Push) -> tuple[int, ...]:
        return self._evses if push.rung.place is FloorPlace.STATION else (push.target.evse,)

    # --- what the station says -----------------------------------------------------------------------------------

    def answered(self, tag: Any, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        """It took a profile of ours, or told what it holds."""
        if isinstance(tag, Push):
            return self._wrote(tag, answer, now)
        if not isinstance(tag, TruthQuestion) or tag is not self._open:
            return []
        self._open = None
        if not self._left:
            self._due_s = min(now.monotonic_s + ROUND_S, self._check_s or math.inf)
        if answer is None:
            return self._was_silent(tag, now)
        self._silences.pop(tag.topic, None)
        if answer.is_error:
            return self._refuse(tag.topic, now) if answer.error_code in _CANNOT else []
        if tag.topic is Topic.PROFILES:
            return self._announced(tag, answer, now)
        return self._told_composite(tag, answer, now)

    def _was_silent(self, tag: TruthQuestion, now: Instant) -> list[BlockEffect]:
        """The rest of this round is spared, and after some times this question altogether."""
        self._left, self._due_s = [], now.monotonic_s + ROUND_S
        self._silences[tag.topic] = self._silences.get(tag.topic, 0) + 1
        is_enough = tag.asked is not None and self._silences[tag.topic] >= MOST_SILENCES
        return self._refuse(tag.topic, now) if is_enough else []

    def _refuse(self, topic: Topic, now: Instant) -> list[BlockEffect]:
        """It is not asked this before its next boot, and what it once said so does not count for ever."""
        self._truth.refused |= {topic.value}
        self._left = [one for one in self._left if one[0] is not topic]
        if topic is Topic.COMPOSITE:
            self._truth.by_composite.clear()
        else:
            self._truth.by_loss.clear()
            self._truth.reported = None
        return [effect for evse in self._evses for effect in self._tell(evse, now)]

    def _wrote(self, push: Push, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        is_key = push.rung.actuator is Actuator.VENDOR_KEY
        word = setting_word(answer, self._dialect) if is_key else _word(answer)
        known = [evse for evse in self._concerned(push) if self._truth.of(evse).answered(push, word, now)]
        if not known or word != ACCEPTED:
            return []
        evse, transaction_id = push.target.evse, push.target.transaction_id
        is_first = transaction_id is not None and self._transactions.get(evse) != transaction_id
        if push.target.working is not None and transaction_id is not None and is_first:
            self._transactions[evse] = transaction_id
            self._hurry(now)
        return [told for one in known for told in self._tell(one, now)] if self._has_foreign else []

    def _hurry(self, now: Instant) -> None:
        """A round soon, if none is under way and the last one is not too fresh."""
        if self._due_s is None or self._left or self._open is not None or self._begun_s is None:
            return
        soon_s = max(now.monotonic_s + SETTLE_S, self._begun_s + SOON_S)
        self._due_s = min(self._due_s, soon_s)

    # --- its profiles --------------------------------------------------------------------------------------------

    def _announced(self, tag: TruthQuestion, answer: Frame, now: Instant) -> list[BlockEffect]:
        """Reports follow, or there are no profiles."""
        status = _word(answer)
        if status == "NoProfiles":
            return self._all_reported(tag, (), now)
        if status == ACCEPTED and self._collection is None:
            self._collection = _Collection(tag, now)
        return []

    def _reported(self, frame: Frame, request_id: int | None, now: Instant) -> list[BlockEffect]:
        """One report; the last one completes the picture. Some stations send it before they answer."""
        collection, question = self._collection, self._open
        if collection is None and question is not None and question.request_id == request_id:
            collection = self._collection = _Collection(question, now)
        if collection is None or collection.question.request_id != request_id:
            return []
        if now.since(collection.latest) > LATE_S:
            self._collection = None
            return []
        report = read_report(frame.payload)
        collection.found += report.profiles
        collection.latest = now
        return self._all_reported(collection.question, tuple(collection.found), now) if report.is_last else []

    def _all_reported(
        self, question: TruthQuestion, profiles: tuple[HeldProfile, ...], now: Instant
    ) -> list[BlockEffect]:
        self._collection = None
        self._truth.reported = HeardProfiles(profiles, now)
        self._has_foreign = bool(foreign_profiles(self._state))
        return [effect for evse in self._evses for effect in self._look_for_ours(evse, question, now)]

    def _look_for_ours(self, evse: int, question: TruthQuestion, now: Instant) -> list[BlockEffect]:
        """What the station said yes to before it was asked, and does not report, is lost (LC-042)."""
        missing = self._misses(evse, question, now)
        if missing is None:
            return self._tell(evse, now)
        if not missing:
            self._missing.pop(evse, None)
            self._truth.by_loss.pop(evse, None)
            return self._tell(evse, now)
        doubt = self._missing.setdefault(evse, _Doubt())
        if doubt.rewrites and evse not in self._agrees:  # it was written again and is missing again
            self._truth.by_loss[evse] = lost(evse)
        return [*self._tell(evse, now), *self._write_again(evse, doubt, "report", now)]

    def _misses(self, evse: int, question: TruthQuestion, now: Instant) -> bool | None:
        """Whether a profile of ours is not among the reported ones; None: nothing that it should hold for certain."""
        state, writes = self._state, self._truth.of(evse)
        transaction = state.transactions.get(evse)
        transaction_id = None if transaction is None else transaction.transaction_id
        wanted = [writes.floor, writes.working_now(transaction_id, state.station_time(now))]
        certain = [one for one in wanted if one is not None and _was_before(one.answered_at, question.asked)]
        if not certain or writes.is_pending:
            return None
        reported = {one.id for one in self._truth.reported or ()}
        return any(one.profile is not None and one.profile.id not in reported for one in certain)

    # --- its composite schedule ----------------------------------------------------------------------------------

    def _told_composite(self, tag: TruthQuestion, answer: Frame, now: Instant) -> list[BlockEffect]:
        said = self._composite(answer)
        self._truth.composites[tag.evse] = HeardComposite(said, now)
        after = expected(self._state, tag.evse, now)
        if said is None or tag.expected is None or after is None:
            return []
        period = said.at(self._state.station_time(now)) or said.periods[0]
        verdict = judged(period.limit, said.unit, tag.expected, after)
        if verdict is None:
            return []
        return self._weigh(
            tag.evse, verdict, after.kind, amperes(period.limit, said.unit, self._state.wiring.phase_v), now
        )

    @staticmethod
    def _composite(answer: Frame) -> HeldComposite | None:
        try:
            return read_composite(answer.payload)
        except PayloadError:  # no object at all
            return None

    def _weigh(self, evse: int, verdict: Verdict, kind: LimitKind, limit_a: float, now: Instant) -> list[BlockEffect]:
        """A second contradiction in a row counts; what is above ours may just have been lost, and is written again."""
        if verdict is Verdict.AGREES:
            return self._agreed(evse, kind, now)
        if kind is LimitKind.FALLBACK:
            self._agrees -= {evse}
        if self._explains(found_in_report(self._state, evse, now), verdict, kind, limit_a):
            self._contradicted.pop((evse, kind), None)
            self._truth.by_composite.pop((evse, kind), None)
            return self._tell(evse, now)
        doubt = self._contradicted.setdefault((evse, kind), _Doubt())
        doubt.hears(verdict)
        effects: list[BlockEffect] = []
        if doubt.times >= CONFIRMED and self._may_be_lost(evse, verdict, kind, doubt):
            effects = self._write_again(evse, doubt, "composite schedule", now)
            self._written_in_vain |= {(evse, kind)}
        elif doubt.times >= CONFIRMED:
            is_proven = (evse, kind) in self._truth.echoed
            found = found_in_composite(evse, verdict, kind, limit_a, is_proven=is_proven)
            self._truth.by_composite[evse, kind] = found
        if doubt.times < CONFIRMED:
            self._soon(now)
        return [*self._tell(evse, now), *effects]

    def _may_be_lost(self, evse: int, verdict: Verdict, kind: LimitKind, doubt: _Doubt) -> bool:
        """Whether writing ours again may help: not if it is reported, or was written so without ever being shown."""
        is_vain = (evse, kind) in self._written_in_vain or doubt.rewrites > 0
        return verdict is Verdict.ABOVE and not is_vain and not self._is_reported(evse)

    @staticmethod
    def _explains(found: ForeignLimit, verdict: Verdict, kind: LimitKind, limit_a: float) -> bool:
        """Whether the profiles that it reports say why its composite schedule is not ours."""
        if verdict is Verdict.BELOW:
            return found.most_a is not None and not is_above(found.most_a, limit_a)
        lifted_a = found.fallback_a if kind is LimitKind.FALLBACK else found.limit_a
        return lifted_a is not None and not is_above(limit_a, lifted_a)

    def _agreed(self, evse: int, kind: LimitKind, now: Instant) -> list[BlockEffect]:
        """The station shows exactly ours: whatever spoke against that is over."""
        self._truth.echoed |= {(evse, kind)}
        self._written_in_vain -= {(evse, kind)}
        self._truth.by_composite.pop((evse, kind), None)
        self._contradicted.pop((evse, kind), None)
        if kind is LimitKind.FALLBACK:  # a working limit that is shown says nothing about the floor below it
            self._agrees |= {evse}
            self._truth.by_loss.pop(evse, None)
        return self._tell(evse, now)

    def _is_reported(self, evse: int) -> bool:
        """Whether the station reports our profile, so that writing it again would change nothing."""
        floor = self._truth.of(evse).floor
        own = None if floor is None else floor.profile
        return own is not None and any(one.id == own.id for one in self._truth.reported or ())

    def _soon(self, now: Instant) -> None:
        """The next round is near, because something is to be learnt from it."""
        self._check_s = now.monotonic_s + CHECK_S
        if not self._left and self._open is None and self._due_s is not None:
            self._due_s = min(self._due_s, self._check_s)

    # --- what follows --------------------------------------------------------------------------------------------

    def _write_again(self, evse: int, doubt: _Doubt, witness: str, now: Instant) -> list[BlockEffect]:
        """Our profiles once more, as if the station had just come back (LC-042)."""
        if doubt.rewrites >= MOST_REWRITES or now.monotonic_s < self._rewritten_s.get(evse, -math.inf) + REWRITE_S:
            return []
        doubt.rewrites += 1
        self._rewritten_s[evse] = now.monotonic_s
        self._soon(now)
        fields = {"evse": evse, "witness": witness, "times": doubt.rewrites}
        return [Note("warning", "own_profile_missing", fields), *self._charging.write_again(evse, now)]

    def _tell(self, evse: int, now: Instant) -> list[BlockEffect]:
        """What is known of foreign limits of an EVSE, if that is news."""
        seen = [self._truth.by_composite.get((evse, kind)) for kind in LimitKind]
        found = found_in_report(self._state, evse, now)
        for one in (self._truth.by_loss.get(evse), *seen):
            found = found if one is None else together(found, one)
        if self._truth.findings.get(evse, ForeignLimit(evse)) == found:
            return []
        self._truth.findings[evse] = found
        return [Tell(found)]


def _was_before(answered: Instant | None, asked: Instant | None) -> bool:
    return answered is not None and asked is not None and answered.monotonic_s <= asked.monotonic_s


def _word(answer: Frame | None) -> str:
    """The station's word: a status, the code of an error, or what else we make of it."""
    if answer is None:
        return NO_ANSWER
    if answer.is_error:
        return answer.error_code or "error"
    try:
        said = answer.payload.get("status")
    except PayloadError:
        said = None
    if said == ACCEPTED:  # as nearly always
        return ACCEPTED
    text = said.strip() if isinstance(said, str) else ""
    return next((word for word in (ACCEPTED, "NoProfiles") if word.lower() == text.lower()), text or "no status")
