"""What does the site decide over minutes? Stories in virtual time about what must not go wrong, and must not stay wrong."""

from __future__ import annotations

import math
from collections import Counter
from datetime import timedelta

import pytest

from local_controller.clock import Instant
from local_controller.profiles.schedule import Schedule
from local_controller.site.evse import CONFIRM_S
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo, Limit
from local_controller.site.snapshot import snapshot
from local_controller.station import words
from local_controller.station.effects import CsmsLimitChanged
from local_controller.station.words import EvseId, FellSilent, MeterSample, Phase, SpokeAgain
from tests.site.virtual_site import START, Car, Manner, VirtualSite, topology


def settled(site: VirtualSite) -> VirtualSite:
    site.connect()
    site.run(15)
    return site


def since(site: VirtualSite, seconds: float) -> Counter[EvseId]:
    """Orders per EVSE in the last seconds."""
    return Counter(evse for at_s, evse, _ in site.orders if at_s > site.now.since(START) - seconds)


# --- safety ----------------------------------------------------------------------------------------------------------


def test_a_car_that_rests_between_two_samples_is_not_taken_for_a_building_that_needs_less() -> None:
    site = settled(VirtualSite(topology(40.0, 2, base_a=10.0)))
    site.base = lambda _s: (10.0, 10.0, 10.0)
    site.stations["CP-1"].sample_s = 60.0
    site.plug("CP-1", Car(max_a=16.0))
    site.plug("CP-2")
    site.run(240)
    site.run(60 - (site.now.monotonic_s - site.stations["CP-1"].next_sample_s) % 60 + 1)
    site.stations["CP-1"].car.paused = True
    site.run(50)
    site.stations["CP-1"].car.paused = False
    site.run(60)
    assert max(site.worst["grid"]) <= 40.0


def test_a_building_that_needs_less_is_believed_once_every_car_was_measured_since() -> None:
    site = settled(VirtualSite(topology(40.0, 2, base_a=10.0)))
    site.base = lambda s: (10.0,) * 3 if s < 240 else (0.0,) * 3
    site.stations["CP-1"].sample_s = 60.0
    site.plug("CP-1", Car(max_a=16.0))
    site.plug("CP-2")
    site.run(220)
    assert site.flow("grid")[0] == pytest.approx(39.0, abs=0.5)
    site.run(120)
    assert site.drawn() == pytest.approx([16.0, 19.5], abs=0.5)


@pytest.mark.requirement("LC-041", "LC-108")
@pytest.mark.parametrize("boot", [True, False])
def test_a_paused_station_that_comes_back_with_its_fallback_only_is_counted_with_it(boot: bool) -> None:
    site = settled(VirtualSite(topology(18.0, 2)))
    site.plug("CP-1")
    site.run(60)
    site.stations["CP-2"].fallback_a = 6.0
    site.plug("CP-2")
    site.run(60)
    site.disconnect("CP-2")
    site.stations["CP-2"].working = None  # one TxDefaultProfile carried both limits, and is written anew
    site.connect("CP-2", boot=boot)
    site.run(120)
    assert max(site.worst["grid"]) <= 18.0


@pytest.mark.requirement("LC-041")
@pytest.mark.parametrize("manner", [Manner.HONEST, Manner.DEAF])
def test_into_what_a_station_may_draw_that_boots_nobody_is_raised_before_it_has_confirmed(manner: Manner) -> None:
    """It counts at its worst for those who want more from its boot on; those who charge make room when it has had its time."""
    site = settled(VirtualSite(topology(40.0, 2)))
    site.stations["CP-2"].answer_s, site.stations["CP-2"].manner = 5.0, manner
    site.plug("CP-1")
    site.run(18)
    (before_a,) = {limit_a for _, evse, limit_a in site.orders[-1:] if evse.station == "CP-1"}
    assert before_a < 20.0
    site.disconnect("CP-2")
    site.connect("CP-2")
    booted, heard = site.elapsed_s, len(site.orders)
    site.run(60)
    ordered = [(at_s - booted, limit_a) for at_s, evse, limit_a in site.orders[heard:] if evse.station == "CP-1"]
    assert all(limit_a >= before_a for at_s, limit_a in ordered if at_s < CONFIRM_S), "nobody is lowered in that time"
    raised = [at_s for at_s, limit_a in ordered if limit_a > before_a]
    if manner is Manner.DEAF:
        assert raised == []
        assert ordered[-1][1] <= 8.0, "40 A less the 32 A that CP-2 can draw"
    else:
        assert 5.0 <= raised[0] <= 8.0, "as soon as it has confirmed"


