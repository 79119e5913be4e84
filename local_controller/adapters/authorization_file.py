"""Where is it kept over a restart what the CSMSs have said of identifiers? In the state directory, with the key of its digests (LC-047)."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from local_controller.adapters.kept_file import KeptFile
from local_controller.clock import Clock
from local_controller.station.authorization_memory import AuthorizationMemory, Kept
from local_controller.station.sealed import KEY_BYTES

NAME: Final = "authorizations.json"

EVERY_S: Final = 60.0
"""So soon it is written when something was learnt. A power cut costs a minute of it, and the CSMS asks which list a station has when it is back."""


class AuthorizationFile(KeptFile[Kept]):
    """`memory` and its file."""

    def __init__(self, directory: Path, clock: Clock, lifetime_s: float | None) -> None:
        """lifetime_s: as of `AuthorizationMemory`."""
        super().__init__(
            directory / NAME, Kept, EVERY_S, "authorizations", "drivers are strangers until the CSMS says more"
        )
        self.memory = AuthorizationMemory(secrets.token_bytes(KEY_BYTES), lifetime_s)
        self._clock = clock

    def content(self) -> Kept | None:
        """None while nothing was learnt."""
        return self.memory.kept(self._clock.now().utc) if self.memory.revision else None

    def take(self, kept: Kept) -> None:
        """It counts again."""
        self.memory.resume(kept)
