"""Payloads of prices and forecasts as other products write them, and what must not be taken for one."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.errors import SourceError
from local_controller.site.series import Series, Step
from local_controller.site.series_message import SeriesSettings, parse_series, price_scale

NOW = Instant(1000.0, datetime(2026, 3, 2, 12, 0, tzinfo=UTC))
NOW_S = NOW.utc.timestamp()
BERLIN = ZoneInfo("Europe/Berlin")
PRICE = "price of energy"


def parsed(document: Any, settings: SeriesSettings, *, retained: bool = False) -> Series:
    found = parse_series(json.dumps(document).encode(), retained, NOW, settings)
    assert found is not None
    return found


def values(series: Series) -> list[float]:
    return [round(step.value, 9) for step in series.steps]


def hours(series: Series) -> list[float]:
    return [(step.end_s - step.start_s) / 3600 for step in series.steps]


# --- what products publish ----------------------------------------------------------------------------------------


def test_evcc_has_a_list_with_start_and_end() -> None:
    rates = [
        {"start": "2026-03-02T13:00:00+01:00", "end": "2026-03-02T13:15:00+01:00", "value": 0.31},
        {"start": "2026-03-02T13:15:00+01:00", "end": "2026-03-02T13:30:00+01:00", "value": 0.29},
    ]
    series = parsed(rates, SeriesSettings(PRICE, start="start", end="end"), retained=True)
    assert series.steps == (Step(NOW_S, NOW_S + 900, 0.31), Step(NOW_S + 900, NOW_S + 1800, 0.29))


def test_evcc_s_solar_forecast_has_moments_only() -> None:
    payload = {"today": {"energy": 9}, "timeseries": [{"ts": "2026-03-02T12:00:00Z", "val": 4200.0}]}
    series = parsed(payload, SeriesSettings("PV forecast", "timeseries", start="ts", value="val"))
    assert series.steps == (Step(NOW_S, NOW_S + 3600, 4200.0),)


def test_openwb_has_an_object_whose_keys_are_seconds_and_prices_per_watt_hour() -> None:
    payload = {f"{NOW_S:.0f}": 0.000257, f"{NOW_S + 3600:.0f}": 0.000212}
    series = parsed(payload, SeriesSettings(PRICE, scale=price_scale("EUR/Wh")))
    assert values(series) == [0.257, 0.212]
    assert hours(series) == [1.0, 1.0]


def test_nord_pool_has_two_days_in_two_lists_and_tomorrow_may_not_be_there_yet() -> None:
    hour = {"start": "2026-03-02T13:00:00+01:00", "end": "2026-03-02T14:00:00+01:00", "value": 61.5}
    unknown = {"start": "2026-03-03T00:00:00+01:00", "end": "2026-03-03T01:00:00+01:00", "value": None}
    settings = SeriesSettings(
        PRICE, "[raw_today, raw_tomorrow][]", start="start", end="end", scale=1.25 * price_scale("EUR/MWh"), add=0.2
    )
    for tomorrow in ([], None, [unknown]):
        series = parsed({"raw_today": [hour], "raw_tomorrow": tomorrow}, settings)
        assert values(series) == [round(0.0615 * 1.25 + 0.2, 9)]


def test_tibber_and_awattar_are_read_as_they_come() -> None:
    prices = {"today": [{"total": 0.24, "startsAt": "2026-03-02T13:00:00.000+01:00"}], "tomorrow": []}
    tibber = {"data": {"viewer": {"homes": [{"currentSubscription": {"priceInfo": prices}}]}}}
    path = "data.viewer.homes[0].currentSubscription.priceInfo.[today, tomorrow][]"
    assert values(parsed(tibber, SeriesSettings(PRICE, path, start="startsAt", value="total"))) == [0.24]
    row = {"start_timestamp": NOW_S * 1000, "end_timestamp": (NOW_S + 3600) * 1000, "marketprice": 94.09}
    settings = SeriesSettings(
        PRICE, "data", "start_timestamp", "end_timestamp", "marketprice", scale=price_scale("EUR/MWh")
    )
    assert values(parsed({"object": "list", "data": [row]}, settings)) == [0.09409]


def test_forecast_solar_writes_local_times_without_a_zone() -> None:
    payload = {"result": {"watts": {"2026-03-02 13:00:00": 3100, "2026-03-02 14:00:00": 2900}}}
    series = parsed(payload, SeriesSettings("PV forecast", "result.watts", zone=BERLIN))
    assert series.steps[0] == Step(NOW_S, NOW_S + 3600, 3100.0)


def test_energy_of_a_slot_becomes_its_power() -> None:
    rows = [{"t": NOW_S, "wh": 500}, {"t": NOW_S + 900, "wh": 750}]
    series = parsed(rows, SeriesSettings("PV forecast", start="t", value="wh", is_energy=True))
    assert values(series) == [2000.0, 3000.0]


@pytest.mark.parametrize(
    ("unit", "per_kwh"),
    [("EUR/kWh", 25.0), ("ct/kWh", 0.25), ("SEK/MWh", 0.025), ("EUR/Wh", 25000.0), ("ct/MWh", 0.00025)],
)
def test_prices_become_the_currency_per_kwh(unit: str, per_kwh: float) -> None:
    assert 25.0 * price_scale(unit) == pytest.approx(per_kwh)


def test_one_number_counts_from_its_arrival_and_a_retained_one_is_of_any_time() -> None:
    """evcc's tariffGrid: the price of this moment."""
    settings = SeriesSettings(PRICE, longest_s=1800.0)
    assert parsed(0.283, settings).steps == (Step(NOW_S, NOW_S + 1800, 0.283),)
    assert parse_series(b"0.283", True, NOW, settings) is None
    assert parsed({"now": {"p": -0.01}}, SeriesSettings(PRICE, "now.p")).steps[0].value == -0.01


