"""Does the security log tell who tried what, with a remedy, and can nobody flood it?"""

from __future__ import annotations

import io
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from local_controller.adapters import security_log
from local_controller.adapters.security_log import EVENTS, Pace, SecurityFile, SecurityLog, Throttle
from local_controller.adapters.tls_door import REMEDIES
from local_controller.cli.logs import configure
from local_controller.errors import LocalControllerError

pytestmark = pytest.mark.usefixtures("logs_as_before")


class Logs:
    """The normal log, and the security file if there is one."""

    def __init__(self, file: Path | None = None, level: str = "info", pace: Pace | None = None) -> None:
        self.stream = io.StringIO()
        self.path = file
        self.file = None if file is None else SecurityFile(file)
        configure(level, as_json=True, stream=self.stream, security=SecurityLog(self.file, pace or Pace()))
        self.log: Any = structlog.get_logger()

    @property
    def normal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def written(self) -> list[dict[str, Any]]:
        assert self.file
        assert self.path
        self.file.close()
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.requirement("LC-138")
@pytest.mark.parametrize(
    ("event", "fields", "remedy"),
    [
        ("csms_refused", {"status": 401}, "the CSMS does not accept this station's password"),
        ("csms_refused", {"status": 403}, "the CSMS does not accept this station's password"),
        ("login_refused", {}, "it showed no password that the CSMS accepted before"),
        ("csms_tls_failed", {"reason": "certificate verify failed"}, "compare the host in csms.url"),
        ("station_tls_failed", {"reason": "NO_SHARED_CIPHER", "remedy": "give it two"}, "give it two"),
        ("station_tls_failed", {"reason": "?", "remedy": ""}, "compare the station's TLS settings"),
        ("wrong_certificate", {"certificate": "CPX-1", "serial": "CPX-2"}, "correct the station's serial"),
        ("guarded_message", {"kind": "network", "action": "refuse"}, "set guards.network in the site file to pass"),
        ("guarded_message", {"kind": "network", "action": "rewrite"}, "set guards.network in the site file to pass"),
        ("unknown_station", {}, "add it to stations in the site file"),
        ("rate_limited", {"limit": "messages"}, "find out why this sender is so busy"),
        ("second_connection_refused", {}, "two devices use one identity"),
    ],
)
def test_an_event_becomes_an_entry_with_a_remedy(
    tmp_path: Path, event: str, fields: dict[str, Any], remedy: str
) -> None:
    logs = Logs(tmp_path / "security.jsonl")
    logs.log.warning(event, station="CP-7", address="192.0.2.9", **fields)
    (entry,) = logs.written()
    assert entry["event"] == event
    assert (entry["station"], entry["address"]) == ("CP-7", "192.0.2.9")
    assert entry["timestamp"].endswith("Z")
    assert remedy in entry["remedy"]
    assert logs.normal == [entry]
    assert entry["channel"] == "security"


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("csms_refused", {"status": 503}),
        ("csms_refused", {"status": 404}),
        ("guarded_message", {"kind": "credentials", "action": "pass"}),
        ("running", {}),
    ],
)
def test_other_events_are_none_of_its_business(tmp_path: Path, event: str, fields: dict[str, Any]) -> None:
    logs = Logs(tmp_path / "security.jsonl")
    logs.log.warning(event, **fields)
    assert logs.written() == []
    assert "channel" not in logs.normal[0]


@pytest.mark.requirement("LC-138")
def test_it_holds_no_secrets(tmp_path: Path) -> None:
    logs = Logs(tmp_path / "security.jsonl")
    logs.log.warning(
        "login_refused", station="CP-7", header="Basic Q1AtNzpzZWNyZXQ=", url="wss://me:hush@x/", idTag="04A2B3C4"
    )
    text = json.dumps(logs.written())
    assert [secret for secret in ("Q1AtNz", "hush", "04A2B3C4") if secret in text] == []


def test_it_listens_also_when_only_errors_are_logged(tmp_path: Path) -> None:
    logs = Logs(tmp_path / "security.jsonl", level="error")
    logs.log.warning("unknown_station", identity="X")
    assert [entry["event"] for entry in logs.written()] == ["unknown_station"]
    assert logs.normal == []


