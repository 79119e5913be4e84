"""Who is told what now, of all that is granted?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from local_controller.clock import Instant
from local_controller.site.control_settings import ControlSettings
from local_controller.site.earlier_run import EarlierRun
from local_controller.site.effects import ApplyLimit, SiteEffect
from local_controller.site.enforcement import Candidate, Doubt, Room, Wait, decide, is_noise, is_quiet
from local_controller.site.hold import Hold
from local_controller.site.limit_book import LimitBook
from local_controller.site.moment import Moment
from local_controller.site.phase_switch import Told
from local_controller.site.reasons import Grants
from local_controller.site.set_aside import SetAside
from local_controller.site.tree import Tree
from local_controller.station.words import EvseId


class Ordering:
    """The orders of one site."""

    def __init__(self, tree: Tree, book: LimitBook, settings: ControlSettings, earlier_run: EarlierRun) -> None:
        self._tree = tree
        self._book = book
        self._pace = settings.pace
        self._earlier_run = earlier_run
        self._set_aside = SetAside(tree, book, settings)

    def decided(self, grants: Grants, moment: Moment, now: Instant) -> tuple[list[SiteEffect], Mapping[EvseId, Wait]]:
        """What is ordered, decreases first, and why others wait."""
        room = Room(
            moment.left,
            {node: state.node.label for node, state in self._tree.limited.items()},
            moment.good_faith.kept_a,
            moment.as_told,
        )
        pace = self._pace
        others, stops = self._set_aside.decided(moment, now)
        candidates = [*self._candidates(grants, moment, room, now), *others]
        orders, waits = decide(candidates, room, pace, now, self._doubts())
        for order in orders:
            self._tree.evses[order.evse].ordered(order.limit_a, now)
        limits = [ApplyLimit(o.evse, o.limit_a, pace.valid_s, o.urgent, *self._phases(o.evse)) for o in orders]
        return [*limits, *stops], {wait.evse: wait for wait in waits}

    def _candidates(self, grants: Grants, moment: Moment, room: Room, now: Instant) -> Iterator[Candidate]:
        """Those that follow and for which there is something to decide."""
        pace, earlier_run = self._pace, self._earlier_run
        hold = Hold(self._tree.limited, self._book, room, lambda node: earlier_run.may_hold(node, moment.runs_s), now)
        columns, shares_a = moment.columns, np.array(grants.shares_a)
        noise = is_noise(columns, shares_a, pace, now)
        for number in (~is_quiet(columns, shares_a, pace, now)).nonzero()[0].tolist():
            place, standing = grants.places[number], self._tree.table.standing(int(moment.followers[number]))
            way = grants.ways[number]
            if not noise[number] or hold.presses(way, standing.phases, pace.tolerance_a):
                held = hold.why(way, standing.phases)
                yield Candidate(
                    place.state, grants.shares_a[number], way, held, standing.worst_a, standing.good_faith_a
                )

    def _doubts(self) -> Iterator[Doubt]:
        """Of stations that boot or come, until they have confirmed their fallbacks (LC-041)."""
        for number, place in enumerate(self._tree.places):
            if place.state.fallback_doubted_at is not None:
                more_a = place.state.unproven_a - self._tree.table.standing(number).worst_a
                yield Doubt(place.path, place.state.evse.grid_phases, max(0.0, more_a))

    def _phases(self, evse: EvseId) -> Told | tuple[None, None]:
        """What is told of phases with a limit."""
        session = self._tree.evses[evse].session
        return (None, None) if session is None or session.asked_phases is None else session.asked_phases

    def wants(self, order: ApplyLimit) -> bool:
        """Whether an order that waited to be carried out still is what its session was ordered last.

        That what was sent before it has failed meanwhile does not matter: then it is the next attempt.
        """
        session = self._tree.evses[order.evse].session
        if session is None or session.asked_a != order.limit_a:
            return False
        return session.asked_phases == (None if order.phases is None else Told(order.phases, order.phase_to_use))
