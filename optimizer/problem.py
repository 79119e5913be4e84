"""What is asked of the optimizer, what does it answer? Frozen data with units in the names; amperes are per phase."""

from __future__ import annotations

import cmath
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

PHASES = ("L1", "L2", "L3")
"""The phases of the grid; a phase is given as its index 0..2."""

TOGETHER = len(PHASES)
"""Stands in the place of a phase for the sum over all phases."""

DEFAULT_ENERGY_WH = 13_000.0
"""What a car is assumed to want when nobody said: the prior with which the method was measured on real sessions."""

HORIZON_BLOCKS = ((3, 300.0), (4, 900.0), (4, 1800.0), (9, 3600.0))
"""Number and width (s) of blocks, near to far. Finer ones deliver no more and cost more: docs/optimizer-figures.md has the figures."""


def _demand(condition: bool, where: str, field: str, rule: str, value: object) -> None:
    """ValueError that names the guilty object, its field, the rule and the value, unless the condition holds."""
    if not condition:
        raise ValueError(f"{where}: {field} must be {rule}, is {value!r}")


def _demand_blocks(where: str, field: str, series: Sized | None, blocks: int) -> None:
    if series is not None:
        _demand(len(series) == blocks, where, field, f"{blocks} blocks", len(series))


def _demand_unique(field: str, ids: Iterable[str]) -> None:
    twice = [name for name, count in Counter(ids).items() if count > 1]
    _demand(not twice, "Problem", field, "of different ids", twice)


def _at_least_zero(value: float) -> bool:
    return math.isfinite(value) and value >= 0


@dataclass(frozen=True, slots=True)
class Horizon:
    """Blocks of time, as edges in seconds from now: the first is 0, they ascend, there is one more than blocks."""

    edges_s: tuple[float, ...]

    def __post_init__(self) -> None:
        edges = self.edges_s
        _demand(len(edges) >= 2 and edges[0] == 0, "Horizon", "edges_s", "two or more edges, the first 0", edges)
        ascending = all(a < b for a, b in pairwise(edges)) and math.isfinite(edges[-1])
        _demand(ascending, "Horizon", "edges_s", "finite and ascending", edges)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return len(self.edges_s) - 1


def variable_horizon(now_s_of_day: float) -> Horizon:
    """About 12 h in 20 blocks, fine near and coarse far: 3 x 5 min, 4 x 15 min, 4 x 30 min, 9 x 1 h.

    Each edge lies on a multiple of its block's width on the clock (`now_s_of_day`: seconds since midnight), so that
    plans made minutes apart share their edges and prices change on an edge. Where the width grows, and at the first
    edge, a block is therefore between half and one and a half of its width long.
    """
    edges = [now_s_of_day]
    for count, width_s in HORIZON_BLOCKS:
        for _ in range(count):
            edges.append(math.ceil((edges[-1] + width_s / 2) / width_s) * width_s)
    return Horizon(tuple(edge - now_s_of_day for edge in edges))


@dataclass(frozen=True, slots=True)
class CircuitLimit:
    """What a circuit can still carry for cars.

    available_a: [block][phase] amperes left for cars: base load, margins and reserves are already subtracted, so it
        may be negative, which means that the cars below must not draw anything there.
    label: as the facility manager knows it ("Garage"). sources: for each phase, who set the limit and how what is
        available came about ("63.0 A fuse - 41.2 A other loads"), for explanations.
    together_a: [block] amperes left for cars in the sum over the phases, where their power is limited; None: no such
        limit. together_source: as `sources`.
    feed_in_a: [block][phase] amperes, 0 or more, that all cars below may give back through it: what may be exported there and what
        other loads are sure to draw. Cars that charge do not count as such loads, they may stop. None: nothing may be given back.
    """

    id: str
    label: str
    available_a: tuple[tuple[float, float, float], ...]
    sources: tuple[str, str, str] = ("", "", "")
    together_a: tuple[float, ...] | None = None
    together_source: str = ""
    feed_in_a: tuple[tuple[float, float, float], ...] | None = None

    def __post_init__(self) -> None:
        where = f"CircuitLimit {self.id!r}"
        for back in self.feed_in_a or ():
            sound = len(back) == len(PHASES) and all(map(_at_least_zero, back))
            _demand(sound, where, "feed_in_a", "None or three numbers, 0 or more, per block", back)
        for sum_a in self.together_a or ():
            _demand(math.isfinite(sum_a), where, "together_a", "None or finite numbers", sum_a)
        for block in self.available_a:
            sound = len(block) == len(PHASES) and all(map(math.isfinite, block))
            _demand(sound, where, "available_a", "three finite numbers per block", block)


