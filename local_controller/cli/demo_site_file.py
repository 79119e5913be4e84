"""Which site file describes the simulated site? The same kind of file that an installer writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from local_controller.cli.demo_peers import HOST
from site_simulator.demo_site import SiteSpec
from site_simulator.outlet import StationSpec
from site_simulator.site import Node

BASE_A = {"grid": 40, "garage": 4, "yard": 4}
"""The building at its worst; the simulated loads stay below."""


def site_file(  # noqa: PLR0913 - five ports are five ports
    spec: SiteSpec,
    *,
    csms_url: str,
    meter_ports: Mapping[str, int],
    mqtt_port: int,
    gateway_port: int,
    web_port: int,
    mode: str,
) -> str:
    """The text of a site file for the simulated site."""
    grid, *circuits = spec.nodes
    return "\n".join(
        [
            "# The demonstration site: twelve simulated stations that want more than the fuses give.",
            f"site: {{name: Demonstration site, mode: {mode}}}",
            f"csms: {{url: {csms_url}}}",
            f"listen: {{host: {HOST}, port: {gateway_port}, allow_unsecured: true}}  # its stations have no passwords",
            f"web: {{host: {HOST}, port: {web_port}}}",
            "control: {margin_a: 2.0}",
            _grid_connection(grid),
            "circuits:",
            *(_circuit(node, spec.metered) for node in circuits),
            "meters:",
            *(_meter(node, port) for node, port in meter_ports.items()),
            f"brokers: [{{id: site, host: {HOST}, port: {mqtt_port}}}]",
            "limits:",
            f"  - {{id: grid-operator, broker: site, topic: {spec.limit_topic}, node: {spec.limit_node}, fallback_a: 80}}",
            "stations:",
            *(_station(station) for station in spec.stations),
            "",
        ]
    )


def _grid_connection(grid: Node) -> str:
    return (
        f"grid_connection: {{name: Main fuse, fuse_a: {grid.fuse_a:g}, fuse_type: gg, meter: {grid.name},"
        f" assumed_base_load_a: {BASE_A[grid.name]}}}"
    )


def _circuit(node: Node, metered: Iterable[str]) -> str:
    meter = f", meter: {node.name}" if node.name in metered else ""
    base_a = BASE_A[node.name]
    return (
        f"  - {{id: {node.name}, name: {node.name.title()}, fuse_a: {node.fuse_a:g}, fuse_type: gg"
        f"{meter}, assumed_base_load_a: {base_a}}}"
    )


def _meter(node: str, port: int) -> str:
    return f"  - {{id: {node}, device: eastron_sdm630, host: {HOST}, port: {port}, poll_s: 1.0}}"


def _station(station: StationSpec) -> str:
    rotation = f"{station.rotation}"
    return (
        f"  - {{id: {station.identity}, circuit: {station.circuit}, phases: {station.phases}, rotation: {rotation},"
        f" max_a: {station.max_a:g}, fallback_a: 6}}"
    )
