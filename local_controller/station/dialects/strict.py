"""What does a message say that is written exactly as the standard has it? The quick way for nearly all of them.

Transactions and meter values are read from most messages of a station. Here the few fields that matter are decoded by
msgspec straight from the text, which takes a tenth of the time of reading each field tolerantly. Whatever is not in the
standard's very form (a number as text, odd case, a missing list, a phase said twice) is not read here: the answer is
then None, and the dialect reads it tolerantly. Where both can read a message they read the same; a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
_Context = Literal[
    "Sample.Periodic",
    "Sample.Clock",
    "Trigger",
    "Transaction.Begin",
    "Transaction.End",
    "Interruption.Begin",
    "Interruption.End",
    "Other",
]
_NO_SAMPLE: Final = frozenset({"Interruption.Begin", "Interruption.End", "Other"})
_Line = Literal["L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N"]
_PHASES: Final[Mapping[str | None, Phase]] = {
    f"{phase}{suffix}": phase for phase in Phase for suffix in ("", "-N")
}  # "N" is no phase: a total
_BASE_UNITS: Final = frozenset({None, "A", "V", "W", "Wh", "Percent"})


class _Unit(msgspec.Struct, gc=False):
    unit: str | None = None
    multiplier: Annotated[int, msgspec.Meta(ge=-9, le=9)] | None = None


class _Sampled(msgspec.Struct, gc=False):
    """What SampledValue (1.6) and SampledValueType (2.x) share, as far as it matters."""

    measurand: _Measurand = "Energy.Active.Import.Register"
    phase: _Line | None = None
    context: _Context = "Sample.Periodic"
    location: Literal["Outlet", "EV"] = "Outlet"
    unit: str | None = None  # in 2.x of stations that grew up with 1.6


class _Sampled2x(_Sampled, gc=False, kw_only=True):
    value: float
    unitOfMeasure: _Unit | None = None  # noqa: N815 - here and below: the standard's name


class _Sampled16(_Sampled, gc=False, kw_only=True):
    value: str


class _MeterValue2x(msgspec.Struct, gc=False):
    timestamp: str
    sampledValue: list[_Sampled2x]  # noqa: N815


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
    meterValue: list[_MeterValue2x] | None = None  # noqa: N815


class _MeterValues2x(msgspec.Struct, gc=False):
    """MeterValuesRequest."""

    meterValue: list[_MeterValue2x]  # noqa: N815
    evseId: _Integer | None = None  # noqa: N815


class _MeterValues16(msgspec.Struct, gc=False):
    """MeterValues.req."""

    meterValue: list[_MeterValue16]  # noqa: N815
    connectorId: _Integer | None = None  # noqa: N815
    transactionId: _Integer | None = None  # noqa: N815


_transaction_event = msgspec.json.Decoder(_TransactionEvent).decode
_meter_values_2x = msgspec.json.Decoder(_MeterValues2x).decode
_meter_values_16 = msgspec.json.Decoder(_MeterValues16).decode


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
    if read is None or read.offline or not (transaction_id := read.transactionInfo.transactionId.strip()):
        return None
    evse = read.evse
    return _report(None if evse is None else evse.id, transaction_id, read.meterValue or (), _numbers_2x)


def meter_report_2x(call: Frame) -> MeterReport | None:
    """The samples in a MeterValuesRequest."""
    read = call.payload_as(_meter_values_2x)
    return None if read is None else _report(read.evseId, None, read.meterValue, _numbers_2x)


def transaction_of_meter_values_16(call: Frame) -> tuple[int | None, int | None] | None:
    """Connector and transaction of a MeterValues.req."""
    read = call.payload_as(_meter_values_16)
    return None if read is None else (read.connectorId, read.transactionId)


def meter_report_16(call: Frame) -> MeterReport | None:
    """The samples in a MeterValues.req."""
    read = call.payload_as(_meter_values_16)
    if read is None:
        return None
    transaction_id = None if read.transactionId is None else str(read.transactionId)
    return _report(read.connectorId, transaction_id, read.meterValue, _numbers_16)


# --- meter values -------------------------------------------------------------------------------------------------


def _report(
    evse: int | None,
    transaction_id: str | None,
    meter_values: Sequence[_MeterValue2x] | Sequence[_MeterValue16],
    numbers: Callable[..., list[float]],
) -> MeterReport | None:
    try:
        samples = [_sample(one.sampledValue, numbers(one.sampledValue), _moment(one.timestamp)) for one in meter_values]
    except (ValueError, OverflowError):
        return None
    return MeterReport(evse, transaction_id, tuple([sample for sample in samples if sample is not None]))


def _sample(values: Sequence[_Sampled], numbers: list[float], taken_at: datetime) -> MeterSample | None:
    """What the values of one moment make. Raises ValueError when something is said twice."""
    found: dict[str, dict[Phase | None, float]] = {}
    for one, value in zip(values, numbers, strict=True):
        measurand = one.measurand
        if (
            one.context in _NO_SAMPLE
            or (one.location == "EV" and measurand != "SoC")
            or not -LARGEST <= value <= LARGEST
        ):
            continue
        phase = _PHASES.get(one.phase)
        said = found.get(measurand)
        if said is None:
            found[measurand] = {phase: value}
        elif phase in said:
            raise ValueError(f"{measurand} of {phase} is said twice")
        else:
            said[phase] = value
    return combined(
        _readings(found.get("Current.Import")),
        _readings(found.get("Power.Active.Import")),
        {phase: volts for phase, volts in found.get("Voltage", {}).items() if phase is not None and volts > 0.0},
        _readings(found.get("Energy.Active.Import.Register")),
        _readings(found.get("SoC")),
        taken_at,
    )


def _readings(said: dict[Phase | None, float] | None) -> Readings:
    return NOTHING if said is None else Readings(said.pop(None, None), said)  # type: ignore[arg-type]  # without None


def _numbers_2x(values: Sequence[_Sampled2x]) -> list[float]:
    """The values in base units."""
    return [
        one.value
        if (measure := one.unitOfMeasure) is not None and measure.unit in _BASE_UNITS and not measure.multiplier
        else _scaled(
            one.value, one.unit if measure is None else measure.unit, 0 if measure is None else measure.multiplier
        )
        for one in values
    ]


def _numbers_16(values: Sequence[_Sampled16]) -> list[float]:
    """The values in base units. Raises ValueError when one is no number."""
    return [
        float(one.value) if one.unit in _BASE_UNITS else _scaled(float(one.value), one.unit, None) for one in values
    ]


def _scaled(value: float, unit: str | None, multiplier: int | None) -> float:
    return value * prefix(unit and unit.strip()) * 10.0 ** (multiplier or 0)


def _moment(text: str) -> datetime:
    """Raises ValueError unless it is a time with an offset, in this age."""
    read = datetime.fromisoformat(text)
    if read.tzinfo is None or not EARLIEST <= read <= LATEST:
        raise ValueError("no usual time")
    return read if read.tzinfo is UTC else read.astimezone(UTC)
