"""Who is the station, may we call it, and what time does its CSMS think it is? (functional block B)"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from local_controller.clock import Instant
from local_controller.rpc.frame import Frame, MessageType
from local_controller.station.block import Block, BlockEffect
from local_controller.station.dialects.base import Dialect
from local_controller.station.effects import Note, Peer, Tell
from local_controller.station.quirks import Quirk, quirk_of
from local_controller.station.state import StationState
from local_controller.station.words import Booted

CLOCK_WARNING_S = 5.0
"""A CSMS clock further from ours is worth a warning; own profiles follow the CSMS's clock anyway (LC-044)."""

CLOCK_NONSENSE_S = 366 * 86400.0
"""A clock that is years off is none: a time zone, a dead battery or a slip cannot explain it."""


class Provisioning(Block):
    """Reads BootNotification, Heartbeat and their answers."""

    def __init__(self, state: StationState, dialect: Dialect, quirks: Sequence[Quirk]) -> None:
        """Keeps registration and clock of `state`, and what `quirks` know about the product."""
        self._state = state
        self._dialect = dialect
        self._quirks = quirks

    def connected(self, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - nothing to time here
        """What only holds for one connection is unknown again."""
        self._state.connected()
        return []

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        """Learns from what the CSMS answers."""
        if sender is not Peer.STATION or answer is None or answer.message_type != MessageType.CALLRESULT:
            return []
        match call.action:
            case "BootNotification":
                return self._booted(call, answer, now)
            case "Heartbeat":
                self._state.answered = True
                moment = self._dialect.heartbeat_time(answer.payload)
                return self._set_clock(moment, now)
        self._state.answered = True
        return []

    def _booted(self, call: Frame, answer: Frame, now: Instant) -> list[BlockEffect]:
        verdict = self._dialect.boot_answer(answer.payload)
        self._state.registration = verdict.status
        effects = self._set_clock(verdict.current_time, now)
        who = self._dialect.boot(call.payload)
        if (quirk := quirk_of(who, self._quirks)) is not None:
            self._state.capability = quirk.applied(self._state.capability)
            effects.append(
                Note("info", "known_product", {"name": quirk.name, "note": quirk.note, "source": quirk.source})
            )
        return [*effects, Tell(Booted(who.vendor, who.model, who.firmware, who.serial, verdict.status))]

    def _set_clock(self, moment: datetime | None, now: Instant) -> list[BlockEffect]:
        """Takes over the CSMS's clock; says so once when it moves away from ours."""
        if moment is None:
            return []
        before_s, ahead_s = self._state.csms_ahead_s, (moment - now.utc).total_seconds()
        if abs(ahead_s) > CLOCK_NONSENSE_S:
            return [Note("error", "csms_clock_ignored", {"ahead_s": round(ahead_s, 1)})]
        self._state.csms_ahead_s = ahead_s
        if abs(ahead_s) > CLOCK_WARNING_S >= abs(before_s):
            return [Note("warning", "csms_clock_differs", {"ahead_s": round(ahead_s, 1)})]
        return []
