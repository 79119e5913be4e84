"""Nothing is told to anybody: what would the site have done, and what does it show of what really flows?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.site.dimming import Power, drawn_power
from local_controller.site.effects import ApplyFallback, ApplyLimit, Disobeyed
from local_controller.site.limit_book import LimitBook
from local_controller.site.observing import Observation
from local_controller.site.per_phase import equal, minus
from local_controller.site.readings import MeterReading
from local_controller.site.snapshot import snapshot
from local_controller.site.topology import Topology
from local_controller.station import words
from local_controller.station.words import EvseId, LimitKind, LimitOutcome, MeterSample, Phase
from tests.site.virtual_site import START, Car, VirtualSite, topology


class ObservedSite(VirtualSite):
    """Cars draw what they want; whoever is told something is the observation."""

    def __init__(self, topo: Topology) -> None:
        super().__init__(topo)
        self.observation = Observation(topo, self.controller.book, self.now)

    def tell(self, id_: str, fact: Any) -> None:
        super().tell(id_, self.observation.told(id_, fact, self.now))

    def _reading(self, meter: str, node: str) -> MeterReading:
        reading, notices = self.observation.read(super()._reading(meter, node), self.now)
        self.notices += notices
        return reading

    def _fallback(self, effect: ApplyFallback) -> None:
        self._obeyed(effect)

    def _limit(self, effect: ApplyLimit) -> None:
        self._obeyed(effect)

    def _obeyed(self, effect: ApplyLimit | ApplyFallback) -> None:
        for answer in self.observation.obeyed(effect):
            super().tell(effect.evse.station, answer)

    def picture(self) -> dict[str, Any]:
        return self.observation.corrected(snapshot(self.controller, self.now), self.now).as_json()


def crowded(site: VirtualSite) -> VirtualSite:
    """Two cars that want 32 A each behind a fuse of 40 A."""
    site.connect()
    site.run(15)
    for id_ in ("CP-1", "CP-2"):
        site.plug(id_, Car(max_a=32.0))
        site.run(40)
    site.run(120)
    return site


def test_nobody_is_lowered_and_the_page_says_what_that_costs() -> None:
    site = ObservedSite(topology(40.0, 2))
    site.shows_volts = True
    crowded(site)
    assert site.flow("grid") == equal(64.0)
    picture = site.picture()
    (grid,) = picture["nodes"]
    assert (grid["measured_a"], grid["worst_excess_a"]) == (equal(64.0), 24.0)
    assert grid["measured_w"] == 3 * 64 * 230
    assert grid["longest_excess_s"] > 100
    assert (grid["asymmetry_a"], grid["asymmetry_worst_excess_a"]) == (0.0, None)
    assert (grid["limit_worst_excess_a"], grid["limit_longest_excess_s"]) == (24.0, grid["longest_excess_s"])
    for evse in picture["evses"]:
        assert evse["measured_a"] == equal(32.0)
        assert evse["limit_a"] == pytest.approx(19.5, abs=0.2)
        assert evse["above_limit"]["worst_a"] >= 12.0
        assert evse["above_limit"]["seconds"] > 60
        assert evse["above_limit"]["kwh"] > 0.1
        assert "Grid fuse" in evse["reasons"][0]
    assert picture["meters"][0]["current_a"] == equal(64.0)
    assert picture["observed_since"] == START.utc.isoformat(timespec="milliseconds")
    assert [n for n in site.notices if n.code == "overload" and "nobody lowers the cars in observe mode" in n.text]
    assert not [n for n in site.notices if n.code in {"limit_ignored", "meter_shows_feed_in"}]


def test_how_uneven_the_phases_really_are_stands_beside_it() -> None:
    tree = topology(40.0, 2, rotations=("R",))
    (grid,) = tree.nodes
    site = ObservedSite(replace(tree, nodes=(replace(grid, asymmetry_a=20.0),)))
    crowded(site)
    (node,) = site.picture()["nodes"]
    assert (node["asymmetry_a"], node["asymmetry_worst_excess_a"]) == (64.0, 44.0)


def test_what_is_recorded_of_a_dimming_is_what_really_flows() -> None:
    site = ObservedSite(topology(40.0, 2))
    site.shows_volts = True
    crowded(site)
    believed = drawn_power(site.controller.evses.values(), site.controller.nodes["grid"], site.now)
    assert believed.charging_w < 30_000
    recorded = site.observation.power(believed)
    assert (recorded.charging_w, recorded.grid_w) == (3 * 64 * 230, 3 * 64 * 230)
    assert site.observation.power(Power(0.0)).grid_w is None  # the meter is silent


def test_what_the_cars_would_be_told_is_what_they_are_told_where_the_site_controls() -> None:
    observed, controlled = crowded(ObservedSite(topology(40.0, 2))), crowded(VirtualSite(topology(40.0, 2)))

    def latest_a(site: VirtualSite) -> dict[EvseId, float]:
        return {evse: limit_a for _, evse, limit_a in site.orders}

    assert latest_a(observed) == pytest.approx(latest_a(controlled), abs=0.5)


def test_in_the_world_where_cars_follow_the_fuse_holds_once_they_are_measured() -> None:
    site = ObservedSite(topology(40.0, 2))
    crowded(site)
    site.controller.nodes["grid"].over_fuse.worst_a = 0.0
    site.run(120)
    (grid,) = site.picture()["nodes"]
    assert grid["if_controlled"]["worst_excess_a"] == 0.0
    assert max(grid["if_controlled"]["measured_a"]) <= 40.0


def test_a_car_that_wants_no_more_than_its_share_costs_nothing() -> None:
    site = ObservedSite(topology(80.0, 2))
    site.connect()
    site.run(15)
    site.plug("CP-1", Car(max_a=16.0))
    site.run(300)
    first = next(evse for evse in site.picture()["evses"] if evse["id"] == "CP-1/1")
    assert first["measured_a"] == equal(16.0)
    assert first["above_limit"]["seconds"] <= 40.0  # until it was raised from its fallback into proven room
    withheld_kwh = first["above_limit"]["kwh"]
    site.run(300)
    assert next(e for e in site.picture()["evses"] if e["id"] == "CP-1/1")["above_limit"]["kwh"] == withheld_kwh


def test_a_car_that_rests_between_two_samples_feeds_nothing_in() -> None:
    site = ObservedSite(topology(40.0, 2))
    site.base = lambda _s: equal(5.0)
    crowded(site)
    for id_ in ("CP-1", "CP-2"):
        station = site.stations[id_]
        assert station.car is not None
        station.car.paused = station.silent_meter = True
        site.tell(id_, words.TransactionUpdated(1, str(station.transaction), words.ChargingState.SUSPENDED_EV))
    withheld_kwh = site.picture()["evses"][0]["above_limit"]["kwh"]
    site.run(120)
    picture = site.picture()
    assert picture["nodes"][0]["if_controlled"]["measured_a"] == picture["nodes"][0]["measured_a"] == equal(5.0)
    assert picture["evses"][0]["measured_a"] == equal(32.0)  # what was measured last stays that, and ages
    assert picture["evses"][0]["above_limit"]["kwh"] == withheld_kwh
    assert not [notice for notice in site.notices if notice.code == "meter_shows_feed_in"]
    assert site.observation.power(Power(0.0)).charging_w == 0.0


def test_the_totals_of_an_evse_go_on_with_its_next_car() -> None:
    site = ObservedSite(topology(20.0, 1))
    site.connect()
    site.run(15)
    totals = []
    for _ in range(2):
        site.plug("CP-1", Car(max_a=32.0))
        site.run(120)
        site.unplug("CP-1")
        site.run(30)
        totals.append(site.picture()["evses"][0]["above_limit"]["kwh"])
    assert totals[1] == pytest.approx(2 * totals[0], rel=0.2)
    assert site.picture()["evses"][0]["measured_a"] is None


ONE = topology(63.0, 1)
EVSE = EvseId("CP-1", 1)
METER = str(ONE.root.meter)
NO_LIMITS = LimitBook(())


def test_a_station_that_is_not_there_any_more_answers_nothing_else() -> None:
    observation = Observation(ONE, NO_LIMITS, START)
    assert observation.obeyed(Disobeyed(EVSE, 20.0)) == []
    (kept,) = observation.obeyed(ApplyFallback(EVSE, 6.0))
    assert (kept.kind, kept.outcome, kept.limit_a) == (LimitKind.FALLBACK, LimitOutcome.ACCEPTED, 6.0)
    answers = observation.obeyed(ApplyLimit(EVSE, 9.0, 90.0, urgent=True))
    assert [one.outcome for one in answers] == [LimitOutcome.SENT, LimitOutcome.ACCEPTED]


amperes = st.floats(-16.0, 40.0)


@given(st.lists(amperes, min_size=3, max_size=3), st.floats(0, 40), st.floats(0, 400), st.booleans())
def test_the_meter_shows_less_by_what_is_above_the_limit_and_nothing_else(
    drawn: list[float], limit_a: float, age_s: float, is_told: bool
) -> None:
    observation, now = Observation(ONE, NO_LIMITS, START), START.after(age_s)
    observation.told("CP-1", words.TransactionStarted(1, "t"), START)
    if is_told:
        observation.obeyed(ApplyLimit(EVSE, limit_a, 90.0, urgent=False))
    limit_a = limit_a if is_told else 6.0
    fact = observation.told(
        "CP-1", words.Measured(1, MeterSample(dict(zip(Phase, drawn, strict=True)), power_w=100.0)), START
    )
    assert isinstance(fact, words.Measured)
    left = [min(one, limit_a) for one in drawn]
    assert list(fact.sample.current_a.values()) == left
    watts = 100.0 * max(0.0, sum(left)) / sum(drawn) if sum(drawn) > 0 else 100.0
    assert fact.sample.power_w == pytest.approx(watts)
    real = MeterReading(METER, now, equal(30.0), equal(230.0), 20_700.0, None, equal(6_900.0))
    shown, _ = observation.read(real, now)
    above = [max(0.0, one - limit_a) if age_s <= 150.0 else 0.0 for one in drawn]
    assert minus(real.current_a, shown.current_a) == pytest.approx(tuple(above))
    assert shown.phase_power_w is not None
    assert minus(equal(6_900.0), shown.phase_power_w) == pytest.approx(tuple(230.0 * one for one in above))
    assert (
        shown == real
        or replace(shown, current_a=real.current_a, power_w=real.power_w, phase_power_w=equal(6_900.0)) == real
    )
