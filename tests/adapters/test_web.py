"""The page and its JSON, over a real socket."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from local_controller.adapters.web.server import WebServer
from local_controller.errors import LocalControllerError


async def get(port: int, path: str) -> tuple[int, str, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), head, body


PICTURE = {"name": "Test site", "nodes": [], "evses": []}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[WebServer]:
    server = WebServer("127.0.0.1", 0, lambda: PICTURE)
    await server.start()
    yield server
    await server.stop()


async def test_the_picture_is_served_as_json_and_never_cached(server: WebServer) -> None:
    status, head, body = await get(server.port, "/api/v1/site")
    assert status == 200
    assert "no-store" in head
    assert json.loads(body) == PICTURE


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css", "/healthz"])
async def test_every_part_of_the_page_is_there_without_the_internet(path: str, server: WebServer) -> None:
    status, _, body = await get(server.port, path)
    missing, _, _ = await get(server.port, "/nowhere")
    assert status == 200
    assert "https://" not in body
    assert missing == 404


def test_a_taken_port_is_named_with_its_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalControllerError, match=rf"127\.0\.0\.1:{port}: .*choose another web\.port"):
            WebServer("127.0.0.1", port, lambda: PICTURE)
