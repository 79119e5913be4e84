"""A dialogue with a complete proxy, in which every message of ours is shown: how is it played, and what is wrong in it?

The station CP-7 has one EVSE, its floor is 6 A, and its turn to be asked comes 9.94 s after it was accepted. Its product is
known to name no bounds on what it tells at a time, nor on its charging profiles (2.x), unless the dialogue has the comment `# product: new`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from local_controller.clock import Instant
from local_controller.rpc import frame as rpc
from local_controller.station.blocks.wish import OnPhases
from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.dialects.base import NO_BOUNDS
from local_controller.station.effects import Effect
from tests.payloads import mistakes
from tests.transcripts.dialogue import START, header, outputs, own_ids, play_with, spoken, version_of


def play_complete(path: Path, *, is_asked_what_it_holds: bool = False) -> None:
    """Plays a file with a proxy of all blocks."""
    settings = StationSettings(fallback_a=6.0, is_asked_what_it_holds=is_asked_what_it_holds)
    proxy, charging = station_proxy("CP-7", version_of(path), settings, ids=own_ids())
    if header(path, "product") != ["new"]:
        charging.state.capability = replace(charging.state.capability, bounds=NO_BOUNDS, places=0)
    assert outputs(proxy.connected(START)) == []

    def gives(evse: int, limit_a: float, valid_s: float, now: Instant, on: OnPhases) -> list[Effect]:
        return proxy.perform(charging.set_limit(evse, limit_a, valid_s, False, now, on), now)

    play_with(proxy, path, gives)


def mistakes_in(path: Path) -> list[tuple[str, list[str]]]:
    """The messages of a file, sent and received, that break the schema of its version, and how."""
    found = []
    for action, frame in spoken(path, "><"):
        if not frame.is_error:
            is_answer = frame.message_type == rpc.CALLRESULT
            wrong = mistakes(version_of(path), action, json.dumps(frame.payload), is_answer=is_answer)
            found += [(frame.text, wrong)] if wrong else []
    return found
