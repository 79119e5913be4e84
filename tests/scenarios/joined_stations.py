"""Several simulated stations of one EVSE each, as one station of several EVSEs: one connection, whose messages are numbered anew.

The first one boots and answers for the station. Where a request is about all EVSEs, all hear it.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

CALL = 2
OF_THE_STATION = frozenset({"GetConfiguration", "GetVariables", "GetReport", "GetBaseReport"})
"""What the first one answers alone."""


class FarEnd(Protocol):
    """Of a connection to the gateway."""

    async def recv(self) -> str: ...
    async def send(self, message: str) -> None: ...
    def drop(self) -> None: ...


class Part:
    """The end of one of them."""

    def __init__(self, joined: Joined, number: int) -> None:
        self.inbox: asyncio.Queue[str] = asyncio.Queue()
        self._joined, self._number = joined, number

    async def recv(self) -> str:
        return await self.inbox.get()

    async def send(self, message: str) -> None:
        await self._joined.said(self._number, json.loads(message))

    def drop(self) -> None:
        """Nobody loses the connection."""


class Joined:
    """One station. evses: how many it has; stamp: the time as text."""

    def __init__(self, far: FarEnd, version: str, evses: int, stamp: Callable[[], str]) -> None:
        self.parts = {number: Part(self, number) for number in range(1, evses + 1)}
        self._far, self._is_16, self._stamp = far, version == "ocpp1.6", stamp
        self._asks: dict[str, int] = {}
        self._waiting: deque[tuple[int, list[Any]]] = deque()
        self._answers: dict[str, tuple[str, dict[int, list[Any] | None]]] = {}
        self._report: set[int] = set()

    async def run(self) -> None:
        """Passes on what the gateway says."""
        while True:
            frame = json.loads(await self._far.recv())
            if frame[0] == CALL:
                self._hear(frame)
            else:
                self.parts[self._asks.pop(frame[1])].inbox.put_nowait(json.dumps(frame))
                await self._ask_next()

    def _hear(self, frame: list[Any]) -> None:
        _, id_, action, payload = frame
        about = self._evse(payload)
        heard = [1] if action in OF_THE_STATION else [about] if about else [*self.parts]
        self._answers[id_] = action, dict.fromkeys(heard)
        if action == "GetChargingProfiles":
            self._report = set(heard)
        for number in heard:
            text = json.dumps([CALL, id_, action, self._numbered(payload, number, 1)])
            self.parts[number].inbox.put_nowait(text)

    async def said(self, number: int, frame: list[Any]) -> None:
        """One of them calls, one CALL at a time for all, or answers."""
        if frame[0] != CALL:
            await self._answer(number, frame)
        elif number > 1 and frame[2] in {"BootNotification", "Heartbeat"}:
            told = {"currentTime": self._stamp()}
            told |= {"interval": 300, "status": "Accepted"} if frame[2] == "BootNotification" else {}
            self.parts[number].inbox.put_nowait(json.dumps([3, frame[1], told]))
        else:
            told = self._numbered(frame[3], 1, number)
            if frame[2] == "ReportChargingProfiles" and not told.get("tbc"):
                self._report.discard(number)
                told["tbc"] = bool(self._report)  # one report of all (K09.FR.02)
            self._waiting.append((number, [*frame[:3], told]))
            await self._ask_next()

    async def _ask_next(self) -> None:
        if self._waiting and not self._asks:
            number, frame = self._waiting.popleft()
            self._asks[frame[1]] = number
            await self._far.send(json.dumps(frame))

    async def _answer(self, number: int, frame: list[Any]) -> None:
        action, answers = self._answers[frame[1]]
        if action == "GetChargingProfiles" and frame[2].get("status") != "Accepted":
            self._report.discard(number)
        answers[number] = [frame[0], frame[1], *(self._numbered(one, 1, number) for one in frame[2:])]
        if None in answers.values():
            return
        del self._answers[frame[1]]
        found = [one for one in answers.values() if one is not None]
        best = next((one for one in found if one[0] == 3 and one[2].get("status") == "Accepted"), found[0])
        if action == "GetConfiguration" and best[0] == 3:
            for key in best[2].get("configurationKey", []):
                key["value"] = str(len(self.parts)) if key["key"] == "NumberOfConnectors" else key.get("value")
        await self._far.send(json.dumps(best))

    def _evse(self, payload: Any) -> int:
        """Which EVSE a request is about; 0 for all of them."""
        if self._is_16:
            return int(payload.get("connectorId", 0))
        return int(payload.get("evseId") or payload.get("evse", {}).get("id", 0))

    def _numbered(self, value: Any, old: int, new: int) -> Any:
        if isinstance(value, list):
            return [self._numbered(one, old, new) for one in value]
        if not isinstance(value, dict):
            return value
        found = {key: self._numbered(one, old, new) for key, one in value.items()}
        name = "connectorId" if self._is_16 else "evseId"
        if found.get(name) == old:
            found[name] = new
        if not self._is_16 and isinstance(found.get("evse"), dict) and found["evse"].get("id") == old:
            found["evse"] = found["evse"] | {"id": new}
        return found
