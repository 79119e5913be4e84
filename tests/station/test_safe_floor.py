"""Is a floor ever told that is higher than what a car without its own limit may draw? (LC-093)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.profiles.installed import Criteria, InstalledProfiles
from local_controller.profiles.profile import Purpose
from local_controller.station.blocks.actuator import Target
from local_controller.station.blocks.carried_over import CarriedOver
from local_controller.station.blocks.evse_limits import EvseLimits
from local_controller.station.blocks.safe_floor import safe_floor
from local_controller.station.blocks.wanted import Cap
from local_controller.station.knowledge import Actuator, FloorPlace, Knowledge
from local_controller.station.words import LimitKind, LimitOutcome, OcppVersion
from tests.station.test_profile_sharing import clear

ALL = pytest.mark.parametrize("version", list(OcppVersion))
ONLY_TX = Knowledge(actuators=(Actuator.TX_PROFILE,))
SHARED = Knowledge(connector=FloorPlace.STATION)
SHARED_TX = Knowledge(connector=FloorPlace.STATION, actuators=(Actuator.TX_PROFILE,))
REFUSES, SILENT = False, None


def is_cap(payload: Any) -> bool:
    return "'TxProfile'" in str(payload)


def capped(bench: Any, version: OcppVersion, **settings: Any) -> Any:
    """A car that its CSMS keeps to 6 A, on a station whose floors are 0 A."""
    b = bench(version, fallback_a=0.0, **settings)
    b.boot()
    b.start()
    assert csms_caps(b, 6.0) == "Accepted"
    return b


def csms_caps(b: Any, limit_a: float) -> Any:
    return b.csms_sets("TxProfile", limit_a, transactionId=7 if b.version is OcppVersion.V16 else "7")


def watched(b: Any, answer: Callable[[Any], Any]) -> list[float]:
    """What the station allows whenever it is told something, and at last."""
    seen: list[float] = []

    def accepts(payload: Any) -> Any:
        seen.append(b.in_force_a())
        return answer(payload)

    b.accepts = accepts
    return seen


@ALL
@pytest.mark.requirement("LC-093", "LC-117")
@pytest.mark.parametrize("verdict", [REFUSES, SILENT])
def test_a_floor_for_all_waits_for_the_limit_of_each_car(
    bench: Any, version: OcppVersion, verdict: bool | None
) -> None:
    b = capped(bench, version, evses=(1, 2), knowledge=SHARED)
    seen = watched(b, lambda payload: verdict if is_cap(payload) else True)
    b.set_fallback(24.0, evse=1)
    b.set_fallback(24.0, evse=2)
    b.wait(9)
    assert max([*seen, b.in_force_a()]) <= 6.0


@ALL
@pytest.mark.requirement("LC-041", "LC-093")
def test_after_a_boot_the_floor_is_no_higher_than_a_limit_that_is_not_answered(
    bench: Any, version: OcppVersion
) -> None:
    b = capped(bench, version, knowledge=ONLY_TX)
    b.set_fallback(24.0)
    assert b.in_force_a() == 6.0
    b.installed, _ = b.installed.cleared(Criteria(purpose=Purpose.TX_PROFILE))
    b.accepts = lambda payload: SILENT if is_cap(payload) else True
    before = len(b.own_profiles())
    b.boot()
    b.wait(60)
    floors = [profile for profile in b.own_profiles()[before:] if not is_cap(profile)]
    assert len(floors) >= 1
    assert "24.0" not in str(floors)
    assert b.in_force_a() == 6.0


@ALL
@pytest.mark.requirement("LC-093")
@pytest.mark.parametrize("verdict", [REFUSES, SILENT])
def test_fewer_amperes_do_not_wait_because_there_are_more_phases(
    bench: Any, version: OcppVersion, verdict: bool | None
) -> None:
    b = bench(version, fallback_a=16.0, knowledge=ONLY_TX)
    b.boot()
    b.csms_sets("TxDefaultProfile", 32.0, 1, periods=[{"startPeriod": 0, "limit": 32.0, "numberPhases": 1}])
    b.start()
    b.accepts = lambda payload: verdict if is_cap(payload) else True
    b.set_limit(5.0, 3600.0)
    b.wait(9)
    assert clear(b, id=1) == "Accepted"
    b.wait(10)
    b.set_fallback(8.0)
    b.wait(60)
    assert b.in_force_a() == 8.0


@ALL
@pytest.mark.requirement("LC-093", "LC-113")
def test_with_few_writes_a_day_the_car_stays_below_its_limit_until_the_floor_is_told(
    bench: Any, version: OcppVersion
) -> None:
    b = capped(bench, version, knowledge=Knowledge(writes_per_day=25, actuators=(Actuator.TX_PROFILE,)))
    for number in range(8):
        b.set_fallback(float(number % 2))
        b.wait(5)
    b.set_fallback(24.0)
    seen = []
    for _ in range(60):
        b.wait(1800)
        seen.append(b.in_force_a())
    assert max(seen) == 6.0
    assert b.outcomes(LimitKind.FALLBACK)[-1] == (LimitOutcome.ACCEPTED, 24.0)


@ALL
def test_where_a_limit_is_refused_all_day_the_floor_is_as_high_as_it_may_be(bench: Any, version: OcppVersion) -> None:
    b = capped(bench, version, knowledge=ONLY_TX)
    b.accepts = lambda payload: not is_cap(payload)
    b.set_fallback(24.0)
    b.wait(3600)
    assert b.in_force_a() == 6.0
    b.stop()
    assert b.in_force_a() == 24.0, "it was that car's limit"


def takes_six(payload: Any) -> bool:
    """A station that refuses limits below 6 A."""
    return not any(f"'limit': {amps}" in str(payload) for amps in ("0.0", "5.0"))


@ALL
@pytest.mark.requirement("LC-041", "LC-106")
@pytest.mark.parametrize("by_csms", [True, False])
def test_a_paused_car_leaves_no_station_without_a_floor_after_a_boot(
    bench: Any, version: OcppVersion, by_csms: bool
) -> None:
    b = bench(version, fallback_a=6.0)
    b.boot()
    b.start()
    if by_csms:
        assert csms_caps(b, 0.0) == "Accepted"
    b.accepts = takes_six
    b.installed = InstalledProfiles()
    b.boot()
    for _ in range(10):
        if not by_csms:
            b.set_limit(0.0, 300.0)
        b.wait(60)
        assert b.in_force_a() == 6.0, "without any profile it would be its maximum"


@ALL
@pytest.mark.requirement("LC-106", "LC-117")
@pytest.mark.parametrize("verdict", [REFUSES, SILENT])
def test_a_car_that_the_site_pauses_lowers_nobodys_floor(
    bench: Any, version: OcppVersion, verdict: bool | None
) -> None:
    b = bench(version, fallback_a=16.0, evses=(1, 2), knowledge=SHARED_TX)
    b.boot()
    b.start()
    b.accepts = lambda payload: verdict if is_cap(payload) else True
    b.set_limit(0.0, 3600.0)
    b.boot()
    b.set_limit(0.0, 3600.0)
    b.wait(600)
    assert b.in_force_a(evse=2) == 16.0


AMPS = st.floats(0.0, 63.0).map(lambda amps: round(amps, 1))


@given(floor_a=AMPS, held_a=st.none() | AMPS, caps=st.lists(AMPS, max_size=3))
def test_it_is_between_the_floor_that_is_held_and_the_lowest_limit_that_is_missing(
    floor_a: float, held_a: float | None, caps: list[float]
) -> None:
    e = EvseLimits(1, CarriedOver(floor_a), held_fallback_a=held_a)
    missing = [Cap(cap_a, 3) for cap_a in caps]
    found_a = safe_floor(e, Target(1, floor_a), missing).fallback_a
    most_a = max(held_a or 0.0, min(caps, default=floor_a))
    assert found_a == pytest.approx(min(floor_a, most_a)), "and a lower floor never waits"
