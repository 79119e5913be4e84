"""Do a CSMS and stations that nobody here wrote work through the gateway? The npm package ocpp-rpc, validating strictly.

Both ends validate every CALL and every answer, so that anything of ours that is not as the schemas say is a fault that
they report. The package's strict mode knows 1.6 and 2.0.1; for 2.1 it is broken as shipped.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from local_controller.app import LocalController
from local_controller.cli.demo_peers import free_ports
from local_controller.clock import Clock
from local_controller.config.load import load
from tests.e2e.surroundings import HERE, HOST, missing, program, site_text

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
PEERS = HERE / "peers"
STATIONS = {"NODE-16": "ocpp1.6", "NODE-201": "ocpp2.0.1"}
FUSE_A, BASE_A = 50, 15.6
"""50 A - 15.6 A - 1 A of margin: 16.7 A for each of two stations, a multiple of 0.1 that binary numbers cannot hold."""


@pytest.fixture(scope="session")
def node() -> str:
    """Node.js with the packages of the lock file."""
    binary = program("node")
    if not (PEERS / "node_modules" / "ocpp-rpc").is_dir():
        command = [program("npm"), "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=PEERS, capture_output=True, text=True, timeout=90, check=False)
        if done.returncode != 0:
            missing(f"npm ci failed: {done.stderr[-400:]}")
    return binary


def test_the_lock_file_names_no_registry() -> None:
    packages = json.loads((PEERS / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert "node_modules/ocpp-rpc" in packages
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in packages.items() if name)


@dataclass
class Peer:
    """A Node process that prints events."""

    process: asyncio.subprocess.Process
    events: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.events.append(json.loads(line))
            self.news.set()

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())

    async def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The first event that fulfils the condition."""
        async with asyncio.timeout(40):
            while True:
                for event in self.events:
                    if condition(event):
                        return event
                self.news.clear()
                await self.news.wait()

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]


@asynccontextmanager
async def peer(node: str, *arguments: str) -> AsyncIterator[Peer]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(node, *arguments, cwd=PEERS, stdin=pipe, stdout=pipe)
    one = Peer(process)
    listening = asyncio.create_task(one.listen())
    try:
        yield one
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening


async def command(csms: Peer, identity: str, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The answer of a station to a command of the CSMS."""
    before = len(csms.events)
    csms.say(json.dumps({"identity": identity, "method": method, "params": params}))
    told = await csms.until(lambda event: csms.events.index(event) >= before and event["event"] in {"answer", "fault"})
    assert told["event"] == "answer", told
    answer: dict[str, Any] = told["answer"]
    return answer


@pytest.mark.requirement("LC-018", "LC-041", "LC-091", "LC-105", "LC-150")
async def test_strict_peers_work_through_the_gateway_without_any_fault(node: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        csms = await stack.enter_async_context(peer(node, "csms.js"))
        url = f"ws://{HOST}:{(await csms.until(lambda e: e['event'] == 'listening'))['port']}/ocpp"
        (port,) = free_ports(1)
        site = tmp_path / "site.yaml"
        rows = [f"id: {identity}, max_a: 32" for identity in STATIONS]
        site.write_text(site_text(rows, csms_url=url, port=port, fuse_a=FUSE_A, base_a=BASE_A), encoding="utf-8")
        gateway = await stack.enter_async_context(LocalController(load(site), Clock()))
        stations = {
            identity: await stack.enter_async_context(
                peer(node, "station.js", f"ws://{HOST}:{port}", identity, version)
            )
            for identity, version in STATIONS.items()
        }
        for one in stations.values():
            await one.until(lambda e: e["event"] == "profile" and e["purpose"] == "TxDefaultProfile")
            one.say("plug")
            await one.until(lambda e: e["event"] == "profile" and e["purpose"] == "TxProfile" and e["amperes"] > 6)
        for one in stations.values():
            await one.until(lambda e: e["event"] == "profile" and e["amperes"] > 12)
        assert (
            await limit_by_the_csms(csms, "NODE-16", "connectorId", "csChargingProfiles", v16_profile()) == "Accepted"
        )
        assert await limit_by_the_csms(csms, "NODE-201", "evseId", "chargingProfile", v201_profile()) == "Accepted"
        for one in stations.values():
            await one.until(lambda e: e["event"] == "profile" and 9 < e["amperes"] <= 10)
        evses = {evse["id"]: evse for evse in (await gateway.picture())["evses"]}
        assert {evse["csms_limit_a"] for evse in evses.values()} == {10.0}
        for one in stations.values():
            one.say("stop")
            await one.until(lambda e: e["event"] == "stopped")
            assert await one.process.wait() == 0
    everybody = [csms, *stations.values()]
    assert [event for one in everybody for event in one.named("fault")] == []
    methods = {(call["identity"], call["method"]) for call in csms.named("call")}
    assert ("NODE-16", "StopTransaction") in methods
    assert ("NODE-201", "TransactionEvent") in methods
    assert {identity for identity, method in methods if method == "BootNotification"} == set(STATIONS)
    for identity, one in stations.items():
        print(f"\n{identity}: limits in A {[e['amperes'] for e in one.named('profile')]}, faults 0")  # noqa: T201


async def limit_by_the_csms(csms: Peer, identity: str, evse: str, member: str, profile: dict[str, Any]) -> str:
    answer = await command(csms, identity, "SetChargingProfile", {evse: 1, member: profile})
    return str(answer["status"])


def v16_profile() -> dict[str, Any]:
    profile = v201_profile()
    return {"chargingProfileId": profile.pop("id"), **profile, "chargingSchedule": _schedule()}


def v201_profile() -> dict[str, Any]:
    return {
        "id": 21,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [{"id": 1, **_schedule()}],
    }


def _schedule() -> dict[str, Any]:
    return {
        "startSchedule": "2020-01-01T00:00:00Z",
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}],
    }
