"""What does the gateway ask a station, apart from telling it limits? (functional blocks B, F and L)

What it can do; in 2.x once, as long as it is the same product, how many charging profiles it takes; the state of its
connectors, if it came back without a boot and says nothing of them; what its meter shows, if it has been silent for long.
None of it is urgent: it comes after the station's own first messages, one at a time, and not during a firmware update.
Whatever a station sends because of it goes up as usual (decision 0009).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import Frame
from local_controller.station.block import Block, BlockEffect, OwnCall, Urgency, Withdraw
from local_controller.station.dialects import dialect
from local_controller.station.dialects.base import NO_BOUNDS, NOTHING_SAID, ONE_AT_A_TIME, Dialect, Payload, ReadBounds
from local_controller.station.dialects.reading import Fields
from local_controller.station.effects import Peer
from local_controller.station.empty import EMPTY
from local_controller.station.shown_values import ENTRIES_VARIABLE
from local_controller.station.state import StationState
from local_controller.station.transaction import Transaction
from local_controller.station.turns import Turns
from local_controller.station.words import OcppVersion, RegistrationStatus

AGAIN_S = 600.0
"""A station is asked for the same message at most so often; also how long we keep back a question that it did not answer,
and leave it alone altogether if it did not answer the next one either: each holds up the CSMS's own CALLs for 8 s.
LC-076 allows one a minute: what we ask for costs the CSMS's traffic too. One that samples only when asked to is asked
whenever it has been silent for `SILENT_S`, as nothing else would show what its car draws."""

SAMPLE_AGAIN_S = 60.0
"""For a sample that the site wants, because room came back that only a measurement can prove (LC-076)."""

SILENT_S = 120.0
"""A transaction without a sample for so long is asked for one: twice the usual interval of 60 s, and before the site
takes the station for mute (150 s)."""

INSTALLING_S = 3600.0
"""A station that did not say how its installation ended is taken for done, as some never say."""

SITE_QUESTIONS_PER_S = 25.0
"""How many questions a whole site may be asked per second on average; after a power cut hardly ever twice that in one."""

_CANNOT = frozenset({"NotImplemented", "NotSupported"})
TO_FIRMWARE: Final = frozenset({"FirmwareStatusNotification", "SignedFirmwareStatusNotification"})
_BUSY = frozenset({"Downloading", "Installing", "InstallRebooting"})
_BETWEEN = frozenset({"Downloaded", "SignatureVerified"})  # as before: the installation follows at once or is announced


@dataclass(frozen=True, slots=True)
class QuestionPace(Turns):
    """How questions keep out of the way, in seconds.

    first_s: for the station's own messages after a boot. spread_s: over so long the questions of all stations are spread
    that boot in the same second.
    """

    first_s: float = 2.0
    spread_s: float = 8.0

    @property
    def every_s(self) -> float:
        """From one question to the next, so that a station is never asked twice within `spread_s`."""
        return self.first_s + self.spread_s


def site_pace(stations: int) -> QuestionPace:
    """The pace for a site of so many stations: no station needs to know of another."""
    return QuestionPace(spread_s=max(QuestionPace().spread_s, stations / SITE_QUESTIONS_PER_S))


class Topic(StrEnum):
    """What a question is about."""

    BOUNDS = "bounds"
    CAPABILITY = "capability"
    PLACES = "places"
    STATUS = "status"
    SAMPLE = "sample"


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """The tag of our CALL; no two are equal, so that a late answer is not taken for another's. `evse` 0: the station."""

    topic: Topic
    evse: int = 0


_READS = frozenset({Topic.BOUNDS, Topic.CAPABILITY, Topic.PLACES})

_PLACES: Final = ((Topic.PLACES, {"componentVariable": [ENTRIES_VARIABLE]}),)
"""GetReport, as GetVariables does not tell the bounds of a variable (B08); the report goes to `Configuration`."""

_Reads = tuple[tuple[Topic, Payload], ...]
"""Questions about the configuration, each with the payload that asks it."""


