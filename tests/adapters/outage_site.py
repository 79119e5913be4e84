"""A gateway whose CSMS comes and goes, on real sockets: the CSMS keeps its port, stations say what a test tells them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from local_controller.app import LocalController
from local_controller.cli.demo_peers import free_ports
from local_controller.clock import Clock
from local_controller.config.load import load

HOST = "127.0.0.1"
SITE = """
site: {{name: Test, mode: control}}
csms: {{url: "ws://127.0.0.1:{csms}/ocpp", dial_timeout_s: 1, outage: {{wait_minimum_s: 0.1, random_range_s: 0.1, repeat_times: 0{outage}}}}}
listen: {{host: 127.0.0.1, port: {port}, allow_unsecured: {unsecured}}}
grid_connection: {{fuse_a: 100, assumed_base_load_a: 10}}
state_directory: {folder}
{more}
stations: [{{id: CP-1}}, {{id: CP-2}}]
"""


@dataclass
class RestartingCsms:
    """Answers as a CSMS does, unless a test wants otherwise, and remembers each CALL in its order."""

    port: int
    version: str = "ocpp1.6"
    status: int = 0
    is_mute: bool = False
    refuses: set[str] = field(default_factory=set)  # actions that it does not take
    heard: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)  # station, action, payload
    ids: list[str] = field(default_factory=list)
    sockets: dict[str, ServerConnection] = field(default_factory=dict)
    greeting: str = ""  # what it says to each station first
    answers: list[Any] = field(default_factory=list)  # to what it has asked
    transactions: int = 0
    _server: Server | None = None

    async def start(self) -> None:
        """It is there."""
        self._server = await serve(
            self._handle,
            HOST,
            self.port,
            process_request=self._judge,
            select_subprotocol=self._choose,
            reuse_address=True,
        )

    async def stop(self) -> None:
        """It is gone, and so are its connections."""
        if self._server is not None:
            self._server.close(close_connections=True)
            await self._server.wait_closed()
            self._server = None

    def actions(self, station: str = "CP-1") -> list[str]:
        """What a station has said to it."""
        return [action for who, action, _ in self.heard if who == station]

    def _choose(self, _: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return next((one for one in offered if one == self.version), None)

    def _judge(self, connection: ServerConnection, _: Request) -> Response | None:
        return connection.respond(self.status, "no") if self.status else None

    async def _handle(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        station = socket.request.path.rpartition("/")[2]
        self.sockets[station] = socket
        try:
            if self.greeting:
                await socket.send(self.greeting)
            async for text in socket:
                message = json.loads(text)
                if message[0] != 2:
                    self.answers.append(message)
                else:
                    self.heard.append((station, message[2], message[3]))
                    self.ids.append(message[1])
                    if message[2] in self.refuses:
                        await socket.send(json.dumps([4, message[1], "NotSupported", "", {}]))
                    elif not self.is_mute:
                        await socket.send(json.dumps([3, message[1], self._answer(message[2], message[3])]))
        except ConnectionClosed:
            return

    def _answer(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        match action:
            case "BootNotification":
                return {"status": "Accepted", "currentTime": "2026-11-22T12:00:00Z", "interval": 240}
            case "Heartbeat":
                return {"currentTime": "2026-11-22T12:00:00Z"}
            case "Authorize":
                return {"idTagInfo": {"status": "Accepted" if payload["idTag"].startswith("GOOD") else "Blocked"}}
            case "StartTransaction":
                self.transactions += 1
                return {"transactionId": self.transactions, "idTagInfo": {"status": "Accepted"}}
        return {}


@dataclass
class SpeakingStation:
    """A station of 1.6 that says one thing after the other."""

    socket: ClientConnection
    asked: list[str] = field(default_factory=list)
    _count: int = 0

    async def says(self, action: str, **payload: Any) -> Any:
        """The payload of the answer, or a CALLERROR as a list; what it is asked meanwhile it declines."""
        self._count += 1
        message_id = f"{action}-{self._count}"
        await self.socket.send(json.dumps([2, message_id, action, payload]))
        while True:
            message = json.loads(await self.socket.recv())
            if message[0] == 2:
                self.asked.append(message[2])
                await self.socket.send(json.dumps([4, message[1], "NotSupported", "", {}]))
            elif message[1] == message_id:
                return message[2] if message[0] == 3 else message

    async def boots(self) -> Any:
        return await self.says("BootNotification", chargePointVendor="V", chargePointModel="M")

    async def ends(self) -> int:
        """The code with which the gateway closes."""
        try:
            while True:
                await self.socket.recv()
        except ConnectionClosed:
            return self.socket.close_code or 0


@dataclass
class OutageSite:
    """The gateway can be started again on the same files."""

    folder: Path
    port: int
    csms: RestartingCsms
    outage: str = ""
    more: str = ""
    unsecured: bool = True

    def write(self) -> Path:
        """The site file."""
        path = self.folder / "site.yaml"
        text = SITE.format(
            csms=self.csms.port,
            port=self.port,
            folder=self.folder,
            outage=self.outage and f", {self.outage}",
            more=self.more,
            unsecured=str(self.unsecured).lower(),
        )
        path.write_text(text, encoding="utf-8")
        return path

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[LocalController]:
        """In this process."""
        async with LocalController(load(self.write()), Clock()) as running:
            yield running

    @asynccontextmanager
    async def station(self, identity: str = "CP-1", **options: Any) -> AsyncIterator[SpeakingStation]:
        options = {"subprotocols": ["ocpp1.6"], "proxy": None} | options
        async with connect(f"ws://{HOST}:{self.port}/{identity}", **options) as socket:
            yield SpeakingStation(socket)


@asynccontextmanager
async def outage_site(folder: Path, within_s: float = 30.0, **options: Any) -> AsyncIterator[OutageSite]:
    """A site whose CSMS is there at first. within_s: how long its story may take."""
    port, csms_port = free_ports(2)
    site = OutageSite(folder, port, RestartingCsms(csms_port), **options)
    await site.csms.start()
    try:
        async with asyncio.timeout(within_s):
            yield site
    finally:
        await site.csms.stop()
