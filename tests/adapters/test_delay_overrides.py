"""Does whoever runs a site get a car to charge at once that waits for a random delay, and is told where none waits?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from local_controller.adapters.delay_overrides import DelayOverrides
from local_controller.adapters.web.server import Actions, WebServer
from local_controller.cli.gateway import Page, posted
from local_controller.cli.main import app
from local_controller.errors import LocalControllerError
from local_controller.site.controller import SiteController
from local_controller.site.effects import Notice
from local_controller.station.words import DelayWaived
from tests.site.test_random_delay import delayed
from tests.site.virtual_site import VirtualSite

PATH = "/api/v1/delays/override"


class Driver:
    """Passes on what it is told, as the real one does."""

    def __init__(self, virtual: VirtualSite) -> None:
        self.virtual = virtual
        self.notices: list[Notice] = []

    @property
    def site(self) -> SiteController:
        return self.virtual.controller

    def station_changed(self, station: str, fact: DelayWaived) -> None:
        self.virtual.tell(station, fact)

    def tell(self, notice: Notice) -> None:
        self.notices.append(notice)


class Served:
    """A gateway whose cars wait for 100 s (or for nothing), and its page."""

    def __init__(self) -> None:
        self.driver = Driver(delayed(lambda: 100))
        self.server = WebServer("127.0.0.1", 0, dict, actions=Actions(delays=DelayOverrides(self.driver)))

    async def posted(self, **asked: object) -> str:
        page = Page(f"http://127.0.0.1:{self.server.port}")
        return str((await asyncio.to_thread(posted, page, PATH, asked, "holds"))["holds"])

    async def ran(self, folder: Path, *arguments: str) -> tuple[int, str, str]:
        file = folder / "site.yaml"
        file.write_text(
            "site: {name: Shop, mode: control}\ncsms: {url: ws://csms}\nstations: [{id: CP-1}]\n"
            f"grid_connection: {{fuse_a: 50, assumed_base_load_a: 10}}\nweb: {{port: {self.server.port}}}\n",
            encoding="utf-8",
        )
        result = await asyncio.to_thread(CliRunner().invoke, app, ["override", str(file), *arguments])
        return result.exit_code, result.stdout, result.stderr


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    await served.server.start()
    yield served
    await served.server.stop()


async def test_the_command_lets_a_car_charge_now(served: Served, tmp_path: Path) -> None:
    site = served.driver.virtual
    site.run(20)
    assert site.drawn() == [0.0]
    text = "CP-1/1 charges without random delay until its session ends"
    assert await served.ran(tmp_path, "CP-1") == (0, f"{text}\n", "")
    site.run(30)
    assert site.drawn() == [16.0]
    assert [(one.code, one.text) for one in served.driver.notices] == [("delay_overridden", text)]


async def test_where_nobody_waits_it_says_so(served: Served, tmp_path: Path) -> None:
    assert await served.ran(tmp_path, "CP-9") == (1, "", "there is no EVSE CP-9/1; the site file knows CP-1/1\n")
    code, _, errors = await served.ran(tmp_path, "CP-1", "--evse", "2")
    assert (code, errors) == (1, "there is no EVSE CP-1/2; the site file knows CP-1/1\n")
    served.driver.virtual.unplug("CP-1")
    with pytest.raises(LocalControllerError, match="CP-1/1 has no session: override it once the car is there"):
        await served.posted(station="CP-1")
    served.driver.virtual = delayed(None)
    with pytest.raises(LocalControllerError, match=r"sets no control\.random_delay_s: no car waits for one"):
        await served.posted(station="CP-1", evse=1)
    assert served.driver.notices == []


@pytest.mark.parametrize("asked", [{}, {"station": 3}, {"station": "CP-1", "evse": "1"}, {"evse_id": "CP-1/1"}])
async def test_what_is_no_request_overrides_nothing(served: Served, asked: dict[str, object]) -> None:
    with pytest.raises(LocalControllerError, match="send"):
        await served.posted(**asked)
    served.driver.virtual.run(30)
    assert served.driver.virtual.drawn() == [0.0]
