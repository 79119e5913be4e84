"""What does a limit in watts leave to cars? It is one on the sum of the phases, and a car loads one, two or three."""

from __future__ import annotations

import pytest

from local_controller.site.base_load import BaseLoad
from local_controller.site.capacity import capacity
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo, Limit, PowerCeiling
from local_controller.site.observing import Observation
from local_controller.site.readings import MeterReading
from local_controller.site.snapshot import snapshot
from local_controller.site.together import Together
from local_controller.site.topology import Topology
from local_controller.station.words import EvseId
from tests.site.virtual_site import Car, Manner, VirtualSite, topology

ONE_PHASE = ("R",)


def powered(
    power_w: float,
    applies_to: AppliesTo = AppliesTo.CHARGING,
    *,
    tree: Topology | None = None,
    shows_volts: bool = True,
) -> VirtualSite:
    """A site with a fixed limit in watts."""
    limit = Limit("grid", None, applies_to, "grid operator", power_w=power_w)
    site = VirtualSite(tree or topology(63.0, 1, rotations=ONE_PHASE), fixed=(limit,))
    site.shows_volts = shows_volts
    site.connect()
    site.run(15)
    return site


def plugged(site: VirtualSite, *phases: int, seconds: float = 120.0) -> list[float]:
    """What cars with so many phases draw after a while, amperes per phase."""
    for name, count in zip(site.stations, phases, strict=True):
        site.plug(name, Car(phases=count))
    site.run(seconds)
    return site.drawn()


@pytest.mark.parametrize(
    ("volts_v", "shows_volts", "drawn_a"), [(230.0, True, 18.2), (240.0, True, 17.5), (230.0, False, 16.6)]
)
def test_a_single_phase_car_gets_all_of_the_power(volts_v: float, shows_volts: bool, drawn_a: float) -> None:
    site = powered(4200.0, shows_volts=False)
    site.volts_v, site.shows_volts = volts_v, shows_volts
    site.run(2)
    assert plugged(site, 1) == pytest.approx([drawn_a], abs=0.3), "but for steps that are not worth a message"
    assert site.worst_w <= 4200.0


def test_each_phase_of_a_car_counts() -> None:
    site = powered(11_000.0, tree=topology(63.0, 2))
    assert plugged(site, 3, 1) == pytest.approx([11.9, 11.9], abs=0.3)  # 47.8 A over four phases
    assert site.worst_w <= 11_000.0


def test_what_is_too_little_for_three_phases_is_given_to_one() -> None:
    site = powered(4200.0, tree=topology(63.0, 2, rotations=("RST", "S")))
    site.volts_v = 240.0
    three, one = plugged(site, 3, 1)
    assert (three, one) == (0.0, pytest.approx(17.5, abs=0.5))


def test_amperes_and_watts_of_one_source_hold_together() -> None:
    source = LimitSource("ems", "EMS limit", "grid", AppliesTo.CHARGING, (32.0,) * 3, fallback_w=4600.0)
    site = VirtualSite(topology(63.0, 1, rotations=ONE_PHASE), (source,))
    site.shows_volts = True
    site.connect()
    site.run(15)
    assert plugged(site, 1) == [20.0], "its fallback, at 230 V"
    site.announce("ems", 12.0, power_w=11_000.0)
    site.run(20)
    assert site.drawn() == [12.0]
    site.announce("ems", 32.0, power_w=2300.0)
    site.run(20)
    assert site.drawn() == [10.0]
    site.run(120)
    assert site.drawn() == [20.0], "silent: its fallback again"


@pytest.mark.requirement("LC-109")
def test_what_one_phase_feeds_in_another_may_draw_under_a_limit_in_watts_but_not_under_a_fuse() -> None:
    site = powered(4600.0, AppliesTo.TOTAL, tree=topology(25.0, 1))
    site.base = lambda _s: (-20.0, 4.0, 4.0)
    site.run(5)
    (drawn_a,) = plugged(site, 3, seconds=200)
    assert drawn_a == pytest.approx((20.0 + 12.0 - 3.0) / 3, abs=0.3)  # 3 A of margin
    site.base = lambda _s: (0.0, 4.0, 4.0)
    site.run(15)
    assert sum(site.flow("grid")) * 230.0 <= 4600.0
    site.base = lambda _s: (-60.0, 4.0, 4.0)
    site.run(200)
    assert site.drawn()[0] == pytest.approx(20.0, abs=0.3), "25 A fuse, 4 A other loads, 1 A margin"


