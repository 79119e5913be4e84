"""How is a field of a peer's payload read, when peers spell things loosely?

Tolerant where the meaning is clear (numbers as text, blanks, `null` and "" for absent, naive times as UTC), strict
where it is not: then PayloadError names action and path.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, NoReturn, TypeVar

from local_controller.errors import PayloadError, UnknownWordError

_E = TypeVar("_E", bound=StrEnum)


EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2300, 1, 1, tzinfo=UTC)
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Fields:
    """One JSON object of a payload, and the path that leads to it ("$" is the payload itself)."""

    action: str
    data: Mapping[str, Any]
    path: str = "$"

    def fail(self, name: str, reason: str) -> NoReturn:
        """Raises the PayloadError of field `name`."""
        raise PayloadError(self.action, f"{self.path}.{name}", reason)

    def unknown_word(self, name: str, reason: str) -> NoReturn:
        """The same for a value that is none of a field's words."""
        raise UnknownWordError(self.action, f"{self.path}.{name}", reason)

    def raw(self, name: str) -> Any:
        """The value as it came; None for absent, `null` and blank text."""
        value = self.data.get(name)
        return None if isinstance(value, str) and not value.strip() else value

    def text(self, name: str) -> str | None:
        """Text without surrounding blanks; a number counts as its digits."""
        value = self.raw(name)
        if value is None or isinstance(value, str):
            return value and value.strip()
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(int(value) if value == value // 1 else value)
        return self.fail(name, f"text was expected, got {type(value).__name__}")

    def number(self, name: str) -> float | None:
        """A finite number; text with blanks or an exponent counts."""
        value = self.raw(name)
        if value is None:
            return None
        read = number(value)
        return read if read is not None else self.fail(name, f"a number was expected, got {value!r:.40}")

    def integer(self, name: str) -> int | None:
        """A whole number; 3.0 and "3" count."""
        value = self.number(name)
        if value is None:
            return None
        whole = whole_number(value)
        return whole if whole is not None else self.fail(name, f"a whole number was expected, got {value}")

    def flag(self, name: str) -> bool:
        """True only for `true` or the text "true"."""
        return str(self.raw(name)).strip().lower() == "true"

    def moment(self, name: str) -> datetime | None:
        """An RFC 3339 time in UTC; without an offset it is taken as UTC, as the standard recommends."""
        read = self.wall_time(name)
        return None if read is None else read.astimezone(UTC)

    def wall_time(self, name: str) -> datetime | None:
        """As `moment`, but with the reading and the offset that were sent, for those to whom the reading matters.

        One before 1970 or after 2300 is moved there by whole weeks: "always" and "never" are meant, calculating with it is
        safe, and what recurs keeps its weekday and its time of day.
        """
        value = self.text(name)
        if value is None:
            return None
        try:
            read = datetime.fromisoformat(value)
            read = read if read.tzinfo is not None else read.replace(tzinfo=UTC)
            return _calculable(read)
        except (ValueError, OverflowError):
            return self.fail(name, f"a time like 2026-01-31T12:00:00Z was expected, got {value!r:.40}")

    def one_of(self, name: str, words: type[_E]) -> _E | None:
        """A member of an enumeration, whatever its case."""
        value = self.text(name)
        if value is None:
            return None
        for word in words:
            if word.value.lower() == value.lower():
                return word
        return self.unknown_word(name, f"{value!r:.40} is none of {', '.join(words)}")

    def child(self, name: str) -> Fields | None:
        """The object in this field."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.fail(name, f"an object was expected, got {type(value).__name__}")
        return Fields(self.action, value, f"{self.path}.{name}")

    def children(self, name: str) -> Iterator[Fields]:
        """The objects in this list; a single object counts as a list of one."""
        value = self.raw(name)
        members = [value] if isinstance(value, Mapping) else value or []
        if not isinstance(members, list):
            self.fail(name, f"a list was expected, got {type(value).__name__}")
        for index, member in enumerate(members):
            if not isinstance(member, Mapping):
                self.fail(f"{name}[{index}]", "an object was expected")
            yield Fields(self.action, member, f"{self.path}.{name}[{index}]")

    def need_text(self, name: str) -> str:
        """As `text`, but it must be there."""
        value = self.text(name)
        return value if value is not None else self.fail(name, "missing")

    def need_integer(self, name: str) -> int:
        """As `integer`, but it must be there."""
        value = self.integer(name)
        return value if value is not None else self.fail(name, "missing")

    def need_one_of(self, name: str, words: type[_E]) -> _E:
        """As `one_of`, but it must be there."""
        value = self.one_of(name, words)
        return value if value is not None else self.fail(name, "missing")

    def need_child(self, name: str) -> Fields:
        """As `child`, but it must be there."""
        value = self.child(name)
        return value if value is not None else self.fail(name, "missing")


def _calculable(moment: datetime) -> datetime:
    if moment < EARLIEST:
        return moment - (moment - EARLIEST) // _WEEK * _WEEK
    return moment if moment <= LATEST else moment - -((LATEST - moment) // _WEEK) * _WEEK


def number(value: Any) -> float | None:
    """A finite number, also from text (" 9.6", "1E3"); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def whole_number(value: Any) -> int | None:
    """The number, if it is a whole one: 3, 3.0, "3"; None for anything else."""
    read = number(value)
    return int(read) if read is not None and read == int(read) else None


@lru_cache(maxsize=64)  # the profiles of hundreds of stations begin and end in the same seconds
def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds: the form every station parses."""
    return moment.astimezone(UTC).isoformat()[:19] + "Z"
