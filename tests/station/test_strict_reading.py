"""Does the quick reading of a message say the same as the tolerant one, whatever a station writes?"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from local_controller.errors import PayloadError
from local_controller.rpc.frame import Frame, parse
from local_controller.station.dialects import dialect, strict
from local_controller.station.words import OcppVersion
from tests.station.conftest import EFFORT

V16, V201, V21 = OcppVersion
READERS: dict[tuple[OcppVersion, str], Callable[[Any], strict.Said]] = {
    (V16, "MeterValues"): strict.meter_values_16,
    (V201, "MeterValues"): strict.meter_values,
    (V201, "TransactionEvent"): strict.transaction_event,
    (V21, "MeterValues"): strict.meter_values,
    (V21, "TransactionEvent"): strict.transaction_event,
}
TIMES = [
    "2026-06-01T12:00:00Z",
    "2026-06-01T12:00:00.123Z",
    "2026-06-01T12:00:00.123456789Z",
    "2026-06-01T14:00:00+02:00",
    "2026-06-01T12:00:00",
    "2026-06-01",
    "1970-01-01T00:30:00+01:00",
    "2300-01-01T00:00:00Z",
    "9999-12-31T23:59:59-12:00",
    "soon",
]
ODD: list[Any] = [
    None,
    "",
    " ",
    "null",
    "NaN",
    "x",
    "3",
    " 3 ",
    "3.0",
    3.0,
    3.5,
    0,
    -0.0,
    -1,
    True,
    [],
    {},
    2**53 + 1,
    2**70,
    1e12,
    1.0000001e12,
    1e308,
    "1e400",
]


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What the standard says, nine times out of ten."""
    return st.integers(0, 9).flatmap(lambda n: st.sampled_from(ODD) if n == 0 else usual)


def objects(needed: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]]) -> Any:
    return st.fixed_dictionaries(
        {name: mostly(value) for name, value in needed.items()},
        optional={name: mostly(value) for name, value in optional.items()},
    )


def sampled(version: OcppVersion) -> st.SearchStrategy[dict[str, Any]]:
    """Measurands, phases and places of the standard, and those of the field."""
    numbers = st.floats(-100, 400, width=32) | st.integers(0, 100_000)
    units = st.sampled_from(["A", "W", "kW", "Wh", "kWh", "V", "mA", "Percent", "MWh", "kA", "Elephants"])
    measure = objects({}, {"unit": units, "multiplier": st.integers(-3, 3)})
    return objects(
        {"value": numbers.map(str) if version is V16 else numbers},
        {
            "measurand": st.sampled_from(
                [
                    "Current.Import",
                    "Current.Import",
                    "Power.Active.Import",
                    "Voltage",
                    "SoC",
                    "Energy.Active.Import.Register",
                    "Current.Offered",
                    "current.import",
                    "Temperature",
                    "My.Own",
                ]
            ),
            "phase": st.sampled_from(["L1", "L2", "L3", "L1-N", "L2-N", "N", "L1-L2", "l3"]),
            "context": st.sampled_from(
                ["Sample.Periodic", "Trigger", "Transaction.End", "Interruption.Begin", "Other"]
            ),
            "location": st.sampled_from(["Outlet", "Outlet", "EV", "Inlet", "Body"]),
            "unit": units,
            "unitOfMeasure": measure,
        },
    )


def payloads(version: OcppVersion, action: str) -> st.SearchStrategy[dict[str, Any]]:
    values = st.lists(mostly(sampled(version)), max_size=6)
    meter_value = objects({"timestamp": st.sampled_from(TIMES), "sampledValue": values}, {})
    meter_values = st.lists(mostly(meter_value), max_size=2)
    numbers = st.integers(-1, 3)
    if action == "MeterValues":
        name = "connectorId" if version is V16 else "evseId"
        return objects({name: numbers, "meterValue": meter_values}, {"transactionId": numbers})
    words = st.sampled_from(["t1", " t1 ", "3f1b6e2e"])
    states = st.sampled_from(["Charging", "EVConnected", "charging", "Sleeping"])
    return objects(
        {
            "eventType": st.sampled_from(["Started", "Updated", "Ended", "ended"]),
            "transactionInfo": objects({"transactionId": words}, {"chargingState": states, "remoteStartId": numbers}),
        },
        {
            "evse": objects({}, {"id": numbers, "connectorId": numbers}),
            "idToken": objects({"idToken": words}, {"type": words}),
            "offline": st.booleans(),
            "reservationId": numbers,
            "meterValue": meter_values,
        },
    )


