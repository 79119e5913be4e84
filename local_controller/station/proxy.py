"""What happens to each message between one station and its CSMS? It is relayed, unless a block claims it.

Two connections, one per leg, each with one slot for CALLs (Part 4 §4.1.1); the blocks look on in order. The rules of
relaying are here, the rules of charging in the blocks. Facts and the time in, effects out; nothing waits.
"""

from __future__ import annotations

import math
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from local_controller.clock import Instant
from local_controller.errors import FrameError, PayloadError
from local_controller.rpc import frame as rpc
from local_controller.rpc.connection import Call, RpcConnection
from local_controller.rpc.frame import Frame, MessageType
from local_controller.station.block import (
    Answer,
    AnswerError,
    Block,
    BlockEffect,
    Forward,
    OwnCall,
    Urgency,
    Withdraw,
)
from local_controller.station.effects import Close, Effect, Fate, Note, Peer, Send, Tell, Trace
from local_controller.station.words import Connected, Disconnected, OcppVersion

CLAIMED_LIMIT = 64  # claimed CALLs of one peer that may await our answer; as many as may wait for a slot (LC-031)
CLAIMED_S = 120.0  # after so long nobody waits for our answer any more
STRAYS_LIMIT = 16  # unreadable messages whose error answer we let pass
ANSWERED_LIMIT = 16  # CALLs we answered ourselves, whose CALLRESULTERROR is therefore ours
_LEGAL_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})  # RFC 6455 §7.4, IANA; besides 3000..4999


@dataclass(frozen=True, slots=True)
class RelayTimes:
    """How long a foreign CALL may take, in seconds (guidance: 30 s, OCPP 2.1 Part 2 §3.2).

    answer_s: after sending, until its slot goes to the next CALL. unsent_s: in the queue, until it is discarded.
    """

    answer_s: float = 30.0
    unsent_s: float = 30.0


def own_id() -> str:
    """A message id that no peer uses, before or after a restart: 34 characters (LC-026, Part 4 §6.4)."""
    return f"LC{uuid.uuid4().hex}"


@dataclass(frozen=True, slots=True)
class _Relayed:
    """The origin of a foreign CALL: who sent it, and whether a block changed it."""

    sender: Peer
    fate: Fate


_Origin = _Relayed | OwnCall


class _Leg:
    """What we remember of one of the two connections, named after the peer at its end."""

    def __init__(self) -> None:
        self.calls: RpcConnection[_Origin] = RpcConnection()  # towards this peer
        self.claimed: deque[tuple[str, float]] = deque()  # ids of this peer's CALLs that a block has to answer, since
        self.answered: deque[str] = deque(maxlen=ANSWERED_LIMIT)  # ids of this peer's CALLs that a block has answered
        self.strays: deque[str] = deque(maxlen=STRAYS_LIMIT)  # ids this peer may answer with an error (LC-029)


