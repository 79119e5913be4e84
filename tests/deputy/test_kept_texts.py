"""What is kept of a message is what the CSMS would have read, whoever wrote it; what is told of it names no driver."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_controller.deputy.effects import PutAside
from local_controller.rpc import frame as rpc
from local_controller.station.effects import Note, Tell
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


TOKENS: dict[OcppVersion, dict[str, Any]] = {
    OcppVersion.V16: {"idTag": "CARD.4711"},
    OcppVersion.V21: {"idToken": {"idToken": "CARD.4711", "type": "ISO14443"}},
}


@pytest.mark.requirement("LC-068")
@pytest.mark.parametrize("version", TOKENS)
def test_what_a_csms_says_of_a_card_that_it_refuses_is_told_without_the_card(version: OcppVersion) -> None:
    stage = OutageStage(version, is_accepted=True)
    event = "StartTransaction" if version is OcppVersion.V16 else "TransactionEvent"
    stage.play("station > " + json.dumps([2, "1", event, TOKENS[version]]))
    stage.play("csms back")
    message_id = next(json.loads(line[10:])[1] for line in stage.came if line.startswith("csms"))
    effects = stage.deputy.heard(json.dumps([4, message_id, "InternalError", "no card.4711 here", {}]), stage.now)
    for number in range(2, 4):  # it is put aside at the third
        stage.now = stage.now.after(300)
        stage._do(stage.deputy.expire(stage.now))
        message_id = json.loads(stage.came[-1][10:])[1]
        text = json.dumps([4, message_id, "InternalError", f"no CARD.4711 in row {number}", {}])
        effects = [*effects, *stage.deputy.heard(text, stage.now)]
    told = [repr(effect) for effect in effects if isinstance(effect, Note | Tell | PutAside)]
    assert len(told) == 5, "three notes, the notice and the reason in the journal"
    assert not [text for text in told if "4711" in text]


def test_what_cannot_be_kept_is_noted_once_until_something_is_kept_again() -> None:
    stage = OutageStage(OcppVersion.V16, is_accepted=True)
    stage.play("disk is slow")  # so that we may say what it does
    notes = list[int]()
    for number, is_full in enumerate([True, True, True, False, True]):
        stage.play(f'station > [2,"{number}","MeterValues",{{"connectorId":1,"meterValue":[]}}]')
        (ticket,) = stage.deputy._tickets
        effects = (
            stage.deputy.not_kept(ticket, "disk full", stage.now)
            if is_full
            else stage.deputy.kept(ticket, 7, stage.now)
        )
        stage._do(effects)
        notes.append(sum(isinstance(effect, Note) for effect in effects))
    assert notes == [1, 0, 0, 0, 1]
