"""Stations that are served on while their CSMS is away: the whole gateway on real sockets, and the journal on a real disk."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import sqlite3
import weakref
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from websockets.exceptions import InvalidStatus

from local_controller.adapters.csms_client import Refusal
from local_controller.adapters.journal import NAME
from local_controller.adapters.trace_store import TraceFile
from local_controller.adapters.uplink import Uplink
from tests.adapters.outage_site import outage_site
from tests.e2e.surroundings import until


def login(password: str) -> dict[str, dict[str, str]]:
    """A station's header."""
    word = base64.b64encode(f"CP-1:{password}".encode()).decode()
    return {"additional_headers": {"Authorization": f"Basic {word}"}}


START = {"connectorId": 1, "idTag": "GOOD1", "meterStart": 0, "timestamp": "2026-11-22T12:00:00Z"}


@pytest.mark.requirement("LC-037", "LC-045", "LC-048", "LC-049", "LC-051", "LC-069")
async def test_a_session_begins_without_the_csms_and_is_told_when_it_is_back(tmp_path: Path) -> None:
    async with (
        outage_site(tmp_path, outage="unknown_id_tokens: accept") as site,
        site.gateway() as gateway,
        site.station() as station,
    ):
        assert (await station.boots())["interval"] == 240
        await site.csms.stop()
        await until(lambda: not gateway.stations.uplinks["CP-1"].is_there, 5)
        assert "2026-11-22T12:00:00Z" <= (await station.says("Heartbeat"))["currentTime"] < "2026-11-22T12:00:30Z"
        began = await station.says("StartTransaction", **START)
        assert began == {"transactionId": 1_900_000_001, "idTagInfo": {"status": "Accepted"}}
        await station.says(
            "StopTransaction", transactionId=1_900_000_001, meterStop=5, timestamp="2026-11-22T13:00:00Z"
        )
        assert gateway.stations.uplinks["CP-1"].waiting == 2
        await site.csms.start()
        await until(lambda: "StopTransaction" in site.csms.actions(), 10)
        assert site.csms.actions() == ["BootNotification", "StartTransaction", "StopTransaction"]
        assert site.csms.heard[-1][2]["transactionId"] == 1
        await until(lambda: gateway.stations.uplinks["CP-1"].waiting == 0, 5)
        assert (await station.says("Heartbeat"))["currentTime"] == "2026-11-22T12:00:00Z", "the CSMS's own word"


@pytest.mark.requirement("LC-007", "LC-045", "LC-046", "LC-047", "LC-059", "LC-061")
async def test_after_a_restart_without_the_csms_stations_that_it_accepted_are_served(tmp_path: Path) -> None:
    async with outage_site(tmp_path) as site:
        async with site.gateway(), site.station() as station:
            await station.boots()
        await site.csms.stop()
        async with site.gateway() as gateway, site.station() as station:
            assert station.socket.subprotocol == "ocpp1.6"
            booted = await station.boots()
            assert (booted["status"], booted["interval"]) == ("Accepted", 240)
            assert "2026-11-22T12:00:00Z" <= booted["currentTime"] < "2026-11-22T12:00:30Z", "the CSMS's clock goes on"
            await station.says("MeterValues", connectorId=1, meterValue=[])
            with pytest.raises(InvalidStatus) as refused:  # never accepted
                async with site.station("CP-2"):
                    pass
            assert refused.value.response.status_code == 503
            assert gateway.stations.uplinks.keys() == {"CP-1"}
        async with site.gateway(), site.station():  # what the last run kept is there
            site.csms.heard.clear()
            await site.csms.start()
            await until(lambda: len(site.csms.heard) == 2, 10)
            assert site.csms.actions() == ["BootNotification", "MeterValues"]


@pytest.mark.requirement("LC-059")
async def test_one_that_was_never_accepted_is_served_if_the_site_file_says_so(tmp_path: Path) -> None:
    async with outage_site(tmp_path, outage="unaccepted_stations: serve") as site:
        await site.csms.stop()
        async with site.gateway(), site.station("CP-2") as station:
            assert (await station.boots())["status"] == "Accepted"


@pytest.mark.requirement("LC-007")
async def test_a_password_that_the_csms_never_accepted_lets_nobody_in(tmp_path: Path) -> None:
    credentials = "credentials: {file: " + str(tmp_path / "credentials.json") + "}"

    async with outage_site(tmp_path, unsecured=False, more=credentials) as site:
        async with site.gateway(), site.station(**login("right-password")) as station:
            await station.boots()
        await site.csms.stop()
        async with site.gateway():
            async with site.station(**login("right-password")) as station:
                assert (await station.boots())["status"] == "Accepted"
            with pytest.raises(InvalidStatus) as refused:
                async with site.station(**login("wrong-password")):
                    pass
            assert refused.value.response.status_code == 503


