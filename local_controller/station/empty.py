"""What do those have that have nothing yet? An empty set of one's own takes 216 bytes, and each station would have a dozen."""

from __future__ import annotations

from typing import Final, Never

EMPTY: Final[frozenset[Never]] = frozenset()
"""Shared by all; whoever gets something has another set from then on."""
