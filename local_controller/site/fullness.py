"""Does a car want no more? It said so, or it draws nothing although it may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from local_controller.clock import Instant
from local_controller.site.evse import EvseState
from local_controller.site.used_phases import PHASE_OFF_A, PHASE_PROOF_A
from local_controller.station import words
from local_controller.station.words import ChargingState

IDLE_S: Final = 120.0
"""So long it may charge and does not: as `site.appetite.LASTS_S`, a car that wakes up is there after a minute."""

FULL_PERCENT: Final = 100.0


@dataclass(slots=True)
class Fullness:
    """What the facts of one session tell of it. is_full: as they told last; who charges again was not full."""

    is_full: bool = False
    _idle_since: Instant | None = None

    def saw(self, fact: object, state: EvseState, now: Instant) -> None:
        """A fact of the session, which `state` knows already.

        What else the station says (the plug is still in, the EVSE allows nothing) changes nothing: 1.6 says that of full cars too.
        """
        match fact:
            case (
                words.TransactionUpdated(charging_state=ChargingState.SUSPENDED_EV)
                | words.ConnectorChanged(charging_state=ChargingState.SUSPENDED_EV)
            ):
                self.is_full = True
            case (
                words.TransactionUpdated(charging_state=ChargingState.CHARGING)
                | words.ConnectorChanged(charging_state=ChargingState.CHARGING)
            ):
                self.is_full = False
            case words.Measured(sample=sample):
                if sample.current_a:
                    self._drew(max(sample.current_a.values()), state, now)
                self.is_full |= sample.soc_percent is not None and sample.soc_percent >= FULL_PERCENT

    def _drew(self, drawn_a: float, state: EvseState, now: Instant) -> None:
        if drawn_a >= PHASE_PROOF_A:
            self.is_full = False
        if drawn_a > PHASE_OFF_A or not _may_charge(state, now):
            self._idle_since = None
        else:
            since = self._idle_since = self._idle_since or now
            self.is_full |= now.since(since) >= IDLE_S


def _may_charge(state: EvseState, now: Instant) -> bool:
    """Whether the station accepted a limit at which its car can charge, and was told no lower one since."""
    return state.session is not None and state.session.offered_at is not None and state.ordered_a >= state.min_a(now)