@pytest.mark.requirement("LC-108")
def test_a_station_that_stops_answering_at_a_low_limit_is_counted_with_its_fallback_in_time() -> None:
    site = settled(VirtualSite(topology(30.0, 2)))
    site.plug("CP-2")
    site.plug("CP-1")
    site.run(60)
    site.tell("CP-2", CsmsLimitChanged(1, Schedule.constant(0.0, site.now.utc - timedelta(hours=1))))
    site.run(60)
    assert site.drawn() == pytest.approx([29.0, 0.0], abs=0.3)
    site.stations["CP-2"].manner = Manner.DEAF
    site.run(200)
    assert site.drawn()[1] == 6.0
    assert max(site.worst["grid"]) <= 30.0


@pytest.mark.requirement("LC-108")
def test_a_station_that_falls_silent_on_an_open_link_counts_with_its_fallback_at_once_and_goes_on_when_it_speaks() -> (
    None
):
    """Its link may only be slow (G12): nobody is raised into what it may draw, and nothing has to be written anew."""
    site = settled(VirtualSite(topology(30.0, 2)))
    site.plug("CP-2")
    site.plug("CP-1")
    site.run(60)
    site.tell("CP-2", CsmsLimitChanged(1, Schedule.constant(0.0, site.now.utc - timedelta(hours=1))))
    site.run(60)
    site.stations["CP-2"].manner = Manner.DEAF
    site.tell("CP-2", FellSilent(30.0))
    site.run(2)
    silent = snapshot(site.controller, site.now).evses[1]
    assert (silent.connected, silent.charging, silent.worst_case_a) == (False, "silent while charging", 6.0)
    assert silent.reasons == ("CP-2/1 says nothing over its open connection: it counts with up to 6.0 A",)
    site.run(20)
    assert site.drawn()[0] <= 23.0, "before its limit runs out"
    site.stations["CP-2"].manner = Manner.HONEST
    site.tell("CP-2", SpokeAgain())
    site.run(40)
    assert snapshot(site.controller, site.now).evses[1].connected
    assert site.drawn() == pytest.approx([29.0, 0.0], abs=0.3)
    assert [one.code for one in site.notices if "CP-2" in one.text][-2:] == ["station_silent", "station_speaks"]


def test_a_station_that_was_silent_is_lost_and_comes_back_as_any_other() -> None:
    site = settled(VirtualSite(topology(30.0, 1)))
    site.plug("CP-1")
    site.run(60)
    site.tell("CP-1", FellSilent(30.0))
    site.disconnect("CP-1")
    assert snapshot(site.controller, site.now).evses[0].charging == "lost while charging"
    site.connect("CP-1", boot=False)
    site.run(60)
    assert site.drawn() == pytest.approx([29.0], abs=0.3)


@pytest.mark.requirement("LC-079")
@pytest.mark.parametrize("is_lost", [False, True])
def test_the_share_of_a_transaction_that_ended_is_given_away_once_nobody_can_draw_it(is_lost: bool) -> None:
    """A lost station may still hold the limit of its last transaction, and nobody hears of a car that comes to it."""
    site = settled(VirtualSite(topology(30.0, 2)))
    site.plug("CP-1")
    site.run(60)
    share_a = site.drawn()[0]
    assert share_a > 20.0
    site.unplug("CP-1")
    if is_lost:
        site.disconnect("CP-1")
    site.plug("CP-2")
    drawn: list[float] = []
    site.on_step.append(lambda at: drawn.append(at.drawn()[1]))
    site.run(30)
    assert (max(drawn) <= 30.0 - share_a) is is_lost
    site.run(120)
    assert site.drawn()[1] == pytest.approx(share_a, abs=0.3), "by then the limit has ended"


# --- nothing is wasted for ever ---------------------------------------------------------------------------------------


