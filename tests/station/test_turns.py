"""Hundreds of stations boot in the same second: each gets its first profile in its turn, and at once what presses."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from local_controller.site.worst_case import CONFIRM_S
from local_controller.station.turns import Turns, turns_after_boot
from local_controller.station.words import LimitKind, LimitOutcome, OcppVersion

VERSIONS = list(OcppVersion)
TURNS = Turns(1.0, 10.0)
TURN_S = TURNS.delay_s("CP")  # of the station of the bench


@pytest.mark.parametrize("name", ["CP-{:04}", "DE*ACM*E{:06}", "{}", "ümlaut {}"])
def test_the_turns_of_a_large_site_are_spread_evenly_and_never_change(name: str) -> None:
    delays_s = [turns_after_boot(500).delay_s(name.format(n)) for n in range(500)]
    assert all(1.0 <= delay_s < 3.0 for delay_s in delays_s)
    assert delays_s == [turns_after_boot(500).delay_s(name.format(n)) for n in range(500)]
    assert max(Counter(int(delay_s * 10) for delay_s in delays_s).values()) <= 50


@pytest.mark.parametrize("stations", [51, 500, 2000, 100_000])
def test_every_station_has_its_turn_before_the_site_counts_it_as_unlimited(stations: int) -> None:
    turns = turns_after_boot(stations)
    assert turns.first_s + turns.spread_s <= CONFIRM_S - 4.0


def test_on_a_small_site_nobody_waits() -> None:
    assert turns_after_boot(50).delay_s("CP") == 0.0


@pytest.fixture(params=VERSIONS)
def large(request: pytest.FixtureRequest, bench: Any) -> Any:
    """A station of a large site that has just booted."""
    b = bench(request.param, turns=TURNS)
    b.boot()
    return b


@pytest.mark.requirement("LC-041")
def test_after_a_boot_the_floor_is_written_in_the_stations_turn(large: Any) -> None:
    assert large.smart.will_hold(1, 6.0, large.now)
    large.set_fallback(6.0)  # as the site asks for after each boot
    large.wait(TURN_S - 0.01)
    assert large.own_profiles() == []
    large.wait(0.02)
    assert len(large.own_profiles()) == 1
    assert large.in_force_a() == 6.0
    assert not large.smart.will_hold(1, 6.0, large.now), "asked again, the site gets an answer"
    assert (LimitOutcome.ACCEPTED, 6.0) in large.outcomes(LimitKind.FALLBACK)


@pytest.mark.requirement("LC-041")
def test_each_boot_is_followed_by_a_turn_of_its_own(large: Any) -> None:
    large.wait(TURN_S + 1.0)
    large.boot()
    large.wait(TURN_S - 0.01)
    assert len(large.own_profiles()) == 1
    large.wait(0.02)
    assert len(large.own_profiles()) == 2


def test_a_session_does_not_wait_for_the_turn(large: Any) -> None:
    large.start()
    assert large.in_force_a() == 6.0
    large.set_limit(10.0)
    assert large.in_force_a() == 10.0


def test_a_session_that_outlives_the_boot_is_limited_at_once(large: Any) -> None:
    large.start()
    large.set_limit(10.0)
    before = len(large.own_profiles())
    large.boot()
    assert len(large.own_profiles()) > before


def test_a_lower_floor_does_not_wait_for_the_turn(large: Any) -> None:
    assert not large.smart.will_hold(1, 4.0, large.now)
    large.set_fallback(4.0)
    assert large.in_force_a() == 4.0


@pytest.mark.requirement("LC-092")
def test_a_profile_of_the_csms_does_not_wait_for_the_turn(large: Any) -> None:
    assert large.csms_sets("TxDefaultProfile", 5.0) == "Accepted"
    assert large.in_force_a() == 5.0


@pytest.mark.requirement("LC-042")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_station_that_did_not_boot_may_be_charging_and_is_limited_at_once(bench: Any, version: OcppVersion) -> None:
    b = bench(version, turns=TURNS)
    b.from_station("Heartbeat", {})
    assert b.in_force_a() == 6.0
