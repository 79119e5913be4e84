"""Which state are the connectors in? (functional block G)"""

from __future__ import annotations

from local_controller.clock import Instant
from local_controller.rpc.frame import Frame
from local_controller.station.block import UNCHANGED, Block, Wanted
from local_controller.station.blocks.metering import Metering
from local_controller.station.dialects.base import Dialect
from local_controller.station.effects import Peer, Tell
from local_controller.station.state import StationState


class Availability(Block):
    """Reads StatusNotification."""

    called_only = frozenset({"StatusNotification"})

    def __init__(self, state: StationState, dialect: Dialect, metering: Metering) -> None:
        """A connector's state is told, not kept: the site knows what to make of it; `state` notes that it was.

        What was measured before a change is told before it.
        """
        self._state = state
        self._dialect = dialect
        self._metering = metering

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:
        """Tells what the station says, whatever the CSMS will answer."""
        if sender is not Peer.STATION:
            return UNCHANGED
        changed = self._dialect.connector_changed(call.payload)
        if changed is None:
            return UNCHANGED
        self._state.untold -= {changed.evse}
        return [*self._metering.before(changed.evse, now), Tell(changed)]