def test_trouble_on_one_phase_does_not_hold_the_others() -> None:
    site = settled(VirtualSite(topology(20.0, 2, rotations=("R", "S"))))
    site.base = lambda s: (25.0, 0.0, 0.0) if s > 20 else (0.0, 0.0, 0.0)
    site.run(10)
    site.plug("CP-2")
    site.run(60)
    assert site.drawn() == pytest.approx([0.0, 19.0], abs=0.3)


def test_a_lost_station_with_a_session_does_not_keep_its_last_limit_for_days() -> None:
    site = settled(VirtualSite(topology(40.0, 2)))
    site.plug("CP-1")
    site.plug("CP-2")
    site.run(120)
    site.disconnect("CP-1")
    site.run(300)
    assert site.drawn() == pytest.approx([6.0, 27.0], abs=0.3)  # 40 - 1 - 6 fallback - 6 that the meter sees besides


def test_a_station_that_refuses_high_limits_keeps_the_one_that_it_took() -> None:
    site = settled(VirtualSite(topology(40.0, 1)))
    site.stations["CP-1"].highest_a = 16.0
    site.plug("CP-1")
    site.run(60)
    drawn = []
    site.on_step.append(lambda s: drawn.append(s.drawn()[0]))
    site.run(300)
    assert min(drawn) == max(drawn) == pytest.approx(12.0)
    assert sum(n.code == "limit_refused" for n in site.notices) <= 3


def test_a_refusing_station_is_not_asked_every_ten_seconds_for_ever() -> None:
    site = settled(VirtualSite(topology(40.0, 2)))
    site.plug("CP-1")
    site.plug("CP-2")
    site.run(60)
    site.stations["CP-1"].manner = Manner.REFUSES
    site.run(1200)
    assert since(site, 600)[EvseId("CP-1", 1)] <= 6
    site.stations["CP-1"].manner = Manner.HONEST
    site.run(400)
    assert site.drawn() == pytest.approx([19.5, 19.5], abs=0.3)


def test_a_silent_station_without_a_known_fallback_is_limited_to_the_one_of_the_site_file() -> None:
    site = VirtualSite(topology(60.0, 1))
    site.connect()
    site.tell("CP-1", words.LimitAnswered(1, words.LimitKind.FALLBACK, words.LimitOutcome.REFUSED, 6.0))
    site.stations["CP-1"].silent_meter = True
    site.run(15)
    site.plug("CP-1")
    site.run(300)
    assert site.orders[-1][2] == 6.0


def test_what_a_silent_station_is_not_granted_others_get() -> None:
    """It has its 6 A, and they count once: as what it may draw, not as another load that the meter sees besides."""
    site = settled(VirtualSite(topology(40.0, 2)))
    site.stations["CP-2"].silent_meter = True
    site.plug("CP-1")
    site.plug("CP-2")
    site.run(600)
    assert site.drawn() == pytest.approx([32.0, 6.0], abs=0.6)


def test_a_new_transaction_under_another_id_is_not_bound_by_the_plan_of_the_old_one() -> None:
    site = settled(VirtualSite(topology(40.0, 2)))
    site.plug("CP-1", Car(max_a=10.0))
    site.plug("CP-2")
    site.run(60)
    before = site.controller.plan.first_block_a("CP-1/1")
    assert before is not None
    site.plug("CP-1")  # the end of the first was never told
    assert site.controller.plan.first_block_a("CP-1/1") is None


@pytest.mark.parametrize("evses", [1, 3])
def test_everybody_gets_more_when_the_others_leave(evses: int) -> None:
    site = settled(VirtualSite(topology(40.0, 2, evses=evses)))
    for id_ in site.stations:
        site.plug(id_)
    site.run(120)
    for id_ in list(site.stations)[1:]:
        site.unplug(id_)
    site.run(120)
    assert site.drawn()[0] == pytest.approx(min(32.0, 39.0 - 6.0 * (2 * evses - 1)), abs=0.3)


# --- calm ------------------------------------------------------------------------------------------------------------


