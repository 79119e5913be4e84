"""What do peers say in a soak? Messages of many actions, spelled as oddly as JSON allows, from 1 B to 200 kB.

A message id holds a `~`: so a CALL without one was written by the gateway.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

CALL, CALLRESULT, CALLERROR, CALLRESULTERROR, SEND = 2, 3, 4, 5, 6
MARK: Final = "~"
VERSIONS: Final = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")

_Requests = tuple[tuple[str, dict[str, Any]], ...]

_LARGEST: Final = 200_000
_LARGE_SHARE: Final = 0.02
_LETTERS: Final = 'abc XYZ 019 "\\/ \b\n\t {}[]:, äßéø Ω漢字 \u2028 🚗⚡ \u0000'
_NUMBERS: Final = ("1.10", "1E3", "-0", "0.1e-7", "12345678901234567890.123", "1e400", "7", "-0.0")
_BLANKS: Final = ("", "", "", " ", "  ", "\n", "\r\n\t")

_STATION_V16: Final[_Requests] = (
    ("Heartbeat", {}),
    ("MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": []}]}),
    ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}),
    ("Authorize", {"idTag": "SOAK"}),
    ("StartTransaction", {"connectorId": 1, "idTag": "SOAK", "meterStart": 0, "timestamp": "2026-01-01T00:00:00Z"}),
    ("StopTransaction", {"transactionId": 7, "meterStop": 1, "timestamp": "2026-01-01T00:00:00Z"}),
    ("FirmwareStatusNotification", {"status": "Idle"}),
    ("DataTransfer", {"vendorId": "soak"}),
    ("Acme.Unheard-Of", {}),
)
_CSMS_V16: Final[_Requests] = (
    ("ChangeAvailability", {"connectorId": 1, "type": "Operative"}),
    ("ClearCache", {}),
    ("UnlockConnector", {"connectorId": 1}),
    ("GetDiagnostics", {"location": "ftp://host/logs"}),
    ("GetConfiguration", {"key": ["HeartbeatInterval"]}),
    ("CancelReservation", {"reservationId": 3}),
    ("DataTransfer", {"vendorId": "soak"}),
    ("Acme.Unheard-Of", {}),
)
_EVENT: Final = {"eventType": "Updated", "timestamp": "2026-01-01T00:00:00Z", "triggerReason": "Trigger", "seqNo": 1}
_STATION_V2X: Final[_Requests] = (
    ("Heartbeat", {}),
    ("TransactionEvent", {**_EVENT, "transactionInfo": {"transactionId": "t"}, "evse": {"id": 1}}),
    ("MeterValues", {"evseId": 1, "meterValue": [{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": []}]}),
    ("StatusNotification", {"evseId": 1, "connectorId": 1, "connectorStatus": "Available"}),
    ("SecurityEventNotification", {"type": "StartupOfTheDevice", "timestamp": "2026-01-01T00:00:00Z"}),
    ("NotifyEvent", {"generatedAt": "2026-01-01T00:00:00Z", "seqNo": 0, "eventData": []}),
    ("LogStatusNotification", {"status": "Idle"}),
    ("DataTransfer", {"vendorId": "soak"}),
    ("Acme.Unheard-Of", {}),
)
_CSMS_V2X: Final[_Requests] = (
    ("ChangeAvailability", {"operationalStatus": "Operative"}),
    ("ClearCache", {}),
    ("UnlockConnector", {"evseId": 1, "connectorId": 1}),
    ("GetTransactionStatus", {}),
    ("GetVariables", {"getVariableData": [{"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "X"}}]}),
    ("GetLog", {"logType": "DiagnosticsLog", "requestId": 1, "log": {"remoteLocation": "ftp://host/logs"}}),
    ("DataTransfer", {"vendorId": "soak"}),
    ("Acme.Unheard-Of", {}),
)
_OWN_ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "GetVariables": {"getVariableResult": []},
    "GetConfiguration": {"configurationKey": []},
}


class Heard(NamedTuple):
    """What a peer needs to know of a message. action: "" for answers."""

    type: int
    message_id: str
    action: str

    @property
    def is_own(self) -> bool:
        """Whether the gateway itself wrote it."""
        return self.type == CALL and MARK not in self.message_id


def heard(text: str) -> Heard:
    """Reads a message. Raises ValueError when that is impossible."""
    match json.loads(text, parse_float=str):
        case [int(kind), str(message_id), *rest]:
            action = rest[0] if kind in {CALL, SEND} and rest else ""
            return Heard(kind, message_id, str(action))
    raise ValueError("no message")


class Writer:
    """Writes one version's messages at random, from a seed."""

    def __init__(self, version: str, seed: int) -> None:
        self._version = version
        self._rnd = random.Random(seed)
        self._count = 0

    def boot(self) -> str:
        """A BootNotification."""
        v16 = {"chargePointVendor": "Soak", "chargePointModel": "Soak"}
        v2x = {"reason": "PowerUp", "chargingStation": {"vendorName": "Soak", "model": "Soak"}}
        return self._call("BootNotification", v16 if self._version == VERSIONS[0] else v2x)

    def station_call(self) -> str:
        """Any CALL of a station, at times a SEND of 2.1."""
        if self._version == VERSIONS[2] and self._rnd.random() < 0.05:
            stream = {"id": 1, "pending": 0, "basetime": "2026-01-01T00:00:00Z", "data": []}
            return self._call("NotifyPeriodicEventStream", stream, SEND)
        return self._call(*self._rnd.choice(_STATION_V16 if self._version == VERSIONS[0] else _STATION_V2X))

    def csms_call(self) -> str:
        """Any CALL of a CSMS that a gateway has no reason to touch."""
        return self._call(*self._rnd.choice(_CSMS_V16 if self._version == VERSIONS[0] else _CSMS_V2X))

    def answer(self, call: Heard) -> str:
        """An answer to a CALL; mostly a good one, but for a boot always."""
        if call.action != "BootNotification" and self._rnd.random() < 0.05:
            return self._spelled([CALLERROR, call.message_id, "InternalError", self._filling(), {}])
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        said: dict[str, Any] = {"status": "Accepted"}
        if call.action in {"BootNotification", "Heartbeat"}:
            said = {"currentTime": now, "interval": 300, "status": "Accepted"}
        elif call.action == "StartTransaction":
            said = {"transactionId": 7, "idTagInfo": {"status": "Accepted"}}
        return self._spelled([CALLRESULT, call.message_id, said | self._custom()])

    def complaint(self, answer: Heard) -> str | None:
        """At times 2.1 answers an answer (Part 4 §4.2.4)."""
        if self._version != VERSIONS[2] or answer.type != CALLRESULT or self._rnd.random() > 0.02:
            return None
        return self._spelled([CALLRESULTERROR, answer.message_id, "FormatViolation", self._filling(), {}])

    @staticmethod
    def answer_to_gateway(call: Heard) -> str:
        """A station does what the gateway asks."""
        return json.dumps([CALLRESULT, call.message_id, _OWN_ANSWERS.get(call.action, {"status": "Accepted"})])

    def _call(self, action: str, payload: dict[str, Any], kind: int = CALL) -> str:
        self._count += 1
        message_id = f"{self._rnd.choice(('', 'ü', '-1', '{id}'))}{MARK}{self._rnd.getrandbits(48):x}-{self._count}"
        return self._spelled([kind, message_id, action, payload | self._custom()])

    def _custom(self) -> dict[str, Any]:
        """Members that no schema knows, of any size."""
        if self._rnd.random() < 0.3:
            return {}
        numbers = [_Number(number) for number in self._rnd.sample(_NUMBERS, 2)]
        return {"customData": {"vendorId": "soak", "x": self._filling(), "n": numbers, "N": [None, True]}}

    def _filling(self) -> str:
        """Any letters; every size from 1 B to 200 kB is as likely as its tenfold, the large ones are rare."""
        is_large = self._rnd.random() < _LARGE_SHARE
        size = round(10 ** self._rnd.uniform(*((3.0, 5.0) if is_large else (0.0, 2.5))))
        piece = "".join(self._rnd.choices(_LETTERS, k=min(size, 200)))
        return (piece * (size // len(piece) + 1))[: min(2 * size, _LARGEST)]

    def _spelled(self, message: list[Any]) -> str:
        return "".join(self._tokens(message))

    def _tokens(self, value: Any) -> Iterator[str]:
        blank = self._rnd.choice(_BLANKS)
        match value:
            case _Number(text=text):
                yield text
            case dict():
                yield "{" + blank
                for index, (name, child) in enumerate(value.items()):
                    yield ("," + blank if index else "") + json.dumps(name) + blank + ":" + blank
                    yield from self._tokens(child)
                yield blank + "}"
            case list():
                yield "[" + blank
                for index, child in enumerate(value):
                    yield "," + blank if index else ""
                    yield from self._tokens(child)
                yield blank + "]"
            case _:
                yield json.dumps(value, ensure_ascii=self._rnd.random() < 0.5)


class _Number(NamedTuple):
    """A number with its spelling."""

    text: str
