"""Which limit does the week's timetable set just now? Limits that stand in the site file and hold at certain times.

They need no message and no connection, so they are never stale. What counts is the clock on the wall of the site's time
zone; where that is put forward or back, a window is longer rather than shorter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import reduce
from typing import Final, NamedTuple

from local_controller.site.lead import USUAL_S, lead_s
from local_controller.site.limits import Bound
from local_controller.site.week import DAY, Span, midnight

LOOK_AHEAD: Final = timedelta(hours=30)
"""So far ahead nothing is missed by who knows what begins until the day after tomorrow, whatever the clock does."""


@dataclass(frozen=True, slots=True)
class Window(Span):
    """A time of some days of the week and what counts meanwhile."""

    bound: Bound


class Piece(NamedTuple):
    """What counts from one moment to another, in UTC."""

    bound: Bound
    start: datetime
    end: datetime


@dataclass(slots=True)
class Timetable:
    """The windows of one limit, by the clock of a time zone. lead_s: each counts so long before it begins."""

    windows: Sequence[Window]
    zone: tzinfo
    lead_s: float = lead_s(USUAL_S)
    _piece: Piece | None = field(default=None, init=False, repr=False, compare=False)

    def at(self, moment: datetime) -> Piece:
        """The lowest limit of all windows that hold at a moment (with a time zone), and until when nothing changes."""
        if self._piece is None or not self._piece.start <= moment < self._piece.end:
            self._piece = self._found(moment)
        return self._piece

    def begin_earlier(self, by_s: float) -> None:
        """The lead from now on."""
        self.lead_s, self._piece = by_s, None

    def _found(self, moment: datetime) -> Piece:
        near = list(self._near(moment))
        edges = [edge for _, *span in near for edge in span]
        holding = [window.bound for window, start, end in near if start <= moment < end]
        return Piece(
            reduce(Bound.and_, holding, Bound()),
            max((edge for edge in edges if edge <= moment), default=moment),
            min((*(edge for edge in edges if edge > moment), moment + LOOK_AHEAD)),
        )

    def _near(self, moment: datetime) -> Iterator[tuple[Window, datetime, datetime]]:
        """The windows that begin from yesterday to the day after tomorrow, each from `lead_s` before it begins to its end."""
        today = midnight(moment.astimezone(self.zone))
        for day in (today + number * DAY for number in range(-1, 3)):
            for window in self.windows:
                if (span := window.on(day)) is not None:
                    start, end = span
                    yield window, start - timedelta(seconds=self.lead_s), end
