"""Who speaks with a station while its CSMS is away? Its deputy: it answers what can be answered, keeps what the CSMS must hear,

and when the CSMS is back delivers that in the station's name. The station's proxy goes on all the time as if the CSMS were
there. While there is nothing to deliver the deputy `is_transparent`, and its shell passes texts by it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from local_controller.clock import Instant
from local_controller.deputy.answers import (
    DECLINED,
    Answer,
    Situation,
    code_of_fault,
    kind_of,
    local_answer,
    subject_of,
)
from local_controller.deputy.backlog import Backlog
from local_controller.deputy.delivery import Delivery
from local_controller.deputy.effects import DeputyEffect, Drop, Entry, Keep, Kind, ToCsms, ToStation
from local_controller.deputy.station_keys import question, read
from local_controller.deputy.transaction_names import Pairs, TransactionNames, transaction_of
from local_controller.errors import FrameError, PayloadError
from local_controller.rpc import frame as rpc
from local_controller.rpc.frame import CALL, CALLERROR, CALLRESULT, Frame
from local_controller.station.effects import Fate, Note, Peer, Trace
from local_controller.station.proxy import IN_ITS_PLACE
from local_controller.station.words import OcppVersion

PATIENCE_S: Final = 30.0
"""After so long a live CALL that the CSMS does not answer no longer holds up what is delivered later, as in `RelayTimes`."""

SAYS_AGAIN_S: Final = 600.0
"""A station that got no answer to the end of a transaction says it again within this time, and what belongs to it behind its end."""


class Station(Situation, Protocol):
    """What the deputy knows about its station beside."""

    @property
    def may_be_asked(self) -> bool:
        """Whether it may be asked for its configuration (LC-039)."""

    @property
    def is_kept_waiting(self) -> bool:
        """Whether the CSMS's latest verdict is that it must wait, or is not wanted (B02, B03)."""

    @property
    def states(self) -> Mapping[str, Entry]:
        """The latest state of each connector, by the subject of its entry."""

    def guessed(self, message_id: str) -> None:
        """The answer to this CALL of the station is not the CSMS's."""

    def told(self, call: Frame, answer: Frame, now: Instant) -> None:
        """The CSMS's own answer to what was delivered later."""


