"""`local-controller journal`: what an owner sees of messages that wait or were refused, settles, and reads after a slip."""

from __future__ import annotations

import asyncio
import json
import shutil
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from local_controller.adapters.journal import Journal, NotKept
from local_controller.adapters.journal_file import PAGE_ROWS, JournalFile
from local_controller.cli.main import app
from local_controller.deputy.effects import Entry, Kind

SIGNED = '{"idTag":"CARD7","meterStart":1.10,\r\n "connectorId":1E0}'
SITE = (
    "site: {{name: Basement, mode: control}}\ncsms: {{url: 'ws://127.0.0.1:9/ocpp'}}\n"
    "grid_connection: {{fuse_a: 50, assumed_base_load_a: 20}}\nstations: [{{id: CP-1}}]\n{more}"
)


def entry(action: str = "StartTransaction", minutes: float = 0.0, payload: str = SIGNED) -> Entry:
    return Entry(Kind.TRANSACTION, action, payload, datetime.now(UTC) - timedelta(minutes=minutes))


@asynccontextmanager
async def writer(folder: Path) -> AsyncIterator[Journal]:
    """The journal as the gateway has it open."""
    journal = Journal(folder, 2**28, structlog.get_logger())
    await journal.start()
    try:
        yield journal
    finally:
        await journal.stop()


