"""A gateway that starts, cannot start, and stops: the composition root with real sockets and nobody around."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import socket
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from local_controller.adapters import peak_file
from local_controller.adapters.dimming_file import DimmingFile
from local_controller.adapters.trace_secrets import MASK
from local_controller.adapters.trace_store import TraceFile
from local_controller.adapters.web.server import UnknownStationError
from local_controller.app import LocalController, _capability_views, _wanted
from local_controller.clock import Clock
from local_controller.config.legs import CertificateSection, ListenTlsSection
from local_controller.config.load import load
from local_controller.config.models import GuardsSection, SiteConfig, TraceSection, WebSection
from local_controller.errors import LocalControllerError
from local_controller.site.effects import ApplyFallback, ApplyLimit, StopSession
from local_controller.site.limits import AppliesTo
from local_controller.site.own_limits import QuarterHourLimit
from local_controller.site.quarter_means import Highest
from local_controller.station import words
from local_controller.station.announcements import CustomerCleared
from local_controller.station.block import OwnCall
from local_controller.station.effects import Fate, Peer, Trace
from local_controller.station.guard_policy import Policy
from local_controller.station.words import EvseId
from site_simulator.io_module import SimulatedIoModule
from tests.certificates import authority
from tests.e2e.surroundings import until

SITE = """
site: {{name: Test, mode: control}}
csms: {{url: "ws://127.0.0.1:9/ocpp"}}
listen: {{host: 127.0.0.1, port: {port}}}
grid_connection: {{fuse_a: 50, contract_a: 40, assumed_base_load_a: 10, meter: main}}
meters: [{{id: main, device: eastron_sdm630, host: 127.0.0.1, port: {closed}}}]
brokers: [{{id: mqtt, host: 127.0.0.1, port: {closed}{broker}}}]
limits: [{{id: ems, broker: mqtt, topic: site/limit, fallback_a: 16}}]
stations: [{{id: CP-1}}, {{id: CP-2, evses: 2}}]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def config(folder: Path, port: int | None = None, broker: str = "") -> SiteConfig:
    path = folder / "site.yaml"
    text = SITE.format(port=port or free_port(), closed=free_port(), broker=broker)
    path.write_text(text, encoding="utf-8")
    return load(path)


async def test_it_runs_with_everything_around_it_down_and_says_so(tmp_path: Path) -> None:
    told = {name: asyncio.Event() for name in ("meter_failed", "broker_changed")}
    gateway = LocalController(config(tmp_path), Clock())

    def watched(name: str) -> Any:
        hear = getattr(gateway.driver, name)
        return lambda *facts: (hear(*facts), told[name].set())

    for name in told:
        setattr(gateway.driver, name, watched(name))
    async with gateway:
        async with asyncio.timeout(30):
            for event in told.values():
                await event.wait()
        view = await gateway.picture()
    assert (view["name"], view["mode"], view["time_zone"]) == ("Test", "control", "UTC")
    texts = {notice["code"]: notice["text"] for notice in view["notices"]}
    assert texts.keys() == {"meter_failed", "broker_link"}
    assert texts["broker_link"] == "broker mqtt unreachable: no connection; check host, port and cable of the broker"
    assert [evse["id"] for evse in view["evses"]] == ["CP-1/1", "CP-2/1", "CP-2/2"]
    assert view["nodes"][0]["limit_a"] == (16.0, 16.0, 16.0)  # the EMS is silent: its fallback
    assert view["meters"][0]["state"] == "init"
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_how_stations_can_be_told_limits_is_looked_at_one_at_a_step(tmp_path: Path) -> None:
    async with LocalController(config(tmp_path), Clock()) as gateway:
        for station in ("CP-1", "CP-2"):
            gateway._make_proxy(station, words.OcppVersion.V201, None)
        *steps, views = _capability_views(gateway._charging)
        assert steps == [None, None]
        assert views == (await gateway.picture())["stations"]
        assert views["CP-2"]["version"] == "ocpp2.0.1"


async def test_the_profiles_of_a_station_that_never_came_are_told_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    async with LocalController(config(tmp_path), Clock()) as gateway:
        told = await gateway.profiles("cp-2")
        assert told["station"] == "CP-2", "as the site file spells it"
        assert [view["id"] for view in told["evses"]] == ["CP-2/1", "CP-2/2"]
        assert (told["is_connected"], told["was_connected"], told["stacks"]) == (False, False, None)
        with pytest.raises(UnknownStationError, match="CP-1, CP-2") as refused:
            await gateway.profiles("CP-3")
    assert refused.value.known == ("CP-1", "CP-2")


