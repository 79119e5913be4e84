"""What are sessions told that do not follow their limits, and who of them is ended?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from local_controller.clock import Instant
from local_controller.site.capacity import capacity, left
from local_controller.site.control_settings import ControlSettings
from local_controller.site.effects import SiteEffect
from local_controller.site.enforcement import Candidate
from local_controller.site.exceeded import Exceeded
from local_controller.site.last_resort import LastResort
from local_controller.site.limit_book import LimitBook
from local_controller.site.moment import Moment
from local_controller.site.places import Place
from local_controller.site.tree import Tree


class SetAside:
    """Those of one site."""

    def __init__(self, tree: Tree, book: LimitBook, settings: ControlSettings) -> None:
        self._tree = tree
        self._obligations = book.obligations()
        self._tolerance_a = settings.pace.tolerance_a
        self._last_resort = LastResort(settings.stops_sessions)

    def decided(self, moment: Moment, now: Instant) -> tuple[Sequence[Candidate], Iterable[SiteEffect]]:
        """What those are told that are here, and whose end is asked for. Once per reaction."""
        self._last_resort.look([place.state for place in moment.set_aside], now)
        if not moment.set_aside:
            return [], []
        exceeded, held = self._exceeded(moment, now), "it does not follow its limit"
        here = [place for place in moment.set_aside if place.state.connected]
        told = [Candidate(p.state, self._told_a(p, exceeded, now), p.path, held) for p in here]
        return told, self._last_resort.stops(moment.set_aside, exceeded, now)

    def _exceeded(self, moment: Moment, now: Instant) -> Exceeded:
        """What is exceeded of fuses, contract and limits of the grid operator."""
        nodes = self._tree.nodes
        rooms = [capacity(state, self._obligations, now) for state in nodes.values()]
        at, room = {one.node: one for one in rooms}, left(rooms, moment.worst)
        return Exceeded(nodes, at, room, self._tree.below, self._tolerance_a)

    def _told_a(self, place: Place, exceeded: Exceeded, now: Instant) -> float:
        """Its fallback, or nothing where an obligation is exceeded."""
        state = place.state
        is_over = exceeded.most(place.path, state.phases(), now) is not None
        if self._last_resort.pauses(state.evse.id, now, is_over=is_over):
            return 0.0
        return min(state.ordered_a, state.modest_a)
