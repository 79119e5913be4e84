"""The CSMS resets a station, takes it out of service, unlocks it: what becomes of the shares? (LC-131)

First each station's dialogue: the command passes, what the station does because of it is told, and after a reset it
holds our limits again. Then the site that is told so: shares come back, or go to the neighbours.
"""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.station.effects import Peer
from local_controller.station.words import (
    Booted,
    ConnectorChanged,
    ConnectorStatus,
    OcppVersion,
    RegistrationStatus,
    TransactionEnded,
)
from tests.scenarios.test_site_timelines import settled
from tests.site.virtual_site import VirtualSite, topology
from tests.station.conftest import Bench, StationSettings

ALL = pytest.mark.parametrize("version", list(OcppVersion))
V16 = OcppVersion.V16


def charging(version: OcppVersion) -> Bench:
    b = Bench(version, StationSettings(fallback_a=6.0))
    b.boot()
    b.start()
    b.set_limit(16.0)
    assert b.in_force_a() == 16.0
    return b


def commanded(b: Bench, action: str, payload: dict[str, Any], status: str) -> None:
    """The CSMS's command reaches the station, and its answer the CSMS."""
    b.station[action] = {"status": status}
    assert b.from_csms(action, payload) == {"status": status}
    assert [call.payload for call in b.calls_to(Peer.STATION, action)] == [payload]


def reset_type(version: OcppVersion) -> str:
    return "Hard" if version is V16 else "Immediate"


@ALL
@pytest.mark.requirement("LC-131")
def test_after_a_reset_the_station_holds_its_limits_again(version: OcppVersion) -> None:
    b = charging(version)
    commanded(b, "Reset", {"type": reset_type(version)}, "Accepted")
    after = Bench(version, StationSettings(fallback_a=6.0), known=b.smart.state)  # whose memory is empty
    after.boot()
    assert (after.in_force_a(), after.in_force_a(301.0)) == (16.0, 6.0), "what the site ordered, for as long as it did"
    assert [fact.status for fact in after.facts if isinstance(fact, Booted)] == [RegistrationStatus.ACCEPTED]
    after.set_limit(12.0)
    assert after.in_force_a() == 12.0, "the transaction goes on (E-block of 2.1: resumed after a reset)"


@ALL
@pytest.mark.requirement("LC-131", "LC-106")
def test_after_a_long_reset_the_station_holds_its_fallback_before_the_site_says_more(version: OcppVersion) -> None:
    b = charging(version)
    commanded(b, "Reset", {"type": reset_type(version)}, "Accepted")
    after = Bench(version, StationSettings(fallback_a=6.0), known=b.smart.state)
    after.wait(301.0)
    after.boot()
    assert after.in_force_a() == 6.0
    after.set_limit(16.0)
    assert after.in_force_a() == 16.0


@ALL
@pytest.mark.requirement("LC-131")
def test_a_reset_that_ends_the_transaction_tells_its_end(version: OcppVersion) -> None:
    b = charging(version)
    commanded(b, "Reset", {"type": reset_type(version)}, "Accepted")
    b.stop()
    assert [fact.evse for fact in b.facts if isinstance(fact, TransactionEnded)] == [1]
    after = Bench(version, StationSettings(fallback_a=6.0), known=b.smart.state)
    after.boot()
    after.set_limit(16.0)
    assert after.in_force_a() == 6.0, "there is no transaction to give it to"


@ALL
@pytest.mark.requirement("LC-131")
@pytest.mark.parametrize("status", ["Accepted", "Scheduled", "Rejected"])
def test_a_change_of_availability_takes_no_limit_and_its_end_is_told(version: OcppVersion, status: str) -> None:
    b = charging(version)
    payload: dict[str, Any] = {"connectorId": 1, "type": "Inoperative"}
    if version is not V16:
        payload = {"operationalStatus": "Inoperative", "evse": {"id": 1}}
    commanded(b, "ChangeAvailability", payload, status)
    assert b.in_force_a() == 16.0, "a running transaction is not interrupted (1.6 §5.2, G03)"
    b.stop()
    report: dict[str, Any] = {"connectorId": 1, "errorCode": "NoError", "status": "Unavailable"}
    if version is not V16:
        report = {"timestamp": "2026-06-01T12:00:00Z", "connectorStatus": "Unavailable", "evseId": 1, "connectorId": 1}
    b.from_station("StatusNotification", report)
    (changed,) = [fact for fact in b.facts if isinstance(fact, ConnectorChanged)]
    assert (changed.evse, changed.status) == (1, ConnectorStatus.UNAVAILABLE)
    assert b.in_force_a() == 6.0


@ALL
@pytest.mark.requirement("LC-131")
def test_an_unlocked_cable_ends_the_transaction_and_that_is_told(version: OcppVersion) -> None:
    b = charging(version)
    payload = {"connectorId": 1} if version is V16 else {"evseId": 1, "connectorId": 1}
    commanded(b, "UnlockConnector", payload, "Unlocked")
    assert b.in_force_a() == 16.0
    b.stop()
    assert [fact.evse for fact in b.facts if isinstance(fact, TransactionEnded)] == [1]
    assert b.in_force_a() == 6.0


def drawn(site: VirtualSite) -> list[float]:
    return [max(station.draw_a().values()) for station in site.stations.values()]


@pytest.mark.requirement("LC-131")
@pytest.mark.parametrize("forgetful", [False, True])
def test_a_station_that_was_reset_gets_its_share_again(forgetful: bool) -> None:
    site = settled(VirtualSite(topology(40.0, 3)))
    for name, station in site.stations.items():
        station.forgetful = forgetful
        site.plug(name)
    site.run(200)
    assert drawn(site) == pytest.approx([13.0] * 3, abs=0.3)
    site.reboot("CP-1")
    site.run(10)
    assert drawn(site)[0] == 0.0
    site.run(300)
    assert drawn(site) == pytest.approx([13.0] * 3, abs=0.3)
    assert max(site.worst["grid"]) <= 40.0


@pytest.mark.requirement("LC-131")
@pytest.mark.parametrize("intervention", ["reset", "unlock"])
def test_what_a_station_gives_up_goes_to_its_neighbours(intervention: str) -> None:
    site = settled(VirtualSite(topology(40.0, 2)))
    site.plug("CP-1")
    site.plug("CP-2")
    site.run(200)
    assert drawn(site) == pytest.approx([19.5, 19.5], abs=0.3)
    site.unplug("CP-1")
    if intervention == "reset":
        site.reboot("CP-1")
    site.run(300)
    assert drawn(site) == pytest.approx([0.0, 32.0], abs=0.3)
    assert max(site.worst["grid"]) <= 40.0
