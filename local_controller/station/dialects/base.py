"""What must be known about a payload, whatever the version? The values and the protocol that every dialect serves.

A dialect reads tolerantly (PayloadError only when a payload is truly unreadable) and writes strictly: what it writes
is valid against the JSON schema of its version.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

import msgspec

from local_controller.profiles.composite import CompositeSchedule
from local_controller.profiles.installed import Criteria
from local_controller.profiles.profile import ChargingProfile, ChargingSchedule, Kind, Purpose
from local_controller.profiles.rules import Rules
from local_controller.profiles.units import RateUnit
from local_controller.rpc.frame import Frame
from local_controller.station.words import (
    ChargingState,
    ConnectorChanged,
    MeterSample,
    NeedsKnown,
    OcppVersion,
    RegistrationStatus,
)

Payload = dict[str, Any]

CSO = "CSO"
"""ChargingLimitSource of what the CSMS installed."""

SOURCES = frozenset({"EMS", "Other", "SO", CSO})
"""ChargingLimitSourceEnumType of 2.0.1; in 2.1 any text is one."""


class BootCall(msgspec.Struct, frozen=True, gc=False):
    """Who a station says it is; "" where it says nothing."""

    vendor: str
    model: str
    firmware: str
    serial: str


class EventType(StrEnum):
    """OCPP 2.x TransactionEventEnumType."""

    STARTED = "Started"
    UPDATED = "Updated"
    ENDED = "Ended"


class TransactionEvent(msgspec.Struct, frozen=True, gc=False):
    """What a message says about a transaction. `evse` and `id_token` are None where the message does not repeat them."""

    type: EventType
    transaction_id: str
    evse: int | None = None
    id_token: str | None = None
    remote_start_id: int | None = None
    charging_state: ChargingState | None = None
    reservation_id: int | None = None


class MeterHead(msgspec.Struct, frozen=True, gc=False):
    """Whose samples a message brings, as far as it names them.

    may_wait: it begins or ends no transaction. event: what it says of the transaction, if anything.
    """

    evse: int | None
    transaction_id: str | None
    may_wait: bool
    event: TransactionEvent | None


class MeterReport(msgspec.Struct, frozen=True, gc=False):
    """The samples of one message in its order; `evse` and `transaction_id` as far as the message names them."""

    evse: int | None
    transaction_id: str | None
    samples: tuple[MeterSample, ...]


@dataclass(frozen=True, slots=True)
class ProfileSet:
    """A SetChargingProfile of the CSMS; `original` is its profile as sent, for reports."""

    evse: int
    profile: ChargingProfile
    original: Mapping[str, Any]

    def received(self, at: datetime) -> ProfileSet:
        """The same, with the watchdog of a Dynamic profile running from its receipt if nothing else is said (K28)."""
        if self.profile.kind is not Kind.DYNAMIC or self.profile.dyn_update_time is not None:
            return self
        return replace(self, profile=replace(self.profile, dyn_update_time=at))


@dataclass(frozen=True, slots=True)
class RemoteStart:
    """A remote start that brings a profile, and the same request without it (`bare`).

    The transaction it starts is recognised by `remote_start_id` (2.x) or by `id_token` and, if given, `evse` (1.6).
    """

    evse: int | None
    id_token: str
    remote_start_id: int | None
    profile: ChargingProfile
    original: Mapping[str, Any]
    bare: Payload


@dataclass(frozen=True, slots=True)
class ForetoldSession:
    """A session that a request of the CSMS lets expect: a reservation until `expires` (the station's clock), or a remote start.

    evse: 0 is any of the station's. reservation_id: None for a remote start, which bears `remote_start_id` in 2.x.
    """

    evse: int
    id_token: str
    reservation_id: int | None = None
    expires: datetime | None = None
    remote_start_id: int | None = None


@dataclass(frozen=True, slots=True)
class CarSchedule:
    """What a car says it will draw from `start` on (the station's clock)."""

    evse: int
    start: datetime
    schedule: ChargingSchedule


@dataclass(frozen=True, slots=True)
class ProfileQuery:
    """A GetChargingProfiles of the CSMS (2.x); `sources` None is any chargingLimitSource."""

    request_id: int
    criteria: Criteria
    sources: frozenset[str] | None = None

    def means(self, source: str, profile_id: object) -> bool:
        """Whether a profile of this source, with this id, is asked for."""
        ids = self.criteria.profile_ids
        return (self.sources is None or source in self.sources) and (ids is None or profile_id in ids)

    def own(self, request_id: int, ids: Sequence[int] | None) -> Payload:
        """The same question under another request id and with these ids.

        Sources that not every version knows are left out: the reports name theirs.
        """
        purpose, sources = self.criteria.purpose, sorted(self.sources or ())
        wanted = {
            "chargingProfileId": None if ids is None else [*ids],
            "chargingProfilePurpose": None if purpose is None else purpose.value,
            "stackLevel": self.criteria.stack_level,
            "chargingLimitSource": sources if sources and SOURCES.issuperset(sources) else None,
        }
        whole = {"requestId": request_id, "evseId": self.criteria.evse, "chargingProfile": _without_nulls(wanted)}
        return {name: value for name, value in whole.items() if value is not None}

    def report(
        self, evse: int, source: str, originals: Sequence[Mapping[str, Any]], *, to_be_continued: bool
    ) -> Payload:
        """One ReportChargingProfiles of the profiles of an EVSE from one source (K09.FR.01)."""
        return {
            "requestId": self.request_id,
            "chargingLimitSource": source,
            "evseId": evse,
            "chargingProfile": [_without_nulls(original) for original in originals],
            "tbc": to_be_continued,
        }


def _without_nulls(value: Any) -> Any:
    """The same without fields that are `null`, which some CSMSs send and none may be sent (Part 4 §4.1)."""
    if isinstance(value, Mapping):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class CompositeRequest:
    """A GetCompositeSchedule; `evse` 0 is the station as a whole, `unit` None leaves it to the station."""

    evse: int
    duration_s: int
    unit: RateUnit | None = None


@dataclass(frozen=True, slots=True)
class CompositeTold:
    """A station's own answer to GetCompositeSchedule, as far as it says.

    duration_s: for how long it holds. periods: (seconds after its begin, limit in `unit`, phases); without a limit none.
    """

    unit: RateUnit
    duration_s: int | None
    periods: tuple[tuple[int, float, int], ...]


class OwnProfile(msgspec.Struct, frozen=True):
    """A profile that the gateway installs. Times are in the station's clock, which follows the CSMS's.

    periods: (seconds after `start`, limit in `unit`), the first at 0. phases: numberPhases of each; None to say none.
    phase_to_use: of those on one phase (2.x phaseToUse). kind: Absolute, or Relative, which has no start.
    transaction_id is set for a TxProfile only. Without `duration_s` and `valid_to` it never ends; with `offline_s` it ends
    after a longer time without a connection, for ever (2.1).
    """

    id: int
    purpose: Purpose
    unit: RateUnit
    start: datetime
    periods: tuple[tuple[int, float], ...]
    duration_s: int | None = None
    valid_to: datetime | None = None
    transaction_id: str | None = None
    kind: Kind = Kind.ABSOLUTE
    stack_level: int = 0
    phases: tuple[int | None, ...] = ()
    offline_s: int | None = None
    phase_to_use: int | None = None


@dataclass(frozen=True, slots=True)
class Lacks:
    """What a 2.1 station says that it does not support: of the optional purposes, and of SupportsFeature."""

    purposes: frozenset[Purpose] = frozenset()
    features: frozenset[str] = frozenset()

    def left_of(self, rules: Rules) -> Rules:
        """The rules of its version, without that."""
        if not self.purposes and "DynamicProfiles" not in self.features:
            return rules
        kinds = rules.kinds - {Kind.DYNAMIC} if "DynamicProfiles" in self.features else rules.kinds
        return replace(rules, purposes=rules.purposes - self.purposes, kinds=kinds)


NOTHING_LACKS = Lacks()


@dataclass(frozen=True, slots=True)
class ReadBounds:
    """How much of its configuration a station tells at a time; None where it names no bound.

    items: keys or variables (GetConfigurationMaxKeys, ItemsPerMessage). size: bytes of the request (BytesPerMessage).
    """

    items: int | None = None
    size: int | None = None

    def and_also(self, said: ReadBounds) -> ReadBounds:
        """The same with what it says in another answer."""
        return ReadBounds(
            self.items if said.items is None else said.items, self.size if said.size is None else said.size
        )


NO_BOUNDS: Final = ReadBounds()
ONE_AT_A_TIME: Final = ReadBounds(items=1)


@dataclass(frozen=True, slots=True)
class StatedCapability:
    """What a station says about itself; None where it does not say.

    Limits of the station's store: `max_stack_level` (0 is usable), `max_periods` per schedule.
    sample_s: how often it sends meter values during a transaction; 0 for never. lacks: what it says it does not support.
    switches_phases: a car may be told to use fewer phases during a transaction; phase_to_use: and on which one.
    """

    units: frozenset[RateUnit] | None = None
    max_stack_level: int | None = None
    max_periods: int | None = None
    sample_s: int | None = None
    lacks: Lacks = NOTHING_LACKS
    switches_phases: bool | None = None
    phase_to_use: bool | None = None

    def and_also(self, said: StatedCapability) -> StatedCapability:
        """The same with what it says in another answer."""
        return StatedCapability(
            units=self.units if said.units is None else said.units,
            max_stack_level=self.max_stack_level if said.max_stack_level is None else said.max_stack_level,
            max_periods=self.max_periods if said.max_periods is None else said.max_periods,
            sample_s=self.sample_s if said.sample_s is None else said.sample_s,
            switches_phases=self.switches_phases if said.switches_phases is None else said.switches_phases,
            phase_to_use=self.phase_to_use if said.phase_to_use is None else said.phase_to_use,
            lacks=Lacks(self.lacks.purposes | said.lacks.purposes, self.lacks.features | said.lacks.features),
        )


NOTHING_SAID: Final = StatedCapability()


class Dialect(Protocol):
    """One OCPP version's payloads in our words. Reading methods raise PayloadError."""

    version: OcppVersion
    format_violation: str
    """The version's code for a payload that cannot be read (LC-028)."""

    # --- the station's messages and the CSMS's answers

    def boot(self, payload: Payload) -> BootCall:
        """BootNotification."""

    def boot_status(self, answer: Payload) -> RegistrationStatus:
        """The verdict in the answer to BootNotification."""

    def current_time(self, answer: Payload) -> datetime | None:
        """The CSMS's clock in the answer to BootNotification or Heartbeat."""

    def connector_changed(self, payload: Payload) -> ConnectorChanged | None:
        """StatusNotification; None for the station as a whole (connector 0)."""

    def transaction_event(self, action: str, payload: Payload) -> TransactionEvent | None:
        """What a CALL of the station says about a transaction by itself."""

    def transaction_answered(self, action: str, payload: Payload, answer: Payload) -> TransactionEvent | None:
        """What a CALL of the station says together with its answer (1.6: the CSMS gives the id)."""

    def meter_report(self, action: str, payload: Payload) -> MeterReport | None:
        """The samples in a CALL of the station."""

    def transaction_event_of(self, call: Frame) -> TransactionEvent | None:
        """The same as `transaction_event`, but quick where the message is in the standard's very form."""

    def meter_head_of(self, call: Frame) -> MeterHead | None:
        """What is known of a `meter_report_of` before its samples are read; None where that takes reading them."""

    def meter_report_of(self, call: Frame) -> MeterReport | None:
        """The same as `meter_report`, but quick where the message is in the standard's very form."""

    def charging_needs(self, action: str, payload: Payload) -> NeedsKnown | None:
        """NotifyEVChargingNeeds; the departure is in the station's clock."""

    def car_schedule(self, action: str, payload: Payload) -> CarSchedule | None:
        """NotifyEVChargingSchedule."""

    # --- the CSMS's messages

    def profile_head(self, payload: Payload) -> tuple[int | None, Purpose]:
        """Id and purpose in a SetChargingProfile, which may be readable where the rest is not; None for a missing id."""

    def with_profile_id(self, payload: Payload, profile_id: int) -> Payload:
        """A SetChargingProfile with another id."""

    def start_with_profile_id(self, payload: Payload, profile_id: int) -> Payload:
        """A remote start that brings a profile, with another id of it."""

    def profile_set(self, payload: Payload) -> ProfileSet:
        """SetChargingProfile."""

    def set_again(self, evse: int, original: Mapping[str, Any]) -> Payload:
        """The SetChargingProfile that brings a profile as it was sent: the inverse of `profile_set`."""

    def clear_criteria(self, payload: Payload) -> Criteria:
        """ClearChargingProfile."""

    def profile_query(self, action: str, payload: Payload) -> ProfileQuery | None:
        """GetChargingProfiles (2.x)."""

    def remote_start(self, action: str, payload: Payload) -> RemoteStart | None:
        """A remote start that brings a profile; None for anything else."""

    def foretold(self, action: str, payload: Payload) -> ForetoldSession | None:
        """ReserveNow, and a remote start with or without a profile."""

    def composite_request(self, payload: Payload) -> CompositeRequest:
        """GetCompositeSchedule."""

    # --- what the gateway writes

    def set_profile(self, evse: int, own: OwnProfile) -> Payload:
        """SetChargingProfile."""

    def clear_purpose(self, criteria: Criteria, purpose: Purpose) -> Payload:
        """ClearChargingProfile with these criteria for this one purpose."""

    def clear_id(self, profile_id: int) -> Payload:
        """ClearChargingProfile of this profile alone."""

    def stop_request(self, transaction_id: str) -> tuple[str, Payload]:
        """Action and payload that ask a station to end a transaction."""

    setting_action: str
    """The action that changes a setting."""

    def change_setting(self, name: str, value: str, component: str, evse: int) -> Payload:
        """That action for this setting; `component` and `evse` (0: the station's) where the version has them."""

    def setting_status(self, answer: Payload) -> str | None:
        """Whether it was Accepted; None for an answer without a status. What needs a reboot first is not in force."""

    capability_read: str
    """The action that asks for ReadBounds and for a StatedCapability."""

    def bound_questions(self, never_read: Collection[str] = ()) -> list[Payload]:
        """Payloads of that action but for these names: each asks for one bound, which is less than any bound."""

    def stated_bounds(self, answer: Payload) -> ReadBounds:
        """The answer to such a question."""

    def capability_questions(self, never_read: Collection[str] = (), bounds: ReadBounds = NO_BOUNDS) -> list[Payload]:
        """Payloads of that action but for these names, as few as the bounds allow; none if there is nothing to ask for."""

    def capability_answer(self, answer: Payload) -> StatedCapability:
        """The answer to such a question; what is missing or odd in it is "not said"."""

    def ask_for_status(self, evse: int) -> Payload:
        """TriggerMessage: the state of the (first) connector of this EVSE."""

    def ask_for_sample(self, evse: int) -> Payload:
        """TriggerMessage: what the meter of this EVSE shows during its transaction."""

    def composite_answer(self, evse: int, schedule: CompositeSchedule) -> Payload:
        """The answer to GetCompositeSchedule; rounded down, as the version wants it (LC-086). Not for an empty one."""

    def composite_told(self, answer: Payload) -> CompositeTold | None:
        """A station's answer to GetCompositeSchedule; None if it was not accepted. One without a schedule says nothing."""

    def status_answer(self, status: str, reason: str | None = None) -> Payload:
        """An answer that is a status, with a reason code where the version has one."""
