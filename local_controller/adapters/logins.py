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
from pathlib import Path
from typing import TypeVar

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

_T = TypeVar("_T")


class Logins:
    """The stations' passwords as the CSMS's answers show them."""

    def __init__(self, path: Path | None, log: FilteringBoundLogger) -> None:
        """path: where hashes outlive a restart; None: they do not. Raises LocalControllerError if it cannot be read."""
        self._path = path
        self._log = log
        self._known: dict[str, Credentials] = {} if path is None else read_credentials(path)
        self._clear: dict[str, bytes] = {}
        self._thread = background("logins")

    async def stop(self) -> None:
        """Finishes what is being written."""
        await asyncio.to_thread(self._thread.shutdown)

    async def accepted(self, identity: str, authorization: Sequence[str]) -> None:
        """The CSMS let the station in with these Authorization headers. Call it beside the relay, not before it."""
        password = _password(authorization, identity)
        if password is None or self._is_in_memory(identity, password):
            return
        self._clear[identity] = password
        await self._change(identity, lambda known: after_login(known, password, os.urandom(SALT_BYTES)))

    async def offered(self, identity: str, value: str) -> None:
        """The CSMS sends the station a new password. It counts even if the answer to it gets lost (LC-132)."""
        new = spellings(value)
        salts = [os.urandom(SALT_BYTES) for _ in new]
        await self._change(identity, lambda known: known and after_offer(known, new, salts))

    async def is_known(self, identity: str, authorization: Sequence[str]) -> bool:
        """Whether the station shows what the CSMS accepted last, or what just passed by on its way to the station."""
        password = _password(authorization, identity)
        if password is None:
            return False
        if self._is_in_memory(identity, password):
            return True
        known = self._known.get(identity)
        return known is not None and await self._aside(lambda: known.matches(password))

    def _is_in_memory(self, identity: str, password: bytes) -> bool:
        known = self._clear.get(identity)
        return known is not None and hmac.compare_digest(known, password)

    async def _change(self, identity: str, change: Callable[[Credentials | None], Credentials | None]) -> None:
        """One after the other, in the thread: each sees what the one before has made of it."""
        try:
            await self._aside(lambda: self._changed(identity, change))
        except OSError as error:
            self._log.error("credentials_not_written", file=str(self._path), reason=str(error))

    def _changed(self, identity: str, change: Callable[[Credentials | None], Credentials | None]) -> None:
        before = self._known.get(identity)
        after = change(before)
        if after is None or after is before:
            return
        self._known[identity] = after
        if self._path is not None:
            write_credentials(self._path, dict(self._known))

    async def _aside(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _password(authorization: Sequence[str], identity: str) -> bytes | None:
    """More than one header is nobody's login: peers would differ about which one counts."""
    return password_of(authorization[0], identity) if len(authorization) == 1 else None
