"""What would somebody have to know who answers for the CSMS while it is away? The interval of heartbeats, and what it knows of connectors."""

from __future__ import annotations

from typing import Final

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import CALLRESULT, Frame
from local_controller.station.block import UNCHANGED, Block, Wanted
from local_controller.station.dialects.reading import Fields
from local_controller.station.effects import Note, Peer
from local_controller.station.state import SaidState, StationState

CONNECTORS: Final = 256
"""So many states are kept of a station at most, lest one that counts on and on fills our memory; the largest stations have some dozens."""


class CsmsWords(Block):
    """Keeps the latest state of each connector and the CSMS's wish how often to hear of the station."""

    called_only = frozenset({"StatusNotification"})
    observe_only = frozenset({"BootNotification"})

    def __init__(self, state: StationState) -> None:
        self._state = state

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:
        """The latest state of a connector, as the station put it."""
        if sender is Peer.STATION:
            where = Fields(call.action or "", call.payload)
            connector = where.integer("evseId") or 0, where.integer("connectorId") or 0
            others = (one for one in self._state.connector_states if one.connector != connector)
            self._state.connector_states = (*others, SaidState(connector, call, now.utc))[-CONNECTORS:]
        return UNCHANGED

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> Wanted:  # noqa: ARG002 - overridden
        """How often the CSMS wants to hear of the station (B01, 1.6 §4.2)."""
        if sender is not Peer.STATION or answer is None or answer.message_type != CALLRESULT:
            return UNCHANGED
        try:
            interval_s = Fields(call.action or "", answer.payload).integer("interval")
        except PayloadError as error:
            return [Note("warning", "csms_interval_unreadable", {"reason": str(error)})]
        if interval_s is not None and 0 < interval_s <= 2**31:
            self._state.boot_interval_s = interval_s
        return UNCHANGED
