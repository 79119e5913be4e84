"""Does the mean of every quarter of an hour by the clock stay below what the tariff should see?"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from operator import add

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.site.lead import USUAL_S, lead_s
from local_controller.site.own_limits import QuarterHourLimit
from local_controller.site.per_phase import equal
from local_controller.site.quarter_hour import MOST, Counted, QuarterHour
from local_controller.site.readings import MeterReading
from tests.site.virtual_site import START, Car, VirtualSite, topology

NOON = Instant(5000.0, datetime(2026, 3, 6, 12, tzinfo=UTC))
MEAN_W = 12_000.0
QUOTA_WH = MEAN_W / 4


def at(seconds: float) -> Instant:
    return NOON.after(seconds)


def used(power_w: float, seconds: int, quarter: QuarterHour | None = None, start_s: int = 0) -> QuarterHour:
    quarter = quarter or QuarterHour(MEAN_W)
    for second in range(start_s, start_s + seconds + 1):
        quarter.measured(power_w, at(second))
    return quarter


def test_what_was_not_used_yet_may_be_used_until_the_quarter_ends() -> None:
    quarter = used(6_000.0, 300)
    allowed = quarter.allowed(at(300))
    assert (allowed.left_s, allowed.quota_wh) == (600.0, QUOTA_WH)
    assert allowed.used_wh == pytest.approx(500.0)
    assert allowed.power_w == pytest.approx((QUOTA_WH - 500.0) * 3600 / 600)


def test_a_quarter_that_is_used_up_allows_nothing_and_the_next_one_begins_anew() -> None:
    quarter = used(40_000.0, 300)
    assert quarter.allowed(at(300)).power_w == 0.0
    used(0.0, 599, quarter, 301)
    assert quarter.allowed(at(901)).power_w == pytest.approx(MEAN_W, rel=0.01)


def test_the_end_of_a_quarter_is_no_reason_to_begin_the_next_one_above_its_mean() -> None:
    quarter = used(0.0, 895)
    assert quarter.allowed(at(900 - lead_s(USUAL_S) - 1)).power_w == MOST * MEAN_W
    assert quarter.allowed(at(900 - lead_s(USUAL_S))).power_w == MEAN_W


def test_what_is_fed_in_is_not_taken_off() -> None:
    quarter = used(-30_000.0, 600)
    assert quarter.allowed(at(600)).used_wh == 0.0


def test_what_nobody_measured_counts_at_the_mean_or_at_what_was_drawn_last() -> None:
    silent = used(24_000.0, 100)
    assert silent.allowed(at(200)).used_wh == pytest.approx(24_000.0 * 200 / 3600)
    silent.measured(0.0, at(400))
    assert silent.allowed(at(400)).used_wh == pytest.approx(24_000.0 * 400 / 3600)


def test_a_silent_meter_does_not_count_as_little_because_it_showed_little() -> None:
    """Cars may have taken what was allowed when it fell silent: the whole quarter's energy, in 800 s."""
    quarter = used(0.0, 100)
    allowed_w = quarter.allowed(at(100)).power_w
    assert allowed_w == pytest.approx(QUOTA_WH * 3600 / 800)
    assert quarter.allowed(at(399)).power_w == pytest.approx(allowed_w), "and it does not grow meanwhile"
    quarter.measured(0.0, at(400))
    assert quarter.allowed(at(400)).used_wh == pytest.approx(allowed_w * 300 / 3600)


def test_what_was_allowed_when_the_meter_fell_silent_counts_until_the_quarter_ends() -> None:
    quarter = used(0.0, 700)
    quarter.measured(0.0, at(1000))
    assert quarter.allowed(at(1000)).used_wh == pytest.approx(MEAN_W * 100 / 3600), "the next one begins at its mean"


