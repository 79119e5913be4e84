"""Is a host found although nobody answers for the names of others?"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from websockets.datastructures import Headers

from local_controller.adapters.csms_client import CsmsSettings, Introduction, Refusal, connect
from local_controller.adapters.large_messages import LargeMessages
from local_controller.adapters.lookups import addresses
from local_controller.adapters.modbus.connection import ModbusConnection, Trouble
from local_controller.adapters.modbus.lines import ConnectionSettings
from local_controller.adapters.routing import Upstream
from local_controller.station.words import OcppVersion
from tests.adapters.test_modbus_connection import Looker
from tests.adapters.test_modbus_meter import free_port, scripted_server

MANY = 40
"""More than the threads that an event loop looks names up with: 32 of asyncio at most, 2 of uvloop."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names that were looked up and for which nobody answers while the test lasts."""
    names, ends, look_up = list[str](), threading.Event(), socket.getaddrinfo

    def resolver(host: str, *args: Any, **options: Any) -> Any:
        if host.endswith(".invalid"):
            names.append(host)
            ends.wait(20)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield names
    ends.set()


@pytest.mark.requirement("LC-001")
async def test_meters_whose_names_nobody_answers_for_do_not_keep_a_csms_from_being_dialled(asked: list[str]) -> None:
    meters = [ModbusConnection(ConnectionSettings(f"m{n}.invalid"), structlog.get_logger()) for n in range(MANY)]
    lookers = [Looker() for _ in meters]
    for meter, looker in zip(meters, lookers, strict=True):
        meter.add(looker)
        await meter.start()

    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    port = free_port()
    upstream = Upstream("csms", dict.fromkeys(OcppVersion, f"ws://localhost:{port}/ocpp"))
    try:
        async with scripted_server(port, refuses), asyncio.timeout(30):
            await asyncio.gather(*(looker.enough.wait() for looker in lookers))
            answer = await connect(
                CsmsSettings(upstream), Introduction("CP-1", Headers()), [OcppVersion.V16], LargeMessages(1 << 20)
            )
    finally:
        for meter in meters:
            await meter.stop()
    assert isinstance(answer, Refusal)
    assert answer.status == 401
    assert {looker.seen[0] for looker in lookers} == {Trouble.UNREACHABLE}


async def test_a_name_is_looked_up_once_at_a_time_whoever_asks_and_gives_up(asked: list[str]) -> None:
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await addresses("csms.invalid")
    assert asked == ["csms.invalid"]


async def test_a_name_has_its_addresses_and_one_that_there_is_not_has_none() -> None:
    assert "127.0.0.1" in await addresses("localhost")
    assert await addresses("::1") == ["::1"]
    with pytest.raises(socket.gaierror):
        await addresses("no-such-host.invalid")
    with pytest.raises(UnicodeError):
        await addresses("a" * 64 + ".invalid")
