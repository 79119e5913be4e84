"""What happens to each message between one station and its CSMS? It is relayed, unless a block claims it.

Two connections, one per leg, each with one slot for CALLs (Part 4 §4.1.1); the blocks look on in order. The rules of
relaying are here, the rules of charging in the blocks. Facts and the time in, effects out; nothing waits.
"""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from typing import Any

from local_controller.clock import Instant
from local_controller.errors import NO_ID, FrameError, PayloadError
from local_controller.rpc import frame as rpc
from local_controller.rpc.connection import Call
from local_controller.rpc.frame import CALL, CALLERROR, CALLRESULT, CALLRESULTERROR, SEND, Frame
from local_controller.station.audience import Asked, roles_of
from local_controller.station.block import (
    ROUTINE,
    ROUTINE_SOONER,
    UNCHANGED,
    Answer,
    AnswerError,
    Block,
    BlockEffect,
    Forward,
    Overheard,
    OwnCall,
    SchemaBroken,
    Unreadable,
    Urgency,
    Wanted,
    Withdraw,
)
from local_controller.station.effects import Close, Effect, Fate, Note, PasswordOffered, Peer, Send, Tell, Trace
from local_controller.station.relay_leg import Origin, Relayed, RelayLeg, relay_legs
from local_controller.station.words import Connected, Disconnected, OcppVersion

_NEVER_S = math.inf
_FOREIGN = Urgency.FOREIGN
_STATION = Peer.STATION
LONGEST_READ = 512 * 1024
"""Characters of the longest message of a station whose payload is read: 35 to 80 ms for meter values, 16 ms for others (measured; LC-033).

What is longer says nothing to us and is noted; of a CSMS all is read, lest guards be evaded.
"""
LONGEST_STOP = 2 * 1024 * 1024
"""The same of a StopTransaction of 1.6: it may bear a day of samples (1.4 MB), which are passed over, and must end its session."""
AWAY = "the CSMS is away"
IN_ITS_PLACE = "in place of the CSMS"
"""What a trace says of a message that a deputy got, or wrote."""
NOTED = 10  # so many faults of a kind are noted one by one, then the 16th, the 32nd ...
_LEGAL_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})  # RFC 6455 §7.4, IANA; besides 3000..4999


@dataclass(frozen=True, slots=True)
class RelayTimes:
    """How long a foreign CALL may take, in seconds (guidance: 30 s, OCPP 2.1 Part 2 §3.2).

    answer_s: after sending, until its slot goes to the next CALL. unsent_s: in the queue, until it is discarded.
    """

    answer_s: float = 30.0
    unsent_s: float = 30.0


_OF_THIS_RUN = f"LC{secrets.token_hex(10)}"
_NUMBERS = count()


def own_id() -> str:
    """A message id that no peer uses, before or after a restart: 34 characters (LC-026, Part 4 §6.4)."""
    return f"{_OF_THIS_RUN}{next(_NUMBERS):012x}"


