"""A customer wants to be forgotten: what the gateway itself knows goes, and who keeps copies is told (LC-146)."""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.station.announcements import CustomerCleared
from local_controller.station.effects import Peer
from local_controller.station.words import OcppVersion

V2X = pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
TOKEN = {"idToken": "04E12CA2B96F80", "type": "ISO14443"}
CERTIFICATE = {"hashAlgorithm": "SHA256", "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "77AB"}


def asks(b: Any, status: str = "Accepted", request_id: int = 7, **more: Any) -> None:
    b.station["CustomerInformation"] = {"status": status}
    payload = {"requestId": request_id, "report": True, "clear": True} | more
    assert b.from_csms("CustomerInformation", payload) == {"status": status}
    assert b.calls_to(Peer.STATION, "CustomerInformation")[-1].payload == payload


def reports(b: Any, data: str, request_id: int = 7) -> None:
    report = {"data": data, "seqNo": 0, "generatedAt": "2026-06-01T12:00:00Z", "requestId": request_id}
    b.from_station("NotifyCustomerInformation", report)


def told(b: Any) -> list[tuple[str, ...]]:
    return [fact.identifiers for fact in b.facts if isinstance(fact, CustomerCleared)]


@V2X
@pytest.mark.requirement("LC-146")
@pytest.mark.parametrize(
    ("named", "identifiers"),
    [
        ({"idToken": TOKEN}, ("04E12CA2B96F80",)),
        ({"customerIdentifier": "Kim"}, ("Kim",)),
        ({"customerCertificate": CERTIFICATE}, ("77AB",)),
        ({"idToken": TOKEN, "customerIdentifier": "Kim"}, ("04E12CA2B96F80", "Kim")),
    ],
)
def test_who_is_cleared_is_announced_and_so_is_what_the_station_reports_of_him(
    bench: Any, version: OcppVersion, named: dict[str, Any], identifiers: tuple[str, ...]
) -> None:
    b = bench(version)
    asks(b, **named)
    reports(b, "3 charges, 41.20 kWh")
    assert told(b) == [identifiers, ("3 charges, 41.20 kWh",)]
    assert identifiers[0] not in repr(b.facts)


@V2X
@pytest.mark.requirement("LC-146")
@pytest.mark.parametrize(
    "more", [{"clear": False}, {"status": "Rejected"}, {"clear": "true"}], ids=lambda more: next(iter(more))
)
def test_nobody_is_forgotten_who_only_asks_or_whom_the_station_does_not_clear(
    bench: Any, version: OcppVersion, more: dict[str, Any]
) -> None:
    b = bench(version)
    asks(b, idToken=TOKEN, **more)
    reports(b, "3 charges")
    reports(b, "of another request", request_id=8)
    assert told(b) == []


@V2X
@pytest.mark.requirement("LC-146")
def test_the_driver_of_a_transaction_is_forgotten_and_the_transaction_is_not(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.start(tag="04e12ca2b96f80")
    assert "04e12ca2b96f80" in repr(b.smart.state.transactions)
    asks(b, idToken=TOKEN)
    assert b.smart.state.transactions[1].transaction_id == "7"
    assert "04e12ca2b96f80" not in repr(b.smart.state).lower()


@V2X
@pytest.mark.requirement("LC-146")
def test_a_profile_that_waits_for_the_driver_is_forgotten(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    profile = b.csms_profile("TxProfile", 10.0)
    start = {"remoteStartId": 5, "idToken": TOKEN, "evseId": 1, "chargingProfile": profile}
    assert b.from_csms("RequestStartTransaction", start) == {"status": "Accepted"}
    asks(b, idToken=TOKEN)
    assert "04e12ca2b96f80" not in repr(b.smart.state).lower()


@V2X
def test_nonsense_is_nobodys_name(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    asks(b, idToken="x", customerIdentifier=7, customerCertificate=[])
    for report in ({"requestId": 7}, {"requestId": 7, "data": 7}, {}):
        b.from_station("NotifyCustomerInformation", report)
    assert told(b) == []
