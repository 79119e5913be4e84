"""How does each version say who wants to charge, and whether he may?"""

from __future__ import annotations

from typing import Protocol

from local_controller.station.authorization import IdToken, LocalListUpdate, Verdict
from local_controller.station.dialects.base import Payload
from local_controller.station.words import OcppVersion


class AuthorizationDialect(Protocol):
    """Reading methods raise PayloadError."""

    def presented(self, action: str, payload: Payload) -> IdToken | None:
        """Whose identifier a CALL of the station names: Authorize, StartTransaction, StopTransaction, TransactionEvent."""

    def verdict(self, action: str, answer: Payload) -> Verdict | None:
        """What the answer says of him; None for nothing."""

    def local_list(self, payload: Payload) -> LocalListUpdate:
        """SendLocalList."""

    def info(self, verdict: Verdict) -> Payload:
        """`idTagInfo`, `idTokenInfo`."""

    def authorize_answer(self, payload: Payload, verdict: Verdict) -> Payload:
        """The answer to an Authorize with this payload."""


def authorization_dialect(version: OcppVersion) -> AuthorizationDialect:
    """That of a version; it has no state."""
    raise NotImplementedError
