"""What becomes of the CSMS's station maximum where the gateway itself needs that purpose? (decision 0011)"""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.profiles.profile import Purpose
from local_controller.station.effects import Peer
from local_controller.station.knowledge import Actuator, Knowledge
from local_controller.station.words import OcppVersion
from tests.station.test_rungs import limits, rung_of, tried

ALL = pytest.mark.parametrize("version", list(OcppVersion))
PURPOSE = {
    OcppVersion.V16: "ChargePointMaxProfile",
    OcppVersion.V201: "ChargingStationMaxProfile",
    OcppVersion.V21: "ChargingStationMaxProfile",
}
MAXIMUM = Knowledge(actuators=(Actuator.STATION_MAX,))


def sets(b: Any, limit: float, profile_id: int = 5, level: int = 3) -> Any:
    return b.csms_sets(PURPOSE[b.version], limit, profile_id, evse=0, stackLevel=level)


def cleared(b: Any) -> list[dict[str, Any]]:
    return [frame.payload for frame in b.calls_to(Peer.STATION, "ClearChargingProfile")]


@ALL
@pytest.mark.requirement("LC-090", "LC-093")
def test_one_that_the_station_holds_counts_and_is_cleared_by_its_id_once_ours_is_in_force(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version)
    b.accepts = lambda payload: rung_of(payload)[0] == "StationMax" and rung_of(payload)[3] in {0, 3}
    b.csms["BootNotification"] = lambda payload: b._boot_answer(payload) | {"status": "Pending"}
    b.boot()  # nothing of ours is sent yet
    assert sets(b, 12.0) == "Accepted", "it passes"
    b.csms["BootNotification"] = b._boot_answer
    b.boot()
    assert tried(b)[-1] == ("StationMax", "A", "Absolute", 0, 0)
    assert cleared(b) == [{"id": 5}] if version is OcppVersion.V16 else [{"chargingProfileId": 5}]
    order = [
        frame.action for frame in b.sent[Peer.STATION] if frame.action in {"SetChargingProfile", "ClearChargingProfile"}
    ]
    assert order[-1] == "ClearChargingProfile", "never before ours is in force"
    b.start()
    b.set_limit(16.0)
    assert limits(b)[-1][0] == 12.0, "the lower of both masters"


@ALL
@pytest.mark.requirement("LC-091", "LC-093", "LC-094")
def test_later_ones_are_virtual_and_no_clear_reaches_ours(bench: Any, version: OcppVersion) -> None:
    b = bench(version, knowledge=MAXIMUM)
    b.boot()
    b.start()
    b.set_limit(16.0, valid_s=900)
    foreign = len([rung for rung in tried(b) if rung[3] == 3])
    assert sets(b, 10.0) == "Accepted"
    assert limits(b)[-1][0] == 10.0
    assert len([rung for rung in tried(b) if rung[3] == 3]) == foreign == 0, "it never reaches the station"
    assert b.from_csms("ClearChargingProfile", {}) == {"status": "Accepted"}
    assert limits(b)[-1][0] == 16.0
    assert cleared(b) == []


@ALL
@pytest.mark.requirement("LC-090")
def test_where_it_is_refused_the_purpose_stays_the_csmss(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.accepts = lambda payload: rung_of(payload)[3] == 3
    b.boot()
    assert {rung[0] for rung in tried(b)} == {"TxDefaultProfile", "StationMax"}
    assert Purpose.CHARGING_STATION_MAX_PROFILE in b.smart.state.store.passed
    assert sets(b, 12.0) == "Accepted"
    assert ("StationMax", "A", "Absolute", 3, 0) in tried(b), "it passes"
