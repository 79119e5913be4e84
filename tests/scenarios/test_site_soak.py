"""Would the soak of sites notice a controller that overloads a fuse? Broken ones are found out; the right one is not."""

from __future__ import annotations

import json

import pytest

from local_controller.site.base_load import BaseLoad
from local_controller.site.evse import EvseState
from local_controller.site.limit_book import LimitBook
from local_controller.site.limits import Bounds
from local_controller.site.per_phase import ZERO
from tests.effort import EFFORT
from tests.scenarios import site_soak, soaking
from tests.scenarios.site_soak import Story

UNEVEN = 28
"""A site with an asymmetry limit."""

POWERED = 101
"""A site with a limit in watts."""

STEADY = next(seed for seed in range(100) if not Story.of(seed).moves)

SHORT = min(
    (seed for seed in range(100) if not Story.of(seed).moves), key=lambda seed: sum(s[3] for s in Story.of(seed).steps)
)
"""The shortest of the same kind: it is told once for each of its steps."""


@pytest.mark.requirement("LC-107", "LC-109", "LC-112", "LC-116")
def test_no_fuse_bears_more_than_the_goals_allow(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    totals = site_soak.soak(4.0 * EFFORT, 0, said.append)
    assert totals["station_hours"] >= 4 * EFFORT
    assert totals["violations"] == 0, said
    assert capsys.readouterr().out == ""


def test_the_number_of_processes_changes_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soaking, "ROUND", 3)
    one, two = (site_soak.soak(2.0, 0, lambda _: None, jobs) for jobs in (1, 2))
    assert one == two
    assert one["stories"] > 1


def test_a_car_that_has_followed_long_ago_explains_no_overload(monkeypatch: pytest.MonkeyPatch) -> None:
    """The building takes 15 A more while a car measured once a minute was just lowered: 55 A flowed for a minute behind 53 A."""
    assert Story.of(0).moves
    assert Story.of(0).told().fault is None
    monkeypatch.setattr(EvseState, "_followed_a", lambda *_: 1000.0)
    assert "more than there was room for" in (Story.of(0).told().fault or "")


def test_a_controller_that_overlooks_the_building_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseLoad, "update", lambda self, *_: setattr(self, "current_a", ZERO))
    assert any(Story.of(seed).told().fault for seed in range(20))


@pytest.mark.requirement("LC-112")
def test_a_controller_that_takes_cars_for_even_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Story.of(UNEVEN).told().fault is None
    monkeypatch.setattr(EvseState, "is_uneven", lambda self, _now: self.session is None)
    assert "phases differ by 10.8 A too much" in (Story.of(UNEVEN).told().fault or "")


def test_a_violation_is_shown_by_its_shortest_timeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_soak, "INTEGRAL_S", -1.0)
    story = Story.of(SHORT)
    assert len(story.steps) > 1
    assert story.told().fault == "S = 0.0 s"
    assert story.shortened().steps == ()


def test_the_last_line_tells_station_hours_and_violations(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["site_soak", "--hours", "0.1", "--first-seed", str(STEADY)])
    assert site_soak.main() == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["violations"] == 0


def test_a_controller_that_adds_up_no_phases_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Story.of(POWERED).told().fault is None
    bounds = LimitBook.bounds
    monkeypatch.setattr(LimitBook, "bounds", lambda *about: Bounds(bounds(*about).amperes))
    assert "W too much" in (Story.of(POWERED).told().fault or "")
