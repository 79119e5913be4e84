"""What is the planner asked after a reaction, some sessions at a time?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from local_controller.site.foresight import Foresight
from local_controller.site.places import Place
from local_controller.site.planning import Question, asking, horizon_at
from local_controller.site.reasons import Reaction

ASKING_PER_STEP: Final = 50
"""Sessions that are put into the question to the planner at once: 0.15 ms."""


class Questions:
    """The questions of one site. is_scarce: not all can have all, so that a car asks for what it takes."""

    def __init__(self, places: Sequence[Place], foresight: Foresight, objective: str) -> None:
        """objective: what plans are for where nothing else is known, a key of `optimizer.objectives.OBJECTIVES`."""
        self._places = places
        self._foresight = foresight
        self._objective = objective
        self._has_seen_taper = False
        self.is_scarce = False

    def in_steps(self, reaction: Reaction) -> Iterator[Question | None]:
        """The site as that saw it, at the last step; None before it. Facts and reactions may come between two steps.

        Who charges no more is left out; whoever has gone when the plan comes is not bound by it (`Plan.forget`).
        """
        at, who = reaction.at, []
        horizon = horizon_at(at)
        for one in reaction.grants.running():
            most_a = one.state.useful_a if self.is_scarce else one.state.most_a
            guess = self._foresight.learning.guess(one.state, horizon, at)
            asked = asking(one.state, one.key, one.path, most_a, at)
            who.append(self._foresight.asked(asked, one.state, at).with_guess(guess))
            self._has_seen_taper |= one.state.tapers
            if guess is not None or len(who) % ASKING_PER_STEP == 0:
                yield None
        capacities, modes = tuple(reaction.capacities), [one.mode for one in who]
        objective, tariff = self._foresight.ahead(horizon, modes, self._objective, at)
        yield Question(
            at.utc.timestamp(),
            horizon,
            capacities,
            reaction.reserved_a,
            tuple(who),
            objective,
            tariff,
            tapers=self._has_seen_taper,
            awaited=self._foresight.to_come(self._places, horizon, at),
        )
