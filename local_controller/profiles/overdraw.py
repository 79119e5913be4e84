"""By how much may an honest station exceed its limit?"""

from __future__ import annotations

from typing import Final

OVERDRAW: Final = 1.1
OVERDRAW_A: Final = 0.5
"""Stations tolerate 10 % + 0.5 A above the limit (EVerest EvseManager, grid-and-safety §4.8)."""


def tolerated_a(limit_a: float) -> float:
    """The most that it draws, in A per phase."""
    return limit_a * OVERDRAW + OVERDRAW_A
