"""Is every frame that the gateway itself writes to a station valid by the schemas of the station's version?"""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import ocpp
import pytest

from site_simulator.wire import CALL, CALLERROR
from tests.e2e.main_run import MainRun

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]
SCHEMAS = Path(ocpp.__file__).parent
FOLDERS = {"ocpp1.6": "v16", "ocpp2.0.1": "v201", "ocpp2.1": "v21"}


@cache
def validator(version: str, action: str) -> jsonschema.Draft202012Validator:
    suffix = "" if version == "ocpp1.6" else "Request"
    path = SCHEMAS / FOLDERS[version] / "schemas" / f"{action}{suffix}.json"
    schema = json.loads(path.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    return jsonschema.validators.validator_for(schema)(schema)


def own_calls(run: MainRun, station: str) -> list[list[Any]]:
    """The CALLs that a station got and the CSMS never sent; numbers as written, since 10.7 / 0.1 is no integer in binary."""
    foreign = {json.loads(line.text)[1] for line in run.csms[station].lines if line.sent}
    received = [json.loads(line.text, parse_float=Decimal) for line in run.stations[station].lines if not line.sent]
    return [frame for frame in received if frame[0] == CALL and frame[1] not in foreign]


@pytest.mark.requirement("LC-026", "LC-098", "LC-100", "LC-104")
def test_every_own_frame_is_valid_and_its_profiles_replace_themselves(main_job: MainRun) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for station, version in main_job.versions.items():
        calls = own_calls(main_job, station)
        ids = [call[1] for call in calls]
        assert len(ids) == len(set(ids))
        assert max(map(len, ids)) <= 36
        profiles = set()
        for _, _, action, payload in calls:
            counts[version, action] += 1
            mistakes = [error.message for error in validator(version, action).iter_errors(payload)]
            assert mistakes == [], f"{station} {version} {action} {payload}"
            if action == "SetChargingProfile":
                profiles.add(_rank(version, payload))
        assert len(profiles) == len({profile_id for profile_id, *_ in profiles}), f"{station}: {profiles}"
        assert {purpose for _, purpose, *_ in profiles} <= {"TxDefaultProfile", "TxProfile"}
    for (version, action), count in sorted(counts.items()):
        print(f"{version:10} {action:22} {count}")  # noqa: T201  # the counts per version
    assert {version for version, action in counts if action == "SetChargingProfile"} == set(FOLDERS)
    assert not [action for _, action in counts if action == "ClearChargingProfile"], "profiles replace themselves"


def _rank(version: str, payload: dict[str, Any]) -> tuple[int, str, int, int]:
    """Id, purpose, stack level and EVSE of a profile."""
    profile = payload["csChargingProfiles" if version == "ocpp1.6" else "chargingProfile"]
    number = profile["chargingProfileId" if version == "ocpp1.6" else "id"]
    evse = payload["connectorId" if version == "ocpp1.6" else "evseId"]
    return number, profile["chargingProfilePurpose"], profile["stackLevel"], evse


def test_no_station_had_to_answer_with_an_error(main_job: MainRun) -> None:
    for record in main_job.stations.values():
        frames = [json.loads(line.text) for line in record.lines]
        assert [frame for frame in frames if frame[0] == CALLERROR] == []
