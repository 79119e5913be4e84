"""Does the engine agree, second by second, with an evaluator that was written apart and knows no edges?

The evaluator below reads the rules one instant at a time. It shares the profile data with the engine, nothing else.
Set ORACLE_EXAMPLES=10000 for the long run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_controller.profiles.composite import answer, answer_station, composite, composite_station
from local_controller.profiles.context import Context, StationContext
from local_controller.profiles.installed import Installed, InstalledProfiles
from local_controller.profiles.profile import (
    ChargingProfile,
    ChargingSchedule,
    Kind,
    LimitAtSoc,
    Purpose,
    Recurrency,
    SchedulePeriod,
)
from local_controller.profiles.units import RateUnit

HORIZON_S = 90
BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = datetime(2026, 3, 29, 1, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
PLAIN = datetime(2026, 6, 10, 8, 0, tzinfo=UTC)
V16, V201, V21 = "1.6", "2.0.1", "2.1"
EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "50"))

# --- the evaluator -----------------------------------------------------------------------------------------------


@dataclass
class Oracle:
    """One EVSE of a station, looked at one instant at a time; results as (limit or None, phases or None)."""

    entries: list[tuple[int, ChargingProfile]]
    context: Context
    asked_at: datetime
    unit: RateUnit

    def evse(self, t: datetime) -> tuple[float | None, int | None]:
        said = [self.transaction(t), self.lead(Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS, t)]
        said.append(self.lead(Purpose.CHARGING_STATION_MAX_PROFILE, t))
        limit, phases = lowest(said)
        extra = self.lead(Purpose.LOCAL_GENERATION, t)
        if extra is not None and limit is not None:
            limit += extra[0]
        return limit, phases

    def share(self, t: datetime) -> tuple[float | None, int | None]:
        """What the EVSE brings into the sum of its station."""
        limit, phases = lowest([self.transaction(t), self.lead(Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS, t)])
        phases = phases or self.context.default_phases
        if limit is None and self.context.hardware_maximum_a is not None:
            limit = self.context.hardware_maximum_a
            if self.unit is RateUnit.W:
                limit *= phases * self.context.nominal_voltage_v
        return limit, phases

    def transaction(self, t: datetime) -> tuple[float, int] | None:
        if self.context.priority_charging:
            priority = self.lead(Purpose.PRIORITY_CHARGING, t)
            if priority is not None:
                return priority
        mine = self.lead(Purpose.TX_PROFILE, t)
        return mine if mine is not None else self.lead(Purpose.TX_DEFAULT_PROFILE, t)

    def lead(self, purpose: Purpose, t: datetime) -> tuple[float, int] | None:
        best: tuple[int, int] = (-1, -1)
        said: tuple[float, int] | None = None
        for evse, profile in self.entries:
            if profile.purpose is not purpose or evse not in {0, self.context.evse} or not self.counts(profile, t):
                continue
            now = self.says(profile, t)
            rank = (profile.stack_level, 1 if evse else 0)
            if now is not None and rank > best:
                best, said = rank, now
        return said

    def counts(self, profile: ChargingProfile, t: datetime) -> bool:
        if profile.valid_from is not None and t < profile.valid_from:
            return False
        if profile.valid_to is not None and t >= profile.valid_to:
            return False
        since, allowed_s = self.context.offline_since, profile.max_offline_duration_s
        if since is not None and allowed_s is not None and (t - since).total_seconds() > allowed_s:
            return False
        if profile.purpose is Purpose.TX_PROFILE:
            if self.context.transaction_id is None:
                return False
            return profile.transaction_id is None or profile.transaction_id == self.context.transaction_id
        return True

    def says(self, profile: ChargingProfile, t: datetime) -> tuple[float, int] | None:
        (schedule,) = profile.schedules
        second = self.second_of(profile, schedule, t)
        if second is None:
            return None
        running = None
        for start_s, period in self.moved(schedule):
            if start_s <= second:
                running = period
        if running is None:
            return None
        phases = running.number_phases if running.number_phases is not None else self.context.default_phases
        assert running.limit is not None
        limit = running.limit
        cap = schedule.limit_at_soc
        if cap is not None and self.context.soc_percent is not None and self.context.soc_percent >= cap.soc_percent:
            limit = min(limit, cap.limit)
        total = phases * self.context.nominal_voltage_v
        if (schedule.rate_unit, self.unit) == (RateUnit.A, RateUnit.W):
            limit = limit * total
        if (schedule.rate_unit, self.unit) == (RateUnit.W, RateUnit.A):
            limit = limit / total
        return limit, phases

    def second_of(self, profile: ChargingProfile, schedule: ChargingSchedule, t: datetime) -> float | None:
        """Seconds into the running round of the schedule; None when none runs."""
        if profile.kind is Kind.DYNAMIC:
            assert profile.dyn_update_time is not None
            age_s = (t - profile.dyn_update_time).total_seconds()
            return None if schedule.duration_s is not None and age_s > schedule.duration_s else 0.0
        if profile.kind is Kind.RELATIVE:
            second = (t - (self.context.energy_since or self.asked_at)).total_seconds()
        else:
            assert schedule.start_schedule is not None
            here, there = t, schedule.start_schedule
            if schedule.use_local_time:
                local = datetime.fromtimestamp(t.timestamp(), self.context.time_zone)
                here = datetime(local.year, local.month, local.day, local.hour, local.minute, local.second)  # noqa: DTZ001 - wall clock readings have no zone
                there = there.replace(tzinfo=None)
            second = (here - there).total_seconds()
        if second < 0:
            return None
        if profile.kind is Kind.RECURRING:
            second %= 86400 if profile.recurrency is Recurrency.DAILY else 7 * 86400
        return None if schedule.duration_s is not None and second >= schedule.duration_s else second

    def moved(self, schedule: ChargingSchedule) -> list[tuple[int, SchedulePeriod]]:
        """Periods in order, late by their random delays; a later one that comes earlier cancels those before it."""
        result: list[tuple[int, SchedulePeriod]] = []
        for index, period in enumerate(schedule.periods):
            start_s = period.start_s
            shares = self.context.delay_shares
            if index and shares and schedule.randomized_delay_s and self.context.transaction_id is not None:
                start_s += int(shares[(index - 1) % len(shares)] * schedule.randomized_delay_s)
            if schedule.duration_s is not None and start_s >= schedule.duration_s:
                continue
            result = [(s, p) for s, p in result if s < start_s]
            result.append((start_s, period))
        return result


def lowest(said: list[tuple[float, int] | None]) -> tuple[float | None, int | None]:
    heard = [x for x in said if x is not None]
    return min((x[0] for x in heard), default=None), min((x[1] for x in heard), default=None)


# --- random stations ---------------------------------------------------------------------------------------------

_OLD = [Purpose.TX_DEFAULT_PROFILE, Purpose.TX_PROFILE, Purpose.CHARGING_STATION_MAX_PROFILE]
PURPOSES = {
    V16: _OLD,
    V201: [*_OLD, Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS],
    V21: list(Purpose),
}
STATION_WIDE = {Purpose.CHARGING_STATION_MAX_PROFILE, Purpose.LOCAL_GENERATION}

near = st.integers(-60, HORIZON_S + 30)


@st.composite
def cases(draw: st.DrawFn, version: str) -> tuple[list[tuple[int, ChargingProfile]], Context, datetime]:
    t0 = draw(st.sampled_from([PLAIN, SPRING, AUTUMN])) + timedelta(seconds=draw(st.integers(-HORIZON_S, 30)))
    context = Context(
        evse=1,
        transaction_id=draw(st.sampled_from([None, "tx"])),
        energy_since=draw(st.none() | near.map(lambda s: t0 + timedelta(seconds=s))),
        default_phases=draw(st.sampled_from([3, 1])),
        hardware_maximum_a=draw(st.sampled_from([None, 32.0])),
        soc_percent=draw(st.sampled_from([None, 79.0, 80.0])) if version == V21 else None,
        priority_charging=version == V21 and draw(st.booleans()),
        offline_since=draw(st.none() | near.map(lambda s: t0 + timedelta(seconds=s))),
        time_zone=BERLIN,
        delay_shares=draw(st.sampled_from([(), (0.3,), (0.9, 0.1, 0.5)])) if version == V21 else (),
    )
    entries = draw(st.lists(placed(t0, version), max_size=5))
    ranks: dict[object, tuple[int, ChargingProfile]] = {(e, p.purpose, p.stack_level): (e, p) for e, p in entries}
    return list(ranks.values()), context, t0


@st.composite
def placed(draw: st.DrawFn, t0: datetime, version: str) -> tuple[int, ChargingProfile]:
    purpose = draw(st.sampled_from(PURPOSES[version]))
    evse = (
        0 if purpose in STATION_WIDE else draw(st.sampled_from([1, 2] if purpose is Purpose.TX_PROFILE else [0, 1, 2]))
    )
    kinds = [Kind.ABSOLUTE, Kind.RECURRING, Kind.RELATIVE] + ([Kind.DYNAMIC] if version == V21 else [])
    kind = draw(st.sampled_from(kinds))
    profile = ChargingProfile(
        id=draw(st.integers(1, 10**6)),
        stack_level=draw(st.integers(0, 2)),
        purpose=purpose,
        kind=kind,
        schedules=(draw(schedules(t0, version, kind)),),
        recurrency=draw(st.sampled_from(Recurrency)) if kind is Kind.RECURRING else None,
        transaction_id=draw(st.sampled_from([None, "tx", "tx", "other"])) if purpose is Purpose.TX_PROFILE else None,
        valid_from=draw(st.none() | near.map(lambda s: t0 + timedelta(seconds=s))),
        valid_to=draw(st.none() | near.map(lambda s: t0 + timedelta(seconds=s))),
        max_offline_duration_s=draw(st.sampled_from([None, 0, 30])) if version == V21 else None,
        dyn_update_time=t0 + timedelta(seconds=draw(near)) if kind is Kind.DYNAMIC else None,
    )
    return evse, profile


@st.composite
def schedules(draw: st.DrawFn, t0: datetime, version: str, kind: Kind) -> ChargingSchedule:
    starts = sorted({0, *draw(st.lists(st.integers(1, 100), max_size=0 if kind is Kind.DYNAMIC else 4))})
    unit = draw(st.sampled_from(RateUnit))
    scale = 1.0 if unit is RateUnit.A else 690.0
    limits = st.integers(0, 40).map(lambda n: n * scale)
    periods = tuple(
        SchedulePeriod(s, draw(limits), number_phases=draw(st.sampled_from([None, 1, 2, 3]))) for s in starts
    )
    local = version == V21 and draw(st.booleans())
    zone = BERLIN if local else UTC
    days_ago = draw(st.sampled_from([0, 1, 7, 8]))
    first = t0.astimezone(zone) + timedelta(days=-days_ago, seconds=draw(near), hours=draw(st.sampled_from([0, -1, 1])))
    return ChargingSchedule(
        unit,
        periods,
        start_schedule=first.replace(tzinfo=UTC) if kind in {Kind.ABSOLUTE, Kind.RECURRING} else None,
        duration_s=draw(st.none() | st.integers(0, 120)),
        use_local_time=local,
        randomized_delay_s=draw(st.sampled_from([None, 0, 30])) if version == V21 else None,
        limit_at_soc=draw(st.sampled_from([None, LimitAtSoc(80.0, 5.0 * scale)])) if version == V21 else None,
    )


# --- the laws ----------------------------------------------------------------------------------------------------


def seconds(t0: datetime) -> Iterator[datetime]:
    return (t0 + timedelta(seconds=s) for s in range(HORIZON_S))


def close(a: float | None, b: float | None) -> bool:
    return a == b if a is None or b is None else abs(a - b) <= 1e-9 * max(1.0, abs(a))


def check_evse(entries: list[tuple[int, ChargingProfile]], context: Context, t0: datetime) -> None:
    installed = InstalledProfiles(tuple(Installed(e, p) for e, p in entries))
    schedule = composite(installed, context, t0, HORIZON_S)
    in_watts = answer(installed, context, RateUnit.W, t0, HORIZON_S)
    amps, watts = (Oracle(entries, context, t0, unit) for unit in (RateUnit.A, RateUnit.W))
    assert all(a.end == b.start and a[2:] != b[2:] for a, b in pairwise(in_watts.periods))
    for t in seconds(t0):
        assert close(schedule.at(t), amps.evse(t)[0]), t
        (period,) = [p for p in in_watts.periods if p.start <= t < p.end]
        limit_w, phases = watts.evse(t)
        phases = phases or context.default_phases
        if limit_w is None and context.hardware_maximum_a is not None:
            limit_w = context.hardware_maximum_a * phases * 230.0
        assert close(period.limit, limit_w), t
        assert period.number_phases == phases, t


def check_station(entries: list[tuple[int, ChargingProfile]], context: Context, t0: datetime) -> None:
    installed = InstalledProfiles(tuple(Installed(e, p) for e, p in entries))
    other = Context(evse=2, transaction_id="other", hardware_maximum_a=context.hardware_maximum_a)
    whole = Context(evse=0, offline_since=context.offline_since, time_zone=BERLIN, soc_percent=context.soc_percent)
    station = StationContext(whole, (context, other))
    schedule = composite_station(installed, station, t0, HORIZON_S)
    in_watts = answer_station(installed, station, RateUnit.W, t0, HORIZON_S)
    for t in seconds(t0):
        (period,) = [p for p in in_watts.periods if p.start <= t < p.end]
        for unit, limit in ((RateUnit.A, schedule.at(t)), (RateUnit.W, period.limit)):
            shares = [Oracle(entries, c, t0, unit).share(t)[0] for c in (context, other)]
            at_0 = Oracle([x for x in entries if x[0] == 0], whole, t0, unit)
            total = sum(x for x in shares if x is not None) if None not in shares else None
            wide = [
                at_0.lead(p, t)
                for p in (Purpose.CHARGING_STATION_MAX_PROFILE, Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS)
            ]
            expected = min((x for x in [total, *(w[0] for w in wide if w is not None)] if x is not None), default=None)
            extra = at_0.lead(Purpose.LOCAL_GENERATION, t)
            if expected is not None and extra is not None:
                expected += extra[0]
            assert close(limit, expected), (t, unit)


@pytest.mark.timeout(0)  # the long run is long; the engine itself cannot wait for anything
@pytest.mark.requirement("LC-081", "LC-082", "LC-083", "LC-084", "LC-085", "LC-086", "LC-089")
@pytest.mark.parametrize("version", [V16, V201, V21])
def test_an_evse_is_limited_as_a_second_by_second_reading_says(version: str) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(cases(version))
    def law(case: tuple[list[tuple[int, ChargingProfile]], Context, datetime]) -> None:
        check_evse(*case)

    law()


@pytest.mark.timeout(0)
@pytest.mark.requirement("LC-081", "LC-088")
@pytest.mark.parametrize("version", [V16, V201, V21])
def test_a_station_is_limited_as_a_second_by_second_reading_says(version: str) -> None:
    @settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(cases(version))
    def law(case: tuple[list[tuple[int, ChargingProfile]], Context, datetime]) -> None:
        check_station(*case)

    law()


@pytest.mark.requirement("LC-087")
@given(cases(V21), st.integers(1, 5))
@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_coalescing_an_answer_never_raises_it(
    case: tuple[list[tuple[int, ChargingProfile]], Context, datetime], max_periods: int
) -> None:
    entries, context, t0 = case
    installed = InstalledProfiles(tuple(Installed(e, p) for e, p in entries))
    full = answer(installed, context, RateUnit.A, t0, HORIZON_S)
    fewer = full.coalesced(max_periods)
    assert len(fewer.periods) <= max_periods
    assert (fewer.periods[0].start, fewer.periods[-1].end) == (t0, t0 + timedelta(seconds=HORIZON_S))
    for period in full.periods:
        (cover,) = [p for p in fewer.periods if p.start <= period.start and period.end <= p.end]
        assert period.limit is None or (cover.limit is not None and cover.limit <= period.limit)
        assert cover.number_phases <= period.number_phases
