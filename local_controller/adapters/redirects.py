"""Where does a CSMS send its stations, and do we follow it there in their place? Pure.

RFC 6455 §4.1 leaves that to the client, and towards the CSMS the client is the gateway: a redirect that is passed on leads
a station that follows it past the gateway. A station's password goes with it, so it is followed at the host of the site
file alone, and never from wss to ws.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urljoin

from websockets.exceptions import InvalidURI
from websockets.headers import build_host
from websockets.http11 import Response
from websockets.uri import WebSocketURI, parse_uri

MAX_REDIRECTS: Final = 5
"""In one dial. RFC 9110 §15.4: a client should detect circles; the number is that of RFC 2068 §10.3."""

_FOLLOWED: Final = frozenset({301, 302, 303, 307, 308})  # a GET stays one at each of these
_SCHEMES: Final = {"http": "ws", "https": "wss"}


def followed(uri: WebSocketURI, response: Response) -> WebSocketURI | None:
    """The address to dial after this answer of the one at `uri`; None where it is no redirect that is followed."""
    to = _target(uri, response)
    if to is None or to.host != uri.host or to.username is not None or (uri.secure and not to.secure):
        return None
    return to


def described(uri: WebSocketURI, response: Response) -> str:
    """What the log says of an answer that is neither followed nor passed on; without path and password."""
    text = f"the CSMS answered HTTP {response.status_code}"
    if response.status_code not in _FOLLOWED:
        return text
    to = _target(uri, response)
    if to is None:
        return f"{text}, which leads nowhere"
    return f"{text}, which leads to {_origin(to)} and is not followed; name it in the site file if that is the CSMS's"


def _target(uri: WebSocketURI, response: Response) -> WebSocketURI | None:
    location = next(iter(response.headers.get_all("Location")), "")
    if response.status_code not in _FOLLOWED or not location:
        return None
    try:
        scheme, _, rest = urljoin(_origin(uri).replace("ws", "http", 1) + uri.resource_name, location).partition(":")
        return parse_uri(f"{_SCHEMES.get(scheme, scheme)}:{rest}")
    except (InvalidURI, ValueError):
        return None


def _origin(uri: WebSocketURI) -> str:
    return f"{'wss' if uri.secure else 'ws'}://{build_host(uri.host, uri.port, uri.secure)}"
