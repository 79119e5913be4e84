"""What is an ampere worth? The tiers of the program as weights, from the strongest to the weakest.

1. Limits are rows, not prices: all currents 0 keeps every row, so no site is infeasible and no price can buy a limit.
2. Minimum rates (block 0): the first `min_a` of each car that the fair share serves earn `minimum` on top, and count
   as if the car drew on three phases. Otherwise a three-phase car, worth three times as much per ampere, starves a
   one-phase car. With less than 1/3, a three-phase car that would leave unserved may pause one that can wait, and then
   the plan of the next moment agrees with this one. 0.3, 0.7 and 2.0 delivered 85, 84 and 80 % of a crowded day's
   wishes with 0.9, 0.7 and 0.2 stops per car (fair shares: 78 %, none).
3. Energy by departure: 1 per Wh, up to what the car wants and until it leaves. A shortfall costs exactly that.
4. Early: `early` more per Wh now, falling to 0 at the horizon: capacity is used while it is there and cars are too.
5. Fairness (block 0): each ampere up to the car's max-min fair share earns `fair` on top. Whoever gets less gives it
   up for energy that somebody would else not get before leaving, not for nothing. The fair shares fit together, so
   where nothing else decides, equal cars get equal currents exactly, also across circuits; slopes with fixed corners
   would stop at the corners. What remains unequal inside a group of like cars is evened out by `optimizer.level`.
6. Calm (block 0): each ampere that the car has already earns `calm` on top, less than `fair`: ties stay as they are.

The tiers 2 and 5 pay nothing beyond the fair share, so the plan delivers as much as `share` would, save at most
`early` of it and `calm` of block 0. All are steps of one concave function of a car's current, so they cost columns but no rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from optimizer.problem import ChargingNeed


@dataclass(frozen=True, slots=True)
class Weights:
    """Worth relative to one Wh delivered by departure."""

    minimum: float = 0.3
    early: float = 0.02
    fair: float = 0.10
    calm: float = 0.05
    beyond_prior: float = 0.5


DEFAULT_WEIGHTS = Weights()


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a car's current: up to `width_a` amperes, worth `worth_wh` each."""

    width_a: float
    worth_wh: float


def first_block(
    need: ChargingNeed, cap_a: float, fair_a: float, per_ampere_wh: float, weights: Weights
) -> list[Segment]:
    """The worth of a car's current in block 0: segments of falling worth that add up to `cap_a`.

    fair_a: its max-min fair share. per_ampere_wh: energy of one ampere in the block.
    """
    parity = 3 / len(need.phases) - 1
    bonuses = (
        (min(fair_a, need.min_a), (parity + weights.minimum) * per_ampere_wh),
        (fair_a, weights.fair * per_ampere_wh),
        (need.present_a, weights.calm * per_ampere_wh),
    )
    corners = sorted({0.0, cap_a, *(min(upto, cap_a) for upto, _ in bonuses)})
    energy_wh = per_ampere_wh * (1 + weights.early)
    return [
        Segment(end - start, energy_wh + sum(bonus for upto, bonus in bonuses if upto >= end))
        for start, end in pairwise(corners)
    ]
