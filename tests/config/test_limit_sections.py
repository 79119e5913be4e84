"""What a site file says about limits from outside, and about the brokers that bring them."""

from __future__ import annotations

import pytest

from local_controller.config.limits import PayloadSection
from tests.config.test_connections import mistakes, sound, told

CSMS = "csms: {url: ws://csms.example.com}\n"


def limits(payload: str) -> str:
    """A limit whose messages look so; the line begins with 71 characters."""
    rest = "limits: [{id: ems, broker: mq, topic: t, fallback_a: 20, payload: "
    return f"{CSMS}brokers: [{{id: mq, host: 127.0.0.1}}]\n{rest}{payload}}}]"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("{path: a, time_path: 'no such('}", "payload.time_path: must be a JMESPath expression, such as power.limit"),
        ("{path: a, time_format: unix_s}", "payload.time_format: counts with time_path only: say there where"),
        ("{path: a, time_zone: UTC}", "payload.time_zone: counts with time_path only"),
        ("{path: a, time_path: t, time_format: ms}", "time_format: must be one of rfc3339, unix_s, unix_ms"),
        (
            "{path: a, time_path: t, time_format: unix_s, time_zone: UTC}",
            "payload.time_zone: unix_s has no time zone: delete the key",
        ),
        (
            "{path: a, time_path: t, time_zone: Europe/Berln}",
            "payload.time_zone: no time zone: Europe/Berln - did you mean Europe/Berlin?",
        ),
        ("{path: a, time_pth: t}", "payload.time_pth: unknown key - did you mean time_path?"),
    ],
)
def test_mistakes_about_time_stamps_are_told_with_a_remedy(payload: str, message: str) -> None:
    (found,) = mistakes(limits(payload))
    assert found.startswith("6:"), found
    assert message in found


def test_a_payload_may_say_where_its_time_stamp_is() -> None:
    config = sound(limits("{path: a, time_path: head.t, time_format: unix_ms}"))
    payload = config.limits[0].payload
    assert isinstance(payload, PayloadSection)
    assert (payload.time_path, payload.time_format, payload.time_zone) == ("head.t", "unix_ms", None)


def test_a_payload_without_time_stamp_is_remarked() -> None:
    remark = "limit ems: its payload names no time stamp (payload.time_path), so each message counts as new"
    assert [note for note in told(limits("{path: a}")) if note.startswith(remark)]
    assert not [note for note in told(limits("{path: a, time_path: t}")) if "time stamp" in note]