async def test_every_station_is_asked_what_it_holds(tmp_path: Path) -> None:
    gateway = LocalController(config(tmp_path), Clock())
    assert all(settings.is_asked_what_it_holds for settings in gateway._settings.values())
    await gateway._planner.stop()


@pytest.mark.requirement("LC-123")
@pytest.mark.parametrize("notifies", [False, True])
async def test_a_csms_is_told_what_the_site_gives_only_where_the_site_file_says_so(
    tmp_path: Path, notifies: bool
) -> None:
    usual = config(tmp_path)
    control = usual.control.model_copy(update={"notify_charging_limits": True}) if notifies else usual.control
    gateway = LocalController(usual.model_copy(update={"control": control}), Clock())
    assert {one.notifies_limits for one in gateway._settings.values()} == {notifies}
    await gateway._planner.stop()


async def test_who_observes_writes_nothing_of_its_own_into_what_the_csms_says(tmp_path: Path) -> None:
    guards = GuardsSection(network="rewrite", sample_interval_s=10)
    for mode, network, sample_s in (("control", Policy.REWRITE, 10), ("observe", Policy.REFUSE, None)):
        base = config(tmp_path)
        site = base.site.model_copy(update={"mode": mode})
        listen = base.listen.model_copy(update={"public_url": "ws://192.0.2.1:9310"})
        changed = base.model_copy(update={"site": site, "guards": guards, "listen": listen})
        gateway = LocalController(changed, Clock())
        policies = {(one.guards.network, one.guards.sample_interval_s) for one in gateway._settings.values()}
        assert policies == {(network, sample_s)}
        await gateway._planner.stop()


async def test_the_end_of_a_session_is_asked_of_its_station(tmp_path: Path) -> None:
    async with LocalController(config(tmp_path), Clock()) as gateway:
        gateway._make_proxy("CP-1", words.OcppVersion.V201, None)
        charging = gateway._charging["CP-1"]
        assert _wanted(charging, StopSession(EvseId("CP-1", 1), "7"), Clock().now()) == []  # it may not be called yet
        charging.state.answered = True
        (call,) = _wanted(charging, StopSession(EvseId("CP-1", 1), "7"), Clock().now())
        assert isinstance(call, OwnCall)
        assert (call.action, call.payload) == ("RequestStopTransaction", {"transactionId": "7"})
        gateway.apply(StopSession(EvseId("CP-2", 1), "7"))  # which is not here


async def test_fuse_and_contract_are_limits_of_the_tree(tmp_path: Path) -> None:
    gateway = LocalController(config(tmp_path), Clock())
    sources = [limit.source for limit in gateway.site.book.in_force("grid", AppliesTo.TOTAL, Clock().now())]
    assert sources[:2] == ["fuse", "grid contract"]
    await gateway._planner.stop()


async def test_a_taken_door_ends_the_start_with_a_remedy_and_leaves_nothing_running(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalControllerError, match=rf"127\.0\.0\.1:{port}: .*choose another listen\.port"):
            async with LocalController(config(tmp_path, port), Clock()):
                pytest.fail("it must not start")
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


@pytest.mark.parametrize("key", ["listen", "web"])
async def test_a_second_gateway_ends_before_it_disturbs_meters_and_brokers_of_the_first(
    tmp_path: Path, key: str
) -> None:
    plain, called = config(tmp_path), []
    with socket.socket() as first:
        first.bind(("127.0.0.1", 0))
        first.listen()
        port = first.getsockname()[1]
        web, listen = WebSection(port=port), plain.listen.model_copy(update={"port": port})
        site = plain.model_copy(update={"web": web} if key == "web" else {"listen": listen})
        async with await asyncio.start_server(lambda *ends: called.append(ends), "127.0.0.1", plain.meters[0].port):
            text = rf"127\.0\.0\.1:{port}: Address already in use; is a gateway running already\? Else choose another {key}\.port"
            with pytest.raises(LocalControllerError, match=text):
                async with LocalController(site, Clock()):
                    pytest.fail("it must not start")
            await asyncio.sleep(0.2)
    assert called == []
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_taken_encrypted_door_is_named_and_the_plain_one_closed_again(tmp_path: Path) -> None:
    files = authority("Root of the site").issue("box", ["box.example"]).save(tmp_path, "box")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        pair = CertificateSection(certificate=str(files.certificate), key=str(files.key))
        plain = config(tmp_path)
        tls = ListenTlsSection(port=port, certificates=(pair,))
        site = plain.model_copy(update={"listen": plain.listen.model_copy(update={"tls": tls})})
        with pytest.raises(LocalControllerError, match=rf"127\.0\.0\.1:{port}: .*listen\.tls\.port"):
            async with LocalController(site, Clock()):
                pytest.fail("it must not start")
    with socket.socket() as free:
        free.bind(("127.0.0.1", plain.listen.port))
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_missing_password_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_PASSWORD", raising=False)
    site = config(tmp_path, broker=", username: gateway, password_env: NO_SUCH_PASSWORD")
    with pytest.raises(LocalControllerError, match="set the environment variable NO_SUCH_PASSWORD"):
        async with LocalController(site, Clock()):
            pytest.fail("it must not start")


