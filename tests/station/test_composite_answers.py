"""What the CSMS sees when it asks for a composite schedule: the station's word, or ours where that does not last (LC-097)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from local_controller.profiles.composite import answer, answer_station, composite
from local_controller.profiles.context import Context, StationContext
from local_controller.profiles.installed import InstalledProfiles
from local_controller.profiles.profile import Purpose
from local_controller.profiles.schedule import Schedule
from local_controller.profiles.units import RateUnit
from local_controller.station.blocks.composite_answers import Shown
from local_controller.station.build import StationSettings
from local_controller.station.dialects import dialect
from local_controller.station.effects import Peer
from local_controller.station.words import OcppVersion
from tests.effort import EFFORT
from tests.station.conftest import Bench, MakeBench, Payload

WEEK_S = 7 * 86_400
V16, V201, V21 = OcppVersion.V16, OcppVersion.V201, OcppVersion.V21
every_version = pytest.mark.parametrize("version", list(OcppVersion))
HOUR = 3600
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Station:
    """The station's own answer, from what it holds; `others_a` limits it besides, `duration_s` is all that it tells."""

    def __init__(self, bench: Bench, others_a: float | None = None, duration_s: int | None = None) -> None:
        self.bench, self.others_a, self.duration_s = bench, others_a, duration_s
        self.answers: list[Payload] = []
        bench.station["GetCompositeSchedule"] = self.answer

    def answer(self, payload: Payload) -> Payload:
        bench = self.bench
        request = dialect(bench.version).composite_request(payload)
        unit, horizon_s = request.unit or RateUnit.A, self.duration_s or request.duration_s
        at = bench.now.utc.replace(microsecond=0)
        contexts = {evse: self.context(evse) for evse in bench.settings.evses}
        if request.evse:
            told = answer(bench.installed, contexts[request.evse], unit, at, horizon_s)
        else:
            station = StationContext(Context(0, hardware_maximum_a=64.0), tuple(contexts.values()))
            told = answer_station(bench.installed, station, unit, at, horizon_s)
        self.answers.append(dialect(bench.version).composite_answer(request.evse, told))
        return self.answers[-1]

    def context(self, evse: int) -> Context:
        transaction = self.bench.smart.state.transactions.get(evse)
        limited = None if self.others_a is None else Schedule.constant(self.others_a, LONG_AGO)
        return Context(
            evse,
            None if transaction is None else transaction.transaction_id,
            energy_since=None if transaction is None else transaction.started.utc,
            hardware_maximum_a=32.0,
            allocated=limited,
        )


def asked(bench: Bench, duration_s: int = HOUR, unit: str | None = "A", evse: int = 1) -> Any:
    name = "connectorId" if bench.version is V16 else "evseId"
    payload = {name: evse, "duration": duration_s} | ({} if unit is None else {"chargingRateUnit": unit})
    return bench.from_csms("GetCompositeSchedule", payload)


def shown(bench: Bench, told: Payload) -> Payload:
    assert told["status"] == "Accepted"
    schedule: Payload = told["chargingSchedule" if bench.version is V16 else "schedule"]
    return schedule


def periods(bench: Bench, told: Payload) -> list[tuple[int, float]]:
    return [(p["startPeriod"], p["limit"]) for p in shown(bench, told)["chargingSchedulePeriod"]]


def charging(bench: Bench, limit_a: float = 12.3, valid_s: float = 90.0) -> Bench:
    """A station in whose transaction the site lets flow so much."""
    bench.boot()
    bench.start()
    bench.set_limit(limit_a, valid_s)
    assert bench.in_force_a() == limit_a
    return bench


@every_version
@pytest.mark.requirement("LC-097")
def test_a_limit_that_is_renewed_all_the_time_is_shown_for_as_long_as_was_asked(
    version: OcppVersion, bench: MakeBench
) -> None:
    b = charging(bench(version))
    station = Station(b)
    told = asked(b)
    assert periods(b, station.answers[0]) == [(0, 12.3), (90, 6.0)]
    assert periods(b, told) == [(0, 12.3)]
    assert shown(b, told)["duration"] == HOUR


