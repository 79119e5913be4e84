"""Whoever wants to be forgotten is not in the trace's file any more (LC-146)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from local_controller.adapters.trace_secrets import MASK, erased
from local_controller.adapters.trace_store import TraceFile, TraceStore
from local_controller.clock import Clock
from local_controller.station.effects import Fate, Peer, Trace
from tests.adapters.test_trace_store import HEARTBEAT, LOG, store

TOKEN = "04E12CA2B96F80"  # noqa: S105 - a card, no secret
AUTHORIZE = f'[2, "a1","Authorize",{{"idToken": {{"idToken":"{TOKEN}","type":"ISO14443"}},"power":1.10}}]'


def content_of(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


@pytest.mark.requirement("LC-146")
async def test_an_identifier_is_erased_from_a_stations_messages_and_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "t.db"
    opened = TraceStore(file, 10_000_000, LOG)
    await opened.start()
    for station in ("CP-1", "CP-2"):
        for text in (AUTHORIZE, '[3,"a1",{}]', "Kim, no JSON"):
            opened.record(station, Trace(Peer.STATION, text, Fate.PASSED), Clock().now())
    opened.erase("CP-1", [TOKEN.lower(), "Kim"])
    await opened.stop()
    texts = [record.text for record in TraceFile(file).records(station="CP-1")]
    assert texts == [AUTHORIZE.replace(TOKEN, MASK), '[3,"a1",{}]', MASK]
    assert next(record.text for record in TraceFile(file).records(station="CP-2")) == AUTHORIZE
    assert b"".join(content_of(tmp_path)).count(TOKEN.encode()) == 1, (
        "that of the other station; none is left in a free page"
    )


async def test_a_damaged_file_from_which_nothing_can_be_erased_still_takes_what_comes(tmp_path: Path) -> None:
    file = tmp_path / "t.db"
    async with store(file) as keep:
        keep(HEARTBEAT)
    database = sqlite3.connect(file)
    with database:
        database.execute("UPDATE frames SET text = CAST(x'ff' AS TEXT)")
    database.close()
    damaged = TraceStore(file, 10_000_000, LOG)
    await damaged.start()
    with capture_logs() as logs:
        damaged.erase("CP-1", [TOKEN])
        async with asyncio.timeout(20):
            while not logs:  # noqa: ASYNC110 - its thread tells nobody
                await asyncio.sleep(0.05)
        damaged.record("CP-1", Trace(Peer.STATION, '[3,"later",{}]', Fate.PASSED), Clock().now())
        await damaged.stop()
    assert [entry["event"] for entry in logs] == ["trace_not_erased"]
    assert [record.message_id for record in TraceFile(file).last(1)] == ["later"]


@pytest.mark.requirement("LC-146")
@pytest.mark.parametrize("word", ["Kim", "kIM", "caf\u00e9", "a/b", 'say "x"'])
def test_a_word_is_erased_however_it_is_spelt_and_nothing_else_is(word: str) -> None:
    for spelt in {json.dumps(word), json.dumps(word, ensure_ascii=False), json.dumps(word).replace("/", "\\/")}:
        text = f'[2, "m","X",{{"a": {spelt},"b":"Kimberly","c":1.10,"d":"\\u0041"}}]'
        expected = text.replace(f'"a": {spelt}', f'"a": "{MASK}"')
        assert erased(text, [word.swapcase()]) == expected
    assert erased('[2,"m","X",{"a":"\\u00e9"}]', ["Kim"]) == '[2,"m","X",{"a":"\\u00e9"}]'
    assert erased("\\no JSON", ["Kim"]) == "\\no JSON"
