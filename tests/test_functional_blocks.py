"""Does every message of every functional block pass? All actions of the three schema sets, random, to the byte.

Each through a proxy with all blocks, in both directions: stacks disagree about who may send some messages (event streams
of 2.1), and a relay must not care. What a block claims is a table here, so that a new claim has to be argued.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any, Final

import pytest

from local_controller.rpc import frame as rpc
from local_controller.station.build import StationSettings
from local_controller.station.effects import Effect, Fate, Peer, Send, Trace
from local_controller.station.guard_policy import GuardPolicy, Policy
from local_controller.station.words import OcppVersion
from tests.payloads import SENDS, actions, mistakes, payload, spelt
from tests.station.conftest import Bench

CLAIMED: Final = {
    "SetChargingProfile": "the gateway owns two purposes of profiles and keeps the CSMS's of these itself (LC-091)",
    "ClearChargingProfile": "it must not clear the gateway's profiles, and must clear what the gateway keeps (LC-096)",
    "GetChargingProfiles": "the report must show the CSMS's profiles and none of the gateway's (LC-094)",
    "RemoteStartTransaction": "a profile in it is one for the transaction, which the gateway owns (LC-091)",
    "RequestStartTransaction": "as RemoteStartTransaction",
    "UsePriorityCharging": "the CSMS's profile for it lives here, for it would lift our limit (LC-102)",
}
"""Actions that a block may answer or change when the CSMS sends them, and why (class I). All others pass."""

SELDOM: Final = {
    "NotifyReport": "where it tells a value of ours, or how many places for profiles there are (LC-099, LC-126)",
    "ReportChargingProfiles": "where it answers us, or shows a profile of ours (LC-096)",
    "UpdateDynamicSchedule": "where it is about a profile that lives here (LC-103)",
    "PullDynamicScheduleUpdate": "where it is about a profile that the station knows under a stand-in (LC-098)",
}
"""Actions that pass but for rare cases."""

GUARDED: Final = {
    "SetNetworkProfile": "the station would dial elsewhere from its next reset on (LC-129)",
    "InstallCertificate": "a new root of the CSMS may make the station distrust us (LC-134)",
    "DeleteCertificate": "without the root that it knows us by, the station cannot come back (LC-135)",
    "ChangeConfiguration": "keys of 1.6 with the address of the CSMS, the security profile (LC-129, LC-133)",
    "SetVariables": "the same as variables of 2.x (LC-129, LC-133)",
}
"""Actions that the default policy of a site refuses if they would take the station away (class G)."""

PAYLOADS: Final = 2
"""Of each action, direction and situation; some 1,500 in all."""

VERSIONS: Final = tuple(OcppVersion)
EVERY_ACTION: Final = [pytest.param(v, action, id=f"{v.value}-{action}") for v in VERSIONS for action in actions(v)]
COUNTS: Final = {OcppVersion.V16: 39, OcppVersion.V201: 64, OcppVersion.V21: 91}


def fresh(version: OcppVersion) -> Bench:
    """A station that has not yet said a word, at a site that guards nothing."""
    guards = GuardPolicy(*5 * [Policy.PASS])
    return Bench(version, StationSettings(fallback_a=6.0, guards=guards, is_asked_what_it_holds=True))


def charging(version: OcppVersion) -> Bench:
    """A station that charges below our limit, with a profile of the CSMS, at a site with the default policy."""
    bench = Bench(version, StationSettings(fallback_a=6.0, is_asked_what_it_holds=True))
    bench.boot()
    bench.start(7)
    bench.set_limit(16.0)
    bench.csms_sets("TxDefaultProfile", 20.0)
    return bench


SITUATIONS: Final = {fresh: CLAIMED, charging: CLAIMED | GUARDED}
"""What the CSMS may not simply send in each."""


def sends(effects: Sequence[Effect]) -> list[tuple[Peer, str]]:
    """What went out, without the gateway's own CALLs."""
    sent = [(effect.peer, effect.text) for effect in effects if isinstance(effect, Send)]
    return [(peer, text) for peer, text in sent if not text.startswith('[2,"LC')]


def pass_through(bench: Bench, sender: Peer, text: str, answer: str | None) -> None:
    """Asserts that a message and its answer reach the other side as they are, once."""
    effects = bench.proxy.receive(sender, text, bench.now)
    assert sends(effects) == [(sender.other, text)]
    assert [e.fate for e in effects if isinstance(e, Trace) and e.text == text] == [Fate.PASSED]
    if answer is not None:
        assert sends(bench.proxy.receive(sender.other, answer, bench.now)) == [(sender, answer)]


def call(message_id: str, action: str, body: str, rnd: random.Random) -> str:
    message_type = rpc.SEND if action in SENDS else rpc.CALL
    return f"[{message_type},{rnd.choice(['', ' '])}{json.dumps(message_id)},{json.dumps(action)},{body}]"


def answer(message_id: str, body: str, rnd: random.Random) -> str:
    return f"[3,{rnd.choice(['', ' '])}{json.dumps(message_id)},{body}]"


@pytest.mark.parametrize("version", VERSIONS)
def test_no_action_is_forgotten(version: OcppVersion) -> None:
    assert len(actions(version)) == COUNTS[version]


