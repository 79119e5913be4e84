"""How much more may one phase carry than another, and what is left of that for cars (goal G13)?

Whoever loads all phases alike changes no difference between them. Of all others only the highest possible draws count, never
what they relieve the other phases of, because a car may stop at any moment: so long as on every phase the highest draws of
those that may be uneven fit into the limit, no car's going, pausing or slowing down exceeds it. Such a limit behaves as a
fuse that carries the uneven ones alone, and is treated as one everywhere (decision 0016).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from local_controller.clock import Instant
from local_controller.site.base_load import BaseLoad
from local_controller.site.capacity import Capacity, NodeState
from local_controller.site.evse import EvseState
from local_controller.site.limits import Ceiling
from local_controller.site.per_phase import PHASE_NAMES, PHASES, ZERO, PerPhase, equal, lower, minus, plus, total, upper
from local_controller.site.standing import together
from local_controller.site.topology import Node, Topology

_SOURCE = "asymmetry limit"
_SUFFIX = ":asymmetry"  # no id of a site file has a colon


def balance_id(node: str) -> str:
    """The id of what stands for the asymmetry limit of a node."""
    return f"{node}{_SUFFIX}"


def is_balance(node: str | None) -> bool:
    """Whether this is such an id."""
    return node is not None and node.endswith(_SUFFIX)


def balances(topology: Topology) -> tuple[Node, ...]:
    """For each node with an asymmetry limit a node beside it that carries those below that may be uneven."""
    return tuple(
        replace(
            node,
            id=balance_id(node.id),
            label=f"{node.label}, asymmetry",
            parent=node.id,
            rating_a=equal(node.asymmetry_a),
            contract_a=None,
            margin_a=equal(node.asymmetry_margin_a),
            meter=None,
        )
        for node in topology.nodes
        if node.asymmetry_a is not None
    )


def leads_a(current_a: PerPhase) -> PerPhase:
    """By how much each phase carries more than the one that carries least."""
    return minus(current_a, equal(min(current_a)))


@dataclass(slots=True)
class Balance(NodeState):
    """The asymmetry limit of a node. real: the node itself, whose meter it sees by.

    low: what other loads take at least. A car that nobody hears of is not one of them, though it is counted as one where the
    most is asked for: it may stop at any moment as others do.

    Where nothing measures, the limit is one on charging alone: of other loads only the difference of the phases counts, and
    of that the site file knows nothing.
    """

    real: NodeState | None = None
    low: BaseLoad = field(default_factory=BaseLoad)

    def base_a(self, now: Instant) -> PerPhase:  # noqa: ARG002  # of other nodes it depends on the time
        """How uneven other loads are, as last estimated, and what is seen beyond that and cars that follow."""
        return plus(self._others_a(), self.unexplained_a)

    def _others_a(self) -> PerPhase:
        return ZERO if self.real is None else self._uneven_a(self.real.base.current_a)

    def _uneven_a(self, most_a: PerPhase | None) -> PerPhase:
        """Other loads, of which there is that most, above the least of what other loads take."""
        if most_a is None or self.low.current_a is None:
            return ZERO
        return minus(most_a, equal(min(lower(most_a, self.low.current_a))))

    def unheard_a(self, now: Instant) -> PerPhase:
        """What of that cars draw that nobody measures."""
        if self.real is None or self.measured_a(now) is None:
            return ZERO
        return upper(ZERO, minus(self._others_a(), self._uneven_a(self.real.base.apart_a)))

    def measured_a(self, now: Instant) -> PerPhase | None:
        """How uneven the whole node is."""
        current_a = None if self.real is None else self.real.measured_a(now)
        return None if current_a is None else leads_a(current_a)

    @property
    def is_metered(self) -> bool:
        """Whether its node is."""
        return self.real is not None and self.real.is_metered

    def measured(
        self, current_a: PerPhase, below: Iterable[EvseState], tolerance_a: float, calm_s: float, now: Instant
    ) -> None:
        """What the meter of its node shows: too much of it lowers cars at once, and nothing is raised for a while.

        Whatever is not explained by other loads and by uneven cars that follow counts on top, as at a fuse (G3).
        """
        evses = [(evse, evse.stand(now)) for evse in below]
        drawn = together([standing.bounds for _, standing in evses])
        unheard_a = total(standing.exposure for evse, standing in evses if not evse.connected or evse.mute(now))
        self.low.update(current_a, drawn.least_a, plus(drawn.most_a, unheard_a), now, drawn.measured_at)
        followed_a = total(standing.bounds.followed_a for _, standing in evses if standing.is_uneven)
        uneven_a = leads_a(current_a)
        over_a = minus(uneven_a, self.node.limit_a)
        too_much_a = lower(minus(uneven_a, plus(self._others_a(), followed_a)), plus(over_a, self.node.margin_a))
        self.unexplained_a = upper(ZERO, too_much_a)
        self.over_limit.measured(max(over_a), now)
        for phase in PHASES:
            if over_a[phase] > tolerance_a:
                text = f"{self.node.label}: {PHASE_NAMES[phase]} was {over_a[phase]:.1f} A over its limit"
                self.hold(phase, now.monotonic_s + calm_s, text)

    def capacity(self, now: Instant) -> Capacity:
        """What those that may be uneven may draw together, A per phase."""
        node, base_a = self.node, self.base_a(now)
        ceiling = Ceiling(node.limit_a, (_SOURCE, _SOURCE, _SOURCE))
        available_a = minus(minus(node.limit_a, base_a), node.margin_a)
        return Capacity(
            node.id,
            node.label,
            ceiling,
            base_a,
            node.margin_a,
            None,
            available_a,
            "unevenness of other loads",
            unheard_a=self.unheard_a(now),
            is_metered=self.measured_a(now) is not None,
        )


def balances_of(topology: Topology, nodes: Mapping[str, NodeState]) -> Iterator[Balance]:
    """The states of all asymmetry limits, beside those of their nodes."""
    for node in balances(topology):
        yield Balance(node, None, real=nodes[str(node.parent)])
