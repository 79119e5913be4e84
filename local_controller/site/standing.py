"""What does the state of an EVSE mean, until a fact or the time changes it?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from local_controller.clock import Instant
from local_controller.site.per_phase import ZERO, PerPhase, total


class DrawBounds(NamedTuple):
    """Between which currents a draw lies, per grid phase; when the lower one was measured (None: nothing proves it).

    followed_a: the most that is drawn if the car has followed, by now, what it was told since it was measured.
    unheard_a: the most that is drawn besides, if it does what its station said yes to, that never measures (is_unheard);
    newly_a: how much of that such cars may draw that were none at the reading before.
    """

    least_a: PerPhase
    most_a: PerPhase
    followed_a: PerPhase
    measured_at: Instant | None = None
    unheard_a: PerPhase = ZERO
    is_unheard: bool = False
    newly_a: PerPhase = ZERO


def together(bounds: Sequence[DrawBounds]) -> DrawBounds:
    """The bounds of the sum of many draws, measured when the first of them was."""
    proofs = [bound.measured_at for bound in bounds if bound.measured_at is not None]
    return DrawBounds(
        total(bound.least_a for bound in bounds),
        total(bound.most_a for bound in bounds),
        total(bound.followed_a for bound in bounds),
        min(proofs, key=lambda at: at.monotonic_s, default=None),
        total(bound.unheard_a for bound in bounds),
    )


class Standing(NamedTuple):
    """What the state of an EVSE means: true until a fact changes it, at the latest until `until_s` (monotonic).

    follows: it has a session that can be controlled just now. phases, worst_a, exposure: what may flow where at worst.
    good_faith_a: so much less on each of them if a station that never measures does what it said yes to (`site.good_faith`).
    bounds: between which currents it draws. cap_a: the most that EVSE and CSMS allow now; is_modest: and no more than
    its fallback (`modest_a`), because it does not measure. is_uneven: it may load one phase more than another.
    wanted_wh: the energy still wanted, infinite where unknown.
    ends_s: when what is in force ends (monotonic); is_settled: nothing speaks for sending its limit again but that.
    """

    until_s: float
    follows: bool
    phases: tuple[int, ...]
    worst_a: float
    exposure: PerPhase
    good_faith_a: float
    bounds: DrawBounds
    ordered_a: float
    min_a: float
    cap_a: float
    modest_a: float
    is_modest: bool
    is_uneven: bool
    wanted_wh: float
    ends_s: float
    is_settled: bool
