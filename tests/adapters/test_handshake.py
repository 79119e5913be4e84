"""Whatever a peer says in its half of the handshake: the short way says what `websockets` would say, or nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidURI
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Protocol, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import parse_uri
from websockets.utils import accept_key

from local_controller.adapters.handshake import (
    address,
    pass_handshake,
    plain_acceptance,
    plain_request,
    request_head,
    take_plain_acceptance,
)

KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
VERSIONS = [Subprotocol("ocpp2.0.1"), Subprotocol("ocpp1.6")]
ASKED = {
    "Host": "lc",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "ocpp2.0.1, ocpp1.6",
    "Authorization": "Basic Q1A6cHc=",
}
AGREED = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Accept": accept_key(KEY),
    "Sec-WebSocket-Protocol": "ocpp1.6",
}

blanks = st.sampled_from(["", " ", "\t", "  "])
ODD_NAMES = ["sec-websocket-key", "CONNECTION", "Origin", "Date", "Sec-WebSocket-Extensions", "Content-Length"]
NO_NAMES = ["Bad Name", "", "Ümlaut"]
names = st.sampled_from([*ASKED, *AGREED, *ODD_NAMES, "Transfer-Encoding", "X-Vendor", *NO_NAMES])
ODD_VALUES = ["keep-alive, Upgrade", "WebSocket", "upgrade", "websocket, h2c", "0", "7", "chunked", "8", "ocpp1.6"]
ODD_LISTS = ["ocpp2.0.1", "ocpp9", "a,,b", ",", "a b", "a,b", "a ,b", "a;b", "permessage-deflate"]
ODD_KEYS = ["AAAA", KEY[:-1], "A" * 22 + "=", "A" * 21 + "B==", "*" * 22 + "=="]
NO_VALUES = ["\xe9", "a\x7fb", "a\x00b", "x" * 2100, "a\tb", "a\nb", "a\r\nb", "a\r\n b"]
values = st.one_of(
    st.sampled_from([*ASKED.values(), *AGREED.values(), *ODD_VALUES, *ODD_LISTS, *ODD_KEYS, *NO_VALUES]),
    st.text(st.characters(max_codepoint=255), max_size=12),
)
lines = st.builds(lambda name, before, value, after: f"{name}:{before}{value}{after}", names, blanks, values, blanks)


def heads(first: list[str], usual: dict[str, str]) -> st.SearchStrategy[bytes]:
    """Heads that differ in some lines from the usual one."""
    plain = [f"{name}: {value}" for name, value in usual.items()]

    def head(start: str, left_out: set[int], added: list[str], turned: bool) -> bytes:
        kept = [line for number, line in enumerate(plain) if number not in left_out] + added
        return "\r\n".join([start, *(kept[::-1] if turned else kept), "\r\n"]).encode("iso-8859-1")

    few = st.lists(lines, max_size=3)
    left_out = st.sets(st.integers(0, len(plain) - 1), max_size=2)
    many = st.integers(25, 140).map(lambda count: ["X: y"] * count)
    usually = st.one_of(st.just(first[0]), st.sampled_from(first))
    return st.builds(head, usually, left_out, st.one_of(few, few, few, many), st.booleans())


requests = heads(
    [
        "GET /CP-7?a=b HTTP/1.1",
        "GET /CP-7 HTTP/1.0",
        "POST /CP-7 HTTP/1.1",
        "GET  HTTP/1.1",
        "GET /\xe9 HTTP/1.1",
        "GET / x",
    ],
    ASKED,
)
answers = heads(
    [
        "HTTP/1.1 101 Switching Protocols",
        "HTTP/1.1 101 ",
        "HTTP/1.1 101",
        "HTTP/1.0 101 x",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 101 \xe9",
    ],
    AGREED,
)


def raw(request: Request) -> tuple[object, ...]:
    return request.method, request.path, request.protocol, list(request.headers.raw_items())


def client_of(subprotocols: list[Subprotocol] | None) -> ClientProtocol:
    client = ClientProtocol(parse_uri("ws://csms/CP-7"), subprotocols=subprotocols)
    client.key = KEY
    return client


@given(requests)
def test_a_request_that_is_taken_for_plain_is_what_websockets_reads(head: bytes) -> None:
    short = plain_request(head)
    if short is None:
        return
    server = ServerProtocol()
    server.receive_data(head)
    (event,) = server.events_received()
    assert isinstance(event, Request)
    assert raw(short) == raw(event)
    assert server.handshake_exc is None


@given(requests)
def test_a_request_that_is_accepted_plainly_is_accepted_by_websockets_in_the_same_words(head: bytes) -> None:
    accepted_in_the_same_words(head)


def accepted_in_the_same_words(head: bytes) -> None:
    server = ServerProtocol()
    server.receive_data(head)
    for event in server.events_received():
        assert isinstance(event, Request)
        short = plain_acceptance(copy.deepcopy(event))
        if short is not None:
            long = server.accept(event)
            assert server.handshake_exc is None
            assert (short.status_code, short.reason_phrase) == (long.status_code, long.reason_phrase)
            assert list(short.headers)[1:] == list(long.headers)[1:]  # the first is the date
            assert short.headers["Date"][-4:] == long.headers["Date"][-4:] == " GMT"
            assert server.extensions == []


@given(answers, st.sampled_from([None, VERSIONS, VERSIONS[:1]]))
def test_an_answer_that_opens_the_connection_plainly_opens_it_for_websockets_too(
    head: bytes, subprotocols: list[Subprotocol] | None
) -> None:
    opened_alike(head, subprotocols)


def opened_alike(head: bytes, subprotocols: list[Subprotocol] | None) -> None:
    short, long = client_of(subprotocols), client_of(subprotocols)
    if not take_plain_acceptance(short, head):
        assert short.state is State.CONNECTING
        return
    long.receive_data(head)
    assert (short.state, long.state) == (State.OPEN, State.OPEN)
    assert (short.subprotocol, short.extensions) == (long.subprotocol, long.extensions)
    assert long.handshake_exc is None


ODD: dict[str, list[str]] = {
    "Upgrade": ["WebSocket", "websocket, h2c", "h2c"],
    "Connection": ["keep-alive, Upgrade", "upgrade", "close"],
    "Sec-WebSocket-Key": ODD_KEYS,
    "Sec-WebSocket-Accept": [accept_key(KEY)[:-1], accept_key(KEY).lower(), KEY],
    "Sec-WebSocket-Version": ["8", "013", "13, 8"],
    "Sec-WebSocket-Protocol": ODD_LISTS,
}


@pytest.mark.parametrize("name", ODD)
def test_neither_way_is_taken_more_often_because_of_one_header_that_is_odd(name: str) -> None:
    """Random heads seldom differ from the usual one in nothing else."""
    for value in [*ODD[name], *NO_VALUES, ""]:
        if name in ASKED:
            accepted_in_the_same_words(written("GET /CP-7 HTTP/1.1", ASKED | {name: value}))
        if name in AGREED:
            opened_alike(written("HTTP/1.1 101 Switching Protocols", AGREED | {name: value}), VERSIONS)


@pytest.mark.parametrize("name", [*ODD_NAMES, "Transfer-Encoding", *(ASKED | AGREED)])
def test_neither_way_is_taken_more_often_because_of_one_header_too_many(name: str) -> None:
    """A CSMS that compresses unasked, a request of two origins: `websockets` refuses what is against RFC 6455."""
    for value in ["https://lc", "permessage-deflate", "0", *(ASKED | AGREED).values()]:
        for times in (1, 2):
            more = f"{name}: {value}\r\n".encode() * times
            accepted_in_the_same_words(written("GET /CP-7 HTTP/1.1", ASKED)[:-2] + more + b"\r\n")
            opened_alike(written("HTTP/1.1 101 Switching Protocols", AGREED)[:-2] + more + b"\r\n", VERSIONS)


def written(start: str, headers: dict[str, str]) -> bytes:
    return "\r\n".join([start, *(f"{name}: {value}" for name, value in headers.items()), "\r\n"]).encode("iso-8859-1")


@example("", {})
@given(
    st.sampled_from(["", "/ocpp", "/a/b;c"]),
    st.dictionaries(
        st.sampled_from(["Authorization", "X-Vendor", "x-vendor"]), st.sampled_from(["Basic Q1A=", "\xe9", ""])
    ),
)
def test_a_request_is_written_as_websockets_writes_it(path: str, others: dict[str, str]) -> None:
    for url in ("ws://10.0.0.1:8080", "ws://[::1]:8080", "wss://csms.example", "ws://user:pw@csms.example:80"):
        for subprotocols in (None, VERSIONS, VERSIONS[1:]):
            client = ClientProtocol(parse_uri(f"{url}{path}/CP-7?x=y"), subprotocols=subprotocols)
            request = client.connect()
            for name, value in others.items():
                request.headers[name] = value
            assert request_head(client, others.items()) == request.serialize()


URLS = ["ws://csms", "ws://csms/", "wss://csms:1/ocpp", "ws://csms//", "ws://u:p@csms/a;b/", "ws://CSMS/%41"]
ODD_URLS = ["ws://csms/x?y=z", "ws://csms/?", "ws://csms/#", "wss://[::1]:9/ocpp/", "ws://bücher.example/ocpp"]


@given(st.sampled_from(URLS + ODD_URLS), st.text(st.sampled_from("aZ09-._~%25!$&'()*+,;=:@?#[]/ü \t"), max_size=9))
def test_a_station_has_the_address_that_websockets_reads(url: str, segment: str) -> None:
    try:
        long = parse_uri(f"{url.rstrip('/')}/{segment}")
    except InvalidURI:
        with pytest.raises(InvalidURI):
            address(url, segment)
        return
    assert address(url, segment) == long


def test_behind_a_handshake_that_was_passed_there_are_frames() -> None:
    server = ServerProtocol()
    pass_handshake(server)
    assert server.state is State.CONNECTING
    server.send_response(server.accept(Request("/", Headers(ASKED))))
    server.receive_data(Frame(Opcode.TEXT, b"hello").serialize(mask=True))
    assert [bytes(frame.data) for frame in server.events_received() if isinstance(frame, Frame)] == [b"hello"]


@pytest.mark.parametrize("end", [Protocol.receive_eof, lambda protocol: protocol.receive_data(b"\xff\xff\xff\xff")])
def test_a_passed_handshake_ends_as_one_that_was_read(end: Callable[[Protocol], None]) -> None:
    """The station leaves, or speaks nonsense, before it is answered."""
    read, passed = ServerProtocol(), ServerProtocol()
    read.receive_data(written("GET / HTTP/1.1", ASKED))
    pass_handshake(passed)
    for server in (read, passed):
        end(server)
    assert passed.state is read.state
    assert type(passed.parser_exc) is type(read.parser_exc)
    assert passed.data_to_send() == read.data_to_send()


def test_what_stations_and_csmss_usually_say_takes_the_short_way() -> None:
    request = plain_request(written("GET /CP-7 HTTP/1.1", ASKED))
    assert request is not None
    assert plain_acceptance(request) is not None
    client = client_of(VERSIONS)
    assert take_plain_acceptance(client, written("HTTP/1.1 101 Switching Protocols", AGREED))
    assert client.subprotocol == "ocpp1.6"
