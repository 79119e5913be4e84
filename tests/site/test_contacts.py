"""What do contacts mean, and when does a change of one count? What is unknown limits."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.site.contacts import STEADY_S, UNREADABLE_S, Contact, ContactTable, Steady
from local_controller.site.control_settings import ControlSettings
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo, Bound
from local_controller.site.section_14a import minimum_power_w
from local_controller.site.turns import TurnPace
from tests.site.virtual_site import START, Car, VirtualSite, topology

NO_LIMIT = Bound()
W4 = ContactTable((Contact("W4", 0),), {frozenset({"W4"}): Bound(power_w=4200.0), frozenset(): NO_LIMIT})
TWO_BITS = ContactTable(
    (Contact("A", 0), Contact("B", 1)),
    {
        frozenset(): NO_LIMIT,
        frozenset({"A"}): Bound(power_w=4200.0),
        frozenset({"B"}): Bound(power_w=0.0),
    },
)
RIPPLE = ContactTable(
    tuple(Contact(f"K{percent}", channel, given_when_open=False) for channel, percent in enumerate((100, 60, 30, 0))),
    {frozenset({f"K{percent}"}): Bound(power_w=220.0 * percent) for percent in (60, 30, 0)}
    | {frozenset({"K100"}): NO_LIMIT},
)


def power_w(table: ContactTable, *closed: bool) -> float | None:
    return table.limit(closed, START).power_w


@pytest.mark.parametrize(
    ("devices", "power_kw"),
    [
        *((1, 4.2), (2, 7.56), (3, 10.50), (4, 13.02), (5, 15.12), (6, 16.80), (7, 18.06), (8, 18.90), (9, 19.32)),
        *((10, 21.21), (20, 40.11)),
    ],
)
def test_the_minimum_power_of_section_14a(devices: int, power_kw: float) -> None:
    assert minimum_power_w(devices) == pytest.approx(1000 * power_kw)


def test_there_is_no_minimum_for_nothing() -> None:
    with pytest.raises(ValueError, match="no minimum for 0 devices"):
        minimum_power_w(0)


def test_a_dim_relay_limits_while_its_wire_is_open() -> None:
    assert power_w(W4, False) == 4200.0
    lifted = W4.limit((True,), START)
    assert lifted.lifted
    assert lifted.reason == "W4 is closed (not given)"
    assert lifted.valid_until.since(START) == UNREADABLE_S


def test_a_box_of_two_bits_is_on_dims_or_is_off_and_both_bits_are_none() -> None:
    table = {(True, True): None, (False, True): 4200.0, (True, False): 0.0, (False, False): 0.0}
    assert {closed: power_w(TWO_BITS, *closed) for closed in product((True, False), repeat=2)} == table
    assert TWO_BITS.limit((False, False), START).reason.endswith("no row has this pattern, so the lowest counts")


def test_ripple_control_closes_one_of_four_and_everything_else_is_its_lowest() -> None:
    for closed in product((True, False), repeat=4):
        expected = {(1, 0, 0, 0): None, (0, 1, 0, 0): 13_200.0, (0, 0, 1, 0): 6600.0}.get(closed, 0.0)
        assert power_w(RIPPLE, *closed) == expected, closed


def test_the_lowest_of_amperes_and_watts_is_both() -> None:
    table = ContactTable((Contact("A", 2),), {frozenset(): Bound((16.0,) * 3), frozenset("A"): Bound(power_w=4200.0)})
    assert table.lowest == Bound((16.0,) * 3, 4200.0)
    assert table.channels == 3


def test_a_change_counts_when_a_second_look_shows_it() -> None:
    steady = Steady()
    assert not steady.look([True], 0.0)
    assert steady.look([True], STEADY_S)
    assert not steady.look([False], 1.0)
    assert steady.counts == (True,)
    assert steady.look([True], 1.05), "it has bounced: nothing is new"
    assert not steady.look([False], 1.1)
    assert steady.look([False], 1.25)
    assert steady.counts == (False,)


def test_what_was_seen_before_a_failure_proves_nothing() -> None:
    steady = Steady()
    assert not steady.look([True], 0.0)
    steady.missed()
    assert not steady.look([True], 5.0)
    assert steady.look([True], 5.2)


@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 2.0)), max_size=40))
def test_law_what_counts_was_seen_unchanged_for_long_enough(looks: list[tuple[bool, float]]) -> None:
    steady, at_s, history = Steady(), 0.0, []
    for closed, pause_s in looks:
        at_s += pause_s
        history.append((closed, at_s))
        if steady.look([closed], at_s):
            assert steady.counts == (closed,)
        if steady.counts is not None:
            runs = [s for one, s in history if one == steady.counts[0]]
            assert runs[-1] - runs[0] >= STEADY_S


def limited_by_contacts(stations: int = 2) -> VirtualSite:
    source = LimitSource("dso", "dim", "grid", AppliesTo.CHARGING, None, UNREADABLE_S, fallback_w=4200.0)
    site = VirtualSite(topology(100.0, stations), (source,))
    site.shows_volts = True
    site.connect()
    site.run(15)
    return site


def read(site: VirtualSite, *, closed: bool) -> None:
    """The module answers, from now on every second."""
    site.carry_out(site.controller.limit_received("dso", W4.limit((closed,), site.now), site.now))


@pytest.mark.requirement("LC-116")
def test_a_site_begins_dimmed_and_silence_dims_it_again_after_five_seconds() -> None:
    site = limited_by_contacts()
    for name in site.stations:
        site.plug(name)
    site.run(120)
    assert sorted(site.drawn()) == [0.0, pytest.approx(6.0, abs=0.1)], "no contact was read yet"
    for _ in range(240):
        read(site, closed=True)
        site.run(1)
    assert min(site.drawn()) > 20.0
    site.run(4)
    assert min(site.drawn()) > 20.0
    site.run(15)
    assert sum(site.drawn()) * 3 * 230.0 <= 4200.0


# --- §14a: a surplus of one's own comes on top ------------------------------------------------------------------------


SHORT_TURNS = ControlSettings(turns=TurnPace(turn_s=120.0, wait_s=360.0, rest_s=30.0))
"""A tenth of the defaults: turns do not depend on how long they are."""


def dimmed(stations: int, *, adds_surplus: bool = True, settings: ControlSettings | None = None) -> VirtualSite:
    """A site that is dimmed from the start to what §14a leaves to so many devices."""
    limit_w = minimum_power_w(stations)
    source = LimitSource(
        "dso", "dim", "grid", AppliesTo.CHARGING, None, 1e6, fallback_w=limit_w, adds_surplus=adds_surplus
    )
    site = VirtualSite(topology(400.0, stations), (source,), settings)
    site.shows_volts = True
    site.connect()
    site.run(15)
    for name in site.stations:
        site.plug(name)
    return site


def cars_w(site: VirtualSite) -> float:
    return sum(site.drawn()) * 3 * 230.0


def test_what_the_building_feeds_in_comes_on_top_as_long_as_it_is_measured() -> None:
    site = dimmed(2)
    site.run(180)
    assert 4100.0 < cars_w(site) <= 7560.0
    site.base = lambda _: (-20.0, -10.0, -12.0)  # 9.66 kW more than the building takes
    site.run(180)
    assert 7560.0 + 8000.0 < cars_w(site) <= 7560.0 + 42.0 * 230.0
    site.base = lambda _: (-5.0, 5.0, -12.0)
    site.run(15)
    assert cars_w(site) <= 7560.0 + 12.0 * 230.0, "a cloud"
    site.base = lambda _: (-20.0, -10.0, -12.0)
    site.run(180)
    site.meter_alive = False
    site.run(25)
    assert cars_w(site) <= 7560.0, "nobody knows whether the sun still shines"


def test_other_loads_take_nothing_of_what_may_be_drawn() -> None:
    site = dimmed(5)
    site.base = lambda _: (30.0, 30.0, 30.0)
    site.run(240)
    assert 12_000.0 < cars_w(site) <= 15_120.0


def test_without_the_setting_a_surplus_changes_nothing() -> None:
    site = dimmed(2, adds_surplus=False)
    site.base = lambda _: (-30.0, -30.0, -30.0)
    site.run(240)
    assert cars_w(site) <= 7560.0


@pytest.mark.requirement("LC-110")
@pytest.mark.parametrize("stations", [1, 2, 20])
def test_dimmed_cars_draw_nothing_or_their_minimum_and_all_have_their_turn(stations: int) -> None:
    """Goal G9 with the table of §14a: nobody draws a current that no car takes, and nobody starves."""
    site = dimmed(stations, settings=SHORT_TURNS)
    got_as, seen_w = dict.fromkeys(site.stations, 0.0), []

    def look(now: VirtualSite) -> None:
        drawn = dict(zip(now.stations, now.drawn(), strict=True))
        assert all(amps == 0.0 or amps >= 6.0 for amps in drawn.values())
        for name, amps in drawn.items():
            got_as[name] += amps * 0.5
        seen_w.append(cars_w(now))

    site.run(60)
    site.on_step.append(look)
    site.run(600 if stations > 1 else 60)
    assert max(seen_w) <= minimum_power_w(stations)
    assert min(got_as.values()) > 0.0
    assert max(got_as.values()) <= 2.5 * min(got_as.values())


def test_cars_whose_turn_it_is_use_the_surplus_while_the_others_rest() -> None:
    """The plan counts on cars that were stopped a moment ago and rest; what it gives to them is not left unused."""
    site = dimmed(10)
    site.run(60)
    site.base = lambda _: (-15.0, -15.0, -15.0)
    site.run(60)
    assert 0.95 * (minimum_power_w(10) + 45.0 * 230.0) < cars_w(site) <= minimum_power_w(10) + 45.0 * 230.0


@pytest.mark.parametrize("dimmed_s", [30, 40, 60])
def test_when_the_sun_gives_room_to_all_nobody_is_told_less_for_a_plan_in_which_some_had_to_wait(dimmed_s: int) -> None:
    """Three charge and two rest; the plan of then shares less among four, and whoever is told that has to wait for a raise."""
    limit_w = minimum_power_w(5)
    source = LimitSource("dso", "dim", "grid", AppliesTo.CHARGING, None, 1e6, fallback_w=limit_w, adds_surplus=True)
    site = VirtualSite(topology(400.0, 5), (source,))
    site.shows_volts = True
    site.announce("dso", None, 1e6)
    site.connect()
    site.run(15)
    for name in site.stations:
        site.plug(name, Car(phases=1 if name == "CP-5" else 3, max_a=16.0, obey_s=10.0))
    site.run(20)
    site.announce("dso", None, 1e6, power_w=limit_w)
    site.run(dimmed_s)
    before_a = site.drawn()
    assert [amps > 0.0 for amps in before_a] == [True, True, True, False, False]
    site.base = lambda _: (-15.0, -15.0, -15.0)
    least_a = dict(zip(site.stations, before_a, strict=True))
    ordered = len(site.orders)
    site.run(30)
    begun = {evse.station: at for at, evse, amps in reversed(site.orders[ordered:]) if amps >= 6.0}
    assert begun["CP-4"] == begun["CP-5"], "who waited does not wait for the next plan too"
    told_less = [(evse, amps) for _, evse, amps in site.orders[ordered:] if amps < least_a[evse.station] - 0.1]
    assert told_less == []
    charging_w = sum(sum(one.draw_a().values()) for one in site.stations.values()) * 230.0
    assert 0.9 * (limit_w + 45.0 * 230.0) < charging_w <= limit_w + 45.0 * 230.0
