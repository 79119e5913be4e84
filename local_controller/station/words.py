"""Which words do we use for a station, whatever its OCPP version?

They are those of OCPP 2.1; a dialect translates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from local_controller.profiles.schedule import Schedule


class OcppVersion(StrEnum):
    """The versions the gateway speaks, by their WebSocket subprotocol names."""

    V16 = "ocpp1.6"
    V201 = "ocpp2.0.1"
    V21 = "ocpp2.1"


class Phase(StrEnum):
    """A phase as the station counts it; the site's topology turns it into a phase of the grid."""

    __hash__ = str.__hash__  # that of Enum is written in Python

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"


class RegistrationStatus(StrEnum):
    """The CSMS's answer to BootNotification."""

    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


class ConnectorStatus(StrEnum):
    """OCPP 2.x ConnectorStatusEnumType; the nine 1.6 states map onto it plus a `ChargingState`."""

    AVAILABLE = "Available"
    OCCUPIED = "Occupied"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


class ChargingState(StrEnum):
    """OCPP 2.x ChargingStateEnumType."""

    CHARGING = "Charging"
    EV_CONNECTED = "EVConnected"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"
    IDLE = "Idle"


class EvseId(msgspec.Struct, frozen=True, order=True, gc=False):
    """One place where one car charges: `station` is the identity in the URL, `evse` counts from 1.

    In 1.6 every connector counts as an EVSE of its own.
    """

    station: str
    evse: int

    def __str__(self) -> str:
        """As people see it: CP-7 for a station with one EVSE is the page's business, here always CP-7/1."""
        return f"{self.station}/{self.evse}"


# --- facts that a StationProxy tells the site --------------------------------------------------------------------


class Connected(msgspec.Struct, frozen=True, gc=False):
    """Both legs are up and agree on a version."""

    version: OcppVersion


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The station's leg is gone; what it draws is unknown from now on."""

    reason: str


@dataclass(frozen=True, slots=True)
class FellSilent:
    """Nothing has come from the station for so long, not even an answer to a ping; its leg stands, and may only be slow."""

    for_s: float


@dataclass(frozen=True, slots=True)
class SpokeAgain:
    """One that fell silent says something over the same leg."""


class Booted(msgspec.Struct, frozen=True, gc=False):
    """BootNotification and the CSMS's answer. Empty strings where the station did not say."""

    vendor: str
    model: str
    firmware: str
    serial: str
    status: RegistrationStatus


@dataclass(frozen=True, slots=True)
class ConnectorChanged:
    """StatusNotification of a connector; `charging_state` only where the version says it (1.6)."""

    evse: int
    connector: int
    status: ConnectorStatus
    charging_state: ChargingState | None = None


@dataclass(frozen=True, slots=True)
class TransactionStarted:
    """A transaction has an id that both sides know (1.6: learnt from the answer of StartTransaction).

    is_found: it was running already when we heard of it, so that an earlier run may have told it a limit.
    ago_s: so long ago it began; a station without a connection tells it later.
    """

    evse: int
    transaction_id: str
    id_token: str | None = None
    is_found: bool = False
    ago_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Authorized:
    """It became known whose transaction it is, after it began: the cable came first."""

    evse: int
    transaction_id: str
    id_token: str


@dataclass(frozen=True, slots=True)
class PriorityGiven:
    """The CSMS gave a running transaction this charging priority, from -9 to 9 (K03); before that it had 0, which is usual."""

    evse: int
    transaction_id: str
    priority: int


@dataclass(frozen=True, slots=True)
class DelayWaived:
    """A driver wants the running transaction to wait for no random delay (2.1 priority charging, K21, K22), or no longer.

    transaction_id: None for whichever runs.
    """

    evse: int
    transaction_id: str | None = None
    is_waived: bool = True


@dataclass(frozen=True, slots=True)
class TransactionUpdated:
    """A transaction changed its charging state."""

    evse: int
    transaction_id: str
    charging_state: ChargingState


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    """A transaction is over; its TxProfiles no longer exist (K02.FR.05, LC-079). ago_s: so long ago it ended."""

    evse: int
    transaction_id: str
    ago_s: float = 0.0


class MeterSample(msgspec.Struct, frozen=True, gc=False):
    """One moment of a station's own meter.

    current_a: amperes per phase as the station counts phases; empty when nothing tells the current. A phase that is
        absent from a non-empty mapping carries 0 A; a car that feeds back makes it negative (LC-149).
    power_w: active power of all phases, drawn less fed back; energy_wh: the import register; voltage_v: line to neutral; soc_percent: 0..100.
    taken_at: the station's time stamp, None when it sent none. told_a: the largest current that it named, of whatever phase
        or of none; None when it named none.
    """

    current_a: Mapping[Phase, float] = msgspec.field(default_factory=dict)
    voltage_v: Mapping[Phase, float] = msgspec.field(default_factory=dict)
    power_w: float | None = None
    energy_wh: float | None = None
    soc_percent: float | None = None
    taken_at: datetime | None = None
    told_a: float | None = None