def outcome(read: Callable[[], Any]) -> Any:
    """What is read, or that it cannot be."""
    try:
        return read()
    except PayloadError:
        return "unreadable"


def both(version: OcppVersion, call: Frame) -> tuple[list[Any], list[Any]]:
    """The quick and the tolerant reading of the transaction and of the meter."""
    spoken, action = dialect(version), call.action or ""
    quick = [outcome(lambda: spoken.transaction_event_of(call)), outcome(lambda: spoken.meter_report_of(call))]
    tolerant = [
        outcome(lambda: spoken.transaction_event(action, call.payload)),
        outcome(lambda: spoken.meter_report(action, call.payload)),
    ]
    return quick, tolerant


@pytest.mark.parametrize(("version", "action"), READERS)
@given(data=st.data())
@settings(max_examples=150 * EFFORT)
def test_quick_and_tolerant_reading_say_the_same(version: OcppVersion, action: str, data: st.DataObject) -> None:
    payload = data.draw(payloads(version, action))
    call = parse(json.dumps([2, "m", action, payload]))
    event(f"read quickly: {call.payload_as(READERS[version, action]) is not None}")
    quick, tolerant = both(version, call)
    assert quick == tolerant
    head, report = dialect(version).meter_head_of(call), tolerant[1]
    if head is not None and report != "unreadable":
        assert (head.evse, head.transaction_id) == (report.evse, report.transaction_id)


A_SAMPLE = {"context": "Sample.Periodic", "location": "Outlet", "phase": "L1", "measurand": "Current.Import"}
USUAL = [
    (V16, "MeterValues", {"connectorId": 1, "transactionId": 7}, {"value": "5.8", "unit": "A", "format": "Raw"}),
    (V16, "MeterValues", {"connectorId": 1}, {"value": "57"}),
    (V201, "MeterValues", {"evseId": 1}, {"value": 5.8, "unitOfMeasure": {"unit": "A"}}),
    (
        V21,
        "TransactionEvent",
        {"eventType": "Updated", "transactionInfo": {"transactionId": "t", "chargingState": "Charging"}},
        {"value": 5.8, "unitOfMeasure": {"unit": "kW", "multiplier": -3}},
    ),
]


@pytest.mark.parametrize(("version", "action", "head", "value"), USUAL)
def test_what_is_written_as_in_the_standard_is_read_quickly(
    version: OcppVersion, action: str, head: dict[str, Any], value: dict[str, Any]
) -> None:
    meter_value = [{"timestamp": TIMES[0], "sampledValue": [A_SAMPLE | value, value | {"measurand": "SoC"}]}]
    call = parse(json.dumps([2, "m", action, head | {"meterValue": meter_value}]))
    said = call.payload_as(READERS[version, action])
    assert said is not None
    report = said.report()
    assert report is not None
    assert len(report.samples) == 1
    quick, tolerant = both(version, call)
    assert quick == tolerant == [said.event, report]


@pytest.mark.parametrize(("version", "action", "head", "value"), USUAL)
def test_odd_samples_do_not_spoil_the_rest_of_the_message(
    version: OcppVersion, action: str, head: dict[str, Any], value: dict[str, Any]
) -> None:
    odd = [{"timestamp": TIMES[0], "sampledValue": [A_SAMPLE | value | {"phase": "l1"}]}]
    call = parse(json.dumps([2, "m", action, head | {"meterValue": odd}]))
    said = call.payload_as(READERS[version, action])
    assert said is not None
    with pytest.raises(ValueError, match="l1"):
        said.report()
    quick, tolerant = both(version, call)
    assert quick == tolerant
    assert tolerant[1].samples


@pytest.mark.parametrize(
    "text",
    [
        '[2,"m","MeterValues",{"evseId":1,"evseId":2,"meterValue":[]}]',
        '[2,"m","MeterValues",{"evseId":1,"meterValue":[],"meterValue":7}]',
        '[2,"m","MeterValues",{"evseId":1,"meterValue":[],"\\ud800":1}]',
        '[2,"m","MeterValues",{"\\u0065vseId":1,"meterValue":[]}]',
        '[2,"m","MeterValues",null]',
        '[2,"m","MeterValues"]',
        '[2,"m","MeterValues",[]]',
    ],
)
def test_odd_json_is_read_the_same_way(text: str) -> None:
    (_, quick), (_, tolerant) = both(V201, parse(text))
    assert quick == tolerant
