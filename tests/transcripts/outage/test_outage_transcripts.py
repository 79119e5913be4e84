"""Outages of the CSMS as dialogues: each text file of this folder is one story."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.transcripts.dialogue import proving
from tests.transcripts.outage.stage import play_outage

STORIES = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", proving(STORIES))
def test_dialogue(path: Path) -> None:
    play_outage(path)
