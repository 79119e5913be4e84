"""A site, a timeline of facts, and what really flows: the controller against physics in virtual time."""

from __future__ import annotations

import math
from datetime import UTC, time, timedelta

import pytest

from local_controller.profiles.schedule import Schedule
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo, Bound
from local_controller.site.overload import ALARM_S, STOP_S
from local_controller.site.own_limits import ScheduledLimit
from local_controller.site.per_phase import ZERO, equal
from local_controller.site.timetable import Timetable, Window
from local_controller.site.topology import FuseType
from local_controller.station.effects import CsmsLimitChanged
from local_controller.station.words import BehaviourLearnt, EvseId, Measured, MeterSample, Phase
from tests.site.virtual_site import START, Car, VirtualSite, topology


def settled(site: VirtualSite) -> VirtualSite:
    site.connect()
    site.run(15)
    return site


def test_one_car_gets_what_the_fuse_leaves() -> None:
    site = settled(VirtualSite(topology(25.0, 1)))
    site.plug("CP-1", Car(max_a=32.0))
    site.run(120)
    assert site.flow("grid") == pytest.approx((24.0, 24.0, 24.0), abs=0.3)
    assert max(site.worst["grid"]) <= 25.0


def test_cars_share_and_the_fuse_holds_at_every_instant() -> None:
    site = settled(VirtualSite(topology(40.0, 3)))
    for n in range(1, 4):
        site.plug(f"CP-{n}")
        site.run(20)
    site.run(200)
    drawn = [max(s.draw_a().values()) for s in site.stations.values()]
    assert drawn == pytest.approx([13.0] * 3, abs=0.3)
    assert max(site.worst["grid"]) <= 40.0


@pytest.mark.requirement("LC-107")
def test_a_raise_waits_until_the_decrease_is_measured_at_a_slow_car() -> None:
    site = settled(VirtualSite(topology(33.0, 2)))
    site.plug("CP-1", Car(obey_s=8.0))
    site.run(90)
    assert site.flow("grid")[0] == pytest.approx(26.0, abs=0.3)  # 33 - 1 margin - 6 reserved for CP-2
    site.plug("CP-2")
    site.run(120)
    assert max(site.worst["grid"]) <= 33.0
    assert [max(s.draw_a().values()) for s in site.stations.values()] == pytest.approx([16.0, 16.0], abs=0.3)


@pytest.mark.requirement("LC-112")
def test_rotated_single_phase_cars_do_not_disturb_each_other() -> None:
    site = settled(VirtualSite(topology(35.0, 3, rotations=("RST", "STR", "TRS"))))
    for n in range(1, 4):
        site.plug(f"CP-{n}", Car(phases=1))
    site.run(300)
    assert site.flow("grid") == pytest.approx((32.0, 32.0, 32.0), abs=0.5)
    assert max(site.worst["grid"]) <= 35.0


def test_a_rising_building_load_lowers_the_cars_within_seconds() -> None:
    site = settled(VirtualSite(topology(50.0, 2)))
    site.plug("CP-1")
    site.plug("CP-2")
    site.run(120)
    step_at = site.now.since(START)
    site.base = lambda s: (20.0, 20.0, 20.0) if s > step_at else (0.0, 0.0, 0.0)
    over = []
    site.on_step.append(lambda s: over.append(max(s.flow("grid")) > 50.0))
    site.run(60)
    assert sum(over) * 0.5 <= 6.0  # station's and car's own reaction: 0.5 s answer + 3 s, and the poll
    site.run(120)
    assert max(site.flow("grid")) <= 50.0
    assert site.controller.nodes["grid"].over_fuse.worst_a == pytest.approx(19.0, abs=1.2)


def test_a_building_that_takes_half_the_fuse_more_is_told_and_survived() -> None:
    """Two cars at full load when a kitchen switches on: the fuse is heated, told of, never near its end, and cools down."""
    site = settled(VirtualSite(topology(40.0, 2)))
    site.plug("CP-1")
    site.plug("CP-2")
    site.run(120)
    overload, step_at = site.controller.nodes["grid"].overload, site.now.since(START)
    site.base = lambda s: equal(20.0) if s > step_at else ZERO
    heat_s: list[float] = []
    site.on_step.append(lambda _: heat_s.append(max(overload.stress_s)))
    site.run(60)
    assert ALARM_S < max(heat_s) < STOP_S[FuseType.MCB]
    notices = [notice for notice in site.notices if notice.code == "overload"]
    assert {notice.fields["phase"] for notice in notices} == {"L1", "L2", "L3"}
    assert "Grid L1 carries" in notices[0].text
    site.run(240)
    assert heat_s[-1] == 0.0
    assert max(site.flow("grid")) == pytest.approx(39.0, abs=1.5), "and the room that is left is used"


