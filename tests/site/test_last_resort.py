"""A car that ignores its limit: found out, paused, and where a limit is exceeded all the same, its session is stopped."""

from __future__ import annotations

from itertools import pairwise

import pytest

from local_controller.site.controller import ControlSettings
from local_controller.site.per_phase import ZERO, equal
from local_controller.station.words import EvseId
from tests.site.virtual_site import Car, VirtualSite, topology

LIAR = EvseId("CP-1", 1)


def lied_to(others: int = 0, settings: ControlSettings | None = None, *, fuse_a: float = 40.0) -> VirtualSite:
    """A car at 32 A whose station ignores everything from now on, and a building that takes 15 A more."""
    site = VirtualSite(topology(fuse_a, 1 + others), settings=settings)
    site.base = lambda second: equal(15.0) if second >= 200 else ZERO
    site.connect()
    site.run(15)
    site.plug("CP-1", Car(max_a=32.0))
    for number in range(others):
        site.plug(f"CP-{number + 2}", Car(max_a=16.0))
    site.run(180 - site.elapsed_s)
    site.stations["CP-1"].liar = True
    site.run(200 - site.elapsed_s)
    return site


@pytest.mark.requirement("LC-115")
def test_where_the_fuse_is_exceeded_it_is_paused_and_then_stopped_within_the_time_of_the_follow_up() -> None:
    site = lied_to()
    site.run(90)
    assert site.flow("grid") == equal(15.0)
    (stopped,) = site.stopped
    assert (stopped[1], stopped[2]) == (LIAR, "tx-CP-1-1015")
    assert 230 <= stopped[0] <= 242  # 30 s after it was lowered, and until the next sample (G14)
    assert [limit_a for at_s, evse, limit_a in site.orders if evse == LIAR and at_s > 215][-1] == 0.0
    (notice,) = [one for one in site.notices if one.code == "session_stopped"]
    assert "CP-1/1 draws 32.0 A although it was told 0.0 A, and Grid is above its limit" in notice.text
    assert "(1 of at most 3 attempts)" in notice.text


def test_where_the_others_make_room_enough_nobody_is_stopped() -> None:
    site = lied_to(others=2, fuse_a=60.0)
    site.run(300)
    assert site.stopped == []
    assert max(site.flow("grid")) <= 60.0
    assert site.stations["CP-1"].draw_a()


@pytest.mark.requirement("LC-115")
def test_a_station_that_does_not_stop_is_asked_three_times() -> None:
    site = lied_to()
    site.stations["CP-1"].stops = False
    site.run(400)
    times = [at_s for at_s, _, _ in site.stopped]
    assert len(times) == 3
    assert all(later - earlier >= 30 for earlier, later in pairwise(times))


def test_a_site_may_do_without_that() -> None:
    site = lied_to(settings=ControlSettings(stops_sessions=False))
    site.run(300)
    assert site.stopped == []
    assert site.orders[-1][2] == 0.0


def test_a_car_that_follows_late_is_stopped_by_nobody() -> None:
    site = lied_to()
    site.after(18.0, lambda: setattr(site.stations["CP-1"], "liar", False))
    site.run(200)
    assert site.stopped == []
    assert site.flow("grid")[0] <= 40.0
