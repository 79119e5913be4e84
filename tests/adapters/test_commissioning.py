"""Step tests in the gateway: who may start one, how it goes over HTTP, what ends it, and where its result is kept."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from starlette.requests import Request

from local_controller.adapters import commissioner as commissioner_module
from local_controller.adapters.commissioner import Commissioner
from local_controller.adapters.commissioning_file import NAME, Record, keep_record, read_records, record, unproven
from local_controller.adapters.examination.finding import State
from local_controller.adapters.examination.step_tests import step_tests
from local_controller.adapters.site_driver import SiteDriver
from local_controller.adapters.web.own_machine import objection
from local_controller.adapters.web.server import Actions, WebServer
from local_controller.clock import Clock
from local_controller.config.load import load
from local_controller.errors import LocalControllerError
from local_controller.site.commissioning import UntestableError
from local_controller.site.control_settings import ControlSettings
from local_controller.site.controller import SiteController
from local_controller.site.effects import ApplyLimit
from local_controller.site.limit_book import LimitBook
from local_controller.site.limits import AppliesTo, Limit
from local_controller.site.observing import Observation
from local_controller.site.readings import MeterReading
from local_controller.site.step_verdict import Conclusion, Fault, Verdict
from local_controller.station import words
from local_controller.station.effects import StationFact
from local_controller.station.words import EvseId, LimitKind, LimitOutcome
from tests.site.virtual_site import topology

CP1 = EvseId("CP-1", 1)


# --- who may ------------------------------------------------------------------------------------------------------


def request(peer: str = "127.0.0.1", here: str = "127.0.0.1", **headers: str) -> Request:
    named = {"host": f"{here}:8080", "content_type": "application/json"} | headers
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items() if value]
    return Request({"type": "http", "client": (peer, 5), "server": (here, 8080), "headers": raw})


@pytest.mark.parametrize(
    "asked",
    [
        request(),
        request(host="localhost:8080"),
        request("::1", "::1", host="[::1]:8080"),
        request("192.168.1.10", "192.168.1.10"),
        request(origin="http://127.0.0.1:8080", sec_fetch_site="same-origin"),
    ],
)
def test_who_is_on_the_machine_may_start_a_test(asked: Request) -> None:
    assert objection(asked) == ""


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (request("192.168.1.20", "192.168.1.10"), "192.168.1.20 is another machine"),
        (request("192.168.1.20", "192.168.1.10", host="localhost"), "192.168.1.20 is another machine"),
        (request(host="evil.example:8080"), "no address of this machine"),
        (request(host="192.168.1.10"), "no address of this machine"),
        (request(host=""), "no address of this machine"),
        (request(origin="http://evil.example"), "from a page of http://evil.example"),
        (request(origin="null"), "from a page of null"),
        (request(origin="http://127.0.0.1:9000"), "from a page of http://127.0.0.1:9000"),
        (request(sec_fetch_site="cross-site"), "from a page of somebody else"),
        (request(sec_fetch_site="same-site"), "from a page of somebody else"),
        (request(x_forwarded_for="127.0.0.1"), "handed on for somebody else (x-forwarded-for)"),
        (request(forwarded="for=127.0.0.1"), "handed on for somebody else (forwarded)"),
        (request(content_type="text/plain"), "no application/json"),
        (request(content_type="application/x-www-form-urlencoded"), "no application/json"),
        (request(content_type=""), "no application/json"),
    ],
)
def test_nobody_else_may(asked: Request, why: str) -> None:
    assert why in objection(asked)


# --- over HTTP ----------------------------------------------------------------------------------------------------


class Told:
    """Carries out a test that tells four things, or, of CP-2, goes on until nobody listens."""

    def __init__(self) -> None:
        self.asked: list[tuple[EvseId, bool]] = []
        self.ended = asyncio.Event()

    def begin(self, evse: EvseId, *, may_pause: bool) -> AsyncIterator[dict[str, Any]]:
        self.asked.append((evse, may_pause))
        if evse.station == "CP-9":
            raise UntestableError("the site file knows no CP-9/1", "it knows CP-1/1", is_known=False)
        if evse.station == "CP-3":
            raise UntestableError("CP-3/1 has no car", "plug a car in that charges")
        return self._tell(4 if evse.station == "CP-1" else 1000)

    async def _tell(self, times: int) -> AsyncIterator[dict[str, Any]]:
        try:
            for number in range(times):
                yield {"elapsed_s": float(number)}
                await asyncio.sleep(0.01)
        finally:
            self.ended.set()


@pytest_asyncio.fixture
async def told() -> Told:
    return Told()


@pytest_asyncio.fixture
async def port(told: Told) -> AsyncIterator[int]:
    server = WebServer("127.0.0.1", 0, dict, actions=Actions(told))
    await server.start()
    yield server.port
    await server.stop()


def post(body: str, more: str = "") -> bytes:
    head = f"POST /api/v1/commissioning HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


async def answer(port: int, sent: bytes) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


async def test_a_test_tells_how_it_goes_line_by_line(port: int, told: Told) -> None:
    status, body = await answer(port, post('{"station": "CP-1", "pause": true}'))
    assert status == 200
    assert [json.loads(line)["elapsed_s"] for line in body.splitlines() if line.startswith("{")] == [0.0, 1.0, 2.0, 3.0]
    assert told.asked == [(CP1, True)]


async def test_whoever_stops_listening_ends_the_test(port: int, told: Told) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post('{"station": "CP-2"}'))
    await reader.readuntil(b"elapsed_s")
    assert not told.ended.is_set()
    writer.close()
    async with asyncio.timeout(5):
        await told.ended.wait()


@pytest.mark.parametrize(
    ("sent", "status", "text"),
    [
        (post('{"station": "CP-9"}'), 404, "it knows CP-1/1"),
        (post('{"station": "CP-3"}'), 409, "plug a car in"),
        (post('{"evse": 1}'), 400, 'send {\\"station\\": \\"CP-1\\"'),
        (post("[" * 5000), 400, "send"),
        (post('{"station": "CP-1"}', "Origin: http://evil.example\r\n"), 403, "from a page of http://evil.example"),
        (post('{"station": "CP-1"}', "X-Forwarded-For: 127.0.0.1\r\n"), 403, "handed on for somebody else"),
        (b"GET /api/v1/commissioning HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405, "Not Allowed"),
    ],
)
async def test_what_cannot_be_started_is_said(port: int, told: Told, sent: bytes, status: int, text: str) -> None:
    found, body = await answer(port, sent)
    assert (found, text in body) == (status, True), body
    assert not told.ended.is_set()


# --- in the gateway -----------------------------------------------------------------------------------------------


class Obeys:
    """Stations that say yes to everything at once."""

    def __init__(self, driver: SiteDriver) -> None:
        self.driver = driver
        self.limits_a: list[float] = []

    def apply(self, effect: object) -> None:
        if isinstance(effect, ApplyLimit):
            self.limits_a.append(effect.limit_a)
            said = words.LimitAnswered(1, LimitKind.WORKING, LimitOutcome.ACCEPTED, effect.limit_a)
            self.driver.station_changed("CP-1", said)


class NoPlans:
    async def solve(self, _question: object) -> Any:
        await asyncio.sleep(3600)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look follows the other without half a second between them."""
    monkeypatch.setattr(commissioner_module, "LOOK_S", 0.01)


