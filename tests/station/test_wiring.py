"""Stations between two lines, and at other voltages than 230 V: what their samples mean and what they are told."""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.profiles.units import RateUnit
from local_controller.station.dialects.sampled import LIVE_V
from local_controller.station.knowledge import Knowledge
from local_controller.station.wiring import USUAL, Wiring
from local_controller.station.words import Measured, MeterSample, OcppVersion, Phase
from tests.station.conftest import Payload, stamp

ALL = pytest.mark.parametrize("version", list(OcppVersion))
BETWEEN = Wiring(240.0, is_between=True)


def value(measurand: str, number: float, phase: str | None = None, unit: str | None = None) -> Payload:
    found = {"measurand": measurand, "value": number}
    return found | ({} if phase is None else {"phase": phase}) | ({} if unit is None else {"unit": unit})


def sampled(b: Any, *values: Payload) -> None:
    """The station sends this moment."""
    if b.version is OcppVersion.V16:
        texts = [one | {"value": str(one["value"])} for one in values]
        b.from_station(
            "MeterValues",
            {"connectorId": 1, "transactionId": 7, "meterValue": [{"timestamp": stamp(b.now), "sampledValue": texts}]},
        )
    else:
        b.from_station(
            "MeterValues", {"evseId": 1, "meterValue": [{"timestamp": stamp(b.now), "sampledValue": list(values)}]}
        )


def charging(bench: Any, version: OcppVersion, wiring: Wiring = BETWEEN, **settings: Any) -> Any:
    b = bench(version, wiring=wiring, **settings)
    b.boot()
    b.wait(30.0)
    b.start(7 if version is OcppVersion.V16 else "7")
    b.set_limit(16.0, 900.0)
    return b


def told(b: Any) -> Payload:
    schedule = b.own_profiles()[-1]["chargingSchedule"]
    return schedule if b.version is OcppVersion.V16 else schedule[0]


def shown_a(b: Any) -> dict[Phase, float]:
    """The current of the newest sample that the site was told."""
    return [fact.sample.current_a for fact in b.facts if isinstance(fact, Measured)][-1]


CURRENT = "Current.Import"
SPELLINGS = {
    "L1": [value(CURRENT, 24.0, "L1")],
    "L1-N": [value(CURRENT, 24.0, "L1-N")],
    "L1 and L2": [value(CURRENT, 24.0, "L1"), value(CURRENT, 24.0, "L2")],
    "both legs with volts": [
        value(CURRENT, 24.0, "L1"),
        value(CURRENT, 23.9, "L2"),
        value("Voltage", 120.0, "L1-N"),
        value("Voltage", 120.0, "L2-N"),
        value("Power.Active.Import", 5760.0),
    ],
    "L1-L2": [value(CURRENT, 24.0, "L1-L2"), value("Voltage", 240.0, "L1-L2")],
    "no phase": [value(CURRENT, 24.0), value("Power.Active.Import", 5760.0)],
    "three, one of them live": [value(CURRENT, 24.0, "L1"), value(CURRENT, 0.0, "L2"), value(CURRENT, 0.0, "L3")],
}


@ALL
@pytest.mark.requirement("LC-112")
@pytest.mark.parametrize("spelling", list(SPELLINGS))
def test_a_station_between_two_lines_has_one_current_whatever_it_calls_it(
    bench: Any, version: OcppVersion, spelling: str
) -> None:
    b = charging(bench, version)
    sampled(b, *SPELLINGS[spelling])
    assert shown_a(b) == {Phase.L1: 24.0}


