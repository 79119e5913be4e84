"""Does the doctor say of each thing that a site file names how it stands with it, in words and with a remedy?"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from local_controller.adapters.examination.kept import examine_journal
from local_controller.adapters.modbus.device import load_device
from local_controller.config.load import load
from tests.adapters.register_image import image, modbus_server
from tests.adapters.test_mqtt import Mosquitto, free_port, mosquitto_or_skip
from tests.cli.test_journal import entry, kept, writer

SDM630 = load_device("eastron_sdm630")


class Browsed(BaseHTTPRequestHandler):
    """A CSMS that lets no browser in, and says by its clock what time it is: `date`."""

    date = "Mon, 02 Mar 2026 08:00:00 GMT"

    def do_GET(self) -> None:
        """Not for browsers; the date of the answer is long ago."""
        self.send_response_only(400)
        self.send_header("Date", self.date)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal of the tests."""


@contextmanager
def csms() -> Iterator[int]:
    """A web server where the CSMS should be."""
    with HTTPServer(("127.0.0.1", 0), Browsed) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def site(folder: Path, *, csms_port: int, meter_port: int, more: str = "") -> Path:
    """A site file with all kinds of things to ask."""
    file = folder / "site.yaml"
    file.write_text(f"""
site: {{name: Test, mode: control}}
csms: {{url: "ws://127.0.0.1:{csms_port}/ocpp"}}
listen: {{port: {free_port()}}}
state_directory: {folder}
grid_connection: {{fuse_a: 63, assumed_base_load_a: 20, meter: main}}
meters: [{{id: main, device: eastron_sdm630, host: 127.0.0.1, port: {meter_port}}}]
stations: [{{id: CP-1}}]
{more}""")
    return file


async def doctor(file: Path, *options: str, patience_s: float = 1.5) -> tuple[int, str, str]:
    """The real command in a process of its own: exit code, standard output and error."""
    command = (sys.executable, "-m", "local_controller", "doctor", str(file), "--patience-s", str(patience_s), *options)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def examined(file: Path, patience_s: float = 1.5) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the finding of each subject; what is said about the clock stands apart."""
    code, out, _ = await doctor(file, "--json", patience_s=patience_s)
    return code, {"clock" if "the clock" in one["text"] else one["subject"]: one for one in json.loads(out)}


async def test_what_answers_is_told_with_its_values(tmp_path: Path) -> None:
    """A meter to compare with its display, a CSMS, folders and doors; a CSMS's clock of long ago is a warning only."""
    port = free_port()
    async with modbus_server(SDM630, port, image(SDM630)):
        with csms() as csms_port:
            code, found = await examined(site(tmp_path, csms_port=csms_port, meter_port=port))
    assert code == 0
    assert found["meter main"]["text"] == "10.5 / -21.2 / 32.8 A, 230 / 230 / 232 V, 5.10 kW"
    assert {found[one]["state"] for one in ("meter main", "csms 127.0.0.1", "state_directory", "listen")} == {"ok"}
    assert found["clock"]["state"] == "warning"
    assert "s ahead of that of the CSMS" in found["clock"]["text"]


