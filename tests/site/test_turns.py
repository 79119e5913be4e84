"""Do cars take turns where not all can have their minimum, calmly, so that nobody starves?"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local_controller.profiles.schedule import Schedule
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo
from local_controller.site.turns import Asker, TurnPace, Turns
from local_controller.station.effects import CsmsLimitChanged
from local_controller.station.words import PriorityGiven
from tests.site.test_controller import settled
from tests.site.virtual_site import VirtualSite, topology

PACE = TurnPace()
NEVER = 10_000
"""Minutes."""


@given(
    cars=st.integers(2, 12),
    seats=st.lists(st.integers(1, 11), min_size=2, max_size=60),
    measured=st.booleans(),
    priorities=st.one_of(st.just([0]), st.lists(st.integers(-9, 9), min_size=1, max_size=12)),
    away_every=st.lists(st.sampled_from([4, 5, 7, 10, 20, NEVER]), min_size=1, max_size=12),
)
@example(cars=3, seats=[1, 1], measured=False, priorities=[0, 3, 3], away_every=[5, NEVER, NEVER])
@example(cars=3, seats=[1, 1], measured=False, priorities=[0, 3, 3], away_every=[20, NEVER, NEVER])
@example(cars=11, seats=[1, 1], measured=True, priorities=[0], away_every=[7, 5])
@example(
    cars=12, seats=[1, 1], measured=True, priorities=[0], away_every=[7, NEVER]
)  # whoever came late had it, 27,480 s
@settings(deadline=None)
@pytest.mark.requirement("LC-110", "LC-067")
def test_law_nobody_waits_for_ever_and_nobody_is_woken_every_minute(
    cars: int, seats: list[int], measured: bool, priorities: list[int], away_every: list[int]
) -> None:
    """Room for at least `least` of the cars changes every ten minutes, over ten hours; the CSMS wants some to go first, and some
    cannot charge at all for a minute now and then. Who has had less than `rest_s` since still waits.
    """
    turns, charges, got_wh = Turns(PACE), set[int](), [0.0] * cars
    least, waits_s, served_s, starts = min(seats), [0.0] * cars, [0.0] * cars, Counter[int]()
    flickers = min(away_every[n % len(away_every)] for n in range(cars)) < NEVER
    for minute in range(600):
        room = min(seats[minute // 10 % len(seats)], cars - 1)
        now_s = 60.0 * minute
        there = [n for n in range(cars) if (minute + n + 1) % away_every[n % len(away_every)]]
        known_wh = [wh if measured else None for wh in got_wh]
        asking = [
            Asker(n, "tx", n in charges, known_wh[n], priorities[n % len(priorities)], 4140.0 * (n in charges))
            for n in there
        ]
        seated = seats_at(turns, asking, room, now_s)
        starts.update(seated - charges)
        charges = seated | (charges - set(there))
        for n in there:
            got_wh[n] += 69.0 * (n in charges)
            served_s[n] += 60.0 * (n in charges)
            waits_s[n] += 60.0 * (n not in charges)
            if served_s[n] >= PACE.rest_s:
                served_s[n] = waits_s[n] = 0.0
            rounds = -(-cars // min(least, cars - 1)) + 1
            assert waits_s[n] <= PACE.wait_s + rounds * PACE.turn_s + PACE.rest_s
    assert max(starts.values()) <= 10 * 3600 / PACE.rest_s / (1 if flickers else 2)


def seats_at(turns: Turns, asking: list[Asker], room: int, now_s: float) -> set[int]:
    """Who charges now, as the site goes about it."""
    if len(asking) <= room:
        turns.all_seated({asker.place for asker in asking}, now_s)
        return {asker.place for asker in asking} - set(turns.rests_anyhow(now_s))
    seated = set(turns.order(asking, now_s)[:room])
    turns.seated(seated, now_s)
    return seated


def watched(site: VirtualSite) -> tuple[Counter[str], Counter[str]]:
    """Of each station from now on: in how many steps it charges, and how often it starts to."""
    charged, starts, before = Counter[str](), Counter[str](), set[str]()

    def look(now: VirtualSite) -> None:
        charging = {name for name, station in now.stations.items() if max(station.draw_a().values()) > 0}
        charged.update(charging)
        starts.update(charging - before)
        before.clear()
        before.update(charging)

    site.on_step.append(look)
    return charged, starts


@pytest.mark.requirement("LC-110")
def test_three_cars_share_room_for_one_by_turns_and_read_when_theirs_comes() -> None:
    ems = LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, (8.0,) * 3)
    site = settled(VirtualSite(topology(60.0, 3), (ems,)))
    for name in site.stations:
        site.plug(name)
    charged_s, starts = watched(site)
    site.run(4 * 3600)
    shares = [count / sum(charged_s.values()) for count in charged_s.values()]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.04)
    assert sum(charged_s.values()) / 2 > 0.95 * 4 * 3600
    assert max(starts.values()) <= 6  # one turn an hour, and the fallback at the beginning
    told = [reason for decision in site.controller.decisions.values() for reason in decision.reasons]
    assert sum("waits for its turn, next in about" in reason for reason in told) == 2


@pytest.mark.requirement("LC-110")
def test_a_car_that_nobody_measures_is_not_switched_all_the_time_at_the_edge_of_the_room() -> None:
    """13 A are left. What it draws may be another load, and so much more than 12 A may flow that the fuse does not bear it."""
    site = settled(VirtualSite(topology(14.0, 2)))
    site.stations["CP-2"].silent_meter = True
    for name in site.stations:
        site.plug(name)
    charged_s, starts = watched(site)
    site.run(5000)
    assert max(starts.values()) <= 6  # the fallback at the beginning, four tries, and a turn in forty minutes
    shares = [count / sum(charged_s.values()) for count in charged_s.values()]
    assert min(shares) > 0.4
    assert sum(charged_s.values()) / 2 > 0.95 * 5000


@pytest.mark.requirement("LC-110")
@pytest.mark.parametrize("is_known", [(True, True, True), (False, True, True), (False, False, False)])
def test_two_seats_for_three_are_shared_alike_whether_or_not_anybody_knows_what_a_car_got(is_known: list[bool]) -> None:
    """Of whom nobody knew it, it was taken for nothing: that car kept its seat all the time, and the two others shared one."""
    turns, charges, got_wh, served = Turns(PACE), set[int](), [0.0] * 3, Counter[int]()
    for minute in range(600):
        asking = [
            Asker(n, "tx", n in charges, got_wh[n] if is_known[n] else None, told_w=4140.0 * (n in charges))
            for n in range(3)
        ]
        charges = seats_at(turns, asking, 2, 60.0 * minute)
        for n in charges:
            got_wh[n] += 69.0
        served.update(charges)
    assert [served[n] / 600 for n in range(3)] == pytest.approx([2 / 3] * 3, abs=0.04)


def askers(*charges: bool) -> list[Asker]:
    return [Asker(place, "tx", one, 0.0) for place, one in enumerate(charges)]


@pytest.mark.requirement("LC-110")
def test_a_car_that_was_stopped_rests_although_it_could_not_charge_for_a_moment() -> None:
    turns = Turns(PACE)
    first, *others = turns.order(askers(True, True, True), 0.0)
    turns.seated({first}, 0.0)
    away, other = others
    there = askers(first == 0, first == 1, first == 2)
    assert turns.order([one for one in there if one.place != away], 60.0) == [first]
    assert turns.order(there, 61.0) == [first]
    assert set(turns.order(there, PACE.rest_s)) == {first, away, other}


@pytest.mark.requirement("LC-110")
def test_ample_room_says_nothing_of_a_car_that_could_not_charge_meanwhile() -> None:
    """Two cars were started because all seemed to fit, and could not go on."""
    turns = Turns(PACE)
    turns.order(askers(True, True, True), 0.0)
    turns.seated({0}, 0.0)
    turns.all_seated({0, 1, 2}, 400.0)
    turns.order(askers(True, True, True), 430.0)
    turns.seated({0}, 430.0)
    assert turns.rests_anyhow(431.0).keys() == {1, 2}
    turns.all_seated({0, 1}, 431.0)
    turns.rest_no_more({0, 1})
    assert turns.rests_anyhow(431.0).keys() == {2}


# --- whom the CSMS wants to go first ----------------------------------------------------------------------------------


def seats_of(turns: Turns, priorities: list[int], minutes: int, room: int = 1) -> list[set[int]]:
    """Who charges in each minute; all came at once and charge alike."""
    charges, history = set[int](), []
    for minute in range(minutes):
        asking = [Asker(n, "tx", n in charges, 0.0, priority) for n, priority in enumerate(priorities)]
        charges = set(turns.order(asking, 60.0 * minute)[:room])
        turns.seated(charges, 60.0 * minute)
        history.append(charges)
    return history


@pytest.mark.requirement("LC-067")
def test_the_car_of_the_higher_priority_goes_on_until_another_one_has_waited_too_long() -> None:
    history = seats_of(Turns(PACE), [0, 3, 0], 180)
    assert all(charges == {1} for charges in history[:60]), "for an hour"
    assert all(charges == {0} for charges in history[60:80]), "then the others have their turns"
    assert all(charges == {2} for charges in history[80:100])
    assert all(charges == {1} for charges in history[100:140]), "and it is first again"
    assert all(charges == {0} for charges in history[140:160])


@pytest.mark.requirement("LC-067")
def test_a_waiting_car_reads_when_its_turn_comes_also_behind_a_higher_priority() -> None:
    turns = Turns(PACE)
    history = seats_of(turns, [0, 3, 0], 31)
    assert history[-1] == {1}
    assert turns.waits_s(30 * 60.0) == {0: 30 * 60.0, 2: 50 * 60.0}
    turns = Turns(PACE)
    seats_of(turns, [3, 3, 0], 5, room=2)
    assert turns.waits_s(4 * 60.0) == {2: 56 * 60.0}
    turns = Turns(PACE)
    seats_of(turns, [3, 0, 0, 0], 5, room=2)
    assert turns.waits_s(4 * 60.0) == {2: 16 * 60.0, 3: 36 * 60.0}, "one of two seats is theirs"


@pytest.mark.requirement("LC-067")
def test_a_priority_that_is_said_in_the_midst_of_a_round_stops_nobody_whose_turn_it_is() -> None:
    turns = Turns(PACE)
    seats_of(turns, [0, 0], 25)
    charging = [Asker(0, "tx", charges=False, got_wh=0.0, priority=5), Asker(1, "tx", charges=True, got_wh=0.0)]
    assert turns.order(charging, 25 * 60.0)[0] == 1
    turns.seated({1}, 25 * 60.0)
    assert turns.order(charging, 40 * 60.0)[0] == 0, "at the end of the round it is its turn"


@pytest.mark.requirement("LC-067")
def test_a_car_whose_priority_is_told_just_after_it_was_stopped_need_not_rest_first() -> None:
    turns = Turns(PACE)
    both = [Asker(n, "tx", charges=True, got_wh=0.0) for n in range(2)]
    assert turns.order(both, 0.0) == [0, 1]
    turns.seated({0}, 0.0)
    late = [both[0], Asker(1, "tx", charges=False, got_wh=0.0, priority=5)]
    assert turns.order(late, 1.0) == [1, 0]
    turns.seated({1}, 1.0)
    assert turns.order([Asker(0, "tx", charges=False, got_wh=0.0), late[1]], 2.0) == [1], "the other one rests now"


@pytest.mark.requirement("LC-067")
def test_room_for_all_for_a_moment_costs_nobody_the_hour_that_it_has_waited() -> None:
    """Two others of a higher priority take turns; the third one is started for a minute only."""
    turns, charges = Turns(PACE), set[int]()
    minutes = []
    for minute in range(80):
        asking = [Asker(n, "tx", n in charges, 0.0, priority) for n, priority in enumerate([0, 3, 3])]
        charges = seats_at(turns, asking, 3 if minute in {25, 45} else 1, 60.0 * minute)
        minutes += [minute] * (0 in charges)
    assert minutes == [25, 45, *range(60, 80)]


@pytest.mark.requirement("LC-067")
@pytest.mark.parametrize("priorities", [[0, 3, 3], [-3, 3, 0]])
def test_a_little_more_room_at_the_beginning_of_each_round_leaves_nobody_behind(priorities: list[int]) -> None:
    """For twenty seconds, ten seconds after it began."""
    turns, charges, charged_s = Turns(PACE), set[int](), Counter[int]()
    for now_s in range(0, 8 * 3600, 10):
        asking = [Asker(n, "tx", n in charges, 0.0, priority) for n, priority in enumerate(priorities)]
        order = turns.order(asking, float(now_s))
        charges = set(order[: 2 if now_s > PACE.turn_s and 10 <= now_s % PACE.turn_s < 30 else 1])
        turns.seated(charges, float(now_s))
        charged_s.update(dict.fromkeys(charges, 10))
    assert min(charged_s.values()) > 8 * 3600 / 6


@pytest.mark.requirement("LC-067")
def test_a_car_that_was_started_for_a_moment_and_is_away_when_the_round_ends_keeps_its_hour() -> None:
    turns = Turns(PACE)
    three = [Asker(n, "tx", charges=False, got_wh=0.0, priority=priority) for n, priority in enumerate([0, 3, 3])]
    for now_s in (0.0, 600.0):
        turns.seated(set(turns.order(three, now_s)[:1]), now_s)
    turns.all_seated({0, 1, 2}, 1190.0)
    for now_s in (1195.0, 1200.0):
        turns.seated(set(turns.order(three[1:], now_s)[:1]), now_s)
    for now_s in range(1205, 4800, 5):
        turns.seated(set(turns.order(three, float(now_s))[:1]), float(now_s))
    assert turns.order(three, 4800.0)[0] == 0


@pytest.mark.requirement("LC-067")
def test_a_car_that_its_csms_stops_for_a_moment_waits_no_longer_than_any_other() -> None:
    """Every five minutes it may have nothing for five seconds, and the priorities of the two others are higher."""
    ems = LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, (8.0,) * 3)
    site = settled(VirtualSite(topology(60.0, 3), (ems,), poll_s=2.0))
    for name in site.stations:
        site.plug(name)
    for name in ("CP-2", "CP-3"):
        site.tell(name, PriorityGiven(1, str(site.stations[name].transaction), 3))
    site.run(120)
    charged_s, _ = watched(site)
    for _ in range(21):
        site.tell("CP-1", CsmsLimitChanged(1, Schedule.constant(0.0, site.now.utc)))
        site.run(5)
        site.tell("CP-1", CsmsLimitChanged(1, Schedule.unlimited()))
        site.run(295)
    assert charged_s["CP-1"] / 2 > 15 * 60


@pytest.mark.requirement("LC-067")
def test_where_room_is_scarce_the_car_of_the_higher_priority_is_served_first_and_all_read_why() -> None:
    ems = LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, (8.0,) * 3)
    site = settled(VirtualSite(topology(60.0, 3), (ems,)))
    for name in site.stations:
        site.plug(name)
    site.tell("CP-3", PriorityGiven(1, str(site.stations["CP-3"].transaction), 3))
    site.run(120)
    charged_s = Counter[str]()

    def look(now: VirtualSite) -> None:
        charged_s.update(name for name, one in now.stations.items() if max(one.draw_a().values()) > 0)

    site.on_step.append(look)
    site.run(45 * 60)
    assert set(charged_s) == {"CP-3"}
    told = {str(decision.evse): decision.reasons for decision in site.controller.decisions.values()}
    assert any("charging priority 3: that decides whose turn it is" in reason for reason in told["CP-3/1"])
    for other in ("CP-1/1", "CP-2/1"):
        (why,) = (reason for reason in told[other] if "waits for its turn" in reason)
        assert why.endswith("; the CSMS gave others a higher charging priority")
    site.run(4 * 3600)
    shares = {name: count / sum(charged_s.values()) for name, count in charged_s.items()}
    assert shares["CP-3"] > 0.4
    assert min(shares.values()) > 0.2, "nobody starves"


@pytest.mark.requirement("LC-110")
def test_turns_go_on_behind_a_silent_meter() -> None:
    """Whoever had its turn was stopped, and nobody was started in its place: nothing flowed any more until the meter spoke."""
    ems = LimitSource("ems", "EMS limit", "grid", AppliesTo.CHARGING, (9.0,) * 3)
    site = settled(VirtualSite(topology(60.0, 2, base_a=2.0), (ems,)))
    for name in site.stations:
        site.plug(name)
    site.run(300)
    site.go_blind(6000)
    charged_s, most_a = Counter[str](), [0.0]

    def look(now: VirtualSite) -> None:
        charged_s.update(name for name, one in now.stations.items() if max(one.draw_a().values()) > 0)
        most_a.append(sum(now.drawn()))

    site.on_step.append(look)
    site.run(5400)
    assert sum(charged_s.values()) / 2 > 0.95 * 5400
    assert min(charged_s.values()) > 0.4 * sum(charged_s.values())
    assert max(most_a) <= 9.0, "at no moment two"


@pytest.mark.requirement("LC-067")
def test_where_all_minimums_fit_a_priority_changes_nothing() -> None:
    limits_a = []
    for priority in (0, 9):
        site = settled(VirtualSite(topology(28.0, 3)))
        for name in site.stations:
            site.plug(name)
        site.tell("CP-3", PriorityGiven(1, str(site.stations["CP-3"].transaction), priority))
        site.run(600)
        limits_a.append([decision.limit_a for decision in site.controller.decisions.values()])
    assert limits_a[0] == limits_a[1]
