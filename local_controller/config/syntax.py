"""What made the YAML reader stumble, and what helps? It often notices one line late: the lines around tell more than its words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ruamel.yaml.error import MarkedYAMLError, StreamMark


class Stumble(NamedTuple):
    """Where it likely is, both counted from 0, and what it is with its remedy."""

    line: int
    column: int
    text: str


def stumble(error: MarkedYAMLError, mark: StreamMark, text: str) -> Stumble:
    """What stands at the mark of a YAML text that cannot be read, or before it."""
    lines, problem = [*text.splitlines(), ""], error.problem or error.context or "cannot be read"
    if any(sign in problem for sign in _TOO_LATE) and (found := _around(lines, mark.line)) is not None:
        return found
    if "could not find expected ':'" in problem and error.context_mark is not None:
        return _no_key(lines, error.context_mark)
    if problem.startswith("expected ',' or") and error.context_mark is not None:
        opened, problem = error.context_mark, f"{problem} - a comma is missing, or what is opened in"
        return Stumble(mark.line, mark.column, f"{problem} line {opened.line + 1} is never closed")
    remedy = next((f" - {remedy}" for sign, remedy in _REMEDIES if sign in problem), "")
    return Stumble(mark.line, mark.column, f"{problem}{remedy}")


_REMEDIES: Final = (
    ("\\t", "a tab: indent with spaces"),
    ("mapping values are not allowed", "put a text with a colon in quotes, and begin each key on a line of its own"),
    ("another document", "keep one document: delete the line with ---"),
    ("undefined alias", "a text that begins with * needs quotes"),
    ("expected <block end>", "lines of one section begin in the same column"),
    ("unexpected end of stream", "a quote is opened above and never closed"),
    ("escape", "in double quotes \\ begins an escape: write single quotes"),
    ("cannot start any token", "put the text in quotes"),
    ("sequence entries are not allowed", "a list begins on the line below its key"),
)
_TOO_LATE: Final = ("mapping values are not allowed", "expected <block end>")
"""Where the line before may be wrong."""

_NO_COLON: Final = re.compile(r"(\s*(?:-\s+)?)(\w+)(?:\s*=\s*|\s+|:(?!\s))([^\s:#][^:#]*?)\s*")
"""A line like `fuse_a 63`, `fuse_a = 63` or `fuse_a:63`: what indents it, key, value."""


def _around(lines: Sequence[str], at: int) -> Stumble | None:
    """Why a key is not allowed in a line, as it and the last one before it that holds anything tell; None: they do not."""
    before = next(
        (n for n in range(at - 1, -1, -1) if lines[n].strip() and not lines[n].lstrip().startswith("#")), None
    )
    for number in (at, before):
        if number is not None and (odd := re.search(r"[^\S \t\r]", lines[number])) is not None:
            return Stumble(number, odd.start(), "a blank that is no space, as copied from a page: type it anew")
    if before is None:
        return None
    if (no_colon := _NO_COLON.fullmatch(lines[before])) is not None:
        return _without_colon(before, no_colon)
    begins, began = (_column(lines[number]) for number in (at, before))
    if begins > began and not lines[before].rstrip().endswith(":"):
        text = f"it begins right of line {before + 1}, which has its value already"
        return Stumble(at, begins, f"{text}: begin the lines of one section in the same column")
    return None


def _no_key(lines: Sequence[str], mark: StreamMark) -> Stumble:
    """What stands where a key was expected."""
    if (no_colon := _NO_COLON.fullmatch(lines[mark.line])) is not None:
        return _without_colon(mark.line, no_colon)
    text = "this is no key: begin each entry of a list with a dash and a blank (- ), and end each key with a colon"
    return Stumble(mark.line, mark.column, text)


def _without_colon(line: int, found: re.Match[str]) -> Stumble:
    indent, key, value = found.groups()
    return Stumble(line, len(indent), f"a key ends with a colon and a blank: write `{key}: {value}`")


def _column(line: str) -> int:
    """Where the key of a line begins, behind the dash of a list."""
    return len(line) - len(re.sub(r"^\s*(-\s+)*", "", line))
