"""Where is it kept over a restart what this quarter of an hour has used? In the state directory, by the monotonic clock.

That clock goes on over a restart of the process, whatever happens to the one on the wall. After a restart of the machine it has
begun anew, it stands while the machine sleeps, and nothing tells for how long that was but a clock that may be wrong: then
nothing is known.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from local_controller.adapters.kept_file import KeptFile
from local_controller.clock import Clock
from local_controller.site.own_limits import QuarterHourLimit
from local_controller.site.quarter_hour import Counted

NAME: Final = "quarter_hours.json"

EVERY_S: Final = 30.0
"""It is written so often, and at the end: what a gateway that dies has not written counts at twice the mean, 7 % of a quarter; and
memory cards wear out."""

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Kept(msgspec.Struct, forbid_unknown_fields=True):
    """clock: which monotonic clock counts the seconds. limits: by their ids, each with the node whose meter has counted."""

    clock: str
    limits: dict[str, tuple[str, Counted]]


class QuarterHourFile(KeptFile[Kept]):
    """The limits of a site on the mean of a quarter-hour, and their file."""

    def __init__(
        self, limits: Sequence[QuarterHourLimit], directory: Path, clock: Clock, boot_id: Path = BOOT_ID
    ) -> None:
        super().__init__(directory / NAME, Kept, EVERY_S, "quarter_hours", "what was drawn before the start is unknown")
        self._limits = limits
        self._clock = clock
        self._clock_name = _name(clock, boot_id)

    def content(self) -> Kept | None:
        """What each limit has counted; None where there is no telling which clock this is."""
        if not self._clock_name:
            return None
        counted = ((one, one.quarter.counted) for one in self._limits)
        return Kept(self._clock_name, {one.id: (one.node, told) for one, told in counted if told is not None})

    def take(self, kept: Kept) -> None:
        """It goes on from there, if this is the same clock."""
        if not self._clock_name or kept.clock != self._clock_name:
            return
        now = self._clock.now()
        for one in self._limits:
            node, counted = kept.limits.get(one.id, ("", None))
            if node == one.node and counted is not None:
                one.quarter.resume(counted, now)


def _name(clock: Clock, boot_id: Path) -> str:
    """Two processes read the same seconds where this is the same; empty where that cannot be known."""
    try:
        booted = boot_id.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    if not booted:
        return ""
    slept_s = int(time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic())
    scaled = "" if clock.speed == 1.0 else f", {clock.speed:g} times as fast since {clock.origin_s}"
    return f"boot {booted}, slept {slept_s} s{scaled}"
