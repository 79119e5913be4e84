"""Whoever gives up dialling a CSMS leaves nothing behind."""

from __future__ import annotations

import asyncio

from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.typing import Subprotocol

from local_controller.adapters.csms_client import CsmsLeg, CsmsSettings, Introduction, dial
from local_controller.adapters.large_messages import LargeMessages
from local_controller.adapters.routing import Upstream
from local_controller.station.words import OcppVersion
from tests.e2e.surroundings import until


async def test_whoever_gives_up_dialling_leaves_no_connection_behind_at_whatever_moment() -> None:
    async with serve(
        lambda socket: socket.wait_closed(), "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")]
    ) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = CsmsSettings(Upstream("csms", {OcppVersion.V16: url}))
        station = Introduction("CP-1", Headers(), names_version=True)
        is_through, moments = False, 0
        while not is_through:
            task = asyncio.create_task(dial(settings, url, station, [OcppVersion.V16], LargeMessages(10)))
            for _ in range(moments):
                await asyncio.sleep(0)
            is_through, moments = task.done(), moments + 1
            task.cancel()
            for answer in await asyncio.gather(task, return_exceptions=True):
                if isinstance(answer, CsmsLeg):
                    await answer.end()
        await until(lambda: not server.connections, 10)
