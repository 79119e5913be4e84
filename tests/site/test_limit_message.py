"""What does a limit message mean, and what does a broken one mean?"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.errors import SourceError
from local_controller.site.json_payload import MAX_PAYLOAD_BYTES
from local_controller.site.limit_message import (
    LimitMessageSettings,
    LimitUnit,
    OutdatedLimitError,
    ReceivedLimit,
    parse_limit,
)

NOW = Instant(1000.0, datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC))


def stamped(age_s: float) -> str:
    return (NOW.utc - timedelta(seconds=age_s)).isoformat()


def limit(message: Any, *, retained: bool = False, settings: LimitMessageSettings | None = None) -> ReceivedLimit:
    return parse_limit(json.dumps(message).encode(), retained, NOW, settings)


@pytest.mark.parametrize(
    ("message", "limit_a", "power_w"),
    [
        ({"max_a": 40}, (40.0, 40.0, 40.0), None),
        ({"max_a": [40, 40.5, 32]}, (40.0, 40.5, 32.0), None),
        ({"max_a": 0}, (0.0, 0.0, 0.0), None),
        ({"max_w": 25_000}, None, 25_000.0),
        ({"max_a": 40, "max_w": 0, "unlimited": False}, (40.0, 40.0, 40.0), 0.0),
        ({"unlimited": True}, None, None),
    ],
)
def test_what_a_message_limits(message: dict[str, Any], limit_a: object, power_w: object) -> None:
    received = limit(message | {"reason": "grid operator"})
    assert (received.limit_a, received.power_w) == (limit_a, power_w)
    assert received.lifted == ("max_a" not in message and "max_w" not in message)
    assert received.reason == "grid operator"


@pytest.mark.parametrize(
    ("message", "valid_until_s"),
    [
        ({"max_a": 40}, 1060.0),
        ({"max_a": 40, "valid_s": 20}, 1020.0),
        ({"max_a": 40, "valid_s": 20, "ts": stamped(5)}, 1015.0),
        ({"max_a": 40, "valid_s": 3600}, 1060.0),  # no message is trusted longer than max_age_s
        ({"max_a": 40, "ts": stamped(-4)}, 1060.0),  # a little ahead of us: as if sent now, no longer
        ({"max_a": 40, "ts": "2026-11-22T13:59:30+02:00"}, 1030.0),
        ({"max_a": 40, "ts": "2026-11-22T11:59:30.5Z"}, 1030.5),
    ],
)
def test_how_long_a_message_holds(message: dict[str, Any], valid_until_s: float) -> None:
    assert limit(message).valid_until.monotonic_s == pytest.approx(valid_until_s)


@pytest.mark.parametrize(
    ("retained", "ts", "may_raise"),
    [(False, None, True), (True, None, False), (True, stamped(30), True), (False, stamped(30), True)],
)
def test_a_retained_message_without_time_stamp_may_only_lower(retained: bool, ts: str | None, may_raise: bool) -> None:
    message = {"max_a": 40} if ts is None else {"max_a": 40, "ts": ts}
    assert limit(message, retained=retained).may_raise is may_raise


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"max_a": 40, "ts": stamped(61)}, "61 s old and was valid for 60 s"),
        ({"max_a": 40, "ts": stamped(21), "valid_s": 20}, "21 s old and was valid for 20 s"),
        ({"max_a": 40, "ts": stamped(-3600)}, "3600 s in the future: check both clocks"),
    ],
)
@pytest.mark.parametrize("retained", [True, False])
def test_a_message_from_the_wrong_time_is_outdated(message: dict[str, Any], text: str, retained: bool) -> None:
    with pytest.raises(OutdatedLimitError, match=text):
        limit(message, retained=retained)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"unavailable",
        b"nan",
        b"NaN",
        b"null",
        b"40",
        b"[40]",
        b"{}",
        b'{"max_a": null}',
        b'{"max_a": null, "max_w": 5000}',
        b'{"max_a": NaN}',
        b'{"max_a": "40"}',
        b'{"max_a": true}',
        b'{"max_a": -1}',
        b'{"max_a": 1e999}',
        b'{"max_a": [40, 40]}',
        b'{"max_a": [40, null, 40]}',
        b'{"unlimited": false}',
        b'{"unlimited": "true"}',
        b'{"unlimited": true, "max_a": 40}',
        b'{"max_a": 40, "valid_s": null}',
        b'{"max_a": 40, "valid_s": -5}',
        b'{"max_a": 40, "ts": null}',
        b'{"max_a": 40, "ts": 1795000000}',
        b'{"max_a": 40, "ts": "yesterday"}',
        b'{"max_a": 40, "ts": "2026-11-22T12:00:00"}',
        b"\xff\xfe",
        b'{"max_a": 40, "reason": "K\xfcche"}',
        b'{"max_a": 1' + b"0" * 400 + b"}",
        b'{"max_a": 1' + b"0" * 5_000 + b"}",
        b'{"max_a": ' + b"[" * 900 + b"]" * 900 + b"}",
        b"[" * 60_000,
        b'{"max_a": 40, "reason": "' + b"x" * MAX_PAYLOAD_BYTES + b'"}',
    ],
    ids=lambda payload: repr(payload[:40]),
)
@pytest.mark.parametrize("path", [None, "power.limit"])
def test_nonsense_is_no_limit_and_lifts_nothing(payload: bytes, path: str | None) -> None:
    with pytest.raises(SourceError) as caught:
        parse_limit(payload, False, NOW, LimitMessageSettings(path=path))
    assert not isinstance(caught.value, OutdatedLimitError)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("message", "settings", "limit_a", "power_w"),
    [
        (16.5, LimitMessageSettings(path="@"), (16.5, 16.5, 16.5), None),
        ({"value": 11.0}, LimitMessageSettings(path="value", unit=LimitUnit.WATTS, factor=1000.0), None, 11_000.0),
        ({"state": "20"}, LimitMessageSettings(path="to_number(state)"), (20.0, 20.0, 20.0), None),
        (
            {"l": [{"ma": 1e4}, {"ma": 2e4}, {"ma": 3e4}]},
            LimitMessageSettings(path="l[].ma", factor=1e-3),
            (10, 20, 30),
            None,
        ),
    ],
)
def test_a_foreign_payload_is_read_by_a_path(
    message: Any, settings: LimitMessageSettings, limit_a: object, power_w: object
) -> None:
    received = limit(message, settings=settings)
    assert (received.limit_a, received.power_w) == (limit_a, power_w)
    assert not limit(message, settings=settings, retained=True).may_raise


@pytest.mark.parametrize("path", ["no such(", "unknown_function(@)", "length(value)"])
def test_a_path_that_cannot_be_evaluated_is_named(path: str) -> None:
    with pytest.raises(SourceError, match="does not fit"):
        limit({"value": 5}, settings=LimitMessageSettings(path=path))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
messages = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("max_a", "max_w", "unlimited", "valid_s", "ts", "reason"), json_values)
)
times = st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-12)))).map(datetime.isoformat)


@given(payload=st.binary(max_size=60) | (messages | json_values).map(lambda value: json.dumps(value).encode()))
def test_no_payload_raises_anything_else(payload: bytes) -> None:
    for settings in (LimitMessageSettings(), LimitMessageSettings(path="max_a", factor=1e300)):
        try:
            received = parse_limit(payload, False, NOW, settings)
        except SourceError:
            continue
        assert received.valid_until.since(NOW) <= settings.max_age_s


@given(ts=times, valid_s=st.floats(0, 1e6), retained=st.booleans())
def test_no_accepted_message_outlives_its_time(ts: str, valid_s: float, retained: bool) -> None:
    try:
        received = limit({"max_a": 6, "ts": ts, "valid_s": valid_s}, retained=retained)
    except OutdatedLimitError:
        return
    age_s = (NOW.utc - datetime.fromisoformat(ts)).total_seconds()
    assert -5 <= age_s <= min(valid_s, 60)
    assert 0 <= received.valid_until.since(NOW) <= min(valid_s, 60)
