"""Can a person read in a browser why a car charges as it does, and what is broken? At a desk, on a phone, without a gateway."""

from __future__ import annotations

import asyncio
import itertools
import json
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from local_controller.adapters.web.server import WebServer
from local_controller.cli.demo_peers import free_ports
from local_controller.site.snapshot import snapshot
from tests.adapters.outage_site import outage_site
from tests.e2e.surroundings import HOST, program, until
from tests.site.test_snapshot import lively

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
DESK, PHONE = (1280, 900), (390, 844)
"""Width and height in CSS pixels."""

HIDDEN = "[...document.querySelectorAll('section')].filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.ariaLabel)"
"""The sections of which a part is beside the screen."""

REASONS = (
    "waits for Main fuse, L2: 0.0 A are proven free",
    "10.3 A: Main fuse, L2: 98.8 A available for charging (fuse 125.0 A - 23.7 A other loads - 2.5 A margin), 9 cars share it.",
    "CP-6/1 gets 19.2 A there, so that all together get the most energy.",
)

PALE = """(() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (color) => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = color; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].map((part) => part / 255);
  };
  const light = (color) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) =>
    sum + weight * (color[i] <= 0.04045 ? color[i] / 12.92 : ((color[i] + 0.055) / 1.055) ** 2.4), 0);
  const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const ways = (one) => (one ? [one, ...ways(one.parentElement)] : []);
  const canvas = document.body.appendChild(document.createElement("p"));
  canvas.style.backgroundColor = "Canvas";
  const sheet = rgb(getComputedStyle(canvas).backgroundColor);
  canvas.remove();
  const pale = [];
  for (const one of document.querySelectorAll("body *")) {
    if (one.getClientRects().length === 0 || one.tagName === "METER") continue;
    for (const part of [null, "::before"]) {
      const style = getComputedStyle(one, part);
      const says = part ? !["none", "normal"].includes(style.content)
        : [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
      if (!says) continue;
      const behind = ways(one).map((way) => rgb(getComputedStyle(way).backgroundColor)).find((color) => color[3] === 1) ?? sheet;
      const pen = rgb(style.color);
      const veils = [...ways(one).map((way) => getComputedStyle(way)), ...(part ? [style] : [])];
      const ink = veils.reduce((product, veil) => product * Number(veil.opacity), pen[3]);
      const seen = [0, 1, 2].map((i) => ink * pen[i] + (1 - ink) * behind[i]);
      if (contrast(seen, behind) < 4.5) pale.push(`${contrast(seen, behind).toFixed(1)} ${one.tagName}${part ?? ""} ${one.textContent}`);
    }
  }
  return pale;
})()"""
"""The texts on the screen whose contrast is below 4.5 (WCAG 2.2, 1.4.3)."""


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

    async def press(self, key: str) -> None:
        codes = {"Tab": 9, "Enter": 13}
        named = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        await self.command("Input.dispatchKeyEvent", type="keyDown", text="\r" if key == "Enter" else "", **named)
        await self.command("Input.dispatchKeyEvent", type="keyUp", **named)

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
async def page(change: Callable[[dict[str, Any]], Any] = lambda _: None) -> AsyncIterator[WebServer]:
    """One car charges, one station is lost, one was never seen. change: what is else on each picture."""
    site = lively()
    seen = snapshot(site.controller, site.now).as_json()
    more = {"name": "Yard", "mode": "control", "stations": {}, "warnings": [], "faults": {}, "notices": []}

    async def profiles(_: str) -> dict[str, Any]:
        return {}

    async def picture() -> dict[str, Any]:
        shown = json.loads(json.dumps({**more, **seen}))
        done = change(shown)
        if done is not None:
            await done
        return dict(shown)

    server = WebServer(HOST, 0, picture, profiles)
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


