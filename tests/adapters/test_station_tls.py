"""Stations behind TLS: security profiles 2 and 3 at a real door, with certificates made for the test."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from local_controller.adapters.certificates import CertificateFiles
from local_controller.adapters.tls import StationTls, TlsLeg
from tests.adapters.relay_site import HOST, Csms, Site, close_of, refusal, site_with
from tests.certificates import authority

ROOT = authority()
MAKER = authority("Maker of stations")
PASSWORD = {"Authorization": "Basic " + base64.b64encode(b"CP-7:0123456789abcdef").decode()}
NEW = {"Authorization": "Basic " + base64.b64encode(b"CP-7:fedcba9876543210").decode()}


def tls_leg(folder: Path, **options: Any) -> TlsLeg:
    """The door's certificate, and whose certificates it takes."""
    (folder / "makers.pem").write_bytes(MAKER.pem)
    files = ROOT.issue("gateway", [HOST]).save(folder, "gateway")
    return TlsLeg("listen.tls", StationTls((CertificateFiles(files.certificate, files.key),), **options))


def station_context(folder: Path, certificate: str | None = None) -> ssl.SSLContext:
    """What a station trusts, and its own certificate with this common name."""
    context = ssl.create_default_context(cadata=ROOT.pem.decode())
    if certificate is not None:
        files = MAKER.issue(certificate, []).save(folder, f"station-{certificate}")
        context.load_cert_chain(files.certificate, files.key)
    return context


def dial(site: Site, context: ssl.SSLContext, headers: dict[str, str] | None = None, path: str = "CP-7") -> connect:
    return site.dial(path, scheme="wss", ssl=context, additional_headers=headers or {})


@asynccontextmanager
async def encrypted(folder: Path, **options: Any) -> AsyncIterator[Site]:
    serial = options.pop("serial", None)
    leg = tls_leg(folder, **options)
    async with site_with(tls=leg.context, unsecured=False, serial=serial, csms=Csms()) as site:
        yield site


async def test_a_station_of_profile_2_is_relayed(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as site, dial(site, station_context(tmp_path), PASSWORD) as station:
        csms = await site.csms.socket()
        text = '[2,"a","Heartbeat",{"x":"' + "é" * 100_000 + '"}]'  # more than one TLS record
        await station.send(text)
        assert await csms.recv() == text
        await csms.send('[3,"a",{}]')
        assert await station.recv() == '[3,"a",{}]'
        await csms.close(1012, "restart")
        assert await close_of(station) == 1012


@pytest.mark.requirement("LC-008")
async def test_encryption_alone_names_nobody(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as site:
        assert (await refusal(dial(site, station_context(tmp_path)))).status_code == 401
        assert site.csms.requests == []


@pytest.mark.requirement("LC-138")
async def test_who_fails_at_the_handshake_is_told_and_disturbs_nobody(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as site, dial(site, station_context(tmp_path), PASSWORD) as station:
        with pytest.raises(ssl.SSLError):
            await dial(site, ssl.create_default_context(), PASSWORD)
        reader, writer = await asyncio.open_connection(HOST, site.server.ports[0])
        with closing(writer):
            writer.write(b"GET /CP-7 HTTP/1.1\r\n\r\n")
            await reader.read()
        while site.events.count("station_tls_failed") < 2:  # noqa: ASYNC110 - the log has no event of its own
            await asyncio.sleep(0.01)
        csms = await site.csms.socket()
        await station.send("here")
        assert await csms.recv() == "here"


@pytest.mark.requirement("LC-011")
async def test_a_station_of_profile_3_is_known_by_its_certificate(tmp_path: Path) -> None:
    options = {"station_authorities": tmp_path / "makers.pem", "require_certificate": True, "serial": "CPX-0815"}
    async with encrypted(tmp_path, **options) as site:
        async with dial(site, station_context(tmp_path, "Maker CPX-0815")) as station:
            csms = await site.csms.socket()
            await station.send("here")
            assert await csms.recv() == "here"
            assert site.certificates[0].common_name == "Maker CPX-0815"
        assert (await refusal(dial(site, station_context(tmp_path, "Maker CPX-4711")))).status_code == 403
        assert "wrong_certificate" in site.events


@pytest.mark.requirement("LC-137")
async def test_a_new_certificate_comes_into_use_without_dropping_anybody(tmp_path: Path) -> None:
    leg = tls_leg(tmp_path)
    context, other = station_context(tmp_path), {"Authorization": "Basic " + base64.b64encode(b"CP-8:x").decode()}
    async with site_with(tls=leg.context, unsecured=False) as site, dial(site, context, PASSWORD) as station:
        before = station.transport.get_extra_info("peercert")["serialNumber"]
        ROOT.issue("gateway", [HOST]).save(tmp_path, "gateway")
        leg.take(leg.settings.load())
        async with dial(site, context, other, "CP-8") as newcomer:
            assert newcomer.transport.get_extra_info("peercert")["serialNumber"] != before
            csms = await site.csms.socket()
            await station.send("still here")
            assert await csms.recv() == "still here"


@pytest.mark.requirement("LC-016", "LC-132")
async def test_a_station_with_the_password_that_its_csms_just_sent_replaces_itself(tmp_path: Path) -> None:
    """It came back with the new password before anybody noticed that its old connection is dead."""
    async with encrypted(tmp_path) as site, dial(site, station_context(tmp_path), PASSWORD) as old:
        site.server._logins.offered("CP-7", "fedcba9876543210")
        async with dial(site, station_context(tmp_path), NEW) as new:
            assert await close_of(old) == 1001
            csms = await site.csms.socket(1)
            await new.send("here")
            assert await csms.recv() == "here"
            assert site.csms.most_open == 1