def test_orders_are_few_while_the_building_load_wanders() -> None:
    site = settled(VirtualSite(topology(60.0, 4)))
    for n in range(1, 5):
        site.stations[f"CP-{n}"].sample_s = 60.0
        site.plug(f"CP-{n}")
    site.run(180)
    site.base = lambda s: (8 + 8 * math.sin(s / 40), 6 + 3 * math.sin(s / 5), 4 + 4 * math.sin(s))
    site.run(600)
    assert max(since(site, 600).values()) <= 600 / 60 * 12


@pytest.mark.requirement("LC-115")
def test_a_liar_is_told_its_fallback_and_is_not_raised_in_between() -> None:
    site = settled(VirtualSite(topology(40.0, 2)))
    site.plug("CP-1", Car(max_a=30.0))
    site.run(90)
    site.stations["CP-1"].liar = True
    site.plug("CP-2")
    site.run(60)
    site.run(600)
    assert {limit_a for at_s, evse, limit_a in site.orders if evse.station == "CP-1" and at_s > 200} == {6.0}
    assert sum(n.code == "limit_ignored" for n in site.notices) == 1
    assert len(site.disobeyed) >= 3, (
        "each sample is shown to the station's block, which may know another way to tell it"
    )
    assert {(evse.station, drawn_a > 6.0) for _, evse, drawn_a in site.disobeyed} == {("CP-1", True)}
    assert any("does not follow" in r for r in site.controller.decisions[EvseId("CP-1", 1)].reasons)


@pytest.mark.requirement("LC-115")
def test_a_station_that_lost_a_lower_limit_is_told_it_again_within_its_time_to_follow() -> None:
    source = LimitSource("ems", "EMS limit", "grid", AppliesTo.CHARGING, (16.0,) * 3)
    site = settled(VirtualSite(topology(40.0, 1), (source,)))
    site.announce("ems", None, 600.0)
    station = site.stations["CP-1"]
    station.sample_s = 2.0
    site.plug("CP-1", Car(max_a=30.0))
    site.run(90)
    before, lowered_s = station.working, site.elapsed_s
    site.announce("ems", 12.0, 600.0)
    site.run(1)
    assert station.working != before
    station.working = before  # its yes was worth nothing
    site.run(20)
    told = [(at_s - lowered_s, limit_a) for at_s, _, limit_a in site.orders if at_s >= lowered_s]
    assert told == [(pytest.approx(0.5, abs=0.5), 12.0), (pytest.approx(12.5, abs=2.5), 12.0)]
    assert station.pwm_a == 12.0
    assert not any(n.code == "limit_ignored" for n in site.notices)


def test_the_same_thing_is_not_said_again_and_again() -> None:
    source = LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, (16.0, 16.0, 16.0))
    site = settled(VirtualSite(topology(60.0, 1), (source,)))
    for _ in range(5):
        site.tell("CP-1", words.Measured(7, MeterSample({Phase.L1: 1.0})))
        site.carry_out(site.controller.limit_source_failed("ems", "nonsense", site.now))
    for age_s in range(61, 66):
        site.carry_out(site.controller.limit_outdated("ems", f"limit is {age_s} s old", site.now))
        site.carry_out(site.controller.meter_failed("m", "does not answer", site.now))
    codes = Counter(n.code for n in site.notices)
    assert codes["limit_outdated"] == 1
    assert (codes["unknown_evse"], codes["limit_unusable"], codes["meter_failed"]) == (1, 1, 1)


SILENT_METER = "does it have power, and does what sends its readings run? `local-controller doctor` asks it"


