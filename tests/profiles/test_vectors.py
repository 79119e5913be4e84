"""Do small, readable cases give the composite that the standards describe?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from local_controller.profiles.composite import answer, answer_station, composite, composite_station
from local_controller.profiles.context import Context, StationContext
from local_controller.profiles.installed import Installed, InstalledProfiles
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
from local_controller.profiles.units import RateUnit, round_down

A, W = RateUnit.A, RateUnit.W
MAX, TX, DEFAULT = Purpose.CHARGING_STATION_MAX_PROFILE, Purpose.TX_PROFILE, Purpose.TX_DEFAULT_PROFILE
PRIORITY, GENERATION = Purpose.PRIORITY_CHARGING, Purpose.LOCAL_GENERATION
EXTERNAL = Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS
T0 = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday
IDLE = Context(evse=1)
CHARGING = Context(evse=1, transaction_id="tx", energy_since=T0)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def steps(
    *pairs: tuple[int, float], unit: RateUnit = A, phases: int | None = None, **fields: object
) -> ChargingSchedule:
    periods = tuple(SchedulePeriod(start_s, limit, number_phases=phases) for start_s, limit in pairs)
    return ChargingSchedule(unit, periods, **fields)  # type: ignore[arg-type]  # fields are spelled in the cases


def profile(purpose: Purpose, schedule: ChargingSchedule, level: int = 0, **fields: object) -> ChargingProfile:
    kind = Kind.RECURRING if "recurrency" in fields else Kind.ABSOLUTE
    if kind in {Kind.ABSOLUTE, Kind.RECURRING} and "kind" not in fields and schedule.start_schedule is None:
        schedule = replace(schedule, start_schedule=at("2020-01-01T00:00"))
    fields = {"kind": kind, **fields}
    return ChargingProfile(level, level, purpose, schedules=(schedule,), **fields)  # type: ignore[arg-type]  # as above


def store(profiles: Iterable[ChargingProfile], evse: int = 1) -> InstalledProfiles:
    station_wide = {MAX, EXTERNAL, GENERATION}
    return InstalledProfiles(tuple(Installed(0 if p.purpose in station_wide else evse, p) for p in profiles))


def amps(profiles: Iterable[ChargingProfile], t: datetime, context: Context = IDLE) -> float | None:
    limit_a = composite(store(profiles), context, t, 1.0).at(t)
    return None if limit_a is None else round_down(limit_a, 0.1)


def watts(profiles: Iterable[ChargingProfile], t: datetime, context: Context = IDLE) -> float | None:
    (period,) = answer(store(profiles), context, W, t, 1.0).periods
    return None if period.limit is None else round_down(period.limit, 1.0)


# --- the vectors -------------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-080", "LC-083", "LC-085")
@pytest.mark.parametrize(
    ("t", "limit_w"), [("2026-03-02T18:00", 2000.0), ("2026-03-02T12:00", None), ("2026-03-01T18:00", 999999.0)]
)
def test_v1_sunday_overrules_the_daily_peak_hours(t: str, limit_w: float | None) -> None:
    peak = steps((0, 2000.0), unit=W, duration_s=10800, start_schedule=at("2020-01-09T17:00"))
    sunday = steps((0, 999999.0), unit=W, duration_s=86400, start_schedule=at("2020-01-05T00:00"))
    profiles = [
        profile(DEFAULT, peak, 1, recurrency=Recurrency.DAILY),
        profile(DEFAULT, sunday, 2, recurrency=Recurrency.WEEKLY),
    ]
    assert watts(profiles, at(t)) == limit_w


@pytest.mark.requirement("LC-080", "LC-086")
def test_v2_watts_without_phases_are_spread_over_three() -> None:
    profiles = [profile(MAX, steps((0, 11000.0), unit=W)), profile(DEFAULT, steps((0, 16.0)))]
    assert amps(profiles, T0) == 15.9
    assert watts(profiles, T0) == 11000.0


@pytest.mark.requirement("LC-080", "LC-086")
def test_v3_the_lowest_number_of_phases_counts() -> None:
    one_phase = profile(TX, steps((0, 16.0), phases=1), kind=Kind.RELATIVE, transaction_id="tx")
    profiles = store([profile(MAX, steps((0, 22000.0), unit=W, phases=3)), one_phase])
    in_a, in_w = (answer(profiles, CHARGING, unit, T0, 60.0).periods for unit in (A, W))
    assert [(p.limit, p.number_phases) for p in in_a] == [(16.0, 1)]
    assert [(p.limit, p.number_phases) for p in in_w] == [(3680.0, 1)]


@pytest.mark.requirement("LC-080", "LC-084", "LC-085")
@pytest.mark.parametrize(("minutes", "limit_a"), [(0, 25.0), (29, 25.0), (30, 20.0), (60, 10.0)])
def test_v4_after_a_relative_tx_profile_the_default_returns(minutes: int, limit_a: float) -> None:
    relative = steps((0, 32.0), (1800, 20.0), duration_s=3600)
    profiles = [
        profile(MAX, steps((0, 25.0))),
        profile(DEFAULT, steps((0, 10.0))),
        profile(TX, relative, kind=Kind.RELATIVE, transaction_id="tx"),
    ]
    assert amps(profiles, T0 + timedelta(minutes=minutes), CHARGING) == limit_a
    whole = composite(store(profiles), CHARGING, T0, 7200.0)
    assert whole.at(T0 + timedelta(minutes=minutes)) == limit_a


@pytest.mark.requirement("LC-080", "LC-082")
@pytest.mark.parametrize(
    ("t", "limit_a"), [("10:59:59", None), ("11:00:00", 16.0), ("11:59:59", 16.0), ("12:00:00", None)]
)
def test_v5_validity_is_half_open(t: str, limit_a: float | None) -> None:
    window = {"valid_from": at("2026-03-02T11:00"), "valid_to": at("2026-03-02T12:00")}
    assert amps([profile(DEFAULT, steps((0, 16.0)), **window)], at(f"2026-03-02T{t}")) == limit_a


@pytest.mark.requirement("LC-080", "LC-082", "LC-083")
@pytest.mark.parametrize(
    ("t", "limit_a"),
    [("02T07:00", 6.0), ("02T09:00", 32.0), ("02T11:00", 16.0), ("02T12:30", 6.0), ("03T08:00", 32.0)],
)
def test_v6_a_daily_profile_with_a_gap_leaves_the_lower_level(t: str, limit_a: float) -> None:
    morning = steps((0, 32.0), (7200, 16.0), duration_s=14400, start_schedule=at("2026-03-02T08:00"))
    profiles = [
        profile(DEFAULT, steps((0, 6.0)), 0, recurrency=Recurrency.DAILY),
        profile(DEFAULT, morning, 5, recurrency=Recurrency.DAILY),
    ]
    assert amps(profiles, at(f"2026-03-{t}")) == limit_a


@pytest.mark.requirement("LC-080", "LC-089")
@pytest.mark.parametrize(("active", "limit_a"), [(False, 6.0), (True, 25.0)])
def test_v7_priority_overrules_the_tx_profile_but_not_the_station(active: bool, limit_a: float) -> None:
    profiles = [
        profile(MAX, steps((0, 25.0))),
        profile(TX, steps((0, 6.0)), transaction_id="tx"),
        profile(PRIORITY, steps((0, 32.0))),
    ]
    assert amps(profiles, T0, replace(CHARGING, priority_charging=active)) == limit_a


@pytest.mark.requirement("LC-080", "LC-089")
def test_v8_local_generation_is_added() -> None:
    sun = steps((0, 2000.0), (3600, 1000.0), unit=W, start_schedule=T0)
    profiles = [profile(DEFAULT, steps((0, 5000.0), unit=W)), profile(GENERATION, sun)]
    assert watts(profiles, T0) == 7000.0
    assert watts(profiles, T0 + timedelta(hours=1)) == 6000.0


@pytest.mark.requirement("LC-080", "LC-089")
@pytest.mark.parametrize(("seconds", "limit_a"), [(0, 28.0), (120, 28.0), (121, 10.0)])
def test_v9_a_dynamic_profile_expires_without_update(seconds: int, limit_a: float) -> None:
    dynamic = profile(MAX, steps((0, 28.0), duration_s=120), 1, kind=Kind.DYNAMIC, dyn_update_time=T0)
    profiles = [profile(MAX, steps((0, 10.0))), dynamic]
    assert amps(profiles, T0 + timedelta(seconds=seconds)) == limit_a
    assert composite(store(profiles), IDLE, T0, 600.0).at(T0 + timedelta(seconds=seconds)) == limit_a


def test_an_update_revives_a_dynamic_profile() -> None:
    stale = profile(MAX, steps((0, 28.0), duration_s=120), 1, kind=Kind.DYNAMIC, dyn_update_time=T0)
    later = T0 + timedelta(hours=1)
    fresh = stale.updated(SchedulePeriod(0, 14.0), later)
    assert amps([stale], later) is None
    assert amps([fresh], later) == 14.0


@pytest.mark.requirement("LC-080", "LC-082")
@pytest.mark.parametrize(("t", "limit_a"), [("12:14:59", 28.0), ("12:15:00", 10.0)])
def test_v10_at_valid_to_the_lower_level_leads(t: str, limit_a: float) -> None:
    profiles = [
        profile(MAX, steps((0, 10.0)), 0),
        profile(MAX, steps((0, 28.0)), 1, valid_to=at("2026-03-02T12:15")),
    ]
    assert amps(profiles, at(f"2026-03-02T{t}")) == limit_a


@pytest.mark.requirement("LC-080", "LC-085")
def test_v11_the_higher_level_wins_even_with_a_higher_limit() -> None:
    assert amps([profile(MAX, steps((0, 20.0)), 0), profile(MAX, steps((0, 30.0)), 9)], T0) == 30.0


@pytest.mark.requirement("LC-060", "LC-080")
@pytest.mark.parametrize(("seconds", "limit_a"), [(300, 32.0), (301, 6.0)])
def test_v12_offline_for_longer_than_allowed(seconds: int, limit_a: float) -> None:
    profiles = [profile(DEFAULT, steps((0, 6.0)), 0), profile(DEFAULT, steps((0, 32.0)), 1, max_offline_duration_s=300)]
    offline = replace(IDLE, offline_since=T0)
    assert amps(profiles, T0 + timedelta(seconds=seconds), offline) == limit_a
    assert composite(store(profiles), offline, T0, 600.0).at(T0 + timedelta(seconds=seconds)) == limit_a
    assert amps(profiles, T0 + timedelta(seconds=seconds)) == 32.0


@pytest.mark.requirement("LC-080", "LC-088")
def test_v13_the_station_maximum_binds_the_sum() -> None:
    installed = store([profile(DEFAULT, steps((0, 16.0))), profile(MAX, steps((0, 40.0)), 1)])
    evses = (Context(evse=1), Context(evse=2, hardware_maximum_a=32.0))
    station = StationContext(Context(evse=0), evses)
    assert composite_station(installed, station, T0, 60.0).at(T0) == 40.0
    without_max = installed.of_purposes(DEFAULT)
    assert composite_station(without_max, station, T0, 60.0).at(T0) == 48.0
    unknown_hardware = replace(station, evses=(Context(evse=1), Context(evse=2)))
    assert composite_station(without_max, unknown_hardware, T0, 60.0).at(T0) is None


# --- what the vectors leave open ---------------------------------------------------------------------------------


@pytest.mark.requirement("LC-088")
def test_without_a_profile_the_hardware_maximum_is_answered_but_nothing_constrains() -> None:
    context = Context(evse=1, hardware_maximum_a=32.0)
    (in_w,) = answer(InstalledProfiles(), context, W, T0, 60.0).periods
    assert (in_w.limit, in_w.number_phases) == (32.0 * 3 * 230, 3)
    assert composite(InstalledProfiles(), context, T0, 60.0).steps == ()
    station = StationContext(Context(evse=0, hardware_maximum_a=63.0), ())
    assert [p.limit for p in answer_station(InstalledProfiles(), station, A, T0, 60.0).periods] == [63.0]


def test_an_external_constraint_on_the_station_binds_the_sum() -> None:
    installed = store([profile(EXTERNAL, steps((0, 20.0)))])
    station = StationContext(Context(evse=0), tuple(Context(evse=e, hardware_maximum_a=16.0) for e in (1, 2)))
    assert composite_station(installed, station, T0, 60.0).at(T0) == 20.0
    assert composite(installed, station.evses[0], T0, 60.0).at(T0) == 20.0


def test_local_generation_is_added_once_to_the_station() -> None:
    installed = store(
        [profile(GENERATION, steps((0, 5.0))), profile(DEFAULT, steps((0, 10.0))), profile(MAX, steps((0, 12.0)))]
    )
    two = InstalledProfiles((*installed, Installed(2, profile(DEFAULT, steps((0, 10.0))))))
    station = StationContext(Context(evse=0), (Context(evse=1), Context(evse=2)))
    assert composite_station(two, station, T0, 60.0).at(T0) == 12.0 + 5.0


@pytest.mark.parametrize(("transaction_id", "limit_a"), [("tx", 10.0), ("other", 6.0), (None, 6.0)])
def test_a_tx_profile_holds_for_its_transaction_only(transaction_id: str | None, limit_a: float) -> None:
    profiles = [profile(DEFAULT, steps((0, 6.0))), profile(TX, steps((0, 10.0)), transaction_id="tx")]
    assert amps(profiles, T0, replace(IDLE, transaction_id=transaction_id)) == limit_a


def test_a_tx_profile_without_id_holds_for_whichever_transaction_runs() -> None:
    profiles = [profile(TX, steps((0, 10.0)))]
    assert amps(profiles, T0, CHARGING) == 10.0
    assert amps(profiles, T0, IDLE) is None


def test_an_evse_prefers_its_own_default_to_one_of_the_station_at_the_same_level() -> None:
    wide, own = profile(DEFAULT, steps((0, 20.0))), profile(DEFAULT, steps((0, 12.0)))
    installed = InstalledProfiles((Installed(0, wide), Installed(1, own)))
    assert composite(installed, Context(evse=1), T0, 1.0).at(T0) == 12.0
    assert composite(installed, Context(evse=2), T0, 1.0).at(T0) == 20.0


@pytest.mark.requirement("LC-084")
def test_a_relative_profile_starts_with_the_request_when_no_energy_flows_yet() -> None:
    relative = [profile(DEFAULT, steps((0, 32.0), (600, 8.0)), kind=Kind.RELATIVE)]
    schedule = composite(store(relative), IDLE, T0, 3600.0)
    assert [(s.limit_a, s.start) for s in schedule.segments(T0, T0 + timedelta(hours=1))] == [
        (32.0, T0),
        (8.0, T0 + timedelta(seconds=600)),
    ]


@pytest.mark.requirement("LC-082")
def test_a_period_that_starts_at_the_duration_never_runs() -> None:
    schedule = composite(
        store([profile(DEFAULT, steps((0, 10.0), (60, 20.0), duration_s=60, start_schedule=T0))]), IDLE, T0, 600.0
    )
    assert schedule.steps == ((T0, 10.0), (T0 + timedelta(seconds=60), None))


@pytest.mark.requirement("LC-083")
def test_a_recurring_profile_does_not_run_before_its_start() -> None:
    tomorrow = steps((0, 10.0), start_schedule=T0 + timedelta(days=1))
    profiles = [profile(DEFAULT, tomorrow, recurrency=Recurrency.DAILY)]
    assert amps(profiles, T0) is None
    assert amps(profiles, T0 + timedelta(days=1)) == 10.0


@pytest.mark.requirement("LC-089")
def test_a_full_battery_gets_less() -> None:
    limited = profile(DEFAULT, steps((0, 11040.0), unit=W, limit_at_soc=LimitAtSoc(80.0, 3450.0)))
    known = [amps([limited], T0, replace(IDLE, soc_percent=soc)) for soc in (79.9, 80.0)]
    assert known == [16.0, 5.0]
    assert amps([limited], T0) == 16.0


@pytest.mark.requirement("LC-089")
def test_random_delays_move_all_periods_but_the_first() -> None:
    delayed = steps((0, 6.0), (600, 16.0), (610, 10.0), duration_s=900, randomized_delay_s=100, start_schedule=T0)
    profiles = store([profile(DEFAULT, delayed)])

    def limits(context: Context) -> list[tuple[float, float | None]]:
        segments = composite(profiles, context, T0, 900.0).segments(T0, T0 + timedelta(seconds=900))
        return [((s.start - T0).total_seconds(), s.limit_a) for s in segments]

    assert limits(replace(CHARGING, delay_shares=(0.5, 0.9))) == [(0, 6.0), (650, 16.0), (700, 10.0)]
    assert limits(replace(CHARGING, delay_shares=(0.9, 0.5))) == [(0, 6.0), (660, 10.0)]  # the 16 A would come too late
    assert limits(replace(IDLE, delay_shares=(0.9, 0.5))) == [(0, 6.0), (600, 16.0), (610, 10.0)]


@pytest.mark.parametrize(
    ("period", "limit_a"),
    [
        (SchedulePeriod(0, operation_mode=OperationMode.IDLE), 0.0),
        (SchedulePeriod(0, 16.0, operation_mode=OperationMode.CENTRAL_SETPOINT, setpoint=10.0), 10.0),
        (SchedulePeriod(0, 8.0, operation_mode=OperationMode.CENTRAL_SETPOINT, setpoint=10.0), 8.0),
        (SchedulePeriod(0, 16.0, operation_mode=OperationMode.CENTRAL_SETPOINT, setpoint=-10.0), 0.0),
        (SchedulePeriod(0, operation_mode=OperationMode.EXTERNAL_LIMITS), None),
        (SchedulePeriod(0, 16.0, limit_l2=12.0, limit_l3=14.0), 12.0),
        (SchedulePeriod(0, 16.0, number_phases=0), 16.0),
        (SchedulePeriod(0, -1.0), 0.0),
    ],
)
def test_what_a_period_of_another_operation_mode_allows(period: SchedulePeriod, limit_a: float | None) -> None:
    assert amps([profile(DEFAULT, ChargingSchedule(A, (period,)))], T0) == limit_a


def test_limits_of_single_phases_add_up_in_watts() -> None:
    period = SchedulePeriod(0, 1000.0, limit_l2=2000.0, limit_l3=3000.0)
    profiles = [profile(DEFAULT, ChargingSchedule(W, (period,)))]
    assert watts(profiles, T0) == 6000.0
    assert amps(profiles, T0) == 4.3


def test_of_alternative_schedules_the_lowest_counts_until_the_car_has_chosen() -> None:
    two = ChargingProfile(
        1, 0, TX, Kind.RELATIVE, (steps((0, 16.0)), steps((0, 10.0), (60, 20.0))), transaction_id="tx"
    )
    assert amps([two], T0, CHARGING) == 10.0
    assert amps([two], T0 + timedelta(seconds=60), CHARGING) == 16.0
    assert amps([two], T0, replace(CHARGING, chosen_schedule=0)) == 16.0


def test_an_empty_horizon_gives_nothing() -> None:
    installed = store([profile(DEFAULT, steps((0, 16.0)))])
    assert composite(installed, IDLE, T0, 0.0).steps == ()
    assert answer(installed, IDLE, A, T0, 0.0).periods == ()


@pytest.mark.requirement("LC-086")
def test_answers_are_rounded_down_and_then_have_no_equal_neighbours() -> None:
    installed = store([profile(DEFAULT, steps((0, 10.07), (60, 10.02), (120, 16.0), start_schedule=T0))])
    rounded = answer(installed, IDLE, A, T0, 180.0).rounded_down(0.1)
    assert [(p.start, p.limit) for p in rounded.periods] == [(T0, 10.0), (T0 + timedelta(seconds=120), 16.0)]


def test_the_largest_number_is_no_limit_and_no_failure() -> None:
    huge = [profile(DEFAULT, steps((0, 1.7e308))), profile(GENERATION, steps((0, 1.7e308)))]
    assert composite(store(huge), IDLE, T0, 60.0).at(T0) is None
    assert [p.limit for p in answer(store(huge[:1]), IDLE, W, T0, 60.0).periods] == [None]


def test_a_late_first_period_leaves_a_gap_in_every_round() -> None:
    late = profile(DEFAULT, steps((60, 10.0), start_schedule=T0), recurrency=Recurrency.DAILY)
    next_round = T0 + timedelta(days=1)
    schedule = composite(store([late]), IDLE, T0, 86400.0 + 120.0)
    assert [
        s.limit_a for s in schedule.segments(next_round - timedelta(seconds=1), next_round + timedelta(seconds=61))
    ] == [
        10.0,
        None,
        10.0,
    ]


def test_a_station_uses_as_many_phases_as_any_of_its_evses() -> None:
    on_one = profile(DEFAULT, steps((0, 16.0), phases=1))
    installed = InstalledProfiles((Installed(1, on_one), Installed(2, profile(DEFAULT, steps((0, 10.0))))))
    station = StationContext(Context(evse=0), (Context(evse=1), Context(evse=2)))
    found = [answer_station(installed, station, unit, T0, 60.0).periods[0] for unit in (A, W)]
    assert [(p.limit, p.number_phases) for p in found] == [(26.0, 3), (16.0 * 230 + 10.0 * 690, 3)]
