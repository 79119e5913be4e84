"""Does a CSMS see the same with and without the gateway, word by word? And what of ours does a station see?

The same script is played twice. The CSMS must receive identical text; only the report that the gateway makes in the
station's place carries an id of ours and is compared as JSON.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from local_controller.app import LocalController
from local_controller.cli.demo_peers import free_ports
from local_controller.clock import Clock
from local_controller.config.load import load
from tests.e2e.scripts import Reconnects, Reports, Says, Sends, Step, script
from tests.e2e.surroundings import HOST, site_text

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]
QUIET_S = 0.3
"""So long nothing more must arrive at the end of a script."""


@dataclass
class RecordingCsms:
    """Says what the script says; `seen` is every text it got."""

    seen: list[str] = field(default_factory=list)
    url: str = ""
    inbox: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    socket: ServerConnection | None = None

    async def serve_one(self, socket: ServerConnection) -> None:
        self.socket = socket
        async for text in socket:
            assert isinstance(text, str)
            self.seen.append(text)
            self.inbox.put_nowait(text)

    async def send(self, text: str) -> None:
        assert self.socket is not None
        await self.socket.send(text)


@dataclass
class ScriptedStation:
    """Says what the script says, and answers CALLs that are not in the script like an obedient station; `ours` are these."""

    version: str
    answers: dict[str, str]
    seen: list[str] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)
    inbox: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    was_read: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self, socket: ClientConnection) -> None:
        async for text in socket:
            assert isinstance(text, str)
            frame = json.loads(text)
            if frame[0] != 2:
                self.seen.append(text)
                self.inbox.put_nowait(text)
            elif frame[1] in self.answers:
                self.seen.append(text)
                await socket.send(self.answers[frame[1]])
            else:
                self.ours.append(text)
                await socket.send(json.dumps([3, frame[1], obedient(frame[2], frame[3])]))
                if frame[2] in {"GetConfiguration", "GetVariables"}:
                    self.was_read.set()


def obedient(action: str, payload: dict[str, Any]) -> dict[str, Any]:
    if action == "GetConfiguration":
        return {"unknownKey": payload["key"]}
    if action == "GetVariables":
        asked = payload["getVariableData"]
        return {"getVariableResult": [{**one, "attributeStatus": "UnknownVariable"} for one in asked]}
    if action == "GetChargingProfiles":
        return {"status": "NoProfiles"}
    assert action == "SetChargingProfile", f"the gateway may ask and limit, but not {action}"
    return {"status": "Accepted"}


@asynccontextmanager
async def recording_csms() -> AsyncIterator[RecordingCsms]:
    csms = RecordingCsms()
    versions = [Subprotocol(name) for name in ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")]
    async with serve(csms.serve_one, HOST, 0, subprotocols=versions) as server:
        csms.url = f"ws://{HOST}:{next(iter(server.sockets)).getsockname()[1]}/ocpp"
        yield csms


async def play(steps: Sequence[Step], version: str, url: str, csms: RecordingCsms, *, direct: bool) -> ScriptedStation:
    """The script over the given URL; what arrives is checked as it comes."""
    answers = {json.loads(s.call)[1]: s.answer for s in steps if isinstance(s, Says) and s.by == "csms"}
    station = ScriptedStation(version, answers)
    remaining = list(steps)
    while remaining:
        async with connect(f"{url}/CP-1", subprotocols=[Subprotocol(version)], proxy=None) as socket:
            listening = asyncio.create_task(station.listen(socket))
            while remaining and not isinstance(step := remaining.pop(0), Reconnects):
                await play_step(step, socket, station, csms, direct=direct)
            if not direct:
                async with asyncio.timeout(15):  # the gateway's question comes within 10 s of a boot
                    await station.was_read.wait()
                station.was_read.clear()
            await asyncio.sleep(QUIET_S)
        await listening
    assert station.inbox.empty()
    assert csms.inbox.empty()
    return station


async def play_step(
    step: Step, socket: ClientConnection, station: ScriptedStation, csms: RecordingCsms, *, direct: bool
) -> None:
    async with asyncio.timeout(5):
        match step:
            case Says(by="station"):
                await socket.send(step.call)
                await csms.inbox.get()
                await csms.send(step.answer)
                assert await station.inbox.get() == step.answer
            case Says():
                await csms.send(step.call)
                assert await csms.inbox.get() == step.answer
            case Sends():
                await socket.send(step.text)
                await csms.inbox.get()
            case Reports():
                if direct:
                    await socket.send(step.call)
                report_id = json.loads(await csms.inbox.get())[1]
                await csms.send(f'[3,"{report_id}",{step.answer}]')
                if direct:
                    await station.inbox.get()


def comparable(text: str) -> object:
    """The text itself; a report without its id, and without members that only say the default."""
    frame = json.loads(text)
    if frame[0] == 2 and frame[2] == "ReportChargingProfiles":
        return [frame[2], {"tbc": False} | frame[3]]
    return text


@pytest.mark.requirement(
    "LC-018", "LC-019", "LC-021", "LC-027", "LC-028", "LC-091", "LC-094", "LC-096", "LC-101", "LC-139"
)
@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
async def test_a_csms_sees_no_difference(version: str, tmp_path: Path) -> None:
    steps = script(version, datetime.now(UTC))
    async with recording_csms() as csms:
        plain = await play(steps, version, csms.url, csms, direct=True)
        without, csms.seen = csms.seen, []
        (port,) = free_ports(1)
        site = tmp_path / "site.yaml"
        site.write_text(site_text(["id: CP-1, max_a: 32"], csms_url=csms.url, port=port), encoding="utf-8")
        async with LocalController(load(site), Clock()):
            relayed = await play(steps, version, f"ws://{HOST}:{port}", csms, direct=False)
    assert [comparable(text) for text in csms.seen] == [comparable(text) for text in without]
    assert plain.ours == []
    show_the_stations_side(version, plain, relayed)


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.1"])
async def test_who_merely_observes_is_a_cable_to_both_sides(version: str, tmp_path: Path) -> None:
    """Profiles of the CSMS, remote starts and reports of what the station holds included; nothing of ours is sent."""
    steps = script(version, datetime.now(UTC))
    async with recording_csms() as csms:
        plain = await play(steps, version, csms.url, csms, direct=True)
        without, csms.seen = csms.seen, []
        (port,) = free_ports(1)
        site = tmp_path / "site.yaml"
        text = site_text(["id: CP-1, max_a: 32"], csms_url=csms.url, port=port, mode="observe")
        site.write_text(text, encoding="utf-8")
        async with LocalController(load(site), Clock()) as gateway:
            relayed = await play(steps, version, f"ws://{HOST}:{port}", csms, direct=True)
            picture, profiles = await gateway.picture(), await gateway.profiles("CP-1")
    assert csms.seen == without
    assert relayed.seen == plain.seen
    assert relayed.ours == []
    assert picture["mode"] == "observe"
    assert (profiles["mode"], profiles["was_connected"], profiles["stacks"]) == ("observe", True, None)


def show_the_stations_side(version: str, plain: ScriptedStation, relayed: ScriptedStation) -> None:
    """What the station sees besides our own calls: the same text, but for the profiles that we keep for the CSMS."""
    kept = [text for text in plain.seen if text not in relayed.seen]
    instead = [text for text in relayed.seen if text not in plain.seen]
    print(f"\n{version}: {len(relayed.ours)} own calls to the station")  # noqa: T201  # shown as evidence
    for text in relayed.ours:
        print("  ours    ", text)  # noqa: T201
    for text in kept:
        print("  kept    ", text[:120])  # noqa: T201
    for text in instead:
        print("  instead ", text)  # noqa: T201
    actions = [json.loads(text)[2] for text in kept if json.loads(text)[0] == 2]
    owned = {"SetChargingProfile", "ClearChargingProfile", "GetChargingProfiles"}
    remote_start = "RemoteStartTransaction" if version == "ocpp1.6" else "RequestStartTransaction"
    assert set(actions) - owned == {remote_start}
    (stripped,) = [json.loads(text) for text in instead]
    (original,) = [json.loads(text) for text in kept if json.loads(text)[2:3] == [remote_start]]
    assert stripped == [*original[:3], {k: v for k, v in original[3].items() if k != "chargingProfile"}]
    own_actions = [json.loads(text)[2] for text in relayed.ours]
    question = "GetConfiguration" if version == "ocpp1.6" else "GetVariables"
    instead_of_the_csms = {"GetChargingProfiles"} & {json.loads(text)[2] for text in kept if json.loads(text)[0] == 2}
    assert set(own_actions) == {question, "SetChargingProfile"} | instead_of_the_csms
    assert own_actions.count(question) == 2, "asked once after each boot"
