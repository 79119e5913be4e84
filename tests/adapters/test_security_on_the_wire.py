"""Is what touches security in the log of a running relay, and no password? Stations and a CSMS on real sockets."""

from __future__ import annotations

import base64
import io
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from local_controller.adapters.admission import Resident
from local_controller.adapters.csms_client import CsmsSettings
from local_controller.adapters.driver import Outlets
from local_controller.adapters.routing import Upstream
from local_controller.adapters.security_log import SecurityFile, SecurityLog
from local_controller.adapters.station_server import Door, ServerSettings, StationServer
from local_controller.adapters.tls import CsmsTls, StationTls, TlsLeg
from local_controller.cli.logs import configure
from local_controller.clock import Clock
from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.words import OcppVersion
from tests.certificates import Issued, authority

pytestmark = pytest.mark.usefixtures("logs_as_before")
HOST = "127.0.0.1"
OCPP = [Subprotocol("ocpp1.6")]
ROOT = authority()
CARD = "04A2B3C4D5"
OLD, NEW = b"\xf1\x02old key \x00bytes", b"\x8a\xffnew key!bytes\x01"


@dataclass
class Csms:
    """A CSMS that knows one password, behind TLS."""

    certificate: Issued
    password: bytes = OLD
    requests: list[Request] = field(default_factory=list)
    sockets: list[ServerConnection] = field(default_factory=list)

    def judge(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        if request.headers["Authorization"] == basic(self.password):
            return None
        return connection.respond(HTTPStatus.UNAUTHORIZED, "")

    async def handle(self, connection: ServerConnection) -> None:
        self.sockets.append(connection)
        await connection.wait_closed()


@dataclass
class Gateway:
    """The relay between, with its logs."""

    server: StationServer
    csms: Csms
    stream: io.StringIO
    folder: Path
    file: SecurityFile
    door: TlsLeg | None

    def dial(self, password: bytes = OLD, identity: str = "CP-7") -> connect:
        tls = None
        if self.door is not None:
            tls = ssl.create_default_context(cadata=ROOT.pem.decode())
        return connect(
            f"{'ws' if tls is None else 'wss'}://{HOST}:{self.server.ports[0]}/{identity}",
            subprotocols=OCPP,
            additional_headers={"Authorization": basic(password)},
            proxy=None,
            ssl=tls,
        )

    def entries(self) -> list[dict[str, Any]]:
        self.file.close()
        return [json.loads(line) for line in (self.folder / "security.jsonl").read_text().splitlines()]

    def everything_logged(self) -> str:
        self.file.close()
        return self.stream.getvalue() + "".join(path.read_text() for path in self.folder.glob("security.jsonl*"))


def basic(password: bytes) -> str:
    return "Basic " + base64.b64encode(b"CP-7:" + password).decode()


@asynccontextmanager
async def gateway(folder: Path, certificate: Issued, own: Issued | None = None) -> AsyncIterator[Gateway]:
    """A relay that trusts ROOT, before a CSMS with this certificate; `own` is for its stations."""
    door = None if own is None else TlsLeg("listen.tls", StationTls((own.save(folder, "own"),), public_host=HOST))
    csms, stream, file = Csms(certificate), io.StringIO(), SecurityFile(folder / "security.jsonl")
    configure("debug", as_json=True, stream=stream, security=SecurityLog(file))
    (folder / "roots.pem").write_bytes(ROOT.pem)
    files = certificate.save(folder, "csms")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.key)
    async with serve(csms.handle, HOST, 0, ssl=tls, subprotocols=OCPP, process_request=csms.judge) as upstream:
        url = f"wss://{HOST}:{next(iter(upstream.sockets)).getsockname()[1]}/ocpp"
        leg = TlsLeg("csms.tls", CsmsTls(folder / "roots.pem"))
        upstream_of_all = CsmsSettings(Upstream("csms", dict.fromkeys(OcppVersion, url)), tls=leg.context)
        server = StationServer(
            ServerSettings((Door(HOST, 0, door and door.context),)),
            Clock(),
            {"CP-7": Resident("CP-7", upstream_of_all)}.get,
            lambda identity, version, _: station_proxy(identity, version, StationSettings())[0],
            Outlets(lambda *_: None, structlog.get_logger()),
        )
        await server.start()
        try:
            yield Gateway(server, csms, stream, folder, file, door)
        finally:
            await server.stop()
            file.close()


async def refused(attempt: connect) -> int:
    with pytest.raises(InvalidStatus) as caught:
        await attempt
    return int(caught.value.response.status_code)


@pytest.mark.requirement("LC-010", "LC-138")
async def test_a_csms_with_an_unknown_issuer_gets_no_connection_but_an_entry(tmp_path: Path) -> None:
    async with gateway(tmp_path, authority("Stranger").issue("csms", [HOST])) as running:
        assert await refused(running.dial()) == 503
        assert running.csms.requests == []
        (entry,) = running.entries()
        assert (entry["event"], entry["station"]) == ("csms_tls_failed", "CP-7")
        assert "certificate verify failed" in entry["reason"]
        assert "compare the host in csms.url" in entry["remedy"]


