"""When do new certificates come into use? As soon as their files are complete, without a restart (LC-137).

Whatever renews them (certbot, step, a colleague) just replaces the files. Connections live on with what they began with;
new handshakes get the new. What cannot be used is refused with the reason, and the old stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from local_controller.adapters.background import background
from local_controller.adapters.certificates import Expiry, expiry
from local_controller.adapters.secret_source import readable_by_others
from local_controller.adapters.tls import StationTls, TlsLeg, missing_kind
from local_controller.clock import Clock
from local_controller.errors import LocalControllerError

POLL_S = 5.0  # a certificate that is renewed days ahead has time; asking for the times of a few files costs 0.1 ms

_T = TypeVar("_T")
_Signature = tuple[tuple[int, int, int], ...]


class CertificateWatcher:
    """Looks at the files of all legs, in a thread."""

    def __init__(self, legs: Sequence[TlsLeg], clock: Clock, log: FilteringBoundLogger, poll_s: float = POLL_S) -> None:
        """`legs` were just loaded."""
        self._legs = tuple(legs)
        self._clock = clock
        self._log = log
        self._poll_s = poll_s
        self._used = [_signature(leg) for leg in self._legs]
        self._seen = list(self._used)
        self._told: dict[Path, int | None] = {}
        self._task: asyncio.Task[None] | None = None
        self._thread = background("certificates")

    @property
    def expiries(self) -> list[Expiry]:
        """What there is to say about the dates of the certificates in use, now."""
        now_utc = self._clock.now().utc
        found = [expiry(facts, now_utc) for leg in self._legs for facts in leg.certificates]
        return [one for one in found if one is not None]

    async def start(self) -> None:
        """Begins to look, and says at once what is due."""
        for leg in self._legs:
            self._log.info("certificates_in_use", leg=leg.name, certificates=_summary(leg))
            self._tell_weakness(leg)
        self._tell_expiries()
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def _tell_weakness(self, leg: TlsLeg) -> None:
        for key in leg.settings.keys:
            if (text := readable_by_others(key)) is not None:
                self._log.warning("readable_secret", leg=leg.name, text=text)
        if isinstance(leg.settings, StationTls) and (kind := missing_kind(leg.certificates)) is not None:
            text = f"{leg.name} has no {kind} certificate: stations that can only use one cannot connect (A00.FR.318)"
            self._log.warning("certificate_kind_missing", leg=leg.name, text=text)

    async def stop(self) -> None:
        """Looks no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def check(self) -> None:
        """One look. A leg is loaded when its files have changed and then stayed the same from one look to the next.

        A pair of which only one file is replaced so far is therefore never reported as broken.
        """
        now = await self._aside(lambda: [_signature(leg) for leg in self._legs])
        for number, leg in enumerate(self._legs):
            if now[number] != self._used[number] and now[number] == self._seen[number]:
                self._used[number] = now[number]
                await self._reload(leg)
        self._seen = now
        self._tell_expiries()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            await self.check()

    async def _aside(self, work: Callable[[], _T]) -> _T:
        """Authorities of a whole machine take 20 ms to read."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _reload(self, leg: TlsLeg) -> None:
        try:
            loaded = await self._aside(leg.settings.load)
        except LocalControllerError as error:
            self._log.error("certificates_not_taken", leg=leg.name, reason=str(error), in_use="the ones from before")
            return
        leg.take(loaded)
        self._log.info("certificates_replaced", leg=leg.name, certificates=_summary(leg))

    def _tell_expiries(self) -> None:
        """Each step once, and again for a new certificate in the same file."""
        due = {one.file: one for one in self.expiries}
        for file, one in due.items():
            if file not in self._told or self._told[file] != one.step:
                level = self._log.warning if one.level == "warning" else self._log.error
                level("certificate_expires", file=str(file), days=one.days, text=one.text)
        self._told = {file: one.step for file, one in due.items()}


def _summary(leg: TlsLeg) -> list[str]:
    return [f"{one.algorithm} {one.common_name!r} until {one.not_after:%Y-%m-%d}" for one in leg.certificates]


def _signature(leg: TlsLeg) -> _Signature:
    """What changes when a file does: a missing one is a state like any other."""
    return tuple(_identity(file) for file in leg.settings.files)


def _identity(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)
