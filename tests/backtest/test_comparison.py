"""Two cars behind a fuse for one: what each way of charging makes of it, to the kilowatt-hour."""

from __future__ import annotations

import pytest

from backtest.comparison import Outcome, compare, ways
from backtest.sessions import Session, weekdays
from backtest.tree import Circuit, Outlet, Tree, tree

KW = 16 * 0.69
"""What 16 A on three phases bring."""


def site_for_one() -> Tree:
    """18 A of 20 A are left for cars of 16 A; 30 A and 10 A of that are the building's."""
    grid = Circuit("grid", None, (30.0,) * 3, (10.0,) * 3, (2.0,) * 3)
    return tree((grid,), (Outlet("A/1", "grid", max_a=16.0), Outlet("B/1", "grid", max_a=16.0)))


def ran(site: Tree, *sessions: Session) -> dict[str, Outcome]:
    said: list[str] = []
    found = compare(site, sessions, list(ways(site, "even")), two_stage=False, say=said.append)
    assert [text.split(" ", 1)[1] for text in said] == [one.name for one in found]
    return {one.name: one for one in found}


def test_uncontrolled_the_fuse_bears_too_much_and_controlled_it_never_does() -> None:
    """A stays for four hours, B for two; each wants two hours of full current."""
    found = ran(site_for_one(), Session("a", 0, 0, 48, 2 * KW), Session("b", 1, 0, 24, 2 * KW))
    free = found.pop("uncontrolled")
    assert (free.delivered_pct, free.badly_served, free.hours_above) == (pytest.approx(100.0), 0, 2.0)
    assert free.peak_a.tolist() == [42.0] * 3
    for one in found.values():
        assert one.hours_above == 0
        assert max(one.peak_a) <= 28.0 + 1e-6
    assert found["round robin"].served == pytest.approx((1.0, 9 / 16)), "alike, and then A alone"
    assert found["first come"].served == pytest.approx((1.0, 6 / 16), abs=0.13)
    assert found["optimizer"].served == pytest.approx((1.0, 12 / 16)), "A waits with all but its minimum"


def test_what_is_told_as_json_names_circuits_and_phases() -> None:
    site = site_for_one()
    found = ran(site, Session("a", 0, 0, 12, KW))
    told = found["uncontrolled"].as_json(site)
    assert told["delivered_kwh"] == pytest.approx(KW, abs=0.01)
    assert told["circuits"] == {"grid": [{"peak_a": 26.0, "fuse_a": 30.0, "above_h": 0.0}] * 3}


def test_nobody_comes_and_nothing_happens() -> None:
    (one, *_) = ran(site_for_one()).values()
    assert (one.delivered_pct, one.stops_per_session, one.hours_above) == (100.0, 0.0, 0.0)


def test_on_made_up_days_no_way_but_none_exceeds_a_fuse_and_more_cars_come_when_asked_for() -> None:
    site = tree(
        (Circuit("grid", None, (40.0,) * 3), Circuit("row", "grid", (20.0,) * 3)),
        [Outlet(f"{n}/1", "row" if n < 3 else "grid", ((0, 1, 2), (1,))[n % 2], 32.0) for n in range(6)],
    )
    few, many = (weekdays(site.network, 1, 3, cars) for cars in (6, 12))
    assert len(few) < len(many)
    free, *controlled = compare(site, many, list(ways(site, "throughput")))
    assert free.hours_above > 0
    assert all(one.hours_above == 0 for one in controlled)
    assert all(one.delivered_kwh <= free.delivered_kwh + 1e-6 for one in controlled)