@every_version
@pytest.mark.requirement("LC-097")
def test_the_csms_sees_its_own_profiles_within_the_share_of_the_site(version: OcppVersion, bench: MakeBench) -> None:
    b = bench(version)
    b.boot()
    day = [{"startPeriod": s, "limit": a} for s, a in ((0, 16.0), (HOUR + 600, 8.0), (HOUR + 1200, 11.0))]
    assert b.csms_sets("TxDefaultProfile", 16.0, periods=day) == "Accepted"
    b.start()
    b.set_limit(10.0, 90.0)
    Station(b)
    assert periods(b, asked(b)) == [(0, 10.0), (600, 8.0), (1200, 10.0)]


@every_version
@pytest.mark.requirement("LC-097", "LC-086")
def test_watts_are_those_of_all_phases_rounded_down(version: OcppVersion, bench: MakeBench) -> None:
    b = charging(bench(version), limit_a=12.3)
    Station(b)
    told = asked(b, unit="W")
    assert shown(b, told)["chargingRateUnit"] == "W"
    assert periods(b, told) == [(0, 8487.0)]
    assert (
        b.csms_sets(
            "TxProfile", 5000.04 if version is V21 else 5000.0, unit="W", transactionId="7" if version is not V16 else 7
        )
        == "Accepted"
    )
    assert periods(b, asked(b, unit="W")) == [(0, 5000.04 if version is V21 else 5000.0)]
    assert periods(b, asked(b, unit="A")) == [(0, 7.246434 if version is V21 else 7.2)]


@every_version
@pytest.mark.requirement("LC-097")
def test_what_the_station_says_stays_to_the_byte_where_it_lasts(version: OcppVersion, bench: MakeBench) -> None:
    b = bench(version)
    b.boot()
    station = Station(b)
    assert asked(b) == station.answers[-1]
    b.start()
    assert asked(b) == station.answers[-1]
    b.set_limit(10.0, 90.0)
    assert asked(b, duration_s=60) == station.answers[-1]
    assert asked(b, duration_s=120) != station.answers[-1]


@every_version
@pytest.mark.requirement("LC-097")
def test_what_limits_the_station_besides_stays_in_the_answer(version: OcppVersion, bench: MakeBench) -> None:
    b = charging(bench(version), limit_a=16.0)
    Station(b, others_a=9.0)
    assert periods(b, asked(b)) == [(0, 9.0), (90, 16.0)]  # what it would be above our floor, nobody knows


@every_version
@pytest.mark.requirement("LC-097")
def test_a_station_that_takes_watts_only_is_not_taken_for_limited_by_others(
    version: OcppVersion, bench: MakeBench
) -> None:
    b = bench(version, unit=RateUnit.W)
    b.boot()
    b.start()
    b.meter([0.0, 8.0, 0.0])
    b.set_limit(16.0, 90.0)
    Station(b)
    assert periods(b, asked(b)) == [(0, 16.0)]


@every_version
@pytest.mark.requirement("LC-097")
def test_a_station_as_a_whole_gets_the_sum(version: OcppVersion, bench: MakeBench) -> None:
    b = bench(version, evses=(1, 2), fallback_a=7.0)
    b.boot()
    b.start()
    b.set_limit(10.0, 90.0)
    Station(b)
    assert periods(b, asked(b, evse=0)) == [(0, 17.0)]
    assert (
        b.csms_sets("ChargePointMaxProfile" if version is V16 else "ChargingStationMaxProfile", 15.0, evse=0)
        == "Accepted"
    )
    assert periods(b, asked(b, evse=0)) == [(0, 15.0)]


@every_version
@pytest.mark.requirement("LC-097")
@pytest.mark.parametrize("said", [{"status": "Rejected"}, "NotImplemented", "NotSupported"])
def test_what_the_station_refuses_is_refused(version: OcppVersion, said: Any, bench: MakeBench) -> None:
    b = charging(bench(version))
    b.station["GetCompositeSchedule"] = said
    assert asked(b) == said


@every_version
@pytest.mark.requirement("LC-097")
@pytest.mark.parametrize("duration_s", [0, -5, 2**31, 10**12])
def test_a_duration_that_makes_no_sense_is_the_stations_to_judge(
    version: OcppVersion, duration_s: int, bench: MakeBench
) -> None:
    b = charging(bench(version))
    b.station["GetCompositeSchedule"] = {"status": "Rejected"}
    assert asked(b, duration_s=duration_s) == {"status": "Rejected"}