async def test_what_does_not_answer_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """Nobody at the meter's and the CSMS's ports, a folder that is not there, a door that is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        more = f"web: {{port: {taken.getsockname()[1]}}}"
        file = site(tmp_path, csms_port=free_port(), meter_port=free_port(), more=more)
        file.write_text(file.read_text().replace(f"state_directory: {tmp_path}", "state_directory: /nowhere/at/all"))
        code, found = await examined(file)
    assert code == 1
    assert found["meter main"]["text"].startswith("cannot be reached")
    assert found["csms 127.0.0.1"]["text"].endswith("Connection refused")
    assert found["state_directory"]["remedy"] == "create it: mkdir -p /nowhere/at/all"
    assert found["web"]["state"] == "warning"
    assert all(one["remedy"] for one in found.values() if one["state"] != "ok")


async def test_no_folder_is_offered_where_a_file_is_and_nobody_is_waited_for_where_nobody_speaks(
    tmp_path: Path,
) -> None:
    file = site(tmp_path, csms_port=free_port(), meter_port=1)
    text = (
        file.read_text()
        .replace(", meter: main", "")
        .replace(f"state_directory: {tmp_path}", f"state_directory: {file}")
    )
    file.write_text("\n".join(line for line in text.splitlines() if not line.startswith("meters")))
    code, out, err = await doctor(file)
    assert (code, err) == (1, "")
    assert f"ERROR    state_directory: {file} is a file, no folder\n         -> name a folder\n" in out
    assert out.splitlines()[-1] == "3 things looked at: 2 errors, 0 warnings"


@pytest.mark.requirement("LC-054")
async def test_what_could_not_be_delivered_and_a_key_that_does_not_fit_are_told(tmp_path: Path) -> None:
    file = site(tmp_path, csms_port=free_port(), meter_port=1)
    config = load(file)
    assert list(examine_journal(config)) == [], "no CSMS of it is served without"
    file.write_text(file.read_text().replace('/ocpp"}', '/ocpp", outage: {}}'))
    config = load(file)
    assert list(examine_journal(config)) == [], "no gateway has made one yet"
    async with writer(tmp_path) as journal:
        await kept(journal, "CP-1", entry(), entry(), entry())
        journal.put_aside(2, "no answer within 30 s")
    assert [(one.state, one.text) for one in examine_journal(config)] == [
        ("warning", "1 message could not be delivered, and waits for a person"),
        ("ok", "2 messages to be delivered"),
    ]
    key = tmp_path / "journal.key"
    key.write_bytes(bytes(32))
    key.chmod(0o644)
    readable, wrong, *_ = examine_journal(config)
    assert (readable.state, readable.remedy) == ("warning", f"chmod 600 {key}")
    assert (wrong.state, wrong.remedy) == ("error", "put the right key back from a backup")
    key.unlink()
    (gone,) = examine_journal(config)
    assert (gone.state, gone.text) == ("error", f"{key}: No such file or directory")
    assert gone.remedy.startswith("put the key back from a backup")


async def test_an_adapter_that_is_not_there_is_not_looked_for_in_the_network(tmp_path: Path) -> None:
    file = site(tmp_path, csms_port=free_port(), meter_port=1)
    file.write_text(file.read_text().replace("host: 127.0.0.1, port: 1}", "serial: /dev/no-such-line}"))
    code, found = await examined(file)
    assert code == 1
    assert found["meter main"]["text"] == "cannot be reached: there is no /dev/no-such-line: is the adapter plugged in?"
    assert found["meter main"]["remedy"].startswith("check `serial`")


async def test_a_person_reads_lines_and_a_sum(tmp_path: Path) -> None:
    """Without --json: one line each, with an arrow to what helps."""
    file = site(tmp_path, csms_port=free_port(), meter_port=free_port())
    code, out, err = await doctor(file, patience_s=1)
    assert code == 1
    assert "ERROR    meter main: cannot be reached" in out
    assert "-> check host and port, the cable" in out
    assert "WARNING  step tests: nothing has proven yet that its meter sees CP-1/1 as this file says" in out
    assert out.rstrip().endswith("things looked at: 2 errors, 1 warning")
    assert "Waiting up to 1 s for 1 meter or limit" in err


@pytest.mark.e2e
async def test_a_broker_and_what_it_sends(tmp_path: Path) -> None:
    """A limit that is there, one that cannot be understood, and one that nobody sends; then no broker at all."""
    broker = Mosquitto(mosquitto_or_skip(), tmp_path, free_port())
    broker.start()
    port = free_port()
    more = f"""
brokers: [{{id: ems, host: 127.0.0.1, port: {broker.port}}}]
limits:
  - {{id: good, broker: ems, topic: good, fallback_a: 16}}
  - {{id: bad, broker: ems, topic: bad, fallback_a: 16}}
  - {{id: none, broker: ems, topic: none, fallback_a: 16}}
  - {{id: kw, broker: ems, topic: kw, fallback_a: 16}}
  - {{id: old, broker: ems, topic: old, fallback_a: 16}}
"""
    try:
        broker.publish('{"max_a": 40}', retain=True, topic="good")
        broker.publish('{"max_w": 11}', retain=True, topic="kw")
        broker.publish("null", retain=True, topic="bad")
        broker.publish('{"ts": "2026-03-02T08:00:00Z", "max_a": 40}', retain=True, topic="old")
        async with modbus_server(SDM630, port, image(SDM630)):
            csms_port = free_port()
            file = site(tmp_path, csms_port=csms_port, meter_port=port, more=more)
            code, found = await examined(file, patience_s=3)
            assert code == 1
            assert found["broker ems"]["state"] == "ok"
            assert found["limit good"]["text"] == "40.0 / 40.0 / 40.0 A, of unknown age: it has no time stamp"
            assert (found["limit kw"]["state"], found["limit kw"]["text"][:20]) == ("warning", "11 W, of unknown age")
            assert (
                found["limit kw"]["remedy"]
                == "no car charges below 500 W: are kilowatts meant? Send watts, or factor: 1000"
            )
            assert found["limit bad"]["state"] == "error"
            assert found["limit none"]["text"] == "nothing on none within 3 s; its fallback would count"
            assert found["limit old"]["remedy"] == "compare the clocks of its source and of this machine"
            alone = site(tmp_path, csms_port=csms_port, meter_port=port, more=more[: more.index("limits")])
            _, found = await examined(alone)
            assert found["broker ems"]["state"] == "ok", "it was waited for, though nothing is expected of it"
            file = site(tmp_path, csms_port=csms_port, meter_port=port, more=more)
            broker.kill()
            _, found = await examined(file)
            assert found["broker ems"]["state"] == "error"
            assert found["broker ems"]["remedy"] == "check host, port and cable of the broker"
    finally:
        broker.kill()
