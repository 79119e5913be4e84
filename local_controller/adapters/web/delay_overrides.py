"""How is the random delay of a car overridden over HTTP? POST /api/v1/delays/override, from this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from local_controller.adapters.web.own_machine import answered, asked_here, refused
from local_controller.errors import LocalControllerError
from local_controller.station.words import EvseId

_EXAMPLE = '{"station": "CP-1", "evse": 1}'


class Overrides(Protocol):
    """Whoever passes it on."""

    def override(self, evse: EvseId) -> str:
        """What holds then. Raises LocalControllerError."""


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request."""

    station: str
    evse: int = 1


def delay_overrides(overrides: Overrides) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint."""

    async def override(request: Request) -> Response:
        asked = await asked_here(request, _Asked, _EXAMPLE)
        if isinstance(asked, Response):
            return asked
        try:
            told = overrides.override(EvseId(asked.station, asked.evse))
        except LocalControllerError as error:
            return refused(409, str(error))
        return answered({"holds": told})

    return override
