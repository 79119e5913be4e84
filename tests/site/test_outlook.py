"""What is known ahead: tables by the clock, sources that run out, and what a plan is told of them."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.site.foresight import FLAT_PER_KWH, Foresight, Money
from local_controller.site.outlook import PATIENCE_S, Kind, Source, Standing, Told
from local_controller.site.outlook_view import outlook_views
from local_controller.site.per_phase import ZERO
from local_controller.site.price_table import REACHES, PriceTable, PriceWindow
from local_controller.site.readings import MeterReading
from local_controller.site.series import Series, Step
from local_controller.site.standing import together
from local_controller.site.wishes import ChargingMode, Wish
from optimizer.problem import Horizon

BERLIN = ZoneInfo("Europe/Berlin")
NOW = Instant(5000.0, datetime(2026, 3, 2, 12, 0, tzinfo=UTC))
NOW_S = NOW.utc.timestamp()
HOURS = Horizon((0.0, 3600.0, 7200.0, 10800.0))
CHEAP, SUN = [ChargingMode.CHEAPEST], [ChargingMode.SURPLUS]
WEEK, WEEKEND = frozenset(range(7)), frozenset({5, 6})


def hourly(*values: float, start_s: float = NOW_S) -> Series:
    return Series(tuple(Step(start_s + 3600 * n, start_s + 3600 * (n + 1), value) for n, value in enumerate(values)))


# --- the table of the site file -----------------------------------------------------------------------------------


def test_a_table_goes_by_the_clock_of_its_zone_and_its_first_window_counts() -> None:
    table = PriceTable(
        0.32, [PriceWindow(WEEKEND, time(0), time(0), 0.25), PriceWindow(WEEK, time(22), time(6), 0.2)], BERLIN
    )
    friday = datetime(2026, 3, 6, 12, tzinfo=BERLIN)
    at = {
        hour: table.series(friday).at((friday + timedelta(hours=hour)).timestamp()) for hour in (0, 9, 10, 11, 12, 35)
    }
    assert at == {0: 0.32, 9: 0.32, 10: 0.2, 11: 0.2, 12: 0.25, 35: 0.25}


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 5), ("2026-10-25", 7), ("2026-03-02", 6)])
def test_a_night_is_an_hour_shorter_or_longer_where_the_clock_changes(day: str, hours: int) -> None:
    table = PriceTable(0.3, [PriceWindow(WEEK, time(0), time(6), 0.1)], BERLIN)
    midnight = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    series = table.series(midnight)
    assert series.known_until_s(midnight.timestamp()) >= (midnight + REACHES).timestamp()
    assert series.mean(midnight.timestamp(), midnight.timestamp() + hours * 3600) == pytest.approx(0.1)
    assert series.at(midnight.timestamp() + hours * 3600) == 0.3


@given(minutes=st.integers(0, 2 * 366 * 24 * 60))
def test_a_table_says_something_of_every_moment_that_a_plan_can_ask_for(minutes: int) -> None:
    moment = NOW.utc + timedelta(minutes=minutes)
    table = PriceTable(0.3, [PriceWindow(frozenset({0, 6}), time(23, 30), time(2, 30), 0.1)], BERLIN)
    for later in (moment, moment + timedelta(hours=20)):
        series = table.series(later)
        assert series.known_until_s(later.timestamp()) >= (later + REACHES).timestamp()


# --- sources ------------------------------------------------------------------------------------------------------


def test_a_source_is_known_as_long_as_it_reaches_and_is_not_too_old() -> None:
    source = Source(Told(Kind.ENERGY, "EUR/kWh", "prices", max_age_s=5400.0))
    assert source.standing(NOW) is Standing.NEVER_HEARD
    source.received(hourly(0.3), NOW)
    assert (source.at(NOW), source.standing(NOW)) == (0.3, Standing.KNOWN)
    assert (source.at(NOW.after(3600)), source.standing(NOW.after(3600))) == (None, Standing.RUN_OUT)
    source.received(hourly(0.3, 0.4), NOW)
    assert source.standing(NOW.after(5400)) is Standing.KNOWN
    assert (source.at(NOW.after(5401)), source.standing(NOW.after(5401))) == (None, Standing.TOO_OLD)


def test_what_is_told_again_is_no_news_also_when_hours_that_are_over_are_left_out() -> None:
    source = Source(Told(Kind.ENERGY, "EUR/kWh", "prices"))
    assert source.received(hourly(0.3, 0.4, 0.5), NOW)
    later = NOW.after(3700)
    assert not source.received(hourly(0.4, 0.5, start_s=NOW_S + 3600), later)
    assert source.received(hourly(0.4, 0.6, start_s=NOW_S + 3600), later)


def test_a_number_of_the_moment_that_is_said_again_and_again_wants_no_new_plan_each_time() -> None:
    source = Source(Told(Kind.ENERGY, "EUR/kWh", "prices"))
    news = [source.received(hourly(value, start_s=NOW_S + at_s), NOW.after(at_s)) for at_s, value in NUMBERS]
    assert news == [True, False, True, False, True]
    assert source.known_until_s(NOW.after(9000)) == NOW_S + 9000 + 3600


NUMBERS = [(0.0, 0.3), (10.0, 0.3), (20.0, 0.4), (30.0, 0.4), (9000.0, 0.4)]
"""The last one comes when the one before is over."""


def test_where_messages_say_nothing_the_table_of_the_site_file_counts_and_that_is_told() -> None:
    table = PriceTable(0.32, [], UTC)
    source = Source(Told(Kind.ENERGY, "EUR/kWh", "prices", table=table))
    source.received(hourly(0.1), NOW)
    assert source.means([NOW_S, NOW_S + 3600, NOW_S + 7200], NOW) == [0.1, 0.32]
    assert source.look(NOW) == []
    (notice,) = source.look(NOW.after(3601))
    assert notice.level == "warning"
    assert notice.text == (
        "price of energy was told 60 min ago and says nothing of this moment: the 0.32 EUR/kWh of the site file count; does"
        " its source publish to prices?"
    )
    assert source.look(NOW.after(3602)) == []
    source.received(hourly(0.2, start_s=NOW_S + 3600), NOW.after(3603))
    assert [one.text for one in source.look(NOW.after(3603))] == ["price of energy is known again"]


def test_a_source_that_was_never_heard_is_told_after_a_while_and_once() -> None:
    source = Source(Told(Kind.PV, "W", "sun"))
    told = [source.look(NOW.after(seconds)) for seconds in (0, PATIENCE_S - 1, PATIENCE_S, PATIENCE_S + 1)]
    assert [len(one) for one in told] == [0, 0, 1, 0]
    assert told[2][0].text == "PV forecast was never heard: no surplus is expected; does its source publish to sun?"


def test_an_unreadable_message_ends_the_number_of_a_moment_and_not_a_list() -> None:
    listed, single = (Source(Told(Kind.ENERGY, "EUR/kWh", "prices")) for _ in range(2))
    listed.received(hourly(0.3, 0.4), NOW)
    single.received(hourly(0.3), NOW)
    for source in (listed, single):
        source.failed("price of energy on topic prices: it is no JSON")
    assert (listed.standing(NOW), single.standing(NOW)) == (Standing.KNOWN, Standing.UNREADABLE)
    assert listed.trouble(NOW) == (
        "price of energy on topic prices: it is no JSON: what was told before counts until 2026-03-02T14:00+00:00; compare the"
        " payload with what the site file says"
    )
    assert single.trouble(NOW).startswith("price of energy on topic prices: it is no JSON: all hours count the same")
    listed.received(hourly(0.3, 0.4), NOW)
    assert listed.trouble(NOW) == ""


def test_the_view_says_value_unit_age_and_trouble() -> None:
    source = Source(Told(Kind.ENERGY, "EUR/kWh", "prices"))
    source.received(hourly(0.123456, 0.4), NOW)
    foresight = Foresight({Kind.ENERGY: source})
    view, learnt = outlook_views(foresight, NOW.after(60))
    assert (learnt.id, learnt.state, learnt.value) == ("base_load", "learning", None)
    assert outlook_views(Foresight(), NOW) == ()
    assert (view.value, view.unit, view.age_s, view.until) == (0.12346, "EUR/kWh", 60.0, "2026-03-02T14:00:00+00:00")
    late, _ = outlook_views(foresight, NOW.after(7200))
    assert (late.value, late.state, late.until) == (None, "run out", None)
    assert late.trouble


# --- what a plan is told ------------------------------------------------------------------------------------------


def ahead(
    modes: list[ChargingMode], sources: dict[Kind, Source], money: Money | None = None, grid_a: float | None = None
) -> tuple[str, object]:
    foresight = Foresight(sources, money=money or Money(), assumed_w=6900.0)
    if grid_a is not None:
        foresight.measured(MeterReading("m", NOW, (grid_a,) * 3), together([]), [], NOW)
    return foresight.ahead(HOURS, modes, "even", NOW)


def told(kind: Kind, *values: float) -> dict[Kind, Source]:
    source = Source(Told(kind, "", "topic"))
    if values:
        source.received(hourly(*values), NOW)
    return {kind: source}


def test_prices_count_only_where_some_car_goes_by_them_or_a_peak_costs() -> None:
    prices = told(Kind.ENERGY, 0.3, 0.2, 0.1)
    assert ahead([ChargingMode.NORMAL], prices) == ("even", None)
    objective, tariff = ahead(CHEAP, prices)
    assert objective == "cost"
    assert tariff.import_per_kwh == (0.3, 0.2, 0.1)
    objective, tariff = ahead([ChargingMode.NORMAL], prices, Money("SEK", 90.0, 20_000.0))
    assert (objective, tariff.peak_per_kw, tariff.peak_w, tariff.currency) == ("cost", 90.0, 20_000.0, "SEK")
    assert tariff.import_per_kwh == (FLAT_PER_KWH,) * 3
    assert tariff.background_w == (6900.0,) * 3, "nothing is known of other loads, so what the site file assumes"


def test_a_price_that_is_not_known_yet_counts_as_the_highest_that_is() -> None:
    assert ahead(CHEAP, told(Kind.ENERGY, 0.3, 0.2))[1].import_per_kwh == (0.3, 0.2, 0.3)


def test_without_any_price_all_hours_are_the_same_and_nothing_changes() -> None:
    objective, tariff = ahead(CHEAP, told(Kind.ENERGY))
    assert objective == "even"
    assert len({*tariff.import_per_kwh}) == 1


def test_surplus_is_what_is_measured_now_and_what_is_foreseen_later() -> None:
    sources = told(Kind.PV, 9000.0, 12_000.0, 3000.0) | told(Kind.BASE_LOAD, 1000.0, 2000.0, 4000.0)
    _, tariff = ahead(SUN, sources, grid_a=-10.0)
    assert tariff.surplus_w == (6900.0, 10_000.0, 0.0)
    assert tariff.background_w == (0.0, 0.0, 1000.0)


def test_what_the_building_draws_now_stands_for_later_where_nothing_foresees_it() -> None:
    """The meter shows 6.9 kW of export under 9 kW of sun, so the building draws 2.1 kW."""
    _, tariff = ahead(SUN, told(Kind.PV, 9000.0, 12_000.0), grid_a=-10.0)
    assert tariff.surplus_w == pytest.approx((6900.0, 9900.0, 0.0))


@pytest.mark.parametrize("sources", [{}, told(Kind.PV), told(Kind.BASE_LOAD, 0.0, 0.0, 0.0)])
def test_unknown_surplus_is_no_surplus(sources: dict[Kind, Source]) -> None:
    assert ahead(SUN, sources)[1].surplus_w == (0.0, 0.0, 0.0)


def test_a_reading_of_long_ago_shows_no_surplus() -> None:
    foresight = Foresight(wishes={})
    foresight.sources = told(Kind.PV)
    foresight.measured(MeterReading("m", NOW, (-10.0,) * 3), together([]), [], NOW)
    assert foresight.net_w(NOW.after(9)) == pytest.approx(-6900.0)
    assert foresight.net_w(NOW.after(11)) is None


def test_a_peak_that_was_measured_this_month_is_paid_for_anyway() -> None:
    """A quarter of an hour at 30 kW, one of which little was measured, and the next month."""
    foresight = Foresight(money=Money(peak_per_kw=90.0, peak_w=20_000.0))
    start = Instant(0.0, datetime(2026, 3, 31, 23, 15, tzinfo=UTC))

    def measure(after_s: float, for_s: float, power_w: float) -> float:
        for number in range(int(for_s / 10) + 1):
            now = start.after(after_s + number * 10)
            foresight.measured(MeterReading("m", now, ZERO, power_w=power_w), together([]), [], now)
        tariff = foresight.ahead(HOURS, [ChargingMode.NORMAL], "even", now)[1]
        assert tariff is not None
        return tariff.peak_w

    assert measure(0, 890, 30_000.0) == 20_000.0
    assert measure(900, 300, 50_000.0) == pytest.approx(30_000.0, rel=0.001)
    assert measure(1800, 890, 25_000.0) == pytest.approx(30_000.0, rel=0.001), "a third of a quarter counts for nothing"
    assert measure(2700, 890, 21_000.0) == 20_000.0, "in April that of March is worth nothing, from the first second"
    assert measure(3600, 10, 1_000.0) == pytest.approx(21_000.0, rel=0.002), (
        "what is over was the first quarter of April"
    )


# --- wishes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("started", "ready"),
    [
        ("2026-03-02T18:00+01:00", "2026-03-03T07:00+01:00"),
        ("2026-03-02T06:59+01:00", "2026-03-02T07:00+01:00"),
        ("2026-03-02T07:00+01:00", "2026-03-03T07:00+01:00"),
        ("2026-03-28T20:00+01:00", "2026-03-29T07:00+02:00"),
        ("2026-10-24T22:30+00:00", "2026-10-25T07:00+01:00"),
    ],
)
def test_a_car_has_to_be_ready_at_the_first_such_time_after_it_came(started: str, ready: str) -> None:
    wish = Wish(ChargingMode.CHEAPEST, time(7))
    assert wish.departure(datetime.fromisoformat(started), BERLIN) == datetime.fromisoformat(ready)
    assert Wish().departure(datetime.fromisoformat(started), BERLIN) is None