@every_version
@pytest.mark.requirement("LC-097")
def test_years_are_told_like_hours_where_little_changes_in_them(version: OcppVersion, bench: MakeBench) -> None:
    b = bench(version)
    b.boot()
    Station(b)
    night = [{"startPeriod": 0, "limit": 8.0}, {"startPeriod": 8 * HOUR, "limit": 16.0}]
    daily = {"chargingProfileKind": "Recurring", "recurrencyKind": "Daily"}
    assert b.csms_sets("TxDefaultProfile", 8.0, periods=night, **daily) == "Accepted"
    b.start()
    b.set_limit(32.0, 90.0)
    told = asked(b, duration_s=60 * 86_400)
    assert shown(b, told)["duration"] == 60 * 86_400
    assert periods(b, told)[-2:] == [(59 * 86_400 + 7 * HOUR, 16.0), (60 * 86_400 - HOUR, 8.0)]
    Station(b, duration_s=600)
    assert shown(b, asked(b, duration_s=3500 * 86_400))["duration"] == 3500 * 86_400
    assert shown(b, asked(b, duration_s=3600 * 86_400))["duration"] == 600, "7,200 steps are the station's to tell"
    assert b.from_csms("ClearChargingProfile", {}) == {"status": "Accepted"}
    assert periods(b, asked(b, duration_s=2**31 - 1)) == [(0, 32.0)]


@every_version
@pytest.mark.requirement("LC-097")
def test_an_answer_that_ends_too_early_is_completed(version: OcppVersion, bench: MakeBench) -> None:
    b = bench(version)
    b.boot()
    Station(b, duration_s=600)
    told = asked(b)
    assert (periods(b, told), shown(b, told)["duration"]) == ([(0, 6.0)], HOUR)


@every_version
@pytest.mark.requirement("LC-097")
def test_an_answer_in_another_unit_is_converted(version: OcppVersion, bench: MakeBench) -> None:
    b = charging(bench(version))
    station = Station(b)
    b.station["GetCompositeSchedule"] = lambda p: station.answer({**p, "chargingRateUnit": "W"})
    assert (periods(b, asked(b)), shown(b, asked(b))["chargingRateUnit"]) == ([(0, 12.3)], "A")
    assert shown(b, asked(b, unit=None))["chargingRateUnit"] == "W"


@pytest.mark.requirement("LC-097")
def test_accepted_without_a_schedule_gets_one(bench: MakeBench) -> None:
    b = charging(bench(V201))
    b.station["GetCompositeSchedule"] = {"status": "Accepted"}
    assert periods(b, asked(b)) == [(0, 12.3)]


@every_version
@pytest.mark.requirement("LC-097", "LC-020")
def test_an_answer_that_nobody_can_read_passes(version: OcppVersion, bench: MakeBench) -> None:
    b = charging(bench(version))
    name = "chargingSchedule" if version is V16 else "schedule"
    nonsense = {"status": "Accepted", name: {"chargingRateUnit": "horse power", "chargingSchedulePeriod": "many"}}
    b.station["GetCompositeSchedule"] = nonsense
    b.unchecked |= {"GetCompositeSchedule"}
    assert asked(b) == nonsense


@every_version
@pytest.mark.requirement("LC-097")
def test_absurd_numbers_of_a_station_do_no_harm(version: OcppVersion, bench: MakeBench) -> None:
    b = charging(bench(version))
    absurd = {
        "duration": -(10**15),
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": -5.0}, {"startPeriod": 10**15, "limit": 1e300}],
    }
    head = {"connectorId": 1} if version is V16 else {}
    name = "chargingSchedule" if version is V16 else "schedule"
    b.station["GetCompositeSchedule"] = {"status": "Accepted", **head, name: absurd}
    assert periods(b, asked(b)) == [(0, 12.3)]


@pytest.mark.requirement("LC-097")
@pytest.mark.timeout(20)
def test_very_many_periods_hold_nobody_up(bench: MakeBench) -> None:
    b = bench(V201)
    b.boot()
    day = [{"startPeriod": 80 * n, "limit": 8.0 + n % 7} for n in range(1024)]
    daily = {"chargingProfileKind": "Recurring", "recurrencyKind": "Daily"}
    assert b.csms_sets("TxDefaultProfile", 8.0, periods=day, **daily) == "Accepted"
    b.start()
    b.set_limit(32.0, 90.0)
    many = [{"startPeriod": 60 * n, "limit": 8.0 + n % 5} for n in range(10_000)]
    schedule = {"evseId": 1, "duration": WEEK_S, "scheduleStart": "2026-06-01T12:00:00Z", "chargingRateUnit": "A"}
    b.station["GetCompositeSchedule"] = {"status": "Accepted", "schedule": schedule | {"chargingSchedulePeriod": many}}
    began_s = time.process_time()
    told = shown(b, asked(b, WEEK_S))
    assert time.process_time() - began_s < 2.0
    assert (told["duration"], len(told["chargingSchedulePeriod"]) <= 1024) == (WEEK_S, True)


