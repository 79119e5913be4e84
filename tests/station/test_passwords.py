"""Does a new password pass, and is it known from the moment it passed? (A01, LC-132)"""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.effects import PasswordOffered, Peer, Send
from local_controller.station.guard_policy import GuardPolicy, Policy
from local_controller.station.words import OcppVersion
from tests.transcripts.dialogue import START

V16, V201, V21 = OcppVersion
UNGUARDED = GuardPolicy(*[Policy.PASS] * 5)
NEW = "4f43415f4f4354545f61646d"


def variable(name: str, value: Any, component: str = "SecurityCtrlr") -> dict[str, Any]:
    return {"component": {"name": component}, "variable": {"name": name}, "attributeValue": value}


CHANGES = [
    (V16, "ChangeConfiguration", {"key": "AuthorizationKey", "value": NEW}),
    (V16, "ChangeConfiguration", {"key": "authorizationKEY", "value": NEW}),
    (V201, "SetVariables", {"setVariableData": [variable("BasicAuthPassword", NEW)]}),
    (V21, "SetNetworkProfile", {"configurationSlot": 1, "connectionData": {"basicAuthPassword": NEW}}),
    (V21, "SetVariables", {"setVariableData": [variable("X", "1"), variable("BasicAuthPassword", NEW)]}),
]


@pytest.mark.requirement("LC-132")
@pytest.mark.parametrize(("version", "action", "payload"), CHANGES)
def test_a_new_password_passes_and_is_known(version: OcppVersion, action: str, payload: dict[str, Any]) -> None:
    proxy, _ = station_proxy("CP-7", version, StationSettings(guards=UNGUARDED))
    proxy.connected(START)
    text = json.dumps([2, "p1", action, payload])
    effects = proxy.receive(Peer.CSMS, text, START)
    assert [effect for effect in effects if isinstance(effect, Send)] == [Send(Peer.STATION, text)]
    offered = [effect for effect in effects if isinstance(effect, PasswordOffered)]
    assert offered == [PasswordOffered(NEW)]
    assert NEW not in repr(offered)


@pytest.mark.parametrize(
    ("version", "action", "payload"),
    [
        (V16, "ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}),
        (V16, "ChangeConfiguration", {"key": "AuthorizationKey", "value": 7}),
        (V16, "ChangeConfiguration", {"key": ["AuthorizationKey"]}),
        (V201, "SetVariables", {"setVariableData": "BasicAuthPassword"}),
        (V201, "SetVariables", {"setVariableData": ["BasicAuthPassword", {"variable": "BasicAuthPassword"}]}),
        (V201, "SetVariables", {"setVariableData": [variable("BasicAuthPassword", "")]}),
        (V201, "GetVariables", {"getVariableData": [variable("BasicAuthPassword", NEW)]}),
    ],
)
def test_what_changes_no_password(version: OcppVersion, action: str, payload: dict[str, Any]) -> None:
    proxy, _ = station_proxy("CP-7", version, StationSettings())
    proxy.connected(START)
    effects = proxy.receive(Peer.CSMS, json.dumps([2, "p1", action, payload]), START)
    assert [effect for effect in effects if isinstance(effect, PasswordOffered)] == []


def test_a_station_cannot_offer_one() -> None:
    proxy, _ = station_proxy("CP-7", V16, StationSettings())
    proxy.connected(START)
    text = json.dumps([2, "p1", "ChangeConfiguration", {"key": "AuthorizationKey", "value": NEW}])
    assert [effect for effect in proxy.receive(Peer.STATION, text, START) if isinstance(effect, PasswordOffered)] == []
