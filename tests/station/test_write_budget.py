"""Is a station that must seldom be written to written to seldom, and is its limit safe all the same? (LC-113)"""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_controller.station.blocks.write_budget import DAY_S, SLACK_S
from local_controller.station.knowledge import Actuator, Knowledge, VendorKey
from local_controller.station.words import LimitOutcome, OcppVersion
from tests.station.conftest import EFFORT
from tests.station.test_rungs import answers, limits, taking_settings, tried

ALL = pytest.mark.parametrize("version", list(OcppVersion))
REQUIREMENT = pytest.mark.requirement("LC-113")
ACCEPTED, POSTPONED, SENT = LimitOutcome.ACCEPTED, LimitOutcome.POSTPONED, LimitOutcome.SENT
EASEE = Knowledge(writes_per_day=25)


@ALL
@REQUIREMENT
def test_a_limit_lasts_until_it_may_be_renewed_and_the_site_is_told_how_long(bench: Any, version: OcppVersion) -> None:
    b = bench(version, knowledge=EASEE)
    b.boot()
    b.start()
    b.set_limit(16.0, valid_s=90)
    lasts_s = answers(b)[-1].lasts_s
    assert lasts_s == pytest.approx(DAY_S / 20 + SLACK_S)
    assert [b.in_force_a(s) for s in (0, lasts_s - 2, lasts_s + 1)] == [16.0, 16.0, 6.0], "it falls back by itself"


@ALL
@REQUIREMENT
def test_what_is_held_already_is_not_written_again(bench: Any, version: OcppVersion) -> None:
    b = bench(version, knowledge=EASEE)
    b.boot()
    b.start()
    b.set_limit(16.0)
    b.wait(60)
    b.set_limit(16.0)
    assert len(tried(b)) == 2
    assert (answers(b)[-1].outcome, answers(b)[-1].lasts_s) == (ACCEPTED, pytest.approx(DAY_S / 20 + SLACK_S - 60))


@ALL
@REQUIREMENT
def test_raises_wait_for_their_turn_and_reductions_do_not(bench: Any, version: OcppVersion) -> None:
    b = bench(version, knowledge=EASEE)
    b.boot()
    b.start()
    for wish_a in (8.0, 9.0, 10.0, 11.0, 12.0, 13.0):
        b.set_limit(wish_a)
    assert [one[0] for one in limits(b)] == [6.0, 8.0, 9.0, 10.0, 11.0], "a fifth of the day's writes at once"
    postponed = answers(b)[-1]
    assert (postponed.outcome, postponed.limit_a) == (POSTPONED, 13.0)
    assert postponed.again_s == pytest.approx(DAY_S / 20, abs=5)
    assert b.in_force_a() == 11.0, "what held holds"
    b.set_limit(7.0, urgent=True)
    assert limits(b)[-1][0] == 7.0
    assert answers(b)[-1].outcome is ACCEPTED
    b.set_limit(8.0)
    assert answers(b)[-1].outcome is POSTPONED
    assert (b.smart.state.writes.reductions, b.smart.state.writes.others) == (2, 4), "the first floor is a reduction"


@ALL
@REQUIREMENT
def test_a_limit_that_may_not_be_renewed_ends_by_itself_without_a_write(bench: Any, version: OcppVersion) -> None:
    b = bench(version, knowledge=Knowledge(writes_per_day=2))
    b.boot()
    b.start()
    b.set_limit(16.0)
    assert answers(b)[-1].outcome is POSTPONED, "the floor was today's write"
    b.wait(DAY_S)
    b.set_limit(16.0)
    written, lasts_s = len(tried(b)), answers(b)[-1].lasts_s or 0.0
    b.wait(lasts_s + 1)
    assert len(tried(b)) == written
    assert b.in_force_a() == 6.0


@ALL
@REQUIREMENT
def test_a_change_of_the_csms_that_waits_for_its_turn_is_answered_all_the_same(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version, knowledge=Knowledge(min_interval_s=60.0))
    b.boot()
    b.start()
    assert b.csms_sets("TxProfile", 20.0, transactionId=7 if version is OcppVersion.V16 else "7") == "Accepted"
    b.wait(60)
    b.set_limit(16.0)
    assert b.csms_sets("TxProfile", 10.0, transactionId=7 if version is OcppVersion.V16 else "7") == "Accepted"
    assert b.in_force_a() == 10.0, "a reduction"
    assert b.csms_sets("TxProfile", 14.0, transactionId=7 if version is OcppVersion.V16 else "7") == "Accepted"
    assert b.in_force_a() == 10.0
    b.wait(61)
    assert b.in_force_a() == 14.0


@ALL
@REQUIREMENT
def test_a_setting_of_the_maker_is_written_where_profiles_are_dear(bench: Any, version: OcppVersion) -> None:
    knowledge = Knowledge(
        actuators=(Actuator.VENDOR_KEY, Actuator.TX_DEFAULT),
        vendor_key=VendorKey("DynamicChargerCurrent"),
        writes_per_day=25,
    )
    b = bench(version, knowledge=knowledge)
    b.station["ChangeConfiguration"] = b.station["SetVariables"] = taking_settings
    b.boot()
    b.start()
    for wish_a in range(8, 32):
        b.set_limit(float(wish_a))
    assert tried(b) == []
    assert answers(b)[-1].outcome is ACCEPTED, "the budget is one of profiles"
    assert math.isinf(answers(b)[-1].lasts_s or 0.0)


