"""May the CSMS send this, or would it take the station away from the gateway? (functional blocks A, B and M)

SetNetworkProfile, SetVariables and ChangeConfiguration, InstallCertificate and DeleteCertificate are looked at; the
site's policy says whether they pass, pass with our own address, or are refused as a station would refuse them. Signed
messages pass whatever they say (LC-034).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import Frame
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
from local_controller.station.dialects.base import Dialect, Payload
from local_controller.station.effects import Note, Peer
from local_controller.station.guard_policy import GuardPolicy, Policy, Ruling, as_text, is_csms_root
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


@dataclass(frozen=True, slots=True)
class _Rest:
    """Tag of our SetVariables with those entries of the CSMS's that may pass.

    count: of the CSMS's entries. refused: the results of those that may not, by place in its request.
    """

    message_id: str
    count: int
    refused: Mapping[int, Payload]


class Guards(Block):
    """Keeps a station at the gateway. Every guarded message is noted, with its policy, never with its value."""

    claims_only = frozenset({*_REFUSALS_16, *_REFUSALS_2X})
    called_only = claims_only | {f"{action}-Signed" for action in (*_REFUSALS_16, *_REFUSALS_2X)}
    observe_only = frozenset({"GetInstalledCertificateIds", "SetNetworkProfile"})

    def __init__(self, identity: str, dialect: Dialect, policy: GuardPolicy) -> None:
        """`identity` is the station's, as at the end of its URL."""
        self._identity = identity
        self._dialect = dialect
        self._policy = policy
        self._refusals = _REFUSALS_16 if dialect.version is OcppVersion.V16 else _REFUSALS_2X
        self._slots: set[int] = set()  # network profiles that lead here, as far as we saw them being set
        self._unsent: deque[tuple[float, _Rest]] = deque()  # with the moment when each becomes stale
        self._certificates = _Certificates()

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
        note = _note(frame, ruling, _subject(frame))
        if ruling.action is Policy.REWRITE:
            return [note, Forward(Peer.CSMS, frame, _rewritten(frame, ruling))]
        status, reason = self._refusals[frame.action or ""]
        return [note, Answer(Peer.CSMS, frame.message_id, self._dialect.status_answer(status, reason))]

    def _ruling(self, frame: Frame) -> Ruling | None:
        payload = frame.payload
        match frame.action:
            case "ChangeConfiguration":
                key, value = as_text(payload.get("key")), as_text(payload.get("value"))
                return self._policy.setting("", key, value, self._identity, self._slots)
            case "SetNetworkProfile":
                return self._policy.network_profile(payload.get("connectionData"), self._identity)
            case "InstallCertificate" if is_csms_root(payload.get("certificateType")):
                return self._policy.root_certificate()
            case "DeleteCertificate" if not self._certificates.are_harmless(payload.get("certificateHashData")):
                return self._policy.root_certificate()
        return None

    def _variables(self, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """SetVariables: refused entries are answered here, the others go on; the answer has all of them in order."""
        judged = self._judged(frame)
        actions = [None if ruling is None else ruling.action for _, ruling in judged]
        if not {Policy.REWRITE, Policy.REFUSE} & set(actions):
            return None
        notes = _notes(frame, judged)
        rest = [_entry(*pair) for pair, action in zip(judged, actions, strict=True) if action is not Policy.REFUSE]
        payload = {**frame.payload, "setVariableData": rest}
        if Policy.REFUSE not in actions:
            changed = [note for note in notes if note.fields["action"] is Policy.REWRITE]  # `called` notes the others
            return [*changed, Forward(Peer.CSMS, frame, payload)]
        refused = {n: _refused(judged[n][0]) for n, action in enumerate(actions) if action is Policy.REFUSE}
        tag = _Rest(frame.message_id, len(judged), refused)
        if not rest:
            return [*notes, self._answer(tag, {})]
        self._unsent.append((now.monotonic_s + PATIENCE_S, tag))
        return [*notes, OwnCall(Peer.STATION, "SetVariables", payload, Urgency.RAISE, tag, PATIENCE_S)]

    def _judged(self, frame: Frame) -> list[tuple[Any, Ruling | None]]:
        """The entries of a SetVariables and what is to happen to each; unreadable ones are the station's to judge."""
        entries = frame.payload.get("setVariableData")
        return [(entry, self._ruling_of(entry)) for entry in (entries if isinstance(entries, list) else [])]

    def _ruling_of(self, entry: Any) -> Ruling | None:
        if not isinstance(entry, dict):
            return None
        return self._policy.setting(*_names(entry), as_text(entry.get("attributeValue")), self._identity, self._slots)

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
        return Answer(Peer.CSMS, tag.message_id, {**payload, "setVariableResult": [*merged, *theirs]})

    # --- what passes by ------------------------------------------------------------------------------------------

    def called(self, sender: Peer, call: Frame, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - as above
        """Notes what is guarded and passes; a signed message passes unread."""
        name = (call.action or "").removesuffix("-Signed")
        if sender is not Peer.CSMS or name not in self._refusals:
            return []
        if name == "InstallCertificate":
            self._certificates = _Certificates()
        if name != call.action:
            self._slots.clear()  # nobody here knows what it says
            fields = {"message": call.action, "kind": "signed", "policy": None, "action": Policy.PASS}
            return [Note("warning", "guarded_message", fields)]
        if name == "SetVariables":
            return [*_notes(call, self._judged(call))]
        ruling = self._ruling(call)
        return [] if ruling is None else [_note(call, ruling, _subject(call))]

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - as above
        """Learns which network profiles lead here, and which certificates are none to know us by."""
        if sender is not Peer.CSMS or answer is None or answer.is_error:
            return []
        if call.action == "SetNetworkProfile" and answer.payload.get("status") == "Accepted":
            self._learn_slot(call.payload)
        elif call.action == "GetInstalledCertificateIds":
            self._certificates.learn(call.payload, answer.payload)
        return []

    def _learn_slot(self, payload: Payload) -> None:
        slot = payload.get("configurationSlot")
        if isinstance(slot, int) and self._policy.network is Policy.REWRITE:
            ruling = self._policy.network_profile(payload.get("connectionData"), self._identity)
            leads_here = ruling is None or ruling.action is Policy.PASS
            (self._slots.add if leads_here else self._slots.discard)(slot)

    # --- time ----------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When the oldest SetVariables that still waits for its slot becomes stale."""
        return self._unsent[0][0] if self._unsent else None

    def expire(self, now: Instant) -> list[BlockEffect]:
        """Stale commands are not executed any more (LC-025)."""
        return [Withdraw(Peer.STATION, tag) for due_s, tag in self._unsent if due_s <= now.monotonic_s]

    def _forget(self, tag: Any) -> None:
        self._unsent = deque(entry for entry in self._unsent if entry[1] != tag)


class _Certificates:
    """What a station has told of its certificates since the last one was installed."""

    def __init__(self) -> None:
        self._csms_roots: set[_Hash] | None = None  # None: nobody asked for them
        self._others: set[_Hash] = set()

    def learn(self, query: Payload, answer: Payload) -> None:
        """GetInstalledCertificateIds and its answer."""
        asked = query.get("certificateType") or []
        types = asked if isinstance(asked, list) else [asked]
        told = list(_told_certificates(types, answer))
        self._others |= {hash_ for type_, hash_ in told if not is_csms_root(type_)}
        if not types or any(map(is_csms_root, types)):
            self._csms_roots = {hash_ for type_, hash_ in told if is_csms_root(type_)}

    def are_harmless(self, hash_data: Any) -> bool:
        """Whether a certificate is known, and known to be no root of a CSMS."""
        hash_ = _hash(hash_data)
        return self._csms_roots is not None and hash_ in self._others and hash_ not in self._csms_roots


_Hash = tuple[str, ...]


def _told_certificates(asked: Sequence[Any], answer: Payload) -> Iterator[tuple[Any, _Hash]]:
    """Type and hash of each certificate in an answer; 1.6 tells no type, but asks for one type only."""
    for data in _objects(answer.get("certificateHashData")):
        yield asked[0] if len(asked) == 1 else None, _hash(data)
    for chain in _objects(answer.get("certificateHashDataChain")):
        yield chain.get("certificateType"), _hash(chain.get("certificateHashData"))
        yield from (
            (chain.get("certificateType"), _hash(child)) for child in _objects(chain.get("childCertificateHashData"))
        )


def _hash(data: Any) -> _Hash:
    names = ("hashAlgorithm", "issuerNameHash", "issuerKeyHash", "serialNumber")
    return tuple(as_text(data.get(name)).lower() for name in names) if isinstance(data, dict) else ()


def _objects(value: Any) -> list[Payload]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


# --- small change -----------------------------------------------------------------------------------------------------


def _rewritten(frame: Frame, ruling: Ruling) -> Payload:
    """The payload with our own address."""
    if frame.action == "ChangeConfiguration":
        return {**frame.payload, "value": ruling.value}
    return {**frame.payload, "connectionData": {**frame.payload["connectionData"], "ocppCsmsUrl": ruling.value}}


def _entry(entry: Any, ruling: Ruling | None) -> Any:
    """An entry of a SetVariables that goes on."""
    return entry if ruling is None or ruling.value is None else {**entry, "attributeValue": ruling.value}


_ECHOED: Final = ("attributeType", "component", "variable")


def _refused(entry: Payload) -> Payload:
    """The result of an entry of a SetVariables that does not (B05)."""
    return {"attributeStatus": "Rejected"} | {name: entry[name] for name in _ECHOED if name in entry}


def _names(entry: Payload) -> tuple[str, str]:
    """Component and variable of an entry of a SetVariables."""
    component, variable = (
        as_text(part.get("name")) if isinstance(part := entry.get(key), dict) else ""
        for key in ("component", "variable")
    )
    return component, variable


def _subject(frame: Frame) -> str:
    """What a message is about, for people."""
    payload = frame.payload
    if frame.action == "SetNetworkProfile":
        return f"slot {payload.get('configurationSlot')}"
    return as_text(payload.get("key") or payload.get("certificateType"))


def _notes(frame: Frame, judged: Sequence[tuple[Any, Ruling | None]]) -> list[Note]:
    return [_note(frame, ruling, ".".join(_names(entry))) for entry, ruling in judged if ruling is not None]


def _note(frame: Frame, ruling: Ruling, subject: str) -> Note:
    """For log and security log: what was asked, and what became of it. Values may be secrets and are not in it.

    wished_url is the address that a rewritten one stands for: where the CSMS wants this station to be served.
    """
    fields: dict[str, Any] = {"message": frame.action, "subject": subject[:100]}
    fields |= {"kind": ruling.kind, "policy": ruling.policy, "action": ruling.action}
    return Note("warning", "guarded_message", fields | ({"wished_url": ruling.wished} if ruling.wished else {}))
