"""What do both halves of an opening handshake say when they are as plain as nearly all are? Pure.

`websockets` knows all of RFC 6455 §4 and of HTTP; here is only what a station or a CSMS usually sends: a short head, a known
verb, no body, no extension, each header once that must be there once. When hundreds of stations come back in the same second,
reading and writing these directly takes a fifth of the time. Whatever is not plain, and all that is refused, is left to
`websockets` (decision 0008); laws compare both.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.headers import build_host
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri
from websockets.utils import accept_key

PLAIN_BYTES: Final = 2048  # of a head, and so of each line; a station's is below 1 kB
PLAIN_HEADERS: Final = 32
_NAME: Final = r"[-!#$%&'*+.^_`|~0-9a-zA-Z]+"
_HEADERS: Final = rf"((?:{_NAME}:[\t\x20-\x7e\x80-\xff]*\r\n)+)\r\n"
_request_in = re.compile(rf"GET ([!-~]+) HTTP/1\.1\r\n{_HEADERS}").fullmatch
_acceptance_in = re.compile(rf"HTTP/1\.1 101 [\t\x20-\x7e\x80-\xff]*\r\n{_HEADERS}").fullmatch
_is_key = re.compile("[A-Za-z0-9+/]{22}==").fullmatch  # base64 of 16 bytes
_is_list = re.compile(rf"{_NAME}(?:, ?{_NAME})*").fullmatch
_is_segment = re.compile("[-._~!$&'()*+,;=:@%0-9A-Za-z]+").fullmatch  # RFC 3986 §3.3
_BODY: Final = frozenset({"content-length", "transfer-encoding"})
_NOT_PLAIN: Final = _BODY | {"sec-websocket-extensions"}


# --- towards the station ----------------------------------------------------------------------------------------------


def plain_request(head: bytes) -> Request | None:
    """The request in these bytes, up to and with the empty line, if it is plain."""
    found = _request_in(head.decode("iso-8859-1")) if len(head) <= PLAIN_BYTES else None
    headers = None if found is None else _plain_headers(found[2])
    return None if found is None or headers is None else Request(found[1], headers)


def plain_acceptance(request: Request) -> Response | None:
    """The answer 101 to a request that asks for a WebSocket plainly; extensions are not negotiated."""
    values = request.headers.get_all
    key, connection, upgrade = values("Sec-WebSocket-Key"), values("Connection"), values("Upgrade")
    is_plain = (
        request.method == "GET"
        and request.protocol == "HTTP/1.1"
        and len(connection) == len(upgrade) == len(key) == 1
        and connection[0].lower() == "upgrade"
        and upgrade[0].lower() == "websocket"
        and values("Sec-WebSocket-Version") == ["13"]
        and len(values("Origin")) <= 1
        and _is_key(key[0]) is not None
        and all(map(_is_list, values("Sec-WebSocket-Protocol")))
    )
    if not is_plain:
        return None
    headers = _headers_of(int(time.time())).copy()
    headers["Sec-WebSocket-Accept"] = accept_key(key[0])
    return Response(101, "Switching Protocols", headers)


@lru_cache(maxsize=1)
def _headers_of(second: int) -> Headers:
    """What all answers of one second have in common."""
    return Headers([("Date", formatdate(second, usegmt=True)), ("Upgrade", "websocket"), ("Connection", "Upgrade")])


# --- towards the CSMS -------------------------------------------------------------------------------------------------


def address(url: str, segment: str) -> WebSocketURI:
    """Where a station is found at the CSMS of this URL. Raises InvalidURI."""
    base = _base(url)
    if base is None or _is_segment(segment) is None:
        return parse_uri(f"{url.rstrip('/')}/{segment}")
    return WebSocketURI(base.secure, base.host, base.port, base.path + segment, "", base.username, base.password)


@lru_cache(maxsize=64)
def _base(url: str) -> WebSocketURI | None:
    """What the addresses of all stations have in common; None if that is not simply what stands before them."""
    is_plain = url.isascii() and not {"?", "#"} & set(url)
    return parse_uri(f"{url.rstrip('/')}/") if is_plain else None


_host = lru_cache(maxsize=64)(build_host)


def request_head(client: ClientProtocol, others: Iterable[tuple[str, str]]) -> bytes:
    """The request of a client, with further headers; their values are as they were received."""
    uri = client.uri
    if client.available_extensions or uri.username is not None or client.origin is not None:
        request = client.connect()
        for name, value in others:
            request.headers[name] = value
        return request.serialize()
    offered = ", ".join(client.available_subprotocols or ())
    lines = [
        f"GET {uri.resource_name} HTTP/1.1",
        f"Host: {_host(uri.host, uri.port, uri.secure)}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {client.key}",
        "Sec-WebSocket-Version: 13",
        *([f"Sec-WebSocket-Protocol: {offered}"] if offered else ()),
        *(f"{name}: {value}" for name, value in others),
        "\r\n",
    ]
    return "\r\n".join(lines).encode("iso-8859-1")


def take_plain_acceptance(client: ClientProtocol, head: bytes) -> bool:
    """Opens the connection if these bytes are a server's plain answer 101; else False, and nothing is changed."""
    found = _acceptance_in(head.decode("iso-8859-1")) if len(head) <= PLAIN_BYTES else None
    fields = [] if found is None else _fields(found[1])
    said = {name.lower(): value for name, value in fields}
    chosen = said.get("sec-websocket-protocol")
    is_plain = (
        0 < len(said) == len(fields) <= PLAIN_HEADERS  # none twice
        and said.get("connection", "").lower() == "upgrade"
        and said.get("upgrade", "").lower() == "websocket"
        and said.get("sec-websocket-accept") == accept_key(client.key)
        and (chosen is None or chosen in (client.available_subprotocols or ()))
        and not said.keys() & _NOT_PLAIN
    )
    if not is_plain:
        return False
    client.subprotocol = None if chosen is None else Subprotocol(chosen)
    pass_handshake(client)
    client.state = State.OPEN
    return True


# --- both -------------------------------------------------------------------------------------------------------------


def pass_handshake(protocol: ClientProtocol | ServerProtocol) -> None:
    """What it receives from now on are frames, as if it had read the peer's half of the handshake itself."""
    state, protocol.state = protocol.state, State.OPEN
    protocol.parser.close()
    protocol.parser = protocol.parse()  # of one that is open, as its constructor does
    next(protocol.parser)
    protocol.state = state


def _plain_headers(lines: str) -> Headers | None:
    """The headers in lines that end with CRLF; None for too many, or those that announce a body."""
    fields = _fields(lines)
    if len(fields) > PLAIN_HEADERS:
        return None
    headers = Headers()
    for name, value in fields:
        headers[name] = value
    return None if any(name in headers for name in _BODY) else headers


def _fields(lines: str) -> list[tuple[str, str]]:
    """Names and values in lines that end with CRLF and have a colon each."""
    parts = [line.partition(":") for line in lines.split("\r\n")[:-1]]
    return [(name, value.strip(" \t")) for name, _, value in parts]
