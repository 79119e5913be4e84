"""How does the CSMS get later what it missed? One message after the other, as the station would have sent them (LC-051 … LC-054).

At least once: a message counts as delivered when the CSMS has answered it, and is sent again over the next connection if that
ends first.
"""

from __future__ import annotations

import math
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from local_controller.clock import Instant
from local_controller.deputy.backlog import Backlog
from local_controller.deputy.effects import DeputyEffect, Drop, EndStation, Entry, Fetch, Kind, PutAside, Rename, ToCsms
from local_controller.deputy.station_keys import StationKeys
from local_controller.deputy.transaction_names import UNKNOWN, TransactionNames, provisional_id, transaction_of
from local_controller.errors import PayloadError
from local_controller.rpc import frame as rpc
from local_controller.rpc.frame import CALLRESULT, Frame
from local_controller.station.announcements import OperatorMustKnow
from local_controller.station.effects import Fate, Note, Tell, Trace

ANSWER_S: Final = 30.0
"""How long the CSMS may take for an answer; then the attempt has failed (guidance: 30 s, OCPP 2.1 Part 2 §3.2)."""

LEAST_REST_S: Final = 10
"""Before another attempt where the number of attempts has no end; stations of 1.6 may be set to rest for no time at all."""

VOLATILE: Final = 0
"""The number of a connector state that is reported anew and stands in no journal, which counts from 1."""


@dataclass(slots=True)
class _Sent:
    number: int
    entry: Entry
    call: Frame
    since_s: float


