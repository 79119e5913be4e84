"""Who is the station, may we call it, and what time does its CSMS think it is? (functional block B)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import CALLRESULT, Frame
from local_controller.station.announcements import OperatorMustKnow
from local_controller.station.block import UNCHANGED, Block, BlockEffect, Wanted
from local_controller.station.dialects.base import BootCall, Dialect
from local_controller.station.dialects.reading import Fields
from local_controller.station.effects import Note, Peer, Tell
from local_controller.station.empty import EMPTY
from local_controller.station.quirks import Quirk, quirk_of
from local_controller.station.state import StationState
from local_controller.station.words import Booted, RegistrationStatus

_STATION = Peer.STATION

CLOCK_WARNING_S = 5.0
"""A CSMS clock further from ours is worth a warning; own profiles follow the CSMS's clock anyway (LC-044)."""

CLOCK_STEP_S = 1.5
"""A clock that moves by less is not followed: whole seconds and delays on the way make that much noise, and following it
would write every limit again. Own profiles may be 2 s off (LC-044)."""

CLOCK_NONSENSE_S = 366 * 86400.0
"""A clock that is years off is none: a time zone, a dead battery or a slip cannot explain it."""

TRIGGERS: Final = frozenset({"TriggerMessage", "ExtendedTriggerMessage"})

_BY_ACCEPTED: Final = frozenset(
    {
        "Heartbeat",
        "StatusNotification",
        "MeterValues",
        "Authorize",
        "StartTransaction",
        "StopTransaction",
        "TransactionEvent",
    }
)
"""What a station sends by itself only when it is accepted; while it must wait, what it is told to send, and reports (B02)."""

_OF_DRIVERS: Final = frozenset({"Authorize", "StartTransaction", "TransactionEvent"})
"""What no station that must wait is served with: its answer outweighs a verdict of an earlier run, which may have changed unseen."""


class Provisioning(Block):
    """Reads BootNotification, Heartbeat and their answers."""

    called_only = frozenset({"BootNotification", *TRIGGERS})

    def __init__(self, state: StationState, dialect: Dialect, quirks: Sequence[Quirk]) -> None:
        """Keeps registration and clock of `state`, and what `quirks` know about the product."""
        self._state = state
        self._dialect = dialect
        self._quirks = quirks
        self._triggered: frozenset[str] = EMPTY  # what the CSMS has asked for, of what else shows acceptance

    def connected(self, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - nothing to time here
        """What only holds for one connection is unknown again; the CSMS's verdict is kept (LC-039)."""
        self._state.is_booting = self._state.answered = False
        self._triggered = EMPTY
        return []

    def closed(self, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - as above
        """A limit that comes after the end is dropped, not lost."""
        self._state.is_booting = self._state.answered = False
        return []

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:  # noqa: ARG002 - as above
        """Between BootNotification and its answer nobody calls a station (LC-039)."""
        if call.action in TRIGGERS:
            if (name := Fields(call.action, call.payload).text("requestedMessage")) in _BY_ACCEPTED:
                self._triggered |= {name}
        elif sender is _STATION:
            self._state.is_booting, self._state.answered = True, False
        return UNCHANGED

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> Wanted:
        """Learns from what the CSMS answers. A boot that it does not answer leaves its verdict as it was."""
        if sender is not _STATION:
            return UNCHANGED
        is_boot = call.action == "BootNotification"
        if is_boot:
            self._state.is_booting = False
        if answer is None or answer.message_type != CALLRESULT:
            return UNCHANGED
        if is_boot:
            return self._booted(call, answer, now)
        is_open = self._state.answered and not self._state.is_verdict_old
        if not is_open and not self._state.is_booting and self._shows_acceptance(call):
            self._state.answered = True  # while it boots, it answers what was said before
        return self._follow_clock(answer, now) if call.action == "Heartbeat" else UNCHANGED

    def _shows_acceptance(self, call: Frame) -> bool:
        """Whether an answer to it opens the way: any, where the CSMS's verdict is known (LC-039)."""
        by_itself = call.action not in self._triggered
        if self._state.is_verdict_old and by_itself and call.action in _OF_DRIVERS:
            self._state.is_verdict_old = False
            if self._state.registration is not RegistrationStatus.ACCEPTED:
                self._state.registration = None
        if self._state.registration is not None:
            return True
        return by_itself and call.action in _BY_ACCEPTED

    def _booted(self, call: Frame, answer: Frame, now: Instant) -> list[BlockEffect]:
        self._state.registration = status = self._dialect.boot_status(answer.payload)
        self._state.is_verdict_old = False
        self._state.answered = True
        effects = self._follow_clock(answer, now)
        who = self._dialect.boot(call.payload)
        if self._state.who is not None and _product(who) != _product(self._state.who):
            self._state.capability = self._state.capability.anew()
        self._state.who = who
        if (quirk := quirk_of(who, self._quirks)) is not None:
            self._state.capability = quirk.applied(self._state.capability, now.utc)
            effects.append(
                Note("info", "known_product", {"name": quirk.name, "note": quirk.note, "source": quirk.source})
            )
        effects += self._in_version()
        return [*effects, Tell(Booted(who.vendor, who.model, who.firmware, who.serial, status))]

    def _in_version(self) -> list[BlockEffect]:
        """Some products can be controlled in one version only, and may have come in another one."""
        before = self._state.capability
        self._state.capability = after = before.in_version(self._state.version)
        if after is before:
            return []
        text = f"it can be controlled in OCPP {after.version} only: set it to that version"
        return [Tell(OperatorMustKnow("wrong_version", text))]

    def _follow_clock(self, answer: Frame, now: Instant) -> list[BlockEffect]:
        """Takes over the CSMS's clock when it has moved; says so once when it moves away from ours."""
        try:
            moment = self._dialect.current_time(answer.payload)
        except PayloadError as error:
            return [Note("warning", "csms_clock_unreadable", {"reason": str(error)})]
        if moment is None:
            return []
        self._state.look_at_our_clock(now)
        before_s, ahead_s = self._state.csms_ahead_s, (moment - now.utc).total_seconds()
        if abs(ahead_s) > CLOCK_NONSENSE_S:
            return [Note("error", "csms_clock_ignored", {"ahead_s": round(ahead_s, 1)})]
        self._state.clock.csms_told_its_time()
        if abs(ahead_s - before_s) < CLOCK_STEP_S:
            return []
        self._state.csms_ahead_s = ahead_s
        if abs(ahead_s) > CLOCK_WARNING_S >= abs(before_s):
            return [Note("warning", "csms_clock_differs", {"ahead_s": round(ahead_s, 1)})]
        return []


def _product(who: BootCall) -> tuple[str, str, str]:
    """What decides how a station behaves; another serial number of the same kind does not."""
    return who.vendor, who.model, who.firmware
