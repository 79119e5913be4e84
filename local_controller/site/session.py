"""What does the site remember of a running transaction? What it was told, what it said to that, and what it measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from local_controller.clock import Instant
from local_controller.site.appetite import Appetite
from local_controller.site.per_phase import PerPhase
from local_controller.site.phase_switch import PhaseSwitch, Told
from local_controller.site.used_phases import UsedPhases
from local_controller.station.words import ChargingState, Phase


@dataclass(slots=True)
class Promise:
    """A limit that the station might be obeying, in A per phase.

    accepted_at: since when the station has said yes to this value; None while it has not. until: when the station falls
    back by itself; None for the fallback itself, and for what never ends. is_lost: its answer never came, so nobody will
    ever know. is_wider: given on more phases than the session is told to use by now.
    """

    limit_a: float
    accepted_at: Instant | None = None
    until: Instant | None = None
    is_lost: bool = False
    is_wider: bool = False

    def has_settled(self, now: Instant, settle_s: float) -> bool:
        """Whether the station said yes to it so long ago that the car has followed."""
        return self.accepted_at is not None and now.since(self.accepted_at) >= settle_s

    def is_over(self, now: Instant, by_s: float = 0.0) -> bool:
        """Whether it ended at least `by_s` ago."""
        return self.until is not None and now.since(self.until) >= by_s


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the station measured, on the phases of the grid. power_w: of all phases, None where it does not tell."""

    current_a: PerPhase
    at: Instant
    power_w: float | None = None


@dataclass(slots=True)
class Session:
    """A running transaction as the site sees it; everything in it ends with the transaction.

    may_apply: oldest first. drawn, shown_a: the last sample, on the grid and as it came. ordered_a, ordered_at, unsent_a: the
    last order, while it may still succeed, and as long as it is not on the wire; asked_a: the same, whatever became of it.
    unconfirmed_at, tried_a: when and with which limit the last attempt failed (or began, if one failed before it).
    refusals: in a row. raise_refused_at: the station keeps its limit but takes no higher one. postponed_until: before then
    it may be written to for reductions only.
    offered_at: since when it may draw what a car on one phase needs to begin; needs_all_phases: in vain.
    is_found, found_a: it ran before we did, and drew so much
    when it was measured first. may_have_fallen_back: it (re)connected since its limit was accepted. is_defiant: measured
    above its limit. is_unheeded: so long after it was lowered that it is told the same once more. asked_phases: what was ordered
    last of them, `switch` what should be. priority: of the CSMS, the higher first. waives_delay: its driver wants no random delay.
    """

    transaction_id: str
    started_at: Instant
    may_apply: list[Promise]
    charging_state: ChargingState | None = None
    drawn: Drawn | None = None
    shown_a: Mapping[Phase, float] = field(default_factory=dict)
    suspended_at: Instant | None = None
    raised_at: Instant | None = None
    lowered_at: Instant | None = None
    is_unheeded: bool = False
    ordered_a: float | None = None
    ordered_at: Instant | None = None
    unsent_a: float | None = None
    asked_a: float | None = None
    unconfirmed_at: Instant | None = None
    tried_a: float = 0.0
    refusals: int = 0
    raise_refused_at: Instant | None = None
    postponed_until: Instant | None = None
    is_found: bool = False
    found_a: float | None = None
    may_have_fallen_back: bool = False
    is_defiant: bool = False
    uses: UsedPhases = field(default_factory=UsedPhases)
    appetite: Appetite = field(default_factory=Appetite)
    offered_at: Instant | None = None
    needs_all_phases: bool = False
    priority: int = 0
    waives_delay: bool = False
    energy_wh: float | None = None
    departure: datetime | None = None
    start_register_wh: float | None = None
    register_wh: float | None = None
    switch: PhaseSwitch = field(default_factory=PhaseSwitch)
    asked_phases: Told | None = None

    @property
    def rests(self) -> bool:
        """The station has said since the last sample that the car draws nothing."""
        at, drawn = self.suspended_at, self.drawn
        return at is not None and (drawn is None or at.since(drawn.at) >= 0)

    @property
    def was_only_lowered(self) -> bool:
        """The station said yes to a lower limit, and was told nothing since."""
        return None is not self.ordered_at == self.lowered_at and self.may_apply[-1].accepted_at is not None

    def in_force(self) -> list[Promise]:
        """What the station obeys if it is honest: what it said yes to last, or something that was sent since."""
        for i in range(len(self.may_apply) - 1, 0, -1):
            if self.may_apply[i].accepted_at is not None:
                return self.may_apply[i:]
        return self.may_apply

    def settled(self, now: Instant, settle_s: float) -> list[Promise]:
        """What it obeys if it is honest and its car has followed by now."""
        for i in range(len(self.may_apply) - 1, 0, -1):
            if self.may_apply[i].has_settled(now, settle_s):
                return self.may_apply[i:]
        return self.may_apply

    def ends_at(self) -> Instant | None:
        """The earliest end of what is in force; None if only the fallback is, or what never ends."""
        earliest: Instant | None = None
        for promise in reversed(self.may_apply):
            end = promise.until
            if end is not None and (earliest is None or end.monotonic_s <= earliest.monotonic_s):
                earliest = end
            if promise.accepted_at is not None:  # what is older is not in force
                break
        return earliest

    def count_on_all_phases(self) -> None:
        """It is not, or no longer, on the one phase it was told: that others carried nothing then says nothing now."""
        if self.switch.is_on_one:
            self.uses.forget_idle()
        self.switch.fell_back()
