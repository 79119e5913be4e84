"""Laws of reading and writing one OCPP-J message."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.errors import FrameError, PayloadError
from local_controller.rpc import frame as rpc
from local_controller.rpc.frame import CLOSE_LOOK, Frame, parse
from tests.effort import TRIED

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECT = st.dictionaries(ANY_TEXT, JSON, max_size=4)


@st.composite
def mutated_frames(draw: st.DrawFn) -> str:
    """A frame with a piece cut out and something else put in."""
    text = json.dumps(draw(st.tuples(st.integers(2, 7), ANY_TEXT, ANY_TEXT, OBJECT)))
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, len(text)))
    return (
        text[:start]
        + draw(st.sampled_from(["", "[", "]", '"', ",", "\\ud800", "NaN", "1e999", "\x00", "{"]))
        + text[end:]
    )


def read_all(frame: Frame) -> None:
    """Everything a block may read of a frame."""
    _ = frame.message_type, frame.message_id, frame.action, frame.error_code, frame.error_description
    for read in (lambda: frame.payload, lambda: frame.details):
        try:
            read()
        except PayloadError:
            continue


@st.composite
def mutated_bytes(draw: st.DrawFn) -> str:
    """What reaches us of a frame some of whose bytes were changed, lost or added on the way."""
    data = bytearray(
        json.dumps(
            draw(
                st.tuples(
                    st.integers(2, 7), st.text(), st.text(), st.dictionaries(st.text(), st.text() | st.integers())
                )
            ),
            ensure_ascii=False,
        ).encode()
    )
    for place, byte, change in draw(
        st.lists(st.tuples(st.integers(0), st.integers(0, 255), st.integers(0, 2)), max_size=9)
    ):
        where = place % (len(data) + 1)
        data[where : where + min(change, 1)] = bytes((byte,))[: 2 - change]
    return data.decode(errors="replace")


@given(ANY_TEXT | mutated_frames() | mutated_bytes() | JSON.map(json.dumps))
def test_reading_raises_nothing_but_frame_error_and_payload_error(text: str) -> None:
    TRIED["texts read as messages"] += 1
    try:
        frame = parse(text)
    except FrameError:
        return
    assert frame.text is text
    read_all(frame)


@given(
    st.tuples(st.sampled_from([2, 6]), ANY_TEXT, ANY_TEXT, OBJECT), st.booleans(), st.sampled_from(["", " ", "\r\n\t"])
)
def test_whatever_json_can_say_in_a_call_is_read(
    elements: tuple[int, str, str, dict[str, Any]], ascii_only: bool, blank: str
) -> None:
    TRIED["texts read as messages"] += 1
    text = blank + json.dumps(elements, ensure_ascii=ascii_only, indent=blank and 1) + blank
    frame = parse(text)
    assert (frame.message_type, frame.message_id, frame.action, frame.payload) == elements


@given(ANY_TEXT, ANY_TEXT, OBJECT)
def test_what_we_write_we_can_read(message_id: str, action: str, payload: dict[str, Any]) -> None:
    TRIED["messages written and read"] += 2
    for ours in (rpc.call(message_id, action, payload), rpc.result(message_id, payload)):
        theirs = parse(ours.text)
        assert theirs == ours
        assert theirs.payload == ours.payload == payload
        assert ours.text.isascii()


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, OBJECT)
def test_our_errors_can_be_read(message_id: str, code: str, description: str, details: dict[str, Any]) -> None:
    TRIED["messages written and read"] += 1
    ours = rpc.error(message_id, code, description, details)
    theirs = parse(ours.text)
    assert theirs == ours
    for one in (ours, theirs):
        assert (one.error_code, one.error_description, one.details) == (code, description[:255], details)
        assert one.payload == {}


def test_a_changed_call_keeps_id_and_action() -> None:
    before = parse('[2, "a", "RequestStartTransaction", {"evseId": 1, "chargingProfile": {}}]')
    after = rpc.altered(before, {"evseId": 1})
    assert after.text == '[2, "a", "RequestStartTransaction", {"evseId": 1}]'


@pytest.mark.requirement("LC-029")
@pytest.mark.parametrize(
    ("text", "message_id"),
    [
        ("", "-1"),
        ("{}", "-1"),
        ("[]", "-1"),
        ('["2","a","X",{}]', "-1"),
        ('[true,"a","X",{}]', "-1"),
        ('[2,17,"Heartbeat",{}]', "-1"),
        ("[3]", "-1"),
        ('[2,"a","X",NaN]', "-1"),
        ('[2,"a"]', "a"),
        ('[2,"a",null,{}]', "a"),
        ("[" * 100_000, "-1"),
        ('[3,"a",' + "[" * 100_000 + "]" * 100_000 + "]", "-1"),
    ],
)
def test_what_is_no_message_says_which_id_an_error_answer_may_bear(text: str, message_id: str) -> None:
    with pytest.raises(FrameError) as caught:
        parse(text)
    assert caught.value.message_id == message_id


@pytest.mark.requirement("LC-019")
@pytest.mark.parametrize(
    ("text", "message_type", "message_id"),
    [("[7]", 7, ""), ("[7,null]", 7, ""), ('[0,"a",[],[]]', 0, "a"), ("[-1,{}]", -1, ""), (f"[{10**30}]", 10**30, "")],
)
def test_unknown_message_types_are_messages(text: str, message_type: int, message_id: str) -> None:
    frame = parse(text)
    assert (frame.message_type, frame.message_id, frame.action) == (message_type, message_id, None)


@pytest.mark.parametrize(
    "text", ['[2,"a","X"]', '[2,"a","X",null]', '[3,"a"]', '[3,"a",null]', '[2,"a","X",{},{"b":1}]']
)
def test_a_missing_or_null_payload_is_an_empty_one(text: str) -> None:
    assert parse(text).payload == {}


@pytest.mark.requirement("LC-020")
@pytest.mark.parametrize("payload", ["[]", "5", '"x"', '{"a":' + "9" * 5000 + "}"])
def test_a_payload_that_cannot_be_read_is_noticed_only_by_those_who_look(payload: str) -> None:
    frame = parse(f'[2,"a","MeterValues",{payload}]')
    with pytest.raises(PayloadError) as caught:
        _ = frame.payload
    assert caught.value.action == "MeterValues"


def test_an_error_with_odd_parts_is_still_an_error() -> None:
    frame = parse('[4,"a",17,null,null]')
    assert (frame.error_code, frame.error_description, frame.details) == (None, None, {})


@pytest.mark.requirement("LC-018", "LC-020")
@pytest.mark.parametrize(
    "text", ['[2,"a","DataTransfer",{"data":"\\ud800","n":-1E400}]', '[3,"a",{"n":1E400,"k":"\\udfff"}]']
)
def test_an_endless_number_beside_half_a_character_is_a_message_like_any_other(text: str) -> None:
    """JSON allows both (RFC 8259 §6, §8.2), and nobody writes either on purpose."""
    frame = parse(text)
    assert frame.text == text
    assert frame.payload == json.loads(text)[-1]


@pytest.mark.requirement("LC-033")
def test_a_long_text_that_is_refused_is_not_read_a_second_time() -> None:
    """It would keep the event loop for half a second at 8 MiB; nobody writes half a character in such a message."""
    half = '[3,"a",{"k":"\\ud800","n":"%s"}]'
    assert parse(half % ("x" * (CLOSE_LOOK - len(half)))).message_id == "a"
    with pytest.raises(FrameError, match="too long"):
        parse(half % ("x" * CLOSE_LOOK))


@pytest.mark.requirement("LC-029")
def test_at_no_depth_a_message_is_more_than_unreadable() -> None:
    for depth in range(900, 1000):
        text = f'[2,"a","X",{{"k":"\\ud800","n":{"[" * depth}1E400{"]" * depth}}}]'
        with contextlib.suppress(FrameError):
            assert parse(text).message_id == "a"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_no_message_of_ours_carries_a_number_that_is_none(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        rpc.call("1", "SetChargingProfile", {"limit": number})
