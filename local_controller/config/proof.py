"""Is the site safe when nobody controls it? For every fuse and phase: fallbacks + base load against the limit.

The invariant of grid-and-safety §6.2 (goal G10): a site that breaks it must not start. A three-phase station counts on
all three phases, because nobody knows which of them a car uses. A station that takes watts only is told
`fallback_a` x 207 V, which is `fallback_a` even if all of it flows on one phase: no station counts more than that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from local_controller.site.per_phase import PHASE_NAMES, PHASES, total
from local_controller.site.topology import Evse, Node, Topology

_ROUNDING_A = 1e-6  # sums of decimal amperes are not exact in binary; a milliampere would still be a mistake


@dataclass(frozen=True, slots=True)
class ProofRow:
    """One phase of one node: what flows at worst without control, and what may flow. All in amperes."""

    node: str
    label: str
    phase: str
    fallback_a: float
    base_a: float
    limit_a: float

    @property
    def headroom_a(self) -> float:
        """What is left; negative if the fuse is at risk."""
        return self.limit_a - self.base_a - self.fallback_a

    @property
    def holds(self) -> bool:
        """Whether this phase is safe without control."""
        return self.headroom_a >= -_ROUNDING_A


@dataclass(frozen=True, slots=True)
class Violation:
    """A node that is not safe without control, in words."""

    node: str
    message: str


def proof(topology: Topology) -> tuple[ProofRow, ...]:
    """A row for every node and phase, the grid connection first."""
    return tuple(_row(topology, node, phase) for node in topology.nodes for phase in topology.grid.lines)


def violations(topology: Topology) -> tuple[Violation, ...]:
    """What makes the proof fail, with the numbers and a remedy; phases with the same numbers and EVSEs share one."""
    return (*_understated(topology), *_overloaded(topology))


def _overloaded(topology: Topology) -> Iterator[Violation]:
    failing = [row for row in proof(topology) if not row.holds]
    same = groupby(failing, key=lambda row: (row.node, row.base_a, row.limit_a, _loading(topology, row)))
    return (_violation(list(rows), evses) for (_, _, _, evses), rows in same)


def _understated(topology: Topology) -> Iterator[Violation]:
    """Base loads that are less than those of the circuits behind the same fuse: one of the two numbers is wrong."""
    for node in topology.nodes:
        behind_a = total(child.base_a for child in topology.children(node.id))
        for phase in PHASES:
            if behind_a[phase] > node.base_a[phase] + _ROUNDING_A:
                numbers = f"{node.base_a[phase]:g} A is less than the {behind_a[phase]:g} A of the circuits behind it"
                meaning = "it counts everything behind this fuse but the stations"
                yield Violation(node.id, f"{node.label} {PHASE_NAMES[phase]}: assumed base load {numbers}: {meaning}")


def _row(topology: Topology, node: Node, phase: int) -> ProofRow:
    fallback_a = topology.fallback_a(node.id)[phase]
    return ProofRow(node.id, node.label, PHASE_NAMES[phase], fallback_a, node.base_a[phase], node.limit_a[phase])


def _loading(topology: Topology, row: ProofRow) -> tuple[Evse, ...]:
    return topology.on_phase(row.node, PHASE_NAMES.index(row.phase))


def _violation(rows: Sequence[ProofRow], evses: Sequence[Evse]) -> Violation:
    row = rows[0]
    phases = ", ".join(row.phase for row in rows)
    sums = f"{_terms(evses)}{row.base_a:g} A base = {row.base_a + row.fallback_a:g} A > {row.limit_a:g} A"
    return Violation(row.node, f"{row.label} {phases}: {sums}: {_remedy(evses, row)}")


def _terms(evses: Sequence[Evse]) -> str:
    """For example "4 x 6 A + 1 x 10 A fallback + "."""
    counts = sorted(Counter(evse.fallback_a for evse in evses if evse.fallback_a).items())
    terms = " + ".join(f"{count} × {fallback_a:g} A" for fallback_a, count in counts)  # noqa: RUF001  (as people write)
    return f"{terms} fallback + " if counts else ""


def _remedy(evses: Sequence[Evse], row: ProofRow) -> str:
    """Which stations to pause so that it fits: the last ones of the file first."""
    if row.base_a > row.limit_a:
        return "the assumed base load alone is too much"
    last_first = [evse for evse in reversed(evses) if evse.fallback_a]
    freed_a = list(accumulate(evse.fallback_a for evse in last_first))
    count = next(n for n, freed in enumerate(freed_a, start=1) if row.headroom_a + freed >= -_ROUNDING_A)
    names = sorted({evse.id.station for evse in last_first[:count]})
    return f"lower fallback_a, or set it to 0 for {', '.join(names)}"
