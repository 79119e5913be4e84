"""What may be drawn everywhere at this instant, what may flow at worst, and what is left?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local_controller.clock import Instant
from local_controller.site.capacity import Capacity, Left, capacity, left
from local_controller.site.good_faith import GoodFaith, good_faith
from local_controller.site.limit_book import LimitBook
from local_controller.site.out_of_phase import LastSeen
from local_controller.site.per_phase import ZERO, PerPhase, minus, plus
from local_controller.site.places import Columns, Place
from local_controller.site.tree import Tree
from optimizer.arrays import Indexes


@dataclass(frozen=True, slots=True)
class Moment:
    """The site at one instant, per node: capacity, what all may draw, what those that do not follow may, what is left.

    good_faith: what of that is left because stations that nobody measures are relied on, and what is not.
    as_told: what limits in watts leave if these do what they said, and nothing that they draw counts twice; nothing where there are none.
    runs_s: how long after the start. followers, set_aside: sessions that can be controlled just now (the numbers of their
    places), and those that are lost or defiant. columns: what the standings of the followers say.
    """

    runs_s: float
    capacities: Sequence[Capacity]
    worst: Mapping[str, PerPhase]
    reserved: Mapping[str, PerPhase]
    good_faith: GoodFaith
    left: Left
    as_told: Mapping[str, float]
    followers: Indexes
    columns: Columns
    set_aside: Sequence[Place]

    def for_followers(self) -> Left:
        """What each node has for those that follow, if nothing that they draw counts twice."""
        per_phase, together = {}, {}
        for one in self.capacities:
            reserved_a = self.reserved[one.node]
            per_phase[one.node] = minus(one.reckoned_a, reserved_a)
            if (watts := one.together) is not None:
                together[one.node] = watts.reckoned_a - sum(reserved_a)
        return Left(per_phase, together)


class Moments:
    """The moments of one site, one per reaction."""

    def __init__(self, tree: Tree, book: LimitBook) -> None:
        self._tree = tree
        self._book = book
        self._started_at: Instant | None = None
        nodes = tree.topology.nodes
        self._last_seen = LastSeen(() if tree.topology.adds_up else (n.id for n in nodes if n.meter is not None))

    def read(self, node: str) -> None:
        """The meter of a node has just been read."""
        self._last_seen.read(node)

    def at(self, now: Instant) -> Moment:
        """The next one; the first is the start."""
        self._started_at = self._started_at or now
        table = self._tree.table
        follows = table.at(now)
        followers = follows.nonzero()[0]
        worst, reserved = table.exposures(), table.exposures(~follows)
        capacities = [capacity(state, self._book, now) for state in self._tree.nodes.values()]
        capacities += [balance.capacity(now) for balance in self._tree.balances.values()]
        columns = table.of(followers)
        is_any_unheard = columns.is_modest.any()
        faith = good_faith(table.good_faith(), self._tree, capacities, now) if is_any_unheard else GoodFaith()
        room = left(capacities, self._last_seen.counted(worst, table))
        if relied_a := faith.relied_a:
            room = room._replace(per_phase={node: plus(at, relied_a[node]) for node, at in room.per_phase.items()})
        others = [self._tree.places[number] for number in (~follows).nonzero()[0].tolist()]
        return Moment(
            runs_s=now.since(self._started_at),
            capacities=capacities,
            worst=worst,
            reserved=reserved,
            good_faith=faith,
            left=room,
            as_told=_as_told(capacities, faith, room),
            followers=followers,
            columns=columns,
            set_aside=[place for place in others if place.state.session is not None],
        )


def _as_told(capacities: Sequence[Capacity], faith: GoodFaith, room: Left) -> dict[str, float]:
    limited = [(one.node, one.together) for one in capacities if faith.said]
    return {
        node: room.together[node] + sum(faith.said.get(node, ZERO)) + watts.unheard_a
        for node, watts in limited
        if watts is not None
    }
