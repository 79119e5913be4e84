"""What is kept of a message is what the CSMS would have read, whoever wrote it."""

from __future__ import annotations

import pytest

from local_controller.rpc import frame as rpc
from local_controller.station.words import OcppVersion
from tests.transcripts.outage.stage import OutageStage

REPORT = {"requestId": 5, "chargingLimitSource": "CSO", "evseId": 1, "chargingProfile": []}


@pytest.mark.requirement("LC-050")
def test_a_message_that_the_gateway_wrote_or_changed_is_kept_with_all_that_it_says() -> None:
    stage = OutageStage(OcppVersion.V201, is_accepted=True)
    stage.play("csms back")
    written = rpc.call("r1", "ReportChargingProfiles", REPORT)
    changed = rpc.altered(rpc.parse('[2,"r2","NotifyReport",{"requestId":1}]'), {"requestId": 2})
    stage._do(stage.deputy.lost([written, changed], (), stage.now))
    assert [rpc.parse(f'[2,"","x",{row.payload}]').payload for row in stage.rows.values()] == [REPORT, {"requestId": 2}]
