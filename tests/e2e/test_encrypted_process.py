"""The gateway as an installer starts it, with TLS on both legs: relays, keeps a security log, takes renewed certificates."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from local_controller.cli.demo_peers import free_ports
from tests.certificates import authority
from tests.e2e.surroundings import HOST, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]
OCPP = [Subprotocol("ocpp1.6")]
OURS, THEIRS = authority("Root of the site"), authority("Root of the CSMS")


def site_file(folder: Path, port: int, csms_port: int) -> Path:
    """Encrypted both ways; the files lie beside it."""
    gateway = OURS.issue("gateway", [HOST]).save(folder, "gateway")
    (folder / "csms-root.pem").write_bytes(THEIRS.pem)
    (folder / "site.yaml").write_text(
        f"site: {{name: Encrypted, mode: control}}\n"
        f"csms: {{url: 'wss://{HOST}:{csms_port}/ocpp', tls: {{authorities: '{folder}/csms-root.pem'}}}}\n"
        f"listen:\n  host: {HOST}\n  port: {port}\n  public_url: wss://{HOST}:{port}\n"
        f"  tls: {{certificates: [{{certificate: '{gateway.certificate}', key: '{gateway.key}'}}]}}\n"
        f"security_log: {{file: '{folder}/security.log'}}\n"
        f"grid_connection: {{fuse_a: 63, assumed_base_load_a: 5}}\n"
        f"stations: [{{id: CP-1}}, {{id: CP-2}}]\n",
        encoding="utf-8",
    )
    return folder / "site.yaml"


@asynccontextmanager
async def running(site: Path) -> AsyncIterator[None]:
    """`local-controller run` until it listens; it ends with status 0."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "local_controller",
        "run",
        str(site),
        "--log-format",
        "json",
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            while b'"running"' not in (line := await process.stderr.readline()):
                assert line, "the gateway did not start"
        drained = asyncio.create_task(process.stderr.read())
        yield
        process.terminate()
        async with asyncio.timeout(10):
            assert await process.wait() == 0
        assert b"Traceback" not in await drained
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def csms(folder: Path, port: int, seen: list[ServerConnection]) -> AsyncIterator[None]:
    """A CSMS that refuses one password."""
    files = THEIRS.issue("csms", [HOST]).save(folder, "csms")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.key)

    async def keep(connection: ServerConnection) -> None:
        seen.append(connection)
        await connection.wait_closed()

    def judge(connection: ServerConnection, request: object) -> object:
        wrong = base64.b64encode(b"CP-2:wrong").decode() in connection.request.headers["Authorization"]  # type: ignore[union-attr]  # it is open
        return connection.respond(401, "") if wrong else None

    async with serve(keep, HOST, port, ssl=tls, subprotocols=OCPP, process_request=judge):  # type: ignore[arg-type]  # a NewType of str
        yield


def dial(port: int, identity: str, password: bytes) -> connect:
    header = "Basic " + base64.b64encode(identity.encode() + b":" + password).decode()
    trust = ssl.create_default_context(cadata=OURS.pem.decode())
    return connect(
        f"wss://{HOST}:{port}/{identity}",
        ssl=trust,
        subprotocols=OCPP,
        additional_headers={"Authorization": header},
        proxy=None,
    )


def number_of(station: ClientConnection) -> str:
    return str(station.transport.get_extra_info("peercert")["serialNumber"])


@pytest.mark.requirement("LC-009", "LC-010", "LC-137", "LC-138")
async def test_both_legs_are_encrypted_and_a_renewed_certificate_is_taken_without_a_restart(tmp_path: Path) -> None:
    port, csms_port = free_ports(2)
    seen: list[ServerConnection] = []
    async with csms(tmp_path, csms_port, seen), running(site_file(tmp_path, port, csms_port)):
        async with dial(port, "CP-1", b"0123456789abcdef") as station:
            await station.send('[2,"a","Heartbeat",{"x":1.10}]')
            assert await seen[0].recv() == '[2,"a","Heartbeat",{"x":1.10}]'
            with pytest.raises(InvalidStatus):
                await dial(port, "CP-2", b"wrong")
            before = number_of(station)
            OURS.issue("gateway", [HOST]).save(tmp_path, "gateway")
            async with asyncio.timeout(30):
                while True:
                    async with dial(port, "CP-2", b"right password 1") as other:
                        if number_of(other) != before:
                            break
                    await asyncio.sleep(0.5)
            await seen[0].send('[3,"a",{}]')
            assert await station.recv() == '[3,"a",{}]', "the first station was not disturbed"
        await until(lambda: (tmp_path / "security.log").stat().st_size, 5)
        (entry,) = [json.loads(line) for line in (tmp_path / "security.log").read_text().splitlines()]
        assert (entry["event"], entry["station"], entry["status"]) == ("csms_refused", "CP-2", 401)
        assert entry["remedy"].startswith("the CSMS does not accept this station's password")
