"""Does a car get nothing, or at least what its CSMS's profile wants for it? (minChargingRate, LC-110)"""

from __future__ import annotations

from datetime import timedelta

import pytest

from local_controller.profiles.schedule import Schedule
from local_controller.station.effects import CsmsLimitChanged
from tests.site.test_controller import settled
from tests.site.virtual_site import VirtualSite, topology

pytestmark = pytest.mark.requirement("LC-110")


def least_of(site: VirtualSite, least_a: float, limit_a: float = 32.0) -> None:
    """The CSMS's profile for CP-1 says so."""
    hour_ago = site.now.utc - timedelta(hours=1)
    site.tell("CP-1", CsmsLimitChanged(1, Schedule.constant(limit_a, hour_ago), least_a))


@pytest.mark.parametrize(("fuse_a", "shares_a"), [(20.0, [12.0, 7.0]), (31.0, [15.0, 15.0])])
def test_a_car_gets_at_least_what_its_csms_wants_for_it(fuse_a: float, shares_a: list[float]) -> None:
    site = settled(VirtualSite(topology(fuse_a, 2)))
    least_of(site, 12.0)
    site.plug("CP-1")
    site.plug("CP-2")
    site.run(180)
    assert site.drawn() == pytest.approx(shares_a, abs=0.3)
    assert max(site.worst["grid"]) <= fuse_a


def test_or_it_gets_nothing() -> None:
    site = settled(VirtualSite(topology(12.5, 1)))
    least_of(site, 12.0)
    site.plug("CP-1")
    site.run(60)
    drawn: list[float] = []
    site.on_step.append(lambda at: drawn.append(at.drawn()[0]))
    site.run(120)
    assert set(drawn) == {0.0}, "11.5 A are left, and it was to have 12"
    least_of(site, 11.0)
    site.run(360)
    assert site.drawn() == pytest.approx([11.5], abs=0.3)


def test_a_minimum_above_the_limit_itself_is_no_reason_to_give_nothing() -> None:
    site = settled(VirtualSite(topology(30.0, 1)))
    least_of(site, 12.0, limit_a=10.0)
    site.plug("CP-1")
    site.run(120)
    assert site.drawn() == pytest.approx([10.0], abs=0.3)


def test_nor_is_one_that_a_station_without_a_meter_cannot_be_granted() -> None:
    site = settled(VirtualSite(topology(30.0, 1)))
    site.stations["CP-1"].silent_meter = True
    least_of(site, 12.0)
    site.plug("CP-1")
    site.run(300)
    assert site.drawn() == pytest.approx([6.0], abs=0.3)