def test_an_input_that_just_falls_silent_is_told_once_and_again_when_it_does_so_again() -> None:
    """Nobody says that it cannot be read: an EMS that has died behind a sound broker, a meter whose bridge has."""
    source = LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, (16.0,) * 3)
    never = LimitSource("dso", "DSO limit", "grid", AppliesTo.TOTAL, (50.0,) * 3)
    there = LimitSource("hems", "HEMS limit", "grid", AppliesTo.TOTAL, (50.0,) * 3, tells_availability=True)
    site = settled(VirtualSite(topology(60.0, 1), (source, never, there)))

    def told() -> list[tuple[str, str]]:
        return [(n.level, n.text) for n in site.notices if n.code in {"limit_silent", "meter_failed"}]

    unheard = [
        (
            "warning",
            f"{one} is silent (not heard since the start): its fallback counts; does it run, and send to where the site file listens?",
        )
        for one in ("DSO limit", "HEMS limit")
    ]
    for _ in range(2):
        site.announce("ems", 40.0)
        site.run(59)
    assert told() == unheard
    assert (site.controller.book.sources["dso"].trouble, site.controller.book.sources["ems"].trouble) == (
        "not heard since the start",
        "",
    )
    site.run(60)
    silent = (
        "warning",
        "EMS limit is silent (its last word has run out): its fallback counts; does it still run, and repeat in time what it says?",
    )
    assert told() == [*unheard, silent]
    assert site.controller.book.sources["ems"].trouble == "its last word has run out"
    site.announce("ems", 40.0)
    assert site.controller.book.sources["ems"].trouble == ""
    site.run(90)
    assert told() == [*unheard, silent, silent]
    site.go_blind(60)
    site.run(59)
    assert told()[4:] == [("error", f"meter m says nothing (for 11 s by now): {SILENT_METER}")]
    assert site.controller.meters["m"].failure == "says nothing (for 11 s by now)"
    site.run(20)
    assert [n.text for n in site.notices if n.code == "meter_answers"][-1:] == ["meter m answers"]
    assert len(told()) == 5


def test_a_meter_that_was_never_heard_is_told() -> None:
    site = VirtualSite(topology(60.0, 1))
    site.meter_alive = False
    site.connect()
    site.run(60)
    assert [n.text for n in site.notices if n.code == "meter_failed"] == [
        f"meter m says nothing (for 31 s by now): {SILENT_METER}"
    ]


@pytest.mark.requirement("LC-116")
def test_cars_are_lowered_at_once_when_the_last_will_of_a_source_arrives() -> None:
    source = LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, (22.0,) * 3, tells_availability=True)
    site = settled(VirtualSite(topology(60.0, 1), (source,)))
    site.carry_out(site.controller.limit_source_available("ems", True, "", site.now))
    site.plug("CP-1")
    for _ in range(12):
        site.carry_out(site.controller.limit_received("ems", allowed(site.now), site.now))
        site.run(20)
    before_a = site.drawn()[0]
    assert before_a > 12.0
    ordered = len(site.orders)
    for _ in range(3):  # retained, it comes again after each reconnection
        site.carry_out(
            site.controller.limit_source_available("ems", False, "ems on topic t: it is not there", site.now)
        )
    assert site.orders[ordered:], "not at the next tick, and not when the last message has run out"
    site.run(20)
    assert site.drawn()[0] < before_a
    notices = [(n.code, n.text) for n in site.notices if n.code.startswith("limit_source_")]
    assert notices == [
        ("limit_source_online", "EMS limit is there; its next message counts in full"),
        ("limit_source_offline", "ems on topic t: it is not there; at most its fallback counts"),
    ]


def allowed(now: Instant) -> ReceivedLimit:
    """Far more than the fallback, for a minute."""
    return ReceivedLimit((50.0, 50.0, 50.0), None, now.after(60.0))


def test_a_lost_session_says_why_nothing_else_happens() -> None:
    site = settled(VirtualSite(topology(40.0, 1)))
    site.plug("CP-1")
    site.run(60)
    site.disconnect("CP-1")
    assert "connection" in site.controller.decisions[EvseId("CP-1", 1)].reasons[0]


# --- kinds of limits and trees ---------------------------------------------------------------------------------------


def test_a_limit_on_the_cars_alone_and_a_contract_hold() -> None:
    cars = LimitSource("cars", "cars", "grid", AppliesTo.CHARGING, (18.0, 18.0, 18.0))
    contract = Limit("grid", (50.0,) * 3, AppliesTo.TOTAL, "grid contract")
    site = settled(VirtualSite(topology(80.0, 2, base_a=20.0), (cars,), fixed=(contract,)))
    site.base = lambda _s: (20.0, 20.0, 20.0)
    for n in (1, 2):
        site.plug(f"CP-{n}")
    site.run(120)
    assert sum(site.drawn()) == pytest.approx(18.0, abs=0.3)
    for _ in range(20):
        site.announce("cars", None)
        site.run(10)
    assert sum(site.drawn()) == pytest.approx(29.0, abs=0.5)  # 50 contract - 20 - 1 margin
    assert max(site.worst["grid"]) <= 50.0


