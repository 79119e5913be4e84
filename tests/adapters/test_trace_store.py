"""The trace's file: what went over the wires is in it, for its owner only, never too large, and what is missing is counted."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from local_controller.adapters import trace_store
from local_controller.adapters.trace_secrets import MASK, masked
from local_controller.adapters.trace_store import Missing, Record, TraceFile, TraceStore
from local_controller.clock import Clock
from local_controller.errors import LocalControllerError
from local_controller.station.effects import Fate, Peer, Trace

LOG: Any = structlog.get_logger()
CLOCK = Clock()
HEARTBEAT = Trace(Peer.STATION, '[2,"h1","Heartbeat",{ }]', Fate.PASSED)


@asynccontextmanager
async def store(file: Path, size_mb: float = 10) -> AsyncIterator[Callable[..., None]]:
    """An open store; `keep(trace, station)` records something in it."""
    opened = TraceStore(file, round(size_mb * 1e6), LOG)
    await opened.start()
    yield lambda trace, station="CP-1": opened.record(station, trace, CLOCK.now())
    await opened.stop()


async def written(file: Path, message_id: str) -> None:
    """Its thread has put that message into the file."""
    async with asyncio.timeout(20):
        while message_id not in {record.message_id for record in TraceFile(file).records()}:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


def call(number: int, size: int = 0) -> Trace:
    return Trace(Peer.STATION, f'[2,"{number}","DataTransfer",{{"vendorId":"v","data":"{"x" * size}"}}]', Fate.PASSED)


async def test_a_record_tells_who_sent_what_and_what_became_of_it(tmp_path: Path) -> None:
    traces = [
        HEARTBEAT,
        Trace(Peer.CSMS, '[3,"h1",{"currentTime":"2026-06-01T12:00:00Z"}]', Fate.PASSED),
        Trace(Peer.CSMS, '[2,"p","SetChargingProfile",{}]', Fate.ABSORBED, "claimed"),
        Trace(None, '[3,"p",{"status":"Accepted"}]', Fate.INJECTED),
        Trace(Peer.STATION, "no JSON", Fate.PASSED),
    ]
    async with store(tmp_path / "t.db") as keep:
        for trace in traces:
            keep(trace)
    records = list(TraceFile(tmp_path / "t.db").records())
    assert [(r.sender, r.fate, r.message_id, r.action, r.detail, r.text) for r in records] == [
        ("station", Fate.PASSED, "h1", "Heartbeat", "", traces[0].text),
        ("csms", Fate.PASSED, "h1", "", "", traces[1].text),
        ("csms", Fate.ABSORBED, "p", "SetChargingProfile", "claimed", traces[2].text),
        ("gateway", Fate.INJECTED, "p", "", "", traces[3].text),
        ("station", Fate.PASSED, "-1", "", "", "no JSON"),
    ]
    assert [record.number for record in records] == [1, 2, 3, 4, 5]
    assert records[0].utc == min(record.utc for record in records)
    assert records[0].utc.endswith("+00:00")


async def test_a_reader_sees_messages_while_they_are_written_and_may_ask_for_one_station(tmp_path: Path) -> None:
    async with store(tmp_path / "t.db") as keep:
        reader = TraceFile(tmp_path / "t.db")
        assert list(reader.records()) == []
        for number in range(1200):
            keep(call(number), f"CP-{number % 2}")
        seen: list[Record] = []
        for _ in range(1000):
            if len(seen := list(reader.records("CP-1"))) == 600:
                break
            await asyncio.sleep(0.01)
        assert [int(record.message_id) for record in seen] == list(range(1, 1200, 2))
        assert [record.message_id for record in reader.last(2, "CP-0")] == ["1196", "1198"]
        assert [record.number for record in reader.records(after=1198)] == [1199, 1200]


async def test_the_file_is_bounded_and_the_oldest_make_room(tmp_path: Path) -> None:
    file = tmp_path / "t.db"
    async with store(file, size_mb=1) as keep:
        for number in range(3000):
            keep(call(number, 1000))
            if number % 500 == 0:
                await asyncio.sleep(trace_store.FLUSH_S)
    assert file.stat().st_size <= 1e6
    numbers = [record.number for record in TraceFile(file).records()]
    assert numbers == list(range(numbers[0], 3001))
    assert len(numbers) > 300
    assert TraceFile(file).missing() == Missing(made_room=numbers[0] - 1, not_kept=0)


async def test_a_smaller_bound_shrinks_the_file_of_an_earlier_run(tmp_path: Path) -> None:
    file = tmp_path / "t.db"
    async with store(file, size_mb=4) as keep:
        for number in range(3000):
            keep(call(number, 1000))
    assert file.stat().st_size > 2e6
    async with store(file, size_mb=1) as keep:
        keep(HEARTBEAT)
    assert file.stat().st_size <= 1e6
    assert TraceFile(file).last(1)[0].text == HEARTBEAT.text


async def test_what_cannot_be_kept_is_counted_and_the_rest_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "t.db"
    async with store(file, size_mb=1) as keep:
        keep(call(1))
        await written(file, "1")
        keep(call(2, 2_000_000))  # larger than the file may be, and a transaction of its own
        keep(call(3))
    assert [record.message_id for record in TraceFile(file).records()][-1] == "3"
    assert TraceFile(file).missing().not_kept == 1
    async with store(file, size_mb=1) as keep:
        keep(call(4))
    assert TraceFile(file).missing().not_kept == 1


async def test_more_than_the_disk_takes_is_dropped_not_piled_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_store, "PENDING_LIMIT", 10_000)
    async with store(tmp_path / "t.db") as keep:
        for number in range(100):  # all before the thread has its turn
            keep(call(number, 1000))
    missing = TraceFile(tmp_path / "t.db").missing()
    assert missing.not_kept + len(list(TraceFile(tmp_path / "t.db").records())) == 100
    assert missing.not_kept > 0


@pytest.mark.requirement("LC-132")
async def test_the_file_is_for_its_owner_only_and_holds_no_password(tmp_path: Path) -> None:
    file = tmp_path / "t.db"
    file.touch(mode=0o644)
    password = "s3cret-of-CP-1"  # noqa: S105 - the point of this test
    change = f'[2,"k","ChangeConfiguration",{{"key":"AuthorizationKey","value":"{password}"}}]'
    async with store(file) as keep:
        keep(Trace(Peer.CSMS, change, Fate.PASSED))
        await written(file, "k")
        files = [file, *(tmp_path / f"t.db-{more}" for more in ("wal", "shm"))]
        assert [stat.S_IMODE(one.stat().st_mode) for one in files] == [0o600] * 3
        assert all(password.encode() not in one.read_bytes() for one in files)
    assert TraceFile(file).last(1)[0].text == change.replace(password, MASK)


SECRETS = [
    ('{"key":"AuthorizationKey","value":"', '"}'),
    ('{"value": "', '" , "key": "authorizationKEY"}'),
    ('{"key":"\\u0041uthorizationKey","value":"', '"}'),
    (
        '{"setVariableData":[{"component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"},"attributeValue":"',
        '"}]}',
    ),
    ('{"connectionData":{"basicAuthPassword":"', '"}}'),
    ('{"connectionData":{"apn":{"apnPassword":"', '","simPin":null}}}'),
    ('{"connectionData":{"vpn":{"server":"v","key":"', '"}}}'),
    ('{"location":"ftp://me:', '@host/logs"}'),
    ('{"location":"ftp:\\/\\/me:', '@host\\/logs"}'),
    ('{"vendorId":"v","data":"{\\"password\\":\\"', '\\"}"}'),
    ('{"key":"AuthorizationKey","value":"', '","value":"other"}'),
    ('{"key":"AuthorizationKey","value":"', '"'),  # broken on the way
]


@pytest.mark.requirement("LC-132")
@pytest.mark.parametrize(("before", "after"), SECRETS)
def test_a_password_is_masked_wherever_the_versions_have_one(before: str, after: str) -> None:
    said = masked(f'[2,"a","X",{before}p4ss!w0rd{after}]')
    assert "p4ss!w0rd" not in said
    assert MASK in said


def test_a_password_that_is_no_string_hides_the_whole_message() -> None:
    assert masked('[2,"a","X",{"key":"AuthorizationKey","value":12345678}]') == MASK
    assert masked('[2,"a","SetNetworkProfile",{"connectionData":{"apn":{"simPin":1234}}}]') == MASK


INNOCENT = [
    '[2,"a","Authorize",{"idTag":"DEADBEEF"}]',
    '[3,"a",{"configurationKey":[{"key":"AuthorizationKey","readonly":false}],"unknownKey":["BasicAuthPassword"]}]',
    '[2,"a","GetVariables",{"getVariableData":[{"component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}}]}]',
    '[2,"a","SecurityEventNotification",{"type":"InvalidPassword","techInfo":"password  refused\\u0021", "x":1.10}]',
    '[2,"a","UpdateFirmware",{"location":"https://host/a?x=me@home"}]',
    "no JSON, and nothing to hide",
]


@pytest.mark.parametrize("text", INNOCENT)
def test_what_holds_no_password_keeps_every_byte(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize("content", [b"a letter to a friend, long enough to be looked at" * 100, b""])
async def test_a_file_of_somebody_else_is_not_touched(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "t.db"
    file.write_bytes(content)
    with pytest.raises(LocalControllerError, match=r"t\.db: .*name the `trace.file`"):
        TraceFile(file)
    if content:
        with pytest.raises(LocalControllerError, match=r"remove it or choose another"):
            await TraceStore(file, 10_000_000, LOG).start()
        assert file.read_bytes() == content


async def test_another_database_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "t.db"
    database = sqlite3.connect(file)
    database.executescript("CREATE TABLE frames (a)")
    database.close()
    before = file.read_bytes()
    with pytest.raises(LocalControllerError, match="is no trace; remove it or choose another"):
        await TraceStore(file, 10_000_000, LOG).start()
    assert file.read_bytes() == before


async def test_a_trace_of_another_version_is_named_and_not_touched(tmp_path: Path) -> None:
    """Else a whole run would be lost, one batch after the other, and a reader would end in the middle of our own code."""
    file = tmp_path / "t.db"
    async with store(file) as keep:
        keep(HEARTBEAT)
    database = sqlite3.connect(file)
    database.executescript("ALTER TABLE frames DROP COLUMN detail; PRAGMA journal_mode = DELETE")
    database.close()
    before = file.read_bytes()
    with pytest.raises(LocalControllerError, match="is a trace of another version; remove it or choose another"):
        await TraceStore(file, 10_000_000, LOG).start()
    with pytest.raises(LocalControllerError, match=r"is a trace of another version; name the `trace.file`"):
        TraceFile(file)
    assert file.read_bytes() == before


async def test_a_file_whose_beginning_alone_was_written_is_used(tmp_path: Path) -> None:
    """The power went between the first word of a new file and its tables."""
    file = tmp_path / "t.db"
    async with store(file):
        pass
    database = sqlite3.connect(file)
    database.executescript("DROP TABLE frames; DROP TABLE missing")
    database.close()
    async with store(file) as keep:
        keep(HEARTBEAT)
    assert [record.text for record in TraceFile(file).records()] == [HEARTBEAT.text]


async def test_a_missing_folder_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(LocalControllerError, match=r"No such file or directory; create its folder"):
        await TraceStore(tmp_path / "no" / "t.db", 10_000_000, LOG).start()
    with pytest.raises(LocalControllerError, match=r"t\.db: No such file or directory; name the `trace.file`"):
        TraceFile(tmp_path / "t.db")


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    def made(files: Sequence[str]) -> list[int]:
        return [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in files]

    async def once() -> None:
        async with store(tmp_path / "t.db") as keep:
            keep(HEARTBEAT)

    before = os.umask(0)
    try:
        asyncio.run(once())
    finally:
        os.umask(before)
    assert made(["t.db"]) == [0o600]
