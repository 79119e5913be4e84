"""Registration, reconnection and our own questions as dialogues with a complete proxy: every message of ours is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.transcripts.complete import mistakes_in, play_complete
from tests.transcripts.dialogue import proving

STORIES = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", proving(STORIES))
def test_dialogue(path: Path) -> None:
    play_complete(path)


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_its_messages_are_what_the_standard_means(path: Path) -> None:
    assert mistakes_in(path) == []
