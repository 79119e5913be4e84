"""What really flows through every fuse of the site, and by how much and how long is it too much?"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from site_simulator.lines import PHASES, Phasors, added, lengths, phasors
from site_simulator.vehicle import NOMINAL_V

STEP_S = 0.2
"""The physics advances in steps of this many simulated seconds."""

TOLERANCE_A = 1e-6
"""Below this an excess is rounding of floating-point numbers."""

Amperes = tuple[float, float, float]
"""A current on each grid phase R, S, T."""


@dataclass(frozen=True, slots=True)
class Wave:
    """A load that rises and falls: amperes around a mean, a period in seconds."""

    amplitude_a: float
    period_s: float
    delay_s: float = 0.0

    def at(self, elapsed_s: float) -> float:
        """Amperes above or below the mean."""
        return self.amplitude_a * math.sin(2 * math.pi * (elapsed_s - self.delay_s) / self.period_s)


@dataclass(frozen=True, slots=True)
class Step:
    """A load that comes at `at_s` with a ramp of `ramp_s` seconds (0: a true step) and stays."""

    at_s: float
    change_a: float
    ramp_s: float = 0.0

    def at(self, elapsed_s: float) -> float:
        """Amperes added."""
        if elapsed_s < self.at_s:
            return 0.0
        return self.change_a if self.ramp_s == 0 else self.change_a * min(1.0, (elapsed_s - self.at_s) / self.ramp_s)


class Movement(Protocol):
    """What comes and goes in a load."""

    def at(self, elapsed_s: float, /) -> float:
        """Amperes added."""


@dataclass(frozen=True, slots=True)
class BaseLoad:
    """The load of one phase besides the stations: a mean, smooth movements and a jitter, in amperes.

    least_a: it is never below that; negative where something may feed in.
    """

    mean_a: float = 0.0
    movements: tuple[Movement, ...] = ()
    jitter_a: float = 0.0
    least_a: float = 0.0

    def at(self, elapsed_s: float, noise: random.Random) -> float:
        """Amperes."""
        smooth_a = self.mean_a + sum(movement.at(elapsed_s) for movement in self.movements)
        return max(self.least_a, smooth_a + noise.uniform(-self.jitter_a, self.jitter_a))


@dataclass(frozen=True, slots=True)
class Node:
    """A fuse: its rating per phase, the node that feeds it (None: the grid) and its own loads R, S, T to neutral.

    between: its loads between two lines, "R-S".
    """

    name: str
    fuse_a: float
    parent: str | None = None
    loads: tuple[BaseLoad, BaseLoad, BaseLoad] = (BaseLoad(), BaseLoad(), BaseLoad())
    between: tuple[tuple[str, BaseLoad], ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a station is connected: grid phases at its L1, L2, L3 ("STR": its L1 is the grid's S), or two lines ("R-S")."""

    station: str
    node: str
    rotation: str = "RST"


@dataclass(slots=True)
class Excess:
    """How much a current was above a limit."""

    worst_a: float = 0.0
    longest_s: float = 0.0
    integral_as: float = 0.0
    running_s: float = 0.0

    def note(self, excess_a: float, dt_s: float) -> None:
        """`excess_a` (negative: below the limit) during `dt_s` seconds."""
        if excess_a <= TOLERANCE_A:
            self.running_s = 0.0
            return
        self.worst_a = max(self.worst_a, excess_a)
        self.running_s += dt_s
        self.longest_s = max(self.longest_s, self.running_s)
        self.integral_as += excess_a * dt_s


@dataclass(slots=True)
class Gauge:
    """One node: its currents now, what it imported, and its excesses over fuse and commanded limit per phase.

    volts: nominal, of a line to the middle of the grid.
    """

    node: Node
    volts: float = NOMINAL_V
    current_a: Amperes = (0.0, 0.0, 0.0)
    energy_wh: float = 0.0
    limit_a: float | None = None
    over_fuse: tuple[Excess, Excess, Excess] = field(default_factory=lambda: (Excess(), Excess(), Excess()))
    over_limit: tuple[Excess, Excess, Excess] = field(default_factory=lambda: (Excess(), Excess(), Excess()))

    def note(self, current_a: Amperes, dt_s: float) -> None:
        """These currents flow for `dt_s` seconds."""
        self.current_a = current_a
        self.energy_wh += sum(current_a) * self.volts * dt_s / 3600
        for amperes, fuse, limit in zip(current_a, self.over_fuse, self.over_limit, strict=True):
            fuse.note(amperes - self.node.fuse_a, dt_s)
            if self.limit_a is not None:
                limit.note(amperes - self.limit_a, dt_s)


class SiteWorld:
    """The electrical tree. `draws` gives a station's currents on its own L1.. when asked, in amperes.

    lines: of the grid; 2 for split-phase. volts: as of `Gauge`.
    """

    def __init__(  # noqa: PLR0913 - a site and its grid
        self,
        nodes: Sequence[Node],
        placements: Sequence[Placement],
        draws: Mapping[str, Callable[[], Sequence[float]]],
        seed: int = 0,
        *,
        lines: int = 3,
        volts: float = NOMINAL_V,
    ) -> None:
        self.gauges = {node.name: Gauge(node, volts) for node in nodes}
        self._lines = lines
        self.elapsed_s = 0.0
        self._placements = placements
        self._draws = draws
        self._noise = random.Random(seed)
        self._paths = {node.name: self._path(node.name) for node in nodes}

    def _path(self, name: str) -> list[str]:
        """The node and everything that feeds it."""
        parent = self.gauges[name].node.parent
        return [name] if parent is None else [name, *self._path(parent)]

    def command_limit(self, node: str, limit_a: float | None) -> None:
        """From now on excess over this limit is noted apart, in amperes per phase; None lifts it."""
        self.gauges[node].limit_a = limit_a

    def advance(self, dt_s: float) -> None:
        """Let `dt_s` seconds pass with the stations' present currents."""
        self.elapsed_s += dt_s
        loads: dict[str, list[Phasors]] = {name: [] for name in self.gauges}
        for name, gauge in self.gauges.items():
            to_neutral = [load.at(self.elapsed_s, self._noise) for load in gauge.node.loads]
            self._add(loads, name, to_neutral, PHASES)
            for connection, load in gauge.node.between:
                self._add(loads, name, [load.at(self.elapsed_s, self._noise)], connection)
        for placement in self._placements:
            self._add(loads, placement.node, self._draws[placement.station](), placement.rotation)
        for name, gauge in self.gauges.items():
            gauge.note(lengths(added(loads[name])), dt_s)

    def _add(self, loads: Mapping[str, list[Phasors]], node: str, current_a: Sequence[float], connection: str) -> None:
        for name in self._paths[node]:
            loads[name].append(phasors(current_a, connection, lines=self._lines))
