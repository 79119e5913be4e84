"""The laws of the product, searched for counterexamples in virtual time.

Safety: with a steady building load, no sequence of events makes any node exceed its fuse. Reaction: whatever building
and limits do, no node exceeds its limit for longer than stations and cars need to follow. Liveness: once the trouble is
over, everybody has what there is room for. Calm: nobody is ordered around.

Random sites, cars, delays, sampling intervals, losses, silences, refusals and reboots; at every half second the true
current at every node and phase is looked at.

An ordinary run tries the same sites every time, so that it says the same of the same code. A campaign (EFFORT=60) tries
others: none of 720 sites broke the first law, none of 480 the second. A car that comes before its slowest neighbours can have
made room again for the fallback of its socket does break the first, for as long as they need: the soak plays that, whose judge knows what
the goals allow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from local_controller.site.capacity import capacity, left
from local_controller.site.enforcement import Room as Enforced
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo, Limit
from local_controller.site.per_phase import on, total
from local_controller.site.wiring import STAR, Grid, GridSystem
from local_controller.station import words
from tests.effort import EFFORT
from tests.scenarios.site_events import TROUBLES, Room, csms_allows, perform
from tests.site.virtual_site import Car, Manner, VirtualSite, topology

ROTATIONS = ("RST", "STR", "TRS", "RTS", "SRT", "TSR", "R", "S", "T")
GRIDS = {
    STAR: ROTATIONS,
    Grid(GridSystem.SPLIT_PHASE, 120.0): ("R-S", "R", "S"),
    Grid(GridSystem.LINE_TO_LINE, 230.0): ("R-S", "S-T", "R-T", "RST"),
    Grid(GridSystem.THREE_PHASE_WYE, 120.0): ("R-S", "S-T", "R-T", "RST", "STR", "R", "T"),
}
SLACK = settings(
    deadline=None,
    derandomize=EFFORT == 1,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def sites(draw: st.DrawFn) -> VirtualSite:
    stations, evses = draw(st.sampled_from([(2, 1), (3, 1), (5, 1), (6, 1), (2, 2), (3, 2)]))
    base_a = draw(st.sampled_from([0.0, 5.0, 12.5]))
    circuits = draw(st.sampled_from([None, {"west": 30.0, "east": 40.0}]))
    circuit_base_a = draw(st.sampled_from([0.0, 6.0])) if circuits else 0.0
    grid = draw(st.sampled_from([STAR, *GRIDS]))
    is_usual = grid is STAR
    pairs = [one for one in GRIDS[grid] if "-" in one]
    between = {pair: draw(st.sampled_from([0.0, 7.5, 20.0])) for pair in pairs}
    between_a = max((sum(a for pair, a in between.items() if letter in pair) for letter in "RST"), default=0.0)
    fuse_a = base_a + between_a + 2 * circuit_base_a + 6.0 * stations * evses + draw(st.floats(0.0, 60.0))
    rotations = tuple(draw(st.lists(st.sampled_from(GRIDS[grid]), min_size=1, max_size=6)))
    kind, fallback_w = draw(st.sampled_from(AppliesTo)), draw(st.none() | st.floats(0.0, 30_000.0))
    source = LimitSource("ems", "EMS limit", "grid", kind, (fuse_a,) * 3, fallback_w=fallback_w if is_usual else None)
    site = VirtualSite(
        topology(
            fuse_a,
            stations,
            base_a=base_a + between_a + 2 * circuit_base_a,
            grid=grid,
            circuits=circuits,
            rotations=rotations,
            evses=evses,
            circuit_meters=bool(circuit_base_a) or draw(st.booleans()),
        ),
        (source,),
        fixed=()
        if not is_usual
        else draw(st.just(()) | st.tuples(contracts(base_a + 2 * circuit_base_a, rotations, stations, evses))),
    )
    site.volts_v, site.shows_volts = draw(st.sampled_from([225.0, 237.5, 253.0])), draw(st.booleans())
    site.volts_v *= grid.line_v / STAR.line_v
    site.base, site.between = lambda _s: on(grid.lines, base_a), between
    site.circuit_base = dict.fromkeys(circuits or (), on(grid.lines, circuit_base_a))
    for station in site.stations.values():
        station.answer_s = draw(st.sampled_from([0.5, 1.0, 3.0, 7.5]))
        station.sample_s = draw(st.sampled_from([5.0, 10.0, 60.0]))
        station.forgetful = draw(st.booleans())
        station.lag = 0.0 if is_usual else draw(st.sampled_from([0.0, 0.15, 0.4]))
    return site


@st.composite
def contracts(draw: st.DrawFn, base_a: float, rotations: tuple[str, ...], stations: int, evses: int) -> Limit:
    """A limit in watts that holds at all times: base load, fallbacks and something more fit into it, at 253 V."""
    phases = sum(evses * len(rotations[n % len(rotations)]) for n in range(stations))
    most_a = 3 * base_a + 6.0 * phases + draw(st.floats(0.0, 90.0))
    return Limit("grid", None, AppliesTo.TOTAL, "contract", power_w=most_a * 253.0)


CARS = st.builds(
    Car,
    phases=st.sampled_from([1, 2, 3]),
    max_a=st.sampled_from([10.0, 16.0, 32.0]),
    obey_s=st.sampled_from([0.5, 3.0, 8.0]),
)
ACTIONS = (
    "plug",
    "plug",
    "plug",
    "unplug",
    "swap",
    "lose",
    "back",
    "reboot",
    "rest",
    "resume",
    "run",
    "limit",
    "power",
    "lift",
    "pause",
    "pause",
    "free",
)


def steps(*actions: str) -> st.SearchStrategy[list[Any]]:
    one = st.tuples(st.sampled_from(actions), st.integers(0, 5), CARS, st.integers(1, 60))
    return st.lists(one, min_size=4, max_size=9)


def excess(site: VirtualSite) -> dict[str, float]:
    ratings = {node.id: node.rating_a for node in site.topology.nodes}
    return {id_: max(f - r for f, r in zip(flow, ratings[id_], strict=True)) for id_, flow in site.worst.items()}


def excess_w(site: VirtualSite) -> float:
    """Above what is fixed for all phases together."""
    return site.worst_w - site.fixed_w


def most_orders_a_minute(site: VirtualSite) -> int:
    """The most limits that one EVSE was sent in a minute."""
    times = [[at_s for at_s, evse, _ in site.orders if evse == e.id] for e in site.topology.evses]
    return max((sum(at <= t < at + 60 for t in own) for own in times for at in own), default=0)


@pytest.mark.requirement("LC-041", "LC-042", "LC-107", "LC-108", "LC-111", "LC-112")
@settings(SLACK, max_examples=12 * EFFORT)
@given(site=sites(), crowd=st.none() | CARS, timeline=steps(*ACTIONS, *TROUBLES))
def test_no_node_ever_exceeds_its_fuse_while_the_building_load_is_steady(
    site: VirtualSite, crowd: Car | None, timeline: list[Any]
) -> None:
    for _ in played(site, crowd, timeline):
        assert max(excess(site).values()) <= 1e-6, excess(site)
        assert excess_w(site) <= 1e-6
    assert most_orders_a_minute(site) <= 20


@pytest.mark.requirement("LC-108")
@settings(SLACK, max_examples=8 * EFFORT)
@given(site=sites(), crowd=st.none() | CARS, timeline=steps(*ACTIONS, *["hush", "speak"] * 4, "DEAF", "HONEST"))
def test_neither_does_it_while_stations_fall_silent_and_speak_again_and_then_all_goes_on(
    site: VirtualSite, crowd: Car | None, timeline: list[Any]
) -> None:
    """Whether such a station still obeys or not; when it speaks again, nothing is left of its silence."""
    for _ in played(site, crowd, timeline):
        assert max(excess(site).values()) <= 1e-6, excess(site)
    recover(site)
    for id_ in {station.evse.id.station for station in site.stations.values()}:
        site.tell(id_, words.SpokeAgain())
    site.run(480)
    assert not any(state.is_silent for state in site.controller.evses.values())
    assert not wasted_room(site)


def played(site: VirtualSite, crowd: Car | None, timeline: list[Any]) -> Iterator[Any]:
    """Begins, and plays step after step; each is told when it is over."""
    begin(site, crowd)
    for step in timeline:
        note(f"{site.now.monotonic_s}: {step}")
        perform(site, step)
        yield step


def begin(site: VirtualSite, crowd: Car | None) -> None:
    """Everybody is connected; with a crowd, the site is as full as it gets."""
    site.connect()
    site.run(15)
    if crowd is not None:
        for name in site.stations:
            site.plug(name, replace(crowd))
        site.run(60)


def recover(site: VirtualSite) -> None:
    """All trouble ends: everybody is connected, honest and awake, and no limit is announced any more."""
    for station in site.stations.values():
        station.manner = Manner.HONEST
        if station.car is not None:
            station.car.paused = False
        csms_allows(site, station, None)
    for id_ in sorted({s.evse.id.station for s in site.stations.values() if not s.connected}):
        site.connect(id_)


def unused_room(site: VirtualSite) -> dict[str, float]:
    """For every session that could take more: the room that the controller itself sees on its way, in A."""
    core = site.controller
    drawn = {
        id_: total(core.evses[e.id].exposure(site.now) for e in site.topology.evses_below(id_)) for id_ in core.nodes
    }
    room = left((capacity(state, core.book, site.now) for state in core.nodes.values()), drawn)
    most_a = {station.evse.id: station.car.max_a for station in site.stations.values() if station.car is not None}
    return {
        str(evse_id): Enforced(room, dict.fromkeys(core.nodes, "")).scarcest(
            site.topology.path(evse_id), state.phases()
        )[0]
        for evse_id, state in core.evses.items()
        if state.session is not None and state.ordered_a < min(state.evse.max_a, most_a.get(evse_id, math.inf)) - 0.5
    }


def wasted_room(site: VirtualSite) -> dict[str, float]:
    """Of it what could be used: a paused car needs its minimum."""
    wasted = {id_: left_a for id_, left_a in unused_room(site).items() if left_a > 2.5}
    paused = {id_ for id_ in wasted if site.controller.evses[_evse(site, id_)].ordered_a == 0.0 and wasted[id_] < 6.1}
    return {id_: left_a for id_, left_a in wasted.items() if id_ not in paused}


@pytest.mark.requirement("LC-113")
@settings(SLACK, max_examples=5 * EFFORT)
@given(site=sites(), crowd=st.none() | CARS, timeline=steps(*ACTIONS, *TROUBLES))
def test_when_the_trouble_is_over_no_room_is_left_unused(
    site: VirtualSite, crowd: Car | None, timeline: list[Any]
) -> None:
    for _ in played(site, crowd, timeline):
        pass
    recover(site)
    site.run(480)
    assert not wasted_room(site)
    before = len(site.orders)
    site.run(90)
    renewals = 3 * len(site.stations)  # two in 90 s, and a step
    assert len(site.orders) - before <= renewals


def _evse(site: VirtualSite, text: str) -> Any:
    return next(e.id for e in site.topology.evses if str(e.id) == text)


@pytest.mark.requirement("LC-109", "LC-116")
@settings(SLACK, max_examples=6 * EFFORT)
@given(
    site=sites(),
    crowd=st.none() | CARS,
    timeline=steps("plug", "plug", "plug", "unplug", "rest", "resume", "limit", "power", "lift", "base", "base"),
)
def test_cars_never_take_more_than_there_was_room_for_when_they_last_could_react(
    site: VirtualSite, crowd: Car | None, timeline: list[Any]
) -> None:
    room, base_a = Room(site), list(site.base(0.0))
    site.on_step.append(room.look)
    begin(site, crowd)
    for step in timeline:
        note(f"{site.now.monotonic_s}: {step}")
        if step[0] == "base":
            base_a[step[1] % 3] = step[3] / 3.0
            site.base = lambda _s, now_a=tuple(base_a): now_a
        perform(site, step)
    assert room.worst_a <= 1e-6
    assert room.worst_w <= 1e-6
