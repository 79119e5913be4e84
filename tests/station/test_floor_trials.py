"""What if a car stays at the floor although its station accepted more? One other way is tried, once, and with care."""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.station.at_floor import AtFloor
from local_controller.station.effects import Peer
from local_controller.station.knowledge import Actuator, Knowledge
from local_controller.station.words import LimitKind, LimitOutcome, OcppVersion

ALL = pytest.mark.parametrize("version", list(OcppVersion))
REQUIREMENT = pytest.mark.requirement("LC-105")
ACCEPTED = LimitOutcome.ACCEPTED


def written(b: Any) -> list[tuple[str, list[float]]]:
    """Purpose and limits of every profile of ours."""
    found = []
    for frame in b.calls_to(Peer.STATION, "SetChargingProfile"):
        profile = frame.payload.get("csChargingProfiles") or frame.payload["chargingProfile"]
        schedule = profile["chargingSchedule"]
        schedule = schedule[0] if isinstance(schedule, list) else schedule
        limits = [period["limit"] for period in schedule["chargingSchedulePeriod"]]
        found.append((profile["chargingProfilePurpose"], limits))
    return found


def draws(b: Any, amps: list[float], *, for_s: float = 100.0, every_s: float = 10.0) -> None:
    for _ in range(round(for_s / every_s)):
        b.wait(every_s)
        b.meter(amps)


def charging(bench: Any, version: OcppVersion, limit_a: float = 16.0, **settings: Any) -> Any:
    b = bench(version, **settings)
    b.boot()
    b.start()
    b.wait(3)
    b.set_limit(limit_a, valid_s=7200)
    return b


def events(b: Any) -> list[str]:
    about = {"stays_at_fallback", "limit_has_effect_now", "car_takes_no_more"}
    return [note.event for note in b.notes if note.event in about]


@ALL
@REQUIREMENT
def test_a_tx_profile_without_effect_gives_way_to_one_profile_for_limit_and_floor(
    bench: Any, version: OcppVersion
) -> None:
    b = charging(bench, version)
    before = len(written(b))
    draws(b, [6.0, 6.0, 6.0])
    assert written(b)[before:] == [("TxDefaultProfile", [16.0, 6.0])]
    draws(b, [16.0, 16.0, 16.0], for_s=300)
    assert len(written(b)) == before + 1
    assert events(b) == ["stays_at_fallback", "limit_has_effect_now"]
    b.stop()
    b.start(8)
    b.wait(3)
    before = len(written(b))
    b.set_limit(12.0, valid_s=7200)
    assert [purpose for purpose, _ in written(b)[before:]] == ["TxDefaultProfile"], "that is remembered"


