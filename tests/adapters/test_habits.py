"""What the site has learnt: over a restart, a power cut and a damaged file, over HTTP from this machine, and by the command."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request

import pytest
import structlog
from structlog.testing import capture_logs
from typer.testing import CliRunner

from local_controller.adapters.habits_file import KEY_NAME, NAME, HabitsFile, alone
from local_controller.adapters.habits_keeper import HabitsKeeper
from local_controller.adapters.web.server import Actions, WebServer
from local_controller.cli.gateway import answered
from local_controller.cli.main import app
from local_controller.clock import Clock
from local_controller.errors import LocalControllerError
from local_controller.site.learning import Learning
from optimizer.habits import MEMORY, Visit

CARD, OTHER_CARD = "04A1B2C3D4E5F6", "DE*ABC*C12345*6"
TODAY = datetime.now(UTC).toordinal()


def visit(token: str = "", evse: str = "CP-1/1", day: int = TODAY) -> Visit:  # no password
    return Visit(evse, token, 2, 8.25, 28_800.0, 11_000.0, day)


def file(folder: Path | None) -> HabitsFile:
    return HabitsFile(folder, structlog.get_logger())


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


class Site:
    """Forgets as the real one does."""

    def __init__(self, learning: Learning) -> None:
        self._learning = learning

    def habits_forgotten(self, evse: str | None, id_token: str | None) -> None:
        self._learning.forget(evse=evse, id_token=id_token)


@asynccontextmanager
async def running(folder: Path | None, days: int = 400) -> AsyncIterator[HabitsKeeper]:
    keeper = HabitsKeeper(UTC, days, folder, Clock())
    await keeper.start(Site(keeper.learning))
    try:
        yield keeper
    finally:
        await keeper.stop()


def learn(keeper: HabitsKeeper, *visits: Visit) -> None:
    keeper.learning.recall((*keeper.learning.visits, *visits))
    keeper.learning.revision += 1


# --- over a restart -------------------------------------------------------------------------------------------------


async def test_what_was_learnt_outlives_a_restart_and_a_card_is_known_again(tmp_path: Path) -> None:
    async with running(tmp_path) as keeper:
        mine = keeper._file.pseudonym(CARD)
        learn(keeper, visit(mine), visit("", "CP-2/1"))
    async with running(tmp_path) as again:
        assert again.learning.visits == (visit(mine), visit("", "CP-2/1"))
        assert again._file.pseudonym(CARD.lower()) == mine


async def test_a_car_that_was_not_full_is_remembered_so_and_rows_of_before_still_count(tmp_path: Path) -> None:
    async with running(tmp_path) as keeper:
        learn(keeper, replace(visit(), is_full=False), replace(visit(), has_left=False))
    async with running(tmp_path) as again:
        assert [(one.has_left, one.is_full) for one in again.learning.visits] == [(True, False), (False, True)]
    before = {"format": 1, "visits": [["CP-1/1", "", TODAY, 2, 8.25, 28_800, 11_000]]}
    (tmp_path / NAME).write_text(json.dumps(before))
    assert file(tmp_path).read() == [visit()]


async def test_no_card_stands_in_the_files_and_the_same_card_is_another_one_elsewhere(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    digests = set()
    for folder in (here, there):
        folder.mkdir()
        async with running(folder) as keeper:
            digests |= {keeper._file.pseudonym(CARD), keeper._file.pseudonym(OTHER_CARD)}
            learn(keeper, visit(keeper._file.pseudonym(CARD)), visit(keeper._file.pseudonym(OTHER_CARD)))
        text = (folder / NAME).read_bytes() + (folder / KEY_NAME).read_bytes()
        assert all(card.encode() not in text and card.lower().encode() not in text for card in (CARD, OTHER_CARD))
        assert [path.stat().st_mode & 0o777 for path in (folder / NAME, folder / KEY_NAME)] == [0o600, 0o600]
    assert len(digests) == 4
    assert {len(one) for one in digests} == {6}


async def test_without_a_state_directory_it_ends_with_the_gateway() -> None:
    async with running(None) as keeper:
        learn(keeper, visit())
        assert keeper.view()["kept_in"] is None
        assert await keeper.forget("CP-1/1", None) == {"forgotten": 1, "left": 0}
    async with running(None) as again:
        assert again.learning.visits == ()


async def test_switched_off_the_disk_forgets(tmp_path: Path) -> None:
    async with running(tmp_path) as keeper:
        learn(keeper, visit())
    async with running(tmp_path, days=0) as off:
        assert names(tmp_path) == []
        assert off.view() == {
            "kept_days": 0,
            "kept_in": str(tmp_path / NAME),
            "enough": 30,
            "cards": 0,
            "overall": None,
            "evses": {},
        }
    assert names(tmp_path) == []


async def test_a_full_memory_is_a_small_file(tmp_path: Path) -> None:
    async with running(tmp_path) as keeper:
        learn(keeper, *(visit(f"{n:06x}", f"station-with-a-name/{n % 3}") for n in range(MEMORY + 500)))
    assert (tmp_path / NAME).stat().st_size < 70 * MEMORY
    async with running(tmp_path) as again:
        assert len(again.learning.visits) == MEMORY


async def test_a_second_gateway_in_the_same_folder_learns_in_memory_only(tmp_path: Path) -> None:
    async with running(tmp_path) as first:
        learn(first, visit())
        with capture_logs() as logs:
            async with running(tmp_path) as second:
                learn(second, visit(evse="CP-9/1"))
        assert [(one["event"], one["reason"]) for one in logs] == [("habits_not_kept", "another process uses it")]
    assert [one.evse for one in file(tmp_path).read()] == ["CP-1/1"]


async def test_a_folder_that_is_not_there_costs_the_memory_and_not_the_start(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with running(tmp_path / "gone") as keeper:
            learn(keeper, visit())
            assert keeper.view()["kept_in"] is None
    assert [one["event"] for one in logs] == ["habits_not_kept"]
    assert "No such file or directory" in logs[0]["reason"]


# --- what damages files ---------------------------------------------------------------------------------------------


def test_a_power_cut_while_it_is_written_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    """A process that writes without a pause is killed, again and again."""
    script = (
        "import itertools, sys; from pathlib import Path; import structlog\n"
        "from local_controller.adapters.habits_file import HabitsFile; from optimizer.habits import Visit\n"
        "file = HabitsFile(Path(sys.argv[1]), structlog.get_logger())\n"
        "for n in itertools.count(1):\n"
        "    file.write([Visit('CP-1/1', '', 0, 8.0, 1.0, float(n), 1)] * 900)\n"
        "    print(n, flush=True)\n"
    )
    for _ in range(3):
        with subprocess.Popen(  # our own script
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            done = [int(process.stdout.readline()) for _ in range(4)][-1]
            process.send_signal(signal.SIGKILL)
            process.wait()
        found = file(tmp_path).read()
        assert len(found) == 900
        assert {one.energy_wh for one in found} == {found[0].energy_wh}
        assert found[0].energy_wh >= done


def test_whatever_was_written_of_the_next_file_the_old_one_counts(tmp_path: Path) -> None:
    file(tmp_path).write([visit()])
    whole = (tmp_path / NAME).read_bytes()
    for length in range(0, len(whole), 5):
        (tmp_path / f"{NAME}.new").write_bytes(whole[:length])
        assert file(tmp_path).read() == [visit()]


def _damaged() -> Iterator[bytes]:
    row = b'["CP-1/1","",738000,2,8.25,28800.0,11000.0]'
    yield from (b"", b"\x00" * 200, b"{}", b"[]", b'{"format":1}', b'{"format":2,"visits":[]}', b"\xff\xfe{")
    yield b'{"format":1,"visits":[%s' % row
    places = (
        (b'"CP-1/1"', b"7"),
        (b"738000", b"0"),
        (b",2,", b",7,"),
        (b"8.25", b"24.0"),
        (b"28800.0", b"-1.0"),
        (b"11000.0", b"1e999"),
        (b"]", b",9]"),
    )
    for sound, wrong in places:
        yield b'{"format":1,"visits":[%s]}' % row.replace(sound, wrong)


@pytest.mark.parametrize("text", list(_damaged()))
async def test_a_damaged_file_costs_the_memory_and_not_the_start_and_is_told(tmp_path: Path, text: bytes) -> None:
    (tmp_path / NAME).write_bytes(text)
    with capture_logs() as logs:
        async with running(tmp_path) as keeper:
            assert keeper.learning.visits == ()
            learn(keeper, visit())
    assert [(one["event"], one["log_level"]) for one in logs] == [("habits_put_aside", "warning")]
    assert (tmp_path / f"{NAME}.broken").read_bytes() == text
    assert file(tmp_path).read() == [visit()]


def test_the_examples_of_damage_are_damaged_in_one_place_only(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b'{"format":1,"visits":[["CP-1/1","",738000,2,8.25,28800.0,11000.0]]}')
    assert file(tmp_path).read() == [visit(day=738000)]


@pytest.mark.parametrize("key", [None, b"", b"short"])
def test_without_its_key_visits_are_nobodys(tmp_path: Path, key: bytes | None) -> None:
    mine = file(tmp_path).pseudonym(CARD)
    file(tmp_path).write([visit(mine)])
    if key is None:
        (tmp_path / KEY_NAME).unlink()
    else:
        (tmp_path / KEY_NAME).write_bytes(key)
    again = file(tmp_path)
    assert again.read() == [visit("")]
    again.write([visit("")])
    assert file(tmp_path).pseudonym(CARD) == again.pseudonym(CARD)


async def test_a_disk_that_takes_nothing_is_told_once_and_forgetting_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as keeper:
        learn(keeper, visit(), visit(evse="CP-2/1"))
        (tmp_path / f"{NAME}.new").mkdir()  # cannot be opened as a file
        with capture_logs() as logs:
            await keeper._keep()
            await keeper._keep()
            with pytest.raises(LocalControllerError, match=r"forgotten, but .*habits\.json is as it was .*: remove it"):
                await keeper.forget("CP-1/1", None)
        assert [one["event"] for one in logs] == ["habits_not_written"]
        assert [one.evse for one in keeper.learning.visits] == ["CP-2/1"]
        (tmp_path / f"{NAME}.new").rmdir()


def test_half_a_character_is_a_card_like_any_other(tmp_path: Path) -> None:
    assert file(tmp_path).pseudonym("\ud800A") != file(tmp_path).pseudonym("\ud801A")


# --- forgetting -----------------------------------------------------------------------------------------------------


async def test_what_was_forgotten_is_on_no_disk_any_more(tmp_path: Path) -> None:
    async with running(tmp_path) as keeper:
        mine = keeper._file.pseudonym(CARD)
        learn(keeper, visit(mine), visit("", "CP-2/1"), visit("", "CP-3/1"))
        await keeper._keep()
        (tmp_path / f"{NAME}.broken").write_bytes(b"an old file, with the same visits perhaps")
        (tmp_path / f"{KEY_NAME}.new").write_bytes(b"a key, left by a power cut")
        assert await keeper.forget(None, CARD) == {"forgotten": 1, "left": 2}
        assert file(tmp_path).read() == [visit("", "CP-2/1"), visit("", "CP-3/1")]
        assert not (tmp_path / f"{NAME}.broken").exists()
        assert await keeper.forget("CP-2/1", None) == {"forgotten": 1, "left": 1}
        assert await keeper.forget(None, None) == {"forgotten": 1, "left": 0}
        assert names(tmp_path) == []
        assert keeper._file.pseudonym(CARD) != mine


# --- over HTTP and by the command -----------------------------------------------------------------------------------


@asynccontextmanager
async def served(folder: Path | None) -> AsyncIterator[tuple[HabitsKeeper, str]]:
    async with running(folder) as keeper:
        server = WebServer("127.0.0.1", 0, dict, actions=Actions(habits=keeper))
        await server.start()
        try:
            yield keeper, f"http://127.0.0.1:{server.port}"
        finally:
            await server.stop()


async def posted(base: str, text: str, **head: str) -> Any:
    headers = {"Content-Type": "application/json"} | head
    request = Request(f"{base}/api/v1/habits/forget", text.encode(), headers, method="POST")  # noqa: S310  # it is http://...

    def ask() -> Any:
        with answered(request, base) as answer:
            return json.loads(answer.read())

    return await asyncio.to_thread(ask)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"evse": 3}', '{"all": false}', '{"evse": "CP-1/1", "all": true}', '{"who": "x"}']
)
async def test_what_is_no_request_forgets_nothing(text: str) -> None:
    async with served(None) as (keeper, base):
        learn(keeper, visit())
        with pytest.raises(LocalControllerError, match="send"):
            await posted(base, text)
        with pytest.raises(LocalControllerError, match=r"comes from a page of http://evil\.example"):
            await posted(base, '{"all": true}', Origin="http://evil.example")
        assert len(keeper.learning.visits) == 1


def site_file(folder: Path, port: int | str = 1, state: Path | None = None, more: str = "") -> str:
    path = folder / "site.yaml"
    kept = "" if state is None else f"state_directory: {state}\n"
    path.write_text(
        "site: {name: Shop, mode: control}\ncsms: {url: ws://csms}\nstations: [{id: CP-1}]\n"
        f"grid_connection: {{fuse_a: 50, assumed_base_load_a: 10}}\nweb: {{port: {port}}}\n{kept}{more}",
        encoding="utf-8",
    )
    return str(path)


async def ran(*arguments: str, typed: str = "") -> tuple[int, str, str]:
    result = await asyncio.to_thread(CliRunner().invoke, app, ["habits", *arguments], input=typed)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("is_running", [True, False])
async def test_the_command_shows_and_forgets_whether_a_gateway_runs_or_not(tmp_path: Path, is_running: bool) -> None:
    state = tmp_path / "state"
    state.mkdir()
    cards = file(state)
    kept = [visit(cards.pseudonym(CARD)), visit(cards.pseudonym(OTHER_CARD)), visit("", "CP-2/1"), visit("", "CP-3/1")]
    cards.write(kept)

    async def asked(site: str) -> None:
        code, said, _ = await ran("--site", site, "--json")
        seen = json.loads(said)
        assert (code, seen["overall"]["visits"], seen["cards"]) == (0, 4, 2)
        assert seen["overall"]["stay_h"]["p50"] == 8.0
        code, said, _ = await ran("--site", site)
        assert code == 0
        assert "4 visits with 2 cards, each kept for 400 days" in said
        assert "CP-1/1" in said
        assert date.fromordinal(TODAY).isoformat() in said
        assert CARD not in said
        assert await ran("forget", site, "--token-of", CARD.lower()) == (0, "visits forgotten: 1, left: 3\n", "")
        assert await ran("forget", site, "--token-of", "-", typed=f"{OTHER_CARD}\n") == (
            0,
            "visits forgotten: 1, left: 2\n",
            "",
        )
        assert await ran("forget", site, "--evse", "CP-2/1") == (0, "visits forgotten: 1, left: 1\n", "")
        assert await ran("forget", site, "--evse", "CP-1/1") == (0, "visits forgotten: 0, left: 1\n", "")
        assert await ran("forget", site, "--evse", "CP-1") == (
            1,
            "",
            "--evse CP-1: nothing was learnt there, and the site file knows no such EVSE; it knows CP-1/1\n",
        )
        assert file(state).read() == [visit("", "CP-3/1")]
        assert await ran("forget", site, "--all") == (0, "visits forgotten: 1, left: 0\n", "")
        assert names(state) == []
        code, said, _ = await ran("--site", site)
        assert (code, said.split(".")[0]) == (0, "Nothing has been learnt yet")

    if is_running:
        async with served(state) as (_, base):
            await asked(site_file(tmp_path, base.rpartition(":")[2], state))
    else:
        await asked(site_file(tmp_path, 1, state))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "forget what? Say --evse CP-7/1, --token-of 04A1B2C3 or --all"),
        (["--all", "--evse", "CP-1/1"], "forget what?"),
        (["--token-of", " "], "--token-of: an IdToken was expected"),
    ],
)
async def test_the_command_says_what_is_missing(tmp_path: Path, arguments: list[str], why: str) -> None:
    code, _, errors = await ran("forget", site_file(tmp_path), *arguments)
    assert code == 1
    assert why in errors


async def test_without_a_gateway_and_without_a_folder_there_is_nothing_to_ask(tmp_path: Path) -> None:
    code, _, errors = await ran("--site", site_file(tmp_path))
    assert code == 1
    assert "no gateway answers at" in errors


async def test_one_switched_off_says_so(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    path = site_file(tmp_path, 1, tmp_path / "state", "control: {learning_days: 0}\n")
    assert await ran("--site", path) == (0, "Nothing is learnt here: control.learning_days is 0.\n", "")


def test_a_folder_is_one_process_alone(tmp_path: Path) -> None:
    for _ in range(2):
        with alone(tmp_path) as first, alone(tmp_path) as second:
            assert (first, second) == (True, False)
