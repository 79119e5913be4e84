"""What does the site expect of cars, and how is that forgotten? GET /api/v1/habits, and POST /api/v1/habits/forget from this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from local_controller.adapters.web.own_machine import answered, asked_here, refused
from local_controller.errors import LocalControllerError

_EXAMPLE = '{"evse": "CP-1/1"}, {"token": "04A1B2C3"} or {"all": true}'


class Remembers(Protocol):
    """Whoever keeps what was learnt."""

    def view(self) -> dict[str, Any]:
        """What was learnt."""

    async def forget(self, evse: str | None, id_token: str | None) -> dict[str, Any]:
        """Forgets that; how many visits it were. Raises LocalControllerError."""


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request: one of the three."""

    evse: str = ""
    token: str = ""
    all: bool = False


def habits_shown(remembers: Remembers) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint that shows."""

    async def show(_request: Request) -> Response:
        return answered(remembers.view())

    return show


def habits_forgotten(remembers: Remembers) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint that forgets."""

    async def forget(request: Request) -> Response:
        asked = await asked_here(request, _Asked, _EXAMPLE)
        if isinstance(asked, Response):
            return asked
        if sum(map(bool, (asked.evse, asked.token, asked.all))) != 1:
            return refused(400, f"one thing to forget at a time: send {_EXAMPLE}")
        try:
            return answered(await remembers.forget(asked.evse or None, asked.token or None))
        except LocalControllerError as error:
            return refused(500, str(error))

    return forget
