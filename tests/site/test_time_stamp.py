"""How old is a message of somebody else, by the time stamp in it?"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.errors import SourceError
from local_controller.site.limit_message import LimitMessageSettings, OutdatedLimitError, ReceivedLimit, parse_limit
from local_controller.site.time_stamp import StampFormat, StampSettings, stated_at
from local_controller.site.wall_clock import SenderClock, WallClock

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
NOW = Instant(1000.0, NOON)
NOON_S = 1795348800
BERLIN = ZoneInfo("Europe/Berlin")
SECONDS, MILLISECONDS = StampSettings("t", StampFormat.UNIX_S), StampSettings("t", StampFormat.UNIX_MS)
TEXT, LOCAL = StampSettings("t"), StampSettings("t", zone=BERLIN)


def limit(
    stamp: StampSettings, message: Any, *, retained: bool = False, sender: SenderClock | None = None, now: Instant = NOW
) -> ReceivedLimit:
    settings = LimitMessageSettings(path="limit", stamp=stamp)
    return parse_limit(json.dumps(message).encode(), retained, now, settings, sender)


@pytest.mark.requirement("LC-116")
@pytest.mark.parametrize(
    ("stamp", "written"),
    [
        (TEXT, "2026-11-22T11:59:40Z"),
        (TEXT, "2026-11-22T12:59:40.000+01:00"),
        (TEXT, "20261122T115940Z"),
        (LOCAL, "2026-11-22T12:59:40"),
        (LOCAL, "2026-11-22 12:59:40"),
        (LOCAL, "2026-11-22T11:59:40Z"),  # its own zone counts
        (SECONDS, NOON_S - 20),
        (SECONDS, NOON_S - 20.0),
        (MILLISECONDS, (NOON_S - 20) * 1000),
        (StampSettings("deep[1].t", StampFormat.UNIX_S), None),
        (StampSettings("to_number(text)", StampFormat.UNIX_S), None),
    ],
)
@pytest.mark.parametrize("retained", [True, False])
def test_a_message_is_as_old_as_its_time_stamp_says(stamp: StampSettings, written: Any, retained: bool) -> None:
    """And is no message of unknown age then, even if it was retained."""
    ways = {"t": written} if written is not None else {"deep": [{}, {"t": NOON_S - 20}], "text": str(NOON_S - 20)}
    received = limit(stamp, {"limit": 16} | ways, retained=retained)
    assert received.valid_until.since(NOW) == pytest.approx(40.0)
    assert received.may_raise


@pytest.mark.requirement("LC-116")
@pytest.mark.parametrize(
    ("stamp", "written", "text"),
    [
        (SECONDS, NOON_S - 61, "61 s old and was valid for 60 s: check both clocks"),
        (SECONDS, NOON_S + 10, "10 s in the future: check both clocks"),
        (MILLISECONDS, (NOON_S - 3600) * 1000, "3600 s old"),
        (LOCAL, "2026-11-22T12:00:00", "3600 s old"),
        (SECONDS, 0, "s old"),
    ],
)
def test_a_message_of_another_time_is_ignored(stamp: StampSettings, written: Any, text: str) -> None:
    with pytest.raises(OutdatedLimitError, match=text):
        limit(stamp, {"limit": 16, "t": written})


@pytest.mark.requirement("LC-116")
@pytest.mark.parametrize(
    ("stamp", "message", "text"),
    [
        (SECONDS, {}, "limit message has no time stamp at t: without it nobody knows how old it is"),
        (SECONDS, {"t": None}, "has no time stamp at t"),
        (SECONDS, {"t": str(NOON_S)}, f"t must be seconds since 1970, found '{NOON_S}': write to_number"),
        (
            SECONDS,
            {"t": NOON_S * 1000},
            f"t must be seconds since 1970, found {NOON_S}000: is its time_format unix_ms?",
        ),
        (MILLISECONDS, {"t": NOON_S}, "t must be milliseconds since 1970, found .*: is its time_format unix_s?"),
        (SECONDS, {"t": -1}, "t must be seconds since 1970, found -1$"),
        (SECONDS, {"t": True}, "t must be seconds since 1970, found True$"),
        (MILLISECONDS, {"t": 1e300}, "found 1e\\+300$"),
        (MILLISECONDS, {"t": [NOON_S]}, "t must be milliseconds since 1970, found \\["),
        (TEXT, {"t": NOON_S}, "seconds or milliseconds since 1970\\? payload.time_format says so"),
        (TEXT, {"t": "yesterday"}, "t must be a time as RFC 3339 writes it, found 'yesterday'"),
        (TEXT, {"t": "2026-11-22T12:00:00"}, "t must end with Z or an offset, found .* it has no time zone"),
        (StampSettings("length(t)"), {"t": 5}, "time_path 'length\\(t\\)' does not fit"),
    ],
)
@pytest.mark.parametrize("retained", [True, False])
def test_without_a_readable_time_stamp_a_message_is_refused_and_never_fresh(
    stamp: StampSettings, message: dict[str, Any], text: str, retained: bool
) -> None:
    with pytest.raises(SourceError, match=text) as refused:
        limit(stamp, {"limit": 16} | message, retained=retained)
    assert not isinstance(refused.value, OutdatedLimitError)
    assert len(str(refused.value)) < 300


def test_what_goes_on_being_wrong_in_one_way_says_so() -> None:
    """By what those who tell it can tell it once."""
    ways = set()
    for seconds in range(3):
        with pytest.raises(SourceError) as refused:
            limit(SECONDS, {"limit": 16, "t": str(NOON_S + seconds)})
        ways.add(refused.value.expected)  # type: ignore[attr-defined]  # that it is there is the question
    assert ways == {"t must be seconds since 1970"}


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00+00:00"),  # comes twice: the first time
        ("2026-03-29T02:30:00", "2026-03-29T00:30:00+00:00"),  # never comes: the earlier one of both readings
        ("2026-07-01T02:30:00", "2026-07-01T00:30:00+00:00"),
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00+00:53:28"),
    ],
)
def test_a_local_time_with_two_readings_is_the_older_one(local: str, utc: str) -> None:
    assert stated_at({"t": local}, LOCAL) == datetime.fromisoformat(utc)


@pytest.mark.requirement("LC-116")
@pytest.mark.parametrize("set_s", [-3600.0, 3600.0])
def test_while_our_clock_is_set_a_foreign_sender_is_judged_by_the_time_before(set_s: float) -> None:
    """And what is retained by the time that makes it older."""
    wall = WallClock(NOW)
    sender = SenderClock(wall)
    limit(SECONDS, {"limit": 16, "t": NOON_S}, sender=sender)
    later = Instant(1030.0, NOON + timedelta(seconds=30 + set_s))
    wall.follow(later)
    received = limit(SECONDS, {"limit": 16, "t": NOON_S + 29}, sender=sender, now=later)
    assert received.valid_until.since(later) == pytest.approx(59.0)
    with pytest.raises(OutdatedLimitError, match="s old"):
        limit(SECONDS, {"limit": 16, "t": NOON_S - 40}, sender=sender, now=later, retained=True)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(
    written=json_values | st.datetimes().map(datetime.isoformat) | st.floats(0.0, 4e12),
    stamp=st.sampled_from([SECONDS, MILLISECONDS, TEXT, LOCAL]),
    retained=st.booleans(),
)
def test_no_accepted_message_outlives_its_time(written: Any, stamp: StampSettings, retained: bool) -> None:
    try:
        received = limit(stamp, {"limit": 16, "t": written}, retained=retained)
    except SourceError:
        return
    age_s = (NOON - stated_at(json.loads(json.dumps({"t": written})), stamp)).total_seconds()
    assert -5 <= age_s <= 60
    assert received.valid_until.since(NOW) == pytest.approx(60.0 - max(0.0, age_s))
