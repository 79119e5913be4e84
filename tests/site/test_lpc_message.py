"""What does a bridge of EEBUS LPC say?"""

from __future__ import annotations

import pytest

from local_controller.errors import SourceError
from local_controller.site.lpc import LpcFailsafe, LpcHeartbeat, LpcLimit
from local_controller.site.lpc_message import (
    LpcFailsafeFields,
    LpcLimitFields,
    parse_failsafe,
    parse_heartbeat,
    parse_limit,
)

OURS = LpcLimitFields()
THEIRS = LpcLimitFields("lpc.value", "lpc.value > `0`", "lpc.left", 1000.0)


@pytest.mark.parametrize(
    ("payload", "fields", "limit"),
    [
        (b'{"limit_w": 4200, "active": true}', OURS, LpcLimit(4200.0)),
        (b'{"limit_w": 0, "active": true, "duration_s": 3600}', OURS, LpcLimit(0.0, 3600.0)),
        (b'{"limit_w": 4200, "active": true, "duration_s": null}', OURS, LpcLimit(4200.0)),
        (b'{"limit_w": 4200, "active": false}', OURS, LpcLimit(None)),
        (b'{"active": false}', OURS, LpcLimit(None)),
        (b'{"lpc": {"value": 4.2, "left": 60}}', THEIRS, LpcLimit(4200.0, 60.0)),
        (b'{"lpc": {"value": 0, "left": 60}}', THEIRS, LpcLimit(None)),
    ],
)
def test_a_limit_is_active_or_not_and_may_have_an_end(payload: bytes, fields: LpcLimitFields, limit: LpcLimit) -> None:
    assert parse_limit(payload, False, fields) == limit
    assert parse_limit(payload, True, fields).is_retained


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "is no JSON"),
        (b"nan", "is no JSON"),
        (b'{"limit_w": 4200, "active": true, "by": "K\xfcche"}', "is no JSON"),
        (b"null", "active must be true or false"),
        (b'{"limit_w": 4200}', "active must be true or false, found None"),
        (b'{"limit_w": 4200, "active": "yes"}', "active must be true or false"),
        (b'{"active": true}', "limit_w must be a number from 0"),
        (b'{"limit_w": -1, "active": true}', "limit_w must be a number from 0"),
        (b'{"limit_w": "4200", "active": true}', "limit_w must be a number from 0"),
        (b'{"limit_w": 1, "active": true, "duration_s": "1h"}', "duration_s must be a number from 0"),
    ],
)
def test_what_is_not_clear_is_no_limit_and_lifts_none(payload: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parse_limit(payload, False, OURS)


def test_failsafe_values_come_alone_or_together() -> None:
    fields = LpcFailsafeFields()
    assert parse_failsafe(b'{"failsafe_w": 6000, "duration_s": 7200}', False, fields) == LpcFailsafe(6000.0, 7200.0)
    assert parse_failsafe(b'{"duration_s": 9000}', True, fields) == LpcFailsafe(None, 9000.0, True)
    with pytest.raises(SourceError, match="failsafe_w, at duration_s, or at both"):
        parse_failsafe(b"{}", False, fields)


def test_a_heartbeat_is_any_message_but_one_that_the_broker_has_kept() -> None:
    assert parse_heartbeat(retained=False) == LpcHeartbeat()
    assert parse_heartbeat(retained=True) is None
