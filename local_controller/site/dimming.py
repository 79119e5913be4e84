"""When did a limit of the grid operator hold, how low was it, and what was drawn meanwhile? As rows for a record.

Whoever dims under §14a EnWG has a right to know that it was obeyed, and the operator of the site to show it: start, end,
kind, limit and measured power, for two years (grid-and-safety §4.1, goal G8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from local_controller.clock import Instant
from local_controller.site.capacity import NodeState
from local_controller.site.evse import EvseState
from local_controller.site.freshness import Freshness
from local_controller.site.limit_source import SourceState
from local_controller.site.limits import Bound

STILL_S: Final = 60.0
"""While a limit holds, what is drawn is noted so often: after a power cut its end is known as exactly."""

FIRST_READ_S: Final = 5.0
"""So long after the start an input that was not heard yet is no news: it limits until then, and that is not recorded."""


class Event(StrEnum):
    """What a row tells. STOP: the gateway was stopped while the limit held."""

    START = "start"
    STILL = "still"
    END = "end"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Dimming:
    """A limit that holds: which one, how it arrives, how low it is, and why in words."""

    limit: str
    kind: str
    bound: Bound
    reason: str


@dataclass(frozen=True, slots=True)
class Power:
    """What all cars draw as the stations measured it last, what the grid connection draws, and what the building can spare.

    None: not measured.
    """

    charging_w: float
    grid_w: float | None = None
    surplus_w: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the record."""

    at: datetime
    event: Event
    dimming: Dimming
    power: Power


@dataclass(slots=True)
class DimmingWatch:
    """Remembers which limits hold, so that only changes and a sign of life now and then become rows."""

    _open: dict[str, tuple[Dimming, float]] = field(default_factory=dict)

    def look(self, holding: Iterable[Dimming], power: Power, now: Instant) -> Iterator[Row]:
        """The rows since the last look. A limit with another value ends and begins."""
        held = {one.limit: one for one in holding}
        for limit, (before, _) in list(self._open.items()):
            if limit not in held or held[limit].bound != before.bound:
                del self._open[limit]
                yield Row(now.utc, Event.END, before, power)
        for limit, one in held.items():
            _, due_s = self._open.get(limit, (one, now.monotonic_s))
            if now.monotonic_s >= due_s:
                event = Event.STILL if limit in self._open else Event.START
                self._open[limit] = one, now.monotonic_s + STILL_S
                yield Row(now.utc, event, one, power)

    def stop(self, power: Power, now: Instant) -> Iterator[Row]:
        """The last rows of this run."""
        yield from (Row(now.utc, Event.STOP, one, power) for one, _ in self._open.values())
        self._open.clear()


def holding(
    sources: Mapping[str, SourceState], kinds: Mapping[str, str], running_s: float, now: Instant
) -> list[Dimming]:
    """The limits among these kinds that hold now."""
    found = []
    for limit, kind in kinds.items():
        state, bound = sources[limit], sources[limit].bound(now)
        freshness = state.state(now)
        if bound.is_none or (freshness is Freshness.INIT and running_s < FIRST_READ_S):
            continue
        silent = state.failure or ("not heard since the start" if freshness is Freshness.INIT else "silent")
        heard = state.value.reason if state.value is not None else ""
        found.append(Dimming(limit, kind, bound, heard if freshness.usable else silent))
    return found


def drawn_power(evses: Iterable[EvseState], grid: NodeState, now: Instant) -> Power:
    """What all cars and the grid connection were measured to draw, and what the building had to spare."""
    sessions = [(state.evse.line_v, state.session) for state in evses if state.session is not None]
    samples = [(line_v, one.drawn) for line_v, one in sessions if one.drawn is not None and not one.rests]
    charging_w = sum(sum(one.current_a) * line_v if one.power_w is None else one.power_w for line_v, one in samples)
    if grid.meter is None or grid.meter.reading is None or grid.blind(now):
        return Power(charging_w)
    surplus_w = max(0.0, -grid.base_together_a(now)) * grid.volts_v(now)
    return Power(charging_w, grid.meter.reading.power_w, surplus_w)
