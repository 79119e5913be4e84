"""Is the trace of a running gateway what the peers themselves saw on their sockets?"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from local_controller.adapters.trace_diff import Pairing
from local_controller.adapters.trace_store import Missing, TraceFile
from local_controller.app import LocalController
from local_controller.clock import Clock
from local_controller.config.load import load
from local_controller.station.effects import Fate

OCPP = Subprotocol("ocpp1.6")
SITE = """
site: {{name: Shop, mode: control}}
csms: {{url: "ws://127.0.0.1:{port}"}}
listen: {{port: {listen}, allow_unsecured: true}}
trace: {{file: {file}}}
grid_connection: {{fuse_a: 50, assumed_base_load_a: 25}}
stations: [{{id: CP-1}}]
"""
STATION_SAYS = [
    '[2,"s0","Heartbeat",{ }]',
    '[2,"s1","DataTransfer",{"vendorId":"\\u00e9","data":"1.10 € 漢"}]',
    '[2,"s2","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]',
]


class Seen:
    """What one peer sent and got, in its own order."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.got: list[str] = []

    async def say(self, socket: Connection, text: str) -> None:
        self.sent.append(text)
        await socket.send(text)

    async def hear(self, socket: Connection) -> list[Any]:
        text = await socket.recv()
        self.got.append(str(text))
        message: list[Any] = json.loads(text)
        return message


async def test_the_trace_holds_exactly_what_both_peers_sent_and_got(tmp_path: Path, unused_tcp_port: int) -> None:
    station, csms = Seen(), Seen()

    async def answer_all(socket: Connection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                _, message_id, *_ = await csms.hear(socket)
                await csms.say(socket, f'[3, "{message_id}", {{"currentTime":"2026-11-22T12:00:00.10Z"}}]')

    async with serve(answer_all, "127.0.0.1", 0, subprotocols=[OCPP]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        site = tmp_path / "site.yaml"
        site.write_text(SITE.format(port=port, listen=unused_tcp_port, file=tmp_path / "trace.db"))
        async with (
            LocalController(load(site), Clock()),
            connect(f"ws://127.0.0.1:{unused_tcp_port}/CP-1", subprotocols=[OCPP]) as socket,
        ):
            for number, text in enumerate(STATION_SAYS):
                await station.say(socket, text)
                while (message := await station.hear(socket))[1] != f"s{number}":
                    await station.say(socket, f'[3,"{message[1]}",{{"status":"Accepted"}}]')

    trace = TraceFile(tmp_path / "trace.db")
    events = list(Pairing(trace.own_call_ids()).events(trace.records("CP-1")))
    arrived = [(event.record.sender, event.record.text) for event in events if event.arrived]
    left = [(event.to, event.record.text) for event in events if event.left]
    for name, peer in (("station", station), ("csms", csms)):
        assert [text for sender, text in arrived if sender == name] == peer.sent
        assert [text for to, text in left if to == name][
            : len(peer.got)
        ] == peer.got  # the last may still be on its way
    assert csms.got == STATION_SAYS
    assert len([event for event in events if event.record.fate is Fate.PASSED]) == 2 * len(STATION_SAYS)
    assert trace.missing() == Missing(0, 0)
