"""What do the spellings of the field mean? One line per spelling, and who is known to write it so."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.errors import PayloadError
from local_controller.station.dialects import dialect
from local_controller.station.words import MeterSample, OcppVersion, Phase

V16, V201, V21 = OcppVersion
L1, L2, L3 = Phase
AT = "2026-06-01T12:00:00Z"


def value(value: Any, measurand: str | None = None, **more: Any) -> dict[str, Any]:
    return {"value": value} | ({} if measurand is None else {"measurand": measurand}) | more


def current(amps: Any, phase: str | None = None, **more: Any) -> dict[str, Any]:
    return value(amps, "Current.Import", **({} if phase is None else {"phase": phase}), **more)


def power(watts: Any, phase: str | None = None, **more: Any) -> dict[str, Any]:
    return value(watts, "Power.Active.Import", **({} if phase is None else {"phase": phase}), **more)


def voltage(volts: Any, phase: str | None = None) -> dict[str, Any]:
    return value(volts, "Voltage", **({} if phase is None else {"phase": phase}))


def read(version: OcppVersion, *values: dict[str, Any]) -> MeterSample | None:
    payload = {"connectorId": 1, "evseId": 1, "meterValue": [{"timestamp": AT, "sampledValue": list(values)}]}
    report = dialect(version).meter_report("MeterValues", payload)
    assert report is not None
    assert report.evse == 1
    return report.samples[0] if report.samples else None


EVERY = {L1: 16.0, L2: 15.5, L3: 15.0}
VOLTS = [voltage(230, phase) for phase in ("L1-N", "L2-N", "L3-N")]

CURRENTS: list[tuple[str, list[dict[str, Any]], dict[Phase, float]]] = [
    ("plain", [current("16.0", "L1"), current("15.5", "L2"), current("15", "L3")], EVERY),
    ("to neutral (Zaptec)", [current("16", "L1-N"), current("15.5", "L2-N"), current("15", "L3-N")], EVERY),
    ("lower case", [current("16", "l1"), current("15.5", "l2-n"), current("15", "L3 ")], EVERY),
    ("leading blank (Enercab)", [current(" 9.6", "L1")], {L1: 9.6}),
    ("exponent", [current("1.6E1", "L1")], {L1: 16.0}),
    ("a number where text belongs", [current(16, "L1")], {L1: 16.0}),
    ("with unit", [current("16", "L1", unit="A")], {L1: 16.0}),
    ("milliamperes (KEBA)", [current("16000", "L1", unit="mA")], {L1: 16.0}),
    ("empty text for a phase", [current("16", "L1"), current("", "L2"), current("", "L3")], {L1: 16.0}),
    ("empty text for everything", [current("16", "L1", unit="", context="", location="")], {L1: 16.0}),
    ("negative (reversed transformer)", [current("-16", "L1"), current("-15.5", "L2"), current("15", "L3")], EVERY),
    ("zero", [current("0", "L1"), current("0", "L2"), current("0", "L3")], dict.fromkeys(Phase, 0.0)),
    ("neutral beside the phases", [current("16", "L1"), current("5", "N")], {L1: 16.0}),
    (
        "a sum beside the phases",
        [current("16", "L1"), current("15.5", "L2"), current("15", "L3"), current("46.5")],
        EVERY,
    ),
    ("twice the same phase", [current("15", "L1"), current("16", "L1-N")], {L1: 16.0}),
    ("between lines loads both", [current("16", "L1-L2")], {L1: 16.0, L2: 16.0}),
    ("inlet only", [current("16", "L1", location="Inlet")], {L1: 16.0}),
    ("outlet and inlet", [current("17", "L1", location="Inlet"), current("16", "L1")], {L1: 16.0}),
    ("in the car", [current("16", "L1", location="EV")], {}),
    ("triggered", [current("16", "L1", context="Trigger")], {L1: 16.0}),
    ("clock aligned", [current("16", "L1", context="Sample.Clock")], {L1: 16.0}),
    ("interrupted", [current("16", "L1", context="Interruption.Begin")], {}),
    ("some other context", [current("16", "L1", context="Other")], {}),
    ("offered", [value("32", "Current.Offered", phase="L1")], {}),
    ("exported", [value("16", "Current.Export", phase="L1")], {L1: -16.0}),
    ("one power per phase", [power("3680", "L1"), power("3565", "L2"), power("3450", "L3")], EVERY),
    (
        "kW per phase (tfocpp)",
        [power("3.68", "L1", unit="kW"), power("3.565", "L2", unit="kW"), power("3.45", "L3", unit="kW")],
        EVERY,
    ),
    ("power and voltage", [power("2000", "L1"), voltage("250", "L1")], {L1: 8.0}),
    ("power at voltage 0 (Wallbox)", [power("2300", "L1"), voltage("0", "L1")], {L1: 10.0}),
    ("power between lines", [power("4000", "L1"), voltage("433.0127", "L1-L2")], {L1: 16.0}),
    (
        "current of one, power of others",
        [current("10", "L1"), power("2300", "L1"), power("1150", "L2")],
        {L1: 10.0, L2: 5.0},
    ),
    ("no phase and no power", [current("16")], {}),
    ("neutral alone (Injet)", [current("16", "N")], {}),
    ("no phase, power of one", [current("16"), power("3680")], {}),
    ("no phase, power of three", [current("16"), power("11040")], dict.fromkeys(Phase, 16.0)),
    ("no phase, but zero", [current("0")], dict.fromkeys(Phase, 0.0)),
    ("L1 only, three by power (Enercab)", [current("16", "L1"), power("11000"), *VOLTS], dict.fromkeys(Phase, 16.0)),
    ("L1 only, two by power", [current("16", "L1"), power("7360"), *VOLTS[:2]], {L1: 16.0, L2: 16.0}),
    ("L1 only, one by power", [current("16", "L1"), power("3600"), *VOLTS], {L1: 16.0}),
    ("L1 only, power unknown", [current("16", "L1"), *VOLTS], {}),
    ("L1 only, power odd", [current("16", "L1"), power("5500"), *VOLTS], {}),
    ("total power only", [power("11000")], {}),
]


@pytest.mark.requirement("LC-074", "LC-075")
@pytest.mark.parametrize("version", list(OcppVersion))
@pytest.mark.parametrize(("values", "amps"), [case[1:] for case in CURRENTS], ids=[case[0] for case in CURRENTS])
def test_currents(version: OcppVersion, values: list[dict[str, Any]], amps: dict[Phase, float]) -> None:
    sample = read(version, *values)
    assert (dict(sample.current_a) if sample else {}) == pytest.approx(amps)


OTHERS: list[tuple[str, list[dict[str, Any]], dict[str, Any]]] = [
    ("power of all phases", [power("11000")], {"power_w": 11000.0}),
    ("in kW", [power("11", unit="kW")], {"power_w": 11000.0}),
    ("Wh on a power", [power("11000", unit="Wh")], {"power_w": 11000.0}),
    ("kWh on a power", [power("11", unit="kWh")], {"power_w": 11000.0}),
    ("sum over phases", [power("1000", "L1"), power("2000", "L2")], {"power_w": 3000.0}),
    ("total beside phases", [power("1000", "L1"), power("3100")], {"power_w": 3100.0}),
    ("exported", [value("5000", "Power.Active.Export")], {"power_w": -5000.0}),
    ("no measurand is the import register", [value("1234.5")], {"energy_wh": 1234.5}),
    ("in kWh", [value("1.5", "Energy.Active.Import.Register", unit="kWh")], {"energy_wh": 1500.0}),
    (
        "kWh per phase (tfocpp)",
        [value("1", phase="L1", unit="kWh"), value("2", phase="L2", unit="kWh")],
        {"energy_wh": 3000.0},
    ),
    ("interval is no register", [value("7", "Energy.Active.Import.Interval")], {}),
    ("exported energy", [value("7", "Energy.Active.Export.Register")], {}),
    ("state of charge in the car", [value("55", "SoC", location="EV", unit="Percent")], {"soc_percent": 55.0}),
    ("temperature in Celcius", [value("40", "Temperature", unit="Celcius", location="Body")], {}),
    ("signed data", [value("a8f0", "Energy.Active.Import.Register", format="SignedData")], {}),
    ("nothing", [value("")], {}),
]


@pytest.mark.requirement("LC-074")
@pytest.mark.parametrize(("values", "wanted"), [case[1:] for case in OTHERS], ids=[case[0] for case in OTHERS])
def test_other_quantities(values: list[dict[str, Any]], wanted: dict[str, float]) -> None:
    sample = read(V16, *values)
    names = ("power_w", "energy_wh", "soc_percent")
    found = {} if sample is None else {name: getattr(sample, name) for name in names}
    assert {name: amount for name, amount in found.items() if amount is not None} == pytest.approx(wanted)


BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("no number", current("abc", "L2")),
    ("not a number", current("NaN", "L2")),
    ("a list", current([16], "L2")),
    ("a glitch", current("1e15", "L2")),
    ("power that is no number", power("-", "L2")),
    ("exported power that is no number", value("x", "Power.Active.Export")),
    ("voltage that is no number", voltage({}, "L2-N")),
    ("a phase that there is not", current("16", "L4")),
    ("a context that there is not", current("16", "L2", context="Sample")),
    ("a place that there is not", current("16", "L2", location="Cellar")),
]


@pytest.mark.requirement("LC-020", "LC-074")
@pytest.mark.parametrize("version", list(OcppVersion))
@pytest.mark.parametrize("broken", [case[1] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_nothing_is_read_where_one_phase_cannot_be(version: OcppVersion, broken: dict[str, Any]) -> None:
    """A phase that vanishes would be one that carries nothing."""
    with pytest.raises(PayloadError, match=r"^MeterValues: \$\.meterValue\[0\]\.sampledValue\[1\]"):
        read(version, current("16", "L1"), broken, current("15", "L3"))


@pytest.mark.requirement("LC-020", "LC-074")
@pytest.mark.parametrize("version", list(OcppVersion))
@pytest.mark.parametrize(
    "beside",
    [
        value("abc", "Temperature"),
        value("abc", "SoC"),
        value("a8f0", "Energy.Active.Import.Register", format="SignedData"),
        value("a8f0", "Current.Import", phase="L2", format="SignedData"),
        value("1", "Energy.Active.Import.Register", location="Cellar"),
        value("7", "Vendor.Own", phase="L9", context="Vendor"),
    ],
)
def test_what_says_nothing_of_the_load_spoils_no_current(version: OcppVersion, beside: dict[str, Any]) -> None:
    sample = read(version, current("16", "L1"), current("15.5", "L2"), current("15", "L3"), beside)
    assert sample is not None
    assert dict(sample.current_a) == EVERY


def test_unit_and_multiplier_of_2_x() -> None:
    kilo = {"unitOfMeasure": {"unit": "W", "multiplier": 3}}
    sample = read(V21, power(11, **kilo), value(1.5, unitOfMeasure={"unit": "kWh"}))
    assert sample is not None
    assert (sample.power_w, sample.energy_wh) == (11000.0, 1500.0)


def test_a_missing_time_stamp_is_unknown() -> None:
    payload = {"connectorId": 1, "meterValue": [{"sampledValue": [current("16", "L1")]}]}
    report = dialect(V16).meter_report("MeterValues", payload)
    assert report is not None
    assert report.samples[0].taken_at is None


@pytest.mark.parametrize(
    "payload", [{"connectorId": "x"}, {"meterValue": 3}, {"meterValue": [3]}, {"meterValue": [{"sampledValue": "x"}]}]
)
def test_what_is_truly_unreadable_says_where(payload: dict[str, Any]) -> None:
    with pytest.raises(PayloadError, match=r"MeterValues: \$\."):
        dialect(V16).meter_report("MeterValues", payload)


JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.sampled_from(["L1", "A", "1e400", "kWh", AT]), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "phase", "unit", "unitOfMeasure", "multiplier", "measurand", "sampledValue", "timestamp"]), inner, max_size=4), max_leaves=12)  # fmt: skip


@given(version=st.sampled_from(OcppVersion), meter_value=JSON)
@pytest.mark.requirement("LC-020")
def test_whatever_comes_only_payload_errors_leave(version: OcppVersion, meter_value: Any) -> None:
    with contextlib.suppress(PayloadError):
        dialect(version).meter_report("MeterValues", {"connectorId": 1, "evseId": 1, "meterValue": meter_value})