class Measured(msgspec.Struct, frozen=True, gc=False):
    """A usable sample of an EVSE's meter; samples of evse 0 (the station's main meter) are not told."""

    evse: int
    sample: MeterSample


@dataclass(frozen=True, slots=True)
class NeedsKnown:
    """What the driver or the car wants (NotifyEVChargingNeeds): energy in Wh, departure; None where unknown."""

    evse: int
    energy_wh: float | None
    departure: datetime | None


@dataclass(frozen=True, slots=True)
class CarPlans:
    """What a car of ISO 15118 says it will draw at most (NotifyEVChargingSchedule), A per phase; None where it says nothing."""

    evse: int
    schedule: Schedule


class Foretold(StrEnum):
    """By what it is known that a car will come."""

    RESERVED = "reserved"
    REMOTE_START = "remote start"


@dataclass(frozen=True, slots=True)
class SessionExpected:
    """The station will have one more session soon (LC-078, LC-140); it replaces what was told with the same key.

    evse: 0 is any of the station's. lasts_s: so long it may be waited for. id_token: whose it will be.
    """

    evse: int
    key: str
    by: Foretold
    lasts_s: float
    id_token: str | None = None


@dataclass(frozen=True, slots=True)
class ExpectationOver:
    """The session with this key is waited for no longer: it began, or it will not come. `evse` as it was told."""

    evse: int
    key: str


class UnitLearnt(msgspec.Struct, frozen=True, gc=False):
    """The station takes limits in this unit only ("A" or "W")."""

    unit: str


class PhaseSwitching(msgspec.Struct, frozen=True, gc=False):
    """Whether a station can charge a three-phase car on one phase (numberPhases), as it says or as the site file says of it.

    takes_phase: it takes the phase to use (phaseToUse). one_phase: which one it uses if it is not told, as the site file says.
    """

    is_able: bool = False
    takes_phase: bool = False
    one_phase: Phase | None = None


class BehaviourLearnt(msgspec.Struct, frozen=True, gc=False):
    """What the station is known to do.

    settle_s: so long it takes to obey a new limit. least_a: it can be set to nothing lower, not even to 0; 0 if it can
    pause. forgets: it loses its profiles, floor included, when its connection is lost. lasts_s: so long it obeys a limit
    that nobody renews, if that is longer than ordered; infinite if for ever. every_s: it may be raised so often.
    switching: between one and three phases.
    """

    settle_s: float = 0.0
    least_a: float = 0.0
    forgets: bool = False
    lasts_s: float = 0.0
    every_s: float = 0.0
    switching: PhaseSwitching = PhaseSwitching()


class LimitKind(StrEnum):
    """The two profiles we keep in a station (failsafe layers L1 and L2)."""

    FALLBACK = "fallback"  # persistent TxDefaultProfile
    WORKING = "working"  # short-lived TxProfile of the running transaction


class LimitOutcome(StrEnum):
    """What became of a limit that the site wanted."""

    SENT = "sent"  # on the wire: from now on the station may obey either the old or the new one
    ACCEPTED = "accepted"  # the station says so; only a measurement proves it
    REFUSED = "refused"  # every rung of the ladder was refused: the old limit still holds
    TIMED_OUT = "timed out"  # no answer: either may hold
    POSTPONED = "postponed"  # not sent, because the station may be written to only seldom: what held holds
    DROPPED = "dropped"  # never sent, superseded or not possible now (no transaction, not registered)


class LimitAnswered(msgspec.Struct, frozen=True, gc=False):
    """The fate of the limit that `SetLimit` or `SetFallback` asked for, and what was really sent.

    limit_a: amperes per phase that the station may draw because of it (after CSMS profiles and unit conversion).
    lasts_s: how long it obeys that before it falls back by itself, infinite if it never does; None for as long as ordered.
    again_s: when a postponed one may be tried again. phases: numberPhases of it, None if nothing was said of phases.
    """

    evse: int
    kind: LimitKind
    outcome: LimitOutcome
    limit_a: float
    detail: str = ""
    lasts_s: float | None = None
    again_s: float | None = None
    phases: int | None = None


@dataclass(frozen=True, slots=True)
class ForeignLimit:
    """What an EVSE obeys besides the profiles of the gateway and of the CSMS; all None: nothing that is known of.

    most_a: whatever we allow, no more than this is drawn. fallback_a, limit_a: so much may be drawn instead of our fallback
    or of our working limit (infinite: without a limit); None where it leaves ours in force. Amperes per phase.
    unproven: which of the latter two rest on a word of the station that was never seen to show our limits; a value there that
    is no lower than what the EVSE can draw anyhow may just be how it says "none". what, remedy: for people, as parts of a
    sentence.
    profile_id: of the profile that does it, where it is known.
    """

    evse: int
    most_a: float | None = None
    fallback_a: float | None = None
    limit_a: float | None = None
    unproven: frozenset[LimitKind] = frozenset()
    what: str = ""
    remedy: str = ""
    profile_id: int | None = None

    @property
    def is_none(self) -> bool:
        """Nothing foreign has a say."""
        return self.most_a is None and self.fallback_a is None and self.limit_a is None
