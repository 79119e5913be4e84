"""Are contacts read from every known I/O module, without their bouncing, and told as limits that end by themselves?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog

from local_controller.adapters.contact_inputs import add_io_modules, contact_sources
from local_controller.adapters.examination.finding import State
from local_controller.adapters.examination.inputs import examine_inputs
from local_controller.adapters.modbus.connection import ModbusConnection, ModbusConnections, PollError, Trouble
from local_controller.adapters.modbus.io_module import IoModule, IoModuleSettings
from local_controller.adapters.modbus.lines import ConnectionSettings
from local_controller.adapters.modbus.module import Module, known_modules, load_module
from local_controller.clock import Clock, Instant
from local_controller.config.contacts import CHANNELS
from local_controller.config.models import SiteConfig
from local_controller.errors import SourceError
from local_controller.site.limit_message import ReceivedLimit
from site_simulator.io_module import SimulatedIoModule
from tests.config.test_connections import sound
from tests.site.virtual_site import START

LOG = structlog.get_logger()


@dataclass
class Heard:
    """What a module or its limits told."""

    reads: list[tuple[bool, ...]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    limits: list[ReceivedLimit] = field(default_factory=list)

    def read(self, closed: tuple[bool, ...], _: Instant) -> None:
        self.reads.append(closed)

    def failed(self, text: str, _: Instant) -> None:
        self.failures.append(text)

    def limit_received(self, source: str, limit: ReceivedLimit) -> None:
        assert source == "dso"
        self.limits.append(limit)

    def limit_source_failed(self, source: str, text: str) -> None:
        assert source == "dso"
        self.failures.append(text)


async def until(news: list[Any], count: int) -> None:
    async with asyncio.timeout(8):
        while len(news) < count:  # noqa: ASYNC110 the module tells nobody that it told
            await asyncio.sleep(0.01)


@asynccontextmanager
async def polled(module: Module, port: int, channels: int, heard: Heard) -> AsyncIterator[None]:
    connection = ModbusConnection(ConnectionSettings("127.0.0.1", port, timeout_s=0.3), LOG)
    settings = IoModuleSettings("io", channels, poll_s=0.2)
    connection.add(IoModule(settings, module, Clock(), heard.read, heard.failed, LOG))
    await connection.start()
    try:
        yield
    finally:
        await connection.stop()


def connection_of(config: SiteConfig, heard: Heard) -> ModbusConnection:
    connections = ModbusConnections(LOG)
    add_io_modules(config, heard, Clock(), connections, LOG)
    (connection,) = connections.all()
    return connection


def of_function_code(code: int) -> Module:
    data = load_module("moxa_iologik_e1200").model_dump()
    return Module(**{**data, "function_code": code, "first_address": 48})


MODULES = [load_module(name) for name in known_modules()] + [of_function_code(code) for code in (3, 4)]


@pytest.mark.parametrize("module", MODULES, ids=lambda one: f"{one.id}-{one.function_code}")
async def test_every_module_shows_which_channels_are_closed(module: Module) -> None:
    heard = Heard()
    async with (
        SimulatedIoModule((0, 4), first_address=module.first_address) as simulated,
        polled(module, simulated.port, 5, heard),
    ):
        await until(heard.reads, 1)
    assert heard.reads[0] == (True, False, False, False, True)
    assert heard.failures == []


def test_a_site_file_numbers_channels_as_the_modules_do() -> None:
    of_files = {
        one.id: range(one.first_channel, one.first_channel + one.channels) for one in map(load_module, known_modules())
    }
    assert of_files == CHANNELS


def test_an_unknown_module_is_told_with_the_known_ones() -> None:
    with pytest.raises(SourceError, match="known are: advantech_adam_6000, kmtronic_relay_8"):
        load_module("fritz_box")


async def test_a_contact_that_bounces_changes_nothing() -> None:
    heard = Heard()
    async with SimulatedIoModule((0,)) as simulated, polled(MODULES[0], simulated.port, 1, heard):
        await until(heard.reads, 2)
        await simulated.close()
        await asyncio.sleep(0.02)
        await simulated.close(0)
        await until(heard.reads, 4)
        assert set(heard.reads) == {(True,)}
        await simulated.close()
        await until(heard.reads, len(heard.reads) + 2)
    assert heard.reads[-1] == (False,)


class Line:
    """Answers with one channel, a tenth of a second later by its clock."""

    is_closed = True

    async def bits(self, function_code: int, first: int, count: int, unit_id: int) -> list[bool]:
        assert (function_code, first, count, unit_id) == (2, 0, 1, 1)
        SetClock.at_s += 0.1
        return [self.is_closed]

    async def registers(self, function_code: int, first: int, count: int, unit_id: int) -> list[int]:
        raise AssertionError("this module has inputs")


class SetClock(Clock):
    """Shows what it is set to."""

    at_s = 0.0

    def now(self) -> Instant:
        return Instant(SetClock.at_s, START.utc)


async def test_a_change_is_as_old_as_its_question_and_before_a_failure_it_proves_nothing() -> None:
    reads, line = list[tuple[tuple[bool, ...], float]](), Line()
    module = IoModule(
        IoModuleSettings("io", 1),
        load_module("moxa_iologik_e1200"),
        SetClock(),
        lambda closed, at: reads.append((closed, at.monotonic_s)),
        Heard().failed,
        LOG,
    )

    async def polled_at(*seconds: float) -> None:
        for SetClock.at_s in seconds:
            await module.poll(line)

    await polled_at(0.0, 0.2, 0.7)
    line.is_closed = False
    await polled_at(1.2)
    module.failed(PollError(Trouble.SILENT, "inputs"))
    await polled_at(3.0, 3.2)
    assert reads == [((True,), 0.2), ((True,), 0.7), ((False,), 3.2)]


def test_a_module_that_fails_is_looked_at_again_within_a_second() -> None:
    settings = IoModuleSettings("io", 1, poll_s=1.0)
    module = IoModule(settings, load_module("moxa_iologik_e1200"), SetClock(), lambda *_: None, Heard().failed, LOG)
    for _ in range(10):
        module.failed(PollError(Trouble.SILENT, "inputs"))
    assert module.pause_s() <= 1.0


async def test_a_module_that_has_too_few_channels_says_so() -> None:
    heard = Heard()
    async with SimulatedIoModule() as simulated, polled(load_module("moxa_iologik_e1200"), simulated.port, 40, heard):
        await until(heard.failures, 1)
    assert heard.failures[0].startswith("answers with an exception: inputs 0 to 39: illegal address")


async def test_a_module_that_is_away_is_found_again() -> None:
    heard = Heard()
    async with SimulatedIoModule((0,)) as first:
        port = first.port
        async with polled(MODULES[0], port, 1, heard):
            await until(heard.reads, 1)
            await first.stop()
            await until(heard.failures, 2)
            async with SimulatedIoModule(port=port):
                await until(heard.reads, len(heard.reads) + 1)
    assert heard.reads[-1] == (False,)
    assert heard.failures[-1].startswith("cannot be reached: no connection to 127.0.0.1:")


def site_with_contact(port: int) -> str:
    return f"""
