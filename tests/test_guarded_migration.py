"""A CSMS moves a station elsewhere, over real sockets: where does the station dial after its reset? (LC-129, LC-132)"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from local_controller.app import LocalController
from local_controller.clock import Clock
from local_controller.config.load import load

V2X = pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
SITE = """
site: {{name: Test, mode: control}}
csms: {{url: "ws://127.0.0.1:{csms}/ocpp"}}
listen: {{host: 127.0.0.1, port: {gateway}, public_url: "ws://127.0.0.1:{gateway}"}}
guards: {{network: {policy}}}
grid_connection: {{fuse_a: 50, assumed_base_load_a: 10}}
stations: [{{id: CP-1}}]
"""
IDLE: dict[str, Any] = {"reason": "PowerUp", "chargingStation": {"vendorName": "Acme", "model": "One"}}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Csms:
    """A CSMS that accepts everything; `came` are its stations, each with the header by which it said who it is."""

    port: int = 0
    came: asyncio.Queue[tuple[ServerConnection, str]] = field(default_factory=asyncio.Queue)
    answers: dict[str, asyncio.Future[Any]] = field(default_factory=dict)

    async def handle(self, station: ServerConnection) -> None:
        request = station.request
        await self.came.put((station, "" if request is None else request.headers.get("Authorization", "")))
        try:
            async for text in station:
                kind, message_id, *rest = json.loads(text)
                if kind == 2:
                    boot = {"currentTime": "2026-11-22T12:00:00Z", "interval": 300, "status": "Accepted"}
                    await station.send(json.dumps([3, message_id, boot if rest[0] == "BootNotification" else {}]))
                else:
                    self.answers[message_id].set_result(rest[0])
        except ConnectionClosed:
            pass

    async def asks(self, station: ServerConnection, action: str, payload: dict[str, Any]) -> Any:
        message_id = f"c{len(self.answers)}"
        self.answers[message_id] = asyncio.get_running_loop().create_future()
        await station.send(json.dumps([2, message_id, action, payload]))
        return await self.answers[message_id]


@asynccontextmanager
async def csms() -> AsyncIterator[Csms]:
    one = Csms()
    async with serve(one.handle, "127.0.0.1", 0, subprotocols=["ocpp2.1", "ocpp2.0.1", "ocpp1.6"]) as server:  # type: ignore[list-item]  # a NewType of str
        one.port = next(iter(server.sockets)).getsockname()[1]
        yield one


class Station:
    """A station with network profiles that dials the first of its priority, again after each reset (B09, B10)."""

    def __init__(self, version: str, url: str) -> None:
        self.version = version
        self.slots = {0: url}
        self.priority = [0]
        self.password = "the first password"  # noqa: S105 - the test's own
        self.numbers = count()

    async def live(self) -> None:
        while True:
            try:
                await self._connected()
            except (OSError, ConnectionClosed):
                await asyncio.sleep(0.05)

    async def _connected(self) -> None:
        key = base64.b64encode(f"CP-1:{self.password}".encode()).decode()
        url = f"{self.slots[self.priority[0]]}/CP-1"
        headers = {"Authorization": f"Basic {key}"}
        async with connect(url, subprotocols=[self.version], additional_headers=headers) as socket_:  # type: ignore[list-item]  # a NewType of str
            await socket_.send(json.dumps([2, f"s{next(self.numbers)}", "BootNotification", IDLE]))
            async for text in socket_:
                kind, message_id, *rest = json.loads(text)
                if kind == 2:
                    await socket_.send(json.dumps([3, message_id, self._obey(*rest)]))
                    if rest[0] == "Reset":
                        return

    def _obey(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if action == "SetNetworkProfile":
            self.slots[payload["configurationSlot"]] = payload["connectionData"]["ocppCsmsUrl"]
        if action == "SetVariables":
            return {"setVariableResult": [self._set(entry) for entry in payload["setVariableData"]]}
        if action == "GetVariables":
            return {"getVariableResult": [self._get(entry) for entry in payload["getVariableData"]]}
        return {"status": "Accepted"}

    def _set(self, entry: dict[str, Any]) -> dict[str, Any]:
        if entry["variable"]["name"] == "NetworkConfigurationPriority":
            self.priority = [int(slot) for slot in entry["attributeValue"].split(",")]
        if entry["variable"]["name"] == "BasicAuthPassword":
            self.password = entry["attributeValue"]
        return {"attributeStatus": "Accepted"} | {name: entry[name] for name in ("component", "variable")}

    def _get(self, entry: dict[str, Any]) -> dict[str, Any]:
        known = entry["variable"]["name"] == "OcppCsmsUrl"
        value = {"attributeValue": self.slots[int(entry["component"]["instance"])]} if known else {}
        status = "Accepted" if known else "UnknownVariable"
        return {"attributeStatus": status, **value} | {name: entry[name] for name in ("component", "variable")}


@asynccontextmanager
async def gateway(folder: Path, one: Csms, policy: str) -> AsyncIterator[tuple[LocalController, str]]:
    port = free_port()
    file = folder / "site.yaml"
    file.write_text(SITE.format(csms=one.port, gateway=port, policy=policy), encoding="utf-8")
    async with LocalController(load(file), Clock()) as controller, asyncio.timeout(30):
        yield controller, f"ws://127.0.0.1:{port}"


@asynccontextmanager
async def living(station: Station) -> AsyncIterator[None]:
    task = asyncio.create_task(station.live())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def variable(component: str, name: str, value: str) -> dict[str, Any]:
    return {"component": {"name": component}, "variable": {"name": name}, "attributeValue": value}


async def migrate(one: Csms, station: ServerConnection, url: str) -> list[str]:
    """What the CSMS hears when it moves the station to `url`."""
    data = {"ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": url, "messageTimeout": 30}
    data |= {"securityProfile": 1, "ocppInterface": "Wired0"}
    heard = await one.asks(station, "SetNetworkProfile", {"configurationSlot": 1, "connectionData": data})
    entry = variable("OCPPCommCtrlr", "NetworkConfigurationPriority", "1")
    set_ = await one.asks(station, "SetVariables", {"setVariableData": [entry]})
    reset = await one.asks(station, "Reset", {"type": "Immediate"})
    return [heard["status"], set_["setVariableResult"][0]["attributeStatus"], reset["status"]]


@V2X
@pytest.mark.requirement("LC-129")
@pytest.mark.parametrize(
    ("policy", "heard"),
    [("refuse", ["Rejected", "Rejected", "Accepted"]), ("rewrite", ["Accepted", "Accepted", "Accepted"])],
)
async def test_after_the_reset_the_station_comes_back_through_the_gateway(
    tmp_path: Path, version: str, policy: str, heard: list[str]
) -> None:
    async with csms() as one, csms() as elsewhere, gateway(tmp_path, one, policy) as (controller, url):
        wished = f"ws://127.0.0.1:{elsewhere.port}"
        async with living(Station(version, url)):
            station, _ = await one.came.get()
            assert await migrate(one, station, wished) == heard
            again, _ = await one.came.get()
            assert elsewhere.came.empty()
            asked = {
                "component": {"name": "NetworkConfiguration", "instance": "1"},
                "variable": {"name": "OcppCsmsUrl"},
            }
            if policy == "rewrite":
                read = await one.asks(again, "GetVariables", {"getVariableData": [asked]})
                assert read["getVariableResult"][0]["attributeValue"] == wished
        codes = [notice["code"] for notice in (await controller.picture())["notices"]]
        assert codes.count("guarded_message_refused") == (2 if policy == "refuse" else 0)


@V2X
@pytest.mark.requirement("LC-129")
async def test_where_the_site_lets_it_pass_the_station_goes_elsewhere(tmp_path: Path, version: str) -> None:
    async with (
        csms() as one,
        csms() as elsewhere,
        gateway(tmp_path, one, "pass") as (_, url),
        living(Station(version, url)),
    ):
        station, _ = await one.came.get()
        heard = await migrate(one, station, f"ws://127.0.0.1:{elsewhere.port}")
        assert heard == ["Accepted"] * 3
        await elsewhere.came.get()
        assert one.came.empty()


@V2X
@pytest.mark.requirement("LC-132")
async def test_after_a_new_password_the_station_is_back_on_both_legs_with_it(tmp_path: Path, version: str) -> None:
    async with csms() as one, gateway(tmp_path, one, "refuse") as (_, url), living(Station(version, url)):
        station, before = await one.came.get()
        entry = variable("SecurityCtrlr", "BasicAuthPassword", "the second password")
        await one.asks(station, "SetVariables", {"setVariableData": [entry]})
        await one.asks(station, "Reset", {"type": "Immediate"})
        _, after = await one.came.get()
        assert [base64.b64decode(header.removeprefix("Basic ")) for header in (before, after)] == [
            b"CP-1:the first password",
            b"CP-1:the second password",
        ]
