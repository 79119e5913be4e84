"""Does bad input stay where it came from, on the whole product? A neighbour charges all the while and notices nothing.

| bad input                                   | proven by                                                                |
|---------------------------------------------|--------------------------------------------------------------------------|
| unreadable frame, unknown action, flood     | here (neighbour, limits); tests/station/test_nonsense.py, test_proxy.py, |
|                                             | tests/adapters/test_relay.py (flood), test_transparency.py (relayed)     |
| binary frame, 9 MiB, text that is no UTF-8  | here (neighbour, limits); codes and both legs in test_relay.py           |
| second connection of one identity           | here (the session goes on under limits); who wins: test_relay.py         |
| CSMS answers 401, 404, is unreachable       | here (other stations go on); all codes, silence, nonsense: test_relay.py |
| meter down at start                         | here (notice, fallback, recovery); the supervisor: test_modbus_meter.py  |
| meter that lies, freezes, steps             | tests/adapters/test_modbus_meter.py                                      |
| MQTT garbage, broker away                   | tests/adapters/test_mqtt.py, tests/site/test_limit_message.py            |
| ten mistakes in the site file               | test_processes.py (the command); texts: tests/config/test_mistakes.py    |
| port in use                                 | test_processes.py                                                        |
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from local_controller.app import LocalController
from local_controller.cli.demo_peers import free_ports
from local_controller.config.load import load
from local_controller.site.snapshot import snapshot
from site_simulator.csms import SimulatedCsms
from site_simulator.demo_site import SiteSpec
from site_simulator.meter import SimulatedMeter
from site_simulator.outlet import StationSpec
from site_simulator.peer import V16, V21
from site_simulator.scenario import RunningSite
from site_simulator.site import BaseLoad, Node
from site_simulator.vehicle import VehicleSpec
from tests.e2e.surroundings import HOST, meters, site_text, station_row, until
from tests.patient_time import PatientTime, run
from tests.robust_client import RobustClient

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]
FALLBACK_A = 6.0
CAR = (VehicleSpec(max_a=32, need_wh=60_000),)
NEIGHBOUR = StationSpec("CP-1", V21, vehicles=CAR)
MIB = 1024 * 1024
BAD = "CP-2"
FUSE_A = 80.0
"""Room for both stations at their maximum: a station that confirms nothing counts with that, and takes it from nobody."""

ROBUST: Any = {"create_connection": RobustClient, "max_size": 16 * MIB}
"""The plain connection of websockets fails when it is closed with much unsent."""


@dataclass
class Product:
    """The whole product around one good station; "CP-2" belongs to the test."""

    gateway: LocalController
    site: RunningSite
    clock: PatientTime
    port: int

    @property
    def neighbour_a(self) -> float:
        return self.site.stations["CP-1"].outlet.offered_a

    @property
    def granted_a(self) -> float | None:
        """What the neighbour has acknowledged."""
        seen = snapshot(self.gateway.site, self.gateway.driver._clock.now())
        (evse,) = [evse for evse in seen.as_json()["evses"] if evse["id"] == "CP-1/1"]
        limit_a: float | None = evse["acknowledged_a"]
        return limit_a

    def dial(self, identity: str = BAD) -> connect:
        url = f"ws://{HOST}:{self.port}/{identity}"
        return connect(url, subprotocols=[Subprotocol(V16)], proxy=None, compression=None, **ROBUST)

    def notices(self) -> list[str]:
        return [notice.code for _, notice in self.gateway.driver.notices]

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Nothing reaches the neighbour: one connection, no complaint, its limit as it was."""
        station, limit_a = self.site.stations["CP-1"], self.neighbour_a
        connections = station.connections
        yield
        assert station.connections == connections
        assert station.record.complaints == []
        assert self.site.csms.records["CP-1"].complaints == []
        assert self.neighbour_a == limit_a == NEIGHBOUR.max_a


SPEC = SiteSpec(nodes=(Node("grid", FUSE_A),), stations=(NEIGHBOUR,), metered=())