@every_version
@pytest.mark.requirement("LC-097")
def test_a_site_may_show_the_csms_its_own_profiles_alone(version: OcppVersion, bench: MakeBench) -> None:
    b = bench(version, composite=Shown.PROFILES, maxima_a={1: 32.0})
    b.boot()
    day = [{"startPeriod": s, "limit": a} for s, a in ((0, 16.0), (HOUR + 600, 20.0))]
    assert b.csms_sets("TxDefaultProfile", 16.0, periods=day, schedule={"duration": HOUR + 1200}) == "Accepted"
    Station(b)
    assert periods(b, asked(b)) == [(0, 16.0), (600, 20.0), (1200, 32.0)]
    b.start()
    b.set_limit(10.0, 90.0)
    assert periods(b, asked(b)) == [(0, 16.0), (600, 20.0), (1200, 32.0)]


@pytest.mark.requirement("LC-097")
def test_where_nobody_knows_the_hardware_the_station_speaks(bench: MakeBench) -> None:
    b = bench(V16, composite=Shown.PROFILES)
    b.boot()
    station = Station(b)
    assert asked(b) == station.answers[-1]


@pytest.mark.requirement("LC-097")
def test_while_a_station_may_obey_a_higher_limit_that_is_shown(bench: MakeBench) -> None:
    b = charging(bench(V201), limit_a=16.0)
    Station(b)
    b.accepts = lambda _payload: None  # it does not answer to the reduction
    b.set_limit(8.0, 90.0)
    assert asked(b) is None  # one CALL at a time
    b.wait(9.0)
    assert periods(b, b.sent[Peer.CSMS][-1].payload) == [(0, 16.0)]


@every_version
@pytest.mark.requirement("LC-097")
def test_a_pause_is_shown_for_as_long_as_the_station_keeps_it(version: OcppVersion, bench: MakeBench) -> None:
    """Whatever happens to the gateway, no more flows than is shown."""
    b = charging(bench(version), limit_a=0.0)
    Station(b)
    assert periods(b, asked(b)) == [(0, 0.0), (90, 6.0)]


@every_version
@pytest.mark.requirement("LC-097")
def test_what_was_before_the_moment_of_asking_does_not_count(version: OcppVersion, bench: MakeBench) -> None:
    b = charging(bench(version), limit_a=16.0)
    assert b.csms_sets("TxDefaultProfile", 3.0, 1) == "Accepted"
    b.wait(0.9)
    since = b.now.utc.isoformat().replace("+00:00", "Z")
    assert b.csms_sets("TxDefaultProfile", 11.0, 2, stackLevel=1, validFrom=since) == "Accepted"
    Station(b)
    assert periods(b, asked(b, 90_000)) == [(0, 11.0)], "it begins on a whole second, though the profile does not"


@pytest.mark.requirement("LC-097")
def test_for_the_whole_station_relative_profiles_begin_when_it_is_asked(bench: MakeBench) -> None:
    b = charging(bench(OcppVersion.V21), limit_a=16.0, valid_s=900.0)
    assert b.csms_sets("TxProfile", 8.0, 1, transactionId="7") == "Accepted"
    later = [{"startPeriod": 0, "limit": 0.0}, {"startPeriod": 300, "limit": 5.0}]
    profile = b.csms_profile("LocalGeneration", 0.0, 2, periods=later, chargingProfileKind="Relative")
    del profile["chargingSchedule"][0]["startSchedule"]
    assert b.from_csms("SetChargingProfile", {"evseId": 0, "chargingProfile": profile}) == {"status": "Accepted"}
    b.wait(200.0)
    station = Station(b)
    told = asked(b, 600, evse=0)
    assert periods(b, station.answers[0])[:2] == [(0, 8.0), (100, 13.0)], "the station counts ours from its transaction"
    assert all(limit_a <= 8.0 for start_s, limit_a in periods(b, told) if start_s < 300)