async def kept(journal: Journal, station: str, *entries: Entry) -> list[int | NotKept]:
    """Their numbers."""
    loop = asyncio.get_running_loop()
    results: list[asyncio.Future[int | NotKept]] = [loop.create_future() for _ in entries]
    for one, result in zip(entries, results, strict=True):
        journal.keep(station, one, result.set_result)
    return [await result for result in results]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three messages wait, of two stations; two were put aside."""

    async def write() -> None:
        async with writer(tmp_path) as journal:
            await kept(journal, "CP-2", entry("MeterValues", 18), entry("StopTransaction", 17))
            await kept(
                journal, "CP-1", entry(minutes=90), entry("StopTransaction", 80), entry("SecurityEventNotification", 1)
            )
            journal.put_aside(3, "the CSMS answered InternalError: no tariff")
            journal.put_aside(5, "no answer within 30 s")

    asyncio.run(write())
    return tmp_path


def run(*arguments: object, status: int = 0, typed: str | None = None) -> tuple[str, str]:
    """What it says on standard output and error."""
    result = CliRunner().invoke(app, ["journal", *map(str, arguments)], input=typed)
    assert result.exit_code == status, result.output
    return result.stdout, result.stderr.strip()


def complaint(*arguments: object) -> str:
    """The one line of a command that fails and prints nothing else."""
    out, err = run(*arguments, status=1)
    assert out == ""
    return err


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


@pytest.mark.requirement("LC-054")
def test_it_shows_what_waits_since_when_and_what_was_put_aside_with_the_reason(folder: Path) -> None:
    out, err = run(folder)
    assert err == ""
    assert "3 messages wait for a CSMS, 2 were put aside" in " ".join(out.split())
    assert ["CP-1", "1", "80", "min", "ago", "2"] in words(out)
    assert ["CP-2", "2", "18", "min", "ago", "0"] in words(out)
    assert {"InternalError:", "tariff", "answer", "within"} <= set(out.split())
    assert "CARD7" not in out, "who looks at it must not learn who charged"


def test_a_program_gets_the_same_as_json(folder: Path) -> None:
    found = json.loads(run(folder, "--json")[0])
    assert [(one["station"], one["waiting"], one["put_aside"]) for one in found["stations"]] == [
        ("CP-1", 1, 2),
        ("CP-2", 2, 0),
    ]
    assert [(one["number"], one["station"], one["action"], one["reason"]) for one in found["put_aside"]] == [
        (3, "CP-1", "StartTransaction", "the CSMS answered InternalError: no tariff"),
        (5, "CP-1", "SecurityEventNotification", "no answer within 30 s"),
    ]
    assert found["is_readable"]


def test_an_export_is_json_lines_with_what_the_station_wrote(folder: Path) -> None:
    out, err = run("export", folder)
    assert "names drivers" in err
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(one["number"], one["station"], one["action"]) for one in lines] == [
        (1, "CP-2", "MeterValues"),
        (2, "CP-2", "StopTransaction"),
        (3, "CP-1", "StartTransaction"),
        (4, "CP-1", "StopTransaction"),
        (5, "CP-1", "SecurityEventNotification"),
    ]
    assert (lines[0]["put_aside"], lines[4]["put_aside"]) == (None, "no answer within 30 s")
    assert '"payload":{"idTag":"CARD7","meterStart":1.10,   "connectorId":1E0}}' in out, "numbers as they were signed"
    assert [json.loads(line)["number"] for line in run("export", folder, "--put-aside")[0].splitlines()] == [3, 5]
    assert len(run("export", folder, "--station", "CP-2")[0].splitlines()) == 2
    assert run("export", folder, "--station", "CP-9")[1].endswith("holds no such message")


def test_an_export_into_a_file_is_for_its_owner_only(folder: Path) -> None:
    target = folder / "messages.jsonl"
    target.touch(0o644)
    assert run("export", folder, "--output", target)[0] == ""
    assert (len(target.read_text().splitlines()), stat.S_IMODE(target.stat().st_mode)) == (5, 0o600)
    assert complaint("export", folder, "--output", folder / "no" / "where").endswith(f"'{folder}/no/where'")


@pytest.mark.requirement("LC-054")
async def test_what_is_tried_again_is_there_at_the_next_connection_in_its_old_place(folder: Path) -> None:
    async with writer(folder) as journal:
        assert [number for number, _ in (await journal.of("CP-1")).entries] == [4]
        out, err = await asyncio.to_thread(run, "retry", folder, 3)
        assert (
            out
            == "number 3 (StartTransaction of CP-1) waits again: it is delivered when CP-1 connects to the gateway the next time\n"
        )
        assert "the id -1" in err
        assert [number for number, _ in (await journal.of("CP-1")).entries] == [3, 4]
        assert (await asyncio.to_thread(run, "retry", folder, 5))[1] == ""


def test_what_is_dropped_is_gone_once_somebody_has_said_yes(folder: Path) -> None:
    assert "nothing was deleted" in run("drop", folder, 5, status=1, typed="n\n")[1]
    assert [one.number for one in JournalFile(folder).put_aside()] == [3, 5]
    assert run("drop", folder, 5, typed="y\n")[0].endswith("number 5 (SecurityEventNotification of CP-1) is deleted\n")
    assert run("drop", folder, 3, "--yes")[0] == "number 3 (StartTransaction of CP-1) is deleted\n"
    assert JournalFile(folder).put_aside() == []


def test_only_what_was_put_aside_can_be_settled(folder: Path) -> None:
    for command in ("retry", "drop"):
        assert complaint(command, folder, 9) == "9: no message has this number; `local-controller journal` lists them"
        assert complaint(command, folder, 1) == "1: this message was not put aside: it waits and will be delivered"
    file = JournalFile(folder)
    file.drop(1)
    assert file.counts()["CP-2"].waiting == 2, "not even in the moment after a look"


async def test_a_gateway_that_writes_loses_nothing_while_people_read_and_settle(tmp_path: Path) -> None:
    count = 2 * PAGE_ROWS + 7
    async with writer(tmp_path) as journal:
        await kept(journal, "CP-1", *(entry() for _ in range(count)))
        for number in range(1, 21):
            journal.put_aside(number, "no")
        await journal.of("CP-1")
        file = JournalFile(tmp_path)

        def settle() -> int:
            for number in range(1, 11):
                file.wait_again(number)
                file.drop(number + 10)
                file.counts()
            return sum(1 for _ in file.messages())

        settled = asyncio.create_task(asyncio.to_thread(settle))
        results: list[int | NotKept] = []
        while not settled.done():
            results += await kept(journal, "CP-2", *(entry() for _ in range(5)))
        assert not [one for one in results if isinstance(one, NotKept)]
        assert await settled >= count - 10
        counts = file.counts()
        assert (counts["CP-1"], counts["CP-2"].waiting) == ((count - 10, 0), len(results))
    assert sum(1 for _ in file.messages()) == count - 10 + len(results)


def test_nothing_is_left_to_say_where_all_was_delivered(tmp_path: Path) -> None:
    async def open_and_close() -> None:
        async with writer(tmp_path):
            pass

    asyncio.run(open_and_close())
    assert run(tmp_path)[0].strip().endswith("nothing waits for a CSMS")


def test_a_site_file_names_the_folder(folder: Path) -> None:
    site = folder / "site.yaml"
    site.write_text(SITE.format(more=f"state_directory: {folder}\n"), encoding="utf-8")
    assert run(site)[0] == run(folder)[0]
    site.write_text(SITE.format(more=""), encoding="utf-8")
    assert complaint(site) == (
        f"{site}: names no `state_directory`, so nothing is kept; a CSMS with a section `outage` needs one"
    )
    site.write_text("site: {nam: x}\n", encoding="utf-8")
    assert f"{site}:1:7: site.name: is missing" in complaint("export", site)


def test_no_journal_yet_is_told_with_what_makes_one(tmp_path: Path) -> None:
    assert complaint(tmp_path) == (
        f"{tmp_path}/journal.sqlite: there is no journal yet; a gateway makes it when it starts with a section `outage` in its `csms`"
    )


@pytest.mark.parametrize("command", [(), ("export",)], ids=["show", "export"])
def test_another_key_or_none_is_told_with_its_remedy(folder: Path, command: Sequence[str]) -> None:
    key = folder / "journal.key"
    right = key.read_bytes()
    key.write_bytes(bytes(32))
    assert run(*command, folder, status=1)[1].endswith(
        f"not all of it can be read with {key}: that is another key than the one it was written with, or the journal is damaged;"
        " put the right key back from a backup"
    )
    key.write_bytes(right[:31])
    remedy = "put the key back from a backup; without it nobody can read what the journal holds"
    assert complaint(*command, folder) == f"{key}: is no key of 32 bytes; {remedy}"
    key.unlink()
    assert complaint(*command, folder) == f"{key}: No such file or directory; {remedy}"
    key.write_bytes(right)
    run(*command, folder)


def test_a_damaged_file_and_one_that_is_no_journal_are_told(folder: Path) -> None:
    path = folder / "journal.sqlite"
    remedy = "copy it before the gateway starts again, which puts a damaged journal aside and begins a new one"
    whole = path.read_bytes()
    for beside in folder.glob("journal.sqlite-*"):
        beside.unlink()
    path.write_bytes(whole[:4096] + b"\xff" * 4096 + whole[8192:])
    assert complaint(folder) == f"{path}: database disk image is malformed; {remedy}"
    path.write_bytes(b"no database at all" * 300)
    assert complaint(folder) == f"{path}: file is not a database; {remedy}"
    path.write_bytes(b"")
    assert complaint(folder) == f"{path}: is no journal; {remedy}"


async def test_a_look_changes_nothing_also_where_a_gateway_was_killed(tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    killed.mkdir()
    async with writer(tmp_path) as journal:
        await kept(journal, "CP-1", entry(), entry())
        for name in ("journal.sqlite", "journal.sqlite-wal", "journal.key"):
            shutil.copy(tmp_path / name, killed)  # as they lie there without an end
    before = {one.name: one.read_bytes() for one in killed.iterdir()}
    assert len(before["journal.sqlite-wal"]) > 4096, "what was kept stands in the log beside the file"
    for command in ((), ("export",)):
        assert "CP-1" in (await asyncio.to_thread(run, *command, killed))[0]
    assert {name: (killed / name).read_bytes() for name in before} == before
    assert {stat.S_IMODE(one.stat().st_mode) for one in killed.iterdir()} == {0o600}
    async with writer(killed) as journal:
        assert len((await journal.of("CP-1")).entries) == 2
