"""What blocks may do to the relay, and what they may not."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.connection import QUEUE_LIMIT
from local_controller.rpc.frame import Frame, parse
from local_controller.station.block import (
    Answer,
    AnswerError,
    Block,
    BlockEffect,
    Forward,
    OwnCall,
    Urgency,
    Withdraw,
)
from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.effects import Close, Effect, Fate, Note, Peer, Send, Tell, Trace
from local_controller.station.proxy import LONGEST_READ, LONGEST_STOP, NOTED, StationProxy, own_id, propagated_code
from local_controller.station.relay_leg import CLAIMED_LIMIT, CLAIMED_S, STRAYS_LIMIT
from local_controller.station.words import Connected, Disconnected, OcppVersion, UnitLearnt

NOW = Instant(1000.0, datetime(2026, 11, 22, 12, 0, tzinfo=UTC))
STATION, CSMS = Peer.STATION, Peer.CSMS
PROFILE = '[2,"a","SetChargingProfile",{"connectorId":1}]'
PUSH = OwnCall(STATION, "SetChargingProfile", {"connectorId": 1}, Urgency.SAFETY, "push")
FACT = Tell(UnitLearnt("A"))


@dataclass
class Scripted(Block):
    """A block that writes down what it is shown and does what its script says for that moment."""

    claimed: frozenset[str] = frozenset()
    script: dict[str, list[BlockEffect] | Exception] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    wakes_at_s: float | None = None

    @property
    def deadline(self) -> float | None:
        return self.wakes_at_s

    def _on(self, moment: str) -> list[BlockEffect]:
        self.seen.append(moment)
        done = self.script.get(moment, [])
        if isinstance(done, Exception):
            raise done
        return done

    def connected(self, now: Instant) -> list[BlockEffect]:
        return self._on("connected")

    def claims(self, sender: Peer, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        moment = f"claims {frame.action}"
        return self._on(moment) if frame.action in self.claimed or moment in self.script else None

    def called(self, sender: Peer, call: Frame, now: Instant) -> list[BlockEffect]:
        return self._on(f"called {sender} {call.action}")

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        return self._on(f"observe {sender} {call.action} {answer and answer.text}")

    def sent(self, tag: Any, now: Instant) -> list[BlockEffect]:
        return self._on(f"sent {tag}")

    def answered(self, tag: Any, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        return self._on(f"answered {tag} {answer and answer.text}")

    def expire(self, now: Instant) -> list[BlockEffect]:
        self.wakes_at_s = None
        return self._on("expire")

    def closed(self, now: Instant) -> list[BlockEffect]:
        return self._on("closed")


def proxy_with(*blocks: Block, version: OcppVersion = OcppVersion.V16) -> StationProxy:
    """A proxy whose own ids count LC1, LC2 ..."""
    counter = itertools.count(1)
    return StationProxy("CP-7", version, blocks, ids=lambda: f"LC{next(counter)}")


def sends(effects: list[Effect]) -> list[tuple[Peer, str]]:
    return [(effect.peer, effect.text) for effect in effects if isinstance(effect, Send)]


def notes(effects: list[Effect]) -> list[str]:
    return [effect.event for effect in effects if isinstance(effect, Note)]


def fates(effects: list[Effect]) -> list[tuple[Peer | None, Fate]]:
    return [(effect.sender, effect.fate) for effect in effects if isinstance(effect, Trace)]


# --- claims -------------------------------------------------------------------------------------------------------


def test_a_claimed_call_is_answered_by_its_block_after_our_own_call_was_answered() -> None:
    block = Scripted(
        script={
            "claims SetChargingProfile": [PUSH],
            'answered push [3,"LC1",{}]': [Answer(CSMS, "a", {"status": "Accepted"})],
        }
    )
    proxy = proxy_with(block)
    effects = proxy.receive(CSMS, PROFILE, NOW)
    assert sends(effects) == [(STATION, '[2,"LC1","SetChargingProfile",{"connectorId":1}]')]
    assert fates(effects) == [(CSMS, Fate.ABSORBED), (None, Fate.INJECTED)]
    effects = proxy.receive(STATION, '[3,"LC1",{}]', NOW)
    assert sends(effects) == [(CSMS, '[3,"a",{"status":"Accepted"}]')]
    assert fates(effects) == [(STATION, Fate.ABSORBED), (None, Fate.INJECTED)]
    assert block.seen == ["claims SetChargingProfile", "sent push", 'answered push [3,"LC1",{}]']


def test_only_the_first_claim_counts() -> None:
    first = Scripted(script={"claims SetChargingProfile": [AnswerError(CSMS, "a", "NotSupported", "")]})
    second = Scripted(frozenset({"SetChargingProfile"}))
    effects = proxy_with(first, second).receive(CSMS, PROFILE, NOW)
    assert sends(effects) == [(CSMS, '[4,"a","NotSupported","",{}]')]
    assert fates(effects) == [(CSMS, Fate.REFUSED), (None, Fate.INJECTED)]
    assert second.seen == []


@pytest.mark.parametrize(
    ("version", "action", "payload"),
    [
        (OcppVersion.V16, "ChangeConfiguration", {"key": "CentralSystemURL", "value": "ws://elsewhere"}),
        (OcppVersion.V201, "InstallCertificate", {"certificateType": "CSMSRootCertificate", "certificate": "x"}),
        (
            OcppVersion.V201,
            "SetVariables",
            {
                "setVariableData": [
                    {
                        "component": {"name": "OCPPCommCtrlr"},
                        "variable": {"name": "NetworkConfigurationPriority"},
                        "attributeValue": "9",
                    }
                ]
            },
        ),
    ],
)
def test_what_a_guard_refuses_is_refused_in_the_trace(
    version: OcppVersion, action: str, payload: dict[str, Any]
) -> None:
    proxy, _ = station_proxy("CP", version, StationSettings())
    proxy.connected(NOW)
    effects = proxy.receive(CSMS, json.dumps([2, "g", action, payload]), NOW)
    assert fates(effects) == [(CSMS, Fate.REFUSED), (None, Fate.INJECTED)]


def test_without_a_trace_the_same_happens_and_nothing_is_told_of_it() -> None:
    def play(*, is_traced: bool) -> list[Effect]:
        block = Scripted(script={"claims SetChargingProfile": [Answer(CSMS, "a", {})], "called csms Reset": [PUSH]})
        proxy = StationProxy("CP-7", OcppVersion.V16, [block], ids=lambda: "LC1", is_traced=is_traced)
        texts = [(CSMS, PROFILE), (CSMS, '[2,"r","Reset",{}]'), (STATION, '[3,"r",{}]'), (STATION, '[3,"LC1",{}]')]
        texts += [(STATION, "garbage"), (STATION, '[3,"x",{}]')]
        return [effect for peer, text in texts for effect in proxy.receive(peer, text, NOW)]

    traced = play(is_traced=True)
    assert play(is_traced=False) == [effect for effect in traced if not isinstance(effect, Trace)]
    assert len(fates(traced)) == 8


@pytest.mark.requirement("LC-027")
def test_nobody_gets_a_second_answer_or_one_he_did_not_ask_for() -> None:
    proxy = proxy_with(Scripted(script={"claims SetChargingProfile": [Answer(CSMS, "a", {})]}))
    assert sends(proxy.receive(CSMS, PROFILE, NOW)) == [(CSMS, '[3,"a",{}]')]
    effects = proxy.perform([Answer(CSMS, "a", {}), AnswerError(STATION, "b", "GenericError", "")], NOW)
    assert sends(effects) == []
    assert notes(effects) == ["answer_not_awaited"] * 2


@pytest.mark.requirement("LC-021")
def test_a_complaint_about_our_answer_stays_with_us() -> None:
    block = Scripted(script={"claims SetChargingProfile": [Answer(CSMS, "a", {})]})
    proxy = proxy_with(block, version=OcppVersion.V21)
    proxy.receive(CSMS, PROFILE, NOW)
    assert sends(proxy.receive(CSMS, '[5,"a","FormatViolation","",{}]', NOW)) == []
    assert sends(proxy.receive(CSMS, '[5,"b","FormatViolation","",{}]', NOW)) == [
        (STATION, '[5,"b","FormatViolation","",{}]')
    ]


@pytest.mark.requirement("LC-029")
@pytest.mark.parametrize("count", range(1, 40))
def test_of_unreadable_messages_the_latest_may_be_answered_with_an_error(count: int) -> None:
    proxy = proxy_with()
    for number in range(count):
        proxy.receive(STATION, f'[2,"{number}",null,{{}}]', NOW)
    answered = [bool(sends(proxy.receive(CSMS, f'[4,"{n}","FormatViolation","",{{}}]', NOW))) for n in range(count)]
    assert answered == [number >= count - STRAYS_LIMIT for number in range(count)]


@pytest.mark.requirement("LC-018", "LC-019", "LC-027")
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('[2,"a","MeterValues",{"value":NaN}]', '[3,"a",{}]'),  # Python's JSON reads and writes it
        ('[2,"a","MeterValues",{"connectorId":1,}]', '[3,"a",{}]'),
        ('[2.0,"a","Heartbeat",{}]', '[3,"a",{"currentTime":"2026-11-22T12:00:00Z"}]'),
        ('["2","a","Heartbeat",{}]', '[3,"a",{}]'),
        ('\ufeff[2,"a","Heartbeat",{}]', '[3,"a",{}]'),
        ('[2,"a","DataTransfer",{"data":"C:\\x"}]', '[4,"a","FormationViolation","",{}]'),
        ('[2, "a" ,null,{}]', '[3,"a",{}]'),
        ('[7,"a",{}]', '[4,"a","MessageTypeNotSupported","",{}]'),
        ("[7]", '[4,"-1","MessageTypeNotSupported","",{}]'),
        ('[6,"a","NotifyPeriodicEventStream",{}]', '[4,"a","MessageTypeNotSupported","",{}]'),
    ],
)
def test_who_reads_more_than_we_do_may_answer_it_once(text: str, answer: str) -> None:
    proxy = proxy_with()
    assert (CSMS, text) in sends(proxy.receive(STATION, text, NOW))
    assert sends(proxy.receive(CSMS, answer, NOW)) == [(STATION, answer)]
    assert sends(proxy.receive(CSMS, answer, NOW)) == []


@pytest.mark.requirement("LC-027")
def test_what_looks_like_an_answer_announces_none() -> None:
    proxy = proxy_with()
    for text in ('[3,"a",NaN]', '[4,"a",NaN]', '{"a":[2,"a"'):
        proxy.receive(STATION, text, NOW)
    assert sends(proxy.receive(CSMS, '[3,"a",{}]', NOW)) == []


def test_a_claimed_call_may_go_on_with_another_payload_and_its_answer_comes_back() -> None:
    block = Scripted(frozenset({"RemoteStartTransaction"}))
    proxy = proxy_with(block)
    start = '[2,"r","RemoteStartTransaction",{"idTag":"X","chargingProfile":{}}]'
    assert sends(proxy.receive(CSMS, start, NOW)) == []
    frame = parse(start)
    effects = proxy.perform([Forward(CSMS, frame, {"idTag": "X"})], NOW)
    assert sends(effects) == [(STATION, '[2,"r","RemoteStartTransaction",{"idTag":"X"}]')]
    assert fates(effects) == [(CSMS, Fate.ALTERED)]
    assert sends(proxy.receive(STATION, '[3,"r",{"status":"Accepted"}]', NOW)) == [
        (CSMS, '[3,"r",{"status":"Accepted"}]')
    ]
    assert block.seen[1:] == [
        "called csms RemoteStartTransaction",
        'observe csms RemoteStartTransaction [3,"r",{"status":"Accepted"}]',
    ]
    assert notes(proxy.perform([Forward(CSMS, frame, {})], NOW)) == ["forward_not_awaited"]


@pytest.mark.requirement("LC-034")
def test_nobody_is_asked_to_claim_a_signed_message() -> None:
    block = Scripted(frozenset({"SetChargingProfile-Signed"}))
    effects = proxy_with(block, version=OcppVersion.V201).receive(CSMS, '[2,"a","SetChargingProfile-Signed",{}]', NOW)
    assert sends(effects) == [(STATION, '[2,"a","SetChargingProfile-Signed",{}]')]
    assert block.seen == ["called csms SetChargingProfile-Signed"]


@pytest.mark.requirement("LC-031")
def test_claimed_calls_that_stay_without_answer_are_bounded_and_forgotten_in_the_end() -> None:
    proxy = proxy_with(Scripted(frozenset({"SetChargingProfile"})))
    for n in range(CLAIMED_LIMIT):
        assert sends(proxy.receive(CSMS, f'[2,"{n}","SetChargingProfile",{{}}]', NOW)) == []
    assert '"GenericError"' in sends(proxy.receive(CSMS, PROFILE, NOW))[0][1]
    assert sends(proxy.receive(CSMS, PROFILE, NOW.after(CLAIMED_S))) == []


# --- looking on ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-040")
def test_the_answer_is_relayed_before_anything_that_a_block_makes_of_it() -> None:
    accepted = '[3,"1",{"status":"Accepted"}]'
    block = Scripted(script={f"observe station BootNotification {accepted}": [PUSH, FACT]})
    proxy = proxy_with(block)
    proxy.receive(STATION, '[2,"1","BootNotification",{}]', NOW)
    effects = proxy.receive(CSMS, accepted, NOW)
    order = [effect for effect in effects if isinstance(effect, (Send, Tell))]
    assert order == [Send(STATION, accepted), FACT, Send(STATION, '[2,"LC1","SetChargingProfile",{"connectorId":1}]')]


def test_a_call_is_relayed_before_it_is_shown() -> None:
    proxy = proxy_with(Scripted(script={"called station MeterValues": [FACT]}))
    effects = proxy.receive(STATION, '[2,"1","MeterValues",{}]', NOW)
    assert [effect for effect in effects if not isinstance(effect, Trace)] == [
        Send(CSMS, '[2,"1","MeterValues",{}]'),
        FACT,
    ]


@pytest.mark.requirement("LC-021")
def test_a_send_is_shown_but_not_waited_for() -> None:
    block = Scripted()
    proxy = proxy_with(block, version=OcppVersion.V21)
    for _ in range(3):
        assert len(sends(proxy.receive(STATION, '[6,"e","NotifyPeriodicEventStream",{}]', NOW))) == 1
    assert proxy.deadline is None
    assert block.seen == ["called station NotifyPeriodicEventStream"] * 3


@pytest.mark.requirement("LC-024")
def test_a_reduction_decided_on_an_answer_goes_before_the_next_command() -> None:
    block = Scripted(script={'observe csms Reset [3,"x",{}]': [PUSH]})
    proxy = proxy_with(block)
    proxy.receive(CSMS, '[2,"x","Reset",{}]', NOW)
    effects = proxy.receive(CSMS, '[2,"y","ClearCache",{}]', NOW)
    assert fates(effects) == [(CSMS, Fate.QUEUED)]
    effects = proxy.receive(STATION, '[3,"x",{}]', NOW)
    assert [text for _, text in sends(effects)] == ['[3,"x",{}]', '[2,"LC1","SetChargingProfile",{"connectorId":1}]']
    effects = proxy.receive(STATION, '[3,"LC1",{}]', NOW)
    assert sends(effects) == [(STATION, '[2,"y","ClearCache",{}]')]
    assert fates(effects) == [(STATION, Fate.ABSORBED), (CSMS, Fate.PASSED)]


@pytest.mark.requirement("LC-020")
@pytest.mark.parametrize(
    "moment", ["claims MeterValues", "called station MeterValues", 'observe station MeterValues [3,"1",{}]']
)
def test_what_a_block_cannot_read_is_noted_and_relayed_all_the_same(moment: str) -> None:
    fault = PayloadError("MeterValues", "meterValue[0]", "no list")
    other = Scripted()
    proxy = proxy_with(Scripted(script={moment: fault}), other)
    there = proxy.receive(STATION, '[2,"1","MeterValues",{}]', NOW)
    back = proxy.receive(CSMS, '[3,"1",{}]', NOW)
    assert sends(there + back) == [(CSMS, '[2,"1","MeterValues",{}]'), (STATION, '[3,"1",{}]')]
    assert notes(there + back) == ["unreadable_payload"]
    assert other.seen == ["called station MeterValues", 'observe station MeterValues [3,"1",{}]']


@pytest.mark.requirement("LC-018", "LC-020", "LC-033")
@pytest.mark.parametrize(
    ("sender", "action", "size", "is_read"),
    [
        (STATION, "MeterValues", LONGEST_READ, False),
        (STATION, "StopTransaction", LONGEST_READ, True),  # with all samples of a day
        (STATION, "StopTransaction", LONGEST_STOP, False),
        (CSMS, "SetNetworkProfile", LONGEST_STOP, True),
    ],
)
def test_what_a_station_says_at_too_great_length_is_relayed_and_noted_but_not_read(
    sender: Peer, action: str, size: int, is_read: bool
) -> None:
    """To read 8 MiB of meter values would hold up the whole site for more than a second; a CSMS must not evade guards so."""

    class Reads(Block):
        def called(self, sender: Peer, call: Frame, now: Instant) -> list[BlockEffect]:
            return [Tell(UnitLearnt(call.payload["x"][0]))]

    proxy = proxy_with(Reads())
    text = f'[2,"a","{action}",{{"x":"{"y" * size}"}}]'
    effects = proxy.receive(sender, text, NOW)
    assert sends(effects) == [(sender.other, text)]
    assert (Tell(UnitLearnt("y")) in effects) is is_read
    assert notes(effects) == ([] if is_read else ["unreadable_payload"])
    assert sends(proxy.receive(sender.other, '[3,"a",{}]', NOW)) == [(sender, '[3,"a",{}]')]


@pytest.mark.requirement("LC-020")
def test_a_payload_that_is_no_object_is_a_fault_although_nobody_reads_it_and_is_relayed() -> None:
    proxy = proxy_with()
    texts = ['[2,"1","DataTransfer",[1]]', '[2,"2","DataTransfer", 7]', '[2,"3","DataTransfer"]', '[2,"4","X",{} ]']
    effects = [effect for text in texts for effect in proxy.receive(STATION, text, NOW)]
    answers = [f'[3,"{n}",{payload}]' for n, payload in enumerate(["[]", "null", '"x"', "{}"], start=1)]
    effects += [effect for text in answers for effect in proxy.receive(CSMS, text, NOW)]
    assert [text for to, text in sends(effects) if to is CSMS] == texts
    assert [text for to, text in sends(effects) if to is STATION] == answers
    assert notes(effects) == ["unreadable_payload"] * 4
    assert proxy.faults == {"unreadable_payload": 4}


@pytest.mark.requirement("LC-020")
def test_the_fault_of_one_message_is_noted_once_however_many_blocks_look_at_it() -> None:
    fault = PayloadError("MeterValues", "$", "no object")
    proxy = proxy_with(*(Scripted(script={"called station MeterValues": fault}) for _ in range(3)))
    assert notes(proxy.receive(STATION, '[2,"1","MeterValues",[]]', NOW)) == ["unreadable_payload"]
    assert proxy.faults["unreadable_payload"] == 1
    proxy.receive(CSMS, '[3,"1",{}]', NOW)
    fault.path = "$.meterValue"
    assert notes(proxy.receive(STATION, '[2,"2","MeterValues",{}]', NOW)) == ["unreadable_payload"] * 3


@pytest.mark.requirement("LC-020", "LC-027", "LC-031")
@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("garbage", "unreadable_message"),
        ('[2,"1","DataTransfer",[]]', "unreadable_payload"),
        ('[3,"nobody",{}]', "answer_without_call"),
        ('[2,"1","DataTransfer",{}]', "queue_full"),
    ],
)
def test_what_a_peer_does_wrong_is_counted_and_cannot_flood_the_log(text: str, event: str) -> None:
    proxy = proxy_with()
    said = [
        effect.fields["count"]
        for _ in range(1000)
        for effect in proxy.receive(STATION, text, NOW)
        if isinstance(effect, Note) and effect.event == event
    ]
    assert proxy.faults[event] >= 900
    assert said[:NOTED] == list(range(1, NOTED + 1))
    assert said[NOTED:] == [16, 32, 64, 128, 256, 512]


@pytest.mark.requirement("LC-027")
def test_an_answer_that_nobody_asked_for_is_dropped_and_logged() -> None:
    effects = proxy_with().receive(STATION, '[3,"x",{}]', NOW)
    assert sends(effects) == []
    fields = {"leg": STATION, "message_id": "x", "action": None, "count": 1}
    assert effects[-1] == Note("warning", "answer_without_call", fields)


def test_an_answer_to_us_that_cannot_be_read_is_none() -> None:
    fault = PayloadError("SetChargingProfile", "status", "missing")
    block = Scripted(script={'answered push [3,"LC1",{}]': fault, "answered push None": [FACT]})
    proxy = proxy_with(block)
    proxy.perform([PUSH], NOW)
    effects = proxy.receive(STATION, '[3,"LC1",{}]', NOW)
    assert notes(effects) == ["unreadable_payload"]
    assert FACT in effects


# --- time ---------------------------------------------------------------------------------------------------------


def test_a_block_is_told_the_fate_of_each_call_even_if_there_is_no_answer() -> None:
    block = Scripted()
    proxy = proxy_with(block)
    proxy.perform([PUSH], NOW)
    assert proxy.deadline == NOW.monotonic_s + 8.0
    proxy.receive(CSMS, '[2,"a","Reset",{}]', NOW)
    effects = proxy.expire(NOW.after(8.0))
    assert notes(effects) == ["call_timed_out"]
    assert sends(effects) == [(STATION, '[2,"a","Reset",{}]')]
    assert notes(proxy.expire(NOW.after(38.0))) == ["call_timed_out"]
    assert block.seen == ["sent push", "called csms Reset", "answered push None", "observe csms Reset None"]
    assert proxy.deadline is None


@pytest.mark.requirement("LC-025")
def test_a_stale_command_is_discarded_and_noted() -> None:
    block = Scripted()
    proxy = proxy_with(block)
    proxy.receive(CSMS, '[2,"a","GetLog",{}]', NOW.after(-20.0))
    proxy.receive(CSMS, '[2,"b","Reset",{}]', NOW.after(-19.9))
    proxy.perform([PUSH], NOW)
    effects = proxy.expire(NOW.after(10.0))
    assert sends(effects) == [(STATION, '[2,"LC1","SetChargingProfile",{"connectorId":1}]')]
    effects = proxy.expire(NOW.after(10.2))
    assert (fates(effects), notes(effects)) == ([(CSMS, Fate.DISCARDED)], ["call_discarded"])
    assert block.seen[-1] == "observe csms Reset None"


def test_what_a_block_asks_when_its_call_goes_out_goes_out_too() -> None:
    report = OwnCall(CSMS, "ReportChargingProfiles", {}, Urgency.QUERY, "report")
    effects = proxy_with(Scripted(script={"sent report": [PUSH]})).perform([report], NOW)
    assert [peer for peer, _ in sends(effects)] == [CSMS, STATION]


def test_only_blocks_whose_time_has_come_are_woken() -> None:
    early, late = Scripted(wakes_at_s=1001.0, script={"expire": [FACT]}), Scripted(wakes_at_s=1002.0)
    proxy = proxy_with(early, late)
    assert proxy.deadline == 1001.0
    assert proxy.expire(NOW.after(1.5)) == [FACT]
    assert proxy.deadline == 1002.0
    assert late.seen == []


def test_a_waiting_increase_can_be_withdrawn_and_its_block_knows() -> None:
    block = Scripted()
    proxy = proxy_with(block)
    proxy.receive(CSMS, '[2,"a","Reset",{}]', NOW)
    raised = OwnCall(STATION, "SetChargingProfile", {"connectorId": 2}, Urgency.RAISE, "raise")
    proxy.perform([raised], NOW)
    proxy.perform([Withdraw(STATION, "raise"), Withdraw(STATION, "raise"), PUSH], NOW)
    assert block.seen == ["called csms Reset", "answered raise None"]
    assert sends(proxy.receive(STATION, '[3,"a",{}]', NOW))[1:] == [
        (STATION, '[2,"LC2","SetChargingProfile",{"connectorId":1}]')
    ]


# --- bounds and ends ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-031", "LC-028")
@pytest.mark.parametrize(
    ("version", "code"),
    [
        (OcppVersion.V16, "GenericError"),
        (OcppVersion.V201, "RpcFrameworkError"),
        (OcppVersion.V21, "RpcFrameworkError"),
    ],
)
def test_a_flood_is_answered_with_an_error_and_the_rest_in_order(version: OcppVersion, code: str) -> None:
    proxy = proxy_with(version=version)
    sent = [text for n in range(QUEUE_LIMIT + 1) for text in sends(proxy.receive(CSMS, f'[2,"{n}","Reset",{{}}]', NOW))]
    assert sent == [(STATION, '[2,"0","Reset",{}]')]
    effects = proxy.receive(CSMS, '[2,"x","Reset",{}]', NOW)
    assert sends(effects) == [(CSMS, f'[4,"x","{code}","too many CALLs are waiting for an answer",{{}}]')]
    assert fates(effects) == [(CSMS, Fate.REFUSED), (None, Fate.INJECTED)]
    assert notes(effects) == ["queue_full"]
    for n in range(QUEUE_LIMIT):
        effects = proxy.receive(STATION, f'[3,"{n}",{{}}]', NOW)
        assert sends(effects) == [(CSMS, f'[3,"{n}",{{}}]'), (STATION, f'[2,"{n + 1}","Reset",{{}}]')]


def test_our_own_flood_is_told_to_the_block() -> None:
    block = Scripted()
    proxy = proxy_with(block)
    effects = proxy.perform([PUSH] * (QUEUE_LIMIT + 1), NOW)
    assert notes(effects) == ["own_call_not_sent"]
    assert block.seen == ["answered push None", "sent push"]


@pytest.mark.requirement("LC-036", "LC-038")
@pytest.mark.parametrize("peer", list(Peer))
def test_when_a_leg_is_lost_everything_ends_once(peer: Peer) -> None:
    block = Scripted(script={"closed": [PUSH, FACT], "answered push None": [PUSH]})
    proxy = proxy_with(block)
    proxy.receive(STATION, '[2,"1","Heartbeat",{}]', NOW)
    proxy.perform([PUSH], NOW)
    block.seen.clear()
    effects = proxy.closed(peer, NOW, 1006)
    assert effects == [
        Close(peer.other, 1001, ""),
        FACT,
        Tell(Disconnected(f"{peer} closed the connection (1006)")),
    ]
    assert block.seen == ["answered push None", "observe station Heartbeat None", "closed"]
    assert proxy.deadline is None
    assert proxy.closed(peer.other, NOW) == []
    assert proxy.receive(STATION, '[2,"2","Heartbeat",{}]', NOW) == []
    assert proxy.perform([PUSH, FACT], NOW) == [FACT]


def test_both_legs_up_is_told_with_the_version() -> None:
    proxy = proxy_with(Scripted(script={"connected": [FACT]}), version=OcppVersion.V201)
    assert proxy.connected(NOW) == [Tell(Connected(OcppVersion.V201)), FACT]


@pytest.mark.requirement("LC-036")
@pytest.mark.parametrize(
    ("code", "other"),
    [
        (1000, 1000),
        (1001, 1001),
        (1005, 1000),
        (1006, 1001),
        (1009, 1009),
        (1012, 1012),
        (1014, 1014),
        (1015, 1001),
        (3000, 3000),
        (4999, 4999),
        (0, 1001),
        (1004, 1001),
        (5000, 1001),
    ],
)
def test_close_codes_travel_where_they_are_legal(code: int, other: int) -> None:
    assert propagated_code(code) == other


@pytest.mark.requirement("LC-026")
def test_own_ids_are_short_and_never_the_same() -> None:
    ids = {own_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(one) <= 36 and one.startswith("LC") for one in ids)


@pytest.mark.requirement("LC-026")
def test_own_ids_do_not_repeat_after_a_restart() -> None:
    code = "import random; random.seed(7); from local_controller.station.proxy import own_id; print(own_id(), own_id())"
    runs = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True) for _ in range(3)]
    assert len({one for run in runs for one in run.stdout.split()}) == 6


@pytest.mark.requirement("LC-026")
@pytest.mark.parametrize("foreign", ["late", "open", "waits"])
def test_an_own_id_never_equals_one_that_a_foreign_call_bears(foreign: str) -> None:
    ids = iter([foreign, "own"])
    proxy = StationProxy("CP-7", OcppVersion.V16, (), ids=ids.__next__)
    proxy.receive(CSMS, '[2,"late","Reset",{}]', NOW.after(-31.0))
    proxy.expire(NOW)
    proxy.receive(CSMS, '[2,"open","Reset",{}]', NOW)
    proxy.receive(CSMS, '[2,"waits","Reset",{}]', NOW)
    assert sends(proxy.perform([PUSH], NOW)) == []
    assert sends(proxy.receive(STATION, '[3,"open",{}]', NOW))[-1] == (
        STATION,
        '[2,"own","SetChargingProfile",{"connectorId":1}]',
    )


@pytest.mark.requirement("LC-030")
def test_our_answer_goes_before_what_it_announces_whatever_the_block_says_first() -> None:
    report = OwnCall(CSMS, "ReportChargingProfiles", {}, Urgency.SAFETY, "report")
    block = Scripted(script={"claims SetChargingProfile": [report, Answer(CSMS, "a", {})]})
    assert [text for _, text in sends(proxy_with(block).receive(CSMS, PROFILE, NOW))] == [
        '[3,"a",{}]',
        '[2,"LC1","ReportChargingProfiles",{}]',
    ]


# --- laws ---------------------------------------------------------------------------------------------------------


def _frames() -> st.SearchStrategy[str]:
    """Messages with few ids, so that they meet; some are garbage."""
    ids, blanks = st.sampled_from("abc"), st.sampled_from(["", " "])
    calls = st.builds(lambda i, blank: f'[2,{blank}"{i}","X",{{"n":1.10}}]', ids, blanks)
    answers = st.builds(lambda kind, i: f'[{kind},"{i}","p","d",{{}}]', st.sampled_from([3, 4, 5, 6, 7]), ids)
    return calls | answers | st.text(max_size=5)


@pytest.mark.requirement("LC-018", "LC-022")
@given(st.lists(st.tuples(st.sampled_from(Peer), _frames(), st.sampled_from([0.0, 5.0, 31.0])), max_size=40))
def test_nothing_is_altered_nothing_is_relayed_twice_and_no_slot_is_used_twice(
    script: list[tuple[Peer, str, float]],
) -> None:
    proxy = proxy_with()
    now, received, relayed = NOW, {STATION: [], CSMS: []}, {STATION: [], CSMS: []}
    for peer, text, pause_s in script:
        now = now.after(pause_s)
        received[peer].append(text)
        for to, sent in sends(proxy.expire(now) + proxy.receive(peer, text, now)):
            relayed[to].append(sent)
    for peer in Peer:
        rest = list(received[peer])
        for text in relayed[peer.other]:
            rest.remove(text)  # raises when it was never received, or relayed once more than received


@pytest.mark.requirement("LC-023", "LC-030")
@given(
    st.lists(st.sampled_from(["own up", "own down", "station calls", "csms calls"]), max_size=12),
    st.sampled_from(
        ["GetReport", "GetBaseReport", "GetLog", "TriggerMessage", "CustomerInformation", "GetDiagnostics"]
    ),
)
def test_whatever_waits_an_answer_leaves_at_once_and_so_before_what_it_announces(
    disturbances: list[str], action: str
) -> None:
    proxy = proxy_with()
    proxy.receive(CSMS, f'[2,"ask","{action}",{{}}]', NOW)
    for number, what in enumerate(disturbances):
        if what.startswith("own"):
            peer = CSMS if what == "own up" else STATION
            proxy.perform([OwnCall(peer, "DataTransfer", {}, Urgency(number % 4), number)], NOW)
        else:
            peer = STATION if what == "station calls" else CSMS
            proxy.receive(peer, f'[2,"{number}","X",{{}}]', NOW)
    effects = proxy.receive(STATION, '[3,"ask",{"status":"Accepted"}]', NOW)
    assert sends(effects)[0] == (CSMS, '[3,"ask",{"status":"Accepted"}]')


@pytest.mark.requirement("LC-018")
@given(st.lists(st.tuples(st.sampled_from(Peer), st.text(max_size=8)), max_size=20))
def test_between_polite_peers_every_byte_arrives_at_once_and_in_order(script: list[tuple[Peer, str]]) -> None:
    proxy = proxy_with(Scripted())
    for n, (peer, word) in enumerate(script):
        payload = '{"w" : "' + word.encode("unicode_escape").hex() + '", "limit":1.10}'
        there, back = f'[2,"{n}","{n}",{payload}]', f'[3, "{n}",{payload}]'
        assert sends(proxy.receive(peer, there, NOW)) == [(peer.other, there)]
        assert sends(proxy.receive(peer.other, back, NOW)) == [(peer, back)]


def test_the_scripted_block_is_a_block_like_any_other() -> None:
    silent = Block()
    frame = Frame("", 2, "a", "X")
    quiet: list[Callable[[], object]] = [
        lambda: silent.connected(NOW),
        lambda: silent.claims(CSMS, frame, NOW),
        lambda: silent.called(CSMS, frame, NOW),
        lambda: silent.observe(CSMS, frame, None, NOW),
        lambda: silent.sent("t", NOW),
        lambda: silent.answered("t", None, NOW),
        lambda: silent.expire(NOW),
        lambda: silent.closed(NOW),
    ]
    assert not any(ask() for ask in quiet)
    assert silent.claims(CSMS, frame, NOW) is None
