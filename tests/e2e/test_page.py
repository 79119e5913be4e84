"""Can a person read in a browser why a car charges as it does? At a desk, on a phone, and when the gateway has gone."""

from __future__ import annotations

import asyncio
import itertools
import json
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from local_controller.adapters.web.server import WebServer
from local_controller.site.snapshot import snapshot
from tests.e2e.surroundings import HOST, program
from tests.site.test_snapshot import lively

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
DESK, PHONE = (1280, 900), (390, 844)
"""Width and height in CSS pixels."""

HIDDEN = "[...document.querySelectorAll('section')].filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.ariaLabel)"
"""The sections of which a part is beside the screen."""


class Browser:
    """A tab of a real browser, over the DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._ids, self._session = socket, itertools.count(1), {}

    async def opened(self) -> None:
        target = await self.command("Target.createTarget", url="about:blank")
        attached = await self.command("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = {"sessionId": attached["sessionId"]}

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        sent = {"id": next(self._ids), "method": method, "params": parameters, **self._session}
        await self._socket.send(json.dumps(sent))
        while (answer := json.loads(await self._socket.recv())).get("id") != sent["id"]:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def show(self, port: int, size: tuple[int, int]) -> None:
        width, height = size
        await self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=size == PHONE
        )
        await self.command("Page.navigate", url=f"http://{HOST}:{port}/")
        await self.until("document.querySelector('#evses tr') !== null")

    async def value(self, script: str) -> Any:
        return (await self.command("Runtime.evaluate", expression=script, returnByValue=True))["result"].get("value")

    async def until(self, script: str) -> None:
        while not await self.value(script):  # noqa: ASYNC110  # another process is looked at, it tells nothing
            await asyncio.sleep(0.1)


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Browser]:
    options = (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
    )
    process = await asyncio.create_subprocess_exec(program("chromium"), *options, stdout=DEVNULL, stderr=PIPE)
    try:
        assert process.stderr is not None
        while not (line := (await process.stderr.readline()).decode()).startswith("DevTools listening on "):
            assert line, "the browser has ended"
        async with connect(line.split()[-1], max_size=None, proxy=None) as socket:
            tab = Browser(socket)
            await tab.opened()
            yield tab
    finally:
        process.terminate()
        await process.communicate()


@asynccontextmanager
async def page() -> AsyncIterator[WebServer]:
    """One car charges, one station is lost, one was never seen."""
    site = lively()
    seen = snapshot(site.controller, site.now).as_json()
    more = {"name": "Yard", "mode": "control", "stations": {}, "warnings": [], "faults": {}, "notices": []}

    async def profiles(_: str) -> dict[str, Any]:
        return {}

    server = WebServer(HOST, 0, lambda: {**more, **seen}, profiles)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_limit_and_reason_of_a_car_are_on_the_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    async with page() as server, browser(tmp_path) as tab:
        await tab.show(server.port, size)
        assert await tab.value(HIDDEN) == []
        card = await tab.value("document.querySelector('#evses tr').innerText")
        assert "waits for its turn, next in about" in card
        labels = await tab.value(
            "[...document.querySelectorAll('#evses tr:first-child td')].map((one) => one.dataset.label)"
        )
        assert labels == ["EVSE", "State", "Measured L1 / L2 / L3", "Limit", "Energy", "Why not more?"]
        third = await tab.value(
            "[...document.querySelectorAll('#nodes tr:nth-child(2) td')].map((one) => one.dataset.label)"
        )
        assert third == ["Phase", "Measured", "Allowed to cars", "Limit", "Set by"]


async def test_when_the_gateway_has_gone_the_page_says_how_old_its_numbers_are(tmp_path: Path) -> None:
    async with browser(tmp_path) as tab:
        async with page() as server:
            await tab.show(server.port, DESK)
            seen = await tab.value("document.getElementById('age').textContent")
        await tab.until("document.querySelector('main').className === 'stale'")
        said = await tab.value("document.getElementById('age').textContent")
        assert said == f"the gateway does not answer; all below is {seen}"
