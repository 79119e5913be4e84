"""Grids and their lines in a site file: what it becomes, and what does not fit together."""

from __future__ import annotations

import math

import pytest

from local_controller.config.build import topology
from local_controller.config.load import examined
from local_controller.site.wiring import GridSystem

SITE = """\
site: {name: Library, mode: control, system: split_phase}
csms: {url: wss://csms.example.com}
grid_connection: {fuse_a: [200, 150], assumed_base_load_a: 60}
stations:
  - {id: A, phases: [L2, L1], max_a: 48}
  - {id: B, phases: 1, rotation: L2, max_a: 16}
"""
THREE = (
    SITE.replace("split_phase", "line_to_line")
    .replace("[200, 150]", "200")
    .replace("phases: 1, rotation: L2", "phases: [L2, L3]")
)


def told(text: str) -> list[str]:
    config, mistakes = examined(text, ())
    assert (config is None) == bool(mistakes)
    return [f"{mistake.place.line}:{mistake.place.column}: {mistake.message}" for mistake in mistakes]


def test_a_split_phase_site_has_two_legs() -> None:
    config, _ = examined(SITE, ())
    assert config is not None
    tree = topology(config)
    assert (tree.grid.system, tree.grid.nominal_v, tree.adds_up) == (GridSystem.SPLIT_PHASE, 120.0, True)
    assert (tree.root.rating_a[:2], tree.root.base_a) == ((200.0, 150.0), (60.0, 60.0, 0.0))
    assert [(e.grid_phases, e.is_between, e.line_v) for e in tree.evses] == [
        ((0, 1), True, 120.0),
        ((1,), False, 120.0),
    ]
    assert [one.phase_v for one in tree.stations] == [240.0, 120.0]


def test_a_site_without_neutral_has_the_voltage_between_its_lines() -> None:
    config, _ = examined(THREE, ())
    assert config is not None
    tree = topology(config)
    assert (tree.grid.between_v, tree.adds_up) == (230.0, False)
    assert tree.root.line_v == pytest.approx(230.0 / math.sqrt(3))
    assert [(e.grid_phases, e.line_v) for e in tree.evses] == [((0, 1), 115.0), ((1, 2), 115.0)]
    assert [one.phase_v for one in tree.stations] == [230.0, 230.0]


def test_a_wye_of_208_v_has_stations_between_its_lines_as_well() -> None:
    text = THREE.replace("system: line_to_line", "nominal_voltage_v: 120")
    config, _ = examined(text, ())
    assert config is not None
    tree = topology(config)
    assert [round(one.phase_v, 1) for one in tree.stations] == [207.8, 207.8]
    assert not tree.adds_up


def test_the_evses_of_a_station_may_stand_between_different_lines() -> None:
    config, _ = examined(THREE.replace("max_a: 48", "evses: [{}, {phases: [L3, L1]}]"), ())
    assert config is not None
    assert [e.grid_phases for e in topology(config).evses] == [(0, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize(
    ("text", "old", "new", "mistake"),
    [
        (SITE, "phases: [L2, L1], ", "", "5:5: stations[A].phases: split_phase has L1 and L2 and no more: write phases: [L1, L2] for a station at 240 V, or phases: 1 and rotation: L1 or L2 for one at 120 V"),
        (SITE, "rotation: L2", "rotation: L3", "6:34: stations[B].rotation: split_phase has L1 and L2 and no L3: write phases: [L1, L2] for a station at 240 V, or phases: 1 and rotation: L1 or L2 for one at 120 V"),
        (SITE, "[L2, L1]", "[L1, L3]", "5:21: stations[A].phases: split_phase has L1 and L2 and no L3: write phases: [L1, L2] for a station at 240 V, or phases: 1 and rotation: L1 or L2 for one at 120 V"),
        (SITE, "[200, 150]", "[200, 150, 200]", "3:27: grid_connection.fuse_a: must be one number or a list of two, for L1 and L2: there is no L3 on split_phase"),
        (SITE, "fuse_a: [", "asymmetry_a: 20, fuse_a: [", "3:32: grid_connection.asymmetry_a: is about three phases whose cars stand between a phase and neutral: remove it"),
        (SITE, "[L2, L1]", "[L1, L1]", "5:21: stations[A].phases: must be 1, 3, or the two lines that it stands between, such as [L1, L2]"),
        (SITE, "[L2, L1]", "2", "5:21: stations[A].phases: must be 1, 3, or the two lines that it stands between, such as [L1, L2]"),
        (SITE, "[L2, L1]", "[[L1], {a: 1}]", "5:21: stations[A].phases: must be 1, 3, or the two lines that it stands between, such as [L1, L2]"),
        (SITE, "max_a: 48", "rotation: RST", "5:41: stations[A].rotation: phases says already on which lines it is: remove one of the two"),
        (SITE, "max_a: 16", "evses: [{phases: [L1, L2]}]", "6:55: stations[B].evses[#1].phases: only where the station names two lines as well: phases: [L1, L2]"),
        (SITE, "split_phase", "splitphase", "1:46: site.system: must be one of three_phase_wye, split_phase, line_to_line, single_phase - did you mean split_phase?"),
        (THREE, "phases: [L2, L3]", "phases: 1, rotation: L2", "6:21: stations[B].phases: line_to_line has no neutral: name the two lines that it stands between, as in phases: [L1, L2]"),
        (THREE, "assumed_base_load_a: 60", "assumed_base_load_a: [60, 60]", "3:53: grid_connection.assumed_base_load_a: must be one number for all phases or a list of three, for L1, L2, L3"),
        (THREE, ", system: line_to_line", "", "5:21: stations[A].phases: 398 V between two lines is more than the 277 V that a car takes on one phase: write phases: 1 or 3, or site.nominal_voltage_v: 120 if this is 120/208 V"),
        (THREE, "line_to_line", "single_phase", "5:21: stations[A].phases: single_phase has L1 and no more: write phases: 1 and rotation: L1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_its_place_and_a_remedy(text: str, old: str, new: str, mistake: str) -> None:
    assert old in text
    assert mistake in told(text.replace(old, new))


def test_a_grid_that_is_misspelt_is_the_only_mistake() -> None:
    (mistake,) = told(SITE.replace("split_phase", "split"))
    assert mistake.startswith("1:46: site.system: must be one of ")
