"""What does the CSMS get that the station did not say? Answers to what it asked, and nothing else (LC-123)."""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.station.effects import Peer
from local_controller.station.guard_policy import GuardPolicy
from local_controller.station.words import OcppVersion
from tests.station.conftest import own

ALL = pytest.mark.parametrize("version", list(OcppVersion))


@ALL
@pytest.mark.requirement("LC-123")
def test_by_default_a_day_of_limits_refusals_and_losses_adds_nothing_to_a_stations_connection(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version, guards=GuardPolicy(sample_interval_s=60))
    b.boot()
    b.start()
    for limit_a in (16.0, 0.0, 32.0, 6.0):  # what the site's own limits, EMS and grid make of a share
        b.set_limit(limit_a)
        b.meter([limit_a] * 3)
        b.wait(600)
    b.accepts = lambda _payload: False
    b.set_limit(10.0)
    b.from_csms("InstallCertificate", {"certificateType": "CSMSRootCertificate", "certificate": "PEM"})
    b.accepts = lambda _payload: None
    b.set_limit(9.0)
    b.wait(86_400)
    b.stop()
    said = {"BootNotification", "StartTransaction", "StopTransaction", "TransactionEvent", "MeterValues"}
    calls = [frame for frame in b.sent[Peer.CSMS] if frame.action is not None]
    assert {frame.action for frame in calls} <= said
    assert [frame for frame in calls if own(frame)] == []
    assert len(b.calls_to(Peer.STATION, "SetChargingProfile")) > 5