async def test_a_limit_for_a_station_without_a_connection_is_dropped_and_the_site_knows(tmp_path: Path) -> None:
    gateway = LocalController(config(tmp_path), Clock())
    evse = gateway.site.evses[EvseId("CP-1", 1)]
    gateway.driver.station_changed("CP-1", words.TransactionStarted(1, "tx"))
    gateway.apply(ApplyFallback(evse.evse.id, 6.0))
    gateway.apply(ApplyLimit(evse.evse.id, 10.0, 90.0, urgent=True))
    await asyncio.sleep(0)
    assert evse.session is not None
    assert evse.session.unconfirmed_at is not None
    await gateway.driver.stop()
    await gateway._planner.stop()


@pytest.mark.requirement("LC-146")
async def test_a_customer_whom_the_csms_clears_is_not_in_the_trace_any_more(tmp_path: Path) -> None:
    written = config(tmp_path)
    traced = written.model_copy(update={"trace": TraceSection(file=str(tmp_path / "t.db"))})
    async with LocalController(traced, Clock()) as gateway:
        assert gateway._trace is not None
        text = '[2,"a","Authorize",{"idToken":{"idToken":"Kim","type":"Local"}}]'
        gateway._trace.record("CP-1", Trace(Peer.STATION, text, Fate.PASSED), Clock().now())
        gateway._told("CP-1", CustomerCleared(("Kim",)), Clock().now())
    assert [record.text for record in TraceFile(tmp_path / "t.db").records()] == [text.replace("Kim", MASK)]


@pytest.mark.parametrize(
    ("capability", "lasts_s"),
    [
        ("{}", 0.0),
        ("{writes_per_day: 25}", 4380.0),
        ("{actuators: [vendor_key], vendor_key: {name: Current}, version: '2.0.1'}", math.inf),
    ],
)
async def test_before_a_station_is_here_the_site_knows_how_long_it_may_obey_an_earlier_run(
    tmp_path: Path, capability: str, lasts_s: float
) -> None:
    path = tmp_path / "site.yaml"
    text = SITE.format(port=free_port(), closed=free_port(), broker="")
    path.write_text(text.replace("{id: CP-1}", f"{{id: CP-1, capability: {capability}}}"), encoding="utf-8")
    async with LocalController(load(path), Clock()) as gateway:
        assert gateway.site.evses[EvseId("CP-1", 1)].lasts_s == lasts_s
        assert gateway.site.evses[EvseId("CP-2", 1)].lasts_s == 0.0


async def test_so_it_does_of_a_station_of_which_an_earlier_run_has_learnt_the_product(tmp_path: Path) -> None:
    state = {"state_directory": str(tmp_path)}
    who = {"vendor": "Easee", "model": "Home", "firmware": "1", "serial": "s"}
    text = json.dumps({"format": 1, "stations": {"cp-1": {"version": "ocpp1.6", "who": who}}})
    (tmp_path / "capabilities.json").write_text(text, encoding="utf-8")
    async with LocalController(config(tmp_path).model_copy(update=state), Clock()) as gateway:
        assert gateway.site.evses[EvseId("CP-1", 1)].lasts_s > 120.0


async def test_a_visit_is_learnt_over_a_restart_and_no_card_is_told_to_anybody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, clock, card = config(tmp_path).model_copy(update={"state_directory": str(tmp_path)}), Clock(), "04A1B2C3D4"
    async with LocalController(kept, clock) as gateway:
        now = clock.now()
        told = partial(gateway.driver.station_changed, "CP-2")
        told(words.TransactionStarted(2, "7", ago_s=7200.0), now)
        told(words.Authorized(2, "7", card), now)
        for energy_wh in (1_000.0, 9_000.0):
            told(words.Measured(2, words.MeterSample(energy_wh=energy_wh)), now)
            gateway.site.expire(now)  # of samples that wait the newest stands for all
        told(words.TransactionEnded(2, "7"), now)
    with capture_logs() as logs:
        async with LocalController(kept, clock) as gateway:
            (learnt,) = gateway._habits.view()["evses"].items()
            assert (learnt[0], learnt[1]["energy_kwh"]["p50"], learnt[1]["stay_h"]["p50"]) == ("CP-2/2", 8.0, 2.0)
            assert await gateway._habits.forget(None, card) == {"forgotten": 1, "left": 0}
            picture = str(await gateway.picture())
    assert "the visits of a card are forgotten: 1" in picture
    assert card not in picture + str(logs) + "".join(capsys.readouterr())


