"""Does the site hear whom the CSMS wants to charge first, from whichever answer says so? (LC-067, K03.FR.04 to .06)"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from local_controller.station.announcements import CapabilityLearnt
from local_controller.station.charging_priorities import MOST
from local_controller.station.effects import Peer
from local_controller.station.remembered import Remembered
from local_controller.station.words import OcppVersion, PriorityGiven, TransactionStarted
from tests.station.conftest import id_token, stamp

V2 = pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
pytestmark = pytest.mark.requirement("LC-067")
ACCEPTED = {"status": "Accepted"}


def told(b: Any) -> list[tuple[int, str, int]]:
    return [(one.evse, one.transaction_id, one.priority) for one in b.facts if isinstance(one, PriorityGiven)]


def authorized(b: Any, priority: object = None, tag: str = "TAG", **more: Any) -> None:
    """A driver shows a card and is let in."""
    b.csms["Authorize"] = {
        "idTokenInfo": ACCEPTED | ({} if priority is None else {"chargingPriority": priority}) | more
    }
    b.from_station("Authorize", {"idToken": id_token(tag)})


def answers(b: Any, own: object = None, of_token: object = None) -> None:
    """What the CSMS answers to events of transactions from now on."""
    info = {} if of_token is None else {"idTokenInfo": ACCEPTED | {"chargingPriority": of_token}}
    b.csms["TransactionEvent"] = info | ({} if own is None else {"chargingPriority": own})


def booted(bench: Any, version: OcppVersion, **more: Any) -> Any:
    b = bench(version, **more)
    b.boot()
    return b


@V2
def test_who_is_let_in_with_a_priority_has_it_for_the_transaction(bench: Any, version: OcppVersion) -> None:
    b = booted(bench, version, evses=(1, 2))
    authorized(b, 3)
    assert told(b) == [], "there is none yet"
    b.start(7, evse=2)
    assert told(b) == [(2, "7", 3)]
    kinds = [type(fact) for fact in b.facts if isinstance(fact, PriorityGiven | TransactionStarted)]
    assert kinds == [TransactionStarted, PriorityGiven]
    b.transaction_event("Updated", "7")
    assert len(told(b)) == 1, "once"


@V2
def test_the_cable_may_come_first(bench: Any, version: OcppVersion) -> None:
    b = booted(bench, version)
    b.transaction_event("Started", "7", evse={"id": 1})
    authorized(b, -4)
    b.transaction_event("Updated", "7", idToken=id_token("TAG"))
    assert told(b) == [(1, "7", -4)]


@V2
def test_and_the_evse_last(bench: Any, version: OcppVersion) -> None:
    b = booted(bench, version, evses=(1, 2))
    authorized(b, 2)
    b.transaction_event("Started", "7", idToken=id_token("TAG"))
    assert told(b) == [], "nobody knows yet which EVSE it will be"
    b.transaction_event("Updated", "7", evse={"id": 2})
    assert told(b) == [(2, "7", 2)]


@V2
def test_the_answer_to_a_transaction_overrules_the_one_to_the_card_and_stays(bench: Any, version: OcppVersion) -> None:
    b = booted(bench, version)
    authorized(b, 3)
    answers(b, own=-2, of_token=5)
    b.start(7)
    answers(b, of_token=5)
    b.transaction_event("Updated", "7", idToken=id_token("TAG"))
    assert told(b) == [(1, "7", 3), (1, "7", -2)]
    answers(b, own=0)
    b.transaction_event("Updated", "7")
    assert told(b)[2:] == [(1, "7", 0)]


@V2
def test_what_is_said_last_of_a_card_counts(bench: Any, version: OcppVersion) -> None:
    b = booted(bench, version)
    authorized(b, 3)
    answers(b, of_token=5)
    b.start(7)
    answers(b)
    b.transaction_event("Updated", "7", idToken=id_token("TAG"))
    assert told(b) == [(1, "7", 3), (1, "7", 5)]


@V2
def test_a_station_that_knows_the_card_by_itself_asks_nobody_but_tells_of_the_transaction(
    bench: Any, version: OcppVersion
) -> None:
    b = booted(bench, version)
    answers(b, of_token=9)
    b.start(7)
    assert told(b) == [(1, "7", 9)]


@V2
def test_a_card_that_is_refused_and_another_one_get_nobody_ahead(bench: Any, version: OcppVersion) -> None:
    b = booted(bench, version)
    authorized(b, 5, status="Blocked")
    b.start(7)
    authorized(b, 5, tag="OTHER")
    b.stop(7)
    b.start(8)
    b.stop(8)
    authorized(b, 5)
    b.transaction_event("Started", "9", evse={"id": 1}, idToken={"idToken": "TAG", "type": "Central"})
    assert told(b) == []


@V2
def test_who_is_let_in_again_without_a_priority_has_the_usual_one(bench: Any, version: OcppVersion) -> None:
    b = booted(bench, version)
    authorized(b, 5)
    authorized(b)
    b.start(7)
    assert told(b) == []


@V2
def test_the_card_may_be_spelt_otherwise(bench: Any, version: OcppVersion) -> None:
    b = booted(bench, version)
    authorized(b, 5, tag="04ab")
    b.start(7, tag="04AB")
    assert told(b) == [(1, "7", 5)]


@V2
@pytest.mark.parametrize("bad", [10, -10, "high", 2.5, True, [1], {}])
def test_what_is_no_priority_counts_for_nothing_and_is_noted(bench: Any, version: OcppVersion, bad: object) -> None:
    b = booted(bench, version)
    b.unchecked = frozenset({"Authorize", "TransactionEvent"})
    authorized(b, bad)
    answers(b, own=bad)
    b.start(7)
    answers(b, own=4, of_token=bad)
    b.transaction_event("Updated", "7", idToken=id_token("TAG"))
    assert told(b) == []
    noted = [note.fields["path"] for note in b.notes if note.event == "unreadable_payload"]
    assert noted == ["$.idTokenInfo.chargingPriority", "$.chargingPriority", "$.idTokenInfo.chargingPriority"]
    passed = [
        frame.payload for frame in b.sent[Peer.STATION] if frame.action is None and "idTokenInfo" in frame.payload
    ]
    assert passed[0]["idTokenInfo"]["chargingPriority"] == bad, "the station gets it as it is"
    answers(b, own=4)
    b.transaction_event("Updated", "7")
    assert told(b) == [(1, "7", 4)]


@V2
@pytest.mark.parametrize("answer", [None, "InternalError"])
def test_of_a_card_it_is_known_when_the_transaction_begins_whatever_is_answered_to_that(
    bench: Any, version: OcppVersion, answer: str | None
) -> None:
    b = booted(bench, version)
    authorized(b, 3)
    b.csms["TransactionEvent"] = answer
    b.start(7)
    assert told(b) == [(1, "7", 3)], "else it would be stopped first, and rest"
    b.wait(31)
    assert len(told(b)) == 1


def test_1_6_knows_no_priority(bench: Any) -> None:
    b = booted(bench, OcppVersion.V16)
    b.csms["Authorize"] = {"idTagInfo": ACCEPTED | {"chargingPriority": 5}}
    b.from_station("Authorize", {"idTag": "TAG"})
    b.start(7)
    assert told(b) == []


@V2
def test_it_outlives_a_connection(bench: Any, version: OcppVersion) -> None:
    b = booted(bench, version)
    authorized(b, 3)
    b.start(7)
    c = bench(version, known=b.smart.state)
    c.transaction_event("Updated", "7")
    assert told(c) == [(1, "7", 3)]
    c.stop(7)
    c.start(7, tag="OTHER")
    assert told(c) == [(1, "7", 3)], "it ended with its transaction"


@V2
def test_after_a_reconnection_it_may_be_taken_back(bench: Any, version: OcppVersion) -> None:
    b = booted(bench, version)
    authorized(b, 3)
    b.start(7)
    c = bench(version, known=b.smart.state)
    answers(c, own=0)
    c.transaction_event("Updated", "7")
    assert [priority for _, _, priority in told(c)][-1] == 0


@V2
def test_it_outlives_a_restart_of_the_gateway(bench: Any, version: OcppVersion) -> None:
    b = booted(bench, version)
    authorized(b, 3)
    b.start(7)
    b.set_limit(10.0)
    found = [fact.remembered for fact in b.facts if isinstance(fact, CapabilityLearnt)][-1]
    c = bench(version, remembered=msgspec.json.decode(msgspec.json.encode(found), type=Remembered))
    c.from_station("Heartbeat", {})
    c.transaction_event("Updated", "7", evse={"id": 1}, timestamp=stamp(c.now))
    assert told(c) == [(1, "7", 3)]


@V2
def test_no_more_is_remembered_than_a_station_can_need_and_nothing_of_who_is_erased(
    bench: Any, version: OcppVersion
) -> None:
    b = booted(bench, version)
    for number in range(MOST + 1):
        authorized(b, 1 + number % 9, tag=f"T{number}")
    b.start(7, tag="T0")
    assert told(b) == [], "the oldest is forgotten"
    b.stop(7)
    b.station["CustomerInformation"] = {"status": "Accepted"}
    b.from_csms("CustomerInformation", {"requestId": 1, "report": False, "clear": True, "idToken": id_token("T5")})
    b.start(8, tag="T5")
    assert told(b) == []
    b.stop(8)
    b.start(9, tag="T6")
    assert told(b) == [(1, "9", 7)]
