"""Can the CSMS take a station away from the gateway? Stories for each kind of message, policy and version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_controller.adapters.station_settings import guard_policy
from local_controller.config.load import examined
from local_controller.rpc import frame as rpc
from local_controller.station.announcements import CertificateIssued, OperatorMustKnow
from local_controller.station.certificates import NO_CERTIFICATE, OwnChain, certificate_hash
from local_controller.station.effects import Effect, Fate, Note, Peer, Send, Trace
from local_controller.station.guard_policy import Door, Doors, GuardPolicy, Hazard, Policy, kind_of
from local_controller.station.words import OcppVersion

V16, V201, V21 = OcppVersion
V2X = pytest.mark.parametrize("version", [V201, V21])
ALL = pytest.mark.parametrize("version", list(OcppVersion))
PASS, REWRITE, REFUSE = Policy

GATEWAY = "ws://192.168.1.10:9310"
ELSEWHERE = "wss://new.example.com/ocpp"
NOTHING_GUARDED = GuardPolicy(PASS, PASS, PASS, PASS, PASS)
REWRITING = GuardPolicy(network=REWRITE, public_url=GATEWAY)


def variable(component: str, name: str, value: str, **more: Any) -> dict[str, Any]:
    return {"component": {"name": component}, "variable": {"name": name}, "attributeValue": value} | more


def network_profile(url: str = ELSEWHERE, slot: int = 1, **more: Any) -> dict[str, Any]:
    data = {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": url,
        "messageTimeout": 30,
        "securityProfile": 1,
        "ocppInterface": "Wired0",
    }
    return {"configurationSlot": slot, "connectionData": data | more}


def hashes(serial: str) -> dict[str, str]:
    return {"hashAlgorithm": "SHA256", "issuerNameHash": "AB", "issuerKeyHash": "CD", "serialNumber": serial}


def guarded(b: Any) -> list[dict[str, Any]]:
    return [note.fields for note in b.notes if note.event == "guarded_message"]


def only_note(b: Any) -> dict[str, Any]:
    (note,) = [note for note in b.notes if note.event == "guarded_message"]
    assert note.level == "warning"
    return dict(note.fields)


def relayed(effects: list[Effect], text: str, to: Peer = Peer.STATION) -> bool:
    """Whether exactly this text went on, and nothing else went anywhere."""
    sends = [effect for effect in effects if isinstance(effect, Send)]
    fates = [effect.fate for effect in effects if isinstance(effect, Trace)]
    return sends == [Send(to, text)] and fates == [Fate.PASSED]


# --- the address: 1.6 -------------------------------------------------------------------------------------------------

ADDRESS_KEYS = [
    ("CentralSystemURL", ELSEWHERE),
    ("centralsystemurl", ELSEWHERE),
    ("Central_System-Url", "https://soap.example.com"),
    ("CentralSystemAddress", "new.example.com"),
    ("CentralSystemURI", "new.example.com/ocpp"),
    ("WebSocketUrl", ELSEWHERE),
    ("OcppServer", "new.example.com"),
    ("Cst_BackendUrl", ELSEWHERE),
    ("BackendPort", "443"),
    ("SomethingOfAVendor", f'{{"csms": "{ELSEWHERE}"}}'),
    ("AnotherThing", " WSS://NEW.EXAMPLE.COM"),
]


@pytest.mark.parametrize(("key", "value"), ADDRESS_KEYS)
def test_a_new_address_in_a_vendors_key_is_refused_as_a_station_would(bench: Any, key: str, value: str) -> None:
    b = bench(V16)
    assert b.from_csms("ChangeConfiguration", {"key": key, "value": value}) == {"status": "Rejected"}
    assert b.sent[Peer.STATION] == []
    note = only_note(b)
    assert (note["kind"], note["policy"], note["action"]) == (Hazard.NETWORK, REFUSE, REFUSE)
    assert (note["message"], note["subject"]) == ("ChangeConfiguration", key)


STANDARD_KEYS = """
AllowOfflineTxForUnknownId AuthorizationCacheEnabled AuthorizeRemoteTxRequests BlinkRepeat
ClockAlignedDataInterval ConnectionTimeOut ConnectorPhaseRotation GetConfigurationMaxKeys HeartbeatInterval
LightIntensity LocalAuthorizeOffline LocalPreAuthorize MaxEnergyOnInvalidId MeterValuesAlignedData
MeterValuesSampledData MeterValueSampleInterval MinimumStatusDuration ResetRetries StopTransactionOnEVSideDisconnect
StopTransactionOnInvalidId StopTxnAlignedData StopTxnSampledData TransactionMessageAttempts
TransactionMessageRetryInterval UnlockConnectorOnEVSideDisconnect WebSocketPingInterval LocalAuthListEnabled
SendLocalListMaxLength ReserveConnectorZeroSupported ChargeProfileMaxStackLevel ConnectorSwitch3to1PhaseSupported
SupportedFileTransferProtocols CpoName AdditionalRootCertificateCheck CertificateSignedMaxChainSize
"""


@pytest.mark.parametrize("key", STANDARD_KEYS.split())
def test_all_other_keys_of_the_standard_pass_byte_for_byte(bench: Any, key: str) -> None:
    b = bench(V16)
    text = f'[2, "x",  "ChangeConfiguration",{{"value":"1E1", "key":"{key}","\\u0065xtra":1.10}} ]'
    assert relayed(b.proxy.receive(Peer.CSMS, text, b.now), text)


@pytest.mark.parametrize(
    ("wished", "written", "shown"),
    [
        (ELSEWHERE, GATEWAY, ELSEWHERE),
        (f"{ELSEWHERE}/", f"{GATEWAY}/", f"{ELSEWHERE}/"),
        (f"{ELSEWHERE}/CP", f"{GATEWAY}/CP", f"{ELSEWHERE}/CP"),
        ("ws://user:secret@[fd00::1]:80/a?token=secret#secret", GATEWAY, "ws://[fd00::1]:80/a"),
    ],
)
def test_rewrite_puts_our_address_in_the_shape_of_the_new_one_and_remembers_that(
    bench: Any, wished: str, written: str, shown: str
) -> None:
    b = bench(V16, guards=REWRITING)
    b.station["ChangeConfiguration"] = {"status": "RebootRequired"}
    answer = b.from_csms("ChangeConfiguration", {"key": "CentralSystemURL", "value": wished})
    assert answer == {"status": "RebootRequired"}
    (call,) = b.calls_to(Peer.STATION, "ChangeConfiguration")
    assert call.payload == {"key": "CentralSystemURL", "value": written}
    assert call.message_id.startswith("csms")
    note = only_note(b)
    assert (note["policy"], note["action"], note["wished_url"]) == (REWRITE, REWRITE, shown)
    assert "secret" not in repr(note)


@pytest.mark.parametrize(
    ("key", "value"),
    [("CentralSystemHost", "new.example.com"), ("CentralSystemURL", "https://new"), ("Cst_BackendUrl", "ws://[bad")],
)
def test_rewrite_refuses_what_it_cannot_turn_into_our_address(bench: Any, key: str, value: str) -> None:
    b = bench(V16, guards=REWRITING)
    assert b.from_csms("ChangeConfiguration", {"key": key, "value": value}) == {"status": "Rejected"}
    assert b.sent[Peer.STATION] == []
    assert (only_note(b)["policy"], only_note(b)["action"]) == (REWRITE, REFUSE)


def test_an_address_that_is_ours_already_passes_byte_for_byte_under_rewrite(bench: Any) -> None:
    b = bench(V16, guards=REWRITING)
    text = f'[2,"x","ChangeConfiguration", {{"key":"CentralSystemURL","value":"{GATEWAY}/CP"}}]'
    assert relayed(b.proxy.receive(Peer.CSMS, text, b.now), text)


def test_pass_lets_an_address_through_byte_for_byte_but_not_unnoticed(bench: Any) -> None:
    b = bench(V16, guards=GuardPolicy(network=PASS))
    text = f'[2,"x","ChangeConfiguration", {{"key":"CentralSystemURL","value":"{ELSEWHERE}"}}]'
    effects = b.proxy.receive(Peer.CSMS, text, b.now)
    assert relayed(effects, text)
    (note,) = [effect for effect in effects if isinstance(effect, Note)]
    assert (note.event, note.fields["action"], note.fields["wished_url"]) == ("guarded_message", PASS, ELSEWHERE)


# --- the address: network profiles of 2.x -----------------------------------------------------------------------------


@V2X
def test_a_network_profile_is_refused_with_the_reason_of_the_standard(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    answer = b.from_csms("SetNetworkProfile", network_profile())
    assert answer == {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidNetworkConf"}}
    assert b.sent[Peer.STATION] == []
    note = only_note(b)
    assert (note["kind"], note["action"], note["subject"]) == (Hazard.NETWORK, REFUSE, "slot 1")
    assert note["wished_url"] == ELSEWHERE


@V2X
def test_rewrite_changes_the_address_in_a_network_profile_and_nothing_else(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=REWRITING)
    b.station["SetNetworkProfile"] = {"status": "Accepted"}
    assert b.from_csms("SetNetworkProfile", network_profile()) == {"status": "Accepted"}
    (call,) = b.calls_to(Peer.STATION, "SetNetworkProfile")
    assert call.payload == network_profile(GATEWAY)
    assert (only_note(b)["action"], only_note(b)["wished_url"]) == (REWRITE, ELSEWHERE)


@V2X
def test_pass_lets_a_network_profile_through_byte_for_byte(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=GuardPolicy(network=PASS))
    text = f'[2,"x","SetNetworkProfile", {json.dumps(network_profile())} ]'
    assert relayed(b.proxy.receive(Peer.CSMS, text, b.now), text)


APN = {"apn": "internet", "apnAuthentication": "NONE"}
VPN = {"server": "s", "user": "u", "password": "p", "key": "k", "type": "IPSec"}


@V2X
@pytest.mark.parametrize(
    "data",
    [{"vpn": VPN}, {"apn": APN}, {"ocppTransport": "SOAP"}, {"securityProfile": 2}, {"ocppCsmsUrl": 7}],
    ids=lambda data: next(iter(data)),
)
def test_rewrite_refuses_a_profile_that_would_not_reach_us_all_the_same(
    bench: Any, version: OcppVersion, data: dict[str, Any]
) -> None:
    b = bench(version, guards=REWRITING)
    answer = b.from_csms("SetNetworkProfile", network_profile(**data))
    assert answer == {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidNetworkConf"}}
    assert b.sent[Peer.STATION] == []
    assert only_note(b)["action"] is REFUSE


@V2X
@pytest.mark.parametrize("payload", [{}, {"connectionData": None}, {"connectionData": []}, {"configurationSlot": []}])
@pytest.mark.parametrize("policy", [GuardPolicy(), REWRITING])
def test_a_network_profile_without_sense_does_not_reach_the_station(
    bench: Any, version: OcppVersion, payload: dict[str, Any], policy: GuardPolicy
) -> None:
    b = bench(version, guards=policy)
    assert b.from_csms("SetNetworkProfile", payload)["status"] == "Rejected"
    assert b.sent[Peer.STATION] == []


class NetworkStation:
    """What a 2.x station keeps of its network profiles, and where it therefore dials after a reset (B10)."""

    def __init__(self, b: Any) -> None:
        self.slots = {0: GATEWAY}
        self.priority = [0]
        b.station |= {
            "SetNetworkProfile": self.set_profile,
            "SetVariables": self.set_variables,
            "Reset": {"status": "Accepted"},
        }

    def set_profile(self, payload: dict[str, Any]) -> dict[str, Any]:
        self.slots[payload["configurationSlot"]] = payload["connectionData"]["ocppCsmsUrl"]
        return {"status": "Accepted"}

    def set_variables(self, payload: dict[str, Any]) -> dict[str, Any]:
        results = []
        for entry in payload["setVariableData"]:
            if entry["variable"]["name"] == "NetworkConfigurationPriority":
                self.priority = [int(slot) for slot in entry["attributeValue"].split(",")]
            if entry["variable"]["name"] == "OcppCsmsUrl":
                self.slots[int(entry["component"]["instance"])] = entry["attributeValue"]
            results.append({key: entry[key] for key in ("component", "variable")} | {"attributeStatus": "Accepted"})
        return {"setVariableResult": results}

    def dials(self) -> list[str]:
        return [self.slots[slot] for slot in self.priority]


def priority(slots: str) -> dict[str, Any]:
    return {"setVariableData": [variable("OCPPCommCtrlr", "NetworkConfigurationPriority", slots)]}


def migrate(b: Any, slots: str = "1") -> str:
    """The CSMS moves the station: a profile, its priority, a reset; gives what it hears about the priority."""
    b.from_csms("SetNetworkProfile", network_profile())
    answer = b.from_csms("SetVariables", priority(slots))
    assert b.from_csms("Reset", {"type": "Immediate"}) == {"status": "Accepted"}
    return str(answer["setVariableResult"][0]["attributeStatus"])


@V2X
@pytest.mark.parametrize(("policy", "heard"), [(GuardPolicy(), "Rejected"), (REWRITING, "Accepted")])
@pytest.mark.requirement("LC-129")
def test_after_a_migration_and_a_reset_the_station_still_dials_us(
    bench: Any, version: OcppVersion, policy: GuardPolicy, heard: str
) -> None:
    b = bench(version, guards=policy)
    station = NetworkStation(b)
    assert migrate(b) == heard
    assert station.dials() == [GATEWAY]


@V2X
@pytest.mark.requirement("LC-129")
def test_after_a_migration_that_the_site_lets_pass_the_station_is_gone(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=GuardPolicy(network=PASS))
    station = NetworkStation(b)
    assert migrate(b) == "Accepted"
    assert station.dials() == [ELSEWHERE]
    assert [note["action"] for note in guarded(b)] == [PASS, PASS]


@V2X
@pytest.mark.parametrize("slots", ["1,2", "2", "", "1;2", "-1", "1," + 5000 * "9"])
@pytest.mark.requirement("LC-129")
def test_a_priority_with_a_profile_that_we_do_not_know_is_refused(bench: Any, version: OcppVersion, slots: str) -> None:
    b = bench(version, guards=REWRITING)
    station = NetworkStation(b)
    station.slots[2] = ELSEWHERE  # written before the gateway was there
    assert migrate(b, slots) == "Rejected"
    assert station.dials() == [GATEWAY]


@V2X
@pytest.mark.requirement("LC-129")
def test_a_profile_that_the_station_refused_or_that_came_signed_leads_nowhere_we_know(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version, guards=REWRITING)
    station = NetworkStation(b)
    b.station["SetNetworkProfile"] = {"status": "Rejected"}
    assert migrate(b) == "Rejected"
    b.station["SetNetworkProfile"] = station.set_profile
    assert migrate(b) == "Accepted"
    b.proxy.receive(Peer.CSMS, '[2,"s","SetNetworkProfile-Signed",{}]', b.now)
    b.proxy.receive(Peer.STATION, '[3,"s",{}]', b.now)
    assert b.from_csms("SetVariables", priority("1"))["setVariableResult"][0]["attributeStatus"] == "Rejected"


def in_slot(name: str, value: str) -> dict[str, Any]:
    entry = variable("NetworkConfiguration", name, value)
    entry["component"]["instance"] = "0"
    return {"setVariableData": [entry]}


@V2X
@pytest.mark.parametrize(("policy", "heard"), [(GuardPolicy(), "Rejected"), (REWRITING, "Accepted")])
@pytest.mark.requirement("LC-129")
def test_the_variables_of_a_network_profile_follow_the_same_policy(
    bench: Any, version: OcppVersion, policy: GuardPolicy, heard: str
) -> None:
    b = bench(version, guards=policy)
    station = NetworkStation(b)
    answer = b.from_csms("SetVariables", in_slot("OcppCsmsUrl", ELSEWHERE))
    assert answer["setVariableResult"][0]["attributeStatus"] == heard
    assert station.dials() == [GATEWAY]
    assert (
        b.from_csms("SetVariables", in_slot("VpnEnabled", "true"))["setVariableResult"][0]["attributeStatus"]
        == "Rejected"
    )
    assert (
        b.from_csms("SetVariables", in_slot("MessageTimeout", "60"))["setVariableResult"][0]["attributeStatus"]
        == "Accepted"
    )


# --- SetVariables: only what is guarded is refused --------------------------------------------------------------------

HARMLESS = variable("OCPPCommCtrlr", "HeartbeatInterval", "60")
HARMFUL = variable("OCPPCommCtrlr", "NetworkConfigurationPriority", "1", attributeType="Actual")


def obey(payload: dict[str, Any]) -> dict[str, Any]:
    """A station that accepts everything and says what it accepted."""
    entries = payload["setVariableData"]
    return {"setVariableResult": [{key: e[key] for key in ("component", "variable")} | {"attributeStatus": "Accepted"} for e in entries]}  # fmt: skip


def numbered(number: int, *, harmful: bool) -> dict[str, Any]:
    entry = dict(HARMFUL if harmful else HARMLESS)
    entry["variable"] = {**entry["variable"], "instance": str(number)}
    return entry


@V2X
@given(harmful=st.lists(st.booleans(), min_size=1, max_size=8))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_entry_gets_its_result_at_its_place_and_only_the_harmless_reach_the_station(
    bench: Any, version: OcppVersion, harmful: list[bool]
) -> None:
    b = bench(version)
    b.station["SetVariables"] = obey
    entries = [numbered(n, harmful=is_harmful) for n, is_harmful in enumerate(harmful)]
    results = b.from_csms("SetVariables", {"setVariableData": entries})["setVariableResult"]
    assert [result["attributeStatus"] for result in results] == ["Rejected" if bad else "Accepted" for bad in harmful]
    assert [result["variable"] for result in results] == [entry["variable"] for entry in entries]
    assert [result.get("attributeType") for result in results] == ["Actual" if bad else None for bad in harmful]
    reached = [e for call in b.calls_to(Peer.STATION, "SetVariables") for e in call.payload["setVariableData"]]
    assert reached == [entry for entry in entries if entry["variable"]["name"] == "HeartbeatInterval"]
    assert len(guarded(b)) == sum(harmful)


@V2X
def test_what_is_not_guarded_in_variables_passes_byte_for_byte(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    text = f'[2,"x","SetVariables", {json.dumps({"setVariableData": [HARMLESS, 7, {}]})} ]'
    assert relayed(b.proxy.receive(Peer.CSMS, text, b.now), text)


@V2X
def test_a_vendors_variable_with_an_address_is_guarded_too(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    entry = variable("InternalCtrlr", "NetworkConnectionProfiles", json.dumps([network_profile()]))
    answer = b.from_csms("SetVariables", {"setVariableData": [entry]})
    assert answer["setVariableResult"][0]["attributeStatus"] == "Rejected"
    assert only_note(b)["subject"] == "InternalCtrlr.NetworkConnectionProfiles"


@V2X
def test_a_rewritten_entry_goes_on_with_its_neighbours_under_the_csmss_own_id(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=REWRITING)
    b.station["SetVariables"] = obey
    entries = [HARMLESS, variable("NetworkConfiguration", "OcppCsmsUrl", ELSEWHERE)]
    entries += [variable("SecurityCtrlr", "BasicAuthPassword", "hidden")]
    answer = b.from_csms("SetVariables", {"setVariableData": entries})
    assert [result["attributeStatus"] for result in answer["setVariableResult"]] == ["Accepted"] * 3
    (call,) = b.calls_to(Peer.STATION, "SetVariables")
    assert call.message_id.startswith("csms")
    assert [entry["attributeValue"] for entry in call.payload["setVariableData"]] == ["60", GATEWAY, "hidden"]
    assert [(n["kind"], n["action"]) for n in guarded(b)] == [(Hazard.NETWORK, REWRITE), (Hazard.CREDENTIALS, PASS)]


MIXED = {"setVariableData": [HARMFUL, HARMLESS]}


@V2X
def test_the_stations_error_about_the_rest_is_the_csmss_answer(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.station["SetVariables"] = "FormatViolation"
    assert b.from_csms("SetVariables", MIXED) == "FormatViolation"


@V2X
def test_a_station_that_does_not_answer_about_the_rest_costs_the_csms_an_error_and_no_more(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version)
    b.station["SetVariables"] = None
    assert b.from_csms("SetVariables", MIXED) is None
    b.wait(29)
    assert b.sent[Peer.CSMS] == []
    b.wait(2)
    (answer,) = b.sent[Peer.CSMS]
    assert (answer.message_id, answer.error_code) == ("csms1", "GenericError")


@V2X
def test_the_rest_is_not_executed_when_it_has_become_stale_in_the_queue(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.station |= {"UnlockConnector": None, "GetLog": None}
    b.from_csms("UnlockConnector", {"evseId": 1, "connectorId": 1})
    b.wait(1)
    b.from_csms("GetLog", {})  # a CSMS that does not wait for answers
    b.from_csms("SetVariables", MIXED)
    b.wait(120)
    assert [frame.action for frame in b.sent[Peer.STATION]] == ["UnlockConnector", "GetLog"]
    assert b.sent[Peer.CSMS][-1].error_code == "GenericError"


@V2X
@pytest.mark.parametrize("results", [None, [], [{}, {}, {}]], ids=repr)
def test_a_station_that_gives_too_few_or_too_many_results_is_quoted_all_the_same(
    bench: Any, version: OcppVersion, results: Any
) -> None:
    b = bench(version)
    b.station["SetVariables"] = None
    b.from_csms("SetVariables", MIXED)
    (call,) = b.calls_to(Peer.STATION, "SetVariables")
    answer = rpc.result(call.message_id, {"setVariableResult": results}).text
    (sent,) = [e for e in b.proxy.receive(Peer.STATION, answer, b.now) if isinstance(e, Send)]
    merged = rpc.parse(sent.text).payload["setVariableResult"]
    assert merged[0]["attributeStatus"] == "Rejected"
    assert merged[1:] == (results or [])


# --- security profiles ------------------------------------------------------------------------------------------------

TLS = GuardPolicy(public_url="wss://gateway.example.com")
BOTH, ALL_DOORS = Doors(frozenset({Door.PLAIN, Door.TLS})), Doors(frozenset(Door))
DOORS = [
    (GuardPolicy(), None, "0", True),
    (GuardPolicy(), None, "1", True),
    (GuardPolicy(), None, "2", False),
    (GuardPolicy(), None, "3", False),
    (GuardPolicy(), None, "x", False),
    (TLS, None, "1", False),
    (TLS, None, "2", True),
    (TLS, None, "3", False),
    (TLS, BOTH, "1", True),
    (GuardPolicy(), BOTH, "2", True),
    (GuardPolicy(), BOTH, "3", False),
    (GuardPolicy(), ALL_DOORS, "3", True),
    (TLS, Doors(frozenset()), "2", False),
    (GuardPolicy(security_profile=PASS), None, "3", True),
]


def set_security_profile(b: Any, value: str) -> str:
    if b.version is V16:
        b.station["ChangeConfiguration"] = {"status": "Accepted"}
        return str(b.from_csms("ChangeConfiguration", {"key": "securityPROFILE", "value": value})["status"])
    b.station["SetVariables"] = obey
    answer = b.from_csms("SetVariables", {"setVariableData": [variable("SecurityCtrlr", "SecurityProfile", value)]})
    return str(answer["setVariableResult"][0]["attributeStatus"])


@ALL
@pytest.mark.parametrize(("policy", "doors", "value", "passes"), DOORS)
@pytest.mark.requirement("LC-133")
def test_a_security_profile_passes_only_if_there_is_a_door_for_it(
    bench: Any, version: OcppVersion, policy: GuardPolicy, doors: Doors | None, value: str, passes: bool
) -> None:
    b = bench(version, guards=policy, doors=None if doors is None else lambda: doors)
    assert set_security_profile(b, value) == ("Accepted" if passes else "Rejected")
    assert bool(b.sent[Peer.STATION]) is passes
    note = only_note(b)
    assert (note["kind"], note["action"]) == (Hazard.SECURITY_PROFILE, PASS if passes else REFUSE)


@ALL
@pytest.mark.requirement("LC-133")
def test_a_door_that_closed_meanwhile_does_not_count_any_more(bench: Any, version: OcppVersion) -> None:
    doors = [Doors(frozenset()), BOTH]
    b = bench(version, doors=lambda: doors[-1])
    assert set_security_profile(b, "2") == "Accepted"
    doors.pop()
    assert set_security_profile(b, "2") == "Rejected"


@ALL
@pytest.mark.requirement("LC-133")
def test_an_encrypted_door_is_none_to_a_station_that_has_no_root_to_verify_it_by(
    bench: Any, version: OcppVersion
) -> None:
    chains = {serial: OwnChain(frozenset({certificate_hash(hashes(serial))}), bool) for serial in ("1", "2")}
    for serial, heard in (("1", "Accepted"), ("2", "Rejected")):  # 1 is its root of a CSMS, 2 a root of something else
        doors = Doors(frozenset({Door.PLAIN, Door.TLS}), chains[serial])
        b = bench(version, doors=lambda doors=doors: doors)
        assert set_security_profile(b, "2") == "Accepted", "nobody knows what it has"
        tell_certificates(b)
        assert set_security_profile(b, "2") == heard
        assert set_security_profile(b, "1") == "Accepted"


@V2X
@pytest.mark.requirement("LC-133")
def test_a_network_profile_with_a_security_profile_without_a_door_is_refused_whatever_its_address(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version, guards=GuardPolicy(network=PASS))
    assert b.from_csms("SetNetworkProfile", network_profile(securityProfile=2))["status"] == "Rejected"
    assert only_note(b)["kind"] is Hazard.SECURITY_PROFILE


@V2X
@pytest.mark.requirement("LC-133")
def test_behind_an_encrypted_door_a_network_profile_for_it_is_rewritten(bench: Any, version: OcppVersion) -> None:
    b = bench(version, guards=GuardPolicy(network=REWRITE, public_url="wss://gw/x"))
    b.station["SetNetworkProfile"] = {"status": "Accepted"}
    assert b.from_csms("SetNetworkProfile", network_profile(securityProfile=2)) == {"status": "Accepted"}
    (call,) = b.calls_to(Peer.STATION, "SetNetworkProfile")
    assert call.payload == network_profile("wss://gw/x", securityProfile=2)


# --- credentials ------------------------------------------------------------------------------------------------------

SECRET = "s3cr3t-0f-the-station"  # noqa: S105 - the test's own
CREDENTIALS = [
    (V16, "ChangeConfiguration", {"key": "authorizationkey", "value": SECRET}),
    *[
        (version, "SetVariables", {"setVariableData": [variable(component, name, SECRET)]})
        for version in (V201, V21)
        for component, name in [
            ("SecurityCtrlr", "BasicAuthPassword"),
            ("NetworkConfiguration", "BasicAuthPassword"),
        ]
    ],
]


@pytest.mark.parametrize(("version", "action", "payload"), CREDENTIALS)
@pytest.mark.requirement("LC-132")
def test_new_credentials_pass_byte_for_byte_and_are_noted_without_their_value(
    bench: Any, version: OcppVersion, action: str, payload: dict[str, Any]
) -> None:
    b = bench(version)
    text = f'[2,"x","{action}", {json.dumps(payload)} ]'
    effects = b.proxy.receive(Peer.CSMS, text, b.now)
    assert relayed(effects, text)
    (note,) = [effect for effect in effects if isinstance(effect, Note)]
    assert (note.fields["kind"], note.fields["action"]) == (Hazard.CREDENTIALS, PASS)
    assert SECRET not in repr(note)
    assert SECRET not in repr([effect for effect in effects if not isinstance(effect, Send | Trace)])


@pytest.mark.parametrize(("version", "action", "payload"), CREDENTIALS)
@pytest.mark.requirement("LC-132")
def test_a_site_may_refuse_new_credentials(
    bench: Any, version: OcppVersion, action: str, payload: dict[str, Any]
) -> None:
    b = bench(version, guards=GuardPolicy(credentials=REFUSE))
    assert "Rejected" in json.dumps(b.from_csms(action, payload))
    assert b.sent[Peer.STATION] == []
    assert only_note(b)["kind"] is Hazard.CREDENTIALS
    assert SECRET not in repr(b.notes)


@pytest.mark.requirement("LC-132")
def test_credentials_in_a_network_profile_follow_their_own_policy(bench: Any) -> None:
    b = bench(V21, guards=GuardPolicy(network=REWRITE, credentials=REFUSE, public_url=GATEWAY))
    assert b.from_csms("SetNetworkProfile", network_profile(basicAuthPassword=SECRET))["status"] == "Rejected"
    b = bench(V21, guards=REWRITING)
    b.station["SetNetworkProfile"] = {"status": "Accepted"}
    assert b.from_csms("SetNetworkProfile", network_profile(basicAuthPassword=SECRET))["status"] == "Accepted"
    assert [note["kind"] for note in guarded(b)] == [Hazard.NETWORK, Hazard.CREDENTIALS]
    assert new_passwords(b) == [SECRET]
    assert SECRET not in repr(b.notes)
    assert SECRET not in repr(b.facts)
    b = bench(V21, guards=NOTHING_GUARDED)
    b.station["SetNetworkProfile"] = {"status": "Accepted"}
    b.from_csms("SetNetworkProfile", network_profile(basicAuthPassword=SECRET))
    assert new_passwords(b) == [SECRET]


def new_passwords(b: Any) -> list[str]:
    return list(b.offered)


@pytest.mark.requirement("LC-132")
def test_a_new_key_of_1_6_is_announced_as_soon_as_it_is_on_its_way(bench: Any) -> None:
    b = bench(V16)
    b.station["ChangeConfiguration"] = None  # the station has it, but its answer is lost: from now on it may use either
    b.from_csms("ChangeConfiguration", {"key": "Authorization_Key", "value": "FFfe00"})
    assert new_passwords(b) == ["FFfe00"]


@V2X
@pytest.mark.requirement("LC-132")
def test_a_new_password_is_announced_also_from_among_other_variables(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    entries = [variable("SecurityCtrlr", "BasicAuthPassword", "pässword"), HARMLESS]
    b.station["SetVariables"] = obey
    b.from_csms("SetVariables", {"setVariableData": entries})
    b.from_csms("SetVariables", {"setVariableData": [HARMFUL, *entries]})
    assert new_passwords(b) == 2 * ["pässword"]


@pytest.mark.requirement("LC-132")
def test_a_password_that_is_refused_is_nobodys(bench: Any) -> None:
    b = bench(V21, guards=GuardPolicy(credentials=REFUSE))
    entries = [variable("SecurityCtrlr", "BasicAuthPassword", SECRET), HARMLESS]
    b.from_csms("SetVariables", {"setVariableData": entries})
    assert new_passwords(b) == []


# --- the identity -----------------------------------------------------------------------------------------------------

NAMED = [
    (V16, "ChangeConfiguration", {"key": "ChargePointId", "value": "CP-2"}),
    (V16, "ChangeConfiguration", {"key": "Cst_ChargeBoxId", "value": "CP-2"}),
    (V201, "SetVariables", {"setVariableData": [variable("SecurityCtrlr", "Identity", "CP-2")]}),
    (V21, "SetVariables", {"setVariableData": [variable("NetworkConfiguration", "Identity", "CP-2")]}),
    (V21, "SetNetworkProfile", network_profile(GATEWAY, identity="CP-2")),
]


@pytest.mark.parametrize(("version", "action", "payload"), NAMED)
def test_another_identity_is_refused_since_our_own_door_would_not_know_it(
    bench: Any, version: OcppVersion, action: str, payload: dict[str, Any]
) -> None:
    b = bench(version, guards=REWRITING)
    assert "Rejected" in json.dumps(b.from_csms(action, payload))
    assert b.sent[Peer.STATION] == []
    assert only_note(b)["kind"] is Hazard.IDENTITY


@pytest.mark.parametrize(("version", "action", "payload"), NAMED)
def test_a_site_may_let_an_identity_pass_and_the_same_one_always_does(
    bench: Any, version: OcppVersion, action: str, payload: dict[str, Any]
) -> None:
    for policy, value, notes in ((PASS, "CP-2", 1), (REFUSE, "CP", 0)):
        b = bench(version, guards=GuardPolicy(network=REWRITE, identity=policy, public_url=GATEWAY))
        text = json.dumps([2, "x", action, payload]).replace("CP-2", value)
        effects = b.proxy.receive(Peer.CSMS, text, b.now)
        assert relayed(effects, text)
        assert len([e for e in effects if isinstance(e, Note)]) == notes


# --- root certificates ------------------------------------------------------------------------------------------------

ROOTS = [(V16, "CentralSystemRootCertificate"), (V201, "CSMSRootCertificate"), (V21, "CSMSRootCertificate")]
OTHERS = [(V16, "ManufacturerRootCertificate"), (V201, "V2GRootCertificate"), (V21, "OEMRootCertificate")]


@pytest.mark.parametrize(("version", "kind"), ROOTS)
@pytest.mark.requirement("LC-134")
def test_a_new_root_of_the_csms_is_refused(bench: Any, version: OcppVersion, kind: str) -> None:
    b = bench(version)
    assert b.from_csms("InstallCertificate", {"certificateType": kind, "certificate": "PEM"}) == {"status": "Rejected"}
    assert b.sent[Peer.STATION] == []
    note = only_note(b)
    assert (note["kind"], note["action"], note["subject"]) == (Hazard.ROOT_CERTIFICATES, REFUSE, kind)


@pytest.mark.parametrize(("version", "kind"), ROOTS)
@pytest.mark.requirement("LC-134")
def test_a_site_may_let_a_new_root_of_the_csms_pass(bench: Any, version: OcppVersion, kind: str) -> None:
    b = bench(version, guards=GuardPolicy(root_certificates=PASS))
    text = f'[2,"x","InstallCertificate", {{"certificateType":"{kind}","certificate":"P"}}]'
    effects = b.proxy.receive(Peer.CSMS, text, b.now)
    assert relayed(effects, text)
    assert [effect.fields["action"] for effect in effects if isinstance(effect, Note)] == [PASS]


@pytest.mark.parametrize(("version", "kind"), OTHERS)
def test_other_roots_are_none_of_our_business(bench: Any, version: OcppVersion, kind: str) -> None:
    b = bench(version)
    text = f'[2,"x","InstallCertificate", {{"certificateType":"{kind}","certificate":"P"}}]'
    effects = b.proxy.receive(Peer.CSMS, text, b.now)
    assert relayed(effects, text)
    assert [effect for effect in effects if isinstance(effect, Note)] == []


OURS = certificate_hash(hashes("0A1"))
OWN_ROOT, CROSS_SIGNED, STRANGE = "PEM of our root", "PEM of its twin", "PEM of another"
CHAIN = Doors(frozenset({Door.TLS}), OwnChain(frozenset({OURS}), frozenset({OWN_ROOT, CROSS_SIGNED}).__contains__))
PLAIN = GuardPolicy(public_url="ws://gateway.example.com")


@pytest.mark.parametrize(("version", "kind"), ROOTS)
@pytest.mark.requirement("LC-134")
def test_a_new_root_passes_if_our_certificate_is_valid_under_it(bench: Any, version: OcppVersion, kind: str) -> None:
    for certificate, passes in ((OWN_ROOT, True), (CROSS_SIGNED, True), (STRANGE, False)):
        b = bench(version, doors=lambda: CHAIN)
        b.station["InstallCertificate"] = {"status": "Accepted"}
        answer = b.from_csms("InstallCertificate", {"certificateType": kind, "certificate": certificate})
        assert answer == {"status": "Accepted" if passes else "Rejected"}
        assert only_note(b)["action"] is (PASS if passes else REFUSE)
        assert [fact.code for fact in b.facts if isinstance(fact, OperatorMustKnow)] == (
            [] if passes else ["guarded_message_refused"]
        )


@pytest.mark.requirement("LC-134")
def test_the_operator_is_told_once_what_a_csms_tries_again_and_again(bench: Any) -> None:
    b = bench(V21, doors=lambda: CHAIN)
    for _ in range(3):
        b.from_csms("InstallCertificate", {"certificateType": "CSMSRootCertificate", "certificate": STRANGE})
    (told,) = [fact for fact in b.facts if isinstance(fact, OperatorMustKnow)]
    assert told.text == "InstallCertificate (CSMSRootCertificate) of the CSMS was refused: guards.root_certificates of the site file"  # fmt: skip
    assert len(guarded(b)) == 3


@ALL
@pytest.mark.requirement("LC-135")
def test_only_the_root_that_signs_our_certificate_must_stay(bench: Any, version: OcppVersion) -> None:
    b = bench(version, doors=lambda: CHAIN)
    assert [delete(b, serial) for serial in ("a1", "00A1", "0xA1", "1", "2")] == 3 * ["Failed"] + 2 * ["Accepted"]
    assert [note["action"] for note in guarded(b)] == 3 * [REFUSE]


@ALL
@pytest.mark.requirement("LC-135")
def test_a_root_may_go_once_our_certificate_has_another_one(bench: Any, version: OcppVersion) -> None:
    doors = [Doors(frozenset({Door.TLS}), OwnChain(frozenset({certificate_hash(hashes("7"))}), bool)), CHAIN]
    b = bench(version, doors=lambda: doors[-1])
    assert delete(b, "a1") == "Failed"
    doors.pop()
    assert delete(b, "a1") == "Accepted"


@pytest.mark.parametrize(("version", "kind"), ROOTS)
def test_where_stations_come_in_without_tls_roots_are_none_of_our_business(
    bench: Any, version: OcppVersion, kind: str
) -> None:
    assert PLAIN.doors().chain is NO_CERTIFICATE
    b = bench(version, guards=PLAIN)
    b.station["InstallCertificate"] = {"status": "Accepted"}
    answer = b.from_csms("InstallCertificate", {"certificateType": kind, "certificate": STRANGE})
    assert answer == {"status": "Accepted"}
    assert delete(b, "1") == "Accepted"


ISSUED = [(V16, {}, True), (V201, {}, True), (V21, {"certificateType": "ChargingStationCertificate"}, True)]
ISSUED += [(V201, {"certificateType": "V2GCertificate"}, False), (V21, {"certificateType": "V2G20Certificate"}, False)]


@pytest.mark.parametrize(("version", "more", "is_told"), ISSUED)
@pytest.mark.requirement("LC-136")
def test_a_certificate_that_a_station_took_for_its_connection_is_announced(
    bench: Any, version: OcppVersion, more: dict[str, Any], is_told: bool
) -> None:
    b = bench(version)
    payload = {"certificateChain": "PEM", **more}
    for status in ("Rejected", "Accepted"):
        b.station["CertificateSigned"] = {"status": status}
        assert b.from_csms("CertificateSigned", payload) == {"status": status}
    assert [f.chain for f in b.facts if isinstance(f, CertificateIssued)] == (["PEM"] if is_told else [])
    assert b.calls_to(Peer.STATION, "CertificateSigned")[0].payload == payload


def tell_certificates(b: Any) -> None:
    """The CSMS asks which certificates there are: 1 is its own root, 2 another one (twice in a chain: 3)."""
    if b.version is V16:
        for kind, serial in (("CentralSystemRootCertificate", "1"), ("ManufacturerRootCertificate", "2")):
            b.station["GetInstalledCertificateIds"] = {"status": "Accepted", "certificateHashData": [hashes(serial)]}
            b.from_csms("GetInstalledCertificateIds", {"certificateType": kind})
        return
    chains = [
        {"certificateType": "CSMSRootCertificate", "certificateHashData": hashes("1")},
        {"certificateType": "V2GRootCertificate", "certificateHashData": hashes("2")},
        {"certificateType": "V2GCertificateChain", "certificateHashData": hashes("4"), "childCertificateHashData": [hashes("3")]},
    ]  # fmt: skip
    b.station["GetInstalledCertificateIds"] = {"status": "Accepted", "certificateHashDataChain": chains}
    b.from_csms("GetInstalledCertificateIds", {})


def delete(b: Any, serial: str) -> str:
    b.station["DeleteCertificate"] = {"status": "Accepted"}
    return str(b.from_csms("DeleteCertificate", {"certificateHashData": hashes(serial)})["status"])


@ALL
@pytest.mark.requirement("LC-135")
def test_certificates_may_be_deleted_once_the_station_told_that_they_are_no_roots_of_the_csms(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version)
    assert delete(b, "2") == "Failed"
    assert b.calls_to(Peer.STATION, "DeleteCertificate") == []
    assert only_note(b)["kind"] is Hazard.ROOT_CERTIFICATES
    tell_certificates(b)
    assert [delete(b, serial) for serial in ("1", "2", "9")] == ["Failed", "Accepted", "Failed"]
    if version is not V16:
        assert delete(b, "3") == "Accepted"


@ALL
@pytest.mark.requirement("LC-135")
def test_what_the_station_told_does_not_count_any_more_after_another_installation(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version)
    tell_certificates(b)
    b.proxy.receive(Peer.CSMS, '[2,"s","InstallCertificate-Signed",{}]', b.now)
    b.proxy.receive(Peer.STATION, '[3,"s",{}]', b.now)
    assert delete(b, "2") == "Failed"


@V2X
@pytest.mark.requirement("LC-135")
def test_a_certificate_that_is_a_root_of_the_csms_as_well_stays(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    only_others = [{"certificateType": "V2GRootCertificate", "certificateHashData": hashes("1")}]
    b.station["GetInstalledCertificateIds"] = {"status": "Accepted", "certificateHashDataChain": only_others}
    b.from_csms("GetInstalledCertificateIds", {"certificateType": ["V2GRootCertificate"]})
    assert delete(b, "1") == "Failed"  # nobody has asked for the roots of the CSMS yet
    both = [*only_others, {"certificateType": "CSMSRootCertificate", "certificateHashData": hashes("1")}]
    b.station["GetInstalledCertificateIds"] = {"status": "Accepted", "certificateHashDataChain": both}
    b.from_csms("GetInstalledCertificateIds", {})
    assert delete(b, "1") == "Failed"


@V2X
@pytest.mark.requirement("LC-135")
def test_a_station_that_could_not_tell_its_certificates_has_not_said_that_it_has_no_root(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version)
    only_others = [{"certificateType": "V2GRootCertificate", "certificateHashData": hashes("1")}]
    b.station["GetInstalledCertificateIds"] = {"status": "Accepted", "certificateHashDataChain": only_others}
    b.from_csms("GetInstalledCertificateIds", {"certificateType": ["V2GRootCertificate"]})
    b.station["GetInstalledCertificateIds"] = "InternalError"
    b.from_csms("GetInstalledCertificateIds", {})
    assert delete(b, "1") == "Failed"


@ALL
@pytest.mark.parametrize("told", [{"certificateHashData": 7}, {"certificateHashDataChain": [7, {}]}, {}], ids=str)
@pytest.mark.requirement("LC-135")
def test_nonsense_about_certificates_proves_nothing(bench: Any, version: OcppVersion, told: dict[str, Any]) -> None:
    b = bench(version)
    b.station["GetInstalledCertificateIds"] = told
    b.proxy.receive(Peer.CSMS, '[2,"g","GetInstalledCertificateIds",{}]', b.now)
    b.proxy.receive(Peer.STATION, rpc.result("g", told).text, b.now)
    assert delete(b, "2") == "Failed"
    assert b.from_csms("DeleteCertificate", {}) == {"status": "Failed"}


# --- what guards leave alone ------------------------------------------------------------------------------------------


@V2X
@pytest.mark.parametrize("action", ["SetNetworkProfile", "SetVariables", "InstallCertificate", "DeleteCertificate"])
@pytest.mark.requirement("LC-034")
def test_signed_messages_pass_byte_for_byte_whatever_the_policy_but_not_unnoticed(
    bench: Any, version: OcppVersion, action: str
) -> None:
    b = bench(version)
    text = f'[2,"x","{action}-Signed", {{"payload":"e30" , "signature":1.10}}]'
    effects = b.proxy.receive(Peer.CSMS, text, b.now)
    assert relayed(effects, text)
    assert [(e.fields["kind"], e.fields["action"]) for e in effects if isinstance(e, Note)] == [("signed", PASS)]


@ALL
@pytest.mark.parametrize("action", ["ChangeConfiguration", "SetVariables", "SetNetworkProfile", "DeleteCertificate"])
def test_guards_judge_the_csms_only(bench: Any, version: OcppVersion, action: str) -> None:
    b = bench(version)
    text = f'[2,"x","{action}", {{"key":"CentralSystemURL", "value":"{ELSEWHERE}"}}]'
    assert relayed(b.proxy.receive(Peer.STATION, text, b.now), text, Peer.CSMS)


@pytest.mark.parametrize(
    ("version", "action"), [(V16, "SetNetworkProfile"), (V16, "SetVariables"), (V21, "ChangeConfiguration")]
)
def test_a_message_of_another_version_is_the_stations_to_refuse(bench: Any, version: OcppVersion, action: str) -> None:
    b = bench(version)
    b.station[action] = "NotImplemented"
    payload = network_profile() | {"key": "CentralSystemURL", "value": ELSEWHERE} | MIXED
    assert b.from_csms(action, payload) == "NotImplemented"


UNREADABLE = [(V16, "ChangeConfiguration", "FormationViolation"), (V201, "SetVariables", "FormatViolation")]
UNREADABLE += [(V21, "SetNetworkProfile", "FormatViolation")]


@pytest.mark.parametrize(("version", "action", "code"), UNREADABLE)
def test_what_cannot_be_read_cannot_be_judged_and_does_not_pass(
    bench: Any, version: OcppVersion, action: str, code: str
) -> None:
    text = f'[2,"csms9","{action}", ["{SECRET}"]]'
    b = bench(version)
    (sent,) = [effect for effect in b.proxy.receive(Peer.CSMS, text, b.now) if isinstance(effect, Send)]
    assert sent.peer is Peer.CSMS
    assert rpc.parse(sent.text).error_code == code
    b = bench(version, guards=NOTHING_GUARDED)
    assert relayed(b.proxy.receive(Peer.CSMS, text, b.now), text)


@ALL
@pytest.mark.requirement("LC-039")
def test_guards_ask_nothing_of_a_station_that_has_not_been_accepted(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.csms["BootNotification"] = {"status": "Rejected", "currentTime": "2026-06-01T12:00:00Z", "interval": 60}
    b.boot()
    before = len(b.sent[Peer.STATION])
    assert set_security_profile(b, "3") == "Rejected"
    assert delete(b, "1") == "Failed"
    b.wait(600)
    assert b.sent[Peer.STATION][before:] == [f for f in b.sent[Peer.STATION][before:] if f.action is None]
    assert b.calls_to(Peer.STATION, "SetVariables") == []


@V2X
@pytest.mark.requirement("LC-039")
def test_while_a_station_is_pending_what_its_csms_configures_still_reaches_it(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.csms["BootNotification"] = {"status": "Pending", "currentTime": "2026-06-01T12:00:00Z", "interval": 60}
    b.boot()
    b.station["SetVariables"] = obey
    answer = b.from_csms("SetVariables", MIXED)
    assert [result["attributeStatus"] for result in answer["setVariableResult"]] == ["Rejected", "Accepted"]


# --- the site file ----------------------------------------------------------------------------------------------------

SITE = "site: {name: S, mode: control}\ncsms: {url: ws://csms}\nstations: [{id: CP}]\n"
SITE += "grid_connection: {fuse_a: 50, assumed_base_load_a: 10}\n"


def test_a_site_that_says_nothing_of_guards_has_the_safe_ones() -> None:
    config, mistakes = examined(SITE, ())
    assert mistakes == []
    assert config is not None
    assert guard_policy(config) == GuardPolicy(REFUSE, REFUSE, PASS, REFUSE, REFUSE)


def test_a_sites_policies_reach_its_stations() -> None:
    text = SITE + f"listen: {{public_url: {GATEWAY}/}}\n"
    text += "guards: {network: rewrite, security_profile: pass, credentials: refuse, identity: pass, "
    text += "root_certificates: pass, sample_interval_s: 60, thin_samples: true}\n"
    config, mistakes = examined(text, ())
    assert mistakes == []
    assert config is not None
    assert guard_policy(config) == GuardPolicy(REWRITE, PASS, REFUSE, PASS, PASS, 60, GATEWAY, thins_samples=True)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("guards: {network: rewrite}", "guards.network: rewrite needs an address to write: say in listen.public_url"),
        ("guards: {credentials: rewrite}", "guards.credentials: must be one of pass, refuse"),
        ("guards: {network: reject}", "guards.network: must be one of pass, rewrite, refuse"),
        ("listen: {public_url: 'http://gw'}", "listen.public_url: an OCPP address starts with ws:// or wss://"),
    ],
)
def test_a_mistake_about_guards_is_told_where_it_stands(line: str, complaint: str) -> None:
    config, (mistake,) = examined(f"{SITE}{line}\n", ())
    assert config is None
    assert mistake.message.startswith(complaint)
    assert mistake.place.line == 5


@pytest.mark.parametrize("policies", [{"network": REWRITE}, {"credentials": REWRITE, "public_url": GATEWAY}])
def test_a_policy_that_cannot_be_obeyed_cannot_be_made(policies: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"to rewrite|only the network"):
        GuardPolicy(**policies)


def test_the_guarded_kinds_are_those_of_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "guards.md").read_text(encoding="utf-8")
    for kind in Hazard:
        assert f"\n| `{kind}` | " in page
    assert kind_of("", "CentralSystemURL", "") is Hazard.NETWORK