def test_long_words_of_strangers_are_cut(tmp_path: Path) -> None:
    logs = Logs(tmp_path / "security.jsonl")
    logs.log.warning("unknown_station", identity="X" * 100_000)
    assert len(logs.written()[0]["identity"]) < 1000


# --- floods -----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-138")
def test_who_makes_many_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1000.0
    monkeypatch.setattr(security_log.time, "monotonic", lambda: now_s)
    logs = Logs(tmp_path / "security.jsonl", pace=Pace(each=2, window_s=60))
    for _ in range(50):
        logs.log.warning("unknown_station", address="192.0.2.9", identity="X")
    logs.log.warning("unknown_station", address="192.0.2.10", identity="Y")
    now_s += 60
    logs.log.warning("unknown_station", address="192.0.2.9", identity="X")
    entries = logs.written()
    assert [entry["address"][-2:] for entry in entries] == [".9", ".9", "10", ".9"]
    assert [entry.get("repeated") for entry in entries] == [None, None, None, 48]
    assert logs.normal == entries, "the normal log is not flooded either"


def test_another_port_is_the_same_sender(tmp_path: Path) -> None:
    logs = Logs(tmp_path / "security.jsonl", pace=Pace(each=2))
    for port in range(40_000, 40_009):
        logs.log.warning("unknown_station", address=("192.0.2.9", port), identity=f"X{port}")
    assert len(logs.written()) == 2


TRIES = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 9).map(str), st.floats(0, 40)), min_size=1, max_size=400
)


@given(TRIES, st.integers(1, 4), st.integers(1, 12), st.integers(1, 5))
def test_none_is_lost_from_the_count_and_never_too_many_get_through(
    tries: list[tuple[str, str, float]], each: int, total: int, senders: int
) -> None:
    throttle = Throttle(Pace(each, total, 60.0, senders))
    now_s, told, dropped, times = 0.0, 0, 0, []
    for event, sender, wait_s in tries:
        now_s += wait_s
        answer = throttle.admit(event, sender, now_s)
        if answer is None:
            dropped += 1
        else:
            told += sum(answer)
            times.append(now_s)
    waiting = sum(window.dropped for window in throttle._senders.values()) + throttle._dropped_elsewhere
    assert told + waiting == dropped
    assert len(throttle._senders) <= senders
    for moment in times:
        assert sum(moment <= other < moment + 60 for other in times) <= 2 * total


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_file_is_for_its_owner_and_of_limited_size(tmp_path: Path) -> None:
    file = SecurityFile(tmp_path / "security.jsonl", max_bytes=1000, older=2)
    for number in range(100):
        file.write(f'{{"number": {number}, "padding": "{"x" * 80}"}}')
    file.close()
    found = sorted(tmp_path.iterdir())
    assert [path.name for path in found] == ["security.jsonl", "security.jsonl.1", "security.jsonl.2"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}
    assert all(path.stat().st_size <= 1000 for path in found)
    assert '"number": 99' in found[0].read_text(encoding="utf-8")


def test_an_entry_survives_a_restart(tmp_path: Path) -> None:
    for number in range(2):
        file = SecurityFile(tmp_path / "security.jsonl")
        file.write(str(number))
        file.close()
    assert (tmp_path / "security.jsonl").read_text(encoding="utf-8") == "0\n1\n"


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(
        LocalControllerError, match=r"security log .*missing/x.jsonl: No such file or directory; create its"
    ):
        SecurityFile(tmp_path / "missing" / "x.jsonl")


def test_a_disk_that_takes_nothing_is_counted(tmp_path: Path) -> None:
    file = SecurityFile(tmp_path / "security.jsonl", max_bytes=10, older=1)
    (tmp_path / "security.jsonl.1").mkdir()  # so that it cannot be put aside
    (tmp_path / "security.jsonl.1" / "x").touch()
    file.write("the first one fits")
    file.write("the second one does not")
    file.close()
    assert file.lost >= 1


def test_each_event_has_a_remedy() -> None:
    for name, remedy in EVENTS.items():
        said = remedy({"event": name, "status": 401, "kind": "network", "action": "refuse"})
        assert said, name
        assert said[0].islower(), name


def test_the_security_page_lists_each_event_and_each_reason() -> None:
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", page, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"\w+", row)}
    assert named - {"reason", "HUNG_UP", "TIMED_OUT"} == (EVENTS.keys() | REMEDIES.keys()) - {"VERSION_TOO_LOW"}