async def test_what_a_quarter_of_an_hour_has_used_is_known_over_a_restart(tmp_path: Path) -> None:
    path, clock = tmp_path / "site.yaml", Clock(1.0, time.monotonic(), datetime(2026, 3, 6, 12, 8, tzinfo=UTC))
    text = SITE.format(port=free_port(), closed=free_port(), broker="").replace(
        "limits: [", "limits: [{id: peak, source: quarter_hour, mean_w: 12000}, "
    )
    path.write_text(f"state_directory: {tmp_path}\n{text}", encoding="utf-8")
    power_w = []
    for _ in range(2):
        async with LocalController(load(path), clock) as gateway:
            (peak,) = (one for one in gateway.site.book.own if isinstance(one, QuarterHourLimit))
            if not power_w:
                assert peak.quarter.allowed(clock.now()).power_w == 0.0, "nobody knows what was before"
                for second in range(-480, 1):
                    peak.quarter.measured(0.0, clock.now().after(second))
            power_w.append(peak.quarter.allowed(clock.now()).power_w)
    assert power_w[1] == pytest.approx(power_w[0], rel=0.1)
    assert power_w[1] > 12_000.0


async def test_a_peak_that_is_paid_for_is_known_after_a_restart_and_to_whoever_follows_one_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peak_file, "EVERY_S", 0.01)
    clock, path, left = Clock(), tmp_path / "site.yaml", tmp_path / "left"
    left.mkdir()
    text = SITE.format(port=free_port(), closed=free_port(), broker="")
    path.write_text(f"state_directory: {tmp_path}\n{text}prices: {{peak_per_kw: 100}}\n", encoding="utf-8")
    kept = load(path)
    month = clock.now().utc.strftime("%Y-%m")
    async with LocalController(kept, clock) as gateway:
        gateway.site.foresight.peak.found = Highest(month, 30_000.0)
        await until((tmp_path / peak_file.NAME).exists, 20)
        shutil.copy(tmp_path / peak_file.NAME, left)  # as it is when nothing is written any more
        gateway.site.foresight.peak.found = Highest(month, 40_000.0)
    known_w = []
    for folder in (tmp_path, left):
        async with LocalController(kept.model_copy(update={"state_directory": str(folder)}), clock) as gateway:
            known_w.append(gateway.site.foresight.peak.highest_w(clock.now()))
    assert known_w == [40_000.0, 30_000.0]


async def test_contacts_of_the_grid_operator_limit_and_are_recorded(tmp_path: Path) -> None:
    async with SimulatedIoModule((0,)) as module:
        path = tmp_path / "site.yaml"
        path.write_text(f"""
site: {{name: Test, mode: control}}
csms: {{url: "ws://127.0.0.1:9/ocpp"}}
listen: {{host: 127.0.0.1, port: {free_port()}}}
state_directory: {tmp_path}
grid_connection: {{fuse_a: 50, assumed_base_load_a: 10}}
io_modules: [{{id: io, device: moxa_iologik_e1200, host: 127.0.0.1, port: {module.port}, poll_s: 0.2}}]
limits:
  - id: dso
    source: contact
    applies_to: charging
    io_module: io
    contacts: [{{id: W4, channel: 0}}]
    patterns: [{{given: [W4], section_14a: true}}, {{given: [], unlimited: true}}]
stations: [{{id: CP-1}}, {{id: CP-2, evses: 2}}]
""")
        gateway = LocalController(load(path), Clock())
        seen: list[tuple[str, float | None]] = []

        async def until(power_w: float | None) -> None:
            async with asyncio.timeout(10):
                while not seen or seen[-1] != ("fresh", power_w):
                    (limit,) = (await gateway.picture())["limits"]
                    seen.append((limit["state"], limit["power_w"]))
                    await asyncio.sleep(0.05)

        async with gateway:
            await until(None)
            await module.close()
            await until(10_500.0)
            await asyncio.sleep(1.1)
    rows = [(row["event"], row["limit_w"], row["reason"]) for row in DimmingFile(tmp_path).rows()]
    assert rows == [("start", "10500", "W4 is open (given)"), ("stop", "10500", "W4 is open (given)")]
