"""`local-controller profiles`: what it asks, what it prints, and what it says when there is nothing to print."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from rich.console import Console
from typer.testing import CliRunner

from local_controller.adapters.web.server import UnknownStationError, WebServer
from local_controller.cli.main import app
from local_controller.cli.profiles_picture import profiles_picture
from local_controller.site.spoken import ago, lasting
from local_controller.station.build import StationSettings
from local_controller.station.effects import Peer
from local_controller.station.stacks import stacks
from local_controller.station.words import OcppVersion
from tests.station.conftest import NOON, Bench
from tests.station.truthful import Truthful

FIRST_S = 60.0
"""After a boot, until the station was asked what it holds."""

SITE = "site: {{name: Test, mode: control}}\ncsms: {{url: ws://csms}}\nstations: [{{id: CP-1}}]\ngrid_connection: {{fuse_a: 50, assumed_base_load_a: 10}}\n{web}"


async def run(*arguments: str) -> tuple[int, str, str]:
    result = await asyncio.to_thread(CliRunner().invoke, app, ["profiles", *arguments], env={"COLUMNS": "80"})
    return result.exit_code, result.stdout, result.stderr


def answer(truthful: Truthful | None, **more: Any) -> dict[str, Any]:
    """What the gateway would answer about the station of a bench."""
    view = {
        "id": "CP/1",
        "charging": "Charging",
        "measured_a": [7.0, 7.0, 6.9],
        "measured_age_s": 4.0,
        "worst_case_a": 16.0,
        "reasons": ["16.0 A: Main fuse, L1: 30.0 A available for charging"],
    }
    seen = None if truthful is None else stacks(truthful.bench.smart.state, (1,), truthful.bench.now)
    return {
        "site": "Test",
        "mode": "control",
        "at": NOON.isoformat(timespec="milliseconds"),
        "station": "CP",
        "is_connected": True,
        "was_connected": truthful is not None,
        "gone_for_s": None,
        "evses": [view],
        "stacks": None if seen is None else msgspec.json.decode(msgspec.json.encode(seen)),
    } | more


def printed(found: dict[str, Any], width: int = 80) -> str:
    text = io.StringIO()
    Console(width=width, file=text).print(profiles_picture(found))
    return text.getvalue()


@pytest.fixture
def truthful() -> Callable[[OcppVersion], Truthful]:
    settings = StationSettings(fallback_a=6.0, is_asked_what_it_holds=True)
    return lambda version: Truthful(Bench(version, settings))


# --- what it prints -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", list(OcppVersion))
def test_three_stacks_stand_beside_each_other_with_units_and_ages(truthful: Any, version: OcppVersion) -> None:
    t = truthful(version)
    t.bench.boot()
    t.bench.csms_sets("TxDefaultProfile", 20.0, profile_id=11, stackLevel=2)
    t.bench.start(7)
    t.bench.set_limit(16.0, valid_s=600.0)
    t.live(FIRST_S)
    shown = printed(answer(t))
    assert "The CSMS believes" in shown
    assert "id 11, level 2" in shown
    assert "20.0 A" in shown
    assert "kept by the gateway" in shown
    assert "set 60 s ago" in shown
    assert "id 2147480003, level 0" in shown
    assert "16.0 A for 9 min" in shown
    assert "confirmed 60 s ago" in shown
    assert "Composite schedule" in shown
    assert "EVSE 1 now: 16.0 A per phase [gateway]" in shown
    assert "bound by the gateway's working limit (id 2147480003, TxProfile)" in shown
    assert "measured 7.0 / 7.0 / 6.9 A on L1 / L2 / L3 4 s ago" in shown
    assert ("from gateway" in shown) == (version is not OcppVersion.V16)
    assert ("OCPP 1.6 cannot list their profiles" in shown) == (version is OcppVersion.V16)


def test_the_csmss_profile_is_named_where_ours_only_stands_for_it(truthful: Any) -> None:
    t = truthful(OcppVersion.V201)
    t.bench.boot()
    t.bench.start(7)
    t.bench.csms_sets("TxProfile", 9.0, profile_id=13, stackLevel=2, transactionId="7")
    t.bench.set_limit(16.0)
    shown = printed(answer(t), 200)
    assert "EVSE 1 now: 9.0 A per phase [CSMS]" in shown
    assert (
        "the CSMS's TxProfile (id 13, stack level 2), told to the station in the gateway's (id 2147480003, TxProfile)"
        in shown
    )


def test_a_station_maximum_of_the_csms_that_is_lower_binds(truthful: Any) -> None:
    t = truthful(OcppVersion.V201)
    t.bench.boot()
    t.bench.start(7)
    t.bench.set_limit(16.0)
    t.bench.csms_sets("ChargingStationMaxProfile", 8.0, profile_id=12, evse=0)
    shown = printed(answer(t), 200)
    assert "Whole station" in shown
    assert "in the station too" in shown
    assert "EVSE 1 now: 8.0 A per phase [CSMS]" in shown
    assert "the CSMS's ChargingStationMaxProfile (id 12, stack level 0)" in shown


def test_a_foreign_profile_is_the_one_that_binds_with_its_remedy(truthful: Any) -> None:
    t = truthful(OcppVersion.V21)
    t.installs_itself(evse=0, purpose="ChargingStationExternalConstraints", limit=7.0)
    t.bench.boot()
    t.bench.start(7)
    t.bench.set_limit(16.0, valid_s=600.0)
    t.live(FIRST_S)
    shown = printed(answer(t), 200)
    assert "EVSE 1 now: 7.0 A per phase [station]" in shown
    assert "from somebody else" in shown
    assert "(id 7, ChargingStationExternalConstraints, stack level 0)" in shown
    assert "remedy: change it where it comes from" in shown


def test_what_lifts_the_fallback_stands_out(truthful: Any) -> None:
    t = truthful(OcppVersion.V201)
    t.installs_itself(limit=20.0, stackLevel=3)
    t.bench.boot()
    t.live(FIRST_S)
    shown = printed(answer(t), 200)
    assert "it may draw up to 20.0 A: a profile that neither the gateway nor" in shown


@pytest.mark.parametrize("version", list(OcppVersion))
def test_a_limit_without_an_answer_is_only_sent_and_a_refused_one_is_not_taken(
    truthful: Any, version: OcppVersion
) -> None:
    t = truthful(version)
    t.bench.boot()
    t.bench.start(7)
    t.bench.station["SetChargingProfile"] = None
    t.bench.set_limit(16.0)
    assert "only sent 0 s ago" in printed(answer(t))
    assert "perhaps 16.0 A already, which was sent and not answered" in printed(answer(t), 200)
    t.bench.station["SetChargingProfile"] = {"status": "Rejected"}
    t.bench.wait(60)
    shown = printed(answer(t), 200)
    assert "not taken: Rejected" in shown
    assert "perhaps" not in shown


def test_a_station_that_is_away_is_shown_as_it_was_known_last(truthful: Any) -> None:
    t = truthful(OcppVersion.V16)
    t.bench.boot()
    t.live(FIRST_S)
    t.bench._do(t.bench.proxy.closed(Peer.STATION, t.bench.now))
    t.bench.wait(600)
    closed_at = t.bench.smart.state.truth.closed_at
    assert closed_at is not None
    shown = printed(answer(t, is_connected=False, gone_for_s=t.bench.now.since(closed_at)))
    assert "It has not been connected for 10 min: this is the last that is known of it." in shown
    assert "confirmed 11 min ago" in shown


def test_who_merely_observes_knows_no_profiles_and_says_so() -> None:
    text = printed(answer(None, mode="observe", was_connected=True))
    assert "The gateway merely observes: it writes no profiles" in text
    assert "It has not connected" not in text


def test_a_station_that_never_came_is_said_so() -> None:
    shown = printed(answer(None, is_connected=False))
    assert "It has not connected since the gateway was started" in shown


def test_what_the_station_cannot_say_is_said(truthful: Any) -> None:
    t = truthful(OcppVersion.V201)
    t.bench.station |= {"GetCompositeSchedule": "NotSupported", "GetChargingProfiles": "NotImplemented"}
    t.bench.boot()
    t.live(FIRST_S)
    shown = printed(answer(t), 120)
    for action in ("GetCompositeSchedule", "GetChargingProfiles"):
        assert f"The station does not answer {action}: it is not asked again before its next boot." in shown


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("version", list(OcppVersion))
def test_no_line_is_wider_than_the_terminal_and_no_number_is_broken(
    truthful: Any, version: OcppVersion, width: int
) -> None:
    t = truthful(version)
    t.bench.boot()
    t.bench.csms_sets("TxProfile" if version is OcppVersion.V16 else "TxDefaultProfile", 20.0, profile_id=11)
    t.bench.start(7)
    t.bench.set_limit(16.0, valid_s=600.0)
    t.live(FIRST_S)
    lines = printed(answer(t), width).splitlines()
    assert max(map(len, lines)) <= width
    assert sum("id 2147480002, level 0" in line for line in lines) >= 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_ages_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert lasting(seconds) == text
    assert ago(seconds) == f"{text} ago"


# --- whom it asks -------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def serve() -> AsyncIterator[Callable[[Any], Awaitable[WebServer]]]:
    servers: list[WebServer] = []

    async def make(found: Any) -> WebServer:
        async def profiles(station: str) -> dict[str, Any]:
            if isinstance(found, Exception):
                raise found
            return {**found, "asked": station}

        server = WebServer("127.0.0.1", 0, dict, profiles)
        await server.start()
        servers.append(server)
        return server

    yield make
    for server in servers:
        await server.stop()


async def test_it_asks_the_gateway_of_the_site_file(serve: Any, tmp_path: Path) -> None:
    server = await serve(answer(None))
    site = tmp_path / "site.yaml"
    site.write_text(SITE.format(web=f"web: {{host: 0.0.0.0, port: {server.port}}}\n"), encoding="utf-8")
    status, out, err = await run("CP-1", "--site", str(site))
    assert (status, err) == (0, "")
    assert "It has not connected since the gateway was started" in out


async def test_json_is_what_the_gateway_answered_whatever_the_identity(serve: Any) -> None:
    server = await serve(answer(None))
    status, out, _ = await run("Hall A/2 ä", "--url", f"http://127.0.0.1:{server.port}/", "--json")
    assert status == 0
    assert json.loads(out) == answer(None) | {"asked": "Hall A/2 ä"}


async def test_an_unknown_station_lists_the_known_ones(serve: Any) -> None:
    server = await serve(UnknownStationError("CP-9", ("CP-1", "CP-2")))
    status, out, err = await run("CP-9", "--url", f"http://127.0.0.1:{server.port}")
    assert (status, out) == (1, "")
    assert err == "the site file knows no station 'CP-9'; it knows CP-1, CP-2\n"


async def test_a_gateway_that_does_not_run_is_said_with_the_remedy() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    status, _, err = await run("CP-1", "--url", f"http://127.0.0.1:{port}")
    assert status == 1
    assert err.startswith(f"no gateway answers at http://127.0.0.1:{port} (")
    assert "--site" in err
    assert "--url" in err


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 404 No\r\n\r\n<p>",
        b"SSH-2.0-x\r\n",
        b"",
    ],
)
async def test_whoever_else_answers_there_is_no_gateway(text: bytes) -> None:
    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(text)
        writer.close()

    server = await asyncio.start_server(stranger, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        status, _, err = await run("CP-1", "--url", f"http://127.0.0.1:{port}")
    assert status == 1
    assert "gateway" in err
    assert "Traceback" not in err


async def test_a_site_without_a_page_and_an_address_that_is_none_are_told(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(SITE.format(web=""), encoding="utf-8")
    status, _, err = await run("CP-1", "--site", str(site))
    assert status == 1
    assert "has no `web` section" in err
    status, _, err = await run("CP-1", "--url", "localhost:8080")
    assert status == 1
    assert "an address like http://127.0.0.1:8080 was expected" in err


@pytest.mark.parametrize("url", ["http://[", "http://\x00", "http://x:y"])
async def test_an_address_that_cannot_be_asked_is_told(url: str) -> None:
    status, out, err = await run("CP-1", "--url", url)
    assert (status, out) == (1, "")
    assert err.startswith(f"no gateway answers at {url} (")


async def test_an_identity_in_another_encoding_is_unknown(serve: Any) -> None:
    server = await serve(UnknownStationError("?", ("CP-1",)))
    status, _, err = await run("CP\udcff", "--url", f"http://127.0.0.1:{server.port}")
    assert (status, err) == (1, "the site file knows no station '?'; it knows CP-1\n")
