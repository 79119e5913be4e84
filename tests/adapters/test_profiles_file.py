"""Do the CSMS's profiles come back from the disk whatever becomes of their file, and do people hear of those that do not? (LC-047)"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from local_controller.adapters import profiles_file
from local_controller.adapters.profiles_file import NAME, ProfilesFile
from local_controller.station.dialects import dialect
from local_controller.station.state import StationState
from local_controller.station.words import OcppVersion
from tests.e2e.surroundings import until
from tests.patient_time import loop_clock

V16 = OcppVersion.V16
pytestmark = pytest.mark.requirement("LC-047")


def profile(profile_id: int, limit_a: float) -> dict[str, object]:
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_a}]}
    head = {"chargingProfileId": profile_id, "stackLevel": profile_id, "chargingProfilePurpose": "TxDefaultProfile"}
    return head | {"chargingProfileKind": "Relative", "chargingSchedule": schedule}


def station(identity: str, *limits_a: float) -> StationState:
    """One whose CSMS has set these limits."""
    state = StationState(identity, V16)
    for number, limit_a in enumerate(limits_a, 1):
        told = {"connectorId": 1, "csChargingProfiles": profile(number, limit_a)}
        state.store = state.store.recorded(dialect(V16).profile_set(told), V16)
    return state


def files(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


class Run:
    """A gateway that starts now, with these stations."""

    def __init__(self, folder: Path, states: Iterable[StationState] = ()) -> None:
        self.warnings: list[str] = []
        self.file = ProfilesFile(folder, lambda: states, loop_clock(), self.warnings.append)
        self.file.restore()

    def limits_a(self, identity: str) -> list[float | None] | None:
        found = self.file.recalled(identity)
        if found is None:
            return None
        return [entry.profile.schedules[0].periods[0].limit for entry in found.store.installed]


async def kept(folder: Path, *states: StationState) -> Run:
    """One that ends as it should."""
    run = Run(folder, states)
    await run.file.start()
    await run.file.stop()
    return run


async def test_they_outlive_a_restart_whatever_the_case_of_the_identity(tmp_path: Path) -> None:
    await kept(tmp_path, station("CP-1", 10.0, 8.0), station("CP-2"))
    again = Run(tmp_path)
    assert (again.limits_a("cp-1"), again.limits_a("CP-2")) == ([10.0, 8.0], None)
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    assert files(tmp_path) == [NAME]


async def test_who_is_killed_has_them_on_the_disk_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles_file, "EVERY_S", 0.01)
    state = station("CP-1", 10.0)
    run = Run(tmp_path, [state])
    await run.file.start()
    await until(lambda: Run(tmp_path).limits_a("CP-1") == [10.0], 20)
    state.store = station("CP-1", 7.0, 6.0).store
    await until(lambda: Run(tmp_path).limits_a("CP-1") == [7.0, 6.0], 20)
    state.store = station("CP-1").store
    await until(lambda: Run(tmp_path).limits_a("CP-1") is None, 20)
    await run.file.stop()
    assert Run(tmp_path).warnings == []


async def test_a_station_that_has_not_come_back_yet_keeps_its_own(tmp_path: Path) -> None:
    await kept(tmp_path, station("CP-1", 10.0), station("CP-2", 9.0))
    await kept(tmp_path, station("CP-2", 5.0))
    again = Run(tmp_path)
    assert (again.limits_a("CP-1"), again.limits_a("CP-2")) == ([10.0], [5.0])


async def test_where_no_csms_has_set_any_nothing_is_kept(tmp_path: Path) -> None:
    await kept(tmp_path, station("CP-1"))
    assert files(tmp_path) == []


async def test_what_has_not_changed_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = station("CP-1", 10.0)
    run = await kept(tmp_path, state)
    (tmp_path / NAME).unlink()
    monkeypatch.setattr(profiles_file.kept_profiles, "kept", None)  # not even worked out
    await run.file.stop()
    assert files(tmp_path) == []


@pytest.mark.parametrize("text", [b"", b"{", b"\xe1", b'{"format":2,"stations":{}}', b"[]"])
async def test_a_broken_file_is_put_aside_and_people_are_told(tmp_path: Path, text: bytes) -> None:
    (tmp_path / NAME).write_bytes(text)
    with capture_logs() as logs:
        run = Run(tmp_path)
    assert [log["event"] for log in logs] == ["profiles_put_aside"]
    assert files(tmp_path) == [f"{NAME}.broken"]
    (warning,) = run.warnings
    assert "cars may get more" in warning


async def test_a_file_that_cannot_be_opened_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with capture_logs():
        assert len(Run(tmp_path).warnings) == 1


@pytest.mark.parametrize("what", ["a message", "an entry", "a version"])
async def test_what_cannot_be_read_costs_no_other_and_people_are_told_which(tmp_path: Path, what: str) -> None:
    await kept(tmp_path, station("CP-1", 10.0, 8.0), station("CP-2", 9.0))
    read = json.loads((tmp_path / NAME).read_text())
    if what == "a message":
        read["stations"]["cp-1"]["profiles"][0]["message"] = '[2,"1","SetChargingProfile",{"connectorId":1}]'
    elif what == "an entry":
        read["stations"]["cp-1"] = 5
    else:
        read["stations"]["cp-1"]["version"] = "ocpp3.0"
    (tmp_path / NAME).write_text(json.dumps(read))
    with capture_logs() as logs:
        run = Run(tmp_path)
    assert [log["event"] for log in logs] == ["profiles_put_aside"]
    (warning,) = run.warnings
    assert "cp-1: " in warning
    assert "cp-2" not in warning
    assert run.limits_a("CP-1") == ([8.0] if what == "a message" else None)
    assert run.limits_a("CP-2") == [9.0]
    assert json.loads((tmp_path / f"{NAME}.broken").read_text()) == read
    await run.file.start()
    await run.file.stop()
    with capture_logs():
        assert Run(tmp_path).limits_a("CP-2") == [9.0]
