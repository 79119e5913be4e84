"""Whatever a CSMS, a station, a disk and a line do: what the station was confirmed reaches the CSMS, in order, and each CALL has one answer."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.deputy.delivery import ANSWER_S
from local_controller.deputy.transaction_names import FIRST
from local_controller.station.words import OcppVersion
from tests.transcripts.outage.stage import OutageStage

STATION = ("start", "stop", "meter", "state", "heartbeat", "authorize", "security")
OPS = (
    *STATION,
    *STATION,
    "answer",
    "answer",
    "answer",
    "error",
    "gone",
    "back",
    "back",
    "wait",
    "comes",
    "full",
    "free",
    "slow",
    "fast",
)
OF_TRANSACTIONS = frozenset({"StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent"})


class Play:
    """A station that waits for each answer before it says the next thing, and a CSMS that is as good or bad as it is told."""

    def __init__(self, version: OcppVersion) -> None:
        self.version = version
        self.stage = OutageStage(version, is_accepted=True)
        self.is_there = False
        self.count = 0
        self.open: str | None = None  # the station's CALL that waits for its answer
        self.sent: dict[str, tuple[str, str]] = {}  # marker and action by message id
        self.confirmed: list[str] = []  # markers of transactions, in order
        self.answers: Counter[str] = Counter()
        self.transaction: Any = None
        self.told: set[int] = set()  # ids of transactions that the station knows
        self.waiting: list[list[Any]] = []  # CALLs that the CSMS has and has not answered
        self.since_s = 0.0
        self.states: dict[int, list[str]] = {}  # markers of each connector's states: as the station was confirmed
        self.states_heard: list[str] = []  # and as the CSMS heard them
        self.arrived: list[str] = []  # markers, as they came first
        self.ids: Counter[str] = Counter()
        self.real = 0

    # --- what they do --------------------------------------------------------------------------------------------

    def do(self, op: str) -> None:
        match op:
            case "gone" if self.is_there:
                self.is_there, self.waiting = False, []
                self.stage.play("csms gone")
            case "back" if not self.is_there:
                self.is_there = True
                self.stage.play("csms back")
            case "comes":
                self.open, self.is_there, self.waiting = None, False, []
                self.stage.play("station comes")
            case "full" | "free" | "slow" | "fast":
                self.stage.play(f"disk is {op}")
            case "wait":
                self.stage.play("wait 31s")
            case "answer" | "error" if self.waiting:
                self.answer(self.waiting.pop(0), is_fine=op == "answer")
            case _ if op in STATION and self.open is None:
                self.say(op)
        self.look()

    def say(self, what: str) -> None:
        self.count += 1
        marker, message_id = f"m{self.count}", f"s{self.count}"
        action, payload = self.v16(what, marker) if self.version is OcppVersion.V16 else self.v2(what, marker)
        self.open, self.sent[message_id] = message_id, (marker, action)
        self.stage.play("station > " + json.dumps([2, message_id, action, payload]))

    def v16(self, what: str, marker: str) -> tuple[str, dict[str, Any]]:
        at = {"timestamp": "2026-11-22T12:00:00Z", "customData": marker}
        match what:
            case "start" if self.transaction is None:
                return "StartTransaction", {"connectorId": 1, "idTag": "C", "meterStart": 0, **at}
            case "stop" if self.transaction is not None:
                return "StopTransaction", {"transactionId": self.transaction, "meterStop": 1, **at}
            case "meter" | "start" | "stop":
                of = {} if self.transaction is None else {"transactionId": self.transaction}
                return "MeterValues", {"connectorId": 1, **of, "meterValue": [], "customData": marker}
            case "state":
                return "StatusNotification", {
                    "connectorId": self.count % 2,
                    "errorCode": "NoError",
                    "status": "Available",
                    **at,
                }
        return self.any_version(what, marker)

    def v2(self, what: str, marker: str) -> tuple[str, dict[str, Any]]:
        at = {"timestamp": "2026-11-22T12:00:00Z", "customData": marker}
        kind = {"start": "Started", "stop": "Ended", "meter": "Updated"}.get(what)
        if kind is not None:
            info = {"transactionInfo": {"transactionId": "T"}, "triggerReason": "Trigger", "seqNo": self.count}
            return "TransactionEvent", {"eventType": kind, **info, **at}
        if what == "state":
            return "StatusNotification", {
                "connectorStatus": "Available",
                "evseId": 1,
                "connectorId": self.count % 2,
                **at,
            }
        return self.any_version(what, marker)

    def any_version(self, what: str, marker: str) -> tuple[str, dict[str, Any]]:
        if what == "security":
            return "SecurityEventNotification", {"type": "x", "timestamp": "2026-11-22T12:00:00Z", "customData": marker}
        if what == "authorize":
            token = "C" if self.version is OcppVersion.V16 else {"idToken": "C", "type": "ISO14443"}
            return "Authorize", {"idTag" if self.version is OcppVersion.V16 else "idToken": token, "customData": marker}
        return "Heartbeat", {"customData": marker}

    def answer(self, call: list[Any], *, is_fine: bool) -> None:
        payload: dict[str, Any] = {}
        if call[2] == "StartTransaction":
            self.real += 1
            payload = {"transactionId": self.real, "idTagInfo": {"status": "Accepted"}}
        elif call[2] == "Authorize":
            info = {"status": "Accepted"}
            payload = {"idTagInfo": info} if self.version is OcppVersion.V16 else {"idTokenInfo": info}
        elif call[2] == "Heartbeat":
            payload = {"currentTime": "2026-11-22T12:00:00Z"}
        message = [3, call[1], payload] if is_fine else [4, call[1], "InternalError", "", {}]
        self.stage.play("csms    > " + json.dumps(message))

    # --- what they see -------------------------------------------------------------------------------------------

    def look(self) -> None:
        while self.stage.came:
            line = self.stage.came.pop(0)
            if line.startswith("aside"):
                continue
            if line.startswith("station"):
                self.station_gets(json.loads(line[10:]))
            else:
                self.csms_gets(json.loads(line[10:]))

    def station_gets(self, message: list[Any]) -> None:
        if message[0] == 2:  # it is asked something in the CSMS's name
            self.stage.play("station > " + json.dumps([4, message[1], "NotSupported", "", {}]))
            return
        marker, action = self.sent[message[1]]
        self.answers[message[1]] += 1
        assert self.answers[message[1]] == 1, "one answer for each CALL"
        if message[1] == self.open:
            self.open = None
        if message[0] == 3 and action == "StatusNotification":
            self.states.setdefault(int(marker[1:]) % 2, []).append(marker)
        if message[0] == 3 and action in OF_TRANSACTIONS:
            self.confirmed.append(marker)
            if action == "StartTransaction":
                self.transaction = message[2]["transactionId"]
                self.told.add(self.transaction)
            elif action == "StopTransaction":
                self.transaction = None

    def csms_gets(self, message: list[Any]) -> None:
        assert self.is_there, "nothing is sent to a CSMS that is away"
        assert message[0] == 2, "nothing is answered that it has not asked"
        if self.waiting and self.stage.now.monotonic_s - self.since_s >= ANSWER_S:
            self.waiting.clear()  # nobody waits for that answer any more
        assert not self.waiting, "one CALL at a time (Part 4 §4.1.1)"
        self.since_s = self.stage.now.monotonic_s
        self.ids[message[1]] += 1
        assert self.ids[message[1]] == 1, "no id twice"
        assert not message[3].get("transactionId", 0) >= FIRST if self.version is OcppVersion.V16 else True
        if (marker := message[3].get("customData")) not in self.arrived:
            self.arrived.append(marker)
        if message[2] == "StatusNotification":
            self.states_heard.append(marker)
        self.waiting.append(message)

    def settle(self) -> None:
        """In the end all is well for long enough."""
        self.do("free")
        self.do("fast")
        self.do("back")
        for _ in range(400):
            if self.waiting:
                self.do("answer")
            elif self.stage.deputy.waiting:
                self.stage.play("wait 61s")
                self.look()
            else:
                return
        raise AssertionError(f"{self.stage.deputy.waiting} messages still wait")


@pytest.mark.requirement("LC-022", "LC-027", "LC-035", "LC-049", "LC-050", "LC-051", "LC-061", "LC-069", "LC-070")
@given(st.sampled_from(list(OcppVersion)), st.lists(st.sampled_from(OPS), max_size=60))
def test_nothing_that_was_confirmed_is_lost_and_nothing_is_out_of_order(version: OcppVersion, ops: list[str]) -> None:
    play = Play(version)
    for op in ops:
        play.do(op)
    play.settle()
    arrived = [marker for marker in play.arrived if marker in play.confirmed]
    aside = [json.loads(entry.payload)["customData"] for entry in play.stage.aside]
    missing = [marker for marker in play.confirmed if marker not in play.arrived and marker not in aside]
    assert not missing, "confirmed to the station, and never at the CSMS"
    assert arrived == [marker for marker in play.confirmed if marker in arrived], "as they happened"
    for connector, states in play.states.items() if "error" not in ops and "wait" not in ops else ():
        heard = [number for marker in play.states_heard if (number := int(marker[1:])) % 2 == connector]
        assert max(heard) >= int(states[-1][1:]), "a later one may be kept whose confirmation the station did not get"
        assert set(heard[heard.index(max(heard)) :]) == {max(heard)}, "no old state after the latest"
    assert len(play.stage.rows) == 0
    running = play.stage.pairs.keys() & play.told - play.stage.ended
    assert running <= {play.transaction}, "pairs of ids end with their transactions"
