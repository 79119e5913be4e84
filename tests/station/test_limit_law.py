"""Is the limit in the station ever above what the site or the CSMS allows? Laws (LC-093)."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from local_controller.profiles.schedule import Schedule, lower
from local_controller.profiles.units import RateUnit
from local_controller.station.blocks.actuator import InWatts, Target, own_profile, told_limit_a, working_limit
from local_controller.station.capability import Capability, Rung
from local_controller.station.dialects import dialect
from local_controller.station.dialects.base import OwnProfile
from local_controller.station.knowledge import Actuator, StartKind
from local_controller.station.words import LimitKind, LimitOutcome, OcppVersion
from tests.station.conftest import EFFORT, NOON, validate

AMPS = st.one_of(st.just(0.0), st.floats(0.0, 80.0), st.integers(0, 320).map(lambda tenth: tenth / 10))
EPSILON = 1e-6


@st.composite
def allowances(draw: st.DrawFn) -> Schedule:
    """What the CSMS allows around now: steps at fractions of seconds, with gaps."""
    offsets = sorted(draw(st.sets(st.floats(-500.0, 3000.0).map(lambda s: round(s, 3)), max_size=6)))
    return Schedule(tuple((NOON + timedelta(seconds=s), draw(st.none() | AMPS)) for s in offsets))


def limit_of(own: OwnProfile, seconds: float, phases: int) -> float | None:
    """Amperes on a phase that this profile lets flow that long after NOON; written apart from the product."""
    offset_s = seconds + (NOON - own.start).total_seconds()
    if offset_s < 0 or (own.duration_s is not None and offset_s >= own.duration_s):
        return None
    if own.valid_to is not None and offset_s >= (own.valid_to - own.start).total_seconds():
        return None
    limit = [value for start_s, value in own.periods if start_s <= offset_s][-1]
    return limit if own.unit is RateUnit.A else limit / (207.0 * phases)


@given(
    wish_a=AMPS,
    fallback_a=AMPS,
    valid_s=st.floats(1.0, 900.0),
    allowed=allowances(),
    fraction_s=st.floats(0.0, 0.999),
    rung=st.builds(
        Rung,
        st.sampled_from(sorted(set(Actuator) - {Actuator.VENDOR_KEY})),
        st.sampled_from(RateUnit),
        st.sampled_from(StartKind),
    ),
    capability=st.builds(
        Capability,
        max_periods=st.integers(1, 6),
        levels_a=st.sampled_from([(), (), (6.0, 8.0, 10.0, 13.0, 16.0)]),
        step_a=st.sampled_from([0.0, 1.0]),
        least_a=st.sampled_from([0.0, 6.0]),
    ),
    phases=st.integers(1, 3),
    full_a=st.sampled_from([math.inf, 10.0, 16.0]),
    lines=st.integers(1, 3),
    most_w=st.sampled_from([math.inf, 7000.0, 1242.0]),
)
@pytest.mark.requirement("LC-087", "LC-093")
def test_a_written_profile_never_allows_more_than_site_and_csms(
    wish_a: float,
    fallback_a: float,
    valid_s: float,
    allowed: Schedule,
    fraction_s: float,
    rung: Rung,
    capability: Capability,
    phases: int,
    full_a: float,
    lines: int,
    most_w: float,
) -> None:
    """Whatever a station in watts is told where its hardware is the limit, no phase carries more than that.

    Nor do all of them together more than the CSMS's watts.
    """
    now = NOON + timedelta(seconds=fraction_s)
    until = now + timedelta(seconds=valid_s)
    floor_a = lower(fallback_a, allowed.lowest(now, now + timedelta(days=2))) or 0.0  # as the writer makes it
    working = working_limit(wish_a, until, floor_a, allowed, now)
    csms_w = Schedule() if math.isinf(most_w) else Schedule.constant(most_w, NOON - timedelta(days=2))
    target = Target(1, floor_a, working, "7", InWatts(phases, full_a=full_a, lines=lines, most_w=csms_w))
    own = own_profile(target, rung, capability, now)
    assert rung.unit is RateUnit.A or own.periods[0][1] <= most_w
    assert len(own.periods) <= capability.max_periods
    for version in OcppVersion:
        validate(version, "SetChargingProfile", dialect(version).set_profile(1, own), is_answer=False)
    edges = [(t - NOON).total_seconds() for t, _ in (*allowed.steps, *working.steps)]
    for seconds in [fraction_s, *(edge + off for edge in edges for off in (-1.5, -0.4, 0.0, 0.4, 1.5))]:
        moment = NOON + timedelta(seconds=seconds)
        if moment < now:
            continue
        site_a = wish_a if moment < until else floor_a
        csms_a = allowed.at(moment)
        most_a = site_a if csms_a is None else min(site_a, csms_a)
        written_a = limit_of(own, seconds, phases)
        written_a = None if written_a is None else min(written_a, full_a)
        assert (floor_a if written_a is None else written_a) <= most_a + EPSILON
        assert written_a is None or moment >= until or written_a <= told_limit_a(target, rung, capability) + EPSILON


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("wish"), AMPS, st.floats(10.0, 400.0)),
        st.tuples(st.just("fallback"), AMPS, st.just(0.0)),
        st.tuples(st.just("tx"), AMPS, st.integers(0, 600)),
        st.tuples(st.just("default"), AMPS, st.integers(0, 600)),
        st.tuples(st.just("clear"), st.just(0.0), st.just(0)),
        st.tuples(st.just("wait"), st.floats(0.5, 500.0), st.just(0)),
        st.tuples(st.just("restart"), st.just(0.0), st.just(0)),
        st.tuples(st.just("boot"), st.just(0.0), st.just(0)),
        st.tuples(st.just("clock"), st.integers(-60, 60).map(lambda minutes: minutes * 60.0), st.just(0)),
    ),
    max_size=12,
)


@pytest.mark.parametrize("version", list(OcppVersion))
@given(operations=OPERATIONS, refuses_tx_profile=st.booleans())
@example(  # the transaction, and our TxProfile, may outlive a reboot
    operations=[("tx", 0.0, 0), ("clear", 0.0, 0), ("boot", 0.0, 0), ("fallback", 0.0, 0.0)], refuses_tx_profile=False
)
@example(  # a limit that has ended begins again when the clock is set back
    operations=[("wish", 7.0, 10.0), ("wait", 10.0, 0), ("clock", -60.0, 0)], refuses_tx_profile=True
)
@example(  # a floor must not end the limit that stands in the same profile
    operations=[("wish", 0.0, 10.0), ("wait", 2.0, 0), ("fallback", 1.0, 0.0)], refuses_tx_profile=True
)
@settings(max_examples=30 * EFFORT, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.requirement("LC-093", "LC-107")
def test_whatever_happens_the_station_obeys_the_lower_master(
    bench: Any, version: OcppVersion, operations: list[tuple[str, float, float]], refuses_tx_profile: bool
) -> None:
    b = bench(version)
    name = "csChargingProfiles" if version is OcppVersion.V16 else "chargingProfile"
    if refuses_tx_profile:
        b.accepts = lambda payload: payload[name]["chargingProfilePurpose"] != "TxProfile"
    b.boot()
    b.start()
    running, fallback_a, wish_a, until_s, tag = 7, 6.0, 0.0, 0.0, {"transactionId": 7 if name.startswith("cs") else "7"}
    for what, value, extra in operations:
        rounded = round(value, 1)
        if what == "wish":
            wish_a, until_s = value, b.now.monotonic_s + extra
            b.set_limit(value, extra)
        elif what == "fallback":
            fallback_a = value
            b.set_fallback(value)
        elif what == "wait":
            b.wait(value)
        elif what == "clear":
            b.from_csms("ClearChargingProfile", {} if name.startswith("cs") else {"chargingProfileCriteria": {}})
        elif what == "boot":
            b.boot()
        elif what == "clock":
            b.csms_ahead_s = value
            b.from_station("Heartbeat", {})
        elif what == "restart":
            b.stop(running)
            running, until_s = running + 1, 0.0
            b.start(running)
            tag = {"transactionId": running if name.startswith("cs") else str(running)}
        else:
            periods = [{"startPeriod": 0, "limit": 20.0}, {"startPeriod": 3600 + int(extra), "limit": rounded}]
            purpose, fields = ("TxProfile", tag) if what == "tx" else ("TxDefaultProfile", {})
            assert b.csms_sets(purpose, 0.0, 1 if what == "tx" else 2, periods=periods, **fields) == "Accepted"
        site_a = wish_a if b.now.monotonic_s < until_s else fallback_a
        csms_a = b.csms_limit().at(b.now.utc)
        assert b.in_force_a() <= (site_a if csms_a is None else min(site_a, csms_a)) + EPSILON, (what, value)
        outcomes = b.outcomes()
        assert not [o for o in outcomes if o[0] in {LimitOutcome.REFUSED, LimitOutcome.TIMED_OUT}]
    assert b.outcomes(LimitKind.FALLBACK)[-1][0] is LimitOutcome.ACCEPTED