@pytest.mark.requirement("LC-007", "LC-132")
async def test_a_password_that_the_csms_just_sent_lets_the_station_in_while_it_is_away(tmp_path: Path) -> None:
    credentials = "credentials: {file: " + str(tmp_path / "credentials.json") + "}"
    key = {
        "key": "AuthorizationKey",
        "value": "6e65772d70617373776f726421212121",
    }  # hexadecimal (1.6 security profiles)
    async with outage_site(tmp_path, unsecured=False, more=credentials) as site, site.gateway():
        async with site.station(**login("right-password")) as station:
            await station.boots()
            await site.csms.sockets["CP-1"].send(json.dumps([2, "key", "ChangeConfiguration", key]))
            while not station.asked:
                await station.says("Heartbeat")
            await site.csms.stop()
        for password in ("new-password!!!!", "right-password"):  # the station may not have got the answer out
            async with site.station(**login(password)) as station:
                assert (await station.boots())["status"] == "Accepted"


@pytest.mark.requirement("LC-056")
async def test_when_the_journal_is_nearly_full_samples_are_given_up_and_the_end_of_a_session_still_finds_room(
    tmp_path: Path,
) -> None:
    filler = "x" * 6000
    options = "unknown_id_tokens: accept, journal_mb: 1"
    async with outage_site(tmp_path, outage=options) as site, site.gateway() as gateway, site.station() as station:
        await station.boots()
        await site.csms.stop()
        await until(lambda: not gateway.stations.uplinks["CP-1"].is_there, 5)
        began = await station.says("StartTransaction", **START)
        of = {"connectorId": 1, "transactionId": began["transactionId"]}
        most = 0
        for number in range(220):
            assert await station.says("MeterValues", **of, meterValue=[], number=number, filler=filler) == {}
            waiting = gateway.stations.uplinks["CP-1"].waiting
            if waiting < most:
                break
            most = waiting
        else:
            raise AssertionError("nothing was given up")
        await station.says(
            "StopTransaction", transactionId=of["transactionId"], meterStop=5, timestamp="2026-11-22T13:00:00Z"
        )
        await site.csms.start()
        await until(lambda: "StopTransaction" in site.csms.actions(), 20)
        numbers = [payload["number"] for _, action, payload in site.csms.heard if action == "MeterValues"]
        assert numbers[:3] == [0, 2, 4]
        assert numbers == sorted(numbers)
        assert site.csms.actions()[1] == "StartTransaction"


@pytest.mark.requirement("LC-046")
async def test_a_csms_that_comes_back_with_another_version_has_the_station_connect_anew(tmp_path: Path) -> None:
    versions = {"subprotocols": ["ocpp2.0.1", "ocpp1.6"]}
    async with outage_site(tmp_path) as site, site.gateway(), site.station(**versions) as station:
        await station.boots()
        await site.csms.stop()
        site.csms.version = "ocpp2.0.1"
        await site.csms.start()
        assert await station.ends() == 1001
        async with site.station(**versions) as again:
            assert again.socket.subprotocol == "ocpp2.0.1"


async def test_a_csms_that_comes_back_and_does_not_want_the_station_ends_it(tmp_path: Path) -> None:
    async with outage_site(tmp_path) as site, site.gateway(), site.station() as station:
        await station.boots()
        await site.csms.stop()
        site.csms.status = 401
        await site.csms.start()
        assert await station.ends() == 1008
        with pytest.raises(InvalidStatus) as refused:
            async with site.station():
                pass
        assert refused.value.response.status_code == 401


@pytest.mark.requirement("LC-038")
async def test_a_station_that_leaves_takes_its_connection_to_the_csms_along(tmp_path: Path) -> None:
    async with outage_site(tmp_path) as site, site.gateway() as gateway:
        async with site.station() as station:
            await station.boots()
        await until(lambda: not gateway.stations.drivers, 5)
        await site.csms.sockets["CP-1"].wait_closed()


@pytest.mark.requirement("LC-050")
async def test_what_the_csms_had_and_did_not_answer_is_answered_once_and_told_again(tmp_path: Path) -> None:
    async with (
        outage_site(tmp_path, outage="unknown_id_tokens: accept") as site,
        site.gateway(),
        site.station() as station,
    ):
        await station.boots()
        site.csms.is_mute = True
        began = asyncio.create_task(station.says("StartTransaction", **START))
        await until(lambda: "StartTransaction" in site.csms.actions(), 5)
        await site.csms.stop()
        assert (await began)["transactionId"] == 1_900_000_001
        site.csms.is_mute = False
        await site.csms.start()
        await until(lambda: site.csms.actions().count("StartTransaction") == 2, 10)
        assert len(set(site.csms.ids)) == len(site.csms.ids), "under a fresh id"


