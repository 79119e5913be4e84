"""What does a site keep of identifiers, and in which form? Digests and sealed groups only, never an identifier (LC-068)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from local_controller.station.authorizations import Authorizations


class AuthorizationMemory:
    """Of all stations; those of one CSMS share what it says to any of them. revision: rises whenever something else is to be kept."""

    def __init__(self, key: bytes, lifetime_s: float | None = None) -> None:
        """key: 32 random bytes of this site. lifetime_s: as AuthCacheLifeTime; None: an acceptance does not age."""
        self.revision = 0

    def of(self, station: str, csms: str) -> Authorizations:
        """What is known at this station. csms: by which name whatever, the same for those that may share."""
        raise NotImplementedError

    def forget(self, identifier: str) -> None:
        """Nothing here is about this driver any more, whatever the type (LC-146)."""
        raise NotImplementedError

    def as_dict(self, now: datetime) -> dict[str, Any]:
        """All of it as JSON has it, with its key; what is too old is left out."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, kept: dict[str, Any], lifetime_s: float | None = None) -> AuthorizationMemory:
        """The same again. Raises ValueError for what was not written by `as_dict`."""
        raise NotImplementedError
