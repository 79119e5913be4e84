"""Which profiles of remote starts still wait for their transaction? (LC-101)"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from local_controller.clock import Instant
from local_controller.profiles.profile import ChargingProfile
from local_controller.rpc.recent import Recent
from local_controller.station.dialects.base import ProfileSet, RemoteStart
from local_controller.station.transaction import Transaction

WAIT_S = 600.0
"""A profile of a remote start waits this long for its transaction; the driver must plug in first."""

MOST = 16
"""So many may wait at once, the latest; far more than a station has EVSEs."""


@dataclass(frozen=True, slots=True)
class _Awaited:
    """A remote start that went on to the station without its profile."""

    message_id: str
    start: RemoteStart
    until_s: float

    def fits(self, transaction: Transaction) -> bool:
        """Whether this transaction was started by it."""
        if self.start.remote_start_id is not None:
            return self.start.remote_start_id == transaction.remote_start_id
        same_token = self.start.id_token.lower() == (transaction.id_token or "").lower()
        return same_token and self.start.evse in {None, transaction.evse}


@dataclass(slots=True)
class RemoteStarts:
    """The profiles on their way to a transaction. They outlive a connection: a station may dial again before the start."""

    _awaited: Recent[_Awaited] = field(default_factory=lambda: Recent(MOST))

    @property
    def is_empty(self) -> bool:
        """Whether no profile waits."""
        return not self._awaited

    def expect(self, message_id: str, start: RemoteStart, now: Instant) -> None:
        """A remote start with a TxProfile goes on to the station."""
        self._awaited.append(_Awaited(message_id, start, now.monotonic_s + WAIT_S))

    def refused(self, message_id: str) -> None:
        """The station refuses this start. Silence is no refusal: the answer, or the transaction, may just be late."""
        for awaited in [one for one in self._awaited if one.message_id == message_id]:
            self._awaited.remove(awaited)

    def superseded(self, message_id: str, id_token: str, evse: int | None) -> None:
        """The station takes this start: no earlier one of the same driver at the same place is waited for."""
        for awaited in [one for one in self._awaited if one.message_id != message_id and one.start.evse == evse]:
            if awaited.start.id_token.lower() == id_token.lower():
                self._awaited.remove(awaited)

    def forget(self, id_token: str) -> None:
        """Nothing waits for this driver any more (LC-146)."""
        for awaited in [one for one in self._awaited if one.start.id_token.lower() == id_token.lower()]:
            self._awaited.remove(awaited)

    def profiles_for(self, evse: int, now: Instant, *, is_free: bool) -> list[ChargingProfile]:
        """Those that the next transaction of this EVSE may have, if it `is_free`; a start that names none may begin here."""
        waiting = (one for one in self._awaited if is_free and one.until_s > now.monotonic_s)
        return [one.start.profile for one in waiting if one.start.evse in {evse, None}]

    @property
    def ends_s(self) -> float | None:
        """When the oldest has waited long enough, in monotonic seconds."""
        return self._awaited[0].until_s if self._awaited else None

    def expire(self, now: Instant) -> None:
        """Whoever has not come by now does not come."""
        while self._awaited and self._awaited[0].until_s <= now.monotonic_s:
            del self._awaited[0]

    def taken_by(self, transaction: Transaction, now: Instant) -> ProfileSet | None:
        """The profile of the remote start that began this transaction, now its own; None if there is none (any more)."""
        self.expire(now)
        fitting = next((awaited for awaited in self._awaited if awaited.fits(transaction)), None)
        if fitting is None:
            return None
        self._awaited.remove(fitting)
        profile = replace(fitting.start.profile, transaction_id=transaction.transaction_id)
        original = {**fitting.start.original, "transactionId": transaction.transaction_id}
        return ProfileSet(transaction.evse, profile, original)
