"""What a station says that it holds: when it is asked, what is made of it, what is written again, what the site is told."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_controller.profiles.installed import InstalledProfiles
from local_controller.station.blocks.actuator import OWN_IDS
from local_controller.station.blocks.station_truth import (
    CHECK_S,
    MOST_REWRITES,
    MOST_SILENCES,
    REWRITE_S,
    ROUND_S,
)
from local_controller.station.effects import Peer
from local_controller.station.foreign import LOST, UNNAMED, together
from local_controller.station.knowledge import Knowledge, Loss
from local_controller.station.state import OWN_REQUEST_IDS
from local_controller.station.words import ForeignLimit, LimitKind, OcppVersion
from tests.station.conftest import EFFORT, own
from tests.station.truthful import Truthful

ALL = pytest.mark.parametrize("version", list(OcppVersion))
V16, V201, V21 = OcppVersion
REPORTING = pytest.mark.parametrize("version", [V201, V21])
FIRST_S = 60.0
"""After a boot, until the first round is over."""


@pytest.fixture
def truthful(bench: Any) -> Callable[..., Truthful]:
    def make(version: OcppVersion, **settings: Any) -> Truthful:
        return Truthful(bench(version, is_asked_what_it_holds=True, **settings))

    return make


def asked(t: Truthful) -> list[str]:
    """Our questions about what it holds."""
    kinds = {"GetCompositeSchedule", "GetChargingProfiles"}
    return [f.action for f in t.bench.sent[Peer.STATION] if f.action in kinds and own(f)]


def found(t: Truthful, evse: int = 1) -> ForeignLimit:
    """What the site was told last."""
    return next(
        (f for f in reversed(t.bench.facts) if isinstance(f, ForeignLimit) and f.evse == evse), ForeignLimit(evse)
    )


def floors(t: Truthful) -> int:
    """How often our fallback was written."""
    return sum(p["chargingProfilePurpose"] == "TxDefaultProfile" for p in t.bench.own_profiles())


# --- when it is asked ---------------------------------------------------------------------------------------------


@ALL
@pytest.mark.requirement("LC-039", "LC-042")
def test_after_a_boot_and_then_every_quarter_of_an_hour_it_is_asked_what_it_holds(
    truthful: Any, version: OcppVersion
) -> None:
    t = truthful(version, evses=(1, 2))
    t.live(FIRST_S)
    assert asked(t) == [], "not before it was registered"
    t.bench.boot()
    t.live(FIRST_S)
    once = ["GetCompositeSchedule"] * 2 if version is V16 else ["GetChargingProfiles", *["GetCompositeSchedule"] * 2]
    assert asked(t) == once
    t.live(ROUND_S - FIRST_S)
    assert asked(t) == once
    t.live(2 * FIRST_S)
    assert asked(t) == once * 2
    heard = t.bench.smart.state.truth.composites
    assert sorted(heard) == [1, 2]
    assert all(one.said is not None and one.said.periods[0].limit == 6.0 for one in heard.values())
    assert found(t).is_none


@ALL
@pytest.mark.requirement("LC-026", "LC-096")
def test_the_csms_sees_none_of_it(truthful: Any, version: OcppVersion) -> None:
    t = truthful(version)
    t.bench.boot()
    before = len(t.bench.sent[Peer.CSMS])
    t.live(2 * ROUND_S)
    assert len(asked(t)) >= 2
    assert t.bench.sent[Peer.CSMS][before:] == []


@ALL
@pytest.mark.parametrize("code", ["NotImplemented", "NotSupported"])
def test_what_it_cannot_say_is_not_asked_again_before_its_next_boot(
    truthful: Any, version: OcppVersion, code: str
) -> None:
    t = truthful(version)
    t.bench.station |= {"GetCompositeSchedule": code, "GetChargingProfiles": code}
    t.bench.boot()
    t.live(4 * ROUND_S)
    once = Counter(asked(t))
    assert set(once.values()) == {1}
    t.bench.boot()
    t.live(FIRST_S)
    assert Counter(asked(t)) == Counter(dict.fromkeys(once, 2))


@ALL
def test_one_that_never_answers_is_spared_after_three_times(truthful: Any, version: OcppVersion) -> None:
    t = truthful(version)
    t.bench.station |= {"GetCompositeSchedule": None, "GetChargingProfiles": None}
    t.bench.boot()
    t.live(20 * ROUND_S)
    assert set(Counter(asked(t)).values()) == {MOST_SILENCES}


@ALL
@pytest.mark.requirement("LC-141")
def test_it_is_not_asked_while_it_installs_firmware(truthful: Any, version: OcppVersion) -> None:
    t = truthful(version)
    t.bench.boot()
    t.bench.from_station("FirmwareStatusNotification", {"status": "Installing"})
    t.live(2 * FIRST_S)
    assert asked(t) == []


@REPORTING
@pytest.mark.requirement("LC-096")
def test_a_report_of_ours_that_comes_late_stays_here_and_one_of_the_csms_goes_up(
    truthful: Any, version: OcppVersion
) -> None:
    t = truthful(version)
    t.bench.boot()
    head = {"chargingLimitSource": "CSO", "evseId": 1, "chargingProfile": [t.bench.csms_profile("TxProfile", 8.0)]}
    t.bench.from_station("ReportChargingProfiles", head | {"requestId": OWN_REQUEST_IDS[5]})
    assert t.bench.calls_to(Peer.CSMS, "ReportChargingProfiles") == []
    t.bench.from_station("ReportChargingProfiles", head | {"requestId": 3})
    (up,) = t.bench.calls_to(Peer.CSMS, "ReportChargingProfiles")
    assert up.payload["requestId"] == 3


@ALL
@pytest.mark.parametrize("nonsense", [{}, {"status": 5}, {"status": "Accepted", "schedule": [], "chargingSchedule": 3}])
def test_nonsense_for_an_answer_is_no_fact(truthful: Any, version: OcppVersion, nonsense: Any) -> None:
    t = truthful(version)
    t.bench.station |= {"GetCompositeSchedule": nonsense, "GetChargingProfiles": nonsense}
    t.bench.boot()
    t.live(2 * ROUND_S)
    assert found(t).is_none
    assert floors(t) == 1
    assert t.bench.smart.state.truth.composites[1].said is None


# --- what it obeys besides ----------------------------------------------------------------------------------------


@REPORTING
@pytest.mark.requirement("LC-111")
def test_a_foreign_default_at_a_higher_level_is_named_and_lifts_the_fallback(
    truthful: Any, version: OcppVersion
) -> None:
    t = truthful(version)
    t.installs_itself(limit=10.0, stackLevel=3)
    t.bench.boot()
    t.live(FIRST_S)
    told = found(t)
    assert told.fallback_a == 10.0
    assert told.profile_id == 7
    assert told.what == (
        "a profile that neither the gateway nor, since it runs, the CSMS installed (id 7, TxDefaultProfile, stack level 3)"
    )
    assert "ClearChargingProfile with id 7" in told.remedy
    t.bench.from_csms("ClearChargingProfile", {"chargingProfileId": 7})
    (cleared,) = t.bench.calls_to(Peer.STATION, "ClearChargingProfile")
    assert cleared.payload == {"chargingProfileId": 7}, "the remedy works"
    t.foreign.clear()
    t.live(ROUND_S)
    assert found(t).is_none


@REPORTING
def test_a_foreign_default_below_ours_lifts_nothing_and_is_the_bound_while_it_holds(
    truthful: Any, version: OcppVersion
) -> None:
    t = truthful(version)
    t.installs_itself(limit=4.0, stackLevel=3)
    t.bench.boot()
    t.live(FIRST_S)
    assert (found(t).fallback_a, found(t).most_a) == (None, 4.0)
    t.bench.start(7)
    t.bench.set_limit(16.0, valid_s=ROUND_S)
    assert found(t).most_a is None, "our TxProfile beats it"
    assert t.limit_a() == 16.0


@REPORTING
def test_a_constraint_of_an_energy_manager_binds_and_is_not_the_csmss_to_clear(
    truthful: Any, version: OcppVersion
) -> None:
    t = truthful(version)
    t.installs_itself(evse=0, purpose="ChargingStationExternalConstraints", limit=7.0)
    t.bench.boot()
    t.bench.start(7)
    t.bench.set_limit(16.0, valid_s=ROUND_S)
    t.live(FIRST_S)
    told = found(t)
    assert (told.most_a, told.fallback_a, told.limit_a) == (7.0, None, None)
    assert "energy manager" in told.remedy
    assert "ClearChargingProfile" not in told.remedy


@REPORTING
@pytest.mark.requirement("LC-111")
def test_a_foreign_profile_that_cannot_be_read_counts_as_no_limit(truthful: Any, version: OcppVersion) -> None:
    t = truthful(version)
    t.installs_itself(stackLevel=3)
    t.bench.boot()
    t.live(FIRST_S)
    assert found(t).fallback_a == 10.0
    odd = t.bench.csms_profile("TxDefaultProfile", 8.0, 7, stackLevel=3) | {"chargingSchedule": [{"id": 1}]}
    t.foreign[:] = [(1, "CSO", odd)]
    t.live(ROUND_S + FIRST_S)
    assert found(t).fallback_a == math.inf


@REPORTING
def test_what_the_csms_itself_installed_through_us_is_not_foreign(truthful: Any, version: OcppVersion) -> None:
    t = truthful(version)
    t.bench.boot()
    assert t.bench.csms_sets("ChargingStationMaxProfile", 5.0, profile_id=12, evse=0) == "Accepted"
    t.live(FIRST_S)
    assert t.limit_a() == 5.0
    assert found(t).is_none


@REPORTING
def test_an_old_profile_of_the_csms_under_the_id_of_a_virtual_one_is_foreign(
    truthful: Any, version: OcppVersion
) -> None:
    t = truthful(version)
    t.bench.boot()
    assert t.bench.csms_sets("TxDefaultProfile", 20.0, profile_id=7, stackLevel=3) == "Accepted"
    t.installs_itself(limit=32.0, stackLevel=3)  # from the days before the gateway
    t.live(FIRST_S)
    assert found(t).fallback_a == 32.0
    assert "ClearChargingProfile" not in found(t).remedy, "that would clear the virtual one"


def test_in_16_only_a_second_composite_schedule_below_ours_counts_and_says_what_is_known(truthful: Any) -> None:
    t = truthful(V16)
    t.most_a = 4.0
    t.bench.boot()
    t.live(FIRST_S)
    assert len(asked(t)) == 1
    assert found(t).is_none, "it may just be slow"
    t.live(CHECK_S)
    told = found(t)
    assert (told.most_a, told.what) == (4.0, UNNAMED)
    assert "the station's own app" in told.remedy
    t.most_a = None
    t.live(ROUND_S + CHECK_S)
    assert found(t).is_none


def test_in_16_a_composite_schedule_above_ours_is_written_against_and_then_counts(truthful: Any) -> None:
    t = truthful(V16)
    t.bench.boot()
    t.live(FIRST_S)
    t.installs_itself(limit=20.0, stackLevel=3)
    t.live(ROUND_S)
    assert floors(t) == 1
    assert found(t).is_none
    t.live(CHECK_S)
    assert floors(t) == 2, "perhaps it only lost ours"
    t.live(CHECK_S)
    told = found(t)
    assert told.fallback_a == 20.0
    assert told.unproven == frozenset(), "it showed ours before"
    t.live(4 * ROUND_S)
    assert floors(t) == 2, "writing wears memory, and does not help"
    t.foreign.clear()
    t.live(ROUND_S)
    assert found(t).is_none


@ALL
def test_a_station_that_never_shows_our_limits_proves_nothing_with_what_it_shows(
    truthful: Any, version: OcppVersion
) -> None:
    t = truthful(version)
    t.shows = lambda _: 48.0
    t.bench.boot()
    t.live(4 * ROUND_S)
    told = found(t)
    assert (told.fallback_a, told.unproven) == (48.0, {LimitKind.FALLBACK})
    assert floors(t) <= 2
    rounds = len(asked(t))
    t.live(4 * ROUND_S)
    assert len(asked(t)) - rounds <= 4 * (1 if version is V16 else 2), "it is asked no more often for that"


def test_a_session_in_which_ours_holds_does_not_make_a_lifted_fallback_forgotten(truthful: Any) -> None:
    t = truthful(V16)
    t.bench.boot()
    t.live(FIRST_S)
    t.installs_itself(limit=20.0, stackLevel=3)
    t.live(ROUND_S + 2 * CHECK_S)
    assert found(t).fallback_a == 20.0
    t.bench.start(7)
    t.bench.set_limit(8.0, valid_s=4 * ROUND_S)
    t.live(2 * ROUND_S)
    assert t.limit_a() == 8.0
    assert (1, LimitKind.WORKING) in t.bench.smart.state.truth.echoed
    assert found(t).fallback_a == 20.0, "it holds as soon as the session is over"


@pytest.mark.parametrize("is_swapped", [False, True])
def test_of_two_witnesses_the_proven_one_counts_for_each_limit_by_itself(is_swapped: bool) -> None:
    doubtful = ForeignLimit(1, fallback_a=48.0, unproven=frozenset({LimitKind.FALLBACK}), what="a", remedy="b")
    certain = ForeignLimit(1, most_a=10.0, limit_a=32.0, what="c", remedy="d")
    both = together(certain, doubtful) if is_swapped else together(doubtful, certain)
    assert (both.most_a, both.fallback_a, both.limit_a) == (10.0, 48.0, 32.0)
    assert both.unproven == {LimitKind.FALLBACK}
    named = together(both, ForeignLimit(1, fallback_a=16.0, what="e", remedy="f"))
    assert (named.fallback_a, named.unproven) == (16.0, frozenset())


def test_one_whose_composite_schedule_knows_no_fallback_is_not_written_to_after_every_session(truthful: Any) -> None:
    t = truthful(V16)
    t.shows = lambda limit_a: limit_a if t.bench.smart.state.transactions else 32.0
    t.bench.boot()
    for number in range(5):
        t.live(2 * ROUND_S)
        t.bench.start(number)
        t.bench.set_limit(16.0, valid_s=ROUND_S)
        t.live(ROUND_S)
        t.bench.stop(number)
    assert (1, LimitKind.WORKING) in t.bench.smart.state.truth.echoed
    assert sum(note.event == "own_profile_missing" for note in t.bench.notes) == 1


@ALL
def test_other_units_and_roundings_are_no_contradiction(truthful: Any, version: OcppVersion) -> None:
    t = truthful(version)
    truth = t._composite

    def in_watts(payload: dict[str, Any]) -> dict[str, Any]:
        answer = truth(payload | {"chargingRateUnit": "W"})
        schedule = answer["chargingSchedule" if version is V16 else "schedule"]
        schedule["chargingSchedulePeriod"][0]["limit"] *= 690.0
        return answer

    t.bench.station["GetCompositeSchedule"] = in_watts
    t.bench.boot()
    t.live(2 * ROUND_S)
    t.bench.station["GetCompositeSchedule"] = truth
    t.shows = lambda limit_a: None if limit_a is None else math.floor(limit_a * 10) / 10 - 0.1
    t.live(2 * ROUND_S)
    assert found(t).is_none
    assert floors(t) == 1


def test_a_station_maximum_of_the_csms_may_be_divided_among_the_connectors(truthful: Any) -> None:
    t = truthful(V16, evses=(1, 2))
    t.bench.boot()
    assert t.bench.csms_sets("ChargePointMaxProfile", 8.0, profile_id=12, evse=0) == "Accepted"
    t.shows = lambda _: 4.0  # open-ocpp: 8 A for two connectors
    t.live(2 * ROUND_S)
    assert found(t).is_none


# --- what it lost -------------------------------------------------------------------------------------------------


@ALL
@pytest.mark.requirement("LC-042")
def test_profiles_that_it_lost_without_a_word_are_written_again(truthful: Any, version: OcppVersion) -> None:
    t = truthful(version)
    t.bench.boot()
    t.live(FIRST_S)
    t.bench.installed = InstalledProfiles()
    assert t.limit_a() is None
    t.live(ROUND_S + 2 * CHECK_S)
    assert t.limit_a() == 6.0
    assert floors(t) == 2
    assert [note.event for note in t.bench.notes if note.event == "own_profile_missing"] == ["own_profile_missing"]
    t.live(2 * ROUND_S)
    assert floors(t) == 2
    assert found(t).is_none


@ALL
@pytest.mark.requirement("LC-042")
def test_a_lost_working_limit_is_written_again_too(truthful: Any, version: OcppVersion) -> None:
    t = truthful(version)
    t.bench.boot()
    t.bench.start(7)
    t.bench.set_limit(16.0, valid_s=4 * ROUND_S)
    t.live(FIRST_S)
    t.bench.installed = InstalledProfiles()
    t.live(ROUND_S + 2 * CHECK_S)
    assert t.limit_a() == 16.0


@REPORTING
@pytest.mark.requirement("LC-042", "LC-111")
def test_a_station_that_says_yes_and_keeps_nothing_counts_without_a_fallback_and_is_not_written_to_for_ever(
    truthful: Any, version: OcppVersion
) -> None:
    t = truthful(version)
    t.hides_profiles()
    t.shows = lambda _: None
    t.bench.boot()
    t.live(FIRST_S + 2 * CHECK_S)
    told = found(t)
    assert told.fallback_a == math.inf
    t.live(REWRITE_S * 20)
    assert floors(t) <= 1 + MOST_REWRITES + 1
    assert found(t).fallback_a == math.inf


@REPORTING
@pytest.mark.requirement("LC-042")
def test_what_it_keeps_losing_is_written_again_every_ten_minutes_at_most(truthful: Any, version: OcppVersion) -> None:
    """Writing wears its memory."""
    t = truthful(version)
    t.hides_profiles()
    t.shows = lambda _: None
    t.bench.boot()
    written_s: list[float] = []
    for _ in range(360):
        before = floors(t)
        t.live(10.0)
        written_s += [t.bench.now.monotonic_s] * (floors(t) - before)
    assert len(written_s) == MOST_REWRITES == 3
    assert all(later_s - earlier_s >= REWRITE_S - 10.0 for earlier_s, later_s in pairwise(written_s))


@REPORTING
def test_a_report_without_ours_is_contradicted_by_a_composite_schedule_that_shows_it(
    truthful: Any, version: OcppVersion
) -> None:
    t = truthful(version)
    t.hides_profiles()
    t.bench.boot()
    t.live(4 * ROUND_S)
    assert found(t).is_none
    assert LOST not in [f.what for f in t.bench.facts if isinstance(f, ForeignLimit) and f.evse == 1][-1:]


@ALL
@pytest.mark.parametrize("knowledge", [Knowledge(), Knowledge(forgets=frozenset({Loss.DISCONNECT}))])
@pytest.mark.requirement("LC-042")
def test_a_station_that_forgets_all_when_its_connection_drops_gets_all_again_without_a_boot(
    truthful: Any, bench: Any, version: OcppVersion, knowledge: Knowledge
) -> None:
    t = truthful(version, knowledge=knowledge)
    t.bench.boot()
    t.bench.start(7)
    t.bench.set_limit(16.0)
    assert t.limit_a() == 16.0
    t.bench._do(t.bench.proxy.closed(Peer.STATION, t.bench.now))
    again = Truthful(bench(version, is_asked_what_it_holds=True, knowledge=knowledge, known=t.bench.smart.state))
    again.bench.now = t.bench.now
    assert again.limit_a() is None, "it has forgotten all"
    again.bench.from_station("Heartbeat", {})
    assert again.limit_a() == 16.0, "all of it at once"
    again.live(301.0)
    assert again.limit_a() == 6.0, "and the fallback below"
    again.live(2 * ROUND_S)
    assert found(again).is_none


# --- what remains -------------------------------------------------------------------------------------------------


@REPORTING
def test_a_finding_outlives_the_connection_until_the_station_says_otherwise(
    truthful: Any, bench: Any, version: OcppVersion
) -> None:
    t = truthful(version)
    t.installs_itself(limit=10.0, stackLevel=3)
    t.bench.boot()
    t.live(FIRST_S)
    t.bench._do(t.bench.proxy.closed(Peer.STATION, t.bench.now))
    again = Truthful(bench(version, is_asked_what_it_holds=True, known=t.bench.smart.state))
    again.bench.now, again.bench.foreign = t.bench.now, t.foreign
    again.bench.from_station("Heartbeat", {})
    state = again.bench.smart.state
    assert again.limit_a() == 10.0
    assert state.truth.findings[1].fallback_a == 10.0
    assert found(again).is_none, "that is no news"
    again.foreign.clear()
    again.live(ROUND_S)
    assert state.truth.findings[1].is_none


def test_ours_are_known_by_their_ids(truthful: Any) -> None:
    t = truthful(V201)
    t.bench.boot()
    t.bench.start(7)
    t.bench.set_limit(16.0)
    written = [p["id"] for p in t.bench.own_profiles()]
    assert all(one in OWN_IDS for one in written)
    writes = t.bench.smart.state.truth.of(1)
    assert writes.floor is not None
    assert writes.working is not None
    assert [one.profile and one.profile.id for one in (writes.floor, writes.working)] == written[-2:]


def test_the_clock_of_the_station_decides_what_holds(truthful: Any) -> None:
    t = truthful(V201)
    t.bench.csms_ahead_s = 600.0
    t.bench.boot()
    t.live(FIRST_S)
    assert t.bench.smart.state.csms_ahead_s == pytest.approx(600.0, abs=1.0)
    assert found(t).is_none
    assert t.bench.smart.state.station_time(t.bench.now) - t.bench.now.utc > timedelta(seconds=590)


@REPORTING
def test_the_age_of_what_the_csms_set_is_known(truthful: Any, version: OcppVersion) -> None:
    t = truthful(version)
    t.bench.boot()
    t.bench.csms_sets("TxDefaultProfile", 20.0, profile_id=11)
    set_at = t.bench.smart.state.truth.set_at[11]
    t.live(100)
    assert t.bench.now.since(set_at) == 100.0


# --- laws ---------------------------------------------------------------------------------------------------------

LIMITS = st.sampled_from([None, 0.0, 4.0, 6.0, 10.0, 16.0, 32.0, 48.0, 1e9, -1.0, 5.9999, "much", float(2**70)])
FOREIGN = st.sampled_from(
    [
        ("TxDefaultProfile", {"stackLevel": 3}),
        ("TxDefaultProfile", {"chargingProfileKind": "Relative"}),
        ("TxProfile", {"stackLevel": 2, "transactionId": "7"}),
        ("ChargingStationExternalConstraints", {}),
        ("ChargingStationMaxProfile", {"validTo": "2026-06-01T12:10:00Z"}),
        ("LocalGeneration", {}),
        ("PriorityCharging", {"stackLevel": 1}),
        ("Unheard", {"chargingSchedule": []}),
    ]
)
STEPS = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([1.0, 30.0, 100.0, 1000.0])),
    st.tuples(st.just("shows"), LIMITS),
    st.tuples(st.just("foreign"), st.lists(FOREIGN, max_size=3)),
    st.tuples(st.just("limit"), st.sampled_from([0.0, 6.0, 16.0])),
    st.tuples(st.just("forgets"), st.none()),
    st.tuples(st.just("start"), st.none()),
    st.tuples(st.just("stop"), st.none()),
    st.tuples(st.just("boot"), st.none()),
)


def play(t: Truthful, step: str, value: Any) -> None:
    b = t.bench
    match step:
        case "wait":
            t.live(value)
        case "shows":
            t.shows = lambda _: value
        case "foreign" if b.version is not V16:
            t.foreign[:] = [
                (0, "EMS", b.csms_profile(name, 8.0, 7 + n, **more)) for n, (name, more) in enumerate(value)
            ]
        case "limit":
            b.set_limit(value)
        case "forgets":
            b.installed = InstalledProfiles()
        case "start":
            b.start(7)
        case "stop":
            b.stop(7)
        case "boot":
            b.boot()


@pytest.mark.parametrize("version", list(OcppVersion))
@given(steps=st.lists(STEPS, max_size=25))
@settings(max_examples=40 * EFFORT, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.requirement("LC-020", "LC-042", "LC-096")
def test_whatever_it_says_it_is_neither_asked_nor_written_to_often_and_the_csms_hears_nothing(
    truthful: Any, version: OcppVersion, steps: list[tuple[str, Any]]
) -> None:
    t = truthful(version)
    b = t.bench
    b.boot()
    for step, value in steps:
        play(t, step, value)
    t.live(ROUND_S)
    minutes, boots = (b.now.monotonic_s - 1000.0) / CHECK_S, 1 + sum(step == "boot" for step, _ in steps)
    assert max(Counter(asked(t)).values(), default=0) <= minutes + boots
    written_again = sum(note.event == "own_profile_missing" for note in b.notes)
    assert written_again <= 2 * (1 + (b.now.monotonic_s - 1000.0) / REWRITE_S) * boots
    heard = {frame.action for frame in b.sent[Peer.CSMS] if frame.action is not None}
    assert heard <= {"BootNotification", "StartTransaction", "StopTransaction", "TransactionEvent"}
    told = found(t)
    for limit_a in (told.most_a, told.fallback_a, told.limit_a):
        assert limit_a is None or limit_a >= 0.0
    assert told.is_none or (told.what and told.remedy)