def test_what_overheats_a_fuse_is_taken_from_the_cars_whatever_is_believed_of_them() -> None:
    site = settled(VirtualSite(topology(40.0, 2)))
    site.plug("CP-1")
    site.run(120)
    node, now = site.controller.nodes["grid"], site.now
    before_a = node.base_a(now)
    for second in (0, 10, 20):
        node.overload.measured(equal(60.0), node.node.rating_a, FuseType.MCB, now.after(second))
    assert node.base_a(now) == pytest.approx([base_a + 20.0 for base_a in before_a])
    site.run(20)
    assert max(site.flow("grid")) < 20.0


def test_one_reading_that_no_fuse_would_have_borne_does_not_stop_the_cars_for_hours() -> None:
    """A register that is all ones for a moment: S of it would be hours, which no device that still conducts can have."""
    site = settled(VirtualSite(topology(40.0, 2)))
    site.plug("CP-1")
    site.run(120)
    site.shown = lambda _flow: equal(6553.5)
    site.run(1)
    site.shown = lambda flow: flow
    site.run(30)
    assert max(site.flow("grid")) == 0.0, "it is believed"
    site.run(420)
    assert max(site.flow("grid")) > 20.0


@pytest.mark.requirement("LC-109", "LC-118")
def test_an_external_limit_drops_and_returns() -> None:
    source = LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, (16.0, 16.0, 16.0))
    site = settled(VirtualSite(topology(60.0, 3), (source,)))

    def announce(limit_a: float) -> None:
        received = ReceivedLimit((limit_a,) * 3, None, site.now.after(60.0))
        site.carry_out(site.controller.limit_received("ems", received, site.now))

    for n in range(1, 4):
        site.plug(f"CP-{n}")
    for _ in range(12):
        announce(60.0)
        site.run(10)
    assert site.flow("grid")[0] == pytest.approx(59.0, abs=0.5)
    for _ in range(6):
        announce(30.0)
        site.run(10)
        assert max(site.flow("grid")) <= 30.0
    for _ in range(12):
        announce(60.0)
        site.run(10)
    assert site.flow("grid")[0] == pytest.approx(59.0, abs=0.5)


@pytest.mark.requirement("LC-109")
def test_a_lower_limit_of_the_group_is_in_force_at_fifty_stations_within_ten_seconds() -> None:
    """All charge; the station and the car take their 0.5 s and 3 s, so each must have been told within seconds."""
    source = LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, equal(400.0))
    site = settled(VirtualSite(topology(900.0, 50), (source,)))
    for n in range(1, 51):
        site.plug(f"CP-{n}")
    for _ in range(12):
        site.announce("ems", 850.0)
        site.run(10)
    assert site.flow("grid")[0] > 700.0
    site.announce("ems", 400.0)
    site.run(10)
    now_s = site.now.since(START)
    assert sum(station.limit_a(now_s) for station in site.stations.values()) <= 400.0
    assert max(site.flow("grid")) <= 400.0
    assert max(station.limit_a(now_s) for station in site.stations.values()) < 10.0


@pytest.mark.requirement("LC-116")
def test_a_silent_limit_source_counts_with_its_fallback() -> None:
    source = LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, (16.0, 16.0, 16.0))
    site = settled(VirtualSite(topology(60.0, 2), (source,)))
    received = ReceivedLimit((60.0,) * 3, None, site.now.after(60.0))
    site.carry_out(site.controller.limit_received("ems", received, site.now))
    site.plug("CP-1")
    site.plug("CP-2")
    site.run(28)
    assert site.flow("grid")[0] > 20.0
    site.run(60)
    assert max(site.flow("grid")) <= 16.0


@pytest.mark.requirement("LC-108")
def test_a_lost_station_counts_with_its_last_limit_and_falls_back_by_itself() -> None:
    site = settled(VirtualSite(topology(40.0, 2)))
    site.plug("CP-1")
    site.plug("CP-2")
    site.run(120)
    site.disconnect("CP-1")
    site.run(5)
    drawn = site.stations["CP-1"].draw_a()
    assert max(drawn.values()) == pytest.approx(19.5, abs=0.3)
    site.run(120)
    assert max(site.stations["CP-1"].draw_a().values()) == 6.0
    assert max(site.worst["grid"]) <= 40.0


