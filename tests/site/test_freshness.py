"""How old may a reading be? The ladder, rung by rung."""

from __future__ import annotations

import pytest

from local_controller.site.freshness import METER_LADDER, Freshness, Watch, scaled_to
from tests.site.virtual_site import START


def trusted() -> Watch:
    watch = Watch(METER_LADDER)
    for second in range(-11, 1):
        watch.seen(START.after(second))
    return watch


@pytest.mark.requirement("LC-116")
@pytest.mark.parametrize(
    ("age_s", "rung"),
    [
        (0, Freshness.FRESH),
        (3, Freshness.FRESH),
        (3.1, Freshness.SUSPECT),
        (10.1, Freshness.STALE),
        (30.1, Freshness.FAILSAFE),
    ],
)
def test_the_rungs(age_s: float, rung: Freshness) -> None:
    assert trusted().state(START.after(age_s)) is rung


def test_a_meter_is_trusted_after_five_samples_and_ten_seconds() -> None:
    watch = Watch(METER_LADDER)
    assert watch.state(START) is Freshness.INIT
    for second in range(10):
        watch.seen(START.after(second))
        assert watch.state(START.after(second)) is Freshness.RECOVERING
    watch.seen(START.after(10))
    assert watch.state(START.after(10)) is Freshness.FRESH


def test_a_gap_shorter_than_stale_costs_no_trust_a_longer_one_does() -> None:
    watch = trusted()
    watch.seen(START.after(9))
    assert watch.state(START.after(9)) is Freshness.FRESH
    watch.seen(START.after(20))
    assert watch.state(START.after(20)) is Freshness.RECOVERING


def test_a_meter_that_fails_is_as_old_as_the_last_change_in_what_it_said() -> None:
    """And has to prove itself again: nobody knows since when it repeated itself."""
    watch = trusted()
    for second in range(1, 30):
        watch.seen(START.after(second), unchanged_s=second)
    assert watch.state(START.after(30)) is Freshness.SUSPECT
    for _ in range(2):
        watch.failed()
        assert watch.age_s(START.after(30)) == 30.0
        assert watch.state(START.after(30.5)) is Freshness.FAILSAFE
    watch.seen(START.after(31))
    assert watch.state(START.after(31)) is Freshness.RECOVERING


@pytest.mark.parametrize("poll_s", [0.5, 1.0, 5.0, 60.0])
def test_no_poll_interval_postpones_the_failsafe_beyond_a_minute(poll_s: float) -> None:
    ladder = scaled_to(METER_LADDER, poll_s)
    assert ladder.suspect_s < ladder.stale_s < ladder.failsafe_s <= 60.0
    assert ladder.suspect_s >= min(3 * poll_s, 20.0)


def test_only_fresh_may_raise_and_only_three_rungs_are_usable() -> None:
    assert [rung for rung in Freshness if rung.may_raise] == [Freshness.FRESH]
    assert {rung for rung in Freshness if rung.usable} == {Freshness.FRESH, Freshness.SUSPECT, Freshness.RECOVERING}
