"""Do twenty stations stay below a limit while the building's load jumps and the grid operator cuts, and is it used?"""

from __future__ import annotations

import json

import pytest

from tests.e2e.main_run import MainRun, calm
from tests.e2e.twenty_stations import BASE_A, LIMITS, STATIONS, STEPS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

METER_S = 1.0 + 0.5
"""One poll of the gateway, and the meter's own refresh."""

MESSAGES_S = 0.5
"""A limit over five hops on the patient clock: publish, gateway, SetChargingProfile to twenty stations at once."""

STATIONS_S = max(s.obey_delay_s + car.reaction_s + 16.0 / car.ramp_a_per_s for s in STATIONS for car in s.vehicles)
"""What only the stations decide: firmware until the pilot follows, the car's reaction, its way down by 16 A."""

BOUND_S = METER_S + MESSAGES_S + STATIONS_S
SETTLED_S, START_S = 45.0, 110.0
"""Limits rise by 6 A per 10 s, after 10 s of calm: at the start they have further to go."""


@pytest.mark.requirement("LC-106", "LC-107", "LC-109", "LC-112")
def test_no_fuse_and_no_limit_is_exceeded_for_longer_than_stations_need(main_job: MainRun) -> None:
    results = main_job.results
    over_limit_as = sum(max(0.0, max(s.current_a) - s.limit_a) for s in main_job.seconds)
    print(  # noqa: T201  # the figures of the main job
        f"\nover a fuse:  worst {results.worst_excess_a:.1f} A, longest {results.longest_excess_s:.1f} s,"
        f" integral {results.excess_integral_as:.1f} A·s over all phases"
        f"\nover a limit: worst {results.limit_worst_excess_a:.1f} A, longest {results.limit_longest_excess_s:.1f} s,"
        f" integral {over_limit_as:.1f} A·s on the worst phase; bound {BOUND_S:.1f} s"
    )
    assert results.stations == 20
    assert results.longest_excess_s <= BOUND_S, "the building's step must be answered in time, if it found no room"
    assert 0 < results.limit_longest_excess_s <= BOUND_S, "the cut must be seen, and answered in time"
    jump_a = max(change_a for _, change_a in STEPS)
    assert results.worst_excess_a <= jump_a, "nothing but the building's step may exceed a fuse"
    assert results.limit_worst_excess_a <= LIMITS[0].max_a - LIMITS[1].max_a
    circuits = [row for row in results.nodes if row.node != "grid"]
    assert len(circuits) == 3 * (len(BASE_A) - 1)
    assert {row.worst_excess_a for row in circuits} == {0.0}


def test_what_the_limit_gives_is_used(main_job: MainRun) -> None:
    changes_s = [0.0, *(at_s for at_s, _ in STEPS), *_seen_limit_changes_s(main_job)]
    settled = [s for s in calm(main_job.seconds, changes_s, SETTLED_S) if s.at_s >= START_S]
    used = [s.used for s in settled]
    mean = sum(used) / len(used)
    print(f"\nused: {mean:.1%} of the limit on the fullest phase in {len(used)} settled seconds")  # noqa: T201
    assert {s.limit_a for s in settled} == {change.max_a for change in LIMITS}
    assert mean >= 0.85
    assert main_job.results.energy_kwh > 0


def test_the_csms_notices_nothing(main_job: MainRun) -> None:
    assert main_job.results.complaints == []
    assert len(main_job.results.profile_outcomes) == 3
    assert all(outcome.endswith("Accepted") for outcome in main_job.results.profile_outcomes)
    assert min(main_job.results.energy_kwh_by_station.values()) > 0


def test_what_is_told_over_mqtt_is_what_really_flows(main_job: MainRun) -> None:
    """Of the grid connection in each quiet second; of each station at the end, when nearly all cars charge."""
    changes_s = [0.0, *(at_s for at_s, _ in STEPS), *_seen_limit_changes_s(main_job)]
    settled = [s for s in calm(main_job.seconds, changes_s, SETTLED_S) if s.at_s >= START_S]
    wrong_a = [abs(a - b) for s in settled for a, b in zip(s.current_a, s.told_a or (0.0, 0.0, 0.0), strict=True)]
    assert sorted(wrong_a)[len(wrong_a) * 9 // 10] <= 1.0
    evses = [told for topic, told in main_job.told.items() if "/evse/" in topic]
    assert len(evses) == len(STATIONS)
    assert sum(one["drawn_w"] or 0 for one in evses) > 1000
    for one in evses:
        assert one["connected"]
        assert one["reason"] or one["offered_a"] is None
        assert one["offered_a"] is None or max(one["drawn_a"] or [0]) <= one["offered_a"] + 1.0 or one["offered_a"] == 0
    assert main_job.told["limit/grid-operator/state"]["state"] == "fresh"
    cards = {vehicle.card for station in STATIONS for vehicle in station.vehicles}
    assert cards
    assert not [card for card in cards if card in json.dumps(main_job.told)]


def _seen_limit_changes_s(run: MainRun) -> list[float]:
    """When the limit changed, on the clock of the record."""
    pairs = zip(run.seconds, run.seconds[1:], strict=False)
    return [after.at_s for before, after in pairs if before.limit_a != after.limit_a]
