"""How does OCPP 1.6 say it? (edition 2 with errata; JSON)

Here "charge point" and "connector" are the standard's words; every connector is an EVSE of its own to us.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from local_controller.profiles.composite import CompositeSchedule
from local_controller.profiles.installed import Criteria
from local_controller.profiles.profile import Purpose
from local_controller.rpc.frame import REFUSALS, Frame
from local_controller.station.dialects import composite, strict
from local_controller.station.dialects.base import (
    NO_BOUNDS,
    BootCall,
    CarSchedule,
    CompositeRequest,
    CompositeTold,
    EventType,
    ForetoldSession,
    MeterHead,
    MeterReport,
    OwnProfile,
    Payload,
    ProfileQuery,
    ProfileSet,
    ReadBounds,
    RemoteStart,
    StatedCapability,
    TransactionEvent,
)
from local_controller.station.dialects.charging_profile import read_profile
from local_controller.station.dialects.reading import Fields, timestamp, whole_number
from local_controller.station.dialects.sampled import meter_sample, sampled_value
from local_controller.station.dialects.shared import (
    LIMIT_STEP,
    in_parts,
    read_boot_status,
    read_current_time,
    read_name,
    write_profile,
    write_schedule,
)
from local_controller.station.dialects.stated import stated_flag, stated_integer, stated_units
from local_controller.station.words import (
    ChargingState,
    ConnectorChanged,
    ConnectorStatus,
    MeterSample,
    NeedsKnown,
    OcppVersion,
    RegistrationStatus,
)

_CHARGE_POINT_MAX = "ChargePointMaxProfile"
_PURPOSES = {
    _CHARGE_POINT_MAX: Purpose.CHARGING_STATION_MAX_PROFILE,
    "TxDefaultProfile": Purpose.TX_DEFAULT_PROFILE,
    "TxProfile": Purpose.TX_PROFILE,
}
_OCCUPIED = ConnectorStatus.OCCUPIED
_STATES: Mapping[str, tuple[ConnectorStatus, ChargingState | None]] = {
    "available": (ConnectorStatus.AVAILABLE, ChargingState.IDLE),
    "preparing": (_OCCUPIED, ChargingState.EV_CONNECTED),
    "charging": (_OCCUPIED, ChargingState.CHARGING),
    "suspendedev": (_OCCUPIED, ChargingState.SUSPENDED_EV),
    "suspendedevse": (_OCCUPIED, ChargingState.SUSPENDED_EVSE),
    "finishing": (_OCCUPIED, ChargingState.EV_CONNECTED),
    "reserved": (ConnectorStatus.RESERVED, None),
    "unavailable": (ConnectorStatus.UNAVAILABLE, None),
    "faulted": (ConnectorStatus.FAULTED, None),
}
_UNIT_KEY = "ChargingScheduleAllowedChargingRateUnit"
_STACK_KEY = "ChargeProfileMaxStackLevel"
_PERIODS_KEY = "ChargingScheduleMaxPeriods"
_SAMPLE_KEY = "MeterValueSampleInterval"
_SWITCH_KEY = "ConnectorSwitch3to1PhaseSupported"
_PLACES_KEY = "MaxChargingProfilesInstalled"
_BOUND_KEY = "GetConfigurationMaxKeys"
_ASKED = (_UNIT_KEY, _STACK_KEY, _PERIODS_KEY, _SAMPLE_KEY, _PLACES_KEY, _SWITCH_KEY)


class V16:
    """The 1.6 dialect."""

    version = OcppVersion.V16
    format_violation = "FormationViolation"
    capability_read = "GetConfiguration"
    setting_action = "ChangeConfiguration"

    def boot(self, payload: Payload) -> BootCall:
        """BootNotification.req."""
        fields = Fields("BootNotification", payload)
        return BootCall(
            vendor=read_name(fields, "chargePointVendor"),
            model=read_name(fields, "chargePointModel"),
            firmware=read_name(fields, "firmwareVersion"),
            serial=fields.text("chargePointSerialNumber") or fields.text("chargeBoxSerialNumber") or "",
        )

    def boot_status(self, answer: Payload) -> RegistrationStatus:
        """BootNotification.conf."""
        return read_boot_status(answer)

    def current_time(self, answer: Payload) -> datetime | None:
        """BootNotification.conf and Heartbeat.conf."""
        return read_current_time(answer)

    def connector_changed(self, payload: Payload) -> ConnectorChanged | None:
        """StatusNotification.req."""
        fields = Fields("StatusNotification", payload)
        connector = fields.need_integer("connectorId")
        status, charging_state = _STATES.get(fields.need_text("status").lower(), (None, None))
        if status is None:
            fields.fail("status", "no ChargePointStatus")
        return ConnectorChanged(connector, 1, status, charging_state) if connector > 0 else None

    def transaction_event(self, action: str, payload: Payload) -> TransactionEvent | None:
        """StopTransaction.req; and MeterValues.req, which names a transaction whose start we may have missed."""
        fields = Fields(action, payload)
        if action == "StopTransaction":
            return TransactionEvent(EventType.ENDED, str(fields.need_integer("transactionId")))
        if action != "MeterValues":
            return None
        connector, transaction_id = fields.integer("connectorId"), fields.integer("transactionId")
        if not connector or transaction_id is None or transaction_id <= 0:  # -1 and 0 stand for "none" (errata 3.18)
            return None
        return TransactionEvent(EventType.UPDATED, str(transaction_id), evse=connector)

    def transaction_answered(self, action: str, payload: Payload, answer: Payload) -> TransactionEvent | None:
        """StartTransaction.req with its .conf, which brings the id."""
        if action != "StartTransaction":
            return None
        fields = Fields(action, payload)
        return TransactionEvent(
            EventType.STARTED,
            str(Fields(action, answer).need_integer("transactionId")),
            evse=fields.need_integer("connectorId"),
            id_token=fields.text("idTag"),
            reservation_id=whole_number(fields.raw("reservationId")),
        )

    def meter_report(self, action: str, payload: Payload) -> MeterReport | None:
        """MeterValues.req."""
        if action != "MeterValues":
            return None
        fields = Fields(action, payload)
        transaction_id = fields.integer("transactionId")
        return MeterReport(
            evse=fields.integer("connectorId"),
            transaction_id=None if transaction_id is None else str(transaction_id),
            samples=tuple(sample for value in fields.children("meterValue") if (sample := _sample(value))),
        )

    def transaction_event_of(self, call: Frame) -> TransactionEvent | None:
        """StopTransaction.req and MeterValues.req."""
        if call.action == "MeterValues" and (said := call.payload_as(strict.meter_values_16)) is not None:
            return said.event
        return None if call.action is None else self.transaction_event(call.action, call.payload)

    def meter_head_of(self, call: Frame) -> MeterHead | None:
        """MeterValues.req."""
        said = call.payload_as(strict.meter_values_16) if call.action == "MeterValues" else None
        return None if said is None else said.head

    def meter_report_of(self, call: Frame) -> MeterReport | None:
        """As above."""
        if call.action != "MeterValues":
            return None
        if (said := call.payload_as(strict.meter_values_16)) is not None:
            try:
                return said.report()
            except REFUSALS:
                pass  # a `suppress` takes half a microsecond
        return self.meter_report(call.action, call.payload)

    def charging_needs(self, action: str, payload: Payload) -> NeedsKnown | None:  # noqa: ARG002 - 1.6 has no such message
        """1.6 knows no charging needs."""
        return None

    def car_schedule(self, action: str, payload: Payload) -> CarSchedule | None:  # noqa: ARG002 - as above
        """1.6 knows no schedules of cars."""
        return None

    def profile_head(self, payload: Payload) -> tuple[int | None, Purpose]:
        """SetChargingProfile.req."""
        profile = Fields("SetChargingProfile", payload).need_child("csChargingProfiles")
        return whole_number(profile.raw("chargingProfileId")), _purpose(profile)

    def with_profile_id(self, payload: Payload, profile_id: int) -> Payload:
        """SetChargingProfile.req."""
        return {**payload, "csChargingProfiles": {**payload["csChargingProfiles"], "chargingProfileId": profile_id}}

    def start_with_profile_id(self, payload: Payload, profile_id: int) -> Payload:
        """RemoteStartTransaction.req."""
        return {**payload, "chargingProfile": {**payload["chargingProfile"], "chargingProfileId": profile_id}}

    def profile_set(self, payload: Payload) -> ProfileSet:
        """SetChargingProfile.req."""
        fields = Fields("SetChargingProfile", payload)
        profile = fields.need_child("csChargingProfiles")
        read = read_profile(profile, _purpose(profile), "chargingProfileId")
        return ProfileSet(fields.need_integer("connectorId"), read, profile.data)

    def set_again(self, evse: int, original: Mapping[str, Any]) -> Payload:
        """SetChargingProfile.req."""
        return {"connectorId": evse, "csChargingProfiles": original}

    def clear_criteria(self, payload: Payload) -> Criteria:
        """ClearChargingProfile.req; with an id all other fields are ignored (errata 3.25)."""
        fields = Fields("ClearChargingProfile", payload)
        profile_id = fields.integer("id")
        if profile_id is not None:
            return Criteria(profile_ids=frozenset({profile_id}))
        named = fields.text("chargingProfilePurpose")
        return Criteria(
            evse=fields.integer("connectorId"),
            purpose=None if named is None else _purpose(fields),
            stack_level=fields.integer("stackLevel"),
        )

    def profile_query(self, action: str, payload: Payload) -> ProfileQuery | None:  # noqa: ARG002 - as above
        """1.6 has no GetChargingProfiles."""
        return None

    def remote_start(self, action: str, payload: Payload) -> RemoteStart | None:
        """RemoteStartTransaction.req."""
        fields = Fields(action, payload)
        if action != "RemoteStartTransaction" or (profile := fields.child("chargingProfile")) is None:
            return None
        return RemoteStart(
            evse=fields.integer("connectorId"),
            id_token=fields.need_text("idTag"),
            remote_start_id=None,
            profile=read_profile(profile, _purpose(profile), "chargingProfileId"),
            original=profile.data,
            bare={name: value for name, value in payload.items() if name != "chargingProfile"},
        )

    def foretold(self, action: str, payload: Payload) -> ForetoldSession | None:
        """ReserveNow.req, where connector 0 is any, and RemoteStartTransaction.req."""
        fields = Fields(action, payload)
        if action == "RemoteStartTransaction":
            return ForetoldSession(fields.integer("connectorId") or 0, fields.need_text("idTag"))
        if action != "ReserveNow":
            return None
        return ForetoldSession(
            evse=fields.need_integer("connectorId"),
            id_token=fields.need_text("idTag"),
            reservation_id=fields.need_integer("reservationId"),
            expires=fields.moment("expiryDate"),
        )

    def composite_request(self, payload: Payload) -> CompositeRequest:
        """GetCompositeSchedule.req."""
        return composite.read_request(payload, "connectorId")

    def set_profile(self, evse: int, own: OwnProfile) -> Payload:
        """SetChargingProfile.req; limits are rounded down to one decimal (schema: multipleOf 0.1)."""
        profile = write_profile(own, "chargingProfileId", write_schedule(own))
        profile["chargingProfilePurpose"] = _name(own.purpose)
        if own.transaction_id is not None:
            profile["transactionId"] = int(own.transaction_id)
        return {"connectorId": evse, "csChargingProfiles": profile}

    def stop_request(self, transaction_id: str) -> tuple[str, Payload]:
        """RemoteStopTransaction.req."""
        return "RemoteStopTransaction", {"transactionId": int(transaction_id)}

    def clear_purpose(self, criteria: Criteria, purpose: Purpose) -> Payload:
        """ClearChargingProfile.req."""
        fields = {
            "connectorId": criteria.evse,
            "chargingProfilePurpose": _name(purpose),
            "stackLevel": criteria.stack_level,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def clear_id(self, profile_id: int) -> Payload:
        """ClearChargingProfile.req."""
        return {"id": profile_id}

    def change_setting(self, name: str, value: str, component: str, evse: int) -> Payload:  # noqa: ARG002 - 1.6 has keys only
        """ChangeConfiguration.req."""
        return {"key": name, "value": value}

    def setting_status(self, answer: Payload) -> str | None:
        """ChangeConfiguration.conf."""
        return Fields(self.setting_action, answer).text("status")

    def bound_questions(self, never_read: Collection[str] = ()) -> list[Payload]:
        """GetConfiguration.req."""
        return [] if _BOUND_KEY in never_read else [_asked([_BOUND_KEY])]

    def stated_bounds(self, answer: Payload) -> ReadBounds:
        """GetConfiguration.conf; 1.6 bounds no bytes."""
        return ReadBounds(stated_integer(_values(answer).get(_BOUND_KEY)))

    def capability_questions(self, never_read: Collection[str] = (), bounds: ReadBounds = NO_BOUNDS) -> list[Payload]:
        """GetConfiguration.req."""
        return in_parts([key for key in _ASKED if key not in never_read], _asked, bounds)

    def capability_answer(self, answer: Payload) -> StatedCapability:
        """GetConfiguration.conf."""
        values = _values(answer)
        return StatedCapability(
            units=stated_units(values.get(_UNIT_KEY)),
            max_stack_level=stated_integer(values.get(_STACK_KEY)),
            max_periods=stated_integer(values.get(_PERIODS_KEY)),
            sample_s=stated_integer(values.get(_SAMPLE_KEY)),
            switches_phases=stated_flag(values.get(_SWITCH_KEY)),
        )

    def ask_for_status(self, evse: int) -> Payload:
        """TriggerMessage.req; the station answers and then sends StatusNotification.req."""
        return {"requestedMessage": "StatusNotification", "connectorId": evse}

    def ask_for_sample(self, evse: int) -> Payload:
        """TriggerMessage.req; the station answers and then sends MeterValues.req."""
        return {"requestedMessage": "MeterValues", "connectorId": evse}

    def composite_answer(self, evse: int, schedule: CompositeSchedule) -> Payload:
        """GetCompositeSchedule.conf; its chargingSchedule has no startSchedule (errata 3.57)."""
        start = timestamp(schedule.periods[0].start)
        told = composite.write_schedule(schedule, LIMIT_STEP)
        return {"status": "Accepted", "connectorId": evse, "scheduleStart": start, "chargingSchedule": told}

    def composite_told(self, answer: Payload) -> CompositeTold | None:
        """GetCompositeSchedule.conf."""
        return composite.read_answer(answer, "chargingSchedule")

    def status_answer(self, status: str, reason: str | None = None) -> Payload:  # noqa: ARG002 - 1.6 gives no reasons
        """Any .conf that is a status."""
        return {"status": status}


def _asked(keys: Sequence[str]) -> Payload:
    return {"key": [*keys]}


def _values(answer: Payload) -> dict[str | None, Any]:
    """The values in a GetConfiguration.conf by key."""
    entries = Fields("GetConfiguration", answer).children("configurationKey")
    return {entry.text("key"): entry.raw("value") for entry in entries}


def _name(purpose: Purpose) -> str:
    return next(name for name, known in _PURPOSES.items() if known is purpose)


def _purpose(fields: Fields) -> Purpose:
    name = fields.need_text("chargingProfilePurpose")
    found = (purpose for known, purpose in _PURPOSES.items() if known.lower() == name.lower())
    return next(found, None) or fields.unknown_word("chargingProfilePurpose", f"{name!r:.40} is no purpose of OCPP 1.6")


def _sample(meter_value: Fields) -> MeterSample | None:
    values = [sampled_value(value, value.text("unit"), 0) for value in meter_value.children("sampledValue")]
    return meter_sample(values, meter_value.moment("timestamp"))
