"""Does a bridge of EEBUS LPC that keeps its values in Modbus registers reach the site, from its site file on?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from local_controller.adapters.examination.finding import Finding, State
from local_controller.adapters.examination.inputs import examine_inputs
from local_controller.adapters.inputs import Inputs, Listener
from local_controller.clock import Clock
from local_controller.config.models import SiteConfig
from local_controller.site.lpc import LpcFailsafe, LpcHeartbeat, LpcLimit, LpcWord
from tests.adapters.test_modbus_meter import free_port
from tests.config.test_connections import sound

HOLDING, FIRST = 3, 100
NOTHING = 0xFFFF


def site(port: int) -> SiteConfig:
    return sound(f"""\
csms: {{url: ws://csms}}
limits:
  - id: dso
    source: lpc_modbus
    registers:
      host: 127.0.0.1
      port: {port}
      not_a_value: {{u16: [{NOTHING}]}}
      limit: {{type: u16, at: 100, factor: 10}}
      active: {{type: u16, at: 101}}
      heartbeat: {{type: u16, at: 102}}
      failsafe: {{type: u16, at: 103}}
""")


@asynccontextmanager
async def bridge(port: int, *words: int) -> AsyncIterator[ModbusTcpServer]:
    """Limit in units of 10 W, whether it is active, heartbeat, failsafe limit."""
    held = [SimData(FIRST, values=list(words), datatype=DataType.REGISTERS)]
    bits, unused = [SimData(0, values=False, datatype=DataType.BITS)], [SimData(0)]
    server = ModbusTcpServer(SimDevice(1, simdata=(bits, bits, held, unused)), address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    try:
        yield server
    finally:
        await server.shutdown()


@dataclass
class Told:
    """What the site is told."""

    words: list[LpcWord] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def control_box_said(self, source: str, word: LpcWord) -> None:
        assert source == "dso"
        self.words.append(word)
        self.news.set()

    def limit_source_failed(self, _source: str, text: str) -> None:
        self.failures.append(text)
        self.news.set()

    control_box_unread = limit_source_failed
    meter_read = meter_failed = cast(Any, None)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(12):
            while not condition():
                self.news.clear()
                await self.news.wait()


async def show(server: ModbusTcpServer, *words: int) -> None:
    await server.async_setValues(1, HOLDING, FIRST, list(words))


@pytest.mark.requirement("LC-116")
async def test_limits_heartbeats_and_failsafe_values_arrive_and_nonsense_and_silence_are_told_once() -> None:
    port, told = free_port(), Told()
    (connection,) = Inputs(site(port), cast(Listener, told), Clock(), {}).connections
    async with bridge(port, 900, 0, 1, 4200) as server:
        await connection.start()
        await told.until(lambda: len(told.words) == 2)
        assert told.words == [LpcFailsafe(4200.0, is_retained=True), LpcLimit(None, is_retained=True)]
        told.words.clear()
        await show(server, 900, 1, 2, 4200)
        await told.until(lambda: len(told.words) == 3)
        assert told.words[1:] == [LpcHeartbeat(), LpcLimit(9000.0)]
        await show(server, NOTHING, 1, 3, 4200)
        await told.until(lambda: bool(told.failures))
        assert told.failures == ["limit dso answers nonsense: no value of limit"]
    await told.until(lambda: len(told.failures) == 2)
    assert told.failures[1].startswith("limit dso ")
    told.words.clear()
    async with bridge(port, 900, 1, 4, 4200):
        await told.until(lambda: len(told.words) == 2)
        await connection.stop()
    assert told.words[1] == LpcLimit(9000.0, is_retained=True)


async def examined(port: int) -> Finding:
    (found,) = await examine_inputs(site(port), Clock(), 2.0, {})
    return found


async def test_the_doctor_says_what_the_bridge_shows_and_what_is_wrong_with_it() -> None:
    port = free_port()
    found = await examined(port)
    assert (found.state, found.text.split(":")[0]) == (State.ERROR, "limit dso cannot be reached")
    async with bridge(port, 900, 1, 1, 4200):
        found = await examined(port)
        assert (found.state, found.text) == (
            State.WARNING,
            "no heartbeat within 2 s (9000 W); it comes once a minute",
        )
    async with bridge(port, NOTHING, 1, 1, 4200):
        found = await examined(port)
        assert (found.state, found.text) == (State.ERROR, "limit dso answers nonsense: no value of limit")
        assert found.remedy == "compare its registers with what the site file says"
