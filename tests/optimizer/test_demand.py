"""Which peak is a billing period worth? Days of a garage, told in kilowatts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.demand import Day, PeakHistory, Stay, earned

NOON_S = 12 * 3600.0
DEAR_AFTERNOON = ((0.0, 0.10), (NOON_S, 0.25))
POWERS_W = tuple(1000.0 * number for number in range(12))


def day(*stays: Stay) -> Day:
    return Day("work", stays, DEAR_AFTERNOON, 0.30)


def stay(arrival_h: float, departure_h: float, kwh: float) -> Stay:
    return Stay(3600 * arrival_h, 3600 * departure_h, 1000 * kwh, 7_000.0)


COMMUTER = stay(8.0, 16.0, 16.0)


def test_a_day_earns_what_its_power_allows_the_cheap_hours_first() -> None:
    """Four cheap hours and four dear ones: each kW brings 4 kWh at 0.20 and 4 at 0.05, until 16 kWh are charged in the morning."""
    money = earned(day(COMMUTER), np.array([0.0, 1_000.0, 2_000.0, 4_000.0, 11_000.0]))
    assert money == pytest.approx([0.0, 1.0, 2.0, 3.2, 3.2])


def test_a_day_on_which_nobody_came_earns_nothing() -> None:
    assert earned(day(), np.array(POWERS_W)).tolist() == [0.0] * len(POWERS_W)


def test_a_peak_is_paid_for_by_the_days_that_are_left() -> None:
    """A kW up to the second brought 1 on that day, up to the fourth 0.6; half an idle day makes it 0.67 and 0.4 a day."""
    history = PeakHistory(POWERS_W)
    history.learn(day(COMMUTER))
    assert history.best_w({"work": 30}, peak_per_kw=11.0, peak_w=0.0) == 4_000.0
    assert history.best_w({"work": 20}, peak_per_kw=11.0, peak_w=0.0) == 2_000.0
    assert history.best_w({"work": 10}, peak_per_kw=11.0, peak_w=0.0) == 0.0
    assert history.best_w({"rest": 30}, peak_per_kw=11.0, peak_w=0.0) == 0.0


def test_a_peak_that_was_reached_is_not_given_back() -> None:
    history = PeakHistory(POWERS_W)
    history.learn(day(COMMUTER))
    assert history.best_w({"work": 1}, peak_per_kw=11.0, peak_w=5_500.0) == 5_500.0


def test_of_peaks_that_pay_nearly_the_same_the_highest_is_taken() -> None:
    history = PeakHistory(POWERS_W)
    history.learn(day(COMMUTER))
    assert history.best_w({"work": 1500}, peak_per_kw=11.0, peak_w=0.0) == 6_000.0


def test_who_came_today_counts_before_the_day_has_ended_where_it_is_more_than_usual() -> None:
    history = PeakHistory(POWERS_W)
    assert history.best_w({"work": 30}, 11.0, 0.0, today=day(COMMUTER)) == 4_000.0
    history.learn(day())
    assert history.best_w({"work": 50}, 11.0, 0.0) == 0.0
    assert history.best_w({"work": 50}, 11.0, 0.0, today=day(COMMUTER)) == 4_000.0
    history = PeakHistory(POWERS_W)
    history.learn(day(COMMUTER))
    assert history.best_w({"work": 30}, 11.0, 0.0, today=day()) == 4_000.0


def test_a_peak_that_is_looked_at_again_and_again_does_not_creep_up() -> None:
    history = PeakHistory(POWERS_W)
    history.learn(day(COMMUTER))
    once_w = history.best_w({"work": 1500}, peak_per_kw=11.0, peak_w=0.0)
    assert history.best_w({"work": 1500}, peak_per_kw=11.0, peak_w=once_w) == once_w


STAYS = st.builds(
    lambda arrival_h, hours, kwh: stay(arrival_h, arrival_h + hours, kwh),
    st.floats(0, 20),
    st.floats(0.1, 12),
    st.floats(0, 30),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STAYS, max_size=6), STAYS)
def test_more_power_and_more_cars_never_earn_less_and_each_kw_earns_no_more_than_the_last(
    stays: list[Stay], another: Stay
) -> None:
    powers = np.array(POWERS_W)
    fewer, more = earned(day(*stays), powers), earned(day(*stays, another), powers)
    assert (more >= fewer - 1e-6).all()
    for money in (fewer, more):
        gained = np.diff(money)
        assert (gained >= -1e-6).all()
        assert (np.diff(gained) <= 1e-6).all()
