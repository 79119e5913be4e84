"""What CSMSs have yet to hear, on a real disk: restarts, damage, another key, too little room."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from local_controller.adapters.journal import KEY_BYTES, KEY_NAME, NAME, PAIRS, TURN, Journal, Kept, NotKept
from local_controller.deputy.effects import Entry, Kind
from local_controller.errors import LocalControllerError

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MIB = 1024 * 1024


def entry(number: int = 0, size: int = 0) -> Entry:
    payload = json.dumps({"idTag": f"SECRET{number}", "filler": "x" * size})
    return Entry(Kind.TRANSACTION, "MeterValues", payload, NOON, sample_of="7")


@asynccontextmanager
async def journal(folder: Path, max_bytes: int = MIB) -> AsyncIterator[Journal]:
    one = Journal(folder, max_bytes, structlog.get_logger())
    await one.start()
    try:
        async with asyncio.timeout(20):
            yield one
    finally:
        await one.stop()


def files(folder: Path) -> list[tuple[str, bytes, int]]:
    """Name, text and mode of each."""
    return [(file.name, file.read_bytes(), file.stat().st_mode) for file in sorted(folder.iterdir())]


async def kept(one: Journal, what: Entry, identity: str = "CP-1") -> int | NotKept:
    done: asyncio.Future[int | NotKept] = asyncio.get_running_loop().create_future()
    one.keep(identity, what, done.set_result)
    return await done


async def fetched(one: Journal, number: int) -> Entry | None:
    done: asyncio.Future[Entry | None] = asyncio.get_running_loop().create_future()
    one.fetch(number, done.set_result)
    return await done


@pytest.mark.requirement("LC-047", "LC-061", "LC-070")
async def test_another_run_finds_what_was_kept_in_its_order_and_no_number_comes_twice(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        assert [await kept(one, entry(n)) for n in range(3)] == [1, 2, 3]
        assert await kept(one, entry(), "CP-2") == 4
        one.drop([3, 4])
        one.put_aside(2, "refused")
        one.rename("CP-1", 1_900_000_001, 7)
        one.rename("CP-1", 1_900_000_002, 8)
        one.rename("CP-1", 1_900_000_002, None)
    async with journal(tmp_path) as again:
        found = await again.of("CP-1")
        assert found.pairs == {1_900_000_001: 7, 1_900_000_002: 8}
        assert found.ended == {1_900_000_002}
        assert [(number, one.sample_of, one.payload) for number, one in found.entries] == [(1, "7", "")]
        assert await fetched(again, 1) == entry(0)
        assert await fetched(again, 3) is None
        assert await again.of("CP-2") == Kept([], {})
        assert await kept(again, entry()) == 5


@pytest.mark.requirement("LC-068")
async def test_no_word_of_a_driver_is_readable_in_its_files(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        await kept(one, entry(1))
        found = files(tmp_path)
    assert {name for name, _, _ in found} >= {NAME, KEY_NAME, f"{NAME}-wal"}
    for name, text, mode in found:
        assert b"SECRET" not in text, name
        assert mode & 0o077 == 0, name


async def test_what_another_key_has_closed_is_no_reason_to_lose_the_rest(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        await kept(one, entry(1))
    (tmp_path / KEY_NAME).unlink()
    async with journal(tmp_path) as again:
        with capture_logs() as told:
            assert (await again.of("CP-1")).entries == []
        assert [line["event"] for line in told] == ["journal_unreadable"]
        assert await kept(again, entry(2)) == 2
        assert await fetched(again, 1) is None
        assert await fetched(again, 2) == entry(2)


@pytest.mark.parametrize("left", [None, b"half a key"])
async def test_a_lost_key_is_told_with_its_remedy_and_half_of_one_is_put_aside(
    tmp_path: Path, left: bytes | None
) -> None:
    async with journal(tmp_path) as one:
        await kept(one, entry())
    key = tmp_path / KEY_NAME
    key.unlink()
    if left is not None:
        key.write_bytes(left)
    with capture_logs() as told:
        async with journal(tmp_path):
            pass
    (lost,) = [line for line in told if line["event"] == "journal_key_lost"]
    assert lost["file"] == str(key)
    assert "put journal.key back" in lost["remedy"]
    aside = {name: text for name, text, _ in files(tmp_path) if name.endswith(".broken")}
    assert aside == ({} if left is None else {f"{KEY_NAME}.broken": left})


@pytest.mark.parametrize("damage", [b"no database at all" * 300, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_damaged_file_is_put_aside_and_another_one_begun(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / KEY_NAME).write_bytes(bytes(KEY_BYTES))
    (tmp_path / NAME).write_bytes(damage)
    with capture_logs() as told:
        async with journal(tmp_path) as one:
            first = await kept(one, entry())
    assert isinstance(first, int)
    assert first > 28_000_000, "no number that the damaged one may have given"
    assert [line["event"] for line in told] == ["journal_put_aside"]
    assert (tmp_path / f"{NAME}.broken").read_bytes() == damage


async def test_a_folder_that_takes_no_file_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(LocalControllerError, match="correct state_directory"):
        async with journal(tmp_path / "missing"):
            pass


@pytest.mark.requirement("LC-049", "LC-056")
async def test_what_finds_no_room_is_told_and_room_made_is_used(tmp_path: Path) -> None:
    async with journal(tmp_path, max_bytes=64 * 4096) as one:
        short = asyncio.Event()
        one.short = short.set
        numbers, result = [], await kept(one, entry(size=4000))
        while isinstance(result, int):
            numbers.append(result)
            result = await kept(one, entry(size=4000))
        assert "full" in result.reason
        assert short.is_set(), "before it was full"
        one.drop(numbers[: len(numbers) // 2])
        assert isinstance(await kept(one, entry(size=4000)), int)


async def test_many_at_once_wait_for_the_disk_together(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        numbers = await asyncio.gather(*(kept(one, entry(n)) for n in range(200)))
        assert numbers == list(range(1, 201)), "in the order in which they were left"


async def test_a_text_that_no_file_can_hold_is_not_kept_and_harms_no_other(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        bad, good = await asyncio.gather(kept(one, entry(), "CP-\udc00"), kept(one, entry(1)))
        assert isinstance(bad, NotKept)
        assert isinstance(good, int)


def test_a_full_sync_is_asked_of_the_disk(tmp_path: Path) -> None:
    async def story() -> int:
        async with journal(tmp_path) as one:
            (level,) = one._database.execute("PRAGMA synchronous").fetchone()
            return int(level)

    assert asyncio.run(story()) == 2
    with closing(sqlite3.connect(tmp_path / NAME)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_a_number_that_no_file_can_hold_does_not_end_the_journal_for_all_stations(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        one.rename("CP-1", 1_900_000_001, 10**30)  # a CSMS says so
        one.rename("CP-1", 1_900_000_002, 7)
        assert await kept(one, entry()) == 1
        assert (await one.of("CP-1")).pairs == {1_900_000_002: 7}


async def test_a_disk_that_cannot_say_how_full_it_is_does_not_end_the_journal(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        with capture_logs() as told:
            one._do(lambda database: database.close())
            assert isinstance(await kept(one, entry()), NotKept)
        assert {line["event"] for line in told} == {"journal_not_written"}
        assert isinstance(await kept(one, entry()), NotKept), "there is somebody to say so"


async def test_others_have_their_turn_while_many_hear_that_they_are_kept(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        loop, turn, turns = asyncio.get_running_loop(), 0, list[int]()

        def ticks() -> None:
            nonlocal turn
            turn += 1
            if len(turns) < 500:
                loop.call_soon(ticks)

        ticks()
        all_heard = asyncio.Event()

        def heard(result: int | NotKept) -> None:
            turns.append(turn)
            assert result == len(turns), "in their order"
            if len(turns) == 500:
                all_heard.set()

        for number in range(500):
            one.keep("CP-1", entry(number), heard)
        await all_heard.wait()
        assert max(Counter(turns).values()) <= TURN


@pytest.mark.requirement("LC-056")
async def test_one_who_comes_when_it_is_nearly_full_gives_up_samples_as_well(tmp_path: Path) -> None:
    async with journal(tmp_path, max_bytes=200 * 4096) as one:
        calls = list[int]()
        one.short = lambda: calls.append(1)
        while isinstance(await kept(one, entry(size=3000)), int):
            pass
        assert len(calls) > 3, "nobody has made room since the first one"


@pytest.mark.requirement("LC-049")
async def test_when_somebody_has_deleted_it_nothing_is_confirmed_any_more(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        assert await kept(one, entry(1)) == 1
        for name, _, _ in files(tmp_path):
            (tmp_path / name).unlink()
        result = await kept(one, entry(2))
        assert isinstance(result, NotKept)
        assert "deleted" in result.reason
        assert await fetched(one, 1) == entry(1), "what is left of it is delivered still"


async def test_a_disk_that_takes_nothing_is_complained_about_once(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        for name, _, _ in files(tmp_path):
            (tmp_path / name).unlink()
        with capture_logs() as told:
            for _ in range(5):
                assert isinstance(await kept(one, entry()), NotKept)
        assert [line["event"] for line in told] == ["journal_not_written"]


async def test_what_makes_room_may_fail_and_a_station_has_its_messages_all_the_same(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        await kept(one, entry(1))
        for number in range(PAIRS + 1):
            one.rename("CP-1", 1_900_000_001 + number, number)
        full = "CREATE TRIGGER full BEFORE DELETE ON transaction_ids BEGIN SELECT raise(ABORT, 'disk full'); END"
        one._do(lambda database: database.execute(full) and None)
        assert len((await one.of("CP-1")).entries) == 1


@pytest.mark.requirement("LC-070")
async def test_of_transactions_that_never_end_the_latest_keep_their_ids_whatever_the_clock_says(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        for number in range(PAIRS + 10):
            one.rename("CP-1", number, 7)
        one.rename("CP-2", 3, 7)
        assert sorted((await one.of("CP-1")).pairs) == [*range(10, PAIRS + 10)]
        assert (await one.of("CP-2")).pairs == {3: 7}
