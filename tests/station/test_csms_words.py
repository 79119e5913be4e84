"""What is kept of a station's connectors for a CSMS that may have to hear it again has bounds."""

from __future__ import annotations

import json

from local_controller.station.authorization_memory import AuthorizationMemory
from local_controller.station.blocks.csms_words import CONNECTORS
from local_controller.station.build import StationSettings, observing_proxy
from local_controller.station.effects import Peer
from local_controller.station.sealed import KEY_BYTES
from local_controller.station.words import OcppVersion
from tests.transcripts.dialogue import START


def test_a_station_that_tells_of_ever_more_connectors_does_not_fill_our_memory() -> None:
    settings = StationSettings(authorizations=AuthorizationMemory(bytes(KEY_BYTES)).of("CP-7", "csms"))
    proxy, state = observing_proxy("CP-7", OcppVersion.V16, settings)
    for number in range(2 * CONNECTORS):
        payload = {"connectorId": number, "errorCode": "NoError", "status": "Available"}
        proxy.receive(Peer.STATION, json.dumps([2, f"{number}", "StatusNotification", payload]), START)
        proxy.receive(Peer.CSMS, json.dumps([3, f"{number}", {}]), START)
    assert [said.connector[1] for said in state.connector_states] == [*range(CONNECTORS, 2 * CONNECTORS)]