@dataclass(frozen=True, slots=True)
class WireLimit:
    """What a wire can carry whose loads are out of phase with each other: |sum of weight * current| <= limit.

    For cars between two phases, and for wires before a transformer (`optimizer.wiring` knows the weights). Base load,
    margins and reserves are subtracted from limit_a ([block], 0 or more) already. `ChargingNeed.wires` says who loads it.
    """

    id: str
    label: str
    limit_a: tuple[float, ...]
    source: str = ""

    def __post_init__(self) -> None:
        for limit in self.limit_a:
            _demand(_at_least_zero(limit), f"WireLimit {self.id!r}", "limit_a", "finite numbers, 0 or more", limit)


@dataclass(frozen=True, slots=True)
class Tariff:
    """What energy costs in each block, and what of it is free; any currency, negative prices too.

    import_per_kwh: [block] price of a kWh from the grid. surplus_w: [block] power that would be exported otherwise (0 or
        more; () none). export_per_kwh: [block] what an exported kWh would earn, i.e. the price of charging from surplus
        (() is 0 always).
    peak_per_kw: price of each kW of the site's mean power above peak_w (None: no demand charge). peak_w: the highest mean
        so far in the billing period. background_w: [block] other loads of the site expected, counted in the peak (() is 0).
    currency: how explanations name the money. now_s_of_day: seconds since local midnight, so that they name the time too.
    """

    import_per_kwh: tuple[float, ...]
    surplus_w: tuple[float, ...] = ()
    export_per_kwh: tuple[float, ...] = ()
    peak_per_kw: float | None = None
    peak_w: float = 0.0
    background_w: tuple[float, ...] = ()
    currency: str = "EUR"
    now_s_of_day: float | None = None

    def __post_init__(self) -> None:
        for field in ("import_per_kwh", "export_per_kwh"):
            for price in getattr(self, field):
                _demand(math.isfinite(price), "Tariff", field, "finite numbers", price)
        for field in ("surplus_w", "background_w"):
            for power_w in getattr(self, field):
                _demand(_at_least_zero(power_w), "Tariff", field, "finite numbers, 0 or more", power_w)
        _demand(_at_least_zero(self.peak_w), "Tariff", "peak_w", "finite, 0 or more", self.peak_w)
        if self.peak_per_kw is not None:
            _demand(
                _at_least_zero(self.peak_per_kw), "Tariff", "peak_per_kw", "None or finite, 0 or more", self.peak_per_kw
            )


@dataclass(frozen=True, slots=True)
class Discharge:
    """What a car may give back, as `ChargingNeed.discharge`. Energy is counted at the EVSE, as the energy of charging is.

    It is judged as part of its need, so that an error names the car.

    spare_wh: Wh, 0 or more, that it holds above what must not be gone below, as that took to charge. Giving 1 kWh back takes
        1 / efficiency of it.
    max_a, min_a: amperes per phase that it can give back, 0 or between the two, on `ChargingNeed.step_a`.
    ceiling_a: [block] amperes allowed; None means no constraint.
    efficiency: of the round trip, above 0 and at most 1: kWh given back per kWh charged for it.
    wear_per_kwh: what a kWh given back costs its owner, in the currency of `Problem.tariff`, 0 or more.
    """

    spare_wh: float
    max_a: float = 16.0
    min_a: float = 6.0
    ceiling_a: tuple[float, ...] | None = None
    efficiency: float = 0.8
    wear_per_kwh: float = 0.0

    def most_a(self, block: int) -> float:
        """Amperes per phase that it may give back in the block at most."""
        return self.max_a if self.ceiling_a is None else min(self.max_a, self.ceiling_a[block])


