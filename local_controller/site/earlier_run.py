"""May stations still obey what an earlier run of the gateway has told them?"""

from __future__ import annotations

from local_controller.site.evse import EvseState
from local_controller.site.lasting import MOST_LASTING_S
from local_controller.site.tree import Tree


class EarlierRun:
    """The limits of the run before this one; nobody knows them."""

    def __init__(self, tree: Tree, valid_s: float) -> None:
        """valid_s: how long a working limit holds that is told now."""
        self._tree = tree
        self._valid_s = valid_s
        self._longest_s = valid_s

    def look(self) -> None:
        """Of some station another time is known for which limits last."""
        self._longest_s = max(map(self._outlasts_s, self._tree.evses.values()), default=0.0)

    def may_hold(self, node: str, runs_s: float) -> bool:
        """Before its working limits have ended, unless every station below has booted or shown its session.

        Where a meter measures, it sees what they draw, but not what a car that went on meanwhile may still rise to. A limit
        that lasts goes on unseen in a station that is not here.
        """
        if runs_s >= self._longest_s:
            return False
        is_metered = self._tree.limited[node].is_metered
        below = self._tree.below(node)
        unknown = (evse for evse in below if not evse.known and (evse.session is not None or not is_metered))
        return any(runs_s < self._outlasts_s(evse) for evse in unknown)

    def _outlasts_s(self, evse: EvseState) -> float:
        """So long after the start a limit of an earlier run may hold; the car that a setting for ever feeds is full by then."""
        return self._valid_s if evse.connected else max(self._valid_s, min(evse.lasts_s, MOST_LASTING_S))
