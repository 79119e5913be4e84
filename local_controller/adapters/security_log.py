"""Who tried what, and what is to be done about it? One entry for each event that touches security (LC-138, A04).

It listens to the log: an event in `EVENTS` gets its remedy and `channel="security"`, and goes into a file of its own too
if the site file asks for one. Whoever makes many of them only gets them counted, so that nobody can fill a disk or push
yesterday's entries out. Put it behind `LogMask`: it writes what it sees.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

import structlog

from local_controller.adapters.background import background
from local_controller.errors import LocalControllerError

Event = Mapping[str, Any]

_LONGEST: Final = 400
"""Letters kept of one value: identities and reasons come from strangers."""


def _refused_login(event: Event) -> str | None:
    if event.get("status") not in {401, 403}:
        return None  # a CSMS that is down or knows no such station refuses for other reasons
    return "the CSMS does not accept this station's password: set it anew there or in the station"


def _guarded(event: Event) -> str | None:
    if event.get("action") not in {"refuse", "rewrite"}:
        return None
    return f"if the CSMS may do this, set guards.{event.get('kind')} in the site file to pass"


def _always(remedy: str) -> Callable[[Event], str | None]:
    return lambda _: remedy


EVENTS: Final[Mapping[str, Callable[[Event], str | None]]] = {
    "unknown_station": _always("if it belongs to the site, add it to stations in the site file; else ask who dials in"),
    "unreadable_request": _always("if this is a station, correct the address that it dials; else ask who dials in"),
    "csms_refused": _refused_login,
    "login_refused": _always("it showed no password that the CSMS accepted before: set it anew, or wait for the CSMS"),
    "csms_tls_failed": _always("compare the host in csms.url with the CSMS's certificate, its issuer with csms.tls"),
    "station_tls_failed": lambda event: (
        event.get("remedy") or "compare the station's TLS settings with docs/security.md"
    ),
    "wrong_certificate": _always(
        "correct the station's serial in the site file, or install the station's own certificate"
    ),
    "second_connection_refused": _always("two devices use one identity: find the one that does not belong there"),
    "guarded_message": _guarded,
    "rate_limited": _always("find out why this sender is so busy; a station that reboots in circles does this too"),
    "unsecured_station": _always("give it a password and security profile 1 or higher, then drop allow_unsecured"),
    "readable_secret": _always("set the mode of the file to 0600"),
}
"""Which events of the log concern security, and their remedy; None: not in this case."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many entries there may be in `window_s`: from one address about one event, and in all."""

    each: int = 5
    total: int = 60
    window_s: float = 60.0
    senders: int = 1024


@dataclass(slots=True)
class _Window:
    since_s: float
    count: int = 0
    dropped: int = 0


class Throttle:
    """Lets the first few of many through, and counts the others."""

    def __init__(self, pace: Pace) -> None:
        """Remembers `pace.senders` at most; the count of a forgotten one is kept in the sum."""
        self._pace = pace
        self._senders: OrderedDict[tuple[str, str], _Window] = OrderedDict()
        self._all: _Window | None = None
        self._dropped_elsewhere = 0

    def admit(self, event: str, sender: str, now_s: float) -> tuple[int, int] | None:
        """None: too many. Otherwise how many of this kind were dropped before, and how many of any other kind."""
        own = self._window(self._senders.pop((event, sender), None), now_s)
        self._all = self._window(self._all, now_s)
        self._senders[event, sender] = own
        if len(self._senders) > self._pace.senders:
            self._dropped_elsewhere += self._senders.popitem(last=False)[1].dropped
        if own.count >= self._pace.each or self._all.count >= self._pace.total:
            own.dropped += 1
            return None
        own.count += 1
        self._all.count += 1
        before = (own.dropped, self._dropped_elsewhere)
        own.dropped = self._dropped_elsewhere = 0
        return before

    def _window(self, found: _Window | None, now_s: float) -> _Window:
        """The present window; what the last one dropped is not forgotten with it."""
        if found is not None and now_s < found.since_s + self._pace.window_s:
            return found
        return _Window(now_s, dropped=0 if found is None else found.dropped)


class SecurityLog:
    """A processor of structlog."""

    def __init__(self, file: SecurityFile | None = None, pace: Pace = Pace()) -> None:
        """file: where the entries go besides the normal log."""
        self._file = file
        self._throttle = Throttle(pace)

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The event, as an entry if it is one. Raises DropEvent for one too many."""
        concerns = EVENTS.get(str(event.get("event")))
        remedy = concerns(event) if concerns else None
        if remedy is None:
            return event
        dropped = self._throttle.admit(str(event["event"]), _sender(event), time.monotonic())
        if dropped is None:
            raise structlog.DropEvent
        entry = {name: _short(value) for name, value in event.items()} | {"channel": "security", "remedy": remedy}
        entry |= {name: count for name, count in zip(("repeated", "dropped_elsewhere"), dropped, strict=True) if count}
        if self._file is not None:
            self._file.write(json.dumps(entry, default=str, ensure_ascii=False))
        return entry


class SecurityFile:
    """JSON lines for the owner's eyes, in a file of limited size with a few older ones beside it."""

    def __init__(self, path: Path, max_bytes: int = 2_000_000, older: int = 4) -> None:
        """Raises LocalControllerError if it cannot be written."""
        try:
            self._handler = _PrivateFile(path, maxBytes=max_bytes, backupCount=older, encoding="utf-8")
        except OSError as error:
            raise LocalControllerError(
                f"security log {path}: {error.strerror or error}; create its folder or give it to the user of the gateway"
            ) from error
        self._thread: ThreadPoolExecutor = background("security-log")

    @property
    def lost(self) -> int:
        """Entries that a full or broken disk did not take; they are in the normal log."""
        return self._handler.lost

    def write(self, line: str) -> None:
        """Appends the line, in a thread: a disk that hangs must not hold up messages."""
        self._thread.submit(self._handler.emit, logging.makeLogRecord({"msg": line}))

    def close(self) -> None:
        """Writes what is left."""
        self._thread.shutdown()
        self._handler.close()


class _PrivateFile(RotatingFileHandler):
    lost = 0

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - the signature of logging
        """Counts it; the text for standard error would come with every line."""
        self.lost += 1


def _sender(event: Event) -> str:
    """Who is counted: the address without its port, which is another one at each try, or else the station."""
    address = event.get("address")
    host = address[0] if isinstance(address, list | tuple) and address else address
    return str(host or event.get("station") or event.get("identity") or "")


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else None
    return value if text is None or len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
