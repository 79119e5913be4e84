"""What does a message say that is written exactly as the standard has it? The quick way for nearly all of them.

Transactions and meter values are read from most messages of a station. Here the few fields that matter are decoded by
msgspec straight from the text, which takes a tenth of the time of reading each field tolerantly. Whatever is not in the
standard's very form (a number as text, odd case, a missing list, a phase said twice) is not read here: the answer is
then None, and the dialect reads it tolerantly. Where both can read a message they read the same; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import msgspec

from local_controller.rpc.frame import Frame
from local_controller.station.dialects.base import EventType, MeterReport, TransactionEvent
from local_controller.station.dialects.reading import EARLIEST, LATEST
from local_controller.station.dialects.sampled import LARGEST, NOTHING, Readings, combined, prefix
from local_controller.station.words import ChargingState, MeterSample, Phase

_Integer = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]  # beyond that the tolerant reading rounds
_Measurand = Literal[
    "Current.Export",
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Export.Interval",
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Interval",
    "Energy.Active.Import.Register",
    "Energy.Active.Net",
    "Energy.Apparent.Export",
    "Energy.Apparent.Import",
    "Energy.Apparent.Net",
    "Energy.Reactive.Export.Interval",
    "Energy.Reactive.Export.Register",
    "Energy.Reactive.Import.Interval",
    "Energy.Reactive.Import.Register",
    "Energy.Reactive.Net",
    "Frequency",
    "Power.Active.Export",
    "Power.Active.Import",
    "Power.Factor",
    "Power.Offered",
    "Power.Reactive.Export",
    "Power.Reactive.Import",
    "RPM",
    "SoC",
    "Temperature",
    "Voltage",
]
_Context = Literal["Sample.Periodic", "Sample.Clock", "Trigger", "Transaction.Begin", "Transaction.End"]
_Line = Literal["L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N"]
_PHASES: Final[Mapping[str | None, Phase]] = {
    f"{phase}{suffix}": phase for phase in Phase for suffix in ("", "-N")
}  # "N" is no phase: a total
_Value = Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
_BASE_UNITS: Final = frozenset({None, "A", "V", "W", "Wh", "Percent"})


class _Unit(msgspec.Struct, gc=False):
    unit: str | None = None
    multiplier: Annotated[int, msgspec.Meta(ge=-9, le=9)] | None = None


class _Sampled(msgspec.Struct, gc=False):
    """SampledValueType of 2.x; `unit` is sent by stations that grew up with 1.6."""

    value: _Value
    measurand: _Measurand = "Energy.Active.Import.Register"
    phase: _Line | None = None
    unitOfMeasure: _Unit | None = None  # noqa: N815 - here and below: the standard's name
    unit: str | None = None
    context: _Context = "Sample.Periodic"
    location: Literal["Outlet", "EV"] = "Outlet"


class _Sampled16(msgspec.Struct, gc=False):
    """SampledValue of 1.6."""

    value: _Value
    measurand: _Measurand = "Energy.Active.Import.Register"
    phase: _Line | None = None
    unitOfMeasure: None = None  # noqa: N815
    unit: str | None = None
    context: _Context = "Sample.Periodic"
    location: Literal["Outlet", "EV"] = "Outlet"


class _MeterValue(msgspec.Struct, gc=False):
    timestamp: str
    sampledValue: list[_Sampled]  # noqa: N815


class _MeterValue16(msgspec.Struct, gc=False):
    timestamp: str
    sampledValue: list[_Sampled16]  # noqa: N815


class _Info(msgspec.Struct, gc=False):
    transactionId: str  # noqa: N815
    chargingState: ChargingState | None = None  # noqa: N815
    remoteStartId: _Integer | None = None  # noqa: N815


class _Evse(msgspec.Struct, gc=False):
    id: _Integer | None = None


class _IdToken(msgspec.Struct, gc=False):
    idToken: str | None = None  # noqa: N815


class _TransactionEvent(msgspec.Struct, gc=False):
    """TransactionEventRequest."""

    eventType: EventType  # noqa: N815
    transactionInfo: _Info  # noqa: N815
    evse: _Evse | None = None
    idToken: _IdToken | None = None  # noqa: N815
    offline: bool | None = None
    meterValue: list[_MeterValue] | None = None  # noqa: N815


class _MeterValues(msgspec.Struct, gc=False):
    """MeterValuesRequest."""

    meterValue: list[_MeterValue]  # noqa: N815
    evseId: _Integer | None = None  # noqa: N815


class _MeterValues16(msgspec.Struct, gc=False):
    """MeterValues.req."""

    meterValue: list[_MeterValue16]  # noqa: N815
    connectorId: _Integer  # noqa: N815
    transactionId: _Integer | msgspec.UnsetType = msgspec.UNSET  # noqa: N815


_transaction_event = msgspec.json.Decoder(_TransactionEvent).decode
_meter_values = msgspec.json.Decoder(_MeterValues).decode
_meter_values_16 = msgspec.json.Decoder(_MeterValues16, strict=False).decode  # 1.6 writes numbers of meters as text


# --- messages -----------------------------------------------------------------------------------------------------


def transaction_event(call: Frame) -> TransactionEvent | None:
    """What a TransactionEventRequest says about its transaction."""
    read = call.payload_as(_transaction_event)
    if read is None:
        return None
    info, evse, token = read.transactionInfo, read.evse, read.idToken
    transaction_id = info.transactionId.strip()
    if not transaction_id:
        return None
    return TransactionEvent(
        read.eventType,
        transaction_id,
        None if evse is None else evse.id,
        None if token is None or token.idToken is None else token.idToken.strip() or None,
        info.remoteStartId,
        info.chargingState,
    )


def transaction_meter_report(call: Frame) -> MeterReport | None:
    """The samples in a TransactionEventRequest that is no replay of the past."""
    read = call.payload_as(_transaction_event)
    if read is None or read.offline:
        return None
    evse, transaction_id = read.evse, read.transactionInfo.transactionId.strip()
    samples = _samples(read.meterValue or ())
    if samples is None or not transaction_id:
        return None
    return MeterReport(None if evse is None else evse.id, transaction_id, samples)


def meter_report(call: Frame) -> MeterReport | None:
    """The samples in a MeterValuesRequest."""
    read = call.payload_as(_meter_values)
    if read is None or (samples := _samples(read.meterValue)) is None:
        return None
    return MeterReport(read.evseId, None, samples)


def transaction_of_meter_values_16(call: Frame) -> tuple[int, int | None] | None:
    """Connector and transaction of a MeterValues.req."""
    read = call.payload_as(_meter_values_16)
    return None if read is None else (read.connectorId, read.transactionId or None)


def meter_report_16(call: Frame) -> MeterReport | None:
    """The samples in a MeterValues.req."""
    read = call.payload_as(_meter_values_16)
    if read is None or (samples := _samples(read.meterValue)) is None:
        return None
    transaction_id = read.transactionId
    return MeterReport(read.connectorId, None if transaction_id is msgspec.UNSET else str(transaction_id), samples)


# --- meter values -------------------------------------------------------------------------------------------------


def _samples(meter_values: Sequence[_MeterValue | _MeterValue16]) -> tuple[MeterSample, ...] | None:
    """What each moment says, if it says anything; None if one of them is otherwise written."""
    samples = []
    try:
        for one in meter_values:
            sample = _sample(one.sampledValue, _moment(one.timestamp))
            if sample is not None:
                samples.append(sample)
    except (ValueError, OverflowError):
        return None
    return tuple(samples)


def _sample(values: Sequence[_Sampled | _Sampled16], taken_at: datetime) -> MeterSample | None:
    """What the values of one moment make. Raises ValueError when something is said twice."""
    found: dict[str, dict[Phase | None, float]] = {}
    for one in values:
        measurand, value, measure = one.measurand, one.value, one.unitOfMeasure
        if measure is None:
            if one.unit not in _BASE_UNITS:
                value = _scaled(value, one.unit, 0)
        elif measure.multiplier or measure.unit not in _BASE_UNITS:
            value = _scaled(value, measure.unit, measure.multiplier or 0)
        if one.location == "EV" and measurand != "SoC":
            continue
        phase = _PHASES.get(one.phase)
        said = found.get(measurand)
        if said is None:
            found[measurand] = {phase: value}
        elif phase in said:
            raise ValueError(f"{measurand} of {phase} is said twice")
        else:
            said[phase] = value
    voltage = found.get("Voltage")
    return combined(
        _readings(found.get("Current.Import")),
        _readings(found.get("Power.Active.Import")),
        {} if voltage is None else {phase: volts for phase, volts in voltage.items() if phase and volts > 0.0},
        _readings(found.get("Energy.Active.Import.Register")),
        _readings(found.get("SoC")),
        taken_at,
    )


def _readings(said: dict[Phase | None, float] | None) -> Readings:
    return NOTHING if said is None else Readings(said.pop(None, None), said)  # type: ignore[arg-type]  # without None


def _scaled(value: float, unit: str | None, multiplier: int) -> float:
    scaled = value * prefix(unit and unit.strip()) * 10.0**multiplier
    if abs(scaled) > LARGEST:
        raise ValueError("no meter measures so much")
    return scaled


def _moment(text: str) -> datetime:
    """Raises ValueError unless it is a time with an offset, in this age."""
    read = datetime.fromisoformat(text)
    if read.tzinfo is None or not EARLIEST <= read <= LATEST:
        raise ValueError("no usual time")
    return read if read.tzinfo is UTC else read.astimezone(UTC)
