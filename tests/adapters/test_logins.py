"""Do stations get in while their CSMS is away, also after a restart, and is nothing but hashes on the disk?"""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger

from local_controller.adapters.credential_file import read_credentials, write_credentials
from local_controller.adapters.logins import Logins
from local_controller.errors import LocalControllerError
from local_controller.station.credentials import Credentials, hashed

OLD, NEW = b"an old password!", b"a new password!!"
LOG: Any = structlog.wrap_logger(CapturingLogger(), processors=[])


def basic(password: bytes, name: str = "CP-7") -> list[str]:
    return ["Basic " + base64.b64encode(f"{name}:".encode() + password).decode()]


@asynccontextmanager
async def logins(path: Path | None, log: Any = LOG) -> AsyncIterator[Logins]:
    opened = Logins(path, log)
    yield opened
    await opened.stop()


@pytest.mark.requirement("LC-007")
async def test_who_was_accepted_gets_in_without_the_csms_also_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "credentials.jsonl"
    async with logins(path) as running:
        assert not await running.is_known("CP-7", basic(OLD))
        running.accepted("CP-7", basic(OLD))
        assert await running.is_known("CP-7", basic(OLD))
    async with logins(path) as restarted:
        assert await restarted.is_known("CP-7", basic(OLD))
        assert await restarted.is_known("CP-7", basic(OLD, name="cp-7"))
        assert not await restarted.is_known("CP-7", basic(NEW))
        assert not await restarted.is_known("CP-8", basic(OLD))
        assert not await restarted.is_known("CP-7", basic(OLD, name="CP-8"))
        assert not await restarted.is_known("CP-7", [])
        assert not await restarted.is_known("CP-7", basic(OLD) * 2)


@pytest.mark.requirement("LC-007", "LC-132")
async def test_a_change_just_before_an_outage_and_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "credentials.jsonl"
    async with logins(path) as running:
        running.accepted("CP-7", basic(OLD))
        running.offered("CP-7", NEW.hex())
    async with logins(path) as restarted:
        assert await restarted.is_known("CP-7", basic(NEW))
        assert await restarted.is_known("CP-7", basic(NEW.hex().encode()))
        assert await restarted.is_known("CP-7", basic(OLD))
        restarted.accepted("CP-7", basic(NEW))
        assert not await restarted.is_known("CP-7", basic(OLD))


@pytest.mark.requirement("LC-007")
async def test_on_the_disk_there_are_hashes_only_for_the_owner(tmp_path: Path) -> None:
    path = tmp_path / "credentials.jsonl"
    async with logins(path) as running:
        running.accepted("CP-7", basic(OLD))
        running.offered("CP-7", NEW.decode())
    text = path.read_text(encoding="utf-8")
    for secret in (OLD, NEW):
        for spelling in (secret.decode(), secret.hex(), base64.b64encode(secret).decode()):
            assert spelling not in text
    assert json.loads(text).keys() == {"identity", "accepted", "offered"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_an_offer_to_a_station_that_never_logged_in_is_no_key_to_the_door(tmp_path: Path) -> None:
    async with logins(tmp_path / "credentials.jsonl") as running:
        running.offered("CP-7", NEW.decode())
        assert not await running.is_known("CP-7", basic(NEW))


async def test_a_login_that_is_nothing_new_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "credentials.jsonl"
    async with logins(path) as running:
        running.accepted("CP-7", basic(OLD))
    path_before = path.stat().st_ino
    async with logins(path) as restarted:
        restarted.accepted("CP-7", basic(OLD))
    assert path.stat().st_ino == path_before


async def test_without_a_file_it_lasts_as_long_as_the_process() -> None:
    async with logins(None) as running:
        running.accepted("CP-7", basic(OLD))
        assert await running.is_known("CP-7", basic(OLD))


async def test_a_disk_that_takes_nothing_locks_nobody_out(tmp_path: Path) -> None:
    captured = CapturingLogger()
    path = tmp_path / "folder" / "credentials.jsonl"
    async with logins(path, structlog.wrap_logger(captured, processors=[])) as running:
        running.accepted("CP-7", basic(OLD))
        assert await running.is_known("CP-7", basic(OLD))
    (call,) = captured.calls
    assert call.kwargs["event"] == "credentials_not_written"


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    known = {
        "CP-7": Credentials(hashed(OLD, b"s" * 16)),
        "Säule: 2": Credentials(hashed(OLD, b"t" * 16), (hashed(NEW, b"u" * 16),)),
    }
    write_credentials(tmp_path / "c.jsonl", known)
    assert read_credentials(tmp_path / "c.jsonl") == known
    assert [path.name for path in tmp_path.iterdir()] == ["c.jsonl"]


def test_a_file_that_was_left_behind_by_a_power_cut_gets_the_right_mode(tmp_path: Path) -> None:
    left = tmp_path / "c.jsonl.new"
    left.write_text("half a li")
    left.chmod(0o644)
    write_credentials(tmp_path / "c.jsonl", {})
    assert stat.S_IMODE((tmp_path / "c.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        "{}",
        '{"identity": "CP-7", "accepted": {"scrypt": [30, 8], "salt": "", "digest": ""}, "offered": []}',
        '{"identity": "CP-7", "accepted": {"scrypt": [13, 8], "salt": "x", "digest": ""}, "offered": []}',
    ],
)
def test_a_file_that_is_none_stops_the_start_with_a_remedy(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(text)
    with pytest.raises(LocalControllerError, match=r"c\.jsonl: not written by this program .*; remove it"):
        Logins(path, LOG)


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(LocalControllerError, match="correct the path or remove the file"):
        read_credentials(tmp_path)
