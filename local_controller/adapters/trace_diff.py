"""What did the gateway do to each message? Pairs what arrived with what left, from the records of a trace.

What a comparison proves: the proxy writes one record for a message that it passes at once, with the very text that it
received and sent, so for such a message the record is both sides (that they are the same is the proxy's own law). A
message that waited for its slot has two records, made at different moments, and these are compared byte for byte.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from local_controller.adapters.trace_store import GATEWAY, Record
from local_controller.station.effects import Fate

CLAIMED: Final = "claimed"
"""The detail of a CALL that the gateway took over; it may yet be forwarded with a change."""

_OTHER: Final = {"station": "csms", "csms": "station"}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a message. A message that waits, or is claimed and forwarded, has two of them.

    arrived, left: whether this record stands for a text that came in, and for one that went out. to: who got the latter.
    original: the earlier record of the same message, if it is still in the trace.
    """

    record: Record
    arrived: bool
    left: bool
    to: str
    original: Record | None = None

    @property
    def is_mismatch(self) -> bool:
        """Said to have passed unchanged, but its text is not the one that arrived."""
        is_passed = self.record.fate is Fate.PASSED
        return is_passed and self.original is not None and self.original.text != self.record.text


class _Key(NamedTuple):
    identity: str
    sender: str
    message_id: str


class _Open:
    """CALLs of which more is to come, by their keys, oldest first."""

    def __init__(self) -> None:
        self._records: defaultdict[_Key, deque[Record]] = defaultdict(deque)

    def __len__(self) -> int:
        return sum(map(len, self._records.values()))

    def __contains__(self, key: _Key) -> bool:
        return bool(self._records.get(key))

    def add(self, key: _Key, record: Record) -> None:
        self._records[key].append(record)

    def take(self, key: _Key, text: str = "") -> Record | None:
        """The record with this text, or else the oldest: ids come again, and a message whose connection ended stays."""
        found = self._records.get(key)
        if not found:
            return None
        record = next((record for record in found if record.text == text), found[0])
        found.remove(record)
        if not found:
            del self._records[key]
        return record


class Pairing:
    """Follows the records of a trace in their order."""

    def __init__(self, went_up: Iterable[tuple[str, str]]) -> None:
        """`went_up`: identity and id of the CALLs that the gateway sent to the CSMS (TraceFile.own_call_ids)."""
        self._went_up = frozenset(went_up)
        self._waiting = _Open()
        self._claimed = _Open()
        self._refused: dict[tuple[str, str], str] = {}

    @property
    def waiting(self) -> int:
        """How many messages arrived and neither left nor were discarded: the trace ended, or the gateway did."""
        return len(self._waiting)

    def events(self, records: Iterable[Record]) -> Iterator[Event]:
        """One event for each record."""
        return map(self._event, records)

    def _event(self, record: Record) -> Event:
        key = _Key(record.identity, record.sender, record.message_id)
        to = _OTHER.get(record.sender, "station")
        match record.fate:
            case Fate.QUEUED:
                is_new = key not in self._claimed
                self._waiting.add(key, record)
                return Event(record, is_new, False, to)
            case Fate.PASSED:
                original = self._waiting.take(key, record.text) if record.action else None
                return Event(record, original is None, True, to, original)
            case Fate.ALTERED:
                self._waiting.take(key)
                return Event(record, False, True, to, self._claimed.take(key))
            case Fate.DISCARDED | Fate.REFUSED if record.detail != CLAIMED:
                original = self._waiting.take(key, record.text) if record.action else None
                self._refused[record.identity, record.message_id] = record.sender
                return Event(record, original is None, False, GATEWAY, original)
            case Fate.INJECTED:
                return self._injected(record)
            case _:  # absorbed, claimed and then discarded or refused, or a word of a newer version
                if record.detail == CLAIMED:
                    self._claimed.add(key, record)
                return Event(record, record.sender != GATEWAY, False, GATEWAY)

    def _injected(self, record: Record) -> Event:
        if record.action:
            to = "csms" if (record.identity, record.message_id) in self._went_up else "station"
            return Event(record, False, True, to)
        for peer in _OTHER:
            if call := self._claimed.take(_Key(record.identity, peer, record.message_id)):
                return Event(record, False, True, peer, call)
        to = self._refused.get((record.identity, record.message_id), "csms")
        return Event(record, False, True, to)


# --- in words ---------------------------------------------------------------------------------------------------------

_WIDTH: Final = 300


@dataclass(frozen=True, slots=True)
class _Number:
    """A number as it is spelt: 1.10 is not 1.1, where bytes are compared."""

    text: str


def described(event: Event) -> list[str]:
    """A few lines for people about a message that was not simply passed; nothing for one that was."""
    if event.is_mismatch and event.original is not None:
        return [f"{_head(event)} MISMATCH", f"    arrived {event.original.text}", f"    left    {event.record.text}"]
    match event.record.fate, event.original:
        case ((Fate.PASSED | Fate.QUEUED), _):
            return []
        case Fate.ALTERED, None:
            return [_head(event), "    what arrived is not in the trace any more"]
        case Fate.ALTERED, Record(text=arrived):
            return [_head(event), *(f"    {line}" for line in differences(arrived, event.record.text))]
        case Fate.INJECTED, Record(action=action):
            return [_head(event), f"    answers {action} {_short(event.record.text)}"]
    return [_head(event), f"    {_short(event.record.text)}"]


def _head(event: Event) -> str:
    record = event.record
    what = f'{record.action or "answer"} "{record.message_id}"'
    why = f" ({record.detail})" if record.detail else ""
    return f"{record.utc} {record.identity} {record.sender} to {event.to}: {record.fate} {what}{why}"


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}… ({len(text)} characters)"


def differences(before: str, after: str) -> list[str]:
    """One line for each place where two JSON texts differ: its JSON pointer, the old and the new value."""
    try:
        values = [json.loads(text, parse_float=_Number, parse_int=_Number) for text in (before, after)]
    except ValueError:
        return [_short(before), _short(after)]
    found = [f"{path or '/'}: {_json(old)} -> {_json(new)}" for path, old, new in _differing("", *values)]
    return found or ["spelling only: blanks, escapes or the order of members"]


_ABSENT: Final = object()


def _differing(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            pointer = name.replace("~", "~0").replace("/", "~1")
            yield from _differing(f"{path}/{pointer}", old.get(name, _ABSENT), new.get(name, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _differing(f"{path}/{index}", *pair)
    elif type(old) is not type(new) or old != new:
        yield path, old, new


def _json(value: Any) -> str:
    if value is _ABSENT:
        return "(absent)"
    text = json.dumps(value, default=lambda number: f"\0{number.text}", ensure_ascii=False)
    return _short(re.sub(r'"\\u0000([^"]*)"', r"\1", text))
