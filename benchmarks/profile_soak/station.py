"""How does a conforming station live? Its transactions, boots and connections; what it answers is in the two dialects.

It acts at once and never by itself: whoever drives it says what happens. What it wants to say stands in `outbox`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from typing import Any, NamedTuple

from benchmarks.profile_soak.evaluator import Json, Limit, Situation, allowed, composite, cuts, decisive
from benchmarks.profile_soak.store import Facts, Store

START_WITHIN_S = 120.0
"""How long a remote start waits for its car (ConnectionTimeOut, EVConnectionTimeOut)."""

UNNAMED = "?"
"""The id of a transaction of 1.6 until the CSMS has given it one."""


SOC_KNOWN_S = 1.0
"""So long after a new state of charge a station may still act by the old one; the standard does not say how soon it must."""

_EPSILON_S = 1e-6


class Fault(Exception):  # noqa: N818 - OCPP calls it CALLERROR
    """The station answers with a CALLERROR of this code."""


class Ask(NamedTuple):
    """A CALL that the station wants to make."""

    action: str
    payload: Json


@dataclass(slots=True)
class Transaction:
    """A running transaction of an EVSE. socs: when the car told which state of charge, in percent."""

    id: str
    started_s: float
    token: str
    seq_no: int = 0
    has_priority: bool = False
    socs: list[tuple[float, float]] = field(default_factory=list)

    def socs_at(self, t: float) -> tuple[float, ...]:
        """The states of charge that may count at `t`, the newest last: each that came just now, and the one before them.

        None: that it may be unknown still.
        """
        before = [soc for at_s, soc in self.socs if at_s <= t - SOC_KNOWN_S]
        if not before:
            return ()
        return (*before[-1:], *(soc for _, soc in self.socs[len(before) :]))


@dataclass(frozen=True, slots=True)
class RemoteStart:
    """A remote start that waits for its car."""

    evse: int
    token: str
    number: int | None
    profile: Mapping[str, Any] | None
    until_s: float


class Station(ABC):
    """A station with EVSEs from 1; clock: its time in seconds since 1970."""

    def __init__(self, facts: Facts, clock: Callable[[], float], zone: tzinfo = UTC) -> None:
        self.facts = facts
        self.clock = clock
        self.zone = zone
        self.store = Store(facts)
        self.transactions: dict[int, Transaction] = {}
        self.remote: RemoteStart | None = None
        self.outbox: list[Ask] = []
        self.lost_s: float | None = None
        self.amps: dict[int, tuple[float, ...]] = {}
        self.updates_pulled = 0
        self._pulls_s: dict[int, float] = {}
        self.reasons: list[str] = []
        """What spoke against the latest profile: any of it would be a right answer."""

    @property
    def is_online(self) -> bool:
        """Whether it has its CSMS."""
        return self.lost_s is None

    def copied(self) -> Station:
        """One that may live on otherwise."""
        other = copy(self)
        store = self.store
        own = {"profiles": [*store.profiles], "transactions": dict(store.transactions), "needs": set(store.needs)}
        other.store = replace(store, **own)
        other.transactions = {evse: replace(one, socs=[*one.socs]) for evse, one in self.transactions.items()}
        other.outbox = []
        return other

    def lose(self) -> None:
        """The line is cut."""
        if self.lost_s is None:
            self.lost_s = self.clock()
            self._pulls_s.clear()

    def find(self) -> None:
        """The line is there again; some profiles do not outlive its absence (K01.FR.103)."""
        if self.lost_s is not None:
            self.store.was_offline(self.clock() - self.lost_s)
        self.lost_s = None

    def charged_to(self, evse: int, soc: float) -> None:
        """The car tells its state of charge."""
        if (transaction := self.transactions.get(evse)) is not None:
            transaction.socs.append((self.clock(), soc))

    # --- pulls (2.1 K28) -----------------------------------------------------------------------------------------

    def follow_pulls(self) -> None:
        """Each profile that is to be pulled for has its next time; the first is one interval after profile and line are there."""
        each_s = {
            one.id: one.pulled_each_s for one in self.store.profiles if one.kind == "Dynamic" and one.pulled_each_s
        }
        now_s = self.clock()
        self._pulls_s = {number: self._pulls_s.get(number, now_s + s) for number, s in each_s.items() if self.is_online}

    @property
    def pull_due_s(self) -> float | None:
        """When the next one is due, in seconds since 1970."""
        return min(self._pulls_s.values(), default=None)

    def pull(self) -> None:
        """Asks for what is due."""
        for number in [number for number, due_s in self._pulls_s.items() if due_s <= self.clock() + _EPSILON_S]:
            del self._pulls_s[number]
            self.outbox.append(Ask("PullDynamicScheduleUpdate", {"chargingProfileId": number}))
        self.follow_pulls()

    # --- what it is told -----------------------------------------------------------------------------------------

    def handle(self, action: str, payload: Json) -> Json:
        """The answer to a CALL; raises Fault."""
        answer: Callable[[Json], Json] | None = getattr(self, f"on_{action}", None)
        if answer is None:
            raise Fault("NotImplemented")
        return answer(payload)

    def try_to_handle(self, action: str, payload: Json) -> None:
        """The same without an answer."""
        with suppress(Fault):
            self.handle(action, payload)

    @abstractmethod
    def answered(self, ask: Ask, answer: Json) -> None:
        """The CSMS has answered a CALL of ours."""

    @abstractmethod
    def say_start(self, evse: int, transaction: Transaction, number: int | None) -> None:
        """Tells the CSMS of a transaction."""

    @abstractmethod
    def say_end(self, evse: int, transaction: Transaction) -> None:
        """Tells the CSMS of its end."""

    @abstractmethod
    def say_amps(self, evse: int) -> None:
        """Tells the CSMS what the meter shows."""

    @abstractmethod
    def boot_message(self) -> Ask:
        """BootNotification."""

    # --- what happens to it --------------------------------------------------------------------------------------

    def start(self, evse: int, transaction_id: str, token: str, *, by_remote: bool) -> None:
        """A car charges from now on."""
        if evse in self.transactions or not 1 <= evse <= self.facts.evses:
            return
        remote = self._awaited() if by_remote else None
        if by_remote and (remote is None or remote.evse != evse):
            return
        named = UNNAMED if self.facts.is_v16 else transaction_id
        transaction = Transaction(named, self.clock(), token if remote is None else remote.token)
        self.transactions[evse] = transaction
        self.store.transactions[evse] = named
        if remote is not None:
            self.remote = None
            if remote.profile is not None:
                profile = dict(remote.profile) | ({} if self.facts.is_v16 else {"transactionId": named})
                self.store.install(evse, profile, self.clock())
        self.say_start(evse, transaction, None if remote is None else remote.number)

    def end(self, evse: int) -> None:
        """The car is gone, and with its transaction the profiles of it."""
        transaction = self.transactions.pop(evse, None)
        if transaction is not None:
            self.store.ended(evse)
            self.say_end(evse, transaction)

    def boot(self, *, keeps: bool) -> None:
        """It starts anew; the transactions go on or have ended. The profiles are there (1.6 errata 3.37; 2.1 K01.FR.27)."""
        if not keeps:
            for evse in list(self.transactions):
                self.end(evse)
        self.remote = None
        self.outbox.insert(0, self.boot_message())

    def _awaited(self) -> RemoteStart | None:
        if self.remote is not None and self.clock() >= self.remote.until_s:
            self.remote = None
        return self.remote

    def accept_remote_start(
        self, evse: int | None, token: str, number: int | None, profile: Mapping[str, Any] | None
    ) -> bool:
        """A remote start of an EVSE that is free; without one of the first free one."""
        free = [one for one in range(1, self.facts.evses + 1) if one not in self.transactions]
        chosen = evse if evse is not None else next(iter(free), None)
        if chosen not in free or chosen is None or self._awaited() is not None:
            return False
        self.remote = RemoteStart(chosen, token, number, profile, self.clock() + START_WITHIN_S)
        return True

    # --- what it allows ------------------------------------------------------------------------------------------

    def situations(
        self, asked_s: float | None = None, t: float | None = None, *, newest: bool = False
    ) -> list[Situation]:
        """Each EVSE as it is now, or will be at `t`; with the `newest` state of charge, or all that may count."""
        t = self.clock() if t is None else t
        return [self._situation(evse, asked_s, t, newest=newest) for evse in range(1, self.facts.evses + 1)]

    def _situation(self, evse: int, asked_s: float | None, t: float, *, newest: bool = False) -> Situation:
        one = self.transactions.get(evse)
        if one is None:
            return Situation(evse, asked_s=asked_s, zone=self.zone, offline_since_s=self.lost_s)
        of_it = (one.id, one.started_s, asked_s, one.has_priority)
        socs = tuple(soc for _, soc in one.socs[-1:]) if newest else one.socs_at(t)
        return Situation(evse, *of_it, self.zone, socs, self.lost_s)

    def allowed(self, evse: int, t: float) -> Limit:
        """Amperes per phase and phases that the EVSE may use at `t`, were it charging."""
        return allowed(self.store.profiles, self._situation(evse, None, t), "A", t)

    def decisive(self, evse: int) -> list[str]:
        """Which of the rarer fields of 2.1 decide that now."""
        return decisive(self.store.profiles, self.situations()[evse - 1], "A", self.clock())

    def changes(self, start_s: float, end_s: float) -> list[float]:
        """When that may change."""
        return cuts(self.store.profiles, self.situations(), start_s, end_s)

    def composite(self, evse: int, unit: str, start_s: float, duration_s: float) -> list[tuple[float, float, int]]:
        """(seconds from the start, limit, phases)."""
        return composite(self.store.profiles, self.situations(start_s), evse, unit, start_s, duration_s)

    def least(self, evse: int, unit: str, within_s: float) -> float:
        """The lowest limit that may be acted by from now until then."""
        situations = self.situations(self.clock(), newest=True)
        steps = composite(self.store.profiles, situations, evse, unit, self.clock(), within_s)
        return min(limit for _, limit, _ in steps)

    def composite_periods(self, evse: int, unit: str, duration_s: int) -> list[Json]:
        """As an answer tells it: whole seconds and one decimal, never above what holds."""
        periods: list[Json] = []
        for start_s, limit, phases in self.composite(evse, unit, self.clock(), duration_s):
            low = math.floor(limit * 10 + 1e-6) / 10
            start = math.floor(start_s) if periods and low < periods[-1]["limit"] else math.ceil(start_s)
            while periods and periods[-1]["startPeriod"] >= start:
                before = periods.pop()
                low = min(low, before["limit"]) if before["startPeriod"] == start else low
            if start < duration_s:
                periods.append({"startPeriod": start, "limit": low, "numberPhases": phases})
        return periods


def stamp(t: float) -> str:
    """An instant on the wire."""
    return datetime.fromtimestamp(t, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
