"""The relay as dialogues: each text file of this folder is one story."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.transcripts.dialogue import play, proving

STORIES = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", proving(STORIES))
def test_dialogue(path: Path) -> None:
    play(path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('csms    > [2,"a","X",{}]\nstation < [2,"a","X", {}]\n', "instead came"),
        ('csms    > [2,"a","X",{}]\n', "after the last line came"),
        ('csms    > [3,"a",{}]\nstation < [3,"a",{}]\n', "did not come"),
        ('csms    > [2,"a","X",{}]\nwait 1s\n', "not in the dialogue, but came"),
    ],
)
def test_the_runner_notices_every_kind_of_difference(tmp_path: Path, text: str, complaint: str) -> None:
    story = tmp_path / "story.txt"
    story.write_text(text)
    with pytest.raises(AssertionError) as caught:
        play(story)
    assert complaint in str(caught.value)
