"""Does what was learnt about stations survive a restart, a power cut and a broken file?"""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from local_controller.adapters.capability_file import NAME, CapabilityMemory
from local_controller.errors import LocalControllerError
from local_controller.profiles.units import RateUnit
from local_controller.station.capability import Rung
from local_controller.station.dialects.base import BootCall, ReadBounds
from local_controller.station.knowledge import Actuator
from local_controller.station.remembered import Remembered
from local_controller.station.words import OcppVersion, RegistrationStatus

LEARNT = Remembered(
    OcppVersion.V16,
    BootCall("Acme", "One", "1.0", "7"),
    actuators=(Actuator.TX_DEFAULT, Actuator.TX_PROFILE),
    works=Rung(Actuator.TX_DEFAULT, RateUnit.W),
    proven=frozenset({Rung(Actuator.TX_DEFAULT, RateUnit.W)}),
    bounds=ReadBounds(items=4),
    registration=RegistrationStatus.PENDING,
)
NO_ZONE = '{"format": 1, "stations": {"a": {"version": "ocpp1.6", "paid_off": "2026-06-01T12:00:00"}}}'
pytestmark = pytest.mark.requirement("LC-105")


def memory(directory: Path | None) -> CapabilityMemory:
    return CapabilityMemory(directory, structlog.get_logger())


def files(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_it_is_known_after_a_restart_whatever_the_case_of_the_identity(tmp_path: Path) -> None:
    before = memory(tmp_path)
    before.keep("CP-1", LEARNT)
    await before.stop()
    assert memory(tmp_path).recalled("cp-1") == LEARNT
    assert memory(tmp_path).recalled("CP-2") is None
    assert files(tmp_path) == [NAME], "written whole, nothing left behind"


async def test_what_is_known_already_is_not_written_again(tmp_path: Path) -> None:
    before = memory(tmp_path)
    before.keep("CP-1", LEARNT)
    await before.stop()
    (tmp_path / NAME).unlink()
    before.keep("CP-1", LEARNT)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": 2, "stations": {}}',
        '{"format": 1, "stations": {"a": {"version": "ocpp9"}}}',
        "\xff",
        NO_ZONE,
    ],
)
async def test_a_broken_file_is_put_aside_with_a_warning(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text, encoding="latin-1")
    with capture_logs() as logs:
        known = memory(tmp_path)
    assert [entry["event"] for entry in logs] == ["capabilities_put_aside"]
    assert (tmp_path / f"{NAME}.broken").read_text(encoding="latin-1") == text
    known.keep("CP-1", LEARNT)
    await known.stop()
    assert memory(tmp_path).recalled("CP-1") == LEARNT


async def test_a_disk_that_takes_nothing_stops_nobody(tmp_path: Path) -> None:
    known = memory(tmp_path)
    (tmp_path / f"{NAME}.new").mkdir()
    with capture_logs() as logs:
        known.keep("CP-1", LEARNT)
        await known.stop()
    assert [entry["event"] for entry in logs] == ["capabilities_not_written"]
    assert "state_directory" in logs[0]["remedy"]
    assert known.recalled("CP-1") == LEARNT


async def test_a_station_whose_name_no_file_can_hold_is_learnt_again_and_harms_no_other(tmp_path: Path) -> None:
    known = memory(tmp_path)
    known.keep("CP-2", Remembered(OcppVersion.V16, BootCall("half a character: \ud800", "One", "1.0", "7")))
    known.keep("CP-1", LEARNT)
    await known.stop()
    assert memory(tmp_path).recalled("CP-1") == LEARNT
    assert memory(tmp_path).recalled("CP-2") is None


async def test_without_a_directory_it_lasts_as_long_as_the_process() -> None:
    known = memory(None)
    known.keep("CP-1", LEARNT)
    await known.stop()
    assert known.recalled("CP-1") == LEARNT


def test_a_folder_that_is_missing_stops_the_start_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(LocalControllerError, match="no such folder; create it"):
        memory(tmp_path / "nowhere")


def test_a_state_directory_that_is_a_file_stops_the_start_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    for name in ("state", "no\0name"):
        with pytest.raises(LocalControllerError, match="is no folder; correct it"):
            memory(tmp_path / name)


@pytest.mark.parametrize("is_in_the_way", [False, True])
async def test_a_file_that_cannot_be_read_stops_nobody(tmp_path: Path, is_in_the_way: bool) -> None:
    (tmp_path / NAME / "sub").mkdir(parents=True)
    if is_in_the_way:
        (tmp_path / f"{NAME}.broken" / "sub").mkdir(parents=True)
    with capture_logs() as logs:
        known = memory(tmp_path)
    assert [entry["event"] for entry in logs] == [f"capabilities_{'not_' if is_in_the_way else ''}put_aside"]
    known.keep("CP-1", LEARNT)
    with capture_logs() as logs:
        await known.stop()
    assert (memory(tmp_path).recalled("CP-1") is None) == is_in_the_way
    assert known.recalled("CP-1") == LEARNT
