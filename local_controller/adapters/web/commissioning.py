"""How is a step test started over HTTP? POST /api/v1/commissioning; the answer goes on as long as the test, a JSON object a line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from local_controller.adapters.web.own_machine import asked_here, refused
from local_controller.site.commissioning import UntestableError
from local_controller.station.words import EvseId

_EXAMPLE = '{"station": "CP-1", "evse": 1, "pause": false}'


class Starts(Protocol):
    """Whoever carries out step tests."""

    def begin(self, evse: EvseId, *, may_pause: bool) -> AsyncIterator[dict[str, Any]]:
        """How it goes, and last its result. Raises UntestableError."""


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    station: str
    evse: int = 1
    pause: bool = False


def commissioning(starts: Starts) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint."""

    async def begin(request: Request) -> Response:
        asked = await asked_here(request, _Asked, _EXAMPLE)
        if isinstance(asked, Response):
            return asked
        try:
            told = starts.begin(EvseId(asked.station, asked.evse), may_pause=asked.pause)
        except UntestableError as error:
            return refused(409 if error.is_known else 404, str(error))
        return StreamingResponse(_lines(told), media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})

    return begin


async def _lines(told: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    async for one in told:
        yield msgspec.json.encode(one) + b"\n"
