"""How does a person set a limit over HTTP? POST /api/v1/limits/<id>, from this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Protocol

from pydantic import Field, ValidationError, model_validator
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from local_controller.adapters.web.own_machine import answered, body, objection, refused
from local_controller.config.electrical import ThreeLoads
from local_controller.config.limits import Watts
from local_controller.config.section import Section
from local_controller.errors import LocalControllerError
from local_controller.site.limits import Bound

_EXAMPLE = '{"max_a": 16, "for_s": 7200, "reason": "oven"}, {"max_w": 11000, "for_s": 7200} or {"end": true}'


class Tells(Protocol):
    """Whoever passes it on."""

    async def tell(self, name: str, bound: Bound | None, for_s: float, reason: str) -> dict[str, Any]:
        """What holds then. Raises LocalControllerError."""


class _Asked(Section):
    """The body of a request."""

    max_a: ThreeLoads | None = None
    max_w: Watts | None = None
    for_s: float = 0.0
    reason: Annotated[str, Field(max_length=100)] = ""
    end: bool = False

    @model_validator(mode="after")
    def _says_one_thing(self) -> _Asked:
        if self.end is (self.max_a is not None or self.max_w is not None):
            raise ValueError("a limit, or its end")
        return self

    @property
    def bound(self) -> Bound | None:
        """What is to count; None: no limit any more."""
        return None if self.end else Bound(self.max_a, self.max_w)


def person_limits(tells: Tells) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint."""

    async def tell(request: Request) -> Response:
        if why := objection(request):
            return refused(403, why)
        try:
            asked = _Asked.model_validate_json(await body(request))
        except ValidationError as error:
            return refused(400, f"{_what(error)}: send {_EXAMPLE}")
        except ClientDisconnect:
            return refused(400, f"nothing arrived: send {_EXAMPLE}")
        try:
            told = await tells.tell(request.path_params["limit"], asked.bound, asked.for_s, asked.reason)
        except LocalControllerError as error:
            return refused(404 if "has no limit" in str(error) else 400, str(error))
        return answered(told)

    return tell


def _what(error: ValidationError) -> str:
    """What is wrong, in one line."""
    return "; ".join(": ".join([*map(str, one["loc"][:1]), one["msg"]]) for one in error.errors(include_url=False))
