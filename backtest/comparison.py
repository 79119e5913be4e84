"""Which way of charging serves these visits how well? The optimizer beside rules of thumb and a site that nobody controls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backtest.engine import Algorithm, Car, run
from backtest.network import STEP_S
from backtest.rules import RULES
from backtest.sessions import Session
from backtest.tree import Tree
from optimizer import acn
from optimizer.arrays import Array
from optimizer.habits import Habits

WELL_SERVED = 0.8
"""A car that got less of its wish than this is told of."""


@dataclass(frozen=True)
class Way:
    """A way of charging. knows: whether it is told when each car leaves and what it wants."""

    name: str
    knows: bool
    algorithm: Algorithm


@dataclass(frozen=True)
class Outcome:
    """What became of the visits. served: the part of its wish that each car got.

    peak_a: (W,) the most that a fuse bore, other loads included; above_h: how long it bore more than its rating.
    shown_a: (S, W) the same in each step.
    """

    name: str
    knows: bool
    sessions: int
    wanted_kwh: float
    delivered_kwh: float
    served: tuple[float, ...]
    stops: int
    peak_a: Array
    above_h: Array
    shown_a: Array = field(repr=False)

    @property
    def delivered_pct(self) -> float:
        """Of what was wanted."""
        return 100 * self.delivered_kwh / self.wanted_kwh if self.wanted_kwh else 100.0

    @property
    def badly_served(self) -> int:
        """Cars below `WELL_SERVED`."""
        return sum(part < WELL_SERVED - 1e-9 for part in self.served)

    @property
    def stops_per_session(self) -> float:
        """How often a car that still wanted energy was paused."""
        return self.stops / self.sessions if self.sessions else 0.0

    @property
    def hours_above(self) -> float:
        """Of the fuse that was exceeded longest."""
        return float(self.above_h.max(initial=0.0))

    def as_json(self, site: Tree) -> dict[str, Any]:
        """Plain values for a JSON encoder, with the peak of each circuit and phase."""
        at: dict[str, list[dict[str, float]]] = {}
        for (circuit, _), peak_a, above_h, fuse_a in zip(
            site.rows, self.peak_a, self.above_h, site.fuse_a + site.reserved_a, strict=True
        ):
            at.setdefault(circuit, []).append(
                {"peak_a": round(float(peak_a), 2), "fuse_a": float(fuse_a), "above_h": round(float(above_h), 2)}
            )
        return {
            "way": self.name,
            "knows_departures_and_wishes": self.knows,
            "sessions": self.sessions,
            "wanted_kwh": round(self.wanted_kwh, 2),
            "delivered_kwh": round(self.delivered_kwh, 2),
            "delivered_pct": round(self.delivered_pct, 2),
            "cars_below_80_pct": self.badly_served,
            "stops_per_session": round(self.stops_per_session, 3),
            "hours_above_fuse": round(self.hours_above, 2),
            "circuits": at,
        }


def ways(site: Tree, objective: str, first_weekday: int = 0) -> Iterator[Way]:
    """All that are compared. The rules that need no information get none, as in a site where nobody says anything."""
    yield Way("uncontrolled", False, uncontrolled(site))
    yield Way("round robin", False, RULES["round_robin"](site.network))
    yield Way("first come", False, RULES["first_come"](site.network))
    yield Way("least laxity", True, RULES["least_laxity"](site.network))
    yield Way("optimizer", True, acn.make(site.network, objective))
    learning = acn.make(site.network, objective, habits=Habits(), first_weekday=first_weekday)
    yield Way("optimizer, nobody tells", False, learning)


def uncontrolled(site: Tree) -> Algorithm:
    """Each car takes what its EVSE and itself can."""

    def schedule(seen: Mapping[str, Any]) -> Array:
        pilots = np.zeros(len(site.network.max))
        pilots[seen["st"]] = site.network.max[seen["st"]]
        return pilots

    return schedule


def compare(
    site: Tree,
    sessions: Sequence[Session],
    charging: Sequence[Way],
    *,
    two_stage: bool = True,
    say: Callable[[str], None] = lambda _text: None,
) -> list[Outcome]:
    """Each way on the same visits. two_stage: batteries that taper. say: is told what is going on."""
    found = []
    for number, way in enumerate(charging, start=1):
        say(f"{number}/{len(charging)} {way.name}")
        found.append(outcome(site, sessions, way, two_stage=two_stage))
    return found


def outcome(site: Tree, sessions: Sequence[Session], way: Way, *, two_stage: bool = True) -> Outcome:
    """One way on these visits."""
    steps = max((session.departure for session in sessions), default=0)
    shown_a = np.tile(site.reserved_a, (steps, 1))
    loads = site.network.C.real

    def watch(step: int, drawn_a: Array) -> None:
        shown_a[step] += loads @ drawn_a

    result = run(site.network, sessions, way.algorithm, informed=way.knows, two_stage=two_stage, watch=watch)
    above = shown_a > site.fuse_a + site.reserved_a + 1e-6
    return Outcome(
        way.name,
        way.knows,
        len(sessions),
        result.wanted_kwh,
        result.delivered_kwh,
        tuple(_part(car) for car in result.cars),
        sum(car.stops for car in result.cars),
        shown_a.max(axis=0, initial=0.0),
        above.sum(axis=0) * STEP_S / 3600,
        shown_a,
    )


def _part(car: Car) -> float:
    return car.got_kwh / car.wanted_kwh if car.wanted_kwh else 1.0
