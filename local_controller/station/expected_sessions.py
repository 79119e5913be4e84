"""Which sessions is a station going to have soon? Those of reservations and remote starts that it has accepted (LC-078, LC-140)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from local_controller.clock import Instant
from local_controller.station.transaction import Transaction

MOST = 32
"""So many are remembered, the latest; far more than a station has EVSEs."""


@dataclass(frozen=True, slots=True)
class ExpectedSession:
    """evse: 0 is any of the station's. reservation_id, remote_start_id: None where it has none. id_token: "" once it is forgotten."""

    key: str
    evse: int
    id_token: str
    until_s: float
    reservation_id: int | None = None
    remote_start_id: int | None = None

    def is_met_by(self, transaction: Transaction, reservation_id: int | None) -> bool:
        """Whether it is this one. Where a place of its own is taken, nobody is waited for there, whoever has taken it."""
        if reservation_id is not None and reservation_id == self.reservation_id:
            return True
        if self.remote_start_id is not None and self.remote_start_id == transaction.remote_start_id:
            return True
        return self.evse == transaction.evse or (not self.evse and self.is_of(transaction.id_token or ""))

    def is_like(self, other: ExpectedSession) -> bool:
        """Whether the same car is meant: a driver reserves a place and is then let in by the CSMS."""
        return self.key == other.key or (self.evse == other.evse and self.is_of(other.id_token))

    def is_of(self, id_token: str) -> bool:
        """Whether it is this driver's."""
        return bool(self.id_token) and self.id_token.lower() == id_token.lower()


@dataclass(slots=True)
class ExpectedSessions:
    """They outlive a connection, as the station's own memory of them does, and end by themselves."""

    _waiting: dict[str, ExpectedSession] = field(default_factory=dict)

    def expect(self, one: ExpectedSession, now: Instant) -> list[ExpectedSession]:
        """The station has accepted it; which ones are waited for no longer because of that."""
        waiting = [other for other in self._waiting.values() if other.until_s > now.monotonic_s]
        replaced = [other for other in waiting if other.is_like(one)]
        others = [other for other in waiting if other not in replaced]
        forgotten, kept = others[: 1 - MOST], others[1 - MOST :]
        self._waiting = {other.key: other for other in (*kept, one)}
        return [other for other in (*replaced, *forgotten) if other.key != one.key]

    @property
    def is_empty(self) -> bool:
        """Nobody is waited for."""
        return not self._waiting

    def awaits(self, id_token: str) -> bool:
        """Whether this driver is waited for."""
        return any(one.is_of(id_token) for one in self._waiting.values())

    def reservation_over(self, reservation_id: int) -> list[ExpectedSession]:
        """It was cancelled, or the station gave it up; none if it is not known."""
        return self._without([one for one in self._waiting.values() if one.reservation_id == reservation_id])

    def met(self, transaction: Transaction, reservation_id: int | None) -> list[ExpectedSession]:
        """Those that are over because this transaction runs."""
        if not self._waiting:
            return []
        return self._without([one for one in self._waiting.values() if one.is_met_by(transaction, reservation_id)])

    def forget(self, id_token: str) -> None:
        """Nothing here names this driver any more (LC-146)."""
        for one in self._waiting.values():
            if one.id_token.lower() == id_token.lower():
                self._waiting[one.key] = replace(one, id_token="")

    def _without(self, over: list[ExpectedSession]) -> list[ExpectedSession]:
        for one in over:
            del self._waiting[one.key]
        return over
