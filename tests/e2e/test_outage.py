"""Is nothing lost that was confirmed while the CSMS was away, even if the gateway is killed in the moment after? Real processes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from tests.adapters.outage_site import OutageSite, outage_site
from tests.e2e.surroundings import command, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
SESSIONS = 2


@asynccontextmanager
async def running(site: OutageSite) -> AsyncIterator[asyncio.subprocess.Process]:
    """The gateway as a process, ready for stations."""
    async with command("run", str(site.write())) as gateway:
        assert gateway.stderr is not None
        while b'"running"' not in (line := await gateway.stderr.readline()):
            assert line, "it ended instead"
        yield gateway


@pytest.mark.requirement("LC-047", "LC-049", "LC-069", "LC-070")
async def test_what_was_confirmed_survives_kill_9_in_the_next_moment(tmp_path: Path) -> None:
    async with outage_site(tmp_path, within_s=90, outage="unknown_id_tokens: accept") as site:
        async with running(site), site.station() as station:
            await station.boots()
            memory = tmp_path / "capabilities.json"
            await until(lambda: memory.exists() and "Accepted" in memory.read_text(encoding="utf-8"), 20)
        await site.csms.stop()
        site.csms.heard.clear()
        confirmed: list[int] = []
        for number in range(SESSIONS):
            async with running(site) as gateway:
                with contextlib.suppress(ConnectionClosed):
                    async with site.station() as station:
                        answer = await station.says(
                            "StartTransaction",
                            connectorId=1,
                            idTag=f"C{number}",
                            meterStart=number,
                            timestamp="2026-11-22T12:00:00Z",
                        )
                        gateway.kill()
                        confirmed.append(answer["transactionId"])
                await gateway.wait()
        assert len(set(confirmed)) == SESSIONS, "a provisional id is unique for ever"
        await site.csms.start()
        async with running(site), site.station() as station:
            await until(lambda: len(site.csms.heard) >= SESSIONS, 20)
            assert [payload["idTag"] for _, _, payload in site.csms.heard] == [f"C{n}" for n in range(SESSIONS)]
            await station.says(
                "StopTransaction", transactionId=confirmed[-1], meterStop=9, timestamp="2026-11-22T13:00:00Z"
            )
            assert site.csms.heard[-1][2]["transactionId"] == site.csms.transactions, "the id that the CSMS gave"
