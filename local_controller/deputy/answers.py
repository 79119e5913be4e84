"""What does a station get for an answer while its CSMS is away, and what of its message must the CSMS hear later?

Schema-valid in each version, and so that nothing is promised in the CSMS's name that it may not want: certificates, data
transfers and the like are declined, so that the station tries again (LC-048; Part 4 §6.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from local_controller.clock import Instant
from local_controller.deputy.effects import Entry, Kind
from local_controller.deputy.transaction_names import provisional_id, transaction_of
from local_controller.errors import PayloadError
from local_controller.rpc.frame import Frame
from local_controller.station.authorization import UNREADABLE, Verdict
from local_controller.station.dialects.authorization import authorization_dialect
from local_controller.station.words import OcppVersion

Payload = dict[str, Any]

WAIT_S: Final = 60
"""What a station that was never accepted is told to wait until it asks again."""

DEFAULT_INTERVAL_S: Final = 300
"""The heartbeat interval where no CSMS has said one: that of the examples of OCPP. The gateway itself needs no heartbeats."""

LEAST_SEVERITY: Final = 4
"""Events of this severity and graver are kept (0 is the gravest); as `OfflineMonitoringEventQueuingSeverity` (N07.FR.11)."""


class Situation(Protocol):
    """What the deputy knows about station and CSMS."""

    @property
    def version(self) -> OcppVersion:
        """The version of both legs."""

    @property
    def is_accepted(self) -> bool:
        """Whether the CSMS has accepted the station, or the site file wants it to be served all the same (LC-059)."""

    @property
    def interval_s(self) -> int | None:
        """The interval in the CSMS's latest answer to a boot; None: it never said one."""

    def time(self, now: Instant) -> str:
        """The CSMS's clock, as it is written in messages (LC-045)."""

    def verdict(self, action: str, payload: Payload, now: Instant) -> Verdict | None:
        """What to say of the driver whom a CALL names; None if it names none (LC-065)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """payload: of a CALLRESULT, once its number in the journal is known (0 for what is not kept); None: a CALLERROR. entry: what is kept."""

    payload: Callable[[int], Payload] | None
    entry: Entry | None = None


DECLINED: Final = Answer(None)
"""Nobody but the CSMS can answer it: the station hears that there is a fault, and may try again."""


class _Asked(NamedTuple):
    """A CALL that is answered here. number: as in `Answer`."""

    payload: Payload
    situation: Situation
    now: Instant
    number: int


_Write = Callable[[_Asked], Payload]


def local_answer(call: Frame, situation: Situation, now: Instant) -> Answer:
    """The answer to a CALL of the station. Before it is accepted it may only boot (B02.FR.02)."""
    action = call.action or ""
    write = _writers(situation.version).get(action)
    if write is None or not (situation.is_accepted or action == "BootNotification"):
        return DECLINED
    try:
        payload = call.payload
    except PayloadError:
        return DECLINED
    entry = _entry(call, payload, situation, now.utc)
    return Answer(lambda number: write(_Asked(payload, situation, now, number)), entry)


def code_of_fault(version: OcppVersion) -> str:
    """The error code of `DECLINED` (LC-028): that of a fault within the one who answers, so that the station tries again."""
    return "GenericError" if version is OcppVersion.V16 else "InternalError"


# --- what is kept -------------------------------------------------------------------------------------------------

_KINDS: Final[Mapping[str, Kind]] = {
    "BootNotification": Kind.BOOT,
    "StatusNotification": Kind.STATUS,
    **dict.fromkeys(("StartTransaction", "StopTransaction", "TransactionEvent"), Kind.TRANSACTION),
    "SecurityEventNotification": Kind.SECURITY,
}
_NOT_KEPT: Final = frozenset(
    {
        *("Heartbeat", "Authorize", "DataTransfer", "SignCertificate", "Get15118EVCertificate", "GetCertificateStatus"),
        *("GetCertificateChainStatus", "PullDynamicScheduleUpdate", "VatNumberValidation", "OpenPeriodicEventStream"),
        "NotifyEVChargingNeeds",
    }
)
"""Questions: who does not get the answer that it wants asks again."""


def _entry(call: Frame, payload: Payload, situation: Situation, at: datetime) -> Entry | None:
    action = call.action or ""
    rank = _severity(payload) if action == "NotifyEvent" else LEAST_SEVERITY
    if action in _NOT_KEPT or rank > LEAST_SEVERITY or not situation.is_accepted:
        return None
    text = (call.payload_as(bytes) or b"{}").decode()
    return Entry(
        kind_of(action, situation.version), action, text, at, rank, subject_of(call), _sample_of(call, payload)
    )


def kind_of(action: str, version: OcppVersion) -> Kind:
    """What a message of this action is to its delivery. Meter values belong to transactions in 1.6 only."""
    if action == "MeterValues" and version is OcppVersion.V16:
        return Kind.TRANSACTION
    return _KINDS.get(action, Kind.OTHER)


def subject_of(call: Frame) -> str:
    """Of what only the latest counts: the boot, and the state of each connector; "" for all else. PayloadError where it is unreadable."""
    if call.action == "BootNotification":
        return "boot"
    if call.action == "StatusNotification":
        return f"connector {call.payload.get('evseId', 0)}.{call.payload.get('connectorId', 0)}"
    return ""


def _sample_of(call: Frame, payload: Payload) -> str:
    if call.action == "MeterValues":
        place = payload.get("connectorId", payload.get("evseId"))
        return str(transaction_of(call) or f"connector {place!s:.20}")
    if call.action == "TransactionEvent" and payload.get("eventType") == "Updated" and "idToken" not in payload:
        info = payload.get("transactionInfo")
        return str(info.get("transactionId", "")) if isinstance(info, dict) else ""
    return ""


def _severity(payload: Payload) -> int:
    """The gravest of the events that a message tells; one that says none is an alert (8 is "informational", N07)."""
    events = payload.get("eventData")
    told = [one.get("severity") for one in events if isinstance(one, dict)] if isinstance(events, list) else []
    return min((one for one in told if isinstance(one, int)), default=LEAST_SEVERITY)


# --- what is answered ---------------------------------------------------------------------------------------------


def _boot(asked: _Asked) -> Payload:
    situation = asked.situation
    status, interval_s = "Accepted", situation.interval_s or DEFAULT_INTERVAL_S
    if not situation.is_accepted:
        status, interval_s = "Pending", WAIT_S
    return {"status": status, "currentTime": situation.time(asked.now), "interval": interval_s}


def _heartbeat(asked: _Asked) -> Payload:
    return {"currentTime": asked.situation.time(asked.now)}


def _authorize(asked: _Asked) -> Payload:
    said = asked.situation.verdict("Authorize", asked.payload, asked.now) or UNREADABLE
    return authorization_dialect(asked.situation.version).authorize_answer(asked.payload, said)


def _info(asked: _Asked, action: str, name: str) -> Payload:
    """Whether the driver may charge, if one is named."""
    said = asked.situation.verdict(action, asked.payload, asked.now)
    return {} if said is None else {name: authorization_dialect(asked.situation.version).info(said)}


def _start(asked: _Asked) -> Payload:
    nobody = {"idTagInfo": {"status": "Invalid"}}
    return {"transactionId": provisional_id(asked.number), **nobody, **_info(asked, "StartTransaction", "idTagInfo")}


def _stop(asked: _Asked) -> Payload:
    return _info(asked, "StopTransaction", "idTagInfo")


def _event(asked: _Asked) -> Payload:
    return _info(asked, "TransactionEvent", "idTokenInfo")


def _vat_number(asked: _Asked) -> Payload:
    return {"vatNumber": str(asked.payload.get("vatNumber", ""))[:20], "status": "Rejected"}


def _chain_status(asked: _Asked) -> Payload:
    """Failed for each certificate that is asked for, as of now."""
    rows = asked.payload.get("certificateStatusRequests")
    return {
        "certificateStatus": [
            {
                "certificateHashData": one.get("certificateHashData"),
                "source": one.get("source"),
                "status": "Failed",
                "nextUpdate": asked.situation.time(asked.now),
            }
            for one in (rows if isinstance(rows, list) else ())
            if isinstance(one, dict)
        ]
    }


def _saying(payload: Payload) -> _Write:
    return lambda _: dict(payload)


_NOTHING: Final = _saying({})
_REJECTED: Final = _saying({"status": "Rejected"})
_ACCEPTED: Final = _saying({"status": "Accepted"})
_FAILED: Final = _saying({"status": "Failed"})

_ALL: Final[Mapping[str, _Write]] = {
    "BootNotification": _boot,
    "Heartbeat": _heartbeat,
    "DataTransfer": _REJECTED,
    "SignCertificate": _REJECTED,
    **dict.fromkeys(
        ("StatusNotification", "MeterValues", "FirmwareStatusNotification", "LogStatusNotification"), _NOTHING
    ),
    "SecurityEventNotification": _NOTHING,
}
_V16: Final[Mapping[str, _Write]] = {
    **_ALL,
    "Authorize": _authorize,
    "StartTransaction": _start,
    "StopTransaction": _stop,
    **dict.fromkeys(("DiagnosticsStatusNotification", "SignedFirmwareStatusNotification"), _NOTHING),
}
_V201: Final[Mapping[str, _Write]] = {
    **_ALL,
    "Authorize": _authorize,
    "TransactionEvent": _event,
    "Get15118EVCertificate": _saying({"status": "Failed", "exiResponse": ""}),
    "GetCertificateStatus": _FAILED,
    "NotifyEVChargingNeeds": _REJECTED,
    "NotifyEVChargingSchedule": _ACCEPTED,
    **dict.fromkeys(
        (
            *("NotifyEvent", "NotifyReport", "NotifyMonitoringReport", "NotifyDisplayMessages"),
            *("NotifyCustomerInformation", "ReportChargingProfiles", "NotifyChargingLimit", "ClearedChargingLimit"),
            *("PublishFirmwareStatusNotification", "ReservationStatusUpdate"),
        ),
        _NOTHING,
    ),
}
_V21: Final[Mapping[str, _Write]] = {
    **_V201,
    "NotifyEVChargingNeeds": _saying({"status": "NoChargingProfile"}),  # never Rejected with ISO 15118-20
    "PullDynamicScheduleUpdate": _REJECTED,
    "OpenPeriodicEventStream": _REJECTED,
    "GetCertificateChainStatus": _chain_status,
    "VatNumberValidation": _vat_number,
    **dict.fromkeys(
        (
            *("NotifyPriorityCharging", "NotifySettlement", "NotifyDERAlarm", "NotifyDERStartStop", "ReportDERControl"),
            *("NotifyWebPaymentStarted", "BatterySwap", "ClosePeriodicEventStream"),
        ),
        _NOTHING,
    ),
}
_BY_VERSION: Final = {OcppVersion.V16: _V16, OcppVersion.V201: _V201, OcppVersion.V21: _V21}


def _writers(version: OcppVersion) -> Mapping[str, _Write]:
    return _BY_VERSION[version]
