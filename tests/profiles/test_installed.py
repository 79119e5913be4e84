"""Does the store of profiles accept, refuse, replace and clear as a conforming station of each version does?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from local_controller.profiles.installed import Criteria, Installed, InstalledProfiles
from local_controller.profiles.profile import (
    ChargingProfile,
    ChargingSchedule,
    Kind,
    LimitAtSoc,
    OperationMode,
    Purpose,
    Recurrency,
    SchedulePeriod,
)
from local_controller.profiles.rules import V16, V21, V201, Reason, Rules, StationFacts
from local_controller.profiles.units import RateUnit

T0 = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
FACTS = StationFacts(frozenset({1, 2}), {1: "tx"})
EMPTY = InstalledProfiles()
MAX, TX, DEFAULT = Purpose.CHARGING_STATION_MAX_PROFILE, Purpose.TX_PROFILE, Purpose.TX_DEFAULT_PROFILE
PRIORITY, GENERATION = Purpose.PRIORITY_CHARGING, Purpose.LOCAL_GENERATION
EXTERNAL = Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS

schedule = ChargingSchedule(RateUnit.A, (SchedulePeriod(0, 16.0),), start_schedule=T0)
default = ChargingProfile(1, 0, DEFAULT, Kind.ABSOLUTE, (schedule,))
tx = replace(default, id=2, purpose=TX, transaction_id="tx")
station_max = replace(default, id=3, purpose=MAX)
relative = replace(tx, kind=Kind.RELATIVE, schedules=(replace(schedule, start_schedule=None),))
dynamic = replace(relative, kind=Kind.DYNAMIC)


def holding(*entries: tuple[int, ChargingProfile]) -> InstalledProfiles:
    return InstalledProfiles(tuple(Installed(evse, profile) for evse, profile in entries))


def outcome(
    profile: ChargingProfile,
    evse: int = 1,
    rules: Rules = V21,
    facts: StationFacts = FACTS,
    before: InstalledProfiles = EMPTY,
) -> Reason | None:
    after, verdict = before.install(profile, evse, rules, facts)
    assert verdict.status == ("Accepted" if verdict.accepted else "Rejected")
    assert bool(verdict.detail) is not verdict.accepted
    if verdict.accepted:
        assert Installed(evse, profile) in after
    else:
        assert after == before
    return verdict.reason


def ids(store: InstalledProfiles) -> set[int]:
    return {entry.profile.id for entry in store}


def with_schedule(profile: ChargingProfile, **changes: object) -> ChargingProfile:
    return replace(profile, schedules=(replace(profile.schedules[0], **changes),))  # type: ignore[arg-type]  # per case


def with_period(profile: ChargingProfile, **changes: object) -> ChargingProfile:
    (only,) = profile.schedules
    return with_schedule(profile, periods=(replace(only.periods[0], **changes),))  # type: ignore[arg-type]  # per case


@pytest.mark.requirement("LC-091")
@pytest.mark.parametrize("rules", [V16, V201, V21])
def test_plain_profiles_are_accepted_by_every_version(rules: Rules) -> None:
    assert outcome(default, 0, rules) is None
    assert outcome(default, 2, rules) is None
    assert outcome(tx, 1, rules) is None
    assert outcome(relative, 1, rules) is None
    assert outcome(station_max, 0, rules) is None
    recurring = replace(default, kind=Kind.RECURRING, recurrency=Recurrency.WEEKLY)
    assert outcome(recurring, 1, rules) is None


@pytest.mark.requirement("LC-091")
@pytest.mark.parametrize("rules", [V16, V201, V21])
@pytest.mark.parametrize(
    ("profile", "evse", "reason"),
    [
        (default, 3, Reason.UNKNOWN_EVSE),
        (station_max, 1, Reason.INVALID_VALUE),
        (tx, 0, Reason.INVALID_VALUE),
        (tx, 2, Reason.TX_NOT_FOUND),
        (replace(tx, transaction_id="other"), 1, Reason.TX_NOT_FOUND),
        (replace(station_max, purpose=EXTERNAL), 0, Reason.INVALID_VALUE),
        (replace(default, stack_level=-1), 1, Reason.INVALID_STACK_LEVEL),
        (replace(default, kind=Kind.RECURRING), 1, Reason.INVALID_PROFILE),
        (replace(default, recurrency=Recurrency.DAILY), 1, Reason.INVALID_PROFILE),
        (replace(default, schedules=()), 1, Reason.INVALID_PROFILE),
        (replace(default, schedules=(schedule, schedule)), 1, Reason.INVALID_PROFILE),
        (with_schedule(default, start_schedule=None), 1, Reason.INVALID_SCHEDULE),
        (replace(tx, kind=Kind.RELATIVE), 1, Reason.INVALID_SCHEDULE),
        (with_schedule(default, periods=()), 1, Reason.INVALID_SCHEDULE),
        (with_period(default, start_s=1), 1, Reason.INVALID_SCHEDULE),
        (with_schedule(default, periods=(SchedulePeriod(0, 1.0), SchedulePeriod(0, 2.0))), 1, Reason.INVALID_SCHEDULE),
        (with_period(default, limit=None), 1, Reason.INVALID_SCHEDULE),
        (with_period(default, limit=-1.0), 1, Reason.INVALID_SCHEDULE),
        (with_period(default, number_phases=0), 1, Reason.INVALID_SCHEDULE),
        (with_period(default, phase_to_use=1), 1, Reason.INVALID_SCHEDULE),
    ],
)
def test_what_every_version_refuses(profile: ChargingProfile, evse: int, reason: Reason, rules: Rules) -> None:
    assert outcome(profile, evse, rules) is reason


@pytest.mark.requirement("LC-091")
@pytest.mark.parametrize(
    ("profile", "evse", "v16", "v201", "v21"),
    [
        (replace(default, purpose=PRIORITY), 1, Reason.UNSUPPORTED_PURPOSE, Reason.UNSUPPORTED_PURPOSE, None),
        (replace(default, purpose=GENERATION), 0, Reason.UNSUPPORTED_PURPOSE, Reason.UNSUPPORTED_PURPOSE, None),
        (dynamic, 1, Reason.UNSUPPORTED_KIND, Reason.UNSUPPORTED_KIND, None),
        (replace(relative, purpose=MAX), 0, None, Reason.INVALID_PROFILE, Reason.INVALID_PROFILE),
        (replace(tx, transaction_id=None), 1, None, Reason.INVALID_PROFILE, Reason.INVALID_PROFILE),
    ],
)
def test_what_the_versions_judge_differently(
    profile: ChargingProfile, evse: int, v16: Reason | None, v201: Reason | None, v21: Reason | None
) -> None:
    assert [outcome(profile, evse, rules) for rules in (V16, V201, V21)] == [v16, v201, v21]


@pytest.mark.requirement("LC-091")
@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        (replace(default, dyn_update_time=T0), Reason.INVALID_PROFILE),
        (replace(dynamic, schedules=dynamic.schedules * 2), Reason.INVALID_PROFILE),
        (with_schedule(dynamic, periods=(SchedulePeriod(0, 1.0), SchedulePeriod(9, 2.0))), Reason.INVALID_SCHEDULE),
        (with_schedule(replace(default, purpose=PRIORITY), duration_s=60), Reason.INVALID_SCHEDULE),
        (with_schedule(replace(default, purpose=PRIORITY), randomized_delay_s=60), Reason.INVALID_SCHEDULE),
        (with_period(tx, operation_mode=OperationMode.CENTRAL_SETPOINT), Reason.INVALID_OPERATION_MODE),
        (
            with_period(replace(default, purpose=PRIORITY), operation_mode=OperationMode.EXTERNAL_LIMITS),
            Reason.INVALID_OPERATION_MODE,
        ),
        (with_period(tx, limit=None, limit_l2=6.0), Reason.PHASE_CONFLICT),
    ],
)
def test_what_only_the_newest_version_can_be_asked(profile: ChargingProfile, reason: Reason) -> None:
    assert outcome(profile) is reason


@pytest.mark.requirement("LC-091")
@pytest.mark.parametrize(
    ("change", "profile", "reason"),
    [
        ({"rate_units": frozenset({RateUnit.W})}, default, Reason.UNSUPPORTED_RATE_UNIT),
        ({"max_stack_level": 3}, replace(default, stack_level=4), Reason.INVALID_STACK_LEVEL),
        (
            {"max_periods": 1},
            with_schedule(default, periods=(SchedulePeriod(0, 1.0), SchedulePeriod(9, 2.0))),
            Reason.INVALID_SCHEDULE,
        ),
        ({"max_external_constraints_id": 1}, default, Reason.INVALID_PROFILE_ID),
        ({"max_installed": 0}, default, Reason.OUT_OF_STORAGE),
    ],
)
def test_a_station_keeps_to_its_own_bounds(change: dict[str, object], profile: ChargingProfile, reason: Reason) -> None:
    assert outcome(profile) is None
    assert outcome(profile, facts=replace(FACTS, **change)) is reason  # type: ignore[arg-type]  # spelled in the cases


def test_the_bounds_of_a_station_can_be_reached() -> None:
    bounds = replace(FACTS, max_stack_level=3, max_periods=1, max_external_constraints_id=0, max_installed=2)
    assert outcome(replace(default, stack_level=3), facts=bounds, before=holding((1, tx))) is None


def test_a_car_that_told_its_needs_may_be_offered_alternatives() -> None:
    three = replace(tx, schedules=(schedule,) * 3)
    assert outcome(three) is Reason.INVALID_MESSAGE_SEQ
    assert outcome(replace(three, schedules=(schedule,) * 4)) is Reason.INVALID_PROFILE
    assert outcome(three, facts=replace(FACTS, charging_needs=frozenset({1}))) is None


@pytest.mark.requirement("LC-091", "LC-100")
@pytest.mark.parametrize("rules", [V16, V201, V21])
def test_the_same_id_replaces_wherever_it_was(rules: Rules) -> None:
    before = holding((1, default))
    newer = with_period(default, limit=8.0)
    after, verdict = before.install(newer, 2, rules, replace(FACTS, max_installed=1))
    assert verdict.accepted
    assert after == holding((2, newer))


@pytest.mark.requirement("LC-091")
def test_the_same_rank_replaces_in_1_6_and_is_a_duplicate_later() -> None:
    rival = replace(default, id=9)
    before = holding((1, default))
    after, _ = before.install(rival, 1, V16, FACTS)
    assert after == holding((1, rival))
    assert outcome(rival, 1, V201, before=before) is Reason.DUPLICATE_PROFILE
    assert outcome(replace(rival, stack_level=1), 1, V201, before=before) is None
    assert outcome(rival, 2, V201, before=before) is None


@pytest.mark.requirement("LC-091")
def test_a_default_of_the_station_and_one_of_an_evse_collide_at_the_same_level() -> None:
    rival = replace(default, id=9)
    assert outcome(rival, 1, V21, before=holding((0, default))) is Reason.DUPLICATE_PROFILE
    assert outcome(rival, 0, V21, before=holding((1, default))) is Reason.DUPLICATE_PROFILE
    after, _ = holding((0, default)).install(rival, 1, V16, FACTS)
    assert after == holding((0, default), (1, rival))  # in 1.6 it takes precedence on its connector


def test_profiles_that_are_never_valid_together_are_no_duplicates() -> None:
    noon = replace(default, valid_to=T0)
    after_noon = replace(default, id=9, valid_from=T0)
    assert outcome(after_noon, before=holding((1, noon))) is None
    assert (
        outcome(replace(after_noon, valid_from=T0 - timedelta(seconds=1)), before=holding((1, noon)))
        is Reason.DUPLICATE_PROFILE
    )


def test_two_tx_profiles_of_one_transaction_need_different_levels() -> None:
    before = holding((1, tx))
    assert outcome(replace(tx, id=9), before=before) is Reason.DUPLICATE_PROFILE
    assert outcome(replace(tx, id=9, stack_level=1), before=before) is None


def test_an_external_constraint_is_never_replaced() -> None:
    before = holding((0, replace(station_max, id=1, purpose=EXTERNAL)))
    assert outcome(default, before=before) is Reason.INVALID_PROFILE_ID


@pytest.mark.parametrize(
    ("profile", "evse", "reason"),
    [
        (with_period(tx, number_phases=1, phase_to_use=3), 1, Reason.PHASE_CONFLICT),
        (with_period(tx, number_phases=1, phase_to_use=2), 1, None),
        (tx, 1, None),
        (with_period(replace(default, id=9, stack_level=1), number_phases=1, phase_to_use=3), 1, Reason.PHASE_CONFLICT),
    ],
)
def test_profiles_that_are_merged_must_agree_on_the_phase(
    profile: ChargingProfile, evse: int, reason: Reason | None
) -> None:
    on_l2 = with_period(station_max, number_phases=1, phase_to_use=2)
    assert outcome(profile, evse, before=holding((0, on_l2))) is reason


def test_profiles_that_take_turns_may_use_different_phases() -> None:
    before = holding((1, with_period(default, number_phases=1, phase_to_use=2)))
    assert outcome(with_period(tx, number_phases=1, phase_to_use=3), before=before) is None


@pytest.mark.parametrize("rules", [V16, V21])
def test_what_the_station_has_accepted_is_recorded_without_judgement(rules: Rules) -> None:
    odd = with_period(default, limit=-1.0)
    assert EMPTY.recorded(odd, 7, rules) == holding((7, odd))
    assert ids(holding((1, default)).recorded(replace(default, stack_level=3), 2, rules)) == {1}


STORE = holding(
    (0, station_max),
    (0, replace(default, id=4, stack_level=1)),
    (1, default),
    (1, tx),
    (2, replace(default, id=5, stack_level=2)),
    (0, replace(default, id=6, purpose=EXTERNAL)),
    (0, replace(default, id=7, purpose=GENERATION)),
)


@pytest.mark.requirement("LC-095")
@pytest.mark.parametrize(
    ("criteria", "gone"),
    [
        (Criteria(), {1, 2, 3, 4, 5}),
        (Criteria(profile_ids=frozenset({4})), {4}),
        (Criteria(profile_ids=frozenset({4}), evse=1, purpose=MAX, stack_level=8), {4}),
        (Criteria(profile_ids=frozenset({99})), set()),
        (Criteria(profile_ids=frozenset({6, 7})), set()),
        (Criteria(evse=0), {3, 4}),
        (Criteria(evse=1), {1, 2}),
        (Criteria(purpose=DEFAULT), {1, 4, 5}),
        (Criteria(purpose=DEFAULT, stack_level=1), {4}),
        (Criteria(evse=1, purpose=DEFAULT, stack_level=1), set()),
        (Criteria(purpose=EXTERNAL), set()),
        (Criteria(purpose=GENERATION), set()),
    ],
)
def test_clear_removes_what_all_criteria_name_and_no_external_limit(criteria: Criteria, gone: set[int]) -> None:
    left, removed = STORE.cleared(criteria)
    assert ids(removed) == gone
    assert ids(left) == ids(STORE) - gone
    assert len(left) + len(removed) == len(STORE)


@pytest.mark.requirement("LC-096")
@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        (Criteria(), {1, 2, 3, 4, 5, 6, 7}),
        (Criteria(evse=0), {3, 4, 6, 7}),
        (Criteria(evse=1, profile_ids=frozenset({1, 4})), {1}),
        (Criteria(purpose=EXTERNAL), {6}),
    ],
)
def test_get_reports_what_all_criteria_name(criteria: Criteria, found: set[int]) -> None:
    assert ids(STORE.matching(criteria)) == found


@pytest.mark.requirement("LC-079")
def test_the_end_of_a_transaction_removes_its_tx_profiles() -> None:
    assert ids(STORE.after_transaction(1)) == ids(STORE) - {2}
    assert STORE.after_transaction(2) == STORE


@pytest.mark.requirement("LC-060")
@pytest.mark.parametrize(("offline_s", "left"), [(300.0, {1, 2}), (300.5, {2})])
def test_an_offline_time_may_end_a_profile_for_good(offline_s: float, left: set[int]) -> None:
    once = replace(default, max_offline_duration_s=300, invalid_after_offline_duration=True)
    again = replace(default, id=2, max_offline_duration_s=300)
    assert ids(holding((1, once), (1, again)).after_offline(offline_s)) == left


def test_purposes_can_be_looked_at_alone() -> None:
    assert ids(STORE.of_purposes(TX, DEFAULT)) == {1, 2, 4, 5}


@pytest.mark.parametrize(
    "broken",
    [
        lambda: with_schedule(default, start_schedule=T0.replace(tzinfo=None)),
        lambda: replace(default, valid_from=T0.replace(tzinfo=None)),
        lambda: with_schedule(default, duration_s=2**31),
        lambda: with_period(default, limit=float("nan")),
        lambda: with_period(default, start_s=-(2**31) - 1),
        lambda: LimitAtSoc(80.0, float("inf")),
    ],
)
def test_what_cannot_be_reckoned_with_is_no_profile(broken: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"time zone|32 bits|finite"):
        broken()


def test_a_local_start_needs_no_time_zone() -> None:
    wall = with_schedule(default, start_schedule=T0.replace(tzinfo=None), use_local_time=True)
    assert outcome(wall) is None
