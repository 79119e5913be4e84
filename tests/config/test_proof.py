"""The electrical proof: stories with numbers, and the law that the verdict equals a sum made by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.config.proof import proof, violations
from local_controller.site.topology import Evse, Node, Station, Topology, grid_phases
from local_controller.station.words import EvseId

ROTATIONS = ("RST", "RTS", "SRT", "STR", "TRS", "TSR", "R", "S", "T")
PHASES = ("L1", "L2", "L3")


def station(name: str, circuit: str, rotation: str = "RST", fallback_a: float = 6.0) -> Station:
    return Station(name, name, (Evse(EvseId(name, 1), circuit, grid_phases(rotation), fallback_a=fallback_a),))


def messages(topology: Topology) -> list[str]:
    return [violation.message for violation in violations(topology)]


def test_the_message_has_node_phase_numbers_and_remedy() -> None:
    garage = Node("garage", "Garage", "grid", (63.0, 50.0, 63.0), base_a=(30.0, 30.0, 30.0))
    grid = Node("grid", "Grid", None, (100.0,) * 3, base_a=(40.0,) * 3)
    stations = tuple(station(f"CP-{n}", "garage") for n in range(1, 5))
    assert messages(Topology((grid, garage), stations)) == [
        "Garage L2: 4 × 6 A fallback + 30 A base = 54 A > 50 A: lower fallback_a, or set it to 0 for CP-4",  # noqa: RUF001  (as it is printed)
    ]


def test_phases_with_the_same_numbers_share_a_message_and_the_contract_counts() -> None:
    grid = Node("grid", "Grid", None, (63.0,) * 3, contract_a=(20.0,) * 3, base_a=(10.0,) * 3)
    stations = (station("CP-1", "grid", "RST", 8.0), station("CP-2", "grid", "STR", 6.0))
    (message,) = messages(Topology((grid,), stations))
    assert message == (
        "Grid L1, L2, L3: 1 × 6 A + 1 × 8 A fallback + 10 A base = 24 A > 20 A:"  # noqa: RUF001  (as it is printed)
        " lower fallback_a, or set it to 0 for CP-2"
    )


def test_each_phase_names_the_stations_that_load_it() -> None:
    grid = Node("grid", "Grid", None, (5.0, 5.0, 5.0))
    stations = (station("CP-1", "grid", "R"), station("CP-2", "grid", "S"))
    found = messages(Topology((grid,), stations))
    assert [message[:7] + message[-4:] for message in found] == ["Grid L1CP-1", "Grid L2CP-2"]


def test_pausing_every_station_does_not_help_where_the_building_alone_is_too_much() -> None:
    grid = Node("grid", "Grid", None, (20.0, 63.0, 63.0), base_a=(21.0, 0.0, 0.0))
    assert messages(Topology((grid,), ())) == [
        "Grid L1: 21 A base = 21 A > 20 A: the assumed base load alone is too much"
    ]


def test_a_site_that_just_fits_is_safe() -> None:
    grid = Node("grid", "Grid", None, (16.3, 16.3, 16.3), base_a=(10.1, 10.2, 10.3))
    assert messages(Topology((grid,), (station("CP-1", "grid"),))) == []


def test_a_base_load_that_forgets_the_circuits_is_refused() -> None:
    grid = Node("grid", "Grid", None, (63.0,) * 3, base_a=(10.0, 5.0, 10.0))
    garage = Node("garage", "Garage", "grid", (63.0,) * 3, base_a=(8.0,) * 3)
    (message,) = messages(Topology((grid, garage), ()))
    assert message == (
        "Grid L2: assumed base load 5 A is less than the 8 A of the circuits behind it:"
        " it counts everything behind this fuse but the stations"
    )


def test_every_node_and_phase_has_a_row_with_its_headroom() -> None:
    grid = Node("grid", "Grid", None, (20.0, 25.0, 32.0), base_a=(1.0, 2.0, 3.0))
    rows = proof(Topology((grid,), (station("CP-1", "grid", "S"),)))
    assert [(row.phase, row.fallback_a, row.headroom_a) for row in rows] == [
        ("L1", 0, 19),
        ("L2", 6, 17),
        ("L3", 0, 29),
    ]


amps = st.integers(0, 40).map(float)
triples = st.tuples(amps, amps, amps)


@st.composite
def trees(draw: st.DrawFn) -> Topology:
    """A tree of up to six nodes with up to eight stations; every base load covers those behind it."""
    count = draw(st.integers(1, 6))
    parents = [None, *(draw(st.integers(0, n - 1)) for n in range(1, count))]
    base = [draw(triples) for _ in range(count)]
    for index in range(count - 1, 0, -1):
        above = parents[index]
        assert above is not None
        base[above] = tuple(a + b for a, b in zip(base[above], base[index], strict=True))
    nodes = [
        Node(f"n{i}", f"N{i}", None if above is None else f"n{above}", draw(triples), base_a=base[i])
        for i, above in enumerate(parents)
    ]
    stations = [
        station(f"S{i}", f"n{draw(st.integers(0, count - 1))}", draw(st.sampled_from(ROTATIONS)), draw(amps))
        for i in range(draw(st.integers(0, 8)))
    ]
    return Topology(tuple(draw(st.permutations(nodes))), tuple(stations))


@pytest.mark.requirement("LC-106", "LC-112")
@settings(deadline=None)
@given(trees())
def test_law_the_verdict_equals_the_sum_by_hand(topology: Topology) -> None:
    parent = {node.id: node.parent for node in topology.nodes}
    unsafe: set[tuple[str, str]] = set()
    for node in topology.nodes:
        for phase in range(3):
            sum_a = node.base_a[phase]
            for evse in topology.evses:
                above: str | None = evse.node
                while above is not None and above != node.id:
                    above = parent[above]
                if above == node.id and phase in evse.grid_phases:
                    sum_a += evse.fallback_a
            if sum_a > node.rating_a[phase]:
                unsafe.add((node.id, PHASES[phase]))
    assert {(row.node, row.phase) for row in proof(topology) if not row.holds} == unsafe
    assert {violation.node for violation in violations(topology)} == {node_id for node_id, _ in unsafe}
