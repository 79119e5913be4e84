"""How does a message with a changed payload keep the spelling of all that did not change?

A relay that changes one field must not touch another: `1.10` stays `1.10`, blanks and escapes stay, members keep their
order (LC-126). So the new values are put into the old text, at their places. What the new payload shares with the old
one is not even looked at: a report of 13 kB with one new value takes a quarter of a millisecond.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_NAME: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BLANKS: Final = re.compile(rb"[ \t\n\r]*")
_COLON: Final = re.compile(rb"[ \t\n\r]*:[ \t\n\r]*")


class _Span(NamedTuple):
    """A member of an array or object: where it (an object's: its name) starts, its value starts and ends."""

    name: str
    start: int
    value_start: int
    end: int


class _NamedTwiceError(ValueError):
    """An object says a name twice: what its text says and what was read of it differ."""


def rewritten(text: str, place: int, old: Any, new: Any) -> str:
    """The JSON array in `text`, whose element `place` says `old`, with `new` there. ValueError when it has no such place."""
    message = text.encode()
    elements = list(_elements(message, _after_blanks(message, 0)))
    if place >= len(elements):
        raise ValueError(f"the message has no element {place}")
    _, _, start, end = elements[place]
    return (message[:start] + _like(message[start:end], old, new) + message[end:]).decode()


def _like(spelt: bytes, old: Any, new: Any) -> bytes:
    """`new` spelt as `old` is, wherever it is the same: 1 is neither 1.0 nor true."""
    match old, new:
        case _ if old is new:
            return spelt
        case dict(), dict():
            return _object_like(spelt, old, new)
        case list(), list():
            return _array_like(spelt, old, new)
    return spelt if type(old) is type(new) and old == new else _dumped(new)


def _object_like(spelt: bytes, old: Mapping[str, Any], new: Mapping[str, Any]) -> bytes:
    """Members keep name, place and spelling; those that are gone leave no trace, new ones stand at the end."""
    try:
        spans = list(_members(spelt))
    except _NamedTwiceError:
        return _dumped(new)
    kept = [
        (spelt[s.start : s.value_start] + _like(spelt[s.value_start : s.end], old[s.name], new[s.name]), number)
        for number, s in enumerate(spans)
        if s.name in new
    ]
    added = [(_dumped(name) + b":" + _dumped(value), 0) for name, value in new.items() if name not in old]
    return _joined(spelt, spans, kept + added)


def _array_like(spelt: bytes, old: Sequence[Any], new: Sequence[Any]) -> bytes:
    """Element by element where as many are left, else each one that is still there keeps its spelling."""
    spans = list(_elements(spelt, 0))
    if len(old) == len(new):
        pairs = zip(spans, old, new, strict=True)
        pieces = [(_like(spelt[s.start : s.end], was, now), n) for n, (s, was, now) in enumerate(pairs)]
        return _joined(spelt, spans, pieces)
    pieces, at = [], 0
    for value in new:
        found = next((n for n in range(at, len(old)) if old[n] is value or old[n] == value), None)
        if found is None:
            pieces.append((_dumped(value), 0))
        else:
            pieces.append((_like(spelt[spans[found].start : spans[found].end], old[found], value), found))
            at = found + 1
    return _joined(spelt, spans, pieces)


def _joined(spelt: bytes, spans: Sequence[_Span], pieces: Sequence[tuple[bytes, int]]) -> bytes:
    """The pieces between the old brackets, each after what stands before the old member of that number."""
    if not spans and not pieces:
        return spelt
    opening, closing = (spelt[: spans[0].start], spelt[spans[-1].end :]) if spans else (spelt[:1], spelt[-1:])
    gaps = [b",", *(spelt[before.end : after.start] for before, after in itertools.pairwise(spans))]
    body = b"".join((gaps[number] if place else b"") + piece for place, (piece, number) in enumerate(pieces))
    return opening + body + closing


# --- where things stand -----------------------------------------------------------------------------------------------


def _elements(spelt: bytes, at: int) -> Iterator[_Span]:
    """The elements of the array that starts at `at`; the text is sound JSON."""
    at += 1
    for value in _decode_array(spelt):
        start = _after_comma(spelt, at)
        at = start + len(bytes(value))
        yield _Span("", start, start, at)


def _members(spelt: bytes) -> Iterator[_Span]:
    """The members of the object that this is."""
    at = 1
    for name, value in _decode_object(spelt).items():
        start = _after_comma(spelt, at)
        written = _NAME.match(spelt, start)
        colon = written and _COLON.match(spelt, written.end())
        if not written or not colon or json.loads(written.group()) != name:
            raise _NamedTwiceError
        at = colon.end() + len(bytes(value))
        yield _Span(name, start, colon.end(), at)
    if _after_blanks(spelt, at) != len(spelt) - 1:
        raise _NamedTwiceError


def _after_comma(spelt: bytes, at: int) -> int:
    at = _after_blanks(spelt, at)
    return _after_blanks(spelt, at + 1) if spelt[at] == ord(",") else at


def _after_blanks(spelt: bytes, at: int) -> int:
    found = _BLANKS.match(spelt, at)
    return at if found is None else found.end()


def _dumped(value: Any) -> bytes:
    """Compact JSON in plain ASCII, as all that is written here."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