class StationProxy:
    """One station as its CSMS sees it, and the CSMS as its station sees it."""

    def __init__(
        self,
        identity: str,
        version: OcppVersion,
        blocks: Sequence[Block],
        ids: Callable[[], str] = own_id,
        times: RelayTimes = RelayTimes(),
    ) -> None:
        """`blocks` look on in this order; the first that claims a CALL has it. `ids` makes a fresh message id."""
        self.identity = identity
        self.version = version
        self._blocks = tuple(blocks)
        self._ids = ids
        self._times = times
        self._legs = {Peer.STATION: _Leg(), Peer.CSMS: _Leg()}
        legs = [leg.calls for leg in self._legs.values()]
        self._clocked: tuple[RpcConnection[_Origin] | Block, ...] = (*legs, *self._blocks)
        actions = {action for block in self._blocks for action in block.REVISES}
        self._revisers = {action: [b for b in self._blocks if action in b.REVISES] for action in actions}
        self._unreadable = 0
        self._is_open = True

    # --- inputs --------------------------------------------------------------------------------------------------

    def connected(self, now: Instant) -> list[Effect]:
        """Both legs are up."""
        effects: list[Effect] = [Tell(Connected(self.version))]
        effects += self._ask_all(lambda block: block.connected(now), "connected", now)
        return effects + self._pump(now)

    def receive(self, peer: Peer, text: str, now: Instant) -> list[Effect]:
        """`peer` sent this text message."""
        if not self._is_open:
            return []
        try:
            frame = rpc.parse(text)
        except FrameError as error:
            return self._unreadable_text(peer, text, error)
        match frame.message_type:
            case MessageType.CALL:
                effects = self._call(peer, frame, now)
            case MessageType.CALLRESULT | MessageType.CALLERROR:
                effects = self._answer(peer, frame, now)
            case MessageType.CALLRESULTERROR if frame.message_id in self._legs[peer].answered:
                effects = self._unwanted(peer, frame, "our_answer_refused")
            case _:
                effects = self._pass(peer, frame, now)
        return effects + self._pump(now)

    def perform(self, effects: Iterable[BlockEffect], now: Instant) -> list[Effect]:
        """Carries out what a block's own method (a new limit, say) returned."""
        return self._do(effects, now) + self._pump(now)

    def closed(self, peer: Peer, now: Instant, code: int = 1006, reason: str = "") -> list[Effect]:
        """The connection to `peer` is gone, so the other one goes too (Part 4 §6.3, LC-036, LC-038)."""
        if not self._is_open:
            return []
        self._is_open = False
        effects: list[Effect] = [Close(peer.other, propagated_code(code), reason)]
        unanswered = [call for leg in self._legs.values() for call in leg.calls.close()]
        for call in unanswered:
            effects += self._no_answer(call, now)
        effects += self._ask_all(lambda block: block.closed(now), "closed", now)
        return [*effects, Tell(Disconnected(f"{peer} closed the connection ({code}{reason and ': '}{reason})"))]

    def expire(self, now: Instant) -> list[Effect]:
        """Some time has passed, perhaps a deadline."""
        effects: list[Effect] = []
        for peer, leg in self._legs.items():
            expired = leg.calls.expire(now.monotonic_s)
            if call := expired.timed_out:
                effects.append(Note("warning", "call_timed_out", _of(peer, call.frame)))
                effects += self._no_answer(call, now)
            for call in expired.discarded:
                effects += [
                    Trace(peer.other, call.frame.text, Fate.DISCARDED, "too old to be executed"),
                    Note("warning", "call_discarded", _of(peer, call.frame)),  # LC-025
                    *self._no_answer(call, now),
                ]
        due = [block for block in self._blocks if block.deadline is not None and block.deadline <= now.monotonic_s]
        effects += self._ask(due, lambda block: block.expire(now), "expire", now)
        return effects + self._pump(now)

    @property
    def deadline(self) -> float | None:
        """When `expire` wants to be called, in `Instant.monotonic_s`; None for never."""
        earliest_s = math.inf
        for waiting in self._clocked:
            if (deadline_s := waiting.deadline) is not None and deadline_s < earliest_s:
                earliest_s = deadline_s
        return None if earliest_s == math.inf else earliest_s

    # --- CALLs ---------------------------------------------------------------------------------------------------

    def _call(self, sender: Peer, frame: Frame, now: Instant) -> list[Effect]:
        claimed = self._legs[sender].claimed
        while claimed and claimed[0][1] + CLAIMED_S <= now.monotonic_s:
            claimed.popleft()
        if len(claimed) >= CLAIMED_LIMIT:
            return self._refuse(sender, frame)
        claim, notes = self._claim(sender, frame, now)
        if claim is None:
            return notes + self._relay(sender, frame, Fate.PASSED, now)
        claimed.append((frame.message_id, now.monotonic_s))
        return [*notes, Trace(sender, frame.text, Fate.ABSORBED, "claimed"), *self._do(claim, now)]

    def _claim(self, sender: Peer, frame: Frame, now: Instant) -> tuple[list[BlockEffect] | None, list[Effect]]:
        """The first claim of a block, if any; a CALL whose payload a block cannot read is relayed (LC-020)."""
        notes: list[Effect] = []
        if _is_signed(frame):
            return None, notes
        for block in self._blocks:
            try:
                claim = block.claims(sender, frame, now)
            except PayloadError as error:
                notes.append(_unreadable_payload(error, "claims"))
                continue
            if claim is not None:
                return claim, notes
        return None, notes

    def _relay(self, sender: Peer, frame: Frame, fate: Fate, now: Instant) -> list[Effect]:
        """Puts a CALL into the other leg's queue and shows it to the blocks."""
        calls, times = self._legs[sender.other].calls, self._times
        origin = _Relayed(sender, fate)
        call: Call[_Origin] = Call(frame, Urgency.FOREIGN, times.answer_s, times.unsent_s, origin, now.monotonic_s)
        if not calls.submit(call):
            return self._refuse(sender, frame)
        effects = self._send_next(sender.other, now)
        if calls.in_flight is not call:
            effects.append(Trace(sender, frame.text, Fate.QUEUED))
        return effects + self._ask_all(lambda block: block.called(sender, frame, now), "called", now)

    def _refuse(self, sender: Peer, frame: Frame) -> list[Effect]:
        """Too much is waiting: the sender is told, nothing gets lost silently (LC-031)."""
        code = "GenericError" if self.version is OcppVersion.V16 else "RpcFrameworkError"
        answer = rpc.error(frame.message_id, code, "too many CALLs are waiting for an answer").text
        return [
            Trace(sender, frame.text, Fate.DISCARDED, "queue full"),
            Note("warning", "queue_full", _of(sender.other, frame)),
            Send(sender, answer),
            Trace(None, answer, Fate.INJECTED),
        ]

    def _pump(self, now: Instant) -> list[Effect]:
        """Sends what may be sent now, after the blocks had their say (LC-024: reductions go first)."""
        effects: list[Effect] = []
        while sent := [effect for peer in self._legs for effect in self._send_next(peer, now)]:
            effects += sent
        return effects

    def _send_next(self, peer: Peer, now: Instant) -> list[Effect]:
        call = self._legs[peer].calls.next_to_send(now.monotonic_s)
        if call is None:
            return []
        text = call.frame.text
        match call.origin:
            case OwnCall(tag=tag):
                told = self._ask_all(lambda block: block.sent(tag, now), "sent", now)
                return [Send(peer, text), Trace(None, text, Fate.INJECTED), *told]
            case _Relayed(sender, fate):
                return [Send(peer, text), Trace(sender, text, fate)]

    # --- answers -------------------------------------------------------------------------------------------------

    def _answer(self, peer: Peer, frame: Frame, now: Instant) -> list[Effect]:
        leg = self._legs[peer]
        match leg.calls.answered(frame.message_id, now.monotonic_s):
            case None if frame.is_error and frame.message_id in leg.strays:
                leg.strays.remove(frame.message_id)
                return _passed(peer, frame.text)
            case None:
                return self._unwanted(peer, frame, "answer_without_call")
            case Call(origin=OwnCall()), True:
                return self._unwanted(peer, frame, "late_answer_swallowed")
            case Call(origin=OwnCall(tag=tag)), False:
                return [Trace(peer, frame.text, Fate.ABSORBED, "answers us"), *self._answered(tag, frame, now)]
            case call, _:
                passed = self._revised(peer, call.frame, frame, now) or _passed(peer, frame.text)
                return [*passed, *self._observed(peer.other, call.frame, frame, now)]

    def _revised(self, peer: Peer, call: Frame, answer: Frame, now: Instant) -> list[Effect]:
        """The answer with what a block changes in it; nothing if it is to pass as it is."""
        revisers = self._revisers.get(call.action or "")
        if revisers is None or answer.is_error:
            return []
        notes: list[Effect] = []
        revised = answer
        for block in revisers:
            try:
                payload = block.revise(peer.other, call, revised, now)
            except PayloadError as error:
                notes.append(_unreadable_payload(error, "revise"))
                continue
            revised = revised if payload is None else rpc.altered(revised, payload)
        if revised is answer:
            return [*notes, *_passed(peer, answer.text)]
        arrived, left = Trace(peer, answer.text, Fate.ABSORBED, "claimed"), Trace(peer, revised.text, Fate.ALTERED)
        return [*notes, arrived, Send(peer.other, revised.text), left]

    def _observed(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> list[Effect]:
        """Shows the end of a relayed CALL to the blocks."""
        return self._ask_all(lambda block: block.observe(sender, call, answer, now), "observe", now)

    def _answered(self, tag: object, answer: Frame | None, now: Instant) -> list[Effect]:
        """Shows the answer of an own CALL to the blocks; to a block that cannot read it, it is none."""
        effects: list[Effect] = []
        for block in self._blocks:
            try:
                effects += self._do(block.answered(tag, answer, now), now)
            except PayloadError as error:
                effects.append(_unreadable_payload(error, "answered"))
                effects += self._do(block.answered(tag, None, now), now)
        return effects

    def _no_answer(self, call: Call[_Origin], now: Instant) -> list[Effect]:
        """Tells the blocks that a CALL will not be answered, at least not in time."""
        match call.origin:
            case OwnCall(tag=tag):
                return self._answered(tag, None, now)
            case _Relayed(sender):
                return self._observed(sender, call.frame, None, now)

    def _unwanted(self, peer: Peer, frame: Frame, event: str) -> list[Effect]:
        """An answer that must not travel on (LC-027)."""
        return [Trace(peer, frame.text, Fate.DISCARDED, event), Note("warning", event, _of(peer, frame))]

    # --- the rest ------------------------------------------------------------------------------------------------

    def _pass(self, sender: Peer, frame: Frame, now: Instant) -> list[Effect]:
        """SEND, CALLRESULTERROR and unknown types take no slot (LC-019, LC-021)."""
        effects = _passed(sender, frame.text)
        if frame.message_type == MessageType.SEND:
            effects += self._ask_all(lambda block: block.called(sender, frame, now), "called", now)
        return effects

    def _unreadable_text(self, peer: Peer, text: str, error: FrameError) -> list[Effect]:
        """Relays it as a cable would, except what may be a broken answer to our own CALL (LC-027)."""
        self._unreadable += 1
        facts = {"sender": peer, "reason": str(error), "count": self._unreadable}
        note = Note("warning", "unreadable_message", facts)
        if any(isinstance(call.origin, OwnCall) for call in self._legs[peer].calls.mentioned(text)):
            return [note, Trace(peer, text, Fate.DISCARDED, "unreadable, with the id of our own CALL")]
        self._legs[peer.other].strays.append(error.message_id)
        return [note, *_passed(peer, text)]

    # --- blocks --------------------------------------------------------------------------------------------------

    def _ask_all(self, ask: Callable[[Block], list[BlockEffect]], where: str, now: Instant) -> list[Effect]:
        return self._ask(self._blocks, ask, where, now)

    def _ask(
        self, blocks: Iterable[Block], ask: Callable[[Block], list[BlockEffect]], where: str, now: Instant
    ) -> list[Effect]:
        """What blocks want, carried out; a payload that one cannot read is noted and otherwise ignored (LC-020)."""
        effects: list[Effect] = []
        for block in blocks:
            try:
                wanted = ask(block)
            except PayloadError as error:
                effects.append(_unreadable_payload(error, where))
                continue
            if wanted:
                effects += self._do(wanted, now)
        return effects

    def _do(self, wanted: Iterable[BlockEffect], now: Instant) -> list[Effect]:
        """Carries out what a block wants; after the end only what it tells."""
        effects: list[Effect] = []
        for one in wanted:
            if isinstance(one, (Tell, Note)):
                effects.append(one)
            elif self._is_open:
                effects += self._do_one(one, now)
        return effects

    def _do_one(self, wanted: OwnCall | Withdraw | Answer | AnswerError | Forward, now: Instant) -> list[Effect]:
        match wanted:
            case OwnCall():
                return self._own_call(wanted, now)
            case Withdraw(peer, tag):
                gone = self._legs[peer].calls.withdraw(lambda origin: isinstance(origin, OwnCall) and origin.tag == tag)
                return [effect for _ in gone for effect in self._answered(tag, None, now)]
            case Answer(peer, message_id, payload):
                return self._answer_claimed(peer, rpc.result(message_id, payload))
            case AnswerError(peer, message_id, code, description):
                return self._answer_claimed(peer, rpc.error(message_id, code, description))
            case Forward(sender, frame, payload):
                return self._forward(sender, rpc.altered(frame, payload), now)

    def _own_call(self, own: OwnCall, now: Instant) -> list[Effect]:
        """Lets an own CALL wait for its slot; it is sent after all blocks had their say."""
        frame = rpc.call(self._ids(), own.action, own.payload)
        call: Call[_Origin] = Call(frame, own.urgency, own.timeout_s, None, own, now.monotonic_s)
        if self._legs[own.peer].calls.submit(call):
            return []
        return [Note("warning", "own_call_not_sent", _of(own.peer, frame)), *self._answered(own.tag, None, now)]

    def _answer_claimed(self, peer: Peer, answer: Frame) -> list[Effect]:
        """An answer goes out only to a CALL that waits for it: some stations die of any other (field experience)."""
        if not self._settle(peer, answer.message_id):
            return [Note("error", "answer_not_awaited", _of(peer, answer))]
        self._legs[peer].answered.append(answer.message_id)
        return [Send(peer, answer.text), Trace(None, answer.text, Fate.INJECTED)]

    def _forward(self, sender: Peer, frame: Frame, now: Instant) -> list[Effect]:
        if not self._settle(sender, frame.message_id):
            return [Note("error", "forward_not_awaited", _of(sender.other, frame))]
        return self._relay(sender, frame, Fate.ALTERED, now)

    def _settle(self, peer: Peer, message_id: str) -> bool:
        """Whether a claimed CALL of `peer` waited for this; it no longer does."""
        claimed = self._legs[peer].claimed
        for entry in claimed:
            if entry[0] == message_id:
                claimed.remove(entry)
                return True
        return False


def propagated_code(code: int) -> int:
    """The close code for the other leg: legal ones as they are, no code is a normal closure, loss is "going away"."""
    if code in _LEGAL_CODES or 3000 <= code < 5000:
        return code
    return 1000 if code == 1005 else 1001


def _is_signed(frame: Frame) -> bool:
    """Part 4 ch. 7: signed messages keep every byte (LC-034)."""
    return frame.action is not None and frame.action.endswith("-Signed")


def _passed(sender: Peer, text: str) -> list[Effect]:
    return [Send(sender.other, text), Trace(sender, text, Fate.PASSED)]


def _unreadable_payload(error: PayloadError, where: str) -> Note:
    return Note("warning", "unreadable_payload", {"where": where, "path": error.path, "reason": str(error)})


def _of(peer: Peer, frame: Frame) -> dict[str, object]:
    """What a note says about a message on the leg of `peer`."""
    return {"leg": peer, "message_id": frame.message_id, "action": frame.action}
