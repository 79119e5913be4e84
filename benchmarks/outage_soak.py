"""Does a CSMS that comes and goes hear all that stations were confirmed, though the gateway is killed now and then?

Stations of 1.6 and 2.0.1 talk through the gateway as a process: sessions with samples, each message with a mark of its own, and what
is not confirmed is sent again until it is. Meanwhile the CSMS goes away for some seconds, connections are cut, and the gateway is killed
(-9) and started again. In the end all are there until nothing waits any more. Progress goes to standard error, one line of JSON to standard output:

* **lost**: confirmed to a station, and never at the CSMS.
* **reordered**: a transaction's message that came to the CSMS before one that the station was confirmed earlier.
* **twice**: came more than once; that is allowed, where a connection ended before the answer.
* **strange**: an id at the CSMS that it has not given, an answer that nobody asked for.

Exit code 1 when anything was lost, reordered or strange. Everything is on the loopback interface and ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from benchmarks.relay.relays import free_port

HOST = "127.0.0.1"
PROGRESS_S = 10.0
PATIENCE_S = 40.0  # of a station for an answer
SETTLE_S = 180.0
V16, V201 = Subprotocol("ocpp1.6"), Subprotocol("ocpp2.0.1")
NOW = "2026-11-22T12:00:00Z"
SITE = """
site: {{name: Outages, mode: control}}
csms: {{url: "ws://127.0.0.1:{csms}", dial_timeout_s: 2, outage: {{unknown_id_tokens: accept, wait_minimum_s: 0.5, random_range_s: 1, repeat_times: 1}}}}
listen: {{host: 127.0.0.1, port: {port}, allow_unsecured: true, limits: {{connections_per_minute_per_address: 1e6, connections_per_minute_per_station: 1e6}}}}
grid_connection: {{fuse_a: 6300, assumed_base_load_a: 10}}
state_directory: {folder}
stations:
{stations}
"""


@dataclass
class Book:
    """What stations were confirmed and what the CSMS has heard, by station and in order."""

    confirmed: dict[str, list[str]] = field(default_factory=dict)
    arrived: dict[str, list[str]] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)
    strange: list[str] = field(default_factory=list)

    def arrives(self, station: str, mark: str) -> None:
        """At the CSMS."""
        self.times[mark] += 1
        if self.times[mark] == 1:
            self.arrived.setdefault(station, []).append(mark)

    def lost(self) -> list[str]:
        """Confirmed, and not there."""
        return [mark for marks in self.confirmed.values() for mark in marks if not self.times[mark]]

    def reordered(self) -> int:
        """How many came before one that was confirmed earlier."""
        count = 0
        for station, marks in self.confirmed.items():
            place = {mark: number for number, mark in enumerate(self.arrived.get(station, []))}
            there = [place[mark] for mark in marks if mark in place]
            count += sum(1 for earlier, later in pairwise(there) if later < earlier)
        return count


class Csms:
    """Answers all; its transaction ids are small numbers."""

    def __init__(self, port: int, book: Book) -> None:
        self.port = port
        self._book = book
        self._server: Server | None = None
        self._transactions = 0

    async def come(self) -> None:
        """It listens."""
        if self._server is None:
            self._server = await serve(self._talk, HOST, self.port, subprotocols=[V16, V201], max_queue=None)

    async def go(self) -> None:
        """It is gone, and all connections with it."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _talk(self, socket: ServerConnection) -> None:
        station = "" if socket.request is None else socket.request.path.rpartition("/")[2]
        with suppress(ConnectionClosed):
            async for text in socket:
                kind, message_id, *rest = json.loads(text)
                if kind != 2:
                    self._book.strange.append(f"{station}: {text!s}")
                    continue
                action, payload = rest
                if mark := payload.get("customData", {}).get("mark"):
                    self._book.arrives(station, mark)
                if isinstance(known := payload.get("transactionId"), int) and known > self._transactions:
                    self._book.strange.append(f"{station}: {text!s}")
                await socket.send(json.dumps([3, message_id, self._answer(action)]))

    def _answer(self, action: str) -> dict[str, Any]:
        match action:
            case "BootNotification":
                return {"status": "Accepted", "currentTime": NOW, "interval": 300}
            case "Heartbeat":
                return {"currentTime": NOW}
            case "StartTransaction":
                self._transactions += 1
                return {"transactionId": self._transactions, "idTagInfo": {"status": "Accepted"}}
        return {}


