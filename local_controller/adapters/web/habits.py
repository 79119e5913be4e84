"""What does the site expect of cars, and how is that forgotten? GET /api/v1/habits, and POST /api/v1/habits/forget from this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from local_controller.adapters.web.own_machine import body, objection, refused
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
        return _answer(remembers.view())

    return show


def habits_forgotten(remembers: Remembers) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint that forgets."""

    async def forget(request: Request) -> Response:
        if why := objection(request):
            return refused(403, why)
        try:
            asked = msgspec.json.decode(await body(request), type=_Asked)
        except (msgspec.DecodeError, UnicodeDecodeError, ClientDisconnect):
            return refused(400, f"that is no request to forget: send {_EXAMPLE}")
        if sum(map(bool, (asked.evse, asked.token, asked.all))) != 1:
            return refused(400, f"one thing to forget at a time: send {_EXAMPLE}")
        try:
            return _answer(await remembers.forget(asked.evse or None, asked.token or None))
        except LocalControllerError as error:
            return refused(500, str(error))

    return forget


def _answer(plain: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(plain), media_type="application/json", headers={"Cache-Control": "no-store"})