csms: {{url: ws://csms.example.com}}
io_modules: [{{id: io, device: moxa_iologik_e1200, host: 127.0.0.1, port: {port}, poll_s: 0.2}}]
limits:
  - id: dso
    source: contact
    applies_to: charging
    io_module: io
    contacts: [{{id: W4, channel: 3}}]
    patterns: [{{given: [W4], section_14a: true}}, {{given: [], unlimited: true}}]
"""


async def test_contacts_become_limits_at_once_and_again_every_second() -> None:
    heard = Heard()
    async with SimulatedIoModule((3,)) as simulated:
        config = sound(site_with_contact(simulated.port))
        (source,) = contact_sources(config)
        assert (source.id, source.fallback_a, source.fallback_w, source.max_age_s) == ("dso", None, 7560.0, 5.0)
        module = connection_of(config, heard)
        await module.start()
        await until(heard.limits, 2)
        await simulated.close()
        await until(heard.limits, 3)
        await module.stop()
    assert [(limit.power_w, limit.reason) for limit in heard.limits] == [
        (None, "W4 is closed (not given)"),
        (None, "W4 is closed (not given)"),
        (7560.0, "W4 is open (given)"),
    ]


async def test_a_module_that_was_never_read_is_told_at_once() -> None:
    heard = Heard()
    async with SimulatedIoModule() as simulated:
        port = simulated.port
    module = connection_of(sound(site_with_contact(port)), heard)
    await module.start()
    await until(heard.failures, 1)
    await module.stop()
    assert heard.failures[0].startswith("I/O module io cannot be reached: no connection to 127.0.0.1:")


async def test_the_doctor_says_what_each_contact_means_now() -> None:
    async with SimulatedIoModule() as simulated:
        config = sound(site_with_contact(simulated.port))
        (found,) = await examine_inputs(config, Clock(), 3.0, {})
    assert (found.subject, found.state, found.text) == ("limit dso", State.OK, "W4 is open (given) -> 7.56 kW")
    (found,) = await examine_inputs(config, Clock(), 1.0, {})
    assert found.state is State.ERROR
    assert found.text.endswith("; the lowest of its patterns counts")
    assert found.remedy.startswith("check host and port")
