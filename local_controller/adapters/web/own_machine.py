"""Does a request that changes something come from this machine, and from no page of somebody else?

The page has no login, so whoever reaches it may look, and only who is on the machine may act. A browser on that machine
shows pages of anybody: what those send names another origin, or another host where a name was made to lead here.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

LARGEST_BYTES: Final = 1000
"""No request of ours is longer."""

_HANDED_ON: Final = ("x-forwarded-for", "forwarded", "x-real-ip", "via")
"""What a reverse proxy on this machine adds, behind which anybody may be."""

REMEDY: Final = "run the command on the gateway's machine"

Asked = TypeVar("Asked", bound=msgspec.Struct)


async def asked_here(request: Request, kind: type[Asked], example: str) -> Asked | Response:
    """What a request of this machine asks for; else the answer that refuses it and says how it is asked."""
    if why := objection(request):
        return refused(403, why)
    try:
        return msgspec.json.decode(await body(request), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, ClientDisconnect) as error:
        return refused(400, f"{error}: send {example}")


def objection(request: Request) -> str:
    """Why this request may change nothing, with the remedy; "" if it may."""
    here = str((request.scope.get("server") or ("", 0))[0])
    peer = "" if request.client is None else request.client.host
    host = request.headers.get("host", "")
    if not _is_here(peer, here):
        return f"{peer or 'somebody unknown'} is another machine: {REMEDY}"
    if handed_on := next((name for name in _HANDED_ON if name in request.headers), ""):
        return f"the request was handed on for somebody else ({handed_on}): {REMEDY}"
    if not _is_here(_name(host), here):
        return f"the request is for {host or 'nobody'}, which is no address of this machine: {REMEDY}"
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "none")
    if (origin is not None and origin != f"http://{host}") or site not in {"none", "same-origin"}:
        return f"the request comes from a page of {origin or 'somebody else'}: {REMEDY}"
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return "the request is no application/json"
    return ""


def _is_here(name: str, here: str) -> bool:
    """A loopback address, or the very address that was dialled: only this machine sends from there."""
    if name == "localhost":
        return True
    try:
        address = ip_address(name)
        return address.is_loopback or address == ip_address(here)
    except ValueError:
        return False


def _name(host: str) -> str:
    """The host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] or host


async def body(request: Request) -> bytes:
    """The first bytes; what is longer is no question of ours, and cannot be read then."""
    text = b""
    async for part in request.stream():
        text += part
        if len(text) > LARGEST_BYTES:
            break
    return text[:LARGEST_BYTES]


def answered(plain: dict[str, Any]) -> Response:
    """An answer for nobody but who asked."""
    return Response(msgspec.json.encode(plain), media_type="application/json", headers={"Cache-Control": "no-store"})


def refused(status: int, why: str) -> Response:
    """An answer that says why not, with the remedy."""
    return Response(msgspec.json.encode({"error": why}), status, media_type="application/json")
