"""Is a station whose limits outlast the gateway told no more than is safe without it?"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.site.lasting import lasting_caps_a
from local_controller.site.topology import Evse, Node, Station, Topology
from local_controller.station.words import BehaviourLearnt, EvseId
from tests.site.test_controller import settled
from tests.site.virtual_site import VirtualSite, topology

PHASES = st.sampled_from([(0, 1, 2), (1, 2, 0), (0,), (1,), (2,)])


@st.composite
def sites(draw: st.DrawFn) -> tuple[Topology, set[EvseId]]:
    """A sound site of two circuits, and which of its EVSEs obey their limits for long."""
    count = draw(st.integers(1, 6))
    evses = [
        Evse(
            EvseId(f"CP-{n}", 1),
            draw(st.sampled_from(["grid", "a"])),
            draw(PHASES),
            32.0,
            draw(st.sampled_from([0.0, 6.0])),
        )
        for n in range(count)
    ]
    base_a = draw(st.floats(0.0, 20.0))
    nodes = (
        Node("grid", "Grid", None, (base_a + 36.0 + draw(st.floats(0.0, 60.0)),) * 3, base_a=(base_a,) * 3),
        Node("a", "A", "grid", (36.0 + draw(st.floats(0.0, 30.0)),) * 3),
    )
    tree = Topology(nodes, tuple(Station(evse.id.station, evse.id.station, (evse,)) for evse in evses))
    return tree, set(draw(st.lists(st.sampled_from([evse.id for evse in evses]), unique=True)))


@given(sites())
@pytest.mark.requirement("LC-106", "LC-113")
def test_law_what_outlasts_the_gateway_and_all_fallbacks_fit_below_every_fuse(
    site: tuple[Topology, set[EvseId]],
) -> None:
    tree, lasting = site
    caps = lasting_caps_a(tree, lasting)
    assert caps.keys() == lasting
    assert all(caps[id_] >= tree.evse(id_).fallback_a for id_ in lasting)
    for node in tree.nodes:
        for phase in range(3):
            flows_a = node.base_a[phase] + sum(caps.get(e.id, e.fallback_a) for e in tree.on_phase(node.id, phase))
            assert flows_a <= node.limit_a[phase] + 1e-6


@pytest.mark.requirement("LC-113")
@pytest.mark.parametrize("lasts_s", [4380.0, math.inf])
def test_it_is_told_no_more_than_that_and_people_read_why(lasts_s: float) -> None:
    site = settled(VirtualSite(topology(22.0, 2, margin_a=0.0)))
    site.tell("CP-1", BehaviourLearnt(lasts_s=lasts_s))
    site.plug("CP-1")
    site.run(90)
    (cap_a,) = lasting_caps_a(site.topology, {EvseId("CP-1", 1)}).values()
    assert 6.0 < cap_a < 20.0
    assert max(limit_a for _, evse, limit_a in site.orders if evse.station == "CP-1") == pytest.approx(cap_a, abs=0.1)
    how_long = "for ever" if math.isinf(lasts_s) else "for 73 min"
    text = f"CP-1/1 obeys a limit {how_long}, also without the gateway: no more than {cap_a:.1f} A is safe then"
    assert text in site.controller.decisions[EvseId("CP-1", 1)].reasons


def test_what_lasts_no_longer_than_usual_is_nothing_special() -> None:
    site = settled(VirtualSite(topology(22.0, 2, margin_a=0.0)))
    site.tell("CP-1", BehaviourLearnt(lasts_s=120.0))
    site.plug("CP-1")
    site.run(90)
    assert max(limit_a for _, evse, limit_a in site.orders if evse.station == "CP-1") > 14.0
