"""Does a clock on the wall that is set change any limit? Never to a higher one, and for a live source not at all (G21)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.site.limit_message import LimitMessageSettings, OutdatedLimitError, ReceivedLimit, parse_limit
from local_controller.site.wall_clock import KEPT, SenderClock, WallClock

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
SETTINGS = LimitMessageSettings(max_age_s=120.0)


@dataclass
class Computer:
    """A computer whose clock on the wall is set now and then; its sources have the right time."""

    true_s: float = 0.0
    ahead_s: float = 0.0
    clock: WallClock = field(init=False)
    sender: SenderClock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = WallClock(self.now)
        self.sender = SenderClock(self.clock)

    @property
    def now(self) -> Instant:
        return Instant(1000.0 + self.true_s, NOON + timedelta(seconds=self.true_s + self.ahead_s))

    def receives(self, stamped_s: float, *, retained: bool = False) -> ReceivedLimit:
        self.clock.follow(self.now)
        message = {"ts": (NOON + timedelta(seconds=stamped_s)).isoformat(), "max_a": 40}
        return parse_limit(json.dumps(message).encode(), retained, self.now, SETTINGS, self.sender)


@pytest.mark.parametrize("set_s", [-HOUR, HOUR, -DAY, DAY])
@pytest.mark.requirement("LC-116")
def test_a_live_source_is_understood_whatever_is_done_to_the_clock(set_s: float) -> None:
    site = Computer()
    site.receives(0.0)
    site.ahead_s += set_s
    site.true_s += 30.0
    assert site.receives(site.true_s - 1.0).valid_until == site.now.after(119.0)


@pytest.mark.parametrize("set_s", [-HOUR, HOUR])
def test_a_source_whose_clock_was_set_together_with_ours_is_believed_once_its_time_goes_on(set_s: float) -> None:
    site = Computer()
    site.receives(0.0)
    site.ahead_s += set_s
    believed: list[bool] = []
    for _ in range(4):
        site.true_s += 10.0
        try:
            believed.append(site.receives(site.true_s + set_s).valid_until == site.now.after(120.0))
        except OutdatedLimitError:
            believed.append(False)
    assert believed == [False, True, True, True]


@pytest.mark.requirement("LC-116")
@pytest.mark.parametrize("has_spoken", [True, False])
def test_a_clock_that_is_set_back_makes_no_limit_fresh_that_is_sent_again_and_again(has_spoken: bool) -> None:
    site = Computer()
    if has_spoken:
        site.receives(0.0)
    site.true_s, site.ahead_s = HOUR, -HOUR
    for _ in range(10):
        site.true_s += 10.0
        with pytest.raises(OutdatedLimitError, match="s old and was valid for 120 s"):
            site.receives(0.0)


@pytest.mark.requirement("LC-116")
def test_a_clock_that_is_set_back_makes_no_retained_limit_fresh() -> None:
    site = Computer(true_s=HOUR)
    site.ahead_s = -HOUR
    with pytest.raises(OutdatedLimitError, match="limit is 3600 s old and was valid for 120 s"):
        site.receives(0.0, retained=True)
    assert site.receives(HOUR - 20.0, retained=True).valid_until == site.now.after(100.0)


def test_a_computer_that_gets_the_right_time_after_its_start_trusts_no_limit_of_the_time_before() -> None:
    site = Computer(true_s=2 * HOUR, ahead_s=-HOUR)
    site.ahead_s = 0.0
    with pytest.raises(OutdatedLimitError, match="limit is 3600 s old"):
        site.receives(HOUR, retained=True)
    with pytest.raises(OutdatedLimitError, match="limit is 3600 s old"):
        site.receives(HOUR)


def test_what_ntp_does_is_no_setting_of_the_clock() -> None:
    site = Computer()
    for _ in range(100):
        site.true_s += MINUTE
        site.ahead_s -= 0.1
        assert site.clock.follow(site.now) is None
    assert len(site.clock.ages_s(NOON, site.now)) == 1


def test_it_is_told_by_how_much_the_clock_was_set_and_once() -> None:
    site = Computer()
    site.ahead_s = -HOUR
    assert site.clock.follow(site.now) == pytest.approx(-HOUR)
    assert site.clock.follow(site.now) is None
    site.ahead_s = 0.0
    assert site.clock.follow(site.now) == pytest.approx(HOUR)
    assert len(site.clock.ages_s(NOON, site.now)) == 2


@given(
    jumps=st.lists(st.tuples(st.floats(0.0, HOUR), st.floats(-DAY, DAY)), max_size=2 * KEPT),
    age_s=st.floats(0.0, 2 * DAY),
    retained=st.booleans(),
    has_spoken=st.booleans(),
)
@pytest.mark.requirement("LC-116")
def test_no_setting_of_the_clock_lengthens_a_limit(
    jumps: list[tuple[float, float]], age_s: float, retained: bool, has_spoken: bool
) -> None:
    site = Computer()
    if has_spoken:
        site.receives(0.0)
    for wait_s, set_s in jumps:
        site.true_s += wait_s
        site.ahead_s += set_s
        site.clock.follow(site.now)
    try:
        received = site.receives(site.true_s - age_s, retained=retained)
    except OutdatedLimitError:
        return
    assert received.valid_until.since(site.now) <= 120.0 - age_s + 1e-3 + 2.0 * len(jumps)
