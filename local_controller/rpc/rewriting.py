"""How does a message with a changed payload keep the spelling of all that did not change?

A relay that changes one field must not touch another: `1.10` stays `1.10`, blanks and escapes stay, members keep their
order (LC-126). So the new values are put into the old text, at their places.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

_decode_at = json.JSONDecoder().raw_decode
_BLANKS: Final = " \t\n\r"


class _Span(NamedTuple):
    """A member of an array or object in a text: where it (an object's: its name) starts, its value starts and ends."""

    name: str
    start: int
    value_start: int
    end: int


def rewritten(text: str, place: int, value: Any) -> str:
    """The JSON array in `text` with this value as its element `place`. ValueError when there is no such element."""
    elements = _spans(text, _after_blanks(text, 0))
    if place >= len(elements):
        raise ValueError(f"the message has no element {place}")
    _, start, _, end = elements[place]
    return text[:start] + _like(text, start, end, value) + text[end:]


def _like(text: str, start: int, end: int, new: Any) -> str:
    """`new` spelt as the value that stands between start and end, wherever it is the same."""
    old, _ = _decode_at(text, start)
    if _same(old, new):
        return text[start:end]
    match old, new:
        case dict(), dict():
            return _object_like(text, start, end, new)
        case list(), list():
            return _array_like(text, start, end, old, new)
    return _dumped(new)


def _object_like(text: str, start: int, end: int, new: Mapping[str, Any]) -> str:
    """Members keep name, place and spelling; those that are gone leave no trace, new ones stand at the end."""
    spans = _spans(text, start)
    if len({span.name for span in spans}) < len(spans):  # a name twice: what the text says and what was read differ
        return _dumped(new)
    kept = [
        (text[s.start : s.value_start] + _like(text, s.value_start, s.end, new[s.name]), _gap(text, spans, number))
        for number, s in enumerate(spans)
        if s.name in new
    ]
    known = {span.name for span in spans}
    added = [(f"{_dumped(name)}:{_dumped(value)}", ",") for name, value in new.items() if name not in known]
    return _joined(text, start, end, spans, kept + added)


def _array_like(text: str, start: int, end: int, old: Sequence[Any], new: Sequence[Any]) -> str:
    """Element by element where as many are left, else each one that is still there keeps its spelling."""
    spans = _spans(text, start)
    if len(old) == len(new):
        pieces = [
            (_like(text, s.start, s.end, value), _gap(text, spans, number))
            for number, (s, value) in enumerate(zip(spans, new, strict=True))
        ]
        return _joined(text, start, end, spans, pieces)
    pieces, at = [], 0
    for value in new:
        found = next((n for n in range(at, len(old)) if _same(old[n], value)), None)
        if found is None:
            pieces.append((_dumped(value), ","))
        else:
            pieces.append((text[spans[found].start : spans[found].end], _gap(text, spans, found)))
            at = found + 1
    return _joined(text, start, end, spans, pieces)


def _joined(text: str, start: int, end: int, spans: Sequence[_Span], pieces: Sequence[tuple[str, str]]) -> str:
    """The pieces, each after its separator, between the old brackets."""
    opening = text[start : spans[0].start] if spans else text[start : start + 1]
    closing = text[spans[-1].end : end] if spans else text[end - 1 : end]
    body = "".join((separator if number else "") + piece for number, (piece, separator) in enumerate(pieces))
    return opening + body + closing


def _gap(text: str, spans: Sequence[_Span], number: int) -> str:
    """What stands before a member: comma and blanks. The first one has none of its own."""
    return text[spans[number - 1].end : spans[number].start] if number else ","


# --- where things stand -----------------------------------------------------------------------------------------------


def _spans(text: str, start: int) -> list[_Span]:
    """The members of the array or object that starts here; the text is sound JSON."""
    return list(_members(text, start + 1, is_object=text[start] == "{"))


def _members(text: str, at: int, *, is_object: bool) -> Iterator[_Span]:
    at = _after_blanks(text, at)
    while text[at] not in "]}":
        start, name = at, ""
        if is_object:
            name, at = _decode_at(text, at)
            at = _after_blanks(text, _after_blanks(text, at) + 1)
        _, end = _decode_at(text, at)
        yield _Span(name, start, at, end)
        at = _after_blanks(text, end)
        if text[at] == ",":
            at = _after_blanks(text, at + 1)


def _after_blanks(text: str, at: int) -> int:
    while text[at] in _BLANKS:
        at += 1
    return at


def _same(old: Any, new: Any) -> bool:
    """Equal to the letter: 1 is neither 1.0 nor true."""
    return json.dumps(old) == json.dumps(new)


def _dumped(value: Any) -> str:
    """Compact JSON in plain ASCII, as all that is written here."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