@asynccontextmanager
async def product(clock: PatientTime, folder: Path) -> AsyncIterator[Product]:
    """Runs; the neighbour charges with all it can."""
    (port,) = free_ports(1)
    async with RunningSite(SPEC, f"ws://{HOST}:{port}", clock) as site:
        site.csms._stations = {"CP-1", BAD}
        path = folder / "site.yaml"
        rows = [station_row(NEIGHBOUR), f"id: {BAD}, max_a: 32"]
        path.write_text(site_text(rows, csms_url=site.csms.url, port=port, fuse_a=FUSE_A), encoding="utf-8")
        async with LocalController(load(path), clock) as gateway:
            playing = asyncio.create_task(site.play(3600, boot_within_s=600))
            whole = Product(gateway, site, clock, port)
            try:
                await until(lambda: whole.granted_a == whole.neighbour_a == NEIGHBOUR.max_a, 300)
                yield whole
            finally:
                playing.cancel()
                with suppress(asyncio.CancelledError):
                    await playing


async def call(socket: ClientConnection, message_id: str, action: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Call the CSMS as a station; CALLs of the gateway are obeyed meanwhile."""
    await socket.send(json.dumps([2, message_id, action, payload]))
    while (frame := json.loads(await socket.recv()))[:2] != [3, message_id]:
        if frame[0] == 2:
            answer = {} if frame[2] == "GetConfiguration" else {"status": "Accepted"}
            await socket.send(json.dumps([3, frame[1], answer]))
    result: dict[str, Any] = frame[2]
    return result


async def boot(socket: ClientConnection) -> None:
    answer = await call(socket, "boot", "BootNotification", {"chargePointVendor": "Bad", "chargePointModel": "One"})
    assert answer["status"] == "Accepted"


NONSENSE = (
    "",
    "no JSON",
    "[",
    "[]",
    "{}",
    '"text"',
    "[2]",
    '[2,"a"]',
    '[2,"a",7,{}]',
    '[2,null,"Heartbeat",{}]',
    '[3,"nobody asked",{}]',
    '[4,"nobody asked","E","",{}]',
    '[99,"a","Heartbeat",{}]',
    '[2,"m","MeterValues",{"connectorId":1,"meterValue":"none"}]',
    '[2,"n","StatusNotification",{"connectorId":-1,"status":7}]',
    '[2,"o","VendorNews",{"n":1E999}]',
    "[" * 200,
)


async def nonsense(whole: Product) -> None:
    """Unreadable frames and unknown actions: the connection goes on."""
    async with whole.dial() as socket:
        await boot(socket)
        for text in NONSENSE:
            await socket.send(text)
        assert (await call(socket, "after it all", "Heartbeat", {}))["currentTime"]


async def frame_that_may_not_be(whole: Product, frame: bytes | str, code: int) -> None:
    """A binary or an endless frame: the connection ends, and the station is welcome again."""
    lost = whole.notices().count("station_lost")
    async with whole.dial() as socket:
        await boot(socket)
        with suppress(ConnectionClosed):
            await socket.send(frame)
            while True:
                await socket.recv()
        assert socket.close_code == code
    await until(lambda: whole.notices().count("station_lost") > lost, 60)
    async with whole.dial() as again:
        await boot(again)


async def second_connection(whole: Product) -> None:
    """The newer connection takes the session over, and its limits with it."""
    async with whole.dial() as first:
        await boot(first)
        start = {"connectorId": 1, "idTag": "CARD", "meterStart": 0, "timestamp": "2026-01-01T00:00:00Z"}
        await call(first, "start", "StartTransaction", start)
        async with whole.dial() as second:
            await second.send('[2,"alive","Heartbeat",{}]')
            assert await limits_seen(second) == {"TxDefaultProfile", "TxProfile"}
            assert first.close_code == 1001


@pytest.mark.requirement("LC-014", "LC-016", "LC-019", "LC-020", "LC-033", "LC-042")
def test_what_a_bad_station_does_ends_with_it(tmp_path: Path) -> None:
    async def story(clock: PatientTime) -> None:
        async with product(clock, tmp_path) as whole:
            with whole.undisturbed():
                await nonsense(whole)
                await frame_that_may_not_be(whole, b"\x00\x01binary", 1003)
                await frame_that_may_not_be(whole, "x" * 9 * MIB, 1009)
                await second_connection(whole)
                await asyncio.sleep(30)

    clock = PatientTime(20)
    run(story(clock), clock)


async def limits_seen(socket: ClientConnection) -> set[str]:
    """The purposes of the gateway's profiles on a new connection, each accepted; waits for both."""
    seen: set[str] = set()
    async with asyncio.timeout(120):
        while len(seen) < 2:
            frame = json.loads(await socket.recv())
            if frame[0] == 2:
                answer = {} if frame[2] == "GetConfiguration" else {"status": "Accepted"}
                await socket.send(json.dumps([3, frame[1], answer]))
                profile = frame[3].get("csChargingProfiles", {})
                seen |= {profile["chargingProfilePurpose"]} if profile else set()
    return seen


@pytest.mark.requirement("LC-002")
def test_a_station_that_the_csms_refuses_hears_why_and_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit = SimulatedCsms._admit
    refusals = iter([401, 404, None])

    def refuse(csms: SimulatedCsms, connection: ServerConnection, request: Request) -> Response | None:
        if not request.path.endswith(BAD):
            return admit(csms, connection, request)
        status = next(refusals)
        if status is None:
            connection.transport.abort()
            return None
        return connection.respond(HTTPStatus(status), "no\n")

    async def story(clock: PatientTime) -> None:
        async with product(clock, tmp_path) as whole:
            with whole.undisturbed():
                for told in (401, 404, 503):
                    with pytest.raises(InvalidStatus) as caught:
                        await whole.dial()
                    assert caught.value.response.status_code == told
                assert BAD not in whole.gateway.stations.drivers
                await asyncio.sleep(30)

    monkeypatch.setattr(SimulatedCsms, "_admit", refuse)
    clock = PatientTime(20)
    run(story(clock), clock)


@pytest.mark.requirement("LC-116")
def test_a_meter_that_is_down_at_start_is_named_and_holds_cars_at_their_fallback_until_it_answers(
    tmp_path: Path,
) -> None:
    async def story(clock: PatientTime) -> None:
        gateway_port, meter_port = free_ports(2)
        nodes = (Node("grid", 60.0, None, (BaseLoad(5.0, jitter_a=0.2),) * 3),)
        async with RunningSite(SiteSpec(nodes, (NEIGHBOUR,), metered=()), f"ws://{HOST}:{gateway_port}", clock) as site:
            path = tmp_path / "site.yaml"
            text = site_text(
                [station_row(NEIGHBOUR)],
                csms_url=site.csms.url,
                port=gateway_port,
                fuse_a=60,
                more=meters({"grid": meter_port}),
            )
            path.write_text(text, encoding="utf-8")
            async with LocalController(load(path), clock) as gateway:
                whole = Product(gateway, site, clock, gateway_port)
                playing = asyncio.create_task(site.play(3600, boot_within_s=600))
                await until(lambda: whole.neighbour_a > 0, 60)
                await asyncio.sleep(90)
                assert whole.neighbour_a == FALLBACK_A
                (failed,) = [n for n in (await gateway.picture())["notices"] if n["code"] == "meter_failed"]
                assert "meter grid" in failed["text"]
                assert f"{HOST}:{meter_port}" in failed["text"]
                async with SimulatedMeter(site.world.gauges["grid"], meter_port):
                    await until(lambda: whole.neighbour_a > FALLBACK_A, 60)
                    assert "meter_answers" in whole.notices()
                playing.cancel()
                with suppress(asyncio.CancelledError):
                    await playing

    clock = PatientTime(30)
    run(story(clock), clock)