@settings(max_examples=40)
@given(st.integers(1, 340), st.integers(3, 200), st.floats(0, 60_000), st.floats(0, 60_000))
def test_no_silence_of_the_meter_makes_a_quarter_exceed_its_mean(
    silent_at: int, silent_for: int, before_w: float, wanted_w: float
) -> None:
    """In steps of 5 s: cars take what they want up to what is allowed, seen or not. What they wanted before may be less or more."""
    quarter, drawn_ws = QuarterHour(MEAN_W), [0.0] * 3
    quarter.measured(0.0, at(0))
    for step in range(540):
        drawn_w = min(before_w if step < silent_at else wanted_w, quarter.allowed(at(5 * step)).power_w)
        drawn_ws[step // 180] += drawn_w * 5
        if not silent_at <= step < silent_at + silent_for:
            quarter.measured(drawn_w, at(5 * step + 1e-6))
            quarter.measured(drawn_w, at(5 * step + 5 - 1e-6))
    assert max(drawn_ws) <= QUOTA_WH * 3600 * 1.005


def test_what_is_left_in_the_last_minute_is_spread_over_a_minute() -> None:
    quarter = used(11_800.0, 870)
    allowed = quarter.allowed(at(870))
    assert allowed.power_w == pytest.approx((QUOTA_WH - allowed.used_wh) * 3600 / 60)
    assert allowed.power_w < MEAN_W


def test_what_the_meter_of_its_node_says_counts_as_power_where_it_says_that() -> None:
    def used_wh(node: str, power_w: float | None, voltage_v: float | None) -> float:
        limit = QuarterHourLimit("peak", "limit 'peak'", "grid", QuarterHour(MEAN_W))
        volts = None if voltage_v is None else equal(voltage_v)
        for second in range(301):
            limit.look(node, MeterReading("m", at(second), equal(10.0), volts, power_w))
        return limit.quarter.allowed(at(300)).used_wh

    assert used_wh("grid", 6_000.0, 230.0) == pytest.approx(500.0)
    assert used_wh("grid", None, 230.0) == pytest.approx(6_900.0 * 300 / 3600)
    assert used_wh("grid", None, None) == pytest.approx(7_590.0 * 300 / 3600)
    assert used_wh("west", 40_000.0, 230.0) == pytest.approx(MOST * MEAN_W * 300 / 3600), "as if nobody had measured"


@pytest.mark.parametrize("set_s", [-3600.0, -900.0, 900.0, 3600.0])
def test_a_clock_that_is_set_by_whole_quarters_changes_nothing(set_s: float) -> None:
    quarter = used(9_000.0, 300)
    before, moved = quarter.allowed(at(300)), Instant(at(300).monotonic_s, at(300).utc + timedelta(seconds=set_s))
    assert quarter.allowed(moved) == before


def test_a_clock_that_is_set_moves_the_cut_and_no_energy_is_lost() -> None:
    quarter = used(9_000.0, 800)
    moved = Instant(at(800).monotonic_s, at(800).utc - timedelta(seconds=300))
    allowed = quarter.allowed(moved)
    assert (allowed.left_s, round(allowed.used_wh)) == (400.0, round(9_000.0 * 500 / 3600))


def test_what_was_before_the_start_counts_at_the_most_that_an_earlier_run_allowed() -> None:
    assert QuarterHour(MEAN_W).allowed(at(300)).used_wh == pytest.approx(MOST * MEAN_W * 300 / 3600)
    assert QuarterHour(MEAN_W).allowed(at(600)).used_wh == pytest.approx(QUOTA_WH), "no earlier run allows more"
    late = used(6_000.0, 300, start_s=300)
    assert late.allowed(at(600)).used_wh == pytest.approx(MOST * MEAN_W * 300 / 3600 + 500.0)
    assert late.allowed(at(1200)).used_wh < MOST * MEAN_W * 300 / 3600, "the next quarter was seen from its beginning"


def again(earlier: QuarterHour, restart_s: float, counted: Counted | None = None) -> QuarterHour:
    """The next run, and what it knows of the earlier one."""
    later, counted = QuarterHour(MEAN_W), counted or earlier.counted
    assert counted is not None
    later.resume(counted, at(restart_s))
    return later


def test_a_run_that_knows_what_an_earlier_one_counted_takes_the_gap_alone_at_its_worst() -> None:
    later = again(used(6_000.0, 500), 520)
    assert later.allowed(at(520)).used_wh == pytest.approx((6_000.0 * 500 + MOST * MEAN_W * 20) / 3600)
    used(6_000.0, 100, later, 525)
    assert later.allowed(at(625)).used_wh == pytest.approx((6_000.0 * 600 + MOST * MEAN_W * 25) / 3600)
    used(6_000.0, 300, later, 626)
    assert later.allowed(at(926)).used_wh == pytest.approx(6_000.0 * 26 / 3600), "the next quarter was seen whole"


def test_even_the_shortest_gap_counts_at_the_worst() -> None:
    later = again(used(0.0, 500), 501)
    later.measured(0.0, at(502))
    assert later.allowed(at(502)).used_wh == pytest.approx(MOST * MEAN_W * 2 / 3600)


def test_a_gap_after_an_overload_counts_at_what_was_drawn_last() -> None:
    later = again(used(40_000.0, 100), 110)
    assert later.allowed(at(110)).used_wh == pytest.approx(40_000.0 * 110 / 3600)


def test_a_clock_that_is_set_over_a_restart_moves_the_cut_and_no_energy_is_lost() -> None:
    later = again(used(9_000.0, 800), 810)
    moved = Instant(at(810).monotonic_s, at(810).utc - timedelta(seconds=300))
    assert later.allowed(moved).used_wh == pytest.approx((9_000.0 * 500 + MOST * MEAN_W * 10) / 3600)


@pytest.mark.parametrize(
    "counted",
    [
        Counted((), 0.0),
        Counted(((at(500).monotonic_s, 0.0), (at(10).monotonic_s, 0.0)), 0.0),
        Counted(((at(0).monotonic_s, 900.0), (at(500).monotonic_s, 800.0)), 0.0),
        Counted(((at(0).monotonic_s, 0.0), (at(601).monotonic_s, 0.0)), 0.0),
        Counted(((at(0).monotonic_s, 0.0), (at(500).monotonic_s, math.inf)), 0.0),
        Counted(((at(0).monotonic_s, 0.0), (math.nan, 0.0)), 0.0),
        Counted(((at(-900).monotonic_s, 0.0), (at(-301).monotonic_s, 0.0)), 0.0),
        Counted(((at(0).monotonic_s, 0.0), (at(500).monotonic_s, 0.0)), math.nan),
        Counted(((at(0).monotonic_s, 0.0), (at(500).monotonic_s, 0.0)), -1.0),
    ],
    ids=["nothing", "disordered", "falling", "to come", "endless", "no time", "long ago", "no power", "fed in"],
)
def test_what_no_earlier_run_can_have_counted_is_as_if_nothing_was_known(counted: Counted) -> None:
    later, unknown = again(QuarterHour(MEAN_W), 600, counted), QuarterHour(MEAN_W)
    assert later.allowed(at(600)) == unknown.allowed(at(600))


def test_before_the_first_reading_there_is_nothing_to_know_and_an_earlier_run_is_handed_on() -> None:
    assert QuarterHour(MEAN_W).counted is None
    earlier = used(6_000.0, 500)
    twice = again(again(earlier, 510), 520)
    assert twice.allowed(at(520)).used_wh == pytest.approx((6_000.0 * 500 + MOST * MEAN_W * 20) / 3600)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 899)), min_size=1, max_size=4),
    st.floats(0, 60_000),
    st.integers(1, 40),
)
def test_no_restart_with_a_memory_makes_a_quarter_exceed_its_mean(
    restarts: list[tuple[int, int]], wanted_w: float, kept_every_s: int
) -> None:
    """Kept every so many seconds; while it is away cars go on with what they were allowed last."""
    quarter, kept, drawn_ws, drawn_w = QuarterHour(MEAN_W), None, 0.0, 0.0
    away_until = dict.fromkeys((at_s for _, at_s in restarts), 0) | {at_s: at_s + for_s for for_s, at_s in restarts}
    back_s = 0
    quarter.measured(0.0, at(0))
    for second in range(900):
        if second % kept_every_s == 0 and second >= back_s:
            kept = quarter.counted
        back_s = max(back_s, away_until.get(second, 0))
        if second == back_s and second > 0:
            quarter = QuarterHour(MEAN_W)
            assert kept is not None
            quarter.resume(kept, at(second))
        if second >= back_s:
            drawn_w = min(wanted_w, quarter.allowed(at(second)).power_w)
            quarter.measured(drawn_w, at(second + 1e-6))
            quarter.measured(drawn_w, at(second + 1 - 1e-6))
        drawn_ws += drawn_w
    assert drawn_ws <= QUOTA_WH * 3600 * 1.001