@dataclass(frozen=True, slots=True)
class ChargingNeed:
    """One car at one EVSE and what it wants.

    circuits: ids of all circuits that carry it, leaf first. phases: indexes of the grid phases it loads; the same
        current flows on each of them.
    min_a, max_a, step_a: a running car gets a multiple of step_a between them; otherwise it gets 0 A. A car whose
        maximum is below its minimum cannot run, which is an answer and not an error.
    energy_wh: still wanted; 0 means served. None means unknown: `expected_wh` count as wanted, and more than
        that is given freely but at half the worth, so it yields to cars that are known to want it.
    expected_wh: what counts as wanted where the wish is unknown; `optimizer.habits` makes better guesses.
    wishes_wh: wishes that are equally likely where the wish is unknown, in ascending order: what only some of them contain
        is worth so much less. Empty: `expected_wh` is certain, and what is beyond it worth half.
    presence: [block] how likely (0..1) it is still there, where the departure is a guess; energy planned for then is worth so
        much less. None: it is there until it leaves.
    stayed_s: how long it has been here, where its departure is a guess. `urgent` goes by it: who came first is likely to leave first.
    arrival_s: None: it is here. Else it is expected to come so many seconds from now, and gets nothing in block 0, however soon that
        is; nobody who is here gets less in block 0 because of it.
    departure_s: seconds from now; None means it stays over the horizon. A car that overstayed (0 or less) counts as
        present in block 0: it is still there, so it is still served, and it may leave any moment, so it is urgent.
    ceiling_a: [block] amperes that the CSMS's profiles allow; None means no constraint.
    present_a: what it has now; a car that charges is kept charging rather than swapped for an equal one.
    served_wh: what it got since it came, so that fairness sees the whole of its need.
    wires: for each `WireLimit` that carries it, the phasor that one ampere of the car adds there.
    energy_worth_per_kwh: what a kWh is worth to whoever pays, in the currency of `Problem.tariff`, so that dearer hours are
        left out. None: its energy by departure goes above every price, so prices only choose when.
    discharge: what it may give back; None: nothing. Only the objective `cost` makes use of it, of a car that is here and whose energy and
        departure are known. Who speaks OCPP 2.1 would fill it from the limits of V2X and its operation mode; the gateway does not yet.
    surplus_only: it draws only what `Tariff.surplus_w` covers, its minimum too; nothing where there is no tariff.
    priority: of two cars that cannot both run at their minimum, the higher runs. It does not scale the currents.
        At equal priority a charging car goes before a waiting one, and then the earlier in `Problem.needs`.
    """

    id: str
    circuits: tuple[str, ...]
    phases: tuple[int, ...]
    min_a: float = 6.0
    max_a: float = 32.0
    step_a: float = 0.1
    energy_wh: float | None = None
    departure_s: float | None = None
    ceiling_a: tuple[float, ...] | None = None
    present_a: float = 0.0
    priority: int = 0
    voltage_v: float = 230.0
    served_wh: float = 0.0
    wires: tuple[tuple[str, complex], ...] = ()
    expected_wh: float = DEFAULT_ENERGY_WH
    presence: tuple[float, ...] | None = None
    energy_worth_per_kwh: float | None = None
    surplus_only: bool = False
    wishes_wh: tuple[float, ...] = ()
    arrival_s: float | None = None
    stayed_s: float = 0.0
    discharge: Discharge | None = None

    def power_w(self, current_a: float) -> float:
        """W of so many amperes per phase."""
        return current_a * self.voltage_v * len(self.phases)

    def __post_init__(self) -> None:
        where = f"ChargingNeed {self.id!r}"
        phases_sound = 0 < len(self.phases) == len(set(self.phases)) and set(self.phases) <= {0, 1, 2}
        _demand(phases_sound, where, "phases", "one to three different indexes of 0, 1, 2", self.phases)
        _demand(len(set(self.circuits)) == len(self.circuits), where, "circuits", "different ids", self.circuits)
        for field in ("min_a", "max_a", "present_a", "served_wh", "expected_wh", "stayed_s"):
            _demand(_at_least_zero(getattr(self, field)), where, field, "finite, 0 or more", getattr(self, field))
        for field in ("step_a", "voltage_v"):
            value = getattr(self, field)
            _demand(math.isfinite(value) and value > 0, where, field, "finite, above 0", value)
        if self.energy_wh is not None:
            _demand(_at_least_zero(self.energy_wh), where, "energy_wh", "None or finite, 0 or more", self.energy_wh)
        for field in ("departure_s", "arrival_s", "energy_worth_per_kwh"):
            if (value := getattr(self, field)) is not None:
                _demand(math.isfinite(value), where, field, "None or finite", value)
        for wire, weight in self.wires:
            _demand(cmath.isfinite(weight) and weight != 0, where, f"wires[{wire!r}]", "finite, not 0", weight)
        for likely in self.presence or ():
            _demand(0 <= likely <= 1, where, "presence", "None or numbers from 0 to 1", likely)
        wishes_sound = all(map(_at_least_zero, self.wishes_wh)) and list(self.wishes_wh) == sorted(self.wishes_wh)
        _demand(wishes_sound, where, "wishes_wh", "finite, 0 or more, ascending", self.wishes_wh)
        for ceiling in self.ceiling_a or ():
            _demand(_at_least_zero(ceiling), where, "ceiling_a", "None or finite numbers, 0 or more", ceiling)
        if self.discharge is not None:
            _demand(not self.wires, where, "discharge", "None for a car on wires", self.discharge)
            _demand_discharge(where, self.discharge)


