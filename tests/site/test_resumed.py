"""Does a gateway that takes over leave cars what they have, as long as the meter shows that it fits?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from local_controller.station import words
from local_controller.station.words import MeterSample
from tests.site.virtual_site import Car, VirtualSite, topology

FUSE_A, BASE_A, HELD_A = 70.0, 10.0, 12.0


def taken_over(sample_s: float = 10.0, held_a: float = HELD_A, asymmetry_a: float | None = None) -> VirtualSite:
    """Four cars charge on under limits of an earlier run; each station tells of its own with its next sample."""
    tree = topology(FUSE_A, 4, base_a=BASE_A, margin_a=1.4)
    site = VirtualSite(replace(tree, nodes=(replace(tree.root, asymmetry_a=asymmetry_a),)))
    site.base = lambda _s: (BASE_A,) * 3
    for number, (id_, station) in enumerate(site.stations.items()):
        station.car, station.transaction, station.fallback_a = Car(), f"tx-{id_}", 6.0
        station.working, station.pwm_a = (held_a, site.now.monotonic_s + 60.0), held_a
        station.sample_s, station.next_sample_s = sample_s, float("inf")
        site.after(6.0 + number * sample_s / 4, lambda id_=id_: tell_of_its_car(site, id_))
    site.after(2.0, lambda: site.connect(boot=False))
    return site


def tell_of_its_car(site: VirtualSite, id_: str) -> None:
    """One message of the station shows the transaction and what it draws."""
    station = site.stations[id_]
    assert station.transaction
    found = words.TransactionStarted(1, station.transaction, is_found=True)
    site.carry_out(site.controller.station_changed(id_, found, site.now))
    site.tell(id_, words.Measured(1, MeterSample(station.draw_a())))
    station.next_sample_s = site.now.monotonic_s + station.sample_s


@pytest.mark.requirement("LC-108")
@pytest.mark.parametrize("sample_s", [5.0, 10.0, 30.0])
def test_no_car_is_lowered_because_the_meter_shows_it_before_its_station_does(sample_s: float) -> None:
    site, lowest_a = taken_over(sample_s), [HELD_A]
    site.on_step.append(lambda site: lowest_a.append(min(site.drawn())))
    site.run(150)
    assert min(lowest_a) == HELD_A
    assert site.drawn() == pytest.approx([14.6] * 4, abs=0.3), "what is free is given once all is known"
    assert max(site.worst["grid"]) <= FUSE_A


def test_no_car_is_lowered_while_the_meter_shows_that_the_phases_are_even_enough() -> None:
    site, lowest_a = taken_over(asymmetry_a=20.0), [HELD_A]
    site.stations["CP-1"].car = Car(phases=1)
    site.on_step.append(lambda site: lowest_a.append(min(site.drawn())))
    site.run(150)
    assert min(lowest_a) == HELD_A


@pytest.mark.requirement("LC-107", "LC-108")
def test_where_the_meter_shows_too_much_they_are_lowered_at_once() -> None:
    site = taken_over()
    site.run(14)
    site.base = lambda _s: (BASE_A + 15.0,) * 3
    site.run(8)
    assert max(site.flow("grid")) <= FUSE_A
    site.run(150)
    assert max(site.flow("grid")) == pytest.approx(FUSE_A - 1.4, abs=0.5)


@pytest.mark.requirement("LC-108")
def test_a_limit_that_sank_meanwhile_holds() -> None:
    site = taken_over(held_a=18.0)  # 82 A: the earlier run had room for that, this one has not
    site.run(25)
    assert max(site.flow("grid")) <= FUSE_A
