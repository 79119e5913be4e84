"""May this station come in although its CSMS cannot be asked right now? And what does the CSMS's own word teach about it?

The last password that the CSMS accepted stays in memory in the clear, to dial the CSMS again in the station's name
(LC-007) and to compare at no cost; on the disk there are hashes only. Hashing is done by one thread that gives way to all
others, so that no flood of logins takes more than one core.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from local_controller.adapters.background import background
from local_controller.adapters.credential_file import read_credentials, write_credentials
from local_controller.station.credentials import (
    SALT_BYTES,
    Credentials,
    after_login,
    after_offer,
    password_of,
    spellings,
)


@dataclass(frozen=True, slots=True)
class _InMemory:
    """What one station may show, in the clear. offered: a new password, in each spelling that a station might use."""

    accepted: bytes
    offered: tuple[bytes, ...] = ()

    def matches(self, password: bytes) -> bool:
        return any([hmac.compare_digest(one, password) for one in (self.accepted, *self.offered)])  # noqa: C419 - all are tried


class Logins:
    """The stations' passwords as the CSMS's answers show them."""

    def __init__(self, path: Path | None, log: FilteringBoundLogger) -> None:
        """path: where hashes outlive a restart; None: they do not. Raises LocalControllerError if it cannot be read."""
        self._path = path
        self._log = log
        self._hashed: dict[str, Credentials] = {} if path is None else read_credentials(path)
        self._clear: dict[str, _InMemory] = {}
        self._thread = background("logins")

    async def stop(self) -> None:
        """Finishes what is being written."""
        await asyncio.to_thread(self._thread.shutdown)

    def accepted(self, identity: str, authorization: Sequence[str]) -> None:
        """The CSMS let the station in with these Authorization headers."""
        password, known = _password(authorization, identity), self._clear.get(identity)
        if password is None or (known is not None and known.accepted == password):
            return
        self._clear[identity] = _InMemory(password)
        self._write(identity, lambda hashed: after_login(hashed, password, os.urandom(SALT_BYTES)))

    def offered(self, identity: str, value: str) -> None:
        """The CSMS sends the station a new password. It counts even if the answer to it gets lost (LC-132)."""
        new = spellings(value)
        if (known := self._clear.get(identity)) is not None:
            self._clear[identity] = _InMemory(known.accepted, new)
        salts = [os.urandom(SALT_BYTES) for _ in new]
        self._write(identity, lambda hashed: hashed and after_offer(hashed, new, salts))

    async def is_known(self, identity: str, authorization: Sequence[str]) -> bool:
        """Whether the station shows what the CSMS accepted last, or what just passed by on its way to the station."""
        password = _password(authorization, identity)
        if password is None:
            return False
        if (in_memory := self._clear.get(identity)) is not None:
            return in_memory.matches(password)
        known = self._hashed.get(identity)
        if known is None:
            return False
        return await asyncio.get_running_loop().run_in_executor(self._thread, known.matches, password)

    def _write(self, identity: str, change: Callable[[Credentials | None], Credentials | None]) -> None:
        """One after the other, in the thread: each sees what the one before has made of it. Without a file nothing."""
        if self._path is not None:
            self._thread.submit(self._written, self._path, identity, change)

    def _written(self, path: Path, identity: str, change: Callable[[Credentials | None], Credentials | None]) -> None:
        before = self._hashed.get(identity)
        after = change(before)
        if after is None or after is before:
            return
        self._hashed[identity] = after
        try:
            write_credentials(path, dict(self._hashed))
        except OSError as error:
            self._log.error("credentials_not_written", file=str(path), reason=str(error))


def _password(authorization: Sequence[str], identity: str) -> bytes | None:
    """More than one header is nobody's login: peers would differ about which one counts."""
    return password_of(authorization[0], identity) if len(authorization) == 1 else None