@settings(max_examples=40)
@given(st.lists(st.integers(1, 899), min_size=1, max_size=3), st.floats(0, 60_000))
def test_no_restart_makes_a_quarter_exceed_its_mean(restarts_s: list[int], wanted_w: float) -> None:
    quarter, drawn_ws = QuarterHour(MEAN_W), 0.0
    quarter.measured(0.0, at(0))
    for second in range(900):
        if second in restarts_s:
            quarter = QuarterHour(MEAN_W)
        drawn_w = min(wanted_w, quarter.allowed(at(second)).power_w)
        quarter.measured(drawn_w, at(second + 1e-6))
        quarter.measured(drawn_w, at(second + 1 - 1e-6))
        drawn_ws += drawn_w
    assert drawn_ws <= QUOTA_WH * 3600 * 1.001


powers = st.floats(0, 60_000)


@settings(max_examples=40)
@given(st.lists(st.tuples(powers, st.integers(1, 200)), min_size=5, max_size=30), st.floats(1000, 30_000))
def test_who_draws_what_is_allowed_keeps_the_mean_of_every_quarter(
    steps: list[tuple[float, int]], mean_w: float
) -> None:
    """A consumer that wants this and that, and takes the lower one of that and what is allowed, at once."""
    quarter, second, total_ws = QuarterHour(mean_w), 0, [0.0]
    quarter.measured(0.0, at(0))
    for wanted_w, seconds in steps:
        for _ in range(seconds):
            drawn_w = min(wanted_w, quarter.allowed(at(second)).power_w)
            quarter.measured(drawn_w, at(second + 1e-6))
            second += 1
            quarter.measured(drawn_w, at(second))
            total_ws.append(total_ws[-1] + drawn_w)
    for start in range(0, second, 900):
        used_ws = total_ws[min(start + 900, second)] - total_ws[start]
        assert used_ws / 3600 <= mean_w / 4 * 1.005 + 1e-6


