"""What does a sender say of itself, in the words of several products?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.errors import SourceError
from local_controller.site.availability import AvailabilitySettings, is_there

JSON = AvailabilitySettings(path="state")


@pytest.mark.parametrize(
    ("payload", "settings", "said"),
    [
        (b"online", AvailabilitySettings(), True),
        (b"offline\n", AvailabilitySettings(), False),
        (b'{"state": "online"}', JSON, True),
        (b'{"state": "offline"}', JSON, False),
        (b"Online", AvailabilitySettings("Online", "Offline"), True),
        (b"false", AvailabilitySettings("true", "false"), False),
        (b'{"ok": true}', AvailabilitySettings("true", "false", "ok"), True),
        (b'{"n": 2}', AvailabilitySettings("2", "0", "n"), True),
    ],
)
def test_each_product_has_its_words(payload: bytes, settings: AvailabilitySettings, said: bool) -> None:
    assert is_there(payload, settings) is said


@pytest.mark.parametrize(
    ("payload", "settings", "text"),
    [
        (b"", AvailabilitySettings(), "its availability must be online or offline, found ''"),
        (b"Online", AvailabilitySettings(), "must be online or offline, found 'Online'"),
        (b"\xff", AvailabilitySettings(), "cannot be read"),
        (b"online", JSON, "cannot be read"),
        (b"[" * 60_000, JSON, "cannot be read"),
        (b"{}", JSON, "must be online or offline, found 'null'"),
        (
            b'{"state": 5}',
            AvailabilitySettings(path="length(state)"),
            "availability.path 'length\\(state\\)' does not fit",
        ),
    ],
)
def test_neither_yes_nor_no_is_an_error(payload: bytes, settings: AvailabilitySettings, text: str) -> None:
    with pytest.raises(SourceError, match=text) as refused:
        is_there(payload, settings)
    assert len(str(refused.value)) < 300


@given(payload=st.binary(max_size=40))
def test_no_payload_raises_anything_else_and_only_the_word_means_yes(payload: bytes) -> None:
    for settings in (AvailabilitySettings(), JSON):
        try:
            said = is_there(payload, settings)
        except SourceError:
            continue
        assert not said or b"online" in payload