class Station:
    """Sessions without end; whatever belongs to one is said until it is confirmed."""

    def __init__(self, identity: str, version: Subprotocol, port: int, book: Book, rnd: random.Random) -> None:
        self._identity, self._version, self._port, self._book, self._rnd = identity, version, port, book, rnd
        self.socket: ClientConnection | None = None
        self.is_over = False
        self.is_idle = False
        self._count = 0

    async def live(self) -> None:
        """Until it is told that it is over, and its session has ended."""
        while not self.is_over:
            transaction = await self._begin()
            for _ in range(self._rnd.randint(1, 8)):
                await asyncio.sleep(self._rnd.random())
                await self._sample(transaction)
            await self._end(transaction)
        self.is_idle = True
        while True:  # it stays connected, so that what waits may be delivered in its name
            with suppress(OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                await self._ask("Heartbeat", {})
            await asyncio.sleep(2)

    async def _begin(self) -> Any:
        if self._version == V16:
            start = {"connectorId": 1, "idTag": "CARD", "meterStart": 0, "timestamp": NOW}
            return (await self._insist("StartTransaction", start))["transactionId"]
        self._count += 1
        transaction = f"{self._identity}-{self._count}"
        await self._insist("TransactionEvent", _event("Started", transaction))
        return transaction

    async def _sample(self, transaction: Any) -> None:
        if self._version == V16:
            await self._insist("MeterValues", {"connectorId": 1, "transactionId": transaction, "meterValue": []})
        else:
            await self._insist("TransactionEvent", _event("Updated", transaction))

    async def _end(self, transaction: Any) -> None:
        if self._version == V16:
            await self._insist("StopTransaction", {"transactionId": transaction, "meterStop": 1, "timestamp": NOW})
        else:
            await self._insist("TransactionEvent", _event("Ended", transaction))

    async def _insist(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Says it until it is confirmed."""
        self._count += 1
        mark = f"{self._identity}/{self._count}"
        said = {**payload, "customData": {"vendorId": "soak", "mark": mark}}
        while True:
            with suppress(OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                answer = await self._ask(action, said)
                if answer is not None:
                    self._book.confirmed.setdefault(self._identity, []).append(mark)
                    return answer
            await asyncio.sleep(0.2 + self._rnd.random())

    async def _ask(self, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        """The payload of the answer; None for a CALLERROR."""
        async with asyncio.timeout(PATIENCE_S):
            if self.socket is None or self.socket.close_code is not None:
                await self._connect()
            return await self._call(action, payload)

    async def _connect(self) -> None:
        url = f"ws://{HOST}:{self._port}/{self._identity}"
        self.socket = await connect(url, subprotocols=[self._version], proxy=None, compression=None)
        if self._version == V16:
            boot: dict[str, Any] = {"chargePointVendor": "V", "chargePointModel": "M"}
        else:
            boot = {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}}
        await self._call("BootNotification", boot)

    async def _call(self, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        assert self.socket is not None  # noqa: S101 - it was connected
        self._count += 1
        message_id = f"{self._count}"
        await self.socket.send(json.dumps([2, message_id, action, payload]))
        while True:
            kind, answered, *rest = json.loads(await self.socket.recv())
            if kind == 2:
                await self.socket.send(json.dumps([4, answered, "NotSupported", "", {}]))
            elif answered == message_id:
                return rest[0] if kind == 3 else None


def _event(kind: str, transaction: str) -> dict[str, Any]:
    info = {"transactionInfo": {"transactionId": transaction}, "triggerReason": "Trigger", "seqNo": 0}
    return {"eventType": kind, "timestamp": NOW, **info}


class Gateway:
    """The process."""

    def __init__(self, site: Path, log: Path) -> None:
        self._site, self._log = site, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """It runs soon."""
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "local_controller", "run", str(self._site)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own words

    def kill(self) -> None:
        """Without a last word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


async def _chaos(
    csms: Csms, gateway: Gateway, stations: list[Station], end_s: float, rnd: random.Random
) -> Counter[str]:
    """Until the time is over something fails every few seconds."""
    done: Counter[str] = Counter()
    while time.monotonic() < end_s:
        await asyncio.sleep(rnd.uniform(2, 8))
        match what := rnd.choice(["csms", "csms", "csms", "gateway", "cut"]):
            case "csms":
                await csms.go()
                await asyncio.sleep(rnd.uniform(1, 12))
                await csms.come()
            case "gateway":
                gateway.kill()
                gateway.start()
            case "cut":
                for station in rnd.sample(stations, k=max(1, len(stations) // 5)):
                    if station.socket is not None:
                        station.socket.transport.abort()
        done[what] += 1
    return done


async def _soak(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    rnd, book = random.Random(options.seed), Book()
    port, csms = free_port(), Csms(free_port(), book)
    names = [f"CP-{number}" for number in range(options.stations)]
    site = folder / "site.yaml"
    rows = "\n".join(f"  - {{id: {name}, max_a: 32, fallback_a: 6}}" for name in names)
    site.write_text(SITE.format(csms=csms.port, port=port, folder=folder, stations=rows), encoding="utf-8")
    gateway = Gateway(site, folder / "gateway.log")
    stations = [Station(name, (V16, V201)[n % 2], port, book, rnd) for n, name in enumerate(names)]
    await csms.come()
    gateway.start()
    lives = [asyncio.create_task(station.live()) for station in stations]
    progress = asyncio.create_task(_tell(book))
    try:
        faults = await _chaos(csms, gateway, stations, time.monotonic() + options.minutes * 60, rnd)
        for station in stations:
            station.is_over = True
        settled_s = await _settled(book, stations)
    finally:
        for task in (*lives, progress):
            task.cancel()
        await asyncio.gather(*lives, progress, return_exceptions=True)
        gateway.kill()
        await csms.go()
    for text in book.strange:
        print(text, file=sys.stderr)
    log = (folder / "gateway.log").read_text(encoding="utf-8")
    return {
        "stations": options.stations,
        "minutes": options.minutes,
        "faults": dict(faults),
        "settled_s": round(settled_s, 1),
        "confirmed": sum(map(len, book.confirmed.values())),
        "twice": sum(count - 1 for count in book.times.values()),
        "faults_of_ours": log.count('"station_failed"') + log.count("Traceback"),
        "strange": len(book.strange),
        "reordered": book.reordered(),
        "lost": len(book.lost()),
    }


async def _settled(book: Book, stations: list[Station]) -> float:
    """How long it takes until all sessions have ended and the CSMS has heard all; at most so long."""
    begun_s = time.monotonic()
    while time.monotonic() - begun_s < SETTLE_S:
        if all(station.is_idle for station in stations) and not book.lost():
            break
        await asyncio.sleep(0.5)
    return time.monotonic() - begun_s


async def _tell(book: Book) -> None:
    while True:
        await asyncio.sleep(PROGRESS_S)
        confirmed = sum(map(len, book.confirmed.values()))
        print(f"{confirmed} messages confirmed, {len(book.lost())} of them wait", file=sys.stderr)


def main() -> int:
    """Soaks and counts."""
    parser = argparse.ArgumentParser(prog="benchmarks.outage_soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--stations", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-outage-") as folder:
        counts = asyncio.run(_soak(options, Path(folder)))
    print(json.dumps(counts))
    return 1 if any(counts[name] for name in ("lost", "reordered", "strange", "faults_of_ours")) else 0


if __name__ == "__main__":
    sys.exit(main())
