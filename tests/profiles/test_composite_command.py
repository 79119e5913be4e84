"""The command `composite`: the shipped examples in every version, its explanation, and what it says of a wrong file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local_controller.cli.main import app
from tests.payloads import mistakes
from tests.profiles.oracle import differences
from tests.station.conftest import OcppVersion

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "docs" / "composite").glob("*.json"))
VERSIONS = {"1.6": OcppVersion.V16, "2.0.1": OcppVersion.V201, "2.1": OcppVersion.V21}
NEW_IN_21 = ("priority", "generation", "dynamic", "offline")
Json = dict[str, Any]


def run(file: Path, *options: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["composite", *options, str(file)])
    return result.exit_code, result.stdout, result.stderr


def answer(folder: Path, document: Json, *options: str) -> Json:
    file = folder / "file.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    status, printed, complaint = run(file, *options)
    assert (status, complaint) == (0, "")
    found: Json = json.loads(printed)
    return found


def complaint(folder: Path, text: str) -> str:
    file = folder / "file.json"
    file.write_text(text, encoding="utf-8")
    status, printed, said = run(file)
    assert (status, printed) == (1, "")
    assert said.startswith(f"{file}: ")
    return said.removeprefix(f"{file}: ").strip()


def example(number: int) -> Json:
    read: Json = json.loads(EXAMPLES[number - 1].read_text(encoding="utf-8"))
    return read


def in_version(document: Json, version: str) -> Json:
    """An example, which is written for 2.1, as an earlier version would write it."""
    told = {**document, "version": version}
    if version != "1.6":
        return told
    request = document["request"]
    told["request"] = {"connectorId": request["evseId"], **{n: v for n, v in request.items() if n != "evseId"}}
    told["profiles"] = [
        {"connectorId": item["evseId"], "csChargingProfiles": in_16(item["chargingProfile"])}
        for item in document["profiles"]
    ]
    return told


def in_16(profile: Json) -> Json:
    (schedule,) = profile["chargingSchedule"]
    told = {name: value for name, value in profile.items() if name != "id"} | {"chargingProfileId": profile["id"]}
    told["chargingSchedule"] = {name: value for name, value in schedule.items() if name != "id"}
    told["chargingProfilePurpose"] = profile["chargingProfilePurpose"].replace("ChargingStationMax", "ChargePointMax")
    if "transactionId" in told:
        told["transactionId"] = int(told["transactionId"])
    return told


CASES = [
    pytest.param(path, version, id=f"{path.stem} {version}")
    for path in EXAMPLES
    for version in VERSIONS
    if version == "2.1" or not any(word in path.stem for word in NEW_IN_21)
]


@pytest.mark.requirement("LC-080")
@pytest.mark.parametrize(("path", "version"), CASES)
def test_each_example_gives_its_result_in_each_version(path: Path, version: str, tmp_path: Path) -> None:
    document = in_version(json.loads(path.read_text(encoding="utf-8")), version)
    found = answer(tmp_path, document)
    assert mistakes(VERSIONS[version], "GetCompositeSchedule", json.dumps(found), is_answer=True) == []
    shown = (found["chargingSchedule"] if version == "1.6" else found["schedule"])["chargingSchedulePeriod"]
    step = 10 if version != "2.1" else 10**6
    assert shown == [{**period, "limit": int(period["limit"] * step) / step} for period in document["expected"]]


@pytest.mark.requirement("LC-080", "LC-081")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_oracle_agrees_with_each_example(path: Path) -> None:
    assert differences(json.loads(path.read_text(encoding="utf-8"))) == []


def test_there_are_thirteen_examples() -> None:
    assert [path.stem[:3] for path in EXAMPLES] == [f"v{number:02}" for number in range(1, 14)]


def test_an_explanation_names_who_leads_and_who_counts(tmp_path: Path) -> None:
    explanation = answer(tmp_path, example(4), "--explain")["explanation"]
    told = [
        (
            stretch["from"][11:16],
            [(lead["purpose"], lead["limitA"]) for lead in stretch["leading"] if lead["counts"]],
            [lead["purpose"] for lead in stretch["leading"] if not lead["counts"]],
        )
        for stretch in explanation
    ]
    default, station = "TxDefaultProfile", ("ChargingStationMaxProfile", 25.0)
    assert told == [
        ("12:00", [("TxProfile", 32.0), station], [default]),
        ("12:30", [("TxProfile", 20.0), station], [default]),
        ("13:00", [(default, 10.0), station], []),
    ]


def test_an_explanation_of_the_station_names_its_own_profiles_and_those_of_each_evse(tmp_path: Path) -> None:
    explanation = answer(tmp_path, example(13), "--explain")["explanation"]
    told = {stretch["evse"]: [lead["purpose"] for lead in stretch["leading"]] for stretch in explanation}
    assert told == {0: ["ChargingStationMaxProfile"], 1: ["TxDefaultProfile"], 2: []}


def test_an_explanation_counts_alternative_schedules_from_one(tmp_path: Path) -> None:
    document = example(4)
    profile = document["profiles"][2]["chargingProfile"]
    profile["chargingSchedule"] = [{**profile["chargingSchedule"][0], "id": number} for number in (1, 2)]
    (first, *_) = answer(tmp_path, document, "--explain")["explanation"]
    schedules = [lead["schedule"] for lead in first["leading"] if lead["purpose"] == "TxProfile"]
    assert schedules == [1, 2]


@pytest.mark.requirement("LC-089")
def test_what_is_said_of_feeding_back_stays_in_the_answer(tmp_path: Path) -> None:
    document = example(8)
    document["request"]["chargingRateUnit"] = "W"
    periods = [
        {
            "startPeriod": 0,
            "operationMode": "CentralSetpoint",
            "limit": 9000.0,
            "setpoint": 9500.0,
            "dischargeLimit": -3000.0,
            "v2xBaseline": 100.0,
        },
        {"startPeriod": 1800, "operationMode": "CentralSetpoint", "limit": 9000.0, "setpoint": -4000.0}
        | {"dischargeLimit": -3000.0},
    ]
    own = document["profiles"][0]["chargingProfile"]
    own["chargingSchedule"][0] |= {"chargingSchedulePeriod": periods, "startSchedule": document["instant"]}
    document["profiles"][1]["chargingProfile"] |= {"chargingProfilePurpose": "ChargingStationMaxProfile"}
    found = answer(tmp_path, document)
    assert mistakes(OcppVersion.V21, "GetCompositeSchedule", json.dumps(found), is_answer=True) == []
    first, second, *_ = found["schedule"]["chargingSchedulePeriod"]
    assert (first["limit"], first["setpoint"], first["dischargeLimit"]) == (2000.0, 2000.0, -3000.0)
    assert (first["operationMode"], first["v2xBaseline"]) == ("CentralSetpoint", 100.0)
    assert (second["startPeriod"], second["limit"], second["setpoint"]) == (1800, 2000.0, -3000.0)


# --- mistakes ----------------------------------------------------------------------------------------------------


def changed(number: int, **fields: Any) -> str:
    return json.dumps({**example(number), **fields})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "$: no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ('{"version": NaN}', "$: no JSON: NaN is no number of JSON"),
        ("[]", "$: an object is needed: {"),
        ("{}", "$.version: missing"),
        (changed(4, version="1.5"), "$.version: '1.5' is none of 1.6, 2.0.1, 2.1"),
        (changed(4, instant=None), "$.instant: missing; for example 2026-03-02T12:00:00Z"),
        (changed(4, instant="noon"), "$.instant: a time like 2026-01-31T12:00:00Z was expected, got 'noon'"),
        *[
            (
                changed(4, instant=f"{year}-03-02T12:00:00Z"),
                f"$.instant: a moment from 1971 to 2298 is needed, got {year}",
            )
            for year in ("0001", "1970", "2299", "9999")
        ],
        (changed(4, request={"evseId": 1}), "$.request.duration: missing"),
        (
            changed(4, request={"evseId": 1, "duration": 1e300}),
            "$.request.duration: from -2147483647 to 2147483647, got 1e",
        ),
        (
            changed(4, request={"evseId": 1, "duration": 10**400}),
            "$.request.duration: from -2147483647 to 2147483647, got 10000000000000000000… (401 digits)",
        ),
        (changed(4, request={"evseId": 1, "duration": 0}), "$.request.duration: from 1 s to 31622400 s, got 0"),
        (changed(4, request={"evseId": 3, "duration": 60}), '$.request: EVSE 3 is not among "evses": add {"id": 3}'),
        (changed(4, profile=[]), "$.profile: no field of the file; known are about, evses"),
        (changed(4, evses=[{"id": 1, "soc": 80}]), "$.evses[0].soc: no field of an EVSE; known are"),
        (changed(4, evses=[{"id": 0}]), "$.evses[0].id: EVSEs are counted from 1, got 0"),
        (changed(4, evses=[{"id": 1, "phases": 4}]), "$.evses[0].phases: 1, 2 or 3, got 4"),
        (changed(4, evses=[{"id": 1, "chosenSchedule": 0}]), "$.evses[0].chosenSchedule: schedules are counted from 1"),
        (changed(4, evses=[{"id": 1, "delayShares": [2]}]), "$.evses[0].delayShares: a list of numbers from 0 to 1"),
        (changed(4, evses=[{"id": 1, "delayShares": 0.5}]), "$.evses[0].delayShares: a list of numbers from 0 to 1"),
        (changed(4, evses=[{"id": 1, "delayShares": [True]}]), "$.evses[0].delayShares: a list of numbers from 0 to 1"),
        (changed(4, evses=[{"id": 1}, {"id": 1}]), "$.evses[1].id: EVSE 1 is described already: give each its own"),
        (changed(4, **{"a: b": 1}), "$.a: b: no field of the file; known are about, evses"),
        (changed(4, station={"timeZone": "Berlin"}), "$.station.timeZone: 'Berlin' is no time zone; one is Europe/"),
        (changed(4, station={"nominalVoltageV": -1}), "$.station.nominalVoltageV: from 1 V to 1000 V, got -1"),
        (changed(4, station={"nominalVoltageV": 1e-300}), "$.station.nominalVoltageV: from 1 V to 1000 V, got 1e-300"),
        (changed(4, station={"offlineS": 1e308}), "$.station.offlineS: from -31622400 s to 31622400 s, got 1e+308"),
        (changed(4, station={"hardwareMaximumA": -1}), "$.station.hardwareMaximumA: from 0 A to 100000 A, got -1"),
        ("[" * 100_000, "$: nested too deeply"),
        (changed(4, about="\ud800"), "$: half a character: surrogates not allowed"),
        (changed(4, station={"maxPeriods": 0}), "$.station.maxPeriods: at least 1 is needed, got 0"),
        (
            changed(4, evses=[{"id": 1}]),
            "$.profiles[2]: a station of ocpp2.1 refuses this profile: no transaction runs on EVSE 1 (TxNotFound). Correct",
        ),
        (
            changed(4, profiles=[{"evseId": 1, "chargingProfile": {"id": 1, "chargingProfilePurpose": "Any"}}]),
            "$.profiles[0].chargingProfile.chargingProfilePurpose: 'Any' is none of",
        ),
        (changed(4, profiles=[{"evseId": 1}]), "$.profiles[0].chargingProfile: missing (as in SetChargingProfile of"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_remedy(text: str, said: str, tmp_path: Path) -> None:
    assert complaint(tmp_path, text).startswith(said)


def test_a_schedule_that_would_last_for_longer_than_a_number_of_ocpp_is_told(tmp_path: Path) -> None:
    document = example(4)
    schedule = document["profiles"][0]["chargingProfile"]["chargingSchedule"][0]
    schedule["duration"] = 1e300
    said = complaint(tmp_path, json.dumps(document))
    place = "$.profiles[0].chargingProfile.chargingSchedule[0].duration"
    assert said == f"{place}: from -2147483647 to 2147483647, got 1e+300"


@pytest.mark.parametrize("start", ["0001-01-01T11:00:00Z", "2026-01-05T11:00:00Z"])  # both are Mondays
@pytest.mark.parametrize("recurrency", ["Daily", "Weekly"])
def test_what_recurs_since_ever_keeps_its_weekday_and_its_hour(start: str, recurrency: str, tmp_path: Path) -> None:
    schedule = {"id": 1, "chargingRateUnit": "A", "startSchedule": start}
    schedule |= {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0}, {"startPeriod": 7200, "limit": 16.0}]}
    profile = {"id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "recurrencyKind": recurrency}
    profile |= {"chargingProfileKind": "Recurring", "chargingSchedule": [schedule], "validTo": "9999-12-31T23:59:59Z"}
    document = {"version": "2.1", "instant": "2026-03-02T12:00:00Z", "request": {"evseId": 1, "duration": 7200}}
    found = answer(tmp_path, document | {"profiles": [{"evseId": 1, "chargingProfile": profile}]})
    periods = found["schedule"]["chargingSchedulePeriod"]
    assert [(period["startPeriod"], period["limit"]) for period in periods] == [(0, 6.0), (3600, 16.0)]


def test_without_a_limit_an_earlier_version_needs_the_hardware_maximum(tmp_path: Path) -> None:
    document = {**in_version(example(5), "2.0.1"), "station": {}}
    assert complaint(tmp_path, json.dumps(document)).startswith(
        "$.evses (id 1).hardwareMaximumA: missing, and somewhere"
    )
    free = {**document, "version": "2.1"}
    periods = answer(tmp_path, free)["schedule"]["chargingSchedulePeriod"]
    assert [period.get("limit") for period in periods] == [None, 16.0, None]


def test_phases_that_cannot_be_merged_are_told(tmp_path: Path) -> None:
    """K01.FR.141: the later profile is refused."""
    document = example(4)
    for item, phase in zip(document["profiles"], (1, 2, 2), strict=True):
        (period, *_) = item["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"]
        period |= {"numberPhases": 1, "phaseToUse": phase}
    said = complaint(tmp_path, json.dumps(document))
    assert said.startswith(
        "$.profiles[1]: a station of ocpp2.1 refuses this profile: another profile uses another phase"
    )


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    status, _, said = run(tmp_path / "none.json")
    assert status == 1
    assert "cannot be read: No such file or directory" in said