def test_a_metered_circuit_inside_a_metered_site_counts_its_own_other_loads() -> None:
    topo = topology(63.0, 4, circuits={"west": 30.0, "east": 40.0}, circuit_meters=True)
    site = settled(VirtualSite(topo))
    site.circuit_base = {"west": (8.0, 0.0, 0.0)}
    site.run(10)
    for id_ in site.stations:
        site.plug(id_)
    site.run(300)
    assert site.flow("west")[0] == pytest.approx(29.0, abs=0.5)
    assert all(max(flow) <= topo.node(node).rating_a[0] for node, flow in site.worst.items())


def test_generation_behind_the_meter_is_no_headroom() -> None:
    site = settled(VirtualSite(topology(20.0, 1)))
    site.base = lambda _s: (-15.0, -15.0, -15.0)
    site.plug("CP-1")
    site.run(120)
    assert site.drawn()[0] == pytest.approx(19.0, abs=0.3)
    site.base = lambda _s: (0.0, 0.0, 0.0)
    site.run(30)
    assert max(site.worst["grid"]) <= 20.0


def test_a_station_that_takes_watts_gets_enough_to_start_three_phases() -> None:
    site = settled(VirtualSite(topology(40.0, 1)))
    site.tell("CP-1", words.UnitLearnt("W"))
    site.plug("CP-1")
    site.run(30)
    assert any(limit_a >= 6.0 * 3 for _, _, limit_a in site.orders)


def test_an_oscillating_meter_does_not_swing_the_cars() -> None:
    site = settled(VirtualSite(topology(40.0, 2)))
    for n in (1, 2):
        site.plug(f"CP-{n}")
    site.run(120)
    site.base = lambda s: (6.0, 6.0, 6.0) if int(s / 10) % 2 else (0.0, 0.0, 0.0)
    site.run(60)
    limits = []
    site.on_step.append(lambda s: limits.append(sum(s.drawn())))
    site.run(300)
    assert max(limits) - min(limits) <= 6.5
    assert max(since(site, 300).values()) <= 5 * 12


def test_a_wall_clock_that_jumps_changes_no_limit() -> None:
    source = LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, (16.0, 16.0, 16.0))
    site = settled(VirtualSite(topology(40.0, 2), (source,)))
    for n in (1, 2):
        site.plug(f"CP-{n}")
    for hours in (0, 1, -1, 0, 0):
        site.now = Instant(site.now.monotonic_s, site.now.utc + timedelta(hours=hours))
        for _ in range(6):
            site.announce("ems", 30.0)
            site.run(10)
    assert sum(site.drawn()) == pytest.approx(29.0, abs=0.5)


@pytest.mark.requirement("LC-108")
@pytest.mark.parametrize("boot", [True, False])
def test_limits_of_an_earlier_run_are_waited_for_where_no_meter_sees_them(boot: bool) -> None:
    site = VirtualSite(topology(63.0, 2, circuits={"west": 20.0}))
    before = site.stations["CP-1"]  # charges since before our start, and its link is still down
    before.car, before.transaction, before.fallback_a = Car(), "tx-old", 6.0
    before.working = (13.0, START.monotonic_s + 80.0)
    site.connect("CP-2", boot=boot)
    site.run(15)
    site.plug("CP-2")
    site.run(150)
    assert max(site.worst["west"]) <= 20.0
    assert site.drawn() == pytest.approx([6.0, 13.0], abs=0.3)


@pytest.mark.requirement("LC-108")
@pytest.mark.parametrize("is_metered", [True, False])
def test_while_a_car_may_go_on_under_a_limit_of_an_earlier_run_others_get_no_more(is_metered: bool) -> None:
    """It rests at 2 A under 13 A of then, its station answers nobody, and it rises to that as soon as it likes."""
    site = VirtualSite(topology(63.0, 2, circuits={"west": 20.0}, circuit_meters=is_metered))
    for id_ in ("CP-1", "CP-2"):
        site.connect(id_, boot=False)
    site.run(3)
    resting = Car(max_a=2.0)
    site.found("CP-1", resting, 13.0, 85.0)
    site.stations["CP-1"].manner = Manner.DEAF
    site.plug("CP-2")
    site.run(60)
    resting.max_a = 32.0
    site.run(120)
    assert max(site.worst["west"]) <= 20.0
    assert sum(site.drawn()) > 15.0, "the old limit has ended, and everybody knows"