async def test_a_trace_says_whose_word_it_was(tmp_path: Path) -> None:
    file = tmp_path / "trace.sqlite"
    async with outage_site(tmp_path, more="trace: {file: " + str(file) + "}") as site:
        async with site.gateway() as gateway, site.station() as station:
            await station.boots()
            await site.csms.stop()
            await until(lambda: not gateway.stations.uplinks["CP-1"].is_there, 5)
            await station.says("MeterValues", connectorId=1, meterValue=[])
            await site.csms.start()
            await until(lambda: "MeterValues" in site.csms.actions(), 10)
            await until(lambda: gateway.stations.uplinks["CP-1"].waiting == 0, 5)
            await station.says("Heartbeat")
        told = [
            (record.sender, record.fate, record.action, record.detail)
            for record in TraceFile(file).records()
            if "MeterValues" in record.message_id or record.action in {"MeterValues", "Heartbeat"}
        ]
    assert told == [
        ("station", "absorbed", "MeterValues", "the CSMS is away"),
        ("gateway", "injected", "", "in place of the CSMS"),
        ("gateway", "injected", "MeterValues", "delivered later"),
        ("station", "passed", "Heartbeat", ""),
    ]


async def test_a_fault_of_ours_ends_this_station_and_says_so(tmp_path: Path) -> None:
    async with outage_site(tmp_path) as site, site.gateway() as gateway, site.station() as station:
        await station.boots()
        uplink = gateway.stations._sessions["CP-1"].csms
        assert isinstance(uplink, Uplink)

        async def dial() -> Refusal:
            raise ZeroDivisionError

        uplink._dial = dial
        with capture_logs() as told:
            await site.csms.stop()
            assert await station.ends() == 1011
        assert {"csms_away", "station_failed"} <= {line["event"] for line in told}


async def test_a_station_that_leaves_in_an_outage_leaves_nothing_for_a_collector(tmp_path: Path) -> None:
    async with outage_site(tmp_path) as site, site.gateway() as gateway:
        async with site.station() as station:
            await station.boots()
            await site.csms.stop()
            await until(lambda: not gateway.stations.uplinks["CP-1"].is_there, 5)
            await station.says("Heartbeat")
            uplink = weakref.ref(gateway.stations._sessions["CP-1"].csms)
            gc.collect()
            gc.disable()
        try:
            await until(lambda: not gateway.stations.drivers, 5)
            await until(lambda: uplink() is None, 5)
        finally:
            gc.enable()


async def test_why_the_csms_is_not_reached_is_logged_once(tmp_path: Path) -> None:
    async with outage_site(tmp_path) as site, site.gateway() as gateway, site.station() as station:
        await station.boots()
        with capture_logs() as told:
            site.csms.status = 502
            await site.csms.stop()
            await site.csms.start()
            await asyncio.sleep(1)
            site.csms.status = 0
            await until(lambda: gateway.stations.uplinks["CP-1"].is_there, 10)
        refused = [line for line in told if line["event"] == "csms_refused" and line["status"] == 502]
        assert len(refused) == 1


async def test_what_the_csms_asks_first_of_all_is_answered(tmp_path: Path) -> None:
    async with outage_site(tmp_path) as site, site.gateway():
        site.csms.greeting = json.dumps([2, "first", "ClearChargingProfile", {"id": 2_147_480_001}])
        async with site.station():
            await until(lambda: bool(site.csms.answers), 5)
        assert site.csms.answers == [[3, "first", {"status": "Unknown"}]]


async def test_a_gateway_that_stops_leaves_no_connection_that_still_waits_for_the_disk(tmp_path: Path) -> None:
    async with outage_site(tmp_path) as site:
        async with site.gateway() as gateway, site.station():
            pass
        async with site.gateway() as gateway:
            assert gateway._outages is not None
            disk = gateway._outages.journal
            writer = sqlite3.connect(tmp_path / NAME, isolation_level=None)
            writer.execute("BEGIN IMMEDIATE")  # the journal waits for it
            disk.rename("CP-2", 1, 1)
            site.csms.sockets.clear()
            async with site.station():
                await gateway.stations.stop()
            await asyncio.wait_for(site.csms.sockets["CP-1"].wait_closed(), 2)
            writer.close()