@ALL
@REQUIREMENT
def test_a_car_that_takes_no_more_is_tried_once_only(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    before = len(written(b))
    draws(b, [6.2, 5.8, 6.0], for_s=3000)
    assert written(b)[before:] == [
        ("TxDefaultProfile", [16.0, 6.0]),
        ("TxProfile", [16.0]),
        ("TxDefaultProfile", [6.0]),
    ]
    assert b.outcomes()[-1] == (ACCEPTED, 16.0)
    assert b.outcomes(LimitKind.FALLBACK)[-1] == (ACCEPTED, 6.0)
    assert events(b) == ["stays_at_fallback", "car_takes_no_more"]
    assert b.smart.state.capability.actuators[0] is Actuator.TX_PROFILE


@ALL
@REQUIREMENT
def test_the_next_transaction_is_tried_a_quarter_of_an_hour_later_at_the_earliest(
    bench: Any, version: OcppVersion
) -> None:
    b = charging(bench, version)
    draws(b, [6.0], for_s=300)
    b.stop()
    b.start(8)
    b.wait(3)
    b.set_limit(16.0, valid_s=7200)
    draws(b, [6.0], for_s=300)
    assert events(b).count("stays_at_fallback") == 1
    b.wait(600)
    draws(b, [6.0], for_s=300)
    assert events(b).count("stays_at_fallback") == 2


@ALL
@pytest.mark.requirement("LC-100", "LC-105")
def test_a_reduction_during_a_trial_lowers_the_tx_profile_first(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    draws(b, [6.0], for_s=90)
    before = len(written(b))
    b.set_limit(10.0, valid_s=7200)
    assert written(b)[before:] == [("TxProfile", [10.0]), ("TxDefaultProfile", [10.0, 6.0])]
    assert b.in_force_a() == 10.0
    assert b.outcomes()[-1] == (ACCEPTED, 10.0)
    before = len(written(b))
    b.set_limit(12.0, valid_s=7200)
    assert written(b)[before:] == [("TxDefaultProfile", [12.0, 6.0])], "a raise has time until the trial is over"
    draws(b, [12.0], for_s=60)
    assert events(b) == ["stays_at_fallback", "limit_has_effect_now"]


@ALL
@REQUIREMENT
def test_a_trial_that_is_refused_leaves_the_limit_as_it_was(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    b.accepts = lambda payload: "TxDefault" not in str(payload)
    before = len(written(b))
    draws(b, [6.0], for_s=600)
    assert written(b)[before:] == [("TxDefaultProfile", [16.0, 6.0]), ("TxProfile", [16.0])]
    assert b.outcomes()[-1] == (ACCEPTED, 16.0)
    assert [b.in_force_a(s) for s in (0, 8000)] == [16.0, 6.0]


@ALL
@REQUIREMENT
def test_a_transaction_that_ends_during_a_trial_leaves_the_floor(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    draws(b, [6.0], for_s=90)
    b.stop()
    assert written(b)[-1] == ("TxDefaultProfile", [6.0])
    b.start(8)
    b.wait(3)
    b.set_limit(16.0, valid_s=7200)
    assert written(b)[-1] == ("TxProfile", [16.0]), "nothing was learnt"


@ALL
@pytest.mark.requirement("LC-105", "LC-115")
def test_a_car_above_its_limit_ends_a_trial(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    draws(b, [6.0], for_s=90)
    for _ in range(4):
        b.wait(10)
        b.disobeyed(20.0)
    before = len(written(b))
    b.set_limit(10.0, valid_s=7200)
    assert [limits[0] for _, limits in written(b)[before:]] == [10.0], "told one way, as ever"
    assert events(b) == ["stays_at_fallback"]


@ALL
@REQUIREMENT
@pytest.mark.parametrize(
    ("drawn_a", "limit_a"),
    [
        ([6.0, 6.0, 6.0], 8.0),  # too near to the floor to tell
        ([8.0, 8.0, 8.0], 16.0),  # the car's own choice
        ([6.0, 4.0, 6.0], 16.0),
        ([0.0, 0.0, 0.0], 16.0),
        ([], 16.0),
    ],
)
def test_other_draws_lead_to_no_trial(bench: Any, version: OcppVersion, drawn_a: list[float], limit_a: float) -> None:
    b = charging(bench, version, limit_a)
    draws(b, drawn_a, for_s=600)
    assert events(b) == []


@ALL
@REQUIREMENT
def test_a_way_that_a_car_followed_needs_no_trial(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    draws(b, [16.0, 16.0, 16.0], for_s=60)
    draws(b, [6.0, 6.0, 6.0], for_s=600)
    assert events(b) == []


@ALL
@REQUIREMENT
@pytest.mark.parametrize("knowledge", [Knowledge(writes_per_day=25), Knowledge(actuators=(Actuator.TX_PROFILE,))])
def test_where_writing_is_dear_or_no_other_way_is_known_nothing_is_tried(
    bench: Any, version: OcppVersion, knowledge: Knowledge
) -> None:
    b = charging(bench, version, knowledge=knowledge)
    draws(b, [6.0, 6.0, 6.0], for_s=600)
    assert events(b) == []


@ALL
@REQUIREMENT
def test_nothing_is_tried_while_another_car_charges_at_the_station(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, evses=[1, 2])
    b.start(8, evse=2)
    draws(b, [6.0, 6.0, 6.0], for_s=300)
    assert events(b) == []
    b.stop(8)
    draws(b, [6.0, 6.0, 6.0], for_s=300)
    assert events(b)[:1] == ["stays_at_fallback"]


def test_a_station_that_measures_seldom_needs_three_samples() -> None:
    seen = AtFloor("a way", 6.0, 15.0)
    assert [seen.sees([6.0], at_s) for at_s in (10.0, 70.0, 130.0, 190.0)] == [False, False, False, True]
    assert seen.stays
