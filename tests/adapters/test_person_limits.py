"""A limit that a person sets: over HTTP from this machine, over a restart, and by the command."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from local_controller.adapters import person_limits as person_limits_module
from local_controller.adapters.person_limits import NAME, PersonLimits
from local_controller.adapters.web.server import Actions, WebServer
from local_controller.adapters.whole_file import write_whole
from local_controller.cli.gateway import answered
from local_controller.cli.limit import seconds
from local_controller.cli.main import app
from local_controller.clock import Clock, Instant
from local_controller.errors import LocalControllerError
from local_controller.site.effects import Notice
from local_controller.site.limits import AppliesTo, Bound
from local_controller.site.per_phase import equal
from local_controller.site.person_limit import LONGEST_S, PersonLimit, Told

NOON = datetime(2026, 3, 6, 12, tzinfo=UTC)


class Site:
    """Takes what it is told, as the real one does."""

    def __init__(self) -> None:
        self.limits = {"manual": PersonLimit("manual", "limit 'manual'", "grid", AppliesTo.TOTAL)}
        self.notices: list[Notice] = []

    def limit_told(self, limit: str, told: Told | None) -> None:
        self.limits[limit].told = told

    def tell(self, notice: Notice) -> None:
        self.notices.append(notice)


class SetClock(Clock):
    """Stands still where it is set."""

    utc = NOON

    def now(self) -> Instant:
        return Instant(1000.0, SetClock.utc)


def persons(directory: Path | None, clock: Clock | None = None) -> tuple[Site, PersonLimits]:
    site = Site()
    return site, PersonLimits(site.limits, site, clock or SetClock(), directory)


# --- over a restart -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later_s", "left_s"), [(600.0, 3000.0), (-86400.0, 3600.0), (3600.0, None), (86400.0 * 365, None)]
)
async def test_it_goes_on_after_a_restart_until_its_end_but_never_for_longer_than_meant(
    tmp_path: Path, later_s: float, left_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, before = persons(tmp_path)
    assert (await before.tell("manual", Bound(equal(20.0), 9000.0), 3600.0, "oven"))["outlives_restart"] is True
    monkeypatch.setattr(SetClock, "utc", NOON + timedelta(seconds=later_s))
    site, after = persons(tmp_path)
    after.restore()
    told = site.limits["manual"].told
    if left_s is None:
        assert told is None
    else:
        assert told is not None
        assert (told.bound, told.reason) == (Bound(equal(20.0), 9000.0), "oven")
        assert told.until.since(SetClock().now()) == pytest.approx(left_s)


async def test_what_is_ended_does_not_come_back(tmp_path: Path) -> None:
    _, before = persons(tmp_path)
    await before.tell("manual", Bound(equal(20.0)), 3600.0, "")
    await before.tell("manual", None, 0.0, "")
    site, after = persons(tmp_path)
    after.restore()
    assert site.limits["manual"].told is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}}",
        b'{"manual": 3}',
        b'{"gone": {"limit_a": null, "power_w": 1, "until_s": 9e9, "for_s": 9, "reason": ""}}',
    ],
)
def test_a_file_that_is_none_stops_no_start(tmp_path: Path, text: bytes) -> None:
    (tmp_path / NAME).write_bytes(text)
    site, after = persons(tmp_path)
    after.restore()
    assert site.limits["manual"].told is None


async def test_what_cannot_be_read_is_said_where_people_look_until_they_speak_of_it(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"{}}")
    site, after = persons(tmp_path)
    after.restore()
    (notice,) = site.notices
    assert (notice.level, notice.code) == ("error", "person_limits_unreadable")
    assert str(tmp_path / NAME) in notice.text
    assert notice.text.endswith("set again what should hold")
    assert (
        site.limits["manual"].rests == "not set; what was set before the start is lost, set it again if it should hold"
    )
    assert (await after.tell("manual", Bound(equal(20.0)), 60.0, ""))["lost"] == notice.text
    assert not (await after.tell("manual", None, 0.0, ""))["lost"]
    assert site.limits["manual"].rests == "not set"


def test_a_first_start_has_lost_nothing(tmp_path: Path) -> None:
    site, after = persons(tmp_path)
    after.restore()
    assert (site.notices, site.limits["manual"].rests) == ([], "not set")


def test_a_file_that_tells_an_end_beyond_all_times_stops_no_start(tmp_path: Path) -> None:
    entry = b'{"manual": {"limit_a": null, "power_w": 1, "until_s": 9e200, "for_s": 9e200, "reason": ""}}'
    (tmp_path / NAME).write_bytes(entry)
    site, after = persons(tmp_path)
    after.restore()
    told = site.limits["manual"].told
    assert told is not None
    assert told.until.since(SetClock().now()) == LONGEST_S


async def test_without_a_state_directory_it_is_said_that_a_restart_ends_it() -> None:
    _, limits = persons(None)
    assert (await limits.tell("manual", Bound(equal(20.0)), 60.0, ""))["outlives_restart"] is False


async def test_on_a_disk_that_takes_nothing_it_holds_all_the_same(tmp_path: Path) -> None:
    site, limits = persons(tmp_path / "gone")
    assert (await limits.tell("manual", Bound(equal(20.0)), 60.0, ""))["outlives_restart"] is False
    assert site.limits["manual"].told is not None


async def test_a_slow_disk_holds_up_nobody_and_the_last_word_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = threading.Event()

    def slowly(path: Path, text: bytes) -> None:
        assert may_write.wait(5)
        write_whole(path, text)

    monkeypatch.setattr(person_limits_module, "write_whole", slowly)
    site, limits = persons(tmp_path)
    first, second = (asyncio.create_task(limits.tell("manual", Bound(equal(amps)), 60.0, "")) for amps in (20.0, 6.0))
    await asyncio.sleep(0.02)
    assert site.limits["manual"].told is not None
    may_write.set()
    assert (await first)["outlives_restart"] is (await second)["outlives_restart"] is True
    again, restarted = persons(tmp_path)
    restarted.restore()
    assert again.limits["manual"].limit(SetClock().now()) == site.limits["manual"].limit(SetClock().now())


@pytest.mark.parametrize("for_s", [0.0, -1.0, 604801.0, float("nan")])
async def test_it_has_an_end_within_a_week(for_s: float) -> None:
    _, limits = persons(None)
    with pytest.raises(LocalControllerError, match=r"a limit holds for 1 s to 604800 s"):
        await limits.tell("manual", Bound(equal(20.0)), for_s, "")


# --- over HTTP ------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def served() -> AsyncIterator[tuple[Site, WebServer]]:
    site, limits = persons(None)
    server = WebServer("127.0.0.1", 0, dict, actions=Actions(limits=limits))
    await server.start()
    yield site, server
    await server.stop()


async def posted(server: WebServer, text: str, limit: str = "manual", **head: str) -> Any:
    base = f"http://127.0.0.1:{server.port}"
    headers = {"Content-Type": "application/json"} | head
    url = f"{base}/api/v1/limits/{limit}"
    request = Request(url, text.encode(), headers, method="POST")  # noqa: S310  # it is http://...

    def ask() -> Any:
        with answered(request, base) as answer:
            return json.loads(answer.read())

    return await asyncio.to_thread(ask)


async def test_a_person_on_the_machine_sets_and_ends_it(served: tuple[Site, WebServer]) -> None:
    site, server = served
    told = await posted(server, '{"max_a": [20, 20, 10], "for_s": 60, "reason": "oven"}')
    assert told["holds"].startswith("limit 'manual' (oven): 20.0 / 20.0 / 10.0 A (total) at grid for 1 min")
    assert site.limits["manual"].told is not None
    await posted(server, '{"max_w": 11000, "for_s": 60}')
    assert site.limits["manual"].told.bound == Bound(None, 11000.0)
    await posted(server, '{"end": true}')
    assert site.limits["manual"].told is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "send"),
        ("{}", "a limit, or its end"),
        ('{"max_a": 16, "end": true}', "a limit, or its end"),
        ('{"max_a": 16}', "for 0 s: a limit holds for"),
        ('{"max_a": -1, "for_s": 60}', "send"),
        ('{"max_a": [1, 2], "for_s": 60}', "send"),
        ('{"max_a": "16", "for_s": 60}', "send"),
        ('{"max_kw": 16, "for_s": 60}', "send"),
    ],
)
async def test_what_is_no_limit_is_refused_with_an_example(served: tuple[Site, WebServer], text: str, why: str) -> None:
    site, server = served
    with pytest.raises(LocalControllerError, match=why):
        await posted(server, text)
    assert site.limits["manual"].told is None


async def test_a_limit_that_the_site_file_does_not_have_is_named(served: tuple[Site, WebServer]) -> None:
    with pytest.raises(LocalControllerError, match="no limit 'ems' that a person sets; manual"):
        await posted(served[1], '{"max_a": 16, "for_s": 60}', "ems")


async def test_a_page_of_somebody_else_sets_nothing(served: tuple[Site, WebServer]) -> None:
    with pytest.raises(LocalControllerError, match=r"comes from a page of http://evil\.example"):
        await posted(served[1], '{"max_a": 16, "for_s": 60}', Origin="http://evil.example")


# --- by the command -------------------------------------------------------------------------------------------------


def written(folder: Path, port: int, limits: str = "limits: [{id: manual, source: person}]") -> str:
    path = folder / "site.yaml"
    path.write_text(
        "site: {name: Shop, mode: control}\ncsms: {url: ws://csms}\nstations: [{id: CP-1}]\n"
        f"grid_connection: {{fuse_a: 50, assumed_base_load_a: 10}}\nweb: {{port: {port}}}\n{limits}\n",
        encoding="utf-8",
    )
    return str(path)


async def ran(*arguments: str) -> tuple[int, str, str]:
    result = await asyncio.to_thread(CliRunner().invoke, app, ["limit", *arguments])
    return result.exit_code, result.stdout, result.stderr


async def test_the_command_sets_and_ends_it(served: tuple[Site, WebServer], tmp_path: Path) -> None:
    site, server = served
    file = written(tmp_path, server.port)
    code, said, warned = await ran(file, "--max-a", "16", "--for", "2h", "--reason", "oven")
    assert (code, said) == (0, "limit 'manual' (oven): 16.0 / 16.0 / 16.0 A (total) at grid for 120 min\n")
    assert "a restart of the gateway ends it: give the site file a state_directory" in warned
    assert site.limits["manual"].told is not None
    assert await ran(file, "manual", "--end") == (0, "limit 'manual': ended\n", "")


async def test_the_command_says_what_was_lost_at_the_start(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"\xff")
    site, limits = persons(tmp_path)
    limits.restore()
    server = WebServer("127.0.0.1", 0, dict, actions=Actions(limits=limits))
    await server.start()
    try:
        code, _, warned = await ran(written(tmp_path, server.port), "--max-a", "16", "--for", "2h")
    finally:
        await server.stop()
    assert (code, warned) == (0, f"{site.notices[0].text}\n")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "how much? Say --max-a 16, --max-w 11000, or --end"),
        (["--max-a", "16"], "for how long? Say --for 2h"),
        (["--max-a", "16,16", "--for", "2h"], "--max-a 16,16: write one number for all phases, or three"),
        (["--max-a", "16", "--for", "2 weeks"], "--for 2 weeks: write a number with s, min, h or d"),
        (["other", "--max-a", "16", "--for", "2h"], "which limit? The site file has manual"),
        (["--max-a", "16", "--for", "8d"], "a limit holds for 1 s to 604800 s (7 days)"),
    ],
)
async def test_the_command_says_what_is_missing(
    served: tuple[Site, WebServer], tmp_path: Path, arguments: list[str], why: str
) -> None:
    code, _, errors = await ran(written(tmp_path, served[1].port), *arguments)
    assert code == 1
    assert why in errors


async def test_a_site_without_such_a_limit_is_told_how_to_have_one(tmp_path: Path) -> None:
    code, _, errors = await ran(written(tmp_path, 9, ""), "--max-a", "16", "--for", "2h")
    assert code == 1
    assert "add for example `limits: [{id: manual, source: person}]`" in errors


def test_durations() -> None:
    assert [seconds(text) for text in ("90s", "1.5 min", "2h", "7d")] == [90, 90, 7200, 604800]
