"""A limit at certain times of the week: when does it hold, by the clock on the wall?"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.site.limits import Bound
from local_controller.site.per_phase import equal, lower
from local_controller.site.timetable import Timetable, Window

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = frozenset(range(7))
WEEKDAYS = frozenset(range(5))


def window(start: str, end: str, amperes: float = 16.0, days: frozenset[int] = EVERY_DAY) -> Window:
    return Window(days, time.fromisoformat(start), time.fromisoformat(end), Bound(equal(amperes)))


def at(table: Timetable, clock: str) -> float | None:
    """The amperes on L1 at a time of the wall."""
    limit_a = table.at(datetime.fromisoformat(clock).replace(tzinfo=BERLIN).astimezone(UTC)).bound.limit_a
    return None if limit_a is None else limit_a[0]


def test_a_window_holds_from_its_start_to_its_end_on_its_days() -> None:
    table = Timetable([window("17:00", "21:00", days=WEEKDAYS)], BERLIN)
    assert at(table, "2026-03-06 16:59:00") is None  # Friday
    assert at(table, "2026-03-06 17:00:00") == 16.0
    assert at(table, "2026-03-06 20:59:59") == 16.0
    assert at(table, "2026-03-06 21:00:00") is None
    assert at(table, "2026-03-07 18:00:00") is None


def test_what_is_lowered_is_lowered_in_time_for_the_cars_to_follow() -> None:
    table = Timetable([window("17:00", "21:00")], BERLIN)
    start = datetime(2026, 3, 6, 17, tzinfo=BERLIN).astimezone(UTC)
    assert table.at(start - timedelta(seconds=20)).bound.limit_a == equal(16.0)
    assert table.at(start - timedelta(seconds=21)).bound.is_none
    table.begin_earlier(70.0)
    assert table.at(start - timedelta(seconds=70)).bound.limit_a == equal(16.0)
    assert table.at(start - timedelta(seconds=71)).bound.is_none


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    table = Timetable([window("22:00", "06:00", days=frozenset({4}))], BERLIN)
    assert [at(table, f"2026-03-{day} 03:00") for day in ("06", "07", "08")] == [None, 16.0, None]


def test_a_window_once_a_week_is_not_missed_by_who_looked_long_before() -> None:
    table = Timetable([window("17:00", "21:00", days=frozenset({6}))], BERLIN)
    assert at(table, "2026-03-02 12:00") is None  # Monday
    assert at(table, "2026-03-08 18:00") == 16.0


def test_where_windows_overlap_the_lowest_counts_on_each_phase() -> None:
    uneven = Window(EVERY_DAY, time(18), time(19), Bound((10.0, 30.0, 30.0)))
    table = Timetable([window("17:00", "21:00", 20.0), uneven], BERLIN)
    piece = table.at(datetime(2026, 3, 6, 18, 30, tzinfo=BERLIN).astimezone(UTC))
    assert piece.bound.limit_a == (10.0, 20.0, 20.0)
    assert piece.end == datetime(2026, 3, 6, 19, tzinfo=BERLIN)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_is_as_long_as_the_wall_says(day: str, hours: int) -> None:
    table = Timetable([window("00:00", "00:00")], BERLIN)
    midnight = datetime.fromisoformat(day).replace(tzinfo=BERLIN).astimezone(UTC)
    once = Timetable([window("00:00", "00:00", days=frozenset({midnight.astimezone(BERLIN).weekday()}))], BERLIN)
    assert once.at(midnight).end == midnight + timedelta(hours=hours)
    assert table.at(midnight).bound.limit_a == equal(16.0)


@pytest.mark.parametrize(
    ("start", "end", "held"),
    [
        ("2026-03-29 01:00", "2026-03-29 02:30", 60),  # 02:30 is put forward over: till 03:30 rather than 01:30
        ("2026-10-25 01:00", "2026-10-25 02:30", 150),  # 02:30 comes twice: till the second
        ("2026-10-25 02:30", "2026-10-25 03:30", 120),  # and from the first
    ],
)
def test_where_the_clock_is_set_a_window_is_longer_rather_than_shorter(start: str, end: str, held: int) -> None:
    table = Timetable([window(start[-5:], end[-5:])], BERLIN)
    noon = datetime.fromisoformat(start[:10]).replace(tzinfo=BERLIN).astimezone(UTC)
    minutes = [noon + timedelta(minutes=number) for number in range(6 * 60)]
    assert sum(table.at(one + timedelta(seconds=1)).bound.is_none is False for one in minutes) >= held


clocks = st.times().map(lambda one: one.replace(second=0, microsecond=0))
windows = st.builds(
    Window,
    st.frozensets(st.integers(0, 6), min_size=1),
    clocks,
    clocks,
    st.floats(0, 100).map(lambda one: Bound(equal(one))),
)


@given(
    st.lists(windows, min_size=1, max_size=4),
    st.integers(0, 230 * 24 * 3600),
    st.integers(0, 8 * 24 * 3600),
    st.sampled_from(("Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "UTC")),
)
def test_what_holds_is_what_the_wall_shows_and_what_is_kept_is_what_would_be_found(
    each: list[Window], since_s: int, later_s: int, name: str
) -> None:
    zone = ZoneInfo(name)
    table, first = Timetable(each, zone), datetime(2026, 3, 20, tzinfo=UTC) + timedelta(seconds=since_s)
    table.at(first)
    for moment_utc in (first, first + timedelta(seconds=later_s)):
        kept, found = table.at(moment_utc), Timetable(each, zone).at(moment_utc)
        assert kept.bound == found.bound
        assert kept.start <= moment_utc < kept.end
        wall = moment_utc.astimezone(zone)
        holding = [one.bound.limit_a for one in each if _shows(one, wall)]
        for limit_a in holding:  # seen apart from everything above: what the wall shows counts
            assert kept.bound.limit_a is not None
            assert lower(limit_a, kept.bound.limit_a) == kept.bound.limit_a


def _shows(one: Window, wall: datetime) -> bool:
    clock, day = wall.time(), wall.weekday()
    if one.start < one.end:
        return day in one.days and one.start <= clock < one.end
    return (day in one.days and clock >= one.start) or ((day - 1) % 7 in one.days and clock < one.end)