def site_with(mean_w: float, cars: int) -> tuple[VirtualSite, list[float]]:
    """A site with so many stations behind a wide fuse, and the power that flows in each half second."""
    limit = QuarterHourLimit("peak", "limit 'peak'", "grid", QuarterHour(mean_w))
    site, drawn_w = VirtualSite(topology(200.0, cars), own=(limit,)), list[float]()
    site.on_step.append(lambda one: drawn_w.append(sum(one.flow("grid")) * 253.0))
    site.connect()
    site.run(15)
    return site, drawn_w


def test_cars_that_come_while_the_meter_is_silent_do_not_make_the_quarter_exceed_its_mean() -> None:
    """Five minutes nothing, five at the fallbacks of ten cars, unseen: these counted at the mean, and the quarter ended at 31.8 kW."""
    site, drawn_w = site_with(30_000.0, 10)
    site.run(1200 - site.elapsed_s)
    for id_ in site.stations:
        site.plug(id_)
    site.go_blind(300)
    site.run(300)
    assert sum(site.flow("grid")) * 253.0 > 1.3 * 30_000.0
    site.run(1800 - site.elapsed_s)
    assert 0.8 * 30_000.0 < sum(drawn_w[-1800:]) / 1800 <= 30_000.0


def test_a_meter_that_stays_silent_leaves_each_quarter_what_counts_as_drawn_until_its_very_end() -> None:
    """What was left went to nothing over the last minute, although as much as ever counted as drawn."""
    quarter = used(6_000.0, 300)
    allowed_w = quarter.allowed(at(300)).power_w
    assert [quarter.allowed(at(s)).power_w for s in (330, 845, 875)] == pytest.approx([allowed_w] * 3)
    for second in (899, 901, 1200, 1799, 2500):
        assert quarter.allowed(at(second)).power_w == pytest.approx(MEAN_W), second


def test_behind_a_silent_meter_two_cars_take_turns_where_the_mean_lets_one_charge() -> None:
    """The last minute of each quarter paused who charged, and then nobody was raised again: not for 92 % of two hours."""
    site, drawn_w = site_with(7_500.0, 2)
    site.base = lambda _: equal(1.0)
    for id_ in site.stations:
        site.plug(id_, Car(max_a=16.0))
    site.run(300 - site.elapsed_s)
    site.go_blind(2 * 3600)
    site.run(900 - site.elapsed_s)
    drawn_w.clear()
    charged = [0.0, 0.0]
    site.on_step.append(lambda one: charged.__setitem__(slice(2), map(add, charged, (a > 5.0 for a in one.drawn()))))
    site.run(6300)
    assert sum(charged) / 2 > 0.95 * 6300
    assert min(charged) > 0.4 * sum(charged)
    assert max(sum(drawn_w[at_s : at_s + 1800]) / 1800 for at_s in range(0, 12_600, 1800)) <= 7_500.0


def test_a_site_keeps_the_mean_while_its_building_moves_and_its_cars_follow_slowly() -> None:
    """17 kW of mean, two cars that want 44 kW, a building between 3 and 9 kW. START is 08:00, so is a quarter."""
    limit = QuarterHourLimit("peak", "limit 'peak'", "grid", QuarterHour(17_000.0))
    site = VirtualSite(topology(63.0, 2), own=(limit,))
    site.base = lambda second: equal(4.3 + 4.3 * (1 + math.sin(second / 90)))
    site.connect()
    site.run(15)
    for id_ in ("CP-1", "CP-2"):
        site.plug(id_, Car(obey_s=8.0))
    drawn_w: list[float] = []
    site.on_step.append(lambda one: drawn_w.append(sum(one.flow("grid")) * 253.0))
    site.run(900 - site.elapsed_s)
    means = []
    for _ in range(3):
        drawn_w.clear()
        site.run(900)
        means.append(sum(drawn_w) / len(drawn_w))
    assert max(means) <= 17_000.0
    assert min(means) >= 0.93 * 17_000.0
    view = site.controller.book.in_force("grid", limit.applies_to, site.now)[-1]
    assert START.utc.minute == 0
    assert "limit 'peak' (" in view.source
    assert "kWh used" in view.source
