"""Does a station get a valid answer to whatever it may ask while its CSMS is away? All actions of the three schema sets, random."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from ruamel.yaml import YAML

from docs.make_ocpp_coverage import CLASSES
from local_controller.clock import Instant
from local_controller.deputy.answers import DEFAULT_INTERVAL_S, local_answer
from local_controller.deputy.effects import Kind
from local_controller.rpc import frame as rpc
from local_controller.station.authorization import UNKNOWN, Verdict
from local_controller.station.words import OcppVersion
from tests.payloads import SENDS, actions, mistakes, payload

NOW = Instant(0.0, datetime(2026, 11, 22, 12, 0, tzinfo=UTC))
BOTH_WAYS = frozenset({"DataTransfer"})


class Situation:
    """A station that was accepted, or not; drivers whom nobody knows."""

    interval_s = None

    def __init__(self, version: OcppVersion, verdict: Verdict, *, is_accepted: bool = True) -> None:
        self.version = version
        self.is_accepted = is_accepted
        self._verdict = verdict

    def time(self, now: Instant) -> str:
        return now.utc.isoformat().replace("+00:00", "Z")

    def verdict(self, action: str, said: dict[str, Any], now: Instant) -> Verdict | None:
        return self._verdict if "idTag" in said or "idToken" in said else None


def of_stations() -> dict[str, str]:
    """The actions that stations begin, and how each is handled."""
    classes = YAML(typ="safe").load(CLASSES.read_text(encoding="utf-8"))
    return dict(classes["Station to CSMS"])


def asked(version: OcppVersion) -> list[str]:
    """What a station of this version may ask."""
    both = {"OpenPeriodicEventStream", "ClosePeriodicEventStream", "NotifyWebPaymentStarted", *BOTH_WAYS}
    return sorted((of_stations().keys() | both) & set(actions(version)) - SENDS)


CASES = [(version, action) for version in OcppVersion for action in asked(version)]


@pytest.mark.requirement("LC-048")
@pytest.mark.parametrize(("version", "action"), CASES)
def test_it_is_valid_and_what_has_to_be_kept_is_kept_to_the_byte(
    version: OcppVersion, action: str, verdict: Verdict
) -> None:
    rnd = random.Random(f"{version} {action}")
    for _ in range(20):
        text = payload(version, action, rnd, is_answer=False)
        call = rpc.parse(f'[2,"1","{action}",{text}]')
        answer = local_answer(call, Situation(version, verdict), NOW)
        assert answer.payload is not None, "answered"
        written = rpc.result("1", answer.payload(7)).text
        assert mistakes(version, action, json.dumps(json.loads(written)[2]), is_answer=True) == []
        if answer.entry is not None:
            assert answer.entry.payload == text


@pytest.fixture
def verdict() -> Verdict:
    return UNKNOWN


@pytest.mark.requirement("LC-048", "LC-049")
def test_what_the_page_of_actions_wants_to_be_kept_is_kept_and_nothing_is_kept_that_was_declined(
    verdict: Verdict,
) -> None:
    classes = of_stations()
    kept_only_sometimes = {"NotifyEvent"}
    for version, action in CASES:
        text = payload(version, action, random.Random(1), is_answer=False)
        answer = local_answer(rpc.parse(f'[2,"1","{action}",{text}]'), Situation(version, verdict), NOW)
        assert answer.payload is not None
        said = answer.payload(1).get("status")
        if said in {"Rejected", "Failed", "NoChargingProfile"}:
            assert answer.entry is None, f"{action}: the station keeps what is declined"
        elif "Q" in classes.get(action, "").split() and action not in kept_only_sometimes:
            assert answer.entry is not None, action


@pytest.mark.requirement("LC-048", "LC-058", "LC-059")
@pytest.mark.parametrize("version", list(OcppVersion))
def test_one_that_was_never_accepted_may_only_boot_and_is_told_to_wait(version: OcppVersion, verdict: Verdict) -> None:
    situation = Situation(version, verdict, is_accepted=False)
    for action in asked(version):
        text = payload(version, action, random.Random(2), is_answer=False)
        answer = local_answer(rpc.parse(f'[2,"1","{action}",{text}]'), situation, NOW)
        assert answer.entry is None
        if action == "BootNotification":
            assert answer.payload is not None
            assert answer.payload(0)["status"] == "Pending"
        else:
            assert answer.payload is None


def test_unknown_actions_and_payloads_that_are_none_are_declined(verdict: Verdict) -> None:
    situation = Situation(OcppVersion.V16, verdict)
    for text in ('[2,"1","X-Vendor",{}]', '[2,"1","MeterValues","none"]', '[2,"1","StartTransaction",[1]]'):
        answer = local_answer(rpc.parse(text), situation, NOW)
        assert (answer.payload, answer.entry) == (None, None), text


@pytest.mark.parametrize("text", ['{"idTag":7}', "{}", '{"idTag":null,"connectorId":"x"}', '{"idTag":{"a":[]}}'])
def test_odd_payloads_have_an_answer_too(text: str, verdict: Verdict) -> None:
    for version in OcppVersion:
        for action in asked(version):
            answer = local_answer(rpc.parse(f'[2,"1","{action}",{text}]'), Situation(version, verdict), NOW)
            assert answer.payload is not None
            rpc.result("1", answer.payload(1))


def test_a_boot_without_any_interval_gets_the_usual_one(verdict: Verdict) -> None:
    answer = local_answer(rpc.parse('[2,"1","BootNotification",{}]'), Situation(OcppVersion.V16, verdict), NOW)
    assert answer.payload is not None
    assert answer.payload(1)["interval"] == DEFAULT_INTERVAL_S
    assert answer.entry is not None
    assert answer.entry.kind is Kind.BOOT


@pytest.mark.requirement("LC-056")
@pytest.mark.parametrize(
    ("version", "said", "sample_of"),
    [
        (OcppVersion.V16, {"connectorId": 2, "transactionId": 7}, "7"),
        (OcppVersion.V16, {"connectorId": 2}, "connector 2"),
        (OcppVersion.V21, {"evseId": 1}, "connector 1"),
    ],
)
def test_meter_values_may_give_way_whether_or_not_they_belong_to_a_transaction(
    version: OcppVersion, said: dict[str, Any], sample_of: str
) -> None:
    call = rpc.call("1", "MeterValues", {**said, "meterValue": []})
    kept = local_answer(rpc.parse(call.text), Situation(version, UNKNOWN), NOW).entry
    assert kept is not None
    assert kept.sample_of == sample_of
