"""Whatever bytes come in whatever pieces: the short way says what `websockets` would say."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from local_controller.adapters.framing import FrameSplitter, plain_pong, plain_text, text_frame

MAX = 70_000
edges = st.sampled_from([125, 126, 127, 65_535, 65_536, MAX])
texts = st.one_of(st.text(max_size=200), edges.map(lambda size: "x" * size))
frames = st.builds(
    Frame,
    st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.PING, Opcode.PONG]),
    st.binary(max_size=125),
)
streams = st.lists(st.one_of(texts.map(lambda text: Frame(Opcode.TEXT, text.encode())), frames), max_size=6)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(at)]


def split(splitter: FrameSplitter, data: list[bytes]) -> list[bytes]:
    found = []
    for piece in data:
        splitter.feed(piece)
        while (frame := splitter.take()) is not None:
            found.append(frame)
    return found


@given(streams, st.booleans(), st.lists(st.integers(0, 10**6), max_size=8))
def test_frames_are_cut_where_they_end_however_the_bytes_come(
    stream: list[Frame], masked: bool, cuts: list[int]
) -> None:
    wire = [frame.serialize(mask=masked) for frame in stream]
    splitter = FrameSplitter(MAX)
    assert split(splitter, pieces(b"".join(wire), cuts)) == wire
    assert len(splitter) == 0
    assert not splitter.has_frame()


@given(texts, st.booleans())
def test_a_text_frame_is_read_and_written_as_websockets_does(text: str, masked: bool) -> None:
    assert plain_text(Frame(Opcode.TEXT, text.encode()).serialize(mask=masked), masked=masked) == text
    assert plain_text(text_frame(text, masked=masked), masked=masked) == text
    peer = Protocol(Side.SERVER if masked else Side.CLIENT, max_size=MAX)
    peer.receive_data(text_frame(text, masked=masked))
    (event,) = peer.events_received()
    assert isinstance(event, Frame)
    assert (event.opcode, bytes(event.data), event.fin) == (Opcode.TEXT, text.encode(), True)


@given(st.binary(min_size=2, max_size=300), st.booleans())
def test_what_is_taken_for_a_plain_text_is_one_for_websockets_too(data: bytes, masked: bool) -> None:
    """Any bytes: no frame is read that `websockets` refuses or reads otherwise."""
    try:
        text = plain_text(data, masked=masked)
    except UnicodeDecodeError:
        return
    if text is None:
        return
    peer = Protocol(Side.SERVER if masked else Side.CLIENT, max_size=MAX)
    peer.receive_data(data)
    assert [bytes(frame.data).decode() for frame in peer.events_received() if isinstance(frame, Frame)] == [text]
    assert peer.parser_exc is None


@given(
    st.one_of(st.binary(max_size=200), st.binary(max_size=125).map(lambda data: b"\x89" + data)),
    st.booleans(),
    st.data(),
)
def test_a_ping_is_answered_as_websockets_answers_it(data: bytes, masked: bool, more: st.DataObject) -> None:
    """Any bytes, most of them no ping; and every ping."""
    ping = Frame(Opcode.PING, more.draw(st.binary(max_size=125))).serialize(mask=masked)
    for wire in (ping, ping[:-1], ping + b"x", data):
        short = plain_pong(wire, masked=masked)
        if short is None:
            assert wire != ping
            continue
        peer = Protocol(Side.SERVER if masked else Side.CLIENT, max_size=MAX)
        peer.receive_data(wire)
        (long,) = peer.data_to_send()
        assert peer.parser_exc is None
        assert _pong_of(short, masked=not masked) == _pong_of(long, masked=not masked)


def _pong_of(wire: bytes, *, masked: bool) -> bytes:
    """What a peer understands; each mask is another one."""
    peer = Protocol(Side.SERVER if masked else Side.CLIENT)
    peer.receive_data(wire)
    (event,) = peer.events_received()
    assert isinstance(event, Frame)
    assert (event.opcode, event.fin, peer.parser_exc) == (Opcode.PONG, True, None)
    return bytes(event.data)


@pytest.mark.parametrize("masked", [True, False])
def test_a_frame_masked_the_wrong_way_is_left_to_those_who_refuse_it(masked: bool) -> None:
    wrong = text_frame("x", masked=not masked)
    assert plain_text(wrong, masked=masked) is None
    peer = Protocol(Side.SERVER if masked else Side.CLIENT)
    peer.receive_data(wrong)
    assert isinstance(peer.parser_exc, ProtocolError)


def test_a_frame_that_is_too_long_comes_in_pieces_at_once() -> None:
    splitter = FrameSplitter(10)
    wire = text_frame("x" * 300, masked=False)
    splitter.feed(wire[:3])
    assert splitter.take() is None
    splitter.feed(wire[3:20])
    assert splitter.take() == wire[:20]
    assert plain_text(wire[:20], masked=False) is None
