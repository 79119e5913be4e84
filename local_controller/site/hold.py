"""What keeps limits from rising somewhere just now? Asked once for all EVSEs with the same way to the grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from local_controller.clock import Instant
from local_controller.site.capacity import NodeState
from local_controller.site.enforcement import Room
from local_controller.site.freshness import Freshness
from local_controller.site.limit_book import LimitBook

_Way = tuple[tuple[str, ...], tuple[int, ...]]
"""The nodes that carry an EVSE, and the grid phases that it uses."""


class Hold:
    """The answers of one reaction; each is found out when somebody needs it."""

    def __init__(
        self,
        nodes: Mapping[str, NodeState],
        book: LimitBook,
        room: Room,
        may_hold_old_limits: Callable[[str], bool],
        now: Instant,
    ) -> None:
        """may_hold_old_limits: whether stations below a node may still obey what an earlier run has told them."""
        self._nodes = nodes
        self._book = book
        self._room = room
        self._may_hold_old_limits = may_hold_old_limits
        self._now = now
        self._at_node: dict[str, str] = {}
        self._why: dict[_Way, str] = {}
        self._presses: dict[_Way, bool] = {}

    def why(self, path: tuple[str, ...], phases: tuple[int, ...]) -> str:
        """Why nothing may be raised on the way to the grid just now; empty if nothing speaks against it."""
        way = path, phases
        if way not in self._why:
            self._why[way] = next((why for node in path if (why := self._at(node, phases))), "")
        return self._why[way]

    def presses(self, path: tuple[str, ...], phases: tuple[int, ...], tolerance_a: float) -> bool:
        """Whether even a small decrease helps: nothing may be raised there, or a worst case exceeds its limit."""
        way = path, phases
        if way not in self._presses:
            self._presses[way] = bool(self.why(path, phases)) or self._room.short(path, phases, tolerance_a)
        return self._presses[way]

    def _at(self, node: str, phases: tuple[int, ...]) -> str:
        if node not in self._at_node:
            self._at_node[node] = self._on_all_phases(self._nodes[node])
        return self._at_node[node] or self._nodes[node].held_because(phases, self._now)

    def _on_all_phases(self, state: NodeState) -> str:
        if why := self._of_meter(state):
            return why
        if not self._book.may_raise(state.node.id, self._now):
            return f"a limit of {state.node.label} is about to end"
        if self._may_hold_old_limits(state.node.id):
            return f"stations of {state.node.label} may still hold limits of an earlier run"
        return ""

    def _of_meter(self, state: NodeState) -> str:
        """While one has failed no more than fallbacks are granted, and other loads count at their worst: so much may be raised."""
        if state.meter is None:
            return ""
        found = state.meter.watch.state(self._now)
        may_raise = found.may_raise or found is Freshness.FAILSAFE
        return "" if may_raise else f"meter {state.meter.id} of {state.node.label} is {found}"
