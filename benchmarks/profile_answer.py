"""How long does a CSMS wait for the answer to a profile? At most one round trip to the station and 5 ms (LC-092).

CSMS and station are plain sockets on the loopback interface, the gateway is a process of its own. The station takes a
while to answer each profile, as stations do. Each round asks three ways: directly, with a profile that passes the gateway,
and with one that lives in the gateway, which first has to be worked out and told to the station. What is beyond the direct
way is the gateway's. One JSON object a line, times in ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

HOST: Final = "127.0.0.1"
VERSIONS: Final = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
GOAL_MS: Final = 5.0
PAUSE_S: Final = 0.5
"""From one profile to the next: time for the site to react to it, which takes the station's slot too."""

NOW: Final = "2026-01-01T00:00:00Z"
Json = dict[str, Any]


@dataclass
class Csms:
    """Registers the station, answers whatever it says, and asks."""

    socket: ServerConnection | None = None
    is_connected: asyncio.Event = field(default_factory=asyncio.Event)
    answers: dict[str, asyncio.Future[Json]] = field(default_factory=dict)
    number: int = 0

    async def listen(self, socket: ServerConnection) -> None:
        """One connection."""
        self.socket = socket
        self.is_connected.set()
        with suppress(ConnectionClosed):
            async for text in socket:
                kind, message_id, *rest = json.loads(text)
                if kind == 2:
                    await socket.send(json.dumps([3, message_id, _answer_of_csms(rest[0])]))
                elif message_id in self.answers:
                    self.answers.pop(message_id).set_result(rest[0] if kind == 3 else {"error": rest})

    async def ask(self, action: str, payload: Json) -> float:
        """Milliseconds until the answer, which has to be Accepted."""
        if self.socket is None:
            raise RuntimeError("no station is connected")
        self.number += 1
        answer = self.answers[f"c{self.number}"] = asyncio.get_running_loop().create_future()
        start = time.perf_counter()
        await self.socket.send(json.dumps([2, f"c{self.number}", action, payload]))
        said = await asyncio.wait_for(answer, 30.0)
        took_ms = (time.perf_counter() - start) * 1000.0
        if said.get("status") != "Accepted":
            raise RuntimeError(f"{action} was answered with {said}")
        return took_ms