@ALL
def test_power_alone_is_the_current_at_the_voltage_between_the_lines(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    sampled(b, value("Power.Active.Import", 4320.0))
    assert shown_a(b) == {Phase.L1: pytest.approx(18.0)}


@ALL
@pytest.mark.requirement("LC-093")
@pytest.mark.parametrize("spelling", ["L1", "L1 and L2", "L1-L2"])
def test_its_watts_are_those_of_one_phase_at_the_voltage_between_the_lines(
    bench: Any, version: OcppVersion, spelling: str
) -> None:
    """216 V x 16 A, also where it tells its current twice: as two phases it would get the double of it."""
    b = charging(bench, version, knowledge=Knowledge(unit=RateUnit.W))
    sampled(b, *SPELLINGS[spelling])
    b.wait(1.0)
    b.set_limit(16.0, 900.0)
    assert [(p["limit"], p.get("numberPhases")) for p in told(b)["chargingSchedulePeriod"]] == [(3456.0, None)]
    assert told(b)["chargingRateUnit"] == "W"


@ALL
@pytest.mark.requirement("LC-093")
@pytest.mark.parametrize(("wiring", "watts"), [(Wiring(120.0), 1728.0), (Wiring(207.8, is_between=True), 2992.3)])
def test_a_fuse_holds_at_the_lowest_voltage_of_the_grid_that_there_is(
    bench: Any, version: OcppVersion, wiring: Wiring, watts: float
) -> None:
    """At 207 V per ampere a car at 120 V would draw nearly the double."""
    b = charging(bench, version, wiring, knowledge=Knowledge(unit=RateUnit.W))
    assert told(b)["chargingSchedulePeriod"][0]["limit"] == pytest.approx(watts, abs=0.11)


@ALL
@pytest.mark.requirement("LC-093")
def test_watts_of_the_csms_are_amperes_at_the_nominal_voltage_between_the_lines(
    bench: Any, version: OcppVersion
) -> None:
    b = charging(bench, version)
    sampled(b, *SPELLINGS["L1"])
    transaction = 7 if version is OcppVersion.V16 else "7"
    period = {"startPeriod": 0, "limit": 2400.0, "numberPhases": 1}
    schedule = {"startSchedule": stamp(b.now)}
    assert (
        b.csms_sets("TxProfile", 0.0, unit="W", periods=[period], schedule=schedule, transactionId=transaction)
        == "Accepted"
    )
    assert told(b)["chargingSchedulePeriod"][0]["limit"] == 10.0, "not 10.4 A, as at 230 V"


def test_what_was_made_of_power_at_230_v_is_more_at_120() -> None:
    wiring, derived = Wiring(120.0), MeterSample({Phase.L1: 4.0, Phase.L2: 12.0}, {Phase.L2: 120.0})
    assert LIVE_V < 120.0
    assert wiring.read(derived).current_a == {Phase.L1: pytest.approx(4.0 * 230 / 120), Phase.L2: 12.0}
    measured = MeterSample({Phase.L1: 4.0}, told_a=4.0)
    assert wiring.read(measured) is measured
    assert (USUAL.is_usual, wiring.is_usual, BETWEEN.is_usual) == (True, False, False)


def test_a_car_that_feeds_back_between_two_lines_keeps_its_sign() -> None:
    assert BETWEEN.read(MeterSample({Phase.L1: -10.0, Phase.L2: -10.0}, told_a=0.0)).current_a == {Phase.L1: -10.0}


def test_two_lines_without_neutral_are_one_phase() -> None:
    """16 A on L1 and L2 of a delta are 3.7 kW, not the 4.3 kW of two phases."""
    assert [Wiring(132.8, has_neutral=False).phases(n) for n in (1, 2, 3)] == [1, 1, 3]
    assert [Wiring().phases(n) for n in (1, 2, 3)] == [1, 2, 3]


@ALL
@pytest.mark.requirement("LC-093", "LC-110")
@pytest.mark.parametrize("phases", [None, 3])
def test_watts_of_the_csms_are_those_of_the_one_phase_that_the_station_has(
    bench: Any, version: OcppVersion, phases: int | None
) -> None:
    """1840 W are 8 A there. As 2.7 A on each of three phases, which the standard assumes, its car would never begin."""
    b = charging(bench, version, Wiring(most_lines=1))
    transaction = 7 if version is OcppVersion.V16 else "7"
    period = {"startPeriod": 0, "limit": 1840.0} | ({} if phases is None else {"numberPhases": phases})
    schedule = {"startSchedule": stamp(b.now)}
    assert (
        b.csms_sets("TxProfile", 0.0, unit="W", periods=[period], schedule=schedule, transactionId=transaction)
        == "Accepted"
    )
    assert told(b)["chargingSchedulePeriod"][0]["limit"] == 8.0