def test_a_restart_holds_nobody_back_for_longer_than_it_takes_to_tell_all_cars_their_limits() -> None:
    site = VirtualSite(topology(63.0, 3))
    for id_ in site.stations:
        site.connect(id_, boot=False)
        site.found(id_, Car(), 20.0, 80.0)
    site.run(60)
    assert sum(site.drawn()) > 45.0


@pytest.mark.requirement("LC-106", "LC-108")
@pytest.mark.parametrize("lasts_s", [600.0, math.inf])
def test_a_limit_of_an_earlier_run_that_lasts_is_waited_for_as_long_as_its_station_is_away(lasts_s: float) -> None:
    site = VirtualSite(topology(63.0, 2, circuits={"west": 20.0}))
    site.tell("CP-1", words.BehaviourLearnt(lasts_s=lasts_s))
    before = site.stations["CP-1"]
    before.car, before.transaction, before.fallback_a = Car(), "tx-old", 6.0
    before.working = (13.0, START.monotonic_s + 590.0)
    site.connect("CP-2")
    site.run(15)
    site.plug("CP-2")
    site.run(500)
    assert max(site.worst["west"]) <= 20.0
    assert site.drawn() == pytest.approx([13.0, 6.0], abs=0.3)
    site.run(200)
    assert site.drawn() == pytest.approx([6.0, 13.0 if lasts_s == 600.0 else 6.0], abs=0.3)
    site.connect("CP-1")
    site.run(100)
    assert site.drawn()[1] > 6.5, "it is here, and holds its fallback"


# --- what a fact costs -----------------------------------------------------------------------------------------------


def sample(amps: float) -> words.Measured:
    return words.Measured(1, MeterSample(dict.fromkeys(Phase, amps)))


def test_a_sample_alone_is_no_reason_to_react_and_counts_at_the_next_reaction() -> None:
    site = settled(VirtualSite(topology(40.0, 1)))
    site.plug("CP-1")
    site.run(30)
    core, state = site.controller, site.controller.evses[EvseId("CP-1", 1)]
    due_s = core.deadline
    later = site.now.after(0.1)
    for amps, at in ((9.0, site.now), (9.0, later), (9.0, later), (8.0, later), (8.0, later.after(0.1))):
        assert core.station_changed("CP-1", sample(amps), at) == []
    assert core.deadline == due_s
    assert state.session is not None
    assert state.session.drawn is not None
    assert (state.session.drawn.current_a, state.session.drawn.at) == ((8.0, 8.0, 8.0), later)
    core.expire(later.after(0.2))
    assert state.session.drawn.at == later.after(0.1)


def test_a_sample_counts_before_the_fact_that_was_told_after_it() -> None:
    site = settled(VirtualSite(topology(40.0, 1)))
    site.plug("CP-1")
    site.run(30)
    core, state = site.controller, site.controller.evses[EvseId("CP-1", 1)]
    core.station_changed("CP-1", sample(9.0), site.now)
    core.station_changed("CP-1", words.TransactionStarted(1, "tx-next"), site.now)
    core.expire(site.now)
    assert state.session is not None
    assert state.session.drawn is None


@pytest.mark.requirement("LC-107")
@pytest.mark.parametrize("from_the_start", [True, False])
def test_a_meter_the_wrong_way_round_gives_the_cars_nothing_of_what_the_building_may_take(from_the_start: bool) -> None:
    site = VirtualSite(topology(70.0, 4, base_a=20.0, margin_a=1.4))
    site.base = lambda _s: (20.0,) * 3
    reversed_at = START if from_the_start else START.after(90)
    site.shown = lambda flow: tuple(-amps for amps in flow) if site.now.since(reversed_at) >= 0 else flow
    site.connect()
    for id_ in site.stations:
        site.plug(id_)
    site.run(300)
    assert max(site.worst["grid"]) <= 70.0
    assert sum(site.drawn()) > 45.0
    assert [notice.fields["meter"] for notice in site.notices if notice.code == "meter_shows_feed_in"] == ["m"]


