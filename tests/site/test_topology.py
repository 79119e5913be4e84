"""The electrical tree: who carries whom, and which grid phase is behind which phase of a station."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.site.topology import Evse, FuseType, Node, Station, Topology, grid_phases
from local_controller.station.words import EvseId, Phase

L1, L2, L3 = Phase


def node(node_id: str, parent: str | None = "grid", rating_a: float = 63.0) -> Node:
    return Node(node_id, node_id.title(), parent, (rating_a,) * 3, FuseType.MCB)


def station(name: str, circuit: str, *rotations: str, fallback_a: float = 6.0) -> Station:
    evses = (
        Evse(EvseId(name, number), circuit, grid_phases(rotation), fallback_a=fallback_a)
        for number, rotation in enumerate(rotations, start=1)
    )
    return Station(name, name, tuple(evses))


# the order of the file does not matter: a child may stand before its parent
GARAGE = Topology(
    (node("east", "garage"), node("garage"), node("roof"), node("grid", None)),
    (station("CP-1", "east", "RST", "STR"), station("CP-2", "garage", "TRS"), station("CP-3", "roof", "S")),
)


def test_the_grid_connection_comes_first_and_every_parent_before_its_children() -> None:
    assert [n.id for n in GARAGE.nodes] == ["grid", "garage", "roof", "east"]
    assert GARAGE.root.id == "grid"
    assert [n.id for n in GARAGE.children("grid")] == ["garage", "roof"]
    assert GARAGE.children("east") == ()


def test_a_path_runs_from_the_evses_own_circuit_to_the_grid() -> None:
    assert GARAGE.path(EvseId("CP-1", 2)) == ("east", "garage", "grid")
    assert GARAGE.path(EvseId("CP-3", 1)) == ("roof", "grid")


def test_a_node_carries_what_is_behind_its_circuits() -> None:
    assert [str(evse.id) for evse in GARAGE.evses_below("garage")] == ["CP-1/1", "CP-1/2", "CP-2/1"]
    assert len(GARAGE.evses_below("grid")) == len(GARAGE.evses) == 4


@pytest.mark.requirement("LC-112")
@pytest.mark.parametrize(
    ("rotation", "l1", "l2", "l3"),
    [
        # OCPP ConnectorPhaseRotation: the letters are the grid's phases, their order is the connector's
        ("RST", 0, 1, 2),
        ("RTS", 0, 2, 1),
        ("SRT", 1, 0, 2),
        ("STR", 1, 2, 0),
        ("TRS", 2, 0, 1),
        ("TSR", 2, 1, 0),
    ],
)
def test_the_rotation_says_which_grid_phase_is_behind_a_phase(rotation: str, l1: int, l2: int, l3: int) -> None:
    evse = Evse(EvseId("CP", 1), "grid", grid_phases(rotation))
    assert (evse.grid_phase(L1), evse.grid_phase(L2), evse.grid_phase(L3)) == (l1, l2, l3)


@pytest.mark.requirement("LC-112")
def test_currents_of_a_rotated_station_land_on_the_grids_phases() -> None:
    assert GARAGE.evse(EvseId("CP-1", 2)).on_grid({L1: 16.0, L2: 10.0}) == (0.0, 16.0, 10.0)
    assert GARAGE.grid_phase(EvseId("CP-2", 1), L1) == 2


@pytest.mark.requirement("LC-112")
def test_a_single_phase_station_loads_its_one_phase_whatever_it_calls_it() -> None:
    evse = GARAGE.evse(EvseId("CP-3", 1))
    assert evse.station_phases == (L1,)
    assert evse.on_grid({L1: 9.0}) == evse.on_grid({L2: 9.0}) == (0.0, 9.0, 0.0)


def test_the_lower_one_of_fuse_and_contract_is_the_limit() -> None:
    root = Node("grid", "Grid", None, (63.0, 63.0, 50.0), contract_a=(55.0, 70.0, 50.0))
    assert root.limit_a == (55.0, 63.0, 50.0)
    assert node("grid", None).limit_a == (63.0, 63.0, 63.0)


@pytest.mark.parametrize(
    ("nodes", "stations", "complaint"),
    [
        ((node("a"),), (), "the parent 'grid' of 'a' does not exist"),
        ((node("grid", None), node("a", "b"), node("b", "a")), (), "in a circle: a -> b -> a"),
        ((node("grid", None), node("site", None)), (), "exactly one grid connection"),
        ((), (), "exactly one grid connection"),
        ((node("grid", None), node("a"), node("a")), (), "used twice: a"),
        ((node("grid", None),), (station("CP", "a", "RST"),), "no such circuit for CP/1"),
        ((node("grid", None),), (station("CP", "grid", "R"), station("CP", "grid", "S")), "used twice: CP"),
    ],
)
def test_what_is_no_tree_is_refused(nodes: tuple[Node, ...], stations: tuple[Station, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Topology(nodes, stations)


@settings(deadline=None)
@given(st.text("RSTLN123", max_size=4))
def test_a_rotation_is_a_permutation_or_one_phase_and_nothing_else(text: str) -> None:
    try:
        phases = grid_phases(text)
    except ValueError:
        assert len(text) not in {1, 3} or len(set(text)) != len(text) or not set(text) <= set("RST")
    else:
        assert "".join("RST"[phase] for phase in phases) == text
