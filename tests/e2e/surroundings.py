"""What do all end-to-end tests need around the gateway? Peers that may be missing, a site file, the gateway's process."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import pytest

from local_controller.clock import Clock
from site_simulator.clock import SimClock
from site_simulator.outlet import StationSpec
from site_simulator.site import Node

HERE = Path(__file__).parent
HOST = "127.0.0.1"


def program(name: str) -> str:
    """The path of a program that these tests need; without it they are skipped, or fail where REQUIRE_PEERS=1 says so."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return path if path is not None else missing(f"{name} is not installed")


async def until(condition: Callable[[], object], within_s: float) -> None:
    """Until a condition holds that nobody announces; TimeoutError after so many seconds of the loop's time."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # the world is looked at, it tells nothing
            await asyncio.sleep(0.05)


def missing(reason: str) -> str:
    """A peer is not there."""
    if os.environ.get("REQUIRE_PEERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def gateway_clock(clock: SimClock) -> Clock:
    """The product's clock that shows what the simulator's shows."""
    return Clock(clock.speed, clock.origin_s, clock.origin_utc)


# --- the site file --------------------------------------------------------------------------------------------------


def site_text(
    stations: Iterable[str],
    *,
    csms_url: str,
    port: int,
    fuse_a: float = 100,
    fuse_type: str = "gg",
    base_a: float = 10,
    mode: str = "control",
    of_grid: str = "",
    more: str = "",
) -> str:
    """A site file with one fuse. stations: what stands between the braces of each; of_grid: further keys of the grid
    connection; more: further sections.
    """
    rows = "".join(f"  - {{{station}}}\n" for station in stations)
    return (
        f"site: {{name: Test site, mode: {mode}}}\n"
        f"csms: {{url: '{csms_url}'}}\n"
        f"listen: {{host: {HOST}, port: {port}, allow_unsecured: true}}\n"
        f"grid_connection: {{name: Main, fuse_a: {fuse_a:g}, fuse_type: {fuse_type}, assumed_base_load_a: {base_a:g}"
        f"{', meter: grid' if 'meters:' in more else ''}{of_grid}}}\n"
        f"stations:\n{rows}{more}"
    )


def station_row(station: StationSpec, fallback_a: float = 6.0) -> str:
    """A simulated station as the site file knows it."""
    return (
        f"id: {station.identity}, circuit: {station.circuit}, phases: {station.phases}, rotation: {station.rotation}, "
        f"max_a: {station.max_a:g}, fallback_a: {fallback_a:g}"
    )


def circuits(nodes: Sequence[Node], base_a: Mapping[str, float]) -> str:
    """The section of all nodes but the root, each with a meter of its own name."""
    rows = "".join(
        f"  - {{id: {node.name}, fuse_a: {node.fuse_a:g}, fuse_type: gg, meter: {node.name}, "
        f"assumed_base_load_a: {base_a[node.name]:g}}}\n"
        for node in nodes[1:]
    )
    return f"circuits:\n{rows}"


def meters(ports: Mapping[str, int]) -> str:
    """The section of simulated meters, by node."""
    rows = "".join(
        f"  - {{id: {node}, device: eastron_sdm630, host: {HOST}, port: {port}, poll_s: 1.0}}\n"
        for node, port in ports.items()
    )
    return f"meters:\n{rows}"


def mqtt_limit(port: int, topic: str, fallback_a: float) -> str:
    """The sections of a broker and of a limit for the whole site."""
    return (
        f"brokers: [{{id: site, host: {HOST}, port: {port}}}]\n"
        f"limits:\n  - {{id: grid-operator, broker: site, topic: {topic}, node: grid, fallback_a: {fallback_a:g}}}\n"
    )


# --- the gateway as a process ---------------------------------------------------------------------------------------


@asynccontextmanager
async def command(
    *arguments: str, output: int | IO[bytes] = asyncio.subprocess.PIPE, module: str = "local_controller"
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`local-controller` as a process of its own; whatever happens, it is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=output, stderr=output
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def gateway_process(
    site: Path, clock: SimClock, *, ready_s: float = 20.0
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The gateway on compressed time, controlling within `ready_s` real seconds; whatever happens, it is gone afterwards."""
    arguments = [str(site), str(clock.speed), str(clock.origin_s), clock.origin_utc.isoformat()]
    log = site.with_suffix(".gateway.log")
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(HERE / "compressed_gateway.py"),
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(ready_s * clock.speed):
                assert await process.stdout.readline() == b"running\n", log.read_text(encoding="utf-8")
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
