"""What people hear and see of an outage: one notice each way, what waits, what was put aside; on real sockets and a real disk."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import structlog

from local_controller.adapters.journal_file import JournalFile
from local_controller.adapters.outage_watch import OutageWatch
from local_controller.adapters.outages import Outages
from local_controller.app import LocalController
from local_controller.cli.demo_peers import free_ports
from local_controller.clock import Clock
from local_controller.config.load import load
from local_controller.site.effects import Notice
from tests.adapters.outage_site import outage_site
from tests.adapters.test_outage import START
from tests.e2e.surroundings import until


async def sentences(gateway: LocalController) -> list[str]:
    (csms,) = (await gateway.picture())["uplinks"]["csms"]
    return [one["text"] for one in csms["sentences"]]


@pytest.mark.requirement("LC-037")
async def test_people_hear_once_that_the_csms_is_gone_and_once_how_many_messages_it_got_later(tmp_path: Path) -> None:
    async with (
        outage_site(tmp_path, outage="unknown_id_tokens: accept") as site,
        site.gateway() as gateway,
        site.station() as one,
        site.station("CP-2") as other,
    ):
        heard: list[Notice] = []
        assert gateway._outages is not None
        watch = OutageWatch(gateway._config, gateway._outages, lambda: gateway.stations.uplinks, Clock(), 0.5)
        await watch.start(heard.append, structlog.get_logger())
        for station in (one, other):
            await station.boots()
        assert await sentences(gateway) == []
        await site.csms.stop()
        await until(lambda: not any(way.is_there for way in gateway.stations.uplinks.values()), 5)
        for station in (one, other):
            await station.says("StartTransaction", **START)
        await until(lambda: heard, 10)
        assert heard[0].text.endswith("2 of 2 stations are served on; what it must hear is kept until it is back")
        (told,) = await sentences(gateway)
        assert told.endswith("2 of 2 stations are served on; 2 messages wait for it.")
        view = (await gateway.picture())["uplinks"]["stations"]["CP-1"]
        assert (view["is_there"], view["waiting"], view["sentence"]) == (False, 1, "")
        await site.csms.start()
        await until(lambda: len(heard) == 2, 15)
        assert heard[1].text.endswith(": 2 messages were delivered")
        assert await sentences(gateway) == []
        await watch.stop()


async def test_what_waits_for_a_station_that_is_gone_is_said_also_after_a_restart(tmp_path: Path) -> None:
    async with outage_site(tmp_path, outage="unknown_id_tokens: accept") as site:
        async with site.gateway() as gateway, site.station() as station:
            await station.boots()
            await site.csms.stop()
            await until(lambda: not gateway.stations.uplinks["CP-1"].is_there, 5)
            await station.says("StartTransaction", **START)
        async with site.gateway() as gateway:
            assert await sentences(gateway) == ["1 message waits for the CSMS until CP-1 connects again."]


@pytest.mark.requirement("LC-054")
async def test_what_the_csms_refuses_is_said_until_a_person_has_seen_to_it(tmp_path: Path) -> None:
    async with outage_site(tmp_path) as site, site.gateway() as gateway:
        async with site.station() as station:
            await station.boots()
            await site.csms.stop()
            await until(lambda: not gateway.stations.uplinks["CP-1"].is_there, 5)
            await station.says("FirmwareStatusNotification", status="Installed")
            site.csms.refuses.add("FirmwareStatusNotification")
            await site.csms.start()
            kept = JournalFile(tmp_path)
            await until(kept.put_aside, 10)
            said = "1 message of CP-1 could not be delivered and is put aside: local-controller journal shows what and why."
            await until(lambda: gateway.stations.uplinks["CP-1"].waiting == 0, 5)
            assert await sentences(gateway) == [said]
            (message,) = kept.put_aside()
            assert (message.action, message.reason) == ("FirmwareStatusNotification", "the CSMS answered NotSupported")
            kept.wait_again(message.number)  # while the gateway has the file open
            assert await sentences(gateway) == []
        site.csms.refuses.clear()
        async with site.station():
            await until(lambda: site.csms.actions().count("FirmwareStatusNotification") == 2, 10)
        await until(lambda: not kept.counts(), 5)


async def test_what_was_delivered_is_counted_over_all_connections_of_a_station(tmp_path: Path) -> None:
    async with outage_site(tmp_path) as site, site.gateway() as gateway:
        outages = gateway._outages
        assert outages is not None
        for count in (1, 2, 3):
            async with site.station() as station:
                await station.boots()
                await site.csms.stop()
                await until(lambda: not gateway.stations.uplinks["CP-1"].is_there, 5)
                await station.says("FirmwareStatusNotification", status="Installed")
                await site.csms.start()
                await until(partial(has_delivered, outages, count), 10)
            await until(lambda: not gateway.stations.drivers, 5)


def has_delivered(outages: Outages, count: int) -> bool:
    return outages.delivered(["CP-1", "CP-2"]) == count


async def test_of_several_csmss_those_are_watched_whose_stations_stay_served(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    text = (
        "site: {name: Test, mode: control}\nlisten: {port: %d}\ngrid_connection: {fuse_a: 100, assumed_base_load_a: 10}\n"
        "stations: [{id: CP-1}, {id: CP-2}, {id: YARD-1}]\ncsms:\n  - {id: north, url: 'ws://127.0.0.1:9', stations: ['CP-*']%s}\n"
        "  - {id: south, url: 'ws://127.0.0.1:9'}\nstate_directory: %s\n"
    )
    for outage, names in ((", outage: {}", [("CSMS north", 2)]), ("", None)):
        path.write_text(text % (*free_ports(1), outage, tmp_path), encoding="utf-8")
        async with LocalController(load(path), Clock()) as gateway:
            found = (await gateway.picture())["uplinks"]
            assert (found and [(one["name"], one["stations"]) for one in found["csms"]]) == names
