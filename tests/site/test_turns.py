"""Do cars take turns where not all can have their minimum, calmly, so that nobody starves?"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.site.limits import AppliesTo, LimitSource
from local_controller.site.turns import Asker, TurnPace, Turns
from tests.site.test_controller import settled
from tests.site.virtual_site import VirtualSite, topology

PACE = TurnPace()


@given(
    cars=st.integers(2, 12),
    seats=st.lists(st.integers(1, 11), min_size=2, max_size=60),
    measured=st.booleans(),
)
@settings(deadline=None)
@pytest.mark.requirement("LC-110")
def test_law_nobody_waits_for_ever_and_nobody_is_woken_every_minute(
    cars: int, seats: list[int], measured: bool
) -> None:
    """Room for at least `least` of the cars changes every ten minutes, over ten hours."""
    turns, charges, got_wh = Turns(PACE), set[int](), [0.0] * cars
    least, waits_s, starts = min(seats), [0.0] * cars, Counter[int]()
    for minute in range(600):
        room = min(seats[minute // 10 % len(seats)], cars - 1)
        now_s = 60.0 * minute
        order = turns.order([Asker(n, "tx", n in charges, got_wh[n] * measured) for n in range(cars)], now_s)
        seated = set(order[:room])
        turns.seated(seated, now_s)
        starts.update(seated - charges)
        charges = seated
        for n in range(cars):
            got_wh[n] += 69.0 * (n in charges)
            waits_s[n] = 0.0 if n in charges else waits_s[n] + 60.0
            rounds = -(-cars // min(least, cars - 1)) + 1
            assert waits_s[n] <= PACE.wait_s + rounds * PACE.turn_s + PACE.rest_s
    assert max(starts.values()) <= 10 * 3600 / PACE.rest_s / 2


@pytest.mark.requirement("LC-110")
def test_three_cars_share_room_for_one_by_turns_and_read_when_theirs_comes() -> None:
    ems = LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, (8.0,) * 3)
    site = settled(VirtualSite(topology(60.0, 3), (ems,)))
    for name in site.stations:
        site.plug(name)
    charged_s, starts, before = Counter[str](), Counter[str](), set[str]()

    def look(now: VirtualSite) -> None:
        charging = {name for name, station in now.stations.items() if max(station.draw_a().values()) > 0}
        charged_s.update(charging)
        starts.update(charging - before)
        before.clear()
        before.update(charging)

    site.on_step.append(look)
    site.run(4 * 3600)
    shares = [count / sum(charged_s.values()) for count in charged_s.values()]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.04)
    assert sum(charged_s.values()) / 2 > 0.95 * 4 * 3600
    assert max(starts.values()) <= 6  # one turn an hour, and the fallback at the beginning
    told = [reason for decision in site.controller.decisions.values() for reason in decision.reasons]
    assert sum("waits for its turn, next in about" in reason for reason in told) == 2


@pytest.mark.requirement("LC-110")
def test_a_car_that_nobody_measures_leaves_its_room_when_it_is_paused() -> None:
    """There is room for one. Nothing proves that it has stopped, but its station said so, and the meter shows no other load."""
    ems = LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, (8.0,) * 3)
    site = settled(VirtualSite(topology(60.0, 2), (ems,)))
    site.stations["CP-2"].silent_meter = True
    for name in site.stations:
        site.plug(name)
    site.run(1250)
    charged_s = Counter[bool]()
    site.on_step.append(lambda now: charged_s.update([max(now.drawn()) > 0.0]))
    site.run(1200)
    assert charged_s[True] / 2 > 0.6 * 1200


@pytest.mark.requirement("LC-110")
def test_a_car_that_nobody_measures_is_not_switched_all_the_time_at_the_edge_of_the_room() -> None:
    """13 A are left. What it draws counts as other load, and once more as what it may draw: so 12 A fit until it draws, and 18 A then."""
    ems = LimitSource("ems", "EMS limit", "grid", AppliesTo.TOTAL, (14.0,) * 3)
    site = settled(VirtualSite(topology(60.0, 2), (ems,)))
    site.stations["CP-2"].silent_meter = True
    for name in site.stations:
        site.plug(name)
    charged_s, starts, before = Counter[str](), Counter[str](), set[str]()

    def look(now: VirtualSite) -> None:
        charging = {name for name, station in now.stations.items() if max(station.draw_a().values()) > 0}
        charged_s.update(charging)
        starts.update(charging - before)
        before.clear()
        before.update(charging)

    site.on_step.append(look)
    site.run(5000)
    assert max(starts.values()) <= 6  # the fallback at the beginning, four tries, and a turn in forty minutes
    shares = [count / sum(charged_s.values()) for count in charged_s.values()]
    assert min(shares) > 0.4
    assert sum(charged_s.values()) / 2 > 0.95 * 5000
