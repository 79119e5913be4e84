"""Whose station is asked what its car draws, because room came back and nobody was measured since?

A meter that shows less may show a car that rests, so what other loads take is believed to be less only once every car was measured
since (`site.base_load`). Stations measure every 10 to 60 s; where a car waits for that room, they are asked (TriggerMessage).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from local_controller.clock import Instant
from local_controller.site.base_load import STEADY_S
from local_controller.site.effects import AskSample
from local_controller.site.evse import EvseState
from local_controller.station.words import EvseId

AGAIN_S: Final = 60.0
"""A station is asked so seldom, as the CSMS hears its answer too (LC-076)."""

WORTH_A: Final = 3.0
"""So much, added up over the phases, each question must be worth: half a step of one phase upwards (goal G15)."""

WANTED_A: Final = 1.0
"""Who could have so much more waits for it."""

AT_ONCE: Final = 25
"""So many are asked within one reading, as by all other questions (decision 0009)."""


class SampleRequests:
    """What one site remembers of whom it asked."""

    def __init__(self) -> None:
        self._asked: dict[EvseId, Instant] = {}

    def of(self, doubted_a: float, below: Sequence[EvseState], now: Instant) -> list[AskSample]:
        """Whom to ask now. doubted_a: over all phases, what would be free behind a meter if all cars draw what they drew last."""
        if doubted_a < WORTH_A:
            return []
        outdated = [evse for evse in below if _is_outdated(evse, now)]
        if doubted_a < WORTH_A * len(outdated) or not any(_waits(evse, now) for evse in below):
            return []
        ids = [evse.evse.id for evse in outdated if self._may_ask(evse.evse.id, now)][:AT_ONCE]
        self._asked |= dict.fromkeys(ids, now)
        return [AskSample(id_) for id_ in ids]

    def _may_ask(self, evse: EvseId, now: Instant) -> bool:
        asked_at = self._asked.get(evse)
        return asked_at is None or now.since(asked_at) >= AGAIN_S


def _is_outdated(evse: EvseState, now: Instant) -> bool:
    """Whether a measurement is the reason for the doubt, and would be a better one if it were made now."""
    measured_at = evse.stand(now).bounds.measured_at
    return evse.connected and measured_at is not None and now.since(measured_at) >= STEADY_S


def _waits(evse: EvseState, now: Instant) -> bool:
    """Whether it could be told more if there were room."""
    standing = evse.stand(now)
    return standing.follows and min(standing.cap_a, evse.useful_a) >= standing.ordered_a + WANTED_A
