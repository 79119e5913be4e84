"""`local-controller commission`: which EVSEs it tests, what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local_controller.adapters.web.server import Actions, WebServer
from local_controller.cli.main import app
from local_controller.site.commissioning import UntestableError
from local_controller.station.words import EvseId
from tests.adapters.test_mqtt import free_port

SITE = (
    "site: {{name: Test, mode: control}}\ncsms: {{url: ws://csms}}\ngrid_connection: {{fuse_a: 50, assumed_base_load_a: 10}}\n"
    "stations: [{{id: CP-1}}, {{id: CP-2, evses: 2}}]\n{web}"
)
RESULT: dict[str, Any] = {
    "at": "2026-03-02T08:00:00+00:00",
    "meter": "main",
    "conclusion": "proven",
    "text": "the meter saw 6.0 A on L1",
    "remedy": "",
    "faults": [],
    "notes": ["the order of the other phases is not proven"],
    "step_a": [6.0, 0.0, 0.0],
    "expected_a": 6.0,
    "expected_phases": [0],
    "found_phases": [0],
    "latency_s": 4.2,
}
WRONG = {"about": "rotation", "text": "the meter saw the step on L2", "remedy": "set rotation: STR"}
STEP = {"elapsed_s": 2.0, "doing": "lowered", "limit_a": 10.0, "meter": "main", "meter_a": [9.0, 1.0, 1.0]}


class Told:
    """CP-1 is proven, CP-2/1 is wired otherwise, CP-2/2 has no car."""

    def begin(self, evse: EvseId, *, may_pause: bool) -> AsyncIterator[dict[str, Any]]:
        if evse.evse == 2:
            raise UntestableError(f"{evse} has no car", "plug a car in that charges")
        return self._told(evse, may_pause)

    async def _told(self, evse: EvseId, may_pause: bool) -> AsyncIterator[dict[str, Any]]:
        yield {"evse": str(evse), **STEP, "doing": f"lowered, pause={may_pause}"}
        wrong = {"conclusion": "wrong", "faults": [WRONG], "found_phases": [1]} if evse.station == "CP-2" else {}
        yield {"result": {**RESULT, "evse": str(evse), **wrong}, "kept": None if wrong else "state"}


class Endless:
    """A test that goes on until nobody listens."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def begin(self, evse: EvseId, *, may_pause: bool) -> AsyncIterator[dict[str, Any]]:
        try:
            for number in range(1000):
                yield {"evse": str(evse), **STEP, "elapsed_s": number + 1.0, "pause": may_pause}
                await asyncio.sleep(0.05)
        finally:
            self.ended.set()


def site(folder: Path, web: str) -> str:
    (folder / "site.yaml").write_text(SITE.format(web=web))
    return str(folder / "site.yaml")


async def run(folder: Path, *options: str, columns: int = 100) -> tuple[int, str, str]:
    """The command beside a gateway."""
    port = free_port()
    server = WebServer("127.0.0.1", port, dict, actions=Actions(Told()))
    await server.start()
    arguments = ["commission", site(folder, f"web: {{port: {port}}}\n"), *options]
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments, env={"COLUMNS": str(columns)})
    await server.stop()
    return result.exit_code, result.stdout, result.stderr


async def test_a_proven_station_ends_with_0(tmp_path: Path) -> None:
    status, out, err = await run(tmp_path, "--station", "CP-1", "--pause")
    assert status == 0
    assert "proven" in out
    assert "Kept in state" in out
    assert err == "CP-1/1     2 s  limit 10.0 A  meter main 9.0/1.0/1.0 A  lowered, pause=True\n"


async def test_all_are_tested_one_after_the_other_and_each_fault_has_its_remedy(tmp_path: Path) -> None:
    status, out, _ = await run(tmp_path, "--all")
    assert status == 1
    assert all(word in out for word in ("CP-1/1", "CP-2/1", "CP-2/2", "rotation:", "-> set rotation: STR"))
    assert max(map(len, out.splitlines())) <= 100