def test_a_silent_meter_sends_everybody_to_the_fallback_and_control_comes_back() -> None:
    site = settled(VirtualSite(topology(40.0, 2, base_a=10.0)))
    site.plug("CP-1")
    site.plug("CP-2")
    site.run(120)
    site.meter_alive = False
    site.run(25)
    assert [max(s.draw_a().values()) for s in site.stations.values()] == [6.0, 6.0]
    site.meter_alive = True
    site.run(60)
    assert max(site.flow("grid")) > 30.0


@pytest.mark.requirement("LC-115")
def test_a_liar_is_counted_at_what_it_draws() -> None:
    site = settled(VirtualSite(topology(40.0, 2)))
    site.plug("CP-1", Car(max_a=30.0))
    site.run(90)
    site.stations["CP-1"].liar = True
    site.plug("CP-2")
    site.run(120)
    drawn = [max(s.draw_a().values()) for s in site.stations.values()]
    assert drawn[0] == pytest.approx(30.0, abs=1.0)
    assert drawn[1] == pytest.approx(7.0, abs=0.3)  # 40 - 1 margin - 32 that the liar was once promised
    assert max(site.worst["grid"]) <= 40.0


def test_cars_a_little_above_their_limit_are_known_by_their_latest_sample() -> None:
    """What is remembered of them is compared with what would be derived now, in each step."""
    site = settled(VirtualSite(topology(60.0, 4)))
    for name, station in site.stations.items():
        station.sample_s = 5.0
        site.plug(name, Car(overdraw=1.02))
    site.run(300)
    assert max(site.worst["grid"]) <= 60.0


@pytest.mark.requirement("LC-108")
def test_a_station_that_refuses_everything_counts_with_its_maximum() -> None:
    site = VirtualSite(topology(50.0, 2))
    site.stations["CP-1"].refuses = True
    site.connect()
    site.run(15)
    site.plug("CP-1", Car(max_a=32.0))
    site.plug("CP-2")
    site.run(200)
    assert max(site.worst["grid"]) <= 50.0
    told = {n.code: n.text for n in site.notices if n.code in {"fallback_refused", "limit_refused"}}
    assert len(told) == 2
    for text in told.values():
        assert text.endswith(
            "; is smart charging switched on in it? `local-controller profiles CP-1` shows what it holds"
        )


@pytest.mark.requirement("LC-093")
def test_a_csms_profile_caps_a_car_and_frees_the_rest_for_others() -> None:
    site = settled(VirtualSite(topology(40.0, 2)))
    site.plug("CP-1")
    site.plug("CP-2")
    site.tell("CP-1", CsmsLimitChanged(1, Schedule.constant(10.0, site.now.utc - timedelta(hours=1))))
    site.run(200)
    drawn = [max(s.draw_a().values()) for s in site.stations.values()]
    assert drawn == pytest.approx([10.0, 29.0], abs=0.3)
    reasons = site.controller.decisions[EvseId("CP-1", 1)].reasons
    assert any("CSMS" in reason for reason in reasons), reasons


def test_a_circuit_inside_the_site_holds_too() -> None:
    topo = topology(63.0, 4, circuits={"west": 20.0, "east": 50.0})
    site = settled(VirtualSite(topo))
    for n in range(1, 5):
        site.plug(f"CP-{n}")
    site.run(300)
    assert max(site.worst["west"]) <= 20.0
    assert max(site.worst["east"]) <= 50.0
    assert max(site.worst["grid"]) <= 63.0
    assert site.flow("west")[0] == pytest.approx(19.0, abs=0.5)
    assert site.flow("grid")[0] == pytest.approx(62.0, abs=1.5)


@pytest.mark.requirement("LC-113")
def test_calm_cars_are_not_ordered_around() -> None:
    site = settled(VirtualSite(topology(40.0, 3)))
    for n in range(1, 4):
        site.plug(f"CP-{n}")
    site.run(180)
    before = len(site.orders)
    site.base = lambda s: (0.2 * math.sin(s), 0.2 * math.cos(s), 0.1)
    site.run(600)
    renewals = 3 * 600 / (90 * 0.45)
    assert len(site.orders) - before <= renewals * 1.3