class Delivery:
    """The messages that one CSMS gets later, while it is there."""

    def __init__(
        self,
        backlog: Backlog,
        names: TransactionNames,
        ids: Callable[[], str],
        told: Callable[[Frame, Frame, Instant], None],
    ) -> None:
        """`ids` makes a fresh message id (LC-035). `told` hears the CSMS's answer to each message."""
        self.backlog = backlog
        self.names = names
        self.keys = StationKeys()
        self.refused: list[str] = []
        """Transactions whose drivers the CSMS has refused since somebody looked (LC-071)."""
        self.delivered = 0
        """Messages of the journal that the CSMS has got."""
        self._ids = ids
        self._told = told
        self._restated: deque[Entry] = deque()
        self._sent: _Sent | None = None
        self._late: _Sent | None = None  # the last one whose answer was overdue
        self._fetching: int | None = None
        self._attempts: Counter[int] = Counter()
        self._rests_until_s = math.inf
        self._is_mute = True

    @property
    def has_work(self) -> bool:
        """Whether something waits or is under way."""
        return bool(len(self.backlog) or self._restated or self._sent)

    @property
    def is_on_the_wire(self) -> bool:
        """Whether a message of ours waits for the CSMS's answer: until then nobody else may send a CALL (LC-022)."""
        return self._sent is not None

    @property
    def due_s(self) -> float:
        """When `expire` has something to do, in monotonic seconds."""
        if self._sent is not None:
            return self._sent.since_s + ANSWER_S
        return math.inf if self._fetching is not None else self._rests_until_s

    def tells_of(self, subject: str) -> bool:
        """Whether the CSMS has yet to hear of this."""
        return self.backlog.tells_of(subject) or any(entry.subject == subject for entry in self._restated)

    def restate(self, states: Iterable[Entry]) -> None:
        """The CSMS shall get these connector states as well, before any transaction (LC-055)."""
        self._restated.extend(states)

    def stop(self) -> None:
        """The CSMS is gone: what was under way is sent again."""
        self._sent = self._late = self._fetching = None
        self._restated.clear()
        self._rests_until_s = math.inf
        self._is_mute = True

    def spoken(self) -> None:
        """The CSMS has said something, whatever it is."""
        self._is_mute = False

    def put_back(self) -> None:
        """What is being fetched shall not go now."""
        self._fetching = None

    def step(self, now: Instant) -> list[DeputyEffect]:
        """The next message, if it may go now."""
        if self._sent is not None or self._fetching is not None:
            return []
        if self._restated and not self.backlog.has_boot:
            return self._send(VOLATILE, self._restated.popleft(), now)
        if now.monotonic_s >= self._rests_until_s:
            self._rests_until_s = math.inf
        rests = self._rests_until_s < math.inf
        number = self.backlog.next(without_transactions=rests)
        if number is None or (rests and (self.backlog.has_boot or self._is_mute)):
            return []
        self._fetching = number
        return [Fetch(number)]

    def fetched(self, number: int, entry: Entry | None, now: Instant) -> list[DeputyEffect]:
        """What the journal has under a number; None: nothing that can be read any more."""
        if number != self._fetching:
            return []
        self._fetching = None
        if number not in self.backlog:  # a later state of the connector has taken its place
            return self.step(now)
        if entry is None:
            self.backlog.remove(number)
            return [*self._put_aside(number, "message", "the journal cannot read it"), *self.step(now)]
        return self._send(number, entry, now)

    def answered(self, answer: Frame, now: Instant) -> list[DeputyEffect] | None:
        """The CSMS's answer to a message that was delivered later; None: to none of these."""
        late, sent = self._late, self._sent
        absorbed = Trace(None, answer.text, Fate.ABSORBED, "answers what was delivered later")
        if late is not None and answer.message_id == late.call.message_id:
            return [absorbed, *self._confirmed_late(late, answer, now)]
        if sent is None or answer.message_id != sent.call.message_id:
            return None
        self._sent = None
        return [absorbed, *self._answered(sent, answer, now)]

    def _confirmed_late(self, late: _Sent, answer: Frame, now: Instant) -> list[DeputyEffect]:
        """The CSMS has it all the same, and need not get it again; that it does not want it was reckoned with."""
        self._late = None
        if answer.message_type != CALLRESULT or late.number not in self.backlog:
            return []
        self._rests_until_s = math.inf
        return self._answered(late, answer, now)

    def _answered(self, sent: _Sent, answer: Frame, now: Instant) -> list[DeputyEffect]:
        if sent.number != VOLATILE and sent.number not in self.backlog:  # it counts no more, or was confirmed late
            return []
        try:
            reason = self._refusal(answer)
            effects = self._failed(sent, reason, now) if reason else self._delivered(sent, answer.payload)
            if not reason:
                self._told(sent.call, answer, now)
        except PayloadError as error:
            effects = self._failed(sent, str(error), now)
        return effects

    def expire(self, now: Instant) -> list[DeputyEffect]:
        """An answer is overdue, or a rest is over."""
        sent = self._sent
        if sent is not None and now.monotonic_s >= sent.since_s + ANSWER_S:
            self._sent, self._late = None, sent
            is_refused, self._is_mute = not self._is_mute, True  # who says nothing at all has refused nothing
            return self._failed(sent, f"no answer within {ANSWER_S:.0f} s", now, counts=is_refused)
        return []

    # --- inside --------------------------------------------------------------------------------------------------

    def _send(self, number: int, entry: Entry, now: Instant) -> list[DeputyEffect]:
        call = rpc.parse(f'[2,"{self._ids()}","{entry.action}",{entry.payload}]')
        if entry.action == "TransactionEvent":
            call = rpc.altered(call, {**call.payload, "offline": True})  # LC-052
        call = self.names.to_csms(call)
        self._sent = _Sent(number, entry, call, now.monotonic_s)
        return [ToCsms(call.text), Trace(None, call.text, Fate.INJECTED, "delivered later")]

    @staticmethod
    def _refusal(answer: Frame) -> str:
        if answer.message_type == CALLRESULT:
            return ""
        return f"the CSMS answered {answer.error_code}: {answer.error_description or ''}".rstrip(": ")

    def _delivered(self, sent: _Sent, answer: dict[str, Any]) -> list[DeputyEffect]:
        effects: list[DeputyEffect] = []
        match sent.entry.action:
            case "StartTransaction":
                effects += self._started(sent, answer)
            case "StopTransaction":
                effects += self._ended(sent)
            case "TransactionEvent":
                self._look_at_driver(answer.get("idTokenInfo"), _transaction_2x(sent.call), sent)
            case "BootNotification" if answer.get("status") != "Accepted":
                effects.append(EndStation(1001, "the CSMS wants the station to register"))  # LC-058
        return effects + self._done(sent)

    def _done(self, sent: _Sent) -> list[DeputyEffect]:
        if sent.number == VOLATILE:
            return []
        self.backlog.remove(sent.number)
        del self._attempts[sent.number]
        self.delivered += 1
        return [Drop((sent.number,))]

    def _started(self, sent: _Sent, answer: dict[str, Any]) -> list[DeputyEffect]:
        """The CSMS has an id for it now (LC-069)."""
        real, provisional = answer.get("transactionId"), provisional_id(sent.number)
        if not isinstance(real, int):
            raise PayloadError("StartTransaction", "$.transactionId", f"a number was expected, got {real!r:.40}")
        self.names.learn(provisional, real)
        self._look_at_driver(answer.get("idTagInfo"), str(provisional), sent)
        return [Rename(provisional, real)]

    def _ended(self, sent: _Sent) -> list[DeputyEffect]:
        return self.forget(transaction_of(rpc.parse(f'[2,"","StopTransaction",{sent.entry.payload}]')))

    def forget(self, provisional: int | None) -> list[DeputyEffect]:
        """The CSMS knows that this transaction has ended (LC-070)."""
        if provisional is None or not self.names.known(provisional):
            return []
        self.names.ended(provisional)
        return [Rename(provisional, None)]

    def _look_at_driver(self, info: Any, transaction_id: str, sent: _Sent) -> None:
        status = info.get("status") if isinstance(info, dict) else None
        if status not in {None, "Accepted", "ConcurrentTx"} and sent.call.payload.get("eventType") != "Ended":
            self.refused.append(transaction_id)

    def _failed(self, sent: _Sent, reason: str, now: Instant, *, counts: bool = True) -> list[DeputyEffect]:
        """As a station does: some more attempts, each after a longer rest; then it is put aside, and a person told (LC-054).

        counts: as one of the attempts.
        """
        number, kind, reason = sent.number, sent.entry.kind, _without_driver(reason, sent.call.payload)
        if number not in self.backlog:  # it was told anew, or another one has taken its place meanwhile
            return [Note("warning", "state_not_delivered", {"reason": reason})]
        self._attempts[number] += counts
        attempts = self._attempts[number]
        note = Note("warning", "delivery_failed", {"action": sent.entry.action, "attempt": attempts, "reason": reason})
        is_endless = kind is Kind.BOOT or not counts
        if is_endless or (kind is Kind.TRANSACTION and attempts < self.keys.attempts):
            interval_s = max(self.keys.interval_s, LEAST_REST_S) if is_endless else self.keys.interval_s
            self._rests_until_s = now.monotonic_s + interval_s * max(1, attempts)
            return [note]
        self.backlog.remove(number)
        del self._attempts[number]
        effects: list[DeputyEffect] = [note, *self._put_aside(number, sent.entry.action, reason)]
        if sent.entry.action == "StartTransaction":
            self.names.learn(provisional_id(number), UNKNOWN)
            effects.append(Rename(provisional_id(number), UNKNOWN))
        elif sent.entry.action == "StopTransaction":
            effects += self._ended(sent)
        return effects

    @staticmethod
    def _put_aside(number: int, action: str, reason: str) -> list[DeputyEffect]:
        text = f"{action} of an outage could not be delivered and is kept in the journal as number {number}: {reason}"
        return [PutAside(number, reason), Tell(OperatorMustKnow("message_put_aside", text))]


def _without_driver(reason: str, payload: Mapping[str, Any]) -> str:
    """What the CSMS says of a message is read in logs, notices and in the journal in clear: whose card it was is not (LC-068)."""
    token = payload.get("idTag", payload.get("idToken"))
    card = token.get("idToken") if isinstance(token, dict) else token
    return re.sub(re.escape(card), "…", reason, flags=re.IGNORECASE) if isinstance(card, str) and card else reason


def _transaction_2x(call: Frame) -> str:
    info = call.payload.get("transactionInfo")
    return str(info.get("transactionId", "")) if isinstance(info, dict) else ""
