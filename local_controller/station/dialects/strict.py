"""What does a message say that is written exactly as the standard has it? The quick way for nearly all of them.

Transactions and meter values are read from most messages of a station. Here the few fields that matter are decoded by
msgspec straight from the text, which takes a tenth of the time of reading each field tolerantly. Whatever is not in the
standard's very form (a number as text, odd case, a missing list, a phase said twice) is refused here with a ValueError,
and the dialect reads it tolerantly. Where both can read a message they read the same; a test compares them.

The samples, which are most of a message, are skipped at first and decoded when somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import msgspec

from local_controller.station.dialects.base import EventType, MeterHead, MeterReport, TransactionEvent
from local_controller.station.dialects.reading import EARLIEST, LATEST
from local_controller.station.dialects.sampled import LARGEST, Readings, combined, prefix
from local_controller.station.words import ChargingState, MeterSample, Phase

_Integer = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]  # beyond that the tolerant reading rounds
_Measurand = Literal[
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
_UnitName = Literal["A", "V", "W", "kW", "Wh", "kWh", "Percent", "VA", "kVA", "var", "kvar", "varh", "kvarh", "Celsius"]
_Line = Literal["L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N"]
_PHASES: Final[Mapping[str | None, Phase]] = {
    f"{phase}{suffix}": phase for phase in Phase for suffix in ("", "-N")
}  # "N" is no phase: a total
_Value = Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
_FIRST_YEAR, _LAST_YEAR = EARLIEST.year, LATEST.year
_UPDATED: Final = EventType.UPDATED
_NOTHING: Final[Readings] = {}
_NO_LIST: Final = msgspec.Raw(b"[]")
_BASE_UNITS: Final = frozenset({None, "A", "V", "W", "Wh", "Percent"})


class _Unit(msgspec.Struct, gc=False):
    unit: _UnitName | None = None
    multiplier: Annotated[int, msgspec.Meta(ge=-9, le=9)] | None = None


class _Sampled(msgspec.Struct, gc=False):
    """SampledValueType of 2.x; `unit` is sent by stations that grew up with 1.6."""

    value: _Value
    measurand: _Measurand = "Energy.Active.Import.Register"
    phase: _Line | None = None
    unitOfMeasure: _Unit | None = None  # noqa: N815 - here and below: the standard's name
    unit: _UnitName | None = None
    context: _Context = "Sample.Periodic"
    location: Literal["Outlet", "EV"] = "Outlet"


class _Sampled16(msgspec.Struct, gc=False):
    """SampledValue of 1.6."""

    value: _Value
    measurand: _Measurand = "Energy.Active.Import.Register"
    phase: _Line | None = None
    unitOfMeasure: None = None  # noqa: N815
    unit: _UnitName | None = None
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
    reservationId: _Integer | None = None  # noqa: N815
    meterValue: msgspec.Raw = _NO_LIST  # noqa: N815


class _MeterValues(msgspec.Struct, gc=False):
    """MeterValuesRequest."""

    meterValue: msgspec.Raw  # noqa: N815
    evseId: _Integer | None = None  # noqa: N815


class _MeterValues16(msgspec.Struct, gc=False):
    """MeterValues.req."""

    meterValue: msgspec.Raw  # noqa: N815
    connectorId: _Integer  # noqa: N815
    transactionId: _Integer | msgspec.UnsetType = msgspec.UNSET  # noqa: N815


_decode_transaction_event = msgspec.json.Decoder(_TransactionEvent).decode
_decode_meter_values = msgspec.json.Decoder(_MeterValues).decode
_decode_meter_values_16 = msgspec.json.Decoder(_MeterValues16, strict=False).decode  # 1.6 writes values as text
_decode_list = msgspec.json.Decoder(list[_MeterValue]).decode
_decode_list_16 = msgspec.json.Decoder(list[_MeterValue16], strict=False).decode


# --- messages: readers for Frame.payload_as --------------------------------------------------------------------------


class Said(MeterHead, frozen=True, gc=False):
    """What one message says; `samples` as it writes them, None if they are of the past, and what decodes them."""

    samples: msgspec.Raw | None
    decode: Callable[[msgspec.Raw], Sequence[_MeterValue | _MeterValue16]]

    @property
    def head(self) -> MeterHead | None:
        """Whose samples these are, if there are any."""
        return None if self.samples is None or self.samples is _NO_LIST else self

    def report(self) -> MeterReport | None:
        """With its samples read, which raises ValueError and its like where they are not in the standard's very form."""
        if self.samples is None:
            return None
        return MeterReport(self.evse, self.transaction_id, _samples(self.decode(self.samples)))


