"""Who comes in, how often, and to which CSMS: the doors of the relay on real sockets."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from websockets.asyncio.server import serve
from websockets.exceptions import InvalidMessage

from local_controller.adapters.station_server import DoorLimits
from local_controller.clock import Clock
from local_controller.station.words import Connected, OcppVersion
from tests.adapters.relay_site import Csms, close_of, refusal, site_with


@pytest.mark.requirement("LC-008")
async def test_a_station_without_password_is_asked_for_one_unless_the_site_says_otherwise() -> None:
    async with site_with(unsecured=False) as site:
        response = await refusal(site.dial())
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == 'Basic realm="OCPP"'
        assert site.csms.requests == []
        assert site.events == ["unsecured_station"]
        async with site.pair(additional_headers={"Authorization": "Basic Q1AtNzp4"}) as (station, csms):
            await station.send("here")
            assert await csms.recv() == "here"


@pytest.mark.requirement("LC-008")
async def test_the_status_warns_of_a_station_without_security_as_long_as_it_is_there() -> None:
    async with site_with() as site:
        async with site.pair(), site.pair("CP-8", additional_headers={"Authorization": "Basic Q1AtODp4"}):
            (warning,) = site.server.warnings
            assert warning.startswith("CP-7: anybody who reaches the gateway can pose as this station")
            assert [call.kwargs["station"] for call in site.log.calls if "let_in" in call.kwargs] == ["CP-7"]
        async with site.pair("CP-8", additional_headers={"Authorization": "Basic Q1AtODp4"}):
            while "CP-7" in site.server.drivers:  # noqa: ASYNC110 - its end is elsewhere
                await asyncio.sleep(0.01)
            assert site.server.warnings == []


@pytest.mark.requirement("LC-001")
async def test_an_identity_in_other_cases_is_the_same_station_and_goes_up_as_it_was_written() -> None:
    async with site_with() as site, site.pair("cp-7") as (station, _):
        assert site.csms.requests[0].path == "/ocpp/cp-7"
        assert site.facts == [("CP-7", Connected(OcppVersion.V16))]
        async with site.pair("CP-7") as (_, csms):
            assert await close_of(station) == 1001
            assert site.csms.most_open == 1
            await csms.close()


@pytest.mark.requirement("LC-001", "LC-005")
@pytest.mark.parametrize(
    ("path", "is_open"),
    [("CP-7", True), ("ocpp/CP-7", True), ("steve/CentralSystemService/CP-7", True), ("ocpp2.1/CP-7", False)],
)
async def test_stations_may_dial_the_paths_that_the_site_names(path: str, is_open: bool) -> None:
    async with site_with(path_prefixes=["/ocpp", "/steve/CentralSystemService"]) as site:
        if is_open:
            async with site.pair(path):
                assert site.csms.requests[0].path == "/ocpp/CP-7"
        else:
            assert (await refusal(site.dial(path))).status_code == 404


@pytest.mark.requirement("LC-003")
async def test_a_csms_with_a_port_for_each_version_is_dialled_in_the_stations_order() -> None:
    """The port of 2.1 accepts no version, the one of 2.0.1 refuses, the one of 1.6 takes it: as CitrineOS does."""
    choosy, closed, open_ = Csms(chooses=()), Csms(refuse=lambda connection: connection.respond(404, "")), Csms()
    async with AsyncExitStack() as stack:
        ports = []
        for csms in (choosy, closed, open_):
            server = await stack.enter_async_context(
                serve(
                    csms.handle,
                    "127.0.0.1",
                    0,
                    process_request=csms.process_request,
                    select_subprotocol=csms.choose,
                )
            )
            ports.append(next(iter(server.sockets)).getsockname()[1])
        versions = (OcppVersion.V21, OcppVersion.V201, OcppVersion.V16)
        urls = {version: f"ws://127.0.0.1:{port}" for version, port in zip(versions, ports, strict=True)}
        async with site_with(urls=urls) as site:
            async with site.dial(subprotocols=["ocpp2.1", "ocpp2.0.1", "ocpp1.6"]) as station:
                assert station.subprotocol == "ocpp1.6"
                csms = await open_.socket()
                await csms.send('[2,"a","Reset",{}]')
                assert await station.recv() == '[2,"a","Reset",{}]'
            offers = [one.requests[0].headers["Sec-WebSocket-Protocol"] for one in (choosy, closed, open_)]
            assert offers == ["ocpp2.1", "ocpp2.0.1", "ocpp1.6"]
            assert (await refusal(site.dial(subprotocols=["ocpp2.0.1"]))).status_code == 404


@pytest.mark.requirement("LC-033")
async def test_an_address_that_comes_too_often_is_told_when_to_come_again() -> None:
    async with site_with(limits=DoorLimits(connections_per_minute_per_address=3)) as site:
        for _ in range(3):
            async with site.pair():
                pass
        response = await refusal(site.dial())
        assert response.status_code == 429
        assert 1 <= int(response.headers["Retry-After"]) <= 20
        assert "rate_limited" in site.events
        assert len(site.csms.requests) == 3


@pytest.mark.requirement("LC-033")
async def test_an_identity_that_comes_too_often_does_not_keep_others_out() -> None:
    async with site_with(limits=DoorLimits(connections_per_minute_per_station=2)) as site:
        for _ in range(2):
            async with site.pair("CP-1"):
                pass
        assert (await refusal(site.dial("CP-1"))).status_code == 429
        async with site.pair("CP-2") as (station, csms):
            await station.send("here")
            assert await csms.recv() == "here"


@pytest.mark.requirement("LC-033")
async def test_there_is_only_so_much_room() -> None:
    async with (
        site_with(limits=DoorLimits(max_connections=2)) as site,
        site.pair("CP-1"),
        site.pair("CP-2") as (two, _),
    ):
        with pytest.raises((InvalidMessage, ConnectionError)):
            await site.dial("CP-3")
        await two.close()
        async with asyncio.timeout(5):
            while "CP-2" in site.server.drivers:  # noqa: ASYNC110 - the room of a connection whose end is elsewhere
                await asyncio.sleep(0.01)
        async with site.pair("CP-3") as (station, csms):
            await station.send("here")
            assert await csms.recv() == "here"


@pytest.mark.requirement("LC-033", "LC-031")
async def test_a_station_that_talks_too_much_is_read_more_slowly_and_loses_nothing() -> None:
    limits = DoorLimits(messages_per_second_per_station=200, message_burst=20)
    async with site_with(limits=limits) as site, site.pair("CP-1") as bystanders, site.pair("CP-2") as (station, csms):
        clock = Clock()
        began = clock.now()
        for number in range(120):
            await station.send(f'[6,"{number}","X",{{}}]')
        await bystanders[0].send("here")
        assert await bystanders[1].recv() == "here"
        assert [await csms.recv() for _ in range(120)] == [f'[6,"{number}","X",{{}}]' for number in range(120)]
        assert clock.now().since(began) >= (120 - 20) / 200 - 0.1
