"""When was a message stated, by the time stamp that its sender put into it?

A time stamp that is missing or cannot be read is an error: a message that should bear one is never taken as fresh.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from typing import Any, Final

from local_controller.errors import SourceError, UnexpectedValueError
from local_controller.site.json_payload import at_path

_SPLIT: Final = 1e11
"""Seconds since 1970 reach it in the year 5138, milliseconds did in 1973: no time stamp of a running site can be both."""

_LATEST_MS: Final = 253_402_300_799_000
"""In the year 9999, where the calendar ends here."""


_MOST_DIGITS: Final = 20
"""More than a time has in any unit, and few enough to be read."""


class StampFormat(StrEnum):
    """How a foreign payload writes the time."""

    RFC3339 = "rfc3339"
    UNIX_S = "unix_s"
    UNIX_MS = "unix_ms"


@dataclass(frozen=True, slots=True)
class StampSettings:
    """Where a foreign payload keeps its time stamp.

    path: JMESPath of it. zone: of a text without one; None: such a text is refused.
    """

    path: str
    format: StampFormat = StampFormat.RFC3339
    zone: tzinfo | None = None


def stated_at(document: Any, settings: StampSettings) -> datetime:
    """The time stamp of a foreign payload; SourceError says what is wrong with it, in words that fit each such message."""
    path = settings.path
    value = at_path(document, path, "the limit message", "time_path")
    if value is None:
        raise SourceError(f"limit message has no time stamp at {path}: without it nobody knows how old it is")
    if settings.format is StampFormat.RFC3339:
        return read_text(value, path, settings.zone)
    return _since_1970(value, path, settings.format)


def read_text(value: Any, name: str, zone: tzinfo | None = None) -> datetime:
    """A time as RFC 3339 or ISO 8601 write it. zone: of a text without one."""
    try:
        stamped = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        hint = _NUMBER_HINT if _is_number(value) else ""
        raise UnexpectedValueError(f"{name} must be a time as RFC 3339 writes it", value, hint) from error
    if stamped.tzinfo is not None:
        return stamped
    if zone is None:
        raise UnexpectedValueError(f"{name} must end with Z or an offset", value, ": it has no time zone")
    return _older_reading(stamped.replace(tzinfo=zone))


def read_any(value: Any, name: str, zone: tzinfo | None = None) -> datetime:
    """A time in any form that series of prices and forecasts use: a text, or seconds or milliseconds since 1970.

    The two are told apart by their size, and may be digits in a text, as the keys of a JSON object are. zone: of a text that
    names none.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:_MOST_DIGITS])
    if not _is_number(value):
        return read_text(value, name, zone)
    return _since_1970(value, name, StampFormat.UNIX_S if value < _SPLIT else StampFormat.UNIX_MS)


_NUMBER_HINT: Final = ": seconds or milliseconds since 1970? payload.time_format says so"


def _older_reading(stamped: datetime) -> datetime:
    """An hour that the end of summer time repeats counts as its first run, so that nothing seems newer than it is."""
    offsets = [stamped.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1)]
    return stamped.replace(tzinfo=timezone(max(offsets)))


def _since_1970(value: Any, path: str, kind: StampFormat) -> datetime:
    in_s = kind is StampFormat.UNIX_S
    expected = f"{path} must be {'seconds' if in_s else 'milliseconds'} since 1970"
    if not _is_number(value):
        raise UnexpectedValueError(expected, value, ": write to_number(...)" if isinstance(value, str) else "")
    if not 0 <= value <= _LATEST_MS:
        raise UnexpectedValueError(expected, value)
    if (value < _SPLIT) != in_s:
        other = StampFormat.UNIX_MS if in_s else StampFormat.UNIX_S
        raise UnexpectedValueError(expected, value, f": is its time_format {other}?")
    return datetime.fromtimestamp(value if in_s else value / 1000, UTC)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def of_native(message: Mapping[str, Any]) -> datetime | None:
    """The `ts` of a message in our own words; None if it has none."""
    return read_text(message["ts"], "ts") if "ts" in message else None
