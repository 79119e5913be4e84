"""What happens when a station refuses, ignores or misunderstands our profiles? Stories of the actuator ladder."""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.profiles.units import RateUnit
from local_controller.station.blocks.unread import KNOWN_S
from local_controller.station.capability import How
from local_controller.station.dialects.base import BootCall
from local_controller.station.effects import Peer
from local_controller.station.quirks import quirk_of, shipped_quirks
from local_controller.station.words import LimitKind, LimitOutcome, OcppVersion, UnitLearnt

ALL = pytest.mark.parametrize("version", list(OcppVersion))
SENT, ACCEPTED = LimitOutcome.SENT, LimitOutcome.ACCEPTED
REFUSED, TIMED_OUT = LimitOutcome.REFUSED, LimitOutcome.TIMED_OUT


def purpose_and_unit(payload: dict[str, Any]) -> tuple[str, str]:
    """A relative one has an r after its unit."""
    profile = payload.get("csChargingProfiles") or payload["chargingProfile"]
    schedule = profile["chargingSchedule"]
    schedule = schedule[0] if isinstance(schedule, list) else schedule
    kind = "r" if profile["chargingProfileKind"] == "Relative" else ""
    return profile["chargingProfilePurpose"], schedule["chargingRateUnit"] + kind


def tried(b: Any) -> list[tuple[str, str]]:
    return [purpose_and_unit(frame.payload) for frame in b.calls_to(Peer.STATION, "SetChargingProfile")]


@ALL
@pytest.mark.requirement("LC-105")
@pytest.mark.parametrize("answer", [False, "PropertyConstraintViolation", None])
def test_amperes_refused_then_watts(bench: Any, version: OcppVersion, answer: Any) -> None:
    b = bench(version)
    b.accepts = lambda payload: True if purpose_and_unit(payload)[1] == "W" else answer
    b.boot()
    b.wait(9 if answer is not None else 8 + 8 + 31)
    assert tried(b) == [("TxDefaultProfile", "A"), ("TxDefaultProfile", "Ar"), ("TxDefaultProfile", "W")]
    assert UnitLearnt("W") in b.facts
    assert b.own_profiles()[-1]["chargingSchedule"] != []
    b.start()
    b.set_limit(16.0)
    assert tried(b)[3:] == [("TxProfile", "W")], "what worked is remembered"


@ALL
@pytest.mark.requirement("LC-090", "LC-091")
def test_amperes_that_the_station_has_refused_are_refused_to_the_csms_too(bench: Any, version: OcppVersion) -> None:
    """As by the station alone, though it has not said its units yet and we could tell it watts."""
    b = bench(version)
    b.accepts = lambda payload: purpose_and_unit(payload)[1] == "W"
    b.boot()
    assert b.csms_sets("TxDefaultProfile", 16.0) == "Rejected"
    assert b.csms_sets("TxDefaultProfile", 11_000.0, unit="W") == "Accepted"


