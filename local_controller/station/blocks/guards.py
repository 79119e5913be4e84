"""May the CSMS send this, or would it take the station away from the gateway? (functional blocks A, B and M)

SetNetworkProfile, SetVariables and ChangeConfiguration, InstallCertificate and DeleteCertificate are looked at; the
site's policy says whether they pass, pass with a value of ours, or are refused as a station would refuse them. What
was rewritten is remembered with what the CSMS wanted, which is what it reads back (`blocks/configuration.py`). Signed
messages pass whatever they say (LC-034).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import Frame
from local_controller.station.announcements import CertificateIssued, OperatorMustKnow
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
from local_controller.station.blocks.guarded_messages import (
    Write,
    entry_to_send,
    is_for_the_connection,
    names_of,
    new_passwords,
    note_of,
    notes_of,
    refused_entry,
    rewritten,
    single_write,
    subject_of,
    variable_write,
)
from local_controller.station.certificates import InstalledCertificates, certificate_hash, is_csms_root
from local_controller.station.dialects.base import Dialect, Payload
from local_controller.station.effects import Note, Peer, Tell
from local_controller.station.empty import EMPTY
from local_controller.station.guard_policy import Doors, GuardPolicy, Here, Policy, Ruling, as_text
from local_controller.station.shown_values import variable
from local_controller.station.state import StationState
from local_controller.station.words import OcppVersion

PATIENCE_S: Final = 30.0
"""As long as for a relayed CALL: unsent after this it is stale (LC-025), unanswered after this nobody waits for it."""

_CERTIFICATES: Final[Mapping[str, tuple[str, str | None]]] = {
    "InstallCertificate": ("Rejected", None),
    "DeleteCertificate": ("Failed", None),
}
_REFUSALS_16: Final = {"ChangeConfiguration": ("Rejected", None), **_CERTIFICATES}
_REFUSALS_2X: Final = {
    "SetNetworkProfile": ("Rejected", "InvalidNetworkConf"),
    "SetVariables": ("Rejected", None),
    **_CERTIFICATES,
}
"""Status and reason by which a station refuses; of SetVariables each entry has its own."""

_TAKEN: Final = frozenset({"Accepted", "RebootRequired"})
_MOST_WRITES: Final = 64  # as many as may wait for their slot


@dataclass(frozen=True, slots=True)
class _Rest:
    """Tag of our SetVariables with those entries of the CSMS's that may pass.

    count: of the CSMS's entries. refused: the results of those that may not, by place in its request. writes: what the
    others write.
    """

    message_id: str
    count: int
    refused: Mapping[int, Payload]
    writes: tuple[Write, ...] = ()


class Guards(Block):
    """Keeps a station at the gateway. Every guarded message is noted, with its policy, never with its value."""

    claims_only = frozenset({*_REFUSALS_16, *_REFUSALS_2X})
    called_only = claims_only | {f"{action}-Signed" for action in (*_REFUSALS_16, *_REFUSALS_2X)}
    observe_only = claims_only | {"GetInstalledCertificateIds", "CertificateSigned"}

    def __init__(self, state: StationState, dialect: Dialect, policy: GuardPolicy, doors: Callable[[], Doors]) -> None:
        """Keeps in `state` what outlives a connection. `doors` tells how our own are at that moment."""
        self._state = state
        self._dialect = dialect
        self._policy = policy
        self._doors = doors
        self._refusals = _REFUSALS_16 if dialect.version is OcppVersion.V16 else _REFUSALS_2X
        self._writes: dict[str, tuple[Write, ...]] = {}  # by id of the CSMS's CALL, until it is answered
        self._unsent: list[tuple[float, _Rest]] = []  # with the moment when each becomes stale
        self._certificates = InstalledCertificates()
        self._told: frozenset[str] = EMPTY

    # --- what the CSMS asks --------------------------------------------------------------------------------------

    def claims(self, sender: Peer, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """What must not reach the station as it is. What cannot be read cannot be judged, and does not reach it either."""
        if sender is not Peer.CSMS or frame.action not in self._refusals or self._policy.passes_all:
            return None
        try:
            return self._variables(frame, now) if frame.action == "SetVariables" else self._single(frame)
        except PayloadError as error:
            return [AnswerError(Peer.CSMS, frame.message_id, self._dialect.format_violation, str(error))]

    def _single(self, frame: Frame) -> list[BlockEffect] | None:
        """A message about one thing."""
        ruling = self._ruling(frame)
        if ruling is None or ruling.action is Policy.PASS:
            return None
        note = note_of(frame, ruling, subject_of(frame))
        if ruling.action is Policy.REWRITE:
            self._remember(frame.message_id, single_write(frame, ruling))
            return [note, Forward(Peer.CSMS, frame, rewritten(frame, ruling))]
        status, reason = self._refusals[frame.action or ""]
        answer = Answer(Peer.CSMS, frame.message_id, self._dialect.status_answer(status, reason), is_refusal=True)
        return [note, *self._tell_people(note), answer]

    def _ruling(self, frame: Frame) -> Ruling | None:
        payload = frame.payload
        match frame.action:
            case "ChangeConfiguration":
                name, value = as_text(payload.get("key")), as_text(payload.get("value"))
                return self._policy.setting("", name, value, self._here())
            case "SetNetworkProfile":
                return self._policy.network_profile(payload.get("connectionData"), self._here())
            case "InstallCertificate" if is_csms_root(payload.get("certificateType")):
                return self._policy.new_root(as_text(payload.get("certificate")), self._here())
            case "DeleteCertificate":
                data = payload.get("certificateHashData")
                is_no_root = self._certificates.are_harmless(data)
                return self._policy.deleted_root(certificate_hash(data), self._here(), is_no_root=is_no_root)
        return None

    def _here(self) -> Here:
        doors = self._doors()
        can_verify = None if doors.chain is None else self._certificates.vouch_for(doors.chain)
        return Here(self._state.identity, self._state.slots_here, doors, can_verify)

    def _variables(self, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """SetVariables: refused entries are answered here, the others go on; the answer has all of them in order."""
        judged = self._judged(frame)
        actions = [None if ruling is None else ruling.action for _, ruling in judged]
        if not {Policy.REWRITE, Policy.REFUSE} & set(actions):
            return None
        notes = notes_of(frame, judged)
        rest = [pair for pair, action in zip(judged, actions, strict=True) if action is not Policy.REFUSE]
        payload = {**frame.payload, "setVariableData": [entry_to_send(*pair) for pair in rest]}
        writes = tuple(write for pair in rest if (write := variable_write(*pair)) is not None)
        if Policy.REFUSE not in actions:
            self._remember(frame.message_id, writes)
            changed = [note for note in notes if note.fields["action"] is Policy.REWRITE]  # `called` notes the others
            return [*changed, Forward(Peer.CSMS, frame, payload)]
        refused = {n: refused_entry(judged[n][0]) for n, action in enumerate(actions) if action is Policy.REFUSE}
        tag = _Rest(frame.message_id, len(judged), refused, writes)
        told: list[BlockEffect] = [*notes, *(effect for note in notes for effect in self._tell_people(note))]
        if not rest:
            return [*told, self._answer(tag, {})]
        self._unsent.append((now.monotonic_s + PATIENCE_S, tag))
        call = OwnCall(Peer.STATION, "SetVariables", payload, Urgency.RAISE, tag, PATIENCE_S)
        return [*told, *new_passwords(frame.action, rest), call]

    def _judged(self, frame: Frame) -> list[tuple[Any, Ruling | None]]:
        """The entries of a SetVariables and what is to happen to each; unreadable ones are the station's to judge."""
        entries = frame.payload.get("setVariableData")
        return [(entry, self._ruling_of(entry)) for entry in (entries if isinstance(entries, list) else [])]

    def _ruling_of(self, entry: Any) -> Ruling | None:
        if not isinstance(entry, dict):
            return None
        return self._policy.setting(*names_of(entry), as_text(entry.get("attributeValue")), self._here())

    def _tell_people(self, note: Note) -> list[Tell]:
        """A refusal is for people to look at, once: the CSMS and this box want different things (LC-134)."""
        fields = note.fields
        if fields["action"] is not Policy.REFUSE:
            return []
        text = f"{fields['message']} ({fields['subject']}) of the CSMS was refused: guards.{fields['kind']} of the site file"
        if text in self._told or len(self._told) >= _MOST_WRITES:
            return []
        self._told |= {text}
        return [Tell(OperatorMustKnow("guarded_message_refused", text))]

    # --- what the station answers --------------------------------------------------------------------------------

    def sent(self, tag: Any, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - nothing to time here
        """From now on the time-out of the CALL itself counts."""
        self._forget(tag)
        return []

    def answered(self, tag: Any, answer: Frame | None, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - as above
        """The station's word about the entries that passed, together with ours about the others."""
        if not isinstance(tag, _Rest):
            return []
        self._forget(tag)
        self._learn(tag.writes, answer)
        if answer is None:
            return [AnswerError(Peer.CSMS, tag.message_id, "GenericError", "the station did not answer")]
        if answer.is_error:
            code, text = answer.error_code or "GenericError", answer.error_description or ""
            return [AnswerError(Peer.CSMS, tag.message_id, code, text)]
        return [self._answer(tag, answer.payload)]

    @staticmethod
    def _answer(tag: _Rest, payload: Payload) -> Answer:
        """The station's answer with the refused entries at their places."""
        results = payload.get("setVariableResult")
        theirs = deque(results if isinstance(results, list) else [])
        merged = [tag.refused.get(n) or theirs.popleft() for n in range(tag.count) if n in tag.refused or theirs]
        result = {**payload, "setVariableResult": [*merged, *theirs]}
        return Answer(Peer.CSMS, tag.message_id, result, is_refusal=len(tag.refused) == tag.count)

    # --- what passes by ------------------------------------------------------------------------------------------

    def called(self, sender: Peer, call: Frame, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - as above
        """Notes what is guarded and passes; a signed message passes unread."""
        name = (call.action or "").removesuffix("-Signed")
        if sender is not Peer.CSMS or name not in self._refusals:
            return []
        if name == "InstallCertificate":
            self._certificates = InstalledCertificates()
        if name != call.action:
            self._state.slots_here = EMPTY  # nobody here knows what it says
            fields = {"message": call.action, "kind": "signed", "policy": None, "action": Policy.PASS}
            return [Note("warning", "guarded_message", fields)]
        if name == "SetVariables":
            judged = self._judged(call)
            self._remember(call.message_id, [w for pair in judged if (w := variable_write(*pair)) is not None])
            return [*notes_of(call, judged), *new_passwords(name, judged)]
        ruling = self._ruling(call)
        self._remember(call.message_id, single_write(call, ruling))
        passwords = new_passwords(name, [(call.payload, ruling)])
        return passwords if ruling is None else [note_of(call, ruling, subject_of(call)), *passwords]

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - as above
        """Learns what was really written, which network profiles lead here, which certificates there are."""
        if sender is not Peer.CSMS:
            return []
        self._learn(self._writes.pop(call.message_id, ()), answer)
        if answer is None or answer.is_error:
            return []
        is_accepted = answer.payload.get("status") == "Accepted"
        match call.action:
            case "SetNetworkProfile" if is_accepted:
                self._learn_slot(call.payload)
            case "GetInstalledCertificateIds":
                self._certificates.learn(call.payload, answer.payload)
            case "CertificateSigned" if is_accepted and is_for_the_connection(call.payload):
                chain = as_text(call.payload.get("certificateChain"))
                return [Note("info", "station_certificate_issued"), Tell(CertificateIssued(chain))]
        return []

    def _remember(self, message_id: str, writes: Iterable[Write]) -> None:
        """What a CALL of the CSMS is about to write, unless that is known already: it may come by a second time, rewritten."""
        if message_id in self._writes or not (found := tuple(writes)):
            return
        while len(self._writes) >= _MOST_WRITES:
            del self._writes[next(iter(self._writes))]
        self._writes[message_id] = found

    def _learn(self, writes: Sequence[Write], answer: Frame | None) -> None:
        """The station took what was written, or may have: without an answer it counts only if we wrote another value."""
        if not writes or (answer is not None and answer.is_error):
            return
        payload = {} if answer is None else answer.payload
        results = payload.get("setVariableResult")
        said = [one for one in results if isinstance(one, dict)] if isinstance(results, list) else []
        by_setting = {variable(one): one.get("attributeStatus") for one in said}
        for write in writes:
            status = by_setting.get(write.setting, payload.get("status"))
            if as_text(status) in _TAKEN or (answer is None and write.real != write.wished):
                self._state.shown.write(*write)

    def _learn_slot(self, payload: Payload) -> None:
        slot = payload.get("configurationSlot")
        if isinstance(slot, int) and self._policy.network is Policy.REWRITE:
            ruling = self._policy.network_profile(payload.get("connectionData"), self._here())
            leads_here = ruling is None or ruling.action is Policy.PASS
            others = self._state.slots_here - {slot}
            self._state.slots_here = others | {slot} if leads_here else others

    # --- time ----------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When the oldest SetVariables that still waits for its slot becomes stale."""
        return self._unsent[0][0] if self._unsent else None

    def expire(self, now: Instant) -> list[BlockEffect]:
        """Stale commands are not executed any more (LC-025)."""
        return [Withdraw(Peer.STATION, tag) for due_s, tag in self._unsent if due_s <= now.monotonic_s]

    def _forget(self, tag: Any) -> None:
        self._unsent = [entry for entry in self._unsent if entry[1] != tag]