def test_other_loads_that_nothing_measures_count_as_assumed() -> None:
    site = powered(9200.0, AppliesTo.TOTAL, tree=topology(63.0, 1, base_a=5.0))
    assert plugged(site, 3)[0] > 11.0
    site.go_blind(100)
    site.run(60)
    assert site.drawn() == [6.0], "a blind node grants fallbacks"
    (together,) = capacity(site.controller.nodes["grid"], site.controller.book, site.now).watts
    assert (together.volts_v, together.base_a) == (pytest.approx(253.0), 15.0)


def test_a_station_that_is_lost_counts_on_all_its_phases() -> None:
    site = powered(9000.0, tree=topology(63.0, 2))
    assert plugged(site, 3, 3) == pytest.approx([6.5, 6.5], abs=0.1)
    site.disconnect("CP-1")
    site.run(300)
    assert site.drawn() == pytest.approx([6.0, 7.0], abs=0.5)
    assert site.controller.nodes["grid"].held_because((0,), site.now) == ""
    assert site.worst_w <= 9000.0


def test_a_car_that_ignores_its_limit_takes_the_power_of_the_others() -> None:
    site = powered(9000.0, tree=topology(63.0, 2, rotations=ONE_PHASE))
    plugged(site, 1, 1)
    site.stations["CP-1"].manner = Manner.DEAF
    site.run(60)
    assert sum(site.drawn()) * 230.0 <= 9000.0


def test_what_a_liar_takes_others_make_room_for_before_it_is_found_out() -> None:
    """The building takes 3 kW more; one of two cars ignores what it is told for that, and stations measure once a minute."""
    site = powered(16_000.0, AppliesTo.TOTAL, tree=topology(63.0, 2))
    site.base = lambda second: (6.0, 6.0, 6.0) if second >= 200 else (2.0, 2.0, 2.0)
    for station in site.stations.values():
        station.sample_s = 60.0
    plugged(site, 3, 3, seconds=170)
    site.stations["CP-1"].liar = True
    site.run(200 + 15 + 12 - site.elapsed_s)
    assert sum(site.flow("grid")) <= 16_000.0 / 230.0 + site.controller.settings.pace.tolerance_a
    assert not site.controller.evses[EvseId("CP-1", 1)].ignores_its_limit


@pytest.mark.parametrize("is_observed", [False, True])
def test_how_much_a_limit_in_watts_was_exceeded_is_told_in_amperes_on_each_phase(is_observed: bool) -> None:
    site = powered(4140.0, AppliesTo.TOTAL)
    seen = Observation(site.topology, site.controller.book, site.now)
    reading = MeterReading("m", site.now, (0.0, 0.0, 30.0), (230.0,) * 3, 6900.0)
    site.controller.meter_read(reading, site.now)
    seen.read(reading, site.now)
    picture = snapshot(site.controller, site.now)
    (node,) = (seen.corrected(picture, site.now) if is_observed else picture).nodes
    assert node.limit_worst_excess_a == 4.0
    assert node.worst_excess_a == 0.0


def test_people_read_how_many_amperes_the_watts_are() -> None:
    site = powered(4200.0)
    plugged(site, 1)
    text = "grid operator 4200 W / 230 V: 18.3 A over all phases"
    (node,) = snapshot(site.controller, site.now).nodes
    assert (node.charging_power_limit_w, node.power_limit_w, node.power_for_cars) == (4200.0, None, text)
    assert node.measured_w == pytest.approx(site.drawn()[0] * 230.0)
    assert any(text in reason for reason in site.controller.decisions[EvseId("CP-1", 1)].reasons)


def test_the_arithmetic_of_a_limit_on_all_that_flows() -> None:
    together = Together(AppliesTo.TOTAL, PowerCeiling(11_500.0, "EMS"), 230.0, -4.0, 3.0)
    assert together.available_a == pytest.approx(51.0)
    assert together.sentence() == "EMS 11500 W / 230 V: 50.0 A over all phases - -4.0 A other loads - 3.0 A margin"


def test_the_highest_voltage_of_a_minute_counts_so_that_noise_moves_nothing() -> None:
    site = powered(4200.0)
    plugged(site, 1)
    before = len(site.orders)
    for second in range(50):
        site.volts_v = 230.0 + 0.5 * (second % 2)
        site.run(1)
    assert len(site.orders) - before <= 3, "one step, and renewals"
    site.volts_v = 245.0
    site.run(5)
    assert site.worst_w / 245.0 <= 18.2
    assert site.drawn() == [17.1]


def test_the_sum_of_other_loads_may_be_negative() -> None:
    load = BaseLoad(lowest_a=(-1000.0,) * 3)
    site = powered(4200.0)
    assert load.update((-30.0,) * 3, (10.0,) * 3, (10.0,) * 3, site.now) == (-40.0,) * 3
