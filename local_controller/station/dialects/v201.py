"""How does OCPP 2.0.1 say it? What is the same in 2.1 is inherited there."""

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
    NOTHING_LACKS,
    BootCall,
    CarSchedule,
    CompositeRequest,
    CompositeTold,
    EventType,
    ForetoldSession,
    Lacks,
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
from local_controller.station.dialects.charging_profile import read_profile, read_schedule
from local_controller.station.dialects.reading import Fields, timestamp, whole_number
from local_controller.station.dialects.sampled import SampledValue, meter_sample, sampled_value
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

_SMART_CHARGING = "SmartChargingCtrlr"
_UNIT, _STACK, _PERIODS = "RateUnit", "ProfileStackLevel", "PeriodsPerSchedule"
_SAMPLE = "TxUpdatedInterval"
_SWITCHES, _PHASE_TO_USE = "Phases3to1", "ACPhaseSwitchingSupported"
_ASKED = (
    (_SMART_CHARGING, _UNIT, None),
    (_SMART_CHARGING, _STACK, None),
    (_SMART_CHARGING, _PERIODS, None),
    ("SampledDataCtrlr", _SAMPLE, None),
    (_SMART_CHARGING, _SWITCHES, None),
    (_SMART_CHARGING, _PHASE_TO_USE, None),
)
_OF_READS = "GetVariables"
_ITEMS, _SIZE = ("ItemsPerMessage", _OF_READS), ("BytesPerMessage", _OF_READS)
_BOUNDS = tuple(("DeviceDataCtrlr", *bound) for bound in (_ITEMS, _SIZE))
_Asked = tuple[str, str, str | None]
_CHARGING_STATES = {state.value.lower(): state for state in ChargingState}