class StationProxy:
    """One station as its CSMS sees it, and the CSMS as its station sees it.

    faults: how often a peer did what it should not, by the event of the note; not each one is noted (LC-020).
    """

    def __init__(  # noqa: PLR0913 - who it is, and five decisions of who puts it together
        self,
        identity: str,
        version: OcppVersion,
        blocks: Sequence[Block],
        ids: Callable[[], str] = own_id,
        times: RelayTimes = RelayTimes(),
        *,
        is_traced: bool = True,
    ) -> None:
        """`blocks` look on in this order; the first that claims a CALL has it. `ids` makes a fresh message id.

        Only if it `is_traced`, effects tell the fate of each message.
        """
        self.identity = identity
        self.version = version
        self.faults: Counter[str] = Counter()
        self._blocks = tuple(blocks)
        roles = self._roles = roles_of(tuple(map(type, self._blocks)))
        self._claims, self._called, self._observe = roles.claims, roles.called, roles.observe
        self._clocked, self._senders, self._hearers = (
            [self._blocks[number] for number in numbers] for numbers in (roles.clocked, roles.senders, roles.hearers)
        )
        self._blocks_due_s = _NEVER_S
        self._may_be_due_earlier = True
        self._ids = ids
        self._times = times
        self._is_traced = is_traced
        self._legs = relay_legs()
        self._station, self._csms = self._legs.values()
        self._to_station, self._to_csms = self._station.calls, self._csms.calls
        self._is_open = True
        self._has_deputy = False
        self._is_noted = False  # that the payload of the present message is no object

    # --- inputs --------------------------------------------------------------------------------------------------

    def connected(self, now: Instant) -> list[Effect]:
        """Both legs are up."""
        effects: list[Effect] = [Tell(Connected(self.version))]
        effects += self._ask([self._blocks[number].connected for number in self._roles.greeters], now=now)
        return effects + self._pump(now)

    def receive(self, peer: Peer, text: str, now: Instant) -> list[Effect]:
        """`peer` sent this text message."""
        if not self._is_open:
            return []
        leg = self._station if peer is _STATION else self._csms
        try:
            frame = rpc.parse(text)
        except FrameError as error:
            return self._unreadable_text(leg, text, error)
        is_too_long = len(text) > LONGEST_READ and peer is _STATION and not _is_bearable(frame)
        if is_too_long:
            frame = rpc.unread(frame)
        notes = self._without_object(frame) if is_too_long or text[-2:] != "}]" else None
        kind = frame.message_type
        if kind == CALL:
            effects = self._call(leg, frame, now)
        elif CALLRESULT <= kind <= CALLERROR:
            effects = self._answer(leg, frame, now)
        elif kind == CALLRESULTERROR and frame.message_id in leg.answered:
            effects = self._unwanted(leg, frame, "our_answer_refused")
        else:
            effects = self._pass(leg, frame, now)
        if notes is not None:
            effects += notes
            self._is_noted = False
        if self._to_station.waiting or self._to_csms.waiting:
            effects += self._pump(now)
        return effects

    def perform(self, wanted: Iterable[BlockEffect], now: Instant) -> list[Effect]:
        """Carries out what a block's own method (a new limit, say) returned."""
        self._may_be_due_earlier = True
        effects: list[Effect] = []
        self._do(wanted, effects, now)
        return effects + self._pump(now)

    def csms_changed(self, now: Instant, *, is_there: bool) -> list[Effect]:
        """The CSMS has gone, and a deputy answers in its place; or it is back."""
        self._has_deputy = not is_there
        return self._ask(
            [partial(block.csms_changed, is_there=is_there) for block in self._blocks], now=now
        ) + self._pump(now)

    def closed(self, peer: Peer, now: Instant, code: int = 1006, reason: str = "") -> list[Effect]:
        """The connection to `peer` is gone, so the other one goes too (Part 4 §6.3, LC-036, LC-038)."""
        if not self._is_open:
            return []
        self._is_open = False
        effects: list[Effect] = [Close(peer.other, propagated_code(code), reason)]
        on_the_wire = [leg.calls.in_flight for leg in self._legs.values()]
        unanswered = [call for leg in self._legs.values() for call in leg.calls.close()]
        for call in unanswered:
            if isinstance(call.origin, Relayed) and call not in on_the_wire:
                effects += self._traced(_writer(call.origin), call.frame.text, Fate.DISCARDED, "connection closed")
            effects += self._no_answer(call, now)
        effects += self._ask([block.closed for block in self._blocks], now=now)
        return [*effects, Tell(Disconnected(f"{peer} closed the connection ({code}{reason and ': '}{reason})"))]

    def unanswered(self, peer: Peer) -> list[Frame]:
        """The CALLs that this peer has got and has not answered, the oldest first, as they came."""
        return [call.frame for call in self._legs[peer].calls.sent]

    def awaited(self, peer: Peer) -> list[str]:
        """The ids of the CALLs of this peer that are still to be answered: by the other one, or by a block."""
        leg = self._legs[peer]
        calls = leg.other.calls
        relayed = [*calls.sent, *(call for queue in calls.waiting.values() for call in queue)]
        return [
            *(call.frame.message_id for call in relayed if isinstance(call.origin, Relayed)),
            *(message_id for message_id, _ in leg.claimed),
        ]

    def let_go(self) -> None:
        """Both connections are gone, nothing comes any more: breaks circles, in which no collector looks (`garbage`)."""
        for leg in self._legs.values():
            del leg.other, leg.passed, leg.altered, leg.routine

    def expire(self, now: Instant) -> list[Effect]:
        """Some time has passed, perhaps a deadline: nothing else is due then, as after most CALLs, which are answered."""
        if self.due_s > now.monotonic_s:
            return []
        effects: list[Effect] = []
        for leg in (self._station, self._csms):
            if leg.calls.due_s > now.monotonic_s:
                continue
            expired = leg.calls.expire(now.monotonic_s)
            if call := expired.timed_out:
                effects.append(Note("warning", "call_timed_out", _of(leg, call.frame)))
                effects += self._no_answer(call, now)
            for call in expired.discarded:
                effects += [
                    *self._traced(_writer(call.origin), call.frame.text, Fate.DISCARDED, "too old to be executed"),
                    Note("warning", "call_discarded", _of(leg, call.frame)),  # LC-025
                    *self._no_answer(call, now),
                ]
        self._look_at_blocks()  # what was due when this was called for may have moved since
        if self._blocks_due_s <= now.monotonic_s:
            due = [(block, block.deadline) for block in self._clocked]
            ripe = [block.expire for block, due_s in due if due_s is not None and due_s <= now.monotonic_s]
            effects += self._ask(ripe, now=now)
        return effects + self._pump(now)

    @property
    def deadline(self) -> float | None:
        """When `expire` wants to be called, in `Instant.monotonic_s`; None for never."""
        due_s = self.due_s
        return None if due_s == _NEVER_S else due_s

    @property
    def due_s(self) -> float:
        """The same, infinite for never."""
        if self._may_be_due_earlier:
            self._look_at_blocks()
        due_s, station_s, csms_s = self._blocks_due_s, self._to_station.due_s, self._to_csms.due_s
        due_s = due_s if due_s < station_s else station_s  # noqa: FURB136 - `min` takes twice as long
        return due_s if due_s < csms_s else csms_s  # noqa: FURB136 - as above

    def _look_at_blocks(self) -> None:
        self._may_be_due_earlier = False
        earliest_s = _NEVER_S
        for block in self._clocked:
            block_s = block.deadline
            if block_s is not None and block_s < earliest_s:
                earliest_s = block_s
        self._blocks_due_s = earliest_s

    # --- CALLs ---------------------------------------------------------------------------------------------------

    def _call(self, sender: RelayLeg, frame: Frame, now: Instant) -> list[Effect]:
        if sender.claimed and sender.is_full(now):
            return self._refuse(sender, frame)
        asked = self._claims.of.get(frame.action, self._claims.of_rest)
        if not asked or _is_signed(frame):
            return self._relay(frame, sender.passed, now)
        claim, notes = self._claim(asked, sender, frame, now)
        if claim is None:
            return notes + self._relay(frame, sender.passed, now)
        sender.claimed.append((frame.message_id, now.monotonic_s))
        fate = Fate.REFUSED if any(map(_is_refusal, claim)) else Fate.ABSORBED
        effects = [*notes, *self._traced(sender.peer, frame.text, fate, "claimed")]
        self._do(claim, effects, now)
        return effects

    def _claim(self, asked: Asked, sender: RelayLeg, frame: Frame, now: Instant) -> tuple[Wanted | None, list[Effect]]:
        """The first claim of a block, if any; a CALL whose payload a block cannot read is relayed (LC-020)."""
        self._may_be_due_earlier = True
        notes: list[Effect] = []
        for number, _ in asked:
            try:
                claim = self._blocks[number].claims(sender.peer, frame, now)
            except PayloadError as error:
                notes += self._unreadable_payload(error)
                continue
            if claim is not None:
                return claim, notes
        return None, notes

    def _relay(self, frame: Frame, origin: Relayed, now: Instant) -> list[Effect]:
        """Puts a CALL into the other leg's queue and shows it to the blocks."""
        sender, to, times = origin.sender, origin.sender.other, self._times
        call: Call[Origin] = Call(frame, _FOREIGN, times.answer_s, times.unsent_s, origin, now.monotonic_s)
        effects: list[Effect]
        if to.calls.take_slot(call):
            text = frame.text
            effects = self._sent(to, text, sender, origin.fate) if self._is_traced else [Send(to.peer, text)]
        elif to.calls.submit(call):
            effects = self._send_next(to, now)
            if to.calls.in_flight is not call:
                effects += self._traced(sender.peer, frame.text, Fate.QUEUED)
        else:
            return self._refuse(sender, frame)
        if self._show(frame, sender.peer, effects, now) and origin is sender.passed:
            call.origin = sender.routine
        return effects

    def _refuse(self, sender: RelayLeg, frame: Frame) -> list[Effect]:
        """Too much is waiting: the sender is told, nothing gets lost silently (LC-031)."""
        code = "GenericError" if self.version is OcppVersion.V16 else "RpcFrameworkError"
        answer = rpc.error(frame.message_id, code, "too many CALLs are waiting for an answer").text
        return [
            *self._traced(sender.peer, frame.text, Fate.REFUSED, "queue full"),
            *self._fault("queue_full", _of(sender.other, frame)),
            *self._sent(sender, answer, None, Fate.INJECTED),
        ]

    def _pump(self, now: Instant) -> list[Effect]:
        """Sends what may be sent now, after the blocks had their say (LC-024: reductions go first)."""
        effects: list[Effect] = []
        while self._to_station.waiting or self._to_csms.waiting:
            sent = [effect for leg in self._legs.values() if leg.calls.waiting for effect in self._send_next(leg, now)]
            if not sent:
                break
            effects += sent
        return effects

    def _send_next(self, to: RelayLeg, now: Instant) -> list[Effect]:
        call = to.calls.next_to_send(now.monotonic_s)
        if call is None:
            return []
        text, origin = call.frame.text, call.origin
        if isinstance(origin, Relayed):
            return self._sent(to, text, origin.sender, origin.fate)
        told = self._ask([block.sent for block in self._senders], origin.tag, now=now)
        return self._sent(to, text, None, Fate.INJECTED) + told

    # --- answers -------------------------------------------------------------------------------------------------

    def _answer(self, leg: RelayLeg, frame: Frame, now: Instant) -> list[Effect]:
        found = leg.calls.answered(frame.message_id, now.monotonic_s)
        if found is None:
            if frame.message_id not in leg.strays:
                return self._unwanted(leg, frame, "answer_without_call")
            leg.strays.remove(frame.message_id)
            return self._sent(leg.other, frame.text, leg, Fate.PASSED)
        call, is_late = found
        origin = call.origin
        if isinstance(origin, Relayed):
            effects: list[Effect]
            to, text = leg.other, frame.text
            if call.frame.action in self._roles.revisers:
                effects = self._revised(leg, call.frame, frame, now)
            else:
                effects = self._sent(to, text, leg, Fate.PASSED) if self._is_traced else [Send(to.peer, text)]
            if not (origin.is_routine and frame.is_empty):
                self._show_end(call.frame, frame, to.peer, effects, now)
            return effects
        if is_late:
            return self._unwanted(leg, frame, "late_answer_swallowed")
        traced = self._traced(leg.peer, frame.text, Fate.ABSORBED, "answers us")
        return [*traced, *self._answered(origin.tag, frame, now)]

    def _revised(self, leg: RelayLeg, call: Frame, answer: Frame, now: Instant) -> list[Effect]:
        """An answer goes out with what blocks change in it; an error never is."""
        notes: list[Effect] = []
        revised = answer
        for number in () if answer.is_error else self._roles.revisers[call.action]:
            try:
                payload = self._blocks[number].revise(leg.other.peer, call, revised, now)
            except PayloadError as error:
                notes += self._unreadable_payload(error)
                continue
            revised = revised if payload is None else rpc.altered(revised, payload)
        if revised is answer:
            return [*notes, *self._sent(leg.other, answer.text, leg, Fate.PASSED)]
        arrived = self._traced(leg.peer, answer.text, Fate.ABSORBED, "claimed")
        return [*notes, *arrived, *self._sent(leg.other, revised.text, leg, Fate.ALTERED)]

    def _answered(self, tag: object, answer: Frame | None, now: Instant) -> list[Effect]:
        """Shows the answer of an own CALL to the blocks; to a block that cannot read it, it is none."""
        self._may_be_due_earlier = True
        effects: list[Effect] = []
        for block in self._hearers:
            try:
                wanted = block.answered(tag, answer, now)
            except PayloadError as error:
                wanted = [*self._unreadable_payload(error), *block.answered(tag, None, now)]
            if wanted:
                self._do(wanted, effects, now)
        return effects

    def _no_answer(self, call: Call[Origin], now: Instant) -> list[Effect]:
        """Tells the blocks that a CALL will not be answered, at least not in time."""
        origin = call.origin
        if isinstance(origin, Relayed):
            effects: list[Effect] = []
            self._show_end(call.frame, None, origin.sender.peer, effects, now)
            return effects
        return self._answered(origin.tag, None, now)

    def _unwanted(self, leg: RelayLeg, frame: Frame, event: str) -> list[Effect]:
        """An answer that must not travel on (LC-027)."""
        return [
            *self._traced(leg.peer, frame.text, Fate.DISCARDED, event),
            *self._fault(event, _of(leg, frame)),
        ]

    # --- the rest ------------------------------------------------------------------------------------------------

    def _pass(self, sender: RelayLeg, frame: Frame, now: Instant) -> list[Effect]:
        """SEND, CALLRESULTERROR and unknown types take no slot (LC-019, LC-021); who knows a type no better may say so."""
        if frame.message_type != CALLRESULTERROR:
            sender.other.strays.append(frame.message_id or NO_ID)
        effects = self._sent(sender.other, frame.text, sender, Fate.PASSED)
        if frame.message_type == SEND:
            self._show(frame, sender.peer, effects, now)
        return effects

    def _unreadable_text(self, leg: RelayLeg, text: str, error: FrameError) -> list[Effect]:
        """Relays it as a cable would, except what may be a broken answer to our own CALL (LC-027)."""
        notes = self._fault("unreadable_message", {"sender": leg.peer, "reason": str(error)})
        if any(isinstance(call.origin, OwnCall) for call in leg.calls.mentioned(text)):
            return [*notes, *self._traced(leg.peer, text, Fate.DISCARDED, "unreadable, with the id of our own CALL")]
        for message_id in dict.fromkeys((error.message_id, rpc.id_for_others(text) or error.message_id)):
            leg.other.strays.append(message_id)
        return [*notes, *self._sent(leg.other, text, leg, Fate.PASSED)]

    # --- what leaves ---------------------------------------------------------------------------------------------

    def _sent(self, to: RelayLeg, text: str, sender: RelayLeg | None, fate: Fate) -> list[Effect]:
        """A text goes out; `sender` None: we wrote it."""
        if not self._is_traced:
            return [Send(to.peer, text)]
        if self._has_deputy and to.peer is not _STATION:
            return [Send(to.peer, text), Trace(None if sender is None else _STATION, text, Fate.ABSORBED, AWAY)]
        if self._has_deputy and sender is self._csms:
            return [Send(to.peer, text), Trace(None, text, Fate.INJECTED, IN_ITS_PLACE)]
        return [Send(to.peer, text), Trace(None if sender is None else sender.peer, text, fate)]

    def _traced(self, sender: Peer | None, text: str, fate: Fate, detail: str = "") -> list[Effect]:
        """The fate of a text that does not go out now."""
        return [Trace(sender, text, fate, detail)] if self._is_traced else []

    def _fault(self, event: str, fields: Mapping[str, Any]) -> list[Note]:
        """Counts what a peer did wrong. The first ones are noted, then ever fewer, so that no peer can flood the log."""
        self.faults[event] += 1
        count = self.faults[event]
        is_worth_it = count <= NOTED or count & (count - 1) == 0
        return [Note("warning", event, {**fields, "count": count})] if is_worth_it else []

    def _without_object(self, frame: Frame) -> list[Note]:
        """A payload that is no object is a fault, whether or not a block looks at it (LC-020)."""
        try:
            _ = frame.payload
        except PayloadError as error:
            notes = self._unreadable_payload(error)
            self._is_noted = True
            return notes
        return []

    def _unreadable_payload(self, error: PayloadError) -> list[Note]:
        """What cannot be read; that of the present message as a whole once, however many blocks look at it."""
        if self._is_noted and error.path == "$":
            return []
        return self._fault("unreadable_payload", {"path": error.path, "reason": str(error)})

    # --- blocks --------------------------------------------------------------------------------------------------

    def _show(self, call: Frame, sender: Peer, effects: list[Effect], now: Instant) -> bool:
        """Shows a relayed CALL or SEND; a payload that a block cannot read is noted and otherwise ignored (LC-020).

        Says whether it is a matter of routine, which a block may find, so that those after it are not asked.
        """
        blocks = self._blocks
        for number, has_deadline in self._called.of.get(call.action, self._called.of_rest):
            try:
                wanted = blocks[number].called(sender, call, now)
            except PayloadError as error:
                wanted = self._unreadable_payload(error)
            if wanted is UNCHANGED:
                continue
            if wanted is ROUTINE or wanted is ROUTINE_SOONER:
                self._may_be_due_earlier |= wanted is ROUTINE_SOONER
                return True
            self._may_be_due_earlier |= has_deadline and type(wanted) is not tuple
            self._do(wanted, effects, now)
        return False

    def _show_end(self, call: Frame, answer: Frame | None, sender: Peer, effects: list[Effect], now: Instant) -> None:
        """Shows the end of a relayed CALL; as above."""
        blocks = self._blocks
        for number, has_deadline in self._observe.of.get(call.action, self._observe.of_rest):
            try:
                wanted = blocks[number].observe(sender, call, answer, now)
            except PayloadError as error:
                wanted = self._unreadable_payload(error)
            if wanted is not UNCHANGED:
                self._may_be_due_earlier |= has_deadline and type(wanted) is not tuple
                self._do(wanted, effects, now)

    def _ask(self, methods: Iterable[Callable[..., Wanted]], *about: Any, now: Instant) -> list[Effect]:
        """Asks blocks about anything else; as above."""
        self._may_be_due_earlier = True
        effects: list[Effect] = []
        for method in methods:
            try:
                wanted = method(*about, now)
            except PayloadError as error:
                wanted = self._unreadable_payload(error)
            if wanted:
                self._do(wanted, effects, now)
        return effects

    def _do(self, wanted: Iterable[BlockEffect], effects: list[Effect], now: Instant) -> None:
        """Carries out what a block wants, which adds to `effects`; after the end only what it tells."""
        for one in wanted:
            if isinstance(one, (Tell, Note, PasswordOffered)):
                effects.append(one)
            elif isinstance(one, Unreadable):
                effects += self._unreadable_payload(one.error)
            elif isinstance(one, SchemaBroken):
                effects += self._fault("schema_broken", asdict(one))
            elif isinstance(one, Overheard):
                self._show(one.frame, one.sender, effects, now)
            elif self._is_open:
                effects += self._do_one(one, now)

    def _do_one(
        self, wanted: OwnCall | Withdraw | Answer | AnswerError | Forward | Close, now: Instant
    ) -> list[Effect]:
        match wanted:
            case OwnCall():
                return self._own_call(wanted, now)
            case Withdraw(peer, tag):
                gone = self._legs[peer].calls.withdraw(lambda origin: isinstance(origin, OwnCall) and origin.tag == tag)
                return [effect for _ in gone for effect in self._answered(tag, None, now)]
            case Answer(peer, message_id, payload):
                return self._answer_claimed(self._legs[peer], rpc.result(message_id, payload))
            case AnswerError(peer, message_id, code, description):
                return self._answer_claimed(self._legs[peer], rpc.error(message_id, code, description))
            case Forward(sender, frame, payload):
                return self._forward(self._legs[sender], rpc.altered(frame, payload), now)
            case Close():
                return [wanted]

    def _own_call(self, own: OwnCall, now: Instant) -> list[Effect]:
        """Lets an own CALL wait for its slot; it is sent after all blocks had their say."""
        leg = self._legs[own.peer]
        message_id = self._ids()
        if leg.calls.bears(message_id):  # a foreign CALL, by a chance of 1 to 2^80 (LC-026)
            message_id = self._ids()
        frame = rpc.call(message_id, own.action, own.payload)
        call: Call[Origin] = Call(frame, own.urgency, own.timeout_s, None, own, now.monotonic_s)
        if leg.calls.submit(call):
            return []
        return [Note("warning", "own_call_not_sent", _of(leg, frame)), *self._answered(own.tag, None, now)]

    def _answer_claimed(self, leg: RelayLeg, answer: Frame) -> list[Effect]:
        """An answer goes out only to a CALL that waits for it: some stations die of any other (field experience)."""
        if not leg.settles(answer.message_id):
            return [Note("error", "answer_not_awaited", _of(leg, answer))]
        leg.answered.append(answer.message_id)
        return self._sent(leg, answer.text, None, Fate.INJECTED)

    def _forward(self, sender: RelayLeg, frame: Frame, now: Instant) -> list[Effect]:
        if not sender.settles(frame.message_id):
            return [Note("error", "forward_not_awaited", _of(sender.other, frame))]
        return self._relay(frame, sender.altered, now)


