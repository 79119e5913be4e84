"""What does a guarded message of the CSMS write, which passwords are in it, and what becomes of its parts?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from local_controller.rpc.frame import Frame
from local_controller.station.block import BlockEffect
from local_controller.station.dialects.base import Payload
from local_controller.station.effects import Note, PasswordOffered
from local_controller.station.guard_policy import Hazard, Policy, Ruling, as_text
from local_controller.station.shown_values import Setting, csms_url_of, key, variable


class Write(NamedTuple):
    """A setting that the CSMS wrote: what the station was given, and what the CSMS wanted."""

    setting: Setting
    real: str
    wished: str


def rewritten(frame: Frame, ruling: Ruling) -> Payload:
    """The payload with our own address."""
    if frame.action == "ChangeConfiguration":
        return {**frame.payload, "value": ruling.value}
    return {**frame.payload, "connectionData": {**frame.payload["connectionData"], "ocppCsmsUrl": ruling.value}}


def single_write(frame: Frame, ruling: Ruling | None) -> Iterable[Write]:
    """The setting that a message about one thing writes."""
    payload = frame.payload
    match frame.action:
        case "ChangeConfiguration":
            yield _write(key(payload.get("key")), as_text(payload.get("value")), ruling)
        case "SetNetworkProfile" if isinstance(data := payload.get("connectionData"), dict):
            yield _write(csms_url_of(payload.get("configurationSlot")), as_text(data.get("ocppCsmsUrl")), ruling)


def variable_write(entry: Any, ruling: Ruling | None) -> Write | None:
    """What an entry of a SetVariables writes; None if it is not the actual value of anything."""
    setting = variable(entry)
    return None if setting is None else _write(setting, as_text(entry.get("attributeValue")), ruling)


def _write(setting: Setting, wished: str, ruling: Ruling | None) -> Write:
    return Write(setting, wished if ruling is None or ruling.value is None else ruling.value, wished)


def new_passwords(action: str | None, judged: Iterable[tuple[Any, Ruling | None]]) -> list[BlockEffect]:
    """The passwords in what passes; the station may use them as soon as it has them, answer or not (LC-132)."""
    found = [_password(action, entry, ruling) for entry, ruling in judged]
    return [PasswordOffered(password) for password in found if password]


def _password(action: str | None, entry: Any, ruling: Ruling | None) -> str | None:
    """The new password in a message about one thing, or in an entry of a SetVariables."""
    if ruling is None or ruling.action is not Policy.PASS:
        return None
    match action, entry:
        case "SetNetworkProfile", {"connectionData": {"basicAuthPassword": str(value)}}:
            return value
        case ("ChangeConfiguration", {"value": str(value)}) | ("SetVariables", {"attributeValue": str(value)}):
            return value if ruling.kind is Hazard.CREDENTIALS else None
    return None


_STATION_CERTIFICATES: Final = frozenset({"", "chargingstationcertificate"})


def is_for_the_connection(payload: Payload) -> bool:
    """Whether a CertificateSigned is about the certificate that a station shows to its CSMS, and not to cars (A02)."""
    return as_text(payload.get("certificateType")).lower() in _STATION_CERTIFICATES


def entry_to_send(entry: Any, ruling: Ruling | None) -> Any:
    """An entry of a SetVariables that goes on."""
    return entry if ruling is None or ruling.value is None else {**entry, "attributeValue": ruling.value}


_ECHOED: Final = ("attributeType", "component", "variable")


def refused_entry(entry: Payload) -> Payload:
    """The result of an entry of a SetVariables that does not (B05)."""
    return {"attributeStatus": "Rejected"} | {name: entry[name] for name in _ECHOED if name in entry}


def names_of(entry: Payload) -> tuple[str, str]:
    """Component and variable of an entry of a SetVariables."""
    component, named = (
        as_text(part.get("name")) if isinstance(part := entry.get(member), dict) else ""
        for member in ("component", "variable")
    )
    return component, named


def subject_of(frame: Frame) -> str:
    """What a message is about, for people."""
    payload = frame.payload
    if frame.action == "SetNetworkProfile":
        return f"slot {payload.get('configurationSlot')}"
    return as_text(payload.get("key") or payload.get("certificateType"))


def notes_of(frame: Frame, judged: Sequence[tuple[Any, Ruling | None]]) -> list[Note]:
    """A note for each guarded entry of a SetVariables."""
    return [note_of(frame, ruling, ".".join(names_of(entry))) for entry, ruling in judged if ruling is not None]


def note_of(frame: Frame, ruling: Ruling, subject: str) -> Note:
    """For log and security log: what was asked, and what became of it. Values may be secrets and are not in it.

    wished_url is the address that a rewritten one stands for: where the CSMS wants this station to be served.
    """
    fields: dict[str, Any] = {"message": frame.action, "subject": subject[:100]}
    fields |= {"kind": ruling.kind, "policy": ruling.policy, "action": ruling.action}
    if ruling.kind is Hazard.SAMPLING:
        return Note("info", "setting_kept", fields)
    return Note("warning", "guarded_message", fields | ({"wished_url": ruling.wished} if ruling.wished else {}))