class V201:
    """The 2.0.1 dialect."""

    version = OcppVersion.V201
    format_violation = "FormatViolation"
    capability_read = "GetVariables"
    setting_action = "SetVariables"
    asked: Sequence[_Asked] = _ASKED
    """Component, variable and instance of what is asked."""
    composite_step = LIMIT_STEP
    """What a limit in a composite schedule is a multiple of."""

    def boot(self, payload: Payload) -> BootCall:
        """BootNotificationRequest."""
        station = Fields("BootNotification", payload).need_child("chargingStation")
        return BootCall(
            vendor=read_name(station, "vendorName"),
            model=read_name(station, "model"),
            firmware=read_name(station, "firmwareVersion"),
            serial=station.text("serialNumber") or "",
        )

    def boot_status(self, answer: Payload) -> RegistrationStatus:
        """BootNotificationResponse."""
        return read_boot_status(answer)

    def current_time(self, answer: Payload) -> datetime | None:
        """BootNotificationResponse and HeartbeatResponse."""
        return read_current_time(answer)

    def connector_changed(self, payload: Payload) -> ConnectorChanged | None:
        """StatusNotificationRequest."""
        fields = Fields("StatusNotification", payload)
        evse, connector = fields.need_integer("evseId"), fields.need_integer("connectorId")
        status = fields.need_one_of("connectorStatus", ConnectorStatus)
        return ConnectorChanged(evse, connector, status) if evse > 0 else None

    def transaction_event(self, action: str, payload: Payload) -> TransactionEvent | None:
        """TransactionEventRequest."""
        if action != "TransactionEvent":
            return None
        fields = Fields(action, payload)
        info = fields.need_child("transactionInfo")
        evse, id_token = fields.child("evse"), fields.child("idToken")
        return TransactionEvent(
            type=fields.need_one_of("eventType", EventType),
            transaction_id=info.need_text("transactionId"),
            evse=evse.integer("id") if evse else None,
            id_token=id_token.text("idToken") if id_token else None,
            remote_start_id=info.integer("remoteStartId"),
            charging_state=_CHARGING_STATES.get((info.text("chargingState") or "").lower()),
            reservation_id=whole_number(fields.raw("reservationId")),
        )

    def transaction_answered(
        self,
        action: str,  # noqa: ARG002 - in 2.x the station gives the id; the answer adds nothing
        payload: Payload,  # noqa: ARG002
        answer: Payload,  # noqa: ARG002
    ) -> TransactionEvent | None:
        """Nothing: a TransactionEvent says it all by itself."""
        return None

    def meter_report(self, action: str, payload: Payload) -> MeterReport | None:
        """MeterValuesRequest, and the meter values of a TransactionEventRequest unless it is a replay of the past."""
        fields = Fields(action, payload)
        if action == "MeterValues":
            return MeterReport(fields.integer("evseId"), None, _samples(fields))
        if action != "TransactionEvent" or fields.flag("offline"):
            return None
        evse, info = fields.child("evse"), fields.need_child("transactionInfo")
        return MeterReport(evse.integer("id") if evse else None, info.text("transactionId"), _samples(fields))

    def transaction_event_of(self, call: Frame) -> TransactionEvent | None:
        """TransactionEventRequest."""
        if call.action != "TransactionEvent":
            return None
        said = call.payload_as(strict.transaction_event)
        return self.transaction_event(call.action, call.payload) if said is None else said.event

    def meter_head_of(self, call: Frame) -> MeterHead | None:
        """MeterValuesRequest and TransactionEventRequest."""
        said = _said(call)
        return None if said is None else said.head

    def meter_report_of(self, call: Frame) -> MeterReport | None:
        """As above."""
        if (said := _said(call)) is not None:
            try:
                return said.report()
            except REFUSALS:
                pass  # a `suppress` takes half a microsecond
        return None if call.action is None else self.meter_report(call.action, call.payload)

    def charging_needs(self, action: str, payload: Payload) -> NeedsKnown | None:
        """NotifyEVChargingNeedsRequest."""
        if action != "NotifyEVChargingNeeds":
            return None
        fields = Fields(action, payload)
        needs = fields.need_child("chargingNeeds")
        return NeedsKnown(fields.need_integer("evseId"), self._energy_wh(needs), needs.moment("departureTime"))

    def car_schedule(self, action: str, payload: Payload) -> CarSchedule | None:
        """NotifyEVChargingScheduleRequest; its periods count from timeBase, whatever its schedule says of a start."""
        if action != "NotifyEVChargingSchedule":
            return None
        fields = Fields(action, payload)
        start = fields.moment("timeBase") or fields.fail("timeBase", "missing")
        schedule = read_schedule(fields.need_child("chargingSchedule"))
        return CarSchedule(fields.need_integer("evseId"), start, schedule)

    def _energy_wh(self, needs: Fields) -> float | None:
        """The energy that the car asks for, in AC or DC."""
        for name in ("acChargingParameters", "dcChargingParameters"):
            parameters = needs.child(name)
            if parameters and (energy_wh := parameters.number("energyAmount")) is not None:
                return energy_wh
        return None

    def profile_head(self, payload: Payload) -> tuple[int | None, Purpose]:
        """SetChargingProfileRequest."""
        profile = Fields("SetChargingProfile", payload).need_child("chargingProfile")
        return whole_number(profile.raw("id")), profile.need_one_of("chargingProfilePurpose", Purpose)

    def with_profile_id(self, payload: Payload, profile_id: int) -> Payload:
        """SetChargingProfileRequest."""
        return {**payload, "chargingProfile": {**payload["chargingProfile"], "id": profile_id}}

    def start_with_profile_id(self, payload: Payload, profile_id: int) -> Payload:
        """RequestStartTransactionRequest."""
        return {**payload, "chargingProfile": {**payload["chargingProfile"], "id": profile_id}}

    def profile_set(self, payload: Payload) -> ProfileSet:
        """SetChargingProfileRequest."""
        fields = Fields("SetChargingProfile", payload)
        profile = fields.need_child("chargingProfile")
        read = read_profile(profile, profile.need_one_of("chargingProfilePurpose", Purpose))
        return ProfileSet(fields.need_integer("evseId"), read, profile.data)

    def set_again(self, evse: int, original: Mapping[str, Any]) -> Payload:
        """SetChargingProfileRequest."""
        return {"evseId": evse, "chargingProfile": original}

    def clear_criteria(self, payload: Payload) -> Criteria:
        """ClearChargingProfileRequest: an id, or criteria that all must match (K10)."""
        fields = Fields("ClearChargingProfile", payload)
        profile_id = fields.integer("chargingProfileId")
        if profile_id is not None:
            return Criteria(profile_ids=frozenset({profile_id}))
        criteria = fields.child("chargingProfileCriteria")
        if criteria is None:
            return Criteria()
        return Criteria(
            evse=criteria.integer("evseId"),
            purpose=criteria.one_of("chargingProfilePurpose", Purpose),
            stack_level=criteria.integer("stackLevel"),
        )

    def profile_query(self, action: str, payload: Payload) -> ProfileQuery | None:
        """GetChargingProfilesRequest."""
        if action != "GetChargingProfiles":
            return None
        fields = Fields(action, payload)
        wanted = fields.child("chargingProfile") or Fields(action, {})
        criteria = Criteria(
            profile_ids=frozenset(_integers(wanted, "chargingProfileId")) or None,
            evse=_natural(fields, "evseId"),
            purpose=wanted.one_of("chargingProfilePurpose", Purpose),
            stack_level=_natural(wanted, "stackLevel"),
        )
        sources = frozenset(str(source) for source in _members(wanted, "chargingLimitSource")) or None
        return ProfileQuery(fields.need_integer("requestId"), criteria, sources)

    def remote_start(self, action: str, payload: Payload) -> RemoteStart | None:
        """RequestStartTransactionRequest."""
        fields = Fields(action, payload)
        if action != "RequestStartTransaction" or (profile := fields.child("chargingProfile")) is None:
            return None
        return RemoteStart(
            evse=fields.integer("evseId"),
            id_token=fields.need_child("idToken").need_text("idToken"),
            remote_start_id=fields.need_integer("remoteStartId"),
            profile=read_profile(profile, profile.need_one_of("chargingProfilePurpose", Purpose)),
            original=profile.data,
            bare={name: value for name, value in payload.items() if name != "chargingProfile"},
        )

    def foretold(self, action: str, payload: Payload) -> ForetoldSession | None:
        """ReserveNowRequest, perhaps for any EVSE, and RequestStartTransactionRequest."""
        if action not in {"ReserveNow", "RequestStartTransaction"}:
            return None
        fields = Fields(action, payload)
        evse, id_token = fields.integer("evseId") or 0, fields.need_child("idToken").need_text("idToken")
        if action == "RequestStartTransaction":
            return ForetoldSession(evse, id_token, remote_start_id=fields.need_integer("remoteStartId"))
        return ForetoldSession(evse, id_token, fields.need_integer("id"), fields.moment("expiryDateTime"))

    def composite_request(self, payload: Payload) -> CompositeRequest:
        """GetCompositeScheduleRequest."""
        return composite.read_request(payload, "evseId")

    def set_profile(self, evse: int, own: OwnProfile) -> Payload:
        """SetChargingProfileRequest; the schedule's id is the profile's."""
        profile = write_profile(own, "id", [{"id": own.id} | write_schedule(own, own.phase_to_use)])
        if own.transaction_id is not None:
            profile["transactionId"] = own.transaction_id
        return {"evseId": evse, "chargingProfile": profile}

    def stop_request(self, transaction_id: str) -> tuple[str, Payload]:
        """RequestStopTransactionRequest."""
        return "RequestStopTransaction", {"transactionId": transaction_id}

    def clear_purpose(self, criteria: Criteria, purpose: Purpose) -> Payload:
        """ClearChargingProfileRequest."""
        fields = {
            "evseId": criteria.evse,
            "chargingProfilePurpose": purpose.value,
            "stackLevel": criteria.stack_level,
        }
        return {"chargingProfileCriteria": {name: value for name, value in fields.items() if value is not None}}

    def clear_id(self, profile_id: int) -> Payload:
        """ClearChargingProfileRequest."""
        return {"chargingProfileId": profile_id}

    def change_setting(self, name: str, value: str, component: str, evse: int) -> Payload:
        """SetVariablesRequest."""
        where: Payload = {"name": component} | ({"evse": {"id": evse}} if evse else {})
        return {"setVariableData": [{"attributeValue": value, "component": where, "variable": {"name": name}}]}

    def setting_status(self, answer: Payload) -> str | None:
        """SetVariablesResponse."""
        result = next(Fields(self.setting_action, answer).children("setVariableResult"), None)
        return None if result is None else result.text("attributeStatus")

    def bound_questions(self, never_read: Collection[str] = ()) -> list[Payload]:
        """GetVariablesRequest."""
        return [_get_variables([one]) for one in _BOUNDS if one[1] not in never_read]

    def stated_bounds(self, answer: Payload) -> ReadBounds:
        """GetVariablesResponse."""
        values = _accepted(answer)
        return ReadBounds(stated_integer(values.get(_ITEMS)), stated_integer(values.get(_SIZE)))

    def capability_questions(self, never_read: Collection[str] = (), bounds: ReadBounds = NO_BOUNDS) -> list[Payload]:
        """GetVariablesRequest."""
        return in_parts([one for one in self.asked if one[1] not in never_read], _get_variables, bounds)

    def capability_answer(self, answer: Payload) -> StatedCapability:
        """GetVariablesResponse."""
        values = _accepted(answer)
        return StatedCapability(
            units=stated_units(values.get((_UNIT, None))),
            max_stack_level=stated_integer(values.get((_STACK, None))),
            max_periods=stated_integer(values.get((_PERIODS, None))),
            sample_s=stated_integer(values.get((_SAMPLE, None))),
            switches_phases=stated_flag(values.get((_SWITCHES, None))),
            phase_to_use=stated_flag(values.get((_PHASE_TO_USE, None))),
            lacks=self._lacks(values),
        )

    def _lacks(self, values: Mapping[tuple[str | None, str | None], Any]) -> Lacks:  # noqa: ARG002 - nothing is optional here
        """What it says that it does not support."""
        return NOTHING_LACKS

    def ask_for_status(self, evse: int) -> Payload:
        """TriggerMessageRequest; without a connector it would be refused (F06.FR.12)."""
        return {"requestedMessage": "StatusNotification", "evse": {"id": evse, "connectorId": 1}}

    def ask_for_sample(self, evse: int) -> Payload:
        """TriggerMessageRequest; during a transaction its meter values come in a TransactionEvent, not in MeterValues."""
        return {"requestedMessage": "TransactionEvent", "evse": {"id": evse}}

    def composite_answer(self, evse: int, schedule: CompositeSchedule) -> Payload:
        """GetCompositeScheduleResponse."""
        told = {"evseId": evse, "scheduleStart": timestamp(schedule.periods[0].start)}
        return {"status": "Accepted", "schedule": told | composite.write_schedule(schedule, self.composite_step)}

    def composite_told(self, answer: Payload) -> CompositeTold | None:
        """GetCompositeScheduleResponse."""
        return composite.read_answer(answer, "schedule")

    def status_answer(self, status: str, reason: str | None = None) -> Payload:
        """Any response that is a status."""
        return {"status": status} if reason is None else {"status": status, "statusInfo": {"reasonCode": reason}}


