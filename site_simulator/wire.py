"""What went over one OCPP-J connection, and what in it must not have happened?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

CALL, CALLRESULT, CALLERROR = 2, 3, 4


class Connection(Protocol):
    """The part of a WebSocket that a peer needs."""

    async def recv(self) -> str | bytes:
        """The next frame."""

    async def send(self, message: str) -> None:
        """Send a text frame."""


@dataclass(frozen=True, slots=True)
class Line:
    """One frame: when, whether the owner of the record `sent` it, and its verbatim text."""

    at: datetime
    sent: bool
    text: str


@dataclass(slots=True)
class Record:
    """The transcript of one station over all its connections, and complaints about the other end."""

    lines: list[Line] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def actions(self, *, sent: bool) -> list[str]:
        """The actions of the CALLs of one direction, in order."""
        frames = [json.loads(line.text) for line in self.lines if line.sent is sent]
        return [frame[2] for frame in frames if frame[0] == CALL]

    def payloads(self, action: str) -> list[dict[str, Any]]:
        """The payloads of the CALLs with this action, in order, of both directions."""
        frames = [json.loads(line.text) for line in self.lines]
        return [frame[3] for frame in frames if frame[0] == CALL and frame[2] == action]


class Wire:
    """A connection that keeps a record and counts breaches of OCPP-J: duplicate ids, CALLERRORs, stray answers."""

    def __init__(self, connection: Connection, record: Record, utc: Callable[[], datetime]) -> None:
        self._connection = connection
        self._record = record
        self._utc = utc
        self._seen_ids: set[str] = set()
        self._open_ids: set[str] = set()

    async def recv(self) -> str:
        """The next frame as text."""
        frame = await self._connection.recv()
        text = frame if isinstance(frame, str) else frame.decode()
        self._record.lines.append(Line(self._utc(), sent=False, text=text))
        self._judge_received(text)
        return text

    async def send(self, text: str) -> None:
        """Send a frame and record it."""
        self._record.lines.append(Line(self._utc(), sent=True, text=text))
        frame = json.loads(text)
        if frame[0] == CALL:
            self._open_ids.add(frame[1])
        elif frame[0] == CALLERROR:
            self._record.complaints.append(f"had to answer {text}")
        await self._connection.send(text)

    def _judge_received(self, text: str) -> None:
        try:
            message_type, message_id, *rest = json.loads(text)
        except (ValueError, TypeError):
            self._record.complaints.append(f"no OCPP-J frame: {text}")
            return
        if message_type == CALL:
            if message_id in self._seen_ids:
                self._record.complaints.append(f"message id used twice: {message_id}")
            self._seen_ids.add(message_id)
        elif message_type in {CALLRESULT, CALLERROR}:
            self._judge_answer(message_type, message_id, rest)

    def _judge_answer(self, message_type: int, message_id: str, rest: list[Any]) -> None:
        if message_id not in self._open_ids:
            self._record.complaints.append(f"answer to a call that was not made: {message_id}")
        self._open_ids.discard(message_id)
        if message_type == CALLERROR:
            self._record.complaints.append(f"CALLERROR {rest}")
