"""What is remembered of one of the two connections between a station and its CSMS? Its CALLs, and who has to answer what."""

from __future__ import annotations

from typing import Final

import msgspec

from local_controller.clock import Instant
from local_controller.rpc.connection import RpcConnection
from local_controller.rpc.recent import Recent
from local_controller.station.block import OwnCall
from local_controller.station.effects import Fate, Peer

CLAIMED_LIMIT: Final = 64
"""Claimed CALLs of one peer that may await our answer; as many as may wait for a slot (LC-031)."""

CLAIMED_S: Final = 120.0
"""After so long nobody waits for our answer any more."""

STRAYS_LIMIT: Final = 16
"""Messages without a slot, unreadable ones and those of unknown types, whose answer we let pass (LC-019, LC-029)."""

ANSWERED_LIMIT: Final = 16
"""CALLs we answered ourselves, whose CALLRESULTERROR is therefore ours."""


class Relayed(msgspec.Struct, frozen=True, eq=False):
    """The origin of a foreign CALL: the leg it came from, whether a block changed it, and whether nobody looks at an empty answer."""

    sender: RelayLeg
    fate: Fate
    is_routine: bool = False


Origin = Relayed | OwnCall


class RelayLeg:
    """The connection to `peer`. calls: those sent to it. claimed: ids of those it sent that a block has to answer, since when.

    answered: ids of those it sent that a block has answered. strays: ids that it may answer although we know of no CALL.
    """

    __slots__ = ("altered", "answered", "calls", "claimed", "other", "passed", "peer", "routine", "strays")

    other: RelayLeg

    def __init__(self, peer: Peer) -> None:
        """Nothing has passed."""
        self.peer = peer
        self.calls: RpcConnection[Origin] = RpcConnection()
        self.claimed: list[tuple[str, float]] = []
        self.answered: Recent[str] = Recent(ANSWERED_LIMIT)
        self.strays: Recent[str] = Recent(STRAYS_LIMIT)
        self.passed, self.altered = Relayed(self, Fate.PASSED), Relayed(self, Fate.ALTERED)
        self.routine = Relayed(self, Fate.PASSED, is_routine=True)

    def is_full(self, now: Instant) -> bool:
        """Whether too many claimed CALLs await our answer, without those that nobody waits for any more."""
        while self.claimed and self.claimed[0][1] + CLAIMED_S <= now.monotonic_s:
            del self.claimed[0]
        return len(self.claimed) >= CLAIMED_LIMIT

    def settles(self, message_id: str) -> bool:
        """Whether a claimed CALL of this peer waited for this; it no longer does."""
        for entry in self.claimed:
            if entry[0] == message_id:
                self.claimed.remove(entry)
                return True
        return False


def relay_legs() -> dict[Peer, RelayLeg]:
    """Both of a station, each with the other."""
    station, csms = RelayLeg(Peer.STATION), RelayLeg(Peer.CSMS)
    station.other, csms.other = csms, station
    return {Peer.STATION: station, Peer.CSMS: csms}