@ALL
@pytest.mark.requirement("LC-105", "LC-106")
def test_tx_profile_refused_then_a_single_tx_default(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.accepts = lambda payload: purpose_and_unit(payload)[0] != "TxProfile"
    b.boot()
    b.start()
    b.wait(3)  # by then it knows its transaction
    b.set_limit(16.0, valid_s=300)
    assert tried(b) == [("TxDefaultProfile", "A"), ("TxProfile", "A"), ("TxProfile", "Ar"), ("TxDefaultProfile", "A")]
    assert b.outcomes() == [(SENT, 16.0), (SENT, 16.0), (SENT, 16.0), (ACCEPTED, 16.0)]
    assert [b.in_force_a(s) for s in (0, 298, 301, 9e6)] == [16.0, 16.0, 6.0, 6.0]
    b.set_limit(10.0)
    assert tried(b)[4:] == [("TxDefaultProfile", "A")]
    b.stop()
    assert b.in_force_a() == 6.0, "the floor is back at once"
    assert b.smart.state.capability.belief("actuators").origin.how is How.ACCEPTED


@ALL
def test_every_rung_refused_is_told_and_tried_again_later(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.start()
    b.accepts = lambda _: False
    b.set_limit(16.0, valid_s=3600)
    assert b.outcomes()[-1] == (REFUSED, 16.0)
    assert len(tried(b)) == 1 + 3 * 2 * 2, "three purposes in two units and of two kinds"
    b.wait(299)
    assert len(tried(b)) == 1 + 12
    b.accepts = lambda _: True
    b.wait(2)
    assert b.outcomes()[-1] == (ACCEPTED, 16.0)


@ALL
def test_a_silent_station_is_told_as_timed_out(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.start()
    b.accepts = lambda _: None
    b.set_limit(16.0)
    b.wait(8 * 2)
    assert b.outcomes()[-1] == (TIMED_OUT, 16.0)
    assert {unit for _, unit in tried(b)} == {"A", "Ar"}, (
        "amperes have worked before, so this is silence and not a refusal"
    )


@ALL
def test_one_missed_answer_does_not_change_what_works(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.start()
    b.set_limit(16.0)
    b.accepts = lambda _: None
    b.set_limit(8.0)
    b.wait(8)
    assert b.outcomes()[-1] == (TIMED_OUT, 8.0)
    b.accepts = lambda _: True
    b.wait(31)
    assert b.outcomes()[-1] == (ACCEPTED, 8.0)
    assert tried(b)[-3:] == [("TxProfile", "A")] * 3


@ALL
def test_a_running_tx_profile_still_counts_when_the_actuator_changes(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.start()
    b.set_limit(16.0)
    b.accepts = lambda payload: purpose_and_unit(payload)[0] != "TxProfile"
    b.set_limit(8.0)
    assert b.outcomes()[-1] == (ACCEPTED, 16.0), "the TxProfile beats the TxDefaultProfile until it ends"
    assert b.in_force_a() == 16.0


@ALL
@pytest.mark.requirement("LC-112")
@pytest.mark.parametrize("later_s", [0.0, 5.0])
def test_watts_are_shared_only_by_phases_proven_in_use(bench: Any, version: OcppVersion, later_s: float) -> None:
    b = bench(version, unit=RateUnit.W)
    b.boot()
    b.start()
    b.set_limit(10.0)
    assert limit_of(b) == 10.0 * 207
    b.meter([9.0, 9.1, 9.2])
    assert limit_of(b) == 10.0 * 207 * 3
    assert b.outcomes()[-1] == (ACCEPTED, 10.0)
    b.wait(later_s)
    b.meter([9.0, 0.1, 0.0])
    b.wait(KNOWN_S)  # in which a sample may wait that comes at once after another one
    assert limit_of(b) == 10.0 * 207, "it dropped to one phase, which would get all the watts"
    written = len(b.own_profiles())
    b.meter([0.0, 0.0, 0.0])
    b.wait(KNOWN_S)
    assert len(b.own_profiles()) == written


def limit_of(b: Any) -> float:
    schedule = b.own_profiles()[-1]["chargingSchedule"]
    schedule = schedule[0] if isinstance(schedule, list) else schedule
    return float(schedule["chargingSchedulePeriod"][0]["limit"])


def stating(version: OcppVersion, units: str) -> dict[str, Any]:
    """The answers of a station that takes these units, as it says."""
    if version is OcppVersion.V16:
        entry = {"key": "ChargingScheduleAllowedChargingRateUnit", "readonly": True, "value": units}
        return {"GetConfiguration": {"configurationKey": [entry]}}
    result = {"attributeStatus": "Accepted", "attributeValue": units, "component": {"name": "SmartChargingCtrlr"}}
    return {"GetVariables": {"getVariableResult": [result | {"variable": {"name": "RateUnit"}}]}}


@ALL
@pytest.mark.requirement("LC-041")
def test_a_station_that_states_its_unit_is_asked_once_and_believed(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.station |= stating(version, "power")
    b.boot()
    b.from_station("Heartbeat", {})
    b.wait(60)
    questions = b.calls_to(Peer.STATION, "GetConfiguration") + b.calls_to(Peer.STATION, "GetVariables")
    assert len(questions) == 1
    assert UnitLearnt("W") in b.facts
    b.start()
    b.set_limit(10.0)
    assert tried(b)[-1] == ("TxProfile", "W")


@ALL
@pytest.mark.requirement("LC-041")
@pytest.mark.parametrize(("later", "units"), [("A", {"A"}), ("A,W", {"A", "W"})])
def test_what_a_station_states_after_its_next_boot_counts(
    bench: Any, version: OcppVersion, later: str, units: set[str]
) -> None:
    b = bench(version)
    b.station |= stating(version, "W")
    b.boot()
    b.wait(60)
    assert tried(b) == [("TxDefaultProfile", "A"), ("TxDefaultProfile", "W")]
    b.station |= stating(version, later)
    b.boot()
    assert tried(b)[2:] == [("TxDefaultProfile", "W")], "until it says otherwise"
    b.wait(60)
    assert set(b.smart.state.capability.units) == units
    assert tried(b)[3:] == ([("TxDefaultProfile", "A")] if later == "A" else [])


def test_the_site_file_beats_what_the_station_states(bench: Any) -> None:
    b = bench(unit=RateUnit.A)
    entry = {"key": "ChargingScheduleAllowedChargingRateUnit", "readonly": True, "value": "Power"}
    b.station["GetConfiguration"] = {"configurationKey": [entry]}
    b.boot()
    b.wait(60)
    assert b.calls_to(Peer.STATION, "GetConfiguration")
    b.start()
    b.set_limit(10.0)
    assert {unit for _, unit in tried(b)} == {"A"}


@ALL
@pytest.mark.requirement("LC-105", "LC-106")
def test_what_was_accepted_in_a_unit_that_has_no_effect_is_told_again(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.station |= stating(version, "power")
    b.boot()
    b.start()
    b.set_limit(10.0)
    assert tried(b) == [("TxDefaultProfile", "A"), ("TxProfile", "A")]
    b.wait(60)
    assert tried(b)[2:] == [("TxProfile", "W"), ("TxDefaultProfile", "W")]


def test_a_known_product_starts_where_it_works(bench: Any) -> None:
    b = bench()
    b.boot("Huawei", "SCharger-22KT")
    assert tried(b) == [("TxDefaultProfile", "W")]
    assert [note.fields["name"] for note in b.notes if note.event == "known_product"] == ["Huawei SCharger"]
    c = bench()
    c.boot("EVBox", "Elvi")
    c.start()
    c.set_limit(10.0)
    assert tried(c) == [("TxDefaultProfile", "A"), ("TxDefaultProfile", "A")]


def test_every_record_of_a_product_can_be_found_and_names_its_source() -> None:
    names = {"go-e": "go-e Charger Gemini", "EV-BOX": "EVBox Elvi", "Acme": None}
    for vendor, name in names.items():
        found = quirk_of(BootCall(vendor, "Elvi", "", ""), shipped_quirks())
        assert (found and found.name) == name
    assert len(shipped_quirks()) >= 30
    assert all(quirk.sources for quirk in shipped_quirks())


def test_a_floor_that_cannot_be_installed_is_told(bench: Any) -> None:
    b = bench()
    b.accepts = lambda _: "NotSupported"
    b.boot()
    assert b.outcomes(LimitKind.FALLBACK)[-1] == (REFUSED, 6.0)
