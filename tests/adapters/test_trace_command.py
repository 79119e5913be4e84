"""`local-controller trace`: what a person sees of a site whose gateway passed, changed, answered and asked."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from local_controller.adapters.trace_diff import differences
from local_controller.adapters.trace_store import TraceStore
from local_controller.cli.main import app
from local_controller.clock import Instant
from local_controller.profiles.units import RateUnit
from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.effects import Effect, Fate, Peer, Send, Trace
from local_controller.station.words import OcppVersion
from tests.transcripts.dialogue import START, Stage

PROFILE = (
    '{"chargingProfileId":5,"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Relative",'
    '"chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":10.0}]}}'
)
DEFAULT = PROFILE.replace("TxProfile", "TxDefaultProfile")
STORY = (
    'station > [2,"s1","Heartbeat", {} ]',
    'csms    > [3,"s1",{"currentTime":"2026-11-22T12:00:00Z"}]',
    'csms    > [2,"c1","Reset",{"type":"Soft","x":1.10}]',  # passes at once
    'csms    > [2,"c2","UnlockConnector",{"connectorId":1}]',  # waits for its slot, then passes
    'station > [3,"c1",{"status":"Accepted"}]',
    'station > [3,"c2",{"status":"Unlocked"}]',
    f'csms    > [2,"c3","RemoteStartTransaction",{{"idTag":"T1","chargingProfile":{PROFILE}}}]',  # loses its profile
    'station > [3,"c3",{"status":"Accepted"}]',
    f'csms    > [2,"c4","SetChargingProfile",{{"connectorId":0,"csChargingProfiles":{DEFAULT}}}]',  # answered here
    'station > [3,"nobody asked",{}]',  # discarded
    'csms    > [2,"c5","ChangeConfiguration",{"key":"AuthorizationKey","value":"0123456789abcdef"}]',
    "station > noise",
)


def played(lines: Iterable[str] = STORY) -> list[tuple[Effect, Instant]]:
    """The effects of a story, on a station that accepts every profile."""
    ids = itertools.count(1)
    proxy, _ = station_proxy("CP/1", OcppVersion.V16, StationSettings(unit=RateUnit.A), ids=lambda: f"LC{next(ids)}")
    stage, effects = Stage(proxy), [(effect, START) for effect in proxy.connected(START)]
    for line in lines:
        came = stage.play_input(line)
        while came:
            effects += [(effect, stage.now) for effect in came]
            own = [e.text for e in came if isinstance(e, Send) and e.peer is Peer.STATION and '[2,"LC' in e.text]
            answers = [f'[3,"{json.loads(text)[1]}",{{"status":"Accepted"}}]' for text in own]
            came = [effect for answer in answers for effect in proxy.receive(Peer.STATION, answer, stage.now)]
        stage.now = stage.now.after(1.0)
    return effects


def written(file: Path, effects: Iterable[tuple[Effect, Instant]]) -> Path:
    async def write() -> None:
        store = TraceStore(file, 10_000_000, structlog.get_logger())
        await store.start()
        for effect, now in effects:
            if isinstance(effect, Trace):
                store.record("CP/1", effect, now)
        await store.stop()

    asyncio.run(write())
    return file


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return written(tmp_path / "trace.db", played())


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["trace", *map(str, arguments)])
    return result.exit_code, result.output


def summary(printed: str) -> dict[str, int]:
    counts: dict[str, int] = json.loads(printed.splitlines()[-1])
    return counts


@pytest.mark.parametrize("command", ["tail", "export"])
def test_a_trace_without_messages_says_so_beside_its_output(trace: Path, tmp_path: Path, command: str) -> None:
    nothing = CliRunner().invoke(app, ["trace", command, str(written(tmp_path / "empty.db", []))])
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert nothing.stderr == f"{tmp_path / 'empty.db'}: holds no messages yet\n"
    slip = CliRunner().invoke(app, ["trace", command, str(trace), "--station", "CP-1"])
    assert (slip.exit_code, slip.stdout) == (0, "")
    assert slip.stderr == f"{trace}: holds no messages of CP-1\n"
    assert CliRunner().invoke(app, ["trace", command, str(trace), "--station", "CP/1"]).stderr == ""


def test_diff_names_each_message_that_did_not_simply_pass_and_counts_the_others(trace: Path) -> None:
    status, printed = run("diff", trace)
    assert status == 0
    assert '\n    /3/chargingProfile: {"chargingProfileId": 5' in printed
    assert printed.count("chargingProfile: {") == 1
    assert ' csms to gateway: absorbed SetChargingProfile "c4" (claimed)' in printed
    assert ' gateway to csms: injected answer "c4"\n    answers SetChargingProfile [3,"c4"' in printed
    assert ' station to gateway: discarded answer "nobody asked"' in printed
    assert "0123456789abcdef" not in printed
    counts = summary(printed)
    own = counts.pop("injected"), counts.pop("absorbed")
    assert own[0] > 0
    assert own[1] > 0
    assert counts == {
        "passed": 9, "compared": 1, "altered": 1, "discarded": 1,
        "refused": 0, "mismatched": 0, "waiting": 0, "made_room": 0, "not_kept": 0,
    }  # fmt: skip


def test_an_id_that_comes_again_is_not_taken_for_a_message_whose_connection_ended(tmp_path: Path) -> None:
    traces = [
        Trace(Peer.STATION, '[2,"1","MeterValues",{}]', Fate.QUEUED),  # then its connection ended
        Trace(Peer.STATION, '[2,"1","Heartbeat",{}]', Fate.QUEUED),
        Trace(Peer.STATION, '[2,"1","Heartbeat",{}]', Fate.PASSED),
    ]
    status, printed = run("diff", written(tmp_path / "t.db", [(trace, START) for trace in traces]))
    assert status == 0
    assert (summary(printed)["compared"], summary(printed)["waiting"]) == (1, 1)


def test_diff_shows_what_was_refused_with_its_error(tmp_path: Path) -> None:
    traces = [
        Trace(Peer.CSMS, '[2,"g","SetNetworkProfile",{}]', Fate.REFUSED, "claimed"),
        Trace(None, '[4,"g","SecurityError","",{}]', Fate.INJECTED),
        Trace(Peer.STATION, '[2,"q","Heartbeat",{}]', Fate.REFUSED, "queue full"),
        Trace(None, '[4,"q","InternalError","",{}]', Fate.INJECTED),
    ]
    status, printed = run("diff", written(tmp_path / "t.db", [(trace, START) for trace in traces]))
    assert status == 0
    assert ' csms to gateway: refused SetNetworkProfile "g" (claimed)' in printed
    assert ' gateway to csms: injected answer "g"\n    answers SetNetworkProfile [4,"g"' in printed
    assert ' station to gateway: refused Heartbeat "q" (queue full)' in printed
    assert ' gateway to station: injected answer "q"' in printed
    assert (summary(printed)["refused"], summary(printed)["injected"]) == (2, 2)


def test_all_that_was_sent_is_in_the_diff_and_nothing_else(trace: Path) -> None:
    counts = summary(run("diff", trace)[1])
    sent = [effect for effect, _ in played() if isinstance(effect, Send)]
    assert counts["passed"] + counts["altered"] + counts["injected"] == len(sent)


def test_a_message_that_did_not_leave_as_it_came_fails_the_diff(tmp_path: Path) -> None:
    def tampered(effect: Effect) -> Effect:
        if isinstance(effect, Trace) and '"c2"' in effect.text and effect.fate is Fate.PASSED:
            return Trace(effect.sender, effect.text.replace('"connectorId":1', '"connectorId":2'), Fate.PASSED)
        return effect

    status, printed = run("diff", written(tmp_path / "t.db", [(tampered(e), now) for e, now in played()]))
    assert status == 1
    assert "MISMATCH" in printed
    assert summary(printed)["mismatched"] == 1


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ('{"a":1.10,"b":[1,2]}', '{"a":1.1,"b":[1,3]}', ["/a: 1.10 -> 1.1", "/b/1: 2 -> 3"]),
        ('{"a":{"x/y":"é"}}', '{"a":{}}', ['/a/x~1y: "é" -> (absent)']),
        ('{"a":[]}', '{"a":[{"n":2.50}]}', ['/a: [] -> [{"n": 2.50}]']),
        ('{"a":"1"}', '{"a":1}', ['/a: "1" -> 1']),
        ('{"a":1, "b":2}', '{"b":2,"a":1}', ["spelling only: blanks, escapes or the order of members"]),
        ("no JSON", "{}", ["no JSON", "{}"]),
    ],
)
def test_differences_are_named_by_their_place_and_spelling(before: str, after: str, lines: list[str]) -> None:
    assert differences(before, after) == lines


def test_tail_shows_the_newest_messages(trace: Path) -> None:
    status, printed = run("tail", trace, "--lines", "1")
    assert (status, printed) == (0, "2026-11-22T12:00:11.000000+00:00 CP/1 station passed noise\n")
    assert run("tail", trace, "--station", "CP-2") == (0, f"{trace}: holds no messages of CP-2\n")


def test_tail_follows_a_trace_that_is_being_written(trace: Path) -> None:
    command = [sys.executable, "-m", "local_controller", "trace", "tail", trace, "--lines", "1", "--follow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().endswith("passed noise\n")
        written(trace, [(Trace(Peer.CSMS, '[2,"n","ClearCache",{}]', Fate.PASSED), START)])
        assert process.stdout.readline().endswith('passed [2,"n","ClearCache",{}]\n')
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_export_as_json_lines_has_every_record_word_for_word(trace: Path) -> None:
    status, printed = run("export", trace)
    assert status == 0
    records = [json.loads(line) for line in printed.splitlines()]
    assert records[-1]["text"] == "noise"
    assert records[0] == {
        "number": 1, "utc": "2026-11-22T12:00:00.000000+00:00", "identity": "CP/1", "sender": "station",
        "fate": "passed", "message_id": "s1", "action": "Heartbeat", "detail": "", "text": '[2,"s1","Heartbeat", {} ]',
    }  # fmt: skip
    assert len(records) == sum(isinstance(effect, Trace) for effect, _ in played())


def test_a_copy_is_for_its_owner_only_too(trace: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert run("export", trace, "--output", tmp_path / "x.jsonl") == (0, "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.jsonl").stat().st_mode) == 0o600
    status, printed = run("export", trace, "--output", tmp_path / "no" / "x")
    assert status == 1
    assert "No such file" in printed


@pytest.fixture
def long_trace(tmp_path: Path) -> Path:
    calls = [Trace(Peer.STATION, f'[2,"{n}","DataTransfer",{{"data":"{"x" * 150}"}}]', Fate.PASSED) for n in range(300)]
    return written(tmp_path / "t.db", [(call, START) for call in calls])


PAGE = 4096


def damaged(file: Path, page: int, content: bytes = bytes(PAGE)) -> Path:
    """A copy of which one page, counted from 0, holds something else."""
    sound, copy = file.read_bytes(), file.with_name("damaged.db")
    copy.write_bytes(sound[: page * PAGE] + content + sound[(page + 1) * PAGE :])
    return copy


@pytest.mark.parametrize("content", [bytes(PAGE), b"\xff" * PAGE, bytes(range(256)) * (PAGE // 256)])
def test_whatever_page_is_damaged_what_can_be_read_is_exported_and_the_rest_is_named(
    long_trace: Path, content: bytes
) -> None:
    whole = run("export", long_trace)[1].splitlines()
    lost = []
    for page in range(1, long_trace.stat().st_size // PAGE):  # without the first, SQLite does not know the file
        result = CliRunner().invoke(app, ["trace", "export", str(damaged(long_trace, page, content))])
        exported = result.stdout.splitlines()
        assert [line for line in whole if line in set(exported)] == exported
        lost.append(len(whole) - len(exported))
        assert result.exit_code == (1 if lost[-1] else 0)
        assert (f"{lost[-1]} of the messages" in result.stderr) == bool(lost[-1])
    assert 0 in lost
    assert len(whole) in lost  # the root of the tree of messages
    assert sum(0 < count < 30 for count in lost) >= 10  # its leaves


@pytest.mark.parametrize("command", ["tail", "diff", "export"])
def test_a_damaged_page_is_told_with_its_place_and_remedy(long_trace: Path, command: str) -> None:
    file = damaged(long_trace, 8)
    left = [json.loads(line)["number"] for line in run("export", file)[1].splitlines()[:-1]]
    lost = sorted({*range(1, 301)} - {*left})
    result = CliRunner().invoke(app, ["trace", command, str(file), *(["--lines", "300"] if command == "tail" else [])])
    assert result.exit_code == 1
    place = f"cannot read {len(lost)} of the messages {lost[0]} to {lost[-1]}"
    assert result.stderr.startswith(f"{file}: damaged: {place}; ")
    assert "remove the file while the gateway is stopped" in result.stderr
    if command == "diff":
        assert summary(result.stdout)["passed"] == len(left)
    else:
        assert len(result.stdout.splitlines()) == len(left)


def test_a_damaged_trace_is_shown_to_wireshark_as_far_as_it_goes(long_trace: Path, tmp_path: Path) -> None:
    file, output = damaged(long_trace, 8), tmp_path / "t.pcapng"
    assert run("export", file, "--format", "pcapng", "--output", output)[0] == 1
    left = len(run("export", file)[1].splitlines()) - 1
    assert output.read_bytes().count(b"DataTransfer") == 2 * left


@pytest.mark.parametrize(
    "column", ["utc = 'noon'", "utc = '2026-11-22T12:00:00'", "text = x'ff'", "text = CAST(x'ff' AS TEXT)"]
)
def test_a_record_whose_content_is_damaged_is_named_and_the_rest_is_read(trace: Path, column: str) -> None:
    with closing(sqlite3.connect(trace)) as database, database:
        database.execute(f"UPDATE frames SET {column} WHERE number = 3")  # noqa: S608 - words of this test
    for arguments in (["export"], ["export", "--format", "pcapng"], ["tail"], ["diff"]):
        result = CliRunner().invoke(app, ["trace", *arguments, str(trace)])
        assert result.exit_code == 1
        assert f"{trace}: damaged: cannot read 1 of the messages 3 to 3; " in result.stderr


def test_a_fate_of_a_newer_version_is_shown_by_its_name(trace: Path) -> None:
    with closing(sqlite3.connect(trace)) as database, database:
        database.execute("UPDATE frames SET fate = 'stored' WHERE message_id = 's1' AND action = 'Heartbeat'")
    told = f"{trace}: a newer version wrote of messages that were stored; read it with that version\n"
    for command in ("tail", "export"):
        result = CliRunner().invoke(app, ["trace", command, str(trace)])
        assert (result.exit_code, result.stderr) == (0, "")
        assert "stored" in result.stdout
    result = CliRunner().invoke(app, ["trace", "diff", str(trace)])
    assert (result.exit_code, result.stderr) == (0, told)
    assert ' station to gateway: stored Heartbeat "s1"\n    [2,"s1","Heartbeat", {} ]\n' in result.stdout
    assert summary(result.stdout)["stored"] == 1
    assert run("export", trace, "--format", "pcapng", "--output", trace.with_suffix(".pcapng")) == (0, "")


def test_what_is_no_trace_is_named(tmp_path: Path) -> None:
    for command in ("tail", "export", "diff"):
        status, printed = run(command, tmp_path / "no.db")
        assert status == 1
        assert "name the `trace.file` of a site file" in printed


# --- Wireshark ----------------------------------------------------------------------------------------------------


def tshark(file: Path, *arguments: str) -> str:
    """What Wireshark's command line makes of a file; it is installed in CI."""
    if shutil.which("tshark") is None:
        assert "REQUIRE_PEERS" not in os.environ, "tshark is not installed"
        pytest.skip("tshark is not installed")
    command = ["tshark", "-r", file, "-o", "websocket.text_type:As JSON", "-o", "tcp.check_checksum:TRUE", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def dissected(file: Path, shown: str, *fields: str) -> list[Any]:
    said = tshark(file, "-Y", shown, "-T", "json", *(word for field in fields for word in ("-e", field)))
    return [packet["_source"]["layers"] for packet in json.loads(said or "[]")]


@pytest.fixture
def capture(trace: Path) -> Path:
    file = trace.with_suffix(".pcapng")
    assert run("export", trace, "--format", "pcapng", "--output", file) == (0, "")
    return file


def test_wireshark_sees_each_leg_as_a_sound_websocket_connection(capture: Path) -> None:
    expert = "tcp.analysis.flags or tcp.checksum.status == 0 or ip.checksum.status == 0 or _ws.malformed or _ws.expert.severity >= 6291456"
    assert dissected(capture, expert, "frame.number") == []
    uris = [found["http.request.uri"] for found in dissected(capture, "http.request", "http.request.uri")]
    assert uris == [["/CP%2F1"], ["/CP%2F1"]]


def test_wireshark_reads_every_message_that_came_or_went_with_its_fate(capture: Path) -> None:
    found = dissected(capture, "websocket", "json.value.string", "frame.comment", "ip.src")
    effects = [effect for effect, _ in played()]
    sent = sum(isinstance(effect, Send) for effect in effects)
    received = len(STORY) + sum("answers us" in e.detail for e in effects if isinstance(e, Trace))
    assert len(found) == sent + received
    assert [layer["frame.comment"] for layer in found[:2]] == [["CP/1: passed"], ["CP/1: passed"]]
    heartbeats = [layer["ip.src"] for layer in found if "Heartbeat" in layer.get("json.value.string", [])]
    assert heartbeats == [["198.18.0.0"], ["192.0.2.2"]]  # station to gateway, gateway to CSMS
    resets = [layer["ip.src"] for layer in found if "Reset" in layer.get("json.value.string", [])]
    assert resets == [["192.0.2.1"], ["192.0.2.2"]]  # CSMS to gateway, gateway to station


def test_wireshark_puts_a_long_message_together_again(tmp_path: Path) -> None:
    sizes = [100, 125, 126, 65_535, 65_536, 300_000]
    texts = [f'[2,"{n}","DataTransfer",{{"data":"{"ä" * (size // 2)}"}}]' for n, size in enumerate(sizes)]
    trace = written(tmp_path / "t.db", [(Trace(Peer.STATION, text, Fate.PASSED), START) for text in texts])
    file = tmp_path / "t.pcapng"
    assert run("export", trace, "--format", "pcapng", "--output", file)[0] == 0
    assert sorted(lengths(file)) == sorted(2 * [len(text.encode()) for text in texts])


def lengths(file: Path) -> list[int]:
    """The lengths of all messages in bytes, from the widest of the three fields that a header has."""
    fields = [f"websocket.payload_length{width}" for width in ("", "_ext_16", "_ext_64")]
    return [max(int(value) for (value,) in layers.values()) for layers in dissected(file, "websocket", *fields)]
