"""Is the CSMS told what the site gives a station's cars, if the site wants that, and as a station would tell it? (LC-123)"""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.station.blocks.limit_notices import PACE_S
from local_controller.station.effects import Peer
from local_controller.station.words import OcppVersion
from tests.station.conftest import own, stamp

V2 = pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
pytestmark = pytest.mark.requirement("LC-123")
CLEARED = "cleared"


def telling(bench: Any, version: OcppVersion, **more: Any) -> Any:
    """A station of one EVSE of 32 A at a site that wants its CSMS to know; a car is there."""
    b = bench(version, notifies_limits=True, maxima_a={1: 32.0, 2: 32.0}, **more)
    b.boot()
    return b


def notices(b: Any) -> list[Any]:
    """The limits that the CSMS was told, oldest first."""
    told: list[Any] = []
    for frame in b.sent[Peer.CSMS]:
        if frame.action == "NotifyChargingLimit":
            assert frame.payload["chargingLimit"] == {"chargingLimitSource": "EMS"}
            (schedule,) = frame.payload["chargingSchedule"]
            (period,) = schedule["chargingSchedulePeriod"]
            told.append(period["limit"])
        elif frame.action == "ClearedChargingLimit":
            assert frame.payload == {"chargingLimitSource": "EMS", "evseId": 1}
            told.append(CLEARED)
    return told


def gives(b: Any, limit_a: float, for_s: float = PACE_S) -> None:
    """The site gives so much, and renews that, for so long."""
    b.set_limit(limit_a, valid_s=86_400.0)
    b.wait(for_s)


@V2
def test_what_the_site_gives_less_is_told_with_its_limit_and_what_it_gives_all_is_cleared(
    bench: Any, version: OcppVersion
) -> None:
    b = telling(bench, version)
    b.start()
    assert notices(b) == [], "before the site has given anything"
    gives(b, 16.0)
    (notice,) = b.calls_to(Peer.CSMS, "NotifyChargingLimit")
    assert own(notice)
    assert (notice.payload["evseId"], notice.payload["chargingSchedule"][0]["chargingRateUnit"]) == (1, "A")
    assert notice.payload["chargingSchedule"][0]["startSchedule"] == stamp(b.now, -PACE_S)
    gives(b, 32.0)
    gives(b, 32.0)
    assert notices(b) == [16.0, CLEARED]
    assert not [
        frame for frame in b.sent[Peer.STATION] if frame.action is None and not frame.message_id.startswith("s")
    ]


@V2
def test_only_what_has_changed_much_is_told_and_once_a_minute(bench: Any, version: OcppVersion) -> None:
    b = telling(bench, version)
    b.start()
    gives(b, 16.0, 1.0)
    for limit_a in (10.0, 9.0, 8.0):
        gives(b, limit_a, 10.0)
    assert notices(b) == [16.0]
    b.wait(PACE_S)
    assert notices(b) == [16.0, 8.0], "what holds by then"
    for limit_a in (8.9, 7.1, 8.0):
        gives(b, limit_a)
    assert notices(b) == [16.0, 8.0]
    gives(b, 0.0)
    assert notices(b) == [16.0, 8.0, 0.0]


@V2
def test_a_notice_ends_with_its_transaction(bench: Any, version: OcppVersion) -> None:
    b = telling(bench, version)
    b.start()
    gives(b, 16.0)
    b.stop()
    b.wait(PACE_S)
    assert notices(b) == [16.0, CLEARED]
    b.wait(3600)
    assert notices(b) == [16.0, CLEARED], "the fallback of an idle EVSE is nothing that holds a car"


@V2
@pytest.mark.parametrize("error", ["NotImplemented", "InternalError"])
def test_a_csms_that_cannot_be_told_is_left_in_peace(bench: Any, version: OcppVersion, error: str) -> None:
    b = telling(bench, version)
    b.csms["NotifyChargingLimit"] = error
    b.start()
    for limit_a in (16.0, 8.0, 32.0, 6.0):
        gives(b, limit_a)
    assert notices(b) == [16.0]
    assert not b.notes


@V2
def test_one_that_was_not_answered_is_told_again(bench: Any, version: OcppVersion) -> None:
    b = telling(bench, version)
    b.csms["NotifyChargingLimit"] = None
    b.start()
    gives(b, 16.0, 30.0)
    del b.csms["NotifyChargingLimit"]
    b.wait(300.0)
    assert notices(b) == [16.0, 16.0]


@V2
def test_over_a_lost_connection_it_is_known_what_was_told(bench: Any, version: OcppVersion) -> None:
    b = telling(bench, version)
    b.start()
    gives(b, 16.0)
    b._do(b.proxy.closed(Peer.STATION, b.now))
    c = bench(version, notifies_limits=True, maxima_a={1: 32.0, 2: 32.0}, known=b.smart.state)
    c.now = b.now
    c.from_station("Heartbeat", {})
    gives(c, 16.0)
    assert notices(c) == []
    gives(c, 32.0)
    assert notices(c) == [CLEARED]


@V2
def test_nothing_is_told_while_the_csms_keeps_the_station_waiting(bench: Any, version: OcppVersion) -> None:
    b = telling(bench, version)
    b.start()
    gives(b, 16.0, 1.0)
    gives(b, 8.0, 1.0)
    accepted = b.csms["BootNotification"]
    b.csms["BootNotification"] = lambda _: {"status": "Pending", "currentTime": stamp(b.now), "interval": 60}
    b.boot()
    b.wait(600.0)
    assert notices(b) == [16.0]
    b.csms["BootNotification"] = accepted
    b.boot()
    gives(b, 8.0)
    assert notices(b) == [16.0, 8.0]


def test_1_6_has_no_such_notices(bench: Any) -> None:
    b = telling(bench, OcppVersion.V16)
    b.start()
    gives(b, 16.0)
    gives(b, 32.0)
    assert [frame for frame in b.sent[Peer.CSMS] if own(frame)] == []