@pytest.mark.requirement("LC-107")
@pytest.mark.parametrize("frozen_s", [25, 29, 33, 37, 41, 45, 60])
def test_a_meter_that_repeats_old_data_raises_nobody(frozen_s: float) -> None:
    """Until that has failed as a meter after 30 s; it begins while cars follow a raise, or later."""
    site = VirtualSite(topology(70.0, 4, base_a=20.0, margin_a=1.4))
    site.base = lambda _s: (10.0,) * 3
    frozen_at, old = START.after(frozen_s), [site.flow("grid")]

    def shown(flow: tuple[float, float, float]) -> tuple[float, float, float]:
        old[0] = flow if site.now.since(frozen_at) <= 0 else old[0]
        return old[0]

    site.shown, site.unchanged_s = shown, lambda: max(0.0, site.now.since(frozen_at))
    site.connect()
    for id_, station in site.stations.items():
        station.sample_s = 4.0
        site.plug(id_, Car(obey_s=7.0))
    site.run(frozen_s + 31)
    site.meter_alive = False
    site.run(30)
    assert max(site.worst["grid"]) <= 70.0
    assert max(site.flow("grid")) == pytest.approx(34.0)


@pytest.mark.requirement("LC-116")
def test_a_meter_that_is_found_out_to_repeat_old_data_counts_as_silent_since_it_began_to() -> None:
    """Its last reading is as old as the last change in it: cars wait no second 10 s for their fallback (G5)."""
    site = settled(VirtualSite(topology(70.0, 2, base_a=20.0)))
    for id_ in site.stations:
        site.plug(id_)
    site.run(120)
    assert min(site.drawn()) > 20.0
    frozen_at, flow = site.now, site.flow("grid")
    site.shown, site.unchanged_s = (lambda _: flow), lambda: site.now.since(frozen_at)
    site.run(30)
    site.meter_alive = False
    text = "repeats old data: no register has changed for 30 s"
    site.carry_out(site.controller.meter_failed("m", text, site.now))
    site.run(2)
    assert [limit_a for _, _, limit_a in site.orders[-2:]] == [6.0, 6.0]
    assert site.controller.meters["m"].failure == text


@pytest.mark.requirement("LC-107")
@pytest.mark.parametrize("answer_s", [0.5, 3.0])
@pytest.mark.parametrize("sample_s", [1.0, 5.0, 10.0])
def test_cars_as_slow_as_they_may_be_are_not_taken_for_a_new_load(answer_s: float, sample_s: float) -> None:
    """5 s until the pilot signal follows and 5 s of the car, once the station has said yes."""
    site = settled(VirtualSite(topology(70.0, 4, base_a=10.0, margin_a=1.4)))
    site.base = lambda _s: (10.0,) * 3
    site.run(10)
    for id_, station in site.stations.items():
        station.answer_s, station.sample_s = answer_s, sample_s
        site.plug(id_, Car(obey_s=10.0))
    site.run(200)
    assert min(limit_a for _, _, limit_a in site.orders) >= 6.0
    assert sum(site.drawn()) == pytest.approx(58.4, abs=0.5)
    assert max(site.worst["grid"]) <= 70.0


@pytest.mark.requirement("LC-107", "LC-115")
def test_a_station_above_all_that_it_was_ever_told_is_counted_with_what_it_draws_at_once() -> None:
    """It has obeyed for long and then offers its maximum, whatever it is told."""
    site = settled(VirtualSite(topology(70.0, 4, base_a=10.0, margin_a=1.4)))
    site.base = lambda _s: (10.0,) * 3
    site.run(10)
    for id_ in site.stations:
        site.plug(id_, Car(obey_s=10.0))
    site.run(100)
    deaf, *others = site.stations.values()
    deaf.liar, deaf.pwm_a, deaf.next_sample_s = True, 32.0, site.now.monotonic_s + 2.0
    site.run(15.0)
    assert max(site.flow("grid")) <= 70.0
    assert site.controller.evses[deaf.evse.id].ignores_its_limit
    site.run(120)
    assert max(site.flow("grid")) == pytest.approx(68.6, abs=0.5)
    assert min(max(station.draw_a().values()) for station in others) == pytest.approx(8.8, abs=0.3)
