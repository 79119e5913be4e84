"""Which list has a station's identity? The first that names it; the one that names none has all others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from typing import Final

_WILDCARDS: Final = frozenset("*?[")


class Assignment:
    """Lists of identities and patterns, in the order of the file. The case of letters is no difference (identifierString)."""

    def __init__(self, lists: Iterable[Sequence[str] | None]) -> None:
        """A list of None takes what no other one names; there is one of these at most."""
        self._rows: list[tuple[int, frozenset[str], re.Pattern[str] | None]] = []
        self._rest: int | None = None
        for position, names in enumerate(lists):
            if names is None:
                self._rest = position
            else:
                self._rows.append((position, *_compiled(names)))

    def of(self, identity: str) -> int | None:
        """The position of the list that has an identity; None if no list has it."""
        folded = identity.casefold()
        for position, exact, pattern in self._rows:
            if folded in exact or (pattern and pattern.match(folded)):
                return position
        return self._rest


def is_pattern(name: str) -> bool:
    """Whether a name can stand for several identities."""
    return not _WILDCARDS.isdisjoint(name)


def _compiled(names: Sequence[str]) -> tuple[frozenset[str], re.Pattern[str] | None]:
    """A storm of 500 stations must not try 500 names for each: one look into a set, and one expression."""
    folded = [name.casefold() for name in names]
    patterns = [translate(name) for name in folded if is_pattern(name)]
    return frozenset(folded), re.compile("|".join(patterns)) if patterns else None