class Deputy:
    """Between one station's proxy and its CSMS."""

    def __init__(
        self,
        station: Station,
        kept: Iterable[tuple[int, Entry]],
        pairs: Pairs,
        ids: Callable[[], str],
    ) -> None:
        """The CSMS is away. kept: what it has yet to hear from earlier connections; pairs: of transaction ids, likewise."""
        self._station = station
        self._ids = ids
        self._names = TransactionNames(pairs)
        self._delivery = Delivery(Backlog(kept), self._names, ids, station.told)
        self._is_present = False
        self._gone_s: float | None = None  # since when, if it was there over this connection
        self._tickets: dict[int, tuple[str, Answer]] = {}
        self._next_ticket = 0
        self._is_unkept = False  # what was to be kept last; said once, lest a full disk gets more of it
        self._forgets_s = math.inf
        self._held: deque[Frame] = deque()  # CALLs of the station that wait for the wire
        self._live: tuple[Frame, float] | None = None
        self._is_kept_waiting = False  # by the CSMS, until it accepts a boot
        self._ending: dict[str, int] = {}
        self._asked: dict[str, str] = {}
        self._has_asked_for_keys = False
        self._orphans: frozenset[str] = frozenset()
        self._queue_asked: frozenset[str] = frozenset()  # ids of the CSMS's questions whether messages are queued

    @property
    def waiting(self) -> int:
        """How many messages the CSMS has yet to get."""
        return len(self._delivery.backlog) + len(self._tickets)

    @property
    def delivered(self) -> int:
        """How many messages of the journal it has got over this connection."""
        return self._delivery.delivered

    @property
    def is_transparent(self) -> bool:
        """Whether texts may pass by: the CSMS is there, has heard all, and no id differs."""
        return (
            self._is_present
            and not self._delivery.has_work
            and not (self._tickets or self._names or self._asked or self._orphans or self._held or self._ending)
            and not self._queue_asked
        )

    @property
    def deadline(self) -> float | None:
        """When `expire` wants to be called, in `Instant.monotonic_s`; None for never."""
        if not self._is_present:
            return None
        due_s = self._delivery.due_s
        if self._live is not None and not self._delivery.is_on_the_wire:  # nothing is delivered before that
            due_s = self._live[1] + PATIENCE_S if self._delivery.has_work or self._held else math.inf
        due_s = min(due_s, self._forgets_s)
        return None if due_s == math.inf else due_s

    # --- the CSMS comes and goes ---------------------------------------------------------------------------------

    def lost(self, unanswered: Sequence[Frame], orphans: Iterable[str], now: Instant) -> list[DeputyEffect]:
        """The CSMS is gone. unanswered: CALLs of the station that it has not answered, which are answered here (LC-050).

        orphans: ids of its own CALLs whose answers it will not get, nor anybody else.
        """
        self._is_present, self._gone_s = False, now.monotonic_s
        self._live = None
        self._held.clear()
        self._ending.clear()
        self._queue_asked = frozenset()
        self._delivery.stop()
        self._orphans = frozenset(orphans)
        effects: list[DeputyEffect] = []
        for call in unanswered:
            if call.message_id not in {message_id for message_id, _ in self._tickets.values()}:
                effects += self._stand_in(rpc.parse(call.text), now)  # as the CSMS would have read it
        return effects + self._ask_for_keys()

    def returned(self, now: Instant) -> list[DeputyEffect]:
        """The CSMS is there (again)."""
        self._is_present = True
        self._is_kept_waiting = self._station.is_kept_waiting
        self._delivery.restate(self._states_to_tell(now))
        backlog = self._delivery.backlog
        obsolete, backlog.obsolete = backlog.obsolete, ()
        effects: list[DeputyEffect] = [Drop(obsolete)] if obsolete else []
        return [*effects, *(self._ask_for_keys() if len(backlog) else []), *self._step(now)]

    def _states_to_tell(self, now: Instant) -> list[Entry]:
        """After a long outage all states (B04.FR.01); changed ones are in the backlog anyway (B04.FR.02)."""
        gone_s, self._gone_s = self._gone_s, None
        if gone_s is None or self._station.version is OcppVersion.V16:
            return []
        if now.monotonic_s - gone_s <= self._delivery.keys.offline_threshold_s:
            return []
        tells_of = self._delivery.backlog.tells_of
        return [entry for subject, entry in self._station.states.items() if not tells_of(subject)]

    # --- what is said --------------------------------------------------------------------------------------------

    def said(self, text: str, now: Instant) -> list[DeputyEffect]:
        """The proxy sends this to the CSMS."""
        try:
            frame = rpc.parse(text)
        except FrameError:
            return [ToCsms(text)] if self._is_present else []
        if frame.message_type != CALL:
            return self._said_else(frame)
        if self._is_present and (self._delivery.is_on_the_wire or self._held) and not self._must_wait(frame):
            self._held.append(frame)
            return []
        return self._called(frame, now)

    def _called(self, call: Frame, now: Instant) -> list[DeputyEffect]:
        return self._pass_up(call, now) if self._is_present and not self._must_wait(call) else self._stand_in(call, now)

    def _must_wait(self, call: Frame) -> bool:
        """What belongs to transactions goes behind those before it, a connector's state behind the one before it (LC-051).

        A CSMS that does not know the station gets nothing else.
        """
        backlog = self._delivery.backlog
        coming = [answer.entry for _, answer in self._tickets.values() if answer.entry is not None]
        if backlog.has_boot or any(entry.kind is Kind.BOOT for entry in coming):
            return True
        if call.action == "StatusNotification":
            return self._tells_of_same(call, coming)
        is_of_transaction = kind_of(call.action or "", self._station.version) is Kind.TRANSACTION
        return is_of_transaction and (backlog.has_transactions or bool(coming))

    def _tells_of_same(self, call: Frame, coming: Iterable[Entry]) -> bool:
        try:
            subject = subject_of(call)
        except PayloadError:
            return False
        return self._delivery.tells_of(subject) or any(entry.subject == subject for entry in coming)

    def _said_else(self, frame: Frame) -> list[DeputyEffect]:
        """Answers, and what takes no slot: only for a CSMS that is there and has asked."""
        if frame.message_type in {CALLRESULT, CALLERROR}:
            if (purpose := self._asked.pop(frame.message_id, None)) is not None:
                return self._told(purpose, frame)
            if frame.message_id in self._orphans:
                self._orphans -= {frame.message_id}
                return [Trace(None, frame.text, Fate.DISCARDED, "answers a CSMS that is gone")]
            if frame.message_id in self._queue_asked:
                self._queue_asked -= {frame.message_id}
                return self._with_our_queue(frame)
        return [ToCsms(frame.text)] if self._is_present else []

    def _with_our_queue(self, answer: Frame) -> list[DeputyEffect]:
        """What is kept here is queued as well (LC-057, E14)."""
        try:
            is_said = answer.message_type != CALLRESULT or answer.payload.get("messagesInQueue") is True
        except PayloadError:
            is_said = True
        if is_said or not self.waiting:
            return [ToCsms(answer.text)]
        told = rpc.altered(answer, {**answer.payload, "messagesInQueue": True})
        return [ToCsms(told.text), Trace(Peer.STATION, told.text, Fate.ALTERED, "messages wait here")]

    def _pass_up(self, call: Frame, now: Instant) -> list[DeputyEffect]:
        self._live = call, now.monotonic_s
        passed = self._names.to_csms(call)
        if call.action == "StopTransaction" and self._names.known(ended := transaction_of(call)) and ended is not None:
            self._ending[call.message_id] = ended
        effects: list[DeputyEffect] = [ToCsms(passed.text)]
        return effects if passed is call else [*effects, _altered(Peer.STATION, passed)]

    def heard(self, text: str, now: Instant) -> list[DeputyEffect]:
        """The CSMS sends this."""
        self._delivery.spoken()
        try:
            frame = rpc.parse(text)
        except FrameError:
            return [ToStation(text)]
        if frame.message_type == CALL:
            self._orphans -= {frame.message_id}
            if frame.action == "GetTransactionStatus":
                self._queue_asked |= {frame.message_id}
            passed = self._names.to_station(frame)
            effects: list[DeputyEffect] = [ToStation(passed.text)]
            return effects if passed is frame else [_altered(Peer.CSMS, passed), *effects]
        answered = self._delivery.answered(frame, now)
        if answered is not None:
            self._is_kept_waiting = self._station.is_kept_waiting
            return [*answered, *self._stop_refused(), *self._step(now)]
        ended = self._ending.pop(frame.message_id, None)
        forgotten = self._delivery.forget(ended) if frame.message_type == CALLRESULT else []  # else it tries again
        if self._live is not None and self._live[0].message_id == frame.message_id:
            if self._live[0].action == "BootNotification":
                self._is_kept_waiting = not _is_acceptance(frame)
            self._live = None
        return [ToStation(text), *forgotten, *self._step(now)]

    # --- standing in ---------------------------------------------------------------------------------------------

    def _stand_in(self, call: Frame, now: Instant) -> list[DeputyEffect]:
        """Answers in the CSMS's place: at once, or as soon as the message is on the disk (LC-049)."""
        answer = local_answer(call, self._station, now)
        if answer.entry is None:
            return self._answered(call.message_id, answer, 0)
        self._next_ticket += 1
        self._tickets[self._next_ticket] = call.message_id, answer
        return [Keep(self._next_ticket, answer.entry)]

    def kept(self, ticket: int, number: int, now: Instant) -> list[DeputyEffect]:
        """It is on the disk under this number."""
        self._is_unkept = False
        message_id, answer = self._tickets.pop(ticket)
        assert answer.entry is not None  # noqa: S101 - else it had no ticket
        obsolete = self._delivery.backlog.add(number, answer.entry)
        effects = self._answered(message_id, answer, number)
        if obsolete:
            effects.append(Drop(obsolete))
        return effects + self._step(now)

    def not_kept(self, ticket: int, reason: str, now: Instant) -> list[DeputyEffect]:
        """It cannot be kept, so it is not confirmed: the station keeps it and tries again."""
        message_id, answer = self._tickets.pop(ticket)
        action = "" if answer.entry is None else answer.entry.action
        told = [] if self._is_unkept else [Note("error", "message_not_kept", {"action": action, "reason": reason})]
        self._is_unkept = True
        return [*told, *self._answered(message_id, DECLINED, 0), *self._step(now)]

    def _answered(self, message_id: str, answer: Answer, number: int) -> list[DeputyEffect]:
        if answer.payload is None:
            code = code_of_fault(self._station.version)
            text = rpc.error(message_id, code, "the CSMS is away, try again later").text
        else:
            text = rpc.result(message_id, answer.payload(number)).text
            self._station.guessed(message_id)
        return self._in_its_place(text)

    def _in_its_place(self, text: str) -> list[DeputyEffect]:
        """To the station, as if the CSMS said it. While that is away the proxy's own record says whose word it is."""
        told = [Trace(None, text, Fate.INJECTED, IN_ITS_PLACE)] if self._is_present else []
        return [*told, ToStation(text)]

    # --- what the station is asked in the CSMS's name ------------------------------------------------------------

    def _ask_for_keys(self) -> list[DeputyEffect]:
        if self._has_asked_for_keys or not self._station.may_be_asked:
            return []
        self._has_asked_for_keys = True
        return self._ask(*question(self._station.version), "keys")

    def _stop_refused(self) -> list[DeputyEffect]:
        """Ends transactions whose driver the CSMS refuses, unless the station is told to let them go on (LC-071)."""
        refused, self._delivery.refused = self._delivery.refused, []
        if not self._delivery.keys.stops_invalid:
            return []
        is_v16 = self._station.version is OcppVersion.V16
        action = "RemoteStopTransaction" if is_v16 else "RequestStopTransaction"
        effects: list[DeputyEffect] = []
        for transaction_id in refused:
            payload: dict[str, Any] = {"transactionId": int(transaction_id) if is_v16 else transaction_id}
            effects += self._ask(action, payload, "stop")
        return effects

    def _ask(self, action: str, payload: dict[str, Any], purpose: str) -> list[DeputyEffect]:
        call = rpc.call(self._ids(), action, payload)
        self._asked[call.message_id] = purpose
        return self._in_its_place(call.text)

    def _told(self, purpose: str, answer: Frame) -> list[DeputyEffect]:
        try:
            said = answer.payload if answer.message_type == CALLRESULT else {}
        except PayloadError:
            said = {}
        if purpose == "keys":
            self._delivery.keys = read(self._delivery.keys, said)
        return [Trace(None, answer.text, Fate.ABSORBED, "answers us")]

    # --- time and delivery ---------------------------------------------------------------------------------------

    def fetched(self, number: int, entry: Entry | None, now: Instant) -> list[DeputyEffect]:
        """What the journal has under this number."""
        if not self._is_present:
            return []
        if self._is_live(now):
            self._delivery.put_back()
            return []
        return self._delivery.fetched(number, entry, now)

    def expire(self, now: Instant) -> list[DeputyEffect]:
        """A deadline has passed."""
        if now.monotonic_s >= self._forgets_s:
            self._forgets_s = math.inf
            self._names.forget_ended()
        return [*self._delivery.expire(now), *self._step(now)] if self._is_present else []

    def thin(self) -> list[DeputyEffect]:
        """Storage runs short (LC-056)."""
        given_up = self._delivery.backlog.thin()
        if not given_up:
            return []
        return [Drop(given_up), Note("warning", "samples_given_up", {"count": len(given_up)})]

    def _step(self, now: Instant) -> list[DeputyEffect]:
        """What was held goes first, since its station waits; then the next of the backlog."""
        effects: list[DeputyEffect] = []
        if not self._is_present or self._delivery.is_on_the_wire:
            return effects
        if self._names.has_ended_ones and self._forgets_s == math.inf:
            self._forgets_s = now.monotonic_s + SAYS_AGAIN_S
        while self._held and not self._is_live(now):
            effects += self._called(self._held.popleft(), now)
        if self._is_live(now) or (self._is_kept_waiting and not self._delivery.backlog.has_boot):
            return effects
        return effects + self._delivery.step(now)

    def _is_live(self, now: Instant) -> bool:
        """Whether a CALL of the station itself is with the CSMS, which takes one at a time (LC-022)."""
        if self._live is not None and now.monotonic_s >= self._live[1] + PATIENCE_S:
            self._live = None
        return self._live is not None


def _is_acceptance(answer: Frame) -> bool:
    """Whether the CSMS accepts a station that has booted."""
    try:
        return answer.payload.get("status") == "Accepted"
    except PayloadError:
        return False


def _altered(sender: Peer, passed: Frame) -> Trace:
    return Trace(sender, passed.text, Fate.ALTERED, "another transaction id")
