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
7. Keep (block 0): the first `min_a` of a car that charges now earn `keep` on top: it is stopped only where that is worth
   more than `keep` of what its minimum brings in the block. Where nobody would be stopped, `keep` takes no energy.
8. Urgent: a Wh now earns up to `urgent` more, the sooner its car is known to leave, falling to 0 at the horizon as 4 does. Of
   cars that can all be served it charges first who leaves first, so those that can wait are still there when new cars come.
   Where its departure is a guess, the longer it has been here: at work hardly anybody leaves within an hour of coming, and half of
   those who are still there after nine hours in the next one.

The tiers 2 and 5 pay nothing beyond the fair share, so the plan delivers as much as `share` would, save at most
`early` of it and `calm` of block 0. All are steps of one concave function of a car's current, so they cost columns but no rows.

Four objectives weigh them:

even        as above, without 7 and 8
throughput  only 3, 4, 6, 7 and 8
fair        the `ladder` instead of 2 and 5: each Wh earns the more, the smaller the fraction of the need that its car will have been
            served by its departure, what it got since it came included. That is concave too and costs a row for each car
cost        3, then what energy and the peak cost (`optimizer.worth`), then 4, 6 and 7 as fractions of what prices can differ by, so
            that they decide between hours of nearly the same price only

Measured in closed loop on real sessions with a simulator that is not ours (`benchmarks/optimizer` agrees with it; delivered of
what was asked for / the fraction that the worst served tenth got / Jain's index of the fractions / stops for each car; whole
amperes, 6 A minimum, no limit exceeded; least laxity first for comparison). `fair` gives up 0.7 % of the energy at most:

                                           least laxity          even                throughput          fair
54 sockets between phases, 30 kW, 2 days   59.4/.21/.81/.46      65.8/.15/.79/.14    69.2/.12/.80/.01    69.3/.30/.86/.61
52 sockets to neutral, 3 x 100 A, 2 days   83.2/.62/.96/.62      82.7/.49/.95/.07    86.3/.50/.93/.17    85.7/.62/.97/.42

The best that anybody could have done in the first case, with hindsight and any current, is 69.7. The weights were chosen on
these two cases. Where nothing is known of energies and departures, none of them is good for everybody:

54 sockets between phases                                        63.2/.12/.76/.07    65.3/.00/.72/.03    65.7/.00/.67/.08
52 sockets to neutral                                            80.2/.46/.93/.03    80.6/.35/.90/.00    80.9/.05/.86/.10
"""

from __future__ import annotations

from dataclasses import dataclass, replace

Ladder = tuple[tuple[float, float], ...]
"""Rungs of a need as (width as a fraction of it, worth of a Wh on top), the first ones worth most."""

LADDER: Ladder = (
    *((0.05, worth) for worth in (4.0, 3.6, 3.2, 2.8, 2.4, 2.0, 1.6, 1.2)),
    *((0.10, worth) for worth in (0.8, 0.6, 0.4, 0.2)),
)
"""The first twentieth of a need is worth five times as much as its last fifth: more than the threefold energy that a car on
three phases makes of the same ampere. In the second case above the worst served tenth got 54 % with ten rungs from 1.0 to
0.1; with nine from 10 to 0.8 the site delivered 85.0 instead of 85.8 % for a Jain's index of 0.976 instead of 0.967."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Worth relative to one Wh delivered by departure.

    ladder: what fractions of needs are worth; empty: nothing. levels: whether cars of a group are made even afterwards.
    priced: whether `Problem.tariff` counts; then early, fair, calm and keep are relative to what prices can differ by.
    """

    minimum: float = 0.3
    early: float = 0.02
    fair: float = 0.10
    calm: float = 0.05
    keep: float = 0.0
    urgent: float = 0.0
    beyond_prior: float = 0.5
    ladder: Ladder = ()
    levels: bool = True
    priced: bool = False


DEFAULT_WEIGHTS = Weights()

# `early` 1 makes a Wh now worth twice one at the horizon. `calm`: in the first case above cars stop 6.1 times each without
# it and 0.12 times with 0.05, at the same energy (69.4 %); docs/optimizer-figures.md has what chose `keep`, `urgent` and 0.02.
THROUGHPUT = Weights(minimum=0.0, early=1.0, fair=0.0, calm=0.02, keep=0.5, urgent=0.3, levels=False)
# `fair` in the table above had `early` 0.1; docs/optimizer-figures.md has the figures that chose 0.3.
FAIR = Weights(minimum=0.0, early=0.3, fair=0.0, calm=0.1, ladder=LADDER, levels=False)
# Being early is worth a twentieth of what prices differ by over the whole horizon, a pause as much as that of its minimum's energy in one block.
COST = Weights(minimum=0.0, early=0.05, fair=0.0, calm=0.02, keep=0.05, levels=False, priced=True)
# What is known of cars decides how `throughput` goes about it; docs/optimizer-figures.md has the figures that chose these.
GUESSING = replace(THROUGHPUT, fair=0.1, urgent=1.0)
"""Where wishes and departures are guesses: of those as likely to want it who came first goes first, and who came together get as much."""

TAPERING = replace(
    THROUGHPUT, early=1.5, fair=0.1, urgent=0.0, ladder=tuple((0.1, 1.0 - number / 10) for number in range(10))
)
"""Where batteries take less when nearly full: the last part of a need takes long, so all cars should start on theirs early."""

OBJECTIVES = {"even": DEFAULT_WEIGHTS, "throughput": THROUGHPUT, "fair": FAIR, "cost": COST}


def weights_of(objective: str, *, guesses: bool, tapers: bool) -> Weights:
    """The weights of an objective where a departure or a wish is a guess, or where a car was seen to take less than it may."""
    if objective == "throughput" and (guesses or tapers):
        return TAPERING if tapers else GUESSING
    return OBJECTIVES[objective]
