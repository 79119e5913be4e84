"""Which differences are known, and are kept out of a run so that others can be found? Each has a name and a reason.

With `--strict` none of them is kept out.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

OPEN: Final[dict[str, str]] = {}
"""What is left to do, and what it would show."""


class Scope:
    """What a run looks at."""

    def __init__(self, without: Collection[str] = tuple(OPEN)) -> None:
        """`without` these open points."""
        unknown = set(without) - OPEN.keys()
        if unknown:
            raise ValueError(f"no open points: {sorted(unknown)}; there are {', '.join(OPEN)}")
        self._without = frozenset(without)

    def has(self, name: str) -> bool:
        """Whether the run looks at this, too."""
        if name not in OPEN:
            raise ValueError(f"no open point {name!r}; there are {', '.join(OPEN)}")
        return name not in self._without
