"""Which limit holds at a node of the tree just now, and who set it?

The lowest of all sources counts: fuse, contract, EMS, grid operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from local_controller.clock import Instant
from local_controller.site.freshness import Freshness
from local_controller.site.limit_source import SourceState
from local_controller.site.limits import AppliesTo, Bounds, Limit, OwnLimit, bounds_of, lowest_power

_UNBOUND: Final = Bounds()


@dataclass(slots=True)
class LimitBook:
    """All limits of the site: the fixed ones of the tree, those that sources send, and what the site file says besides."""

    fixed: tuple[Limit, ...]
    sources: Mapping[str, SourceState] = field(default_factory=dict)
    own: Sequence[OwnLimit] = ()
    _changing_at: dict[tuple[str, AppliesTo], list[SourceState | OwnLimit]] = field(
        init=False, repr=False, compare=False
    )
    _fixed_at: dict[tuple[str, AppliesTo], list[Limit]] = field(init=False, repr=False, compare=False)
    _fixed_bounds: dict[tuple[str, AppliesTo], Bounds] = field(init=False, repr=False, compare=False)
    _powered: set[tuple[str, AppliesTo]] = field(init=False, repr=False, compare=False)
    _replacing: list[OwnLimit] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sorted by node once: every reaction asks for every node."""
        self._changing_at, self._fixed_at = {}, {}
        self._replacing = [one for one in self.own if one.replaces]
        for state in self.sources.values():
            self._changing_at.setdefault((state.source.node, state.source.applies_to), []).append(state)
        for one in self.own:
            self._changing_at.setdefault((one.node, one.applies_to), []).append(one)
        for limit in self.fixed:
            self._fixed_at.setdefault((limit.node, limit.applies_to), []).append(limit)
        self._fixed_bounds = {place: bounds_of(limits) for place, limits in self._fixed_at.items()}
        self._powered = {(state.source.node, state.source.applies_to) for state in self.sources.values()}
        self._powered |= {(one.node, one.applies_to) for one in self.own if one.bounds_power}
        self._powered |= {place for place, limits in self._fixed_at.items() if lowest_power(limits) is not None}

    def obligations(self) -> LimitBook:
        """Those alone for which a session may be ended that ignores its limit: fuse, contract, grid operator (LC-115)."""
        sources = {name: state for name, state in self.sources.items() if state.source.ends_sessions}
        return LimitBook(self.fixed, sources)

    def in_force(self, node: str, applies_to: AppliesTo, now: Instant) -> list[Limit]:
        """Every limit of this kind at the node."""
        place, replaced = (node, applies_to), self.replaced(now)
        changing = (one for one in self._changing_at.get(place, ()) if one.id not in replaced)
        now_set = [limit for one in changing if (limit := one.limit(now)) is not None]
        return [*self._fixed_at.get(place, ()), *now_set]

    def replaced(self, now: Instant) -> frozenset[str]:
        """The ids of sources in whose place another limit holds for a while."""
        return frozenset().union(*(one.replaces for one in self._replacing if one.limit(now) is not None))

    def bounds(self, node: str, applies_to: AppliesTo, now: Instant) -> Bounds:
        """The lowest limits of this kind at the node."""
        place = node, applies_to
        if place not in self._changing_at:
            return self._fixed_bounds.get(place, _UNBOUND)
        return bounds_of(self.in_force(node, applies_to, now))

    def may_bound_power(self, node: str, applies_to: AppliesTo) -> bool:
        """Whether there is a limit in watts of this kind at the node, or one may come."""
        return (node, applies_to) in self._powered

    def may_raise(self, node: str, now: Instant) -> bool:
        """No increases below a node while one of its limit sources is ageing or silent."""
        at_node = (one for kind in AppliesTo for one in self._changing_at.get((node, kind), ()))
        ageing = [one for one in at_node if isinstance(one, SourceState) and one.state(now) is Freshness.SUSPECT]
        return not ageing or self.replaced(now).issuperset(one.id for one in ageing)
