"""A car that ignores its limit: found out, paused, and where a limit is exceeded all the same, its session is stopped."""

from __future__ import annotations

from itertools import pairwise

import pytest

from local_controller.site.control_settings import ControlSettings
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo
from local_controller.site.per_phase import ZERO, equal
from local_controller.station import words
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


def overdrawing(sources: tuple[LimitSource, ...] = ()) -> VirtualSite:
    """A car that draws a quarter more than it is told, known for long, which does no harm; it would obey 0 A."""
    site = VirtualSite(topology(60.0, 3), sources)
    site.base = lambda second: equal(25.0) if 200 <= second < 240 else ZERO
    site.connect()
    site.run(15)
    site.plug("CP-1", car := Car(max_a=32.0))
    for number in (2, 3):
        site.plug(f"CP-{number}", Car(max_a=16.0))
    site.run(100)
    car.overdraw = 1.25
    return site


def test_a_moment_above_the_fuse_ends_no_session_that_was_never_told_to_pause() -> None:
    site = overdrawing()
    site.base = lambda second: equal(25.0) if 200 <= second < 240 else equal(40.0) if 600 <= second < 601.5 else ZERO
    site.run(600 - site.elapsed_s)
    site.run(100)
    assert site.stopped == []


def test_a_limit_that_drops_ends_no_session_that_was_never_told_to_pause() -> None:
    ems = LimitSource("ems", "EMS", "grid", AppliesTo.TOTAL, equal(20.0), ends_sessions=True)
    site = overdrawing((ems,))

    def tell(one: VirtualSite) -> None:
        if one.elapsed_s % 20 == 0:
            one.announce("ems", 24.0 if one.elapsed_s >= 600 else 60.0)

    site.on_step.append(tell)
    site.run(900 - site.elapsed_s)
    assert site.stopped == []
    assert max(site.flow("grid")) <= 24.0


@pytest.mark.requirement("LC-115")
@pytest.mark.parametrize("applies_to", list(AppliesTo))
@pytest.mark.parametrize(("limit_a", "power_w"), [(12.0, None), (None, 8000.0)], ids=["amperes", "watts"])
@pytest.mark.parametrize("obliges", [True, False], ids=["grid operator", "EMS"])
def test_whatever_obligation_is_exceeded_the_session_is_stopped_and_for_a_wish_it_is_not(
    applies_to: AppliesTo, limit_a: float | None, power_w: float | None, obliges: bool
) -> None:
    ems = LimitSource("ems", "EMS", "grid", applies_to, equal(6.0), ends_sessions=obliges)
    site = VirtualSite(topology(100.0, 2), (ems,))

    def tell(one: VirtualSite) -> None:
        if one.elapsed_s % 20 == 0:
            one.announce("ems", None) if one.elapsed_s < 200 else one.announce("ems", limit_a, power_w=power_w)

    site.on_step.append(tell)
    site.connect()
    site.run(15)
    site.plug("CP-1", Car(max_a=32.0))
    site.after(180.0, lambda: setattr(site.stations["CP-1"], "liar", True))
    site.run(260)
    if not obliges:
        assert site.stopped == []
        return
    ((stopped_s, evse, _),) = site.stopped
    assert evse == LIAR
    assert 225 <= stopped_s <= 250


def test_of_several_no_more_are_stopped_than_it_takes_and_those_who_draw_most() -> None:
    site = VirtualSite(topology(40.0, 3))
    site.base = lambda second: equal(33.4) if second >= 140 else ZERO
    site.connect()
    site.run(15)
    for number, most_a in enumerate((12.0, 6.5, 14.0), start=1):
        site.plug(f"CP-{number}", Car(max_a=most_a))
    site.run(120 - site.elapsed_s)
    for station in site.stations.values():
        station.liar = True
    site.run(120)
    assert [str(evse) for _, evse, _ in site.stopped] == ["CP-3/1", "CP-1/1"]
    assert max(site.flow("grid")) <= 40.0


def test_a_moment_above_the_fuse_ends_no_session_for_which_the_others_make_room() -> None:
    site = lied_to(fuse_a=47.2)
    site.base = lambda second: equal(25.0) if 200 <= second < 232 or 300 <= second < 306 else equal(15.0)
    site.run(95)
    assert 0.0 in [limit_a for at_s, _, limit_a in site.orders if at_s > 215]
    site.run(100)
    assert site.stopped == []


def test_a_slow_station_has_the_time_that_it_takes() -> None:
    site = lied_to()
    site.base = lambda second: equal(15.0) if second < 300 else equal(40.0)
    site.tell("CP-1", words.BehaviourLearnt(settle_s=60.0))
    site.run(300)
    ((stopped_s, _, _),) = site.stopped
    (paused_s, *_) = [at_s for at_s, _, limit_a in site.orders if limit_a == 0.0]
    assert paused_s + 60 <= stopped_s <= paused_s + 61


@pytest.mark.requirement("LC-115")
def test_a_car_that_is_told_less_and_less_is_found_out_all_the_same() -> None:
    site = lied_to()
    site.base = lambda second: equal(8.0 + 0.08 * max(0.0, second - 200))
    site.run(120)
    ((stopped_s, _, _),) = site.stopped
    assert stopped_s <= 265


@pytest.mark.parametrize("sample_s", [10.0, 60.0])
def test_where_no_meter_tells_the_station_must_have_measured_since(sample_s: float) -> None:
    ems = LimitSource("ems", "EMS", "grid", AppliesTo.CHARGING, equal(6.0), ends_sessions=True)
    site = VirtualSite(topology(100.0, 1), (ems,))
    site.on_step.append(
        lambda one: one.announce("ems", 32.0 if one.elapsed_s < 200 else 6.0) if one.elapsed_s % 20 == 0 else None
    )
    site.connect()
    site.run(15)
    site.plug("CP-1", Car(max_a=32.0))
    site.stations["CP-1"].sample_s = sample_s
    site.after(180.0, lambda: setattr(site.stations["CP-1"], "liar", True))
    paused: list[float] = []
    site.on_step.append(
        lambda one: paused.append(one.elapsed_s) if one.orders[-1:] and one.orders[-1][2] == 0.0 else None
    )
    site.run(400)
    ((stopped_s, _, _),) = site.stopped
    assert sample_s <= 10 or stopped_s - paused[0] > 20


def test_a_slow_station_has_its_time_anew_when_a_limit_is_exceeded_again() -> None:
    site = lied_to()
    site.base = lambda second: equal(15.0) if 200 <= second < 290 or second >= 500 else ZERO
    site.tell("CP-1", words.BehaviourLearnt(settle_s=60.0))
    site.run(650)
    ((stopped_s, _, _),) = site.stopped
    assert 560 <= stopped_s <= 562
