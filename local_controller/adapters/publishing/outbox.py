"""Which publications are due? What changed, and what was not told for a while; nothing waits here, the newest counts."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from local_controller.adapters.publishing.tree import Publication

_PARTS: Final = 1000


class Outbox:
    """What was told last on each topic, and when. It never holds more than there are topics.

    every_s: so often each topic is told anew, changed or not; a consumer takes it for dead when it is not. What is told for
    the first time is told again a part of that sooner, each topic another part: or all of a large site would come at once.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._told: dict[str, tuple[dict[str, Any], str, float]] = {}

    def due(self, publications: Iterable[Publication], now_s: float) -> Iterator[Publication | None]:
        """Those to publish at this monotonic time; None for each other one, so that the caller may pause."""
        for one in publications:
            yield one if self._is_due(one, now_s) else None

    def _is_due(self, one: Publication, now_s: float) -> bool:
        told = self._told.get(one.topic)
        return told is None or told[:2] != (one.facts, one.wording) or now_s - told[2] >= self._every_s

    def told(self, one: Publication, now_s: float) -> None:
        """It is on its way."""
        spread_s = 0.0 if one.topic in self._told else self._part_of(one.topic) * self._every_s
        self._told[one.topic] = one.facts, one.wording, now_s - spread_s

    @staticmethod
    def _part_of(topic: str) -> float:
        """From 0 to 1, the same in each run."""
        return zlib.crc32(topic.encode()) % _PARTS / _PARTS

    def forget(self) -> None:
        """Everything is due: the broker is back, or somebody came who knows nothing yet."""
        self._told.clear()
