"""Is every breach of OCPP-J by the other end noted?"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from datetime import UTC, datetime
from typing import Any

import pytest

from site_simulator.wire import Record, Wire


class Script:
    """A connection that plays given frames."""

    def __init__(self, *frames: str) -> None:
        self.frames = deque(frames)
        self.sent: list[str] = []

    async def recv(self) -> str:
        return self.frames.popleft()

    async def send(self, message: str) -> None:
        self.sent.append(message)


def complaints(*frames: Any, asked: str | None = None) -> list[str]:
    texts = [frame if isinstance(frame, str) else json.dumps(frame) for frame in frames]
    record = Record()

    async def converse() -> None:
        wire = Wire(Script(*texts), record, lambda: datetime.now(UTC))
        if asked is not None:
            await wire.send(json.dumps([2, asked, "Reset", {}]))
        for text in texts:
            assert await wire.recv() == text

    asyncio.run(converse())
    return record.complaints


def test_an_orderly_conversation_gives_no_complaint() -> None:
    assert complaints([2, "a", "Heartbeat", {}], [2, "b", "Heartbeat", {}], [3, "q", {}], asked="q") == []


@pytest.mark.parametrize(
    ("frames", "complaint"),
    [
        ([[2, "a", "Heartbeat", {}], [2, "a", "Heartbeat", {}]], "message id used twice: a"),
        ([[3, "LC1", {}]], "answer to a call that was not made: LC1"),
        ([[3, "q", {}], [3, "q", {}]], "answer to a call that was not made: q"),
        ([[4, "q", "InternalError", "", {}]], "CALLERROR ['InternalError', '', {}]"),
        (["no json"], "no OCPP-J frame: no json"),
        (["{}"], "no OCPP-J frame: {}"),
    ],
)
def test_a_breach_is_noted(frames: list[Any], complaint: str) -> None:
    assert complaints(*frames, asked="q") == [complaint]
