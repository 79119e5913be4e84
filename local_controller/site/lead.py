"""How long before a limit falls by the clock are cars told? As long as the slowest of them needs to be below it in time."""

from __future__ import annotations

from typing import Final

USUAL_S: Final = 10.0
"""Firmware and car take so long to follow a limit (grid-and-safety §7)."""

TOLD_S: Final = 10.0
"""And so much later all have been told and answered, and a meter tells of it (G3)."""

MOST_S: Final = 300.0
"""A station that takes longer gives nobody a longer lead: its neighbours would wait for it in vain every day."""


def lead_s(settle_s: float) -> float:
    """For stations of which the slowest follows after `settle_s`."""
    return min(max(settle_s, USUAL_S) + TOLD_S, MOST_S)
