"""Which password is on its way to the station? (functional block A, use case A01)

It passes like any other message. We remember that it did, so that the station is let in with it, although its CSMS cannot
be asked when it comes back (LC-007, LC-132). One that passes in a SetVariables of which other entries are refused is
learnt when the CSMS accepts it first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local_controller.clock import Instant
from local_controller.rpc.frame import Frame
from local_controller.station.block import Block, BlockEffect
from local_controller.station.credentials import PASSWORD_KEYS
from local_controller.station.dialects.base import Payload
from local_controller.station.effects import PasswordOffered, Peer


class Passwords(Block):
    """Looks on while the CSMS changes a password."""

    called_only = frozenset({"ChangeConfiguration", "SetVariables", "SetNetworkProfile"})

    def called(self, sender: Peer, call: Frame, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - nothing to time here
        """Tells of each password that the CSMS sends. Its answer does not matter: it may get lost."""
        if sender is not Peer.CSMS:
            return []
        found = _passwords(call.action, call.payload)
        return [PasswordOffered(value) for value in found if isinstance(value, str) and value]


def _passwords(action: str | None, payload: Payload) -> Iterator[Any]:
    match action:
        case "ChangeConfiguration" if _is_password(payload.get("key")):
            yield payload.get("value")
        case "SetVariables":
            entries = payload.get("setVariableData")
            for entry in entries if isinstance(entries, list) else []:
                if isinstance(entry, dict) and _is_password(_member(entry.get("variable"), "name")):
                    yield entry.get("attributeValue")
        case "SetNetworkProfile":
            yield _member(payload.get("connectionData"), "basicAuthPassword")


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _is_password(name: Any) -> bool:
    return isinstance(name, str) and name.lower() in PASSWORD_KEYS
