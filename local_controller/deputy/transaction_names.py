"""By which id does the CSMS know a transaction that began without it? (1.6: the CSMS gives ids, so ours is provisional, LC-069)

The station never hears of the CSMS's id, and the CSMS never of the provisional one: what passes is rewritten on the CSMS's side
of the relay, all else in it keeps its spelling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from local_controller.errors import PayloadError
from local_controller.rpc import frame as rpc
from local_controller.rpc.frame import Frame

FIRST: Final = 1_900_000_000
"""Provisional ids begin here: above what CSMSs count up to, below what 32 bits hold."""

RANGE: Final = 200_000_000

UNKNOWN: Final = -1
"""The transaction whose start the CSMS will never know (1.6 errata 3.18)."""

_OF_STATION: Final = frozenset({"MeterValues", "StopTransaction"})
_OF_CSMS: Final = frozenset({"RemoteStopTransaction", "SetChargingProfile"})


def provisional_id(number: int) -> int:
    """That of the start with this number in the journal, which gives no number twice."""
    return FIRST + number % RANGE


class Pairs(NamedTuple):
    """The CSMS's ids by provisional ones, of earlier connections; ended: those of transactions whose end the CSMS has heard."""

    real: Mapping[int, int] = MappingProxyType({})
    ended: frozenset[int] = frozenset()


class TransactionNames:
    """The pairs of ids of one station."""

    def __init__(self, pairs: Pairs) -> None:
        self._real: dict[int, int] = dict(pairs.real)
        self._ended = pairs.ended

    @property
    def has_ended_ones(self) -> bool:
        """Whether some are there only for a station that says once more what it was not answered, or tells last values behind the end."""
        return bool(self._ended)

    def forget_ended(self) -> None:
        """It would have said it by now."""
        for provisional in self._ended:
            self._real.pop(provisional, None)
        self._ended = frozenset()

    def __len__(self) -> int:
        return len(self._real)

    def learn(self, provisional: int, real: int) -> None:
        """The CSMS has given its id."""
        self._real[provisional] = real

    def ended(self, provisional: int) -> None:
        """The transaction is over for the CSMS as well."""
        self._ended |= {provisional}

    def known(self, provisional: int | None) -> bool:
        """Whether this is a provisional id that has its pair."""
        return provisional in self._real

    def to_csms(self, call: Frame) -> Frame:
        """A CALL of the station in the CSMS's words."""
        return _renamed(call, self._real.get) if call.action in _OF_STATION else call

    def to_station(self, call: Frame) -> Frame:
        """A CALL of the CSMS in the station's words."""
        if call.action not in _OF_CSMS:
            return call
        running = self._real.keys() - self._ended
        provisional = {self._real[ours]: ours for ours in running if self._real[ours] != UNKNOWN}
        return _renamed(call, provisional.get)


def transaction_of(call: Frame) -> int | None:
    """The transaction id that a CALL of 1.6 bears."""
    try:
        found = call.payload.get("transactionId")
    except PayloadError:
        return None
    return found if isinstance(found, int) else None


def _renamed(call: Frame, name: Callable[[int], int | None]) -> Frame:
    """The same with the other id at its place; as it is if it bears none, or one without a pair."""
    try:
        payload = call.payload
    except PayloadError:
        return call
    inner = payload.get("csChargingProfiles")
    if call.action != "SetChargingProfile":
        changed = _with(payload, name)
    elif isinstance(inner, dict):
        profile = _with(inner, name)
        changed = None if profile is None else {**payload, "csChargingProfiles": profile}
    else:
        changed = None
    return call if changed is None else rpc.altered(call, changed)


def _with(payload: Mapping[str, Any], name: Callable[[int], int | None]) -> dict[str, Any] | None:
    found = payload.get("transactionId")
    other = name(found) if isinstance(found, int) else None
    return None if other is None else {**payload, "transactionId": other}
