"""Which tree of fuses and EVSEs does a simulation see in a site file? Also with EVSEs that are not there yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from backtest.tree import Circuit, Kind, Outlet, Tree, tree
from local_controller.config.build import topology
from local_controller.config.models import SiteConfig
from local_controller.errors import LocalControllerError
from local_controller.site.topology import Node


def outlets(config: SiteConfig, more: int = 0, at: str | None = None) -> list[Outlet]:
    """The EVSEs of the site file, and so many more like its first one. at: the circuit of these; None: that of the first.

    LocalControllerError where there is no such circuit.
    """
    site = topology(config)
    there = [Outlet(str(evse.id), evse.node, evse.grid_phases, evse.max_a, evse.line_v) for evse in site.evses]
    circuit = there[0].circuit if at is None else at
    if circuit not in (known := [node.id for node in site.nodes]):
        raise LocalControllerError(f"--at {circuit}: the site file has no such circuit, but {', '.join(known)}")
    return [*there, *(_one_more(there[0], circuit, number, site.grid.lines) for number in range(more))]


def _one_more(first: Outlet, circuit: str, number: int, lines: tuple[int, ...]) -> Outlet:
    """Its phases are turned by one from each to the next, so that cars on one phase spread."""
    turn = number % len(lines)
    turned = lines[turn:] + lines[:turn]
    return Outlet(f"new-{number + 1}/1", circuit, turned[: len(first.phases)], first.max_a, first.volts)


def simulated(config: SiteConfig, evses: Sequence[Outlet], kinds: Iterable[tuple[str, Kind]] = ()) -> Tree:
    """The site as a network: fuses or the contract where that is lower, less assumed base loads and margins.

    Limits of others (clock, EMS, grid operator) have no history here and count for nothing.
    """
    site = topology(config)
    return tree([_circuit(node) for node in site.nodes], evses, kinds)


def _circuit(node: Node) -> Circuit:
    return Circuit(node.id, node.parent, node.limit_a, node.base_a, node.margin_a)


def named_as_in_file(name: str, evses: Sequence[Outlet]) -> str | None:
    """The id of an EVSE that a list of visits calls so: CP-7/1, or CP-7 where that station has one EVSE only."""
    known = {one.id for one in evses}
    of_station = [id_ for id_ in known if id_.rpartition("/")[0] == name]
    return name if name in known else of_station[0] if len(of_station) == 1 else None
