"""Where is a host, however long the lookups of others take?

An event loop looks all names up in a few threads (uvloop two at a time), and a lookup that nobody waits for any more holds one until the resolver gives
up, 10 s and more without an answer. Three meters with names that DNS did not answer for kept a reachable CSMS from ever being dialled. So a name
has a thread of its own while it is looked up, and whoever asks meanwhile waits for the same answer: no more threads than names.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Sequence
from functools import lru_cache

_Found = asyncio.Future[Sequence[str]]

_under_way: dict[tuple[asyncio.AbstractEventLoop, str], _Found] = {}


async def addresses(host: str) -> Sequence[str]:
    """The addresses of a host, as numbers, in the order to be tried. How long that may take is the caller's matter.

    Raises OSError where this machine finds none, ValueError for what no resolver takes for a name.
    """
    if _is_address(host):
        return [host]
    loop = asyncio.get_running_loop()
    found = _under_way.get((loop, host))
    if found is None:
        found = _under_way[loop, host] = loop.create_future()
        threading.Thread(target=_look_up, args=(loop, host, found), name=f"lookup of {host}", daemon=True).start()
    return await asyncio.shield(found)


@lru_cache(maxsize=64)
def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _look_up(loop: asyncio.AbstractEventLoop, host: str, found: _Found) -> None:
    """In its thread."""
    answer: Sequence[str] | Exception
    try:
        told = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        answer = [*dict.fromkeys(str(address[0]) for *_, address in told)]
    except (OSError, ValueError) as error:
        answer = error
    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(_tell, found, answer)
    _under_way.pop((loop, host), None)


def _tell(found: _Found, answer: Sequence[str] | Exception) -> None:
    if not isinstance(answer, Exception):
        found.set_result(answer)
        return
    found.set_exception(answer)
    found.exception()  # perhaps nobody waits for it any more
