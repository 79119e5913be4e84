"""Where is it kept over a restart what the building usually draws? In the state directory, as JSON that people can read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from local_controller.adapters.kept_file import KeptFile
from local_controller.site.load_history import LoadHistory, Slot

NAME: Final = "base_load.json"

EVERY_S: Final = 3600.0
"""It is written so often, and at the end: memory cards wear out, and an hour more or less of two weeks is no loss."""

Kept = dict[str, dict[int, list[float]]]


class LoadHistoryFile(KeptFile[Kept]):
    """The history of one site and its file."""

    def __init__(self, history: LoadHistory, directory: Path) -> None:
        super().__init__(directory / NAME, Kept, EVERY_S, "base_load", "it is learnt anew")
        self._history = history

    def content(self) -> Kept | None:
        """By the kind of day and the quarter of an hour."""
        kept: Kept = {}
        for (kind, quarter), means_w in sorted(self._history.means_w.items()):
            kept.setdefault(kind, {})[quarter] = means_w
        return kept or None

    def take(self, kept: Kept) -> None:
        """It goes on from there."""
        slots: dict[Slot, list[float]] = {
            (kind, quarter): means_w for kind, quarters in kept.items() for quarter, means_w in quarters.items()
        }
        self._history.restore(slots)
