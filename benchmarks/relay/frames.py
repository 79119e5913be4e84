"""What do stations and a CSMS say in the benchmark, as bytes on the wire?

Stations mask with the key zero, which RFC 6455 allows: the relay does all its work, the generator spares its own.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from websockets.speedups import apply_mask

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
PROTOCOLS = {"v201": "ocpp2.0.1", "v16": "ocpp1.6"}
_TIME = "2026-11-22T12:00:00.000Z"
_NO_MASK = b"\0\0\0\0"


def _sampled_v2x(measurand: str, unit: str, value: float, phase: str | None = None) -> dict[str, Any]:
    sampled = {
        "value": value,
        "measurand": measurand,
        "context": "Sample.Periodic",
        "location": "Outlet",
        "unitOfMeasure": {"unit": unit, "multiplier": 0},
    }
    return sampled if phase is None else sampled | {"phase": phase}


def transaction_event(number: int) -> bytes:
    """The payload of a TransactionEvent of OCPP 2.0.1 with five samples, about 1.1 kB."""
    samples = [_sampled_v2x("Current.Import", "A", 5.8, phase) for phase in ("L1", "L2", "L3")]
    samples += [_sampled_v2x("Power.Active.Import", "W", 4002.0)]
    samples += [_sampled_v2x("Energy.Active.Import.Register", "Wh", 123456.7)]
    payload = {
        "eventType": "Updated",
        "timestamp": _TIME,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": 17,
        "transactionInfo": {"transactionId": _transaction_id(number), "chargingState": "Charging"},
        "evse": {"id": 1, "connectorId": 1},
        "meterValue": [{"timestamp": _TIME, "sampledValue": samples}],
    }
    return json.dumps(payload, separators=(",", ":")).encode()


def session_start(number: int) -> bytes:
    """The payload of the TransactionEvent of OCPP 2.0.1 that begins the session of `transaction_event`."""
    return json.dumps(
        {
            "eventType": "Started",
            "timestamp": _TIME,
            "triggerReason": "CablePluggedIn",
            "seqNo": 0,
            "transactionInfo": {"transactionId": _transaction_id(number), "chargingState": "Charging"},
            "evse": {"id": 1, "connectorId": 1},
            "idToken": {"idToken": f"TAG{number}", "type": "ISO14443"},
        }
    ).encode()


def charging_needs(number: int) -> bytes:
    """The payload of a NotifyEVChargingNeeds of OCPP 2.0.1; no two neighbours want the same."""
    departure = datetime.now(UTC) + timedelta(minutes=30 + number * 7 % 600)
    ac = {"energyAmount": 4000 + number * 131 % 36000, "evMinCurrent": 6, "evMaxCurrent": 32, "evMaxVoltage": 400}
    needs = {
        "requestedEnergyTransfer": "AC_three_phase",
        "departureTime": departure.isoformat(timespec="seconds"),
        "acChargingParameters": ac,
    }
    return json.dumps({"evseId": 1, "chargingNeeds": needs}).encode()


def _transaction_id(number: int) -> str:
    return f"3f1b6e2e-5c9d-4b0e-9d2c-{number:012}"


def meter_values(number: int) -> bytes:
    """The payload of a MeterValues of OCPP 1.6 with six samples, about 0.9 kB."""
    kinds = [("Current.Import", "A", "5.8", phase) for phase in ("L1", "L2", "L3")]
    kinds += [("Power.Active.Import", "W", "4002.0", ""), ("Energy.Active.Import.Register", "Wh", "123456", "")]
    kinds += [("SoC", "Percent", "57", "")]
    samples = [
        {"value": value, "context": "Sample.Periodic", "format": "Raw", "measurand": measurand, "unit": unit}
        | {"location": "Outlet"}
        | ({"phase": phase} if phase else {})
        for measurand, unit, value, phase in kinds
    ]
    payload = {
        "connectorId": 1,
        "transactionId": 1000 + number,
        "meterValue": [{"timestamp": _TIME, "sampledValue": samples}],
    }
    return json.dumps(payload, separators=(",", ":")).encode()


def report(number: int) -> bytes:
    """The payload of a NotifyReport of OCPP 2.0.1 with 60 variables, about 11 kB."""
    data = [
        {
            "component": {"name": "SmartChargingCtrlr", "instance": str(index)},
            "variable": {"name": f"Variable{index}"},
            "variableAttribute": [{"type": "Actual", "value": "A", "mutability": "ReadOnly", "persistent": True}],
        }
        for index in range(60)
    ]
    payload = {"requestId": number, "generatedAt": _TIME, "seqNo": 0, "tbc": False, "reportData": data}
    return json.dumps(payload, separators=(",", ":")).encode()


BOOTS = {
    "v201": b'{"reason":"PowerUp","chargingStation":{"model":"Bench","vendorName":"Bench"}}',
    "v16": b'{"chargePointModel":"Bench","chargePointVendor":"Bench"}',
}
MESSAGES = {"v201": ("TransactionEvent", transaction_event), "v16": ("MeterValues", meter_values)}

_UNIT = "ChargingScheduleAllowedChargingRateUnit"
_SAID = {
    b"GetConfiguration": {"configurationKey": [{"key": _UNIT, "readonly": True, "value": "Current"}]},
    b"GetVariables": {
        "getVariableResult": [
            {
                "attributeStatus": "Accepted",
                "attributeValue": "A",
                "component": {"name": "SmartChargingCtrlr"},
                "variable": {"name": "RateUnit"},
            }
        ]
    },
}
_STATION_SAYS = {action: json.dumps(payload).encode() for action, payload in _SAID.items()}
_LIMIT = re.compile(rb'"limit":\s*([-+.0-9eE]+)')


def call(message_id: bytes, action: str, payload: bytes) -> bytes:
    """The text of a CALL."""
    return b'[2,"%s","%s",%s]' % (message_id, action.encode(), payload)


def message_id_of(text: bytes) -> bytes:
    """The message id, the second element."""
    return text.split(b'"', 2)[1]


def csms_answer(text: bytes) -> bytes:
    """The CSMS accepts every station and every event."""
    if b'"BootNotification"' not in text[:80]:
        return b'[3,"%s",{}]' % message_id_of(text)
    now = datetime.now(UTC).isoformat(timespec="seconds").encode()
    return b'[3,"%s",{"currentTime":"%s","interval":300,"status":"Accepted"}]' % (message_id_of(text), now)


def station_answer(text: bytes) -> bytes:
    """A station does all that it is told."""
    _, message_id, _, action, _ = text.split(b'"', 4)
    return b'[3,"%s",%s]' % (message_id, _STATION_SAYS.get(action, b'{"status":"Accepted"}'))


def limit_a(text: bytes) -> float:
    """The first limit of a SetChargingProfile."""
    found = _LIMIT.search(text)
    return float(found.group(1)) if found else math.nan


def set_charging_profile(message_id: bytes, limit: float) -> bytes:
    """A SetChargingProfile of OCPP 2.0.1 as the product writes them."""
    profile = {
        "id": 1879048192,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [
            {
                "id": 1879048192,
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [
                    {"startPeriod": 0, "limit": limit, "numberPhases": 3},
                    {"startPeriod": 150, "limit": 6.0, "numberPhases": 3},
                ],
                "startSchedule": _TIME,
            }
        ],
        "transactionId": _transaction_id(0),
    }
    payload = json.dumps({"evseId": 1, "chargingProfile": profile}, separators=(",", ":"))
    return call(message_id, "SetChargingProfile", payload.encode())


def frame(data: bytes, *, opcode: int = TEXT, masked: bool) -> bytes:
    """One unfragmented WebSocket frame."""
    size, bit = len(data), 0x80 if masked else 0
    if size < 126:
        head = bytes((0x80 | opcode, bit | size))
    elif size < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, bit | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, bit | 127, size)
    return head + (_NO_MASK if masked else b"") + data


def frames_in(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Takes the complete frames, (opcode, unmasked data), out of a buffer."""
    while (found := _first(buffer)) is not None:
        opcode, data, size = found
        del buffer[:size]
        yield opcode, data


def _first(buffer: bytearray) -> tuple[int, bytes, int] | None:
    """The first frame and its size on the wire, once it is complete."""
    if len(buffer) < 2:
        return None
    start, length = 2, buffer[1] & 0x7F
    if length >= 126:
        start = 4 if length == 126 else 10
        length = int.from_bytes(buffer[2:start], "big")
    is_masked = buffer[1] & 0x80
    end = start + length + (4 if is_masked else 0)
    if len(buffer) < end:
        return None
    if not is_masked:
        return buffer[0] & 0x0F, bytes(buffer[start:end]), end
    return buffer[0] & 0x0F, apply_mask(bytes(buffer[start + 4 : end]), bytes(buffer[start : start + 4])), end