def _get_variables(asked: Sequence[_Asked]) -> Payload:
    """GetVariablesRequest."""
    return {
        "getVariableData": [
            {
                "component": {"name": component},
                "variable": {"name": name} | ({"instance": instance} if instance else {}),
            }
            for component, name, instance in asked
        ]
    }


def _accepted(answer: Payload) -> dict[tuple[str | None, str | None], Any]:
    """The values in a GetVariablesResponse by variable and instance."""
    values = {}
    for result in Fields("GetVariables", answer).children("getVariableResult"):
        if result.text("attributeStatus") == "Accepted":
            variable = result.need_child("variable")
            values[variable.text("name"), variable.text("instance")] = result.raw("attributeValue")
    return values


def _said(call: Frame) -> strict.Said | None:
    if call.action == "TransactionEvent":
        return call.payload_as(strict.transaction_event)
    return call.payload_as(strict.meter_values) if call.action == "MeterValues" else None


def _samples(fields: Fields) -> tuple[MeterSample, ...]:
    return tuple(sample for value in fields.children("meterValue") if (sample := _sample(value)))


def _sample(meter_value: Fields) -> MeterSample | None:
    values = [_sampled(value) for value in meter_value.children("sampledValue")]
    return meter_sample(values, meter_value.moment("timestamp"))


def _sampled(value: Fields) -> SampledValue | None:
    """`unitOfMeasure`, or the plain `unit` of stations that grew up with 1.6."""
    measure = value.child("unitOfMeasure") or Fields(value.action, {"unit": value.raw("unit")}, value.path)
    return sampled_value(value, measure.text("unit"), measure.integer("multiplier") or 0)


def _natural(fields: Fields, name: str) -> int | None:
    value = fields.integer(name)
    return fields.fail(name, f"must not be negative, got {value}") if value is not None and value < 0 else value


def _integers(fields: Fields, name: str) -> list[int]:
    return [Fields(fields.action, {name: value}, fields.path).need_integer(name) for value in _members(fields, name)]


def _members(fields: Fields, name: str) -> list[Any]:
    """The members of a list; a single value counts as a list of one."""
    values = fields.raw(name)
    if values is None:
        return []
    return values if isinstance(values, list) else [values]
