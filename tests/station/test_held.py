"""What is read of a station's composite schedule and of its reported profiles? Deviations met in the field, and laws."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.profiles.profile import Purpose
from local_controller.profiles.units import RateUnit
from local_controller.station.dialects.held import (
    composite_question,
    profiles_question,
    read_composite,
    read_report,
    report_request_id,
)
from local_controller.station.words import OcppVersion
from tests.station.conftest import EFFORT, validate

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
AT_NOON = "2026-06-01T12:00:00Z"


def composite(version: OcppVersion, periods: Any, unit: Any = "A", **schedule: Any) -> dict[str, Any]:
    inner = {"chargingRateUnit": unit, "chargingSchedulePeriod": periods, "duration": 3600} | schedule
    if version is OcppVersion.V16:
        head = {"status": "Accepted", "connectorId": 1, "scheduleStart": AT_NOON}
        return head | {"chargingSchedule": inner}
    return {"status": "Accepted", "schedule": {"evseId": 1, "scheduleStart": AT_NOON} | inner}


@pytest.mark.parametrize("version", list(OcppVersion))
def test_a_schedule_says_what_holds_and_when_that_changes(version: OcppVersion) -> None:
    periods = [{"startPeriod": 0, "limit": 16.0}, {"startPeriod": 90, "limit": 6, "numberPhases": 3}]
    said = read_composite(composite(version, periods))
    assert said is not None
    assert said.unit is RateUnit.A
    first, later = said.at(NOON), said.at(NOON + timedelta(seconds=90))
    assert first is not None
    assert first.limit == 16.0
    assert first.phases is None
    assert later is not None
    assert later.limit == 6.0
    assert later.phases == 3
    assert said.changes_s(NOON + timedelta(seconds=30)) == 60.0
    assert said.changes_s(NOON + timedelta(seconds=100)) is None
    assert said.at(NOON + timedelta(seconds=3600)) is None, "half-open, like every duration"


@pytest.mark.parametrize(
    ("periods", "schedule", "limit"),
    [
        ([{"startPeriod": 0, "limit": -1, "numberPhases": -1}], {}, None),  # MicroOcpp: no limit
        ([{"startPeriod": 0, "limit": -1.0}], {"duration": 8638204663973}, None),  # SAP simulator
        ([{"startPeriod": 0, "limit": 10.724637985229492}], {}, 10.724637985229492),  # libocpp
        ([{"startPeriod": "0", "limit": "16.5 "}], {}, 16.5),
        ([{"startPeriod": 0, "limit": 16.0, "limit_L2": 10.0, "limit_L3": 12.0}], {}, 10.0),  # the lowest phase
        ([{"limit": 7.0}], {"startSchedule": AT_NOON}, 7.0),
        ({"startPeriod": 0, "limit": 7.0}, {}, 7.0),  # one period that is no list
        ([{"startPeriod": 60, "limit": 9.0}, {"startPeriod": 0, "limit": 8.0}], {}, 8.0),  # in disorder
    ],
)
def test_deviations_of_real_stations_are_understood(
    periods: Any, schedule: dict[str, Any], limit: float | None
) -> None:
    said = read_composite(composite(OcppVersion.V16, periods, **schedule))
    assert said is not None
    period = said.at(NOON)
    assert period is not None
    assert period.limit == limit
    assert period.phases is None


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"status": "Rejected"},
        {"status": "Accepted"},  # solidstudio: Accepted, and no schedule
        {"status": "Accepted", "schedule": None},
        composite(OcppVersion.V16, []),  # SAP simulator: no period at all
        composite(OcppVersion.V201, None),
        composite(OcppVersion.V201, [{"startPeriod": 0, "limit": "much"}]),
        composite(OcppVersion.V201, ["16 A"]),
    ],
)
def test_where_no_limit_can_be_read_none_is_made_up(answer: dict[str, Any]) -> None:
    assert read_composite(answer) is None


def test_another_unit_than_the_one_asked_for_is_kept_and_none_is_none() -> None:
    watts, nothing = (
        read_composite(composite(OcppVersion.V201, [{"startPeriod": 0, "limit": 4140}], unit)) for unit in ("W", "kW")
    )
    assert watts is not None
    assert watts.unit is RateUnit.W
    assert nothing is not None
    assert nothing.unit is None


def test_a_schedule_without_a_start_holds_from_the_first_moment_on() -> None:
    answer = composite(OcppVersion.V201, [{"startPeriod": 0, "limit": 5.0}])
    answer["schedule"] |= {"scheduleStart": "soon"}
    said = read_composite(answer)
    assert said is not None
    assert said.start is None
    period = said.at(NOON + timedelta(days=1))
    assert period is not None
    assert period.limit == 5.0


def reported(**more: Any) -> dict[str, Any]:
    period = {"startPeriod": 0, "limit": 10.0}
    schedule = {"id": 1, "startSchedule": AT_NOON, "chargingRateUnit": "A", "chargingSchedulePeriod": [period]}
    head = {"id": 7, "stackLevel": 3, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Absolute"}
    return head | {"chargingSchedule": [schedule]} | more


def report(*profiles: Any, **more: Any) -> dict[str, Any]:
    head = {"requestId": 5, "chargingLimitSource": "EMS", "evseId": 1, "chargingProfile": [*profiles]}
    return head | more


def test_a_report_names_its_profiles_and_whether_more_follow() -> None:
    read = read_report(report(reported(), tbc=True))
    (one,) = read.profiles
    assert (read.request_id, read.is_last) == (5, False)
    assert (one.evse, one.source, one.id, one.purpose, one.stack_level) == (
        1,
        "EMS",
        7,
        Purpose.TX_DEFAULT_PROFILE,
        3,
    )
    assert one.profile is not None
    assert one.profile.schedules[0].periods[0].limit == 10.0
    assert read_report(report()).is_last


@pytest.mark.parametrize(
    "raw",
    [
        reported(chargingSchedule=[]),
        reported(chargingProfileKind="Sometimes"),
        reported(validTo="2262-04-11 or so"),
        reported(chargingSchedule="none"),
    ],
)
def test_of_a_profile_that_cannot_be_read_whole_id_purpose_and_level_are_kept(raw: dict[str, Any]) -> None:
    (one,) = read_report(report(raw)).profiles
    assert one.profile is None
    assert (one.id, one.purpose, one.stack_level) == (7, Purpose.TX_DEFAULT_PROFILE, 3)


def test_minus_one_in_a_reported_profile_is_no_limit_and_unknown_purposes_are_kept_unnamed() -> None:
    schedule = reported()["chargingSchedule"][0] | {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": -1}]}
    odd, endless = read_report(
        report(reported(chargingProfilePurpose="Mine"), reported(chargingSchedule=[schedule]))
    ).profiles
    assert odd.purpose is None
    assert odd.profile is None
    assert odd.id == 7
    assert endless.profile is not None
    assert endless.profile.schedules[0].periods[0].limit is None


@pytest.mark.parametrize("version", list(OcppVersion))
def test_our_questions_are_valid(version: OcppVersion) -> None:
    validate(version, "GetCompositeSchedule", composite_question(version, 2, RateUnit.W), is_answer=False)
    if version is not OcppVersion.V16:
        validate(version, "GetChargingProfiles", profiles_question(2_147_470_000), is_answer=False)


# --- laws ---------------------------------------------------------------------------------------------------------

_NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([-1, 0, 1e400, 8638204663973, 2**63, "1e999", "NaN", "-0"])
)
_LEAVES = st.one_of(st.none(), st.booleans(), _NUMBERS, st.text(max_size=8), st.just(AT_NOON), st.just("Accepted"))
_NAMES = st.sampled_from(
    [
        "status", "schedule", "chargingSchedule", "chargingSchedulePeriod", "startPeriod", "limit", "limit_L2",
        "numberPhases", "duration", "scheduleStart", "startSchedule", "chargingRateUnit", "requestId", "evseId", "tbc",
        "chargingProfile", "id", "stackLevel", "chargingProfilePurpose", "chargingProfileKind", "chargingLimitSource",
        "validTo", "limitAtSoC", "setpoint", "operationMode", "useLocalTime", "transactionId",
    ]
)  # fmt: skip
_JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=6), max_leaves=24
)
_PERIODS = st.lists(st.dictionaries(_NAMES, _LEAVES, max_size=4), max_size=4)


@given(answer=st.dictionaries(_NAMES, _JSON, max_size=6))
@settings(max_examples=100 * EFFORT)
@pytest.mark.requirement("LC-020")
def test_no_answer_makes_a_reader_fail(answer: dict[str, Any]) -> None:
    said = read_composite(answer | {"status": "Accepted"})
    assert said is None or said.periods
    assert all(one.evse is not None for one in read_report(answer).profiles)
    report_request_id(answer)


@given(
    periods=_PERIODS,
    unit=_LEAVES,
    more=st.dictionaries(_NAMES, _LEAVES, max_size=4),
    version=st.sampled_from(OcppVersion),
)
@settings(max_examples=100 * EFFORT)
@pytest.mark.requirement("LC-020")
def test_what_is_read_of_any_schedule_is_a_limit_or_none(
    periods: Any, unit: Any, more: dict[str, Any], version: OcppVersion
) -> None:
    said = read_composite(composite(version, periods, unit, **more))
    for period in () if said is None else said.periods:
        assert period.start_s >= 0
        assert period.limit is None or period.limit >= 0.0
        assert period.phases in {None, 1, 2, 3}
    if said is not None:
        said.at(NOON)
        said.changes_s(NOON)


@given(profile=st.dictionaries(_NAMES, _JSON, max_size=8))
@settings(max_examples=100 * EFFORT)
@pytest.mark.requirement("LC-020")
def test_whatever_is_in_a_reported_profile_it_is_counted(profile: dict[str, Any]) -> None:
    assert len(read_report(report(reported() | profile, profile)).profiles) == 2