@pytest.mark.requirement("LC-097", "LC-102")
def test_local_generation_of_an_evse_is_no_load_of_the_whole_station(bench: MakeBench) -> None:
    """What the station holds of us has it inside: 6 A of which at most 3 A come from the grid (K27)."""
    b = charging(bench(OcppVersion.V21), limit_a=6.0, valid_s=900.0)
    assert b.csms_sets("LocalGeneration", 20.0, 2) == "Accepted"
    assert b.csms_sets("TxProfile", 3.0, 1, transactionId="7") == "Accepted"
    Station(b)
    assert periods(b, asked(b, 600, evse=1)) == [(0, 6.0)]
    assert periods(b, asked(b, 600, evse=0)) == [(0, 3.0)]


# --- a law -------------------------------------------------------------------------------------------------------

steps = st.lists(st.tuples(st.integers(60, 5400), st.integers(0, 24)), max_size=3, unique_by=lambda step: step[0])


@pytest.mark.requirement("LC-097", "LC-093")
@settings(max_examples=60 * EFFORT, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    version=st.sampled_from(OcppVersion),
    profiles=st.lists(st.tuples(st.sampled_from(["TxDefaultProfile", "TxProfile"]), steps), max_size=2),
    wish_a=st.none() | st.integers(0, 32),
    duration_s=st.sampled_from([60, 600, HOUR, 90_000]),
    unit=st.sampled_from(["A", "W", None]),
    evse=st.sampled_from([0, 1]),
    waits_s=st.floats(0, 80),
)
@example(V16, [("TxProfile", [(60, 1)])], 0, 90_000, "A", 0, 0.0)  # a pause ends before the limit of the CSMS
def test_nothing_flows_above_what_is_shown_and_nothing_is_shown_above_the_csms_profiles(
    version: OcppVersion,
    profiles: list[tuple[str, list[tuple[int, int]]]],
    wish_a: int | None,
    duration_s: int,
    unit: str | None,
    evse: int,
    waits_s: float,
) -> None:
    b = Bench(version, StationSettings(fallback_a=6.0))
    b.boot()
    b.start()
    for number, (purpose, later) in enumerate(profiles, start=1):
        own = {"transactionId": 7 if version is V16 else "7"} if purpose == "TxProfile" else {}
        told = [{"startPeriod": s, "limit": float(a)} for s, a in [(0, 16), *sorted(later)]]
        b.csms_sets(purpose, 0.0, number, periods=told, **own)
    if wish_a is not None:
        b.set_limit(float(wish_a), 90.0)
    b.wait(waits_s)
    Station(b)
    answered = asked(b, duration_s, unit, evse)
    schedule = shown(b, answered)
    assert schedule["duration"] == duration_s
    assert unit in {None, schedule["chargingRateUnit"]}
    start = b.now.utc.replace(microsecond=0)
    transaction = b.smart.state.transactions[1]
    context = Context(1, transaction.transaction_id, energy_since=transaction.started.utc)
    virtual = composite(b.smart.state.store.installed, context, start, duration_s)
    factor = 1.0 if schedule["chargingRateUnit"] == "A" else 230.0
    assert b.installed.of_purposes(Purpose.TX_DEFAULT_PROFILE) != InstalledProfiles()
    for second in range(0, min(duration_s, 7200), 7):
        running = [p for p in schedule["chargingSchedulePeriod"] if p["startPeriod"] <= second][-1]
        shown_a = running["limit"] / (factor if factor == 1.0 else factor * running["numberPhases"])
        allowed_a = virtual.at(start + timedelta(seconds=second))
        assert allowed_a is None or shown_a <= allowed_a + 1e-6
        held_a = b.in_force_a((start - b.now.utc).total_seconds() + second)
        assert held_a is not None
        assert held_a <= shown_a + 0.1


@every_version
@pytest.mark.requirement("LC-097")
def test_a_limit_of_minus_one_is_none(version: OcppVersion, bench: MakeBench) -> None:
    b = charging(bench(version))
    none = {"duration": 600, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": -1.0}]}
    head = {"connectorId": 1} if version is V16 else {}
    name = "chargingSchedule" if version is V16 else "schedule"
    b.station["GetCompositeSchedule"] = {"status": "Accepted", **head, name: none}
    assert periods(b, asked(b)) == [(0, 12.3)]