@pytest_asyncio.fixture
async def driver(quick: None) -> AsyncIterator[SiteDriver]:
    """A site of one station whose car charges with 16 A."""
    topo = topology(63.0, 1)
    book = LimitBook((Limit("grid", (63.0,) * 3, AppliesTo.TOTAL, "fuse"),), {})
    site = SiteController(topo, book, ControlSettings(), {"m": 1.0})
    driver = SiteDriver(site, NoPlans(), Clock())
    driver.start(Obeys(driver))
    facts: list[StationFact] = [
        words.Connected(words.OcppVersion.V16),
        words.Booted("v", "m", "1.0", "s", words.RegistrationStatus.ACCEPTED),
        words.TransactionStarted(1, "tx"),
        words.Measured(1, words.MeterSample(dict.fromkeys(words.Phase, 16.0))),
    ]
    for fact in facts:
        driver.station_changed("CP-1", fact)
    driver.meter_read(MeterReading("m", Clock().now(), (20.0, 20.0, 20.0)))
    yield driver
    await driver.stop()


def commissioner(driver: SiteDriver, directory: Path | None = None) -> Commissioner:
    return Commissioner(driver, Clock(), lambda station: f"product of {station}", directory)


async def test_a_test_holds_the_car_only_as_long_as_somebody_listens(driver: SiteDriver) -> None:
    tests = commissioner(driver)
    async with aclosing(tests.begin(CP1, may_pause=False)) as told:
        first = await anext(told)
        assert (first["evse"], first["meter"], first["meter_a"]) == ("CP-1/1", "m", [20.0, 20.0, 20.0])
        assert first["doing"].startswith("waits:")
        await anext(told)
        assert driver.site.step_caps.in_force(Clock().now())
        with pytest.raises(UntestableError, match="a step test of CP-1/1 is running: wait"):
            tests.begin(CP1, may_pause=False)
    assert not driver.site.step_caps.in_force(Clock().now())
    await (again := tests.begin(CP1, may_pause=False)).__anext__()
    await tests.stop()
    assert [one async for one in again] == [{"error": "the gateway has ended the test: repeat it"}]


async def test_where_the_gateway_only_looks_on_nothing_is_tested(driver: SiteDriver) -> None:
    site = driver.site
    driver.observation = Observation(site.topology, site.book, Clock().now())
    with pytest.raises(UntestableError, match="so no station is told anything: commission it in mode: control"):
        commissioner(driver).begin(CP1, may_pause=False)


