"""How does a station want undelivered messages to be treated? Asked of it when its CSMS is gone, in the CSMS's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from local_controller.station.dialects.reading import whole_number
from local_controller.station.words import OcppVersion


@dataclass(frozen=True, slots=True)
class StationKeys:
    """What its configuration says, or what holds where it says nothing.

    attempts: how often a message of a transaction is sent that the CSMS does not take; interval_s: how long to wait after the
    first attempt, after the second twice as long, and so on (1.6 §3.7.1, E13). offline_threshold_s: after a longer outage all
    connector states are reported (B04); 1.6 has no such key. stops_invalid: whether a transaction ends whose identifier the
    CSMS refuses (1.6 StopTransactionOnInvalidId, 2.x StopTxOnInvalidId).
    """

    attempts: int = 3
    interval_s: int = 60
    offline_threshold_s: int = 60
    stops_invalid: bool = True


_V16: Final = {
    "TransactionMessageAttempts": "attempts",
    "TransactionMessageRetryInterval": "interval_s",
    "StopTransactionOnInvalidId": "stops_invalid",
}
_V2: Final = {
    ("OCPPCommCtrlr", "MessageAttempts"): "attempts",
    ("OCPPCommCtrlr", "MessageAttemptInterval"): "interval_s",
    ("OCPPCommCtrlr", "OfflineThreshold"): "offline_threshold_s",
    ("TxCtrlr", "StopTxOnInvalidId"): "stops_invalid",
}
_INSTANCE: Final = "TransactionEvent"
"""Of the two variables about attempts, which are there for each message (2.x, OCPPCommCtrlr)."""


def question(version: OcppVersion) -> tuple[str, dict[str, Any]]:
    """Action and payload that ask a station for its keys."""
    if version is OcppVersion.V16:
        return "GetConfiguration", {"key": list(_V16)}
    asked = [{"component": {"name": component}, "variable": _variable(name)} for component, name in _V2]
    return "GetVariables", {"getVariableData": asked}


def _variable(name: str) -> dict[str, str]:
    return {"name": name, "instance": _INSTANCE} if name.startswith("MessageAttempt") else {"name": name}


def read(keys: StationKeys, answer: Mapping[str, Any]) -> StationKeys:
    """The keys with what an answer says; what it does not say, or nobody can read, stays."""
    told = [*_told_v16(answer.get("configurationKey")), *_told_v2(answer.get("getVariableResult"))]
    for field, value in told:
        if field == "stops_invalid":
            keys = replace(keys, stops_invalid=str(value).strip().lower() != "false")
        elif (number := whole_number(value)) is not None and 0 <= number <= 10**6:
            keys = _with(keys, field, number)
    return keys


def _with(keys: StationKeys, field: str, number: int) -> StationKeys:
    match field:
        case "attempts":
            return replace(keys, attempts=max(1, number))
        case "interval_s":
            return replace(keys, interval_s=number)
    return replace(keys, offline_threshold_s=number)


def _told_v16(rows: Any) -> Sequence[tuple[str, Any]]:
    pairs = [(row.get("key"), row.get("value")) for row in _objects(rows)]
    return [(_V16[key], value) for key, value in pairs if key in _V16 and value is not None]


def _told_v2(rows: Any) -> Sequence[tuple[str, Any]]:
    told: list[tuple[str, Any]] = []
    for row in _objects(rows):
        component, variable = row.get("component"), row.get("variable")
        if (
            not isinstance(component, dict)
            or not isinstance(variable, dict)
            or row.get("attributeStatus") != "Accepted"
        ):
            continue
        field = _V2.get((str(component.get("name")), str(variable.get("name"))))
        if field is not None:
            told.append((field, row.get("attributeValue")))
    return told


def _objects(rows: Any) -> list[dict[str, Any]]:
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
