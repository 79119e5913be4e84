"""The page and its JSON, over a real socket."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
import pytest_asyncio

from local_controller.adapters.web.server import UnknownStationError, WebServer
from local_controller.errors import LocalControllerError


async def get(port: int, path: str) -> tuple[int, str, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), head, body


PICTURE = {"name": "Test site", "nodes": [], "evses": []}


async def profiles(station: str) -> dict[str, object]:
    if station not in {"CP-1", "Hall A/2 ä"}:
        raise UnknownStationError(station, ("CP-1", "CP-2"))
    return {"station": station}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[WebServer]:
    server = WebServer("127.0.0.1", 0, lambda: PICTURE, profiles)
    await server.start()
    yield server
    await server.stop()


async def test_the_picture_is_served_as_json_and_never_cached(server: WebServer) -> None:
    status, head, body = await get(server.port, "/api/v1/site")
    assert status == 200
    assert "no-store" in head
    assert json.loads(body) == PICTURE


async def test_whatever_a_station_calls_itself_the_picture_is_served() -> None:
    odd = {**PICTURE, "stations": {"CP-1": {"product": "half a character: \ud800"}}}
    server = WebServer("127.0.0.1", 0, lambda: odd, profiles)
    await server.start()
    status, _, body = await get(server.port, "/api/v1/site")
    await server.stop()
    assert (status, json.loads(body)) == (200, odd)


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css", "/healthz"])
async def test_every_part_of_the_page_is_there_without_the_internet(path: str, server: WebServer) -> None:
    status, _, body = await get(server.port, path)
    missing, _, _ = await get(server.port, "/nowhere")
    assert status == 200
    assert "https://" not in body
    assert missing == 404


async def test_a_browser_that_looks_for_an_icon_finds_nothing_to_complain_about(server: WebServer) -> None:
    status, _, body = await get(server.port, "/favicon.ico")
    assert (status, body) == (204, "")


@pytest.mark.parametrize("station", ["CP-1", "Hall A/2 ä"])
async def test_the_profiles_of_a_station_are_found_whatever_its_identity(server: WebServer, station: str) -> None:
    status, head, body = await get(server.port, f"/api/v1/stations/{quote(station, safe='')}/profiles")
    assert status == 200
    assert "no-store" in head
    assert json.loads(body) == {"station": station}


async def test_a_station_that_nobody_knows_is_answered_with_those_that_are(server: WebServer) -> None:
    status, _, body = await get(server.port, "/api/v1/stations/CP-9/profiles")
    assert status == 404
    told = json.loads(body)
    assert told["stations"] == ["CP-1", "CP-2"]
    assert "CP-9" in told["error"]


def test_a_taken_port_is_named_with_its_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalControllerError, match=rf"127\.0\.0\.1:{port}: .*choose another web\.port"):
            WebServer("127.0.0.1", port, lambda: PICTURE)
