"""How many inputs do the laws try? EFFORT=50 in the environment: fifty times as many; how many it were is told at the end."""

from __future__ import annotations

import os
from collections import Counter
from typing import Final

EFFORT: Final = int(os.environ.get("EFFORT", "1"))
EXAMPLES: Final = 100
"""Of a law that says nothing else, with an effort of 1."""

TRIED: Final[Counter[str]] = Counter()
"""Inputs tried in this run, by what they were given to."""