async def test_two_that_begin_at_once_do_not_share_a_car(driver: SiteDriver) -> None:
    tests = commissioner(driver)
    first, second = tests.begin(CP1, may_pause=False), tests.begin(CP1, may_pause=False)
    async with aclosing(first):
        await anext(first)
        assert "is running" in (await anext(second))["error"]


async def test_the_end_is_told_and_kept(driver: SiteDriver, tmp_path: Path) -> None:
    told = commissioner(driver, tmp_path).begin(CP1, may_pause=False)
    await anext(told)
    driver.station_changed("CP-1", words.TransactionEnded(1, "tx"))
    *_, last = [one async for one in told]
    assert last["result"]["text"] == "the car at CP-1/1 has gone"
    assert (last["result"]["product"], last["kept"]) == ("product of CP-1", str(tmp_path))
    assert read_records(tmp_path)["CP-1/1"].conclusion is Conclusion.NOT_CLEAR
    assert [(notice.level, notice.text) for _, notice in driver.notices if notice.code.startswith("step_test")] == [
        ("info", "a step test of CP-1/1 begins, at meter m"),
        ("warning", "step test of CP-1/1: not clear; the car at CP-1/1 has gone: repeat the test"),
    ]


# --- what is kept -------------------------------------------------------------------------------------------------

PROVEN = Verdict(Conclusion.PROVEN, "seen", step_a=(6.04, 0.0, 0.0), expected_a=6.0, found_phases=(0,), latency_s=3.21)
WRONG = Verdict(Conclusion.WRONG, "bad", "do", (Fault("sign", "bad", "do"),), rotations=("STR", "SRT"))


def kept(evse: str, verdict: Verdict = PROVEN, where: tuple[str, str, str] = ("m", "grid", "RST")) -> Record:
    return record(EvseId(evse, 1), "2026-03-02T08:00:00+00:00", "", where, verdict)


def test_the_last_result_of_each_evse_is_kept_for_the_owner_only(tmp_path: Path) -> None:
    assert read_records(tmp_path) == {}
    for one in (kept("CP-1", WRONG), kept("CP-2", WRONG), kept("CP-1")):
        keep_record(tmp_path, one)
    assert read_records(tmp_path) == {"CP-1/1": kept("CP-1"), "CP-2/1": kept("CP-2", WRONG)}
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_station_that_calls_itself_something_that_no_file_can_hold_is_kept_all_the_same(tmp_path: Path) -> None:
    keep_record(
        tmp_path, record(EvseId("CP-1", 1), "2026-03-02T08:00:00+00:00", "\ud800 One", ("m", "grid", "RST"), PROVEN)
    )
    assert read_records(tmp_path)["CP-1/1"].product == "? One"


@pytest.mark.parametrize("text", ["", "{", '{"format": 2, "evses": {}}', "[]"])
def test_a_file_that_cannot_be_read_is_named_with_its_remedy_and_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(LocalControllerError, match=f"{NAME}: .*; remove it, and repeat"):
        keep_record(tmp_path, kept("CP-1"))
    assert (tmp_path / NAME).read_text() == text


def test_what_is_proven_by_now() -> None:
    topo = topology(63.0, 4, rotations=("RST", "STR"))
    records = {
        "CP-1/1": kept("CP-1"),
        "CP-2/1": kept("CP-2"),  # with another rotation than the site file has by now
        "CP-3/1": kept("CP-3", WRONG),
    }
    assert list(unproven(topo, records)) == ["CP-2/1", "CP-3/1", "CP-4/1"]


def test_the_doctor_names_what_no_step_test_has_proven(tmp_path: Path) -> None:
    stations = ", ".join(f"{{id: CP-{number}}}" for number in range(1, 8))
    (tmp_path / "site.yaml").write_text(
        f"site: {{name: Test, mode: control}}\ncsms: {{url: ws://csms}}\nstate_directory: {tmp_path}\n"
        f"grid_connection: {{fuse_a: 63, assumed_base_load_a: 10, meter: m}}\nstations: [{stations}]\n"
        "meters: [{id: m, device: eastron_sdm630, host: meter}]\n"
    )
    config = load(tmp_path / "site.yaml")
    (before,) = step_tests(config)
    assert (before.state, before.text) == (
        State.WARNING,
        "nothing has proven yet that its meter sees CP-1/1, CP-2/1, CP-3/1, CP-4/1, CP-5/1 and 2 more as this file says",
    )
    for number in range(1, 8):
        keep_record(tmp_path, kept(f"CP-{number}"))
    (after,) = step_tests(config)
    assert after.state is State.OK
    (tmp_path / NAME).write_text("{")
    (broken,) = step_tests(config)
    assert (broken.state, broken.remedy) == (State.WARNING, "remove it, and repeat the step tests")
    assert list(step_tests(config.model_copy(update={"state_directory": None}))) == []