def _demand_discharge(where: str, back: Discharge) -> None:
    for field in ("spare_wh", "max_a", "min_a", "wear_per_kwh"):
        value = getattr(back, field)
        _demand(_at_least_zero(value), where, f"discharge.{field}", "finite, 0 or more", value)
    _demand(0 < back.efficiency <= 1, where, "discharge.efficiency", "above 0, at most 1", back.efficiency)
    for ceiling in back.ceiling_a or ():
        _demand(_at_least_zero(ceiling), where, "discharge.ceiling_a", "None or finite numbers, 0 or more", ceiling)


@dataclass(frozen=True, slots=True)
class Problem:
    """A horizon, the circuits, the wires and the cars. Every limit and ceiling has one entry per block of the horizon."""

    horizon: Horizon
    circuits: tuple[CircuitLimit, ...]
    needs: tuple[ChargingNeed, ...]
    wires: tuple[WireLimit, ...] = ()
    tariff: Tariff | None = None

    def __post_init__(self) -> None:
        blocks = self.horizon.blocks
        _demand_unique("circuits", (circuit.id for circuit in self.circuits))
        _demand_unique("needs", (need.id for need in self.needs))
        _demand_unique("wires", (wire.id for wire in self.wires))
        for circuit in self.circuits:
            for field in ("available_a", "feed_in_a", "together_a"):
                _demand_blocks(f"CircuitLimit {circuit.id!r}", field, getattr(circuit, field), blocks)
        for wire in self.wires:
            _demand_blocks(f"WireLimit {wire.id!r}", "limit_a", wire.limit_a, blocks)
        known, known_wires = {circuit.id for circuit in self.circuits}, {wire.id for wire in self.wires}
        for need in self.needs:
            where = f"ChargingNeed {need.id!r}"
            _demand(known.issuperset(need.circuits), where, "circuits", "ids of Problem.circuits", need.circuits)
            wires = [wire for wire, _ in need.wires]
            sound = known_wires.issuperset(wires) and len(set(wires)) == len(wires)
            _demand(sound, where, "wires", "different ids of Problem.wires", wires)
            _demand_blocks(where, "presence", need.presence, blocks)
            _demand_blocks(where, "ceiling_a", need.ceiling_a, blocks)
            if need.discharge is not None:
                _demand_blocks(where, "discharge.ceiling_a", need.discharge.ceiling_a, blocks)
        if self.tariff is not None:
            _demand_tariff(self.tariff, blocks)


def _demand_tariff(tariff: Tariff, blocks: int) -> None:
    _demand_blocks("Tariff", "import_per_kwh", tariff.import_per_kwh, blocks)
    for field in ("surplus_w", "export_per_kwh", "background_w"):
        known = len(getattr(tariff, field))
        _demand(known in {0, blocks}, "Tariff", field, f"empty or {blocks} blocks", known)


ReasonCode = Literal[
    "circuit",
    "shared",
    "vehicle_max",
    "csms_profile",
    "energy_met",
    "minimum_rate",
    "price",
    "peak",
    "surplus",
    "expected",
    "discharge",
]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a car gets no more in block 0.

    code: "circuit"       a circuit is full
          "shared"        another car on that circuit gets more, and why
          "vehicle_max"   the maximum of car, cable or station
          "csms_profile"  the CSMS's charging profile
          "energy_met"    it wants no more
          "minimum_rate"  it is paused because what is left is less than its minimum
          "price"         it waits for a lower one, or a kWh costs more than it is worth
          "peak"          more would raise the site's peak
          "surplus"       there is no more of it
          "expected"      it is not here yet
          "discharge"     why it gives energy back, or why it does not although it could
    text: one sentence in plain English with numbers and units. circuit, phase: the row that binds, if one does.
    limit_a: the amperes per phase that the code speaks of (of the circuit: what it has for all cars).
    """

    code: ReasonCode
    text: str
    circuit: str | None = None
    phase: int | None = None
    limit_a: float | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """Currents per need and block, in amperes per phase; below 0 is given back, by cars with `ChargingNeed.discharge` only.

    Block 0 can be told to stations: 0 or at least the minimum, on steps, no circuit or ceiling exceeded, also if all cars that
    give back stopped. The later blocks keep all limits too, but are a plan: steps and minimums are applied when their time comes.
    status: "optimal" the plan of the program; "share" max-min fair shares, asked for or because the solver gave up;
        "timeout_share" the same because time ran out; "empty" nobody needs anything.
    solve_s: seconds spent building and solving the program; 0 where none was solved.
    """

    currents_a: Mapping[str, tuple[float, ...]]
    status: Literal["optimal", "share", "timeout_share", "empty"]
    solve_s: float
    reasons: Mapping[str, tuple[Reason, ...]]
