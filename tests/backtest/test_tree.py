"""A site of circuits as a network: what an EVSE loads, what a fuse leaves, and cars on fewer phases than their EVSE."""

from __future__ import annotations

import numpy as np
import pytest

from backtest.tree import ANY, Circuit, Kind, Outlet, tree

GRID = Circuit("grid", None, (63.0, 63.0, 63.0), (20.0, 10.0, 0.0), (2.0, 2.0, 2.0))
YARD = Circuit("yard", "grid", (32.0, 32.0, 32.0))
A, B = Outlet("A/1", "yard", (0, 1, 2), 16.0), Outlet("B/1", "grid", (1,), 32.0)


def test_currents_load_the_circuits_and_phases_above_them_and_fuses_leave_what_others_do_not_take() -> None:
    site = tree((GRID, YARD), (A, B))
    loads = dict(zip(site.network.limits, site.network.C.real.tolist(), strict=True))
    assert loads == {
        "grid, L1": [1, 0],
        "grid, L2": [1, 1],
        "grid, L3": [1, 0],
        "yard, L1": [1, 0],
        "yard, L2": [1, 0],
        "yard, L3": [1, 0],
    }
    assert site.network.lim.tolist() == [41.0, 51.0, 61.0, 32.0, 32.0, 32.0]
    assert site.fuse_a.tolist() == [43.0, 53.0, 63.0, 32.0, 32.0, 32.0]
    assert site.network.a2k.tolist() == pytest.approx([3 * 230 / 12_000, 230 / 12_000])


def test_a_car_on_one_phase_is_a_column_of_its_own_on_the_first_phase_of_its_evse() -> None:
    turned = Outlet("C/1", "grid", (2, 0, 1), 32.0)
    site = tree((GRID,), (turned,), [("C/1", Kind(1, 10.5)), ("C/1", ANY), ("C/1", Kind(1, 10.5))])
    assert site.columns == (("C/1", ANY), ("C/1", Kind(1, 10.5)))
    assert site.network.C.real[:, 1].tolist() == [0, 0, 1]
    assert (site.network.max.tolist(), site.network.stations[1]) == ([32.0, 10.0], "C/1 (1 ph 10.5 A)")
    assert np.array_equal(site.network.allowed[1], [0, 6, 7, 8, 9, 10])


@pytest.mark.parametrize(
    ("circuits", "outlets", "kinds", "why"),
    [
        ((GRID,), (A,), (), "A/1: yard is no circuit of a tree that has grid"),
        (
            (Circuit("x", "y", (1.0, 1.0, 1.0)), Circuit("y", "x", (1.0, 1.0, 1.0))),
            (Outlet("A", "x"),),
            (),
            "A: x is no circuit",
        ),
        ((GRID, YARD), (A,), [("Z/1", ANY)], "Z/1: no EVSE of the site, which has A/1"),
        ((GRID, YARD), (A,), [("A/1", Kind(None, 5.0))], "A/1: has less than 6 A, with which no car charges"),
    ],
)
def test_what_is_not_there_is_named(
    circuits: tuple[Circuit, ...], outlets: tuple[Outlet, ...], kinds: list[tuple[str, Kind]], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        tree(circuits, outlets, kinds)
