"""What breaks its schema is relayed, counted and told; nobody is held up by that."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from local_controller.rpc.schemas import violation
from local_controller.station.blocks.schema_watch import ACTIONS, AT_ONCE, EVERY_S, LARGEST, SchemaWatch
from local_controller.station.effects import Note, Peer
from local_controller.station.words import OcppVersion
from tests.station.conftest import FOLDER, validator

pytestmark = pytest.mark.requirement("LC-020")
ALL = pytest.mark.parametrize("version", list(OcppVersion))
CHARGED = {
    OcppVersion.V16: ("connectorId", "StatusNotification", {"errorCode": "NoError", "status": "Charging"}),
    OcppVersion.V201: ("seqNo", "NotifyReport", {"requestId": 1, "generatedAt": "2026-06-01T12:00:00Z"}),
    OcppVersion.V21: ("seqNo", "NotifyReport", {"requestId": 1, "generatedAt": "2026-06-01T12:00:00Z"}),
}


def told(bench: Any) -> list[Note]:
    return [note for note in bench.notes if note.event == "schema_broken"]


@ALL
def test_a_broken_call_is_relayed_counted_and_told_with_its_place(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    missing, action, rest = CHARGED[version]
    b.from_station(action, {**rest, missing: 1})
    assert not told(b)
    b.from_station(action, {**rest, missing: "one"})
    assert len(b.calls_to(Peer.CSMS, action)) == 2
    (note,) = told(b)
    assert note.fields == {
        "sender": Peer.STATION,
        "action": action,
        "kind": "CALL",
        "path": f"$.{missing}",
        "reason": '"one" is not of type "integer"',
        "count": 1,
    }
    assert b.proxy.faults["schema_broken"] == 1


@ALL
def test_a_broken_answer_is_told_with_the_name_of_who_gave_it(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.csms["Heartbeat"] = {"currentTime": 5}
    (answer,) = b.calls(Peer.STATION, "Heartbeat", {})
    assert answer.payload == {"currentTime": 5}
    (note,) = told(b)
    assert (note.fields["sender"], note.fields["kind"], note.fields["path"]) == (
        Peer.CSMS,
        "CALLRESULT",
        "$.currentTime",
    )


@ALL
def test_what_has_no_schema_breaks_none(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    for action in ("CustomOperation", "X-Signed", "../DataTransfer", "HeartbeatResponse" * 20):
        b.from_station(action, {"anything": []})
    assert not told(b)


def test_a_flood_is_looked_at_now_and_then(bench: Any) -> None:
    b = bench()
    for _ in range(100):
        b.from_station("StatusNotification", {"connectorId": "one"})
    assert b.proxy.faults["schema_broken"] == AT_ONCE
    for _ in range(100):
        b.wait(EVERY_S / 10)
        b.from_station("StatusNotification", {"connectorId": "one"})
    assert b.proxy.faults["schema_broken"] == pytest.approx(AT_ONCE + 10, abs=1)
    b.wait(AT_ONCE * EVERY_S)
    for _ in range(100):
        b.from_station("StatusNotification", {"connectorId": "one"})
    assert b.proxy.faults["schema_broken"] == pytest.approx(2 * AT_ONCE + 10, abs=1)


@ALL
def test_whatever_a_station_sends_at_its_usual_pace_is_looked_at(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    missing, action, rest = CHARGED[version]
    for _ in range(20):
        for place in (1, "one", 2):  # three EVSEs in the same second
            b.from_station(action, {**rest, missing: place})
        b.wait(15.0)
    assert b.proxy.faults["schema_broken"] == 20


@ALL
def test_a_time_without_its_zone_is_told(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.csms["Heartbeat"] = {"currentTime": "2026-06-01T12:00:00"}
    b.from_station("Heartbeat", {})
    assert [note.fields["reason"] for note in told(b)] == ['"2026-06-01T12:00:00" is not a "date-time"']


def test_names_of_actions_without_end_are_not_kept(bench: Any) -> None:
    b = bench()
    for number in range(2 * ACTIONS):
        b.from_station(f"Vendor{number}", {})
    (watch,) = (block for block in b.proxy._blocks if isinstance(block, SchemaWatch))
    assert len(watch._called_s) == ACTIONS


def test_a_message_that_would_take_long_to_read_is_not_looked_at(bench: Any) -> None:
    b = bench()
    b.csms["DataTransfer"] = {"status": "Accepted"}
    b.from_station("DataTransfer", {"vendorId": 7, "data": "x" * LARGEST})
    assert not told(b)
    b.from_station("DataTransfer", {"vendorId": 7, "data": "x"})
    assert len(told(b)) == 1


@ALL
def test_the_verdict_is_that_of_another_implementation_for_every_action(version: OcppVersion) -> None:
    names = [f.name.removesuffix(".json") for f in (resources.files("ocpp") / FOLDER[version] / "schemas").iterdir()]
    judged = {True: 0, False: 0}
    for name in names:
        is_answer, action = name.endswith("Response"), name.removesuffix("Request").removesuffix("Response")
        for payload in ({}, {"customData": {"vendorId": "x"}}, {"status": "Accepted"}, *_examples(version, name)):
            expected = validator(version, name).is_valid(payload)
            found = violation(version, action, payload, is_answer=is_answer)
            assert (found is None) is expected, (name, payload, found)
            judged[expected] += 1
    assert len(names) > 70
    assert min(judged.values()) > 20


def _examples(version: OcppVersion, name: str) -> list[dict[str, Any]]:
    """The smallest payload that has all required members, and one for each of them left out."""
    file = resources.files("ocpp") / FOLDER[version] / "schemas" / f"{name}.json"
    schema = json.loads(file.read_text("utf-8-sig"))
    whole = _smallest(schema, schema)
    return [whole, *({k: v for k, v in whole.items() if k != left_out} for left_out in whole)]


def _smallest(schema: dict[str, Any], root: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return _smallest(root["definitions"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: _smallest(schema["properties"][name], root) for name in schema.get("required", ())}
    if schema["type"] == "array":
        return [_smallest(schema["items"], root)] * schema.get("minItems", 0)
    text = {"date-time": "2026-06-01T12:00:00Z", "uri": "https://example.com"}.get(schema.get("format", ""), "x")
    return {"string": text, "boolean": True}.get(schema["type"], schema.get("minimum", 0))


@ALL
@pytest.mark.parametrize("value", ["deep", "surrogate"])
def test_what_cannot_be_held_against_a_schema_is_relayed(bench: Any, version: OcppVersion, value: str) -> None:
    b = bench(version)
    missing, action, rest = CHARGED[version]
    text = {"deep": "[" * 400 + "]" * 400, "surrogate": r'"\ud800"'}[value]
    message = f'[2,"1","{action}",{json.dumps(rest)[:-1]},"{missing}":{text}}}]'
    b._do(b.proxy.receive(Peer.STATION, message, b.now))
    assert b.sent[Peer.CSMS][-1].text == message
    (note,) = told(b)
    assert note.fields["action"] == action
