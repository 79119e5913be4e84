"""The law of the product: with a steady building load, no sequence of events makes any node exceed its limit.

Random sites, cars, delays, sampling intervals, losses, refusals and reboots, in virtual time; at every half second
the true current at every node and phase is compared with the node's rating.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.site.virtual_site import Car, VirtualSite, topology

ROTATIONS = ("RST", "STR", "TRS", "RTS", "SRT", "TSR")


@st.composite
def sites(draw: st.DrawFn) -> VirtualSite:
    stations = draw(st.integers(2, 6))
    base_a = draw(st.sampled_from([0.0, 5.0, 12.5]))
    circuits = draw(st.sampled_from([None, {"west": 30.0, "east": 40.0}]))
    fuse_a = base_a + 6.0 * stations + draw(st.floats(0.0, 60.0))
    rotations = tuple(draw(st.lists(st.sampled_from(ROTATIONS), min_size=1, max_size=6)))
    site = VirtualSite(topology(fuse_a, stations, base_a=base_a, circuits=circuits, rotations=rotations))
    site.base = lambda _s: (base_a,) * 3
    for station in site.stations.values():
        station.answer_s = draw(st.sampled_from([0.5, 1.0, 3.0, 7.5]))
        station.sample_s = draw(st.sampled_from([5.0, 10.0, 60.0]))
    return site


CARS = st.builds(
    Car, phases=st.sampled_from([1, 2, 3]), max_a=st.sampled_from([10.0, 16.0, 32.0]), obey_s=st.sampled_from([0.5, 3.0, 8.0])
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["plug", "unplug", "lose", "back", "refuse", "obey", "run"]), st.integers(0, 5), CARS, st.integers(5, 90)),
    min_size=4,
    max_size=14,
)


def perform(site: VirtualSite, step: tuple[str, int, Car, int]) -> None:
    action, index, car, seconds = step
    id_ = list(site.stations)[index % len(site.stations)]
    station = site.stations[id_]
    match action:
        case "plug" if station.transaction is None and station.connected:
            site.plug(id_, car)
        case "unplug" if station.transaction is not None and station.connected:
            site.unplug(id_)
        case "lose" if station.connected:
            site.disconnect(id_)
        case "back" if not station.connected:
            site.connect(id_)
        case "refuse":
            station.refuses = station.fallback_a is not None
        case "obey":
            station.refuses = False
        case _:
            pass
    site.run(seconds)


def excess(site: VirtualSite) -> dict[str, float]:
    ratings = {node.id: node.rating_a for node in site.topology.nodes}
    return {id_: max(f - r for f, r in zip(flow, ratings[id_], strict=True)) for id_, flow in site.worst.items()}


@pytest.mark.requirement("LC-107", "LC-108", "LC-111")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(site=sites(), steps=STEPS)
def test_no_node_ever_exceeds_its_limit(site: VirtualSite, steps: list[Any]) -> None:
    site.connect()
    site.run(15)
    for step in steps:
        note(f"{site.now.monotonic_s}: {step}")
        perform(site, step)
    assert max(excess(site).values()) <= 1e-6, excess(site)
