"""What do we know about one charging station? The facts that its blocks share.

It outlives a connection: a station keeps its profiles and its transactions over a reconnect, so we must too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from local_controller.clock import Instant
from local_controller.rpc.frame import Frame
from local_controller.rpc.recent import Recent
from local_controller.station.blocks.carried_over import CarriedOver
from local_controller.station.blocks.remote_starts import RemoteStarts
from local_controller.station.blocks.virtual_store import EMPTY_STORE, VirtualStore
from local_controller.station.blocks.write_budget import WriteBudget
from local_controller.station.capability import NOTHING_KNOWN, Capability
from local_controller.station.charging_priorities import ChargingPriorities
from local_controller.station.dialects.base import NOTHING_SAID, BootCall, StatedCapability
from local_controller.station.empty import EMPTY
from local_controller.station.expected_sessions import ExpectedSessions
from local_controller.station.shared_maximum import SharedMaximum
from local_controller.station.shown_values import ShownValues
from local_controller.station.stand_ins import StandIns
from local_controller.station.station_clock import SET_S, StationClock
from local_controller.station.transaction import EarlierTransaction, Transaction
from local_controller.station.truth import StationTruth
from local_controller.station.wiring import USUAL, Wiring
from local_controller.station.words import OcppVersion, RegistrationStatus

OWN_REQUEST_IDS = range(2_147_480_000, 2_147_483_000)
"""Request ids of our own questions; what the station reports under one of them is for us (LC-127)."""


class SaidState(NamedTuple):
    """How a station put the state of a connector, and when we heard it. connector: its EVSE (1.6: 0) and its number there."""

    connector: tuple[int, int]
    call: Frame
    at: datetime


_ENDED_KEPT = 32  # some stations send their closing meter values after the end, and they must not revive it


@dataclass(slots=True)
class StationState:
    """One station. `transactions` is keyed by evse; `ended` are the latest ended ones.

    awaited: those of an earlier run of the gateway of which nothing was heard yet, by evse; their TxProfiles are in the store.
    revision: counts whatever happens to the transactions, so that who follows them sees whether there is anything new.
    phases_learnt_s: when, between two messages, a sample showed other phases in use (monotonic); None: nothing to look at.
    registration: the CSMS's latest verdict on the station, whatever the connection; None if we have seen none. is_verdict_old:
    it is one of an earlier run of the gateway.
    is_booting: it sent a BootNotification that is not answered yet.
    answered: a CALL of the station was answered normally since it connected or booted; without a verdict one that shows
    that it is accepted.
    installing_until_s: while it downloads or installs firmware, when that will have taken too long (monotonic seconds).
    installs: it installs just now, and is left alone altogether (LC-141).
    untold: EVSEs whose connectors have not told their state on this connection.
    asked_s: when the station was last asked to send a message again, in monotonic seconds, by message and EVSE.
    lost: when its connection was lost; None while it has one, and before the first. For the station that is being offline.
    csms_lost: since when its CSMS is away while it is served here; None while it is there. That is being offline, too, which the
    station does not notice.
    csms_ahead_s: CSMS clock minus ours; the station follows the CSMS's clock (1.6 §4.2, B01.FR.06).
    ours_ahead_s: our wall clock minus the monotonic one; None before the first look. set_s: by how much ours was set.
    time_zone: what the station calls local time.
    who: as it said in its last boot. writes: how often it was written to lately.
    expected: sessions that it has agreed to have soon. priorities: whom the CSMS wants to charge first.
    carried_over: by EVSE, what the site wants, and what was written for its transaction; a station keeps its profiles over a reconnect.
    shown: settings that the CSMS sees with its own value. slots_here: network profiles that are known to lead here.
    noticed_a: by EVSE, to which limit the CSMS was told that the site holds it (A per phase).
    places: how many profiles the station says it takes; None if it did not say. said: what else it says of itself.
    is_unread: it is about to be asked for that and has never said anything of it. read_at_s: somebody waits for it since
    then (monotonic), so that it is asked at once. samples_wanted: EVSEs of which somebody wants to know at once what they draw.
    stand_ins: ids under which the station knows profiles of the CSMS. requests: how many request ids we have used.
    outdated: profiles that it holds and has yet to clear, by the id that the CSMS gave them.
    truth: what was written into it and what it says that it holds, each with its age.
    shared_maximum: what samples say of a maximum that its EVSEs may share.
    wiring: at which voltage and between what its phases stand. maxima_a: by EVSE, what its hardware lets a phase carry.
    boot_interval_s: how often the CSMS wants to hear of it. connector_states: the latest of each. answered_here: ids of CALLs that
    were answered for the CSMS lately, by somebody who only guesses. All three only where somebody may have to.
    """

    identity: str
    version: OcppVersion
    registration: RegistrationStatus | None = None
    is_verdict_old: bool = False
    is_booting: bool = False
    answered: bool = False
    installing_until_s: float | None = None
    installs: bool = False
    untold: frozenset[int] = EMPTY
    asked_s: dict[tuple[str, int], float] = field(default_factory=dict)
    lost: Instant | None = None
    csms_lost: Instant | None = None
    csms_ahead_s: float = 0.0
    ours_ahead_s: float | None = None
    set_s: float = 0.0
    time_zone: tzinfo = UTC
    transactions: dict[int, Transaction] = field(default_factory=dict)
    awaited: dict[int, EarlierTransaction] = field(default_factory=dict)
    revision: int = 0
    phases_learnt_s: float | None = None
    ended: Recent[str] = field(default_factory=lambda: Recent(_ENDED_KEPT))
    store: VirtualStore = EMPTY_STORE
    expected: ExpectedSessions = field(default_factory=ExpectedSessions)
    priorities: ChargingPriorities = field(default_factory=ChargingPriorities)
    remote_starts: RemoteStarts = field(default_factory=RemoteStarts)
    carried_over: dict[int, CarriedOver] = field(default_factory=dict)
    capability: Capability = NOTHING_KNOWN
    who: BootCall | None = None
    writes: WriteBudget = field(default_factory=WriteBudget)
    clock: StationClock = field(default_factory=StationClock)
    shown: ShownValues = field(default_factory=ShownValues)
    slots_here: frozenset[int] = EMPTY
    stand_ins: StandIns = field(default_factory=StandIns)
    requests: int = 0
    outdated: frozenset[int] = EMPTY
    noticed_a: dict[int, float] = field(default_factory=dict)
    places: int | None = None
    truth: StationTruth = field(default_factory=StationTruth)
    said: StatedCapability = NOTHING_SAID
    shared_maximum: SharedMaximum = field(default_factory=SharedMaximum)
    wiring: Wiring = USUAL
    maxima_a: Mapping[int, float] = field(default_factory=dict)
    boot_interval_s: int | None = None
    connector_states: tuple[SaidState, ...] = ()
    answered_here: tuple[str, ...] = ()
    is_unread: bool = False
    read_at_s: float | None = None
    samples_wanted: tuple[int, ...] = ()
    _latest: tuple[Instant, float, datetime] | None = field(default=None, init=False, repr=False, compare=False)

    def next_request_id(self) -> int:
        """A request id of ours that was not used for long."""
        self.requests = (self.requests + 1) % len(OWN_REQUEST_IDS)
        return OWN_REQUEST_IDS[self.requests]

    @property
    def may_call(self) -> bool:
        """Whether we may send any CALL to the station (LC-039).

        After a BootNotification only once it was accepted; after a pure reconnect once a CALL of the station was
        answered normally, unless the latest verdict says otherwise, be it of an earlier run. Without any, that answer is
        the proof: no CSMS gives it before it has accepted the station (FR.04, decision 0009).
        Not while it installs firmware, which even a limit must not disturb: it runs out by itself.
        """
        return self.answered and not self.installs and self.registration in {None, RegistrationStatus.ACCEPTED}

    @property
    def may_read(self) -> bool:
        """Whether we may read configuration: also from a station that the CSMS keeps waiting (1.6 §4.2, B02.FR.01)."""
        return self.answered and self.registration is not RegistrationStatus.REJECTED

    @property
    def is_installing(self) -> bool:
        """Whether it downloads or installs firmware: nothing that can wait should disturb it (LC-141)."""
        return self.installing_until_s is not None

    def look_at_our_clock(self, now: Instant) -> None:
        """If our clock was set, those of CSMS and station were not: all that is told in ours moves with it (goal G21)."""
        before_s, self.ours_ahead_s = self.ours_ahead_s, now.utc.timestamp() - now.monotonic_s
        by_s = 0.0 if before_s is None else self.ours_ahead_s - before_s
        if abs(by_s) <= SET_S or not self.clock.is_compared:
            return
        self.csms_ahead_s, self.set_s = self.csms_ahead_s - by_s, self.set_s + by_s
        by = timedelta(seconds=by_s)
        for transaction in self.transactions.values():
            transaction.started = Instant(transaction.started.monotonic_s, transaction.started.utc + by)
        for carried in self.carried_over.values():
            if carried.wish is not None:
                carried.wish = replace(carried.wish, until=carried.wish.until + by)

    def station_time(self, now: Instant) -> datetime:
        """The station's clock, which is the CSMS's (LC-044); a new limit asks for the same moment a dozen times."""
        latest = self._latest
        if latest is None or latest[0] is not now or latest[1] != self.csms_ahead_s:
            latest = self._latest = now, self.csms_ahead_s, self.to_station_time(now.utc)
        return latest[2]

    def to_station_time(self, moment: datetime) -> datetime:
        """A moment of our clock on the station's."""
        return moment + timedelta(seconds=self.csms_ahead_s) if self.csms_ahead_s else moment

    def to_our_time(self, moment: datetime) -> datetime:
        """A moment of the station's clock on ours."""
        return moment - timedelta(seconds=self.csms_ahead_s)

    def transaction(self, transaction_id: str | None) -> Transaction | None:
        """The running transaction with this id."""
        for transaction in self.transactions.values():
            if transaction.transaction_id == transaction_id:
                return transaction
        return None

    def running(self, evse: int | None, transaction_id: str | None) -> Transaction | None:
        """That of which a message tells; only the first message of a transaction must name its EVSE (E01)."""
        return self.transaction(transaction_id) if evse is None else self.transactions.get(evse)

    def goes_on(self, evse: int) -> bool:
        """Whether what runs there now ran in an earlier run of the gateway; told once, as then nothing is awaited there any more."""
        awaited, running = self.awaited.pop(evse, None), self.transactions.get(evse)
        return awaited is not None and running is not None and running.transaction_id == awaited.transaction_id

    def ended_unseen(self, transaction_id: str) -> None:
        """One of an earlier run is over, and its TxProfiles with it (LC-079)."""
        for evse in [evse for evse, one in self.awaited.items() if one.transaction_id == transaction_id]:
            del self.awaited[evse]
            self.store = self.store.after_transaction(evse)

    def forget_driver(self, id_token: str) -> None:
        """Nothing here names this driver any more (LC-146)."""
        self.remote_starts.forget(id_token)
        self.expected.forget(id_token)
        self.priorities.forget(id_token)
        for transaction in self.transactions.values():
            if (transaction.id_token or "").lower() == id_token.lower():
                transaction.id_token = None
