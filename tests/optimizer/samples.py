"""Which problems do the tests pose? Hypothesis strategies for any site, and a garage for stories."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from optimizer.problem import PHASES, ChargingNeed, CircuitLimit, Horizon, Problem, WireLimit
from optimizer.wiring import before_transformer, between, to_neutral

PHASE_SETS = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2), (2, 0, 1))
HALF_HOURS = Horizon((0.0, 300.0, 2100.0, 3900.0, 5700.0))


@cache
def amperes(low: float, high: float) -> st.SearchStrategy[float]:
    """Round numbers, where edge cases live, and any others."""
    return st.integers(int(low), int(high)).map(float) | st.floats(low, high)


@cache
def series(of: st.SearchStrategy[Any], blocks: int) -> st.SearchStrategy[tuple[Any, ...]]:
    """One for each block. Every strategy is made once: to make one takes longer than to draw from it."""
    return st.lists(of, min_size=blocks, max_size=blocks).map(tuple)


CIRCUITS = st.sampled_from((("main",), ("panel", "main"), ("side", "panel", "main"), ("side", "main")))
PHASES_USED = st.sampled_from(PHASE_SETS)
LEAST = st.sampled_from((6.0, 6.0, 0.0, 6.25, 13.0))
MOST = st.sampled_from((32.0, 16.0, 10.3, 6.0, 5.0, 0.0))
STEPS = st.sampled_from((0.1, 1.0, 0.5, 4.0, 1 / 3))
ENERGY = st.one_of(st.just(0.0), st.floats(0.0, 100.0), st.floats(0.0, 40_000.0))
PERHAPS_ENERGY = st.none() | ENERGY
ARRIVALS = st.sampled_from((None, None, None, 0.0, 900.0))
DEPARTURES = st.none() | st.floats(-3600.0, 7200.0)
CEILING = st.sampled_from((0.0, 4.0, 8.3, 32.0))
PRESENT = st.sampled_from((0.0, 6.0, 16.0))
PRIORITY = st.integers(-1, 1)
VOLTAGE = st.sampled_from((230.0, 120.0, 240.0))
WISHES = st.just(()) | st.lists(st.floats(0.0, 40_000.0), max_size=6).map(sorted).map(tuple)
STAYED = st.sampled_from((0.0, 0.0, 7200.0, 90_000.0))
PRESENCE = {
    blocks: st.sampled_from((None, None, (0.0,) * blocks, tuple(1.0 / (k + 1) for k in range(blocks))))
    for blocks in range(1, 5)
}
PERHAPS_CEILING = {blocks: st.none() | series(CEILING, blocks) for blocks in PRESENCE}


@cache
@st.composite
def needs(draw: st.DrawFn, name: str, blocks: int, *, known: bool) -> ChargingNeed:
    """Any car below the main circuit and perhaps one or two panels; `known` ones say what they want."""
    return ChargingNeed(
        name,
        draw(CIRCUITS),
        draw(PHASES_USED),
        min_a=draw(LEAST),
        max_a=draw(MOST),
        step_a=draw(STEPS),
        energy_wh=draw(ENERGY if known else PERHAPS_ENERGY),
        arrival_s=draw(ARRIVALS),
        departure_s=draw(DEPARTURES),
        ceiling_a=draw(PERHAPS_CEILING[blocks]),
        present_a=draw(PRESENT),
        priority=draw(PRIORITY),
        voltage_v=draw(VOLTAGE),
        wishes_wh=draw(WISHES),
        presence=draw(PRESENCE[blocks]),
        stayed_s=draw(STAYED),
    )


TRIPLE = st.tuples(*[amperes(-20, 70)] * 3)
EITHER = st.integers(0, 1)
TOGETHER = {blocks: st.none() | series(amperes(-20, 160), blocks) for blocks in PRESENCE}


@cache
@st.composite
def limits(draw: st.DrawFn, name: str, blocks: int) -> CircuitLimit:
    """Any circuit: two sets of amperes that alternate anyhow."""
    pair = (draw(TRIPLE), draw(TRIPLE))
    available = tuple(pair[draw(EITHER)] for _ in range(blocks))
    return CircuitLimit(name, name.title(), available, together_a=draw(TOGETHER[blocks]))


WIRED = st.sampled_from((None, to_neutral(0), to_neutral(0, 1, 2), between(0, 1), between(1, 2), between(0, 2)))
EVEN = st.booleans()


@st.composite
def wired_problems(draw: st.DrawFn, *, most: int = 7) -> Problem:
    """Any site whose cars are between phases or to neutral, on panels behind a transformer and before it."""
    problem = draw(problems(most=most))
    names = [f"{side}-{phase}" for side in ("panel", "supply") for phase in PHASES]
    amps = series(amperes(0, 70), problem.horizon.blocks)
    wires = tuple(WireLimit(name, name.title(), draw(amps), "100 A") for name in names)
    return replace(problem, needs=tuple(_wired(draw, need) for need in problem.needs), wires=wires)


def _wired(draw: st.DrawFn, need: ChargingNeed) -> ChargingNeed:
    loads = draw(WIRED)
    if loads is None:
        return need
    sides = {"panel": loads, "supply": before_transformer(loads, 0.25)}
    weights = [(f"{side}-{name}", w) for side, of in sides.items() for name, w in zip(PHASES, of, strict=True)]
    circuits = need.circuits if draw(EVEN) else ()
    return replace(need, circuits=circuits, wires=tuple((name, w) for name, w in weights if abs(w) > 1e-9))


WIDTHS = st.lists(st.sampled_from((300.0, 900.0, 1800.0)), min_size=1, max_size=max(PRESENCE))


@cache
def cars(most: int) -> st.SearchStrategy[int]:
    """How many."""
    return st.integers(0, most)


@cache
@st.composite
def problems(draw: st.DrawFn, *, known: bool = False, most: int = 7) -> Problem:
    """Any site: overloaded, empty, with limits that change, with cars that cannot run."""
    widths = draw(WIDTHS)
    horizon = Horizon(tuple(sum(widths[:index], 0.0) for index in range(len(widths) + 1)))
    circuits = tuple(draw(limits(name, len(widths))) for name in ("main", "panel", "side"))
    here = range(draw(cars(most)))
    return Problem(horizon, circuits, tuple(draw(needs(f"CP-{one}", len(widths), known=known)) for one in here))


def garage(
    *needs: ChargingNeed, available_a: float | tuple[float, ...] = 63.0, horizon: Horizon = HALF_HOURS
) -> Problem:
    """A garage behind one fuse with the same amperes on all phases, per block or always."""
    per_block = available_a if isinstance(available_a, tuple) else (available_a,) * horizon.blocks
    fuse = CircuitLimit("garage", "Garage fuse", tuple((a, a, a) for a in per_block), ("63 A",) * 3)
    return Problem(horizon, (fuse,), needs)


def car(name: str, phases: tuple[int, ...] = (0, 1, 2), **wishes: Any) -> ChargingNeed:
    """A car in that garage."""
    return ChargingNeed(name, ("garage",), phases, **wishes)