def transaction_event(payload: msgspec.Raw) -> Said:
    """TransactionEventRequest; its samples, unless it is a replay of the past."""
    read = _decode_transaction_event(payload)
    info, token = read.transactionInfo, read.idToken
    transaction_id = info.transactionId.strip()
    if not transaction_id:
        raise ValueError("a transaction without id")
    evse = None if read.evse is None else read.evse.id
    id_token = None if token is None or token.idToken is None else token.idToken.strip() or None
    kind = read.eventType
    return Said(
        evse,
        transaction_id,
        kind is _UPDATED,
        TransactionEvent(
            kind, transaction_id, evse, id_token, info.remoteStartId, info.chargingState, read.reservationId
        ),
        None if read.offline else read.meterValue,
        _decode_list,
    )


def meter_values(payload: msgspec.Raw) -> Said:
    """MeterValuesRequest."""
    read = _decode_meter_values(payload)
    return Said(read.evseId, None, True, None, read.meterValue, _decode_list)


def meter_values_16(payload: msgspec.Raw) -> Said:
    """MeterValues.req, which also names a transaction whose start we may have missed."""
    read = _decode_meter_values_16(payload)
    connector, number = read.connectorId, read.transactionId
    if number is msgspec.UNSET:
        return Said(connector, None, True, None, read.meterValue, _decode_list_16)
    transaction_id = str(number)
    # -1 and 0 stand for "none" (errata 3.18)
    event = TransactionEvent(_UPDATED, transaction_id, connector) if connector and number > 0 else None
    return Said(connector, transaction_id, True, event, read.meterValue, _decode_list_16)


# --- meter values -------------------------------------------------------------------------------------------------


def _samples(meter_values: Sequence[_MeterValue | _MeterValue16]) -> tuple[MeterSample, ...]:
    """What each moment says, if it says anything."""
    samples = []
    for one in meter_values:
        sample = _sample(one.sampledValue, _moment(one.timestamp))
        if sample is not None:
            samples.append(sample)
    return tuple(samples)


def _sample(values: Sequence[_Sampled | _Sampled16], taken_at: datetime) -> MeterSample | None:
    """What the values of one moment make; nothing may be said twice."""
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
        if measurand == "Current.Import" and value < 0.0:
            value = -value
        phase = _PHASES.get(one.phase)
        readings = found.get(measurand)
        if readings is None:
            found[measurand] = {phase: value}
        elif phase in readings:
            raise ValueError(f"{measurand} of {phase} is said twice")
        else:
            readings[phase] = value
    voltage = found.get("Voltage")
    return combined(
        found.get("Current.Import", _NOTHING),
        found.get("Power.Active.Import", _NOTHING),
        {} if voltage is None else {phase: volts for phase, volts in voltage.items() if phase and volts > 0.0},
        found.get("Energy.Active.Import.Register", _NOTHING),
        found.get("SoC", _NOTHING),
        taken_at,
    )


def _scaled(value: float, unit: str | None, multiplier: int) -> float:
    scaled = value * prefix(unit) * 10.0**multiplier
    if abs(scaled) > LARGEST:
        raise ValueError("no meter measures so much")
    return scaled


def _moment(text: str) -> datetime:
    """A time with an offset, in this age."""
    read = datetime.fromisoformat(text)
    if read.tzinfo is None or not _FIRST_YEAR < read.year < _LAST_YEAR:
        raise ValueError("no usual time")
    return read if read.tzinfo is UTC else read.astimezone(UTC)
