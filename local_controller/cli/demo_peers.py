"""Who stands around the gateway in the demonstration? A broker and a simulated site, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_controller.clock import Clock
from local_controller.errors import LocalControllerError

HOST = "127.0.0.1"
_PORTS = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now, and that no system gives by itself to whoever asks for any (RFC 6335: from 49152 on, Linux: 32768).

    Else somebody might get one of them before it is listened on, and be taken for who should.
    """
    with ExitStack() as held:
        found: list[int] = []
        for port in random.sample(_PORTS, len(_PORTS)):
            if len(found) == count:
                break
            listener = held.enter_context(socket.socket())
            with suppress(OSError):
                listener.bind((HOST, port))
                found.append(port)
        return found


@asynccontextmanager
async def broker(port: int, folder: Path) -> AsyncIterator[str]:
    """An MQTT broker on the loopback interface: mosquitto if it is installed, else the one in the package iotcore."""
    if shutil.which("mosquitto"):
        config = folder / "mosquitto.conf"
        config.write_text(f"listener {port} {HOST}\nallow_anonymous true\n", encoding="utf-8")
        name, command = "mosquitto", ["mosquitto", "-c", str(config)]
    else:
        code = f"import iotcore; iotcore.Broker(port={port}, listen={HOST!r}).run_forever()"
        name, command = "iotcore (rumqttd)", [sys.executable, "-c", code]
    with (folder / "broker.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        try:
            yield name
        finally:
            await _ended(process)


@dataclass(slots=True)
class SimulatedSite:
    """The process with stations, CSMS and meters: what it listens on, and its result once it is there."""

    csms_url: str
    meter_ports: Mapping[str, int]
    result: asyncio.Task[dict[str, Any]]


@asynccontextmanager
async def simulated_site(
    clock: Clock, gateway_port: int, mqtt_port: int, duration_s: float, folder: Path
) -> AsyncIterator[SimulatedSite]:
    """Stations, CSMS, meters and grid operator on the same clock as ours. LocalControllerError when they cannot start."""
    options = {
        "speed": clock.speed,
        "origin": clock.origin_s,
        "gateway-url": f"ws://{HOST}:{gateway_port}",
        "duration": duration_s,
        "mqtt-port": mqtt_port,
    }
    command = [sys.executable, "-m", "site_simulator", *(f"--{key}={value}" for key, value in options.items())]
    with (folder / "simulator.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=log)
        try:
            ready = await _line(process, folder)
            result = asyncio.get_running_loop().create_task(_line(process, folder))
            try:
                yield SimulatedSite(ready["csms"], ready["meters"], result)
            finally:
                result.cancel()
        finally:
            await _ended(process)


async def _line(process: asyncio.subprocess.Process, folder: Path) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101 - started with a pipe
    text = await process.stdout.readline()
    if not text:
        said = (folder / "simulator.log").read_text(encoding="utf-8", errors="replace")[-800:]
        raise LocalControllerError(f"the simulated site ended too early: {said or 'it said nothing'}")
    answer: dict[str, Any] = json.loads(text)
    if "error" in answer:
        raise LocalControllerError(f"the simulated site failed: {answer['error']}")
    return answer


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()