def test_a_price_until_further_notice_ends_where_calendars_do_not_yet() -> None:
    rows = [{"s": NOW_S, "e": "9999-12-31T23:59:59-12:00", "value": 0.3}]
    series = parsed(rows, SeriesSettings(PRICE, start="s", end="e"))
    assert datetime.fromtimestamp(series.known_until_s(NOW_S), UTC) == datetime(2100, 1, 1, tzinfo=UTC)


# --- days on which the clock changes ------------------------------------------------------------------------------


def local_day(day: str, quarters: int) -> list[dict[str, Any]]:
    """The quarter hours of a day as a sender writes them that knows no zones: the text of its clock, and a running number."""
    start = datetime.fromisoformat(day).replace(tzinfo=BERLIN).astimezone(UTC)
    moments = [start + number * timedelta(minutes=15) for number in range(quarters)]
    return [
        {"t": at.astimezone(BERLIN).strftime("%Y-%m-%dT%H:%M:%S"), "v": number} for number, at in enumerate(moments)
    ]


@pytest.mark.parametrize(("day", "quarters"), [("2026-10-25", 100), ("2026-03-29", 92), ("2026-03-02", 96)])
def test_a_day_of_23_or_25_hours_is_read_without_gap_or_overlap(day: str, quarters: int) -> None:
    series = parsed(local_day(day, quarters), SeriesSettings(PRICE, start="t", value="v", zone=BERLIN))
    start_s = datetime.fromisoformat(day).replace(tzinfo=BERLIN).timestamp()
    assert [(s.start_s - start_s, s.end_s - start_s) for s in series.steps] == [
        (900.0 * n, 900.0 * (n + 1)) for n in range(quarters)
    ]
    assert values(series) == list(range(quarters))


def test_points_that_are_not_in_order_are_not_taken_for_a_second_run_of_an_hour() -> None:
    rows = list(reversed(local_day("2026-03-02", 96)))
    series = parsed(rows, SeriesSettings(PRICE, start="t", value="v", zone=BERLIN))
    assert values(series) == list(range(96))


# --- what is no series --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "settings", "text"),
    [
        (
            [],
            SeriesSettings(PRICE, start="start"),
            "the price of energy has no point with a value: does `path` lead to",
        ),
        ({"rates": 1}, SeriesSettings(PRICE, "rate"), "must be a number or an object .*: does `path` lead to it?"),
        ([1, 2], SeriesSettings(PRICE), r"\(a list needs `start`\), found \[1, 2\]"),
        ({}, SeriesSettings(PRICE), "has no point with a value"),
        ("unavailable", SeriesSettings(PRICE), "must be a number or an object"),
        (True, SeriesSettings(PRICE), "must be a number or an object"),
        ([{"start": NOW_S}], SeriesSettings(PRICE, start="start"), "has no point with a value"),
        ([{"start": NOW_S, "value": "0.3"}], SeriesSettings(PRICE, start="start"), "number .*: write to_number"),
        ([{"start": "soon", "value": 1}], SeriesSettings(PRICE, start="start"), "start of a point .* must be a time"),
        (
            [{"value": 1}],
            SeriesSettings(PRICE, start="start"),
            "start of a point of the price of energy must be a time",
        ),
        ([3], SeriesSettings(PRICE, start="start"), "start of a point of the price of energy must be a time"),
        ([{"start": "2026-03-02T12:00", "value": 1}], SeriesSettings(PRICE, start="start"), "it has no time zone"),
        (
            [{"s": NOW_S, "e": NOW_S, "value": 1}],
            SeriesSettings(PRICE, start="s", end="e"),
            "ends at 2026-03-02T12:00:00.00:00, not after its start",
        ),
        ([{"start": NOW_S, "value": 1}] * 1001, SeriesSettings(PRICE, start="start"), "1001 points, more than 1000"),
        (5, SeriesSettings("PV forecast", is_energy=True), "is one number: energy needs a time"),
        ({"9" * 30: 1}, SeriesSettings(PRICE), "must be milliseconds since 1970"),
        ({"0001-01-01T00:00:00Z": 1}, SeriesSettings(PRICE), "must lie between 1970 and 2100, found '0001-"),
        ({"9999-12-31T23:59:59-12:00": 1}, SeriesSettings(PRICE), "must lie between 1970 and 2100"),
        (
            {"2026-03-02T12:00": 1, "0001-01-01T00:00": 2},
            SeriesSettings(PRICE, zone=BERLIN),
            "must lie between 1970 and 2100",
        ),
        (
            [{"s": NOW_S, "v": "nan"}],
            SeriesSettings(PRICE, start="s", value="ceil(to_number(v))"),
            "value 'ceil.to_number.v..' does not fit a point of the price of energy",
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_what_was_expected(document: Any, settings: SeriesSettings, text: str) -> None:
    with pytest.raises(SourceError, match=text):
        parse_series(json.dumps(document).encode(), False, NOW, settings)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(document=_JSON, start=st.none() | st.just("start"), zone=st.none() | st.just(BERLIN))
def test_no_payload_does_more_than_be_refused(document: Any, start: str | None, zone: ZoneInfo | None) -> None:
    if isinstance(document, list):
        document = [{"start": one, "value": 1} for one in document]
    with contextlib.suppress(SourceError):
        parse_series(json.dumps(document).encode(), False, NOW, SeriesSettings(PRICE, start=start, zone=zone))