def _answer_of_csms(action: str) -> Json:
    if action == "BootNotification":
        return {
            "status": "Accepted",
            "interval": 300,
            "currentTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
    if action == "Heartbeat":
        return {"currentTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    return {"transactionId": 7, "idTagInfo": {"status": "Accepted"}} if action == "StartTransaction" else {}


@dataclass
class Station:
    """Charges, and accepts each profile `delay_s` after it came."""

    version: str
    delay_s: float

    async def run(self, url: str, is_ready: asyncio.Event) -> None:
        """One connection, with a boot and a transaction."""
        async with connect(url, subprotocols=[Subprotocol(self.version)]) as socket:
            calls = [*_first_calls(self.version)]
            await self._say(socket, calls, 0)
            async for text in socket:
                kind, message_id, *rest = json.loads(text)
                if kind == 2:
                    await asyncio.sleep(self.delay_s if rest[0] == "SetChargingProfile" else 0.0)
                    await socket.send(json.dumps([3, message_id, _answer_of_station(rest[0], rest[1])]))
                elif not await self._say(socket, calls, int(message_id) + 1):
                    is_ready.set()

    async def _say(self, socket: ClientConnection, calls: list[tuple[str, Json]], number: int) -> bool:
        if number < len(calls):
            await socket.send(json.dumps([2, str(number), *calls[number]]))
        return number < len(calls)


def _first_calls(version: str) -> list[tuple[str, Json]]:
    if version == "ocpp1.6":
        boot: Json = {"chargePointVendor": "V", "chargePointModel": "M"}
        return [
            ("BootNotification", boot),
            ("StartTransaction", {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": NOW}),
        ]
    boot = {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}}
    info = {"transactionId": "7", "chargingState": "Charging"}
    event = {"eventType": "Started", "timestamp": NOW, "triggerReason": "Authorized", "seqNo": 0}
    return [
        ("BootNotification", boot),
        ("TransactionEvent", event | {"transactionInfo": info, "evse": {"id": 1, "connectorId": 1}}),
    ]


def _answer_of_station(action: str, payload: Json) -> Json:
    if action == "GetVariables":
        asked = payload["getVariableData"]
        return {"getVariableResult": [{**one, "attributeStatus": "UnknownVariable"} for one in asked]}
    return {"unknownKey": payload.get("key", [])} if action == "GetConfiguration" else {"status": "Accepted"}


def set_profile(version: str, purpose: str, profile_id: int, limit_a: float, periods: int = 1) -> Json:
    """A SetChargingProfile; one of 24 periods has an hour each."""
    steps = [{"startPeriod": 3600 * n, "limit": limit_a} for n in range(periods)]
    schedule: Json = {"startSchedule": NOW, "chargingRateUnit": "A", "chargingSchedulePeriod": steps}
    head: Json = {"stackLevel": profile_id, "chargingProfilePurpose": purpose, "chargingProfileKind": "Absolute"}
    evse = 0 if "Max" in purpose else 1
    if version == "ocpp1.6":
        head |= {"transactionId": 7} if purpose == "TxProfile" else {}
        name = "ChargePointMaxProfile" if "Max" in purpose else purpose
        head |= {"chargingProfileId": profile_id, "chargingProfilePurpose": name, "chargingSchedule": schedule}
        return {"connectorId": evse, "csChargingProfiles": head}
    head |= {"transactionId": "7"} if purpose == "TxProfile" else {}
    return {"evseId": evse, "chargingProfile": {"id": profile_id, **head, "chargingSchedule": [{"id": 1, **schedule}]}}


@asynccontextmanager
async def gateway(folder: Path, csms_port: int) -> AsyncIterator[str]:
    """The product as a process; gives the URL of its door once it is open."""
    async with serve(lambda _: asyncio.sleep(0), HOST, 0) as probe:
        port = _port(probe)
    site = folder / "site.yaml"
    site.write_text(
        f"site: {{name: Benchmark, mode: control}}\ncsms: {{url: 'ws://{HOST}:{csms_port}'}}\n"
        f"listen: {{host: {HOST}, port: {port}, allow_unsecured: true}}\n"
        "grid_connection: {name: Main, fuse_a: 100, fuse_type: gg, assumed_base_load_a: 10}\n"
        "stations:\n  - {id: CP-1, max_a: 32, fallback_a: 6}\n",
        encoding="utf-8",
    )
    log = (folder / "log").open("wb")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "local_controller", "run", str(site), stdout=log, stderr=log
    )
    try:
        await _opened(port, process)
        yield f"ws://{HOST}:{port}/CP-1"
    finally:
        process.terminate()
        await process.wait()
        log.close()


async def _opened(port: int, process: asyncio.subprocess.Process) -> None:
    for _ in range(300):
        if process.returncode is not None:
            raise RuntimeError("the gateway ended")
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return
    raise RuntimeError("the gateway did not open its door in 30 s")


def _port(server: Server) -> int:
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port


@asynccontextmanager
async def connected(csms: Csms, station: Station, url: str) -> AsyncIterator[None]:
    """The station charges, connected by way of `url`, and the gateway, if it is there, has told it its first limits."""
    is_ready = asyncio.Event()
    csms.is_connected.clear()
    running = asyncio.create_task(station.run(url, is_ready))
    try:
        await asyncio.wait_for(asyncio.gather(is_ready.wait(), csms.is_connected.wait()), 30.0)
        await asyncio.sleep(1.0)
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def times(csms: Csms, version: str, purpose: str, profile_id: int, rounds: int) -> list[float]:
    """Milliseconds of each; the limit changes every time, and always so that the station has to be told."""
    found = []
    for number in range(rounds):
        payload = set_profile(version, purpose, profile_id, 4.0 + number % 7 / 10, 24)
        found.append(await csms.ask("SetChargingProfile", payload))
        await asyncio.sleep(PAUSE_S)
    return found


def _line(version: str, stored: int, station_ms: float, found: dict[str, list[float]]) -> Json:
    direct, passed, kept = (sorted(found[way]) for way in ("direct", "passed", "kept"))
    beyond = {"median": statistics.median(kept), "p99": kept[len(kept) * 99 // 100], "most": kept[-1]}
    return {
        "figure": "profile_answer_ms",
        "version": version,
        "profiles_in_store": stored,
        "station_takes_ms": station_ms,
        "direct": round(statistics.median(direct), 2),
        "passed": round(statistics.median(passed), 2),
        "kept": {name: round(value, 2) for name, value in beyond.items()},
        "beyond_one_round_trip": {n: round(v - statistics.median(direct), 2) for n, v in beyond.items()},
        "goal_ms": GOAL_MS,
        "reached": beyond["p99"] - statistics.median(direct) <= GOAL_MS,
        "rounds": len(kept),
    }


async def main(rounds: int, station_ms: float) -> None:
    """All versions, with one profile in the store and with 20."""
    for version in VERSIONS:
        found = await _of_version(version, rounds, station_ms)
        for stored in (1, 20):
            line = _line(version, stored, station_ms, found | {"kept": found[f"kept {stored}"]})
            print(json.dumps(line), flush=True)


async def _of_version(version: str, rounds: int, station_ms: float) -> dict[str, list[float]]:
    csms, station = Csms(), Station(version, station_ms / 1000.0)
    with tempfile.TemporaryDirectory() as folder:
        async with serve(csms.listen, HOST, 0, subprotocols=[Subprotocol(version)]) as server:
            async with connected(csms, station, f"ws://{HOST}:{_port(server)}/CP-1"):
                found = {"direct": await times(csms, version, "TxProfile", 30, rounds)}
            async with gateway(Path(folder), _port(server)) as door, connected(csms, station, door):
                found["passed"] = await times(csms, version, "ChargingStationMaxProfile", 40, rounds)
                found["kept 1"] = await times(csms, version, "TxProfile", 30, rounds)
                for profile_id in range(1, 20):
                    await csms.ask("SetChargingProfile", set_profile(version, "TxDefaultProfile", profile_id, 20.0, 24))
                found["kept 20"] = await times(csms, version, "TxProfile", 30, rounds)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--station-ms", type=float, default=20.0, help="how long the station takes for a profile")
    options = parser.parse_args()
    try:
        asyncio.run(main(options.rounds, options.station_ms))
    except (OSError, RuntimeError, WebSocketException, TimeoutError) as error:
        sys.exit(f"profile_answer: {error}")