async def test_json_has_every_result_also_of_what_could_not_be_tested(tmp_path: Path) -> None:
    status, out, _ = await run(tmp_path, "--station", "CP-2", "--json")
    assert status == 1
    first, second = json.loads(out)
    assert (first["evse"], first["faults"], first["kept"]) == ("CP-2/1", [WRONG], None)
    assert (second["evse"], second["conclusion"]) == ("CP-2/2", "not clear")
    assert (second["text"], second["remedy"]) == ("CP-2/2 has no car", "plug a car in that charges")


@pytest.mark.parametrize(
    ("web", "options", "text"),
    [
        ("", ("--all",), "has no `web` section, so its gateway cannot be asked; add `web: {}`"),
        ("web: {}\n", (), "which one? Name a --station, or test --all of CP-1/1, CP-2/1, CP-2/2"),
        ("web: {}\n", ("--station", "CP-7"), "there is no such EVSE; the site file knows CP-1/1, CP-2/1, CP-2/2"),
    ],
)
def test_what_it_needs_to_know_is_said(tmp_path: Path, web: str, options: tuple[str, ...], text: str) -> None:
    result = CliRunner().invoke(app, ["commission", site(tmp_path, web), *options])
    assert (result.exit_code, text in result.stderr) == (1, True), result.stderr


@pytest.mark.parametrize("options", [("--station", "CP-1"), ("--all",), ("--all", "--json")])
def test_without_a_gateway_it_says_so_once(tmp_path: Path, options: tuple[str, ...]) -> None:
    port = free_port()
    result = CliRunner().invoke(app, ["commission", site(tmp_path, f"web: {{port: {port}}}\n"), *options])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"no gateway answers at http://127.0.0.1:{port} (Connection refused): is `local-controller run` running with this site file?\n"
    )


@pytest.mark.parametrize("options", [(), ("--json",)])
async def test_what_was_tested_before_the_gateway_died_is_told(tmp_path: Path, options: tuple[str, ...]) -> None:
    async def proven(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dying.close()
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))  # else it is reset
        told = {"result": {**RESULT, "evse": "CP-1/1"}, "kept": "state"}
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(told).encode())
        await writer.drain()
        writer.close()

    port = free_port()
    dying = await asyncio.start_server(proven, "127.0.0.1", port)
    arguments = ["commission", site(tmp_path, f"web: {{port: {port}}}\n"), "--all", *options]
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments, env={"COLUMNS": "100"})
    assert result.exit_code == 1
    assert "proven" in result.stdout
    assert "no gateway answers" not in result.stdout
    assert result.stderr.startswith(f"no gateway answers at http://127.0.0.1:{port}")
    assert result.stderr.splitlines()[1:] == ["not tested: CP-2/1, CP-2/2"]
    if options:
        assert [one["evse"] for one in json.loads(result.stdout)] == ["CP-1/1"]


def test_a_site_that_is_only_observed_cannot_be_tested(tmp_path: Path) -> None:
    path = Path(site(tmp_path, "web: {}\n"))
    path.write_text(path.read_text().replace("mode: control", "mode: observe"))
    result = CliRunner().invoke(app, ["commission", str(path), "--all"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert (
        result.stderr == f"{path} says mode: observe, so no station is told anything: commission it in mode: control\n"
    )


async def test_the_narrowest_table_breaks_no_verdict(tmp_path: Path) -> None:
    _, out, _ = await run(tmp_path, "--all", columns=60)
    assert "Verdict" in out
    assert "not clear" in out
    assert max(map(len, out.splitlines())) <= 60


async def test_ctrl_c_ends_the_test_without_a_word_about_the_program(tmp_path: Path) -> None:
    told, port = Endless(), free_port()
    server = WebServer("127.0.0.1", port, dict, actions=Actions(told))
    await server.start()
    arguments = [
        "-m",
        "local_controller",
        "commission",
        site(tmp_path, f"web: {{port: {port}}}\n"),
        "--station",
        "CP-1",
    ]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE, stderr=PIPE)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(90):
            assert b"lowered" in await process.stderr.readline()
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
            await told.ended.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await server.stop()
    assert process.returncode == 1
    assert b"interrupted: the car gets back what it had" in err
    assert b"Traceback" not in err