async def test_a_gateway_that_hangs_is_told_like_one_that_has_gone(tmp_path: Path) -> None:
    hangs = asyncio.Event()
    released = asyncio.Event()

    def hang(_: dict[str, Any]) -> Any:
        return released.wait() if hangs.is_set() else None

    async with page(hang) as server, browser(tmp_path) as tab:
        await tab.show(server.port, DESK)
        hangs.set()
        await tab.until("document.querySelector('main').className === 'stale'")
        hangs.clear()
        released.set()
        await tab.until("document.querySelector('main').className === ''")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_all_reasons_are_there_in_order_and_stay_open_while_numbers_change(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    pictures = itertools.count()

    def change(shown: dict[str, Any]) -> None:
        shown["evses"][0]["reasons"] = [*REASONS, f"picture {next(pictures)}"]
        shown["evses"][1]["reasons"] = [*REASONS[:1]]

    async with page(change) as server, browser(tmp_path) as tab:
        await tab.show(server.port, size)
        why = "document.querySelector('#evses tr td:last-child')"
        assert (await tab.value(f"{why}.innerText")).split() == [*REASONS[0].split(), "3", "more", "reasons"]
        assert await tab.value("document.querySelectorAll('#evses tr:not(:first-child) details').length") == 0
        await tab.press("Tab")
        assert await tab.value("document.activeElement.tagName") == "SUMMARY"
        await tab.press("Enter")
        await tab.until(f"{why}.querySelector('details').open")
        before = await tab.value(f"{why}.innerText")
        await tab.until(f"{why}.innerText !== {json.dumps(before)}")
        said = await tab.value(f"{why}.innerText")
        assert [line for line in said.splitlines() if line][:4] == [REASONS[0], "3 more reasons", *REASONS[1:]]
        assert await tab.value("document.activeElement.tagName") == "SUMMARY"
        assert await tab.value(HIDDEN) == []


async def test_what_a_person_reads_stays_marked_while_nothing_in_it_changes(tmp_path: Path) -> None:
    pictures = itertools.count()

    def change(shown: dict[str, Any]) -> None:
        shown["evses"][0]["energy_kwh"] = float(next(pictures))

    async with page(change) as server, browser(tmp_path) as tab:
        await tab.show(server.port, DESK)
        await tab.value("getSelection().selectAllChildren(document.querySelector('#evses tr td:last-child'))")
        energy = "document.querySelector('#evses td[data-label=Energy]').innerText"
        before = await tab.value(energy)
        await tab.until(f"{energy} !== {json.dumps(before)}")
        assert "waits for its turn" in await tab.value("getSelection().toString()")


async def test_one_warning_of_many_stations_hides_no_other(tmp_path: Path) -> None:
    def change(shown: dict[str, Any]) -> None:
        shown["warnings"] = [*(f"CP-{number}: give it a password" for number in range(1, 13)), "the disk is full"]
        shown["faults"] = {"CP-3": {"bad_payload": 2}, "CP-4": {"bad_payload": 2}}

    async with page(change) as server, browser(tmp_path) as tab:
        await tab.show(server.port, DESK)
        assert (await tab.value("document.getElementById('warnings').innerText")).splitlines() == [
            "12 stations (CP-1, CP-2, CP-3, CP-4, CP-5, CP-6, CP-7, CP-8, CP-9, CP-10, CP-11, CP-12): give it a password",
            "the disk is full",
            "2 stations (CP-3, CP-4): 2 \u00d7 bad payload since it connected",
        ]


async def test_a_limit_says_when_it_was_told_until_when_it_holds_and_why(tmp_path: Path) -> None:
    def change(shown: dict[str, Any]) -> None:
        told = {"state": "fresh", "trouble": "", "reason": "grid operator", "age_s": 4.0, "ends_in_s": 56.0}
        shown["limits"][0] |= {**told, "limit_a": [20.0] * 3}

    async with page(change) as server, browser(tmp_path) as tab:
        await tab.show(server.port, DESK)
        said = await tab.value("document.querySelector('#inputs tr:nth-child(2)').innerText")
        assert said.split("\t") == [
            "limit [/ems]",
            "fresh: grid operator",
            "20.0 / 20.0 / 20.0 A",
            "told 4 s ago, ends in 56 s",
        ]


@pytest.mark.parametrize(
    ("zone", "names", "hour"),
    [
        ("Europe/Berlin", {"GMT+1", "CET"}, 18),
        ("posixrules", {"GMT-5", "EST"}, 12),  # no zone to a browser: the person's own is better than none
    ],
)
async def test_the_clock_is_that_of_the_site_wherever_the_person_is(
    tmp_path: Path, zone: str, names: set[str], hour: int
) -> None:
    def change(shown: dict[str, Any]) -> None:
        shown |= {"time_zone": zone, "at": "2026-03-02T17:00:00+00:00"}
        shown["notices"].append({"at": "2026-03-02T16:59:00+00:00", "level": "info", "text": "a car came"})

    async with page(change) as server, browser(tmp_path) as tab:
        await tab.command("Emulation.setTimezoneOverride", timezoneId="America/New_York")
        await tab.command("Emulation.setLocaleOverride", locale="en-GB")
        await tab.show(server.port, DESK)
        said = await tab.value("document.getElementById('age').textContent")
        assert said in {f"as of {hour}:00:00 {name}" for name in names}
        assert await tab.value("document.getElementById('notices').innerText") == f"{hour - 1}:59:00 a car came"


@pytest.mark.requirement("LC-037")
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_an_outage_is_told_on_top_of_the_page_until_all_is_delivered(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    (port,), said = free_ports(1), "document.getElementById('uplinks').innerText"
    card = "[...document.querySelectorAll('#evses tr')].find((one) => one.innerText.startsWith('CP-2')).innerText"
    web = f"web: {{host: {HOST}, port: {port}}}"
    async with outage_site(tmp_path, 60, more=web) as site, site.gateway() as gateway, browser(tmp_path / "b") as tab:
        async with site.station() as one, site.station("CP-2") as other:
            for station in (one, other):
                await station.boots()
            await tab.show(port, size)
            assert await tab.value("document.getElementById('uplinks').hidden")
            site.csms.status = 503
            await site.csms.sockets["CP-2"].close()
            await tab.until(f"{card}.includes('its CSMS has been away since')")
            await site.csms.stop()
            await until(lambda: not gateway.stations.uplinks["CP-1"].is_there, 5)
            await one.says("FirmwareStatusNotification", status="Downloaded")
            await tab.until(f"{said}.endsWith('2 of 2 stations are served on; 1 message waits for it.')")
            assert (await tab.value(said)).startswith("The CSMS has been away since ")
            assert not await tab.value(f"{card}.includes('its CSMS')"), "it is said once, for all"
            assert await tab.value(HIDDEN) == []
            assert await tab.value(PALE) == []
            site.csms.status = 0
            site.csms.is_mute = True
            await site.csms.start()
            await tab.until(f"{said} === 'The CSMS is there: 1 message is being delivered to it.'")
            await site.csms.stop()
            site.csms.is_mute = False
            await site.csms.start()
            await tab.until("document.getElementById('uplinks').hidden")
        assert site.csms.actions().count("FirmwareStatusNotification") == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_can_be_read(tmp_path: Path, scheme: str) -> None:
    def change(shown: dict[str, Any]) -> None:
        shown["mode"], shown["observed_since"] = "observe", "2026-03-02T08:00:00+00:00"
        shown["evses"][0]["reasons"] = REASONS
        shown["limits"][0]["set_aside"] = True
        shown["meters"].append(
            {"id": "main", "state": "silent", "age_s": 40.0, "current_a": None, "failure": "does not answer"}
        )
        shown["notices"].append({"at": "2026-03-02T08:00:00+00:00", "level": "error", "text": "the fuse is overloaded"})
        said = [{"level": level, "text": f"{level} of the CSMS"} for level in ("info", "warning", "error")]
        shown["uplinks"] = {"csms": [{"sentences": said}], "stations": {"CP-1": {"sentence": "its CSMS is away"}}}

    async with browser(tmp_path) as tab:
        async with page(change) as server:
            await tab.command(
                "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
            )
            await tab.show(server.port, DESK)
            await tab.value("document.querySelector('details').open = true")
            assert await tab.value(PALE) == []
            await tab.show(server.port, PHONE)
            assert await tab.value(PALE) == []
        await tab.until("document.querySelector('main').className === 'stale'")
        assert await tab.value(PALE) == []