def spent(bench: Any, version: OcppVersion) -> Any:
    """A station under a limit of 16 A, of whose budget nothing is left."""
    b = bench(version, knowledge=EASEE)
    b.boot()
    b.start()
    for wish_a in (8.0, 10.0, 12.0, 16.0):
        b.set_limit(wish_a)
    return b


WISHES = st.lists(st.tuples(st.floats(0.0, 32.0), st.floats(1.0, 3600.0), st.booleans()), min_size=5, max_size=60)


@given(
    wishes=WISHES,
    per_day=st.none() | st.integers(1, 60),
    min_interval_s=st.sampled_from([0.0, 60.0, 900.0]),
    levels_a=st.sampled_from([None, (6.0, 8.0, 10.0, 13.0, 16.0)]),
    version=st.sampled_from(OcppVersion),
)
@settings(max_examples=60 * EFFORT, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@REQUIREMENT
def test_whatever_is_wished_over_a_day_the_budget_and_the_limit_hold(
    bench: Any,
    wishes: list[tuple[float, float, bool]],
    per_day: int | None,
    min_interval_s: float,
    levels_a: tuple[float, ...] | None,
    version: OcppVersion,
) -> None:
    """The site wishes now and then, renews each minute as it does, and lowers when it must."""
    if per_day is None and not min_interval_s:
        per_day = 25
    knowledge = Knowledge(writes_per_day=per_day, min_interval_s=min_interval_s or None, levels_a=levels_a)
    b = bench(version, knowledge=knowledge)
    b.boot()
    b.start()
    written: list[tuple[float, bool]] = []
    allowed_a, ends_s = 6.0, b.now.monotonic_s
    for wish_a, wait_s, urgent in wishes:
        before_reductions = b.smart.state.writes.reductions
        before = len(tried(b))
        held_a = b.in_force_a()
        b.set_limit(wish_a, valid_s=90.0, urgent=urgent)
        fact = answers(b)[-1]
        if fact.outcome is ACCEPTED:
            allowed_a, ends_s = wish_a, b.now.monotonic_s + (fact.lasts_s or 90.0)
            assert fact.limit_a <= wish_a + 1e-6
            assert b.in_force_a() <= wish_a + 1e-6
        else:
            assert fact.outcome is POSTPONED
            assert b.in_force_a() == held_a, "what held holds"
            assert wish_a > held_a - 1e-6, "no reduction"
        if wish_a < held_a and (levels_a is None or min(levels_a) <= wish_a):
            assert b.in_force_a() <= wish_a + 1e-6, "a reduction never waits"
        reductions = b.smart.state.writes.reductions - before_reductions
        written += [(b.now.monotonic_s, number < reductions) for number in range(len(tried(b)) - before)]
        before = len(tried(b))
        b.wait(wait_s)
        written += [(b.now.monotonic_s, False)] * (len(tried(b)) - before)
        most_a = allowed_a if b.now.monotonic_s < ends_s else 6.0
        assert b.in_force_a() <= max(most_a, 6.0) + 1e-6
    others = [at_s for at_s, is_reduction in written if not is_reduction]
    if per_day is not None:
        assert (
            max((sum(1 for at_s in others if start <= at_s < start + DAY_S) for start in others), default=0) <= per_day
        )
    assert all(later - earlier >= min_interval_s - 1e-6 for earlier, later in itertools.pairwise(others))


@pytest.mark.requirement("LC-113")
@pytest.mark.parametrize(("said", "pause_s"), [("30 seconds before retry", 30.0), ("", 60.0)])
def test_a_station_that_is_written_to_too_often_is_left_alone_for_as_long_as_it_says(
    bench: Any, said: str, pause_s: float
) -> None:
    b = bench(OcppVersion.V21)
    b.boot()
    b.start()
    b.set_limit(10.0)
    taken = b.station["SetChargingProfile"]
    info = {"reasonCode": "RateLimitExceeded"} | ({"additionalInfo": said} if said else {})
    b.station["SetChargingProfile"] = {"status": "Rejected", "statusInfo": info}
    b.set_limit(16.0)
    written = len(tried(b))
    assert (answers(b)[-1].outcome, answers(b)[-1].again_s) == (POSTPONED, pause_s)
    assert tried(b)[-1][:3] == ("TxProfile", "A", "Absolute"), "no other way is tried: this one works"
    b.set_limit(14.0)
    assert (answers(b)[-1].outcome, len(tried(b))) == (POSTPONED, written)
    b.set_limit(8.0)
    assert (answers(b)[-1].outcome, len(tried(b))) == (LimitOutcome.REFUSED, written + 1), "a reduction does not wait"
    b.station["SetChargingProfile"] = taken
    b.wait(pause_s + 1)
    assert answers(b)[-1].outcome is ACCEPTED
    assert b.in_force_a() == 8.0


@ALL
@REQUIREMENT
def test_a_reduction_that_was_not_answered_is_one_still(bench: Any, version: OcppVersion) -> None:
    """The station may obey 16 A as before, whatever its floor is."""
    b = spent(bench, version)
    b.set_limit(18.0)
    assert answers(b)[-1].outcome is POSTPONED, "nothing is left of the budget"
    taken, b.station["SetChargingProfile"] = b.station["SetChargingProfile"], None
    b.set_limit(10.0)
    b.wait(29)
    b.station["SetChargingProfile"] = taken
    b.set_limit(9.0)
    assert (answers(b)[-1].outcome, b.in_force_a()) == (ACCEPTED, 9.0)


@ALL
@REQUIREMENT
def test_a_reduction_that_was_not_answered_is_repeated_soon(bench: Any, version: OcppVersion) -> None:
    b = spent(bench, version)
    taken, b.station["SetChargingProfile"] = b.station["SetChargingProfile"], None
    b.set_limit(10.0)
    b.wait(10)
    b.station["SetChargingProfile"] = taken
    b.wait(60)
    assert b.in_force_a() == 10.0


@ALL
@REQUIREMENT
@pytest.mark.parametrize("before_a", [8.0, 16.0])
@pytest.mark.parametrize("actuator", [Actuator.TX_PROFILE, Actuator.TX_DEFAULT])
def test_a_station_that_never_answers_is_written_to_ever_more_seldom(
    bench: Any, version: OcppVersion, before_a: float, actuator: Actuator
) -> None:
    """It may store what it is told although its answers get lost; the site asks each 20 s, as it does."""
    b = bench(version, knowledge=Knowledge(writes_per_day=25, actuators=(actuator,)))
    b.boot()
    b.start()
    b.set_limit(before_a)
    b.station["SetChargingProfile"] = None
    before = len(tried(b))
    for _ in range(int(DAY_S) // 20):
        b.set_limit(10.0)
        b.wait(20)
    assert 5 < len(tried(b)) - before < 50
    b.set_limit(7.0, urgent=True)
    assert limits(b)[-1][0] == 7.0, "a lower limit never waits"


@ALL
@REQUIREMENT
def test_a_wish_that_is_not_written_bounds_what_the_csms_may_raise(bench: Any, version: OcppVersion) -> None:
    """The CSMS has limited the car further than the site's new, lower wish; then it lifts its limit."""
    b = bench(version, knowledge=EASEE)
    b.boot()
    b.start()
    b.set_limit(16.0)
    transaction = 7 if version is OcppVersion.V16 else "7"
    assert b.csms_sets("TxProfile", 9.0, transactionId=transaction) == "Accepted"
    b.set_limit(10.0)
    assert (answers(b)[-1].outcome, answers(b)[-1].limit_a) == (ACCEPTED, 9.0), "nothing to write"
    assert b.csms_sets("TxProfile", 32.0, transactionId=transaction) == "Accepted"
    b.wait(3600)
    assert max(fact.limit_a for fact in answers(b)[-4:]) == b.in_force_a() == 10.0


@ALL
@REQUIREMENT
@pytest.mark.requirement("LC-093")
def test_what_the_csms_lowers_later_on_does_not_wait_for_its_turn(bench: Any, version: OcppVersion) -> None:
    """Now it allows more than is held, in 10 min less; nothing is left of the budget."""
    b = bench(version, knowledge=EASEE)
    b.boot()
    b.start()
    for wish_a in (8.0, 9.0, 10.0, 11.0, 12.0):
        b.set_limit(wish_a)
    transaction = 7 if version is OcppVersion.V16 else "7"
    periods = [{"startPeriod": 0, "limit": 32.0}, {"startPeriod": 3600 + 600, "limit": 4.0}]
    assert b.csms_sets("TxProfile", 32.0, transactionId=transaction, periods=periods) == "Accepted"
    assert [b.in_force_a(s) for s in (0, 590, 601, 3000)] == [11.0, 11.0, 4.0, 4.0]
    assert b.csms_sets("TxProfile", 32.0, transactionId=transaction) == "Accepted"
    b.set_limit(14.0)
    assert (answers(b)[-1].outcome, b.in_force_a(601)) == (POSTPONED, 4.0), "a raise waits, also a later one"


@ALL
@REQUIREMENT
@pytest.mark.requirement("LC-044")
def test_a_clock_that_is_set_back_makes_no_limit_last_longer_than_the_site_was_told(
    bench: Any, version: OcppVersion
) -> None:
    b = spent(bench, version)
    b.wait(60)
    b.csms_ahead_s = -3600.0
    b.from_station("Heartbeat", {})
    left_s = answers(b)[-1].lasts_s
    assert left_s == pytest.approx(DAY_S / 20 + SLACK_S - 60)
    assert [b.in_force_a(s) for s in (0, left_s - 2, left_s + 1, left_s + 3600)] == [16.0, 16.0, 6.0, 6.0]
    written = len(tried(b))
    b.csms_ahead_s = -3590.0
    b.from_station("Heartbeat", {})
    assert len(tried(b)) == written, "a clock that goes forward only ends it earlier"