@pytest.mark.requirement("LC-010", "LC-138")
async def test_a_csms_under_another_name_gets_no_connection_but_an_entry(tmp_path: Path) -> None:
    async with gateway(tmp_path, ROOT.issue("csms", ["csms.example"])) as running:
        assert await refused(running.dial()) == 503
        assert running.csms.requests == []
        (entry,) = running.entries()
        assert "IP address mismatch" in entry["reason"]


@pytest.mark.requirement("LC-009", "LC-012")
async def test_tls_on_both_legs_has_two_keys_and_one_text(tmp_path: Path) -> None:
    own = ROOT.issue("box", [HOST])
    async with gateway(tmp_path, ROOT.issue("csms", [HOST]), own) as running, running.dial() as station:
        shown = station.transport.get_extra_info("ssl_object").getpeercert()
        assert int(shown["serialNumber"], 16) == own.certificate.serial_number
        assert running.csms.requests[0].headers["Authorization"] == basic(OLD)
        await station.send('[2, "a", "MeterValues", {"é": 1.10, "e": 1E3}]')
        assert await running.csms.sockets[0].recv() == '[2, "a", "MeterValues", {"é": 1.10, "e": 1E3}]'


@pytest.mark.requirement("LC-137")
async def test_a_new_certificate_of_ours_drops_no_relayed_station(tmp_path: Path) -> None:
    async with gateway(tmp_path, ROOT.issue("csms", [HOST]), ROOT.issue("box", [HOST])) as running:
        async with running.dial() as station:
            renewed = ROOT.issue("box", [HOST])
            renewed.save(tmp_path, "own")
            assert running.door
            running.door.take(running.door.settings.load())
            await station.send('[2,"h","Heartbeat",{}]')
            assert await running.csms.sockets[0].recv() == '[2,"h","Heartbeat",{}]'
        async with running.dial() as again:
            shown = again.transport.get_extra_info("ssl_object").getpeercert()
            assert int(shown["serialNumber"], 16) == renewed.certificate.serial_number


@pytest.mark.requirement("LC-138")
async def test_a_login_that_the_csms_refuses_is_an_entry(tmp_path: Path) -> None:
    async with gateway(tmp_path, ROOT.issue("csms", [HOST])) as running:
        assert await refused(running.dial(NEW)) == 401
        (entry,) = running.entries()
        assert (entry["event"], entry["station"], entry["status"]) == ("csms_refused", "CP-7", 401)


@pytest.mark.requirement("LC-138")
async def test_somebody_whom_the_site_does_not_know_is_an_entry(tmp_path: Path) -> None:
    async with gateway(tmp_path, ROOT.issue("csms", [HOST])) as running:
        assert await refused(running.dial(identity="CP-8")) == 404
        (entry,) = running.entries()
        assert (entry["event"], entry["identity"]) == ("unknown_station", "CP-8")


async def exchanged(station: ClientConnection, csms: ServerConnection, action: str, payload: dict[str, Any]) -> None:
    """The CSMS asks and the station accepts."""
    await csms.send(json.dumps([2, "p1", action, payload]))
    assert json.loads(await station.recv())[2:] == [action, payload]
    await station.send('[3,"p1",{"status":"Accepted"}]')
    assert await csms.recv() == '[3,"p1",{"status":"Accepted"}]'


@pytest.mark.requirement("LC-132", "LC-006")
async def test_a_new_password_works_at_the_next_connection_on_both_legs_and_is_never_logged(tmp_path: Path) -> None:
    async with gateway(tmp_path, ROOT.issue("csms", [HOST])) as running:
        async with running.dial() as station:
            await exchanged(
                station, running.csms.sockets[0], "ChangeConfiguration", {"key": "AuthorizationKey", "value": NEW.hex()}
            )
            running.csms.password = NEW
        async with running.dial(NEW) as station:
            assert running.csms.requests[-1].headers["Authorization"] == basic(NEW)
            await station.send(json.dumps([2, "a1", "Authorize", {"idTag": CARD}]))
            assert json.loads(await running.csms.sockets[1].recv())[3] == {"idTag": CARD}
        assert await refused(running.dial(OLD)) == 401
        logged = running.everything_logged()
        assert "guarded_message" in logged, "the change itself is noted"
        for password in (OLD, NEW):
            for spelling in (password.hex(), basic(password)[6:], password.decode("latin-1")):
                assert spelling not in logged
        assert CARD not in logged


@pytest.mark.requirement("LC-138")
async def test_a_message_that_would_take_the_station_away_is_an_entry(tmp_path: Path) -> None:
    async with gateway(tmp_path, ROOT.issue("csms", [HOST])) as running, running.dial():
        csms = running.csms.sockets[0]
        payload = {"key": "CentralSystemURL", "value": "wss://me:hush@elsewhere.example/"}
        await csms.send(json.dumps([2, "g1", "ChangeConfiguration", payload]))
        assert json.loads(await csms.recv()) == [3, "g1", {"status": "Rejected"}]
        (entry,) = running.entries()
        assert (entry["event"], entry["kind"], entry["action"]) == ("guarded_message", "network", "refuse")
        assert (entry["station"], entry["wished_url"]) == ("CP-7", "wss://elsewhere.example/")
        assert "hush" not in running.everything_logged()
