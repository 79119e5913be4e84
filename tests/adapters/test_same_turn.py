"""Does a message wait for anything of ours on its way through the gateway? Fifty stations, on real sockets."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.server import ServerConnection

from local_controller.adapters.leg import Leg
from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.effects import Peer
from local_controller.station.proxy import StationProxy
from local_controller.station.words import OcppVersion
from tests.adapters.relay_site import Csms, Site, site_with

BOOT = '{"reason":"PowerUp","chargingStation":{"vendorName":"v","model":"m"}}'
BOOTED = '{"currentTime":"2026-06-01T12:00:00Z","interval":300,"status":"Accepted"}'
CERTIFICATE = '{"iso15118SchemaVersion":"urn:iso:15118:2:2013:MsgDef","action":"Install","exiRequest":"eA=="}'
CERTIFIED = '{"status":"Accepted","exiResponse":"eA=="}'


@pytest.mark.requirement("LC-032", "LC-147")
async def test_a_message_leaves_while_it_is_being_read_and_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a timer nor a queue, no thread and no other task is between, whatever we ask these stations meanwhile.

    So what the relay adds is what the machine takes for its own work, which the benchmark measures.
    """
    read_from: list[Leg] = []
    left: dict[str, Leg | None] = {}
    data_received, send = Leg.data_received, Leg.send

    def reading(leg: Leg, data: bytes) -> None:
        read_from.append(leg)
        data_received(leg, data)
        read_from.pop()

    def sending(leg: Leg, text: str) -> None:
        left[text] = read_from[-1] if read_from else None
        send(leg, text)

    def proxy(identity: str, version: OcppVersion) -> StationProxy:
        return station_proxy(identity, version, StationSettings(evses=(1, 2), fallback_a=6.0))[0]

    async def charge(site: Site, number: int) -> None:
        async with site.dial(f"CP-{number}", subprotocols=["ocpp2.0.1"]) as station:
            texts = [f'[2,"{number}-b","BootNotification",{BOOT}]']
            texts += [f'[2,"{number}-{n}","Get15118EVCertificate",{CERTIFICATE}]' for n in range(3)]
            for text in texts:
                await station.send(text)
                while not (answer := await station.recv()).startswith("[3,"):
                    asked.append(str(answer))  # by the gateway, and left without an answer
                leg = site.server.drivers[f"CP-{number}"]._legs
                assert left[text] is leg[Peer.STATION]
                assert left[str(answer)] is leg[Peer.CSMS]

    async def greet(socket: ServerConnection) -> None:
        async for message in socket:
            _, message_id, action, _ = json.loads(message)
            await socket.send(f'[3,"{message_id}",{BOOTED if action == "BootNotification" else CERTIFIED}]')

    asked: list[str] = []
    monkeypatch.setattr(Leg, "data_received", reading)
    monkeypatch.setattr(Leg, "send", sending)
    async with site_with(csms=Csms(greet=greet), proxy=proxy) as site:
        await asyncio.gather(*(charge(site, number) for number in range(50)))
    assert len(asked) >= 50
