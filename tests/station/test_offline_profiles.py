"""Profiles of the CSMS that count only while the station has a connection, which is the one to us (2.1 K01.FR.101-.103)."""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.clock import Instant
from local_controller.station.effects import Peer
from local_controller.station.knowledge import Actuator, Knowledge
from local_controller.station.words import OcppVersion
from tests.station.conftest import Bench, MakeBench

V21 = OcppVersion.V21


def with_profiles(bench: MakeBench, known: Any = None, settings: Any = None, **fields: Any) -> Bench:
    """A station that has 32 A above 8 A, for as long as `fields` say."""
    b = bench(V21, known=known, fallback_a=16.0, **(settings or {}))
    b.boot()
    assert b.csms_sets("TxDefaultProfile", 8.0, 1) == "Accepted"
    assert b.csms_sets("TxDefaultProfile", 32.0, 2, stackLevel=1, **fields) == "Accepted"
    return b


def ids(b: Bench) -> list[int]:
    return [entry.profile.id for entry in b.smart.state.store.installed]


@pytest.mark.requirement("LC-060", "LC-093")
def test_the_floor_holds_also_when_a_profile_ends_without_a_connection(bench: MakeBench) -> None:
    """Nobody could lower it then: 8 A is what the CSMS allows a station that has been offline for long."""
    lasting = with_profiles(bench)
    assert lasting.in_force_a() == 16.0
    ending = with_profiles(bench, maxOfflineDuration=300)
    assert ending.in_force_a() == 8.0


@pytest.mark.requirement("LC-060", "LC-093")
def test_while_it_is_connected_a_transaction_gets_what_the_profile_allows(bench: MakeBench) -> None:
    b = with_profiles(bench, maxOfflineDuration=0)
    b.start()
    b.set_limit(20.0, 90.0)
    assert (b.in_force_a(), b.in_force_a(91.0)) == (20.0, 8.0)


@pytest.mark.requirement("LC-060")
@pytest.mark.parametrize(
    ("fields", "seconds", "left"),
    [
        ({"maxOfflineDuration": 300, "invalidAfterOfflineDuration": True}, 301.0, [1]),
        ({"maxOfflineDuration": 300, "invalidAfterOfflineDuration": True}, 300.0, [1, 2]),
        ({"maxOfflineDuration": 300}, 301.0, [1, 2]),
        ({}, 301.0, [1, 2]),
    ],
)
def test_a_profile_may_not_come_back_with_the_connection(
    fields: dict[str, Any], seconds: float, left: list[int], bench: MakeBench
) -> None:
    b = with_profiles(bench, **fields)
    state = b.smart.state
    b.proxy.closed(Peer.STATION, Instant(b.now.monotonic_s - seconds, b.now.utc), 1006)
    assert state.lost is not None
    again = bench(V21, known=state, fallback_a=16.0)
    assert (ids(again), state.lost) == (left, None)


def working(b: Bench) -> dict[str, Any]:
    return [one for one in b.own_profiles() if one["chargingProfilePurpose"] == "TxProfile"][-1]


@pytest.mark.requirement("LC-060", "LC-093")
def test_a_working_limit_gives_way_to_the_floor_as_the_csmss_profile_would(bench: MakeBench) -> None:
    b = with_profiles(bench, maxOfflineDuration=30)
    b.start()
    b.set_limit(20.0, 900.0)
    assert (b.in_force_a(), b.in_force_a(60.0)) == (20.0, 20.0)
    assert (working(b)["maxOfflineDuration"], working(b)["invalidAfterOfflineDuration"]) == (30, True)
    written = len(b.own_profiles())
    b.set_limit(20.0, 890.0)
    b.set_limit(5.0, 900.0)
    assert len(b.own_profiles()) == written + 2
    assert "maxOfflineDuration" not in working(b), "the floor is higher"
    b.from_csms("ClearChargingProfile", {"chargingProfileId": 2})
    b.set_limit(20.0, 900.0)
    assert (working(b).get("maxOfflineDuration"), b.in_force_a()) == (None, 8.0)


@pytest.mark.requirement("LC-060", "LC-093")
def test_where_the_floor_would_be_too_much_without_a_connection_the_lower_limit_holds_all_along(
    bench: MakeBench,
) -> None:
    b = with_profiles(bench)
    b.start()
    assert b.csms_sets("TxProfile", 7.0, 3, transactionId="7") == "Accepted"
    assert b.csms_sets("TxProfile", 32.0, 4, stackLevel=1, transactionId="7", maxOfflineDuration=30) == "Accepted"
    b.set_limit(20.0, 900.0)
    assert b.in_force_a() == 7.0


@pytest.mark.requirement("LC-060", "LC-093")
@pytest.mark.parametrize("actuator", [Actuator.TX_DEFAULT, Actuator.STATION_MAX])
def test_a_limit_in_one_profile_with_the_floor_is_never_above_what_holds_without_a_connection(
    bench: MakeBench, actuator: Actuator
) -> None:
    b = with_profiles(bench, maxOfflineDuration=30, settings={"knowledge": Knowledge(actuators=(actuator,))})
    b.start()
    b.set_limit(20.0, 900.0)
    assert b.in_force_a() == 8.0
    assert not any("maxOfflineDuration" in one for one in b.own_profiles())


@pytest.mark.requirement("LC-060", "LC-093")
@pytest.mark.parametrize(("comes_back", "left"), [(False, [1, 2]), (True, [1])])
def test_being_served_without_the_csms_is_being_offline(comes_back: bool, left: list[int], bench: MakeBench) -> None:
    """The station does not notice that its CSMS is away, so what ends by that has to be ended for it (K01.FR.101-.103)."""
    b = with_profiles(bench, maxOfflineDuration=300, invalidAfterOfflineDuration=comes_back)
    b.start()
    b.set_limit(20.0, 3000.0)
    assert (b.in_force_a(), b.csms_limit().at(b.now.utc)) == (20.0, 32.0)
    b._do(b.proxy.csms_changed(b.now, is_there=False))
    assert (b.in_force_a(299.0), b.in_force_a(302.0)) == (20.0, 8.0), "told beforehand: nobody need be there then"
    b.wait(301.0)
    assert (b.in_force_a(), b.csms_limit().at(b.now.utc)) == (8.0, 8.0)
    b._do(b.proxy.csms_changed(b.now, is_there=True))
    assert ids(b) == left
    assert b.in_force_a() == (8.0 if comes_back else 20.0)


@pytest.mark.requirement("LC-060")
def test_a_station_that_connects_anew_while_its_csms_is_away_stays_offline(bench: MakeBench) -> None:
    b = with_profiles(bench, maxOfflineDuration=300)
    b._do(b.proxy.csms_changed(b.now, is_there=False))
    b.wait(200.0)
    b._do(b.proxy.closed(Peer.STATION, b.now))
    again = bench(V21, known=b.smart.state, fallback_a=16.0)
    again.now = b.now
    again._do(again.proxy.connected(again.now))
    again._do(again.proxy.csms_changed(again.now, is_there=False))
    assert (again.csms_limit().at(again.now.after(99.0).utc), again.csms_limit().at(again.now.after(102.0).utc)) == (
        32.0,
        8.0,
    )
