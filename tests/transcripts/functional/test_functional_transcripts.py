"""Each functional block as dialogues, through a proxy with all blocks: one for every action of every version.

What the gateway asks the station meanwhile (its limits, its questions) is answered and left out: neither side of such a
dialogue can tell. "# rewrites_to: <address>" in a dialogue is the policy of its site.
"""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import cast

import pytest

from local_controller.clock import Instant
from local_controller.rpc import frame as rpc
from local_controller.station.blocks.smart_charging import SmartCharging
from local_controller.station.blocks.wish import OnPhases
from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.effects import Effect, Peer, Send
from local_controller.station.guard_policy import GuardPolicy, Policy
from local_controller.station.proxy import StationProxy
from local_controller.station.words import OcppVersion
from tests.payloads import SENDS, actions, mistakes
from tests.transcripts.dialogue import START, header, own_ids, play_with, proving, spoken, version_of

STORIES = sorted(Path(__file__).parent.glob("*.txt"))


class Obedient:
    """A proxy whose station does what the gateway asks, unseen by the dialogue."""

    deadline = None

    def __init__(self, proxy: StationProxy, charging: SmartCharging) -> None:
        self._proxy = proxy
        self._charging = charging
        self._unseen(proxy.connected(START), START)

    def receive(self, peer: Peer, text: str, now: Instant) -> list[Effect]:
        return self._unseen(self._proxy.receive(peer, text, now), now)

    def gives(self, evse: int, limit_a: float, valid_s: float, now: Instant, on: OnPhases) -> list[Effect]:
        """The site gives an EVSE so much."""
        wanted = self._charging.set_limit(evse, limit_a, valid_s, False, now, on)
        return self._unseen(self._proxy.perform(wanted, now), now)

    def _unseen(self, effects: list[Effect], now: Instant) -> list[Effect]:
        seen, todo = [], deque(effects)
        while todo:
            effect = todo.popleft()
            if isinstance(effect, Send) and effect.peer is Peer.STATION and effect.text.startswith('[2,"LC'):
                asked = rpc.parse(effect.text)
                status = "NoProfiles" if asked.action == "GetChargingProfiles" else "Accepted"
                answer = rpc.result(asked.message_id, {"status": status})
                todo.extendleft(reversed(self._proxy.receive(Peer.STATION, answer.text, now)))
            else:
                seen.append(effect)
        return seen


@pytest.mark.parametrize("path", proving(STORIES))
def test_dialogue(path: Path) -> None:
    (url,) = header(path, "rewrites_to") or (None,)
    guards = GuardPolicy() if url is None else GuardPolicy(network=Policy.REWRITE, public_url=url)
    proxy, charging = station_proxy("CP-7", version_of(path), StationSettings(guards=guards), ids=own_ids())
    obedient = Obedient(proxy, charging)
    play_with(cast(StationProxy, obedient), path, obedient.gives)


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_its_messages_are_what_the_standard_means(path: Path) -> None:
    if header(path, "schemas") == ["beyond"]:
        return
    for action, frame in spoken(path, ">"):
        if frame.is_error:
            continue
        is_answer = frame.message_type == rpc.CALLRESULT
        third = json.dumps(frame.payload)
        assert mistakes(version_of(path), action, third, is_answer=is_answer) == [], (action, third)


def answers(version: OcppVersion, kind: int) -> set[str]:
    """The actions that are answered in this way in some dialogue, by a peer or by the gateway."""
    of_version = (path for path in STORIES if version_of(path) is version)
    return {action for path in of_version for action, frame in spoken(path, "><") if frame.message_type == kind}


@pytest.mark.requirement("LC-150")
@pytest.mark.parametrize("version", list(OcppVersion))
def test_every_action_has_its_dialogue_with_an_answer_and_with_an_error(version: OcppVersion) -> None:
    shown = {action for path in STORIES if version_of(path) is version for action, _ in spoken(path, ">")}
    assert sorted(set(actions(version)) - shown) == []
    for kind in (rpc.CALLRESULT, rpc.CALLERROR):
        assert sorted(set(actions(version)) - SENDS - answers(version, kind)) == []


def passes_something(path: Path) -> bool:
    """Whether anything is relayed in a dialogue: what one side gets is what the other said."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return bool(
        {line[10:] for line in lines if line[8:10] == "> "} & {line[10:] for line in lines if line[8:10] == "< "}
    )


@pytest.mark.parametrize("indent", [(",", ":"), (", ", ": ")], ids=["compact", "with blanks"])
@pytest.mark.parametrize("path", list(filter(passes_something, STORIES)), ids=lambda path: path.stem)
def test_each_dialogue_notices_a_relay_that_reads_and_writes_json(
    path: Path, indent: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parse = rpc.parse
    monkeypatch.setattr(rpc, "parse", lambda text: parse(json.dumps(json.loads(text), separators=indent)))
    with pytest.raises(AssertionError, match="instead came"):
        test_dialogue(path)
