"""What a station says that it holds, as dialogues with a complete proxy: every message of ours is shown.

The station CP-7 has one EVSE, its floor is 6 A, and its turn to be asked comes 9.94 s after it was accepted, and what it
holds 20 s later.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_controller.rpc import frame as rpc
from local_controller.station.build import StationSettings, station_proxy
from tests.payloads import mistakes
from tests.transcripts.dialogue import START, header, outputs, own_ids, play_with, version_of

STORIES = sorted(Path(__file__).parent.glob("*.txt"))
PARAMS = [pytest.param(path, id=path.stem, marks=pytest.mark.requirement(*header(path, "proves"))) for path in STORIES]


@pytest.mark.parametrize("path", PARAMS)
def test_dialogue(path: Path) -> None:
    proxy, _ = station_proxy(
        "CP-7", version_of(path), StationSettings(fallback_a=6.0, is_asked_what_it_holds=True), ids=own_ids()
    )
    assert outputs(proxy.connected(START)) == []
    play_with(proxy, path)


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_its_messages_are_what_the_standard_means(path: Path) -> None:
    asked: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line[8:10] not in {"> ", "< "}:
            continue
        frame = rpc.parse(line[10:])
        action = asked.setdefault(frame.message_id, frame.action or "")
        if not frame.is_error:
            is_answer = frame.message_type == rpc.CALLRESULT
            assert mistakes(version_of(path), action, json.dumps(frame.payload), is_answer=is_answer) == [], line