def test_what_cars_do_not_take_another_one_gets() -> None:
    """Four cars on three phases take 16 A of the 23 A that the plan had for them, beside one on one phase at 6 A.

    Before they are known to, and after a limit in watts was lifted, which stops the others for a while.
    """
    source = LimitSource("dso", "dso", "grid", AppliesTo.CHARGING, None, fallback_w=13_440.0)
    site = VirtualSite(topology(110.0, 5, base_a=10.0), (source,))
    site.base, site.shows_volts = (lambda _s: (10.0, 10.0, 10.0)), True
    site.connect()
    site.announce("dso", None, 3000.0)
    for number, id_ in enumerate(site.stations):
        site.plug(id_, Car(phases=1 if number == 4 else 3, max_a=16.0))
    site.run(300)
    assert site.drawn() == [16.0] * 5
    site.announce("dso", None, 3000.0, power_w=13_440.0)
    site.run(60)
    assert sum(site.flow("grid")) - 30.0 < 13_440.0 / 230.0
    site.announce("dso", None, 3000.0)
    site.run(60)
    assert site.drawn() == [16.0] * 5


@pytest.mark.parametrize("settle_s", [0.0, 60.0])
def test_a_limit_of_the_timetable_is_kept_from_its_first_second_to_its_last(settle_s: float) -> None:
    """START is 08:00; from 08:10 to 08:15 the cars may have 20 A together, of which one may be slow and known to be."""
    table = Timetable([Window(frozenset({0}), time(8, 10), time(8, 15), Bound(equal(20.0)))], UTC)
    evening = ScheduledLimit("evening", "limit 'evening'", "grid", AppliesTo.CHARGING, table)
    site = settled(VirtualSite(topology(40.0, 2), own=(evening,)))
    site.tell("CP-1", BehaviourLearnt(settle_s=settle_s))
    site.plug("CP-1", Car(obey_s=max(8.0, settle_s - 2.0)))
    site.plug("CP-2", Car(obey_s=8.0))
    site.run(570 - settle_s - site.elapsed_s)
    assert site.flow("grid")[0] > 35.0
    site.run(600 - site.elapsed_s)
    before = [site.flow("grid")[0]]
    site.on_step.append(lambda at: before.append(at.flow("grid")[0]))
    site.run(299)
    assert max(before) <= 20.0
    assert min(before[60:]) > 19.0
    site.on_step.clear()
    site.run(120 + 4 * settle_s)
    assert site.flow("grid")[0] > 35.0


@pytest.mark.parametrize("circuit_meters", [False, True])
@pytest.mark.requirement("LC-107", "LC-111")
def test_a_car_that_charges_without_a_transaction_counts_with_what_its_station_measures(circuit_meters: bool) -> None:
    """A station that lets everybody charge keeps its fallback for transactions only; its meter values name none."""
    site = settled(VirtualSite(topology(80.0, 2, circuits={"wing": 40.0}, circuit_meters=circuit_meters)))
    free = site.stations["CP-1"]
    free.car, free.transaction, free.fallback_a = Car(max_a=20.0, phases=1), "of its own", 32.0
    site.run(30)
    site.plug("CP-2")
    site.run(180)
    assert site.flow("wing") == pytest.approx((39.0, 19.0, 19.0), abs=0.3)
    assert max(site.worst["wing"]) <= 40.0
    (told,) = [n.text for n in site.notices if n.code == "no_transaction"]
    assert told.endswith(
        "A without a transaction: it cannot be told a limit, the others make room; set its station to begin one for every car"
        " (authorization in place of free charging)"
    )
    free.car, free.transaction = None, None
    site.tell("CP-1", Measured(1, MeterSample({Phase.L1: 0.0})))
    site.run(120)
    assert max(site.flow("wing")) == pytest.approx(32.0, abs=1.1), "less margin and the fallback"


def test_what_a_station_still_measures_when_a_session_has_ended_is_no_other_car() -> None:
    site = settled(VirtualSite(topology(40.0, 2)))
    site.plug("CP-1")
    site.run(120)
    site.unplug("CP-1")
    for _ in range(2):
        site.tell("CP-1", Measured(1, MeterSample({Phase.L1: 30.0})))
        site.run(1)
    assert not [n for n in site.notices if n.code == "no_transaction"]
    assert site.controller.evses[EvseId("CP-1", 1)].exposure(site.now) == equal(6.0)