class OwnQuestions(Block):
    """Asks, when the time has come and the CSMS has accepted the station (LC-039, LC-040)."""

    called_only = frozenset({"BootNotification", *TO_FIRMWARE})
    observe_only = frozenset({"BootNotification"})

    def __init__(self, state: StationState, dialect: Dialect, evses: Sequence[int], pace: QuestionPace) -> None:
        """`state` is told what the station can do and whether it installs firmware."""
        self._state = state
        self._dialect = dialect
        self._evses = tuple(evses)
        self._pace = pace
        self._delay_s = pace.delay_s(state.identity)
        self._reads: _Reads = ()  # what is still to be read
        self._unanswered: _Reads = ()  # what is to be asked again
        self._again_s = math.inf  # and when
        self._is_again = False  # it is asked again just now, when nothing else is to be asked
        self._is_bound_read = False  # whether the questions after those for the bounds were chosen
        self._is_silent = False  # it did not answer the last question
        self._is_waited_for = False  # somebody waits for all of that
        self._said, self._bounds = NOTHING_SAID, NO_BOUNDS
        self._open: Question | None = None
        self._due_s: float | None = None

    # --- what passes by ------------------------------------------------------------------------------------------

    def connected(self, now: Instant) -> list[BlockEffect]:
        """Perhaps no boot follows: then the states of the connectors are unknown too (LC-042)."""
        self._state.untold = frozenset(self._evses)
        self._plan(now)
        return []

    def called(self, sender: Peer, call: Frame, now: Instant) -> list[BlockEffect]:
        """A boot ends all asking until it is accepted; so does an installation until it is over."""
        if sender is not Peer.STATION:
            return []
        if call.action == "BootNotification":
            self._state.installing_until_s, self._state.installs = None, False
            self._state.untold = EMPTY  # it tells them itself (1.6 §4.2, B01)
            return self._stop()
        if call.action in TO_FIRMWARE:
            return self._firmware(Fields(call.action, call.payload).text("status"), now)
        return []

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - the verdict is in the state
        """After each boot the station is asked again what it can do (LC-041)."""
        if sender is not Peer.STATION or call.action != "BootNotification":
            return []
        if self._state.registration is RegistrationStatus.ACCEPTED:
            self._state.capability = self._state.capability.booted()
        self._plan(now)
        return []

    def closed(self, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - nothing is timed any more
        """Nothing can be asked any more."""
        return self._stop()

    def _plan(self, now: Instant) -> None:
        self._reads, self._said, self._bounds = self._to_read(), NOTHING_SAID, NO_BOUNDS
        self._unanswered, self._again_s = (), math.inf
        self._state.samples_wanted = ()
        self._is_again = self._is_bound_read = self._is_silent = False
        self._due_s = now.monotonic_s + self._delay_s
        self._state.is_unread = self._state.said == NOTHING_SAID and bool(self._reads)

    def _stop(self) -> list[BlockEffect]:
        """Forgets what was to be asked; an answer that still comes is of no use."""
        self._reads, self._unanswered, self._is_waited_for = (), (), False
        given_up, self._open, self._due_s = self._open, None, None
        self._state.is_unread, self._state.read_at_s = False, None
        return [] if given_up is None else [Withdraw(Peer.STATION, given_up)]

    def _firmware(self, status: str | None, now: Instant) -> list[BlockEffect]:
        """An installation is left in peace (LC-141)."""
        if status in _BETWEEN:
            return []
        self._state.installing_until_s = now.monotonic_s + INSTALLING_S if status in _BUSY else None
        self._state.installs = status in _BUSY and status != "Downloading"
        return [Withdraw(Peer.STATION, self._open)] if self._state.is_installing and self._open else []

    # --- asking --------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When the next question may be asked: at once where somebody waits for what the station can do, or for a sample."""
        if self._due_s is None or self._open is not None:
            return self._due_s
        if self._state.samples_wanted:
            return -math.inf
        return self._due_s if self._state.read_at_s is None else min(self._due_s, self._state.read_at_s)

    def expire(self, now: Instant) -> list[BlockEffect]:
        """Asks one question, if it may be asked and there is one."""
        if (until_s := self._state.installing_until_s) is not None and until_s <= now.monotonic_s:
            self._state.installing_until_s, self._state.installs = None, False
        self._is_waited_for |= self._state.read_at_s is not None
        self._due_s, self._state.read_at_s = now.monotonic_s + self._pace.every_s, None
        if self._open is not None:
            return []
        wanted, self._state.samples_wanted = self._state.samples_wanted, ()
        if self._state.is_installing or not self._state.may_read:
            return []
        if self._unanswered and not self._reads and self._again_s <= now.monotonic_s:
            self._reads, self._unanswered, self._again_s, self._is_again = self._unanswered, (), math.inf, True
        question = self._next(wanted, now)
        if question is None:
            again_s = self._again_s if self._unanswered else math.inf
            self._due_s = max(self._due_s, min(now.monotonic_s + self._quiet_s(now), again_s))
            return []
        self._open = question
        action, payload = self._asked(question, now)
        return [OwnCall(Peer.STATION, action, payload, Urgency.QUERY, question)]

    def _next(self, wanted: Iterable[int], now: Instant) -> Question | None:
        """The next question that still makes sense; a station that only may be read is asked for nothing else.

        wanted: EVSEs of which somebody wants a sample; what is left of them for a later question stays in the state.
        """
        if self._state.capability.places is not None:  # the CSMS may have had it told meanwhile
            self._reads = tuple(one for one in self._reads if one[0] is not Topic.PLACES)
        read = Question(self._reads[0][0]) if self._reads else None
        if not self._state.may_call or (read is not None and not self._is_again):
            return read
        samples = [Question(Topic.SAMPLE, evse) for evse in wanted if evse in self._state.transactions]
        if not self._is_silent and (soon := [question for question in samples if self._may_ask(question, now)]):
            self._state.samples_wanted = tuple(question.evse for question in soon[1:])
            return soon[0]
        states = [Question(Topic.STATUS, evse) for evse in sorted(self._state.untold)]
        silent = [Question(Topic.SAMPLE, t.evse) for t in self._state.transactions.values() if self._silent(t, now)]
        return next((question for question in states + silent if self._may_ask(question, now)), read)

    def _asked(self, question: Question, now: Instant) -> tuple[str, Payload]:
        """Action and payload; a message that the station is asked for is not asked for again soon."""
        if question.topic is Topic.PLACES:
            return "GetReport", {"requestId": self._state.next_request_id(), **self._reads[0][1]}
        if question.topic in _READS:
            return self._dialect.capability_read, self._reads[0][1]
        self._state.asked_s[question.topic, question.evse] = now.monotonic_s
        if question.topic is Topic.SAMPLE:
            return "TriggerMessage", self._dialect.ask_for_sample(question.evse)
        self._state.untold -= {question.evse}
        return "TriggerMessage", self._dialect.ask_for_status(question.evse)

    def _to_read(self) -> _Reads:
        """The bounds first, unless they are known (LC-127)."""
        return self._within(self._state.capability.bounds)

    def _one_by_one(self) -> _Reads:
        return self._within(ONE_AT_A_TIME)

    def _within(self, bounds: ReadBounds | None) -> _Reads:
        capability = self._state.capability
        reads = _to_read(self._state.version, capability.never_read, bounds)
        is_known = capability.places is not None or self._state.version is OcppVersion.V16 or not reads
        return reads if is_known else (*reads, *_PLACES)

    def _may_ask(self, question: Question, now: Instant) -> bool:
        asked_s = self._state.asked_s.get((question.topic, question.evse))
        is_soon = asked_s is not None and (
            now.monotonic_s < asked_s + SAMPLE_AGAIN_S
            or (now.monotonic_s < asked_s + AGAIN_S and not self._was_answered(question, asked_s))
        )
        capability = self._state.capability
        return not is_soon and not capability.never_trigger and question.topic not in capability.untriggered

    def _was_answered(self, question: Question, asked_s: float) -> bool:
        """Whether the sample came: some stations measure only when asked to, and are asked as soon as they are silent again."""
        transaction = self._state.transactions.get(question.evse) if question.topic is Topic.SAMPLE else None
        return (
            transaction is not None and transaction.sampled is not None and transaction.sampled.monotonic_s >= asked_s
        )

    def _silent(self, transaction: Transaction, now: Instant) -> bool:
        return now.since(transaction.sampled or transaction.started) >= self._patience_s

    @property
    def _patience_s(self) -> float:
        """Silence is normal for two intervals of a station that samples rarely."""
        return max(SILENT_S, 2.0 * (self._state.capability.sample_s or 0))

    def _quiet_s(self, now: Instant) -> float:
        """How long no transaction can become silent, be it one that starts in this moment."""
        since = [now.since(t.sampled or t.started) for t in self._state.transactions.values()]
        return self._patience_s - max((s for s in since if s < self._patience_s), default=0.0)

    # --- what the station says -----------------------------------------------------------------------------------

    def answered(self, tag: Any, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        """Learns what the station can do, or that it sends nothing when asked to."""
        if not isinstance(tag, Question) or tag is not self._open:
            return []
        self._open = None
        if answer is None:
            self._was_silent(tag, now)
        elif tag.topic is Topic.BOUNDS:
            self._was_bounded(answer)
        elif tag.topic is Topic.CAPABILITY:
            self._was_read(answer, now)
        elif tag.topic is Topic.PLACES:
            self._were_told(answer)
        else:
            self._triggered(tag, answer)
        self._is_silent = answer is None
        if tag.topic in _READS:
            self._state.is_unread &= answer is not None and (bool(self._reads) or self._will_report(tag, answer))
            if self._state.is_unread and self._is_waited_for:
                self._due_s = now.monotonic_s
            self._is_waited_for &= self._state.is_unread
        return []

    def _was_silent(self, question: Question, now: Instant) -> None:
        """What it did not answer is asked again later, behind all else: no question stops another one."""
        later_s = now.monotonic_s + AGAIN_S
        if question.topic is Topic.PLACES:  # nothing waits for it, so it is not asked again before the station is back
            self._reads = self._reads[1:]
        elif question.topic in _READS:
            self._unanswered, self._reads = (*self._unanswered, self._reads[0]), self._reads[1:]
            self._again_s = later_s
        if question.topic is Topic.BOUNDS:
            self._follow_bounds()
        if self._is_silent or question.topic not in _READS:
            self._unanswered, self._reads = (*self._reads, *self._unanswered), ()
            self._due_s = self._again_s = later_s

    def _was_bounded(self, answer: Frame) -> None:
        """A station that cannot tell anything is asked no more."""
        if answer.is_error and answer.error_code in _CANNOT:
            self._reads = self._unanswered = ()
            return
        self._reads = self._reads[1:]
        if not answer.is_error:
            self._bounds = self._bounds.and_also(self._dialect.stated_bounds(answer.payload))
        self._follow_bounds()

    def _follow_bounds(self) -> None:
        """The bounds are known when all are answered. Until then any may be the smallest (LC-127)."""
        if any(topic is Topic.BOUNDS for topic, _ in self._reads):
            return
        is_known = all(topic is not Topic.BOUNDS for topic, _ in self._unanswered)
        if is_known:
            self._state.capability = replace(self._state.capability, bounds=self._bounds)
        if not self._is_bound_read:
            self._is_bound_read = True
            self._reads = self._to_read() if is_known else self._one_by_one()

    def _was_read(self, answer: Frame, now: Instant) -> None:
        """A station may refuse to tell several values at a time although it names no such bound."""
        (_, asked), self._reads = self._reads[0], self._reads[1:]
        if answer.is_error:
            one_by_one = self._one_by_one()
            if (Topic.CAPABILITY, asked) not in one_by_one:
                self._reads = () if answer.error_code in _CANNOT else one_by_one
            return
        self._said = self._said.and_also(self._dialect.capability_answer(answer.payload))
        self._state.said = self._said
        self._state.capability = self._state.capability.stated(self._said, now.utc)

    def _will_report(self, question: Question, answer: Frame) -> bool:
        """Whether the answer is still to come, in a message of its own."""
        is_awaited = question.topic is Topic.PLACES and self._state.capability.places is None
        return is_awaited and not answer.is_error

    def _were_told(self, answer: Frame) -> None:
        """Who cannot say how many profiles it takes never does, as long as it is the same product."""
        self._reads = self._reads[1:]
        if answer.error_code in _CANNOT or not (answer.is_error or _status(answer) == "Accepted"):
            self._state.capability = replace(self._state.capability, places=0)

    def _triggered(self, question: Question, answer: Frame) -> None:
        """A refusal holds until the next boot; an error is one of all messages. Without its transaction it says nothing."""
        capability = self._state.capability
        if answer.is_error:
            self._state.capability = capability.refusing_to_send(Topic.STATUS, Topic.SAMPLE)
        elif question.topic is Topic.SAMPLE and question.evse not in self._state.transactions:
            return
        elif _status(answer) in {"Rejected", "NotImplemented"}:
            self._state.capability = capability.refusing_to_send(question.topic)


def _status(answer: Frame) -> str | None:
    try:
        return Fields("its answer", answer.payload).text("status")
    except PayloadError:
        return None


@lru_cache(maxsize=64)
def _to_read(version: OcppVersion, never_read: frozenset[str], bounds: ReadBounds | None) -> _Reads:
    """What is read from a station, in order; the same for all of its kind. Nothing, if it may tell nothing of what it can do."""
    spoken = dialect(version)
    asked = spoken.capability_questions(never_read, bounds or NO_BOUNDS)
    before = spoken.bound_questions(never_read) if asked and bounds is None else []
    return (*((Topic.BOUNDS, one) for one in before), *((Topic.CAPABILITY, one) for one in asked))
