"""Where is it kept over a restart which peak of this month is paid for? In the state directory, as JSON that people can read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from local_controller.adapters.kept_file import KeptFile
from local_controller.site.quarter_means import Highest, Peak

NAME: Final = "peak.json"

EVERY_S: Final = 60.0
"""So soon it is written when a quarter of an hour was higher than all before, which is seldom, and at the end."""


class PeakFile(KeptFile[Highest]):
    """The peak of one site and its file."""

    def __init__(self, peak: Peak, directory: Path) -> None:
        super().__init__(
            directory / NAME, Highest, EVERY_S, "peak", "what was drawn before the start counts as no peak"
        )
        self._peak = peak

    def content(self) -> Highest | None:
        """None before the first whole quarter of an hour."""
        return self._peak.found

    def take(self, kept: Highest) -> None:
        """It is paid for; what cannot be is not."""
        if kept.is_sound:
            self._peak.found = kept
