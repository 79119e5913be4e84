"""When is a new plan due, and whom does the present one bind?"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local_controller.clock import Instant
from local_controller.site.capacity import Left
from local_controller.site.plan import Plan, PlanPace
from local_controller.site.planning import horizon_at
from optimizer.problem import Allocation
from tests.site.virtual_site import START

ROOM = Left({"grid": (30.0, 30.0, 30.0)}, {"grid": 60.0})


def answer(**currents: float) -> Allocation:
    return Allocation({f"{name}/1": (amps,) for name, amps in currents.items()}, "optimal", 0.01, {})


def test_a_plan_of_the_session_before_does_not_bind_the_next_one() -> None:
    plan = Plan(PlanPace())
    number = plan.asked(ROOM, START)
    plan.forget("A/1")  # while the worker computes
    assert plan.answered(number, answer(A=0.0, B=16.0), START.after(1))
    assert plan.first_block_a("A/1") is None
    assert plan.first_block_a("B/1") == 16.0
    number = plan.asked(ROOM, START.after(6))
    assert plan.first_block_a("A/1") is None  # the old plan is still the present one
    assert plan.answered(number, answer(A=8.0, B=8.0), START.after(7))
    assert plan.first_block_a("A/1") == 8.0


NOTHING = Allocation({}, "timeout_share", 0.0, {})
"""The solver ran out of time."""


def test_who_waits_for_a_price_goes_on_by_the_last_plan_while_the_solver_fails() -> None:
    plan = Plan(PlanPace())
    plan.answered(plan.asked(ROOM, START), answer(A=0.0, B=8.0, C=0.0), START)
    plan.forget("C/1")
    for second in (300, 600, 900):
        plan.answered(plan.asked(ROOM, START.after(second)), NOTHING, START.after(second), {"A/1", "C/1"})
        assert [plan.first_block_a(f"{name}/1") for name in "ABC"] == [0.0, None, None]
    plan.answered(plan.asked(ROOM, START.after(1200)), NOTHING, START.after(1200), {"A/1"})
    assert plan.first_block_a("A/1") is None, "energy by departure goes above prices"


def test_what_happens_while_the_worker_computes_asks_for_another_plan() -> None:
    plan = Plan(PlanPace())
    number = plan.asked(ROOM, START)
    plan.want()
    plan.answered(number, answer(), START.after(1))
    assert not plan.due(ROOM, START.after(4))
    assert plan.due(ROOM, START.after(5))


def test_what_was_asked_while_some_had_to_wait_is_outgrown_once_all_have_room() -> None:
    plan = Plan(PlanPace())
    assert not plan.is_outgrown
    number = plan.asked(ROOM, START)
    plan.outgrow()
    plan.answered(number, answer(A=8.0, B=0.0), START.after(1))
    assert plan.is_outgrown
    assert plan.due(ROOM, START.after(5))
    plan.answered(plan.asked(ROOM, START.after(5)), answer(A=8.0, B=8.0), START.after(6))
    assert not plan.is_outgrown


def test_an_answer_to_an_older_question_is_dropped() -> None:
    plan = Plan(PlanPace())
    first = plan.asked(ROOM, START)
    second = plan.asked(ROOM, START.after(61))
    assert not plan.answered(first, answer(A=1.0), START.after(62))
    assert plan.answered(second, answer(A=2.0), START.after(63))
    assert plan.first_block_a("A/1") == 2.0


def test_a_lost_answer_is_not_awaited_for_ever() -> None:
    plan = Plan(PlanPace())
    plan.asked(ROOM, START)
    assert not plan.due({"grid": (0.0, 0.0, 0.0)}, START.after(59))
    assert plan.due(ROOM, START.after(60))


@pytest.mark.parametrize(("moved_a", "due"), [(1.9, False), (2.1, True), (-2.1, True)])
def test_room_that_moved_asks_for_a_new_plan(moved_a: float, due: bool) -> None:
    plan = Plan(PlanPace())
    plan.answered(plan.asked(ROOM, START), answer(), START)
    assert plan.due(Left({"grid": (30.0, 30.0, 30.0 + moved_a)}, ROOM.together), START.after(20)) is due


@pytest.mark.parametrize(("together", "due"), [({"grid": 65.9}, False), ({"grid": 53.9}, True), ({}, True)])
def test_a_limit_in_watts_that_moved_or_ended_asks_for_a_new_plan(together: dict[str, float], due: bool) -> None:
    plan = Plan(PlanPace())
    plan.answered(plan.asked(ROOM, START), answer(), START)
    assert plan.due(Left(ROOM.per_phase, together), START.after(20)) is due


@pytest.mark.parametrize("second", [0, 1, 86_399])
@pytest.mark.parametrize("day", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)])
def test_the_horizon_ascends_over_midnight_and_on_days_with_a_time_change(day: datetime, second: int) -> None:
    horizon = horizon_at(Instant(0.0, day).after(second + 0.999_999))
    assert horizon.edges_s[0] == 0.0
    assert 11 * 3600 < horizon.edges_s[-1] < 15 * 3600