@pytest.mark.requirement(
    "LC-018", "LC-131", "LC-136", "LC-139", "LC-140", "LC-141", "LC-142", "LC-143", "LC-144", "LC-145", "LC-146",
    "LC-147", "LC-148", "LC-149", "LC-150",
)  # fmt: skip
@pytest.mark.parametrize(("version", "action"), EVERY_ACTION)
def test_a_message_and_its_answer_pass_to_the_byte(version: OcppVersion, action: str) -> None:
    rnd = random.Random(f"{version} {action}")
    for situation, held_back in SITUATIONS.items():
        for sender in Peer:
            if sender is Peer.CSMS and action in held_back:
                continue
            for number in range(PAYLOADS):
                text = call(f"m{number}", action, payload(version, action, rnd, is_answer=False), rnd)
                answers = None
                if action not in SENDS:
                    answers = answer(f"m{number}", payload(version, action, rnd, is_answer=True), rnd)
                pass_through(situation(version), sender, text, answers)


CLAIMS: Final = [p for p in EVERY_ACTION if p.values[1] in CLAIMED | GUARDED]


@pytest.mark.requirement("LC-150")
@pytest.mark.parametrize(("version", "action"), CLAIMS)
def test_a_claimed_call_gets_one_valid_answer_too(version: OcppVersion, action: str) -> None:
    rnd = random.Random(f"{version} {action}")
    claimed = 0
    for situation in SITUATIONS:
        for _ in range(6 * PAYLOADS):
            bench = situation(version)
            bench.station[action] = json.loads(payload(version, action, rnd, is_answer=True))
            text = call("c1", action, hazardous(action) or payload(version, action, rnd, is_answer=False), rnd)
            effects = bench.proxy.receive(Peer.CSMS, text, bench.now)
            claimed += any(isinstance(e, Trace) and e.fate in {Fate.ABSORBED, Fate.REFUSED} for e in effects)
            bench._do(effects)
            bench.wait(60.0)
            (got,) = [frame for frame in bench.sent[Peer.CSMS] if frame.message_id == "c1"]
            assert got.is_error or mistakes(version, action, json.dumps(got.payload), is_answer=True) == []
    assert claimed > 0, "nobody claims it any more: take it out of the table"


def hazardous(action: str) -> str | None:
    """A payload that is refused, where a random one hardly ever is."""
    match action:
        case "ChangeConfiguration":
            return '{"key":"CentralSystemURL","value":"ws://elsewhere.example.com"}'
        case "SetVariables":
            variable = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "NetworkConfigurationPriority"}}
            return json.dumps({"setVariableData": [{"attributeValue": "9", **variable}]})
    return None


def anything(rnd: random.Random, depth: int = 0) -> Any:
    """Any JSON value."""
    leaves: list[Any] = [None, True, 0, -1, 1.5, 2**63, "", "é\n", "{}"]
    if depth > 2 or rnd.random() < 0.4:
        return rnd.choice(leaves)
    children = [anything(rnd, depth + 1) for _ in range(rnd.randint(0, 3))]
    return children if rnd.random() < 0.5 else {f"k{n}": child for n, child in enumerate(children)}


@pytest.mark.requirement("LC-139")
@pytest.mark.parametrize("sender", list(Peer))
@pytest.mark.parametrize("version", VERSIONS)
def test_a_data_transfer_passes_with_any_content(version: OcppVersion, sender: Peer) -> None:
    rnd = random.Random(f"{version} {sender}")
    bench = charging(version)
    for number in range(50):
        body = {"vendorId": rnd.choice(["org.example", "ä" * 300]), "messageId": "x", "data": anything(rnd)}
        reply = {"status": rnd.choice(["Accepted", "Whatever"]), "data": anything(rnd)}
        message_id = f"d{number}"
        text = call(message_id, "DataTransfer", spelt(body, rnd), rnd)
        pass_through(bench, sender, text, answer(message_id, spelt(reply, rnd), rnd))


@pytest.mark.requirement("LC-019")
@pytest.mark.parametrize("sender", list(Peer))
@pytest.mark.parametrize("action", ["GetSpecialThing", "setchargingprofile", "", "Übertragung", "X" * 1000])
@pytest.mark.parametrize("version", VERSIONS)
def test_an_unknown_action_passes_with_any_content(version: OcppVersion, action: str, sender: Peer) -> None:
    rnd = random.Random(f"{version} {action} {sender}")
    bench = charging(version)
    for number in range(10):
        text = call(f"u{number}", action, spelt(anything(rnd), rnd), rnd)
        pass_through(bench, sender, text, answer(f"u{number}", spelt(anything(rnd), rnd), rnd))


@pytest.mark.requirement("LC-034")
@pytest.mark.parametrize("version", VERSIONS[1:])
def test_a_signed_message_passes_whatever_it_wraps(version: OcppVersion) -> None:
    rnd, bench = random.Random(version), charging(version)
    for action in actions(version):
        for sender in Peer:
            signed = {"payload": "eyJ2IjoxLjEwfQ", "protected": "eyJhbGciOiJFUzI1NiJ9", "signature": "c2ln\u00e9"}
            message_id = f"{sender}-{action}"
            text = call(message_id, f"{action}-Signed", spelt(signed, rnd), rnd)
            pass_through(bench, sender, text, answer(message_id, spelt(signed, rnd), rnd))


def test_a_relay_that_reads_and_writes_json_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = rpc.parse
    monkeypatch.setattr(rpc, "parse", lambda text: parse(json.dumps(json.loads(text))))
    caught = 0
    for version, action in [param.values for param in EVERY_ACTION[::10]]:
        try:
            test_a_message_and_its_answer_pass_to_the_byte(version, action)
        except AssertionError:
            caught += 1
    assert caught == len(EVERY_ACTION[::10])