def _writer(origin: Origin) -> Peer | None:
    """Whose text waited: that of a block that sends a claimed CALL on is ours, since the peer's own ended with the claim."""
    return origin.sender.peer if isinstance(origin, Relayed) and origin.fate is Fate.PASSED else None


def _is_refusal(effect: BlockEffect) -> bool:
    """Whether a block refuses a CALL in the moment in which it claims it."""
    return isinstance(effect, AnswerError) or (isinstance(effect, Answer) and effect.is_refusal)


def propagated_code(code: int) -> int:
    """The close code for the other leg: legal ones as they are, no code is a normal closure, loss is "going away"."""
    if code in _LEGAL_CODES or 3000 <= code < 5000:
        return code
    return 1000 if code == 1005 else 1001


def _is_bearable(frame: Frame) -> bool:
    return frame.action == "StopTransaction" and len(frame.text) <= LONGEST_STOP


def _is_signed(frame: Frame) -> bool:
    """Part 4 ch. 7: signed messages keep every byte (LC-034)."""
    return frame.action is not None and frame.action.endswith("-Signed")


def _of(leg: RelayLeg, frame: Frame) -> dict[str, object]:
    """What a note says about a message on this leg."""
    return {"leg": leg.peer, "message_id": frame.message_id, "action": frame.action}
